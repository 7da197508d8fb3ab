//! A transaction whose holder dies at the n-th thing that it asks for: what a trial interrupts a migration with.
//!
//! Nothing reaches the database from then on; dropped, it is rolled back, as after the death of a process.

use targets::db::{Error, Load, Loader, Result, Row, Sql, TableName, Take, Taken, Tx};

/// The code of the error of a death.
pub(super) const DIED: &str = "died";

/// A transaction, and how long its holder lives.
pub(super) struct Dying<'a> {
    tx: Box<dyn Tx + 'a>,
    left: Option<u32>,
}

impl<'a> Dying<'a> {
    /// Whoever holds it dies at the n-th thing (from 1); with none, never.
    pub fn new(tx: Box<dyn Tx + 'a>, nth: Option<u32>) -> Self {
        Self { tx, left: nth }
    }

    fn live(&mut self) -> Result<()> {
        match self.left {
            Some(0 | 1) => {
                self.left = Some(0);
                Err(Error::system("interrupted on purpose").code(DIED))
            }
            Some(more) => {
                self.left = Some(more - 1);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Tx for Dying<'_> {
    fn query(&mut self, sql: &Sql, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<u64> {
        self.live()?;
        self.tx.query(sql, each)
    }

    fn execute(&mut self, sql: &Sql) -> Result<u64> {
        self.live()?;
        self.tx.execute(sql)
    }

    fn take(&mut self, take: &Take) -> Result<Taken> {
        self.live()?;
        self.tx.take(take)
    }

    fn load<'a>(&'a mut self, load: &Load) -> Result<Box<dyn Loader + 'a>> {
        self.live()?;
        self.tx.load(load)
    }

    fn rebuild(&mut self, table: &TableName, create: &str) -> Result<Vec<String>> {
        self.live()?;
        self.tx.rebuild(table, create)
    }

    fn commit(mut self: Box<Self>) -> Result<()> {
        self.live()?;
        self.tx.commit()
    }
}
