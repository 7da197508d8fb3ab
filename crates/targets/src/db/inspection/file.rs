//! A SQLite file.

use serde::{Deserialize, Serialize};

/// What a SQLite file is like.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FileFacts {
    /// `wal`, `delete`, …
    pub journal_mode: String,
    /// Bytes of the write-ahead log.
    pub wal_bytes: u64,
    /// Bytes of a page.
    pub page_size: u64,
    /// Pages of the file.
    pub pages: u64,
    /// Pages that hold nothing.
    pub free_pages: u64,
    /// `none`, `full` or `incremental`.
    pub auto_vacuum: String,
    /// Processes that have it open: number and name.
    pub users: Vec<(i64, String)>,
    /// Processes that read, and so keep the log from being taken up again.
    pub readers: Vec<(i64, String)>,
    /// Rows whose parent is missing, by referring table and parent; none when they were not looked for.
    pub violations: Option<Vec<(String, String, u64)>>,
    /// Tables whose rows lie in the order of a key that is no index: the row number, or the key of a table without one.
    pub keys: Vec<(String, Vec<String>)>,
    /// Whether the planner's statistics were ever made.
    pub analyzed: bool,
}
