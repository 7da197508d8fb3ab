//! `purge`: rows that are too old, too many or no longer wanted are deleted, archived or marked.
//!
//! Exact counts before, undo rows with the change, children in order. It never reads rows into Sexton unless
//! they go to an archive file.

mod options;

pub use options::Options;

use engine::{Error, Kind, Operation, Phase, Result, Severity};

/// The catalogue entry.
pub struct Purge;

impl Kind for Purge {
    fn name(&self) -> &'static str {
        "purge"
    }

    fn title(&self) -> &'static str {
        "Delete or archive rows by age, condition, number or size"
    }

    fn about(&self) -> &'static str {
        "Rows of one or several tables go when they are older than an age, satisfy a condition, or are more than should \
         be kept. What goes is remembered in the database and can be put back with `sexton undo`."
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(Options)
    }

    fn severity(&self) -> Severity {
        Severity::Medium
    }

    fn phase(&self) -> Phase {
        Phase::Clean
    }

    fn operation(&self, options: &serde_json::Value) -> Result<Box<dyn Operation>> {
        let options: Options = serde_json::from_value(options.clone())
            .map_err(|error| Error::usage(format!("the options of a purge cannot be read: {error}")))?;
        let _ = options;
        Err(Error::usage("purge is being built"))
    }
}
