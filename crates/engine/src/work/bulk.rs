//! The verb of `Work` for rows that come from another database in bulk.

use super::Work;
use crate::error::Result;
use targets::db::{Load, Loader, TableName};

impl Work<'_> {
    /// Adds what `fill` hands over; how many rows. Nothing is remembered: only for tables that the operation itself made or
    /// found empty, and empties again when it is taken back.
    pub fn load(
        &mut self,
        table: &TableName,
        columns: &[String],
        fill: &mut dyn FnMut(&mut dyn Loader) -> Result<()>,
    ) -> Result<u64> {
        self.may_die("before rows are loaded")?;
        self.nothing_is_remembered()?;
        let mut loader = self.tx.load(&Load { table, columns })?;
        fill(loader.as_mut())?;
        let count = loader.finish()?;
        self.may_die("after rows were loaded")?;
        Ok(count)
    }
}
