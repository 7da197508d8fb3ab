//! What a database needs for its own upkeep, and the chores that give it. Figures and words only: what is worth a chore is
//! for kinds to judge.

use super::{Limits, TableName};
use serde::{Deserialize, Serialize};

/// Something a database does for itself, outside of transactions. Data, so that a plan can print it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "chore")]
pub enum Chore {
    /// Make the space of deleted rows usable again.
    Vacuum {
        /// Which; all when none. SQLite knows only all.
        table: Option<TableName>,
        /// How.
        how: Vacuuming,
    },
    /// Refresh the planner's statistics.
    Analyze {
        /// Which; all when none.
        table: Option<TableName>,
    },
    /// SQLite: give free pages at the end of the file back, at most so many.
    GiveBack {
        /// So many.
        pages: u64,
    },
    /// SQLite: refresh the statistics that the planner misses.
    Optimize,
    /// SQLite: move the write-ahead log into the file and cut it off, waiting for those who read from it.
    ShortenLog,
    /// Build an index anew.
    Reindex {
        /// Which.
        index: TableName,
        /// Beside those who read and write.
        concurrently: bool,
    },
    /// Remove an index that no reader uses, beside those who read and write.
    DropIndex {
        /// Which.
        index: TableName,
    },
    /// Build an index by the statement that makes it.
    MakeIndex {
        /// Which.
        index: TableName,
        /// The statement, as the database itself spells it.
        statement: String,
        /// Beside those who read and write.
        concurrently: bool,
    },
    /// Fill a materialised view anew.
    Refresh {
        /// Which.
        view: TableName,
        /// Beside those who read it.
        concurrently: bool,
    },
}

/// How to vacuum. What a server does not know yet is left out of the statement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Vacuuming {
    /// Write the table anew, which gives all free space back and keeps everybody out meanwhile.
    pub full: bool,
    /// Freeze every row that can be frozen.
    pub freeze: bool,
    /// Refresh the statistics too.
    pub analyze: bool,
    /// Pass over a table that somebody holds.
    pub skip_locked: bool,
    /// Cut empty pages off the end, which keeps everybody out for a moment.
    pub truncate: bool,
    /// Processes for the indexes, beside the first; the server's choice when none.
    pub parallel: Option<u32>,
    /// How much of the buffers it may use, such as `4MB`; the server's choice when none.
    pub buffer_limit: Option<String>,
    /// Whether dead entries of indexes are removed too; the server's choice when none.
    pub index_cleanup: Option<bool>,
    /// Leave the table with the long values alone.
    pub without_toast: bool,
}

/// A chore in the words of one database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spelled {
    /// The statement; none where the database knows no such chore.
    pub statement: Option<String>,
    /// What was asked for and this server does not know.
    pub left_out: Vec<String>,
}

/// A chore with its limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// What to do.
    pub chore: Chore,
    /// How long it may wait and work.
    pub limits: Limits,
}

/// What a database needs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Upkeep {
    /// Tables and materialised views.
    pub tables: Vec<TableUpkeep>,
    /// Indexes that hold rows; those of system catalogues are left out.
    pub indexes: Vec<IndexUpkeep>,
    /// Materialised views; none where the database has no such thing.
    pub views: Option<Vec<ViewUpkeep>>,
    /// What keeps dead rows from being removed, the oldest first.
    pub pins: Vec<Pin>,
    /// The file, where the database is one.
    pub file: Option<FileUpkeep>,
}

impl TableUpkeep {
    /// A table of which nothing is known.
    pub fn unknown(name: TableName) -> Self {
        Self {
            name,
            partitioned: false,
            parent: None,
            rows: 0.0,
            dead: 0.0,
            dead_limit: 0.0,
            inserted: None,
            insert_limit: None,
            changed: 0.0,
            change_limit: 0.0,
            long_dead: 0.0,
            long_dead_limit: 0.0,
            age: 0.0,
            age_limit: 0.0,
            group_age: 0.0,
            group_age_limit: 0.0,
            bytes: 0,
            index_bytes: 0,
            vacuumed_us: None,
            analyzed_us: None,
            wants_statistics: None,
            node: 0,
            busy: None,
            may: true,
            neglected: false,
        }
    }
}

/// Who works on an object just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Busy {
    /// The process.
    pub pid: i64,
    /// What it does: `vacuum`, `analyze`, `create index`, `cluster`, or the lock that it holds.
    pub work: String,
    /// Whether it builds an index.
    pub builds: bool,
}

