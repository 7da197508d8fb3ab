//! Where a migration goes on: for one that is a single transaction that is its beginning, for another one the next of its
//! parts, found out from the traces that a statement outside of transactions leaves when whoever sent it died.

use super::look::Scene;
use super::task::{Assume, Deed, Phase, Place, Task};
use crate::migrate::model::{Part, State};
use engine::{Cursor, Error, Result};
use targets::db::{Facts, Trace, Value};

/// The aim of the next batch; none when nothing is left of the step.
pub fn aim(task: &Task, cursor: &Cursor, scene: &Scene, facts: &mut dyn Facts) -> Result<Option<Cursor>> {
    let place = Place::of(cursor)?;
    if place.is_none() && is_over(task, scene)? {
        return Ok(None);
    }
    if !matches!(task.deed, Deed::Apply | Deed::Revert) || task.is_plain() {
        return Ok(Some(cursor.clone()));
    }
    let begun = match &place {
        Some(place) => place.phase == Phase::Outside,
        None => task.begun,
    };
    let at = place.map_or(task.done, |place| place.at);
    let parts = task.script.parts();
    let phase = match part_at(&parts, at) {
        Some(part) if !part.transaction => phase(task, part, begun, facts)?,
        _ => Phase::Inside,
    };
    Place { at, phase }.cursor().map(Some)
}

/// The part of which `at` is the first statement, or which holds it.
pub fn part_at<'a>(parts: &[Part<'a>], at: usize) -> Option<Part<'a>> {
    parts.iter().copied().find(|part| part.first + part.statements.len() > at)
}

/// Whether somebody else has done it since the plan.
fn is_over(task: &Task, scene: &Scene) -> Result<bool> {
    let state = scene.state(&task.brief.id);
    let moved = |state: State| task.done == 0 && !task.begun && state == State::Interrupted;
    Ok(match task.deed {
        _ if task.again => false,
        Deed::Prepare => scene.own_there && (scene.history.is_none() || scene.history_there),
        Deed::Apply if moved(state) => {
            return Err(Error::data(format!(
                "somebody else has begun `{}` meanwhile, and stopped",
                task.brief.id
            ))
            .help("look at it with `sexton migrate status`, then `sexton migrate resume`"));
        }
        Deed::Apply if task.brief.repeatable => {
            let same = |kept: &String| *kept == task.brief.checksum;
            state.is_in()
                && scene
                    .known(&task.brief.id)
                    .and_then(|known| known.applied.checksum.as_ref())
                    .is_some_and(same)
        }
        Deed::Apply | Deed::Baseline => state.is_in(),
        Deed::Revert => !state.is_in() && state != State::Interrupted,
        Deed::Adopt | Deed::Accept => false,
    })
}

/// What is to be done about a statement that stands alone.
fn phase(task: &Task, part: Part, begun: bool, facts: &mut dyn Facts) -> Result<Phase> {
    let Some(statement) = part.statements.first() else { return Ok(Phase::Inside) };
    let sql = &statement.sql;
    let question = match facts.dialect().trace(sql) {
        Trace::Again => return Ok(Phase::Outside),
        Trace::Unknown => {
            return match (begun, task.assume) {
                (false, _) | (true, Some(Assume::Out)) => Ok(Phase::Outside),
                (true, Some(Assume::In)) => Ok(Phase::Recorded),
                (true, None) => Err(Error::system(format!(
                    "statement {} of `{}` was at work when the process died, and it leaves no trace that tells whether it \
                     is in: {sql}",
                    part.first + 1,
                    task.brief.id
                ))
                .help("look for what it does, then `sexton migrate resume --assume in`, or `--assume out` to do it again")),
            };
        }
        Trace::Ask(question) => question,
    };
    let rows = facts.rows(&question)?;
    let text = |n: usize| rows.first().and_then(|row| row.get(n)).and_then(Value::as_text).map(str::to_owned);
    match (text(0).as_deref(), text(1)) {
        // What was there before is for the database to refuse, or to pass over if the statement says so.
        (Some("in"), _) => Ok(if begun { Phase::Recorded } else { Phase::Outside }),
        (Some("half"), Some(tidy)) => Ok(Phase::Tidy(tidy)),
        (Some("busy"), _) => Err(Error::transient(format!(
            "statement {} of `{}` is still at work in another session of the server",
            part.first + 1,
            task.brief.id
        ))
        .help("wait for it to end, then `sexton migrate resume`")),
        _ => Ok(Phase::Outside),
    }
}
