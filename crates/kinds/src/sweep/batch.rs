//! One batch of a sweep: choose, handle children, archive, then delete or change; all in the open transaction.

use super::along;
use super::archive::write_archive;
use super::counted;
use super::newest::{self, Newest};
use super::policy::Policy;
use super::relations::{self, Child};
use super::task::{Act, Place, Task, Walk};
use engine::{Batch, Chosen, Class, Counts, Error, Result, Rows, Work};
use targets::db::{Facts, Sql, Table};

/// Children of the rows of one batch are taken in portions of this many times its size.
pub const CHILDREN_PER_ROW: u64 = 10;

/// Where the next batch lies, found outside any transaction.
pub fn aim(
    task: &Task,
    step: &str,
    mut place: Place,
    rows: u64,
    facts: &mut dyn Facts,
) -> Result<Option<Place>> {
    if let Some(newest) = task.newest.as_ref().filter(|_| place.tried >= task.drop.len() && !task.refill) {
        let list = facts.list(&format!("{step} {}", place.passes), &newest.list(), &Newest::order())?;
        if list.is_none() || place.list != list {
            // another list has other ranks: what was done of it is not in it any more
            (place.from, place.list) = (None, list);
        }
        if let Some(list) = &place.list {
            place.next = newest::place(facts.rows(&newest.end(&list.table, place.from.as_ref(), rows))?);
            place.to = place.next.clone();
            return Ok(Some(place));
        }
    }
    if task.walk == Walk::Few || place.last_pass || place.tried < task.drop.len() {
        return Ok(Some(place));
    }
    while let Some(leaf) = place.leaf(task) {
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
        place.leaf += 1;
        place.from = None;
    }
    Ok(Some(place))
}

/// Does the batch.
pub fn act(task: &Task, mut place: Place, rows: u64, work: &mut Work) -> Result<Batch> {
    let mut counts = Counts::default();
    if let Some(n) = task.drop.get(place.tried) {
        place.tried += 1;
        if let Some(rows) = work.drop_partition(&task.leaves[*n], &task.condition)? {
            counts.deleted = rows;
            place.done += rows;
            place.gone.push(*n);
        }
        return Ok(Batch { counts, next: Some(place.cursor()?) });
    }
    let Some(leaf) = place.leaf(task) else { return next_pass(task, place, counts) };
    if task.refill {
        counts.deleted = work.refill(&Rows::all(leaf, task.condition.clone()))?;
        return Ok(Batch { counts, next: None });
    }
    let listed = task.newest.as_ref().zip(place.list.as_ref());
    let rows = match &task.newest {
        Some(newest) if listed.is_none() => rows.max(newest.at_least),
        _ => rows,
    };
    let condition = match listed {
        Some((newest, list)) => {
            newest.still(&list.table, place.from.as_ref(), place.to.as_ref(), work.dialect())
        }
        None => task.condition.clone(),
    };
    let physical = task.walk == Walk::Physical && !place.last_pass && task.newest.is_none();
    let walking = physical || listed.is_some();
    let exact = (task.exact_batches && physical) || !walking;
    let doomed = Rows {
        table: leaf,
        condition,
        window: physical.then(|| (place.from.clone(), place.to.clone())),
        limit: exact.then_some(rows),
        skip_locked: work.is_retry() && !place.last_pass,
    };
    if !handle(task, leaf, &doomed, rows, work, &mut counts)? {
        // So many children that they need transactions of their own: the same place again.
        return Ok(Batch { counts, next: Some(place.cursor()?) });
    }
    let done = counts.rows();
    place.done += done;
    place.in_pass += done;
    if walking {
        match place.next.take() {
            Some(next) if !exact || done >= rows => place.from = Some(next),
            Some(_) => place.from = place.to.clone(),
            None => {
                place.leaf += 1;
                place.from = None;
            }
        }
        place.to = None;
        return Ok(Batch { counts, next: Some(place.cursor()?) });
    }
    // All that was planned, and none before it was passed over: nothing is looked for again, the verification tells of what came.
    let last = place.leaf + 1 >= task.leaves.len() && place.tried == 0;
    let all = last && place.done == task.planned;
    if done == 0
        || ((done < rows || all)
            && task.walk == Walk::Few
            && !work.is_retry()
            && task.refers_to_itself().is_none())
    {
        place.leaf += 1;
    }
    if place.leaf(task).is_some() {
        return Ok(Batch { counts, next: Some(place.cursor()?) });
    }
    next_pass(task, place, counts)
}

