//! `index`: take indexes away that nobody needs, so that they can come back.
//!
//! What makes an index is written down in the undo point before it goes, and on PostgreSQL it goes beside those who read and
//! write. What keeps a rule of the data, or serves a foreign key alone, stays. Building indexes is for migrations, building
//! them anew for `reindex`.

mod options;
mod plan;
mod task;

pub use options::Options;

use crate::upkeep::{self, bytes_said};
use engine::words::of;
use engine::{
    Batch, Counts, Cursor, Done, Error, Finding, GivenUp, Kind, Manners, Operation, Phase, Planned, Planning,
    Result, Severity, Step, Stores, Work,
};
use serde_json::{Value as Json, json};
use targets::db::{Command, Facts, Limits};
use task::Task;

/// Beside others it waits for those who are at work, and nobody waits for it meanwhile.
const PATIENCE: f64 = 30.0;

/// The catalogue entry.
pub struct Index;

impl Kind for Index {
    fn name(&self) -> &'static str {
        "index"
    }

    fn title(&self) -> &'static str {
        "Take indexes away that nobody needs"
    }

    fn about(&self) -> &'static str {
        "Drops indexes that are named, or that nothing has used for so long, or that another one makes superfluous, or that were \
         left half built. What makes each of them is kept, and `sexton undo` builds it again. On PostgreSQL both happen beside \
         those who read and write. An index that keeps a constraint or tells rows apart for replication never goes; one that is \
         in use, keeps rows unique or is the only one for a foreign key goes only with `--force`."
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
        Ok(Box::new(Options::read(options)?))
    }
}

impl Operation for Options {
    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
        match upkeep::standby(facts)? {
            Some(standby) => Ok(Planned { findings: vec![standby], ..Planned::default() }),
            None => plan::plan(self, facts, planning),
        }
    }

    fn looks_back(&self) -> bool {
        true
    }

    fn manners(&self, asked: &Manners) -> Manners {
        upkeep::patient(asked, if self.concurrently { Some(PATIENCE) } else { None })
    }

    fn aim(
        &self,
        step: &Step,
        cursor: &Cursor,
        _: u64,
        facts: &mut dyn Facts,
        _: &dyn Stores,
    ) -> Result<Option<Cursor>> {
        Task::of(step)?.aim(cursor, facts)
    }

    fn outside(&self, step: &Step, aim: &Cursor, limits: Limits) -> Result<Option<Command>> {
        Task::of(step)?.outside(aim, limits)
    }

    fn begin(&self, step: &Step, aim: &Cursor, work: &mut Work) -> Result<()> {
        Task::of(step)?.begin(aim, work)
    }

    fn act(&self, step: &Step, aim: &Cursor, _: u64, work: &mut Work) -> Result<Batch> {
        Task::of(step)?.act(aim, work)
    }

    fn passes_over(&self, step: &Step, _: &Cursor, error: &Error) -> Result<Option<GivenUp>> {
        Ok(Task::of(step)?.passes_over(error))
    }

    fn result(&self, done: &Done, facts: &mut dyn Facts) -> Result<Option<Json>> {
        let (mut entries, mut freed, mut gone, mut failed, mut worked) = (Vec::new(), 0, 0_u64, 0_u64, 0.0);
        for step in done.steps {
            let task = Task::of(step)?;
            let said = json!(task.index.to_string());
            let told = done.details.iter().rev().find(|told| told["name"] == said);
            let field = |name: &str| told.map_or(Json::Null, |told| told[name].clone());
            // What a death kept from being told is seen.
            let makes = facts.dialect().makes_index(&task.index);
            let status = match told {
                Some(_) => field("status"),
                None if facts.value(&makes)?.is_null() => json!("done"),
                None => json!("not_reached"),
            };
            if status == "done" {
                gone += 1;
                freed += task.bytes.unwrap_or(0);
                worked += field("seconds").as_f64().unwrap_or(0.0);
            }
            failed += u64::from(status == "failed");
            entries.push(json!({
                "name": said, "table": task.table.name.to_string(), "status": status,
                "reason": field("reason"), "why": task.why, "definition": task.definition, "bytes": task.bytes,
                "uses": task.uses, "duration_seconds": field("seconds"),
                "others_waited_seconds": field("others_waited_seconds"),
            }));
        }
        let mut parts = vec![format!("{} dropped", of(gone, "index", "indexes"))];
        if failed > 0 {
            parts.push(format!("{failed} failed"));
        }
        if freed > 0 {
            parts.push(format!("{} given back", bytes_said(freed)));
        }
        Ok(Some(json!({
            "message": parts.join(", "), "indexes": entries, "bytes_freed": freed, "bytes_worked": freed,
            "worked_seconds": worked,
        })))
    }

    fn verify(&self, steps: &[Step], counts: &[Counts], facts: &mut dyn Facts) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for (step, _) in steps.iter().zip(counts).filter(|(_, counts)| counts.failed > 0) {
            let task = Task::of(step)?;
            let known = facts.upkeep(Some(&task.table.name))?.indexes;
            let half = known.iter().any(|known| known.name == task.index && !known.valid);
            findings.push(match half {
                true => Finding::warning(
                    "half_dropped",
                    &task.index,
                    "no query uses it any more, and every write still keeps it up to date",
                    format!("end what it waits for, then `sexton index drop {}` again", task.index),
                ),
                false => Finding::warning(
                    "failed",
                    &task.index,
                    "it could not be dropped",
                    "the report has its reason; after that is mended try again",
                ),
            });
        }
        Ok(findings)
    }
}
