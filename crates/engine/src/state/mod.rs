//! Sexton's own memory: runs, their events, requests to stop, the audit trail, samples of databases, messages to be sent.
//!
//! A database like any other, reached through the same contract, so it is SQLite by default and PostgreSQL when
//! several workers share it. It is never the truth about the maintained data: that lies in its checkpoint.

mod belief;
mod outbox;
mod plans;
mod presences;
mod runs;
mod samples;
mod sessions;
mod terms;
mod timetable;
mod tokens;

pub use outbox::{Alarm, NewNote, Note, NoteState, Outbox};
pub use plans::{ShownPlan, ShownPlans};
pub use presences::Seen;
pub use runs::{Audit, RunRecord};
pub use sessions::{PageSession, Sessions};
pub use timetable::{
    Bell, Due, Entry, Looked, NewTick, Part, Share, Stamp, Tick, TickState, Timetable, Worker,
};
pub use tokens::{Role, Token, Tokens};

use crate::error::{Error, Result};
use crate::retry;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use targets::db::{Database, Limits, Session, Sql, Tx, Value};

/// The format of the state this version writes.
const FORMAT: i64 = 1;

/// A worker that falls asleep in the middle of a change must not keep others from the timetable for longer: less than they wait
/// before they give up. A change is a few statements with nothing in between.
const ASLEEP: Duration = Duration::from_secs(5);

/// An open state.
pub struct State {
    database: Arc<dyn Database>,
    session: Mutex<Box<dyn Session>>,
    limits: Limits,
}

impl State {
    /// Opens the state and brings it to this version's format. A newer format is refused.
    pub fn open(database: &Arc<dyn Database>) -> Result<Self> {
        // Of several processes that make a new state at the same moment, all but one find that it was made meanwhile: at worst once
        // for each of its tables.
        let mut tries = 0;
        let mut waits = retry::waits(retry::USUAL);
        loop {
            match Self::open_once(database) {
                Err(error) if tries < 50 && is_made_by_another(&error) => tries += 1,
                // The one who makes it takes long.
                Err(error) if retry::may_retry(error.class) => match waits.next() {
                    Some(wait) => std::thread::sleep(wait),
                    None => return Err(error),
                },
                outcome => return outcome,
            }
        }
    }

    fn open_once(database: &Arc<dyn Database>) -> Result<Self> {
        let mut session = database.open().map_err(elsewhere)?;
        let limits = Limits { idle: ASLEEP, ..Limits::default() };
        let meta = session.dialect().own("meta");
        let there = session.dialect().exists(&meta);
        if session.count(&there)? == 0 {
            create(session.as_mut(), &limits)?;
        }
        presences::create(session.as_mut(), &limits)?;
        samples::create(session.as_mut(), &limits)?;
        belief::create(session.as_mut(), &limits)?;
        timetable::create(session.as_mut(), &limits)?;
        tokens::create(session.as_mut(), &limits)?;
        outbox::create(session.as_mut(), &limits)?;
        sessions::create(session.as_mut(), &limits)?;
        terms::create(session.as_mut(), &limits)?;
        plans::create(session.as_mut(), &limits)?;
        let format = session.value(&Sql::new("select format from ").table(&meta))?.as_int().unwrap_or(0);
        if format > FORMAT {
            return Err(Error::system(format!(
                "the state `{}` has format {format}, this version knows {FORMAT}",
                database.label()
            ))
            .help("use the newer version of sexton that wrote it, or another state folder (`[state]`)"));
        }
        Ok(Self { database: Arc::clone(database), session: Mutex::new(session), limits })
    }

    /// Where it is kept, for another session.
    pub(crate) fn database(&self) -> Arc<dyn Database> {
        Arc::clone(&self.database)
    }

    /// Whether there is a state in this database. Writes nothing.
    pub fn is_there(database: &Arc<dyn Database>) -> Result<bool> {
        let mut facts = database.read()?;
        let there = facts.dialect().exists(&facts.dialect().own("meta"));
        Ok(facts.count(&there)? > 0)
    }

