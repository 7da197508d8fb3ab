//! `reindex`: builds indexes anew, one by one, beside those who read and write.
//!
//! What a rebuild that failed leaves behind is removed on every way out: at once when it failed, and before anything else
//! when a death came between. What somebody else builds just now is never touched. An index that fails again and again is
//! left alone with its reason. System catalogues are left out, and of partitioned indexes each part is built by itself.

mod options;
mod plan;

pub use options::Options;

use crate::upkeep::{self, Figures, Keeping, Keeps, Object, Task};
use engine::{
    Counts, Done, Finding, Kind, Manners, Operation, Phase, Planned, Planning, Result, Severity, Step,
};
use targets::db::Facts;

/// Beside others it waits for those who write, and nobody waits for it meanwhile.
const PATIENCE: f64 = 30.0;

/// The catalogue entry.
pub struct Reindex;

impl Kind for Reindex {
    fn name(&self) -> &'static str {
        "reindex"
    }

    fn title(&self) -> &'static str {
        "Build indexes anew"
    }

    fn about(&self) -> &'static str {
        "Builds indexes anew that queries may not use or that are mostly empty, or those that are named, or all. On PostgreSQL \
         each one is built beside those who read and write; what a rebuild that failed leaves behind is removed, and an index \
         that fails again and again is left alone with its reason. On SQLite the write lock is held for one index at a time. \
         Nothing of it can be undone, and no row changes."
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(Options)
    }

    fn severity(&self) -> Severity {
        Severity::Low
    }

    fn phase(&self) -> Phase {
        Phase::Reindex
    }

    fn operation(&self, options: &serde_json::Value) -> Result<Box<dyn Operation>> {
        Ok(Box::new(Keeps(Options::read(options)?)))
    }
}

impl Keeping for Options {
    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
        match upkeep::standby(facts)? {
            Some(standby) => Ok(Planned { findings: vec![standby], ..Planned::default() }),
            None => plan::plan(self, facts, planning),
        }
    }

    fn manners(&self, asked: &Manners) -> Manners {
        upkeep::patient(asked, if self.concurrently { Some(PATIENCE) } else { None })
    }

    fn result(&self, done: &Done, facts: &mut dyn Facts) -> Result<Option<serde_json::Value>> {
        let now = facts.upkeep(None)?;
        let after = |task: &Task| match &task.object {
            Object::Index { name, .. } => {
                let index = now.indexes.iter().find(|index| index.name == *name);
                Figures { dead: None, bytes: index.filter(|index| index.node != 0).map(|index| index.bytes) }
            }
            _ => Figures::default(),
        };
        upkeep::summary(done, ("index", "indexes"), "indexes", after).map(Some)
    }

    fn verify(&self, steps: &[Step], counts: &[Counts], facts: &mut dyn Facts) -> Result<Vec<Finding>> {
        let mut findings = upkeep::failures(
            steps,
            counts,
            "the report has its reason; after that is mended `sexton run reindex` tries it again",
        );
        let now = facts.upkeep(None)?;
        for step in steps {
            let Object::Index { name, .. } = Task::of(step)?.object else { continue };
            let index = now.indexes.iter().find(|index| index.name == name);
            if index.is_some_and(|index| !index.valid && !index.busy.as_ref().is_some_and(|busy| busy.builds))
            {
                findings.push(Finding::warning(
                    "invalid",
                    &name,
                    "queries still may not use it",
                    format!("look why, then build it anew: `sexton reindex --indexes {}`", name.name),
                ));
            }
        }
        Ok(findings)
    }
}
