//! Notes: one message for one channel each, from being written down to being sent.

use super::{Outbox, maybe, moment, text, unreadable};
use crate::error::{Error, Result};
use crate::state::runs::sortable;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::time::Duration;
use targets::db::{Sql, TableName, Value};

/// How a note stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteState {
    /// It is to be sent.
    Waiting,
    /// A process is about to send it.
    Sending,
    /// The channel has taken it.
    Sent,
    /// It was given up.
    Failed,
    /// The same was said a short while before, so it is not sent.
    Repeated,
}

impl NoteState {
    /// All of them.
    pub const ALL: [NoteState; 5] =
        [NoteState::Waiting, NoteState::Sending, NoteState::Sent, NoteState::Failed, NoteState::Repeated];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            NoteState::Waiting => "waiting",
            NoteState::Sending => "sending",
            NoteState::Sent => "sent",
            NoteState::Failed => "failed",
            NoteState::Repeated => "repeated",
        }
    }

    /// Reads a name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == text)
    }
}

/// A note to be written down.
#[derive(Debug, Clone, PartialEq)]
pub struct NewNote {
    /// The channel.
    pub channel: String,
    /// To whom, where the channel can write to several.
    pub recipients: Vec<String>,
    /// It waits for nothing.
    pub urgent: bool,
    /// It was put off on purpose, to go together with others.
    pub held: bool,
    /// What it is about: for one channel there is one note about it, however often it is written down.
    pub once: String,
    /// Notes that say the same have the same; empty for those that are always sent.
    pub kin: String,
    /// Not before this.
    pub due: Timestamp,
    /// What it says.
    pub body: Json,
}

/// A note.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Note {
    /// Its id, the same at every try.
    pub id: String,
    /// The channel.
    pub channel: String,
    /// To whom, where the channel can write to several.
    pub recipients: Vec<String>,
    /// It waits for nothing.
    pub urgent: bool,
    /// It was put off on purpose, to go together with others.
    pub held: bool,
    /// What it says.
    pub body: Json,
    /// How it stands.
    pub state: NoteState,
    /// How often it was tried.
    pub tries: u64,
    /// When it was written down.
    pub made: Timestamp,
    /// Not before this.
    pub due: Timestamp,
    /// When it was sent, or given up.
    pub ended: Option<Timestamp>,
    /// Why the last try failed.
    pub error: Option<String>,
}

const NOTE: &str = "id, channel, recipients, urgent, held, body, state, tries, made, due, ended, error";

