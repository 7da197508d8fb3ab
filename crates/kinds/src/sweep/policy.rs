//! What every kind that removes rows can be told about those that hang on them, about triggers, archives and undo.
//!
//! The doc comments are the help texts of flags, config keys and the API.

use engine::Finding;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use targets::db::{Table, Trigger};

/// What happens to rows that refer to the doomed ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Rows that others refer to stay.
    #[default]
    Restrict,
    /// They go too.
    Cascade,
    /// Their reference becomes NULL.
    SetNull,
    /// They are written to the archive and go too.
    Archive,
}

impl Policy {
    /// Whether rows of the relation go.
    pub fn removes(self) -> bool {
        matches!(self, Policy::Cascade | Policy::Archive)
    }

    /// As the configuration spells it.
    pub fn name(self) -> &'static str {
        match self {
            Policy::Restrict => "restrict",
            Policy::Cascade => "cascade",
            Policy::SetNull => "set_null",
            Policy::Archive => "archive",
        }
    }
}

/// One relation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Relation {
    /// The table that refers.
    pub table: String,
    /// The table referred to, where the relation is not declared and that is not the target's own table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Its referring columns. Default: those of the declared reference.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The columns referred to. Default: those of the declared reference, or the key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parent_columns: Vec<String>,
    /// What happens to its rows.
    pub policy: Policy,
}

/// What to do about triggers on the rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Triggers {
    /// Do not run.
    #[default]
    Refuse,
    /// Let them fire; what they do is not undone.
    Fire,
}

impl Triggers {
    /// What is told of a trigger that fires on rows of the table.
    pub fn finding(self, table: &Table, trigger: &Trigger) -> Finding {
        let what = format!("trigger `{}` fires on every row; what it does is not remembered", trigger.name);
        match self {
            Triggers::Refuse => Finding::refuse(
                "trigger",
                &table.name,
                what,
                "look at the trigger; allow it with `triggers = \"fire\"`",
            ),
            Triggers::Fire => Finding::warning("trigger", &table.name, what, "what it does cannot be undone"),
        }
    }
}

/// The form of an archive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ArchiveFormat {
    /// JSON lines, compressed with zstd.
    #[default]
    Jsonl,
    /// Parquet.
    Parquet,
}

/// What can be put back afterwards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// Undo rows in the database, for as long as `undo.keep` says.
    #[default]
    Rows,
    /// Only the archive file; needs `archive`.
    Archive,
    /// Nothing.
    None,
}
