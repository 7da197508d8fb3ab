//! Accounts come back: what was removed is inserted, table by table, then what was changed gets its values back.
//!
//! A row that was only changed is never inserted. Where it is gone because it is in the archive itself by now, its entry there is
//! mended, so that it comes back as it was.

use super::belongs::{Entry, Verdict, stored, with_key};
use super::document::{Changed, changes, key_of, rows, value};
use super::restore::Task;
use engine::{Counts, Error, Result, Rows, Work};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};
use targets::db::{Column, Row, Sql, Table, Value, after};

/// Temporary tables: what comes back, and what of it is not there.
const STAGE: &str = "sexton_back";

/// Brings them back.
pub fn bring_back(task: &Task, entries: &[Entry], work: &mut Work, counts: &mut Counts) -> Result<()> {
    let coming: Vec<&Entry> = entries.iter().filter(|entry| entry.comes()).collect();
    let mut late: Vec<(&Table, String, Vec<String>)> = Vec::new();
    for (n, table) in task.order.iter().enumerate() {
        let waits: Vec<String> = task.late(n);
        for (m, (columns, rows)) in by_columns(task, &coming, table)?.into_iter().enumerate() {
            let name = format!("{STAGE}_{n}_{m}");
            counts.restored += insert(table, &columns, &rows, &waits, &name, work)?;
            let waiting: Vec<String> = columns.into_iter().filter(|column| waits.contains(column)).collect();
            late.push((table, name, waiting));
        }
    }
    for (table, name, columns) in late.into_iter().filter(|(_, _, columns)| !columns.is_empty()) {
        counts.changed += set_late(task, table, &name, &columns, work)?;
    }
    for entry in &coming {
        counts.changed += themselves(task, entry, work)?;
    }
    change_back(task, &coming, work, counts)?;
    for entry in &coming {
        counts.deleted += work.delete(&Rows::all(&task.archive, task.entry(&entry.account)?))?;
    }
    Ok(())
}

/// The removed rows of a table, each once, with the columns that are still there.
fn by_columns(task: &Task, coming: &[&Entry], table: &Table) -> Result<BTreeMap<Vec<String>, Vec<Row>>> {
    let mut all: BTreeMap<Vec<String>, Vec<Row>> = BTreeMap::new();
    let mut met = BTreeSet::new();
    for row in coming.iter().flat_map(|entry| entry.removed(task, table)) {
        if !met.insert(Json::Object(key_of(table, row)).to_string()) {
            continue;
        }
        let columns: Vec<&Column> = table.stored().filter(|column| row.contains_key(&column.name)).collect();
        let names = columns.iter().map(|column| column.name.clone()).collect();
        let values = columns.iter().map(|column| value(row, &column.name)).collect::<Result<Row>>()?;
        all.entry(names).or_default().push(values);
    }
    Ok(all)
}

fn same_key(table: &Table, row: &str, other: &str) -> Sql {
    let key = table.key.iter().flat_map(|key| &key.columns);
    let same: Vec<Sql> = key
        .map(|name| Sql::new(&format!("{row}.")).name(name).text(&format!(" = {other}.")).name(name))
        .collect();
    Sql::join(&same, " and ")
}

fn key_columns(table: &Table) -> Vec<String> {
    table.key.as_ref().map(|key| key.columns.clone()).unwrap_or_default()
}

/// Inserts those that are not there, in one statement: rows of one table may refer to each other.
fn insert(
    table: &Table,
    columns: &[String],
    rows: &[Row],
    late: &[String],
    name: &str,
    work: &mut Work,
) -> Result<u64> {
    let key = key_columns(table);
    work.bring(STAGE, table, columns, &[], rows, &key)?;
    let absent = Sql::new(&format!("select b.* from {STAGE} as b where not exists (select 1 from "))
        .table(&table.name)
        .text(" as t where ")
        .add(&same_key(table, "t", "b"))
        .text(")");
    if work.tabulate(name, &absent, std::slice::from_ref(&key))? == 0 {
        return Ok(0);
    }
    let values: Vec<Sql> = columns
        .iter()
        .map(|column| match late.contains(column) {
            true => Sql::new("null"),
            false => Sql::new("b.").name(column),
        })
        .collect();
    let select = Sql::new("select ").add(&Sql::join(&values, ", ")).text(" from ").name(name).text(" as b");
    work.insert(table, columns, &select)
}

/// What refers to rows that came later.
fn set_late(task: &Task, table: &Table, name: &str, columns: &[String], work: &mut Work) -> Result<u64> {
    let given: Vec<Sql> =
        columns.iter().map(|column| Sql::new("b.").name(column).text(" is not null")).collect();
    let among = |more: &Sql| {
        Sql::new("exists (select 1 from ")
            .name(name)
            .text(" as b where ")
            .add(&same_key(table, "t", "b"))
            .text(" and (")
            .add(more)
            .text("))")
    };
    let changes: Vec<(String, Sql)> = columns
        .iter()
        .map(|column| {
            let value = Sql::new("(select b.").name(column).text(" from ").name(name).text(" as b where ");
            (column.clone(), value.add(&same_key(table, "t", "b")).text(")"))
        })
        .collect();
    let mut changed = 0;
    for leaf in task.leaves(&table.name) {
        changed += work.change(&Rows::all(leaf, among(&Sql::join(&given, " or "))), &changes)?;
    }
    Ok(changed)
}

