//! The only place where the order of a run exists: lock, plan, guard, back up, batches, verify, report.
//!
//! Architecture invariant: the change, its undo rows and the checkpoint commit in one transaction of the database
//! being maintained; everything written elsewhere comes after that commit and may be lost without harm.

use crate::backup::Gate;
use crate::batch::{Came, Execution};
use crate::checkpoint::{Checkpoint, SUPERSEDED, superseded};
use crate::clock_guard::{CLOCK, weighed};
use crate::engine::Engine;
use crate::error::{Error, Failure, chain};
use crate::event::{Event, StopReason, What};
use crate::finding::{Finding, Level};
use crate::held::Held;
use crate::journal::Journal;
use crate::operation::{Cursor, Done};
use crate::pace::Pace;
use crate::plan::{Plan, Step, Unplanned};
use crate::quarantine::LEFT_BEHIND;
use crate::report::Report;
use crate::request::{Manners, forbidding};
use crate::retry;
use crate::status::Status;
use crate::stop::Stop;
use crate::throttle::{Throttle, Waited};
use crate::told::{LOG, tell_outcome};
use crate::undo::{self, Point};
use crate::usage::Gauge;
use crate::window::Window;
use crate::work::{Beside, Did};
use std::time::Duration;
use targets::db::{Command, Facts, Limits, Session};

/// How far the rows may grow beyond the plan before the run stops.
const GROWTH: f64 = 1.1;
/// How much longer a batch may be for which nobody waits, where nobody else is there: between two of them little is done.
const UNHURRIED: u32 = 4;
/// Nobody had a run before the one whose term this is.
const FIRST: i64 = 1;

/// One run at work.
pub(crate) struct Run<'a, 'j> {
    pub engine: &'a Engine,
    pub id: &'a str,
    /// Under which term it is worked on: whoever takes it over has a higher one. 0 where nobody counts.
    pub term: i64,
    pub plan: &'a Plan,
    pub stop: &'a Stop,
    /// Why the clock is not believed.
    pub doubt: Option<Finding>,
    pub journal: &'a mut Journal<'j>,
    /// The backups of this run.
    pub gate: Gate,
    /// The session for the verification of the operation at work.
    pub held: Held,
    /// The command outside of transactions that is at work, with its aim.
    pub at_command: Option<Cursor>,
    /// What came of it, until it is written down.
    pub did: Option<Did>,
    /// The last commit was not waited for.
    pub owed: bool,
}

/// How work on one operation ended, other than by an error.
enum Ended {
    Done,
    Stopped(StopReason),
}

impl Run<'_, '_> {
    /// All operations in order. `statuses` are those of an earlier attempt, when resuming.
    pub fn execute(&mut self, statuses: &[Status]) -> Result<Report, Failure> {
        // S3-046: one id in every line of the log, in the run log and in the report.
        let asked_by = &self.plan.request.correlation_id;
        let _span = tracing::error_span!(target: LOG, "run", correlation = %asked_by).entered();
        let mut now: Vec<Status> = statuses.to_vec();
        let busy = match self.plan.request.max_parallel > 1 && self.plan.items.len() > 1 {
            true => self.side_by_side(&mut now)?,
            false => self.one_by_one(&mut now)?,
        };
        self.engine.faults().point("before the end")?;
        self.journal.append(None, What::Finished)?;
        self.journal.flush()?;
        let report = Report::fold(self.id, self.plan, self.journal.events());
        self.engine.state()?.finish_run(self.id, &report, self.term)?;
        tell_outcome(&report);
        self.engine.tell_applications(&report, self.plan);
        if let Some(ended) = &self.engine.parts.ended {
            ended(self.plan, self.journal.events(), &report);
        }
        // A run that could not even begin is told as such; among others it is one failure of several.
        match busy.filter(|_| now.iter().all(|status| matches!(status, Status::Failed | Status::Skipped))) {
            Some(failure) => Err(failure),
            None => Ok(report),
        }
    }

