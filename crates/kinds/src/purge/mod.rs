//! `purge`: rows that are too old, too many or no longer wanted are deleted, archived or marked.
//!
//! Exact counts before, undo rows with the change, children in order. It never reads rows into Sexton unless
//! they go to an archive file.

mod archive;
mod batch;
mod earlier;
mod mark;
mod newest;
mod options;
mod plan;
mod relations;
mod rows;
mod task;

pub use options::Options;

use engine::{
    Batch, Counts, Cursor, Finding, Kind, Operation, Phase, Planned, Planning, Result, Severity, Step, Work,
};
use targets::db::{Facts, Sql};
use task::{Place, Task, Walk};

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

    fn aim(&self, step: &Step, cursor: &Cursor, rows: u64, facts: &mut dyn Facts) -> Result<Option<Cursor>> {
        let place = batch::aim(&Task::read(step)?, &step.id, Place::read(cursor)?, rows, facts)?;
        place.map(|place| place.cursor()).transpose()
    }

    fn act(&self, step: &Step, aim: &Cursor, rows: u64, work: &mut Work) -> Result<Batch> {
        let task = Task::read(step)?;
        batch::act(&task, Place::read(aim)?, rows, work)
    }

    fn verify(&self, steps: &[Step], counts: &[Counts], facts: &mut dyn Facts) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for (step, done) in steps.iter().zip(counts) {
            let task = Task::read(step)?;
            let count = |condition: &Sql, facts: &mut dyn Facts| {
                let count = match task.walk {
                    Walk::Physical => facts.dialect().count_left(&task.table.name, condition),
                    Walk::Few => Sql::new("select count(*) from ")
                        .table(&task.table.name)
                        .text(" as t where ")
                        .add(condition),
                };
                facts.count(&count)
            };
            let left = count(&task.condition, facts)?;
            let held = if task.restricts() { count(&task.rule, facts)?.saturating_sub(left) } else { 0 };
            let kept = left > 0 && done.rows() + done.skipped == 0;
            if kept {
                // Such as a trigger that refuses in silence: "done" would be a lie.
                findings.push(Finding::warning(
                    "rows_kept",
                    &task.table.name,
                    format!("{left} rows match the rule still, and none was changed"),
                    "see whether a trigger or a policy of the table keeps them, or a lock of others",
                ));
            } else if left > 0 {
                findings.push(Finding::note(
                    "rows_left",
                    &task.table.name,
                    format!("{left} rows match the rule still: they were locked, or came during the run"),
                    "run it again",
                ));
            }
            if held > 0 {
                findings.push(Finding::note(
                    "rows_held",
                    &task.table.name,
                    format!("{held} rows match the rule, but other rows refer to them"),
                    "say what happens to those: `dependants = \"cascade\"`, `\"set_null\"` or `\"archive\"`",
                ));
            }
            let known = done.rows() + left + held;
            if known < step.matched {
                findings.push(Finding::note(
                    "rows_gone",
                    &task.table.name,
                    format!(
                        "{} of the planned rows were removed or changed by others meanwhile",
                        step.matched - known
                    ),
                    "",
                ));
            }
        }
        Ok(findings)
    }
}
