//! Undo rows: typed tables shaped like their source, inside the database being maintained.
//!
//! Remembering is one `insert … select` there, in the transaction of the change, so nothing is rounded and a
//! crash leaves both or neither. Each run has its own undo table per source table and change, so forgetting
//! is one `drop table`.

use super::{Row, Sql, Table, TableName};
use serde::{Deserialize, Serialize};

/// The column of an undo table that holds the number of the batch.
pub const BATCH: &str = "sexton_batch";
/// The column of an undo table that says where the row lay: `ctid`, rowid, or NULL.
pub const AT: &str = "sexton_at";

/// Where the rows of one source table are remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UndoTable {
    /// Its own name.
    pub name: TableName,
    /// A temporary table: remembers only long enough to delete children before parents.
    pub temporary: bool,
    /// The columns it copies, in order: the stored ones of the source.
    pub columns: Vec<String>,
    /// For changes in place: the columns whose new values it holds too, in columns named by [`after`].
    #[serde(default)]
    pub after: Vec<String>,
}

/// The column of an undo table that holds the new value of its n-th changed column.
pub fn after(n: usize) -> String {
    format!("sexton_after_{}", n + 1)
}

/// Which rows a batch takes.
#[derive(Debug, Clone)]
pub struct Take<'a> {
    /// The table in which the rows lie (a leaf, never a partitioned parent).
    pub table: &'a Table,
    /// The condition, over the alias `t`.
    pub condition: Sql,
    /// The window of the physical walk: from (inclusive, none: the beginning) and to (exclusive, none: the end).
    pub window: Option<(Option<Row>, Option<Row>)>,
    /// At most this many rows.
    pub limit: Option<u64>,
    /// Leave rows alone that others hold locked (for a first pass; they are met again in the last one).
    pub skip_locked: bool,
    /// Where to remember them; none when the configuration says `undo = "none"`.
    pub into: Option<&'a UndoTable>,
    /// For `choose`: the new values of the columns in `into.after`, over `t`.
    pub values: Vec<Sql>,
    /// The number of the batch.
    pub batch: i64,
    /// What goes with the rows, in the same statement; only where [`super::Dialect::taken_along`] tells, and with `into`.
    pub below: Vec<Below<'a>>,
}

/// Rows that go with those of a `Take`, and are remembered like them.
#[derive(Debug, Clone)]
pub struct Below<'a> {
    /// The table in which they lie.
    pub table: &'a Table,
    /// The condition, over the alias `t`; it names the rows above by [`gone`].
    pub condition: Sql,
    /// Where to remember them.
    pub into: &'a UndoTable,
}

/// Under this name the conditions of `Take::below` meet the rows that are being deleted: those of the `Take` itself for 0, else
/// those of the n-th part of `below`, counted from 1.
pub fn gone(n: usize) -> TableName {
    TableName::bare(&format!("sexton_gone_{n}"))
}

/// What a batch took. Without an undo table both counts are that of the deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Rows that were remembered.
    pub remembered: u64,
    /// Rows that were deleted.
    pub deleted: u64,
    /// Rows that were deleted with them; `remembered` counts these too.
    pub below: u64,
}

/// A part of an undo table, in its physical order: PostgreSQL pages or SQLite rowids, `from..to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// Inclusive.
    pub from: i64,
    /// Exclusive.
    pub to: i64,
    /// Only the rows of this batch.
    #[serde(default)]
    pub batch: Option<i64>,
}

impl Range {
    /// All rows of these positions.
    pub fn of(from: i64, to: i64) -> Self {
        Self { from, to, batch: None }
    }
}
