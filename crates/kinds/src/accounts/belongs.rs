//! Which accounts of an archive can come back now: those that nobody has changed since, and that refer to nothing which only
//! another entry of the archive holds. What belongs together comes back together.

use super::document::{changes, key_of, rows, value};
use super::restore::Task;
use engine::{Error, Result, Work};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use targets::db::{Dialect, Facts, Row, Sql, Table, TableName, Value};

/// Asks the database, when planning and in a batch.
pub trait Ask {
    /// All rows.
    fn rows(&mut self, sql: &Sql) -> Result<Vec<Row>>;
    /// How this database spells things.
    fn dialect(&self) -> &dyn Dialect;
    /// One count.
    fn count(&mut self, sql: &Sql) -> Result<i64> {
        let found = self.rows(sql)?;
        Ok(found.first().and_then(|row| row.first()).and_then(Value::as_int).unwrap_or(0))
    }
}

/// When planning.
pub struct Planning<'a>(pub &'a mut dyn Facts);

impl Ask for Planning<'_> {
    fn rows(&mut self, sql: &Sql) -> Result<Vec<Row>> {
        self.0.rows(sql)
    }

    fn dialect(&self) -> &dyn Dialect {
        self.0.dialect()
    }
}

impl Ask for Work<'_> {
    fn rows(&mut self, sql: &Sql) -> Result<Vec<Row>> {
        Work::rows(self, sql)
    }

    fn dialect(&self) -> &dyn Dialect {
        Work::dialect(self)
    }
}

/// What a row refers to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refers {
    /// Whose rows.
    pub child: TableName,
    /// Their columns.
    pub columns: Vec<String>,
    /// To which table.
    pub parent: Table,
    /// To which of its columns.
    pub parent_columns: Vec<String>,
}

/// An account of the archive.
pub struct Entry {
    /// As it was asked for.
    pub account: String,
    /// What is kept of it.
    pub document: Map<String, Json>,
    /// What becomes of it.
    pub verdict: Verdict,
}

/// What becomes of an account.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Its row is gone and comes back.
    Insert,
    /// Its row was overwritten and gets its values back.
    Change,
    /// Somebody has changed it since.
    Changed,
    /// It refers to rows of this other account of the archive.
    Needs(String),
}

impl Entry {
    /// Whether it comes back.
    pub fn comes(&self) -> bool {
        matches!(self.verdict, Verdict::Insert | Verdict::Change)
    }

    /// The rows of a table that went with it, itself included.
    pub fn removed<'a>(&'a self, task: &Task, table: &Table) -> Vec<&'a Map<String, Json>> {
        let own = table.name == task.table.name;
        if own {
            let first = rows(&self.document, table).into_iter().next();
            return first.into_iter().filter(|_| self.verdict == Verdict::Insert).collect();
        }
        let name = table.name.to_string();
        let changed: Vec<Map<String, Json>> = changes(&self.document, &task.table, &task.tree)
            .into_iter()
            .filter(|one| one.table == name)
            .map(|one| one.key)
            .collect();
        rows(&self.document, table).into_iter().filter(|row| !changed.contains(&key_of(table, row))).collect()
    }
}

/// Reads the entries that were asked for and are there, and says what becomes of them.
pub fn entries(task: &Task, ask: &mut dyn Ask) -> Result<Vec<Entry>> {
    let mut all: Vec<Entry> = Vec::new();
    for account in &task.accounts {
        let condition = task.entry(account)?;
        for (account, document) in stored(task, &condition, ask)? {
            if all.iter().all(|known| known.account != account) {
                let verdict = itself(task, &document, ask)?;
                all.push(Entry { account, document, verdict });
            }
        }
    }
    while let Some((n, needs)) = unmet(task, &all, ask)? {
        all[n].verdict = Verdict::Needs(needs);
    }
    Ok(all)
}

/// Entries of the archive: key and document.
pub fn stored(task: &Task, condition: &Sql, ask: &mut dyn Ask) -> Result<Vec<(String, Map<String, Json>)>> {
    let column = |name: &str| Sql::new("cast(t.").name(name).text(" as text)");
    let select = Sql::new("select ")
        .add(&column(&task.said.key))
        .text(", ")
        .add(&column(&task.said.data))
        .text(" from ")
        .table(&task.archive.name)
        .text(" as t where ")
        .add(condition);
    let mut all = Vec::new();
    for row in ask.rows(&select)? {
        let text = |n: usize| row.get(n).and_then(Value::as_text).unwrap_or_default();
        let document = serde_json::from_str(text(1)).map_err(|error| {
            Error::data(format!("the entry of `{}` cannot be read", text(0))).because(error)
        })?;
        all.push((text(0).to_owned(), document));
    }
    Ok(all)
}

