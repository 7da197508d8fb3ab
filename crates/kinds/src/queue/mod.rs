//! `queue`: stale jobs of any job table go back to work, failed ones get another chance, old ones go, and the figures
//! say how it stands.
//!
//! A job table is described by a mapping; presets hold those of well-known libraries. It never runs a job, and a job
//! that moved between the plan and the run is left alone.

mod claims;
mod jobs;
mod merge;
mod options;
mod presets;
mod prune;
mod recover;
mod requeue;
mod slow;
mod stats;
mod trend;

pub use options::Options;

use crate::sweep;
use engine::{
    Batch, Counts, Cursor, Examples, Finding, Kind, Operation, Phase, Planned, Planning, Result, Severity,
    Step, Stores, Work,
};
use options::Action;
use targets::db::Facts;

/// The catalogue entry.
pub struct Queue;

impl Kind for Queue {
    fn name(&self) -> &'static str {
        "queue"
    }

    fn title(&self) -> &'static str {
        "Recover, requeue, prune and measure the jobs of a queue"
    }

    fn about(&self) -> &'static str {
        "Jobs that no worker works on any more go back to the queue, failed ones are tried again later, old ones are \
         deleted, and statistics say how deep the queue is and why it is slow. The table is described by a mapping or a \
         preset: `task_queue`, `celery`, `oban`, `river` and others."
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(Options)
    }

    fn severity(&self) -> Severity {
        Severity::Low
    }

    fn phase(&self) -> Phase {
        Phase::Clean
    }

    fn operation(&self, options: &serde_json::Value) -> Result<Box<dyn Operation>> {
        Ok(Box::new(Options::read(options)?))
    }
}

impl Operation for Options {
    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
        match self.action {
            Action::Recover => recover::plan(self, facts, planning),
            Action::Requeue => requeue::plan(self, facts, planning),
            Action::Prune => prune::plan(self, facts, planning),
            Action::Stats => stats::plan(self, facts, planning),
        }
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

    fn only_looks(&self) -> bool {
        self.action == Action::Stats
    }

    fn looks_back(&self) -> bool {
        self.action == Action::Stats
    }
}
