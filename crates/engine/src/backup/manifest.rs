//! What is known of one backup. Written last and beside its files; sealed, so that a change of it is found.

use super::{BackupPolicy, names};
use crate::archive::hex;
use crate::error::{Error, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};
use std::io::{Read as _, Write as _};
use targets::db::Contents;
use targets::files::{Files, failed};

/// The version of the manifest. In the first everything was compressed, and `checked` was called `verified`.
const FORMAT: u32 = 2;
const LARGEST: u64 = 64 << 20;

/// How far a backup was checked.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// Checked: as it was written by its checksum, and understood by the database's own program.
    #[default]
    Quick,
    /// Verified: also restored into a scratch database and counted.
    Restore,
}

/// A check that a backup passed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passed {
    /// How.
    pub how: Proof,
    /// When.
    pub at: Timestamp,
    /// How long it took.
    pub seconds: f64,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPart {
    /// In the store.
    pub name: String,
    /// What the database calls it.
    pub part: String,
    /// As stored.
    pub bytes: u64,
    /// Of the stored bytes.
    pub sha256: String,
    /// Before compression and encryption.
    pub plain_bytes: u64,
}

/// A copy of a whole database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Backup {
    /// Of this document.
    #[serde(rename = "sexton_backup")]
    pub version: u32,
    /// Its name.
    pub id: String,
    /// Which database, as the configuration names it.
    pub database: String,
    /// `sqlite` or `postgresql`.
    pub engine: String,
    /// The run that took it.
    pub run: String,
    /// The moment whose state it holds.
    pub taken_at: Timestamp,
    /// How long it took, without checks.
    pub seconds: f64,
    /// What it holds.
    #[serde(flatten)]
    pub contents: Contents,
    /// `zstd` when compressed.
    #[serde(default = "always")]
    pub compression: Option<String>,
    /// `age` when encrypted.
    pub encryption: Option<String>,
    /// The files.
    pub files: Vec<StoredPart>,
    /// The best check that it passed.
    #[serde(alias = "verified")]
    pub checked: Option<Passed>,
    /// SHA-256 over everything else.
    pub seal: String,
    /// The file store it is in. Not written: a store may be moved.
    #[serde(skip)]
    pub store: String,
    /// What a person types to reach its first file. Not written either.
    #[serde(skip)]
    pub path: String,
}

/// How all were compressed before a manifest said so.
fn always() -> Option<String> {
    Some("zstd".to_owned())
}

impl Backup {
    /// Whether it has been restored: nothing less verifies a backup.
    pub fn is_verified(&self) -> bool {
        self.checked.as_ref().is_some_and(|passed| passed.how == Proof::Restore)
    }

    /// Bytes in the store.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Bytes before compression.
    pub fn plain_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.plain_bytes).sum()
    }

    /// One checksum for the whole: that of the file, or of the checksums of all files.
    pub fn sha256(&self) -> String {
        match self.files.as_slice() {
            [only] => only.sha256.clone(),
            several => {
                let mut hash = Sha256::new();
                several.iter().for_each(|file| hash.update(&file.sha256));
                hex(&hash.finalize())
            }
        }
    }

    /// Makes it durable in the store. From here on the backup exists.
    pub(super) fn write(&mut self, store: &dyn Files) -> Result<()> {
        self.version = FORMAT;
        let doing = format!("cannot write the manifest of the backup {}", self.id);
        let told = |error: serde_json::Error| failed(&doing, error.into());
        self.seal = digest(serde_json::to_value(&*self).map_err(told)?);
        let name = names::manifest(&self.database, &self.id);
        let doing = format!("cannot write `{name}` in `{}`", store.label());
        let mut json = serde_json::to_vec_pretty(self).map_err(|error| failed(&doing, error.into()))?;
        json.push(b'\n');
        let mut file = store.create(&name)?;
        file.write_all(&json).map_err(|error| failed(&doing, error))?;
        file.finish()
    }

    fn read(store: &dyn Files, store_name: &str, name: &str) -> Result<Self> {
        let about = format!("`{name}` in `{}`", store.label());
        let damaged = |why: &str| {
            Error::system(format!("the manifest {about} is damaged: {why}"))
                .help("bring it back from a copy of the store, or use another backup")
        };
        let mut json = Vec::new();
        let read = store.open(name)?.take(LARGEST).read_to_end(&mut json);
        read.map_err(|error| failed(&format!("cannot read {about}"), error))?;
        let document: Json = serde_json::from_slice(&json).map_err(|error| damaged(&error.to_string()))?;
        let Some(version) = document["sexton_backup"].as_u64() else {
            return Err(damaged("it has no version"));
        };
        if !(1..=u64::from(FORMAT)).contains(&version) {
            return Err(Error::usage(format!("the manifest {about} has version {version}"))
                .help(format!("this program reads versions up to {FORMAT}; install the one that wrote it")));
        }
        let mut backup: Self =
            serde_json::from_value(document.clone()).map_err(|error| damaged(&error.to_string()))?;
        if backup.seal != digest(document) {
            return Err(damaged("its seal does not fit"));
        }
        store_name.clone_into(&mut backup.store);
        backup.path = store.place(backup.files.first().map_or(name, |file| file.name.as_str()));
        Ok(backup)
    }
}

/// The seal of a manifest of any version: over what it says, with no seal in it.
fn digest(mut document: Json) -> String {
    document["seal"] = "".into();
    // Both ways of reading a number back give the same text, so the text may be summed.
    hex(&Sha256::digest(document.to_string()))
}

/// All backups in the policy's store, newest first, and what is wrong with the manifests that cannot be read.
pub(super) fn list(
    store: &dyn Files,
    policy: &BackupPolicy,
    database: Option<&str>,
) -> Result<(Vec<Backup>, Vec<Error>)> {
    let (mut backups, mut broken) = (Vec::new(), Vec::new());
    let prefix = database.map(names::folder).unwrap_or_default();
    for file in store.list(&prefix)? {
        let is_manifest = file.name.ends_with(".json") && file.name.matches('/').count() == 1;
        if !is_manifest {
            continue;
        }
        match Backup::read(store, &policy.store, &file.name) {
            Ok(backup) if database.is_none_or(|wanted| wanted == backup.database) => backups.push(backup),
            Ok(_) => {}
            Err(error) => broken.push(error),
        }
    }
    backups.sort_by(|a, b| (b.taken_at, &b.id).cmp(&(a.taken_at, &a.id)));
    Ok((backups, broken))
}
