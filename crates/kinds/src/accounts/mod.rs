//! `accounts`: accounts that are over are archived with everything that hangs on them, then anonymised or deleted; and
//! brought back from the archive.
//!
//! Everything of one account happens in one transaction: there is no moment at which its data is neither here nor there, and
//! no orphan is left. Accounts that are only inactive are counted, never touched.

mod act;
mod back;
mod belongs;
mod document;
mod hanging;
mod options;
mod plan;
mod restore;

pub use options::Options;

use crate::sweep;
use engine::{
    Batch, Counts, Cursor, Examples, Finding, Kind, Operation, Phase, Planned, Planning, Result, Severity,
    Step, Stores, Work,
};
use options::Action;
use targets::db::Facts;

/// The catalogue entry.
pub struct Accounts;

/// What the step does that drops old entries of the archive.
const EXPIRE: &str = "expire";

impl Kind for Accounts {
    fn name(&self) -> &'static str {
        "accounts"
    }

    fn title(&self) -> &'static str {
        "Archive accounts with all that hangs on them, then anonymise or delete them"
    }

    fn about(&self) -> &'static str {
        "Accounts that satisfy a rule are written to an archive, with the rows that hang on them; then the row is anonymised \
         or deleted and its dependants handled by policy, all of one account in one transaction. `action = \"restore\"` \
         brings accounts back from the archive; entries of the archive have an age limit."
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(Options)
    }

    fn severity(&self) -> Severity {
        Severity::Critical
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
            Action::Archive => plan::plan(self, facts, planning),
            Action::Restore => restore::plan(self, facts, planning),
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
        if step.id == EXPIRE {
            return sweep::aim(step, cursor, rows, facts);
        }
        Ok(Some(cursor.clone()))
    }

    fn act(&self, step: &Step, aim: &Cursor, rows: u64, work: &mut Work) -> Result<Batch> {
        match self.action {
            _ if step.id == EXPIRE => sweep::act(step, aim, rows, work),
            Action::Archive => act::act(step, rows, work),
            Action::Restore => restore::act(step, aim, rows, work),
        }
    }

    fn examples(&self, step: &Step, most: u64, facts: &mut dyn Facts) -> Result<Option<Examples>> {
        match act::Task::read(step) {
            Ok(task) if self.action == Action::Archive => {
                Examples::of_tables(facts, &task.leaves, &task.condition, most).map(Some)
            }
            _ => sweep::examples(step, most, facts),
        }
    }

    fn verify(&self, steps: &[Step], counts: &[Counts], facts: &mut dyn Facts) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for (step, counts) in steps.iter().zip(counts) {
            if step.id == EXPIRE {
                let (step, counts) = (std::slice::from_ref(step), std::slice::from_ref(counts));
                findings.extend(sweep::verify(step, counts, facts)?);
            } else if self.action == Action::Archive {
                findings.extend(act::verify(step, facts)?);
            } else {
                findings.extend(restore::verify(step, counts));
            }
        }
        Ok(findings)
    }
}
