//! What a table is like for whoever moves its last rows into free space before them, and the words for such a move.
//!
//! A row moves when it is given a value that it has already: the database writes it again, where there is room. Figures and
//! names only; whether it is worth it, and what stands in the way, is for kinds to judge.

use serde::{Deserialize, Serialize};

/// Facts about one table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Compaction {
    /// Bytes of a page.
    pub page_size: u64,
    /// Pages of its rows.
    pub pages: u64,
    /// Pages at its end on which no row is, as far as it was worth looking.
    pub empty_pages: u64,
    /// The column that costs the least to be given its own value, and on which nothing depends that would be computed anew;
    /// none where no column will do.
    pub column: Option<String>,
    /// Triggers and rules that fire when that column is set.
    pub fires: Vec<String>,
    /// Those among all that fire even when they are silenced.
    pub fires_silenced: Vec<String>,
    /// Whether this role may keep the others from firing.
    pub may_silence: bool,
    /// Whether this role may change rows.
    pub may_update: bool,
    /// Whether rows are hidden from this role.
    pub hidden: bool,
    /// Subscriptions that are sent every row that moves: the names of what they subscribe to.
    pub sent_to: Vec<String>,
    /// Whether changed rows can be told apart by those who get them; if not, the database refuses changes.
    pub identified: bool,
    /// Constraints that were never proved: a row that breaks one cannot be written again.
    pub unproved: Vec<String>,
    /// The access method, where it is not the usual one: rows may not move in it at all.
    pub unusual: Option<String>,
    /// The version of the extension `pg_repack`, where it is installed.
    pub repack: Option<String>,
    /// Whether the server can write a table anew beside those who use it.
    pub rewrites_beside: bool,
}

/// Rows of these pages are to be written again, elsewhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift<'a> {
    /// The column that is given its own value.
    pub column: &'a str,
    /// The first page.
    pub from: u64,
    /// The page after the last.
    pub to: u64,
    /// Leave rows alone that others hold.
    pub skip_locked: bool,
}
