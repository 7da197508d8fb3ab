//! `convert`: rows get new values, made by the database in SQL or row by row by a program in jq, which may also become rows of
//! another table, or files.
//!
//! A row that cannot be converted is told with its key and the reason, and stays as it is; the others go on. What was
//! converted is not converted again, and can be put back.

mod by_program;
mod by_sql;
mod checks;
mod made;
mod options;
mod path;
mod plan;
mod program;
mod rules;
mod sample;
mod source;
mod task;
mod told;

use by_program::{Making, Prepared};
use engine::words::{either, rows as rows_of};
use engine::{
    Batch, Counts, Cursor, Done, Error, Finding, Kind, Operation, Phase, Planned, Planning, Result, Severity,
    Step, Stores, Work,
};
use options::Options;
use std::cell::RefCell;
use targets::db::{Facts, Sql};
use targets::programs::Running;
use task::{Place, Task, Way};

/// The catalogue entry.
pub struct Convert;

impl Kind for Convert {
    fn name(&self) -> &'static str {
        "convert"
    }

    fn title(&self) -> &'static str {
        "Convert rows: new columns, other tables, files"
    }

    fn about(&self) -> &'static str {
        "Rows get new values in batches: in SQL (`set`), or row by row by a program in jq, whose results go into columns, into \
         another table or into files. A row that cannot be converted is told and stays as it is; the next run converts only \
         what is left. What was done can be put back with `sexton undo`."
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
        Ok(Box::new(Conversion {
            options,
            running: None.into(),
            prepared: None.into(),
            failures: None.into(),
        }))
    }
}

/// A conversion at work.
struct Conversion {
    options: Options,
    /// The program, from its first batch on.
    running: RefCell<Option<Box<dyn Running>>>,
    /// What was made outside the transaction, for the batch that comes.
    prepared: RefCell<Option<Prepared>>,
    /// The first row that failed.
    failures: RefCell<Option<String>>,
}

impl Operation for Conversion {
    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
        plan::plan(&self.options, facts, planning)
    }

    fn aim(
        &self,
        step: &Step,
        cursor: &Cursor,
        rows: u64,
        facts: &mut dyn Facts,
        stores: &dyn Stores,
    ) -> Result<Option<Cursor>> {
        let task = Task::read(step)?;
        let place = Place::read(cursor)?;
        let (program, making) = match &task.way {
            Way::Set { physical, .. } => {
                return by_sql::aim(&task, *physical, place, rows, facts)?
                    .map(|place| place.cursor())
                    .transpose();
            }
            Way::Program { program, inputs, target, per_value } => {
                (program, Making { task: &task, inputs, target, per_value: *per_value })
            }
        };
        let mut running = self.running.borrow_mut();
        let running = match &mut *running {
            Some(running) => running,
            none => none.insert(stores.programs()?.start(program)?),
        };
        let prepared = by_program::prepare(&making, place.clone(), rows, running.as_mut(), facts)?;
        *self.prepared.borrow_mut() = Some(prepared);
        place.cursor().map(Some)
    }

    fn act(&self, step: &Step, aim: &Cursor, rows: u64, work: &mut Work) -> Result<Batch> {
        let task = Task::read(step)?;
        let place = Place::read(aim)?;
        match &task.way {
            Way::Set { changes, physical } => by_sql::act(&task, changes, *physical, place, rows, work),
            Way::Program { inputs, target, per_value, .. } => {
                let making = Making { task: &task, inputs, target, per_value: *per_value };
                let prepared = self.prepared.borrow();
                let prepared = prepared.as_ref().filter(|prepared| prepared.is_for(&place));
                let nothing = || Error::system("nothing was prepared for this batch");
                by_program::act(&making, prepared.ok_or_else(nothing)?, work)
            }
        }
    }

    fn result(&self, done: &Done, _facts: &mut dyn Facts) -> Result<Option<serde_json::Value>> {
        let sum = told::sum(done.details);
        let first = sum.as_ref().and_then(|sum| sum["failures"].get(0));
        *self.failures.borrow_mut() = first.map(|first| {
            format!(
                "{}: {}",
                first["row"].as_str().unwrap_or_default(),
                first["reason"].as_str().unwrap_or_default()
            )
        });
        Ok(sum)
    }

    fn verify(&self, steps: &[Step], counts: &[Counts], facts: &mut dyn Facts) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for (step, done) in steps.iter().zip(counts) {
            let task = Task::read(step)?;
            if done.failed > 0 {
                findings.push(checks::failed(&task.table, done.failed, self.failures.borrow().as_deref()));
            }
            let left = left(&task, facts)?;
            let known = done.failed + done.skipped;
            if left > known && !task.remember && done.changed > 0 && left >= done.changed {
                findings.push(Finding::warning(
                    "still_matches",
                    &task.table.name,
                    format!(
                        "{} {} `where` still: it does not tell what is left",
                        rows_of(left),
                        either(left, "satisfies", "satisfy")
                    ),
                    "write a `where` that tells, such as `slug is null`, or say `remember = true`",
                ));
            } else if left > known {
                findings.push(Finding::note(
                    "rows_left",
                    &task.table.name,
                    format!("{} left: come or changed during the run", rows_of(left - known)),
                    "run it again",
                ));
            }
        }
        Ok(findings)
    }
}

/// How many rows are not converted.
fn left(task: &Task, facts: &mut dyn Facts) -> Result<u64> {
    let mut condition = task.rule.clone();
    if task.remember
        && let Some(left) = engine::undo::not_converted(facts, &task.operation, &task.key)?
    {
        condition = condition.text(" and ").add(&left);
    }
    let count = match &task.way {
        Way::Set { .. } if !task.remember => facts.dialect().count_left(&task.table.name, &condition),
        _ => Sql::new("select count(*) from ").table(&task.table.name).text(" as t where ").add(&condition),
    };
    facts.count(&count)
}
