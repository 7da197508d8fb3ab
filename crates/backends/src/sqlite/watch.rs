//! What ends a statement before its time: it takes longer than allowed, or somebody comes for whom long batches are too
//! long.
//!
//! SQLite has neither. Its progress handler asks here every few thousand instructions. A process that opens the database
//! shows up among the locks of the system, so it need not wait for the end of a batch that was begun when there was
//! nobody: the batch is rolled back, which takes no time, and done again in short ones. What is being committed is not
//! stopped; at most the pages in the cache are left to be written then.

use super::pulse;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use targets::db::{Error, GAVE_WAY, Result};

/// How often to look for others; a look costs some 50 µs.
const LOOK_EVERY: u64 = 20;

/// Shared with the progress handler.
pub(super) struct Watch {
    path: PathBuf,
    start: Instant,
    /// Milliseconds after `start`; 0 for none.
    end: AtomicU64,
    /// The next look for others, in milliseconds after `start`; 0 for none.
    look: AtomicU64,
    seen: AtomicBool,
    /// A collation by which somebody compares, and which only the application has.
    compares: Mutex<Option<String>>,
}

impl Watch {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            start: Instant::now(),
            end: AtomicU64::new(0),
            look: AtomicU64::new(0),
            seen: AtomicBool::new(false),
            compares: Mutex::new(None),
        }
    }

    /// Statements may take so long from now on; zero for as long as they like.
    pub(super) fn allow(&self, time: Duration) {
        let end = if time.is_zero() { 0 } else { (self.start.elapsed() + time).as_millis().max(1) as u64 };
        self.end.store(end, Ordering::Relaxed);
    }

    /// Whether statements make way for others who come.
    pub(super) fn look_out(&self, now: bool) {
        self.look.store(u64::from(now), Ordering::Relaxed);
        self.seen.store(false, Ordering::Relaxed);
    }

    /// Asked in the middle of statements.
    pub(super) fn must_stop(&self) -> bool {
        let now = self.start.elapsed().as_millis() as u64;
        let end = self.end.load(Ordering::Relaxed);
        (end != 0 && now >= end) || self.somebody_came(now)
    }

    fn somebody_came(&self, now: u64) -> bool {
        let look = self.look.load(Ordering::Relaxed);
        if look == 0 || now < look {
            return false;
        }
        self.look.store(now + LOOK_EVERY, Ordering::Relaxed);
        // what the system does not tell counts as nobody: then nothing was begun that takes long
        let came = pulse::held_by_others(&self.path).unwrap_or(false);
        self.seen.store(came, Ordering::Relaxed);
        came
    }

    /// A statement compares by a collation that only the application has.
    pub(super) fn compares_by(&self, collation: &str) {
        *self.compares.lock().unwrap_or_else(PoisonError::into_inner) = Some(collation.to_owned());
    }

    /// Whether a statement that came to its end compared by nothing that is not known here.
    pub(super) fn sound(&self) -> Result<()> {
        match self.compares.lock().unwrap_or_else(PoisonError::into_inner).take() {
            None => Ok(()),
            Some(name) => Err(Error::usage(format!(
                "a statement compares by the collation `{name}`, which only the application has"
            ))
            .help(
                "say in the statement how it compares, such as `collate nocase`, or leave out what needs it",
            )),
        }
    }

    /// The true reason of an interruption.
    pub(super) fn reason(&self, error: Error) -> Error {
        if let Err(unknown) = self.sound() {
            return unknown;
        }
        if !self.seen.swap(false, Ordering::Relaxed) {
            return error;
        }
        self.look.store(0, Ordering::Relaxed);
        Error::transient("another process has opened the database: the batch is done again in short ones")
            .code(GAVE_WAY)
    }
}
