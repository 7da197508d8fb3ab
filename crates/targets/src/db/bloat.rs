//! How much of a table or an index is space that a fresh copy of it would not need.
//!
//! One figure for every method, so that figures of different tables can be compared: the size now less the size that the
//! rows that are there would take, freshly written, with the fill factor that was asked for. What a fill factor keeps free
//! is not wasted.

use super::TableName;
use serde::{Deserialize, Serialize};

/// What is to be measured, and at what cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measuring {
    /// Only these tables; all when empty.
    pub tables: Vec<TableName>,
    /// What is smaller is left out.
    pub least_bytes: u64,
    /// Indexes too.
    pub indexes: bool,
    /// At most about so many bytes are read from tables and indexes, largest first; 0 for what the catalogue knows.
    pub read_bytes: u64,
    /// Read all of a table or an index where it fits into what may be read, instead of a sample.
    pub exact: bool,
}

impl Default for Measuring {
    fn default() -> Self {
        Self { tables: Vec::new(), least_bytes: 1 << 20, indexes: true, read_bytes: 256 << 20, exact: false }
    }
}

/// What sort of storage it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The rows of a table or a materialized view.
    Rows,
    /// Large values that PostgreSQL keeps beside the rows.
    Large,
    /// An index.
    Index,
    /// SQLite: pages of the file that belong to nothing.
    Free,
}

/// How much of one of them is wasted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bloat {
    /// Its own name.
    pub name: TableName,
    /// The table that it is, or belongs to.
    pub table: TableName,
    /// What sort of storage it is.
    pub part: Part,
    /// Its size.
    pub bytes: u64,
    /// What a fresh copy would not need; none where it could not be found out.
    pub wasted_bytes: Option<u64>,
    /// How it was found out: `sample`, `statistics`, `pgstattuple`, `dbstat`, …; `none` where it could not be.
    pub method: String,
    /// By how many points of a hundred the share may be wrong, at 95 of 100 looks.
    pub error_points: Option<f64>,
    /// Rows that are there, as far as known.
    pub live_rows: Option<u64>,
    /// Rows that are deleted and not cleaned up, where the database counts them.
    pub dead_rows: Option<u64>,
    /// When it was last cleaned up, where the database knows.
    pub last_vacuum: Option<String>,
    /// Why it is not known better, and what would help.
    pub lacks: Option<(String, String)>,
}

impl Bloat {
    /// The share that is wasted, in points of a hundred.
    pub fn wasted_percent(&self) -> Option<f64> {
        let wasted = self.wasted_bytes?;
        Some(if self.bytes == 0 { 0.0 } else { 100.0 * wasted as f64 / self.bytes as f64 })
    }
}