/// After the last leaf: another pass where rows can have been left, else the end.
fn next_pass(task: &Task, mut place: Place, counts: Counts) -> Result<Batch> {
    let left_behind = place.done < task.planned;
    // Rows that only doomed rows refer to become free when those are gone.
    let freed = task.refers_to_itself().is_some() && place.in_pass > 0;
    let again = freed || (left_behind && !place.last_pass);
    if !again {
        return Ok(Batch { counts, next: None });
    }
    let Place { done, tried, gone, passes, .. } = place;
    place = Place { done, tried, gone, passes: passes + 1, last_pass: true, ..Place::default() };
    Ok(Batch { counts, next: Some(place.cursor()?) })
}

/// Handles the doomed rows; false when their children are too many for one transaction.
fn handle(
    task: &Task,
    leaf: &Table,
    doomed: &Rows,
    rows: u64,
    work: &mut Work,
    counts: &mut Counts,
) -> Result<bool> {
    if let (Act::Change(changes), Some(counted)) = (&task.act, &task.counted) {
        counts.changed = counted::change(leaf, changes, counted, doomed, work)?;
        return Ok(true);
    }
    if let (Act::Move(onward), Some(counted)) = (&task.act, &task.counted) {
        counts.changed = counted::go_on(leaf, onward, counted, doomed, work)?;
        return Ok(true);
    }
    if let Act::Mark(changes) | Act::Change(changes) = &task.act {
        counts.changed = work.change(doomed, changes)?;
        if matches!(task.act, Act::Mark(_)) {
            counts.archived = counts.changed;
        }
        return Ok(true);
    }
    let children: Vec<&Child> =
        task.children.iter().filter(|child| child.policy != Policy::Restrict).collect();
    let silent: Vec<&Child> = task
        .children
        .iter()
        .filter(|child| child.policy == Policy::Restrict && child.acts_by_itself)
        .collect();
    if children.is_empty() && silent.is_empty() && task.archive.is_none() && task.aside.is_none() {
        counts.deleted = work.delete(doomed).map_err(came_late)?;
        return Ok(true);
    }
    // Made now, so that the way back does not depend on which batch met children first.
    for child in &children {
        expect(child, work)?;
    }
    if along::delete(task, doomed, work, counts)? {
        return Ok(true);
    }
    let whole = with_trees(&task.table, &task.children, doomed, work);
    let chosen = work.choose(&whole, &referred(&task.children))?;
    if chosen.rows == 0 {
        return Ok(true);
    }
    let here = Rows::all(leaf, work.dialect().chosen(leaf, &chosen.table));
    for child in silent {
        nobody_came(child, &task.table, leaf, &chosen, work)?;
    }
    for child in children.iter().filter(|child| !child.is_self(&task.table)) {
        if !clear(task, child, &task.table, &chosen, rows.saturating_mul(CHILDREN_PER_ROW), work, counts)? {
            return Ok(false);
        }
    }
    for child in children.iter().filter(|child| child.is_self(&task.table) && child.policy == Policy::SetNull)
    {
        set_null(child, &task.table, &chosen, work, counts)?;
    }
    if let Some(archive) = &task.archive {
        counts.archived += write_archive(archive, &here, work)?;
    }
    let aside = task.aside.as_ref().map(|aside| aside.put(&here, work)).transpose()?;
    counts.deleted = work.delete(&here).map_err(came_late)?;
    if let Some(aside) = aside.filter(|aside| *aside != counts.deleted) {
        return Err(Error::data(format!(
            "{aside} rows of `{}` were put aside but {} deleted",
            task.table.name, counts.deleted
        )));
    }
    Ok(true)
}

/// Somebody referred to a doomed row while it was being deleted: seen anew, the row stays.
pub fn came_late(error: Error) -> Error {
    match error.code.as_deref() {
        Some("23503") => Error { class: Class::Transient, ..error },
        _ => error,
    }
}

/// The chosen rows are locked, so nobody can refer to them from now on. Whoever did between the choice and the lock
/// would be taken along silently by the database, or left behind; seen anew, the row stays.
fn nobody_came(child: &Child, parent: &Table, leaf: &Table, chosen: &Chosen, work: &mut Work) -> Result<()> {
    let mut condition = child.refers_to("t", &chosen_columns(child, chosen));
    if child.is_self(parent) {
        condition = condition.text(" and not (").add(&work.dialect().chosen(leaf, &chosen.table)).text(")");
    }
    let any = Sql::new("select count(*) from (select 1 as one from ")
        .table(&child.table.name)
        .text(" as t where ")
        .add(&condition)
        .text(" limit 1) as sample");
    match work.count(&any)? {
        0 => Ok(()),
        _ => Err(Error::transient(format!(
            "rows of `{}` that refer to doomed rows of `{}` came since the plan",
            child.table.name, parent.name
        ))
        .help("plan again, and say what happens to them")),
    }
}

