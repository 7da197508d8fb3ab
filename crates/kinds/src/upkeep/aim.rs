//! One chore after the other: looked at, performed, written down.

use super::place::{Deed, Place};
use super::task::{Object, Task};
use engine::{Batch, Class, Counts, Cursor, Error, GivenUp, Result, Step, Work};
use serde_json::json;
use targets::db::{Busy, Chore, Command, Facts, Limits, Order, TableName};

/// A rebuild that leaves something behind more often than this has no luck now.
const TRIES: usize = 3;

/// What an object looks like now.
struct State {
    /// What changes when a chore is done.
    mark: Option<String>,
    busy: Option<Busy>,
    /// What rebuilds of it left behind.
    left: Vec<TableName>,
    free_pages: u64,
}

/// Looks what is next; none when the step is done.
pub fn aim(step: &Step, cursor: &Cursor, rows: u64, facts: &mut dyn Facts) -> Result<Option<Cursor>> {
    let task = Task::of(step)?;
    let place = Place::of(cursor)?;
    let chore = task.chores.get(place.at);
    if chore.is_none() && !matches!(task.object, Object::Index { .. }) {
        return Ok(None);
    }
    let Some(state) = state(&task, chore, facts)? else {
        return skip(&place, "it is gone: somebody dropped it since the plan was made");
    };
    // The same place again: the chore was begun, and then came a death or a failure.
    let begun = matches!(place.deed, Deed::Perform { .. });
    if let Some(index) = state.left.into_iter().next() {
        let tries = place.tries + usize::from(begun);
        return Place { deed: Deed::Tidy { index }, tries, ..place }.cursor().map(Some);
    }
    let Some(chore) = chore.filter(|_| !place.given_up) else { return Ok(None) };
    if place.tries > TRIES {
        return skip(&place, "others were in its way again and again; what each try left behind is removed");
    }
    if begun && place.mark.is_some() && place.mark != state.mark && !matches!(chore, Chore::GiveBack { .. }) {
        return Place { deed: Deed::Found, ..place }.cursor().map(Some);
    }
    if let Some(Busy { pid, work, builds }) = state.busy {
        let builds_too = builds && matches!(chore, Chore::Reindex { .. });
        if begun && builds_too {
            // A process of the server goes on for a while after its client died.
            return Err(Error::transient(format!(
                "process {pid} still works on `{}` ({work})",
                task.object.said()
            )));
        }
        if builds_too || (in_the_way(&work) && matches!(chore, Chore::Vacuum { .. } | Chore::Analyze { .. }))
        {
            return skip(&place, &format!("process {pid} works on it ({work})"));
        }
    }
    if matches!(chore, Chore::GiveBack { .. }) {
        let now = state.free_pages.to_string();
        if state.free_pages == 0 || place.mark.as_ref() == Some(&now) {
            return aim(step, &Place { at: place.at + 1, ..Place::default() }.cursor()?, rows, facts);
        }
        return Place { deed: Deed::Perform { pages: rows.max(1) }, mark: Some(now), ..place }
            .cursor()
            .map(Some);
    }
    Place { deed: Deed::Perform { pages: 0 }, mark: state.mark, ..place }.cursor().map(Some)
}

/// The step is left alone for this reason.
pub fn leave(cursor: &Cursor, reason: &str) -> Result<Option<Cursor>> {
    skip(&Place::of(cursor)?, reason)
}

fn skip(place: &Place, reason: &str) -> Result<Option<Cursor>> {
    let deed = Deed::Skip { reason: reason.to_owned() };
    Place { deed, ..place.clone() }.cursor().map(Some)
}

/// Work that would make ours wait or repeat it.
fn in_the_way(work: &str) -> bool {
    matches!(work, "vacuum" | "create index" | "cluster") || work.ends_with("Lock")
}

