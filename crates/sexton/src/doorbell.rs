//! What wakes idle workers: something was put into the timetable, by this process or by another one.
//!
//! It promises nothing: whoever waits looks by himself after a while.

use engine::{Engine, Failure, Stop};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// While others are heard, whether a stop was asked for is looked at this often.
const SLICE: Duration = Duration::from_millis(500);
/// Before the state is asked again to be heard.
const AGAIN: Duration = Duration::from_secs(1);

/// The bell of one process.
#[derive(Default)]
pub struct Doorbell {
    rung: AtomicU64,
    waiting: Mutex<()>,
    rings: Condvar,
    hears_others: AtomicBool,
}

impl Doorbell {
    /// How often it has rung.
    pub fn count(&self) -> u64 {
        self.rung.load(Ordering::SeqCst)
    }

    /// Wakes everybody.
    pub fn ring(&self) {
        self.rung.fetch_add(1, Ordering::SeqCst);
        drop(self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        self.rings.notify_all();
    }

    /// Whether it rings too when another process puts something into the timetable.
    pub fn hears_others(&self) -> bool {
        self.hears_others.load(Ordering::SeqCst)
    }

    /// Waits until it has rung more often than that, but no longer than this. It is rung when a stop is asked for, too.
    pub fn wait(&self, rung: u64, most: Duration) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.rings.wait_timeout_while(waiting, most, |()| self.count() == rung));
    }

    /// Rings for others until a stop is asked for, or where they cannot be heard; `trouble` hears when that changes.
    pub fn listen(&self, engine: &Engine, stop: &Stop, mut trouble: impl FnMut(Result<(), Failure>)) {
        while !stop.asked() {
            let bell = engine.timetable().and_then(|timetable| Ok(timetable.bell()?));
            let mut bell = match bell {
                Ok(Some(bell)) => bell,
                Ok(None) => return,
                Err(failure) => {
                    trouble(Err(failure));
                    stop.wait(AGAIN);
                    continue;
                }
            };
            trouble(Ok(()));
            self.hears_others.store(true, Ordering::SeqCst);
            // What came while nobody listened.
            self.ring();
            while !stop.asked() {
                match bell.wait(SLICE) {
                    Ok(true) => self.ring(),
                    Ok(false) => {}
                    Err(_) => break,
                }
            }
            self.hears_others.store(false, Ordering::SeqCst);
            self.ring();
        }
    }
}
