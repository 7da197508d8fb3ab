//! The order in which tables, and the rows of trees, are put back: parents before children.

use super::point::{Change, Point, Remembered};
use crate::error::Result;
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

/// Added rows first, for they may hold what others need back; then deleted rows, parents before children; then changed
/// rows. Within that, last touched first. Only where no row was remembered twice: see `backwards` for the others.
pub(super) fn in_order<'a>(point: &'a Point, schema: &Schema) -> Vec<&'a Remembered> {
    let of = |change: Change| {
        let mut tables: Vec<&Remembered> =
            point.tables.iter().filter(|table| table.change == change).collect();
        tables.sort_by_key(|table| -table.seq);
        tables
    };
    let deleted = of(Change::Delete);
    let names: Vec<TableName> = deleted.iter().map(|table| table.source.clone()).collect();
    let mut ordered = of(Change::Insert);
    ordered.extend(parents_first(&names, schema).into_iter().map(|n| deleted[n]));
    ordered.extend(of(Change::Update));
    ordered
}

/// The last touched first.
pub(super) fn last_first(point: &Point) -> Vec<&Remembered> {
    let mut tables: Vec<&Remembered> = point.tables.iter().collect();
    tables.sort_by_key(|table| -table.seq);
    tables
}

/// The places of the names in an order in which no table comes before one it refers to.
pub fn parents_first(names: &[TableName], schema: &Schema) -> Vec<usize> {
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
