//! What is due, what was due, and who works on it: the rows that all workers of one state share.
//!
//! A *tick* is one moment at which a schedule is due, and what came of it. It exists once, however many processes look at the
//! clock: schedule and moment are its key. A worker has a tick for as long as its lease lasts, and the term tells whoever had
//! it before that it is not theirs any more. Leases go by the clock of the state, which all workers can compare.
//!
//! A tick of many databases has *parts*, one for each that was begun: ticks themselves, of `SCHEDULE/DATABASE`, which is no name
//! that a schedule can have.

mod ahead;
mod bell;
mod parts;
mod schedules;
mod ticks;
mod workers;

pub use ahead::{Due, Share};
pub use bell::Bell;
pub use parts::Part;
pub use schedules::{Entry, Stamp};
pub use ticks::{Looked, NewTick, Tick, TickState};
pub use workers::Worker;

use super::State;
use crate::error::{Error, Result};
use jiff::Timestamp;
use targets::db::{Limits, Session, Sql, TableName, Value};

/// The timetable of a state.
pub struct Timetable<'a> {
    state: &'a State,
}

pub(super) fn create(session: &mut dyn Session, limits: &Limits) -> Result<()> {
    let own = |session: &dyn Session, name: &str| session.dialect().own(name);
    let ticks = own(session, "ticks");
    let there = session.dialect().exists(&ticks);
    if session.count(&there)? > 0 {
        return Ok(());
    }
    let (schedules, workers) = (own(session, "schedules"), own(session, "workers"));
    let table = |name: &TableName, columns: &str| {
        Sql::new("create table if not exists ").table(name).text(&format!(" ({columns})"))
    };
    let statements = [
        table(
            &schedules,
            "name text not null primary key, body text, version bigint not null, enabled bigint, approval text, \
             looked text, changed_at text, changed_by text not null",
        ),
        table(
            &ticks,
            "id text not null primary key, schedule text not null, due text not null, start text not null, \
             state text not null, why text, run text, worker text, term bigint not null, lease_us bigint not null, \
             ended text, unique (schedule, due)",
        ),
        table(
            &workers,
            "id text not null primary key, place text not null, began text not null, heard_us bigint not null",
        ),
        Sql::new("create index if not exists sexton_ticks_start on ").table(&ticks).text(" (state, start)"),
        // Two workers cannot have the same schedule, whatever each of them has seen.
        Sql::new("create unique index if not exists sexton_ticks_claimed on ")
            .table(&ticks)
            .text(" (schedule) where state = 'claimed'"),
    ];
    let mut tx = session.begin(limits)?;
    for statement in &statements {
        tx.execute(statement)?;
    }
    tx.commit()
}

impl<'a> Timetable<'a> {
    pub(crate) fn new(state: &'a State) -> Self {
        Self { state }
    }

    fn own(&self, name: &str) -> TableName {
        self.state.own(name)
    }
}

fn unreadable() -> Error {
    Error::system("a row of the timetable cannot be read")
        .help("another version of sexton may have written it")
}

fn text(row: &[Value], n: usize) -> Result<String> {
    row.get(n).and_then(Value::as_text).map(str::to_owned).ok_or_else(unreadable)
}

fn moment(text: &str) -> Result<Timestamp> {
    text.parse().map_err(|error| unreadable().because(error))
}

fn maybe(row: &[Value], n: usize) -> Option<String> {
    row.get(n).and_then(Value::as_text).map(str::to_owned)
}