    /// All operations in order; the last failure of one whose database is busy.
    fn one_by_one(&mut self, now: &mut [Status]) -> Result<Option<Failure>, Failure> {
        let mut busy = None;
        for n in 0..self.plan.items.len() {
            if !self.has_a_turn(n, now)? {
                continue;
            }
            let resumed = now[n].can_resume() && self.has_begun(n);
            let outcome = self.item(n, resumed);
            busy = self.settle(n, outcome, now)?.or(busy);
        }
        Ok(busy)
    }

    /// Whether an operation is to be worked on now, where the others stand like this; else that is written down.
    pub(crate) fn has_a_turn(&mut self, n: usize, now: &mut [Status]) -> Result<bool, Failure> {
        let before = now[n];
        // What an earlier attempt passed over, because it was stopped before it say, may have its turn now.
        let passed_over = before == Status::Skipped && self.plan.items[n].skipped.is_none();
        if before.is_over() && !before.can_resume() && !passed_over {
            return Ok(false);
        }
        if let Some(reason) = self.reason_to_skip(n, now) {
            self.log(n, What::Skipped { reason })?;
            now[n] = Status::Skipped;
            return Ok(false);
        }
        Ok(true)
    }

    /// What has become of an operation; its failure again where the database is busy. Whatever ends the run is an error.
    pub(crate) fn settle(
        &mut self,
        n: usize,
        outcome: Result<(), Failure>,
        now: &mut [Status],
    ) -> Result<Option<Failure>, Failure> {
        let mut busy = None;
        if let Err(failure) = outcome {
            if is_superseded(&failure) {
                // What becomes of it is told by the one who has it now.
                return Err(failure);
            }
            self.fail(n, &failure)?;
            match failure {
                Failure::Fault(_) => return Err(failure),
                Failure::Busy { .. } => busy = Some(failure),
                Failure::Error(_) => {}
            }
        }
        now[n] = crate::report::status_of(self.journal.events().iter().filter(|event| event.item == Some(n)));
        Ok(busy)
    }

    fn reason_to_skip(&self, n: usize, statuses: &[Status]) -> Option<String> {
        let request = &self.plan.request;
        let operation = &self.plan.items[n].operation;
        let bad = |status: Status| status.is_over() && !matches!(status, Status::Completed | Status::Skipped);
        let failed = |name: &String| {
            self.plan
                .items
                .iter()
                .zip(statuses)
                .any(|(item, status)| item.operation.name == *name && bad(*status))
        };
        if let Some(name) = operation.needs.iter().find(|name| failed(name)) {
            return Some(format!("it needs `{name}`, which did not succeed"));
        }
        if let Some(reason) = self.gate.reason_to_skip(operation) {
            return Some(reason);
        }
        let stopped = self.stop.asked() && statuses[..n].contains(&Status::Cancelled);
        if !operation.verifies.is_empty() && !stopped {
            // Whatever came of what it verifies: where that failed half-way, it is worth even more.
            let verified = |m: usize| operation.verifies.contains(&self.plan.items[m].operation.name);
            let any = request.dry_run || (0..n).any(|m| verified(m) && self.has_begun(m));
            return (!any).then(|| "what it verifies has changed nothing".to_owned());
        }
        // What was only looked at did not fail, whatever was found there.
        let failed = |m: usize| bad(statuses[m]) && (statuses[m] != Status::Partial || self.has_begun(m));
        if (0..n).any(failed) && !request.go_on {
            return Some("an earlier operation did not succeed".to_owned());
        }
        stopped.then(|| "the run was stopped before it".to_owned())
    }

    /// Whether the n-th operation began to change something.
    pub(crate) fn has_begun(&self, n: usize) -> bool {
        let started = |event: &Event| event.item == Some(n) && matches!(event.what, What::Started { .. });
        self.journal.events().iter().any(started)
    }

    /// Appends an event of the n-th operation.
    pub(crate) fn log(&mut self, n: usize, what: What) -> Result<(), Failure> {
        Ok(self.journal.append(Some(n), what)?)
    }

