//! `merge`: rows that mean the same thing become one, and everything that refers to them follows.
//!
//! Survivors are chosen, references pointed anew and rows folded by statements over whole sets. It never merges rows of
//! different scopes, and loses none that a unique key would forbid: those are folded or get another name.

mod batch;
mod clash;
mod count;
mod fields;
mod inspect;
mod listed;
mod members;
mod options;
mod plan;
mod references;
mod result;
mod survivor;
mod task;

pub use options::Options;

use engine::{
    Batch, Counts, Cursor, Done, Finding, GivenUp, Kind, Operation, Phase, Planned, Planning, Result,
    Severity, Step, Stores, Work,
};
use options::Mode;
use targets::db::Facts;
use task::{Place, Task};

/// The catalogue entry.
pub struct Merge;

impl Kind for Merge {
    fn name(&self) -> &'static str {
        "merge"
    }

    fn title(&self) -> &'static str {
        "Make one row of duplicates, with everything that refers to them"
    }

    fn about(&self) -> &'static str {
        "Rows that agree in columns or expressions become one: a survivor is chosen by rules, takes over what the others \
         had, and every reference to them is pointed to it. In a tree, children of the same name merge too, at every depth. \
         Everything is remembered and can be put back with `sexton undo`, scope by scope. `--mode check` counts duplicates, \
         `--mode verify` looks for every fault; neither changes anything."
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(Options)
    }

    fn severity(&self) -> Severity {
        Severity::High
    }

    fn phase(&self) -> Phase {
        Phase::Clean
    }

    fn adds_up(&self, figure: &str) -> bool {
        result::is_deed(figure)
    }

    fn operation(&self, options: &serde_json::Value) -> Result<Box<dyn Operation>> {
        let options = Options::read(options)?;
        options.check()?;
        Ok(Box::new(options))
    }
}

impl Operation for Options {
    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
        match self.mode {
            Mode::Merge => plan::plan(self, facts, planning),
            Mode::Check => inspect::check(self, facts, planning),
            Mode::Verify => inspect::verify(self, facts, planning),
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
        let place = listed::aim(&Task::read(step)?, &step.id, Place::read(cursor)?, rows, facts)?;
        place.cursor().map(Some)
    }

    fn act(&self, step: &Step, aim: &Cursor, rows: u64, work: &mut Work) -> Result<Batch> {
        batch::act(&Task::read(step)?, Place::read(aim)?, rows, work)
    }

    fn verify(&self, steps: &[Step], counts: &[Counts], facts: &mut dyn Facts) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for (step, done) in steps.iter().zip(counts) {
            inspect::after(self, step, done, facts, &mut findings)?;
        }
        Ok(findings)
    }

    fn only_looks(&self) -> bool {
        self.mode != Mode::Merge
    }

    fn give_up(&self, step: &Step, aim: &Cursor, error: &str) -> Result<Option<GivenUp>> {
        let task = Task::read(step)?;
        let mut place = Place::read(aim)?;
        let Some(value) = task.scopes.get(place.scope).filter(|_| task.scope.is_some()) else {
            return Ok(None);
        };
        let scope = result::shown(value);
        place.scope += 1;
        let next = if place.scope < task.scopes.len() { Some(place.cursor()?) } else { None };
        Ok(Some(GivenUp { detail: result::of_failure(&task, &scope, error), scope, next }))
    }

    fn result(&self, run: &Done, _facts: &mut dyn Facts) -> Result<Option<serde_json::Value>> {
        let Some(step) = run.steps.first() else { return Ok(None) };
        let task = Task::read(step)?;
        let planned = run.planned.and_then(|planned| planned.as_object()).filter(|_| task.scope.is_some());
        let found = planned
            .and_then(|planned| planned.iter().find(|(name, _)| name.ends_with("_found")))
            .and_then(|(_, found)| found.as_u64());
        Ok(found.map(|found| result::sum_up(&task, found, false, run.details)))
    }
}
