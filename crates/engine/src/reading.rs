//! Operations that only read their database and write elsewhere, such as an export.
//!
//! No right to maintain is taken, no session that may write is opened, and nothing of ours appears in the database: who may only
//! read can run them. So there is no checkpoint either; after a death or a stop they begin again, at another moment.

use crate::error::{Error, Failure};
use crate::event::{Counts, StopReason, What};
use crate::operation::{Done, Operation};
use crate::plan::Item;
use crate::request::{Manners, forbidding};
use crate::run::Run;

impl Run<'_, '_> {
    pub(crate) fn only_read(
        &mut self,
        n: usize,
        item: &Item,
        operation: &dyn Operation,
        manners: &Manners,
        resumed: bool,
    ) -> Result<(), Failure> {
        if !resumed {
            let fingerprint = self.plan.fingerprint.clone();
            self.log(n, What::Planned { matched: item.matched(), fingerprint })?;
            let refused = forbidding(&item.findings, self.plan.request.force);
            if !refused.is_empty() {
                return self.log(n, What::Refused { findings: refused });
            }
            self.log(n, What::Guarded { findings: item.findings.clone() })?;
        }
        self.log(n, What::Started { resumed })?;
        if resumed {
            self.log(n, What::BeganAgain { reason: "the moment that it looked at is over".to_owned() })?;
        }
        let engine = self.engine;
        let database = engine.database(&item.operation.database)?;
        let mut sessions = database.together(1)?;
        let facts = sessions.first_mut().ok_or_else(|| Error::system("the database gave no session"))?;
        let began = engine.clock().tick();
        let mut all = vec![Counts::default(); item.steps.len()];
        let mut batch = 0;
        for (step, about) in item.steps.iter().enumerate() {
            let mut stopped = None;
            let mut before = engine.clock().tick();
            let done = operation.read_out(about, facts.as_mut(), engine.stores(), &mut |counts| {
                batch += 1;
                all[step].add(&counts);
                let now = engine.clock().tick();
                let seconds = now.duration_since(before).as_secs_f64();
                before = now;
                self.journal
                    .append(Some(n), What::Advanced { step, batch, counts, seconds, detail: None })?;
                let spent = now.duration_since(began).as_secs_f64();
                let asked = self.stop.asked() || engine.stop_asked(self.id).unwrap_or(false);
                stopped = match asked {
                    true => Some(StopReason::Asked),
                    false => manners.max_seconds.filter(|most| spent >= *most).map(|_| StopReason::Time),
                };
                Ok(stopped.is_none())
            });
            done?;
            if let Some(reason) = stopped {
                return self.log(n, What::Stopped { reason });
            }
            self.log(n, What::StepDone { step })?;
        }
        let details = self.details(n);
        let took = self.took(n, item.steps.len());
        let done = Done {
            took: &took,
            steps: &item.steps,
            planned: item.result.as_ref(),
            details: &details,
            point: self.id,
            backup: None,
        };
        if let Some(result) = operation.result(&done, facts.as_mut())? {
            self.log(n, What::Summed { result })?;
        }
        let findings = operation.verify(&item.steps, &all, facts.as_mut())?;
        self.log(n, What::Verified { findings })?;
        self.log(n, What::Finished)
    }
}
