//! Who may write a run down: whoever has the highest term that was seen.
//!
//! A worker that takes a run over has a higher term than all before it. The row is changed in the transaction of whatever is
//! written down, so one who has lost the run, and does not know it yet, writes nothing between the lines of the other.

use super::State;
use crate::checkpoint::superseded;
use crate::error::Result;
use targets::db::{Limits, Session, Sql, TableName, Tx};

/// States of earlier versions have no such table.
pub(super) fn create(session: &mut dyn Session, limits: &Limits) -> Result<()> {
    let own = session.dialect().own("terms");
    let there = session.dialect().exists(&own);
    if session.count(&there)? > 0 {
        return Ok(());
    }
    let mut tx = session.begin(limits)?;
    tx.execute(
        &Sql::new("create table if not exists ")
            .table(&own)
            .text(" (run text not null primary key, term bigint not null)"),
    )?;
    tx.commit()
}

impl State {
    /// Takes a run over under this term.
    pub fn claim_run(&self, run: &str, term: i64) -> Result<()> {
        let own = self.own("terms");
        self.change(|tx| under(tx, &own, run, term))
    }

    /// The term of a run; 0 where nobody counts.
    pub fn term(&self, run: &str) -> Result<i64> {
        let select = Sql::new("select term from ").table(&self.own("terms")).text(" where run = ").bind(run);
        Ok(self.rows(&select)?.first().and_then(|row| row[0].as_int()).unwrap_or(0))
    }

    /// Runs statements about a run in one transaction, which fails when somebody has it under a higher term.
    pub(super) fn write_under(&self, run: &str, term: i64, statements: &[Sql]) -> Result<()> {
        let own = self.own("terms");
        self.change(|tx| {
            // Most runs belong to nobody else but the process that began them.
            if term > 0 {
                under(tx, &own, run, term)?;
            }
            for statement in statements {
                tx.execute(statement)?;
            }
            Ok(())
        })
    }
}

/// Notes that a run is written down under this term; refused where a higher one was seen.
pub(super) fn under(tx: &mut dyn Tx, own: &TableName, run: &str, term: i64) -> Result<()> {
    let mine = Sql::new("insert into ")
        .table(own)
        .text(" as t (run, term) values (")
        .bind(run)
        .text(", ")
        .bind(term)
        .text(") on conflict (run) do update set term = excluded.term where t.term <= excluded.term");
    match tx.execute(&mine)? {
        1 => Ok(()),
        _ => Err(superseded()),
    }
}
