//! Sessions that were opened for the plan of what is to be run, kept for the run that comes right after it.
//!
//! Opening one costs a server a process and several round trips, half of a small run. Whoever only looks keeps none, a
//! session is kept for half a minute at most, and none is left when the run ends.

use crate::clock::Clock;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};
use targets::db::Facts;

/// After this whoever stands between us and the server may have closed the way, which an idle session does not notice.
const MOST: Duration = Duration::from_secs(30);

type One = (String, Instant, Box<dyn Facts>);

/// The sessions, at most one for each database.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Vec<One>>);

impl Kept {
    /// Keeps the session of a database.
    pub fn put(&self, database: &str, facts: Box<dyn Facts>, clock: &dyn Clock) {
        let mut all = self.all();
        all.retain(|(name, ..)| name != database);
        all.push((database.to_owned(), clock.tick(), facts));
    }

    /// The session of a database, unless it is too old; those that are too old go.
    pub fn take(&self, database: &str, clock: &dyn Clock) -> Option<Box<dyn Facts>> {
        let mut all = self.all();
        let now = clock.tick();
        all.retain(|(_, since, _)| now.duration_since(*since) <= MOST);
        let place = all.iter().position(|(name, ..)| name == database)?;
        Some(all.swap_remove(place).2)
    }

    /// Ends all of them when it is dropped.
    pub fn emptied_at_the_end(&self) -> Emptied<'_> {
        Emptied(self)
    }

    /// Also after a panic elsewhere: sessions are only put and taken.
    fn all(&self) -> MutexGuard<'_, Vec<One>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// See [`Kept::emptied_at_the_end`].
pub(crate) struct Emptied<'a>(&'a Kept);

impl Drop for Emptied<'_> {
    fn drop(&mut self) {
        self.0.all().clear();
    }
}