/// The account's own row: its values, and what `on_restore` says.
fn themselves(task: &Task, entry: &Entry, work: &mut Work) -> Result<u64> {
    let dialect = work.dialect();
    let Some(row) = rows(&entry.document, &task.table).first().copied() else { return Ok(0) };
    let key = with_key(&task.table, row, dialect)?;
    let mut changes = Vec::new();
    if entry.verdict == Verdict::Change {
        for name in &task.overwritten {
            let column = task.table.expect_column(name)?;
            changes.push((name.clone(), dialect.inward(column, value(row, name)?)));
        }
    }
    for (name, value) in &task.also {
        changes.retain(|(known, _)| known != name);
        changes.push((name.clone(), value.clone()));
    }
    if changes.is_empty() {
        return Ok(0);
    }
    let condition = if entry.verdict == Verdict::Change { task.as_written(key, dialect) } else { key };
    let mut changed = 0;
    for leaf in task.leaves(&task.table.name) {
        changed += work.change(&Rows::all(leaf, condition.clone()), &changes)?;
    }
    match changed {
        1 => Ok(1),
        _ => Err(Error::transient(format!("account `{}` was changed while it came back", entry.account))),
    }
}

/// Rows that were changed get back what they held; those that are in the archive by now get it there.
fn change_back(task: &Task, coming: &[&Entry], work: &mut Work, counts: &mut Counts) -> Result<()> {
    let mut groups: BTreeMap<(String, Vec<String>, bool), Vec<Changed>> = BTreeMap::new();
    for one in coming.iter().flat_map(|entry| changes(&entry.document, &task.table, &task.tree)) {
        let columns = one.was.keys().cloned().collect();
        let group = groups.entry((one.table.clone(), columns, one.null)).or_default();
        if !group.iter().any(|known| known.key == one.key) {
            group.push(one);
        }
    }
    let mut gone: Vec<Changed> = Vec::new();
    for ((name, columns, null), group) in groups {
        let Some(table) = task.known(&name) else { continue };
        let columns: Vec<String> = columns.into_iter().filter(|name| table.column(name).is_some()).collect();
        if columns.is_empty() {
            continue;
        }
        let key = key_columns(table);
        let mut staged = Vec::new();
        for one in &group {
            let mut row: Row = key.iter().map(|name| value(&one.key, name)).collect::<Result<_>>()?;
            row.extend(columns.iter().map(|name| value(&one.was, name)).collect::<Result<Row>>()?);
            staged.push(row);
        }
        work.bring(STAGE, table, &key, &columns, &staged, &key)?;
        counts.dependants += change_staged(task, table, &columns, null, work)?;
        for one in group {
            let there = Sql::new("select count(*) from ").table(&table.name).text(" as t where ");
            if work.count(&there.add(&with_key(table, &one.key, work.dialect())?))? == 0 {
                gone.push(one);
            }
        }
    }
    counts.dependants += mend_entries(task, coming, &gone, work)?;
    Ok(())
}

fn change_staged(task: &Task, table: &Table, columns: &[String], null: bool, work: &mut Work) -> Result<u64> {
    let mut condition = Sql::new(&format!("exists (select 1 from {STAGE} as b where "))
        .add(&same_key(table, "t", "b"))
        .text(")");
    // A reference that somebody has set since is theirs.
    for column in columns.iter().filter(|_| null) {
        condition = condition.text(" and t.").name(column).text(" is null");
    }
    let changes: Vec<(String, Sql)> = columns
        .iter()
        .enumerate()
        .map(|(n, column)| {
            let value = Sql::new(&format!("(select b.{} from {STAGE} as b where ", after(n)));
            (column.clone(), value.add(&same_key(table, "t", "b")).text(")"))
        })
        .collect();
    let mut changed = 0;
    for leaf in task.leaves(&table.name) {
        changed += work.change(&Rows::all(leaf, condition.clone()), &changes)?;
    }
    Ok(changed)
}

/// What other entries hold of rows that were changed before they went: how many entries were mended.
fn mend_entries(task: &Task, coming: &[&Entry], gone: &[Changed], work: &mut Work) -> Result<u64> {
    if gone.is_empty() {
        return Ok(0);
    }
    let dialect = work.dialect();
    let mut mended = 0;
    let all = stored(task, &Sql::new("1 = 1"), work)?;
    for (account, mut document) in all {
        if coming.iter().any(|entry| entry.account == account) || !mend(task, &mut document, gone) {
            continue;
        }
        let text = serde_json::to_string(&document)
            .map_err(|error| Error::data("an account cannot be written as JSON").because(error))?;
        let data = task.archive.expect_column(&task.said.data)?;
        let change = [(task.said.data.clone(), dialect.inward(data, Value::Text(text)))];
        mended += work.change(&Rows::all(&task.archive, task.entry(&account)?), &change)?;
    }
    Ok(mended)
}

fn mend(task: &Task, document: &mut Map<String, Json>, gone: &[Changed]) -> bool {
    let mut mended = false;
    for one in gone {
        let Some(table) = task.known(&one.table) else { continue };
        let list = document.get_mut(&table.name.to_string()).and_then(Json::as_array_mut);
        for row in list.into_iter().flatten().filter_map(Json::as_object_mut) {
            if key_of(table, row) != one.key {
                continue;
            }
            for (name, was) in &one.was {
                let now = row.get(name).cloned().unwrap_or(Json::Null);
                if (!one.null || now.is_null()) && now != *was {
                    row.insert(name.clone(), was.clone());
                    mended = true;
                }
            }
        }
    }
    mended
}
