//! What the linter says of each statement: a written contract for people, pipelines and editors.

use super::Engine;
use super::codes::Level;
use super::effect::Lock;
use super::rewrite::Step;
use serde::Serialize;
use std::ops::Range;

/// What was found in a statement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Which rule, in words that comments use.
    pub code: &'static str,
    /// How bad it is here.
    pub level: Level,
    /// What is wrong.
    pub text: String,
    /// What to do.
    pub help: Option<String>,
    /// Where it begins, from 1.
    pub line: u32,
    /// Where it begins in its line, in letters from 1.
    pub column: u32,
    /// The line of its end.
    pub end_line: u32,
    /// Just behind its end.
    pub end_column: u32,
    /// The statement as it would hurt nobody: migrations in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rewrite: Vec<Step>,
    /// Where it is in the text of the file, in bytes.
    #[serde(skip)]
    pub span: Range<usize>,
}

/// How dangerous a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Hardly anybody notices.
    Low,
    /// Somebody may wait, or something may break.
    Medium,
    /// Many wait for long, or it fails.
    High,
}

impl Risk {
    /// `low`, `medium`, `high`.
    pub fn word(self) -> &'static str {
        match self {
            Risk::Low => "low",
            Risk::Medium => "medium",
            Risk::High => "high",
        }
    }
}

/// How long something takes, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Seconds {
    /// If all goes well.
    pub low: f64,
    /// The most likely.
    pub expected: f64,
    /// If the disk is slow and the cache is cold.
    pub high: f64,
}

/// What is to be said of one statement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// Which file.
    pub file: String,
    /// Where it begins, from 1.
    pub line: u32,
    /// As it is written.
    pub statement: String,
    /// The strongest lock it takes on a table that others use.
    pub lock: Option<Lock>,
    /// Which table that is.
    pub table: Option<String>,
    /// Who waits meanwhile: `readers and writers`, `writers`.
    pub blocks: Option<&'static str>,
    /// How many rows the table has now.
    pub rows: Option<u64>,
    /// How many bytes, without indexes.
    pub bytes: Option<u64>,
    /// How many rows of it are written a second.
    pub writes_per_second: Option<f64>,
    /// Whether a table is written anew.
    pub rewrites: bool,
    /// Whether all rows of a table are read.
    pub scans: bool,
    /// How long it takes.
    pub seconds: Option<Seconds>,
    /// How dangerous it is.
    pub risk: Risk,
    /// Why, in one line.
    pub reason: String,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// What is to be said of all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Linted {
    /// Whose SQL it is taken for.
    pub engine: Engine,
    /// For which version it was judged: `15`, `3.45`.
    pub version: String,
    /// Whether a database was looked at.
    pub database: Option<String>,
    /// In the order of files and lines.
    pub statements: Vec<Judged>,
    /// How many findings of this level.
    pub errors: usize,
    /// How many findings of this level.
    pub warnings: usize,
    /// How many findings of this level.
    pub notes: usize,
    /// How many findings a comment allows.
    pub ignored: usize,
    /// All together.
    pub risk: Risk,
    /// How long all take together; none when nothing is known of the sizes.
    pub seconds: Option<Seconds>,
}

impl Linted {
    /// The worst level there is.
    pub fn worst(&self) -> Option<Level> {
        self.findings().map(|(_, finding)| finding.level).max()
    }

    /// All findings, each with its statement.
    pub fn findings(&self) -> impl Iterator<Item = (&Judged, &Finding)> {
        self.statements.iter().flat_map(|judged| judged.findings.iter().map(move |finding| (judged, finding)))
    }
}
