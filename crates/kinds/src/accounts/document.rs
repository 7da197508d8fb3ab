//! An account as one JSON document: for each table the rows as they were, column by column, without loss.
//!
//! What was removed comes back as it was. Rows that were only changed are told apart, with their keys and what the changed
//! columns held: they may belong to somebody who lives. Of other accounts nothing else is kept.

use super::hanging::Hanging;
use super::options::Policy;
use engine::archive::{AsJson, from_json};
use engine::{Error, Result, Work};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use targets::db::{Sql, Table, Value};

/// Beside the tables: which rows were changed and not removed.
const CHANGED: &str = "sexton:changed";

/// A row that was changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// Its table.
    pub table: String,
    /// Its key.
    pub key: Map<String, Json>,
    /// What the changed columns held.
    pub was: Map<String, Json>,
    /// They became NULL.
    pub null: bool,
}

/// The rows of an account and of everything that hangs on it; how many.
pub fn collect(
    table: &Table,
    tree: &[Hanging],
    condition: &Sql,
    work: &mut Work,
) -> Result<(Map<String, Json>, u64)> {
    let mut document = Map::new();
    add(&mut document, table, read(table, condition, work)?);
    removed(&mut document, table, tree, condition, work)?;
    let mut found = Vec::new();
    changed(&document, &mut found, table, table, tree, condition, work)?;
    let own = rows(&document, table).first().map(|row| key_of(table, row));
    let mut others = 0;
    let mut all: Vec<Changed> = Vec::new();
    for (one, row, is_new) in found {
        match one.table == table.name.to_string() {
            true => others += u64::from(is_new && own.as_ref() != Some(&one.key)),
            false => add_row(&mut document, &one.table, row),
        }
        if !all.contains(&one) {
            all.push(one);
        }
    }
    let rows: u64 = document.values().filter_map(Json::as_array).map(|rows| rows.len() as u64).sum();
    let all = serde_json::to_value(&all)
        .map_err(|error| Error::data("an account cannot be written as JSON").because(error))?;
    document.insert(CHANGED.to_owned(), all);
    Ok((document, rows + others))
}

/// Rows that go with the account.
fn removed(
    document: &mut Map<String, Json>,
    parent: &Table,
    tree: &[Hanging],
    condition: &Sql,
    work: &mut Work,
) -> Result<()> {
    for hanging in tree {
        let own = hanging.of(parent, condition);
        if hanging.policy == Policy::Archive {
            add(document, &hanging.table, read(&hanging.table, &own, work)?);
        }
        removed(document, &hanging.table, &hanging.below, &own, work)?;
    }
    Ok(())
}

type Found = (Changed, Json, bool);

/// Rows that stay and are changed, each with all of it, and whether it is met for the first time.
fn changed(
    document: &Map<String, Json>,
    found: &mut Vec<Found>,
    accounts: &Table,
    parent: &Table,
    tree: &[Hanging],
    condition: &Sql,
    work: &mut Work,
) -> Result<()> {
    for hanging in tree {
        let own = hanging.of(parent, condition);
        if matches!(hanging.policy, Policy::SetNull | Policy::Anonymise) {
            for row in read(&hanging.table, &own, work)? {
                let Some(one) = row.as_object().map(|row| hanging.change_of(row)) else { continue };
                let same = |row: &&Map<String, Json>| key_of(&hanging.table, row) == one.key;
                // An account may refer to itself, and stays when it is anonymised.
                let goes =
                    hanging.table.name != accounts.name && rows(document, &hanging.table).iter().any(same);
                let met = |(known, _, _): &Found| known.table == one.table && known.key == one.key;
                if !goes {
                    let is_new = !found.iter().any(met);
                    found.push((one, row, is_new));
                }
            }
        }
        changed(document, found, accounts, &hanging.table, &hanging.below, &own, work)?;
    }
    Ok(())
}

impl Hanging {
    fn change_of(&self, row: &Map<String, Json>) -> Changed {
        let value = |name: &String| (name.clone(), row.get(name).cloned().unwrap_or(Json::Null));
        Changed {
            table: self.table.name.to_string(),
            key: key_of(&self.table, row),
            was: self.values.iter().map(|(name, _)| value(name)).collect(),
            null: self.policy == Policy::SetNull,
        }
    }
}

fn read(table: &Table, condition: &Sql, work: &mut Work) -> Result<Vec<Json>> {
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
    Ok(rows)
}

fn add(document: &mut Map<String, Json>, table: &Table, rows: Vec<Json>) {
    let name = table.name.to_string();
    document.entry(name.clone()).or_insert_with(|| Json::Array(Vec::new()));
    rows.into_iter().for_each(|row| add_row(document, &name, row));
}

/// Two relations of one table may mean the same row: it is kept once.
fn add_row(document: &mut Map<String, Json>, table: &str, row: Json) {
    let list = document.entry(table.to_owned()).or_insert_with(|| Json::Array(Vec::new()));
    if let Json::Array(known) = list
        && !known.contains(&row)
    {
        known.push(row);
    }
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

/// The key of an archived row.
pub fn key_of(table: &Table, row: &Map<String, Json>) -> Map<String, Json> {
    let columns = table.key.iter().flat_map(|key| &key.columns);
    columns.map(|name| (name.clone(), row.get(name).cloned().unwrap_or(Json::Null))).collect()
}

/// Which rows were changed and not removed.
pub fn changes(document: &Map<String, Json>, table: &Table, tree: &[Hanging]) -> Vec<Changed> {
    if let Some(all) = document.get(CHANGED) {
        return serde_json::from_value(all.clone()).unwrap_or_default();
    }
    // An entry that does not say so: rows of relations that change rows, but for the account itself.
    let own = rows(document, table).first().map(|row| key_of(table, row));
    let mut all: Vec<Changed> = Vec::new();
    let mut open: Vec<&Hanging> = tree.iter().collect();
    while let Some(hanging) = open.pop() {
        open.extend(&hanging.below);
        if matches!(hanging.policy, Policy::SetNull | Policy::Anonymise) {
            let found = rows(document, &hanging.table).into_iter().map(|row| hanging.change_of(row));
            all.extend(
                found.filter(|one| hanging.table.name != table.name || Some(&one.key) != own.as_ref()),
            );
        }
    }
    all
}

/// The value of a column in an archived row.
pub fn value(row: &Map<String, Json>, column: &str) -> Result<Value> {
    from_json(row.get(column).cloned().unwrap_or(Json::Null))
        .map_err(|why| Error::data(format!("the archived `{column}` cannot be read: {why}")))
}
