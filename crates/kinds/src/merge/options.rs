//! What a merge can be told. The doc comments are the help texts of flags, config keys and the API.

use crate::sweep::Triggers;
use engine::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Options of a merge.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The table whose duplicates become one row.
    pub table: String,
    /// What makes rows duplicates: columns, or `{ expression = "lower(trim(t.email))" }`. With `tree`: of roots.
    pub by: Vec<Same>,
    /// NULL equals NULL. Otherwise a row with a NULL among `by` has no duplicate.
    pub nulls_equal: bool,
    /// A condition in SQL, over the alias `t`: other rows are left alone. With `tree` it is about roots. Only from the
    /// configuration or the command line, never from the API.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The column whose values part the table, such as `application_id`: rows of different values are never merged, and
    /// each value is a transaction and an undo point of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Only these values of `scope`, at once and whatever failed before: an application that has just found a duplicate of its
    /// own has it merged without waiting for the clean-up of all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// Which row stays, first rule first: `most_dependants`, `most TABLE`, `oldest`, `newest` (by `age_column`),
    /// `lowest_key`, `highest_key`, `highest COLUMN`, `lowest COLUMN`, `COLUMN = VALUE`. What is still even then is decided by the lowest key.
    /// Default: most dependants, then oldest where there is an `age_column`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub survivor: Vec<String>,
    /// The column that says how old a row is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_column: Option<String>,
    /// What the surviving row takes over: column = `first_non_empty`, `newest`, `sum`, `min`, `max` or `longest`. Other
    /// columns stay as they are.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, FieldRule>,
    /// The table is a tree: where roots merge, children of the same name merge too, at every depth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<Tree>,
    /// References that the database does not declare. Declared ones are found by themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Declared>,
    /// What happens to rows of other tables that would be in each other's way afterwards.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_clash: Vec<OnClash>,
    /// At most this many scopes in one run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_scopes: Option<u64>,
    /// Try scopes again that failed before, without waiting for their time.
    pub retry_failed: bool,
    /// `merge`, `check` (count duplicates, change nothing) or `verify` (look for every fault, change nothing).
    pub mode: Mode,
    /// With `mode = "check"`: alert when more scopes than this have duplicates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u64>,
    /// Triggers that fire on the rows: `refuse`, or `fire` (what they do is not undone).
    pub triggers: Triggers,
    /// What can be put back: `rows` (kept in the database) or `none`.
    pub undo: Undo,
}

/// What must be the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Same {
    /// The value of a column.
    Column(String),
    /// The value of an expression in SQL, over the alias `t`.
    Expression {
        /// Such as `lower(trim(t.email))`. Only from the configuration or the command line, never from the API.
        expression: String,
    },
}

/// How the table is a tree.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tree {
    /// The column that refers to the row above; NULL for roots.
    pub parent: String,
    /// What makes children of one parent the same: columns or expressions, as in `by`.
    pub siblings: Vec<Same>,
}

/// How a column of the surviving row takes over values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldRule {
    /// Its own value, unless that is NULL or empty: then the first that is not.
    FirstNonEmpty,
    /// That of the newest row that has one.
    Newest,
    /// The sum of all.
    Sum,
    /// The least of all.
    Min,
    /// The greatest of all.
    Max,
    /// The longest text.
    Longest,
}

/// A reference that the database does not declare.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Declared {
    /// The table that refers.
    pub table: String,
    /// Its referring columns.
    pub columns: Vec<String>,
    /// The table referred to, if not the merged one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The columns referred to. Default: the key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parent_columns: Vec<String>,
}

/// What happens to rows that would be in each other's way.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OnClash {
    /// The table that refers to the merged one.
    pub table: String,
    /// The columns that, beside the reference, make rows clash, such as `name`. Default: those of its unique keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// `fold` (one row stays and takes over what hangs on the other), `rename` (`a.txt` becomes `a (2).txt`), `keep`
    /// (both, where no unique key forbids it) or `refuse`.
    pub policy: Policy,
    /// With `rename`: the column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rename: Option<String>,
    /// Rows that agree in these columns too are the same thing, such as `content_hash`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub same: Vec<String>,
    /// With `same`: what happens to those, `keep`, `fold`, `rename` or `refuse`. Default: `keep`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub if_same: Option<Policy>,
    /// With `fold`: what the row that stays takes over, as in `fields` above.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, FieldRule>,
}

/// What happens to a row that is in another's way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Do not run.
    #[default]
    Refuse,
    /// Both stay as they are.
    Keep,
    /// It gets another name.
    Rename,
    /// It becomes one with the other.
    Fold,
}

/// What to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Merge.
    #[default]
    Merge,
    /// Count duplicates.
    Check,
    /// Look for every fault.
    Verify,
}

/// What can be put back afterwards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// Undo rows in the database, for as long as `undo.keep` says.
    #[default]
    Rows,
    /// Nothing.
    None,
}

impl Options {
    /// Reads options.
    pub fn read(options: &serde_json::Value) -> Result<Options> {
        serde_json::from_value(options.clone()).map_err(|error| {
            Error::usage(format!("the options of a merge cannot be read: {error}"))
                .help("`sexton help merge` shows the options and what they take")
        })
    }

    /// Refuses what is wrong whatever the database is like, so that `sexton config check` finds it.
    pub fn check(&self) -> Result<()> {
        let refuse = |what: &str, help: &str| Err(Error::usage(what.to_owned()).help(help));
        if self.table.is_empty() {
            return refuse("a merge needs a table", "say `table = \"…\"`, or `--table`");
        }
        if self.by.is_empty() {
            return refuse("a merge must know what makes rows duplicates", "say `by = [\"email\"]`");
        }
        if self.tree.as_ref().is_some_and(|tree| tree.siblings.is_empty()) {
            return refuse(
                "a tree must know what makes children the same",
                "say `tree = { parent = \"parent_id\", siblings = [\"name\"] }`",
            );
        }
        let renames = |rule: &&OnClash| {
            rule.rename.is_none() && (rule.policy == Policy::Rename || rule.if_same == Some(Policy::Rename))
        };
        if let Some(rule) = self.on_clash.iter().find(renames) {
            return refuse(
                &format!("rows of `{}` are to be renamed, but no column is named", rule.table),
                "say `rename = \"name\"`",
            );
        }
        let aged = |rule: &String| matches!(rule.trim(), "oldest" | "newest");
        if self.age_column.is_none()
            && (self.survivor.iter().any(aged) || self.fields.values().any(|rule| *rule == FieldRule::Newest))
        {
            return refuse(
                "`oldest` and `newest` need to know how old a row is",
                "say `age_column = \"created_at\"`",
            );
        }
        if self.scope.is_none() && !self.only.is_empty() {
            return refuse(
                "`only` needs a `scope`",
                "say `scope = \"…\"`: the column whose values `only` lists",
            );
        }
        if self.mode != Mode::Merge && !self.only.is_empty() {
            return refuse("`only` is about merging", "leave it out, or say `mode = \"merge\"`");
        }
        if self.scope.is_none() && self.max_scopes.is_some() {
            return refuse(
                "`max_scopes` needs a `scope`",
                "say `scope = \"…\"`, or limit rows with `max_rows`",
            );
        }
        Ok(())
    }
}
