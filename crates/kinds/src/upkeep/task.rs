//! What a step is about, as it is kept in the plan.

use engine::{Error, Result, Step};
use serde::{Deserialize, Serialize};
use targets::db::{Chore, TableName};

/// What is looked after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Object {
    /// A table.
    Table {
        /// Which.
        name: TableName,
    },
    /// An index.
    Index {
        /// Which.
        name: TableName,
        /// Of which table.
        table: TableName,
    },
    /// A materialised view.
    View {
        /// Which.
        name: TableName,
    },
    /// The whole file.
    File,
}

impl Object {
    /// The name for people and for the list of failures.
    pub fn said(&self) -> String {
        match self {
            Object::Table { name } | Object::Index { name, .. } | Object::View { name } => name.to_string(),
            Object::File => "the file".to_owned(),
        }
    }

    /// The table whose upkeep tells about it.
    pub fn table(&self) -> Option<&TableName> {
        match self {
            Object::Table { name } | Object::View { name } => Some(name),
            Object::Index { table, .. } => Some(table),
            Object::File => None,
        }
    }
}

/// Figures of an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Dead rows, or free pages of a file.
    pub dead: Option<u64>,
    /// How large it is.
    pub bytes: Option<u64>,
}

/// What a step needs to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// What it is about.
    pub object: Object,
    /// What is done to it, in order.
    pub chores: Vec<Chore>,
    /// As it was when it was planned.
    pub before: Figures,
    /// Why.
    pub why: String,
    /// Whether it failed when it was last tried.
    pub failed: bool,
}

impl Task {
    /// Reads the task of a step.
    pub fn of(step: &Step) -> Result<Self> {
        serde_json::from_value(step.task.clone())
            .map_err(|error| Error::system("the step of a plan cannot be read").because(error))
    }

    /// Its step.
    pub fn step(&self, action: &str, facts: Vec<(String, String)>, statements: Vec<String>) -> Result<Step> {
        let said = self.object.said();
        let task = serde_json::to_value(self)
            .map_err(|error| Error::system("a step cannot be written down").because(error))?;
        let mut facts = facts;
        facts.insert(0, ("why".to_owned(), self.why.clone()));
        Ok(Step { facts, statements, task, ..new_step(&said, action) })
    }
}

/// A step about an object whose rows do not count.
fn new_step(object: &str, action: &str) -> Step {
    Step {
        id: format!("{action} {object}"),
        label: object.to_owned(),
        action: action.to_owned(),
        object: object.to_owned(),
        batches: 1,
        ..Step::default()
    }
}

/// Bytes for people.
pub fn bytes_said(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
