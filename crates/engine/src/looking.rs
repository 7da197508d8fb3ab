//! How far a long look of a plan is, for whoever waits for it. A plan changes nothing and so has no events.

use crate::clock::Clock;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

/// How far one look is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Looking<'a> {
    /// What is looked at.
    pub what: &'a str,
    /// Rows so far.
    pub done: u64,
    /// About how many there are, where that is known.
    pub all: Option<u64>,
    /// How long it has taken.
    pub seconds: f64,
    /// It has come to its end.
    pub over: bool,
}

/// Sees how far looks are. Several of them may go on at once.
pub type SeeLooks = Box<dyn Fn(&Looking) + Send + Sync>;

/// The looks of one plan.
pub(crate) struct Looks<'a> {
    see: &'a OnceLock<SeeLooks>,
    clock: &'a dyn Clock,
    began: Mutex<Vec<(String, Instant)>>,
}

impl<'a> Looks<'a> {
    pub fn new(see: &'a OnceLock<SeeLooks>, clock: &'a dyn Clock) -> Self {
        Self { see, clock, began: Mutex::default() }
    }

    /// So many rows were looked at, of about so many; none for all of them.
    pub fn tell(&self, what: &str, done: Option<u64>, all: Option<u64>) {
        let Some(see) = self.see.get() else { return };
        let now = self.clock.tick();
        let mut looks = self.began.lock().unwrap_or_else(PoisonError::into_inner);
        let began = match looks.iter().find(|(known, _)| known == what) {
            Some((_, began)) => *began,
            None => {
                looks.push((what.to_owned(), now));
                now
            }
        };
        if done.is_none() {
            looks.retain(|(known, _)| known != what);
        }
        let seconds = now.duration_since(began).as_secs_f64();
        see(&Looking { what, done: done.or(all).unwrap_or(0), all, seconds, over: done.is_none() });
    }
}
