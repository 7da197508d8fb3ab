//! Backups: whole copies of databases in a file store, checked before they are trusted, kept for a set time.
//!
//! A backup is one or several files and a manifest beside them, which is written last: what has no manifest is no backup,
//! so a process that dies leaves none behind. An operation that needs a backup does not begin without a fresh one that was
//! checked. How a database is dumped is the back end's business, where files lie that of the store.

mod anew;
mod bech32;
mod both_ways;
#[cfg(test)]
mod by_age;
mod check;
mod dying;
mod external;
mod gate;
mod keep;
mod manifest;
mod names;
mod newer;
mod pipe;
mod rehearse;
mod restore;
mod rows;
mod scratch;
mod seal;
mod survivors;
mod take;

pub use check::{Assertion, Checked, Drill};
pub use external::{External, Tool};
pub(crate) use gate::Gate;
pub use keep::Pruned;
pub use manifest::{Backup, Passed, Proof, StoredPart};
pub use newer::{Lost, LostTable};
pub use rehearse::{Rehearsal, Rehearsed};
pub use restore::{Restored, Revived};
pub use rows::MissingRows;
pub use seal::check_recipients;
pub(crate) use take::check_format;

use crate::age::Age;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How backups are made and kept.
#[derive(Debug, Clone)]
pub struct BackupPolicy {
    /// The name of the file store.
    pub store: String,
    /// For how long they are kept.
    pub keep: Age,
    /// How many of each database are kept however old they are.
    pub keep_at_least: usize,
    /// How hard each is compressed, by zstd; not at all when 0.
    pub compression: u8,
    /// How each is checked when it is made.
    pub check: Proof,
    /// How old a backup may be to count for an operation that needs one.
    pub fresh: Age,
    /// One of the database's forms; its usual one when none.
    pub format: Option<String>,
    /// How many tables at a time, where the form allows it.
    pub jobs: usize,
    /// The folder of the database's own programs.
    pub programs: Option<PathBuf>,
    /// The folder for files in the making.
    pub scratch: PathBuf,
    /// To whom backups are encrypted.
    pub recipient: Option<String>,
    /// With what they are decrypted.
    pub identity: Option<SecretString>,
    /// What must be true in a restored database.
    pub assertions: Vec<Assertion>,
    /// How long restoring may take.
    pub restore_within: Option<Age>,
    /// Databases that other tools look after.
    pub external: Vec<External>,
}

/// What one operation says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackupWish {
    /// The file store. Default: that of `[backup]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// PostgreSQL: `custom`, or `directory` for several tables at a time. SQLite: `sqlite`. Default: that of `[backup]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// How many tables at a time, with `directory`. Default: that of `[backup]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub jobs: Option<usize>,
    /// How hard it is compressed, by zstd: 0 (not at all) to 19. Default: that of `[backup]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 19))]
    pub compression: Option<u8>,
    /// `quick`: by checksums and by the database's own program; `restore`: restored into a scratch database and counted
    /// too, which verifies it. Default: that of `[backup]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<Proof>,
    /// For how long backups of this database are kept. Default: that of `[backup]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<Age>,
    /// How many of this database are kept however old they are. Default: that of `[backup]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_at_least: Option<usize>,
}

impl BackupPolicy {
    /// The policy of an operation.
    pub fn with(&self, wish: &BackupWish) -> Self {
        let mut policy = self.clone();
        if let Some(store) = &wish.store {
            policy.store.clone_from(store);
        }
        policy.format = wish.format.clone().or(policy.format);
        policy.jobs = wish.jobs.unwrap_or(policy.jobs);
        policy.compression = wish.compression.unwrap_or(policy.compression);
        policy.check = wish.check.unwrap_or(policy.check);
        policy.keep = wish.keep.clone().unwrap_or(policy.keep);
        policy.keep_at_least = wish.keep_at_least.unwrap_or(policy.keep_at_least);
        policy
    }
}
