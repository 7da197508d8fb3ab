//! Messages that are to be sent, and what is wrong at the moment.
//!
//! A *note* is one message for one channel; it is written down when something happens and stays until the channel has taken it, so
//! that a receiver that is away misses nothing. A process has a note for as long as its lease lasts. An *alarm* is something that is
//! wrong for a while: whoever finds it first tells it, once, together with the notes that say so.

mod alarms;
mod notes;

pub use alarms::Alarm;
pub use notes::{NewNote, Note, NoteState};

use super::State;
use crate::error::{Error, Result};
use jiff::Timestamp;
use targets::db::{Limits, Session, Sql, TableName, Value};

/// The outbox of a state.
pub struct Outbox<'a> {
    state: &'a State,
}

/// States of earlier versions have no such tables.
pub(super) fn create(session: &mut dyn Session, limits: &Limits) -> Result<()> {
    let own = |session: &dyn Session, name: &str| session.dialect().own(name);
    let notes = own(session, "outbox");
    let there = session.dialect().exists(&notes);
    if session.count(&there)? > 0 {
        return Ok(());
    }
    let (alarms, marks) = (own(session, "alarms"), own(session, "marks"));
    let table = |name: &TableName, columns: &str| {
        Sql::new("create table if not exists ").table(name).text(&format!(" ({columns})"))
    };
    let statements = [
        table(
            &notes,
            "id text not null primary key, channel text not null, recipients text not null, urgent bigint not null, \
             held bigint not null, only_once text not null, kin text not null, body text not null, state text not null, \
             tries bigint not null, made text not null, due text not null, ended text, error text, \
             lease_us bigint not null, unique (channel, only_once)",
        ),
        table(
            &alarms,
            "id text not null primary key, level bigint not null, title text not null, since text not null, \
             told text not null, ended text",
        ),
        table(&marks, "id text not null primary key, at text not null"),
        Sql::new("create index if not exists sexton_outbox_due on ").table(&notes).text(" (state, due)"),
    ];
    let mut tx = session.begin(limits)?;
    for statement in &statements {
        tx.execute(statement)?;
    }
    tx.commit()
}

impl<'a> Outbox<'a> {
    pub(crate) fn new(state: &'a State) -> Self {
        Self { state }
    }

    fn own(&self, name: &str) -> TableName {
        self.state.own(name)
    }
}

fn unreadable() -> Error {
    Error::system("a row of the outbox cannot be read").help("another version of sexton may have written it")
}

fn text(row: &[Value], n: usize) -> Result<String> {
    maybe(row, n).ok_or_else(unreadable)
}

fn maybe(row: &[Value], n: usize) -> Option<String> {
    row.get(n).and_then(Value::as_text).map(str::to_owned)
}

fn moment(text: &str) -> Result<Timestamp> {
    text.parse().map_err(|error| unreadable().because(error))
}
