//! What a person wrote down to be run, such as the statements of a migration file, and the account that is kept of it.
//!
//! Only where nothing is remembered by rows: what a statement of unknown meaning changes cannot be put back so.

use crate::error::{Error, Result};
use crate::work::Work;
use targets::db::{Sql, TableName};

impl Work<'_> {
    /// Runs one statement as a person wrote it; how many rows it changed. Nothing is remembered of it, so only where nothing
    /// could be put back by rows.
    pub fn statement(&mut self, sql: &str) -> Result<u64> {
        self.may_die("before a statement")?;
        self.nothing_is_remembered()?;
        let changed = self.tx().execute(&Sql::raw(sql))?;
        self.may_die("after a statement")?;
        Ok(changed)
    }

    /// Makes a table anew with another definition (see `Tx::rebuild`); the statements that ran.
    pub fn rebuild(&mut self, table: &TableName, create: &str) -> Result<Vec<String>> {
        self.may_die("before a table is made anew")?;
        self.nothing_is_remembered()?;
        let ran = self.tx().rebuild(table, create)?;
        self.may_die("after a table was made anew")?;
        Ok(ran)
    }

    /// Writes into tables that keep account of the change: Sexton's own, or those of the tool whose place it takes.
    pub fn record(&mut self, statement: &Sql) -> Result<u64> {
        self.may_die("before a record")?;
        self.tx().execute(statement)
    }

    /// The same, with the next statement or the commit: where nobody asks how many rows it wrote.
    pub fn record_later(&mut self, statement: Sql) -> Result<()> {
        self.may_die("before a record")?;
        self.tx().later(statement)
    }

    pub(crate) fn nothing_is_remembered(&self) -> Result<()> {
        match self.remembers() {
            true => Err(Error::usage("a statement as it is written cannot be undone by rows")),
            false => Ok(()),
        }
    }
}
