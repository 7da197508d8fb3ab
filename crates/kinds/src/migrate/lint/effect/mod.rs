//! What a statement costs others: which locks it takes and how much work it does while it holds them.
//!
//! These are claims about the databases, and the tests hold them against real ones. Nothing is judged here.

mod postgres;
mod sqlite;
mod types;

use super::Engine;
use super::course::Course;
use super::stated::Does;
use serde::{Deserialize, Serialize};
use targets::db::TableName;

/// A lock, from the weakest to the strongest; the last one is SQLite's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // they are PostgreSQL's own words
pub enum Lock {
    AccessShare,
    RowShare,
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
    AccessExclusive,
    /// The one writer that a SQLite file may have.
    Writer,
}

impl Lock {
    /// As PostgreSQL's documentation spells it.
    pub fn word(self) -> &'static str {
        match self {
            Lock::AccessShare => "ACCESS SHARE",
            Lock::RowShare => "ROW SHARE",
            Lock::RowExclusive => "ROW EXCLUSIVE",
            Lock::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            Lock::Share => "SHARE",
            Lock::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            Lock::Exclusive => "EXCLUSIVE",
            Lock::AccessExclusive => "ACCESS EXCLUSIVE",
            Lock::Writer => "write lock",
        }
    }

    /// Whether others cannot even read while it is held.
    pub fn blocks_reads(self) -> bool {
        self == Lock::AccessExclusive
    }

    /// Whether others cannot write while it is held.
    pub fn blocks_writes(self) -> bool {
        self >= Lock::Share
    }

    /// As `pg_locks` spells it.
    pub fn mode(self) -> &'static str {
        match self {
            Lock::AccessShare => "AccessShareLock",
            Lock::RowShare => "RowShareLock",
            Lock::RowExclusive => "RowExclusiveLock",
            Lock::ShareUpdateExclusive => "ShareUpdateExclusiveLock",
            Lock::Share => "ShareLock",
            Lock::ShareRowExclusive => "ShareRowExclusiveLock",
            Lock::Exclusive => "ExclusiveLock",
            Lock::AccessExclusive => "AccessExclusiveLock",
            Lock::Writer => "",
        }
    }
}

/// How much of a table is looked at or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Every row is read.
    Scan,
    /// Every row is looked up in another table.
    Match,
    /// Every row is read and sorted into an index.
    Build,
    /// Rows are changed one by one.
    Rows,
    /// The table is written anew, with its indexes.
    Rewrite,
}

/// How certain a claim is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sure {
    /// Depends on what is not known here: a type, a function.
    Perhaps,
    /// Always.
    Certain,
}

/// What a part of a statement costs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Effect {
    /// Which tables are locked; the table that the statement is about stands first.
    pub locks: Vec<(TableName, Lock)>,
    /// What is done to which table.
    pub work: Vec<(TableName, Work, Sure)>,
    /// What the database refuses in a transaction, in words.
    pub outside: Option<&'static str>,
}

impl Effect {
    fn lock(table: &TableName, lock: Lock) -> Self {
        Self { locks: vec![(table.clone(), lock)], ..Self::default() }
    }

    fn also(mut self, table: &TableName, lock: Lock) -> Self {
        self.locks.push((table.clone(), lock));
        self
    }

    fn work(mut self, table: &TableName, work: Work, sure: Sure) -> Self {
        self.work.push((table.clone(), work, sure));
        self
    }

    fn certainly(self, table: &TableName, work: Work) -> Self {
        self.work(table, work, Sure::Certain)
    }

    fn outside(mut self, what: &'static str) -> Self {
        self.outside = Some(what);
        self
    }

    /// The strongest lock that it takes, and where.
    pub fn strongest(&self) -> Option<&(TableName, Lock)> {
        let most = self.locks.iter().map(|(_, lock)| *lock).max()?;
        self.locks.iter().find(|(_, lock)| *lock == most)
    }

    /// Whether a table is written anew.
    pub fn rewrites(&self) -> bool {
        self.work.iter().any(|(_, work, _)| *work == Work::Rewrite)
    }

    /// Whether all rows of a table are read.
    pub fn scans(&self) -> bool {
        self.work.iter().any(|(_, work, _)| matches!(work, Work::Scan | Work::Match | Work::Build))
    }
}

/// What a part of a statement costs, at this point of a migration.
pub fn effect(does: &Does, course: &Course) -> Effect {
    match course.engine {
        Engine::Postgres => postgres::effect(does, course),
        Engine::Sqlite => sqlite::effect(does, course),
    }
}
