//! Which process works on a run, and when it was last heard of.
//!
//! A row is there while the run is at work; what a dead process leaves behind is judged in `presence`.

use super::State;
use crate::error::{Error, Result};
use jiff::Timestamp;
use targets::db::{Limits, Session, Sql, Value};

/// The process of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The machine, as its kernel names this boot; empty where that cannot be told.
    pub host: String,
    /// The process.
    pub process: i64,
    /// When it began, in the kernel's own count: a number is given to another process one day.
    pub began: String,
    /// When it was last heard of, microseconds since 1970 by the clock of the state.
    pub heard_us: i64,
}

/// States of earlier versions have no such table.
pub(super) fn create(session: &mut dyn Session, limits: &Limits) -> Result<()> {
    let own = session.dialect().own("presences");
    let there = session.dialect().exists(&own);
    if session.count(&there)? > 0 {
        return Ok(());
    }
    let mut tx = session.begin(limits)?;
    tx.execute(&Sql::new("create table if not exists ").table(&own).text(
        " (run text not null primary key, host text not null, process bigint not null, began text not null, \
         heard_us bigint not null)",
    ))?;
    tx.commit()
}

impl State {
    /// The clock of the state, which all processes that share it can compare.
    pub fn clock_us(&self) -> Result<i64> {
        let clock = Sql::new("select ").add(&self.session().dialect().clock_us());
        let rows = self.rows(&clock)?;
        rows.first().and_then(|row| row[0].as_int()).ok_or_else(|| Error::system("the state tells no time"))
    }

    /// Notes that this process works on a run, or still does.
    pub fn arrive(&self, run: &str, seen: &Seen) -> Result<()> {
        self.write(&[self.arrival(run, seen)])
    }

    /// The statement that notes it.
    pub(super) fn arrival(&self, run: &str, seen: &Seen) -> Sql {
        Sql::new("insert into ")
            .table(&self.own("presences"))
            .text(" (run, host, process, began, heard_us) values (")
            .bind(run)
            .text(", ")
            .bind(seen.host.clone())
            .text(", ")
            .bind(seen.process)
            .text(", ")
            .bind(seen.began.clone())
            .text(", ")
            .bind(seen.heard_us)
            .text(
                ") on conflict (run) do update set host = excluded.host, process = excluded.process, \
                 began = excluded.began, heard_us = excluded.heard_us",
            )
    }

    /// Notes that this process no longer works on a run; another one may.
    pub fn leave(&self, run: &str, me: &Seen) -> Result<()> {
        self.write(&[Sql::new("delete from ")
            .table(&self.own("presences"))
            .text(" where run = ")
            .bind(run)
            .text(" and host = ")
            .bind(me.host.clone())
            .text(" and process = ")
            .bind(me.process)])
    }

    /// Who works, or worked, on a run.
    pub fn seen(&self, run: &str) -> Result<Option<Seen>> {
        let select = Sql::new("select host, process, began, heard_us from ")
            .table(&self.own("presences"))
            .text(" where run = ")
            .bind(run);
        let rows = self.rows(&select)?;
        Ok(rows.first().map(|row| Seen {
            host: row[0].as_text().unwrap_or_default().to_owned(),
            process: row[1].as_int().unwrap_or(0),
            began: row[2].as_text().unwrap_or_default().to_owned(),
            heard_us: row[3].as_int().unwrap_or(0),
        }))
    }

    /// What processes left behind whose runs are forgotten by now.
    pub(super) fn forget_presences(&self, before: Timestamp) -> Sql {
        Sql::new("delete from ")
            .table(&self.own("presences"))
            .text(" where heard_us < ")
            .bind(Value::Int(before.as_microsecond()))
    }
}
