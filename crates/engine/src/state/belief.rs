//! The newest moment at which the clock was believed: no guard doubted it, or a person allowed the run all the same.
//!
//! Runs themselves are no proof: one that was refused for its clock is in the log too.

use super::State;
use super::runs::sortable;
use crate::error::Result;
use jiff::Timestamp;
use targets::db::{Limits, Session, Sql, Value};

/// States of earlier versions have no such table.
pub(super) fn create(session: &mut dyn Session, limits: &Limits) -> Result<()> {
    let own = session.dialect().own("clock");
    let there = session.dialect().exists(&own);
    if session.count(&there)? > 0 {
        return Ok(());
    }
    let mut tx = session.begin(limits)?;
    tx.execute(
        &Sql::new("create table if not exists ")
            .table(&own)
            .text(" (id bigint not null primary key, believed_at text not null)"),
    )?;
    tx.commit()
}

impl State {
    /// When the clock was believed last.
    pub fn believed(&self) -> Result<Option<Timestamp>> {
        let select = Sql::new("select believed_at from ").table(&self.own("clock")).text(" where id = 1");
        let rows = self.rows(&select)?;
        Ok(rows.first().and_then(|row| row.first()).and_then(Value::as_text).and_then(|at| at.parse().ok()))
    }

    /// Believes the clock that shows `at`, also where it showed something later before.
    pub fn believe(&self, at: Timestamp) -> Result<()> {
        self.write(&[Sql::new("insert into ")
            .table(&self.own("clock"))
            .text(" (id, believed_at) values (1, ")
            .bind(sortable(at))
            .text(") on conflict (id) do update set believed_at = excluded.believed_at")])
    }
}
