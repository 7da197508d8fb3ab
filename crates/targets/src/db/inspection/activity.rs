//! Who is connected, who waits for whom, and what takes the time.

use serde::{Deserialize, Serialize};

/// Sessions, by what they do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Connections {
    /// How many there are in each state, ours left out.
    pub by_state: Vec<(String, u64)>,
    /// All of the server, ours among them.
    pub all: u64,
    /// How many the server allows.
    pub limit: Option<u64>,
    /// Of these, kept for the superuser.
    pub reserved: u64,
    /// Those that take long, wait, or make others wait.
    pub talkers: Vec<Talker>,
    /// Some of what others do is hidden from this role.
    pub hidden: bool,
}

/// A session that takes long, waits, or makes others wait.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Talker {
    /// The process of the server; on SQLite that of the application.
    pub pid: i64,
    /// As the application calls itself.
    pub application: String,
    /// As whom it is connected.
    pub user: String,
    /// `active`, `idle in transaction`, …
    pub state: String,
    /// Since when its transaction is open, in seconds.
    pub transaction_seconds: Option<f64>,
    /// Since when it is in this state, in seconds.
    pub state_seconds: f64,
    /// What it waits for.
    pub waits_for: Option<String>,
    /// Whose locks it waits for.
    pub blocked_by: Vec<i64>,
    /// Its statement, without literals.
    pub query: String,
}

/// A lock on a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lock {
    /// Who has it or waits for it.
    pub pid: i64,
    /// On what.
    pub table: String,
    /// Which.
    pub mode: String,
    /// Has it, else waits.
    pub granted: bool,
}

/// A statement that took much time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slow {
    /// The statement, without literals.
    pub query: String,
    /// How often it ran.
    pub calls: u64,
    /// How long it took on average, in milliseconds.
    pub mean_ms: f64,
    /// How long it took altogether, in milliseconds.
    pub total_ms: f64,
    /// Its share of the time of all statements, 0 to 1.
    pub share: f64,
    /// Rows it gave or changed.
    pub rows: u64,
}
