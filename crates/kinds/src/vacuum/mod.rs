//! `vacuum`: makes the space of deleted rows usable again, where it is worth it.
//!
//! By need unless asked otherwise: dead rows, inserted rows and ages against the thresholds of each table, the worst
//! first. It keeps nobody out: a table that somebody holds is passed over, and nothing is cut off the end unless asked for.
//! A full vacuum, which keeps everybody out, is only done to tables that were named.

mod file;
mod need;
mod options;
mod server;

pub use file::plan as plan_file;
pub use need::of_statistics;
pub use options::Options;

use crate::upkeep::{self, Figures, Keeping, Keeps, Object, Task};
use engine::{Counts, Done, Finding, Kind, Operation, Phase, Planned, Planning, Result, Severity, Step};
use targets::db::{Chore, Facts};

/// The catalogue entry.
pub struct Vacuum;

impl Kind for Vacuum {
    fn name(&self) -> &'static str {
        "vacuum"
    }

    fn title(&self) -> &'static str {
        "Make the space of deleted rows usable again"
    }

    fn about(&self) -> &'static str {
        "Vacuums the tables that need it, the worst first: dead rows, inserted rows and ages of transactions against the \
         thresholds of each table, or a percentage of your own. It refreshes statistics on the way, passes over tables that \
         somebody holds, and tells what keeps dead rows from being removed. On SQLite it gives free pages back, bit by bit \
         where the file allows it. Nothing of it can be undone, and no row changes."
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(Options)
    }

    fn severity(&self) -> Severity {
        Severity::Low
    }

    fn phase(&self) -> Phase {
        Phase::Vacuum
    }

    fn operation(&self, options: &serde_json::Value) -> Result<Box<dyn Operation>> {
        Ok(Box::new(Keeps(Options::read(options)?)))
    }
}

impl Keeping for Options {
    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
        if let Some(standby) = upkeep::standby(facts)? {
            return Ok(Planned { findings: vec![standby], ..Planned::default() });
        }
        let upkeep = facts.upkeep(None)?;
        match &upkeep.file {
            Some(file) => file::plan(self, file, &upkeep, facts, planning),
            None => server::plan(self, &upkeep, facts, planning),
        }
    }

    fn result(&self, done: &Done, facts: &mut dyn Facts) -> Result<Option<serde_json::Value>> {
        let now = facts.upkeep(None)?;
        let noun =
            if now.file.is_some() { ("part of the file", "parts of the file") } else { ("table", "tables") };
        let after = |task: &Task| match (&task.object, &now.file) {
            (Object::File, Some(file)) => file::figures(file),
            (Object::Table { name }, _) => {
                now.tables.iter().find(|table| table.name == *name).map(server::figures).unwrap_or_default()
            }
            _ => Figures::default(),
        };
        upkeep::summary(done, noun, "tables", after).map(Some)
    }

    fn verify(&self, steps: &[Step], counts: &[Counts], facts: &mut dyn Facts) -> Result<Vec<Finding>> {
        let mut findings =
            upkeep::failures(steps, counts, "the report has its reason; `sexton run vacuum` tries it again");
        let now = facts.upkeep(None)?;
        for step in steps {
            let task = Task::of(step)?;
            let vacuums = task.chores.iter().any(|chore| matches!(chore, Chore::Vacuum { .. }));
            let Object::Table { name } = &task.object else { continue };
            let Some(table) = now.tables.iter().find(|table| table.name == *name && vacuums) else {
                continue;
            };
            if table.dead_limit > 0.0 && table.dead > table.dead_limit {
                let by = now.pins.first();
                findings.push(Finding::warning(
                    "pinned",
                    name,
                    format!(
                        "{:.0} dead rows are still there{}",
                        table.dead,
                        match by {
                            Some(pin) =>
                                format!(": {} `{}` may still look at them", pin.kind.said(), pin.name),
                            None => String::new(),
                        }
                    ),
                    by.map_or("vacuum it again when nobody looks at an older moment".to_owned(), |pin| {
                        format!("when nobody needs it any more: `{}`, then vacuum again", pin.release)
                    }),
                ));
            }
        }
        Ok(findings)
    }
}
