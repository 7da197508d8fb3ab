//! The list of the archive files of one run and table, each entry chained to the one before.
//!
//! Written last, when all batches are committed. A changed, exchanged, renamed or missing file and a changed, removed or
//! moved entry are found by [`Manifest::verify`]. Who rewrites the files *and* the manifest is found only by comparing
//! [`Manifest::seal`] with the one that the run's report keeps. Files of the run that are not listed (a batch that never
//! committed) are not part of the record and are left alone.

use super::seal::hex;
use super::{DAMAGED, SCHEMA_VERSION, Written, manifest_name, verify};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::{Read as _, Write as _};
use targets::db::{Error, Result, TableName};
use targets::files::{Files, failed};

/// The archive files of one run and table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    #[serde(rename = "sexton_manifest")]
    schema_version: u32,
    operation: String,
    table: TableName,
    run: String,
    /// Of all files together; with the seal it shows that the list was cut.
    rows: u64,
    files: Vec<Entry>,
    seal: String,
}

/// One file of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What was written.
    #[serde(flatten)]
    pub written: Written,
    /// SHA-256 over the entry before and this one.
    pub chain: String,
}

impl Manifest {
    /// An empty list.
    pub fn new(operation: &str, table: &TableName, run: &str) -> Self {
        let mut manifest = Self {
            schema_version: SCHEMA_VERSION,
            operation: operation.to_owned(),
            table: table.clone(),
            run: run.to_owned(),
            rows: 0,
            files: Vec::new(),
            seal: String::new(),
        };
        manifest.seal = manifest.first_link();
        manifest
    }

    /// Appends a file; one of the same name (the same batch, repeated) is replaced.
    pub fn add(&mut self, written: Written) {
        match self.files.iter_mut().find(|entry| entry.written.name == written.name) {
            Some(entry) => entry.written = written,
            None => self.files.push(Entry { written, chain: String::new() }),
        }
        let mut link = self.first_link();
        for entry in &mut self.files {
            link = next_link(&link, &entry.written);
            entry.chain.clone_from(&link);
        }
        self.rows = self.files.iter().map(|entry| entry.written.rows).sum();
        self.seal = link;
    }

    /// The files in their order.
    pub fn files(&self) -> &[Entry] {
        &self.files
    }

    /// Whose rows.
    pub fn table(&self) -> &TableName {
        &self.table
    }

    /// The run that wrote them.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Rows in all files.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Stands for the whole list and all files in it.
    pub fn seal(&self) -> &str {
        &self.seal
    }

    /// The name under which it is kept.
    pub fn name(&self) -> String {
        manifest_name(&self.operation, &self.table, &self.run)
    }

    /// Makes it durable in the store.
    pub fn write(&self, store: &dyn Files) -> Result<()> {
        let name = self.name();
        let doing = format!("cannot write manifest `{name}` in `{}`", store.label());
        let mut json = serde_json::to_vec_pretty(self).map_err(|error| failed(&doing, error.into()))?;
        json.push(b'\n');
        let mut file = store.create(&name)?;
        file.write_all(&json).map_err(|error| failed(&doing, error))?;
        file.finish()
    }

    /// Reads it back. Call [`Manifest::verify`] before relying on it.
    pub fn read(store: &dyn Files, name: &str) -> Result<Self> {
        const LARGEST: u64 = 256 << 20;
        let about = format!("manifest `{name}` in `{}`", store.label());
        let mut json = Vec::new();
        let read = store.open(name)?.take(LARGEST).read_to_end(&mut json);
        read.map_err(|error| failed(&format!("cannot read {about}"), error))?;
        let manifest: Self = serde_json::from_slice(&json).map_err(|error| {
            Error::system(format!("{about} is damaged, line {}", error.line())).help(DAMAGED).because(error)
        })?;
        if manifest.schema_version != SCHEMA_VERSION {
            return Err(Error::usage(format!("{about} has version {}", manifest.schema_version)).help(
                format!("this program reads version {SCHEMA_VERSION}; install the one that wrote it"),
            ));
        }
        Ok(manifest)
    }

    /// Checks the chain, then reads every file again. The number of rows that are safe in the archive.
    pub fn verify(&self, store: &dyn Files) -> Result<u64> {
        let about = format!("manifest `{}` in `{}`", self.name(), store.label());
        let changed = |what: String| {
            Err(Error::system(format!("{about} was changed: {what}"))
                .help("bring manifest and files back from a copy of the store"))
        };
        let mut link = self.first_link();
        for (n, entry) in self.files.iter().enumerate() {
            link = next_link(&link, &entry.written);
            if link != entry.chain {
                let name = &entry.written.name;
                return changed(format!("entry {}, `{name}`, does not follow from the one before", n + 1));
            }
        }
        if link != self.seal || self.rows != self.files.iter().map(|entry| entry.written.rows).sum::<u64>() {
            return changed(format!("entries after number {} are missing", self.files.len()));
        }
        for entry in &self.files {
            verify(store, &entry.written.name, &entry.written)?;
        }
        Ok(self.rows)
    }

    fn first_link(&self) -> String {
        let schema = self.table.schema.as_deref().unwrap_or_default();
        link(&["sexton manifest 1", &self.operation, schema, &self.table.name, &self.run])
    }
}

fn next_link(before: &str, written: &Written) -> String {
    link(&[before, &written.name, &written.rows.to_string(), &written.bytes.to_string(), &written.sha256])
}

/// Lengths are summed too, so that no two lists of parts read the same.
fn link(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hex(&hasher.finalize())
}
