//! The sign of life for a watcher outside: what stands still cannot tell that it does.

use crate::channel::{Refused, call};
use secrecy::SecretString;
use std::time::Duration;

/// How long the watcher may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Calls the address once.
pub fn beat(url: &SecretString) -> Result<(), Refused> {
    call("GET", url, PATIENCE, |request| request)
}
