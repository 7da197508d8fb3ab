//! What a compaction can be told. The doc comments are the help texts of flags, config keys and the API.

use engine::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of a compaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// These tables, whatever the limits say. Without names: those above both limits. (A file of SQLite is one thing.)
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// A table is worth it from this share of wasted space on, in per cent (SQLite: of free pages). What is below is for new
    /// rows.
    #[schemars(range(min = 0))]
    pub if_bloat_over: f64,
    /// Leave a table alone of which less than so much would come back, in MB.
    pub at_least_mb: u64,
    /// PostgreSQL: triggers and rules that would fire when a row is written again, although none of its values changes:
    /// "refuse" leaves such a table alone, "silence" keeps them from firing, which the role must be allowed to.
    pub triggers: Triggers,
    /// PostgreSQL: afterwards build the indexes of a table anew, beside those who read and write, where they waste more than
    /// `if_index_bloat_over`.
    pub reindex: bool,
    /// An index is worth it from this share of wasted space on, in per cent.
    #[schemars(range(min = 0))]
    pub if_index_bloat_over: f64,
}

/// What to do about triggers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Triggers {
    /// Leave the table alone.
    #[default]
    Refuse,
    /// Keep them from firing.
    Silence,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tables: Vec::new(),
            if_bloat_over: 20.0,
            at_least_mb: 16,
            triggers: Triggers::default(),
            reindex: true,
            if_index_bloat_over: 30.0,
        }
    }
}

impl Options {
    /// Reads options; an unknown one is refused.
    pub fn read(options: &serde_json::Value) -> Result<Self> {
        if options.is_null() {
            return Ok(Self::default());
        }
        let options: Self = serde_json::from_value(options.clone()).map_err(|error| {
            Error::usage(format!("the options of `compact` cannot be read: {error}"))
                .help("`sexton help compact` shows the options and what they take")
        })?;
        for (name, share) in
            [("if_bloat_over", options.if_bloat_over), ("if_index_bloat_over", options.if_index_bloat_over)]
        {
            if !(0.0..100.0).contains(&share) {
                return Err(Error::usage(format!("`{name}` is no share of a hundred"))
                    .help("20 is usual for tables, 30 for indexes"));
            }
        }
        Ok(options)
    }
}
