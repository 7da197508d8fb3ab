//! Things a database does on command, outside a transaction. Data, so that a plan can print them.

use super::{Limits, TableName};
use serde::{Deserialize, Serialize};

/// What to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "command")]
pub enum Command {
    /// Refresh the planner's statistics of one table.
    Analyze {
        /// Which.
        table: TableName,
    },
    /// Make the space of deleted rows usable again (SQLite: gives free pages back where auto_vacuum allows).
    Vacuum {
        /// Which; all when none.
        table: Option<TableName>,
    },
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
}
