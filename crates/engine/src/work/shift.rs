//! The verb of `Work` that puts rows elsewhere in their table. No value changes, so there is nothing to remember.

use super::Work;
use crate::error::{Error, Result};
use targets::db::{Shift, Sql, TableName, Value};

/// How often rows are written again that stay where they are: until that has filled their pages, and no page has more rows.
const ROUNDS: usize = 300;
/// The code of a database for a lock that was not waited for any longer.
const NOT_AVAILABLE: &str = "55P03";

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shifted {
    /// Rows that are no longer on these pages.
    pub moved: u64,
    /// Rows that are still there although nobody holds them.
    pub left: u64,
    /// Others held some: those stay.
    pub held: bool,
    /// There was no room before these pages, and nothing was moved.
    pub full: bool,
}

impl Work<'_> {
    /// Writes the rows of these pages again until they lie before them. Where others hold some of them, those stay; where one
    /// would go behind, because nothing is free before, all of them do. `silently`: triggers and rules do not fire.
    pub fn shift(&mut self, table: &TableName, shift: &Shift, silently: bool) -> Result<Shifted> {
        self.may_die("before rows move")?;
        let back = Sql::new("rollback to savepoint sexton_shift");
        self.tx.execute(&Sql::new("savepoint sexton_shift"))?;
        let silence = match silently {
            true => Some(
                self.setting
                    .dialect
                    .silence()
                    .ok_or_else(|| Error::usage("this database has no way to keep triggers from firing"))?,
            ),
            false => None,
        };
        if let Some(silence) = &silence {
            self.tx.execute(silence)?;
        }
        let mut asked = Shift { skip_locked: shift.skip_locked || self.retry, ..*shift };
        let mut all = None;
        let mut left = 0;
        for _ in 0..ROUNDS {
            let (rows, within, behind) = match self.once(table, &asked) {
                Err(error) if error.code.as_deref() == Some(NOT_AVAILABLE) && !asked.skip_locked => {
                    asked.skip_locked = true;
                    self.tx.execute(&back)?;
                    if let Some(silence) = &silence {
                        self.tx.execute(silence)?;
                    }
                    (all, left) = (None, 0);
                    continue;
                }
                other => other?,
            };
            let rows = *all.get_or_insert(rows);
            if behind > 0 {
                self.tx.execute(&back)?;
                return Ok(Shifted { moved: 0, left: rows, held: asked.skip_locked, full: true });
            }
            left = within;
            if left == 0 {
                break;
            }
        }
        self.may_die("after rows moved")?;
        let moved = all.unwrap_or(0).saturating_sub(left);
        Ok(Shifted { moved, left, held: asked.skip_locked, full: false })
    }

    /// Rows written again, those still on the pages, and those behind them.
    fn once(&mut self, table: &TableName, shift: &Shift) -> Result<(u64, u64, u64)> {
        let sql = self.setting.dialect.shift(table, shift).ok_or_else(|| {
            Error::usage(format!("rows of `{table}` have no place in this database that they could leave"))
        })?;
        let rows = self.tx.rows(&sql)?;
        let number = |n: usize| {
            let value = rows.first().and_then(|row| row.get(n)).and_then(Value::as_int);
            value.unwrap_or(0).max(0) as u64
        };
        Ok((number(0), number(1), number(2)))
    }
}