/// None when the object is gone.
fn state(task: &Task, chore: Option<&Chore>, facts: &mut dyn Facts) -> Result<Option<State>> {
    let upkeep = facts.upkeep(task.object.table())?;
    let mut state = State { mark: None, busy: None, left: Vec::new(), free_pages: 0 };
    match &task.object {
        Object::File => {
            state.free_pages = upkeep.file.as_ref().map_or(0, |file| file.free_pages);
        }
        Object::Table { name } => {
            let Some(table) = upkeep.tables.into_iter().find(|table| table.name == *name) else {
                return Ok(None);
            };
            state.mark = match chore {
                Some(Chore::Vacuum { how, .. }) if how.full => Some(table.node.to_string()),
                Some(Chore::Vacuum { .. }) => table.vacuumed_us.map(|at| at.to_string()),
                _ => table.analyzed_us.map(|at| at.to_string()),
            };
            state.busy = table.busy;
        }
        Object::Index { name, .. } => {
            let all = upkeep.indexes;
            state.left = all
                .iter()
                .filter(|index| index.left_by.as_ref() == Some(name))
                .map(|index| index.name.clone())
                .collect();
            let Some(index) = all.into_iter().find(|index| index.name == *name) else { return Ok(None) };
            // On SQLite nothing tells, and building it again does no harm.
            state.mark = (index.node != 0).then(|| format!("{}{}", index.node, index.valid));
            state.busy = index.busy;
        }
        Object::View { name } => {
            let views = upkeep.views.unwrap_or_default();
            let Some(view) = views.into_iter().find(|view| view.name == *name) else { return Ok(None) };
            state.mark = match chore {
                Some(Chore::Refresh { concurrently: false, .. }) => Some(view.node.to_string()),
                _ => None,
            };
        }
    }
    Ok(Some(state))
}

/// The command of an aim.
pub fn outside(step: &Step, aim: &Cursor, limits: Limits) -> Result<Option<Command>> {
    let (task, place) = (Task::of(step)?, Place::of(aim)?);
    let chore = match (place.deed, task.chores.get(place.at)) {
        (Deed::Tidy { index }, _) => Chore::DropIndex { index },
        (Deed::Perform { pages }, Some(Chore::GiveBack { .. })) => Chore::GiveBack { pages },
        (Deed::Perform { .. }, Some(chore)) => chore.clone(),
        _ => return Ok(None),
    };
    Ok(Some(Command::Upkeep(Order { chore, limits })))
}

/// Writes down what came of it.
pub fn act(step: &Step, aim: &Cursor, work: &mut Work) -> Result<Batch> {
    let (task, place) = (Task::of(step)?, Place::of(aim)?);
    let did = work.did();
    let said = task.object.said();
    let seconds = did.map(|did| did.seconds);
    let waited = did.and_then(|did| did.performed.others_waited).map(|waited| waited.as_secs_f64());
    let mut next = Place { at: place.at + 1, ..Place::default() };
    let mut more = place.at + 1 < task.chores.len();
    let told = |status: &str, reason: Option<&str>| {
        json!({
            "name": said, "action": step.action, "status": status, "reason": reason,
            "seconds": seconds, "others_waited_seconds": waited,
        })
    };
    let detail = match &place.deed {
        Deed::Skip { reason } => {
            more = false;
            told("skipped", Some(reason))
        }
        Deed::Tidy { index } => {
            next = Place { at: place.at, given_up: place.given_up, tries: place.tries, ..Place::default() };
            more = true;
            let mut detail = told("dropped", Some("a rebuild that failed had left it behind"));
            detail["name"] = json!(index.to_string());
            detail
        }
        _ if did.is_some_and(|did| did.performed.passed_over) => {
            told("skipped", Some("somebody holds it: it was not waited for"))
        }
        _ => {
            if let Some(Chore::GiveBack { .. }) = task.chores.get(place.at) {
                next = Place { at: place.at, mark: place.mark.clone(), ..Place::default() };
                more = true;
            }
            if task.failed {
                work.scope(&said);
            }
            told("done", None)
        }
    };
    work.tell(detail);
    let next = if more { Some(next.cursor()?) } else { None };
    Ok(Batch { counts: Counts::default(), next })
}

/// Whether the next chore would fail for the same reason.
pub fn is_hopeless(error: &Error) -> bool {
    let code = error.code.as_deref().unwrap_or_default();
    match error.class {
        Class::Transient => code.starts_with("08") || code.starts_with("57P"),
        Class::System => !matches!(code, "42501" | "55000"),
        _ => false,
    }
}

/// A chore that failed for good is passed over, unless the next one would fail for the same reason.
pub fn passes_over(step: &Step, aim: &Cursor, error: &Error) -> Result<Option<GivenUp>> {
    if is_hopeless(error) {
        return Ok(None);
    }
    let (task, place) = (Task::of(step)?, Place::of(aim)?);
    // What a rebuild that failed has left is tidied up before the next index is looked at.
    let tidies = matches!(task.object, Object::Index { .. }) && !place.given_up;
    let next = Place { at: place.at, given_up: true, ..Place::default() };
    let scope = task.object.said();
    let detail = json!({
        "name": scope, "action": step.action, "status": "failed", "reason": error.to_string(),
        "seconds": null, "others_waited_seconds": null,
    });
    Ok(Some(GivenUp { scope, next: if tidies { Some(next.cursor()?) } else { None }, detail }))
}
