//! Working on what is due: a tick is taken, run or resumed, and ended, in one process at a time.
//!
//! Whoever dies in the middle loses the lease, and the next worker goes on with the run from its checkpoint, under a higher
//! term: one who only slept commits nothing more. That no two work on one database is kept by the lock of the database itself,
//! whatever the timetable says.

use crate::ahead::Ahead;
use crate::fleet::Fleet;
use crate::look::{Known, chain, one};
use crate::schedule::Schedule;
use engine::{
    BUSY, Class, Engine, Error, Event, Failure, Looked, NewTick, Plan, Report, Request, Severity, Status,
    Stop, Tick, TickState, new_id,
};
use jiff::SignedDuration;
use sha2::{Digest, Sha256};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Makes requests of schedules, and hears what came of them.
pub trait Requests: Send + Sync {
    /// The schedules of the configuration.
    fn configured(&self) -> &[Schedule];
    /// The request that a schedule means. Whether it is a dry run is decided here afterwards.
    fn request(&self, schedule: &Schedule) -> Result<Request, Failure>;
    /// The databases of the fleet that a schedule is for.
    fn fleet(&self, _engine: &Engine, schedule: &Schedule) -> Result<Fleet, Failure> {
        let name = &schedule.name;
        Err(Error::usage(format!("nobody here knows the fleet of `{name}`")).into())
    }
    /// Why a request may not be run for the first time, where it may not.
    fn refused(&self, _engine: &Engine, _request: &Request) -> Result<Option<String>, Failure> {
        Ok(None)
    }
    /// Something happened in a run.
    fn seen(&self, _event: &Event) {}
    /// A tick is over.
    fn over(&self, _outcome: &Outcome<'_>) {}
}

/// What came of a tick.
pub struct Outcome<'a> {
    /// The schedule.
    pub schedule: &'a Schedule,
    /// The tick, as it was taken; of one database where the schedule is for many, see [`Tick::part_of`].
    pub tick: &'a Tick,
    /// How it ended.
    pub state: TickState,
    /// It is done, and failed on some of the databases that it is about, which was allowed: the reason says on which.
    pub warned: bool,
    /// Why, where there is something to say.
    pub why: Option<&'a str>,
    /// The report of its run.
    pub report: Option<&'a Report>,
}

/// A worker.
pub struct Worker<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) requests: &'a dyn Requests,
    pub(crate) id: String,
    pub(crate) lease: Duration,
    /// How many workers this process has, this one among them.
    pub(crate) beside: u64,
    pub(crate) ahead: Mutex<Ahead>,
}

/// How a tick ended.
pub(crate) enum Ended {
    Over(TickState, Option<String>, Option<Box<Report>>),
    /// It was done on enough of the databases that it is about.
    Warned(String),
    /// It goes on later.
    PutOff(SignedDuration, String),
}

/// A busy database is tried again after a second, and after longer the more often it was: at most after so long.
const LATER: i64 = 30;
/// What the log says of work that was lost to another worker.
const TAKEN: &str = "another worker has taken over";

impl<'a> Worker<'a> {
    /// A worker under this id; a tick is given to others when nothing is heard of it for as long as the lease.
    pub fn new(engine: &'a Engine, requests: &'a dyn Requests, id: &str, lease: Duration) -> Self {
        Self { engine, requests, id: id.to_owned(), lease, beside: 1, ahead: Mutex::default() }
    }

    /// One of so many in this process, who share what is due with those of other processes.
    #[must_use]
    pub fn one_of(self, many: usize) -> Self {
        Self { beside: many.max(1) as u64, ..self }
    }

    /// Takes one tick and works on it; whether there was one. Others may be set aside for the next steps: see
    /// [`Worker::give_back`].
    pub fn step(&self, stop: &Stop) -> Result<bool, Failure> {
        match self.next()? {
            Some(tick) => self.take(&tick, stop).map(|()| true),
            None => Ok(false),
        }
    }

    /// The same for one tick only; false when it is not free.
    pub fn step_at(&self, id: &str, stop: &Stop) -> Result<bool, Failure> {
        let now = self.engine.clock().now();
        match self.engine.timetable()?.claim_this(id, &self.id, self.lease, now)? {
            Some(tick) => self.take(&tick, stop).map(|()| true),
            None => Ok(false),
        }
    }

