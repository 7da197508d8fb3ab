//! What is wrong with migrations, in words that name them and end in one thing to do.
//!
//! A problem is data: reading, ordering and judging make it, a surface shows it. It never decides whether it matters.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The command under which all of this is offered, for the advice at the end of a message.
pub const MIGRATE: &str = "sexton migrate";

/// What sort of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A file or folder cannot be read.
    Unreadable,
    /// A file is not UTF-8.
    Encoding,
    /// Nothing says by which tool's rules the files are written, or several do.
    Convention,
    /// The name of a file.
    Name,
    /// A header line, a marker, a file of settings.
    Header,
    /// A quote, comment or body without its end, or words that are no SQL.
    Syntax,
    /// Something that only the tool's own client can do.
    Client,
    /// `begin`, `commit`, `attach` and the like where they cannot be.
    Transaction,
    /// Nothing in it.
    Empty,
    /// Numbers are left out.
    Gap,
    /// Two of the same number, version or id.
    Duplicate,
    /// It depends on what is not there.
    Dependency,
    /// They depend on each other in a ring.
    Cycle,
    /// Several ends that nothing joins.
    Heads,
    /// It may not be in beside another one.
    Conflict,
    /// It would come after one that should have come later.
    OutOfOrder,
    /// It is in, and its file is gone.
    Missing,
    /// It is in, and its file is another.
    Changed,
    /// It stopped in the middle.
    Interrupted,
    /// The database is further than what was asked for.
    Newer,
    /// There is no way back.
    OneWay,
    /// No migration goes by this name, or several do.
    Unknown,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// What sort of thing.
    pub fault: Fault,
    /// The migrations it is about.
    pub ids: Vec<String>,
    /// Where it is.
    pub file: Option<PathBuf>,
    /// Where it is in the file, from 1.
    pub line: Option<u32>,
    /// What is wrong: a lowercase fragment, names in backticks.
    pub what: String,
    /// One thing to do or to type.
    pub help: String,
}

impl Problem {
    /// A problem of this sort.
    pub fn new(fault: Fault, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { fault, ids: Vec::new(), file: None, line: None, what: what.into(), help: help.into() }
    }

    /// Says which migrations it is about.
    pub fn about<S: Into<String>>(mut self, ids: impl IntoIterator<Item = S>) -> Self {
        self.ids.extend(ids.into_iter().map(Into::into));
        self
    }

    /// Says in which file it is.
    pub fn within(mut self, file: impl Into<PathBuf>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// Says in which line it is.
    pub fn at(mut self, line: u32) -> Self {
        self.line = Some(line);
        self
    }
}

/// `0003_x.sql:7: what is wrong`.
impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "`{}`", file.display())?;
            match self.line {
                Some(line) => write!(f, ", line {line}: ")?,
                None => f.write_str(": ")?,
            }
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for Problem {}

/// Everything that is wrong, at once, so that it can be mended at once. Never empty where it is an error.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// `Ok` when nothing is wrong.
    pub fn none_or<T>(self, fine: T) -> Result<T, Problems> {
        if self.0.is_empty() { Ok(fine) } else { Err(self) }
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl std::fmt::Display for Problems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("; ")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<Problems> for engine::Error {
    fn from(problems: Problems) -> Self {
        let help = problems.0.first().map(|problem| problem.help.clone()).unwrap_or_default();
        engine::Error::usage(problems.to_string()).help(help)
    }
}
