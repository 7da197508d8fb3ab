//! A rehearsal: what an operation would do is done, measured and thrown away.
//!
//! Where the database lets all of it be one transaction without keeping all others out, it is done there and rolled back: the figures are
//! those of the real rows. Else a copy is made, used and discarded. Nothing is logged as a run, and the database is as it was.

use super::BackupPolicy;
use super::scratch::Scratch;
use super::take::dumping;
use crate::engine::{Engine, new_id};
use crate::error::{Error, Failure, Result};
use crate::finding::Finding;
use crate::operation::{Batch, Cursor, Operation};
use crate::plan::{Item, Step};
use crate::request::{OperationRequest, forbidding};
use crate::work::{Beside, Memory, Setting, Work};
use serde::Serialize;
use std::path::Path;
use targets::db::{Database, Limits, Session, Tx, Value};

/// What a rehearsal came to.
#[derive(Debug, Clone, Serialize)]
pub struct Rehearsal {
    /// Where it took place: `rolled_back` (in a transaction of the database itself), `copy`, or `empty` (a
    /// database made for it).
    pub place: &'static str,
    /// One for each step, in order.
    pub steps: Vec<Rehearsed>,
    /// All steps together.
    pub seconds: f64,
    /// What did not go as it should.
    pub findings: Vec<Finding>,
}

impl Rehearsal {
    pub(super) fn with(mut self, findings: Vec<Finding>) -> Self {
        self.findings.splice(0..0, findings);
        self
    }
}

/// What one step came to.
#[derive(Debug, Clone, Serialize)]
pub struct Rehearsed {
    /// Which.
    pub id: String,
    /// What was done.
    pub action: String,
    /// How long it took.
    pub seconds: f64,
    /// How often it was interrupted and gone on with.
    #[serde(skip_serializing_if = "is_zero")]
    pub interruptions: u32,
    /// Strong locks that it held at its end, which others would have waited for: table and mode.
    pub locks: Vec<String>,
    /// What the kind tells about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<serde_json::Value>,
}

/// What stays the same while a rehearsal goes on.
pub(super) struct Stage<'a> {
    pub(super) engine: &'a Engine,
    pub(super) operation: &'a dyn Operation,
    pub(super) item: &'a Item,
    pub(super) limits: Limits,
    pub(super) actor: &'a str,
    pub(super) database: &'a dyn Database,
}

impl Engine {
    /// Does what the operation would do, and throws it away. With `both_ways` its steps are interrupted, taken back and done
    /// again, on a copy in any case.
    pub fn try_out(
        &self,
        request: &OperationRequest,
        both_ways: bool,
        actor: &str,
    ) -> Result<Rehearsal, Failure> {
        let mut item = self.plan_item(request, self.clock().now())?;
        if let Some(first) = forbidding(&item.findings, false).into_iter().next() {
            return Err(Error::data(format!("{}: {}", first.object, first.what)).help(first.remedy).into());
        }
        let live = self.database(&request.database)?;
        let manners = self.operation(request)?.manners(&request.manners);
        let limits = crate::run::limits_of(&manners);
        if both_ways {
            item.steps = self.operation(request)?.both_ways(&item.steps, live.read()?.as_mut())?;
        }
        if !both_ways && !live.dialect().has_one_writer() {
            let operation = self.operation(request)?;
            let stage = Stage {
                engine: self,
                operation: operation.as_ref(),
                item: &item,
                limits,
                actor,
                database: live.as_ref(),
            };
            if let Some(rehearsal) = stage.roll_back(live.open()?.as_mut())? {
                return Ok(rehearsal);
            }
        }
        let (steps, left_out) =
            self.operation(request)?.alone(std::mem::take(&mut item.steps), live.dialect())?;
        item.steps = steps;
        let policy = self.backup_policy()?;
        let scratch = Scratch::new(&policy.scratch, &new_id())?;
        let (name, database) = copied(policy, live.as_ref(), scratch.path())?;
        let operation = self.operation(request)?;
        let stage = Stage {
            engine: self,
            operation: operation.as_ref(),
            item: &item,
            limits,
            actor,
            database: database.as_ref(),
        };
        let outcome = database.open().map_err(Failure::from).and_then(|mut session| match both_ways {
            true => stage.both_ways(session.as_mut()),
            false => stage.go(session.as_mut()),
        });
        drop(database);
        live.copies().discard(&name)?;
        outcome.map(|rehearsal| rehearsal.with(left_out))
    }
}

/// A copy of the database as it is now: its name, and itself.
fn copied(
    policy: &BackupPolicy,
    live: &dyn Database,
    folder: &Path,
) -> Result<(String, std::sync::Arc<dyn Database>)> {
    let how = dumping(policy, live, folder);
    // Not where the dump is being made.
    let folder = &folder.join("parts");
    live.copies().dump(&how, &mut |part, bytes| {
        let path = folder.join(part);
        let told = |error| Error::system("the copy cannot be written").because(error);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(told)?;
        }
        let mut file = std::fs::File::create(&path).map_err(told)?;
        std::io::copy(bytes, &mut file).map_err(told)?;
        Ok(())
    })?;
    live.copies().look(&how, folder)?;
    let name = live.copies().scratch_name(&how, &new_id());
    let database = live.copies().revive(&how, folder, &name).map_err(may_make)?;
    Ok((name, database))
}

