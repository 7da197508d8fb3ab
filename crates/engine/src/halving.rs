//! Doing as much as the data allow: what is refused as a whole is done in halves, until those are known one by one that
//! cannot be done.
//!
//! The first refusal of a run only sends its batch back to be done again with care; from then on each part has a savepoint. It
//! knows nothing of what is done.

use crate::error::{Class, Error, Result};
use crate::work::{AGAIN_WITH_CARE, Work};
use targets::db::Sql;

/// What came of several things.
#[derive(Debug, Default)]
pub struct Parted {
    /// The sum of what was done.
    pub done: u64,
    /// The places of those that the data refuse, and why.
    pub refused: Vec<(usize, String)>,
}

impl Work<'_> {
    /// Calls `act` for all of `items`; where the data refuse that, for halves of them, and so on.
    pub fn as_far_as_possible<T>(
        &mut self,
        items: &[T],
        act: &mut dyn FnMut(&mut Self, &[T]) -> Result<u64>,
    ) -> Result<Parted> {
        let mut parted = Parted::default();
        if items.is_empty() {
            return Ok(parted);
        }
        if !self.is_careful() {
            parted.done = act(self, items).map_err(with_care)?;
            return Ok(parted);
        }
        let mut pending: Vec<std::ops::Range<usize>> = std::iter::once(0..items.len()).collect();
        while let Some(part) = pending.pop() {
            // Tables that were made inside the savepoint are gone with it.
            let before = self.memory_mut().clone();
            self.tx().execute(&Sql::new("savepoint sexton_part"))?;
            match act(self, &items[part.clone()]) {
                Ok(done) => parted.done += done,
                Err(error) if error.class == Class::Data => {
                    self.tx().execute(&Sql::new("rollback to savepoint sexton_part"))?;
                    *self.memory_mut() = before;
                    let middle = part.start + part.len() / 2;
                    if part.len() == 1 {
                        parted.refused.push((part.start, error.what));
                    } else {
                        // The last pushed is next: the first half goes first.
                        pending.push(middle..part.end);
                        pending.push(part.start..middle);
                    }
                }
                Err(error) => return Err(error),
            }
            self.tx().execute(&Sql::new("release savepoint sexton_part"))?;
        }
        Ok(parted)
    }

    /// Whether something was refused before, so that single rows are expected to be.
    pub fn expects_refusals(&self) -> bool {
        self.is_careful()
    }
}

/// An error of the data becomes the wish to do the whole batch again with care.
pub fn with_care(error: Error) -> Error {
    match error.class {
        Class::Data => Error::transient(error.what).code(AGAIN_WITH_CARE),
        _ => error,
    }
}
