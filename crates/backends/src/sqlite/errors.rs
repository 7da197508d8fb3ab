//! SQLite's result codes, sorted by what to do about them.
//!
//! The message says what was refused; SQLite's own words are the source. No message contains a value.

use rusqlite::ffi;
use targets::db::{Class, Error};

/// What was being done; the same code means different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum During {
    /// Opening the file and its settings.
    Open,
    /// Compiling a statement: what fails here is the statement.
    Prepare,
    /// Running it: what fails here is the data or the surroundings.
    Run,
}

/// Puts an error of the driver into ours.
pub(super) fn explain(label: &str, during: During, error: rusqlite::Error) -> Error {
    let Some(code) = code_of(&error) else {
        return foreign(label, error);
    };
    let database = format!("database `{label}`");
    let told = match code & 0xff {
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_PROTOCOL => {
            Error::transient(format!("{database} is locked by another connection"))
                .help("wait until the other writer is done, or allow a longer wait for locks")
        }
        ffi::SQLITE_INTERRUPT => Error::transient(format!("a statement on {database} took longer than allowed"))
            .help("make the batches smaller, or allow statements more time"),
        ffi::SQLITE_SCHEMA => Error::transient(format!("the tables of {database} changed at the same time")),
        ffi::SQLITE_CONSTRAINT => constraint(&database, code, &error.to_string()),
        ffi::SQLITE_MISMATCH | ffi::SQLITE_TOOBIG => Error::data(format!("{database} refuses a value"))
            .help("look at the value: it does not fit its column or exceeds SQLite's size limit"),
        ffi::SQLITE_FULL => Error::system(format!("the disk is full: {database} cannot grow"))
            .help("free space on the disk of the database (df -h), then resume the run"),
        ffi::SQLITE_IOERR => Error::system(format!("reading or writing the file of {database} failed"))
            .help("look at the disk and its free space (df -h, dmesg), then check the file: `sqlite3 FILE 'pragma integrity_check'`"),
        ffi::SQLITE_CORRUPT => Error::system(format!("the file of {database} is damaged"))
            .help("stop the application and check the file: `sqlite3 FILE 'pragma integrity_check'`; an index is mended by `reindex`, anything else by a backup"),
        ffi::SQLITE_NOTADB => Error::system(format!("the file of {database} is not a SQLite database"))
            .help("correct the path; if the file is encrypted, decrypt it first: Sexton cannot read encrypted files"),
        ffi::SQLITE_READONLY if during != During::Open => Error::system(format!("{database} cannot be written"))
            .help("allow this user to write the file and its folder: ls -l"),
        ffi::SQLITE_CANTOPEN | ffi::SQLITE_READONLY => Error::system(format!("{database} cannot be opened"))
            .help("allow this user to read and write the file and its folder: ls -l"),
        ffi::SQLITE_PERM | ffi::SQLITE_AUTH => Error::system(format!("{database} refuses access"))
            .help("allow this user to read and write the file and its folder: ls -l"),
        ffi::SQLITE_NOMEM => Error::system(format!("not enough memory to work on {database}"))
            .help("make the batches smaller"),
        ffi::SQLITE_ERROR if during == During::Run && !names_an_object(&error) => {
            Error::data(format!("{database} cannot compute a statement on its data"))
                .help("look at the values that the condition reads; leave out rows that do not fit")
        }
        ffi::SQLITE_ERROR | ffi::SQLITE_RANGE | ffi::SQLITE_MISUSE => {
            Error::usage(format!("{database} does not understand a statement"))
                .help("compare the condition with the columns of its table; `sexton digest` lists the tables")
        }
        _ => Error::system(format!("{database} failed")).help("check the file: `sqlite3 FILE 'pragma integrity_check'`"),
    };
    told.code(code.to_string()).because(words(error))
}

/// Undo groups and shows conflicts by this message alone, so it names the columns.
fn constraint(database: &str, code: i32, words: &str) -> Error {
    let object = words.split_once(" constraint failed: ").map(|(_, object)| format!("`{object}`"));
    let named = |otherwise: &str| object.clone().unwrap_or_else(|| otherwise.to_owned());
    let (what, help) = match code {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => (
            format!("{database} already has a row with the same {}", named("key")),
            "look at the row that holds the key now, and decide which one stays",
        ),
        ffi::SQLITE_CONSTRAINT_NOTNULL => (
            format!("{} of {database} must have a value", named("a column")),
            "give the column a value, or a default",
        ),
        ffi::SQLITE_CONSTRAINT_CHECK => (
            format!("{database} refuses a value by the check {}", named("of a column")),
            "correct the value, or the check",
        ),
        ffi::SQLITE_CONSTRAINT_TRIGGER => {
            (format!("a trigger of {database} refuses the change"), "look at the trigger that raises this")
        }
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => (
            format!("{database} refuses a broken reference"),
            "bring back the parent first, or treat the children too",
        ),
        _ => {
            (format!("{database} refuses the change by a constraint"), "look at the constraint of the table")
        }
    };
    Error::data(what).help(help)
}

/// Errors that the driver found by itself.
fn foreign(label: &str, error: rusqlite::Error) -> Error {
    let told = match &error {
        rusqlite::Error::MultipleStatement => {
            Error::usage(format!("more than one statement was sent to database `{label}` at once"))
                .help("give one statement, without anything behind its `;`")
        }
        rusqlite::Error::NulError(_) => Error::usage("a statement contains a NUL character".to_owned())
            .help("remove the character from the statement or name"),
        rusqlite::Error::InvalidParameterCount(..) | rusqlite::Error::InvalidParameterName(_) => {
            Error::usage(format!("the parameters of a statement on database `{label}` do not fit"))
        }
        _ => Error::new(Class::System, format!("database `{label}` failed")),
    };
    told.because(error)
}

fn code_of(error: &rusqlite::Error) -> Option<i32> {
    match error {
        rusqlite::Error::SqliteFailure(code, _) | rusqlite::Error::SqlInputError { error: code, .. } => {
            Some(code.extended_code)
        }
        _ => None,
    }
}

/// A table may vanish between compiling and running; then SQLite compiles again by itself and says so at run time.
fn names_an_object(error: &rusqlite::Error) -> bool {
    let text = error.to_string();
    ["no such ", "has no column", "syntax error", "cannot "].iter().any(|sign| text.contains(sign))
}

/// SQLite's words without the statement, which is long and may hold literals of the configuration.
fn words(error: rusqlite::Error) -> Box<dyn std::error::Error + Send + Sync> {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.into(),
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.into(),
        other => Box::new(other),
    }
}
