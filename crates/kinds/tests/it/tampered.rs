//! A database that passes everything on, and lets a test interfere with transactions: at their beginning, and between
//! a commit and its answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use targets::db::{
    Access, Command, Copies, Database, Dialect, Edge, Error, Facts, GAVE_WAY, Limits, List, Load, Loader,
    Object, Performed, Pulse, Result, Row, Schema, Seen, Server, Session, Soundness, Sql, Table, TableName,
    Take, Taken, Traffic, Tx, Upkeep,
};

type Begun = Box<dyn FnMut(u64, &mut dyn Tx) + Send>;
type Felt = Box<dyn FnMut(u64, &mut Pulse) + Send>;

/// What the test does to transactions, numbered from 1 over all sessions.
pub struct Tampered {
    inner: Arc<dyn Database>,
    hooks: Arc<Hooks>,
}

struct Hooks {
    count: AtomicU64,
    begun: Mutex<Begun>,
    /// The answer to the commit of this transaction is lost.
    lost: u64,
    /// This transaction gives way at once.
    gives_way: u64,
    /// Sessions can keep lists.
    lists: bool,
    looks: AtomicU64,
    felt: Mutex<Felt>,
}

impl Hooks {
    fn none() -> Self {
        Self {
            count: AtomicU64::new(0),
            begun: Mutex::new(Box::new(|_, _| {})),
            lost: 0,
            gives_way: 0,
            lists: true,
            looks: AtomicU64::new(0),
            felt: Mutex::new(Box::new(|_, _| {})),
        }
    }
}

impl Tampered {
    /// Calls `begun` with the number of each transaction when it has begun.
    pub fn at_begin(
        inner: Arc<dyn Database>,
        begun: impl FnMut(u64, &mut dyn Tx) + Send + 'static,
    ) -> Arc<Self> {
        let hooks = Hooks { begun: Mutex::new(Box::new(begun)), ..Hooks::none() };
        Arc::new(Self { inner, hooks: Arc::new(hooks) })
    }

    /// The n-th commit happens, but whoever asked for it is told that the connection was lost.
    pub fn losing_answer(inner: Arc<dyn Database>, nth: u64) -> Arc<Self> {
        let hooks = Hooks { lost: nth, ..Hooks::none() };
        Arc::new(Self { inner, hooks: Arc::new(hooks) })
    }

    /// The n-th transaction ends as a long one does when somebody comes.
    pub fn giving_way(inner: Arc<dyn Database>, nth: u64) -> Arc<Self> {
        let hooks = Hooks { gives_way: nth, ..Hooks::none() };
        Arc::new(Self { inner, hooks: Arc::new(hooks) })
    }

    /// Sessions that change data feel another pulse at the n-th look: `felt` changes what the database told.
    pub fn feeling(
        inner: Arc<dyn Database>,
        felt: impl FnMut(u64, &mut Pulse) + Send + 'static,
    ) -> Arc<Self> {
        let hooks = Hooks { felt: Mutex::new(Box::new(felt)), ..Hooks::none() };
        Arc::new(Self { inner, hooks: Arc::new(hooks) })
    }

    /// Sessions can keep nothing, as behind a transaction pooler.
    pub fn keeping_no_list(inner: Arc<dyn Database>) -> Arc<Self> {
        let hooks = Hooks { lists: false, ..Hooks::none() };
        Arc::new(Self { inner, hooks: Arc::new(hooks) })
    }
}

impl Database for Tampered {
    fn label(&self) -> &str {
        self.inner.label()
    }

    fn dialect(&self) -> &dyn Dialect {
        self.inner.dialect()
    }

    fn read(&self) -> Result<Box<dyn Facts>> {
        self.inner.read()
    }

    fn open(&self) -> Result<Box<dyn Session>> {
        Ok(Box::new(Watched { inner: self.inner.open()?, hooks: Arc::clone(&self.hooks) }))
    }

    fn copies(&self) -> &dyn Copies {
        self.inner.copies()
    }

    fn together(&self, most: usize) -> Result<Vec<Box<dyn Facts>>> {
        self.inner.together(most)
    }
}

struct Watched {
    inner: Box<dyn Session>,
    hooks: Arc<Hooks>,
}

impl Facts for Watched {
    fn bloat(&mut self, wanted: &targets::db::Measuring) -> Result<Vec<targets::db::Bloat>> {
        self.inner.bloat(wanted)
    }

