//! The manifest of an export: where the rows are from, and rows, bytes and checksum of each file.

use engine::archive::Written;
use engine::{Error, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::io::{Read as _, Write as _};
use targets::db::{Family, Table, TableName};
use targets::files::{Files, failed};

/// Its name.
pub const MANIFEST: &str = "manifest.json";
const VERSION: u32 = 1;
/// No manifest is larger.
const LARGEST: u64 = 64 << 20;

/// The name in the store of a file of an export that is in this folder.
pub fn inside(folder: &str, name: &str) -> String {
    match folder.trim_matches('/') {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    }
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this document.
    #[serde(rename = "sexton_export")]
    pub version: u32,
    /// From where.
    #[serde(flatten)]
    pub from: Described,
    /// In the order of their names.
    pub tables: Vec<Exported>,
}

/// From where, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Described {
    /// `sqlite` or `postgresql`.
    pub engine: String,
    /// Its version.
    pub server: String,
    /// The database's name in the configuration.
    pub database: String,
    /// The moment of the plan.
    pub taken_at: Timestamp,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exported {
    /// Its name.
    pub table: TableName,
    /// Its file.
    #[serde(flatten)]
    pub file: Written,
    /// Of all rows together, whatever their order.
    pub digest: String,
    /// Its columns, in the order of the file.
    pub columns: Vec<ExportedColumn>,
}

/// A column as it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExportedColumn {
    /// Its name.
    pub name: String,
    /// The type as declared.
    pub declared: String,
    /// What sort of type that is.
    pub family: Family,
}

impl Exported {
    /// A table that was written.
    pub fn of(table: &Table, file: Written, digest: String) -> Self {
        let columns = table
            .stored()
            .map(|column| ExportedColumn {
                name: column.name.clone(),
                declared: column.declared.clone(),
                family: column.family,
            })
            .collect();
        Self { table: table.name.clone(), file, digest, columns }
    }
}

impl Manifest {
    /// Of these tables.
    pub fn new(from: Described, tables: Vec<Exported>) -> Self {
        Self { version: VERSION, from, tables }
    }

    /// Makes it durable.
    pub fn write(&self, store: &dyn Files, name: &str) -> Result<()> {
        let doing = format!("cannot write `{name}` in `{}`", store.label());
        let mut json = serde_json::to_vec_pretty(self).map_err(|error| failed(&doing, error.into()))?;
        json.push(b'\n');
        let mut file = store.create(name)?;
        file.write_all(&json).map_err(|error| failed(&doing, error))?;
        file.finish()
    }

    /// Reads it; none where there is none.
    pub fn read(store: &dyn Files, name: &str) -> Result<Option<Self>> {
        if store.look(name)?.is_none() {
            return Ok(None);
        }
        let about = format!("`{}`", store.place(name));
        let mut json = Vec::new();
        let read = store.open(name)?.take(LARGEST).read_to_end(&mut json);
        read.map_err(|error| failed(&format!("cannot read {about}"), error))?;
        let manifest: Self = serde_json::from_slice(&json).map_err(|error| {
            Error::data(format!("{about} is no manifest of an export"))
                .because(error)
                .help("export again, or name the files by their tables: `--files TABLE=FILE`")
        })?;
        match manifest.version {
            VERSION => Ok(Some(manifest)),
            other => Err(Error::usage(format!("{about} has version {other}"))
                .help(format!("this program reads version {VERSION}; install the one that wrote it"))),
        }
    }
}
