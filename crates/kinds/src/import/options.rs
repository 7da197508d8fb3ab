//! What an import can be told. The doc comments are the help texts of flags and config keys.

use crate::export::inside;
use engine::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Options of an import: from where, which tables.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The file store that has the files; at the command line also a folder with a `/` in it, or `s3://bucket`.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(extend("format" = "store"))]
    pub store: String,
    /// The folder in the store. Default: the store itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub folder: String,
    /// Only these tables. Default: all of the manifest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// Files by the tables that they go into, where there is no manifest, as those of other programs: JSON lines, or an array of
    /// objects, with the names of the columns.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Rows are added to tables that have some. Default: only empty tables are filled.
    pub add: bool,
    /// What can be taken back afterwards: `rows` (an undo takes every row away again that is still as it came), or `none`.
    pub undo: Way,
}

/// What can be taken back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Every row.
    #[default]
    Rows,
    /// Nothing.
    None,
}

impl Options {
    /// Reads options that passed the schema.
    pub fn read(options: &serde_json::Value) -> Result<Self> {
        let options = if options.is_null() { serde_json::json!({}) } else { options.clone() };
        let options: Self = serde_json::from_value(options)
            .map_err(|error| Error::usage("the options of the import cannot be read").because(error))?;
        if options.store.is_empty() {
            return Err(Error::usage("`store` is missing: where are the files?")
                .help("name a folder with a `/` in it (`--store ./out`), or a store of the configuration"));
        }
        if !options.files.is_empty() && !options.tables.is_empty() {
            return Err(Error::usage("`tables` and `files` exclude each other")
                .help("`files` names the tables already"));
        }
        Ok(options)
    }

    /// The name of a file in the store.
    pub fn place(&self, name: &str) -> String {
        inside(&self.folder, name)
    }
}
