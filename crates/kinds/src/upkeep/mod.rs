//! What the kinds share by which a database looks after itself: `vacuum`, `analyze`, `reindex`, `views`.
//!
//! A step is one object and the chores that are done to it, each outside of transactions and noted before and after. What
//! an object's chore fails at is passed over with its reason; what a death leaves half done is found out from the
//! catalogue. Nothing here can be undone, and nothing needs to be: no row changes.

mod aim;
mod keeping;
mod place;
mod rate;
mod task;
mod told;

pub use aim::{act, aim, is_hopeless, leave, outside, passes_over};
pub use keeping::{Keeping, Keeps};
pub use rate::expected;
pub use task::{Figures, Object, Task, bytes_said};
pub use told::{failures, summary};

use engine::{Finding, Manners, Result};
use targets::db::{Facts, Pin, PinKind};

/// A session that has been open for less is none to worry about, in seconds.
const YOUNG: f64 = 60.0;

/// A chore takes as long as it takes; what others wait for is limited by the time-out of locks.
pub fn unhurried(asked: &Manners) -> Manners {
    let usual = Manners::default();
    let statement_timeout =
        if asked.statement_timeout == usual.statement_timeout { 0.0 } else { asked.statement_timeout };
    Manners { statement_timeout, ..asked.clone() }
}

/// The same, with another time-out of locks where nobody asked for one.
pub fn patient(asked: &Manners, patience: Option<f64>) -> Manners {
    let usual = asked.lock_timeout == Manners::default().lock_timeout;
    let lock_timeout = patience.filter(|_| usual).unwrap_or(asked.lock_timeout);
    Manners { lock_timeout, ..unhurried(asked) }
}

/// Why nothing can be done where the database cannot be written.
pub fn standby(facts: &mut dyn Facts) -> Result<Option<Finding>> {
    let server = facts.server()?;
    Ok(server.read_only.then(|| {
        Finding::forbid(
            "read_only",
            &server.database,
            "the database cannot be written: it is a standby, or a read-only file",
            "connect to the primary server: what is done there reaches the standbys by itself",
        )
    }))
}

/// Those that keep dead rows from being removed.
pub fn pinned(pins: &[Pin]) -> impl Iterator<Item = Finding> {
    pins.iter().filter(|pin| pin.kind != PinKind::Session || pin.seconds.is_some_and(|s| s > YOUNG)).map(
        |pin| {
            let since = pin.seconds.map(|seconds| format!(", for {seconds:.0} s")).unwrap_or_default();
            Finding::warning(
                "pinned",
                &pin.name,
                format!(
                    "a {} keeps dead rows from being removed, {:.0} transactions back{since} ({})",
                    pin.kind.said(),
                    pin.age,
                    pin.about
                ),
                format!("when nobody needs it any more: `{}`", pin.release),
            )
        },
    )
}
