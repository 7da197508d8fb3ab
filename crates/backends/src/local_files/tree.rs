//! Looking, moving and removing in a folder, always relative to the folder's own handle and never through a link.
//!
//! Moves are renames: they keep times and modes, and are durable after [`settle`], which syncs each folder once. [`locate`] is the only place that follows links, and it only
//! looks.

use super::{FOLDER, LocalFiles, kind, modified_us};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::path::Path;
use targets::db::{Error, Result};
use targets::files::{About, Moved, Sort, check_name, failed};

/// The store's folder or one below it; none when it is missing.
pub fn open_folder(store: &LocalFiles, folder: &str) -> Result<Option<OwnedFd>> {
    let base = match rustix::fs::open(&store.folder, FOLDER, Mode::empty()) {
        Ok(base) => base,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => {
            let doing = format!("cannot open folder `{}` of `{}`", store.folder.display(), store.label);
            return Err(failed(&doing, errno.into()));
        }
    };
    if folder.is_empty() {
        return Ok(Some(base));
    }
    check_name(folder)?;
    let Some((above, last)) = store.way(base, folder, false)? else { return Ok(None) };
    match rustix::fs::openat(&above, last, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(here) => Ok(Some(here)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(store.refused(above.as_fd(), last, folder, errno)),
    }
}

/// What the system tells about something.
#[allow(clippy::unnecessary_cast, reason = "the widths of these fields differ between systems")]
pub fn about(stat: &Stat) -> About {
    let sort = match kind(stat) {
        FileType::RegularFile => Sort::File,
        FileType::Directory => Sort::Folder,
        FileType::Symlink => Sort::Link,
        _ => Sort::Other,
    };
    let is_file = sort == Sort::File;
    About {
        sort,
        bytes: if is_file { u64::try_from(stat.st_size).unwrap_or(0) } else { 0 },
        modified_us: modified_us(stat),
        shared: (is_file && stat.st_nlink > 1).then_some((stat.st_dev as u64, stat.st_ino as u64)),
    }
}

/// See `Files::look`.
pub fn look(store: &LocalFiles, name: &str) -> Result<Option<About>> {
    check_name(name)?;
    let Some((folder, last)) = place(store, name)? else { return Ok(None) };
    match rustix::fs::statat(&folder, last, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(about(&stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(failed(&store.cannot("look at", name), errno.into())),
    }
}

/// The folder of a name and its last part; none when the folder is missing.
fn place<'a>(store: &LocalFiles, name: &'a str) -> Result<Option<(OwnedFd, &'a str)>> {
    match open_folder(store, "")? {
        Some(base) => store.way(base, name, false),
        None => Ok(None),
    }
}

/// See `Files::move_to`.
pub fn move_to(store: &LocalFiles, from: &str, to: &str) -> Result<Moved> {
    check_name(from)?;
    check_name(to)?;
    let doing = || format!("cannot move `{from}` to `{to}` in `{}`", store.label);
    let Some((old, last)) = place(store, from)? else { return Ok(Moved::Missing) };
    match rustix::fs::statat(&old, last, AtFlags::SYMLINK_NOFOLLOW).map(|stat| kind(&stat)) {
        Ok(FileType::RegularFile | FileType::Directory) => {}
        Ok(FileType::Symlink) => return Err(store.is_link(last, from)),
        Ok(_) => return Err(store.is_no_file(from)),
        Err(Errno::NOENT) => return Ok(Moved::Missing),
        Err(errno) => return Err(failed(&doing(), errno.into())),
    }
    let Some(base) = open_folder(store, "")? else { return Ok(Moved::Missing) };
    let Some((new, new_last)) = store.way(base, to, true)? else { return Ok(Moved::Missing) };
    match rustix::fs::renameat_with(&old, last, &new, new_last, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(Moved::Done),
        Err(Errno::EXIST | Errno::NOTEMPTY) => Ok(Moved::Taken),
        Err(Errno::NOENT) => Ok(Moved::Missing),
        // Some network file systems cannot promise it in one step.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            match rustix::fs::statat(&new, new_last, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => return Ok(Moved::Taken),
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(failed(&doing(), errno.into())),
            }
            rustix::fs::renameat(&old, last, &new, new_last)
                .map(|()| Moved::Done)
                .map_err(|errno| failed(&doing(), errno.into()))
        }
        Err(Errno::XDEV) => Err(Error::system(doing())
            .help("another file system is mounted inside the store: give it a store of its own")),
        Err(errno) => Err(failed(&doing(), errno.into())),
    }
}

