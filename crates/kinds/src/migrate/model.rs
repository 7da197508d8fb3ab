//! What a migration is to us, whichever tool its files were written for.
//!
//! Pure data: conventions of directories make it, the graph orders it, the runner and the linter read it. It knows
//! nothing of databases, nor of what has been applied; that is [`Applied`], read from a history.

use super::problem::Problem;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One migration of a directory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Migration {
    /// What people type and other migrations name: unique in its directory.
    pub id: String,
    /// Its place among the others, where its name has one that is a whole number.
    pub number: Option<u64>,
    /// As the history of its tool spells it: `20240131120000`, `1.2`, `0001`.
    pub version: String,
    /// What its tool sorts it by, where it compares text rather than numbers: there `10` comes before `9`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sorted_as: Option<String>,
    /// What it does, in words.
    pub description: String,
    /// Ids that must be in before it.
    pub depends_on: Vec<String>,
    /// Ids that must not be in beside it.
    pub conflicts: Vec<String>,
    /// What a checkpoint stands for: each entry is one id, or several with `|` between of which one must be in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<String>,
    /// The way there.
    pub up: Script,
    /// The way back.
    pub down: Option<Script>,
    /// Run again whenever it has changed (Flyway's R), after all others.
    pub repeatable: bool,
    /// Whether a backup must be taken before it.
    pub backup: bool,
    /// How long it is expected to take, where its author says so.
    pub expected_seconds: Option<f64>,
    /// Queries that must give true before it runs.
    pub assert_before: Vec<String>,
    /// Queries that must give true before it is recorded.
    pub assert_after: Vec<String>,
    /// Of what it does, immune to line endings and trailing space.
    pub checksum: String,
    /// As its tool computes it, where the history of the tool keeps one.
    pub foreign_checksum: Option<String>,
}

impl Migration {
    /// Its place among the others: the numbers in its version, so that `1.10` comes after `1.9`, or the letters of what its
    /// tool sorts by. None where it has none.
    pub fn place(&self) -> Option<Vec<u64>> {
        if let Some(text) = &self.sorted_as {
            return Some(text.bytes().map(u64::from).collect());
        }
        if let Some(number) = self.number {
            return Some(vec![number]);
        }
        let mut parts: Vec<u64> =
            self.version.split(['.', '_', '-']).map(|part| part.parse().ok()).collect::<Option<_>>()?;
        while parts.len() > 1 && parts.last() == Some(&0) {
            parts.pop();
        }
        Some(parts)
    }
}

/// One way, up or down.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Script {
    /// Relative to the directory.
    pub file: PathBuf,
    /// In order.
    pub statements: Vec<Statement>,
    /// Whether the author allows (and nothing in it forbids) one transaction for all of it.
    pub transaction: bool,
    /// Why it cannot be run as it is written: a quote without its end, a line that only psql knows. Reading goes on
    /// nevertheless, for it may be in already.
    pub problems: Vec<Problem>,
}

impl Script {
    /// What runs together, in order: one transaction for each part that is one, a lone statement for the others.
    pub fn parts(&self) -> Vec<Part<'_>> {
        if self.transaction {
            let statements = self.statements.as_slice();
            return if statements.is_empty() {
                Vec::new()
            } else {
                vec![Part { first: 0, statements, transaction: true }]
            };
        }
        let mut parts = Vec::new();
        let mut first = 0;
        for chunk in self.statements.chunk_by(|a, b| a.block.is_some() && a.block == b.block) {
            parts.push(Part { first, statements: chunk, transaction: chunk[0].outside.is_none() });
            first += chunk.len();
        }
        parts
    }
}

/// Statements of a script that run together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part<'a> {
    /// The index of its first statement in the script.
    pub first: usize,
    /// In order.
    pub statements: &'a [Statement],
    /// Whether they run in one transaction; else it is a single one that the database refuses there.
    pub transaction: bool,
}

/// One statement, as it is written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// Without the semicolon that ends it, without comments around it.
    pub sql: String,
    /// Where it begins in its file, from 1.
    pub line: u32,
    /// Whether the database refuses it in a transaction, and why.
    pub outside: Option<String>,
    /// Neighbours of one number run in one transaction where the whole script cannot: they stand between `begin` and
    /// `commit` in it, or between statements that must be outside. None: in a transaction of its own.
    pub block: Option<u32>,
}

/// What a history says of one migration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// The id in the directory; the version as the history spells it when no file has it.
    pub id: String,
    /// As the history spells it.
    pub version: String,
    /// What it did, in words.
    pub description: Option<String>,
    /// What it is now.
    pub state: State,
    /// Since when.
    pub at: Option<jiff::Timestamp>,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// What the history keeps of the file.
    pub checksum: Option<String>,
}

/// What a migration is in a database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not in.
    #[default]
    Pending,
    /// In.
    Applied,
    /// Marked as in, without having run here.
    Baseline,
    /// Some of its statements are in.
    Interrupted,
    /// Tried, nothing of it is in.
    Failed,
    /// Was in, taken out again.
    RolledBack,
}

impl State {
    /// Whether what the migration makes is in the database.
    pub fn is_in(self) -> bool {
        matches!(self, State::Applied | State::Baseline)
    }
}
