//! One range of undo rows goes back in one statement, or is halved until the rows that cannot are known one by one.

use super::conflicts::{forget_conflict, note_conflict};
use super::order::Turn;
use super::point::{Change, Remembered};
use crate::error::{Class, Error, Result};
use crate::event::Counts;
use crate::work::{AGAIN_WITH_CARE, Work};
use serde::{Deserialize, Serialize};
use targets::db::{Range, Sql, Table, after};

/// What a step of an undo needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Task {
    pub remembered: Remembered,
    pub table: Table,
    pub columns: Vec<String>,
    /// Where its rows begin.
    #[serde(default)]
    pub start: i64,
    pub end: i64,
    /// Only the rows of this batch.
    #[serde(default)]
    pub batch: Option<i64>,
    pub stride: i64,
    /// Only these rows: what was in conflict last time.
    pub retry: Option<Vec<i64>>,
    /// Rows refer to others of their own table: what comes back too early gets another chance at the end.
    pub own_parents: bool,
    /// From the last row to the first, because most of those parents were taken later than their children.
    pub backwards: bool,
    /// Whether this is all of the work on the table.
    #[serde(default)]
    pub turn: Turn,
    pub last: bool,
}

/// Puts everything back that a temporary table holds.
pub(crate) fn put_back_all(
    table: &Table,
    columns: &[String],
    remembered: &Remembered,
    work: &mut Work,
    counts: &mut Counts,
    point: &str,
) -> Result<()> {
    let end = work.dialect().undo_end(&remembered.undo);
    let end = work.count(&end)? as i64;
    let task = Task {
        remembered: remembered.clone(),
        table: table.clone(),
        columns: columns.to_vec(),
        start: 0,
        end,
        batch: None,
        stride: end,
        retry: None,
        own_parents: false,
        backwards: false,
        turn: Turn::Only,
        last: false,
    };
    counts.failed += put_back_range(&task, Range::of(0, end), work, counts, point)?;
    Ok(())
}

/// Puts a range back, halving it where the database refuses; how many rows could not go back.
pub(super) fn put_back_range(
    task: &Task,
    range: Range,
    work: &mut Work,
    counts: &mut Counts,
    point: &str,
) -> Result<u64> {
    let mut failed = 0;
    let mut pending = vec![range];
    while let Some(range) = pending.pop() {
        let single = range.to - range.from <= 1;
        if !single && !work.is_careful() {
            counts.restored += without_care(task, range, work)?;
            continue;
        }
        match attempt(task, range, work)? {
            Ok(rows) => counts.restored += rows,
            Err(_) if !single => {
                let middle = range.from + (range.to - range.from) / 2;
                // The last pushed is next: the first half goes first.
                pending.push(Range { from: middle, ..range });
                pending.push(Range { to: middle, ..range });
            }
            Err(reason) => {
                failed += 1;
                note_conflict(work, point, task.remembered.seq, range.from, &reason)?;
            }
        }
    }
    Ok(failed)
}

/// One statement, after whose refusal the whole batch is done again with care.
fn without_care(task: &Task, range: Range, work: &mut Work) -> Result<u64> {
    let again = |why: String| Error::transient(why).code(AGAIN_WITH_CARE);
    match put_back(task, range, work, true) {
        Ok(Ok(rows)) => Ok(rows),
        Ok(Err(reason)) => Err(again(reason)),
        Err(error) if error.class == Class::Data => Err(again(error.what)),
        Err(error) => Err(error),
    }
}

fn put_back(
    task: &Task,
    range: Range,
    work: &mut Work,
    all_or_nothing: bool,
) -> Result<std::result::Result<u64, String>> {
    match task.remembered.change {
        Change::Delete => insert_again(task, range, work, all_or_nothing),
        Change::Update => change_again(task, range, work),
        Change::Insert => take_away(task, range, work),
    }
}

/// One statement inside a savepoint: how many rows went back, or why the data refuse.
fn attempt(task: &Task, range: Range, work: &mut Work) -> Result<std::result::Result<u64, String>> {
    work.tx().execute(&Sql::new("savepoint sexton_back"))?;
    let outcome = match put_back(task, range, work, false) {
        Ok(Ok(rows)) => Ok(rows),
        Ok(Err(reason)) => Err(reason),
        Err(error) if error.class == Class::Data => Err(error.what),
        Err(error) => return Err(error),
    };
    if outcome.is_err() {
        work.tx().execute(&Sql::new("rollback to savepoint sexton_back"))?;
    }
    work.tx().execute(&Sql::new("release savepoint sexton_back"))?;
    Ok(outcome)
}

