//! Rows in bulk: one prepared `insert`, run row by row inside the open transaction, which is as fast as SQLite gets.
//!
//! Times, dates and uuids have no type here: they become text in the one form that sorts and compares.

use super::errors::{During, explain};
use super::session::Link;
use rusqlite::CachedStatement;
use rusqlite::types::ToSqlOutput;
use targets::db::{Cell, Error, Load, Loader, Result, Sql, civil};

/// An open load.
pub(super) struct Inserting<'a> {
    link: &'a Link,
    statement: CachedStatement<'a>,
    width: usize,
    rows: u64,
}

impl<'a> Inserting<'a> {
    /// Prepares the statement. The transaction is open.
    pub fn begin(link: &'a Link, load: &Load) -> Result<Self> {
        let places = vec!["?"; load.columns.len()].join(", ");
        let sql = Sql::new("insert into ")
            .table(load.table)
            .text(" (")
            .names("", load.columns.iter().map(String::as_str))
            .text(&format!(") values ({places})"));
        let statement = link.prepare(&sql.shown())?;
        Ok(Self { link, statement, width: load.columns.len(), rows: 0 })
    }
}

impl Loader for Inserting<'_> {
    fn row(&mut self, cells: &[Cell<'_>]) -> Result<()> {
        if cells.len() != self.width {
            return Err(Error::system(format!(
                "a row has {} values for {} columns",
                cells.len(),
                self.width
            )));
        }
        let failed = |error| explain(self.link.label(), During::Run, error);
        for (n, cell) in cells.iter().enumerate() {
            self.statement.raw_bind_parameter(n + 1, bound(cell)).map_err(failed)?;
        }
        self.statement.raw_execute().map_err(failed)?;
        self.rows += 1;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<u64> {
        Ok(self.rows)
    }
}

fn bound<'a>(cell: &Cell<'a>) -> ToSqlOutput<'a> {
    match *cell {
        Cell::Null => ToSqlOutput::Owned(rusqlite::types::Value::Null),
        Cell::Bool(flag) => ToSqlOutput::from(i64::from(flag)),
        Cell::Int(number) => ToSqlOutput::from(number),
        Cell::Real(number) => ToSqlOutput::from(number),
        Cell::Text(text) => ToSqlOutput::from(text),
        Cell::Bytes(bytes) => ToSqlOutput::from(bytes),
        Cell::Uuid(bytes) => ToSqlOutput::from(civil::uuid(&bytes)),
        Cell::Moment(micros) => ToSqlOutput::from(civil::moment(micros)),
        Cell::Day(days) => ToSqlOutput::from(civil::day(days)),
    }
}
