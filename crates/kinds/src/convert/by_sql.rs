//! One batch in SQL: a window of the table, changed set-based by the database. Rows that the data refuse are found by halving
//! and left.

use super::task::{Place, Task};
use super::told::{Told, key_of};
use engine::{Batch, Counts, Result, Rows, Work, with_care};
use targets::db::{Facts, Row, Sql, Table};

/// The temporary table with keys of rows.
const KEYS: &str = "sexton_keys";

/// Where the next window lies; none when nothing is left.
pub fn aim(
    task: &Task,
    physical: bool,
    mut place: Place,
    rows: u64,
    facts: &mut dyn Facts,
) -> Result<Option<Place>> {
    while let Some(leaf) = task.leaves.get(place.leaf) {
        if !physical {
            let dialect = facts.dialect();
            let last = Sql::new(&format!("select {} from ", task.key_list(dialect)))
                .table(&leaf.name)
                .text(" as t where ")
                .add(&task.between(place.from.as_ref(), None, dialect)?)
                .add(&task.key_order())
                .text(&format!(" limit 1 offset {}", rows.max(1) - 1));
            place.to = facts.rows(&last)?.into_iter().next();
            place.next = place.to.clone();
            return Ok(Some(place));
        }
        if task.exact_batches {
            let found = facts.edge_of(leaf, place.from.as_ref(), rows, &task.condition)?;
            (place.to, place.next) = found.map_or((None, None), |(end, next)| (Some(end), Some(next)));
            return Ok(Some(place));
        }
        if let Some(edge) = facts.edge(leaf, place.from.as_ref(), rows)? {
            place.next = (!edge.last).then(|| edge.end.clone());
            place.to = Some(edge.end);
            return Ok(Some(place));
        }
        place = Place { leaf: place.leaf + 1, ..Place::default() };
    }
    Ok(None)
}

/// Changes the rows of the window.
pub fn act(
    task: &Task,
    changes: &[(String, Sql)],
    physical: bool,
    mut place: Place,
    rows: u64,
    work: &mut Work,
) -> Result<Batch> {
    let mut counts = Counts::default();
    let Some(leaf) = task.leaves.get(place.leaf) else { return Ok(Batch { counts, next: None }) };
    let exact = task.exact_batches && physical;
    let wanted = match physical {
        true => Rows {
            window: Some((place.from.clone(), place.to.clone())),
            limit: exact.then_some(rows),
            ..Rows::all(leaf, task.condition.clone())
        },
        false => {
            let between = task.between(place.from.as_ref(), place.to.as_ref(), work.dialect())?;
            Rows::all(leaf, between)
        }
    };
    // What is marked no longer satisfies the condition, so the rows are listed first.
    if task.remember || (work.expects_refusals() && !task.key.is_empty()) {
        part_by_part(task, leaf, changes, &wanted, &mut counts, work)?;
    } else {
        let refused = if task.key.is_empty() { |error| error } else { with_care };
        counts.changed = work.change_at_once(&wanted, changes).map_err(refused)?;
    }
    let met = counts.changed + counts.failed;
    place.from = match place.next.take() {
        Some(next) if !exact || met >= rows => Some(next),
        Some(_) => place.to.clone(),
        None => {
            place.leaf += 1;
            None
        }
    };
    place.to = None;
    let next = (place.leaf < task.leaves.len()).then(|| place.cursor()).transpose()?;
    Ok(Batch { counts, next })
}

fn part_by_part(
    task: &Task,
    leaf: &Table,
    changes: &[(String, Sql)],
    wanted: &Rows,
    counts: &mut Counts,
    work: &mut Work,
) -> Result<()> {
    let dialect = work.dialect();
    let mut select = Sql::new(&format!("select {} from ", task.key_list(dialect)))
        .table(&leaf.name)
        .text(" as t where (")
        .add(&wanted.condition)
        .text(")");
    if let Some((from, to)) = &wanted.window {
        select = select.text(" and ").add(&dialect.window(leaf, from.as_ref(), to.as_ref()));
    }
    select = select.add(&task.key_order());
    if let Some(limit) = wanted.limit {
        select = select.text(&format!(" limit {limit}"));
    }
    let keys = work.rows(&select)?;
    let parted = work.as_far_as_possible(&keys, &mut |work, some: &[Row]| {
        work.bring(KEYS, leaf, &task.key, &[], some, &task.key)?;
        let condition = among(task, KEYS).text(" and (").add(&task.rule).text(")");
        if task.remember {
            work.mark_converted(&task.operation, leaf, &task.key, &condition, false)?;
        }
        work.change_at_once(&Rows::all(leaf, condition), changes)
    })?;
    counts.changed = parted.done;
    counts.failed = parted.refused.len() as u64;
    let failures = parted.refused.into_iter().map(|(n, why)| (key_of(task, &keys[n]), why));
    let told = Told { failures: failures.collect(), ..Told::default() };
    if let Some(detail) = told.detail() {
        work.tell(detail);
    }
    Ok(())
}

/// The rows of `t` whose keys are in a temporary table.
pub fn among(task: &Task, name: &str) -> Sql {
    let keys = |prefix: &str| Sql::default().names(prefix, task.key.iter().map(String::as_str));
    Sql::new("(")
        .add(&keys("t."))
        .text(") in (select ")
        .add(&keys("k."))
        .text(" from ")
        .name(name)
        .text(" as k)")
}
