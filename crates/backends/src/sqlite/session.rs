//! One connection: facts, and changes inside transactions.
//!
//! Outside a transaction nothing that writes is run, not even on a connection that may. A transaction that SQLite
//! ended by itself (full disk, `raise(rollback)`) takes no further statement, so nothing is ever committed statement
//! by statement.

use super::errors::{During, explain};
use super::transaction::Transaction;
use super::values::{Parameter, as_seen, from_sqlite};
use super::watch::Watch;
use super::{
    SqliteDialect, chores, inspection, lock, moment, objects, pulse, schema, soundness, walk,
    whole_milliseconds,
};
use rusqlite::config::DbConfig;
use rusqlite::{CachedStatement, Connection};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use targets::db::{
    Access, Bloat, Bounds, Command, Dialect, Edge, Error, Facts, Inspection, Limits, List, Measuring, Object,
    Performed, Pulse, Result, Row, Schema, Seen, Server, Session, Soundness, Sql, Table, TableName, Traffic,
    Tx, Upkeep, Value,
};

/// A log longer than this that others keep writing to is brought to its end.
const LOG_TO_RESTART: i64 = 64 << 20;
/// How often the present moment is looked for between two commits of others.
const MOMENT_TRIES: usize = 3;
/// The memory of each sort that makes a list, in kB.
const SORTED_KB: u32 = 8_192;

/// A connection with what belongs to it.
pub(super) struct Link {
    pub(super) conn: Connection,
    pub(super) label: String,
    path: PathBuf,
    pub(super) watch: Arc<Watch>,
    /// Nobody else had the database open at the last look.
    alone: bool,
    data_version: i64,
    /// Pages of the log that wait to be moved into the file; known from our first commit on.
    log_pages: Arc<AtomicU64>,
    held: Option<lock::Held>,
    list: Option<(String, List)>,
    /// Only the moment at which its transaction began may be looked at.
    fixed: bool,
    /// What tells this moment from others, where only it may be looked at.
    moment: Option<String>,
}

