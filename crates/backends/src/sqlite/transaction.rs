//! A transaction on a SQLite file: it holds the write lock from its beginning.

use super::dialect;
use super::errors::{During, explain};
use super::load::Inserting;
use super::session::Link;
use std::time::Duration;
use targets::db::{Error, Load, Loader, Result, Row, Sql, TableName, Take, Taken, Tx};

/// A transaction that holds the write lock.
pub(super) struct Transaction<'a> {
    link: &'a mut Link,
    statement: Duration,
    /// No trigger fires.
    silenced: bool,
}

impl<'a> Transaction<'a> {
    /// Of a session that has begun it, whose statements may take so long.
    pub(super) fn of(link: &'a mut Link, statement: Duration) -> Self {
        Self { link, statement, silenced: false }
    }

    fn still_open(&self) -> Result<()> {
        if self.link.conn.is_autocommit() {
            return Err(Error::system(format!(
                "the transaction on database `{}` is over: SQLite rolled it back",
                self.link.label
            ))
            .help("look at the error before this one, then resume the run"));
        }
        self.link.watch.allow(self.statement);
        Ok(())
    }
}

impl Tx for Transaction<'_> {
    fn silence(&mut self) -> Result<()> {
        self.silenced = true;
        self.link.let_triggers_fire(false)
    }

    fn query(&mut self, sql: &Sql, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<u64> {
        self.still_open()?;
        self.link.run(sql, each)
    }

    fn execute(&mut self, sql: &Sql) -> Result<u64> {
        self.still_open()?;
        let before = self.link.conn.total_changes();
        self.link.run(sql, &mut |_| Ok(()))?;
        // `changes()` still tells of the statement before when this one changes no rows (create table, savepoint)
        let unchanged = self.link.conn.total_changes() == before;
        Ok(if unchanged { 0 } else { self.link.conn.changes() })
    }

    fn take(&mut self, take: &Take) -> Result<Taken> {
        if super::place::of(take.table).is_none() {
            return Err(Error::usage(format!(
                "rows of `{}` cannot be told apart, so none were taken",
                take.table.name
            ))
            .help("name an ordinary table with a primary key or a rowid"));
        }
        // A function in the condition of a `delete` could fail half-way, so SQLite first copies every page that the
        // statement changes into a file: as much writing again. Hence none there, not even `changes()`.
        if let Some(undo) = take.into {
            let newest = self.count(&dialect::newest(undo))? as i64;
            let remembered = self.execute(&dialect::copy(take, undo))?;
            let deleted = self.execute(&dialect::delete_remembered(take.table, undo, Some(newest)))?;
            return Ok(Taken { remembered, deleted, below: 0 });
        }
        let deleted = self.execute(&dialect::delete(take))?;
        Ok(Taken { remembered: deleted, deleted, below: 0 })
    }

    fn load<'b>(&'b mut self, load: &Load) -> Result<Box<dyn Loader + 'b>> {
        self.still_open()?;
        Ok(Box::new(Inserting::begin(self.link, load)?))
    }

    fn rebuild(&mut self, table: &TableName, create: &str) -> Result<Vec<String>> {
        self.still_open()?;
        super::rebuild::rebuild(self.link, table, create)
    }

    fn commit(self: Box<Self>) -> Result<()> {
        self.still_open()?;
        self.link.watch.allow(Duration::ZERO);
        self.link.watch.look_out(false);
        self.link.conn.execute_batch("commit").map_err(|error| explain(&self.link.label, During::Run, error))
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        self.link.watch.allow(Duration::ZERO);
        self.link.watch.look_out(false);
        if !self.link.conn.is_autocommit() {
            let _ = self.link.conn.execute_batch("rollback");
        }
        if self.silenced {
            let _ = self.link.let_triggers_fire(true);
        }
    }
}
