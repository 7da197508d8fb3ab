//! What a check can be told. The doc comments are the help texts of flags, config keys and the API.

use engine::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of a check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Have the database check its own pages and indexes. It reads all of them: give a large one quiet hours.
    pub integrity: bool,
    /// Look up every reference that the database declares, enforced or not.
    pub foreign_keys: bool,
    /// Look at a copy of the file, made in one go, so that the file itself is not held meanwhile. SQLite; PostgreSQL is looked
    /// at beside its writers in any case.
    pub on_copy: bool,
    /// Conditions that no row may meet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Of every fault so many are listed; all are counted.
    pub limit: usize,
}

/// One rule of your own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What it is called in the report, such as `orphaned_workers`.
    pub name: String,
    /// The table whose rows are looked at.
    pub table: String,
    /// What a row that breaks the rule meets, in SQL over the alias `t`. Only from the configuration or the command line.
    #[serde(rename = "where")]
    pub condition: String,
    /// The column that names such a row; its primary key unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Under which name their list stands in the report.
    #[serde(default = "ids")]
    pub ids: String,
}

fn ids() -> String {
    "ids".to_owned()
}

impl Default for Options {
    fn default() -> Self {
        Self { integrity: true, foreign_keys: true, on_copy: false, rules: Vec::new(), limit: 100 }
    }
}

impl Options {
    /// Reads options; an unknown one is refused.
    pub fn read(options: &serde_json::Value) -> Result<Self> {
        if options.is_null() {
            return Ok(Self::default());
        }
        let options: Self = serde_json::from_value(options.clone()).map_err(|error| {
            Error::usage(format!("the options of `check` cannot be read: {error}"))
                .help("`sexton help check` shows the options and what they take")
        })?;
        let reserved = |rule: &&Rule| matches!(rule.ids.as_str(), "type" | "count" | "error");
        if let Some(rule) = options.rules.iter().find(reserved) {
            return Err(Error::usage(format!(
                "the list of rule `{}` cannot be called `{}`",
                rule.name, rule.ids
            ))
            .help("`type`, `count` and `error` are taken; `ids` is the usual name"));
        }
        Ok(options)
    }
}
