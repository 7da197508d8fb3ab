//! Which undo tables a batch used last: those of later statements have higher numbers, so that the order in which things were
//! done can be read from them.

use crate::undo::Change;

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
