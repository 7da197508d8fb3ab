//! What the source itself knows of its move: one row, in a table of ours, from the first trigger until nothing is left of it.
//!
//! It is written in the same transactions as the triggers, so whoever comes after a death knows how far it had come.

use super::Online;
use engine::{Error, Result};
use serde::{Deserialize, Serialize};
use targets::db::{Facts, Row, Sql, TableName, Tx, Value};

/// The row.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The undo point of the run that moves it.
    pub run: String,
    /// How far it has come.
    pub state: State,
    /// All of the plan that others need to know.
    pub online: Online,
    /// Since when nobody may write, in microseconds since 1970.
    pub since: Option<i64>,
    /// What the application's pointer said before.
    pub was: Option<String>,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Changes are written down; the application works here.
    Capturing,
    /// Changes are refused; the application was not yet sent elsewhere.
    Moved,
    /// It is being sent elsewhere: it may be there, or not.
    Switching,
    /// It works elsewhere.
    Switched,
    /// It works elsewhere, and there is no way back.
    Settled,
    /// It is being sent back.
    Returning,
    /// The application works here as before; what was made in the target could not be taken away.
    GivenUp,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Capturing => "capturing",
            State::Moved => "moved",
            State::Switching => "switching",
            State::Switched => "switched",
            State::Settled => "settled",
            State::Returning => "returning",
            State::GivenUp => "given_up",
        }
    }
}

/// Where it is.
pub fn table() -> TableName {
    TableName::bare("sexton_transfers")
}

fn select() -> Sql {
    Sql::new("select run, state, way, since, was from ").table(&table())
}

fn is_ttable() -> Sql {
    Sql::new("select count(*) from sqlite_schema where type = 'table' and name = ").bind(table().name)
}

fn read_row(row: &Row) -> Result<Entry> {
    let text = |n: usize| row.get(n).and_then(Value::as_text).unwrap_or_default();
    let broken =
        |error| Error::system("what is kept of the transfer in the source cannot be read").because(error);
    Ok(Entry {
        run: text(0).to_owned(),
        state: serde_json::from_value(text(1).into()).map_err(broken)?,
        online: serde_json::from_str(text(2)).map_err(broken)?,
        since: row.get(3).and_then(Value::as_int),
        was: row.get(4).and_then(Value::as_text).map(str::to_owned),
    })
}

/// What is there, if anything.
pub fn read(facts: &mut dyn Facts) -> Result<Option<Entry>> {
    if facts.count(&is_ttable())? == 0 {
        return Ok(None);
    }
    facts.rows(&select())?.first().map(read_row).transpose()
}

/// The same inside a transaction.
pub fn within(tx: &mut dyn Tx) -> Result<Option<Entry>> {
    if tx.count(&is_ttable())? == 0 {
        return Ok(None);
    }
    tx.rows(&select())?.first().map(read_row).transpose()
}

/// Writes it down, in place of what was there.
pub fn write(entry: &Entry, tx: &mut dyn Tx) -> Result<()> {
    let way = serde_json::to_string(&entry.online)
        .map_err(|error| Error::system("the plan of a transfer cannot be kept").because(error))?;
    let create = Sql::new("create table if not exists ").table(&table()).text(
        " (run text not null primary key, state text not null, way text not null, since integer, was text, \
             version integer)",
    );
    tx.execute(&create)?;
    tx.execute(&Sql::new("delete from ").table(&table()))?;
    let insert = Sql::new("insert into ")
        .table(&table())
        .text(" (run, state, way, since, was, version) values (")
        .bind(entry.run.as_str())
        .text(", ")
        .bind(entry.state.name())
        .text(", ")
        .bind(way)
        .text(", ")
        .bind(entry.since)
        .text(", ")
        .bind(entry.was.clone())
        .text(", (select schema_version from pragma_schema_version))");
    tx.execute(&insert).map(drop)
}

/// Whether nothing was done to the whole file since, such as a `vacuum`, after which rows have other numbers.
pub fn is_untouched(source: &mut super::ask::Source) -> Result<bool> {
    let sql = Sql::new("select count(*) from ")
        .table(&table())
        .text(" where state <> 'capturing' or version = (select schema_version from pragma_schema_version)");
    Ok(source.number(&sql)? == Some(1))
}
