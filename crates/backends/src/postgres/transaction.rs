//! One transaction that may write.
//!
//! Rolled back when dropped, also after the connection is gone. A failed transaction cannot be committed, and a commit
//! whose answer was lost says so: the checkpoint in the database tells what happened.

use super::load::Copying;
use super::message::Statement;
use super::session::Connected;
use targets::db::{Error, Load, Loader, Result, Row, Sql, Take, Taken, Tx};

/// How long a batch that may pass over locked rows waits before it looks for them.
const QUICK_MS: u32 = 20;

/// A transaction that may write.
pub(super) struct Working<'a> {
    pub session: &'a mut Connected,
    /// The longest wait for a lock, as the session has it set.
    pub lock_ms: u128,
    /// Statements that go with the next one.
    waiting: Vec<Sql>,
}

impl<'a> Working<'a> {
    /// One that has begun.
    pub fn new(session: &'a mut Connected, lock_ms: u128) -> Self {
        Self { session, lock_ms, waiting: Vec::new() }
    }
}

impl Working<'_> {
    /// Runs statements in one round trip, after those that waited for it. Whatever fails of them fails the transaction, so
    /// that none of them is tried twice.
    fn run(&mut self, statements: Vec<Statement>, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<u64> {
        let waiting = std::mem::take(&mut self.waiting);
        let rendered: Vec<_> = waiting.iter().map(|sql| sql.render(&self.session.dialect)).collect();
        let before =
            rendered.iter().map(|(text, params)| Statement { text, params: params.clone(), wanted: false });
        let all: Vec<Statement> = before.chain(statements).collect();
        self.session.wire.run(&all, each)
    }

    /// Runs a taking between other statements, all in one round trip.
    fn counted(&mut self, sql: &Sql, [before, after]: [&str; 2]) -> Result<Taken> {
        let (text, params) = sql.render(&self.session.dialect);
        let mut statements: Vec<Statement> = parts(before).map(Statement::aside).collect();
        statements.push(Statement { text: &text, params, wanted: true });
        statements.extend(parts(after).map(Statement::aside));
        let mut counts: Vec<u64> = Vec::new();
        let deleted = self.run(statements, &mut |row| {
            counts = row.iter().map(|value| value.as_int().unwrap_or(0).max(0) as u64).collect();
            Ok(())
        })?;
        let Some(gone) = counts.first().copied() else {
            return Ok(Taken { remembered: deleted, deleted, below: 0 });
        };
        let below = counts.iter().step_by(2).skip(1).sum();
        Ok(Taken { remembered: counts.iter().skip(1).step_by(2).sum(), deleted: gone, below })
    }
}

/// The statements of a script of ours, which holds no text with a semicolon.
fn parts(script: &str) -> impl Iterator<Item = &str> {
    script.split(';').map(str::trim).filter(|part| !part.is_empty())
}

impl Tx for Working<'_> {
    fn query(&mut self, sql: &Sql, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<u64> {
        let (text, params) = sql.render(&self.session.dialect);
        self.session.written += u64::from(text.starts_with("savepoint"));
        self.run(vec![Statement { text: &text, params, wanted: true }], each)
    }

    fn execute(&mut self, sql: &Sql) -> Result<u64> {
        self.query(sql, &mut |_| Ok(()))
    }

    fn later(&mut self, sql: Sql) -> Result<()> {
        self.waiting.push(sql);
        Ok(())
    }

    fn take(&mut self, take: &Take) -> Result<Taken> {
        let dialect = self.session.dialect.clone();
        if !dialect.is_quick(take) {
            return self.counted(&dialect.take_careful(take), ["", ""]);
        }
        let quick = dialect.take_quick(take);
        if !take.skip_locked {
            return self.counted(&quick, ["", ""]);
        }
        self.session.written += 1;
        let before = format!("savepoint sexton_take; set local lock_timeout = {QUICK_MS}");
        let after = format!("set local lock_timeout = {}; release savepoint sexton_take", self.lock_ms);
        match self.counted(&quick, [&before, &after]) {
            Err(error) if error.code.as_deref() == Some("55P03") => {
                self.session.wire.script("rollback to savepoint sexton_take", &mut |_| {})?;
                self.counted(&dialect.take_careful(take), ["", "release savepoint sexton_take"])
            }
            other => other,
        }
    }

    fn load<'a>(&'a mut self, load: &Load) -> Result<Box<dyn Loader + 'a>> {
        if !self.waiting.is_empty() {
            self.run(Vec::new(), &mut |_| Ok(()))?;
        }
        Ok(Box::new(Copying::begin(self.session, load)?))
    }

    fn commit(mut self: Box<Self>) -> Result<()> {
        self.committed("commit")
    }

    fn commit_soon(mut self: Box<Self>) -> Result<()> {
        self.committed("set local synchronous_commit = off; commit")
    }
}

impl Working<'_> {
    fn committed(&mut self, how: &str) -> Result<()> {
        let wire = &mut self.session.wire;
        // The server would answer the commit of a failed transaction with a rollback, and call it a success.
        if !wire.is_working() {
            return Err(match wire.is_lost() {
                true => Error::transient("the connection was lost before the commit: nothing was changed")
                    .code("08006"),
                false => Error::data("the transaction had failed before the commit: nothing was changed")
                    .code("25P02"),
            });
        }
        let committed = match self.waiting.is_empty() {
            true => wire.script(how, &mut |_| {}),
            false => self.run(parts(how).map(Statement::aside).collect(), &mut |_| Ok(())).map(drop),
        };
        committed.map_err(|error| match self.session.wire.is_lost() {
            true => {
                error.while_doing("the connection was lost during the commit, which may have happened or not")
            }
            false => error,
        })
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.session.wire.roll_back();
    }
}
