//! One batch: aim, begin, remember and change, checkpoint, commit; again where others were in its way; passed over where it
//! is a scope whose data make it fail.
//!
//! Which batch is next, and whether there is one, is decided in `run`.

use crate::checkpoint::{Checkpoint, superseded};
use crate::error::{Class, Error, Failure, chain};
use crate::event::{Counts, What};
use crate::housekeeping::name_the_blocker;
use crate::operation::{Batch, Cursor, Operation};
use crate::pace::Pace;
use crate::plan::{Item, Step, Undo};
use crate::request::Manners;
use crate::retry;
use crate::run::Run;
use crate::scopes::{self, GivenUp, Told};
use crate::undo::{self, Point, PointState};
use crate::work::{AGAIN_WITH_CARE, Beside, Did, Memory, Setting, Work};
use std::time::{Duration, Instant};
use targets::db::{Command, Database, Dialect, GAVE_WAY, Limits, Session, Sql, Tx};

/// The code of a statement that was ended because of its time limit, or by somebody.
const CANCELLED: &str = "57014";

/// The code of an error after which the operation goes on from where the database stands: it was restarted, and has forgotten
/// commits that nobody waited for.
const FORGOTTEN: &str = "forgotten";

/// What a batch came to.
#[derive(Debug, Default)]
pub(crate) struct Came {
    pub counts: Counts,
    pub took: Duration,
    /// How long its transaction took to begin.
    pub begun: Duration,
    /// The part of `took` that depends on the rows.
    pub worked: Duration,
    pub detail: Option<serde_json::Value>,
    /// Why the operation begins again from its first step.
    pub again: Option<String>,
    /// Steps that were done from beginning to end in the same transaction, after it.
    pub more: Vec<(usize, Counts, Option<serde_json::Value>)>,
}

/// What one call of `act` came to.
type Acted = (Batch, Told, Vec<String>);

/// What stays the same while one operation executes.
pub(crate) struct Execution<'a> {
    /// The place of the operation in the request.
    pub n: usize,
    pub database: &'a dyn Database,
    pub dialect: &'a dyn Dialect,
    pub operation: &'a dyn Operation,
    pub item: &'a Item,
    pub manners: &'a Manners,
    pub limits: Limits,
    pub point: String,
    pub began: Instant,
    /// Under which term the run is worked on.
    pub term: i64,
    /// A second session for those that use one.
    pub beside: Beside<'a>,
}

impl Execution<'_> {
    /// What was remembered by earlier attempts, where their undo point is this one.
    pub fn memory(&self, known: Option<Point>) -> Memory {
        let forget = !matches!(self.item.undo, Undo::Rows { .. });
        let tables = known.filter(|_| !forget).map(|point| point.tables);
        Memory::new(&self.point, forget, tables.unwrap_or_default())
    }
}