/// The rows and, where their table refers to itself with `cascade`, everything below them.
fn with_trees<'a>(table: &Table, children: &[Child], rows: &Rows<'a>, work: &Work) -> Rows<'a> {
    let dialect = work.dialect();
    let tree = relations::tree(table, children, &|from| {
        let mut first = from.text("(").add(&rows.condition).text(")");
        if let Some((from, to)) = &rows.window {
            first = first.text(" and ").add(&dialect.window(rows.table, from.as_ref(), to.as_ref()));
        }
        limited(first, rows.limit)
    });
    match tree {
        Some(condition) => Rows::all(rows.table, condition),
        None => rows.clone(),
    }
}

fn limited(select: Sql, limit: Option<u64>) -> Sql {
    match limit {
        Some(limit) => Sql::new("select * from (").add(&select).text(&format!(" limit {limit}) as l")),
        None => select,
    }
}

/// Handles the rows that refer to chosen parents; false when there are more than `most`.
fn clear(
    task: &Task,
    child: &Child,
    parent: &Table,
    parents: &Chosen,
    most: u64,
    work: &mut Work,
    counts: &mut Counts,
) -> Result<bool> {
    match child.policy {
        Policy::Restrict => return Ok(true),
        Policy::SetNull => {
            set_null(child, parent, parents, work, counts)?;
            return Ok(true);
        }
        // They were chosen together with the rows above them.
        Policy::Cascade | Policy::Archive if child.is_self(parent) => return Ok(true),
        Policy::Cascade | Policy::Archive => {}
    }
    for leaf in &child.leaves {
        let chosen = chosen_columns(child, parents);
        let mut rows = Rows::all(leaf, child.refers_from(leaf, parent, &chosen, work.dialect()));
        rows.limit = Some(most);
        let archived = child.policy == Policy::Archive && task.archive.is_some();
        let gone = if child.children.is_empty() && !archived {
            work.delete(&rows)?
        } else {
            let rows = with_trees(&child.table, &child.children, &rows, work);
            let chosen = work.choose(&rows, &referred(&child.children))?;
            for grandchild in &child.children {
                if grandchild.policy == Policy::Restrict {
                    nobody_came(grandchild, &child.table, leaf, &chosen, work)?;
                }
                if !clear(task, grandchild, &child.table, &chosen, most, work, counts)? {
                    return Ok(false);
                }
            }
            let here = Rows::all(leaf, work.dialect().chosen(leaf, &chosen.table));
            if let Some(archive) = task.archive.as_ref().filter(|_| archived) {
                counts.archived += write_archive(archive, &here, work)?;
            }
            work.delete(&here)?
        };
        counts.dependants += gone;
        if gone >= most {
            return Ok(false);
        }
    }
    Ok(true)
}

fn set_null(
    child: &Child,
    parent: &Table,
    parents: &Chosen,
    work: &mut Work,
    counts: &mut Counts,
) -> Result<()> {
    for leaf in &child.leaves {
        let chosen = chosen_columns(child, parents);
        let mut condition = child.refers_from(leaf, parent, &chosen, work.dialect());
        if child.is_self(parent) {
            // An update would move a row that is about to be deleted from its place.
            condition =
                condition.text(" and not (").add(&work.dialect().chosen(leaf, &parents.table)).text(")");
        }
        counts.dependants += work.set(&Rows::all(leaf, condition), &child.nulls())?;
    }
    Ok(())
}

/// Makes the undo tables of a relation, deepest first.
fn expect(child: &Child, work: &mut Work) -> Result<()> {
    for grandchild in &child.children {
        expect(grandchild, work)?;
    }
    if child.policy.removes() {
        for leaf in &child.leaves {
            work.expect_deletes(leaf)?;
        }
    }
    Ok(())
}

fn chosen_columns(child: &Child, parents: &Chosen) -> Sql {
    Sql::new("select ")
        .names("", child.parent_columns.iter().map(String::as_str))
        .text(" from ")
        .table(&parents.table.name)
}

/// The columns by which any relation refers to the rows.
fn referred(children: &[Child]) -> Vec<String> {
    let mut columns: Vec<String> = Vec::new();
    for column in children.iter().flat_map(|child| &child.parent_columns) {
        if !columns.contains(column) {
            columns.push(column.clone());
        }
    }
    columns
}
