//! What is due, what was due, and who works on it: the rows that all workers of one state share.
//!
//! A *tick* is one moment at which a schedule is due, and what came of it. It exists once, however many processes look at the
//! clock: schedule and moment are its key. A worker has a tick for as long as its lease lasts, and the term tells whoever had
//! it before that it is not theirs any more. Leases go by the clock of the state, which all workers can compare.

use super::State;
use super::runs::sortable;
use crate::error::{Error, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use targets::db::{Limits, Session, Sql, TableName, Tx, Value};

/// What the state knows of a schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// What it says, where it is no schedule of the configuration.
    pub body: Option<serde_json::Value>,
    /// Counts its changes.
    pub version: i64,
    /// Whether it runs by itself; none: as the configuration says.
    pub enabled: Option<bool>,
    /// What it may do unattended.
    pub approval: Option<serde_json::Value>,
    /// Until when it was looked for what is due.
    pub looked: Option<Timestamp>,
    /// When it was changed.
    pub changed_at: Option<Timestamp>,
    /// By whom.
    pub changed_by: String,
}

/// How a tick stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TickState {
    /// Nobody has begun.
    Waiting,
    /// A worker has it.
    Claimed,
    /// It was done; the run tells how well.
    Done,
    /// It could not be done.
    Failed,
    /// It was passed over, with a reason.
    Skipped,
}

impl TickState {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            TickState::Waiting => "waiting",
            TickState::Claimed => "claimed",
            TickState::Done => "done",
            TickState::Failed => "failed",
            TickState::Skipped => "skipped",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "claimed" => TickState::Claimed,
            "done" => TickState::Done,
            "failed" => TickState::Failed,
            "skipped" => TickState::Skipped,
            _ => TickState::Waiting,
        }
    }
}

/// One moment at which a schedule is due, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tick {
    /// Its id.
    pub id: String,
    /// The schedule.
    pub schedule: String,
    /// The moment.
    pub due: Timestamp,
    /// When it may begin: later than the moment where it was spread or put off.
    pub start: Timestamp,
    /// How it stands.
    pub state: TickState,
    /// Why it was passed over, or failed.
    pub why: Option<String>,
    /// Its run.
    pub run: Option<String>,
    /// Who has it, or had it.
    pub worker: Option<String>,
    /// How often it was taken.
    pub term: i64,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

/// A tick to be noted.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTick {
    /// The moment.
    pub due: Timestamp,
    /// When it may begin.
    pub start: Timestamp,
    /// The reason, where it is passed over.
    pub skipped: Option<String>,
}

/// What was found due of one schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    /// Its name.
    pub schedule: String,
    /// Its ticks.
    pub ticks: Vec<NewTick>,
    /// Until when it was looked.
    pub until: Option<Timestamp>,
    /// The moment may lie before the one that is known: a clock that went ahead was set right.
    pub back: bool,
}

/// A process that plans ticks or works on them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Worker {
    /// Its id.
    pub id: String,
    /// Its machine and process, for people.
    pub place: String,
    /// When it began.
    pub began: Timestamp,
    /// For how many seconds it was not heard of.
    pub silent_seconds: f64,
}

/// The timetable of a state.
pub struct Timetable<'a> {
    state: &'a State,
}

