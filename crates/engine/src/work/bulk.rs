//! The verbs of `Work` for rows that come from elsewhere: from another database in bulk, or back from where they were kept.

use super::Work;
use crate::error::{Error, Result};
use crate::undo::Change;
use targets::db::{BATCH, Load, Loader, Range, Sql, Table, TableName, UndoTable};

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

    /// Remembers so many rows that were added from a range of another table, where this run remembers anything.
    pub(crate) fn remember_added(
        &mut self,
        table: &Table,
        columns: &[String],
        from: &UndoTable,
        range: Range,
        rows: u64,
    ) -> Result<()> {
        let Some(undo) = self.undo_table(table, Change::Insert, columns, &[])? else { return Ok(()) };
        let names = |prefix: &str| Sql::default().names(prefix, columns.iter().map(String::as_str));
        let remember = Sql::new("insert into ")
            .table(&undo.name)
            .text(" (")
            .add(&names(""))
            .text(&format!(", {BATCH}) select "))
            .add(&names("u."))
            .text(&format!(", {} from ", self.batch))
            .table(&from.name)
            .text(" as u where ")
            .add(&self.setting.dialect.undo_range(range));
        let remembered = self.tx.execute(&remember)?;
        if remembered != rows {
            return Err(Error::system(format!(
                "{remembered} of {rows} rows added to `{}` could be remembered",
                table.name
            )));
        }
        Ok(())
    }
}
