//! Taking ahead: a worker sets a fair share of what is due aside for itself with one statement, and begins one after the other.
//!
//! What is set aside is not at work, and it is nobody's: whoever has nothing to do begins it just the same, so neither a long run nor
//! the death of the one who has it holds it up. Beginning is one statement that only one of them can do.

use super::ticks::{TICK, read};
use super::{Tick, Timetable, text};
use crate::error::{Class, Result};
use crate::state::runs::sortable;
use jiff::Timestamp;
use std::time::Duration;
use targets::db::{Sql, TableName};

/// The most that is set aside at a time.
const MOST: u64 = 256;
/// What is set aside, and neither begun nor set aside again within this time, is free like what waits: its worker is gone.
const KEPT_US: i64 = 5_000_000;
/// Workers heard of within this time share what there is.
const HEARD_US: i64 = 30_000_000;

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Due {
    /// How many wait for a worker.
    pub waiting: u64,
    /// How many are set aside and not begun.
    pub ahead: u64,
    /// How many are at work by a worker that is not heard of any more.
    pub lost: u64,
    /// How many processes share it.
    pub processes: u64,
}

/// What a worker has taken.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Share {
    /// This one it has begun.
    pub first: Option<Tick>,
    /// The ids of those that it has set aside, the oldest first.
    pub ahead: Vec<String>,
}

impl Timetable<'_> {
    /// What there is to do for a worker. Nothing is changed, and nobody kept out.
    pub fn due(&self, now: Timestamp) -> Result<Due> {
        let words = self.words();
        let many = |sql: Sql, free: Sql| {
            sql.text("(select count(*) from ").table(&words.ticks).text(" as t where ").add(&free).text("), ")
        };
        let select = many(Sql::new("select "), words.waits(now).add(&words.none_at_work()));
        let select = many(select, words.ahead(now).add(&words.none_at_work()));
        let select = many(select, words.lost())
            .text("(select count(*) from ")
            .table(&self.own("workers"))
            .text(" where heard_us > ")
            .add(&words.clock)
            .text(" - ")
            .bind(HEARD_US)
            .text(")");
        let rows = self.state.rows(&select)?;
        let number = |n: usize| rows.first().and_then(|row| row[n].as_int()).unwrap_or(0).unsigned_abs();
        Ok(Due { waiting: number(0), ahead: number(1), lost: number(2), processes: number(3).max(1) })
    }

    /// Begins the oldest tick that waits, and sets the next ones aside: all in all this worker's share of what there is, where so
    /// many of them share it. What it had set aside before is free again.
    pub fn take(&self, worker: &str, sharers: u64, lease: Duration, now: Timestamp) -> Result<Share> {
        let words = self.words();
        let release = words.release(worker);
        let open = Sql::new("select count(*) from ")
            .table(&words.ticks)
            .text(" as t where ")
            .add(&words.waits(now))
            .text(" or ")
            .add(&words.ahead(now));
        // Of one schedule only the oldest, which has to end before the next may begin.
        let find = Sql::new("select t.id from ")
            .table(&words.ticks)
            .text(" as t where (")
            .add(&words.waits(now))
            .text(" or ")
            .add(&words.left(now))
            .text(")")
            .add(&words.none_at_work())
            .text(" and not exists (select 1 from ")
            .table(&words.ticks)
            .text(
                " as e where e.schedule = t.schedule and e.state in ('waiting', 'taken') \
                 and (e.start < t.start or (e.start = t.start and e.id < t.id))) order by t.start, t.id limit ",
            );
        let passing = self.state.session().dialect().passing();
        let taken = self.state.change(|tx| {
            tx.execute(&release)?;
            let share = tx.count(&open)?.div_ceil(sharers.max(1)).clamp(1, MOST);
            let mut ids = Vec::new();
            for row in tx.rows(&find.clone().bind(share as i64).add(&passing))? {
                ids.push(text(&row, 0)?);
            }
            let Some(first) = ids.first() else { return Ok(Share::default()) };
            let begun = tx.rows(&words.begin(first, worker, lease, now))?;
            let first = begun.first().map(|row| read(row)).transpose()?;
            let ahead = ids.split_off(1);
            if !ahead.is_empty() {
                tx.execute(&words.set_aside(&ahead, worker))?;
            }
            Ok(Share { first, ahead })
        });
        nobody_was_quicker(taken).map(Option::unwrap_or_default)
    }

    /// Begins one that this worker has set aside; none where somebody else was quicker, or where it has to wait by now.
    pub fn take_next(&self, id: &str, worker: &str, lease: Duration, now: Timestamp) -> Result<Option<Tick>> {
        let begin = self.words().begin(id, worker, lease, now);
        let begun = self.state.change(|tx| tx.rows(&begin)?.first().map(|row| read(row)).transpose());
        nobody_was_quicker(begun).map(Option::flatten)
    }

    /// Gives back what this worker has set aside; how many there were.
    pub fn give_back(&self, worker: &str) -> Result<u64> {
        let (release, ring) = (self.words().release(worker), self.ring());
        self.state.change(|tx| {
            let many = tx.execute(&release)?;
            if let Some(ring) = ring.as_ref().filter(|_| many > 0) {
                tx.rows(ring)?;
            }
            Ok(many)
        })
    }

    pub(super) fn words(&self) -> Words {
        let ticks = self.own("ticks");
        Words { ticks, clock: self.state.session().dialect().clock_us() }
    }
}