    /// The session, also after a panic elsewhere: each use is one transaction of its own.
    fn session(&self) -> MutexGuard<'_, Box<dyn Session>> {
        self.session.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Runs statements in one transaction. They may be run twice, when the answer to a commit was lost.
    fn write(&self, statements: &[Sql]) -> Result<()> {
        patiently(|| {
            let mut session = self.session();
            let mut tx = session.begin(&self.limits)?;
            for statement in statements {
                tx.execute(statement)?;
            }
            tx.commit()
        })
    }

    /// Does something in one transaction; it may be done twice, when the answer to a commit was lost.
    fn change<T>(&self, each: impl Fn(&mut dyn Tx) -> Result<T>) -> Result<T> {
        patiently(|| {
            let mut session = self.session();
            let mut tx = session.begin(&self.limits)?;
            let done = each(tx.as_mut())?;
            tx.commit()?;
            Ok(done)
        })
    }

    fn rows(&self, sql: &Sql) -> Result<Vec<Vec<Value>>> {
        patiently(|| self.session().rows(sql))
    }

    fn own(&self, name: &str) -> targets::db::TableName {
        self.session().dialect().own(name)
    }
}

/// A key, schema, table or type that is there although it was not a moment ago.
fn is_made_by_another(error: &Error) -> bool {
    matches!(error.code.as_deref(), Some("23505" | "42P06" | "42P07" | "42710"))
}

/// Whatever is wrong with the place of the state, it may be put elsewhere.
fn elsewhere(error: Error) -> Error {
    let or = "choose another place for the state: `[state]` with `folder = \"…\"` in the configuration, or another `XDG_STATE_HOME`";
    match &error.help {
        Some(help) => {
            let both = format!("{help}; or {or}");
            error.help(both)
        }
        None => error.help(or),
    }
}

/// Tries again what others or a restart of the server were in the way of: a run should not end because of its log.
fn patiently<T>(attempt: impl Fn() -> Result<T>) -> Result<T> {
    let mut waits = retry::waits(retry::USUAL);
    loop {
        let error = match attempt() {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        match waits.next().filter(|_| retry::may_retry(error.class)) {
            Some(wait) => std::thread::sleep(wait),
            None if error.what.contains("`state`") => return Err(error),
            None => return Err(error.while_doing("the state")),
        }
    }
}

fn create(session: &mut dyn Session, limits: &Limits) -> Result<()> {
    let dialect = session.dialect();
    let table = |name: &str, columns: &str| {
        Sql::new("create table if not exists ").table(&dialect.own(name)).text(&format!(" ({columns})"))
    };
    let mut statements: Vec<Sql> = dialect.prepare_own().into_iter().collect();
    statements.push(table("meta", "format bigint not null"));
    statements.push(table(
        "runs",
        "id text not null primary key, correlation_id text not null, started_at text not null, actor text not null, \
         source text not null, dry_run bigint not null, operations text not null, plan text not null, report text",
    ));
    statements.push(table(
        "events",
        "run text not null, seq bigint not null, body text not null, primary key (run, seq)",
    ));
    statements.push(table("stops", "run text not null primary key, actor text not null, at text not null"));
    statements.push(table(
        "audit",
        "at text not null, actor text not null, action text not null, object text not null, detail text not null",
    ));
    statements.push(
        Sql::new("create index if not exists sexton_runs_started on ")
            .table(&dialect.own("runs"))
            .text(" (started_at)"),
    );
    statements.push(
        Sql::new("insert into ")
            .table(&dialect.own("meta"))
            .text(" (format) select ")
            .bind(FORMAT)
            .text(" where not exists (select 1 from ")
            .table(&dialect.own("meta"))
            .text(")"),
    );
    let mut tx = session.begin(limits)?;
    for statement in &statements {
        tx.execute(statement)?;
    }
    tx.commit()
}
