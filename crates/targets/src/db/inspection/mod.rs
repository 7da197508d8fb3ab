//! What a database tells of its health from its catalogue and its counters: plain data, part by part.
//!
//! No row of a user's table is read (a small SQLite file is the exception, and says so), no lock is waited for, and every
//! part has a time limit of its own. What cannot be told is a part that is missing, with the reason and what would help;
//! it never ends the whole look.

mod activity;
mod file;
mod objects;
mod redact;
mod upkeep;

pub use activity::{Connections, Lock, Slow, Talker};
pub use file::FileFacts;
pub use objects::{ConstraintFacts, IndexFacts, ReferenceFacts, SequenceFacts, TableFacts};
pub use redact::without_literals;
pub use upkeep::{
    Archive, Counters, Disk, Horizon, Pinned, PinnedBy, Replica, Replication, Setting, SlotFacts,
};

use super::{Class, Error, Server};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a look may take, and how much it may bring back.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The end of the whole look.
    pub total: Duration,
    /// The end of one part of it.
    pub part: Duration,
    /// At most so many sessions, locks and statements.
    pub most: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { total: Duration::from_secs(10), part: Duration::from_secs(3), most: 50 }
    }
}

/// One part of a look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Section<T> {
    /// It was told.
    Known(T),
    /// This database has no such thing.
    Absent,
    /// It could not be told.
    Missing {
        /// Why.
        why: String,
        /// What would help.
        help: String,
    },
}

impl<T> Section<T> {
    /// What was told, if it was.
    pub fn known(&self) -> Option<&T> {
        match self {
            Section::Known(value) => Some(value),
            _ => None,
        }
    }

    /// The part that an answer is: an error of one question is a missing part, a lost connection is an error of all.
    pub fn of(answer: super::Result<T>) -> super::Result<Self> {
        match answer {
            Ok(value) => Ok(Section::Known(value)),
            Err(error) => Self::missing(error),
        }
    }

    fn missing(error: Error) -> super::Result<Self> {
        let code = error.code.clone().unwrap_or_default();
        let help = error.help.clone();
        let (why, usual) = match code.as_str() {
            "42501" => (error.to_string(), "let a role with `pg_monitor` look: grant pg_monitor to …"),
            "57014" | "9" => ("it took too long and was cut off".to_owned(), "look again at a quieter time"),
            "55P03" | "5" | "6" | "261" | "517" => {
                ("something in it is locked, and no lock is waited for".to_owned(), "look again in a moment")
            }
            // The connection is gone, or the file is no database: nothing else can be told either.
            _ if error.class == Class::Transient && (code.is_empty() || code.starts_with("08")) => {
                return Err(error);
            }
            _ => (error.to_string(), "the rest of the report does not need it"),
        };
        let help = if code == "57014" || code == "9" { None } else { help };
        Ok(Section::Missing { why, help: help.unwrap_or_else(|| usual.to_owned()) })
    }
}

/// All that was told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// Version, role, size.
    pub server: Server,
    /// Every table that holds rows.
    pub tables: Section<Vec<TableFacts>>,
    /// Every index.
    pub indexes: Section<Vec<IndexFacts>>,
    /// Every declared reference.
    pub references: Section<Vec<ReferenceFacts>>,
    /// Constraints that not every row is known to satisfy.
    pub unvalidated: Section<Vec<ConstraintFacts>>,
    /// Sequences, the most used one first.
    pub sequences: Section<Vec<SequenceFacts>>,
    /// What was counted since the counters began.
    pub counters: Section<Counters>,
    /// Who is connected.
    pub connections: Section<Connections>,
    /// Locks on tables.
    pub locks: Section<Vec<Lock>>,
    /// How far transaction ids have come, and what holds clean-up back.
    pub horizon: Section<Horizon>,
    /// Replicas, slots, the archive.
    pub replication: Section<Replication>,
    /// The statements that took most time.
    pub slow: Section<Vec<Slow>>,
    /// Settings that matter to health.
    pub settings: Section<Vec<Setting>>,
    /// The disk on which it lies.
    pub disk: Section<Disk>,
    /// SQLite: the file.
    pub file: Section<FileFacts>,
}

impl Inspection {
    /// Nothing told yet.
    pub fn of(server: Server) -> Self {
        Self {
            server,
            tables: Section::Absent,
            indexes: Section::Absent,
            references: Section::Absent,
            unvalidated: Section::Absent,
            sequences: Section::Absent,
            counters: Section::Absent,
            connections: Section::Absent,
            locks: Section::Absent,
            horizon: Section::Absent,
            replication: Section::Absent,
            slow: Section::Absent,
            settings: Section::Absent,
            disk: Section::Absent,
            file: Section::Absent,
        }
    }

    /// The parts that could not be told: which, why, and what would help.
    pub fn missing(&self) -> Vec<(&'static str, &str, &str)> {
        let mut all = Vec::new();
        macro_rules! look {
            ($($name:ident),*) => {
                $(if let Section::Missing { why, help } = &self.$name {
                    all.push((stringify!($name), why.as_str(), help.as_str()));
                })*
            };
        }
        look!(
            tables,
            indexes,
            references,
            unvalidated,
            sequences,
            counters,
            connections,
            locks,
            horizon,
            replication,
            slow,
            settings,
            disk,
            file
        );
        all
    }
}