    pub(crate) fn take(&self, tick: &Tick, stop: &Stop) -> Result<(), Failure> {
        let known = one(self.engine, self.requests.configured(), tick.schedule_name())?;
        let is_for_many = |known: &Known| known.schedule.says.fleet.is_some();
        let known = known.filter(|known| tick.part_of().is_none() || is_for_many(known));
        let Some(known) = known else {
            let now = self.engine.clock().now();
            self.engine.timetable()?.end(tick, TickState::Skipped, Some("the schedule is gone"), now)?;
            return Ok(());
        };
        let lost = AtomicBool::new(false);
        let ended = self.with_a_beat(tick, stop, &lost, |own| {
            match is_for_many(&known) && tick.part_of().is_none() {
                true => self.conduct(tick, &known, stop, own),
                false => self.work(tick, &known, stop, own),
            }
        });
        if lost.load(Ordering::Acquire) {
            tracing::warn!(schedule = %tick.schedule, tick = %tick.id, "{TAKEN}");
            return Ok(());
        }
        self.finish(tick, &known.schedule, ended?)
    }

    fn finish(&self, tick: &Tick, schedule: &Schedule, ended: Ended) -> Result<(), Failure> {
        let now = self.engine.clock().now();
        let timetable = self.engine.timetable()?;
        let warned = matches!(ended, Ended::Warned(_));
        let (state, why, report) = match ended {
            Ended::PutOff(by, why) => {
                timetable.put_off(tick, now + by, &why)?;
                return Ok(());
            }
            Ended::Over(state, why, report) => (state, why, report),
            Ended::Warned(why) => (TickState::Done, Some(why), None),
        };
        if !timetable.end(tick, state, why.as_deref(), now)? {
            tracing::warn!(schedule = %tick.schedule, tick = %tick.id, "{TAKEN}");
            return Ok(());
        }
        if tick.part_of().is_none() {
            chain(self.engine, self.requests.configured(), &schedule.name, now)?;
        }
        let (why, report) = (why.as_deref(), report.as_deref());
        self.requests.over(&Outcome { schedule, tick, state, warned, why, report });
        Ok(())
    }