    fn dialect(&self) -> &dyn Dialect {
        self.inner.dialect()
    }
    fn server(&mut self) -> Result<Server> {
        self.inner.server()
    }
    fn schema(&mut self) -> Result<Schema> {
        self.inner.schema()
    }
    fn objects(&mut self) -> Result<Vec<Object>> {
        self.inner.objects()
    }
    fn query(&mut self, sql: &Sql, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<u64> {
        self.inner.query(sql, each)
    }
    fn scan(&mut self, sql: &Sql, each: &mut dyn FnMut(&[Seen<'_>]) -> Result<()>) -> Result<u64> {
        self.inner.scan(sql, each)
    }
    fn takes(&mut self, sql: &Sql) -> Result<std::time::Duration> {
        self.inner.takes(sql)
    }
    fn access(&mut self, sql: &Sql) -> Result<Access> {
        self.inner.access(sql)
    }
    fn edge(&mut self, table: &Table, from: Option<&Row>, rows: u64) -> Result<Option<Edge>> {
        self.inner.edge(table, from, rows)
    }
    fn edge_of(
        &mut self,
        table: &Table,
        from: Option<&Row>,
        rows: u64,
        condition: &Sql,
    ) -> Result<Option<(Row, Row)>> {
        self.inner.edge_of(table, from, rows, condition)
    }
    fn list(&mut self, name: &str, select: &Sql, order: &[&str]) -> Result<Option<List>> {
        if !self.hooks.lists {
            return Ok(None);
        }
        self.inner.list(name, select, order)
    }
    fn soundness(&mut self, most: usize) -> Result<Soundness> {
        self.inner.soundness(most)
    }
    fn pulse(&mut self) -> Result<Pulse> {
        let mut pulse = self.inner.pulse()?;
        let look = self.hooks.looks.fetch_add(1, Ordering::SeqCst) + 1;
        (self.hooks.felt.lock().unwrap())(look, &mut pulse);
        Ok(pulse)
    }
    fn traffic(&mut self) -> Result<Vec<Traffic>> {
        self.inner.traffic()
    }
    fn upkeep(&mut self, only: Option<&TableName>) -> Result<Upkeep> {
        self.inner.upkeep(only)
    }
    fn inspect(&mut self, bounds: &targets::db::Bounds) -> Result<targets::db::Inspection> {
        self.inner.inspect(bounds)
    }
}

impl Session for Watched {
    fn try_lock(&mut self, holder: &str) -> Result<bool> {
        self.inner.try_lock(holder)
    }
    fn lock_holder(&mut self) -> Result<Option<String>> {
        self.inner.lock_holder()
    }
    fn unlock(&mut self) -> Result<()> {
        self.inner.unlock()
    }
    fn end_right(&mut self, holder: &str) -> Result<bool> {
        self.inner.end_right(holder)
    }
    fn perform(&mut self, command: &Command) -> Result<Performed> {
        self.inner.perform(command)
    }
    fn only_look(&mut self, only: bool) -> Result<()> {
        self.inner.only_look(only)
    }
    fn begin(&mut self, limits: &Limits) -> Result<Box<dyn Tx + '_>> {
        let mut inner = self.inner.begin(limits)?;
        let number = self.hooks.count.fetch_add(1, Ordering::SeqCst) + 1;
        if self.hooks.gives_way == number {
            return Err(Error::transient("somebody came").code(GAVE_WAY));
        }
        (self.hooks.begun.lock().unwrap())(number, inner.as_mut());
        Ok(Box::new(Transaction { inner, loses_answer: self.hooks.lost == number }))
    }
}

struct Transaction<'a> {
    inner: Box<dyn Tx + 'a>,
    loses_answer: bool,
}

impl Tx for Transaction<'_> {
    fn query(&mut self, sql: &Sql, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<u64> {
        self.inner.query(sql, each)
    }
    fn execute(&mut self, sql: &Sql) -> Result<u64> {
        self.inner.execute(sql)
    }
    fn later(&mut self, sql: Sql) -> Result<()> {
        self.inner.later(sql)
    }
    fn take(&mut self, take: &Take) -> Result<Taken> {
        self.inner.take(take)
    }
    fn load<'a>(&'a mut self, load: &Load) -> Result<Box<dyn Loader + 'a>> {
        self.inner.load(load)
    }
    fn commit(self: Box<Self>) -> Result<()> {
        self.inner.commit()?;
        match self.loses_answer {
            true => Err(Error::transient("the connection was lost during the commit").code("08006")),
            false => Ok(()),
        }
    }
}
