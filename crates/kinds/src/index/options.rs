//! Which indexes go. The doc comments are the help texts of flags, config keys and the API.

use engine::age::Age;
use engine::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of the removal of indexes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// These indexes, by name, with the schema where that is not enough.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// Indexes that nothing has used for so long, on this database and its standbys: PostgreSQL, where use is counted for at
    /// least as long. Those that are unique, belong to a constraint or serve a foreign key stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unused_for: Option<Age>,
    /// Indexes that another one of the same table makes superfluous: the same, or the beginning of it.
    pub redundant: bool,
    /// Indexes that were left half built, and that nobody builds at this moment.
    pub invalid: bool,
    /// Leave smaller indexes alone unless they are named, in MB.
    pub at_least_mb: u64,
    /// Databases of the configuration, or URLs, that are standbys of this one: uses of indexes there count too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub standbys: Vec<String>,
    /// PostgreSQL: beside those who read and write. Otherwise everybody waits for a moment, and no transaction of others is
    /// waited for beyond the time-out of locks.
    pub concurrently: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            drop: Vec::new(),
            unused_for: None,
            redundant: false,
            invalid: false,
            at_least_mb: 0,
            standbys: Vec::new(),
            concurrently: true,
        }
    }
}

impl Options {
    /// Reads options; an unknown one is refused, and so is one that names nothing.
    pub fn read(options: &serde_json::Value) -> Result<Self> {
        let help = "`sexton help index drop` shows the options and what they take";
        let options: Self = match options {
            serde_json::Value::Null => Self::default(),
            said => serde_json::from_value(said.clone()).map_err(|error| {
                Error::usage(format!("the options of `index` cannot be read: {error}")).help(help)
            })?,
        };
        if let Some(age) = &options.unused_for {
            age.span()?;
        }
        if options.drop.is_empty() && options.unused_for.is_none() && !options.redundant && !options.invalid {
            return Err(Error::usage("nothing says which indexes are to go").help(
                "name them (`drop = [\"orders_old_idx\"]`), or say `unused_for = \"30 days\"`, `redundant = true` or \
                 `invalid = true`",
            ));
        }
        Ok(options)
    }
}
