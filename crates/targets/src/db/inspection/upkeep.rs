//! What a server counts, keeps and sends elsewhere.

use serde::{Deserialize, Serialize};

/// What was counted since the counters began.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// For how long, in seconds; none where it is not known.
    pub seconds: Option<f64>,
    /// Pages found in the cache.
    pub hits: u64,
    /// Pages that had to be read.
    pub reads: u64,
    /// The same of indexes only.
    pub index_hits: u64,
    /// The same of indexes only.
    pub index_reads: u64,
    /// Transactions that were committed.
    pub commits: u64,
    /// Transactions that were rolled back.
    pub rollbacks: u64,
    /// Bytes that did not fit into memory.
    pub temp_bytes: u64,
    /// Deadlocks.
    pub deadlocks: u64,
    /// Pages that failed their checksum.
    pub checksum_failures: u64,
    /// Checkpoints that came by the clock.
    pub checkpoints_timed: u64,
    /// Checkpoints that came because the log was full.
    pub checkpoints_asked: u64,
}

/// How far transaction ids have come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Horizon {
    /// Age of the oldest transaction id of this database.
    pub xid_age: u64,
    /// Age of the oldest multixact id.
    pub multixact_age: u64,
    /// At which age autovacuum acts whatever its settings.
    pub freeze_at: u64,
    /// The same for multixact ids.
    pub multixact_freeze_at: u64,
    /// How many ids were given so far; grows for ever.
    pub given: u64,
    /// What keeps vacuum from its work, the oldest first.
    pub pins: Vec<Pinned>,
}

/// What keeps vacuum from its work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pinned {
    /// What sort of thing.
    pub kind: PinnedBy,
    /// A process id, a name.
    pub name: String,
    /// Who is behind it: an application, a role.
    pub who: String,
    /// How many transactions have come since.
    pub age: u64,
    /// Since when, in seconds, where it is known.
    pub seconds: Option<f64>,
    /// What it is doing.
    pub state: String,
}

/// What may keep vacuum from its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PinnedBy {
    /// An open transaction.
    Session,
    /// A transaction prepared for two-phase commit.
    Prepared,
    /// A replication slot.
    Slot,
    /// A standby that tells what it still reads.
    Standby,
}

/// Replicas, slots, the archive.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Replication {
    /// It is a standby itself.
    pub standby: bool,
    /// As a standby: how far it is behind, in seconds.
    pub behind_seconds: Option<f64>,
    /// Its replicas.
    pub replicas: Vec<Replica>,
    /// Its slots.
    pub slots: Vec<SlotFacts>,
    /// The archive of its log.
    pub archive: Archive,
}

/// One replica.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replica {
    /// As it calls itself.
    pub name: String,
    /// `streaming`, `catchup`, …
    pub state: String,
    /// How far it is behind, in seconds.
    pub lag_seconds: Option<f64>,
    /// How far it is behind, in bytes of the log.
    pub lag_bytes: Option<u64>,
    /// A commit waits for it.
    pub synchronous: bool,
}

/// One replication slot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlotFacts {
    /// Its name.
    pub name: String,
    /// `physical` or `logical`.
    pub kind: String,
    /// Somebody reads from it.
    pub active: bool,
    /// Bytes of the log that it keeps.
    pub kept_bytes: Option<u64>,
    /// `reserved`, `extended`, `unreserved` or `lost` (PostgreSQL 13).
    pub status: Option<String>,
}

/// The archive of the log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Archive {
    /// Whether there is one.
    pub on: bool,
    /// Files put into it.
    pub archived: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Seconds since the last that went well.
    pub last_seconds: Option<f64>,
    /// Seconds since the last that failed.
    pub last_failed_seconds: Option<f64>,
    /// What failed last.
    pub last_failed: Option<String>,
}

/// A setting of the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// As the server shows it.
    pub value: String,
    /// Where it comes from: `default`, `configuration file`, …
    pub source: String,
}

/// The disk on which a database lies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    /// All of it, as `df` counts it.
    pub total_bytes: u64,
    /// What is left for this user.
    pub free_bytes: u64,
    /// What is taken.
    pub used_bytes: u64,
}
