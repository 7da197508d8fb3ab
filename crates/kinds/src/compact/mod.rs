//! `compact`: gives the free space of tables back without keeping anybody out, and without an extension.
//!
//! The cheapest cure for each table: nothing where new rows will use the space, a vacuum where the end is empty, else rows move
//! from the end into free space, in short transactions, and the end is cut off. Afterwards indexes are built anew where that
//! is worth it. No value changes, so there is nothing to undo; nothing is deleted and inserted again. A file of SQLite gives
//! back what a vacuum can.

mod options;
mod plan;
mod table;
mod task;

pub use options::Options;

use crate::upkeep::{self, Figures, Object, bytes_said};
use crate::vacuum;
use engine::{
    Batch, Counts, Cursor, Done, Error, Finding, GivenUp, Kind, Manners, Operation, Phase, Planned, Planning,
    Result, Severity, Step, Stores, Undo, Work,
};
use serde_json::json;
use targets::db::{Command, Facts, FileUpkeep, Limits, Measuring, Upkeep};
use task::Task;

/// Nobody should wait because we wait.
const PATIENCE: f64 = 0.05;
/// An index that is built beside others waits for those who write, and nobody waits for it meanwhile.
const INDEX_PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// The catalogue entry.
pub struct Compact;

impl Kind for Compact {
    fn name(&self) -> &'static str {
        "compact"
    }

    fn title(&self) -> &'static str {
        "Give the free space of tables back"
    }

    fn about(&self) -> &'static str {
        "Makes tables smaller that are mostly free space, beside those who read and write, without an extension and without a \
         second copy: a vacuum where the end of a table is empty, else its last rows move into free space before them, in \
         short transactions, and the end is cut off. The plan says which cure a table gets and why, with gain and cost. \
         Afterwards its indexes are built anew where that is worth it. On SQLite free pages are given back, bit by bit \
         where the file allows it, else by a vacuum. No value changes, so there is nothing to undo."
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(Options)
    }

    fn severity(&self) -> Severity {
        Severity::Low
    }

    fn adds_up(&self, figure: &str) -> bool {
        figure == "rows_moved"
    }

    fn phase(&self) -> Phase {
        Phase::Vacuum
    }

    fn operation(&self, options: &serde_json::Value) -> Result<Box<dyn Operation>> {
        Ok(Box::new(Options::read(options)?))
    }
}

impl Options {
    /// A file is made smaller as a whole, where enough of it is free.
    fn file(
        &self,
        file: &FileUpkeep,
        upkeep: &Upkeep,
        facts: &mut dyn Facts,
        planning: &Planning,
    ) -> Result<Planned> {
        let free = file.free_pages * file.page_size;
        let share = 100.0 * file.free_pages as f64 / file.pages.max(1) as f64;
        let asked = !self.tables.is_empty();
        let little = share <= self.if_bloat_over || free < self.at_least_mb << 20;
        if file.free_pages == 0 || (little && !asked) {
            let note = Finding::note(
                "reusable",
                "the file",
                format!("{} of it are free ({share:.0} %): new rows will use that", bytes_said(free)),
                "nothing is to be done",
            );
            return Ok(Planned { findings: vec![note], undo: Some(Undo::NotNeeded), ..Planned::default() });
        }
        let cure = vacuum::Options { if_bloat_over: Some(0.0), analyze: false, ..vacuum::Options::default() };
        let planned = vacuum::plan_file(&cure, file, upkeep, facts, planning)?;
        Ok(Planned { undo: Some(Undo::NotNeeded), ..planned })
    }

    /// Whether an index is worth it, now that its table is done; the reason where it is not.
    fn not_worth(&self, object: &Object, facts: &mut dyn Facts) -> Result<Option<String>> {
        let Object::Index { name, table } = object else { return Ok(None) };
        let wanted = Measuring { tables: vec![table.clone()], least_bytes: 0, ..Measuring::default() };
        let found = facts.bloat(&wanted)?.into_iter().find(|one| one.name == *name);
        let share = found.as_ref().and_then(|one| one.wasted_percent());
        Ok(match share {
            Some(share) if share > self.if_index_bloat_over => None,
            Some(share) => Some(format!("{share:.0} % of it would be gone: not worth it")),
            None => Some("how much of it is wasted cannot be told".to_owned()),
        })
    }
}

