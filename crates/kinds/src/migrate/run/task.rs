//! What a step of a plan says about one migration: everything that is needed to run it, so that what was shown is what
//! runs, also when the file is another by then.

use crate::migrate::history::History;
use crate::migrate::model::{Migration, Script};
use engine::{Cursor, Error, Result, Step};
use serde::{Deserialize, Serialize};

/// What is done with a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// The table of the history is made.
    Prepare,
    /// The way there.
    Apply,
    /// The way back.
    Revert,
    /// It is marked as in, without being run.
    Baseline,
    /// What another tool's history says of it is taken over.
    Adopt,
    /// It is in, and its file, which has changed since, is taken as it is now.
    Accept,
}

impl Deed {
    /// As plans and histories spell it.
    pub fn name(self) -> &'static str {
        match self {
            Deed::Prepare => "prepare",
            Deed::Apply => "apply",
            Deed::Revert => "revert",
            Deed::Baseline => "baseline",
            Deed::Adopt => "adopt",
            Deed::Accept => "accept",
        }
    }
}

/// What is known of a migration while it runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Brief {
    /// As in the directory.
    pub id: String,
    /// As in the directory.
    pub number: Option<u64>,
    /// As in the directory.
    pub version: String,
    /// As in the directory.
    pub description: String,
    /// Ours.
    pub checksum: String,
    /// That of its tool.
    pub foreign_checksum: Option<String>,
    /// Runs again whenever it has changed.
    pub repeatable: bool,
}

impl Brief {
    /// Of this migration.
    pub fn of(migration: &Migration) -> Self {
        Self {
            id: migration.id.clone(),
            number: migration.number,
            version: migration.version.clone(),
            description: migration.description.clone(),
            checksum: migration.checksum.clone(),
            foreign_checksum: migration.foreign_checksum.clone(),
            repeatable: migration.repeatable,
        }
    }

    /// The migration again, without its scripts, for histories that want one.
    pub fn migration(&self, script: &Script) -> Migration {
        Migration {
            id: self.id.clone(),
            number: self.number,
            version: self.version.clone(),
            description: self.description.clone(),
            checksum: self.checksum.clone(),
            foreign_checksum: self.foreign_checksum.clone(),
            repeatable: self.repeatable,
            up: Script { statements: Vec::new(), ..script.clone() },
            ..Migration::default()
        }
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Of the script; the engine refuses a stored plan when it has changed.
    pub checksum: String,
    /// What is done.
    pub deed: Deed,
    /// With which migration.
    pub brief: Brief,
    /// The way that is gone.
    #[serde(default)]
    pub script: Script,
    /// Must be true before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assert_before: Vec<String>,
    /// Must be true after.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assert_after: Vec<String>,
    /// Statements that are in already.
    #[serde(default)]
    pub done: usize,
    /// Whether the one after these was at work when a process died.
    #[serde(default)]
    pub begun: bool,
    /// Whether it is taken out first by the same plan: then it is no reason to pass over it that it was in.
    #[serde(default)]
    pub again: bool,
    /// What a person says of that one, where the database cannot tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume: Option<Assume>,
    /// The suffix of our own table.
    pub table: String,
    /// The history of another tool that is kept too, and is the one that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
    /// Since when it is in, for what is taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<jiff::Timestamp>,
}

/// What a person says of a statement that was at work when a process died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Assume {
    /// It is in.
    In,
    /// It is not: it is done again.
    Out,
}

impl Task {
    /// That of a step.
    pub fn of(step: &Step) -> Result<Self> {
        serde_json::from_value(step.task.clone())
            .map_err(|error| Error::system("the step of a migration cannot be read").because(error))
    }

    /// Whether all of it is one transaction that can begin at any time.
    pub fn is_plain(&self) -> bool {
        self.done == 0 && !self.begun && (self.script.transaction || self.script.statements.is_empty())
    }
}

/// Where a script that is no single transaction goes on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// So many statements are in.
    #[serde(default)]
    pub at: usize,
    /// What comes next.
    #[serde(default)]
    pub phase: Phase,
}

/// What comes next in a script.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Statements in a transaction, with their record.
    #[default]
    Inside,
    /// A statement outside of transactions; kept before it begins.
    Outside,
    /// The same statement was done before a process died: only its record is missing.
    Recorded,
    /// What a failed attempt left is tidied up.
    Tidy(String),
}

impl Place {
    /// Where this cursor points; none for the beginning of a step.
    pub fn of(cursor: &Cursor) -> Result<Option<Self>> {
        if *cursor == Cursor::default() {
            return Ok(None);
        }
        serde_json::from_value(cursor.0.clone())
            .map(Some)
            .map_err(|error| Error::system("the place in a migration cannot be read").because(error))
    }

    /// As a cursor.
    pub fn cursor(&self) -> Result<Cursor> {
        let json = serde_json::to_value(self)
            .map_err(|error| Error::system("the place in a migration cannot be kept").because(error))?;
        Ok(Cursor(json))
    }
}
