//! Tables, indexes, references and sequences as the catalogue and the counters describe them.

use crate::db::TableName;
use serde::{Deserialize, Serialize};

/// One table that holds rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableFacts {
    /// Its name.
    pub name: TableName,
    /// A partition of another table.
    pub partition: bool,
    /// How many rows; none when nobody knows without counting.
    pub rows: Option<u64>,
    /// Whether `rows` was counted; else it is an estimate.
    pub rows_exact: bool,
    /// Bytes of its rows, with what lies outside of them (TOAST).
    pub bytes: Option<u64>,
    /// Bytes of that which lies outside of the rows.
    pub toast_bytes: Option<u64>,
    /// Bytes of its indexes.
    pub index_bytes: Option<u64>,
    /// Somebody holds it, so the sizes are those of the last vacuum.
    pub held: bool,
    /// How often it was read from end to end.
    pub seq_scans: Option<u64>,
    /// How many rows that has read.
    pub seq_rows: Option<u64>,
    /// How often one of its indexes was used.
    pub index_scans: Option<u64>,
    /// Rows added, changed and deleted since the counters began.
    pub inserted: u64,
    /// Rows changed.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
    /// Dead rows that wait for vacuum. SQLite: none.
    pub dead_rows: Option<u64>,
    /// Rows changed since the planner's statistics were made.
    pub changed_since_analyze: Option<u64>,
    /// When it was vacuumed last, seconds since 1970.
    pub last_vacuum: Option<i64>,
    /// When the planner's statistics were made, seconds since 1970.
    pub last_analyze: Option<i64>,
    /// Whether the planner has statistics of it.
    pub analyzed: bool,
    /// Age of the oldest transaction id in it.
    pub xid_age: Option<u64>,
    /// Whether autovacuum leaves it alone.
    pub autovacuum_off: bool,
    /// Dead rows at which autovacuum comes.
    pub vacuum_at: Option<u64>,
    /// Whether something tells its rows apart: a primary key, or a unique one without NULLs.
    pub has_key: bool,
    /// Large tables only: a column of moments that grows in the order of the rows.
    pub grows_by: Option<String>,
    /// SQLite: bytes of its pages that hold nothing.
    pub unused_bytes: Option<u64>,
    /// SQLite: oddities of its declaration: code, column, what, what to do.
    pub oddities: Vec<(String, String, String, String)>,
}

impl TableFacts {
    /// A table of which nothing else is known yet.
    pub fn of(name: TableName) -> Self {
        Self {
            name,
            partition: false,
            rows: None,
            rows_exact: false,
            bytes: None,
            toast_bytes: None,
            index_bytes: None,
            held: false,
            seq_scans: None,
            seq_rows: None,
            index_scans: None,
            inserted: 0,
            updated: 0,
            deleted: 0,
            dead_rows: None,
            changed_since_analyze: None,
            last_vacuum: None,
            last_analyze: None,
            analyzed: true,
            xid_age: None,
            autovacuum_off: false,
            vacuum_at: None,
            has_key: true,
            grows_by: None,
            unused_bytes: None,
            oddities: Vec::new(),
        }
    }

    /// With its indexes.
    pub fn total_bytes(&self) -> Option<u64> {
        Some(self.bytes? + self.index_bytes.unwrap_or(0))
    }
}

/// One index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexFacts {
    /// Its name, with its schema.
    pub name: TableName,
    /// Its table.
    pub table: TableName,
    /// How it is made, in SQL; none while its table is held.
    pub definition: Option<String>,
    /// `btree`, `gin`, …
    pub method: String,
    /// Its columns and expressions in order, each with all that decides how it compares.
    pub parts: Vec<String>,
    /// Plain columns in order; none stands for an expression.
    pub columns: Vec<Option<String>>,
    /// Columns that are only carried along, in order.
    pub carried: Vec<String>,
    /// The WHERE as the catalogue has it.
    pub only: Option<String>,
    /// Bytes.
    pub bytes: Option<u64>,
    /// How often it was used since the counters began; none where nobody counts.
    pub scans: Option<u64>,
    /// When it was used last, seconds since 1970 (PostgreSQL 16).
    pub last_scan: Option<i64>,
    /// No two rows may be equal in it.
    pub unique: bool,
    /// That of the primary key.
    pub primary: bool,
    /// It belongs to a constraint, of which this is the name.
    pub constraint: Option<String>,
    /// It tells rows apart for logical replication, or the table is clustered by it.
    pub identity: bool,
    /// It is used.
    pub valid: bool,
    /// It is being built at this moment.
    pub building: bool,
    /// It is part of an index of a partitioned table.
    pub attached: bool,
}

/// One declared reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReferenceFacts {
    /// Its name.
    pub name: String,
    /// The table that refers.
    pub table: TableName,
    /// Through which columns.
    pub columns: Vec<String>,
    /// To which table.
    pub parent: TableName,
    /// To which columns.
    pub parent_columns: Vec<String>,
}

/// A constraint that not every row is known to satisfy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConstraintFacts {
    /// Its name.
    pub name: String,
    /// Its table.
    pub table: TableName,
}

/// A sequence, or what counts up a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SequenceFacts {
    /// Its name.
    pub name: TableName,
    /// Whose values it gives: table and column.
    pub column: Option<String>,
    /// The last value given.
    pub last: i64,
    /// The last value that there is: that of the sequence or of the column's type, whichever comes first.
    pub most: i64,
    /// It begins anew at its end.
    pub cycles: bool,
}
