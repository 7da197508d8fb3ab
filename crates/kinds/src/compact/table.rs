//! One table, batch by batch: vacuum, weigh, move from the end backwards, vacuum again.
//!
//! The vacuum before makes the map of free space begin at the front, the one after cuts the empty end off. Rows go no
//! further than the pages that a fresh copy would have, and never behind the place that they come from.

use super::task::{Cure, Deed, Moving, Place, Task, vacuum};
use engine::{Batch, Counts, Cursor, Result, Step, Work};
use serde_json::json;
use targets::db::{
    Busy, Command, Facts, Limits, Measuring, Order, Part, Pin, PinKind, Shift, TableName, Upkeep,
};

/// So many rows move before a vacuum gives the first space back and cleans the indexes.
const BETWEEN_VACUUMS: u64 = 5_000_000;
/// An empty end that somebody kept from being cut off is tried so often.
const TRIES: u32 = 3;
/// A session that has been open for less will be over soon, in seconds.
const YOUNG: f64 = 60.0;
/// A further round is for at least this share of a table.
const WORTH: f64 = 0.1;
/// More dead rows than this share are not left by those who come and go.
const MANY_DEAD: f64 = 0.05;
/// The fewest pages of one batch: less, and what a transaction costs by itself is most of it.
const LEAST_PAGES: u64 = 4;
/// The most pages of one batch.
const MOST_PAGES: u64 = 4_096;

/// Whether a vacuum would cut so many pages off: it leaves less alone.
pub fn can_be_cut(pages: u64, of: u64) -> bool {
    pages >= 8 && (pages >= 1_000 || pages >= of / 16)
}

/// Pages of a table and of a fresh copy of it, and how many rows lie on a page; none where that cannot be told.
pub fn weigh(facts: &mut dyn Facts, table: &TableName, page_size: u64) -> Result<Option<(u64, u64, f64)>> {
    let wanted =
        Measuring { tables: vec![table.clone()], least_bytes: 0, indexes: false, ..Measuring::default() };
    let found = facts.bloat(&wanted)?;
    let Some(rows) = found.into_iter().find(|one| one.part == Part::Rows && one.name == *table) else {
        return Ok(None);
    };
    let (Some(wasted), pages) = (rows.wasted_bytes, rows.bytes / page_size.max(1)) else { return Ok(None) };
    let fresh = (rows.bytes - wasted).div_ceil(page_size.max(1));
    let on_page = rows.live_rows.unwrap_or(0) as f64 / pages.max(1) as f64;
    Ok(Some((pages, fresh, on_page.max(0.01))))
}

/// Who keeps what moves now from being cut off for long.
pub fn lasting(pins: &[Pin]) -> Option<&Pin> {
    pins.iter().find(|pin| {
        matches!(pin.kind, PinKind::Session | PinKind::Prepared) && pin.seconds.is_some_and(|age| age > YOUNG)
    })
}

/// Who keeps a good part of the dead rows of a table from being removed, right after a vacuum.
pub fn keeps_dead_rows<'a>(upkeep: &'a Upkeep, table: &TableName) -> Option<&'a Pin> {
    let known = upkeep.tables.iter().find(|known| known.name == *table)?;
    upkeep.pins.first().filter(|_| known.dead > MANY_DEAD * known.rows.max(1.0))
}

/// Looks what is next; none when the table is done.
pub fn aim(
    table: &TableName,
    moving: &Moving,
    cursor: &Cursor,
    rows: u64,
    facts: &mut dyn Facts,
) -> Result<Option<Cursor>> {
    let place = Place::of(cursor)?;
    let next = match place.deed {
        Deed::Look => look(place, &facts.upkeep(Some(table))?, table),
        Deed::Weigh => match worth(place, table, moving, facts)? {
            Some(place) => before(place, rows),
            None => return Ok(None),
        },
        Deed::Before { .. } => match facts.count(&facts.dialect().exists(table))? {
            0 => skip(place, GONE),
            _ => before(place, rows),
        },
        _ => place,
    };
    next.cursor().map(Some)
}

const GONE: &str = "it is gone: somebody dropped it since the plan was made";

fn skip(place: Place, reason: &str) -> Place {
    place.then(Deed::Skip { reason: reason.to_owned() })
}

fn look(place: Place, upkeep: &Upkeep, table: &TableName) -> Place {
    match upkeep.tables.iter().find(|known| known.name == *table) {
        None => skip(place, GONE),
        Some(known) => match &known.busy {
            Some(Busy { pid, work, .. }) => skip(place, &format!("process {pid} works on it ({work})")),
            None => place.then(Deed::Vacuum),
        },
    }
}

