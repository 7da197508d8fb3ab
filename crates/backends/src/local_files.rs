//! A file store that is a local folder.
//!
//! A file appears whole under its name or not at all, also when the machine loses power: it is written beside its
//! place, synced, renamed, and the folder synced. Files get mode 0600 and folders 0700. Nothing is reached through a symbolic
//! link: every step of a name is opened relative to the step before, and links are refused (only the
//! store's own folder may be one, because the configuration names it). What a killed process left half
//! written is replaced by the next writer of the same name and never listed. Names that are not UTF-8 cannot be
//! spoken of here and are not listed; a walk tells that something is there. Empty folders stay. Reading and listing
//! create nothing.

mod tree;
mod walk;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Advice, AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::fs;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use targets::db::{Error, Result};
use targets::files::{About, Each, File, Files, Moved, NewFile, check_name, failed};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const FOR_US: Mode = Mode::RUSR.union(Mode::WUSR);
const FOLDER_FOR_US: Mode = Mode::RWXU;
const PART: &str = ".sexton-part";
/// So much of a file is sent to the disk at a time, so that the sync at its end does not hold up what others sync.
const STRETCH: u64 = 8 << 20;

/// A local folder as a file store.
#[derive(Debug)]
pub struct LocalFiles {
    label: String,
    folder: PathBuf,
    parents: bool,
}

impl LocalFiles {
    /// A store in `folder`, which is touched only when something is asked. The first file written creates it, if its parent is there.
    pub fn new(label: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        Self { label: label.into(), folder: folder.into(), parents: false }
    }

    /// The same, but the folders above it may be missing too: for places that nobody has named.
    pub fn with_parents(mut self) -> Self {
        self.parents = true;
        self
    }

    /// The store's folder; none when it is missing but could be created.
    fn base(&self) -> Result<Option<OwnedFd>> {
        match rustix::fs::open(&self.folder, FOLDER, Mode::empty()) {
            Ok(base) => Ok(Some(base)),
            Err(Errno::NOENT) if self.parents || self.parent().is_dir() => Ok(None),
            Err(Errno::NOENT) => {
                let what = format!("folder `{}` of `{}` does not exist", self.folder.display(), self.label);
                Err(Error::system(what).help(format!("mkdir -p '{}'", self.folder.display())))
            }
            Err(errno) => Err(failed(
                &format!("cannot open folder `{}` of `{}`", self.folder.display(), self.label),
                errno.into(),
            )),
        }
    }

