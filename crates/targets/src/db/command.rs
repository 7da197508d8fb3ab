//! Things a database does on command, outside a transaction. Data, so that a plan can print them.

use super::{Limits, Order};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "command")]
pub enum Command {
    /// Upkeep.
    Upkeep(Order),
    /// SQLite: move the write-ahead log into the file without blocking anyone. Nothing on PostgreSQL.
    Checkpoint,
    /// One statement that a person wrote, and that the database refuses inside a transaction.
    Statement {
        /// As it is sent.
        sql: String,
        /// How long it may wait and work.
        limits: Limits,
    },
    /// Statements that do not need each other, several at once where the database can: each is a transaction of its own. After
    /// an error no further one is begun; those that are done stay done.
    Statements {
        /// In the order in which they are begun.
        sql: Vec<String>,
        /// At most so many at once.
        at_once: usize,
        /// How long each may wait and work.
        limits: Limits,
    },
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Performed {
    /// The statement that ran; empty when there was nothing to do.
    pub statement: String,
    /// What the database said beside it.
    pub notices: Vec<String>,
    /// How long the one waited at most who waited longest for it, as far as was seen.
    pub others_waited: Option<Duration>,
    /// Nothing was done because somebody holds the table.
    pub passed_over: bool,
}