fn itself(task: &Task, document: &Map<String, Json>, ask: &mut dyn Ask) -> Result<Verdict> {
    let Some(row) = rows(document, &task.table).first().copied() else {
        return Err(Error::data("the entry does not hold the account itself"));
    };
    let key = with_key(&task.table, row, ask.dialect())?;
    let count = |condition: &Sql| {
        Sql::new("select count(*) from ").table(&task.table.name).text(" as t where ").add(condition)
    };
    if ask.count(&count(&key))? == 0 {
        return Ok(Verdict::Insert);
    }
    // Where accounts are deleted, who has this key came later.
    let written = task.as_written(key, ask.dialect());
    let as_written = !task.overwritten.is_empty() && ask.count(&count(&written))? == 1;
    Ok(if as_written { Verdict::Change } else { Verdict::Changed })
}

/// The condition, over `t`, that a row has the key of an archived one.
pub fn with_key(table: &Table, row: &Map<String, Json>, dialect: &dyn Dialect) -> Result<Sql> {
    let columns = table.key.as_ref().map(|key| key.columns.clone()).unwrap_or_default();
    let mut parts = Vec::new();
    for name in &columns {
        let column = table.expect_column(name)?;
        let value = dialect.inward(column, value(row, name)?);
        parts.push(Sql::new("t.").name(name).text(" = ").add(&value));
    }
    Ok(Sql::join(&parts, " and "))
}

/// What a row refers to, in words that can be compared; none where it refers to nothing.
fn wanted(refers: &Refers, row: &Map<String, Json>) -> Option<Vec<Json>> {
    let values: Option<Vec<Json>> = refers.columns.iter().map(|name| row.get(name).cloned()).collect();
    values.filter(|values| !values.iter().any(Json::is_null))
}

fn spelled(table: &TableName, columns: &[String], values: &[Json]) -> String {
    format!("{table} {columns:?} {}", Json::Array(values.to_vec()))
}

/// The first account that comes back and refers to what only another entry holds, with that other.
fn unmet(task: &Task, all: &[Entry], ask: &mut dyn Ask) -> Result<Option<(usize, String)>> {
    let mut there: BTreeSet<String> = BTreeSet::new();
    for entry in all.iter().filter(|entry| entry.comes()) {
        for refers in &task.refers {
            there.extend(held(refers, entry.removed(task, &refers.parent)));
        }
    }
    let mut missing: BTreeMap<String, usize> = BTreeMap::new();
    let mut known: HashMap<String, bool> = HashMap::new();
    for (n, entry) in all.iter().enumerate().filter(|(_, entry)| entry.comes()) {
        for table in &task.order {
            for row in entry.removed(task, table) {
                for refers in task.refers.iter().filter(|refers| refers.child == table.name) {
                    let Some(values) = wanted(refers, row) else { continue };
                    let name = spelled(&refers.parent.name, &refers.parent_columns, &values);
                    if there.contains(&name) {
                        continue;
                    }
                    let is_there = match known.get(&name) {
                        Some(is_there) => *is_there,
                        None => is_in_database(refers, row, ask)?,
                    };
                    known.insert(name.clone(), is_there);
                    if !is_there {
                        missing.entry(name).or_insert(n);
                    }
                }
            }
        }
    }
    if missing.is_empty() {
        return Ok(None);
    }
    // What no entry holds either was gone before, or is gone for good.
    for (account, document) in stored(task, &Sql::new("1 = 1"), ask)? {
        if all.iter().any(|entry| entry.account == account && entry.comes()) {
            continue;
        }
        let other = Entry { account, document, verdict: Verdict::Insert };
        for refers in &task.refers {
            for name in held(refers, other.removed(task, &refers.parent)) {
                if let Some(n) = missing.get(&name) {
                    return Ok(Some((*n, other.account)));
                }
            }
        }
    }
    Ok(None)
}

fn held(refers: &Refers, rows: Vec<&Map<String, Json>>) -> Vec<String> {
    let of = |row: &Map<String, Json>| {
        let values: Option<Vec<Json>> =
            refers.parent_columns.iter().map(|name| row.get(name).cloned()).collect();
        values.map(|values| spelled(&refers.parent.name, &refers.parent_columns, &values))
    };
    rows.into_iter().filter_map(of).collect()
}

fn is_in_database(refers: &Refers, row: &Map<String, Json>, ask: &mut dyn Ask) -> Result<bool> {
    let mut same = Vec::new();
    for (name, parent) in refers.columns.iter().zip(&refers.parent_columns) {
        let column = refers.parent.expect_column(parent)?;
        let value = ask.dialect().inward(column, value(row, name)?);
        same.push(Sql::new("t.").name(parent).text(" = ").add(&value));
    }
    let select = Sql::new("select count(*) from ")
        .table(&refers.parent.name)
        .text(" as t where ")
        .add(&Sql::join(&same, " and "));
    Ok(ask.count(&select)? > 0)
}
