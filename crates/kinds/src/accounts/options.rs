//! What an accounts operation can be told. The doc comments are the help texts of flags, config keys and the API.

use crate::purge::Target;
use crate::sweep::{self, ArchiveFormat, Triggers, Undo};
use engine::age::Age;
use engine::{Error, Planning, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Options of an accounts operation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What to do: `archive` (accounts leave the live tables) or `restore` (they come back from the archive table).
    pub action: Action,
    /// The table of accounts, with its schema if it is not on the search path.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub table: String,
    /// The column that says since when an account is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_column: Option<String>,
    /// Accounts that are over for strictly longer than this go: `6 months`, `90 days`, `1 year`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_than: Option<Age>,
    /// A condition in SQL, over the alias `t`. Only from the configuration or the command line, never from the API.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The zone of times that have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "zone"))]
    pub zone: Option<String>,
    /// The table of the database in which accounts are kept, each as one JSON document with its dependants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive_table: Option<ArchiveTable>,
    /// The file store to which accounts and dependants are written, row by row.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "store"))]
    pub archive: Option<String>,
    /// The form of the archive files: `jsonl` (JSON lines, zstd) or `parquet`.
    pub archive_format: ArchiveFormat,
    /// Entries of the archive table that are older than this go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive_keep: Option<Age>,
    /// Columns of the account to overwrite: `{ email = "gone-{id}@example.invalid", status = "archived" }`. `{column}` stands
    /// for a value of the row, `now` for the moment of the run, `{ sql = "…" }` for an expression over the alias `t`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub anonymise: BTreeMap<String, Json>,
    /// Delete the account instead.
    pub delete: bool,
    /// What happens to rows that refer to an account, unless `relations` says otherwise: `archive`, `delete`, `keep` or
    /// `set_null`.
    pub dependants: Policy,
    /// The same for single relations, and relations that the database does not declare.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relations: Vec<Relation>,
    /// Accounts to report only: those that have not been seen for long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inactive: Option<Inactive>,
    /// With `restore`: the keys of the accounts to bring back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<String>,
    /// With `restore`: columns of the account to set, such as its status, so that the next run leaves it alone.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub on_restore: BTreeMap<String, Json>,
    /// Triggers that fire on the rows: `refuse`, or `fire` (what they do is not undone).
    pub triggers: Triggers,
    /// What can be put back: `rows` (kept in the database) or `none`.
    pub undo: Undo,
}

/// What to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Accounts leave the live tables.
    #[default]
    Archive,
    /// Accounts come back.
    Restore,
}

/// Where accounts are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ArchiveTable {
    /// The table.
    pub table: String,
    /// The column for the account's key.
    pub key: String,
    /// The column for the moment.
    pub at: String,
    /// The column for the document: JSON or text.
    pub data: String,
}

/// What happens to rows that refer to an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// They are archived with it and deleted.
    #[default]
    Archive,
    /// They are deleted.
    Delete,
    /// They stay as they are.
    Keep,
    /// They are archived with it and their reference becomes NULL.
    SetNull,
    /// They are archived with it and some of their columns are overwritten.
    Anonymise,
}

impl Policy {
    /// Whether the archive has the rows.
    pub fn archives(self) -> bool {
        matches!(self, Policy::Archive | Policy::SetNull | Policy::Anonymise)
    }

    /// Whether rows of the relation go.
    pub fn removes(self) -> bool {
        matches!(self, Policy::Archive | Policy::Delete)
    }

    /// As the configuration spells it.
    pub fn name(self) -> &'static str {
        match self {
            Policy::Archive => "archive",
            Policy::Delete => "delete",
            Policy::Keep => "keep",
            Policy::SetNull => "set_null",
            Policy::Anonymise => "anonymise",
        }
    }
}

