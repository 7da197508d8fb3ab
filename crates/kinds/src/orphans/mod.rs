//! `orphans`: rows whose parent is missing, or is not what a parent must be, are deleted, moved, or given another parent.
//!
//! Every reference is an anti-join that NULLs cannot fool; what happens to the rows is a sweep. It deliberately never
//! looks for missing files: that is the kind `files`.

mod checks;
mod guess;
mod link;
mod options;
mod plan;
mod scan;

pub use guess::why_broken;
pub use link::declared_links;
pub use options::Options;

use crate::sweep;
use engine::{
    Batch, Counts, Cursor, Examples, Finding, Kind, Operation, Phase, Planned, Planning, Result, Severity,
    Step, Stores, Work,
};
use targets::db::Facts;

/// The catalogue entry.
pub struct Orphans;

impl Kind for Orphans {
    fn name(&self) -> &'static str {
        "orphans"
    }

    fn title(&self) -> &'static str {
        "Mend rows whose parent is missing"
    }

    fn about(&self) -> &'static str {
        "Rows that refer to a parent which is not there, or which fails a condition, are deleted, moved to a quarantine \
         table, given another parent, or have their reference set to NULL. References may be declared in the database, \
         named here, of several types (`type` and `id` columns), or inside JSON. What is changed is remembered in the \
         database and can be put back with `sexton undo`."
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
        if self.scan {
            return scan::scan(self, facts);
        }
        plan::plan(self, facts, planning)
    }

    fn only_looks(&self) -> bool {
        self.scan
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
        if self.scan {
            return Ok(Vec::new());
        }
        let mut findings = sweep::verify(steps, counts, facts)?;
        findings.extend(checks::constraints(self, facts)?);
        Ok(findings)
    }
}
