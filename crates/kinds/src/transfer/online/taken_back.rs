//! Going back before the application was sent elsewhere: what was made in the target goes, and the source is as if nobody had been
//! there.

use super::super::{carried, seeded};
use super::entry::{self, State};
use super::noted::Notes;
use super::{CHECK, LIMIT, Online, ROWID, back, capture};
use crate::transfer::options::Trouble;
use engine::{Error, Result, Stores, Work};
use targets::db::quote;

/// The code of an object that is there already.
const THERE: &str = "42710";

/// What kind of trouble an error is; none is a stop.
pub fn trouble(error: Option<&Error>) -> Trouble {
    match error.map(|error| error.code.as_deref()) {
        None => Trouble::Cancel,
        Some(Some(CHECK)) => Trouble::Check,
        Some(Some(LIMIT)) => Trouble::Limit,
        Some(_) => Trouble::Error,
    }
}

/// Goes back by itself, where that is wanted and nothing can be lost by it.
pub fn by_itself(
    source: &str,
    error: Option<&Error>,
    stores: &dyn Stores,
    work: Option<&mut Work>,
) -> Result<Option<String>> {
    let database = stores.database(source)?;
    let Some(own) = entry::read(database.read()?.as_mut())? else { return Ok(None) };
    let is_ours = work.as_ref().is_none_or(|work| work.point() == own.run);
    let wanted = own.online.go_back_on.contains(&trouble(error));
    if !is_ours || !wanted || !matches!(own.state, State::Capturing | State::Moved | State::Switching) {
        return Ok(None);
    }
    let reached = match work {
        Some(work) => {
            if own.state == State::Switching && !back::unsent(&own, work)? {
                return Ok(None);
            }
            target(&own.online, &own.run, work)?;
            true
        }
        // perhaps it was sent, and has written there
        None if own.state == State::Switching => return Ok(None),
        None => false,
    };
    let left = if reached {
        database.open().and_then(|mut session| capture::remove(session.as_mut())).map_err(|error| {
            let by_hand = "(`sexton transfer rollback` does it, once that can be written)";
            error.while_doing(&format!("taking away what was made in `{}` {by_hand}", own.online.source))
        })?;
        "what it had made in the target is gone"
    } else {
        capture::give_up(&own, database.open()?.as_mut())?;
        "the target could not be cleaned: `sexton transfer rollback` does, once it can be reached"
    };
    Ok(Some(format!("went back: `{}` takes changes as before, {left}", own.online.source)))
}

/// Takes away what was made in the target.
pub fn target(online: &Online, run: &str, work: &mut Work) -> Result<()> {
    let tables: Vec<_> = carried::of_run(run, work)?
        .into_iter()
        .filter_map(|quoted| online.carries.iter().find(|carry| carry.name.quoted() == quoted))
        .collect();
    let names: Vec<_> = tables.iter().map(|carry| &carry.name).collect();
    if !tables.is_empty() {
        let notes = Notes::of(online, run);
        notes.end(work)?;
        notes.allow(work)?;
    }
    if online.are_new && !tables.is_empty() {
        let list: Vec<String> = names.iter().map(|name| name.quoted()).collect();
        carried::drop_made(run, &list, work)?;
    }
    if !online.are_new && !tables.is_empty() {
        carried::empty(&names, work)?;
        for carry in online.without_key() {
            let column = quote(ROWID);
            work.statement(&format!("alter table {} drop column if exists {column}", carry.name.quoted()))?;
        }
        seeded::put_back(run, work)?;
        for statement in &online.restore {
            restore(statement, work)?;
        }
    }
    carried::forget(run, work)
}

/// Declares a reference again that was taken away for the copy, where it is not there.
fn restore(statement: &str, work: &mut Work) -> Result<()> {
    work.statement("savepoint sexton_restore")?;
    match work.statement(statement) {
        Ok(_) => work.statement("release savepoint sexton_restore").map(drop),
        Err(error) if error.code.as_deref() == Some(THERE) => {
            work.statement("rollback to savepoint sexton_restore").map(drop)
        }
        Err(error) => Err(error),
    }
}
