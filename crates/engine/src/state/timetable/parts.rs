//! The parts of a tick that is about many databases: one for each that has had its turn so far.

use super::ticks::noted;
use super::{NewTick, Tick, TickState, Timetable, maybe, text};
use crate::error::Result;
use crate::state::runs::sortable;
use jiff::Timestamp;
use std::time::Duration;
use targets::db::Sql;

/// Between the schedule and the database.
const OF: char = '/';

/// One database of a tick.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The database.
    pub database: String,
    /// How it stands.
    pub state: TickState,
    /// Why it failed.
    pub why: Option<String>,
}

impl Tick {
    /// The schedule, without the database.
    pub fn schedule_name(&self) -> &str {
        self.schedule.split_once(OF).map_or(&self.schedule, |(name, _)| name)
    }

    /// The database, where this is a part of a tick that is about many.
    pub fn part_of(&self) -> Option<&str> {
        self.schedule.split_once(OF).map(|(_, database)| database)
    }
}

impl Timetable<'_> {
    /// Lets these databases begin; false when the tick is somebody else's by now.
    pub fn hand_out(&self, tick: &Tick, databases: &[&str], now: Timestamp) -> Result<bool> {
        let own = self.own("ticks");
        let mine = Sql::new("update ")
            .table(&own)
            .text(" set term = term where id = ")
            .bind(tick.id.as_str())
            .text(" and state = 'claimed' and term = ")
            .bind(tick.term);
        let part = NewTick { due: tick.due, start: now, skipped: None };
        let ring = self.ring();
        self.state.change(|tx| {
            if tx.execute(&mine)? != 1 {
                return Ok(false);
            }
            for database in databases {
                tx.execute(&noted(&own, &format!("{}{OF}{database}", tick.schedule), &part))?;
            }
            if let Some(ring) = &ring {
                tx.rows(ring)?;
            }
            Ok(true)
        })
    }

    /// All parts of a tick.
    pub fn parts(&self, tick: &Tick) -> Result<Vec<Part>> {
        let select = Sql::new("select schedule, state, why from ")
            .table(&self.own("ticks"))
            .text(" as t where true")
            .add(&of(tick));
        let part = |row: &Vec<targets::db::Value>| {
            let name = text(row, 0)?;
            Ok(Part {
                database: name.split_once(OF).map(|(_, database)| database.to_owned()).unwrap_or_default(),
                state: TickState::parse(&text(row, 1)?),
                why: maybe(row, 2),
            })
        };
        self.state.rows(&select)?.iter().map(part).collect()
    }

    /// How many parts of a tick are over, and how many there are.
    pub fn parts_over(&self, tick: &Tick) -> Result<(i64, i64)> {
        let select = Sql::new("select count(t.ended), count(*) from ")
            .table(&self.own("ticks"))
            .text(" as t where true")
            .add(&of(tick));
        let rows = self.state.rows(&select)?;
        let number = |n: usize| rows.first().and_then(|row| row[n].as_int()).unwrap_or(0);
        Ok((number(0), number(1)))
    }

    /// Takes a part of this tick.
    pub fn claim_part(
        &self,
        tick: &Tick,
        worker: &str,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Option<Tick>> {
        let words = self.words();
        self.claim_if(&words, worker, lease, &words.free(now).add(&of(tick)))
    }
}

/// The condition over `t` for the parts of a tick.
fn of(tick: &Tick) -> Sql {
    let begins = format!("{}{OF}", tick.schedule);
    Sql::new(" and t.due = ")
        .bind(sortable(tick.due))
        .text(&format!(" and substr(t.schedule, 1, {}) = ", begins.chars().count()))
        .bind(begins)
}
