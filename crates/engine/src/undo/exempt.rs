//! Exemptions: a row that was put back is not swept away by the next run.
//!
//! For each source table there is one own table with the keys of its restored rows. A table without a key that
//! its rows can be found by has no exemptions; the undo says so.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use targets::db::{AT, Dialect, Facts, Range, Session, Sql, Table, TableName, Tx, UndoTable, Value, quote};

/// The restored rows of one table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exemption {
    /// Whose rows.
    pub source: TableName,
    /// Where their keys are.
    pub keys: TableName,
    /// The key columns; for a table without a key, on SQLite, the rowid's name.
    pub columns: Vec<String>,
}

/// The condition, over `t`, that a row was not restored by an undo; none when no row of these tables was. They are a
/// table and those in which its rows lie: rows come back to the latter.
pub fn not_exempt<'a>(
    facts: &mut dyn Facts,
    tables: impl IntoIterator<Item = &'a Table>,
) -> Result<Option<Sql>> {
    let mut conditions: Vec<Sql> = Vec::new();
    for table in tables {
        if let Some(exemption) = find(facts, &table.name)? {
            let outside = outside(&exemption);
            if !conditions.contains(&outside) {
                conditions.push(outside);
            }
        }
    }
    Ok((!conditions.is_empty()).then(|| Sql::join(&conditions, " and ")))
}

fn outside(exemption: &Exemption) -> Sql {
    let same: Vec<String> =
        exemption.columns.iter().map(|column| format!("e.{} = t.{}", quote(column), quote(column))).collect();
    Sql::new("not exists (select 1 from ")
        .table(&exemption.keys)
        .text(" as e where ")
        .text(&same.join(" and "))
        .text(")")
}

fn find(facts: &mut dyn Facts, source: &TableName) -> Result<Option<Exemption>> {
    if !super::point::installed(facts)? {
        return Ok(None);
    }
    let select = Sql::new("select description from ")
        .table(&facts.dialect().own("exemptions"))
        .text(" where source = ")
        .bind(source.quoted());
    match facts.value(&select)? {
        Value::Text(text) => serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| Error::system("an exemption cannot be read").because(error)),
        _ => Ok(None),
    }
}

/// The columns by which rows of this table are found again.
fn key_of(table: &Table) -> Option<Vec<String>> {
    table.key.as_ref().map(|key| key.columns.clone()).or_else(|| table.rowid.clone().map(|rowid| vec![rowid]))
}

/// Exempts the rows of one range of an undo table; how many those are, or none when they cannot be found again. Belongs into
/// the transaction that puts them back.
pub(crate) fn add(
    tx: &mut dyn Tx,
    dialect: &dyn Dialect,
    table: &Table,
    undo: &UndoTable,
    range: Range,
) -> Result<Option<u64>> {
    let Some(columns) = key_of(table) else { return Ok(None) };
    // Under the rowid's own name a column cannot be made: it would shadow the rowid of the table of keys itself.
    let from_at = table.key.is_none();
    let own = dialect.own("exemptions");
    let known = tx.rows(
        &Sql::new("select description from ").table(&own).text(" where source = ").bind(table.name.quoted()),
    )?;
    let exemption = match known.first().and_then(|row| row.first()) {
        Some(Value::Text(text)) => serde_json::from_str::<Exemption>(text)
            .map_err(|error| Error::system("an exemption cannot be read").because(error))?,
        _ => create(tx, dialect, table, columns.clone(), from_at)?,
    };
    let mut insert = Sql::new("insert into ")
        .table(&exemption.keys)
        .text(" (")
        .names("", columns.iter().map(String::as_str));
    insert = if from_at {
        insert.text(&format!(") select u.{}", quote(AT)))
    } else {
        insert.text(") select ").names("u.", columns.iter().map(String::as_str))
    };
    // A row that is put back twice is there twice, which costs less than looking for it each time: on PostgreSQL a fifth of
    // the whole undo.
    tx.execute(&insert.text(" from ").table(&undo.name).text(" as u where ").add(&dialect.undo_range(range)))
        .map(Some)
}

