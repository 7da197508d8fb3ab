//! What an export can be told. The doc comments are the help texts of flags and config keys.

use super::manifest::inside;
use engine::archive::Form;
use engine::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of an export: where to, which tables, in which form.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The file store that gets the files; at the command line also a folder with a `/` in it, or `s3://bucket`.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(extend("format" = "store"))]
    pub store: String,
    /// The folder in the store. Default: the store itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub folder: String,
    /// The tables. Default: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// Tables that are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// `lines` (one object a line, for files of any size), or `json` (one array of objects).
    pub format: Form,
    /// The files are compressed (zstd).
    pub compress: bool,
    /// An export that is there already is written over.
    pub replace: bool,
}

impl Options {
    /// Reads options that passed the schema.
    pub fn read(options: &serde_json::Value) -> Result<Self> {
        let options = if options.is_null() { serde_json::json!({}) } else { options.clone() };
        let options: Self = serde_json::from_value(options)
            .map_err(|error| Error::usage("the options of the export cannot be read").because(error))?;
        if options.store.is_empty() {
            return Err(Error::usage("`store` is missing: where do the files go?")
                .help("name a folder with a `/` in it (`--store ./out`), or a store of the configuration"));
        }
        Ok(options)
    }

    /// The name of a file in the store.
    pub fn place(&self, name: &str) -> String {
        inside(&self.folder, name)
    }
}
