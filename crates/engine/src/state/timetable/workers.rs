//! The processes that look after a timetable.

use super::{Timetable, moment, text};
use crate::error::Result;
use crate::state::runs::sortable;
use jiff::Timestamp;
use serde::Serialize;
use targets::db::{Sql, Value};

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

impl Timetable<'_> {
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