    /// Does the work while the lease is prolonged. Whoever has lost the tick stops at the next batch.
    fn with_a_beat<T>(
        &self,
        tick: &Tick,
        stop: &Stop,
        lost: &AtomicBool,
        work: impl FnOnce(&Stop) -> T,
    ) -> T {
        // A stop of its own: one that is lost must not end the others.
        let own = Stop::default();
        let (over, is_over) = channel::<()>();
        std::thread::scope(|scope| {
            let own = &own;
            scope.spawn(move || {
                let pause = (self.lease / 3).min(Duration::from_millis(500)).max(Duration::from_millis(10));
                let clock = self.engine.clock();
                let mut kept = clock.tick();
                while is_over.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                    match stop.asked() {
                        true => {
                            own.ask();
                            self.give_back();
                        }
                        false => self.give_back_what_is_old(),
                    }
                    if clock.tick().duration_since(kept) < self.lease / 3 {
                        continue;
                    }
                    match self.engine.timetable().and_then(|timetable| Ok(timetable.keep(tick, self.lease)?)) {
                        Ok(true) => kept = clock.tick(),
                        Ok(false) => {
                            lost.store(true, Ordering::Release);
                            own.ask();
                        }
                        Err(error) => {
                            tracing::warn!(%error, tick = %tick.id, "the timetable does not hear of the work");
                            if clock.tick().duration_since(kept) >= self.lease {
                                own.ask();
                            }
                        }
                    }
                }
            });
            let done = work(own);
            drop(over);
            done
        })
    }

    /// Only a death is an error here.
    fn work(&self, tick: &Tick, known: &Known, stop: &Stop, own: &Stop) -> Result<Ended, Failure> {
        let ended = match &tick.run {
            Some(run) => self.go_on(run, tick, known, own),
            None => self.begin(tick, known, own),
        };
        Ok(match ended {
            // By the worker itself, which is to end, or was cut off from the timetable for too long.
            Ok(Ended::Over(_, _, Some(report)))
                if report.status == Status::Cancelled && (stop.asked() || own.asked()) =>
            {
                Ended::PutOff(SignedDuration::ZERO, "its worker was stopped".to_owned())
            }
            Ok(Ended::Over(TickState::Failed, why, Some(report))) if only_busy(&report) => {
                Ended::PutOff(later(tick), why.unwrap_or_default())
            }
            Ok(ended) => ended,
            Err(Failure::Busy { database, holder }) => {
                Ended::PutOff(later(tick), format!("`{database}` is being maintained by {holder}"))
            }
            Err(failure @ Failure::Fault(_)) => return Err(failure),
            Err(failure) => Ended::Over(TickState::Failed, Some(said(&failure)), None),
        })
    }

    /// Goes on with what another worker has begun, or this one before it was stopped.
    fn go_on(&self, run: &str, tick: &Tick, known: &Known, stop: &Stop) -> Result<Ended, Failure> {
        let record = match self.engine.run_record(run) {
            Ok(record) => record,
            // It was noted here, and did not come to it.
            Err(failure) if failure.class() == Class::Usage => return self.begin(tick, known, stop),
            Err(failure) => return Err(failure),
        };
        let report = record.report();
        let open = |status: Status| status.can_resume() || !status.is_over();
        if !report.operations.iter().any(|operation| open(operation.status)) {
            return Ok(of_report(report));
        }
        // Whoever had it may live still, asleep or cut off: by the term he can do nothing more about it.
        let watch = &mut |event: &Event| self.requests.seen(event);
        Ok(of_report(self.engine.take_over(run, tick.term, stop, watch)?))
    }

    fn begin(&self, tick: &Tick, known: &Known, stop: &Stop) -> Result<Ended, Failure> {
        let schedule = &known.schedule;
        let mut request = self.requests.request(schedule)?;
        request.dry_run = schedule.says.dry_run;
        let needed = needed_approval(known, &request);
        if needed.is_some() {
            request.dry_run = true;
        }
        // What was approved is the same for each database.
        if let Some(database) = tick.part_of() {
            for operation in &mut request.operations {
                operation.database = database.to_owned();
            }
        }
        if !schedule.says.dry_run_first
            && !request.dry_run
            && let Some(why) = self.requests.refused(self.engine, &request)?
        {
            return Ok(Ended::Over(TickState::Failed, Some(why), None));
        }
        if schedule.says.dry_run_first && !request.dry_run {
            let looked = Request { dry_run: true, ..request.clone() };
            let plan = match self.planned(&looked)? {
                Ok(plan) => plan,
                Err(ended) => return self.with_its_run(tick, ended),
            };
            let report = self.engine.run(&plan, stop, &mut |event| self.requests.seen(event))?;
            if matches!(report.status, Status::Refused | Status::Failed) {
                return self.with_its_run(tick, of_report(report));
            }
        }
        let plan = match self.planned(&request)? {
            Ok(plan) => plan,
            Err(ended) => return self.with_its_run(tick, ended),
        };
        let most = known.approval.as_ref().and_then(|(approval, _)| approval.max_rows);
        if let Some(most) = most.filter(|most| !request.dry_run && plan.matched() > *most) {
            let why = format!("it would take {} rows, and the approval is for {most}", plan.matched());
            return Ok(Ended::Over(TickState::Failed, Some(why), None));
        }
        // One who died, or sleeps, before he could begin: he must not begin the same as another run.
        let run = tick.run.clone().unwrap_or_else(new_id);
        if !self.engine.timetable()?.begin(tick, &run)? {
            // Somebody else has it: what is done here would be done twice.
            stop.ask();
            return Ok(Ended::PutOff(SignedDuration::ZERO, String::new()));
        }
        let watch = &mut |event: &Event| self.requests.seen(event);
        let report = self.engine.run_under(&run, tick.term, &plan, stop, watch)?;
        Ok(match (of_report(report), needed) {
            (Ended::Over(TickState::Done, _, report), Some(needed)) => {
                Ended::Over(TickState::Done, Some(needed), report)
            }
            (ended, _) => ended,
        })
    }

    /// A tick that ended before its work could begin has the run that says why, all the same.
    fn with_its_run(&self, tick: &Tick, ended: Ended) -> Result<Ended, Failure> {
        if let Ended::Over(_, _, Some(report)) = &ended
            && !only_busy(report)
        {
            self.engine.timetable()?.begin(tick, &report.run_id)?;
        }
        Ok(ended)
    }

    /// The plan, or how the tick has ended where none can be made: with the run in the log that says why.
    fn planned(&self, request: &Request) -> Result<Result<Plan, Ended>, Failure> {
        let prepared = self.engine.prepare(request)?;
        let failure = prepared.failures.into_iter().next().filter(|_| prepared.plan.items.len() == 1);
        let Some(failure) = failure else { return Ok(Ok(prepared.plan)) };
        match self.engine.log_unplanned(request, &failure) {
            Ok(report) if !matches!(failure, Failure::Busy { .. } | Failure::Fault(_)) => {
                let report = Some(Box::new(report));
                Ok(Err(Ended::Over(TickState::Failed, Some(said(&failure)), report)))
            }
            Ok(_) => Err(failure),
            Err(error) => {
                tracing::warn!(%error, "the failed run cannot be logged");
                Err(failure)
            }
        }
    }
}

