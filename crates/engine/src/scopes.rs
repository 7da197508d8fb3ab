//! Scopes: parts of an operation that stand or fall by themselves, each a transaction and an undo point of its own.
//!
//! A scope whose data make it fail is rolled back, remembered with its error in the maintained database, and the run goes
//! on. The next runs try it later, after the others, with growing gaps (W-122).

use crate::error::{Error, Result};
use crate::undo;
use crate::work::Work;
use jiff::{SignedDuration, Timestamp};
use targets::db::{Dialect, Facts, Sql, TableName, Tx, Value};

/// The parts of undo points.
pub(crate) const UNDO_SCOPES: &str = "undo_scopes";
/// What failed.
const FAILED_SCOPES: &str = "failed_scopes";
/// The first gap; each failure in a row doubles it.
const FIRST_GAP: SignedDuration = SignedDuration::from_hours(1);
/// The longest gap, as a power of two of the first: about five days.
const MOST_DOUBLINGS: i64 = 7;

/// A scope that failed.
#[derive(Debug, Clone, PartialEq)]
pub struct FailedScope {
    /// Which.
    pub scope: String,
    /// How often in a row.
    pub failures: i64,
    /// When it is tried again.
    pub next_at: Timestamp,
    /// The last error.
    pub error: String,
}

/// What a kind makes of a batch that cannot be done.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenUp {
    /// The scope.
    pub scope: String,
    /// Where to go on; none when the step is done.
    pub next: Option<crate::operation::Cursor>,
    /// For the report.
    pub detail: serde_json::Value,
}

/// What an operation told about a batch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    /// The scope it was.
    pub scope: Option<String>,
    /// For the report.
    pub detail: Option<serde_json::Value>,
    /// Why the operation begins again.
    pub again: Option<String>,
}

impl Work<'_> {
    /// Says that this batch is one scope: it becomes an undo point of its own. Its id; none when nothing is remembered.
    pub fn scope(&mut self, scope: &str) -> Option<String> {
        self.told_mut().scope = Some(scope.to_owned());
        let (point, batch) = (self.point().to_owned(), self.batch());
        self.remembers().then(|| undo::scope_id(&point, batch))
    }

    /// Says that the operation begins again from its first step, and that what it did so far counts for nothing: what this batch
    /// returns as the next place is passed over.
    pub fn begin_again(&mut self, reason: &str) {
        self.told_mut().again = Some(reason.to_owned());
    }

    /// Tells the report about this batch.
    pub fn tell(&mut self, detail: serde_json::Value) {
        self.told_mut().detail = Some(detail);
    }
}

/// The scopes of an operation that failed when they were last tried.
pub fn failed_scopes(facts: &mut dyn Facts, operation: &str) -> Result<Vec<FailedScope>> {
    let table = facts.dialect().own(FAILED_SCOPES);
    if facts.count(&facts.dialect().exists(&table))? == 0 {
        return Ok(Vec::new());
    }
    let select = Sql::new("select scope, failures, next_at, error from ")
        .table(&table)
        .text(" where operation = ")
        .bind(operation)
        .text(" order by scope");
    let mut all = Vec::new();
    for row in facts.rows(&select)? {
        let text = |n: usize| row.get(n).and_then(Value::as_text).unwrap_or_default();
        all.push(FailedScope {
            scope: text(0).to_owned(),
            failures: row.get(1).and_then(Value::as_int).unwrap_or(0),
            next_at: text(2)
                .parse()
                .map_err(|error| Error::system("a failed scope has no readable time").because(error))?,
            error: text(3).to_owned(),
        });
    }
    Ok(all)
}

/// Makes the tables of this module where they are missing.
pub(crate) fn install(tx: &mut dyn Tx, dialect: &dyn Dialect) -> Result<()> {
    let tables = [
        (
            UNDO_SCOPES,
            "point text not null, batch bigint not null, scope text not null, state text not null, detail text, \
             primary key (point, batch)",
        ),
        (
            FAILED_SCOPES,
            "operation text not null, scope text not null, failures bigint not null, next_at text not null, \
             error text not null, primary key (operation, scope)",
        ),
    ];
    for (name, columns) in tables {
        let table = dialect.own(name);
        if tx.count(&dialect.exists(&table))? == 0 {
            tx.execute(&Sql::new("create table ").table(&table).text(&format!(" ({columns})")))?;
        }
    }
    Ok(())
}

/// Remembers that a scope failed.
pub(crate) fn note_failure(
    tx: &mut dyn Tx,
    dialect: &dyn Dialect,
    operation: &str,
    scope: &str,
    error: &str,
    now: Timestamp,
) -> Result<()> {
    let table = dialect.own(FAILED_SCOPES);
    let known = tx.count(
        &Sql::new("select coalesce(max(failures), 0) from ")
            .table(&table)
            .text(" where operation = ")
            .bind(operation)
            .text(" and scope = ")
            .bind(scope),
    )? as i64;
    let gap = FIRST_GAP * 2_i32.pow(known.clamp(0, MOST_DOUBLINGS) as u32);
    let next_at = now.checked_add(gap).unwrap_or(now);
    tx.execute(
        &Sql::new("insert into ")
            .table(&table)
            .text(" (operation, scope, failures, next_at, error) values (")
            .bind(operation)
            .text(", ")
            .bind(scope)
            .text(", ")
            .bind(known + 1)
            .text(", ")
            .bind(next_at.to_string())
            .text(", ")
            .bind(error)
            .text(
                ") on conflict (operation, scope) do update set failures = excluded.failures, next_at = excluded.next_at, \
                 error = excluded.error",
            ),
    )?;
    Ok(())
}

/// A scope that was done has not failed.
pub(crate) fn forget_failure(
    tx: &mut dyn Tx,
    dialect: &dyn Dialect,
    operation: &str,
    scope: &str,
) -> Result<()> {
    tx.execute(
        &Sql::new("delete from ")
            .table(&dialect.own(FAILED_SCOPES))
            .text(" where operation = ")
            .bind(operation)
            .text(" and scope = ")
            .bind(scope),
    )?;
    Ok(())
}

/// The tables of this module that are there, when nothing needs them any more; none when something does.
pub(crate) fn unneeded(facts: &mut dyn Facts) -> Result<Option<Vec<TableName>>> {
    let mut there = Vec::new();
    for name in [UNDO_SCOPES, FAILED_SCOPES] {
        let table = facts.dialect().own(name);
        if facts.count(&facts.dialect().exists(&table))? == 0 {
            continue;
        }
        if facts.count(&Sql::new("select count(*) from ").table(&table))? > 0 {
            return Ok(None);
        }
        there.push(table);
    }
    Ok(Some(there))
}
