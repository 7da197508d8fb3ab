//! How a run is asked to stop: at the next batch, in good order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A handle that signals, deadlines and surfaces share with the run.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    asked: AtomicBool,
    waiting: Mutex<()>,
    was_asked: Condvar,
}

impl Stop {
    /// Asks for the stop.
    pub fn ask(&self) {
        self.shared.asked.store(true, Ordering::SeqCst);
        // Whoever has looked, and does not wait yet, must not miss it.
        drop(self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.was_asked.notify_all();
    }

    /// Whether a stop was asked for.
    pub fn asked(&self) -> bool {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// Waits until a stop is asked for, but no longer than this; whether it was.
    pub fn wait(&self, most: Duration) -> bool {
        let waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = self.shared.was_asked.wait_timeout_while(waiting, most, |()| !self.asked());
        drop(asked);
        self.asked()
    }
}