impl Link {
    pub(super) fn new(mut conn: Connection, label: &str, path: PathBuf) -> Result<Self> {
        let watch = Arc::new(Watch::new(path.clone()));
        let watching = Arc::clone(&watch);
        let failed = |error| explain(label, During::Open, error);
        conn.progress_handler(2_000, Some(move || watching.must_stop())).map_err(failed)?;
        let log_pages = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&log_pages);
        conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: std::ffi::c_int| {
            counter.store(pages.max(0) as u64, Ordering::Relaxed);
            Ok(())
        }))
        .map_err(failed)?;
        let mut link = Self {
            conn,
            label: label.to_owned(),
            path,
            watch,
            alone: false,
            data_version: 0,
            log_pages,
            held: None,
            list: None,
            fixed: false,
            moment: None,
        };
        link.data_version = link.pragma("data_version")?;
        Ok(link)
    }

    /// From now on only the present moment is seen.
    pub(super) fn fix(&mut self) -> Result<()> {
        // Where somebody commits just then, the files tell of another moment than the one that is seen.
        for _ in 0..MOMENT_TRIES {
            let before = moment::read(&self.path);
            // What is committed after the moment must have a time of its own.
            std::thread::sleep(moment::TICK);
            self.conn
                .execute_batch("begin; select count(*) from sqlite_schema")
                .map_err(|error| explain(&self.label, During::Run, error))?;
            self.moment = moment::read(&self.path).filter(|_| before.is_some());
            if self.moment == before {
                break;
            }
            self.moment = None;
            self.conn.execute_batch("rollback").map_err(|error| explain(&self.label, During::Run, error))?;
        }
        if self.conn.is_autocommit() {
            self.conn
                .execute_batch("begin; select count(*) from sqlite_schema")
                .map_err(|error| explain(&self.label, During::Run, error))?;
        }
        self.fixed = true;
        Ok(())
    }

    /// A statement of ours for rows in bulk, inside the open transaction.
    pub(super) fn prepare(&self, text: &str) -> Result<CachedStatement<'_>> {
        self.conn.prepare_cached(text).map_err(|error| explain(&self.label, During::Prepare, error))
    }

    /// Runs one statement and hands over its rows.
    pub(super) fn run(&self, sql: &Sql, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<u64> {
        let mut statement = self.compile(sql)?;
        if self.conn.is_autocommit() && !statement.readonly() && statement.is_explain() == 0 {
            return Err(Error::usage(format!(
                "a statement would change database `{}` outside a transaction",
                self.label
            ))
            .help("send statements that write to a transaction"));
        }
        self.step(&mut statement, each)
    }

    fn compile(&self, sql: &Sql) -> Result<CachedStatement<'_>> {
        if self.fixed && self.conn.is_autocommit() {
            return Err(Error::transient(format!(
                "the moment at which database `{}` was looked at is gone with its transaction",
                self.label
            ))
            .help("begin again: what was read so far belongs to another moment"));
        }
        let (text, values) = sql.render(&SqliteDialect);
        let mut statement =
            self.conn.prepare_cached(&text).map_err(|error| explain(&self.label, During::Prepare, error))?;
        if statement.parameter_count() != values.len() {
            return Err(Error::usage(format!(
                "a statement on database `{}` has {} parameters, and {} values were given",
                self.label,
                statement.parameter_count(),
                values.len()
            ))
            .help("a condition in the configuration cannot use parameters: write the value itself"));
        }
        for (n, value) in values.iter().enumerate() {
            statement
                .raw_bind_parameter(n + 1, Parameter::new(value)?)
                .map_err(|error| explain(&self.label, During::Run, error))?;
        }
        Ok(statement)
    }

    fn step(
        &self,
        statement: &mut CachedStatement<'_>,
        each: &mut dyn FnMut(Row) -> Result<()>,
    ) -> Result<u64> {
        let mut rows = statement.raw_query();
        let mut count = 0;
        let failed = |error| self.watch.reason(explain(&self.label, During::Run, error));
        while let Some(row) = rows.next().map_err(failed)? {
            // counted again in every row: a statement compiled before `alter table` may have grown
            let width = row.as_ref().column_count();
            let values: rusqlite::Result<Row> = (0..width).map(|n| row.get_ref(n).map(from_sqlite)).collect();
            each(values.map_err(|error| explain(&self.label, During::Run, error))?)?;
            count += 1;
        }
        self.watch.sound()?;
        Ok(count)
    }

    fn fill_list(&self, select: &Sql, order: &[&str]) -> Result<()> {
        let mut statement = self.compile(&Sql::new("create temporary table sexton_list as ").add(select))?;
        self.step(&mut statement, &mut |_| Ok(()))?;
        drop(statement);
        self.command(&format!("create index temp.sexton_list_order on sexton_list ({})", order.join(", ")))?;
        Ok(())
    }

    /// `wal`, `delete`, …: asked past the guard over statements, for SQLite counts this one among those that may write.
    pub(super) fn journal_mode(&self) -> Result<String> {
        self.conn
            .query_row("pragma main.journal_mode", [], |row| row.get(0))
            .map_err(|error| explain(&self.label, During::Run, error))
    }

    /// The integer that a pragma returns, for the parts of a look.
    pub(super) fn number(&self, pragma: &str) -> Result<u64> {
        Ok(self.pragma(pragma)?.max(0) as u64)
    }

    /// A folder in which SQLite cannot make its journal, nor Sexton its lock.
    fn lacks(&self) -> Option<String> {
        let real = std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let folder = real.parent()?;
        (!pulse::may(folder, libc::W_OK)).then(|| format!("chmod u+w {}", folder.display()))
    }

    /// The integer that a pragma returns.
    pub(super) fn pragma(&self, name: &str) -> Result<i64> {
        self.conn
            .query_row(&format!("pragma {name}"), [], |row| row.get(0))
            .map_err(|error| explain(&self.label, During::Run, error))
    }

    /// A statement of ours outside any transaction.
    pub(super) fn command(&self, text: &str) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        let mut statement = self.compile(&Sql::new(text))?;
        self.step(&mut statement, &mut |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    pub(super) fn let_triggers_fire(&self, fire: bool) -> Result<()> {
        let set = self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, fire);
        set.map(drop).map_err(|error| explain(&self.label, During::Run, error))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    pub(super) fn set_busy_timeout(&self, time: Duration) -> rusqlite::Result<()> {
        self.conn.busy_timeout(whole_milliseconds(time))
    }

    /// How long statements may take from now on; zero for no limit.
    pub(super) fn allow(&self, time: Duration) {
        self.watch.allow(time);
    }

    /// A statement of a person, which must not leave a transaction open.
    fn statement(&self, sql: &str, limits: &Limits) -> Result<Performed> {
        let failed = |error| explain(&self.label, During::Run, error);
        self.conn.busy_timeout(whole_milliseconds(limits.lock)).map_err(failed)?;
        self.watch.allow(limits.statement);
        let done = self.command(sql);
        self.watch.allow(Duration::ZERO);
        if !self.conn.is_autocommit() {
            self.conn.execute_batch("rollback").map_err(failed)?;
        }
        // Whatever it set: children are Sexton's own business on this connection.
        self.conn.execute_batch("pragma foreign_keys = off").map_err(failed)?;
        done?;
        Ok(Performed { statement: sql.to_owned(), ..Performed::default() })
    }

    fn checkpoint(&self) -> Result<Performed> {
        let mode: String = self
            .conn
            .query_row("pragma journal_mode", [], |row| row.get(0))
            .map_err(|error| explain(&self.label, During::Run, error))?;
        if !mode.eq_ignore_ascii_case("wal") {
            return Ok(Performed::default());
        }
        let statement = "pragma wal_checkpoint(passive)";
        let moved = |statement: &str| -> Result<(i64, i64)> {
            let rows = self.command(statement)?;
            let number =
                |n: usize| rows.first().and_then(|row| row.get(n)).and_then(Value::as_int).unwrap_or(0);
            Ok((number(1), number(2)))
        };
        let (mut pages, mut done) = moved(statement)?;
        if done < pages && pages * self.pragma("page_size")? > LOG_TO_RESTART {
            // Others went on writing meanwhile, and a log that is never wholly moved only grows: what little came is moved
            // while they wait, so that the next one to write begins it again.
            self.conn
                .busy_timeout(Duration::ZERO)
                .map_err(|error| explain(&self.label, During::Run, error))?;
            let rest = moved("pragma wal_checkpoint(full)");
            let patience = whole_milliseconds(Limits::default().lock);
            self.conn.busy_timeout(patience).map_err(|error| explain(&self.label, During::Run, error))?;
            (pages, done) = rest?;
        }
        self.log_pages.store((pages - done).max(0) as u64, Ordering::Relaxed);
        Ok(Performed {
            statement: statement.to_owned(),
            notices: vec![format!("{done} of {pages} pages of the log moved into the file")],
            ..Performed::default()
        })
    }
}

