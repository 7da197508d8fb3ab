//! What a purge can be told. The doc comments are the help texts of flags, config keys and the API.

use crate::sweep::{ArchiveFormat, EpochUnitSchema, Policy, Relation, Triggers, Undo, read_options};
use engine::age::Age;
use engine::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use targets::db::EpochUnit;

/// Options of a purge: one target written directly, or several under `targets`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Options {
    /// The target, when there is only one.
    #[serde(flatten)]
    pub target: Target,
    /// Several targets, each with a result of its own. They are worked through in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
    /// What can be put back: `rows` (kept in the database), `archive` (kept in the archive file only) or `none` (for
    /// tokens and caches).
    pub undo: Undo,
}

/// Rows of one table, and what happens to them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Target {
    /// The name of this target in reports. Default: the table's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What people read. Default: the id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The table, with its schema if it is not on the search path.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub table: String,
    /// The column that says how old a row is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_column: Option<String>,
    /// Rows strictly older than this go: `90 days`, `6 months`, `1 year`, `12h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_than: Option<Age>,
    /// The column that says until when a row is good: rows whose time is over go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// What a number in the age column counts: `auto`, `seconds`, `milliseconds` or `microseconds` since 1970.
    #[schemars(with = "EpochUnitSchema")]
    pub epoch_unit: EpochUnit,
    /// The zone of times that have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "zone"))]
    pub zone: Option<String>,
    /// Further ages that must be reached too, such as a day since it was archived.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub and_older: Vec<AndOlder>,
    /// A condition in SQL, over the alias `t`. Only from the configuration or the command line, never from the API.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Keep the newest rows, this many; the rest goes. Newest by `age_column` or `expires`; without one by the key, where the
    /// database itself counts it up (an identity, a serial, a rowid).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_newest: Option<u64>,
    /// With `keep_newest`: keep as many for each value of these columns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub per: Vec<String>,
    /// The oldest rows go until the rest is not larger than this: `5 GB`. Counted are rows, not indexes and free space,
    /// because a table does not shrink when its rows go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<String>,
    /// What happens to the rows: `delete`, or `mark` (set the columns of `mark`).
    pub action: Action,
    /// With `action = "mark"`: columns and their new values. `now` stands for the moment of the run.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub mark: BTreeMap<String, serde_json::Value>,
    /// Write the rows to this file store before they are deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "store"))]
    pub archive: Option<String>,
    /// The form of the archive: `jsonl` (JSON lines, zstd) or `parquet`.
    pub archive_format: ArchiveFormat,
    /// What happens to rows that refer to the doomed ones: `restrict`, `cascade`, `set_null` or `archive`.
    pub dependants: Policy,
    /// The same for single relations, and relations that the database does not declare.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relations: Vec<Relation>,
    /// Triggers that fire on the rows: `refuse`, or `fire` (what they do is not undone).
    pub triggers: Triggers,
    /// When most of a table goes: `batches`, `drop_partitions` (partitions whose rows are all too old are dropped;
    /// without undo) or `refill` (the rows that stay are put aside and the table is emptied; others wait meanwhile).
    pub bulk: Bulk,
}

/// One more age.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AndOlder {
    /// The column.
    pub column: String,
    /// Strictly older than this.
    pub than: Option<Age>,
}

/// What happens to the rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// They are deleted.
    #[default]
    Delete,
    /// Some of their columns are set, such as a status.
    Mark,
}

/// The way when most of a table goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bulk {
    /// Delete in batches.
    #[default]
    Batches,
    /// Drop partitions that hold only doomed rows.
    DropPartitions,
    /// Put the rows that stay aside, empty the table and refill it, in one transaction that keeps others out.
    Refill,
}

impl Options {
    /// Refuses what is wrong whatever the database is like, so that `sexton config check` finds it.
    pub fn check(&self) -> engine::Result<()> {
        let targets = self.all_targets();
        if targets.is_empty() {
            return Err(Error::usage("a purge needs a table").help("say `table = \"…\"`, or `--table`"));
        }
        targets.iter().try_for_each(Target::check)
    }

    /// Reads options.
    pub fn read(options: &serde_json::Value) -> Result<Options> {
        read_options("purge", options)
    }

    /// All targets, the one written directly first.
    pub fn all_targets(&self) -> Vec<Target> {
        let mut all = Vec::new();
        if !self.target.table.is_empty() {
            all.push(self.target.clone());
        }
        all.extend(self.targets.iter().cloned());
        all
    }
}

impl Target {
    /// Whether `mark` sets this column to the moment of the run.
    pub fn is_now(&self, column: &str) -> bool {
        self.mark.get(column).and_then(|value| value.as_str()) == Some("now")
    }

    /// A rule without any limit would empty the table.
    fn check(&self) -> engine::Result<()> {
        if let Some(age) = &self.older_than {
            age.span()?;
        }
        if self.table.is_empty() {
            return Err(Error::usage("a target has no `table`").help("say `table = \"…\"`"));
        }
        if self.older_than.is_some() && self.age_column.is_none() {
            let what =
                format!("`older_than` of `{}` needs the column that says how old a row is", self.table);
            return Err(Error::usage(what).help("say `age_column = \"created_at\"`"));
        }
        let limited = self.older_than.is_some()
            || self.expires.is_some()
            || self.condition.is_some()
            || self.keep_newest.is_some()
            || self.max_size.is_some()
            || !self.and_older.is_empty();
        if !limited {
            let what = format!("the rule for `{}` has no limit: every row would go", self.table);
            return Err(
                Error::usage(what).help("say `older_than`, `expires`, `where`, `keep_newest` or `max_size`")
            );
        }
        if self.action == Action::Mark && self.mark.is_empty() {
            return Err(Error::usage("`action = \"mark\"` needs columns to set")
                .help("say `mark = { status = \"archived\" }`"));
        }
        Ok(())
    }
}
