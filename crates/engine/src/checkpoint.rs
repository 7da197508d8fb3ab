//! How far an operation got: one row in the maintained database, written in the transaction of each batch.
//!
//! It is the truth; the run log's copy is for people. After a crash the next run reads it and goes on. The row has the term of
//! whoever wrote it: one who has lost the run to another, and does not know it yet, cannot commit a batch any more.

use crate::error::{Error, Result};
use crate::event::Counts;
use crate::operation::Cursor;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use targets::db::{Dialect, Facts, Sql, Tx, Value};

/// The code of the error of one whose run was taken over by somebody else.
pub(crate) const SUPERSEDED: &str = "superseded";

/// The error of one whose run was taken over by somebody else.
pub(crate) fn superseded() -> Error {
    Error::system("another worker has taken this run over")
        .help("nothing is lost: it goes on from the last batch, see `sexton runs list`")
        .code(SUPERSEDED)
}

/// What is stored under this name, of one column.
fn stored(column: &str, dialect: &dyn Dialect, name: &str) -> Sql {
    Sql::new("select ")
        .text(column)
        .text(" from ")
        .table(&dialect.own("checkpoints"))
        .text(" where point = ")
        .bind(name)
}

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
        let select = stored("progress", facts.dialect(), name);
        match facts.value(&select)? {
            Value::Text(text) => serde_json::from_str(&text)
                .map(Some)
                .map_err(|error| Error::system("the checkpoint cannot be read").because(error)),
            _ => Ok(None),
        }
    }

    /// Whether it is what is stored under this name, as far as batches go, inside a transaction.
    pub(crate) fn is_stored(&self, tx: &mut dyn Tx, dialect: &dyn Dialect, name: &str) -> Result<bool> {
        let select = stored("progress", dialect, name);
        let rows = tx.rows(&select)?;
        let text = rows.first().and_then(|row| row[0].as_text());
        let there = text.and_then(|text| serde_json::from_str::<Checkpoint>(text).ok());
        Ok(there.map_or(0, |there| there.batch) == self.batch)
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

    /// Stores it, inside the transaction of the batch: which fails, at its commit at the latest, when the run belongs to a higher
    /// term by now.
    pub fn write(
        &self,
        tx: &mut dyn Tx,
        dialect: &dyn Dialect,
        name: &str,
        now: Timestamp,
        term: i64,
    ) -> Result<()> {
        // A thousand steps that have not begun, or that change no rows, would be written again with every batch.
        let told = self.counts.iter().rposition(|counts| *counts != Counts::default()).map_or(0, |n| n + 1);
        let short = Self { counts: self.counts[..told].to_vec(), cursor: self.cursor.clone(), ..*self };
        // No progress is an error of the database, so that nobody has to ask how many rows this statement changed.
        let unless_later = Sql::new(
            " on conflict (point) do update
              set progress = case when c.term > excluded.term then null else excluded.progress end,
                  updated_at = excluded.updated_at,
                  term = excluded.term",
        );
        tx.later(short.row(dialect, name, now, term)?.add(&unless_later))
    }

    /// Takes it over under this term, inside a transaction: after its commit no batch of a lower one commits. False when there is a
    /// higher one.
    pub(crate) fn claim(
        tx: &mut dyn Tx,
        dialect: &dyn Dialect,
        name: &str,
        now: Timestamp,
        term: i64,
    ) -> Result<bool> {
        let unless_later =
            Sql::new(" on conflict (point) do update set term = excluded.term where c.term <= excluded.term");
        Ok(tx.execute(&Self::default().row(dialect, name, now, term)?.add(&unless_later))? == 1)
    }

    /// The term under which it was written last; 0 where there is none.
    pub(crate) fn term(facts: &mut dyn Facts, name: &str) -> Result<i64> {
        let select = stored("term", facts.dialect(), name);
        Ok(facts.value(&select)?.as_int().unwrap_or(0))
    }

    fn row(&self, dialect: &dyn Dialect, name: &str, now: Timestamp, term: i64) -> Result<Sql> {
        let progress = serde_json::to_string(self)
            .map_err(|error| Error::system("the checkpoint cannot be written").because(error))?;
        Ok(Sql::new("insert into ")
            .table(&dialect.own("checkpoints"))
            .text(" as c (point, progress, updated_at, term) values (")
            .bind(name)
            .text(", ")
            .bind(progress)
            .text(", ")
            .bind(now.to_string())
            .text(", ")
            .bind(term)
            .text(")"))
    }
}
