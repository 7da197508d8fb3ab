//! The backup gate: an operation that needs a backup does not begin without a fresh one.

use crate::error::Result;
use jiff::Timestamp;

/// A copy of a whole database.
#[derive(Debug, Clone, PartialEq)]
pub struct Backup {
    /// Where.
    pub path: String,
    /// How large.
    pub bytes: u64,
    /// Its checksum.
    pub sha256: String,
    /// Whether it was restored in a drill.
    pub verified: bool,
    /// When it was taken.
    pub taken_at: Timestamp,
}

/// Takes backups, or knows who does.
pub trait Backups: Send + Sync {
    /// The newest backup of the database when it is fresh enough, else a new one.
    fn fresh(&self, database: &str, now: Timestamp) -> Result<Backup>;
}
