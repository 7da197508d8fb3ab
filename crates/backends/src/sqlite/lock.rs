//! The right to maintain a SQLite file: an operating-system lock on a file beside it, `<database>-sexton`.
//!
//! The kernel drops it when the process dies, however it dies, so a left-over file never means "busy". Every holder
//! has a descriptor of its own, so a second session of the same process is refused as well. The file is removed while
//! still locked; whoever had opened it before that notices that its name now means another file, and begins again.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use targets::db::{Error, Result};

/// The right itself; given back when dropped.
pub(super) struct Held {
    file: File,
    path: PathBuf,
}

/// The name of a file that belongs to the database.
pub(super) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Takes the right without waiting; none when someone else has it.
pub(super) fn take(database: &Path, holder: &str) -> Result<Option<Held>> {
    let path = beside(database, "-sexton");
    let refused = |what: &str, error: std::io::Error| {
        Error::system(format!("cannot {what} the lock file `{}`", path.display()))
            .help(format!("allow this user to write there: ls -ld '{}'", path.display()))
            .because(error)
    };
    // each turn means that a holder removed the file just now; someone else has it long before the last one
    for _ in 0..16 {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| refused("open", error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(refused("lock", error)),
        }
        if !still_named(&file, &path) {
            continue;
        }
        let mut held = Held { file, path: path.clone() };
        held.sign(holder).map_err(|error| refused("write", error))?;
        return Ok(Some(held));
    }
    Ok(None)
}

/// Who holds the right; none when nobody does. Looking takes a shared lock for a moment, so a try at the very same
/// moment may be refused; tries are repeated anyway.
pub(super) fn holder(database: &Path) -> Result<Option<String>> {
    let path = beside(database, "-sexton");
    let Ok(mut file) = File::open(&path) else {
        return Ok(None);
    };
    if !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
        return Ok(None);
    }
    let mut text = String::new();
    let read = file.read_to_string(&mut text);
    let text = text.trim();
    Ok(Some(if read.is_err() || text.is_empty() { "another session".to_owned() } else { text.to_owned() }))
}

/// Ends the right of whoever holds it under a name that begins with this: what he has locked is no longer the file of that
/// name. A transaction that he has open stays, until he wakes up or dies.
pub(super) fn end(database: &Path, holder: &str) -> Result<bool> {
    let path = beside(database, "-sexton");
    let Ok(mut file) = File::open(&path) else { return Ok(false) };
    if !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
        return Ok(false);
    }
    let mut text = String::new();
    if file.read_to_string(&mut text).is_err() || !text.starts_with(holder) {
        return Ok(false);
    }
    // Moved first, then looked at: he may have given it back a moment ago, and this may be another one's.
    let aside = beside(database, &format!("-sexton.{}", std::process::id()));
    let refused = |error: std::io::Error| {
        Error::system(format!("cannot move the lock file `{}`", path.display())).because(error)
    };
    match std::fs::rename(&path, &aside) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        moved => moved.map_err(refused)?,
    }
    let ended = still_named(&file, &aside);
    if !ended {
        // Where there is a newer one already, that one counts.
        let _ = std::fs::hard_link(&aside, &path);
    }
    std::fs::remove_file(&aside).map_err(refused)?;
    Ok(ended)
}

impl Held {
    fn sign(&mut self, holder: &str) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        writeln!(self.file, "{holder}")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // first the name, then the lock: the other way round, a new holder's file could be removed
        if still_named(&self.file, &self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn still_named(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}
