//! A trial of both ways on a copy: rows are put in, each step goes there, is interrupted before everything it does and gone on
//! with, goes back, and there again.
//!
//! The schema after the way back must be the one before, that after the second time the one after the first, and the rows that
//! were put in must be there all the while.

use super::dying::{DIED, Dying};
use super::rehearse::{Rehearsal, Rehearsed, Stage, rehearsed, total};
use super::survivors::{Seeded, lost, sow};
use crate::differences::Shape;
use crate::error::{Error, Failure, Result};
use crate::finding::Finding;
use crate::operation::{Cursor, Operation};
use crate::plan::Step;
use targets::db::{Session, Tx};

/// What is known of a step that is tried.
struct Tried {
    id: String,
    before: Shape,
    after: Option<Shape>,
    rows: Vec<Seeded>,
    back: bool,
}

impl Stage<'_> {
    /// Step by step, as a run would, but with many deaths.
    pub(super) fn both_ways(&self, session: &mut dyn Session) -> Result<Rehearsal, Failure> {
        let mut steps: Vec<Rehearsed> = Vec::new();
        let mut findings = Vec::new();
        let mut all: Vec<Tried> = Vec::new();
        for step in &self.item.steps {
            let known = all.iter().position(|tried| tried.id == step.id);
            let began = self.engine.clock().tick();
            let first = step.action == "apply" && known.is_none();
            if first {
                let before = Shape::of(session)?;
                let seeds = self.operation.seeds(step, session)?;
                let rows = sow(&seeds, session, &self.limits)?;
                all.push(Tried { id: step.id.clone(), before, after: None, rows, back: false });
            }
            let lives = match first {
                true => self.interrupted(step, session, &mut findings)?,
                false => {
                    let (locks, told) = self.one(step, session)?;
                    Lives { locks, told, deaths: 0 }
                }
            };
            let seconds = self.engine.clock().tick().duration_since(began).as_secs_f64();
            let done = rehearsed(step, seconds, lives.locks, lives.told);
            steps.push(Rehearsed { interruptions: lives.deaths, ..done });
            let Some(tried) = all.iter_mut().find(|tried| tried.id == step.id) else { continue };
            let now = Shape::of(session)?;
            let back = step.action == "revert";
            let wanted = if back { Some(&tried.before) } else { tried.after.as_ref() };
            let differences = wanted
                .map(|wanted| self.operation.differences(wanted, &now, self.database.dialect()))
                .unwrap_or_default();
            if !differences.is_empty() {
                findings.push(differs(step, back, &differences));
            }
            findings.extend(lost(&tried.rows, back, &step.id, &now.schema, session)?);
            tried.back |= back;
            let stop = back && !differences.is_empty();
            tried.after.get_or_insert(now);
            if stop {
                break;
            }
        }
        let done = steps.len() == self.item.steps.len();
        findings.extend(all.iter().filter(|tried| !tried.back && done).map(|tried| {
            let remedy = "write one, or be ready to restore a backup";
            Finding::note("one_way", &tried.id, "it has no way back", remedy)
        }));
        Ok(Rehearsal { place: "copy", seconds: total(&steps), steps, findings })
    }

    /// One step that dies before everything it does, each time a little later, and is gone on with by another process.
    fn interrupted(
        &self,
        step: &Step,
        session: &mut dyn Session,
        findings: &mut Vec<Finding>,
    ) -> Result<Lives, Failure> {
        let stores = self.engine.stores();
        let mut lives = Lives::default();
        let mut cursor = Cursor::default();
        let (mut last, mut performed) = (None, false);
        let mut nth = 1;
        loop {
            let operation = self.engine.operation(&self.item.operation)?;
            let asked = operation.aim(step, &cursor, 1_000, session, stores);
            let (aim, mortal) = match (asked, &last) {
                (Ok(None), _) => return Ok(lives),
                (Ok(Some(aim)), _) => (aim, true),
                // The database keeps no trace of this statement, and the dead cannot be asked.
                (Err(error), Some(aim)) if lives.deaths > 0 => {
                    findings.push(nobody_knows(step, &error));
                    (Cursor::clone(aim), false)
                }
                (Err(error), _) => return Err(error.into()),
            };
            if last.as_ref() != Some(&aim) {
                (nth, performed) = (1, false);
                last = Some(aim.clone());
            }
            let mut left = mortal.then_some(nth);
            if let Some(command) = operation.outside(step, &aim, self.limits)? {
                if cursor != aim {
                    let mut tx = session.begin(&self.limits)?;
                    self.with_work(tx.as_mut(), |work| operation.begin(step, &aim, work))?;
                    tx.commit()?;
                    cursor = aim.clone();
                }
                if left != Some(1) && (mortal || !performed) {
                    session.perform(&command)?;
                    performed = true;
                }
                if matches!(left, Some(1 | 2)) {
                    nth += 1;
                    lives.deaths += 1;
                    continue;
                }
                left = left.map(|left| left - 2);
            }
            match self.live(operation.as_ref(), step, &aim, session, left, &mut lives)? {
                Some(Some(next)) => cursor = next,
                Some(None) => return Ok(lives),
                None => {
                    nth += 1;
                    lives.deaths += 1;
                }
            }
        }
    }

    /// One transaction, until it is over or its holder dies, which is none.
    fn live(
        &self,
        operation: &dyn Operation,
        step: &Step,
        aim: &Cursor,
        session: &mut dyn Session,
        left: Option<u32>,
        lives: &mut Lives,
    ) -> Result<Option<Option<Cursor>>, Failure> {
        let mut tx: Box<dyn Tx> = Box::new(Dying::new(session.begin(&self.limits)?, left));
        let mut detail = None;
        let outcome = self
            .with_work(tx.as_mut(), |work| {
                let batch = operation.act(step, aim, 1_000, work)?;
                detail = work.told_mut().detail.take();
                Ok(batch.next)
            })
            .and_then(|next| {
                let locks =
                    if left.is_none_or(|left| left > 1) { self.locks(tx.as_mut())? } else { Vec::new() };
                tx.commit()?;
                Ok((next, locks))
            });
        match outcome {
            Ok((next, locks)) => {
                lives.told = detail.or(lives.told.take());
                lives.locks.extend(locks);
                lives.locks.dedup();
                Ok(Some(next))
            }
            Err(Failure::Error(error)) if is_death(&error) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

/// What a step came to that was done in several lives.
#[derive(Default)]
struct Lives {
    locks: Vec<String>,
    told: Option<serde_json::Value>,
    deaths: u32,
}

/// Somewhere in its causes.
fn is_death(error: &Error) -> bool {
    error.code.as_deref() == Some(DIED)
}

fn nobody_knows(step: &Step, error: &Error) -> Finding {
    Finding::note(
        "unknown_after_death",
        &step.id,
        format!(
            "when a process dies beside one of its statements, nobody can tell whether that is in: {error}"
        ),
        "make it repeatable (`if not exists`), or let it be part of a transaction",
    )
}

fn differs(step: &Step, back: bool, differences: &[String]) -> Finding {
    let (what, remedy) = match back {
        true => (
            "its way back does not give the schema that was there before",
            "take back everything that the way there makes",
        ),
        false => (
            "the second time it makes another schema than the first time",
            "take back everything, and make nothing that depends on what was there",
        ),
    };
    Finding::warning("way_back", &step.id, format!("{what}: {}", differences.join("; ")), remedy)
}
