//! `purge`: rows that are too old, too many or no longer wanted are deleted, archived or marked.
//!
//! Exact counts before, undo rows with the change, children in order. It never reads rows into Sexton unless
//! they go to an archive file.

mod bulk;
mod earlier;
mod mark;
mod options;
mod plan;
mod rows;

pub use options::{Options, Target};
pub use rows::which;

use crate::sweep;
use engine::{
    Batch, Counts, Cursor, Examples, Finding, Kind, Operation, Phase, Planned, Planning, Result, Severity,
    Step, Stores, Work,
};
use targets::db::Facts;

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
        let options = Options::read(options)?;
        options.check()?;
        Ok(Box::new(options))
    }
}

impl Operation for Options {
    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
        plan::plan(self, facts, planning)
    }

    fn aim(
        &self,
        step: &Step,
        cursor: &Cursor,
        rows: u64,
        facts: &mut dyn Facts,
        _stores: &dyn Stores,
    ) -> Result<Option<Cursor>> {
        sweep::aim(step, cursor, rows, facts)
    }

    fn act(&self, step: &Step, aim: &Cursor, rows: u64, work: &mut Work) -> Result<Batch> {
        sweep::act(step, aim, rows, work)
    }

    fn examples(&self, step: &Step, most: u64, facts: &mut dyn Facts) -> Result<Option<Examples>> {
        sweep::examples(step, most, facts)
    }

    fn verify(&self, steps: &[Step], counts: &[Counts], facts: &mut dyn Facts) -> Result<Vec<Finding>> {
        sweep::verify(steps, counts, facts)
    }
}
