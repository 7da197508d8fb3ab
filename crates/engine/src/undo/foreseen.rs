//! Which remembered rows could not be put back as things are now: looked up before anybody decides, by the rules an undo goes by.
//!
//! Keys, unique values and later changes are looked at. The database has the last word when it is done: it may know constraints that
//! nobody can look up beforehand.

use super::conflicts::{Conflict, conflicts_of};
use super::point::{Change, Point, PointState, Remembered};
use crate::error::Result;
use targets::db::{BATCH, Dialect, Facts, Sql, Table, after};

/// A way in which a remembered row `u` is in conflict: the condition, and what is said of it.
type Clash = (Sql, String);

/// The rows in conflict, at most `limit`; of a point that was put back but for some rows, those.
pub fn foreseen(facts: &mut dyn Facts, point: &Point, limit: usize) -> Result<Vec<Conflict>> {
    match point.state {
        PointState::Used => return Ok(Vec::new()),
        PointState::Partly => return conflicts_of(facts, point, limit),
        PointState::Open => {}
    }
    let schema = facts.schema()?;
    let mut all: Vec<Conflict> = Vec::new();
    for remembered in &point.tables {
        // A table that is gone is told by the plan of the undo.
        let Some(table) = schema.table(&remembered.source) else { continue };
        for (clash, reason) in clashes(table, remembered, facts.dialect())? {
            if all.len() >= limit {
                return Ok(all);
            }
            let key = if remembered.key.is_empty() { &remembered.undo.columns } else { &remembered.key };
            let mut select = Sql::new("select ")
                .names("u.", key.iter().map(String::as_str))
                .text(" from ")
                .table(&remembered.undo.name)
                .text(" as u where ")
                .add(&clash);
            if let Some(batch) = point.batch {
                select = select.text(&format!(" and u.{BATCH} = ")).bind(batch);
            }
            let select = select.text(&format!(" limit {limit}"));
            for values in facts.rows(&select)? {
                let key: Vec<_> = key.iter().cloned().zip(values).collect();
                let is_told = all.iter().any(|known| known.table == remembered.source && known.key == key);
                if !is_told && all.len() < limit {
                    all.push(Conflict { table: remembered.source.clone(), key, reason: reason.clone() });
                }
            }
        }
    }
    Ok(all)
}

fn clashes(table: &Table, remembered: &Remembered, dialect: &dyn Dialect) -> Result<Vec<Clash>> {
    let kept = |name: &String| remembered.undo.columns.contains(name) && table.column(name).is_some();
    match remembered.change {
        Change::Delete => {
            let uniques = table.uniques.iter().filter(|unique| unique.columns.iter().all(kept));
            let all = uniques.map(|unique| {
                let same: Vec<Sql> = unique
                    .columns
                    .iter()
                    .map(|column| Sql::new("t.").name(column).text(" = u.").name(column))
                    .collect();
                let reason = match unique.columns == remembered.key {
                    true => "a row with this key is there again".to_owned(),
                    false => format!("another row has its {}", unique.columns.join(", ")),
                };
                (meets(table, "exists", &same), reason)
            });
            Ok(all.collect())
        }
        Change::Update if !remembered.key.is_empty() && remembered.key.iter().all(kept) => {
            let changed = &remembered.undo.after;
            if !changed.iter().all(|name| table.column(name).is_some()) {
                return Ok(Vec::new());
            }
            let mut same = Vec::new();
            for column in &remembered.key {
                let own = Sql::new("t.").name(column).text(" = u.");
                same.push(match changed.iter().position(|name| name == column).map(after) {
                    Some(new) => own.text(&new),
                    None => own.name(column),
                });
            }
            for (n, column) in changed.iter().enumerate() {
                let (is, was) = (Sql::new("t.").name(column), Sql::new("u.").text(&after(n)));
                same.push(dialect.same_of(table.expect_column(column)?, &is, &was));
            }
            Ok(vec![(meets(table, "not exists", &same), "the row is gone or was changed since".to_owned())])
        }
        Change::Update | Change::Insert => Ok(Vec::new()),
    }
}

/// A row of the table that is the same in these ways is there, or is not.
fn meets(table: &Table, whether: &str, same: &[Sql]) -> Sql {
    Sql::new(&format!("{whether} (select 1 from "))
        .table(&table.name)
        .text(" as t where ")
        .add(&Sql::join(same, " and "))
        .text(")")
}