impl Outbox<'_> {
    /// Writes notes down; how many are new. What was said since `lately` to the same channel is not said again.
    pub fn post(&self, notes: &[NewNote], now: Timestamp, lately: Timestamp) -> Result<u64> {
        let own = self.own("outbox");
        let statements = posted(&own, notes, now, lately)?;
        self.state.change(|tx| {
            let mut new = 0;
            for statement in &statements {
                new += tx.execute(statement)?;
            }
            Ok(new)
        })
    }

    /// Takes notes of a channel that are due, the oldest first, and those of a process that was not heard of for as long as its
    /// lease lasts. With `only_urgent` the others wait.
    pub fn claim(
        &self,
        channel: &str,
        only_urgent: bool,
        lease: Duration,
        most: u64,
        now: Timestamp,
    ) -> Result<Vec<Note>> {
        let own = self.own("outbox");
        // Whoever serves asks twice a second, and mostly there is nothing: that is found out without a transaction.
        let any = Sql::new("select 1 from ")
            .table(&own)
            .text(" where channel = ")
            .bind(channel)
            .text(" and (state = 'sending' or (state = 'waiting' and due <= ")
            .bind(sortable(now))
            .text(")) limit 1");
        if self.state.rows(&any)?.is_empty() {
            return Ok(Vec::new());
        }
        let clock = self.state.clock_us()?;
        let until = clock + i64::try_from(lease.as_micros()).unwrap_or(i64::MAX / 2);
        let urgent = if only_urgent { " and urgent = 1" } else { "" };
        let free = Sql::new("channel = ")
            .bind(channel)
            .text(urgent)
            .text(" and ((state = 'waiting' and due <= ")
            .bind(sortable(now))
            .text(") or (state = 'sending' and lease_us < ")
            .bind(clock)
            .text("))");
        let passing = self.state.session().dialect().passing();
        let find = Sql::new("select id from ")
            .table(&own)
            .text(" where ")
            .add(&free)
            .text(" order by made, id limit ")
            .bind(most.min(1_000) as i64)
            .add(&passing);
        let ids = self.state.change(|tx| {
            let mut mine = Vec::new();
            for row in tx.rows(&find)? {
                let Some(id) = maybe(&row, 0) else { continue };
                // Said again: where rows are not locked by looking at them, somebody else may have been quicker.
                let took = tx.execute(
                    &Sql::new("update ")
                        .table(&own)
                        .text(" set state = 'sending', tries = tries + 1, lease_us = ")
                        .bind(until)
                        .text(" where id = ")
                        .bind(id.as_str())
                        .text(" and ")
                        .add(&free),
                )?;
                if took == 1 {
                    mine.push(id);
                }
            }
            Ok(mine)
        })?;
        let mut notes = Vec::new();
        for id in ids {
            notes.extend(self.note(&id)?);
        }
        Ok(notes)
    }

    /// The channel has taken them.
    pub fn sent(&self, ids: &[&str], at: Timestamp) -> Result<()> {
        let set = |id: &&str| {
            self.change_one(
                id,
                Sql::new("state = 'sent', error = null, ended = ").bind(sortable(at)),
                " and state = 'sending'",
            )
        };
        self.state.write(&ids.iter().map(set).collect::<Vec<_>>())
    }

    /// They are tried again later.
    pub fn put_off(&self, ids: &[&str], until: Timestamp, error: &str) -> Result<()> {
        let set = |id: &&str| {
            let set =
                Sql::new("state = 'waiting', due = ").bind(sortable(until)).text(", error = ").bind(error);
            self.change_one(id, set, " and state = 'sending'")
        };
        self.state.write(&ids.iter().map(set).collect::<Vec<_>>())
    }

    /// They are not tried any more.
    pub fn give_up(&self, ids: &[&str], error: &str, at: Timestamp) -> Result<()> {
        let set = |id: &&str| {
            let set =
                Sql::new("state = 'failed', ended = ").bind(sortable(at)).text(", error = ").bind(error);
            self.change_one(id, set, " and state = 'sending'")
        };
        self.state.write(&ids.iter().map(set).collect::<Vec<_>>())
    }

    /// What waits for channels that are none of these is given up: nobody would ever send it. How many.
    pub fn give_up_others(&self, channels: &[&str], at: Timestamp) -> Result<u64> {
        let mut update = Sql::new("update ")
            .table(&self.own("outbox"))
            .text(" set state = 'failed', error = 'there is no such channel any more', ended = ")
            .bind(sortable(at))
            .text(" where state = 'waiting'");
        for channel in channels {
            update = update.text(" and channel <> ").bind(*channel);
        }
        self.state.change(|tx| tx.execute(&update))
    }

    /// What was given up, and what waits for its next try, is due now; how many.
    pub fn try_all_again(&self, now: Timestamp) -> Result<u64> {
        let again = Sql::new("update ")
            .table(&self.own("outbox"))
            .text(" set state = 'waiting', ended = null, tries = 0, due = ")
            .bind(sortable(now))
            .text(" where state = 'failed' or (state = 'waiting' and tries > 0)");
        self.state.change(|tx| tx.execute(&again))
    }

    fn change_one(&self, id: &str, set: Sql, only: &str) -> Sql {
        Sql::new("update ")
            .table(&self.own("outbox"))
            .text(" set ")
            .add(&set)
            .text(" where id = ")
            .bind(id)
            .text(only)
    }

    /// One note.
    pub fn note(&self, id: &str) -> Result<Option<Note>> {
        let select = Sql::new(&format!("select {NOTE} from ")).table(&self.own("outbox"));
        self.state.rows(&select.text(" where id = ").bind(id))?.first().map(|row| read(row)).transpose()
    }

    /// The last notes, newest first; those that stand like this, where that is said.
    pub fn notes(&self, state: Option<NoteState>, limit: u64) -> Result<Vec<Note>> {
        let mut select = Sql::new(&format!("select {NOTE} from ")).table(&self.own("outbox"));
        if let Some(state) = state {
            select = select.text(" where state = ").bind(state.name());
        }
        let select = select.text(" order by made desc, id desc limit ").bind(limit.min(100_000) as i64);
        self.state.rows(&select)?.iter().map(|row| read(row)).collect()
    }

    /// How many stand how.
    pub fn counts(&self) -> Result<Vec<(NoteState, u64)>> {
        let select = Sql::new("select state, count(*) from ").table(&self.own("outbox"));
        let rows = self.state.rows(&select.text(" group by state"))?;
        let count = |state: NoteState| {
            let row = rows.iter().find(|row| maybe(row, 0).as_deref() == Some(state.name()));
            row.and_then(|row| row[1].as_int()).unwrap_or(0).max(0) as u64
        };
        Ok(NoteState::ALL.into_iter().map(|state| (state, count(state))).collect())
    }

    /// Forgets what came to its end before a moment.
    pub fn forget(&self, before: Timestamp) -> Result<u64> {
        let gone = Sql::new("delete from ")
            .table(&self.own("outbox"))
            .text(" where state in ('sent', 'failed', 'repeated') and made < ")
            .bind(sortable(before));
        self.state.change(|tx| tx.execute(&gone))
    }
}

