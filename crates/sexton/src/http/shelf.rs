//! Things that are kept for a while in this process, by name, such as what a look at a database found. What is gone from here is
//! made again.

use jiff::{SignedDuration, Timestamp};
use std::sync::{Mutex, MutexGuard};

/// No more are kept.
const MOST: usize = 64;

/// Things with names, each with the moment at which it was put here.
pub struct Shelf<T> {
    holds: SignedDuration,
    things: Mutex<Vec<(String, Timestamp, T)>>,
}

impl<T: Clone> Shelf<T> {
    /// An empty one, on which things hold for so long.
    pub fn new(holds: SignedDuration) -> Self {
        Self { holds, things: Mutex::new(Vec::new()) }
    }

    fn things(&self) -> MutexGuard<'_, Vec<(String, Timestamp, T)>> {
        self.things.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Puts something here, in the place of what has its name.
    pub fn put(&self, name: &str, thing: T, now: Timestamp) {
        let mut things = self.things();
        things.retain(|(known, at, _)| known != name && now.duration_since(*at).abs() < self.holds);
        if things.len() >= MOST {
            things.remove(0);
        }
        things.push((name.to_owned(), now, thing));
    }

    /// What has this name, while it holds.
    pub fn get(&self, name: &str, now: Timestamp) -> Option<T> {
        let things = self.things();
        let found =
            things.iter().find(|(known, at, _)| known == name && now.duration_since(*at).abs() < self.holds);
        found.map(|(_, _, thing)| thing.clone())
    }
}
