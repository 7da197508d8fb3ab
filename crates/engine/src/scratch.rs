//! Temporary tables of a batch: what a kind works out once and then uses in several statements.
//!
//! They vanish with the transaction's end at the latest in the next batch. No row of the application is changed here.

use crate::error::Result;
use crate::work::{Rows, Work};
use targets::db::{Sql, TableName};

impl Work<'_> {
    /// Makes a temporary table of this name from a query, with an index on each list of columns; it is used by its bare
    /// name. How many rows it has.
    pub fn tabulate(&mut self, name: &str, select: &Sql, indexes: &[Vec<String>]) -> Result<u64> {
        self.may_die("before a temporary table")?;
        for statement in self.dialect().tabulate(name, select, indexes) {
            self.tx().execute(&statement)?;
        }
        self.count(&Sql::new("select count(*) from ").table(&TableName::bare(name)))
    }

    /// Keeps others from changing these rows until the end of the batch.
    pub fn hold(&mut self, rows: &Rows) -> Result<()> {
        match self.dialect().hold(rows.table, &rows.condition) {
            Some(lock) => self.count(&lock).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Changes rows of a temporary table; how many. `change` begins at `set`.
    pub fn adjust(&mut self, name: &str, change: &Sql) -> Result<u64> {
        self.tx().execute(&Sql::new("update ").table(&TableName::bare(name)).text(" as s ").add(change))
    }
}
