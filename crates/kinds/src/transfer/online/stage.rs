//! The changed rows of one table, brought beside it: their keys, and what they are now, in temporary tables of the target.

use super::super::carry::{Carrier, Fate, read};
use super::super::compare::Prints;
use super::super::load::{self, Aside};
use super::super::machines::Machines;
use super::super::task::{ASIDE, Carry};
use super::ask::Source;
use super::capture;
use engine::{Result, Work};
use std::collections::HashSet;
use targets::db::{Cell, Sql, TableName, Value, quote};

/// What was written down from one place on, up to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Behind this one.
    pub from: i64,
    /// Up to this one.
    pub upto: i64,
}

/// A table with changes.
pub struct Staged<'o> {
    /// The table.
    pub carry: &'o Carry,
    /// The temporary table of the keys that changed.
    pub keys: TableName,
    /// The temporary table of the rows that these keys have now.
    pub rows: TableName,
    /// How many keys.
    pub changed: u64,
    /// How many rows.
    pub sent: u64,
    /// The sum of the hashes of the rows.
    pub hash: u128,
    /// How many rows fit nowhere and are kept aside.
    pub aside: u64,
}

/// The columns by which rows are told apart in the target.
fn key_columns(carry: &Carry) -> Vec<&str> {
    carry.key.iter().map(|n| carry.columns[*n].target.as_str()).collect()
}

/// The columns that are sent.
pub fn sent_columns(carry: &Carry) -> Vec<&str> {
    carry.columns.iter().filter(|column| !column.computed).map(|column| column.target.as_str()).collect()
}

fn temporary(name: &TableName, columns: &[&str], of: &TableName, work: &mut Work) -> Result<()> {
    let sql = Sql::new("create temporary table ")
        .table(name)
        .text(" on commit drop as select ")
        .names("", columns.iter().copied())
        .text(" from ")
        .table(of)
        .text(" with no data");
    work.statement(&sql.shown()).map(drop)
}

/// The changed keys of a table, each once.
fn changed(n: usize, carry: &Carry, span: Span) -> Sql {
    let places: Vec<String> = (1..=carry.key.len()).map(|n| format!("k{n}")).collect();
    Sql::new(&format!("select distinct {} from ", places.join(", ")))
        .table(&capture::changes())
        .text(&format!(" where t = {n} and n > {} and n <= {}", span.from, span.upto))
}

/// Brings them.
pub fn bring<'o>(
    n: usize,
    carry: &'o Carry,
    machines: &Machines,
    span: Span,
    source: &mut Source,
    work: &mut Work,
) -> Result<Staged<'o>> {
    let (keys, rows) =
        (TableName::bare(&format!("sexton_keys_{n}")), TableName::bare(&format!("sexton_rows_{n}")));
    let (key_names, row_names) = (key_columns(carry), sent_columns(carry));
    temporary(&keys, &key_names, &carry.name, work)?;
    temporary(&rows, &row_names, &carry.name, work)?;
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let list = changed(n, carry, span);
    let mut texts = HashSet::new();
    let keeps_aside = has_aside(carry, work)?;
    let mut carrier = Carrier::new(carry, machines);
    let changed = work.load(&keys, &owned(&key_names), &mut |loader| {
        source.scan(&list, &mut |values| {
            if keeps_aside {
                texts.insert(
                    values.iter().map(|value| load::kept_value(value).to_string()).collect::<Vec<_>>(),
                );
            }
            carrier.key(values, &mut |cells| loader.row(cells)).map(drop)
        })?;
        Ok(())
    })?;
    if keeps_aside {
        forget_aside(carry, &texts, work)?;
    }
    let join: Vec<String> = capture::keys(carry)
        .iter()
        .enumerate()
        // once by the column's own order, which has an index, and once to the letter
        .map(|(n, key)| format!("t.{0} = c.k{1} and t.{0} = c.k{1} collate binary", quote(key), n + 1))
        .collect();
    let select = read(carry)
        .text(" from (")
        .add(&list)
        .text(") as c cross join ")
        .name(&carry.table)
        .text(" as t on ")
        .text(&join.join(" and "));
    let prints = Prints::of(carry);
    let copied: Vec<usize> = (0..carry.columns.len()).filter(|n| !carry.columns[*n].computed).collect();
    let (mut aside, mut ids, mut hash) = (Vec::new(), Vec::new(), 0_u128);
    let mut carrier = Carrier::new(carry, machines);
    let sent = work.load(&rows, &owned(&row_names), &mut |loader| {
        source.scan(&select, &mut |row| {
            let fate = carrier.row(row, &mut |cells| {
                hash = hash.wrapping_add(prints.sent(cells));
                let kept: Vec<Cell> = copied.iter().map(|n| cells[*n]).collect();
                loader.row(&kept)
            })?;
            match fate {
                Fate::Carried => ids.extend(load::own_id(carry, row)),
                Fate::Aside(n, misfit) => aside.push(Aside::of(carry, n, misfit, row)),
                Fate::Stopped(n, misfit) => return Err(load::stopped(carry, n, misfit, row)),
            }
            Ok(())
        })?;
        Ok(())
    })?;
    load::remember_new(carry, &ids, work)?;
    for row in &aside {
        load::keep(carry, row, work)?;
    }
    for table in [&keys, &rows] {
        // without it nobody knows that they are small
        work.statement(&format!("analyze {}", table.quoted()))?;
    }
    Ok(Staged { carry, keys, rows, changed, sent, hash, aside: aside.len() as u64 })
}

/// The rows of a table that were kept aside.
fn aside_of(what: &str, carry: &Carry, work: &Work) -> Sql {
    Sql::new(what)
        .text(" from ")
        .table(&work.dialect().own(ASIDE))
        .text(" where run = ")
        .bind(work.point())
        .text(" and source_table = ")
        .bind(carry.table.as_str())
}

/// How many rows of a table are kept aside.
pub fn count_aside(carry: &Carry, work: &mut Work) -> Result<u64> {
    let exists = work.dialect().exists(&work.dialect().own(ASIDE));
    if work.count(&exists)? == 0 {
        return Ok(0);
    }
    let count = aside_of("select count(*)", carry, work);
    work.count(&count)
}

fn has_aside(carry: &Carry, work: &mut Work) -> Result<bool> {
    Ok(count_aside(carry, work)? > 0)
}

/// Rows that were kept aside and have changed since: what they are now is looked at anew.
fn forget_aside(carry: &Carry, changed: &HashSet<Vec<String>>, work: &mut Work) -> Result<()> {
    let kept = work.rows(&aside_of("select row_data", carry, work))?;
    for row in kept {
        let text = row.first().and_then(Value::as_text).unwrap_or_default();
        let Ok(data) = serde_json::from_str::<serde_json::Value>(text) else { continue };
        let key: Vec<String> = capture::keys(carry).iter().map(|name| data[*name].to_string()).collect();
        if changed.contains(&key) {
            let gone = aside_of("delete", carry, work).text(" and row_data = ").bind(text);
            work.record(&gone)?;
        }
    }
    Ok(())
}