impl Facts for Link {
    fn dialect(&self) -> &dyn Dialect {
        &SqliteDialect
    }

    fn server(&mut self) -> Result<Server> {
        let clock = Sql::new("select ").add(&self.dialect().clock_us());
        Ok(Server {
            engine: "sqlite".to_owned(),
            version: rusqlite::version().to_owned(),
            version_number: rusqlite::version_number().max(0) as u32,
            database: self.path.display().to_string(),
            read_only: !pulse::may(&self.path, libc::W_OK),
            lacks: self.lacks(),
            superuser: true,
            clock_us: self.value(&clock)?.as_int().unwrap_or(0),
            written_us: pulse::written_us(&self.path),
            bytes: (self.pragma("page_count")? * self.pragma("page_size")?).max(0) as u64,
            ..Server::default()
        })
    }

    fn schema(&mut self) -> Result<Schema> {
        schema::read(&self.conn, &self.label)
    }

    fn objects(&mut self) -> Result<Vec<Object>> {
        objects::read(&self.conn, &self.label)
    }

    fn query(&mut self, sql: &Sql, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<u64> {
        self.run(sql, each)
    }

    fn scan(&mut self, sql: &Sql, each: &mut dyn FnMut(&[Seen<'_>]) -> Result<()>) -> Result<u64> {
        let mut statement = self.compile(sql)?;
        if !statement.readonly() {
            return Err(Error::usage("a statement that writes is no question"));
        }
        let width = statement.column_count();
        let failed = |error| self.watch.reason(explain(&self.label, During::Run, error));
        let mut rows = statement.raw_query();
        let mut count = 0;
        let mut space: Vec<Seen<'static>> = Vec::with_capacity(width);
        while let Some(row) = rows.next().map_err(failed)? {
            // nothing but the memory of the row before
            let mut seen: Vec<Seen> = space.into_iter().map(|_| Seen::Null).collect();
            // each in its place at once: collecting results would move every value several times
            for n in 0..width {
                seen.push(as_seen(row.get_ref(n).map_err(failed)?));
            }
            each(&seen)?;
            count += 1;
            seen.clear();
            space = seen.into_iter().map(|_| Seen::Null).collect();
        }
        self.watch.sound()?;
        Ok(count)
    }

    fn soundness(&mut self, most: usize) -> Result<Soundness> {
        soundness::check(self, most)
    }

    fn moment(&mut self) -> Result<Option<String>> {
        Ok(self.moment.clone())
    }

    fn takes(&mut self, sql: &Sql) -> Result<std::time::Duration> {
        let began = std::time::Instant::now();
        self.scan(sql, &mut |_| Ok(()))?;
        Ok(began.elapsed())
    }

    fn access(&mut self, sql: &Sql) -> Result<Access> {
        let mut lines = Vec::new();
        self.run(&Sql::new("explain query plan ").add(sql), &mut |row| {
            lines.extend(row.get(3).and_then(Value::as_text).map(str::to_owned));
            Ok(())
        })?;
        let first = lines.iter().find(|line| line.starts_with("SEARCH ") || line.starts_with("SCAN "));
        Ok(Access { index: first.and_then(|line| index_of(line)), rows: None, text: lines.join("\n") })
    }

    fn edge(&mut self, table: &Table, from: Option<&Row>, rows: u64) -> Result<Option<Edge>> {
        walk::edge(self, table, from, rows)
    }

    fn edge_of(
        &mut self,
        table: &Table,
        from: Option<&Row>,
        rows: u64,
        condition: &Sql,
    ) -> Result<Option<(Row, Row)>> {
        walk::edge_of(self, table, from, rows, condition)
    }

    // a temporary table lies in a file of its own, so nobody waits for it
    fn list(&mut self, name: &str, select: &Sql, order: &[&str]) -> Result<Option<List>> {
        if let Some((_, list)) = self.list.as_ref().filter(|(known, _)| known == name) {
            return Ok(Some(list.clone()));
        }
        if self.conn.is_readonly("main").unwrap_or(true) || self.pragma("query_only")? != 0 {
            return Ok(None);
        }
        self.list = None;
        self.command("drop table if exists temp.sexton_list")?;
        // each sort takes as much memory as the cache may have
        let cache = self.pragma("cache_size")?;
        self.command(&format!("pragma cache_size = -{SORTED_KB}"))?;
        let made = self.fill_list(select, order);
        self.command(&format!("pragma cache_size = {cache}"))?;
        made?;
        let list = List::new(TableName::bare("sexton_list"));
        self.list = Some((name.to_owned(), list.clone()));
        Ok(Some(list))
    }

    fn bloat(&mut self, wanted: &Measuring) -> Result<Vec<Bloat>> {
        super::bloat::measure(self, wanted)
    }

    fn traffic(&mut self) -> Result<Vec<Traffic>> {
        super::traffic::measure(self)
    }

    fn upkeep(&mut self, only: Option<&TableName>) -> Result<Upkeep> {
        super::upkeep::look(self, only)
    }

    fn inspect(&mut self, bounds: &Bounds) -> Result<Inspection> {
        // An application in the middle of a write is not waited for.
        let patience = |link: &Self, time: Duration| {
            link.conn.busy_timeout(time).map_err(|error| explain(&link.label, During::Run, error))
        };
        patience(self, Duration::from_millis(50))?;
        let told = inspection::look(self, bounds);
        patience(self, whole_milliseconds(Limits::default().lock))?;
        told
    }

    fn pulse(&mut self) -> Result<Pulse> {
        let version = self.pragma("data_version")?;
        let written = std::mem::replace(&mut self.data_version, version) != version;
        let held = pulse::held_by_others(&self.path);
        // the file of the log keeps the size it once had; what waits in it is less
        let waiting = match self.log_pages.load(Ordering::Relaxed) {
            0 => pulse::log_bytes(&self.path),
            pages => pages * self.pragma("page_size")?.max(0) as u64,
        };
        // without a write-ahead log an application holds no lock while it does nothing
        self.alone = !written && held == Some(false) && pulse::has_log(&self.path);
        Ok(Pulse {
            free_disk_bytes: pulse::free_disk(&self.path),
            wal_bytes: Some(waiting),
            in_use: Some(written || held.unwrap_or(false)),
            alone: self.alone,
            ..Pulse::default()
        })
    }
}

/// `SEARCH t USING COVERING INDEX name (a>?)`. An automatic index is built for the one statement: it narrows nothing.
fn index_of(line: &str) -> Option<String> {
    let (_, how) = line.strip_prefix("SEARCH ")?.split_once(" USING ")?;
    if let Some((_, name)) = how.split_once("INDEX ").filter(|(kind, _)| matches!(*kind, "" | "COVERING ")) {
        return Some(name.rsplit_once(" (").map_or(name, |(name, _)| name).to_owned());
    }
    how.contains("PRIMARY KEY").then(|| "primary key".to_owned())
}

impl Session for Link {
    fn try_lock(&mut self, holder: &str) -> Result<bool> {
        if self.held.is_none() {
            self.held = lock::take(&self.path, holder)?;
        }
        Ok(self.held.is_some())
    }

    fn lock_holder(&mut self) -> Result<Option<String>> {
        lock::holder(&self.path)
    }

    fn unlock(&mut self) -> Result<()> {
        self.held = None;
        Ok(())
    }

    fn end_right(&mut self, holder: &str) -> Result<bool> {
        lock::end(&self.path, holder)
    }

    fn perform(&mut self, command: &Command) -> Result<Performed> {
        self.watch.allow(Duration::ZERO);
        match command {
            Command::Upkeep(order) => chores::perform(self, order),
            Command::Checkpoint => self.checkpoint(),
            Command::Statement { sql, limits } => self.statement(sql, limits),
            // there is one writer, so one after the other
            Command::Statements { sql, limits, .. } => {
                let mut all = Performed::default();
                for statement in sql {
                    let done =
                        self.statement(statement, limits).map_err(|error| error.while_doing(statement))?;
                    all.notices.extend(done.notices);
                }
                Ok(Performed { statement: sql.join(";\n"), ..all })
            }
        }
    }

    fn only_look(&mut self, only: bool) -> Result<()> {
        let word = if only { "on" } else { "off" };
        self.conn
            .execute_batch(&format!("pragma query_only = {word}"))
            .map_err(|error| explain(&self.label, During::Run, error))
    }

    fn begin(&mut self, limits: &Limits) -> Result<Box<dyn Tx + '_>> {
        let failed = |error| explain(&self.label, During::Run, error);
        self.conn.busy_timeout(whole_milliseconds(limits.lock)).map_err(failed)?;
        self.watch.allow(Duration::ZERO);
        self.conn.execute_batch("begin immediate").map_err(failed)?;
        self.watch.look_out(self.alone);
        Ok(Box::new(Transaction::of(self, limits.statement)))
    }
}

#[cfg(test)]
mod tests {
    use super::index_of;

    #[test]
    fn an_index_counts_only_when_it_narrows_the_search() {
        assert_eq!(index_of("SEARCH t USING COVERING INDEX by day (day<?)").as_deref(), Some("by day"));
        assert_eq!(index_of("SEARCH t USING INDEX i (a=? AND b>?)").as_deref(), Some("i"));
        assert_eq!(index_of("SEARCH t USING INTEGER PRIMARY KEY (rowid>?)").as_deref(), Some("primary key"));
        assert_eq!(index_of("SEARCH t USING PRIMARY KEY ((a,b)>(?,?))").as_deref(), Some("primary key"));
        assert_eq!(index_of("SCAN t USING COVERING INDEX i"), None);
        assert_eq!(index_of("SCAN t"), None);
        assert_eq!(index_of("SEARCH p USING AUTOMATIC COVERING INDEX (id=?)"), None);
    }
}
