//! What a look for wasted space can be told. The doc comments are the help texts of flags, config keys and the API.

use engine::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of a look for wasted space.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Only these tables, with their indexes; all unless said otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// List what wastes more than this share, in points of a hundred.
    pub threshold_percent: f64,
    /// Leave out what is smaller than this.
    pub least_mb: f64,
    /// Measure indexes too.
    pub indexes: bool,
    /// Read at most about this much of tables and indexes, largest first; 0 for what the catalogue knows.
    pub read_mb: u64,
    /// Read all of a table or an index, instead of a sample, where it fits into `read_mb` and PostgreSQL has the extension
    /// pgstattuple.
    pub exact: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tables: Vec::new(),
            threshold_percent: 10.0,
            least_mb: 1.0,
            indexes: true,
            read_mb: 256,
            exact: false,
        }
    }
}

impl Options {
    /// Reads options; an unknown one is refused.
    pub fn read(options: &serde_json::Value) -> Result<Self> {
        if options.is_null() {
            return Ok(Self::default());
        }
        let options: Self = serde_json::from_value(options.clone()).map_err(|error| {
            Error::usage(format!("the options of `bloat` cannot be read: {error}"))
                .help("`sexton help bloat` shows the options and what they take")
        })?;
        if !(0.0..100.0).contains(&options.threshold_percent) {
            return Err(
                Error::usage("`threshold_percent` is no share of a hundred").help("10 is the usual one")
            );
        }
        if !options.least_mb.is_finite() || options.least_mb < 0.0 {
            return Err(Error::usage("`least_mb` is no size").help("1 is the usual one"));
        }
        Ok(options)
    }
}
