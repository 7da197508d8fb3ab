//! Archives: rows kept for the record, outside the database, before they are deleted.
//!
//! An archive is one file per batch in a [`Files`] store. What is read back is what was written, to the bit, or an
//! error: every file ends with a seal (row count and checksum of all its other bytes), so a flipped byte, a
//! cut-off file and a missing line are found by [`read`] without knowing anything else; a file that was
//! exchanged for another valid one is found by [`verify`] and by the [`Manifest`]. Rows reach the caller of
//! [`read`] before the seal at the end is checked, so the caller must undo what it did with them when an error comes.
//! It deliberately does not know databases, runs or when a batch commits: that is the engine's business.

mod jsonl;
mod manifest;
mod names;
mod parquet;
mod plain;
mod restore;
mod seal;
mod value_json;

pub use manifest::{Entry, Manifest};
pub(crate) use names::escape;
pub use names::{file_name, manifest_name};
pub use plain::{Form, TableReader, TableWriter, table_file, value_of};
pub use restore::RestoreArchive;
pub use value_json::{AsJson, from_json};

use crate::words::{count, rows};
pub(crate) use seal::{Tally, hex};
use serde::{Deserialize, Serialize};
use std::io::Read;
use targets::db::{Error, Family, Result, Row, TableName};
use targets::files::{Files, failed};

/// The version of the archive format that this program writes and the newest one that it reads.
pub const SCHEMA_VERSION: u32 = 1;

/// What an archive file is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One JSON object a line, zstd; for `zstdcat | jq`. Memory stays flat whatever the batch.
    JsonLines,
    /// Parquet, zstd; for pandas and DuckDB. Holds one batch in memory.
    Parquet,
}

/// What the rows of a file are and where they come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Version of the format, see [`SCHEMA_VERSION`].
    #[serde(rename = "sexton_archive")]
    pub schema_version: u32,
    /// The run that wrote it.
    pub run: String,
    /// The operation that the run executed.
    pub operation: String,
    /// The database's name in the configuration.
    pub database: String,
    /// `sqlite` or `postgres`.
    pub engine: String,
    /// The table the rows lived in.
    pub table: TableName,
    /// The columns, in the order of the values of each row.
    pub columns: Vec<ArchivedColumn>,
    /// The number of the batch within the run and table.
    pub batch: u64,
    /// When, RFC 3339.
    pub created_at: String,
}

/// A column as it was when the rows left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArchivedColumn {
    /// As the catalogue spells it.
    pub name: String,
    /// The type as declared.
    pub declared: String,
    /// Its family.
    pub family: Family,
}

/// What [`Writer::finish`] wrote, to be remembered with the batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// The file's name in the store.
    pub name: String,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// An archive file being written. Dropped without [`Writer::finish`] it leaves nothing behind.
pub struct Writer {
    name: String,
    doing: String,
    columns: usize,
    rows: u64,
    sink: Sink,
}

enum Sink {
    JsonLines(Box<jsonl::Writer>),
    Parquet(Box<parquet::Writer>),
}

impl Writer {
    /// Begins the file `name`; a finished file of that name will be replaced.
    pub fn begin(store: &dyn Files, name: &str, format: Format, header: Header) -> Result<Self> {
        let doing = format!("cannot write archive `{name}` in `{}`", store.label());
        let columns = header.columns.len();
        let file = Tally::new(store.create(name)?);
        let sink = match format {
            Format::JsonLines => {
                Sink::JsonLines(Box::new(jsonl::Writer::new(file, header).map_err(|e| failed(&doing, e))?))
            }
            Format::Parquet => Sink::Parquet(Box::new(parquet::Writer::new(file, header))),
        };
        Ok(Self { name: name.to_owned(), doing, columns, rows: 0, sink })
    }

