//! What a conversion can be told. The doc comments are the help texts of flags, config keys and the API.

use crate::sweep::{Triggers, Undo};
use engine::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Options of a conversion: which rows, how they are converted (`set`, or `jq` and `columns`), and where the result goes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The table whose rows are converted, with its schema if it is not on the search path.
    pub table: String,
    /// A condition in SQL, over the alias `t`: the rows to convert. Best one that no longer holds for a converted row, such as
    /// `slug is null`. Only from the configuration or the command line, never from the API.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// In SQL: columns and the expressions, over `t`, whose values they get.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    /// In jq: a program that gets each row as an object and gives what becomes of it. Nothing: the row is left as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jq: Option<String>,
    /// The same from a file, seen from the configuration's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "path"))]
    pub jq_file: Option<String>,
    /// What the program finds under `$name`. Texts among them can be used in `file` too.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, Json>,
    /// The columns that the program gets. Default: all but bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub input: Vec<String>,
    /// Columns that hold JSON as text: the program gets the value, not the text. JSON columns need not be named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parse: Vec<String>,
    /// Columns that must hold plain text. Rows in which one is NULL, bytes, or a JSON object or list are left as they are
    /// and counted as skipped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub text: Vec<String>,
    /// Where the result goes: `columns` of the row, rows of another `table`, or a `file`.
    pub into: Into,
    /// Columns and their new values: an expression in jq over what the program gives (over the row without `jq`), such as
    /// `".name | ascii_downcase"`, or a rule: `{ from = "price", default = 0, as = "number" }`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, Json>,
    /// With `into = "table"`: the table that gets the rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub into_table: Option<String>,
    /// With `into = "file"`: the file store.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "store"))]
    pub store: Option<String>,
    /// With `into = "file"`: the name of the file in the store, `{name}` standing for a column of the row or a text of
    /// `args`, `{$n}` for the number of the value, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What is written into a file: `json` (whatever the program gives), or `text` (it gives texts).
    pub file_form: FileForm,
    /// What happens where the file, or a row with the same key, is there already: `keep` (the row is skipped), or `replace` (files
    /// only; undo brings the old one back).
    pub existing: Existing,
    /// With `into = "table"` or `"file"`: every value that the program gives becomes a row or a file. Otherwise it may give
    /// one at most.
    pub per_value: bool,
    /// Remember in the database which rows were converted, so that none is converted twice. Default: when no condition can tell,
    /// and always for files and other tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remember: Option<bool>,
    /// Triggers that fire on the changed rows: `refuse`, or `fire` (what they do is not undone).
    pub triggers: Triggers,
    /// What can be put back: `rows` (kept in the database), or `none`.
    pub undo: Undo,
}

/// Where the result goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Into {
    /// Into columns of the row itself.
    #[default]
    Columns,
    /// Into rows of another table.
    Table,
    /// Into a file.
    File,
}

/// What is written into a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileForm {
    /// The value as JSON.
    #[default]
    Json,
    /// The text that the program gives.
    Text,
}

/// What happens where something is there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Existing {
    /// It stays, and the row is skipped.
    #[default]
    Keep,
    /// It is replaced.
    Replace,
}

impl Options {
    /// Reads options that passed the schema.
    pub fn read(options: &Json) -> Result<Options> {
        serde_json::from_value(options.clone()).map_err(|error| {
            Error::usage(format!("the options of a conversion cannot be read: {error}"))
                .help("`sexton help convert` shows the options and what they take")
        })
    }

    /// Whether a program makes the values; else SQL does.
    pub fn has_program(&self) -> bool {
        self.jq.is_some() || self.jq_file.is_some() || !self.columns.is_empty()
    }

    /// Refuses what is wrong whatever the database is like, so that `sexton config check` finds it.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: &str, help: &str| Err(Error::usage(what).help(help));
        if self.table.is_empty() {
            return wrong("a conversion needs a table", "say `table = \"…\"`, or `--table`");
        }
        match (self.set.is_empty(), self.has_program()) {
            (true, false) => {
                return wrong(
                    "nothing says how rows are converted",
                    "say `set = { column = \"SQL\" }`, or `jq = \"…\"`, or `columns = { column = \"jq\" }`",
                );
            }
            (false, true) => {
                return wrong(
                    "`set` is SQL, `jq` and `columns` are jq: rows are converted by one of them",
                    "say one of them",
                );
            }
            _ => {}
        }
        if self.jq.is_some() && self.jq_file.is_some() {
            return wrong("`jq` and `jq_file` are both given", "say one of them");
        }
        if self.undo == Undo::Archive {
            return wrong("a conversion has no archive", "say `undo = \"rows\"` or `undo = \"none\"`");
        }
        if let Some(name) = self.args.keys().find(|name| !is_name(name)) {
            return wrong(
                &format!("`args.{name}` cannot be a name in jq"),
                "use letters, digits and `_`, such as `prefix`",
            );
        }
        match self.into {
            Into::Columns => self.check_columns(),
            Into::Table => self.check_table(),
            Into::File => self.check_file(),
        }
    }

    fn check_columns(&self) -> Result<()> {
        let wrong = |what: &str, help: &str| Err(Error::usage(what).help(help));
        if self.set.is_empty() && self.columns.is_empty() {
            return wrong(
                "nothing says which columns get what the program gives",
                "say `columns = { slug = \".slug\" }`, or where else it goes: `into = \"table\"`, `into = \"file\"`",
            );
        }
        if self.per_value {
            return wrong(
                "a row has one value for each column",
                "leave `per_value` out, or say `into = \"table\"`",
            );
        }
        if self.existing == Existing::Replace {
            return wrong("`existing` is about files and rows of other tables", "leave it out");
        }
        Ok(())
    }

    fn check_table(&self) -> Result<()> {
        let wrong = |what: &str, help: &str| Err(Error::usage(what).help(help));
        if self.into_table.is_none() || self.columns.is_empty() {
            return wrong(
                "`into = \"table\"` needs the table and its columns",
                "say `into_table = \"…\"` and `columns = { column = \"jq\" }`",
            );
        }
        if self.existing == Existing::Replace {
            return wrong("rows of another table are never replaced", "leave `existing` at `keep`");
        }
        self.check_remember()
    }

    fn check_file(&self) -> Result<()> {
        if self.store.is_none() || self.file.is_none() {
            return Err(Error::usage("`into = \"file\"` needs a store and a name")
                .help("say `store = \"…\"` and `file = \"{id}/result.json\"`"));
        }
        if self.jq.is_none() && self.jq_file.is_none() {
            return Err(Error::usage("`into = \"file\"` needs a program that gives what is written")
                .help("say `jq = \".\"` to write each row as it is"));
        }
        if !self.columns.is_empty() {
            return Err(Error::usage("a file has no columns").help("let the program give what is written"));
        }
        self.check_remember()
    }

    fn check_remember(&self) -> Result<()> {
        if self.remember == Some(false) {
            return Err(Error::usage("what goes into files or other tables must be remembered")
                .help("leave `remember` out: no row tells whether it was converted"));
        }
        Ok(())
    }

    /// Whether converted rows are remembered.
    pub fn remembers(&self) -> bool {
        self.remember.unwrap_or(self.into != Into::Columns || self.condition.is_none())
    }
}

fn is_name(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
