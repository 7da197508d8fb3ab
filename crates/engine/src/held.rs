//! The session for the verification, opened after the first batch: until then the database keeps what the others delete.
//!
//! The first to read a page with dead rows cleans it and, on PostgreSQL, writes it to the log. Read right after a purge of
//! 1 000 000 of 5 000 000 rows, the table took 2.3 s and 620 MB of log, and 0.9 s and none while somebody held an older
//! moment. The single `delete` that a purge stands for holds its own moment just as long. Nothing is held for long.

use crate::clock::Clock;
use crate::error::Result;
use std::time::{Duration, Instant};
use targets::db::{Database, Facts, Sql};

/// How long what was deleted may be kept: longer, and vacuum would be kept from its work.
const MOST: Duration = Duration::from_secs(120);

/// The session, if there is one.
#[derive(Default)]
pub(crate) struct Held {
    since: Option<Instant>,
    over: bool,
    facts: Option<Box<dyn Facts>>,
}

impl Held {
    /// Before each batch but the first, which may be the last: begins, or lets go when it has been for long.
    pub fn keep(&mut self, database: &dyn Database, clock: &dyn Clock) -> Result<()> {
        if self.over {
            return Ok(());
        }
        let now = clock.tick();
        match self.since {
            None => {
                self.since = Some(now);
                self.facts = database.hold()?;
            }
            Some(since) if now.duration_since(since) > MOST => self.let_go(),
            Some(_) => {}
        }
        Ok(())
    }

    /// Ends it, and none is begun again.
    pub fn let_go(&mut self) {
        self.over = true;
        self.facts = None;
    }

    /// The session, where it was not let go or lost meanwhile.
    pub fn into_facts(self) -> Option<Box<dyn Facts>> {
        let mut facts = self.facts?;
        facts.rows(&Sql::new("select 1")).is_ok().then_some(facts)
    }
}
