//! The contract of a file store: a local folder or a bucket.
//!
//! Names are relative, with `/` between parts, and never leave the store: `..`, absolute names and symbolic
//! links are refused by every implementation ([`check_name`] is the part of that which needs no store).
//! Because `Read` and `Write` can only speak `std::io::Error`, [`failed`] is the one way back to an error with
//! a class. It deliberately knows no path and no address.

use crate::db::{Error, Result};
use std::io::{self, ErrorKind, Read, Write};

/// One file of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Relative to the store.
    pub name: String,
    /// In bytes.
    pub bytes: u64,
    /// Last change, microseconds since 1970.
    pub modified_us: i64,
}

/// What lies under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// What sort of thing it is.
    pub sort: Sort,
    /// Its own size in bytes; 0 for anything but a file.
    pub bytes: u64,
    /// Last change, microseconds since 1970.
    pub modified_us: i64,
    /// What is the same for all names of one file, when it has several (hard links).
    pub shared: Option<(u64, u64)>,
}

/// What sort of thing lies under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link. It is never followed.
    Link,
    /// Anything else: a pipe, a device, or a thing whose name cannot be spoken of here.
    Other,
}

/// What became of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// It is there now.
    Done,
    /// There was nothing to move.
    Missing,
    /// Something lies there already; nothing was overwritten.
    Taken,
}

/// Told of everything that [`Files::walk`] comes across; says whether to go into a folder. An error is a place that
/// cannot be looked at.
pub type Each<'a> = dyn FnMut(&str, Result<About>) -> Result<bool> + 'a;

/// A place for files.
pub trait Files: Send + Sync {
    /// The name used in messages; never with a secret.
    fn label(&self) -> &str;
    /// Begins a file. It appears under its name, whole, only when [`NewFile::finish`] returns; a file of that name is
    /// replaced.
    fn create(&self, name: &str) -> Result<Box<dyn NewFile>>;
    /// Opens a file for reading.
    fn open(&self, name: &str) -> Result<Box<dyn Read + Send>>;
    /// All files whose name begins with `prefix`, in the order of their names.
    fn list(&self, prefix: &str) -> Result<Vec<File>>;
    /// Removes a file; false when there was none.
    fn remove(&self, name: &str) -> Result<bool>;

    /// Comes across everything below a folder (the whole store when `folder` is empty), each folder before what is in it,
    /// in no order besides. Links are told and never followed. False when there is no such folder.
    fn walk(&self, folder: &str, each: &mut Each) -> Result<bool>;
    /// What lies under a name; none when nothing does.
    fn look(&self, name: &str) -> Result<Option<About>>;
    /// Moves a file, or a folder with everything in it, to a free name in the same store, making the folders on the way.
    /// A bucket, which has no folders, goes on where an interrupted move of one stopped.
    fn move_to(&self, from: &str, to: &str) -> Result<Moved>;
    /// Makes moves from and to these names durable, where a store does not do so by itself.
    fn settle(&self, names: &[&str]) -> Result<()> {
        let _ = names;
        Ok(())
    }
    /// Removes a folder with everything below it, and the folders above it that this leaves empty. Links are removed, not
    /// followed. False when there was none.
    fn remove_tree(&self, name: &str) -> Result<bool>;
    /// Removes a folder in which nothing is; false when there is something in it, or no such folder, as in a bucket.
    fn remove_empty(&self, folder: &str) -> Result<bool> {
        let _ = folder;
        Ok(false)
    }
    /// What stands before the names of its files where others speak of them: `/srv/files`, `s3://bucket/prefix`.
    fn roots(&self) -> Vec<String>;
    /// The name of the file that a path really leads to, links followed; none when it leads out of the store or nowhere.
    fn locate(&self, path: &str) -> Option<String> {
        let _ = path;
        None
    }

    /// Whether a file must be read back to know that it is there as it was written. A local folder has synced it before
    /// [`NewFile::finish`] returns, and would read it from the very memory it was written to.
    fn needs_reading_back(&self) -> bool {
        true
    }
    /// Bytes that still fit, where the store can tell.
    fn free_bytes(&self) -> Result<Option<u64>> {
        Ok(None)
    }
    /// What a person types to reach a file.
    fn place(&self, name: &str) -> String {
        format!("{}/{name}", self.label())
    }
}