/// What one table needs.
#[derive(Debug, Clone, PartialEq)]
pub struct TableUpkeep {
    /// Which.
    pub name: TableName,
    /// Whether it only stands for its partitions.
    pub partitioned: bool,
    /// The table that it is a partition of.
    pub parent: Option<TableName>,
    /// About how many rows it has.
    pub rows: f64,
    /// Rows that were deleted or replaced and still take space.
    pub dead: f64,
    /// From so many dead rows on the database itself would vacuum it.
    pub dead_limit: f64,
    /// Rows inserted since it was vacuumed last; none where nobody counts.
    pub inserted: Option<f64>,
    /// From so many on the database itself would vacuum it; none for never.
    pub insert_limit: Option<f64>,
    /// Rows changed since it was analysed last.
    pub changed: f64,
    /// From so many on the database itself would analyse it.
    pub change_limit: f64,
    /// Dead rows of long values.
    pub long_dead: f64,
    /// From so many on the database itself would vacuum them.
    pub long_dead_limit: f64,
    /// Transactions since its oldest unfrozen row.
    pub age: f64,
    /// From this age on the database vacuums it whatever else happens; 0 where there are no such ages.
    pub age_limit: f64,
    /// The same for groups of row lockers.
    pub group_age: f64,
    /// The same for groups of row lockers.
    pub group_age_limit: f64,
    /// Bytes of its rows, long values included.
    pub bytes: u64,
    /// Bytes of its indexes.
    pub index_bytes: u64,
    /// Microseconds since 1970.
    pub vacuumed_us: Option<i64>,
    /// Microseconds since 1970.
    pub analyzed_us: Option<i64>,
    /// Whether the planner itself asks for statistics; none where it does not tell.
    pub wants_statistics: Option<bool>,
    /// What tells whether it was written anew.
    pub node: i64,
    /// Who works on it.
    pub busy: Option<Busy>,
    /// Whether this role may vacuum and analyse it.
    pub may: bool,
    /// Whether somebody switched the database's own upkeep off for it.
    pub neglected: bool,
}

/// What one index needs.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexUpkeep {
    /// Which.
    pub name: TableName,
    /// Of which table.
    pub table: TableName,
    /// Whether queries may use it.
    pub valid: bool,
    /// Whether it keeps an exclusion constraint.
    pub exclusion: bool,
    /// Its method: `btree`, …
    pub method: String,
    /// How large it is.
    pub bytes: u64,
    /// About which share of it would be gone when it is built anew, in per cent; none where nothing tells.
    pub bloat_percent: Option<f64>,
    /// What tells whether it was built anew.
    pub node: i64,
    /// Whether it is what a rebuild of this index left behind.
    pub left_by: Option<TableName>,
    /// Who builds an index of this table, or holds a lock like one who does.
    pub busy: Option<Busy>,
    /// Whether this role may build it anew.
    pub may: bool,
}

/// What one materialised view needs.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewUpkeep {
    /// Which.
    pub name: TableName,
    /// Whether it was ever filled.
    pub populated: bool,
    /// A unique index over plain columns and all rows, by which it can be filled beside its readers.
    pub unique: Option<String>,
    /// Materialised views that it reads, also through ordinary ones.
    pub reads: Vec<TableName>,
    /// How large it is.
    pub bytes: u64,
    /// What tells whether it was written anew.
    pub node: i64,
    /// Who works on it.
    pub busy: Option<Busy>,
    /// Whether this role may fill it.
    pub may: bool,
}

/// What keeps dead rows from being removed.
#[derive(Debug, Clone, PartialEq)]
pub struct Pin {
    /// What it is.
    pub kind: PinKind,
    /// Its name: a process, a slot, a prepared transaction, a standby.
    pub name: String,
    /// How many transactions have begun since.
    pub age: f64,
    /// For how long, in seconds, where that is known.
    pub seconds: Option<f64>,
    /// What it is doing, for people.
    pub about: String,
    /// The statement that lets go.
    pub release: String,
}

/// What sort of thing pins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinKind {
    /// A session with an open transaction.
    Session,
    /// A replication slot.
    Slot,
    /// A prepared transaction.
    Prepared,
    /// A standby that tells what its readers need.
    Standby,
}

impl PinKind {
    /// For people.
    pub fn said(self) -> &'static str {
        match self {
            PinKind::Session => "session",
            PinKind::Slot => "replication slot",
            PinKind::Prepared => "prepared transaction",
            PinKind::Standby => "standby",
        }
    }
}

/// What a database that is one file needs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FileUpkeep {
    /// Bytes of a page.
    pub page_size: u64,
    /// Pages of the file.
    pub pages: u64,
    /// Pages that hold nothing.
    pub free_pages: u64,
    /// Whether free pages can be given back bit by bit.
    pub incremental: bool,
    /// Bytes of the write-ahead log; none where there is none.
    pub log_bytes: Option<u64>,
    /// Processes that read from the log, with the name of their program: they keep it from being begun anew.
    pub log_readers: Vec<(i64, String)>,
    /// Whether the planner has any statistics.
    pub has_statistics: bool,
}
