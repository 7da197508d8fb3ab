//! Waiting until there may be something to do, instead of asking again and again.
//!
//! What is put into the timetable rings a bell that all workers hear, where the state can be heard. A bell is a hint: one that is
//! missed costs time, nothing else, because everybody looks by himself after a while.

use super::Timetable;
use crate::error::Result;
use crate::state::runs::sortable;
use jiff::Timestamp;
use std::time::Duration;
use targets::db::{Listener, Sql, Value};

/// What the bell of the timetable is called.
const NAME: &str = "sexton_ticks";

/// Hears the bell of a timetable.
pub struct Bell(Box<dyn Listener>);

impl Bell {
    /// Waits until it rings, but no longer than this; whether it did. After an error it is deaf.
    pub fn wait(&mut self, most: Duration) -> Result<bool> {
        self.0.wait(most)
    }
}

impl Timetable<'_> {
    /// Hears when something is put into the timetable from now on; none where that cannot be heard.
    pub fn bell(&self) -> Result<Option<Bell>> {
        Ok(self.state.database().listen(NAME)?.map(Bell))
    }

    /// What tells everybody, at the end of a transaction, that there may be something to do; nothing where nobody hears it.
    pub(super) fn ring(&self) -> Option<Sql> {
        self.state.session().dialect().announce(NAME)
    }

    /// For how long there will be nothing to take, as far as can be told now; at most so long.
    pub fn quiet(&self, now: Timestamp, most: Duration) -> Result<Duration> {
        let own = self.own("ticks");
        let clock = self.state.clock_us()?;
        // What waits for another one of its schedule is taken when that has ended, which rings.
        let next = Sql::new("select min(t.start) from ")
            .table(&own)
            .text(" as t where t.state in ('waiting', 'taken') and not exists (select 1 from ")
            .table(&own)
            .text(" as o where o.schedule = t.schedule and o.state = 'claimed')");
        let lost = Sql::new("select min(lease_us) from ").table(&own).text(" where state = 'claimed'");
        let first = |sql: &Sql| Ok(self.state.rows(sql)?.into_iter().flatten().next().unwrap_or(Value::Null));
        let mut quiet = most;
        if let Some(start) = first(&next)?.as_text() {
            // It may be that somebody else is taking it at this very moment.
            let until = super::moment(start)?.duration_since(now);
            quiet = quiet.min(Duration::try_from(until).unwrap_or_default());
        }
        if let Some(lease) = first(&lost)?.as_int() {
            quiet = quiet.min(Duration::from_micros((lease - clock).max(0).unsigned_abs()));
        }
        Ok(quiet)
    }

    /// A query for how many ticks of a schedule wait until the one at work has ended.
    pub(super) fn waiting(&self, schedule: &str, now: Timestamp) -> Sql {
        Sql::new("select count(*) from ")
            .table(&self.own("ticks"))
            .text(" where schedule = ")
            .bind(schedule)
            .text(" and state in ('waiting', 'taken') and start <= ")
            .bind(sortable(now))
    }
}
