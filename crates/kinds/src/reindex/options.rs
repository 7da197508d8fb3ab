//! What a rebuild can be told. The doc comments are the help texts of flags, config keys and the API.

use engine::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of a rebuild.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The indexes of these tables, needed or not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// These indexes, needed or not, also those that failed too often.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<String>,
    /// Every index, needed or not.
    pub all: bool,
    /// An index needs it from this share on that would be gone afterwards, in per cent, as far as statistics tell; one that
    /// queries may not use needs it in any case.
    #[schemars(range(min = 0))]
    pub if_bloat_over: f64,
    /// Leave smaller indexes alone unless they are asked for, in MB.
    pub at_least_mb: u64,
    /// PostgreSQL: beside those who read and write. Otherwise writers of the table wait until it is done.
    pub concurrently: bool,
    /// PostgreSQL: remove what rebuilds that failed have left behind, whoever began them. One that is at work is no such thing.
    pub leftovers: bool,
    /// Leave an index alone after so many failures in a row.
    pub give_up_after: i64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tables: Vec::new(),
            indexes: Vec::new(),
            all: false,
            if_bloat_over: 30.0,
            at_least_mb: 1,
            concurrently: true,
            leftovers: true,
            give_up_after: 3,
        }
    }
}

impl Options {
    /// Reads options; an unknown one is refused.
    pub fn read(options: &serde_json::Value) -> Result<Self> {
        if options.is_null() {
            return Ok(Self::default());
        }
        serde_json::from_value(options.clone()).map_err(|error| {
            Error::usage(format!("the options of `reindex` cannot be read: {error}"))
                .help("`sexton help reindex` shows the options and what they take")
        })
    }
}
