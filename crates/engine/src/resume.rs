//! Going on with a run that was stopped, failed or died: with other limits where asked, and with a plan of its own for
//! what could not be planned the first time.
//!
//! What was planned stays as it was, measured from the same moment; what was committed is never done again.

use crate::engine::Engine;
use crate::error::{Error, Failure, Result};
use crate::event::Event;
use crate::journal::Watch;
use crate::plan::Plan;
use crate::presence::Life;
use crate::report::{Report, status_of};
use crate::request::Manners;
use crate::state::{Audit, RunRecord};
use crate::status::Status;
use crate::stop::Stop;

/// Sets other limits; refuses what is none.
pub type Adjust<'a> = dyn Fn(&mut Manners) -> Result<()> + 'a;

/// What is to be otherwise than at the first attempt.
#[derive(Default)]
pub struct Changes<'a> {
    /// Other limits and manners, for every operation that goes on.
    pub manners: Option<&'a Adjust<'a>>,
    /// Override findings and limits that may be overridden.
    pub force: bool,
}

/// A run that can go on.
#[derive(Debug)]
pub struct Resumable {
    /// Its id.
    pub id: String,
    /// What is left of it to do, and what is done.
    pub plan: Plan,
    /// Operations that could not be planned then and can be now: nobody has seen and allowed them yet.
    pub new: bool,
    /// Under which term it goes on.
    pub term: i64,
}

impl Engine {
    /// Goes on with a run that was stopped, failed, or died.
    pub fn resume(&self, prefix: &str, stop: &Stop, watch: &mut Watch) -> Result<Report, Failure> {
        let run = self.resumable(prefix, &Changes::default())?;
        self.resume_as(&run, stop, watch)
    }

    /// Goes on with a run, by its whole id, that somebody else has begun and lost: under a higher term, so that he can do nothing
    /// more about it, whether he lives or not.
    pub fn take_over(&self, run: &str, term: i64, stop: &Stop, watch: &mut Watch) -> Result<Report, Failure> {
        let state = self.state()?;
        // First: what is read afterwards is all that he has written down.
        state.claim_run(run, term)?;
        let run = self.what_is_left(state.run(run)?, &Changes::default(), term)?;
        self.resume_as(&run, stop, watch)
    }

    /// What going on with a run would do.
    pub fn resumable(&self, prefix: &str, changes: &Changes) -> Result<Resumable, Failure> {
        let state = self.state()?;
        let record = state.run(&state.find_run(prefix)?)?;
        if !record.is_finished()
            && let Life::At(holder) = self.life(&record)
        {
            let database = record.report().metadata.database;
            return Err(Failure::Busy { database, holder });
        }
        let term = state.term(&record.id)?;
        self.what_is_left(record, changes, term)
    }

    fn what_is_left(&self, record: RunRecord, changes: &Changes, term: i64) -> Result<Resumable, Failure> {
        let statuses = statuses_of(&record.plan, &record.events);
        let open = |status: &Status| status.can_resume() || !status.is_over();
        if !statuses.iter().any(open) {
            let status = Status::of_run(&statuses);
            return Err(Error::usage(format!(
                "run `{}` is over ({}): there is nothing to resume",
                record.id,
                status.name()
            ))
            .help("start a new one with `sexton run`")
            .into());
        }
        let mut plan = record.plan;
        plan.request.force |= changes.force;
        let mut new = false;
        let has_a_turn = |status: &Status| open(status) || *status == Status::Skipped;
        for (item, _) in plan.items.iter_mut().zip(&statuses).filter(|(_, status)| has_a_turn(status)) {
            if let Some(change) = changes.manners {
                change(&mut item.operation.manners)?;
            }
            if item.failed.is_some() {
                // Why it fails again is told by the run.
                *item = self.plan_or_fail(&item.operation, plan.now, &mut Vec::new())?;
                new |= item.failed.is_none();
            }
        }
        Ok(Resumable { id: record.id, plan, new, term })
    }

    /// Goes on with a run.
    pub fn resume_as(&self, run: &Resumable, stop: &Stop, watch: &mut Watch) -> Result<Report, Failure> {
        let state = self.state()?;
        let record = state.run(&run.id)?;
        let otherwise = (record.plan != run.plan).then(|| {
            let limits: Vec<_> =
                run.plan.items.iter().map(|item| (&item.operation.name, &item.operation.manners)).collect();
            Audit {
                at: self.clock().now(),
                actor: run.plan.request.actor.clone(),
                action: "resume otherwise".to_owned(),
                object: run.id.clone(),
                detail: serde_json::to_string(&limits).unwrap_or_default(),
            }
        });
        let _presence = self.present(&run.id)?;
        state.reopen_run(&run.id, &run.plan, otherwise.as_ref(), run.term)?;
        let doubt = self.doubt_of_clock()?;
        self.execute((&run.id, run.term), &run.plan, record.events, doubt, stop, watch)
    }
}

/// Where each operation of a run stands after these events.
pub(crate) fn statuses_of(plan: &Plan, events: &[Event]) -> Vec<Status> {
    let of = |n: usize| events.iter().filter(move |event| event.item == Some(n));
    (0..plan.items.len()).map(|n| status_of(of(n))).collect()
}