/// What statements about ticks, as `t`, are made of.
pub(super) struct Words {
    pub(super) ticks: TableName,
    /// The clock of the state, which all workers can compare.
    pub(super) clock: Sql,
}

impl Words {
    fn open_as(state: &str, now: Timestamp) -> Sql {
        Sql::new(&format!("(t.state = '{state}' and t.start <= ")).bind(sortable(now))
    }

    /// It may begin, and nobody has it.
    fn waits(&self, now: Timestamp) -> Sql {
        Self::open_as("waiting", now).text(")")
    }

    /// Somebody has set it aside.
    fn ahead(&self, now: Timestamp) -> Sql {
        Self::open_as("taken", now).text(")")
    }

    /// Somebody has set it aside and is gone since.
    fn left(&self, now: Timestamp) -> Sql {
        Self::open_as("taken", now).text(" and t.lease_us < ").add(&self.clock).text(")")
    }

    /// It is at work by a worker of which nothing is heard any more.
    pub(super) fn lost(&self) -> Sql {
        Sql::new("(t.state = 'claimed' and t.lease_us < ").add(&self.clock).text(")")
    }

    /// Whatever a worker may begin that has nothing else to do.
    pub(super) fn free(&self, now: Timestamp) -> Sql {
        Sql::new("(")
            .add(&self.waits(now))
            .text(" or ")
            .add(&self.ahead(now))
            .text(" or ")
            .add(&self.lost())
            .text(")")
    }

    /// The end of a condition: no other tick of the schedule is at work.
    pub(super) fn none_at_work(&self) -> Sql {
        Sql::new(" and not exists (select 1 from ")
            .table(&self.ticks)
            .text(" as o where o.schedule = t.schedule and o.state = 'claimed' and o.id <> t.id)")
    }

    /// When a lease that begins now is over.
    pub(super) fn until(&self, lease: Duration) -> Sql {
        let lease = i64::try_from(lease.as_micros()).unwrap_or(i64::MAX / 2);
        Sql::new("").add(&self.clock).text(" + ").bind(lease)
    }

    /// Makes a tick a worker's where it is free like this, and yields it.
    pub(super) fn claim(&self, id: &str, worker: &str, lease: Duration, free: &Sql) -> Sql {
        Sql::new("update ")
            .table(&self.ticks)
            .text(" as t set state = 'claimed', term = t.term + 1, worker = ")
            .bind(worker)
            .text(", lease_us = ")
            .add(&self.until(lease))
            .text(" where t.id = ")
            .bind(id)
            .text(" and ")
            .add(free)
            .text(&format!(" returning {TICK}"))
    }

    /// The same for one that nobody has begun, unless another one of its schedule is at work.
    fn begin(&self, id: &str, worker: &str, lease: Duration, now: Timestamp) -> Sql {
        let open = Sql::new("(").add(&self.waits(now)).text(" or ").add(&self.ahead(now)).text(")");
        self.claim(id, worker, lease, &open.add(&self.none_at_work()))
    }

    /// Sets these aside, those of them that nobody has begun meanwhile.
    fn set_aside(&self, ids: &[String], worker: &str) -> Sql {
        let mut update = Sql::new("update ")
            .table(&self.ticks)
            .text(" set state = 'taken', worker = ")
            .bind(worker)
            .text(", lease_us = ")
            .add(&self.clock)
            .text(" + ")
            .bind(KEPT_US)
            .text(" where state in ('waiting', 'taken') and id in (");
        for (n, id) in ids.iter().enumerate() {
            update = update.text(if n > 0 { ", " } else { "" }).bind(id.as_str());
        }
        update.text(")")
    }

    fn release(&self, worker: &str) -> Sql {
        Sql::new("update ")
            .table(&self.ticks)
            .text(" set state = 'waiting' where state = 'taken' and worker = ")
            .bind(worker)
    }
}

/// Two tell the database at the same moment that they begin ticks of one schedule: the second is told no.
pub(super) fn nobody_was_quicker<T>(outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.class == Class::Data => Ok(None),
        Err(error) => Err(error),
    }
}
