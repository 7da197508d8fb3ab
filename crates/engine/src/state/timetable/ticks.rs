//! Ticks: noted once, taken by one worker at a time, ended by the one who has them.

use super::ahead::{Words, nobody_was_quicker};
use super::{Timetable, maybe, moment, text};
use crate::error::Result;
use crate::state::runs::sortable;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use targets::db::{Sql, TableName, Value};

/// How a tick stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TickState {
    /// Nobody has begun.
    Waiting,
    /// A worker has set it aside and has not begun; whoever has nothing to do may begin it as well.
    Taken,
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
            TickState::Taken => "taken",
            TickState::Claimed => "claimed",
            TickState::Done => "done",
            TickState::Failed => "failed",
            TickState::Skipped => "skipped",
        }
    }

    /// Whether nobody has begun.
    pub fn is_open(self) -> bool {
        matches!(self, TickState::Waiting | TickState::Taken)
    }

    pub(super) fn parse(text: &str) -> Self {
        match text {
            "taken" => TickState::Taken,
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

/// No part of a tick that is about many databases.
const WHOLE: &str = "schedule not like '%/%'";
pub(super) const TICK: &str = "id, schedule, due, start, state, why, run, worker, term, ended";

impl Timetable<'_> {
    /// Notes ticks, those that are there already not again, and until when it was looked; how many are new.
    pub fn note(&self, all: &[Looked]) -> Result<u64> {
        let (schedules, own) = (self.own("schedules"), self.own("ticks"));
        let ring = self.ring();
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
            if let Some(ring) = ring.as_ref().filter(|_| new > 0) {
                tx.rows(ring)?;
            }
            Ok(new)
        })
    }

    /// Takes the oldest tick that nobody has begun, whoever has set it aside, or one whose worker was not heard of for as long as
    /// its lease lasts. Never two of the same schedule. None when there is nothing to do.
    pub fn claim(&self, worker: &str, lease: Duration, now: Timestamp) -> Result<Option<Tick>> {
        let words = self.words();
        self.claim_if(&words, worker, lease, &words.free(now))
    }

    /// Takes the oldest tick whose worker was not heard of for as long as its lease lasts.
    pub fn claim_lost(&self, worker: &str, lease: Duration) -> Result<Option<Tick>> {
        let words = self.words();
        self.claim_if(&words, worker, lease, &words.lost())
    }

    /// Takes this tick only, where it is free.
    pub fn claim_this(
        &self,
        id: &str,
        worker: &str,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Option<Tick>> {
        let words = self.words();
        self.claim_if(&words, worker, lease, &words.free(now).text(" and t.id = ").bind(id))
    }

    pub(super) fn claim_if(
        &self,
        words: &Words,
        worker: &str,
        lease: Duration,
        free: &Sql,
    ) -> Result<Option<Tick>> {
        let passing = self.state.session().dialect().passing();
        let find = Sql::new("select t.id from ")
            .table(&words.ticks)
            .text(" as t where ")
            .add(free)
            .add(&words.none_at_work())
            .text(" order by t.start, t.id limit 1")
            .add(&passing);
        let claimed = self.state.change(|tx| {
            let Some(id) = tx.rows(&find)?.first().and_then(|row| row[0].as_text().map(str::to_owned)) else {
                return Ok(None);
            };
            // Said again: where rows are not locked by looking at them, somebody else may have been quicker.
            tx.rows(&words.claim(&id, worker, lease, free))?.first().map(|row| read(row)).transpose()
        });
        nobody_was_quicker(claimed).map(Option::flatten)
    }

    /// Whether a tick is still this worker's; its lease is prolonged then.
    pub fn keep(&self, tick: &Tick, lease: Duration) -> Result<bool> {
        self.change_mine(tick, Sql::new("lease_us = ").add(&self.words().until(lease)), None)
    }

    /// Notes the run of a tick before it begins; false when the tick is somebody else's by now.
    pub fn begin(&self, tick: &Tick, run: &str) -> Result<bool> {
        self.change_mine(tick, Sql::new("run = ").bind(run), None)
    }

    /// Puts a tick off; false when it is somebody else's by now.
    pub fn put_off(&self, tick: &Tick, until: Timestamp, why: &str) -> Result<bool> {
        let set = Sql::new("state = 'waiting', why = ").bind(why).text(", start = ").bind(sortable(until));
        // Whoever is idle has to know how long to wait.
        self.change_mine(tick, set, Some(Sql::new("select 1")))
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
        self.change_mine(tick, set, Some(self.waiting(&tick.schedule, at)))
    }

    /// Changes a tick that is still this worker's, and rings where a query then counts something.
    fn change_mine(&self, tick: &Tick, set: Sql, rings: Option<Sql>) -> Result<bool> {
        let update = Sql::new("update ")
            .table(&self.own("ticks"))
            .text(" set ")
            .add(&set)
            .text(" where id = ")
            .bind(tick.id.as_str())
            .text(" and state = 'claimed' and term = ")
            .bind(tick.term);
        let ring = self.ring();
        self.state.change(|tx| {
            let mine = tx.execute(&update)? == 1;
            if let (true, Some(rings), Some(ring)) = (mine, &rings, &ring)
                && tx.count(rings)? > 0
            {
                tx.rows(ring)?;
            }
            Ok(mine)
        })
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
            .text(" and t.state in ('waiting', 'taken') and t.start <= ")
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
        select = match schedule {
            Some(schedule) => select.text(" where schedule = ").bind(schedule),
            None => select.text(" where ").text(WHOLE),
        };
        let select = select.text(" order by due desc, id limit ").bind(limit.min(100_000) as i64);
        self.state.rows(&select)?.iter().map(|row| read(row)).collect()
    }

    /// The last tick of every schedule that has one.
    pub fn last_of_each(&self) -> Result<BTreeMap<String, Tick>> {
        let own = self.own("ticks");
        let select = self
            .select_ticks()
            .text(&format!(" as t where {WHOLE} and not exists (select 1 from "))
            .table(&own)
            .text(" as o where o.schedule = t.schedule and o.due > t.due)");
        let ticks: Result<Vec<Tick>> = self.state.rows(&select)?.iter().map(|row| read(row)).collect();
        Ok(ticks?.into_iter().map(|tick| (tick.schedule.clone(), tick)).collect())
    }

    /// The ticks that are not over.
    pub fn open(&self) -> Result<Vec<Tick>> {
        let select = self
            .select_ticks()
            .text(&format!(" where {WHOLE} and state in ('waiting', 'taken', 'claimed') order by start, id"));
        self.state.rows(&select)?.iter().map(|row| read(row)).collect()
    }

    /// How many ticks that may begin, or have begun, are in each state, those of single databases too, and since when the oldest may.
    pub fn depth(&self, now: Timestamp) -> Result<Vec<(TickState, u64, Timestamp)>> {
        let select = Sql::new("select state, count(*), min(start) from ")
            .table(&self.own("ticks"))
            .text(" where state in ('waiting', 'taken', 'claimed') and start <= ")
            .bind(sortable(now))
            .text(" group by state order by state");
        let depth = |row: &Vec<Value>| {
            let many = row[1].as_int().unwrap_or(0).unsigned_abs();
            Ok((TickState::parse(&text(row, 0)?), many, moment(&text(row, 2)?)?))
        };
        self.state.rows(&select)?.iter().map(depth).collect()
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
}

pub(super) fn noted(own: &TableName, schedule: &str, tick: &NewTick) -> Sql {
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

pub(super) fn read(row: &[Value]) -> Result<Tick> {
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
