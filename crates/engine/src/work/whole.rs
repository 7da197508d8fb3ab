//! The verbs of `Work` for when most of a table goes: a partition is dropped, or what stays is put aside and the table
//! refilled. Both keep others out for a moment; both count before they change anything.

use super::{Rows, Work, stored};
use crate::error::{Error, Result};
use crate::undo::Change;
use targets::db::{Range, Sql, Table, Value};

impl Work<'_> {
    /// Drops a partition whose rows all satisfy `condition` (over `t`) still; how many rows it had, or none when some
    /// of them must stay. Nothing is remembered: only where the configuration says that nothing can be put back.
    pub fn drop_partition(&mut self, partition: &Table, condition: &Sql) -> Result<Option<u64>> {
        self.may_die("before a partition is dropped")?;
        let statements = self.setting.dialect.drop_partition(partition);
        let Some((lock, drop)) = statements.split_first().filter(|_| self.memory.forget) else {
            return Ok(None);
        };
        self.tx.execute(lock)?;
        let rows = self.tx.rows(
            &Sql::new("select count(*), count(case when (")
                .add(condition)
                .text(") then 1 end) from ")
                .table(&partition.name)
                .text(" as t"),
        )?;
        let number = |n: usize| rows.first().and_then(|row| row.get(n)).and_then(Value::as_int).unwrap_or(-1);
        if number(0) != number(1) {
            return Ok(None);
        }
        for statement in drop {
            self.tx.execute(statement)?;
        }
        self.may_die("after a partition was dropped")?;
        Ok(Some(number(0).max(0) as u64))
    }

    /// Puts the rows that stay aside, empties the table and refills it: for when most of it goes. The doomed rows are
    /// remembered first; how many they were. Everybody else waits meanwhile.
    pub fn refill(&mut self, rows: &Rows) -> Result<u64> {
        self.may_die("before a refill")?;
        let table = rows.table;
        let dialect = self.setting.dialect;
        if let Some(lock) = dialect.lock_whole(table) {
            self.tx.execute(&lock)?;
        }
        let total = self.tx.count(&Sql::new("select count(*) from ").table(&table.name))?;
        let columns = stored(table);
        let undo = self.undo_table(table, Change::Delete, &columns, &[])?;
        let staying = Sql::new("(").add(&rows.condition).text(") is not true");
        let aside = self.scratch(table, &columns, &[])?;
        self.empty(&aside)?;
        let kept =
            self.tx.execute(&dialect.remember(&self.take(&Rows::all(table, staying), Some(&aside))))?;
        let gone = match &undo {
            Some(undo) => self.tx.execute(&dialect.remember(&self.take(rows, Some(undo))))?,
            None => total - kept,
        };
        if kept + gone != total {
            return Err(Error::data(format!(
                "`{}` has {total} rows, but {kept} would stay and {gone} go",
                table.name
            ))
            .help("the condition gives different answers when asked twice: nothing was changed"));
        }
        self.tx.execute(&dialect.empty(table))?;
        let end = self.tx.count(&dialect.undo_end(&aside))? as i64;
        let names: Vec<&str> = columns.iter().map(String::as_str).collect();
        let back = self.tx.execute(&dialect.put_back_or_end(table, &aside, &names, Range::of(0, end)))?;
        if back != kept {
            return Err(Error::data(format!("{back} of {kept} rows of `{}` could be put back", table.name))
                .help("a trigger or rule interferes: nothing was changed"));
        }
        self.empty(&aside)?;
        self.may_die("after a refill")?;
        Ok(gone)
    }
}
