//! PostgreSQL behind the contract of `targets`.
//!
//! Promises: nothing waits without a limit, a reading session cannot write, values survive to the bit, and all of it
//! also behind a transaction pooler. Passwords come from the URL or the password file, never from the environment.

mod access;
mod address;
mod age;
mod age_text;
mod binding;
mod bloat;
mod cells;
mod chores;
mod compaction;
mod connect;
mod copies;
mod dialect;
mod dump_stream;
mod errors;
mod index_statements;
mod inspection;
mod leftovers;
mod listen;
mod load;
mod lock;
mod message;
mod moment;
mod numeric;
mod objects;
mod passfile;
mod pool;
mod pulse;
mod references;
mod schema;
mod script;
mod session;
mod side_by_side;
mod soundness;
mod taking;
mod tls;
mod tools;
mod trace;
mod traffic;
mod transaction;
mod upkeep;
mod values;
mod wire;

pub use pool::{Keep, Pool};

use address::Address;
use dialect::Spelling;
use session::Connected;
use std::sync::Arc;
use targets::db::{Copies, Database, Dialect, Facts, Listener, Result, Session, Url};

/// A PostgreSQL database.
pub struct Postgres {
    label: String,
    url: Url,
    dialect: Spelling,
    pool: Option<Arc<Pool>>,
}

impl Postgres {
    /// Connects only when asked; a wrong URL is reported then.
    pub fn new(label: &str, url: Url) -> Self {
        Self { label: label.to_owned(), url, dialect: Spelling::default(), pool: None }
    }

    /// The same, with sessions that others have used and will use.
    pub fn with_sessions_of(self, pool: Option<Arc<Pool>>) -> Self {
        Self { pool, ..self }
    }

    fn connect(&self, read_only: bool) -> Result<Connected> {
        let address = Address { pool: self.pool.clone(), ..Address::parse(&self.url.expose())? };
        Connected::open(address, self.dialect.clone(), read_only)
            .map_err(|error| error.while_doing(&format!("connecting to `{}`", self.label)))
    }
}

impl Database for Postgres {
    fn label(&self) -> &str {
        &self.label
    }

    fn dialect(&self) -> &dyn Dialect {
        &self.dialect
    }

    fn read(&self) -> Result<Box<dyn Facts>> {
        Ok(Box::new(self.connect(true)?))
    }

    fn hold(&self) -> Result<Option<Box<dyn Facts>>> {
        let mut session = self.connect(true)?;
        // It would keep one of the pooler's few connections.
        if session.pooled {
            return Ok(None);
        }
        session.hold()?;
        Ok(Some(Box::new(session)))
    }

    fn open(&self) -> Result<Box<dyn Session>> {
        Ok(Box::new(self.connect(false)?))
    }

    fn opens_slowly(&self) -> bool {
        true
    }

    fn copies(&self) -> &dyn Copies {
        self
    }

    fn together(&self, most: usize) -> Result<Vec<Box<dyn Facts>>> {
        let mut first = self.connect(true)?;
        let name = first.fix(None)?;
        let mut sessions: Vec<Box<dyn Facts>> = Vec::new();
        // a pooler has few connections, and these would keep theirs
        let most = if first.pooled { 1 } else { most.max(1) };
        for _ in 1..most {
            let mut session = self.connect(true)?;
            session.fix(Some(&name))?;
            sessions.push(Box::new(session));
        }
        sessions.push(Box::new(first));
        Ok(sessions)
    }

    fn listen(&self, name: &str) -> Result<Option<Box<dyn Listener>>> {
        let address = Address::parse(&self.url.expose())?;
        let ear = listen::open(&address, name)
            .map_err(|error| error.while_doing(&format!("connecting to `{}`", self.label)))?;
        Ok(ear.map(|ear| Box::new(ear) as Box<dyn Listener>))
    }
}

/// Plays the application for `testing`.
pub(crate) fn script(url: &str, sql: &str, each: &mut dyn FnMut(Vec<Option<String>>)) -> Result<()> {
    Guest::connect(url)?.script(sql, each)
}

/// Plays an application that stays connected, for `testing`.
pub(crate) struct Guest(wire::Wire);

impl Guest {
    pub fn connect(url: &str) -> Result<Self> {
        let address = Address { application: "application", ..Address::parse(url)? };
        Ok(Self(wire::Wire::open(&address)?))
    }

    /// Runs a script.
    pub fn script(&mut self, sql: &str, each: &mut dyn FnMut(Vec<Option<String>>)) -> Result<()> {
        self.0.script(sql, each)
    }

    /// Runs one statement; the number of rows that it changed.
    pub fn change(&mut self, sql: &str) -> Result<u64> {
        self.0.count(sql)
    }
}