    /// Appends a row.
    pub fn row(&mut self, row: Row) -> Result<()> {
        if row.len() != self.columns {
            let what = format!("{}: a row has {} values for {} columns", self.doing, row.len(), self.columns);
            return Err(Error::usage(what));
        }
        self.rows += 1;
        match &mut self.sink {
            Sink::JsonLines(writer) => writer.row(&row).map_err(|error| failed(&self.doing, error)),
            Sink::Parquet(writer) => {
                writer.row(row);
                Ok(())
            }
        }
    }

    /// Makes the file durable and visible.
    pub fn finish(self) -> Result<Written> {
        let file = match self.sink {
            Sink::JsonLines(writer) => {
                writer.finish(self.rows).map_err(|error| failed(&self.doing, error))?
            }
            Sink::Parquet(writer) => writer.finish(&self.doing)?,
        };
        let (file, bytes, sha256) = file.into_parts();
        file.finish()?;
        Ok(Written { name: self.name, rows: self.rows, bytes, sha256 })
    }
}

/// Streams the rows of an archive in the order they were written; an error from `each` ends it and is returned.
pub fn read(store: &dyn Files, name: &str, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<Header> {
    Ok(scan(store, name, each)?.0)
}

/// Reads a file whole and tells what it is, for a batch whose [`Written`] was lost with the process.
pub fn inspect(store: &dyn Files, name: &str) -> Result<(Header, Written)> {
    scan(store, name, &mut |_| Ok(()))
}

/// Reads a file again and compares it with what was written.
pub fn verify(store: &dyn Files, name: &str, expected: &Written) -> Result<()> {
    let (_, found) = inspect(store, name)?;
    let about = format!("archive `{name}` in `{}`", store.label());
    if found.rows != expected.rows {
        let what = format!("{about} holds {}, written were {}", rows(found.rows), count(expected.rows));
        return Err(Error::system(what).help(EXCHANGED));
    }
    if (found.bytes, &found.sha256) != (expected.bytes, &expected.sha256) {
        let what = format!("{about} has sha256 {} where {} was written", found.sha256, expected.sha256);
        return Err(Error::system(what).help(EXCHANGED));
    }
    Ok(())
}

const EXCHANGED: &str = "the file was exchanged since; bring the right one back from a copy of the store";
const DAMAGED: &str = "bring the file back from a copy of the store; the other files are not affected";

/// Where something is wrong, for messages.
struct Place<'a> {
    name: &'a str,
    label: &'a str,
}

impl Place<'_> {
    fn damaged(&self, why: impl std::fmt::Display) -> Error {
        Error::system(format!("archive `{}` in `{}` is damaged: {why}", self.name, self.label)).help(DAMAGED)
    }

    fn doing(&self) -> String {
        format!("cannot read archive `{}` in `{}`", self.name, self.label)
    }

    fn check_version(&self, header: &Header) -> Result<()> {
        if header.schema_version == SCHEMA_VERSION {
            return Ok(());
        }
        let version = header.schema_version;
        let what = format!("archive `{}` in `{}` has format version {version}", self.name, self.label);
        Err(Error::usage(what)
            .help(format!("this program reads version {SCHEMA_VERSION}; install the one that wrote it")))
    }
}

fn scan(store: &dyn Files, name: &str, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<(Header, Written)> {
    let place = Place { name, label: store.label() };
    let mut file = store.open(name)?;
    let mut start = Vec::with_capacity(4);
    file.by_ref().take(4).read_to_end(&mut start).map_err(|error| failed(&place.doing(), error))?;
    // The bytes decide, not the name: a renamed archive stays readable.
    let known = start.clone();
    let whole = std::io::Cursor::new(start).chain(file);
    let (header, rows, bytes, sha256) = match known.as_slice() {
        parquet::MAGIC => parquet::read(whole, &place, each)?,
        jsonl::MAGIC => jsonl::read(whole, &place, each)?,
        _ => return Err(place.damaged("it begins neither like zstd nor like Parquet")),
    };
    Ok((header, Written { name: name.to_owned(), rows, bytes, sha256 }))
}
