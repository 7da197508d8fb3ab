//! What `orphans` can be told. The doc comments are the help texts of flags, config keys and the API.

use crate::sweep::{ArchiveFormat, Policy, Relation, Triggers, Undo, read_options};
use engine::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of `orphans`: one target written directly, or several under `targets`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Options {
    /// The target, when there is only one.
    #[serde(flatten)]
    pub target: Target,
    /// Several targets, each with a result of its own. They are worked through in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
    /// What can be put back: `rows` (kept in the database), `archive` (kept in the archive file only) or `none`.
    pub undo: Undo,
    /// Only look, at the whole database: count the orphans of every declared reference and of every column that by name
    /// and type looks like one. Changes nothing and needs no `table`.
    pub scan: bool,
    /// With `scan`: look at about this many rows of each table, the first ones; 0 for all.
    pub scan_rows: u64,
    /// With `scan`: only references of these tables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scan_only: Vec<String>,
}

/// Rows of one table whose parent is missing, and what happens to them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Target {
    /// The name of this target in reports. Default: the table's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What people read. Default: the id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The table whose rows refer to parents, with its schema if it is not on the search path.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub table: String,
    /// The referring columns. Default: those of the declared references (to `parent`, where that is said).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The table referred to. Default: that of the declared reference with these columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The columns referred to. Default: those of the declared reference, or the parent's key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parent_columns: Vec<String>,
    /// A condition in SQL, over the alias `p`, that a parent must satisfy: a row is an orphan too when its parent does
    /// not. Only from the configuration or the command line, never from the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_where: Option<String>,
    /// For references that name their table in a column of their own (`commentable_type`): that column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_column: Option<String>,
    /// With `type_column`: its value for this parent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_value: Option<String>,
    /// For references inside a JSON column: the way to them, `$.lesson_ids`, `$.author.id` or
    /// `$.blocks[*].lesson_id`; one id, or a list of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<String>,
    /// Several references of the table: a row is an orphan when any of them finds no parent, and is counted once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    /// Only rows that satisfy this condition in SQL, over the alias `t`. Only from the configuration or the command line,
    /// never from the API.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// What happens to orphans: `delete`, `set_null` (the reference), `reassign` (refer to `to`), `quarantine` (move
    /// them to a table of their own), or `remove` (the dangling ids out of the JSON column).
    pub policy: Mend,
    /// With `policy = "reassign"`: the key of the parent that takes them; a list for a key of several columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<serde_json::Value>,
    /// With `policy = "quarantine"`: the table they are moved to; made when it is missing. Default: the table's name
    /// with `_quarantine`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine_table: Option<String>,
    /// Go on although no parent is there at all. Otherwise that is taken for the wrong database, or a wrong condition.
    pub allow_no_parents: bool,
    /// Write the rows to this file store before they are deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "store"))]
    pub archive: Option<String>,
    /// The form of the archive: `jsonl` (JSON lines, zstd) or `parquet`.
    pub archive_format: ArchiveFormat,
    /// What happens to rows that refer to orphans which go: `restrict`, `cascade`, `set_null` or `archive`.
    pub dependants: Policy,
    /// The same for single relations, and relations that the database does not declare.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relations: Vec<Relation>,
    /// Triggers that fire on the rows: `refuse`, or `fire` (what they do is not undone).
    pub triggers: Triggers,
}

/// One reference of a table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reference {
    /// The referring columns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The table referred to. Default: that of the declared reference with these columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The columns referred to. Default: those of the declared reference, or the parent's key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parent_columns: Vec<String>,
    /// A condition in SQL, over the alias `p`, that a parent must satisfy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_where: Option<String>,
    /// The column that names the table referred to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_column: Option<String>,
    /// With `type_column`: its value for this parent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_value: Option<String>,
    /// The way to the references inside a JSON column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<String>,
}

/// What happens to orphans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mend {
    /// They are deleted.
    #[default]
    Delete,
    /// Their reference becomes NULL.
    SetNull,
    /// They get another parent.
    Reassign,
    /// They are moved to a table of their own.
    Quarantine,
    /// The dangling ids are removed from the JSON column.
    Remove,
}

impl Mend {
    /// Whether the rows leave their table.
    pub fn takes_rows(self) -> bool {
        matches!(self, Mend::Delete | Mend::Quarantine)
    }
}

