//! Fault points: places where a test can make the process "die". They compile away in release builds.
//!
//! A test arms the n-th point; when it is reached the engine stops dead, without any tidying up, exactly as
//! after SIGKILL: the session is dropped, nothing is logged. The test then asserts that it fired and resumes.

use crate::error::Failure;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// The fault points of one engine.
#[derive(Debug, Default)]
pub struct Faults {
    #[cfg(debug_assertions)]
    left: AtomicI64,
    #[cfg(debug_assertions)]
    passed: AtomicU64,
}

impl Faults {
    /// Makes the n-th point from now on (from 1) fire.
    #[cfg(debug_assertions)]
    pub fn arm(&self, nth: u32) {
        self.left.store(i64::from(nth), Ordering::SeqCst);
    }

    /// Whether an armed fault is still waiting: then the run passed fewer points than that.
    #[cfg(debug_assertions)]
    pub fn waiting(&self) -> bool {
        self.left.load(Ordering::SeqCst) > 0
    }

    /// Disarms.
    #[cfg(debug_assertions)]
    pub fn disarm(&self) {
        self.left.store(0, Ordering::SeqCst);
    }

    /// How many points were passed, ever.
    #[cfg(debug_assertions)]
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::SeqCst)
    }

    /// A point where the process may die.
    #[cfg(debug_assertions)]
    pub fn point(&self, name: &'static str) -> Result<(), Failure> {
        self.passed.fetch_add(1, Ordering::SeqCst);
        if self.left.load(Ordering::SeqCst) > 0 && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            return Err(Failure::Fault(name));
        }
        Ok(())
    }

    /// Nothing, in a release build.
    #[cfg(not(debug_assertions))]
    #[inline(always)]
    pub fn point(&self, _name: &'static str) -> Result<(), Failure> {
        Ok(())
    }
}
