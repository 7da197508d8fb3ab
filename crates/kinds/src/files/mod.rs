//! `files`: a store of files against the references of a database.
//!
//! Files and folders that no row refers to wait in a quarantine of the same store and can be brought back; files that rows
//! refer to and that are not there are told. What is not known for certain to be an orphan stays. It never follows a
//! link and never leaves the store.

mod batch;
mod glob;
mod guards;
mod judge;
mod listing;
mod marks;
mod options;
mod paths;
mod plan;
mod references;
mod result;
mod texts;

pub use options::Options;

use engine::{
    Batch, Counts, Cursor, Done, Doomed, Finding, Kind, Manners, Operation, Phase, Planned, Planning, Result,
    Severity, Step, Stores, Work, undo,
};
use plan::Task;
use serde_json::Value as Json;
use std::collections::HashSet;
use targets::db::Facts;

/// Files of a batch: the references are read once for each.
pub(crate) const BATCH: u64 = 2_000;

/// The catalogue entry.
pub struct FilesKind;

impl Kind for FilesKind {
    fn name(&self) -> &'static str {
        "files"
    }

    fn title(&self) -> &'static str {
        "Remove files that no row refers to"
    }

    fn about(&self) -> &'static str {
        "Compares a store of files (a folder or a bucket) with what the rows of a database refer to. Files and folders \
         without a row are moved into a quarantine inside the store, from which `sexton undo` brings them back; rows whose \
         file is missing are reported. Young files, unknown files and everything in doubt stay."
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

    fn operation(&self, options: &Json) -> Result<Box<dyn Operation>> {
        let options = Options::read(options)?;
        options.check()?;
        Ok(Box::new(options))
    }
}

impl Operation for Options {
    /// Batches sized by time would shrink to a handful of files where the references are many.
    fn manners(&self, asked: &Manners) -> Manners {
        Manners { batch_size: asked.batch_size.or(Some(BATCH)), ..asked.clone() }
    }

    fn stores(&self) -> Vec<String> {
        vec![self.store.clone()]
    }

    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
        plan::plan(self, facts, planning)
    }

    fn aim(
        &self,
        step: &Step,
        cursor: &Cursor,
        rows: u64,
        facts: &mut dyn Facts,
        stores: &dyn Stores,
    ) -> Result<Option<Cursor>> {
        batch::aim(self, step, cursor, rows, facts, stores)
    }

    fn act(&self, step: &Step, aim: &Cursor, _rows: u64, work: &mut Work) -> Result<Batch> {
        batch::act(self, step, aim, work)
    }

    fn verify(&self, steps: &[Step], counts: &[Counts], _facts: &mut dyn Facts) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for (step, done) in steps.iter().zip(counts) {
            if done.failed > 0 {
                findings.push(Finding::warning(
                    "not_moved",
                    &step.id,
                    format!("{} could not be moved; the others were", done.failed),
                    "see `errors` of the report: who owns them, and whether the folder may be written",
                ));
            }
            if done.skipped > 0 {
                findings.push(Finding::note(
                    "changed",
                    &step.id,
                    format!("{} were changed, removed or referred to by others since the plan", done.skipped),
                    "",
                ));
            }
        }
        Ok(findings)
    }

    /// The clean-up report with what was really moved.
    fn result(&self, run: &Done, facts: &mut dyn Facts) -> Result<Option<Json>> {
        let rows = undo::moved_files(facts, run.point, u64::MAX)?;
        let Some(mut whole) = run.planned.cloned().filter(|_| !rows.is_empty()) else { return Ok(None) };
        let moved: HashSet<&str> =
            rows.iter().filter(|row| row.state != "failed").map(|row| row.name.as_str()).collect();
        let mut done: Vec<Doomed> = Vec::new();
        let mut left = 0;
        for step in run.steps {
            for one in Task::read(step)?.doomed {
                match moved.contains(one.name.as_str()) {
                    true => done.push(one),
                    false => left += one.bytes,
                }
            }
        }
        let errors: Vec<String> = rows
            .iter()
            .filter(|row| row.state == "failed")
            .map(|row| format!("{}: {}", row.name, row.reason.as_deref().unwrap_or_default()))
            .collect();
        let freed = whole["cleanup"]["total_space_freed"].as_u64().unwrap_or(0).saturating_sub(left);
        whole["cleanup"] = result::cleanup(&done.iter().collect::<Vec<_>>(), errors, freed);
        Ok(Some(whole))
    }
}
