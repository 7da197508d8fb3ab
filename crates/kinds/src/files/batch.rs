//! One batch: the references are read again, then what is still an orphan is moved.
//!
//! Reading happens before the transaction, so that a long look at the references keeps nobody waiting; the engine's
//! quarantine looks at each file once more right before it moves it.

use super::listing::Listing;
use super::marks::mark;
use super::options::Options;
use super::plan::Task;
use super::references;
use engine::{Batch, Counts, Cursor, Doomed, Error, Gone, Result, Step, Stores, Work};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use targets::db::Facts;
use targets::files::Files;

/// Where a step goes on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The next one.
    from: usize,
    /// The end of the batch, filled in by `aim`.
    to: usize,
    /// Those of the batch that rows refer to by now.
    needed: Vec<usize>,
}

impl Place {
    fn read(cursor: &Cursor) -> Result<Place> {
        if cursor.0.is_null() {
            return Ok(Place::default());
        }
        serde_json::from_value(cursor.0.clone())
            .map_err(|error| Error::system("a checkpoint cannot be read").because(error))
    }

    fn cursor(&self) -> Result<Cursor> {
        serde_json::to_value(self)
            .map(Cursor)
            .map_err(|error| Error::system("a checkpoint cannot be written").because(error))
    }
}

/// The next files, and which of them rows refer to by now.
pub fn aim(
    options: &Options,
    step: &Step,
    cursor: &Cursor,
    rows: u64,
    facts: &mut dyn Facts,
    stores: &dyn Stores,
) -> Result<Option<Cursor>> {
    let task = Task::read(step)?;
    let mut place = Place::read(cursor)?;
    if place.from >= task.doomed.len() {
        return Ok(None);
    }
    place.to = task.doomed.len().min(place.from + usize::try_from(rows).unwrap_or(usize::MAX).max(1));
    let store = stores.store(&options.store)?;
    place.needed = needed(options, &task, &task.doomed[place.from..place.to], store.as_ref(), facts)?
        .into_iter()
        .map(|n| place.from + n)
        .collect();
    place.cursor().map(Some)
}

/// Which of these files rows refer to.
fn needed(
    options: &Options,
    task: &Task,
    doomed: &[Doomed],
    store: &dyn Files,
    facts: &mut dyn Facts,
) -> Result<Vec<usize>> {
    let schema = facts.schema()?;
    let ids = references::ids(options, &schema)?;
    let sources = references::sources(options, &schema)?;
    let mut listing = Listing::few(store, options, doomed, &task.links)?;
    let marks = mark(options, ids.as_ref(), &sources, store, &mut listing, facts)?;
    if ids.is_some() && marks.ids == 0 {
        return Err(Error::data("the table of ids has become empty since the plan")
            .help("look whether this is the right database, then plan again"));
    }
    if let Some((column, _)) = marks.broken.first() {
        return Err(Error::data(format!("`{column}` holds values that cannot be read as JSON"))
            .help("mend these values, then `sexton resume`"));
    }
    let skip = if options.base.is_empty() { 0 } else { options.base.len() + 1 };
    let is_needed = |one: &Doomed| {
        if one.folder {
            let top = listing.tops.get(one.name.get(skip..).unwrap_or_default());
            return top.is_some_and(|top| top.live || top.referenced);
        }
        let referenced = listing.find(&one.name).is_none_or(|n| listing.is_referenced(n));
        referenced || marks.covers(&one.name, options)
    };
    Ok(doomed.iter().enumerate().filter(|(_, one)| is_needed(one)).map(|(n, _)| n).collect())
}

/// Moves them.
pub fn act(options: &Options, step: &Step, aim: &Cursor, work: &mut Work) -> Result<Batch> {
    let task = Task::read(step)?;
    let mut place = Place::read(aim)?;
    let needed: HashSet<usize> = place.needed.iter().copied().collect();
    let of = |wanted: bool| -> Vec<Doomed> {
        (place.from..place.to)
            .filter(|n| needed.contains(n) == wanted)
            .map(|n| task.doomed[n].clone())
            .collect()
    };
    work.give_back(&options.store, &of(true))?;
    let mut counts = Counts { skipped: needed.len() as u64, ..Counts::default() };
    for gone in work.quarantine(&options.store, &of(false))? {
        match gone {
            Gone::Moved => counts.deleted += 1,
            Gone::Changed | Gone::Vanished => counts.skipped += 1,
            Gone::Failed(_) => counts.failed += 1,
        }
    }
    place = Place { from: place.to, ..Place::default() };
    let next = if place.from < task.doomed.len() { Some(place.cursor()?) } else { None };
    Ok(Batch { counts, next })
}