/// Where to begin, or why not; none when what is left is not worth it.
fn worth(place: Place, table: &TableName, moving: &Moving, facts: &mut dyn Facts) -> Result<Option<Place>> {
    let Some(now) = facts.compaction(table)? else { return Ok(Some(skip(place, GONE))) };
    let moved = place.pages > 0;
    if can_be_cut(now.empty_pages, now.pages) && place.tries < TRIES {
        let tries = place.tries + 1;
        return Ok(Some(Place { deed: Deed::Vacuum, tries, pages: now.pages, moved: 0, ..place }));
    }
    // What was moved and did not make it smaller will not do so the next time.
    let stuck = moved && !place.narrowed && now.pages + place.pages / 64 >= place.pages;
    if moving.cure == Cure::CutOff || stuck || place.held {
        return Ok(None);
    }
    let Some((pages, floor, on_page)) = weigh(facts, table, now.page_size)? else {
        return Ok(Some(skip(
            place,
            "how much of it is free cannot be told: this user may not read it, or somebody holds it",
        )));
    };
    let gain = pages.saturating_sub(floor);
    if !can_be_cut(gain, pages) || (moved && (gain as f64) < WORTH * pages as f64) {
        return Ok(None);
    }
    let upkeep = facts.upkeep(Some(table))?;
    if let Some(pin) = lasting(&upkeep.pins).or_else(|| keeps_dead_rows(&upkeep, table)) {
        let reason = format!(
            "{} `{}` may still look at its dead rows and at what would move, so that nothing could be cut off; `{}`",
            pin.kind.said(),
            pin.name,
            pin.release
        );
        return Ok(Some(skip(place, &reason)));
    }
    let deed = Deed::Before { page: pages };
    let floor = floor + floor / 100;
    Ok(Some(Place { deed, floor, pages, on_page, moved: 0, longest: 0.0, narrowed: false, ..place }))
}

/// The next pages for about so many rows.
fn before(place: Place, rows: u64) -> Place {
    let Deed::Before { page: to } = place.deed else { return place };
    // All at once would find no room, although there is some for the last of them.
    let some = place.pages.saturating_sub(place.floor).div_ceil(8);
    let most = if place.most == 0 { MOST_PAGES } else { place.most }.min(some).max(1);
    let pages = ((rows as f64 / place.on_page.max(0.01)) as u64).max(LEAST_PAGES).min(most);
    let from = to.saturating_sub(pages).max(place.floor.min(to.saturating_sub(1)));
    place.then(Deed::Move { from, to })
}

/// The command of an aim.
pub fn outside(table: &TableName, aim: &Cursor, limits: Limits) -> Result<Option<Command>> {
    let place = Place::of(aim)?;
    Ok((place.deed == Deed::Vacuum).then(|| {
        Command::Upkeep(Order {
            chore: vacuum(table, place.moved > 0),
            limits: Limits { statement: Default::default(), ..limits },
        })
    }))
}

/// Moves, or writes down what came of a vacuum.
pub fn act(step: &Step, table: &TableName, moving: &Moving, aim: &Cursor, work: &mut Work) -> Result<Batch> {
    let place = Place::of(aim)?;
    let told = |status: &str, reason: Option<&str>| {
        json!({
            "name": table.to_string(), "action": step.action, "status": status, "reason": reason,
            "seconds": null, "others_waited_seconds": null,
        })
    };
    let (next, counts) = match &place.deed {
        Deed::Move { from, to } => {
            let (from, to) = (*from, *to);
            let began = work.clock().tick();
            let shift = Shift { column: &moving.column, from, to, skip_locked: false };
            let shifted = work.shift(table, &shift, moving.silently)?;
            let took = work.clock().tick().duration_since(began).as_secs_f64();
            let moved = place.moved + shifted.moved;
            let over = shifted.full || shifted.left > 0 || from <= place.floor || moved >= BETWEEN_VACUUMS;
            let deed = if over { Deed::Vacuum } else { Deed::Before { page: from } };
            let held = place.held || shifted.held;
            let (longest, spent) = (place.longest.max(took), place.spent + took);
            let mut next = Place { deed, moved, held, longest, spent, ..place };
            if shifted.full && to - from > 1 {
                // What the attempt left has to be cleaned before fewer rows find room.
                (next.most, next.narrowed) = ((to - from).div_ceil(8), true);
            }
            (Some(next), Counts { moved: shifted.moved, ..Counts::default() })
        }
        Deed::Skip { reason } => {
            work.tell(told("skipped", Some(reason)));
            (None, Counts::default())
        }
        _ => {
            let did = work.did();
            let passed_over = did.is_some_and(|did| did.performed.passed_over);
            let mut detail = match passed_over {
                true => told("skipped", Some("somebody holds it: it was not waited for")),
                false => told("done", place.held.then_some("others held some of the rows: those stayed")),
            };
            let waited = did.and_then(|did| did.performed.others_waited).map(|waited| waited.as_secs_f64());
            let waited = [waited, (place.longest > 0.0).then_some(place.longest)].into_iter().flatten();
            detail["seconds"] = json!(place.spent + did.map_or(0.0, |did| did.seconds));
            detail["others_waited_seconds"] = json!(waited.reduce(f64::max));
            detail["rows_moved"] = json!(place.moved);
            work.tell(detail);
            if Task::of(step)?.upkeep.failed {
                work.scope(&table.to_string());
            }
            let next = Place { deed: Deed::Weigh, spent: 0.0, ..place };
            (Some(next).filter(|_| !passed_over), Counts::default())
        }
    };
    Ok(Batch { counts, next: next.map(|next| next.cursor()).transpose()? })
}