impl Run<'_, '_> {
    /// Does the next batch, several times where others are in its way.
    pub(crate) fn batch_with_retries(
        &mut self,
        work: &Execution,
        session: &mut dyn Session,
        checkpoint: &mut Checkpoint,
        memory: &mut Memory,
        pace: &mut Pace,
        done: u64,
    ) -> Result<Came, Failure> {
        let mut waits = retry::waits(work.operation.retries());
        let mut attempt = 1;
        loop {
            let rows = match work.manners.max_rows {
                Some(most) => pace.rows().min(most.saturating_sub(done).max(1)),
                None => pace.rows(),
            };
            let failure =
                match self.batch(work, session, checkpoint, memory, (rows, pace.target()), attempt > 1) {
                    Ok(done) => {
                        let overhead = work.dialect.batch_overhead(pace.quickest(done.begun));
                        let worked = done.took.saturating_sub(overhead);
                        let counts = done.counts;
                        if counts.rows() + counts.dependants + counts.failed > 0 || worked > pace.target() {
                            pace.learn(worked);
                        } else {
                            // Nothing to do there: look further ahead next time.
                            pace.learn(worked.max(Duration::from_millis(1)));
                        }
                        return Ok(Came { worked, ..done });
                    }
                    Err(failure) => failure,
                };
            let Failure::Error(error) = &failure else { return Err(failure) };
            // A command that took longer than it may does so again.
            let too_long = self.at_command.is_some() && error.code.as_deref() == Some(CANCELLED);
            if too_long || !retry::may_retry(error.class) {
                return self.command_failed(work, session, checkpoint, failure);
            }
            if error.code.as_deref() == Some(FORGOTTEN) {
                self.log(work.n, What::Retried { error: chain(&failure), attempt: attempt + 1 })?;
                self.go_on_from_there(work, session, checkpoint, memory)?;
                return Ok(Came::default());
            }
            if error.code.as_deref() == Some(AGAIN_WITH_CARE) {
                memory.careful = true;
                continue;
            }
            if error.code.as_deref() == Some(GAVE_WAY) {
                // The log may be long: whoever came should not have to move it.
                session.perform(&Command::Checkpoint)?;
                self.log(work.n, What::Retried { error: chain(&failure), attempt: attempt + 1 })?;
                return Ok(Default::default());
            }
            let Some(wait) = waits.next().filter(|_| attempt < 4 || !self.stop.asked()) else {
                let failure = name_the_blocker(failure, session);
                return self.command_failed(work, session, checkpoint, failure);
            };
            if matches!(error.code.as_deref(), Some("57014" | "9")) {
                pace.shrink();
            }
            attempt += 1;
            self.log(work.n, What::Retried { error: chain(&failure), attempt })?;
            self.engine.clock().sleep(wait);
            if let Some(counts) = self.committed_after_all(work, session, checkpoint, memory)? {
                return Ok(Came { counts, ..Came::default() });
            }
        }
    }

    /// A commit may have happened although its answer was lost: then the checkpoint in the database is ahead of ours, and
    /// the batch must not be done again. An error of this look is left to the next try, which meets it too.
    fn committed_after_all(
        &mut self,
        work: &Execution,
        session: &mut dyn Session,
        checkpoint: &mut Checkpoint,
        memory: &mut Memory,
    ) -> Result<Option<Counts>, Failure> {
        let name = work.operation.checkpoint(&work.point, &work.item.steps);
        let Ok(Some(there)) = Checkpoint::read(session, &name) else { return Ok(None) };
        self.still_ours(work, session)?;
        if there.batch <= checkpoint.batch {
            return Ok(None);
        }
        let before = checkpoint.counts.get(checkpoint.step).copied().unwrap_or_default();
        let counts = there.counts.get(checkpoint.step).map(|now| now.without(&before)).unwrap_or_default();
        *memory = work.memory(undo::read_point(session, &work.point)?);
        *checkpoint = there.padded(work.item.steps.len());
        // Whether that commit was to be waited for is not known any more.
        self.owed = true;
        Ok(Some(counts))
    }

    /// The operation stands where the database does.
    fn go_on_from_there(
        &mut self,
        work: &Execution,
        session: &mut dyn Session,
        checkpoint: &mut Checkpoint,
        memory: &mut Memory,
    ) -> Result<(), Failure> {
        let name = work.operation.checkpoint(&work.point, &work.item.steps);
        let there = Checkpoint::read(session, &name)?.unwrap_or_default().padded(work.item.steps.len());
        let known = undo::read_point(session, &work.point)?;
        self.catch_up(work.n, &there, known.as_ref())?;
        *memory = work.memory(known);
        *checkpoint = there;
        self.owed = false;
        Ok(())
    }

    /// Fails where the database has forgotten what it was not waited for.
    fn nothing_is_forgotten(
        &self,
        work: &Execution,
        checkpoint: &Checkpoint,
        tx: &mut dyn Tx,
    ) -> crate::error::Result<()> {
        let name = work.operation.checkpoint(&work.point, &work.item.steps);
        match !self.owed || checkpoint.is_stored(tx, work.dialect, &name)? {
            true => Ok(()),
            false => Err(Error::transient("the server was restarted and has forgotten the last batches")
                .code(FORGOTTEN)),
        }
    }