/// What to do when the role may not make databases.
pub(super) fn may_make(error: Error) -> Error {
    match error.code.as_deref() {
        Some("42501") => {
            error.help("a copy is made as a database of its own: `alter role ROLE createdb` allows that")
        }
        _ => error,
    }
}

impl Stage<'_> {
    /// All steps in one transaction that is rolled back; none when one of them cannot be in it.
    fn roll_back(&self, session: &mut dyn Session) -> Result<Option<Rehearsal>, Failure> {
        let stores = self.engine.stores();
        for step in &self.item.steps {
            if let Some(aim) = self.operation.aim(step, &Cursor::default(), 1_000, session, stores)?
                && (aim != Cursor::default() || self.operation.outside(step, &aim, self.limits)?.is_some())
            {
                return Ok(None);
            }
        }
        let mut tx = session.begin(&self.limits)?;
        let mut held = Vec::new();
        let mut steps = Vec::new();
        for step in &self.item.steps {
            let began = self.engine.clock().tick();
            let (batch, detail) = self.act(step, &Cursor::default(), tx.as_mut())?;
            if batch.next.is_some() {
                return Ok(None);
            }
            let seconds = self.engine.clock().tick().duration_since(began).as_secs_f64();
            let now = self.locks(tx.as_mut())?;
            let locks = now.iter().filter(|lock| !held.contains(*lock)).cloned().collect();
            held = now;
            steps.push(rehearsed(step, seconds, locks, detail));
        }
        drop(tx);
        Ok(Some(Rehearsal { place: "rolled_back", seconds: total(&steps), steps, findings: Vec::new() }))
    }

    /// Step by step, as a run would.
    pub(super) fn go(&self, session: &mut dyn Session) -> Result<Rehearsal, Failure> {
        let mut steps = Vec::new();
        for step in &self.item.steps {
            let began = self.engine.clock().tick();
            let (locks, detail) = self.one(step, session)?;
            let seconds = self.engine.clock().tick().duration_since(began).as_secs_f64();
            steps.push(rehearsed(step, seconds, locks, detail));
        }
        Ok(Rehearsal { place: "copy", seconds: total(&steps), steps, findings: Vec::new() })
    }

    pub(super) fn one(
        &self,
        step: &Step,
        session: &mut dyn Session,
    ) -> Result<(Vec<String>, Option<serde_json::Value>), Failure> {
        let stores = self.engine.stores();
        let mut cursor = Cursor::default();
        let mut locks: Vec<String> = Vec::new();
        let mut told = None;
        while let Some(aim) = self.operation.aim(step, &cursor, 1_000, session, stores)? {
            if let Some(command) = self.operation.outside(step, &aim, self.limits)? {
                let mut tx = session.begin(&self.limits)?;
                self.with_work(tx.as_mut(), |work| self.operation.begin(step, &aim, work))?;
                tx.commit()?;
                session.perform(&command)?;
            }
            let mut tx = session.begin(&self.limits)?;
            let (batch, detail) = self.act(step, &aim, tx.as_mut())?;
            for lock in self.locks(tx.as_mut())? {
                if !locks.contains(&lock) {
                    locks.push(lock);
                }
            }
            tx.commit()?;
            told = detail.or(told);
            match batch.next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        Ok((locks, told))
    }

    fn act(
        &self,
        step: &Step,
        aim: &Cursor,
        tx: &mut dyn Tx,
    ) -> Result<(Batch, Option<serde_json::Value>), Failure> {
        let mut detail = None;
        let batch = self.with_work(tx, |work| {
            let batch = self.operation.act(step, aim, 1_000, work)?;
            detail = work.told_mut().detail.take();
            Ok(batch)
        })?;
        Ok((batch, detail))
    }

    pub(super) fn with_work<T>(
        &self,
        tx: &mut dyn Tx,
        act: impl FnOnce(&mut Work) -> Result<T>,
    ) -> Result<T, Failure> {
        let beside = Beside::new(self.database, Limits::default(), "rehearsal".to_owned(), 0);
        let setting = Setting {
            dialect: self.database.dialect(),
            stores: self.engine.stores(),
            faults: self.engine.faults(),
            now: self.engine.clock().now(),
            did: None,
            actor: self.actor,
            clock: self.engine.clock(),
            beside: &beside,
        };
        let mut memory = Memory::new("rehearsal", true, Vec::new());
        let mut work = Work::new(tx, &setting, &mut memory, 1, false);
        Ok(act(&mut work)?)
    }

    pub(super) fn locks(&self, tx: &mut dyn Tx) -> Result<Vec<String>> {
        let Some(query) = self.database.dialect().strong_locks() else { return Ok(Vec::new()) };
        let text = |row: &targets::db::Row, n: usize| {
            row.get(n).and_then(Value::as_text).unwrap_or_default().to_owned()
        };
        Ok(tx.rows(&query)?.iter().map(|row| format!("{}: {}", text(row, 0), text(row, 1))).collect())
    }
}

pub(super) fn rehearsed(
    step: &Step,
    seconds: f64,
    locks: Vec<String>,
    detail: Option<serde_json::Value>,
) -> Rehearsed {
    let (id, action) = (step.id.clone(), step.action.clone());
    Rehearsed { id, action, seconds, interruptions: 0, locks, detail }
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

pub(super) fn total(steps: &[Rehearsed]) -> f64 {
    steps.iter().map(|step| step.seconds).sum()
}
