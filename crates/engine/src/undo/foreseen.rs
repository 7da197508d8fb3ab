//! Which remembered rows could not be put back as things are now: looked up before anybody decides, by the same rules as an
//! undo goes by. The database has the last word, when it is done: it may know constraints that are not looked at here.

use super::conflicts::{Conflict, conflicts_of};
use super::point::{Change, Point, PointState, Remembered};
use crate::error::Result;
use targets::db::{BATCH, Facts, Sql, Table, after};

/// The rows in conflict, at most `limit`; of a point that was put back but for some rows, those.
pub fn foreseen(facts: &mut dyn Facts, point: &Point, limit: usize) -> Result<Vec<Conflict>> {
    match point.state {
        PointState::Used => return Ok(Vec::new()),
        PointState::Partly => return conflicts_of(facts, point, limit),
        PointState::Open => {}
    }
    let schema = facts.schema()?;
    let mut all = Vec::new();
    for remembered in point.tables.iter().filter(|remembered| !remembered.key.is_empty()) {
        let left = limit - all.len();
        // A table that is gone is told by the plan of the undo.
        let Some(table) = schema.table(&remembered.source).filter(|_| left > 0) else { continue };
        let has = |name: &String| table.column(name).is_some();
        if !remembered.key.iter().chain(&remembered.undo.after).all(has) {
            continue;
        }
        let reason = match remembered.change {
            Change::Delete => "a row with this key is there again",
            Change::Update => "the row is gone or was changed since",
            Change::Insert => continue,
        };
        let select = meeting(facts, table, remembered, point.batch, left)?;
        for values in facts.rows(&select)? {
            all.push(Conflict {
                table: remembered.source.clone(),
                key: remembered.key.iter().cloned().zip(values).collect(),
                reason: reason.to_owned(),
            });
        }
    }
    Ok(all)
}

/// The keys of remembered rows, over `u`, that meet a row of their table, or do not meet it as they left it.
fn meeting(
    facts: &mut dyn Facts,
    table: &Table,
    remembered: &Remembered,
    batch: Option<i64>,
    most: usize,
) -> Result<Sql> {
    let dialect = facts.dialect();
    let changed = &remembered.undo.after;
    let mut conditions = Vec::new();
    for column in &remembered.key {
        let own = Sql::new("t.").name(column).text(" = u.");
        conditions.push(match changed.iter().position(|name| name == column).map(after) {
            Some(new) => own.text(&new),
            None => own.name(column),
        });
    }
    for (n, column) in changed.iter().enumerate() {
        let (is, was) = (Sql::new("t.").name(column), Sql::new("u.").text(&after(n)));
        conditions.push(dialect.same_of(table.expect_column(column)?, &is, &was));
    }
    let met = if remembered.change == Change::Delete { "exists" } else { "not exists" };
    let mut select = Sql::new("select ")
        .names("u.", remembered.key.iter().map(String::as_str))
        .text(" from ")
        .table(&remembered.undo.name)
        .text(&format!(" as u where {met} (select 1 from "))
        .table(&table.name)
        .text(" as t where ")
        .add(&Sql::join(&conditions, " and "))
        .text(")");
    if let Some(batch) = batch {
        select = select.text(&format!(" and u.{BATCH} = ")).bind(batch);
    }
    Ok(select.text(&format!(" limit {most}")))
}