fn create(
    tx: &mut dyn Tx,
    dialect: &dyn Dialect,
    table: &Table,
    columns: Vec<String>,
    from_at: bool,
) -> Result<Exemption> {
    let own = dialect.own("exemptions");
    let number = tx.count(&Sql::new("select count(*) from ").table(&own))? + 1;
    let keys = dialect.own(&format!("exempt_{number}"));
    if from_at {
        tx.execute(
            &Sql::new("create table ")
                .table(&keys)
                .text(" (")
                .names("", columns.iter().map(String::as_str))
                .text(" integer)"),
        )?;
    } else {
        let shape =
            UndoTable { name: keys.clone(), temporary: false, columns: columns.clone(), after: Vec::new() };
        for statement in dialect.create_undo(table, &shape) {
            tx.execute(&statement)?;
        }
    }
    tx.execute(
        &Sql::new("create index ")
            .name(&format!("{}_key", keys.name))
            .text(" on ")
            .table(&keys)
            .text(" (")
            .names("", columns.iter().map(String::as_str))
            .text(")"),
    )?;
    let exemption = Exemption { source: table.name.clone(), keys, columns };
    let description = serde_json::to_string(&exemption)
        .map_err(|error| Error::system("cannot describe an exemption").because(error))?;
    tx.execute(
        &Sql::new("insert into ")
            .table(&own)
            .text(" (source, description) values (")
            .bind(table.name.quoted())
            .text(", ")
            .bind(description)
            .text(")"),
    )?;
    Ok(exemption)
}

/// Ends all exemptions of a table; false when it had none.
pub fn release(session: &mut dyn Session, limits: &targets::db::Limits, source: &TableName) -> Result<bool> {
    let Some(exemption) = find(session, source)? else { return Ok(false) };
    let own = session.dialect().own("exemptions");
    let mut tx = session.begin(limits)?;
    tx.execute(&Sql::new("drop table if exists ").table(&exemption.keys))?;
    tx.execute(&Sql::new("delete from ").table(&own).text(" where source = ").bind(source.quoted()))?;
    tx.commit()?;
    Ok(true)
}

/// Ends the exemptions of rows that were deleted since: a new row with the key of one is another row. Rows of partitions
/// may have moved to another one, so theirs stay.
pub(crate) fn forget_gone(session: &mut dyn Session, limits: &targets::db::Limits) -> Result<()> {
    let tables = exempted(session)?;
    if tables.is_empty() {
        return Ok(());
    }
    let schema = session.schema()?;
    for source in tables {
        let Some(table) = schema.table(&source).filter(|table| table.parents.is_empty()) else { continue };
        let Some(exemption) = find(session, &source)? else { continue };
        let same: Vec<String> = exemption
            .columns
            .iter()
            .map(|column| format!("t.{} = e.{}", quote(column), quote(column)))
            .collect();
        let gone = Sql::new("not exists (select 1 from ")
            .table(&table.name)
            .text(" as t where ")
            .text(&same.join(" and "))
            .text(")");
        let any = Sql::new("select count(*) from (select 1 as one from ")
            .table(&exemption.keys)
            .text(" as e where ")
            .add(&gone)
            .text(" limit 1) as sample");
        if session.count(&any)? == 0 {
            continue;
        }
        let mut tx = session.begin(limits)?;
        tx.execute(&Sql::new("delete from ").table(&exemption.keys).text(" as e where ").add(&gone))?;
        tx.commit()?;
    }
    Ok(())
}

/// The tables that have exemptions.
pub fn exempted(facts: &mut (impl Facts + ?Sized)) -> Result<Vec<TableName>> {
    if !super::point::installed(facts)? {
        return Ok(Vec::new());
    }
    let select = Sql::new("select description from ").table(&facts.dialect().own("exemptions"));
    let mut tables = Vec::new();
    for row in facts.rows(&select)? {
        let text = row.first().and_then(Value::as_text).unwrap_or_default();
        let exemption: Exemption = serde_json::from_str(text)
            .map_err(|error| Error::system("an exemption cannot be read").because(error))?;
        tables.push(exemption.source);
    }
    Ok(tables)
}