fn insert_again(
    task: &Task,
    range: Range,
    work: &mut Work,
    all_or_nothing: bool,
) -> Result<std::result::Result<u64, String>> {
    let dialect = work.dialect();
    let columns: Vec<&str> = task.columns.iter().map(String::as_str).collect();
    let undo = &task.remembered.undo;
    let insert = match all_or_nothing {
        true => dialect.put_back_or_end(&task.table, undo, &columns, range),
        false => dialect.put_back(&task.table, undo, &columns, range),
    };
    let rows = work.tx().execute(&insert)?;
    let exempted = match rows {
        0 => None,
        _ => super::exempt_rows(work.tx(), dialect, &task.table, undo, range)?,
    };
    let remembered = match exempted {
        Some(exempted) => exempted,
        None => count_range(task, range, work)?,
    };
    if rows != remembered {
        return Ok(Err("a trigger or rule keeps it from being inserted".to_owned()));
    }
    work.remember_added(&task.table, &task.columns, undo, range, rows)?;
    Ok(Ok(rows))
}

/// Sets the columns back where the row is still as the run left it.
fn change_again(task: &Task, range: Range, work: &mut Work) -> Result<std::result::Result<u64, String>> {
    let dialect = work.dialect();
    let changed = &task.remembered.undo.after;
    let assignments: Vec<Sql> =
        changed.iter().map(|column| Sql::default().name(column).text(" = u.").name(column)).collect();
    let now = |column: &String| changed.iter().position(|name| name == column).map(after);
    let mut conditions = vec![dialect.undo_range(range)];
    for column in &task.remembered.key {
        // A key that was changed itself is met under its new value.
        let own = Sql::new("t.").name(column).text(" = u.");
        conditions.push(match now(column) {
            Some(new) => own.text(&new),
            None => own.name(column),
        });
    }
    for (n, column) in changed.iter().enumerate() {
        let (is, was) = (Sql::new("t.").name(column), Sql::new("u.").text(&after(n)));
        conditions.push(dialect.same_of(task.table.expect_column(column)?, &is, &was));
    }
    let rows = work.tx().execute(
        &Sql::new("update ")
            .table(&task.table.name)
            .text(" as t set ")
            .add(&Sql::join(&assignments, ", "))
            .text(" from ")
            .table(&task.remembered.undo.name)
            .text(" as u where ")
            .add(&Sql::join(&conditions, " and ")),
    )?;
    if rows == count_range(task, range, work)? {
        return Ok(Ok(rows));
    }
    Ok(Err("the row is gone or was changed since".to_owned()))
}

/// Deletes the rows that the run added, where they are as it added them. Columns that it left to their defaults are not
/// compared.
fn take_away(task: &Task, range: Range, work: &mut Work) -> Result<std::result::Result<u64, String>> {
    let dialect = work.dialect();
    let added = |select: Sql| {
        select
            .text(" from ")
            .table(&task.remembered.undo.name)
            .text(" as u where ")
            .add(&dialect.undo_range(range))
    };
    let mut same = Vec::new();
    for column in &task.columns {
        let (is, was) = (Sql::new("t.").name(column), Sql::new("u.").name(column));
        same.push(dialect.same_of(task.table.expect_column(column)?, &is, &was));
    }
    let mut delete = Sql::new("delete from ").table(&task.table.name).text(" as t where ");
    let key = &task.remembered.key;
    if !key.is_empty() {
        let columns = |prefix: &str| Sql::default().names(prefix, key.iter().map(String::as_str));
        delete = delete
            .text("(")
            .add(&columns("t."))
            .text(") in (")
            .add(&added(Sql::new("select ").add(&columns("u."))))
            .text(") and ");
    }
    let delete = delete
        .text("exists (")
        .add(&added(Sql::new("select 1")))
        .text(" and ")
        .add(&Sql::join(&same, " and "))
        .text(")");
    let rows = work.tx().execute(&delete)?;
    if rows == count_range(task, range, work)? {
        return Ok(Ok(rows));
    }
    Ok(Err("the row is gone or was changed since".to_owned()))
}

fn count_range(task: &Task, range: Range, work: &mut Work) -> Result<u64> {
    let condition = work.dialect().undo_range(range);
    work.count(
        &Sql::new("select count(*) from ")
            .table(&task.remembered.undo.name)
            .text(" as u where ")
            .add(&condition),
    )
}

/// Tries single rows, again and again as long as one of them helps another; how many are left.
pub(super) fn try_again(
    task: &Task,
    mut positions: Vec<i64>,
    work: &mut Work,
    counts: &mut Counts,
    point: &str,
) -> Result<u64> {
    loop {
        let mut left = Vec::new();
        for position in &positions {
            let range = Range::of(*position, position + 1);
            match put_back_range(task, range, work, counts, point)? {
                0 => forget_conflict(work, point, task.remembered.seq, *position)?,
                _ => left.push(*position),
            }
        }
        if left.is_empty() || left.len() == positions.len() || !task.own_parents {
            return Ok(left.len() as u64);
        }
        positions = left;
    }
}
