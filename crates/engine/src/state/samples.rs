//! Samples: a few figures of each database from time to time, so that growth has a rate.

use super::State;
use super::runs::sortable;
use crate::error::{Error, Result};
use crate::operation::Earlier;
use jiff::{Timestamp, ToSpan};
use targets::db::{Limits, Session, Sql, Value};

/// Samples are kept for so many hours: a good year.
const KEPT: i64 = 400 * 24;

/// States of earlier versions have no such table.
pub(super) fn create(session: &mut dyn Session, limits: &Limits) -> Result<()> {
    let own = session.dialect().own("samples");
    let there = session.dialect().exists(&own);
    if session.count(&there)? > 0 {
        return Ok(());
    }
    let mut tx = session.begin(limits)?;
    tx.execute(
        &Sql::new("create table if not exists ")
            .table(&own)
            .text(" (place text not null, at text not null, body text not null, primary key (place, at))"),
    )?;
    tx.commit()
}

impl State {
    /// Keeps a sample of a database, and forgets those that are too old.
    pub fn keep_sample(&self, place: &str, at: Timestamp, sample: &serde_json::Value) -> Result<()> {
        let own = self.own("samples");
        let text = serde_json::to_string(sample)
            .map_err(|error| Error::system("cannot store a sample").because(error))?;
        let kept = Sql::new("insert into ")
            .table(&own)
            .text(" (place, at, body) values (")
            .bind(place)
            .text(", ")
            .bind(sortable(at))
            .text(", ")
            .bind(text)
            .text(") on conflict (place, at) do update set body = excluded.body");
        let mut statements = vec![kept];
        if let Ok(before) = at.checked_sub(KEPT.hours()) {
            statements.push(Sql::new("delete from ").table(&own).text(" where at < ").bind(sortable(before)));
        }
        self.write(&statements)
    }

    /// The samples of a database, newest first.
    pub fn samples(&self, place: &str, limit: u64) -> Result<Vec<Earlier>> {
        let select = Sql::new("select at, body from ")
            .table(&self.own("samples"))
            .text(" where place = ")
            .bind(place)
            .text(" order by at desc limit ")
            .bind(limit.min(10_000) as i64);
        let text = |row: &Vec<Value>, n: usize| row.get(n).and_then(Value::as_text).map(str::to_owned);
        // One that another version wrote and this one cannot read is as if it were not there.
        let read = |row: &Vec<Value>| {
            Some(Earlier {
                at: text(row, 0)?.parse().ok()?,
                result: serde_json::from_str(&text(row, 1)?).ok()?,
            })
        };
        Ok(self.rows(&select)?.iter().filter_map(read).collect())
    }
}
