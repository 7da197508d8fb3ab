//! How much time is left of a look at a database.

use std::time::{Duration, Instant};
use targets::db::Bounds;

/// A look under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watchful {
    end: Instant,
    part: Duration,
}

impl Watchful {
    /// Begins now.
    pub fn begin(bounds: &Bounds) -> Self {
        Self { end: Instant::now() + bounds.total, part: bounds.part }
    }

    /// How long the next part may take; at least a few milliseconds, so that it ends with a reason.
    pub fn part(&self) -> Duration {
        let left = self.end.saturating_duration_since(Instant::now());
        self.part.min(left).max(Duration::from_millis(5))
    }
}