/// The statements that write notes down.
pub(super) fn posted(
    own: &TableName,
    notes: &[NewNote],
    now: Timestamp,
    lately: Timestamp,
) -> Result<Vec<Sql>> {
    let json = |value: &Json| {
        serde_json::to_string(value).map_err(|error| Error::system("cannot store a message").because(error))
    };
    let mut statements = Vec::new();
    for note in notes {
        let state = if note.kin.is_empty() {
            Sql::new("'waiting'")
        } else {
            Sql::new("case when exists (select 1 from ")
                .table(own)
                .text(" as o where o.channel = ")
                .bind(note.channel.as_str())
                .text(" and o.kin = ")
                .bind(note.kin.as_str())
                .text(" and o.made > ")
                .bind(sortable(lately))
                .text(" and o.state in ('waiting', 'sending', 'sent')) then 'repeated' else 'waiting' end")
        };
        statements.push(
            Sql::new("insert into ")
                .table(own)
                .text(" (id, channel, recipients, urgent, held, only_once, kin, body, state, tries, made, due, lease_us) values (")
                .bind(crate::engine::new_id())
                .text(", ")
                .bind(note.channel.as_str())
                .text(", ")
                .bind(json(&Json::from(note.recipients.clone()))?)
                .text(", ")
                .bind(i64::from(note.urgent))
                .text(", ")
                .bind(i64::from(note.held))
                .text(", ")
                .bind(note.once.as_str())
                .text(", ")
                .bind(note.kin.as_str())
                .text(", ")
                .bind(json(&note.body)?)
                .text(", ")
                .add(&state)
                .text(", 0, ")
                .bind(sortable(now))
                .text(", ")
                .bind(sortable(note.due))
                .text(", 0) on conflict (channel, only_once) do nothing"),
        );
    }
    Ok(statements)
}

fn read(row: &[Value]) -> Result<Note> {
    let json = |n: usize| -> Result<Json> {
        serde_json::from_str(&text(row, n)?).map_err(|error| unreadable().because(error))
    };
    let number = |n: usize| row.get(n).and_then(Value::as_int).unwrap_or(0);
    Ok(Note {
        id: text(row, 0)?,
        channel: text(row, 1)?,
        recipients: serde_json::from_value(json(2)?).map_err(|error| unreadable().because(error))?,
        urgent: number(3) != 0,
        held: number(4) != 0,
        body: json(5)?,
        state: NoteState::parse(&text(row, 6)?).ok_or_else(unreadable)?,
        tries: number(7).max(0) as u64,
        made: moment(&text(row, 8)?)?,
        due: moment(&text(row, 9)?)?,
        ended: maybe(row, 10).map(|at| moment(&at)).transpose()?,
        error: maybe(row, 11),
    })
}
