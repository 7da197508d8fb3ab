//! How many rows the next batch should have: as many as the database does in the time we want to take.
//!
//! The statement time of each batch is compared with the target; the size moves by the ratio, near the target at most
//! doubling, so that one lucky batch does not lead to a long one. A statement time-out halves it at once. A machine so busy
//! that every batch is late, however small, does not make them ever smaller.

use std::time::Duration;

const FIRST: u64 = 1_000;
const LEAST: u64 = 10;
const MOST: u64 = 2_000_000;
/// What is left of the best rate after each batch.
const FORGETS: f64 = 0.98;
/// How much longer the least time to begin may be in the next batch.
const SLOWS: f64 = 1.05;
/// Below this share of the best rate it is not the number of rows that takes the time.
const SLOWEST: f64 = 0.2;

/// The size of batches.
#[derive(Debug, Clone)]
pub struct Pace {
    rows: f64,
    fixed: bool,
    target: Duration,
    /// The most rows a second of late.
    best: f64,
    /// The least time of late in which a transaction began.
    quickest: Option<Duration>,
}

impl Pace {
    /// Batches of a fixed size, or of a size that fits `target`.
    pub fn new(fixed: Option<u64>, target: Duration) -> Self {
        Self {
            rows: fixed.unwrap_or(FIRST) as f64,
            fixed: fixed.is_some(),
            target,
            best: 0.0,
            quickest: None,
        }
    }

    /// About how many rows the next batch should look at.
    pub fn rows(&self) -> u64 {
        self.rows as u64
    }

    /// How long a batch should take.
    pub fn target(&self) -> Duration {
        self.target
    }

    /// The least time of late in which a transaction began, with this one: longer, and it waited for something.
    pub fn quickest(&mut self, begun: Duration) -> Duration {
        let least = self.quickest.map_or(begun, |least| least.mul_f64(SLOWS).min(begun));
        *self.quickest.insert(least)
    }

    /// Batches should take so long from now on.
    pub fn aim_at(&mut self, target: Duration) {
        if target < self.target {
            let shorter = self.rows * target.as_secs_f64() / self.target.as_secs_f64();
            self.rows = if self.fixed { self.rows } else { shorter.max(LEAST as f64) };
        }
        self.target = target;
    }

    /// Learns from a batch.
    pub fn learn(&mut self, took: Duration) {
        if self.fixed {
            return;
        }
        let took = took.as_secs_f64().max(0.000_1);
        let target = self.target.as_secs_f64();
        let ratio = target / took;
        self.best = (self.best * FORGETS).max(self.rows / took);
        let least = (self.best * target * SLOWEST).max(LEAST as f64);
        // Small corrections are noise; large ones go half way up, the whole way down.
        // Far from the target, steps are longer: on the way to long batches, short ones cost the most.
        let most = if ratio > 16.0 { 4.0 } else { 2.0 };
        let factor = if ratio > 1.0 { ratio.min(most) } else { ratio.max(0.25) };
        self.rows = (self.rows * factor).max(least).min(MOST as f64);
    }

    /// Halves the size after a time-out, also a fixed one: a batch that cannot finish helps nobody.
    pub fn shrink(&mut self) {
        self.rows = (self.rows / 2.0).max(LEAST as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_settles_where_a_batch_takes_the_target_time() {
        let mut pace = Pace::new(None, Duration::from_millis(100));
        for _ in 0..30 {
            // 20 000 rows a second plus 5 ms for each batch
            let took = Duration::from_secs_f64(0.005 + pace.rows() as f64 / 20_000.0);
            pace.learn(took);
        }
        assert!((1_700..2_100).contains(&pace.rows()), "{}", pace.rows());
    }

    #[test]
    fn batches_that_are_late_whatever_their_size_do_not_vanish() {
        let mut pace = Pace::new(None, Duration::from_millis(10));
        let late = |rows: u64, wait: f64| Duration::from_secs_f64(wait + rows as f64 / 200_000.0);
        for _ in 0..10 {
            pace.learn(late(pace.rows(), 0.001));
        }
        assert!((1_500..2_000).contains(&pace.rows()), "{}", pace.rows());
        for _ in 0..30 {
            pace.learn(late(pace.rows(), 0.020));
        }
        assert!(pace.rows() > 100, "{}", pace.rows());
    }

    #[test]
    fn batches_become_short_at_once_when_others_come() {
        let mut pace = Pace::new(None, Duration::from_millis(1_000));
        for _ in 0..10 {
            pace.learn(Duration::from_millis(500));
        }
        let long = pace.rows();
        pace.aim_at(Duration::from_millis(100));
        assert_eq!(pace.rows(), long / 10);
        pace.aim_at(Duration::from_millis(1_000));
        assert_eq!(pace.rows(), long / 10, "longer ones are learnt batch by batch");
    }

    #[test]
    fn a_size_that_was_asked_for_stays() {
        let mut pace = Pace::new(Some(500), Duration::from_millis(100));
        pace.learn(Duration::from_secs(3));
        assert_eq!(pace.rows(), 500);
    }
}
