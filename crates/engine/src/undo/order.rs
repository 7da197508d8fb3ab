//! The order in which tables, and the rows of trees, are put back: parents before children.

use super::point::{Change, Point, Remembered};
use crate::error::Result;
use serde::{Deserialize, Serialize};
use targets::db::{AT, BATCH, Facts, ForeignKey, Schema, Sql, Table, TableName};

/// References of a table to itself.
pub(super) fn own_references(table: &Table) -> impl Iterator<Item = &ForeignKey> {
    table.references.iter().filter(|key| key.parent == table.name || table.parents.contains(&key.parent))
}

/// Whether more rows were taken before the rows they refer to than after them.
pub(super) fn parents_come_later(
    remembered: &Remembered,
    table: &Table,
    facts: &mut dyn Facts,
) -> Result<bool> {
    let Some(key) = own_references(table).next() else { return Ok(false) };
    if !key.columns.iter().chain(&key.parent_columns).all(|name| remembered.undo.columns.contains(name)) {
        return Ok(false);
    }
    let pairs = key.columns.iter().zip(&key.parent_columns);
    let same: Vec<Sql> =
        pairs.map(|(own, above)| Sql::new("u.").name(own).text(" = p.").name(above)).collect();
    let later = format!("(p.{BATCH}, p.{AT}) > (u.{BATCH}, u.{AT})");
    let select = Sql::new(&format!("select count(case when {later} then 1 end) * 2 > count(*) from "))
        .table(&remembered.undo.name)
        .text(" as u join ")
        .table(&remembered.undo.name)
        .text(" as p on ")
        .add(&Sql::join(&same, " and "));
    Ok(facts.value(&select)?.as_bool().unwrap_or(false))
}

/// Which part of the work on a table a step is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Turn {
    /// All of it.
    #[default]
    Only,
    /// What can be done by now: rows that are not back yet get their turn later.
    First,
    /// What could not be done at first.
    Second,
}

/// Added rows first, for they may hold what others need back; then deleted rows, parents before children; then changed
/// rows. Within that, last touched first. But what was changed in a table after rows of it went may hold what those had:
/// it is set back before them, as far as it is there; what was changed first and went later is set back at the end.
pub(super) fn in_order<'a>(point: &'a Point, schema: &Schema) -> Vec<(&'a Remembered, Turn)> {
    let of = |change: Change| {
        let mut tables: Vec<&Remembered> =
            point.tables.iter().filter(|table| table.change == change).collect();
        tables.sort_by_key(|table| -table.seq);
        tables
    };
    let deleted = of(Change::Delete);
    let names: Vec<TableName> = deleted.iter().map(|table| table.source.clone()).collect();
    // A reference that is set back needs its parent there.
    let refers = |table: &Remembered| {
        let references = schema.table(&table.source).map(|table| table.references.as_slice());
        let mut columns = references.unwrap_or_default().iter().flat_map(|key| &key.columns);
        columns.any(|column| table.undo.after.contains(column))
    };
    let after_deletes = |table: &&Remembered| {
        deleted.iter().any(|gone| gone.source == table.source && gone.seq < table.seq) && !refers(table)
    };
    let (early, changed): (Vec<&Remembered>, Vec<&Remembered>) =
        of(Change::Update).into_iter().partition(after_deletes);
    let once = |remembered| (remembered, Turn::Only);
    let mut ordered: Vec<(&Remembered, Turn)> = of(Change::Insert).into_iter().map(once).collect();
    ordered.extend(early.iter().map(|remembered| (*remembered, Turn::First)));
    ordered.extend(parents_first(&names, schema).into_iter().map(|n| once(deleted[n])));
    ordered.extend(early.into_iter().map(|remembered| (remembered, Turn::Second)));
    ordered.extend(changed.into_iter().map(once));
    ordered
}

/// The places of the names in an order in which no table comes before one it refers to.
pub(crate) fn parents_first(names: &[TableName], schema: &Schema) -> Vec<usize> {
    let mut left: Vec<usize> = (0..names.len()).collect();
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let waits =
            |n: &usize| left.iter().any(|other| other != n && refers(schema, &names[*n], &names[*other]));
        // In a cycle nothing is free: take the first; conflicts are tried again.
        let next = left.iter().position(|n| !waits(n)).unwrap_or(0);
        ordered.push(left.remove(next));
    }
    ordered
}

fn refers(schema: &Schema, child: &TableName, parent: &TableName) -> bool {
    if child == parent {
        return false;
    }
    // A key may name the partitioned parent of the table in which the rows lie.
    let family = |table: &TableName| -> Vec<TableName> {
        let mut names = vec![table.clone()];
        if let Some(table) = schema.table(table) {
            names.extend(table.parents.iter().cloned());
        }
        names
    };
    family(child)
        .iter()
        .filter_map(|name| schema.table(name))
        .flat_map(|table| &table.references)
        .any(|key| family(parent).contains(&key.parent))
}