/// Why what is asked for may only be shown (X-23, W-067); none when it may be done.
pub fn needed_approval(known: &Known, request: &Request) -> Option<String> {
    let grave: Vec<&str> = request
        .operations
        .iter()
        .filter(|operation| operation.severity >= Severity::High)
        .map(|operation| operation.name.as_str())
        .collect();
    let added = !known.schedule.configured;
    if grave.is_empty() && !added {
        return None;
    }
    match &known.approval {
        Some((_, None)) => None,
        Some((_, Some(of))) if *of == fingerprint(&known.schedule, request) => None,
        Some(_) => {
            Some("approval needed: what it runs was changed since it was approved; only shown".to_owned())
        }
        None if grave.is_empty() => {
            Some("approval needed: it was added and nobody approved it; only shown".to_owned())
        }
        None => Some(format!("approval needed for {}; only shown", grave.join(", "))),
    }
}

/// What an approval is given for: operations with all of their options and limits, and the fleet.
pub fn fingerprint(schedule: &Schedule, request: &Request) -> String {
    let mut text = serde_json::to_string(&request.operations).unwrap_or_default();
    if let Some(fleet) = &schedule.says.fleet {
        text = format!("{text} on {fleet}");
    }
    Sha256::digest(text.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Notes a tick for right now; it is run even where the schedule is switched off.
pub fn by_hand(engine: &Engine, schedule: &str) -> Result<Option<Tick>, Failure> {
    let now = engine.clock().now();
    let tick = NewTick { due: now, start: now, skipped: None };
    let timetable = engine.timetable()?;
    timetable.note(&[Looked {
        schedule: schedule.to_owned(),
        ticks: vec![tick],
        until: None,
        back: false,
    }])?;
    Ok(timetable.ticks(Some(schedule), 1)?.into_iter().next())
}

fn of_report(report: Report) -> Ended {
    let state = match report.status {
        Status::Failed | Status::Refused | Status::Interrupted | Status::Cancelled => TickState::Failed,
        _ => TickState::Done,
    };
    let why = match report.status {
        Status::Completed | Status::Skipped => None,
        Status::Failed | Status::Refused => report.errors.first().map(|error| error.message.clone()),
        other => Some(other.name().to_owned()),
    };
    Ended::Over(state, why, Some(Box::new(report)))
}

/// Whether nothing failed but that somebody else was at work.
fn only_busy(report: &Report) -> bool {
    !report.errors.is_empty() && report.errors.iter().all(|error| error.code == BUSY)
}

/// How long a tick waits for a database that is busy.
fn later(tick: &Tick) -> SignedDuration {
    SignedDuration::from_secs(1 << tick.term.clamp(1, 6) >> 1).min(SignedDuration::from_secs(LATER))
}

pub(crate) fn said(failure: &Failure) -> String {
    match failure.help() {
        Some(help) => format!("{failure} ({help})"),
        None => failure.to_string(),
    }
}
