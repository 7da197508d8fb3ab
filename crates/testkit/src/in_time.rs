//! Bounds of time on a machine that has other things to do as well.

use std::time::{Duration, Instant};

/// What holds at least once in three: a busy machine may hold anybody up, and a defect does so each time.
pub fn once_in_three<T>(mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let mut told = Vec::new();
    for _ in 0..3 {
        match attempt() {
            Ok(done) => return done,
            Err(why) => told.push(why),
        }
    }
    panic!("each time: {told:#?}")
}

/// What is done within this time at least once in three.
pub fn quickly<T>(most: Duration, mut done: impl FnMut() -> T) -> T {
    once_in_three(|| {
        let begun = Instant::now();
        let outcome = done();
        let took = begun.elapsed();
        if took < most { Ok(outcome) } else { Err(format!("it took {took:?}")) }
    })
}
