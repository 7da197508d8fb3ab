//! Trying again: only transient errors, only whole transactions, three times after 1, 2 and 4 seconds with jitter, or more
//! often with waits of up to half a minute.

use crate::error::Class;
use backon::BackoffBuilder;
use std::time::Duration;

/// The waits before the second and each further try.
pub fn waits(times: usize) -> impl Iterator<Item = Duration> {
    backon::ExponentialBuilder::default()
        .with_min_delay(Duration::from_secs(1))
        .with_factor(2.0)
        .with_max_delay(Duration::from_secs(30))
        .with_max_times(times)
        .with_jitter()
        .build()
}

/// How often a transaction is usually tried again.
pub const USUAL: usize = 3;

/// Whether a whole transaction that failed with this class may be tried again.
pub fn may_retry(class: Class) -> bool {
    class == Class::Transient
}