    fn base_or_made(&self) -> Result<OwnedFd> {
        if let Some(base) = self.base()? {
            return Ok(base);
        }
        let doing = || format!("cannot create folder `{}` of `{}`", self.folder.display(), self.label);
        if self.parents {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(self.parent());
            made.map_err(|error| failed(&doing(), error))?;
        }
        match rustix::fs::mkdir(&self.folder, FOLDER_FOR_US) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(failed(&doing(), errno.into())),
        }
        fs::File::open(self.parent())
            .and_then(|parent| parent.sync_all())
            .map_err(|e| failed(&doing(), e))?;
        self.base()?.ok_or_else(|| Error::system(doing()).help("somebody removed it at once; look who"))
    }

    fn parent(&self) -> &Path {
        match self.folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            Some(_) => Path::new("."),
            None => &self.folder,
        }
    }

    /// The folder that `name` lies in and the last part of `name`; none when the folder is missing.
    fn folder_of<'a>(&self, name: &'a str) -> Result<Option<(OwnedFd, &'a str)>> {
        check_name(name)?;
        let Some(base) = self.base()? else { return Ok(None) };
        self.way(base, name, false)
    }

    fn way<'a>(&self, base: OwnedFd, name: &'a str, make: bool) -> Result<Option<(OwnedFd, &'a str)>> {
        let (folders, last) =
            name.rsplit_once('/').map_or((None, name), |(folders, last)| (Some(folders), last));
        let mut here = base;
        for part in folders.into_iter().flat_map(|folders| folders.split('/')) {
            here = match rustix::fs::openat(&here, part, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
                Ok(folder) => folder,
                Err(Errno::NOENT) if make => {
                    make_folder(&here, part).map_err(|e| failed(&self.cannot("write", name), e))?
                }
                Err(Errno::NOENT) => return Ok(None),
                Err(errno) => return Err(self.refused(here.as_fd(), part, name, errno)),
            };
        }
        Ok(Some((here, last)))
    }

    /// Why the step `part` of `name` was refused: by a link or a file in the way, or by the system.
    fn refused(&self, folder: BorrowedFd<'_>, part: &str, name: &str, errno: Errno) -> Error {
        let kind = rustix::fs::statat(folder, part, AtFlags::SYMLINK_NOFOLLOW).map(|stat| kind(&stat));
        match (kind, errno) {
            (Ok(FileType::Symlink), _) => self.is_link(part, name),
            (Ok(_), Errno::NOTDIR) => {
                Error::system(format!("`{part}` in `{name}` in `{}` is not a folder", self.label))
                    .help("move it away, or use another name")
            }
            _ => failed(&self.cannot("open", name), errno.into()),
        }
    }

    fn is_link(&self, part: &str, name: &str) -> Error {
        Error::system(format!("`{part}` in `{name}` in `{}` is a symbolic link", self.label))
            .help("links could lead out of the store: put the real file or folder there")
    }

    fn is_no_file(&self, name: &str) -> Error {
        Error::system(format!("`{name}` in `{}` is not a regular file", self.label)).help("use another name")
    }

    fn cannot(&self, verb: &str, name: &str) -> String {
        format!("cannot {verb} `{name}` in `{}`", self.label)
    }

    fn visit(
        &self,
        folder: &str,
        prefix: &str,
        files: &mut Vec<File>,
        folders: &mut Vec<String>,
    ) -> Result<()> {
        let doing = || format!("cannot list `{folder}` in `{}`", self.label);
        let Some(base) = self.base()? else { return Ok(()) };
        let inside = if folder.is_empty() { ".".to_owned() } else { format!("{folder}/.") };
        let Some((here, _)) = self.way(base, &inside, false)? else { return Ok(()) };
        let entries = Dir::read_from(&here).map_err(|errno| failed(&doing(), errno.into()))?;
        for entry in entries {
            let entry = entry.map_err(|errno| failed(&doing(), errno.into()))?;
            let Ok(part) = entry.file_name().to_str() else { continue };
            if part == "." || part == ".." || is_part(part) {
                continue;
            }
            let stat = match rustix::fs::statat(&here, part, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(failed(&doing(), errno.into())),
            };
            let name = if folder.is_empty() { part.to_owned() } else { format!("{folder}/{part}") };
            match kind(&stat) {
                FileType::RegularFile if name.starts_with(prefix) => files.push(File {
                    name,
                    bytes: u64::try_from(stat.st_size).unwrap_or(0),
                    modified_us: modified_us(&stat),
                }),
                FileType::Directory if holds(&name, prefix) => folders.push(name),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Files for LocalFiles {
    fn label(&self) -> &str {
        &self.label
    }

    fn create(&self, name: &str) -> Result<Box<dyn NewFile>> {
        check_name(name)?;
        let doing = self.cannot("write", name);
        let place = self.way(self.base_or_made()?, name, true)?;
        let (folder, last) = place.ok_or_else(|| Error::system(doing.clone()))?;
        match rustix::fs::statat(&folder, last, AtFlags::SYMLINK_NOFOLLOW).map(|stat| kind(&stat)) {
            Ok(FileType::RegularFile) | Err(Errno::NOENT) => {}
            Ok(FileType::Symlink) => return Err(self.is_link(last, name)),
            Ok(_) => return Err(self.is_no_file(name)),
            Err(errno) => return Err(failed(&doing, errno.into())),
        }
        let part = format!(".{last}{PART}");
        let file = begin(&folder, &part).map_err(|error| failed(&doing, error))?;
        let file = file.ok_or_else(|| {
            Error::transient(format!("`{name}` in `{}` is being written by another process", self.label))
                .help("wait until it is done, then try again")
        })?;
        let out = BufWriter::with_capacity(64 << 10, fs::File::from(file));
        let last = last.to_owned();
        Ok(Box::new(Part { out, folder, part, last, doing, renamed: false, written: 0, on_its_way: 0 }))
    }

    fn open(&self, name: &str) -> Result<Box<dyn Read + Send>> {
        let missing = || {
            Error::system(format!("there is no file `{name}` in `{}`", self.label))
                .help(format!("look at what is there: ls -la '{}'", self.folder.display()))
        };
        let (folder, last) = self.folder_of(name)?.ok_or_else(missing)?;
        // Without NONBLOCK a named pipe would keep us waiting for its writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&folder, last, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Err(missing()),
            Err(errno) => return Err(self.refused(folder.as_fd(), last, name, errno)),
        };
        let stat =
            rustix::fs::fstat(&file).map_err(|errno| failed(&self.cannot("open", name), errno.into()))?;
        match kind(&stat) {
            FileType::RegularFile => Ok(Box::new(fs::File::from(file))),
            _ => Err(self.is_no_file(name)),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<File>> {
        let mut files = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            self.visit(&folder, prefix, &mut files, &mut folders)?;
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    fn remove(&self, name: &str) -> Result<bool> {
        let Some((folder, last)) = self.folder_of(name)? else { return Ok(false) };
        match rustix::fs::statat(&folder, last, AtFlags::SYMLINK_NOFOLLOW).map(|stat| kind(&stat)) {
            Ok(FileType::RegularFile) => {}
            Ok(FileType::Symlink) => return Err(self.is_link(last, name)),
            Ok(_) => return Err(self.is_no_file(name)),
            Err(Errno::NOENT) => return Ok(false),
            Err(errno) => return Err(failed(&self.cannot("remove", name), errno.into())),
        }
        match rustix::fs::unlinkat(&folder, last, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(failed(&self.cannot("remove", name), errno.into())),
        }
    }

    fn walk(&self, folder: &str, each: &mut Each) -> Result<bool> {
        walk::walk(self, folder, each)
    }

    fn look(&self, name: &str) -> Result<Option<About>> {
        tree::look(self, name)
    }

    fn move_to(&self, from: &str, to: &str) -> Result<Moved> {
        tree::move_to(self, from, to)
    }

    fn settle(&self, names: &[&str]) -> Result<()> {
        tree::settle(self, names)
    }

    fn remove_tree(&self, name: &str) -> Result<bool> {
        tree::remove_tree(self, name)
    }

    fn remove_empty(&self, folder: &str) -> Result<bool> {
        tree::remove_empty(self, folder)
    }

    fn roots(&self) -> Vec<String> {
        tree::roots(&self.folder)
    }

    fn locate(&self, path: &str) -> Option<String> {
        tree::locate(&self.folder, path)
    }

    fn needs_reading_back(&self) -> bool {
        false
    }

    fn free_bytes(&self) -> Result<Option<u64>> {
        let doing = || format!("cannot look at the free space of `{}`", self.label);
        let there = match self.base()? {
            Some(base) => rustix::fs::fstatvfs(&base),
            None => {
                let there = self.folder.ancestors().find(|folder| folder.is_dir());
                rustix::fs::statvfs(there.unwrap_or(Path::new(".")))
            }
        };
        let about = there.map_err(|errno| failed(&doing(), errno.into()))?;
        Ok(Some(about.f_bavail.saturating_mul(about.f_frsize)))
    }

    fn place(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

/// A file being written beside its place. The lock on it tells a live writer from what a killed one left.
struct Part {
    out: BufWriter<fs::File>,
    folder: OwnedFd,
    part: String,
    last: String,
    doing: String,
    renamed: bool,
    written: u64,
    on_its_way: u64,
}

impl Part {
    /// Lets the system begin to write what it has; nobody waits for that. It fails nothing: the sync at the end tells.
    fn send_on(&mut self) {
        let length = std::num::NonZeroU64::new(self.written - self.on_its_way);
        let _ = rustix::fs::fadvise(self.out.get_ref(), self.on_its_way, length, Advice::DontNeed);
        self.on_its_way = self.written;
    }

    fn settle(&mut self) -> io::Result<()> {
        self.out.flush()?;
        self.out.get_ref().sync_all()?;
        rustix::fs::renameat(&self.folder, &self.part, &self.folder, &self.last)?;
        self.renamed = true;
        Ok(rustix::fs::fsync(&self.folder)?)
    }
}

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.written += written as u64;
        if self.written - self.on_its_way >= STRETCH {
            self.send_on();
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl NewFile for Part {
    fn finish(mut self: Box<Self>) -> Result<()> {
        self.settle().map_err(|error| failed(&self.doing, error))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.renamed {
            // What cannot be removed now is replaced by the next writer of the same name.
            let _ = rustix::fs::unlinkat(&self.folder, &self.part, AtFlags::empty());
        }
    }
}

/// A new, locked file; none when another process is writing it. A part that nobody has locked was left by a
/// killed process and goes.
fn begin(folder: &OwnedFd, part: &str) -> io::Result<Option<OwnedFd>> {
    let new = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let old = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    loop {
        let (file, ours) = match rustix::fs::openat(folder, part, new, FOR_US) {
            Ok(file) => (file, true),
            Err(Errno::EXIST) => match rustix::fs::openat(folder, part, old, Mode::empty()) {
                Ok(file) => (file, false),
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(errno.into()),
            },
            Err(errno) => return Err(errno.into()),
        };
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        }
        // Between opening and locking, the one who held it may have renamed or removed it.
        let locked = rustix::fs::fstat(&file)?;
        let still_there = rustix::fs::statat(folder, part, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|there| (there.st_dev, there.st_ino) == (locked.st_dev, locked.st_ino));
        match (ours, still_there) {
            (true, true) => return Ok(Some(file)),
            (false, true) => rustix::fs::unlinkat(folder, part, AtFlags::empty())?,
            (_, false) => {}
        }
    }
}

fn make_folder(parent: &OwnedFd, part: &str) -> io::Result<OwnedFd> {
    match rustix::fs::mkdirat(parent, part, FOLDER_FOR_US) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno.into()),
    }
    rustix::fs::fsync(parent)?;
    Ok(rustix::fs::openat(parent, part, FOLDER | OFlags::NOFOLLOW, Mode::empty())?)
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn is_part(part: &str) -> bool {
    part.starts_with('.') && part.ends_with(PART)
}

/// Whether files whose name begins with `prefix` can lie in this folder.
fn holds(folder: &str, prefix: &str) -> bool {
    let folder = format!("{folder}/");
    folder.starts_with(prefix) || prefix.starts_with(&folder)
}

#[allow(clippy::unnecessary_cast, reason = "the widths of these fields differ between systems")]
fn modified_us(stat: &Stat) -> i64 {
    stat.st_mtime as i64 * 1_000_000 + stat.st_mtime_nsec as i64 / 1_000
}
