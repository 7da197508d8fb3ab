//! Changing many rows in one statement, where the database has one that remembers them too.
//!
//! Values are computed row by row while rows change: a value that looks at other rows of the table may meet changed ones, as it
//! does anyway from batch to batch. Whatever needs all values computed first uses `Work::change`.

use crate::error::{Error, Result};
use crate::undo::Change;
use crate::work::{Rows, Work};
use targets::db::{Range, Sql, Take, UndoTable, Value};

impl Work<'_> {
    /// Remembers the rows and gives them new values, expressions over `t`; how many.
    pub fn change_at_once(&mut self, rows: &Rows, changes: &[(String, Sql)]) -> Result<u64> {
        let table = rows.table;
        let columns: Vec<String> = changes.iter().map(|(column, _)| column.clone()).collect();
        // An undo needs the key and what was there: other columns would only take room.
        let mut kept = table.key.as_ref().map(|key| key.columns.clone()).unwrap_or_default();
        kept.extend(columns.iter().filter(|column| !kept.contains(column)).cloned().collect::<Vec<_>>());
        // A run that finds nothing leaves nothing behind: the undo table is made by the first batch that finds something.
        let known = self.memory_mut().tables.iter().any(|known| {
            known.source == table.name
                && known.change == Change::Update
                && known.undo.after == columns
                && known.undo.columns == kept
        });
        if self.remembers() && (!known || table.key.is_none()) {
            return self.change_keeping(rows, changes, &kept);
        }
        let undo = self.undo_table(table, Change::Update, &kept, &columns)?;
        let values = changes.iter().map(|(_, value)| value.clone()).collect();
        let take = Take { values, ..self.take(rows, undo.as_ref()) };
        let Some(statement) = self.dialect().change_at_once(&take, &columns) else {
            return match &undo {
                Some(undo) if rows.limit.is_none() && !rows.skip_locked => {
                    self.remember_and_change(&take, undo, changes, rows, &kept)
                }
                _ => self.change_keeping(rows, changes, &kept),
            };
        };
        self.may_die("before an update at once")?;
        let changed = match undo {
            None => self.tx().execute(&statement)?,
            Some(_) => {
                let counts = self.tx().rows(&statement)?.into_iter().next().unwrap_or_default();
                let count = |n: usize| counts.get(n).and_then(Value::as_int).unwrap_or(-1);
                if count(0) != count(1) || count(0) < 0 {
                    return Err(Error::data(format!(
                        "{} rows of `{}` were changed but {} remembered",
                        count(0),
                        table.name,
                        count(1)
                    )));
                }
                count(0) as u64
            }
        };
        self.may_die("after an update at once")?;
        Ok(changed)
    }

    /// In two statements: what is remembered with its new values says what changes.
    fn remember_and_change(
        &mut self,
        take: &Take,
        undo: &UndoTable,
        changes: &[(String, Sql)],
        rows: &Rows,
        kept: &[String],
    ) -> Result<u64> {
        let dialect = self.dialect();
        let from = self.tx().count(&dialect.undo_end(undo))? as i64;
        let Some(change) = dialect.change_remembered(take.table, undo, Range::of(from, i64::MAX)) else {
            return self.change_keeping(rows, changes, kept);
        };
        self.may_die("before rows are remembered")?;
        let remembered = self.tx().execute(&dialect.remember(take))?;
        let changed = self.tx().execute(&change)?;
        if changed != remembered {
            return Err(Error::data(format!(
                "{remembered} rows of `{}` were remembered but {changed} were changed",
                take.table.name
            ))
            .help("a trigger interferes: nothing was changed"));
        }
        self.may_die("after remembered rows were changed")?;
        Ok(changed)
    }
}