/// One relation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Relation {
    /// The table that refers.
    pub table: String,
    /// The table referred to, where that is not the table of accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Its referring columns. Default: those of the declared reference.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The columns referred to. Default: those of the declared reference, or the key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parent_columns: Vec<String>,
    /// What happens to its rows: `archive`, `delete`, `keep`, `set_null` or `anonymise`.
    pub policy: Policy,
    /// With `anonymise`: columns to overwrite, as in `anonymise` of the account.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub anonymise: BTreeMap<String, Json>,
}

/// Accounts that are only reported.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Inactive {
    /// The column that says when an account was last seen.
    pub age_column: String,
    /// Not seen for longer than this.
    pub older_than: Option<Age>,
}

impl Options {
    /// Reads options, and refuses what is wrong whatever the database is like.
    pub fn read(said: &Json) -> Result<Options> {
        let options: Options = serde_json::from_value(said.clone()).map_err(|error| {
            Error::usage(format!("the options of accounts cannot be read: {error}"))
                .help("`sexton help accounts` shows the options and what they take")
        })?;
        options.check()?;
        Ok(options)
    }

    /// The rule, in the form that purge has it.
    pub fn target(&self) -> Target {
        Target {
            table: self.table.clone(),
            age_column: self.age_column.clone(),
            older_than: self.older_than.clone(),
            condition: self.condition.clone(),
            zone: self.zone.clone(),
            ..Target::default()
        }
    }

    /// What can be put back; how large it will be nobody knows before the documents are made.
    pub fn undo(&self, planning: &Planning) -> Result<engine::Undo> {
        Ok(match sweep::undo(self.undo, None, &[], planning)? {
            engine::Undo::Rows { until, .. } => engine::Undo::Rows { until, bytes: None },
            other => other,
        })
    }

    fn check(&self) -> Result<()> {
        let refuse = |what: &str, help: &str| Err(Error::usage(what.to_owned()).help(help));
        if self.table.is_empty() {
            return refuse("which table holds the accounts?", "say `table = \"users\"`");
        }
        for age in self.older_than.iter().chain(&self.archive_keep) {
            age.span()?;
        }
        if self.undo == Undo::Archive {
            return refuse(
                "accounts are brought back by their own action",
                "say `undo = \"rows\"` or `\"none\"`",
            );
        }
        if self.archive_keep.is_some() && self.archive_table.is_none() {
            return refuse(
                "`archive_keep` is about the archive table",
                "say `archive_table = { table = \"…\" }`",
            );
        }
        if self.action == Action::Restore {
            return match (&self.archive_table, self.accounts.is_empty()) {
                (None, _) => refuse(
                    "accounts are brought back from an archive table",
                    "rows of archive files come back with `sexton restore-archive`",
                ),
                (_, true) => {
                    refuse("which accounts are to be brought back?", "say `--set accounts='[\"42\"]'`")
                }
                _ => Ok(()),
            };
        }
        if self.older_than.is_none() && self.condition.is_none() {
            return refuse(
                "the rule for accounts has no limit: every account would go",
                "say `age_column` and `older_than`, or `where`",
            );
        }
        if self.delete != self.anonymise.is_empty() {
            return refuse(
                "an account is either anonymised or deleted",
                "say `anonymise = { email = \"gone-{id}@example.invalid\" }`, or `delete = true`",
            );
        }
        if self.dependants == Policy::Anonymise {
            return refuse("each relation has columns of its own to overwrite", "say it in `relations`");
        }
        for relation in &self.relations {
            if (relation.policy == Policy::Anonymise) == relation.anonymise.is_empty() {
                return refuse(
                    &format!("what of `{}` is to be overwritten?", relation.table),
                    "`policy = \"anonymise\"` and `anonymise = { column = \"value\" }` go together",
                );
            }
        }
        if self.archive_table.is_none() && self.archive.is_none() {
            return refuse(
                "accounts need an archive",
                "say `archive_table = { table = \"archived_accounts\", key = \"user_id\", at = \"archived_at\", data = \"data\" }`, \
                 or `archive = \"STORE\"`",
            );
        }
        Ok(())
    }
}