/// A file being written. Dropped without `finish` it leaves nothing behind.
pub trait NewFile: Write + Send {
    /// Makes the file durable (synced, uploaded) and visible under its name.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// The most bytes that a name may have.
pub const LONGEST_NAME: usize = 1000;

/// Refuses names that could lead out of a store or that not every store can hold.
pub fn check_name(name: &str) -> Result<()> {
    const LONGEST_PART: usize = 240;
    let complain = |why: &str| {
        Err(Error::usage(format!("`{}` cannot be the name of a file in a store: {why}", name.escape_debug()))
            .help("use a relative name such as `folder/file.txt`"))
    };
    if name.is_empty() {
        return complain("it is empty");
    }
    if name.starts_with('/') {
        return complain("it begins at the root");
    }
    if name.len() > LONGEST_NAME {
        return complain("it is longer than 1000 bytes");
    }
    if name.contains(|c: char| c.is_ascii_control()) {
        return complain("it holds a control character");
    }
    for part in name.split('/') {
        match part {
            "" => return complain("it has an empty part"),
            "." | ".." => return complain("it has a part that is `.` or `..`"),
            _ if part.len() > LONGEST_PART => return complain("a part of it is longer than 240 bytes"),
            _ => {}
        }
    }
    Ok(())
}

/// The error behind a failed read or write: an [`Error`] that travelled inside comes back, prefixed with what was
/// being done; anything else gets a class and help by its kind.
pub fn failed(doing: &str, error: io::Error) -> Error {
    if error.get_ref().is_some_and(|inner| inner.is::<Error>()) {
        let inner = error.into_inner().map(|inner| inner.downcast::<Error>());
        return match inner {
            Some(Ok(inner)) => inner.while_doing(doing),
            Some(Err(inner)) => Error::system(doing).because(inner),
            None => Error::system(doing),
        };
    }
    let (make, help): (fn(String) -> Error, _) = match error.kind() {
        ErrorKind::StorageFull => {
            (Error::system, Some("the disk is full: make room there, then run it again"))
        }
        ErrorKind::QuotaExceeded => {
            (Error::system, Some("the quota is used up: make room, then run it again"))
        }
        ErrorKind::FileTooLarge => {
            (Error::system, Some("use smaller batches or lift the limit (see `ulimit -f`)"))
        }
        ErrorKind::PermissionDenied => (Error::system, Some("look at owner and mode with `ls -la`")),
        ErrorKind::ReadOnlyFilesystem => (Error::system, Some("the file system is mounted read-only")),
        ErrorKind::NotADirectory => {
            (Error::system, Some("a file is where a folder should be; look at the name"))
        }
        ErrorKind::NotFound => (Error::system, Some("it does not exist; look at the name")),
        ErrorKind::TimedOut
        | ErrorKind::Interrupted
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::ConnectionRefused
        | ErrorKind::BrokenPipe => (Error::transient, None),
        _ => (Error::system, None),
    };
    let full = make(doing.to_owned());
    let full = if let Some(help) = help { full.help(help) } else { full };
    full.because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Class;

    #[test]
    fn names_that_could_leave_the_store_are_refused() {
        for bad in ["", "/etc/passwd", "..", "a/../b", "./a", "a//b", "a/", "a\0b", "a\nb", &"x".repeat(241)]
        {
            assert!(check_name(bad).is_err(), "{bad:?} was let through");
        }
        for good in ["a", "a/b.txt", "..a", "a..b/...", "ü/%41 b", ".hidden"] {
            assert!(check_name(good).is_ok(), "{good:?} was refused");
        }
    }

    #[test]
    fn a_full_disk_is_a_matter_of_the_system_and_says_what_to_do() {
        let error = failed("cannot write `a`", io::Error::from(ErrorKind::StorageFull));
        assert_eq!(error.class, Class::System);
        assert!(error.help.is_some_and(|help| help.contains("make room")));
        assert_eq!(error.what, "cannot write `a`");
    }

    #[test]
    fn an_error_that_travelled_through_a_stream_keeps_its_class_and_help() {
        let inside = Error::transient("bucket `b` does not answer").help("wait");
        let error = failed("cannot read `a`", io::Error::other(inside));
        assert_eq!(error.class, Class::Transient);
        assert_eq!(error.what, "cannot read `a`: bucket `b` does not answer");
        assert_eq!(error.help.as_deref(), Some("wait"));
    }
}
