//! What a vacuum can be told. The doc comments are the help texts of flags, config keys and the API.

use engine::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of a vacuum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// These tables, needed or not. Without names: those that need it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// Every table, needed or not.
    pub all: bool,
    /// Need it from this share of dead rows on, in per cent (SQLite: of free pages). Unset: from the database's own
    /// thresholds on (SQLite: 10).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub if_bloat_over: Option<f64>,
    /// Refresh the planner's statistics too, also of tables that need nothing else.
    pub analyze: bool,
    /// PostgreSQL: write the named tables anew, which gives all their free space back and keeps everybody out meanwhile.
    pub full: bool,
    /// PostgreSQL: freeze every row that can be frozen.
    pub freeze: bool,
    /// PostgreSQL: cut empty pages off the end, which keeps everybody out for a moment and disturbs standbys.
    pub truncate: bool,
    /// PostgreSQL 13 and newer: processes for the indexes, beside the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u32>,
    /// PostgreSQL 16 and newer: how much of the buffers it may use, such as `4MB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffer_limit: Option<String>,
    /// PostgreSQL: whether dead entries of indexes are removed too; the server's choice when unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index_cleanup: Option<bool>,
    /// PostgreSQL 14 and newer: whether long values, which lie in a table of their own, are looked after too.
    pub toast: bool,
    /// SQLite: cut the write-ahead log off when it is longer than so many MB. An emergency brake: it waits for those who read.
    pub shorten_log_over_mb: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tables: Vec::new(),
            all: false,
            if_bloat_over: None,
            analyze: true,
            full: false,
            freeze: false,
            truncate: false,
            parallel: None,
            buffer_limit: None,
            index_cleanup: None,
            toast: true,
            shorten_log_over_mb: 512,
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
            Error::usage(format!("the options of `vacuum` cannot be read: {error}"))
                .help("`sexton help vacuum` shows the options and what they take")
        })?;
        if options.full && options.tables.is_empty() {
            return Err(Error::usage("a full vacuum writes tables anew and keeps everybody out of them")
                .help("name the tables that it is meant for: `tables = [\"…\"]`, or `--tables …`"));
        }
        let is_size = |text: &String| {
            let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim();
            !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit())
        };
        if let Some(limit) = options.buffer_limit.as_ref().filter(|limit| !is_size(limit)) {
            return Err(Error::usage(format!("`{limit}` is no size for `buffer_limit`"))
                .help("write it as the server does: 256kB, 4MB, 1GB"));
        }
        Ok(options)
    }
}