    /// Writes down a failure. A fired fault point is a death: nothing more is written.
    fn fail(&mut self, n: usize, failure: &Failure) -> Result<(), Failure> {
        if matches!(failure, Failure::Fault(_)) {
            return Ok(());
        }
        let class = failure.class();
        let help = failure.help().map(str::to_owned);
        let own = self.journal.events().iter().rev().filter(|event| event.item == Some(n));
        let step = own.into_iter().find_map(|event| match event.what {
            What::Advanced { step, .. } => Some(step),
            What::StepDone { step } => Some(step + 1),
            What::BeganAgain { .. } => Some(0),
            What::Started { resumed: false } => Some(0),
            _ => None,
        });
        let busy = matches!(failure, Failure::Busy { .. });
        self.log(n, What::Failed { class, error: chain(failure), help, step, busy })
    }

    /// One operation from its beginning to its end.
    pub(crate) fn item(&mut self, n: usize, resumed: bool) -> Result<(), Failure> {
        let plan = self.plan;
        let item = &plan.items[n];
        let faults = self.engine.faults();
        if let Some(Unplanned { class, error, help }) = &item.failed {
            let (class, error, help) = (*class, error.clone(), help.clone());
            return self.log(n, What::Failed { class, error, help, step: None, busy: false });
        }
        if let Some(reason) = &item.skipped {
            return self.log(n, What::Skipped { reason: reason.clone() });
        }
        // Without any step, what stands in the way is the reason that there is none: a table is gone, say.
        let blocked = item.steps.is_empty() && !forbidding(&item.findings, plan.request.force).is_empty();
        let idle = |step: &Step| step.only_reports() || (step.exact && step.matched == 0);
        let left_behind = item.findings.iter().any(|finding| finding.code == LEFT_BEHIND);
        let nothing = !blocked && !left_behind && item.steps.iter().all(idle);
        let refused = forbidding(&item.findings, plan.request.force);
        let refuses = !nothing && !refused.is_empty();
        // A dry run ends as the real one would (W-112).
        if nothing || (plan.request.dry_run && !refuses) {
            if !resumed {
                self.log(
                    n,
                    What::Planned { matched: item.matched(), fingerprint: plan.fingerprint.clone() },
                )?;
            }
            let looks = !plan.request.dry_run && self.engine.operation(&item.operation)?.only_looks();
            let mut findings = item.findings.clone();
            let mut result = item.result.clone();
            if looks && n > 0 {
                // What operations before it have changed is not in what the plan found.
                let again = self.engine.plan_item(&item.operation, self.engine.clock().now())?;
                findings = again.findings;
                if let Some(result) = &again.result {
                    self.log(n, What::Found { result: result.clone() })?;
                }
                result = again.result;
            }
            if looks {
                self.engine.keep_sample(item, result.as_ref())?;
            }
            // What an operation that only looks has found decides how it ends.
            findings.retain(|found| found.level > Level::Note);
            if looks && !findings.is_empty() {
                self.log(n, What::Verified { findings })?;
            }
            return self.log(n, What::Finished);
        }
        if !resumed && refuses {
            // Before the lock: whoever may not write here cannot take it either.
            self.log(n, What::Planned { matched: item.matched(), fingerprint: plan.fingerprint.clone() })?;
            return self.log(n, What::Refused { findings: refused });
        }
        let database = self.engine.database(&item.operation.database)?;
        let operation = self.engine.operation(&item.operation)?;
        let mut manners = operation.manners(&item.operation.manners);
        if plan.request.force {
            // The guard was overridden; the throttle must not refuse in its place.
            manners.min_free_disk_mb = 0;
        }
        let limits = limits_of(&manners);

        if let Some(wish) = operation.backup() {
            return self.only_back_up(n, item, &wish, resumed);
        }
        if operation.only_reads() {
            return self.only_read(n, item, operation.as_ref(), &manners, resumed);
        }
        faults.point("before the lock")?;
        let mut session = self.engine.session(&item.operation.database, database.as_ref())?;
        self.lock(session.as_mut(), &item.operation.database, operation.lock_patience())?;
        faults.point("locked")?;

        if !resumed {
            self.log(n, What::Planned { matched: item.matched(), fingerprint: plan.fingerprint.clone() })?;
            faults.point("planned")?;
            let mut findings = item.findings.clone();
            // The plan may have been made without a look at the log.
            if !findings.iter().any(|finding| finding.code == CLOCK) {
                findings.extend(self.doubt.clone().map(|found| weighed(found, &item.operation.kind)));
            }
            let refused = forbidding(&findings, plan.request.force);
            if !refused.is_empty() {
                return self.log(n, What::Refused { findings: refused });
            }
            self.log(n, What::Guarded { findings })?;
            faults.point("guarded")?;
        }
        // Also when resuming: an attempt that failed for want of a backup must not get past it the second time.
        self.back_up(n, item)?;
        self.log(n, What::Started { resumed })?;
        faults.point("started")?;

        let point = undo::point_id(self.id, n);
        let progress = operation.checkpoint(&point, &item.steps);
        let work = Execution {
            n,
            database: database.as_ref(),
            dialect: database.dialect(),
            operation: operation.as_ref(),
            item,
            manners: &manners,
            limits,
            point,
            began: self.engine.clock().tick(),
            term: self.term,
            beside: Beside::new(database.as_ref(), limits, progress, self.term),
        };
        let known = match self.install(n, session.as_mut(), &work.limits)? {
            true => Vec::new(),
            false => self.forget_expired(session.as_mut(), &work.limits)?,
        };
        self.take_over(&work, session.as_mut())?;
        self.take_back_files(n, item, operation.as_ref(), session.as_mut())?;
        let known = known.into_iter().find(|point| point.id == work.point);
        self.held = Held::default();
        let ended = self.batches(n, &work, session.as_mut(), known);
        match &ended {
            Err(Failure::Error(error)) => self.go_back(&work, session.as_mut(), Some(error))?,
            Ok(Ended::Stopped(_)) => self.go_back(&work, session.as_mut(), None)?,
            _ => {}
        }
        let ended = ended?;
        // Nobody who comes later should have to read through a long log or pay for moving it.
        session.perform(&Command::Checkpoint)?;
        match ended {
            Ended::Stopped(reason) => {
                session.unlock()?;
                return self.log(n, What::Stopped { reason });
            }
            Ended::Done => {}
        }
        faults.point("executed")?;
        self.write_manifests(item, &work.point, session.as_mut())?;
        let checkpoint = Checkpoint::read(session.as_mut(), &operation.checkpoint(&work.point, &item.steps))?
            .unwrap_or_default()
            .padded(item.steps.len());
        // Verification gets what planning gets: a session on which the database refuses writes.
        let mut findings = match std::mem::take(&mut self.held).into_facts() {
            Some(mut facts) => self.verify(&work, &checkpoint, facts.as_mut())?,
            None => {
                session.only_look(true)?;
                let findings = self.verify(&work, &checkpoint, session.as_mut());
                session.only_look(false)?;
                findings?
            }
        };
        findings.extend(self.discard_at_once(item, &work.point, session.as_mut(), &work.limits));
        self.log(n, What::Verified { findings })?;
        faults.point("verified")?;
        session.unlock()?;
        self.log(n, What::Finished)
    }

