//! How far an operation got: one row in the maintained database, written in the transaction of each batch.
//!
//! It is the truth; the run log's copy is for people. After a crash the next run reads it and goes on.

use crate::error::{Error, Result};
use crate::event::Counts;
use crate::operation::Cursor;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use targets::db::{Dialect, Facts, Sql, Tx, Value};

/// How far an operation got.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The step at work, from 0; the number of steps when all are done.
    pub step: usize,
    /// Where it goes on.
    pub cursor: Cursor,
    /// Batches so far.
    pub batch: u64,
    /// What each step did so far. What is stored ends with the last step that did something, see [`Checkpoint::padded`].
    pub counts: Vec<Counts>,
}

impl Checkpoint {
    /// What is stored under this name, if anything.
    pub fn read(facts: &mut dyn Facts, name: &str) -> Result<Option<Checkpoint>> {
        let select = Sql::new("select progress from ")
            .table(&facts.dialect().own("checkpoints"))
            .text(" where point = ")
            .bind(name);
        match facts.value(&select)? {
            Value::Text(text) => serde_json::from_str(&text)
                .map(Some)
                .map_err(|error| Error::system("the checkpoint cannot be read").because(error)),
            _ => Ok(None),
        }
    }

    /// With a count for each of so many steps.
    pub fn padded(mut self, steps: usize) -> Self {
        self.counts.resize(steps.max(self.counts.len()), Counts::default());
        self
    }

    /// The batch is done: the step goes on there, or the next one begins.
    pub fn go_on_at(&mut self, next: Option<Cursor>) {
        match next {
            Some(cursor) => self.cursor = cursor,
            None => {
                self.step += 1;
                self.cursor = Cursor::default();
            }
        }
    }

    /// The first step begins, and nothing was done so far.
    pub fn begin_again(&mut self) {
        self.step = 0;
        self.cursor = Cursor::default();
        self.counts.fill(Counts::default());
    }

    /// Stores it, inside the transaction of the batch.
    pub fn write(&self, tx: &mut dyn Tx, dialect: &dyn Dialect, name: &str, now: Timestamp) -> Result<()> {
        // A thousand steps that have not begun, or that change no rows, would be written again with every batch.
        let told = self.counts.iter().rposition(|counts| *counts != Counts::default()).map_or(0, |n| n + 1);
        let short = Self { counts: self.counts[..told].to_vec(), cursor: self.cursor.clone(), ..*self };
        let progress = serde_json::to_string(&short)
            .map_err(|error| Error::system("the checkpoint cannot be written").because(error))?;
        tx.later(
            Sql::new("insert into ")
                .table(&dialect.own("checkpoints"))
                .text(" (point, progress, updated_at) values (")
                .bind(name)
                .text(", ")
                .bind(progress)
                .text(", ")
                .bind(now.to_string())
                .text(
                    ") on conflict (point) do update set progress = excluded.progress, updated_at = excluded.updated_at",
                ),
        )
    }
}