const TICK: &str = "id, schedule, due, start, state, why, run, worker, term, ended";

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

    /// All schedules the state knows of, by name.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        self.state.rows(&self.select_entries().text(" order by name"))?.iter().map(entry).collect()
    }

    /// One of them.
    pub fn entry(&self, name: &str) -> Result<Option<Entry>> {
        let select = self.select_entries().text(" where name = ").bind(name);
        self.state.rows(&select)?.first().map(entry).transpose()
    }

    fn select_entries(&self) -> Sql {
        Sql::new("select name, body, version, enabled, approval, looked, changed_at, changed_by from ")
            .table(&self.own("schedules"))
    }

    /// Changes a schedule, or adds it; its new version. With `expected`, only if it still has that version (0: if it is not
    /// there).
    pub fn put(&self, entry: &Entry, expected: Option<i64>, now: Timestamp) -> Result<i64> {
        let own = self.own("schedules");
        let json = |value: &Option<serde_json::Value>| {
            value.as_ref().map_or(Value::Null, |v| Value::Text(v.to_string()))
        };
        let enabled = entry.enabled.map_or(Value::Null, |on| Value::Int(i64::from(on)));
        self.state.change(|tx| {
            let select =
                Sql::new("select version from ").table(&own).text(" where name = ").bind(entry.name.as_str());
            let there = tx.rows(&select)?.first().and_then(|row| row[0].as_int());
            if expected.is_some_and(|expected| expected != there.unwrap_or(0)) {
                return Err(changed_meanwhile(&entry.name));
            }
            let version = there.unwrap_or(0) + 1;
            let statement = match there {
                Some(old) => Sql::new("update ")
                    .table(&own)
                    .text(" set body = ")
                    .bind(json(&entry.body))
                    .text(", version = ")
                    .bind(version)
                    .text(", enabled = ")
                    .bind(enabled.clone())
                    .text(", approval = ")
                    .bind(json(&entry.approval))
                    .text(", changed_at = ")
                    .bind(sortable(now))
                    .text(", changed_by = ")
                    .bind(entry.changed_by.as_str())
                    .text(" where name = ")
                    .bind(entry.name.as_str())
                    .text(" and version = ")
                    .bind(old),
                None => Sql::new("insert into ")
                    .table(&own)
                    .text(" (name, body, version, enabled, approval, changed_at, changed_by) values (")
                    .bind(entry.name.as_str())
                    .text(", ")
                    .bind(json(&entry.body))
                    .text(", ")
                    .bind(version)
                    .text(", ")
                    .bind(enabled.clone())
                    .text(", ")
                    .bind(json(&entry.approval))
                    .text(", ")
                    .bind(sortable(now))
                    .text(", ")
                    .bind(entry.changed_by.as_str())
                    .text(") on conflict (name) do nothing"),
            };
            match tx.execute(&statement)? {
                1 => Ok(version),
                _ => Err(changed_meanwhile(&entry.name)),
            }
        })
    }

    /// Forgets a schedule with all of its ticks but the one at work; whether it was there.
    pub fn remove(&self, name: &str, expected: Option<i64>) -> Result<bool> {
        let (schedules, ticks) = (self.own("schedules"), self.own("ticks"));
        self.state.change(|tx| {
            let mut gone = Sql::new("delete from ").table(&schedules).text(" where name = ").bind(name);
            if let Some(expected) = expected {
                gone = gone.text(" and version = ").bind(expected);
            }
            let there = Sql::new("select count(*) from ").table(&schedules).text(" where name = ").bind(name);
            let known = tx.count(&there)? > 0;
            if tx.execute(&gone)? == 0 {
                return if known { Err(changed_meanwhile(name)) } else { Ok(false) };
            }
            tx.execute(
                &Sql::new("delete from ")
                    .table(&ticks)
                    .text(" where schedule = ")
                    .bind(name)
                    .text(" and state <> 'claimed'"),
            )?;
            Ok(true)
        })
    }

    /// Notes ticks, those that are there already not again, and until when it was looked; how many are new.
    pub fn note(&self, all: &[Looked]) -> Result<u64> {
        let (schedules, own) = (self.own("schedules"), self.own("ticks"));
        self.state.change(|tx| {
            let mut new = 0;
            for looked in all {
                for tick in &looked.ticks {
                    new += tx.execute(&noted(&own, &looked.schedule, tick))?;
                }
                if let Some(until) = looked.until {
                    tx.execute(&looked_until(&schedules, looked, until))?;
                }
            }
            Ok(new)
        })
    }

    /// Takes the oldest tick that may begin, or one whose worker was not heard of for as long as its lease lasts. Never two
    /// of the same schedule. None when there is nothing to do.
    pub fn claim(&self, worker: &str, lease: Duration, now: Timestamp) -> Result<Option<Tick>> {
        let own = self.own("ticks");
        let clock = self.state.clock_us()?;
        let until = clock + i64::try_from(lease.as_micros()).unwrap_or(i64::MAX / 2);
        let free = |t: &str| {
            Sql::new(&format!("(({t}.state = 'waiting' and {t}.start <= "))
                .bind(sortable(now))
                .text(&format!(") or ({t}.state = 'claimed' and {t}.lease_us < "))
                .bind(clock)
                .text("))")
        };
        let passing = self.state.session().dialect().passing();
        let find = Sql::new("select t.id from ")
            .table(&own)
            .text(" as t where ")
            .add(&free("t"))
            .text(" and not exists (select 1 from ")
            .table(&own)
            .text(" as o where o.schedule = t.schedule and o.state = 'claimed' and o.id <> t.id) order by t.start, t.id limit 1")
            .add(&passing);
        let claimed = self.state.change(|tx| {
            let Some(id) = tx.rows(&find)?.first().and_then(|row| row[0].as_text().map(str::to_owned)) else {
                return Ok(None);
            };
            // Said again: where rows are not locked by looking at them, somebody else may have been quicker.
            let took = tx.execute(
                &Sql::new("update ")
                    .table(&own)
                    .text(" as t set state = 'claimed', term = t.term + 1, worker = ")
                    .bind(worker)
                    .text(", lease_us = ")
                    .bind(until)
                    .text(" where t.id = ")
                    .bind(id.as_str())
                    .text(" and ")
                    .add(&free("t")),
            )?;
            Ok((took == 1).then_some(id))
        });
        match claimed {
            Ok(Some(id)) => self.tick(&id),
            Ok(None) => Ok(None),
            // Another worker has taken another tick of the same schedule at this very moment.
            Err(error) if error.class == crate::error::Class::Data => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a tick is still this worker's; its lease is prolonged then.
    pub fn keep(&self, tick: &Tick, lease: Duration) -> Result<bool> {
        let until = self.state.clock_us()? + i64::try_from(lease.as_micros()).unwrap_or(i64::MAX / 2);
        self.change_mine(tick, Sql::new("lease_us = ").bind(until))
    }

    /// Notes the run of a tick before it begins; false when the tick is somebody else's by now.
    pub fn begin(&self, tick: &Tick, run: &str) -> Result<bool> {
        self.change_mine(tick, Sql::new("run = ").bind(run))
    }

    /// Puts a tick off; false when it is somebody else's by now.
    pub fn put_off(&self, tick: &Tick, until: Timestamp, why: &str) -> Result<bool> {
        self.change_mine(
            tick,
            Sql::new("state = 'waiting', why = ").bind(why).text(", start = ").bind(sortable(until)),
        )
    }

    /// Ends a tick; false when it is somebody else's by now.
    pub fn end(&self, tick: &Tick, state: TickState, why: Option<&str>, at: Timestamp) -> Result<bool> {
        let why = why.map_or(Value::Null, |why| Value::Text(why.to_owned()));
        let set = Sql::new("state = ")
            .bind(state.name())
            .text(", why = ")
            .bind(why)
            .text(", ended = ")
            .bind(sortable(at));
        self.change_mine(tick, set)
    }

    fn change_mine(&self, tick: &Tick, set: Sql) -> Result<bool> {
        let update = Sql::new("update ")
            .table(&self.own("ticks"))
            .text(" set ")
            .add(&set)
            .text(" where id = ")
            .bind(tick.id.as_str())
            .text(" and state = 'claimed' and term = ")
            .bind(tick.term);
        self.state.change(|tx| Ok(tx.execute(&update)? == 1))
    }

    /// Passes over the ticks of a schedule that wait while another one of it is at work; how many.
    pub fn pass_over(&self, schedule: &str, state: TickState, why: &str, now: Timestamp) -> Result<u64> {
        let own = self.own("ticks");
        let update = Sql::new("update ")
            .table(&own)
            .text(" as t set state = ")
            .bind(state.name())
            .text(", why = ")
            .bind(why)
            .text(", ended = ")
            .bind(sortable(now))
            .text(" where t.schedule = ")
            .bind(schedule)
            .text(" and t.state = 'waiting' and t.start <= ")
            .bind(sortable(now))
            .text(" and exists (select 1 from ")
            .table(&own)
            .text(" as o where o.schedule = t.schedule and o.state = 'claimed')");
        self.state.change(|tx| tx.execute(&update))
    }

    /// One tick.
    pub fn tick(&self, id: &str) -> Result<Option<Tick>> {
        let select = self.select_ticks().text(" where id = ").bind(id);
        self.state.rows(&select)?.first().map(|row| read(row)).transpose()
    }

    /// The last ticks, of one schedule or of all, newest first.
    pub fn ticks(&self, schedule: Option<&str>, limit: u64) -> Result<Vec<Tick>> {
        let mut select = self.select_ticks();
        if let Some(schedule) = schedule {
            select = select.text(" where schedule = ").bind(schedule);
        }
        let select = select.text(" order by due desc, id limit ").bind(limit.min(100_000) as i64);
        self.state.rows(&select)?.iter().map(|row| read(row)).collect()
    }

    /// The ticks that are not over.
    pub fn open(&self) -> Result<Vec<Tick>> {
        let select = self.select_ticks().text(" where state in ('waiting', 'claimed') order by start, id");
        self.state.rows(&select)?.iter().map(|row| read(row)).collect()
    }

    fn select_ticks(&self) -> Sql {
        Sql::new(&format!("select {TICK} from ")).table(&self.own("ticks"))
    }

    /// Forgets ticks that ended before a moment, but for the last one of each schedule.
    pub fn forget(&self, before: Timestamp) -> Result<u64> {
        let own = self.own("ticks");
        let gone = Sql::new("delete from ")
            .table(&own)
            .text(" where ended < ")
            .bind(sortable(before))
            .text(" and due < (select max(o.due) from ")
            .table(&own)
            .text(" as o where o.schedule = ")
            .table(&own)
            .text(".schedule)");
        self.state.change(|tx| tx.execute(&gone))
    }

    /// Says that a worker is there, or still is.
    pub fn arrive(&self, id: &str, place: &str, began: Timestamp) -> Result<()> {
        let heard = self.state.clock_us()?;
        self.state.write(&[Sql::new("insert into ")
            .table(&self.own("workers"))
            .text(" (id, place, began, heard_us) values (")
            .bind(id)
            .text(", ")
            .bind(place)
            .text(", ")
            .bind(sortable(began))
            .text(", ")
            .bind(heard)
            .text(") on conflict (id) do update set heard_us = excluded.heard_us")])
    }

    /// Says that a worker is gone, and forgets those not heard of for a day.
    pub fn leave(&self, id: &str) -> Result<()> {
        let silent = self.state.clock_us()? - 86_400_000_000;
        self.state.write(&[Sql::new("delete from ")
            .table(&self.own("workers"))
            .text(" where id = ")
            .bind(id)
            .text(" or heard_us < ")
            .bind(silent)])
    }

    /// The workers, those heard of last first.
    pub fn workers(&self) -> Result<Vec<Worker>> {
        let clock = self.state.clock_us()?;
        let select = Sql::new("select id, place, began, heard_us from ")
            .table(&self.own("workers"))
            .text(" order by heard_us desc, id");
        let worker = |row: &Vec<Value>| {
            Ok(Worker {
                id: text(row, 0)?,
                place: text(row, 1)?,
                began: moment(&text(row, 2)?)?,
                silent_seconds: (clock - row[3].as_int().unwrap_or(0)) as f64 / 1e6,
            })
        };
        self.state.rows(&select)?.iter().map(worker).collect()
    }
}

fn noted(own: &TableName, schedule: &str, tick: &NewTick) -> Sql {
    let (state, ended) = match tick.skipped {
        Some(_) => (TickState::Skipped, Value::Text(sortable(tick.start))),
        None => (TickState::Waiting, Value::Null),
    };
    Sql::new("insert into ")
        .table(own)
        .text(" (id, schedule, due, start, state, why, term, lease_us, ended) values (")
        .bind(crate::engine::new_id())
        .text(", ")
        .bind(schedule)
        .text(", ")
        .bind(sortable(tick.due))
        .text(", ")
        .bind(sortable(tick.start))
        .text(", ")
        .bind(state.name())
        .text(", ")
        .bind(tick.skipped.clone().map_or(Value::Null, Value::Text))
        .text(", 0, 0, ")
        .bind(ended)
        .text(") on conflict (schedule, due) do nothing")
}

fn looked_until(schedules: &TableName, looked: &Looked, until: Timestamp) -> Sql {
    let set = Sql::new("insert into ")
        .table(schedules)
        .text(" as s (name, version, looked, changed_by) values (")
        .bind(looked.schedule.as_str())
        .text(", 0, ")
        .bind(sortable(until))
        .text(", '') on conflict (name) do update set looked = excluded.looked");
    match looked.back {
        true => set,
        false => set.text(" where s.looked is null or s.looked < excluded.looked"),
    }
}

fn changed_meanwhile(name: &str) -> Error {
    Error::data(format!("the schedule `{name}` was changed meanwhile"))
        .help("look at it again, then change it")
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

fn entry(row: &Vec<Value>) -> Result<Entry> {
    let json = |n: usize| {
        maybe(row, n)
            .map(|text| serde_json::from_str(&text).map_err(|error| unreadable().because(error)))
            .transpose()
    };
    Ok(Entry {
        name: text(row, 0)?,
        body: json(1)?,
        version: row[2].as_int().unwrap_or(0),
        enabled: row[3].as_int().map(|on| on != 0),
        approval: json(4)?,
        looked: maybe(row, 5).map(|at| moment(&at)).transpose()?,
        changed_at: maybe(row, 6).map(|at| moment(&at)).transpose()?,
        changed_by: text(row, 7)?,
    })
}

fn read(row: &[Value]) -> Result<Tick> {
    Ok(Tick {
        id: text(row, 0)?,
        schedule: text(row, 1)?,
        due: moment(&text(row, 2)?)?,
        start: moment(&text(row, 3)?)?,
        state: TickState::parse(&text(row, 4)?),
        why: maybe(row, 5),
        run: maybe(row, 6),
        worker: maybe(row, 7),
        term: row[8].as_int().unwrap_or(0),
        ended: maybe(row, 9).map(|at| moment(&at)).transpose()?,
    })
}

impl State {
    /// Does something in one transaction; it may be done twice, when the answer to a commit was lost.
    fn change<T>(&self, each: impl Fn(&mut dyn Tx) -> Result<T>) -> Result<T> {
        super::patiently(|| {
            let mut session = self.session();
            let mut tx = session.begin(&self.limits)?;
            let done = each(tx.as_mut())?;
            tx.commit()?;
            Ok(done)
        })
    }
}
