//! The bytes of a SQLite file and of its log, read under one read transaction: as fast as a copy of any file.
//!
//! Page by page, SQLite's own backup takes three times as long. What makes the bytes one state of the database:
//!
//! - Without a write-ahead log nobody changes the file while somebody reads.
//! - With one, others only add to the log, and what is moved into the file meanwhile is not newer than what this
//!   transaction sees. Pages that were being moved while they were read are in the log too, which is read afterwards: the file
//!   with its log is the state of the last commit in the log. The log is begun again at most once while a reader stays, and that
//!   is seen by its head.
//!
//! The file is read through SQLite's own handle. To open it a second time and close that would give up every lock that
//! this process has on it, by the rules of POSIX.

use super::errors::{During, explain};
use rusqlite::{Connection, ffi};
use std::fs::File;
use std::io::{Read, Write};
use std::os::raw::{c_int, c_void};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use targets::db::{Error, Result};
use targets::files::failed;

const CHUNK: usize = 1 << 20;
/// The head of a log: what it is begun again with is in there.
const HEAD: usize = 32;

/// Copies what `source` sees, or what others have committed since, to `place`, which is there and empty, and to a log beside it.
pub(super) fn copy(source: &Connection, label: &str, path: &Path, place: &Path) -> Result<()> {
    let during = |error| explain(label, During::Run, error);
    source.execute_batch("begin").map_err(during)?;
    // the transaction begins with the first look
    let seen = source.query_row("select count(*) from sqlite_schema", [], |row| row.get::<_, i64>(0));
    let mode = source.query_row("pragma journal_mode", [], |row| row.get::<_, String>(0));
    let copied = seen.and(mode).map_err(during).and_then(|mode| {
        main_file(source, label, place)?;
        if mode == "wal" { log(label, path, place) } else { Ok(()) }
    });
    let ended = source.execute_batch("commit").map_err(during);
    copied.and(ended)
}

fn written(label: &str) -> impl Fn(std::io::Error) -> Error {
    let doing = format!("cannot write a copy of `{label}` in the scratch folder");
    move |error| failed(&doing, error)
}

/// The file itself, without what is only in the log.
fn main_file(source: &Connection, label: &str, place: &Path) -> Result<()> {
    let mut to = File::options().write(true).open(place).map_err(written(label))?;
    let file = Handle::of(source).map_err(|code| unreadable(label, code))?;
    let size = file.size().map_err(|code| unreadable(label, code))?;
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    while at < size {
        let chunk = &mut buffer[..usize::try_from(size - at).map_or(CHUNK, |left| left.min(CHUNK))];
        file.read(chunk, at).map_err(|code| unreadable(label, code))?;
        to.write_all(chunk).map_err(written(label))?;
        at += chunk.len() as i64;
    }
    Ok(())
}

fn unreadable(label: &str, code: c_int) -> Error {
    let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
    explain(label, During::Run, error)
}

/// The log, which nobody locks: a file like any other.
fn log(label: &str, path: &Path, place: &Path) -> Result<()> {
    let of = super::lock::beside(path, "-wal");
    let reading = |error| failed(&format!("cannot read the log of `{label}`"), error);
    loop {
        let mut from = match File::open(&of) {
            Ok(from) => from,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(reading(error)),
        };
        let mut before = Vec::new();
        Read::by_ref(&mut from).take(HEAD as u64).read_to_end(&mut before).map_err(reading)?;
        let to = super::lock::beside(place, "-wal");
        let mut to = File::options().write(true).create(true).truncate(true).mode(0o600).open(to);
        let to = to.as_mut().map_err(|error| written(label)(std::io::Error::from(error.kind())))?;
        to.write_all(&before).map_err(written(label))?;
        std::io::copy(&mut from, to).map_err(written(label))?;
        let mut after = Vec::new();
        let again = File::open(&of).and_then(|from| from.take(HEAD as u64).read_to_end(&mut after));
        again.map_err(reading)?;
        if before == after {
            return Ok(());
        }
    }
}

/// SQLite's handle of the file of a connection.
struct Handle<'a> {
    file: *mut ffi::sqlite3_file,
    methods: &'a ffi::sqlite3_io_methods,
}

impl<'a> Handle<'a> {
    fn of(source: &'a Connection) -> std::result::Result<Self, c_int> {
        let mut file: *mut ffi::sqlite3_file = std::ptr::null_mut();
        // SAFETY: the connection is open for as long as it is borrowed, `main` ends with a zero byte, and this verb writes
        // one pointer to where the last argument points.
        let code = unsafe {
            ffi::sqlite3_file_control(
                source.handle(),
                c"main".as_ptr(),
                ffi::SQLITE_FCNTL_FILE_POINTER,
                (&raw mut file).cast::<c_void>(),
            )
        };
        if code != ffi::SQLITE_OK {
            return Err(code);
        }
        // SAFETY: the file belongs to the connection and lives as long; an open one has its methods, one that is not has none.
        match unsafe { file.as_ref().and_then(|file| file.pMethods.as_ref()) } {
            Some(methods) => Ok(Self { file, methods }),
            None => Err(ffi::SQLITE_CANTOPEN),
        }
    }

    fn size(&self) -> std::result::Result<i64, c_int> {
        let ask = self.methods.xFileSize.ok_or(ffi::SQLITE_IOERR)?;
        let mut size = 0;
        // SAFETY: the file is open, and SQLite writes one number.
        match unsafe { ask(self.file, &raw mut size) } {
            ffi::SQLITE_OK => Ok(size),
            code => Err(code),
        }
    }

    fn read(&self, into: &mut [u8], at: i64) -> std::result::Result<(), c_int> {
        let read = self.methods.xRead.ok_or(ffi::SQLITE_IOERR)?;
        let many = c_int::try_from(into.len()).map_err(|_| ffi::SQLITE_TOOBIG)?;
        // SAFETY: the file is open, and `into` has room for so many bytes.
        match unsafe { read(self.file, into.as_mut_ptr().cast::<c_void>(), many, at) } {
            // a file that became shorter meanwhile has the rest in its log
            ffi::SQLITE_OK | ffi::SQLITE_IOERR_SHORT_READ => Ok(()),
            code => Err(code),
        }
    }
}