/// See `Files::settle`.
pub fn settle(store: &LocalFiles, names: &[&str]) -> Result<()> {
    let folders: BTreeSet<&str> =
        names.iter().map(|name| name.rsplit_once('/').map_or("", |(folder, _)| folder)).collect();
    for folder in folders {
        // A folder that is gone, or that a link has taken the place of, is no longer ours to sync.
        if let Ok(Some(here)) = open_folder(store, folder) {
            let doing = || format!("cannot make changes of `{folder}` in `{}` durable", store.label);
            rustix::fs::fsync(&here).map_err(|errno| failed(&doing(), errno.into()))?;
        }
    }
    Ok(())
}

/// See `Files::remove_tree`.
pub fn remove_tree(store: &LocalFiles, name: &str) -> Result<bool> {
    check_name(name)?;
    let Some((above, last)) = place(store, name)? else { return Ok(false) };
    let there = remove_below(store, &above, last, name)?;
    let mut folder = name;
    while let Some((parent, _)) = folder.rsplit_once('/') {
        let Some((above, last)) = place(store, parent)? else { break };
        match rustix::fs::unlinkat(&above, last, AtFlags::REMOVEDIR) {
            Ok(()) => folder = parent,
            // Not empty, or not ours to remove: it may stay.
            Err(_) => break,
        }
    }
    Ok(there)
}

/// See `Files::remove_empty`.
pub fn remove_empty(store: &LocalFiles, folder: &str) -> Result<bool> {
    check_name(folder)?;
    let Some((above, last)) = place(store, folder)? else { return Ok(false) };
    match rustix::fs::unlinkat(&above, last, AtFlags::REMOVEDIR) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => Ok(false),
        Err(errno) => Err(failed(&store.cannot("remove", folder), errno.into())),
    }
}

/// Removes what `part` is in `above`, which is `name` in the store.
fn remove_below(store: &LocalFiles, above: &OwnedFd, part: &str, name: &str) -> Result<bool> {
    let cannot = |errno: Errno| failed(&store.cannot("remove", name), errno.into());
    let here = match rustix::fs::openat(above, part, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(here) => here,
        Err(Errno::NOENT) => return Ok(false),
        Err(Errno::NOTDIR | Errno::LOOP) => {
            return rustix::fs::unlinkat(above, part, AtFlags::empty()).map(|()| true).map_err(cannot);
        }
        Err(errno) => return Err(cannot(errno)),
    };
    for entry in Dir::read_from(&here).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let bytes = entry.file_name().to_bytes();
        if bytes == b"." || bytes == b".." {
            continue;
        }
        match (entry.file_type(), std::str::from_utf8(bytes)) {
            (FileType::Directory | FileType::Unknown, Ok(part)) => {
                remove_below(store, &here, part, &format!("{name}/{part}"))?;
            }
            _ => rustix::fs::unlinkat(&here, entry.file_name(), AtFlags::empty()).map_err(cannot)?,
        }
    }
    match rustix::fs::unlinkat(above, part, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(errno) => Err(cannot(errno)),
    }
}

/// See `Files::roots`: as configured, from the root, and with links followed.
pub fn roots(folder: &Path) -> Vec<String> {
    let absolute = std::path::absolute(folder).ok();
    let real = folder.canonicalize().ok();
    let mut all: Vec<String> = Vec::new();
    for path in [Some(folder.to_owned()), absolute, real].into_iter().flatten() {
        let Some(text) = path.to_str().map(|text| text.trim_end_matches('/').to_owned()) else { continue };
        if !text.is_empty() && !all.contains(&text) {
            all.push(text);
        }
    }
    all
}

/// See `Files::locate`.
pub fn locate(folder: &Path, path: &str) -> Option<String> {
    let base = folder.canonicalize().ok()?;
    let real = base.join(path).canonicalize().ok()?;
    let name = real.strip_prefix(&base).ok()?.to_str()?;
    (!name.is_empty()).then(|| name.to_owned())
}