    /// What came of the operation, and what is left; on a session on which the database refuses writes.
    fn verify(
        &mut self,
        work: &Execution,
        checkpoint: &Checkpoint,
        facts: &mut dyn Facts,
    ) -> Result<Vec<Finding>, Failure> {
        let Execution { n, item, operation, ref point, .. } = *work;
        let details = self.details(n);
        let backup = self.backup_of(n);
        let backup = backup.as_deref();
        let took = self.took(n, item.steps.len());
        let (steps, planned) = (&item.steps, item.result.as_ref());
        let done = Done { steps, planned, details: &details, took: &took, point, backup };
        if let Some(result) = operation.result(&done, facts)? {
            self.log(n, What::Summed { result })?;
        }
        let mut findings = operation.verify(&item.steps, &checkpoint.counts, facts)?;
        findings.extend(self.everything_remembered(item, point, &checkpoint.counts, facts)?);
        Ok(findings)
    }

    /// Asks for the right to maintain for a moment, then says who has it.
    fn lock(&mut self, session: &mut dyn Session, database: &str, patience: Duration) -> Result<(), Failure> {
        let clock = self.engine.clock();
        let began = clock.tick();
        let process = std::process::id();
        let own = match self.term {
            ..=FIRST => format!("run {} (process {process})", self.id),
            term => format!("run {} (process {process}, attempt {term})", self.id),
        };
        let mut ended = self.term <= FIRST;
        while !session.try_lock(&own)? {
            let holder = session.lock_holder()?;
            let has_it = |prefix: &str| holder.as_ref().is_some_and(|holder| holder.starts_with(prefix));
            if has_it(&own) && self.plan.request.max_parallel > 1 && !self.stop.asked() {
                // Another operation of this run has it, under another name of the same database.
                std::thread::sleep(Duration::from_millis(50));
                continue;
            }
            // An earlier attempt of this very run, which has lost it: asleep, or cut off from everybody but the database.
            if !ended && has_it(&format!("run {} ", self.id)) && !has_it(&own) {
                ended = session.end_right(&format!("run {} ", self.id))?;
                tracing::warn!(run = self.id, ended, "an earlier attempt of this run still had the database");
                continue;
            }
            if clock.tick().duration_since(began) > patience || self.stop.asked() {
                let holder = holder.unwrap_or_else(|| "someone else".to_owned());
                return Err(Failure::Busy { database: database.to_owned(), holder });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// From here on nobody who had this run before commits a batch of it.
    fn take_over(&mut self, work: &Execution, session: &mut dyn Session) -> Result<(), Failure> {
        if self.term <= FIRST {
            return Ok(());
        }
        let name = work.operation.checkpoint(&work.point, &work.item.steps);
        let mut waits = retry::waits(retry::USUAL);
        loop {
            let now = self.engine.clock().now();
            let claimed = session.begin(&work.limits).and_then(|mut tx| {
                let claimed = Checkpoint::claim(tx.as_mut(), work.dialect, &name, now, self.term)?;
                tx.commit().map(|()| claimed)
            });
            match claimed {
                Ok(true) => return self.engine.faults().point("taken over"),
                Ok(false) => return Err(superseded().into()),
                Err(error) if retry::may_retry(error.class) => match waits.next() {
                    Some(wait) => self.engine.clock().sleep(wait),
                    None => {
                        let holder = "an earlier attempt, which has a transaction open".to_owned();
                        return Err(Failure::Busy { database: work.item.operation.database.clone(), holder });
                    }
                },
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The loop over steps and batches.
    fn batches(
        &mut self,
        n: usize,
        work: &Execution,
        session: &mut dyn Session,
        known: Option<Point>,
    ) -> Result<Ended, Failure> {
        let name = work.operation.checkpoint(&work.point, &work.item.steps);
        let mut checkpoint =
            Checkpoint::read(session, &name)?.unwrap_or_default().padded(work.item.steps.len());
        self.catch_up(n, &checkpoint, known.as_ref())?;
        let mut memory = work.memory(known);
        let mut pace = Pace::new(work.manners.batch_size, session.dialect().batch_time(false));
        let clock = self.engine.clock();
        let mut throttle = Throttle::new(work.manners, clock, work.dialect);
        let mut gauge = Gauge::new(clock);
        let mut rows = 0;
        let mut batches = 0;
        let mut last_rows = 0;
        let mut last_worked = Duration::ZERO;
        while checkpoint.step < work.item.steps.len() {
            if let Some(reason) = self.reason_to_stop(work, &checkpoint, rows, batches)? {
                return Ok(Ended::Stopped(reason));
            }
            let stop = self.stop.clone();
            match throttle.wait(last_rows, last_worked, session, &|| stop.asked())? {
                Waited::Go(None) => {}
                Waited::Go(Some((reason, seconds))) => self.log(n, What::Paused { reason, seconds })?,
                Waited::Stopped => return Ok(Ended::Stopped(StopReason::Asked)),
                Waited::TooLong(reason) => {
                    self.log(n, What::Paused { reason, seconds: work.manners.max_pause })?;
                    return Ok(Ended::Stopped(StopReason::Throttle));
                }
                Waited::Hopeless(reason) => return Err(Error::system(reason).into()),
            }
            if let Some(pulse) = throttle.take_pulse() {
                gauge.look(Some(&pulse));
            }
            let usual = session.dialect().batch_time(throttle.is_alone());
            let unhurried =
                throttle.is_alone() && work.operation.is_in_no_hurry(&work.item.steps[checkpoint.step]);
            pace.aim_at(if unhurried { usual * UNHURRIED } else { usual });
            if last_rows > 0 {
                self.held.keep(work.database, clock)?;
            }
            let step = checkpoint.step;
            let came = self.batch_with_retries(work, session, &mut checkpoint, &mut memory, &mut pace, rows);
            let Came { counts, took, worked, detail, more, again, .. } =
                came.inspect_err(|failure| self.note_failure(work, session, &checkpoint, failure))?;
            // At once: whoever commits before the log is moved moves it.
            if throttle.wants_checkpoint() {
                let began = clock.tick();
                session.perform(&Command::Checkpoint)?;
                throttle.rested(clock.tick().duration_since(began));
            }
            batches += 1;
            rows += counts.rows();
            last_worked = worked;
            last_rows = counts.rows() + counts.dependants;
            let batch = checkpoint.batch;
            if last_rows + counts.failed + counts.skipped > 0 || detail.is_some() {
                self.log(n, What::Advanced { step, batch, counts, seconds: took.as_secs_f64(), detail })?;
            }
            if let Some(reason) = again {
                rows = 0;
                self.log(n, What::BeganAgain { reason })?;
            } else if checkpoint.step > step {
                self.log(n, What::StepDone { step })?;
            }
            for (step, counts, detail) in more {
                rows += counts.rows();
                self.log(n, What::Advanced { step, batch, counts, seconds: 0.0, detail })?;
                self.log(n, What::StepDone { step })?;
            }
            self.engine.faults().point("advanced")?;
        }
        self.log(n, What::Used { usage: gauge.end() })?;
        Ok(Ended::Done)
    }

    fn reason_to_stop(
        &mut self,
        work: &Execution,
        checkpoint: &Checkpoint,
        rows: u64,
        batches: u64,
    ) -> Result<Option<StopReason>, Failure> {
        let clock = self.engine.clock();
        if self.stop.asked() || self.engine.stop_asked(self.id)? {
            return Ok(Some(StopReason::Asked));
        }
        if work.manners.max_rows.is_some_and(|most| rows >= most) {
            return Ok(Some(StopReason::Rows));
        }
        let spent = clock.tick().duration_since(work.began).as_secs_f64();
        // Not before the first batch: where getting ready takes as long as allowed, going on again and again would lead nowhere.
        if batches > 0 && work.manners.max_seconds.is_some_and(|most| spent >= most) {
            return Ok(Some(StopReason::Time));
        }
        if let Some(text) = &work.manners.window
            && !self.plan.request.force
            && !Window::parse(text, &work.manners.window_zone)?.is_open(clock.now())
        {
            return Ok(Some(StopReason::Window));
        }
        // What was approved is what the plan counted; a little growth is normal, more is not (W-123).
        let planned = work.item.steps[checkpoint.step].matched;
        let done = checkpoint.counts[checkpoint.step].rows();
        let most = (planned as f64 * GROWTH).ceil() as u64 + 100;
        let counted = work.item.was_counted(checkpoint.step);
        Ok((counted && done > most && !self.plan.request.force).then_some(StopReason::Grown))
    }
}

/// Whether somebody else has taken the run over.
fn is_superseded(failure: &Failure) -> bool {
    matches!(failure, Failure::Error(error) if error.code.as_deref() == Some(SUPERSEDED))
}

/// The limits of each transaction.
pub(crate) fn limits_of(manners: &Manners) -> Limits {
    Limits {
        lock: Duration::from_secs_f64(manners.lock_timeout.max(0.001)),
        statement: Duration::from_secs_f64(manners.statement_timeout.max(0.0)),
        ..Limits::default()
    }
}
