//! What a database says about itself and its present state.

use super::TableName;
use serde::{Deserialize, Serialize};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// Version, role, clock, size.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// `sqlite` or `postgresql`.
    pub engine: String,
    /// As the server spells it.
    pub version: String,
    /// Comparable: 150018 for PostgreSQL 15.18, 3054001 for SQLite 3.54.1.
    pub version_number: u32,
    /// The database's name, or the file's path.
    pub database: String,
    /// Where it runs; empty for a socket or a file.
    pub host: String,
    /// As whom we are connected; empty on SQLite.
    pub user: String,
    /// Whether it cannot be written at all: a standby, a read-only file.
    pub read_only: bool,
    /// What would have to be allowed before Sexton's own tables can be made and written; none when nothing is missing.
    pub lacks: Option<String>,
    /// Whether a transaction pooler stands between us and the server.
    pub pooled: bool,
    /// Whether this role may do anything.
    pub superuser: bool,
    /// The server's clock, microseconds since 1970.
    pub clock_us: i64,
    /// When the database was written last, microseconds since 1970, where that is told by something else than its clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_us: Option<i64>,
    /// Size of the database.
    pub bytes: u64,
}

/// How the database would find rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Access {
    /// The index it would use to narrow the search; none for a walk through the whole table.
    pub index: Option<String>,
    /// How many rows it expects, when it says.
    pub rows: Option<u64>,
    /// Its own description, for `explain`.
    pub text: String,
}

/// Rows that a session keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// The temporary table in which they are.
    pub table: TableName,
    /// Tells it from every other list of any session.
    pub id: String,
}

impl List {
    /// A list in this table, made now.
    pub fn new(table: TableName) -> Self {
        // The only source of chance in the standard library: two lists may be made in the same moment.
        let chance = || RandomState::new().build_hasher().finish();
        Self { table, id: format!("{:016x}{:016x}", chance(), chance()) }
    }
}

/// A transaction that has been open for long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OldTransaction {
    /// The backend's process id.
    pub pid: i64,
    /// Since when, in seconds.
    pub seconds: f64,
    /// The state: `active`, `idle in transaction`, …
    pub state: String,
    /// The beginning of its statement.
    pub query: String,
    /// Who blocks it, if anyone.
    pub blocked_by: Vec<i64>,
}

/// How big a table is now, and how busy. None: the database cannot tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    /// Which table; of a partitioned one, all its partitions together.
    pub table: TableName,
    /// About how many rows it has.
    pub rows: Option<u64>,
    /// The bytes of its rows, without indexes.
    pub bytes: Option<u64>,
    /// The bytes of its indexes.
    pub index_bytes: Option<u64>,
    /// Rows written a second, on average since the database began to count.
    pub writes_per_second: Option<f64>,
}

/// The signals a throttle looks at. None: the database cannot tell.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pulse {
    /// The worst replica's replay lag.
    pub replica_lag_ms: Option<u64>,
    /// Sessions that wait for a lock.
    pub lock_waiters: Option<u64>,
    /// Sessions at work, without ours.
    pub active_sessions: Option<u64>,
    /// Connections of clients to the whole server, ours too.
    pub connections: Option<u64>,
    /// Bytes that the server has read from the disk for this database, since it began to count.
    pub read_bytes: Option<u64>,
    /// Bytes that the server has written to its log, ever.
    pub written_bytes: Option<u64>,
    /// Free bytes where the database lies.
    pub free_disk_bytes: Option<u64>,
    /// SQLite: size of the write-ahead log. PostgreSQL: bytes that wait for the archiver or the slowest slot.
    pub wal_bytes: Option<u64>,
    /// The oldest open transaction of someone else.
    pub oldest: Option<OldTransaction>,
    /// SQLite: whether another process has the file open or has written since the last look. PostgreSQL: whether others
    /// have written since the last look.
    pub in_use: Option<bool>,
    /// SQLite: nobody else has the file open, for certain. PostgreSQL: nobody else writes. Who comes later is seen at the
    /// next look.
    pub alone: bool,
}

/// How long a transaction may wait and work.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Longest wait for a lock before the statement gives up (class transient).
    pub lock: Duration,
    /// Longest time of one statement; zero for no limit.
    pub statement: Duration,
    /// Longest time that a server keeps a transaction open, with its locks, for somebody who sends nothing: a process that
    /// is asleep or cut off. Nobody takes a transaction from who writes a file.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lock: Duration::from_secs(2),
            statement: Duration::from_secs(30),
            idle: Duration::from_secs(300),
        }
    }
}

/// Where a window of the physical walk ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// Exclusive.
    pub end: super::Row,
    /// Nothing lay behind it: a walk that went on would follow those who append rows for ever.
    pub last: bool,
}
