//! The sign of life for a watcher outside: what stands still cannot tell that it does.

use crate::channel::{Refused, call};
use secrecy::SecretString;
use std::time::Duration;

/// How long the watcher may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a watcher did not take is tried again after so long: it stays away for nobody's fault now and then, and alerts for that.
const AGAIN: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120)];

/// Calls the address once.
pub fn beat(url: &SecretString) -> Result<(), Refused> {
    call("GET", url, PATIENCE, |request| request)
}

/// Calls the address, and where that fails again in a while, beside everything else.
pub fn beat_surely(of: &str, url: &SecretString) {
    let Err(refused) = beat(url) else { return };
    tracing::warn!(
        schedule = of,
        "the watcher did not take the heartbeat: {}; it is called again",
        refused.why
    );
    let (of, url) = (of.to_owned(), url.clone());
    std::thread::spawn(move || {
        for wait in AGAIN {
            std::thread::sleep(wait);
            match beat(&url) {
                Ok(()) => return,
                Err(refused) => {
                    tracing::warn!(schedule = of, "the watcher did not take the heartbeat: {}", refused.why);
                }
            }
        }
    });
}