    /// Fails when the run was taken over by somebody else.
    fn still_ours(&self, work: &Execution, session: &mut dyn Session) -> Result<(), Failure> {
        let name = work.operation.checkpoint(&work.point, &work.item.steps);
        match Checkpoint::term(session, &name)? > work.term {
            true => Err(superseded().into()),
            false => Ok(()),
        }
    }

    /// The same inside a transaction, until the end of which nobody can take it over.
    fn only_if_ours(&self, work: &Execution, tx: &mut dyn Tx) -> crate::error::Result<()> {
        let name = work.operation.checkpoint(&work.point, &work.item.steps);
        let now = self.engine.clock().now();
        match work.term == 0 || Checkpoint::claim(tx, work.dialect, &name, now, work.term)? {
            true => Ok(()),
            false => Err(superseded()),
        }
    }

    /// One transaction: the change, its undo rows and the checkpoint.
    fn batch(
        &mut self,
        work: &Execution,
        session: &mut dyn Session,
        checkpoint: &mut Checkpoint,
        memory: &mut Memory,
        (rows, time): (u64, Duration),
        retry: bool,
    ) -> Result<Came, Failure> {
        let clock = self.engine.clock();
        let step = &work.item.steps[checkpoint.step];
        let began: Instant = clock.tick();
        let stores = self.engine.stores();
        let aim = work.operation.aim(step, &checkpoint.cursor, rows, session, stores)?;
        let aimed = clock.tick().duration_since(began);
        let Some(aim) = aim else {
            checkpoint.step += 1;
            checkpoint.cursor = Default::default();
            return Ok(Came::default());
        };
        (self.at_command, self.did) = (None, None);
        let mut worked = Duration::ZERO;
        if let Some(command) = work.operation.outside(step, &aim, work.limits)? {
            self.still_ours(work, session)?;
            self.at_command = Some(aim.clone());
            worked = self.perform(work, session, checkpoint, memory, &aim, &command)?;
            self.at_command = None;
        }
        let outcome = match self.attempt(work, session, checkpoint, memory, &aim, (rows, time), retry) {
            Err(Failure::Error(error)) if error.class == Class::Data => {
                self.still_ours(work, session)?;
                let class = error.class;
                let failure = Failure::Error(error);
                let said = chain(&failure);
                match work.operation.give_up(step, &aim, &said)? {
                    Some(given_up) => self.pass_over(work, session, checkpoint, given_up, class, said),
                    None => Err(failure),
                }
            }
            outcome => outcome,
        };
        let came = outcome?;
        Ok(Came { took: aimed + worked + came.took, ..came })
    }

    /// Performs a command outside of transactions; the aim is kept in the checkpoint before, so that whoever comes after a
    /// death knows what to look for.
    fn perform(
        &mut self,
        work: &Execution,
        session: &mut dyn Session,
        checkpoint: &mut Checkpoint,
        memory: &Memory,
        aim: &Cursor,
        command: &Command,
    ) -> Result<Duration, Failure> {
        let faults = self.engine.faults();
        let clock = self.engine.clock();
        if checkpoint.cursor != *aim {
            let begun = Checkpoint { cursor: aim.clone(), ..checkpoint.clone() };
            let name = work.operation.checkpoint(&work.point, &work.item.steps);
            let mut memory = memory.clone();
            faults.point("before a command is noted")?;
            let mut tx = session.begin(&work.limits)?;
            self.nothing_is_forgotten(work, checkpoint, tx.as_mut())?;
            let setting = self.setting(work);
            let mut handle =
                Work::new(tx.as_mut(), &setting, &mut memory, checkpoint.batch as i64 + 1, false);
            let noted = work.operation.begin(&work.item.steps[checkpoint.step], aim, &mut handle);
            if let Some(name) = handle.fired() {
                return Err(Failure::Fault(name));
            }
            noted?;
            if memory.things && !memory.forget {
                undo::open_point(tx.as_mut(), work.dialect, &self.undo_point(work))?;
            }
            begun.write(tx.as_mut(), work.dialect, &name, clock.now(), work.term)?;
            tx.commit()?;
            *checkpoint = begun;
        }
        faults.point("before a command")?;
        // Some commands wait until nobody looks at an older moment any more.
        self.held.let_go();
        let began = clock.tick();
        let performed = session.perform(command)?;
        let took = clock.tick().duration_since(began);
        self.did = Some(Did { performed, seconds: took.as_secs_f64() });
        faults.point("after a command")?;
        Ok(took)
    }

