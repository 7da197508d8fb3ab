//! The only place that reads the time. Tests and `SEXTON_NOW` put another clock in its place.

use jiff::Timestamp;
use std::time::{Duration, Instant};

/// Tells the time and lets it pass.
pub trait Clock: Send + Sync {
    /// The moment now.
    fn now(&self) -> Timestamp;
    /// A point for measuring durations.
    fn tick(&self) -> Instant {
        Instant::now()
    }
    /// Waits.
    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that shows a set moment (moving on with real time when `moving`) and does not really sleep.
#[derive(Debug)]
pub struct SetClock {
    start: Timestamp,
    since: Instant,
    moving: bool,
}

impl SetClock {
    /// Stands still at `start`.
    pub fn standing(start: Timestamp) -> Self {
        Self { start, since: Instant::now(), moving: false }
    }

    /// Shows `start` now and goes on from there.
    pub fn moving(start: Timestamp) -> Self {
        Self { start, since: Instant::now(), moving: true }
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        if self.moving { self.start + self.since.elapsed() } else { self.start }
    }

    fn sleep(&self, time: Duration) {
        if self.moving {
            std::thread::sleep(time);
        }
    }
}
