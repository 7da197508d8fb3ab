//! An account as one JSON document: for each table the rows as they were, column by column, without loss.

use super::hanging::Hanging;
use engine::archive::{AsJson, from_json};
use engine::{Error, Result, Work};
use serde_json::{Map, Value as Json};
use targets::db::{Sql, Table, Value};

/// The rows of an account and of everything that hangs on it; how many.
pub fn collect(
    table: &Table,
    tree: &[Hanging],
    condition: &Sql,
    work: &mut Work,
) -> Result<(Map<String, Json>, u64)> {
    let mut document = Map::new();
    add(&mut document, table, condition, work)?;
    below(&mut document, table, tree, condition, work)?;
    let rows = document.values().filter_map(Json::as_array).map(|rows| rows.len() as u64).sum();
    Ok((document, rows))
}

fn below(
    document: &mut Map<String, Json>,
    parent: &Table,
    tree: &[Hanging],
    condition: &Sql,
    work: &mut Work,
) -> Result<()> {
    for hanging in tree {
        let own = hanging.of(parent, condition);
        if hanging.policy.archives() {
            add(document, &hanging.table, &own, work)?;
        }
        below(document, &hanging.table, &hanging.below, &own, work)?;
    }
    Ok(())
}

/// Two relations of one table may mean the same row: it is kept once.
fn add(document: &mut Map<String, Json>, table: &Table, condition: &Sql, work: &mut Work) -> Result<()> {
    let columns: Vec<_> = table.stored().collect();
    let dialect = work.dialect();
    let shown: Vec<String> = columns.iter().map(|column| dialect.outward(column)).collect();
    let select = Sql::new(&format!("select {} from ", shown.join(", ")))
        .table(&table.name)
        .text(" as t where ")
        .add(condition);
    let mut rows: Vec<Json> = Vec::new();
    work.query(&select, &mut |row| {
        let mut one = Map::new();
        for (column, value) in columns.iter().zip(&row) {
            one.insert(column.name.clone(), json(value)?);
        }
        rows.push(Json::Object(one));
        Ok(())
    })?;
    let list = document.entry(table.name.to_string()).or_insert_with(|| Json::Array(Vec::new()));
    if let Json::Array(known) = list {
        for row in rows {
            if !known.contains(&row) {
                known.push(row);
            }
        }
    }
    Ok(())
}

fn json(value: &Value) -> Result<Json> {
    serde_json::to_value(AsJson(value))
        .map_err(|error| Error::data("a value cannot be written as JSON").because(error))
}

/// The rows of one table in a document.
pub fn rows<'a>(document: &'a Map<String, Json>, table: &Table) -> Vec<&'a Map<String, Json>> {
    let list = document.get(&table.name.to_string()).and_then(Json::as_array);
    list.into_iter().flatten().filter_map(Json::as_object).collect()
}

/// The value of a column in an archived row.
pub fn value(row: &Map<String, Json>, column: &str) -> Result<Value> {
    from_json(row.get(column).cloned().unwrap_or(Json::Null))
        .map_err(|why| Error::data(format!("the archived `{column}` cannot be read: {why}")))
}
