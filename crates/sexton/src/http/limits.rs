//! How often somebody may call: a bucket for each token, filled evenly; and one for all who have none that holds.

use super::error::Refusal;
use axum::http::StatusCode;
use engine::{Clock as _, SystemClock};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

/// Secrets are not tried out faster than this, by all together.
const UNKNOWN_PER_MINUTE: u32 = 60;

/// The key of those whose token does not hold. No token has it: ids are letters and digits.
pub const UNKNOWN: &str = "-";

/// Who called how often.
pub struct Limits {
    per_minute: u32,
    buckets: Mutex<HashMap<String, Bucket>>,
}

struct Bucket {
    left: f64,
    at: Instant,
}

impl Limits {
    /// So many calls a minute for each token.
    pub fn new(per_minute: u32) -> Self {
        Self { per_minute, buckets: Mutex::new(HashMap::new()) }
    }

    /// Whether one more call is fine now.
    pub fn allow(&self, who: &str) -> Result<(), Refusal> {
        self.allow_at(who, SystemClock.tick())
    }

    fn allow_at(&self, who: &str, now: Instant) -> Result<(), Refusal> {
        let most = f64::from(if who == UNKNOWN { UNKNOWN_PER_MINUTE } else { self.per_minute });
        let mut buckets = self.buckets.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let bucket = buckets.entry(who.to_owned()).or_insert(Bucket { left: most, at: now });
        let filled = now.duration_since(bucket.at).as_secs_f64() * most / 60.0;
        (bucket.left, bucket.at) = ((bucket.left + filled).min(most), now);
        if bucket.left >= 1.0 {
            bucket.left -= 1.0;
            return Ok(());
        }
        let wait = ((1.0 - bucket.left) * 60.0 / most).ceil();
        let what = format!("more than {most} calls a minute; wait {wait} s");
        Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many", what).retry_after(wait as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, UNKNOWN};
    use std::time::{Duration, Instant};

    #[test]
    fn a_bucket_empties_and_fills_again_and_each_has_its_own() {
        let limits = Limits::new(120);
        let begin = Instant::now();
        let allowed = |who: &str, at: Instant| (0..200).filter(|_| limits.allow_at(who, at).is_ok()).count();
        assert_eq!(allowed("a", begin), 120);
        assert_eq!(allowed("b", begin), 120);
        assert_eq!(allowed("a", begin + Duration::from_secs(5)), 10);
        assert_eq!(allowed(UNKNOWN, begin), 60);
        assert_eq!(allowed("a", begin + Duration::from_secs(3600)), 120);
    }
}