impl Options {
    /// Reads options.
    pub fn read(options: &serde_json::Value) -> Result<Options> {
        read_options("orphans", options)
    }

    /// Refuses what is wrong whatever the database is like, so that `sexton config check` finds it.
    pub fn check(&self) -> Result<()> {
        let targets = self.all_targets();
        if targets.is_empty() && !self.scan {
            return Err(Error::usage("`orphans` needs a table")
                .help("say `table = \"…\"`, or look at the whole database with `sexton orphans scan`"));
        }
        targets.iter().try_for_each(Target::check)
    }

    /// All targets, the one written directly first.
    pub fn all_targets(&self) -> Vec<Target> {
        let direct = (!self.target.table.is_empty()).then(|| self.target.clone());
        direct.into_iter().chain(self.targets.iter().cloned()).collect()
    }
}

impl Target {
    /// All references, the one written directly first. None at all means the declared ones.
    pub fn all_references(&self) -> Vec<Reference> {
        let direct = Reference {
            columns: self.columns.clone(),
            parent: self.parent.clone(),
            parent_columns: self.parent_columns.clone(),
            parent_where: self.parent_where.clone(),
            type_column: self.type_column.clone(),
            type_value: self.type_value.clone(),
            json: self.json.clone(),
        };
        let said = direct != Reference::default() || self.references.is_empty();
        said.then_some(direct).into_iter().chain(self.references.iter().cloned()).collect()
    }

    fn check(&self) -> Result<()> {
        let refuse = |what: String, help: &str| Err(Error::usage(what).help(help));
        if self.table.is_empty() {
            return refuse("a target has no `table`".to_owned(), "say `table = \"…\"`");
        }
        let references = self.all_references();
        for reference in &references {
            reference.check(&self.table)?;
        }
        let in_json = references.iter().filter(|reference| reference.json.is_some()).count();
        match self.policy {
            Mend::Reassign if self.to.is_none() => refuse(
                format!("`policy = \"reassign\"` of `{}` needs the parent that takes the rows", self.table),
                "say `to = 1`, with the key of that parent",
            ),
            Mend::Reassign if references.len() > 1 => refuse(
                format!("`policy = \"reassign\"` of `{}` is for one reference", self.table),
                "give each reference a target of its own under `targets`",
            ),
            Mend::SetNull | Mend::Reassign if in_json > 0 => refuse(
                format!(
                    "a reference inside JSON of `{}` cannot be set to NULL or to another one",
                    self.table
                ),
                "use `policy = \"remove\"` to take dangling ids out, or `delete` or `quarantine` for whole rows",
            ),
            Mend::Remove if in_json != references.len() => refuse(
                format!("`policy = \"remove\"` of `{}` is for references inside JSON", self.table),
                "say `json = \"$.ids\"`, or use `policy = \"set_null\"`",
            ),
            Mend::Remove if in_json > 1 => refuse(
                format!("`policy = \"remove\"` of `{}` is for one reference", self.table),
                "give each reference a target of its own under `targets`",
            ),
            _ if self.to.is_some() && self.policy != Mend::Reassign => {
                refuse("`to` is for `policy = \"reassign\"`".to_owned(), "say `policy = \"reassign\"`")
            }
            _ if self.archive.is_some() && self.policy != Mend::Delete => {
                refuse("`archive` is for `policy = \"delete\"`".to_owned(), "say `policy = \"delete\"`")
            }
            _ => Ok(()),
        }
    }
}

impl Reference {
    fn check(&self, table: &str) -> Result<()> {
        if self.type_column.is_some() != self.type_value.is_some() {
            return Err(Error::usage(format!(
                "a reference of `{table}` says only one of `type_column` and `type_value`"
            ))
            .help("say both: `type_column = \"commentable_type\"`, `type_value = \"Lesson\"`"));
        }
        let undeclared = self.json.is_some() || self.type_column.is_some();
        if undeclared && (self.columns.is_empty() || self.parent.is_none()) {
            return Err(Error::usage(format!("a reference of `{table}` has no `columns` or no `parent`"))
                .help(
                    "no database can declare such a reference: say `columns = [\"…\"]` and `parent = \"…\"`",
                ));
        }
        if self.json.is_some() && self.columns.len() != 1 {
            return Err(Error::usage(format!("a reference inside JSON of `{table}` is in one column"))
                .help("say `columns = [\"data\"]`, `json = \"$.ids\"`"));
        }
        Ok(())
    }
}