    /// A command that failed in its last try: passed over where the operation says so.
    fn command_failed(
        &mut self,
        work: &Execution,
        session: &mut dyn Session,
        checkpoint: &mut Checkpoint,
        failure: Failure,
    ) -> Result<Came, Failure> {
        let (Some(aim), Failure::Error(error)) = (self.at_command.take(), &failure) else {
            return Err(failure);
        };
        let step = &work.item.steps[checkpoint.step];
        match work.operation.passes_over(step, &aim, error)? {
            Some(given_up) => {
                let said = chain(&failure);
                self.pass_over(work, session, checkpoint, given_up, failure.class(), said)
            }
            None => Err(failure),
        }
    }

    fn setting<'a>(&'a self, work: &'a Execution<'a>) -> Setting<'a> {
        Setting {
            dialect: work.dialect,
            stores: self.engine.stores(),
            faults: self.engine.faults(),
            now: self.plan.now,
            actor: &self.plan.request.actor,
            clock: self.engine.clock(),
            did: self.did.as_ref(),
            beside: &work.beside,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "all that a batch is made of")]
    fn attempt(
        &mut self,
        work: &Execution,
        session: &mut dyn Session,
        checkpoint: &mut Checkpoint,
        memory: &mut Memory,
        aim: &Cursor,
        (rows, time): (u64, Duration),
        retry: bool,
    ) -> Result<Came, Failure> {
        let faults = self.engine.faults();
        let clock = self.engine.clock();
        let step = &work.item.steps[checkpoint.step];
        let name = work.operation.checkpoint(&work.point, &work.item.steps);
        // Both are put in place only after the commit: a batch that is rolled back has happened to nobody.
        let mut new_memory = memory.clone();
        let mut new_checkpoint = checkpoint.clone();
        new_checkpoint.batch += 1;

        faults.point("before a batch")?;
        let mut notes;
        let asked: Instant = clock.tick();
        let began: Instant;
        let soon;
        let mut more = Vec::new();
        let (counts, detail, again) = {
            let setting = self.setting(work);
            let mut tx = session.begin(&work.limits)?;
            self.nothing_is_forgotten(work, checkpoint, tx.as_mut())?;
            // What was spent on waiting for others says nothing about how many rows fit into a batch.
            began = clock.tick();
            faults.point("begun")?;
            let number = new_checkpoint.batch as i64;
            let mut handle = Work::new(tx.as_mut(), &setting, &mut new_memory, number, retry);
            let (Batch { counts, next }, told, noted) = acted(work.operation, step, aim, rows, &mut handle)?;
            notes = noted;
            faults.point("changed")?;
            match &told.again {
                Some(_) => new_checkpoint.begin_again(),
                None => {
                    new_checkpoint.go_on_at(next);
                    new_checkpoint.counts[checkpoint.step].add(&counts);
                }
            }
            let first = memory.tables.is_empty() && !new_memory.tables.is_empty();
            if !new_memory.forget && (first || (new_memory.things && !memory.things)) {
                undo::open_point(tx.as_mut(), work.dialect, &self.undo_point(work))?;
            }
            if let Some(scope) = &told.scope {
                scopes::install(tx.as_mut(), work.dialect)?;
                if !new_memory.forget {
                    let detail = told.detail.as_ref();
                    undo::open_scope(tx.as_mut(), work.dialect, &work.point, number, scope, detail)?;
                }
                scopes::forget_failure(tx.as_mut(), work.dialect, &work.item.operation.name, scope)?;
            }
            while work.dialect.has_one_writer()
                && self.next_follows(work, checkpoint.step, &new_checkpoint)
                && clock.tick().duration_since(began) < time
                && !self.stop.asked()
            {
                let n = new_checkpoint.step;
                tx.execute(&Sql::new("savepoint sexton_step"))?;
                let mut handle = Work::new(tx.as_mut(), &setting, &mut new_memory, number, retry).in_part();
                let aim = Cursor::default();
                match acted(work.operation, &work.item.steps[n], &aim, rows, &mut handle) {
                    Ok((batch, told, noted)) => {
                        tx.execute(&Sql::new("release savepoint sexton_step"))?;
                        faults.point("another step changed")?;
                        new_checkpoint.go_on_at(batch.next);
                        new_checkpoint.counts[n].add(&batch.counts);
                        notes.extend(noted);
                        more.push((n, batch.counts, told.detail));
                    }
                    Err(Failure::Fault(name)) => return Err(Failure::Fault(name)),
                    // It is the first of the next batch, and fails there alone.
                    Err(failure) => {
                        let back = tx.execute(&Sql::new("rollback to savepoint sexton_step"));
                        if back.and_then(|_| tx.execute(&Sql::new("release savepoint sexton_step"))).is_err()
                        {
                            return Err(failure);
                        }
                        break;
                    }
                }
            }
            new_checkpoint.write(tx.as_mut(), work.dialect, &name, clock.now(), work.term)?;
            faults.point("checkpointed")?;
            let goes_on = new_checkpoint.step == checkpoint.step && work.operation.is_in_no_hurry(step);
            soon = goes_on || self.next_follows(work, checkpoint.step, &new_checkpoint);
            match soon {
                true => tx.commit_soon()?,
                false => tx.commit()?,
            }
            (counts, told.detail, told.again)
        };
        self.owed = soon;
        faults.point("committed")?;
        *memory = new_memory;
        *checkpoint = new_checkpoint;
        for text in notes {
            self.log(work.n, What::Noted { text })?;
        }
        let took = clock.tick().duration_since(began);
        Ok(Came { counts, took, begun: began.duration_since(asked), detail, more, again, ..Came::default() })
    }

    /// Whether step `n` is done, and what comes next may be done right after it.
    fn next_follows(&self, work: &Execution, n: usize, checkpoint: &Checkpoint) -> bool {
        let next = work.item.steps.get(checkpoint.step).filter(|_| checkpoint.step > n);
        checkpoint.cursor == Cursor::default() && next.is_some_and(|next| work.operation.follows(next))
    }

    /// Lets the operation write down that a step failed for good. A failure of that changes nothing about the first one.
    pub(crate) fn note_failure(
        &self,
        work: &Execution,
        session: &mut dyn Session,
        checkpoint: &Checkpoint,
        failure: &Failure,
    ) {
        let Failure::Error(_) = failure else { return };
        let Some(step) = work.item.steps.get(checkpoint.step).filter(|_| work.operation.notes_failures())
        else {
            return;
        };
        let mut memory = Memory::new(&work.point, true, Vec::new());
        let setting = self.setting(work);
        let noted = session.begin(&work.limits).and_then(|mut tx| {
            self.only_if_ours(work, tx.as_mut())?;
            let number = checkpoint.batch as i64 + 1;
            let mut handle = Work::new(tx.as_mut(), &setting, &mut memory, number, false);
            work.operation.failed(step, &checkpoint.cursor, &chain(failure), &mut handle)?;
            tx.commit()
        });
        if let Err(error) = noted {
            tracing::warn!(%error, "the failure cannot be noted in the database");
        }
    }

    /// Lets the operation take away what it has begun, in a transaction of its own; what is wrong with that changes nothing about
    /// how it ended.
    pub(crate) fn go_back(
        &mut self,
        work: &Execution,
        session: &mut dyn Session,
        error: Option<&Error>,
    ) -> Result<(), Failure> {
        if !work.operation.goes_back() {
            return Ok(());
        }
        let stores = self.engine.stores();
        let mut memory = Memory::new(&work.point, true, Vec::new());
        let setting = self.setting(work);
        let went = match session.begin(&work.limits) {
            Ok(mut tx) => {
                self.only_if_ours(work, tx.as_mut())?;
                let mut handle = Work::new(tx.as_mut(), &setting, &mut memory, 0, false);
                let went = work.operation.go_back(error, stores, Some(&mut handle));
                if let Some(name) = handle.fired() {
                    return Err(Failure::Fault(name));
                }
                went.and_then(|told| tx.commit().map(|()| told))
            }
            // Whether it is still ours to take back cannot be told.
            Err(error) if work.term > 0 => Err(error),
            Err(_) => work.operation.go_back(error, stores, None),
        };
        match went {
            Ok(Some(text)) => self.log(work.n, What::Noted { text }),
            Ok(None) => Ok(()),
            Err(error) => {
                let text = format!("what was begun could not be taken back: {}", chain(&error));
                self.log(work.n, What::Noted { text })
            }
        }
    }

    /// A scope that failed was rolled back: it is remembered as failed, and the checkpoint passes over it.
    fn pass_over(
        &mut self,
        work: &Execution,
        session: &mut dyn Session,
        checkpoint: &mut Checkpoint,
        given_up: GivenUp,
        class: Class,
        error: String,
    ) -> Result<Came, Failure> {
        let faults = self.engine.faults();
        let now = self.engine.clock().now();
        let step = checkpoint.step;
        let counts = Counts { failed: 1, ..Counts::default() };
        let mut passed = checkpoint.clone();
        passed.batch += 1;
        passed.counts[step].add(&counts);
        passed.go_on_at(given_up.next);
        let name = work.operation.checkpoint(&work.point, &work.item.steps);
        faults.point("before a scope is passed over")?;
        let mut tx = session.begin(&work.limits)?;
        scopes::install(tx.as_mut(), work.dialect)?;
        let operation = &work.item.operation.name;
        scopes::note_failure(tx.as_mut(), work.dialect, operation, &given_up.scope, &error, now)?;
        passed.write(tx.as_mut(), work.dialect, &name, now, work.term)?;
        faults.point("scope passed over")?;
        tx.commit()?;
        *checkpoint = passed;
        self.log(work.n, What::GaveUp { step, scope: given_up.scope, class, error })?;
        Ok(Came { counts, detail: Some(given_up.detail), ..Came::default() })
    }

    fn undo_point(&self, work: &Execution) -> Point {
        let until = match &work.item.undo {
            Undo::Rows { until, .. } => Some(*until),
            _ => None,
        };
        Point {
            id: work.point.clone(),
            operation: work.item.operation.name.clone(),
            actor: self.plan.request.actor.clone(),
            created_at: self.engine.clock().now(),
            expires_at: until,
            state: PointState::Open,
            tables: Vec::new(),
            scopes: Vec::new(),
            scope: None,
            batch: None,
        }
    }
}

/// Asks the operation to act. A fault point that fired inside is a death.
fn acted(
    operation: &dyn Operation,
    step: &Step,
    aim: &Cursor,
    rows: u64,
    handle: &mut Work,
) -> Result<Acted, Failure> {
    let outcome = operation.act(step, aim, rows, handle);
    if let Some(name) = handle.fired() {
        return Err(Failure::Fault(name));
    }
    Ok((outcome?, std::mem::take(handle.told_mut()), handle.take_notes()))
}