impl Operation for Options {
    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
        if let Some(standby) = upkeep::standby(facts)? {
            return Ok(Planned { findings: vec![standby], ..Planned::default() });
        }
        let upkeep = facts.upkeep(None)?;
        match &upkeep.file {
            Some(file) => self.file(file, &upkeep, facts, planning),
            None => plan::plan(self, &upkeep, facts, planning),
        }
    }

    fn looks_back(&self) -> bool {
        true
    }

    fn manners(&self, asked: &Manners) -> Manners {
        upkeep::patient(asked, Some(PATIENCE))
    }

    fn aim(
        &self,
        step: &Step,
        cursor: &Cursor,
        rows: u64,
        facts: &mut dyn Facts,
        _: &dyn Stores,
    ) -> Result<Option<Cursor>> {
        if let Some((name, moving)) = Task::table(step)? {
            return table::aim(&name, &moving, cursor, rows, facts);
        }
        if cursor.0.is_null()
            && let Some(reason) = self.not_worth(&Task::of(step)?.upkeep.object, facts)?
        {
            return upkeep::leave(cursor, &reason);
        }
        upkeep::aim(step, cursor, rows, facts)
    }

    fn outside(&self, step: &Step, aim: &Cursor, limits: Limits) -> Result<Option<Command>> {
        match Task::table(step)? {
            Some((name, _)) => table::outside(&name, aim, limits),
            None => upkeep::outside(step, aim, Limits { lock: limits.lock.max(INDEX_PATIENCE), ..limits }),
        }
    }

    fn act(&self, step: &Step, aim: &Cursor, _: u64, work: &mut Work) -> Result<Batch> {
        match Task::table(step)? {
            Some((name, moving)) => table::act(step, &name, &moving, aim, work),
            None => upkeep::act(step, aim, work),
        }
    }

    fn passes_over(&self, step: &Step, aim: &Cursor, error: &Error) -> Result<Option<GivenUp>> {
        match Task::table(step)? {
            None => upkeep::passes_over(step, aim, error),
            Some(_) if upkeep::is_hopeless(error) => Ok(None),
            Some(_) => self.give_up(step, aim, &error.to_string()),
        }
    }

    fn give_up(&self, step: &Step, _: &Cursor, error: &str) -> Result<Option<GivenUp>> {
        let detail = json!({
            "name": step.object, "action": step.action, "status": "failed", "reason": error,
            "seconds": null, "others_waited_seconds": null,
        });
        Ok(Some(GivenUp { scope: step.object.clone(), next: None, detail }))
    }

    fn result(&self, done: &Done, facts: &mut dyn Facts) -> Result<Option<serde_json::Value>> {
        let now = facts.upkeep(None)?;
        let after = |task: &upkeep::Task| {
            let bytes = match &task.object {
                Object::Table { name } => {
                    now.tables.iter().find(|one| one.name == *name).map(|one| one.bytes)
                }
                Object::Index { name, .. } => {
                    now.indexes.iter().find(|one| one.name == *name).map(|one| one.bytes)
                }
                Object::File => now.file.as_ref().map(|file| file.pages * file.page_size),
                Object::View { .. } => None,
            };
            Figures { dead: None, bytes }
        };
        let mut result = upkeep::summary(done, ("object", "objects"), "tables", after)?;
        let moved: u64 = done.details.iter().filter_map(|told| told["rows_moved"].as_u64()).sum();
        result["rows_moved"] = json!(moved);
        if moved > 0 {
            let said = result["message"].as_str().unwrap_or_default().to_owned();
            result["message"] = json!(format!("{said}, {moved} rows moved"));
        }
        Ok(Some(result))
    }

    fn verify(&self, steps: &[Step], counts: &[Counts], facts: &mut dyn Facts) -> Result<Vec<Finding>> {
        let mut findings =
            upkeep::failures(steps, counts, "the report has its reason; `sexton run compact` tries it again");
        for (step, counts) in steps.iter().zip(counts) {
            let Some((name, _)) = Task::table(step)?.filter(|_| counts.failed == 0) else { continue };
            let Some(now) = facts.compaction(&name)? else { continue };
            let upkeep = facts.upkeep(Some(&name))?;
            if upkeep.tables.iter().any(|known| known.busy.is_some()) {
                continue;
            }
            let empty = table::can_be_cut(now.empty_pages, now.pages);
            let by = table::keeps_dead_rows(&upkeep, &name).or(upkeep.pins.first().filter(|_| empty));
            let again = "`sexton run compact` goes on from there";
            match by {
                Some(pin) => findings.push(Finding::warning(
                    "pinned",
                    &name,
                    format!(
                        "dead rows could not be removed: {} `{}` may still look at them",
                        pin.kind.said(),
                        pin.name
                    ),
                    format!("when nobody needs it any more: `{}`; then {again}", pin.release),
                )),
                None if empty => findings.push(Finding::warning(
                    "held",
                    &name,
                    format!(
                        "{} at its end are empty, and somebody held it when they were to be cut off",
                        bytes_said(now.empty_pages * now.page_size)
                    ),
                    again,
                )),
                None => {}
            }
        }
        Ok(findings)
    }
}
