//! Which undo tables a batch used last: those of later statements have higher numbers, so that the order in which things were
//! done can be read from them.

use super::Work;
use crate::error::Result;
use crate::undo::{Change, Remembered, record_table};
use targets::db::{Table, UndoTable};

/// The numbers of the undo tables that a batch used last.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Last {
    batch: i64,
    /// For anything.
    any: i64,
    /// For anything but rows that went.
    kept: i64,
}

impl Last {
    pub fn of(self, batch: i64) -> Last {
        if self.batch == batch { self } else { Last { batch, ..Last::default() } }
    }

    /// The lowest number that may be used now. Rows that go one after another may come back in any order of their tables,
    /// and in rings they go turn by turn.
    pub fn least(self, change: Change) -> i64 {
        if change == Change::Delete { self.kept } else { self.any }
    }

    pub fn after(self, change: Change, seq: i64) -> Last {
        let any = self.any.max(seq);
        Last { any, kept: if change == Change::Delete { self.kept } else { any }, ..self }
    }
}

impl Work<'_> {
    /// The undo table for this change of this table, made in this transaction when it is the first. Within a batch a later
    /// statement never has an undo table of a lower number, so that what was done can be taken back in the reverse order.
    pub(crate) fn undo_table(
        &mut self,
        table: &Table,
        change: Change,
        columns: &[String],
        changed: &[String],
    ) -> Result<Option<UndoTable>> {
        if self.memory.forget {
            return Ok(None);
        }
        let last = self.memory.last.of(self.batch);
        let known = self.memory.tables.iter().find(|known| {
            known.seq >= last.least(change)
                && known.source == table.name
                && known.change == change
                && known.undo.columns == columns
                && known.undo.after == changed
        });
        if let Some(known) = known {
            self.memory.last = last.after(change, known.seq);
            return Ok(Some(known.undo.clone()));
        }
        let seq = self.memory.tables.iter().map(|known| known.seq).max().unwrap_or(0) + 1;
        self.memory.last = last.after(change, seq);
        let name = format!("undo_{}_{seq}", self.memory.point.replace('.', "_"));
        let undo = UndoTable {
            name: self.setting.dialect.own(&name),
            temporary: false,
            columns: columns.to_vec(),
            after: changed.to_vec(),
        };
        for statement in self.setting.dialect.create_undo(table, &undo) {
            self.tx.execute(&statement)?;
        }
        let remembered = Remembered {
            seq,
            change,
            source: table.name.clone(),
            undo: undo.clone(),
            key: table.key.as_ref().map(|key| key.columns.clone()).unwrap_or_default(),
            made: change == Change::Insert && self.memory.made.contains(&table.name),
        };
        record_table(self.tx, self.setting.dialect, &self.memory.point, &remembered)?;
        self.memory.tables.push(remembered);
        Ok(Some(undo))
    }
}
