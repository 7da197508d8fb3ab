//! A connection with its settings.
//!
//! Every question is one round trip: begin read only, the statement, commit. So not even a function with side effects
//! can write, on a session of either kind. Behind a transaction pooler a session has no memory, so settings travel with
//! each transaction. A lost connection is opened again at the next question, and the right to maintain is taken again
//! with it or the question fails.

use super::address::{Address, Host};
use super::dialect::Spelling;
use super::errors::protocol;
use super::lock::Right;
use super::message::Statement;
use super::transaction::Working;
use super::wire::{EachRow, Wire};
use super::{chores, inspection, lock, objects, pulse, schema, side_by_side, soundness, values};
use std::time::Duration;
use targets::db::{
    Access, Bloat, Bounds, Class, Command, Compaction, Dialect, Edge, Error, Facts, Inspection, Limits, List,
    Measuring, Object, Performed, Pulse, Result, Row, Schema, Seen, Server, Session, Soundness, Sql, Table,
    TableName, Traffic, Tx, Upkeep, Value,
};

/// What every session is set to, whatever the role, the database or the server say.
const SETTINGS: &[(&str, &str)] = &[
    ("timezone", "UTC"),
    ("datestyle", "ISO, YMD"),
    ("intervalstyle", "postgres"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    ("xmloption", "content"),
    ("standard_conforming_strings", "on"),
    ("transform_null_equals", "off"),
    ("lock_timeout", "5s"),
    ("statement_timeout", "0"),
    // Of transactions see `Limits`; this is for those who only read.
    ("idle_in_transaction_session_timeout", "5min"),
    // Compiling takes longer than a batch runs.
    ("jit", "off"),
];

/// How the statements of a batch are planned. Their rows wait in memory for their way into the undo table; on disk they
/// cost an eighth of its time. Temporary tables of a batch are small, and so is what it looks up by an index: at the usual
/// cost of a page out of order the planner read whole tables instead, in every batch of a merge (89 s instead of 26).
/// Only for batches: with these the planner prefers bitmaps of places where reading the whole table is faster.
const IN_BATCHES: &str = "select set_config(name, wanted, true)
    from (values ('work_mem', '32MB', pg_size_bytes(current_setting('work_mem')) < 33554432),
                 ('random_page_cost', '1.1', current_setting('random_page_cost')::float8 > 1.1)) as s(name, wanted, better)
    where better";

/// The oldest server whose catalogue is understood.
const OLDEST: u32 = 120_000;

/// Who else is at work keeps a processor: to read a whole table by several workers takes less time, but made one of a
/// hundred commits of others wait for its turn.
const ALONE_WITH_WORKERS: &str = "select set_config('max_parallel_workers_per_gather', '0', false)
    where exists (select 1 from pg_stat_get_activity(null)
                  where pid <> pg_backend_pid() and usesysid is not null and datid is not null
                    and coalesce(application_name, '') not like '{OURS}%'
                    and (state is null or state = 'active' or state_change > clock_timestamp() - interval '2 seconds'))";

const BEGIN_READING: &str = "begin isolation level read committed read only";

/// A cursor keeps the moment at which it was made, while the statements beside it see the present.
const HOLD: &str = "declare sexton_hold no scroll cursor for values (1), (2)";

/// One session.
pub(super) struct Connected {
    pub wire: Wire,
    address: Address,
    pub dialect: Spelling,
    read_only: bool,
    /// A session that may write must not for now. The server refuses it in every question anyway.
    only_looks: bool,
    pub pooled: bool,
    /// When the server began this session, in its own words.
    started: String,
    /// The right to maintain, while this session has it.
    pub right: Option<Right>,
    /// The settings as one statement, for transactions behind a pooler.
    local_settings: String,
    list: Option<(String, List)>,
    /// One transaction stays open around all questions.
    holding: bool,
    /// And only the moment at which it was opened may be looked at.
    fixed: bool,
    /// Transactions that may have written, with their savepoints: so many numbers of the server are ours.
    pub written: u64,
    /// The server's data folder, once asked for, where it is on this machine and may be known.
    pub data_folder: Option<Option<String>>,
    /// How far the server's numbers were at the last look, and `written` then.
    pub numbers: Option<(i64, u64)>,
}

impl Connected {
    /// Connects and sets the session up.
    pub fn open(address: Address, dialect: Spelling, read_only: bool) -> Result<Self> {
        let mut wire = Wire::open(&address)?;
        let (mut process_id, mut version, mut started) = (0, 0, String::new());
        let mut settings: Vec<(&str, &str)> = SETTINGS.to_vec();
        if read_only {
            settings.push(("default_transaction_read_only", "on"));
        }
        let call = |local: bool| {
            let calls =
                settings.iter().map(|(name, value)| format!("set_config('{name}', '{value}', {local})"));
            format!("select {}", calls.collect::<Vec<_>>().join(", "))
        };
        // All in one round trip; on a session of a pooler, or of a server that is too old, nothing is set.
        let script = format!(
            "select pg_backend_pid(), current_setting('server_version_num'),
               (select backend_start from pg_stat_get_activity(pg_backend_pid()));
             {} where pg_backend_pid() = {id} and current_setting('server_version_num')::int >= {OLDEST};
             {} and pg_backend_pid() = {id}",
            call(false),
            ALONE_WITH_WORKERS.replace("{OURS}", lock::OURS),
            id = wire.process_id
        );
        wire.script(&script, &mut |row| {
            if version == 0 {
                let text = |n: usize| row.get(n).cloned().flatten().unwrap_or_default();
                process_id = text(0).parse().unwrap_or(0);
                version = text(1).parse().unwrap_or(0);
                started = text(2);
            }
        })?;
        if version < OLDEST {
            return Err(Error::system(format!("the server is PostgreSQL {}, too old", version / 10_000))
                .help("PostgreSQL 12 or newer is needed"));
        }
        // A pooler answers the log-in itself and so invents the process id that it announces. In session mode it would
        // do less harm than assumed here, but that cannot be seen from outside.
        let pooled = process_id != wire.process_id;
        if pooled {
            wire.leave_home();
        }
        dialect.learn(version, pooled);
        // Within a read-only transaction this one may be set, but it would say nothing new.
        let local_settings = call(true);
        Ok(Self {
            wire,
            address,
            dialect,
            read_only,
            only_looks: false,
            pooled,
            started,
            right: None,
            local_settings,
            list: None,
            holding: false,
            fixed: false,
            written: 0,
            data_folder: None,
            numbers: None,
        })
    }

    /// Opens the connection again when it was lost.
    pub fn ready(&mut self) -> Result<()> {
        if !self.wire.is_lost() {
            return Ok(());
        }
        self.wire.leave_home();
        let fresh =
            Self::open(self.address.clone(), self.dialect.clone(), self.read_only).map_err(|error| {
                // It was there a moment ago: a restart, most likely.
                Error { class: Class::Transient, ..error }.while_doing("connecting again")
            })?;
        let right = self.right.take();
        let (process_id, started) = (self.wire.process_id, std::mem::take(&mut self.started));
        let only_looks = self.only_looks;
        *self = fresh;
        self.only_looks = only_looks;
        if !self.pooled {
            self.end_the_old_one(process_id, &started)?;
        }
        if let Some(right) = right {
            let holder = right.holder.clone();
            if !lock::take(self, &holder, Some(right.clone()))? {
                self.right = Some(right);
                self.wire.forget();
                return Err(Error::transient(
                    "the connection was lost, and with it the right to maintain this database",
                )
                .help("somebody else has it now, or the old session has not ended yet"));
            }
        }
        Ok(())
    }

    /// The server may not know yet that a session of ours is gone, and it still holds its locks: ends it, and waits for
    /// that, which a busy machine may take its time for.
    fn end_the_old_one(&mut self, process_id: i32, started: &str) -> Result<()> {
        let which = Sql::new("from pg_stat_activity where pid = ")
            .bind(i64::from(process_id))
            .text(" and backend_start::text = ")
            .bind(started);
        // A superuser's session cannot be ended by an ordinary role, but then it was not ours.
        let _ = self.rows(&Sql::new("select pg_terminate_backend(pid) ").add(&which));
        for _ in 0..500 {
            if self.count(&Sql::new("select count(*) ").add(&which))? == 0 {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Keeps the server from cleaning up what is deleted from now on, until the session ends or a question fails.
    pub fn hold(&mut self) -> Result<()> {
        self.wire.script(&format!("{BEGIN_READING}; {HOLD}"), &mut |_| {})?;
        self.holding = true;
        Ok(())
    }

    /// From now on only one moment is seen: that of the snapshot with this name, or the present one. Its name.
    pub fn fix(&mut self, name: Option<&str>) -> Result<String> {
        let mut script = String::from("begin isolation level repeatable read read only");
        if self.pooled {
            script += &format!("; {}", self.local_settings);
        }
        script += &match name {
            Some(name) => format!("; set transaction snapshot '{name}'"),
            None => "; select pg_export_snapshot()".to_owned(),
        };
        let mut exported = name.unwrap_or_default().to_owned();
        self.wire
            .script(&script, &mut |row| exported = row.first().cloned().flatten().unwrap_or_default())?;
        (self.holding, self.fixed) = (true, true);
        Ok(exported)
    }

    /// Whether the one moment that may be looked at is still there.
    fn at_its_moment(&self) -> Result<()> {
        match self.fixed && (!self.holding || self.wire.is_lost()) {
            true => Err(Error::transient("the moment that was looked at is gone with its transaction")
                .code("08006")
                .help("begin again: what was read so far belongs to another moment")),
            false => Ok(()),
        }
    }

    /// Runs one statement inside a transaction that may not write.
    pub fn ask(&mut self, sql: &Sql, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<u64> {
        self.ask_after(None, sql, each)
    }

    /// The same, after another statement.
    pub fn ask_after(
        &mut self,
        before: Option<&str>,
        sql: &Sql,
        each: &mut dyn FnMut(Row) -> Result<()>,
    ) -> Result<u64> {
        self.look(before, sql, &mut |types, body| each(values::row(types, body)?))
    }

    /// The same, each row as it came.
    fn look(&mut self, before: Option<&str>, sql: &Sql, each: &mut EachRow<'_>) -> Result<u64> {
        self.at_its_moment()?;
        self.ready()?;
        let (text, params) = sql.render(&self.dialect);
        let [begin, end] = match self.holding {
            true => ["savepoint sexton_ask", "rollback to savepoint sexton_ask"],
            false => [BEGIN_READING, "commit"],
        };
        let mut statements = vec![Statement::aside(begin)];
        if self.pooled {
            statements.push(Statement::aside(&self.local_settings));
        }
        statements.extend(before.map(Statement::aside));
        statements.push(Statement { text: &text, params, wanted: true });
        statements.push(Statement::aside(end));
        let result = self.wire.run_raw(&statements, each);
        if !self.holding || result.is_err() {
            self.wire.roll_back();
            self.holding = false;
        }
        result
    }

    /// Runs a statement of a person, or a chore, outside of any transaction. A pooler may give each statement another session of the
    /// server, where limits of ours would stay behind, so there are none.
    pub fn statement(&mut self, sql: &str, limits: &Limits) -> Result<Performed> {
        self.wire.notices.clear();
        self.wire.noticed.clear();
        if !self.pooled {
            let (lock, statement) = (limits.lock.as_millis().max(1), limits.statement.as_millis());
            let set = format!("set lock_timeout = {lock}; set statement_timeout = {statement}");
            self.wire.script(&set, &mut |_| {})?;
        }
        let done = self.wire.script(sql, &mut |_| {});
        self.wire.roll_back();
        if !self.pooled && !self.wire.is_lost() {
            self.wire.script("set lock_timeout = '5s'; set statement_timeout = 0", &mut |_| {})?;
        }
        done?;
        let notices = std::mem::take(&mut self.wire.notices);
        Ok(Performed { statement: sql.to_owned(), notices, ..Performed::default() })
    }

    /// Runs statements of our own in one short transaction that may write.
    pub fn change(&mut self, statements: &[Sql]) -> Result<Vec<Row>> {
        let mut last = Vec::new();
        let mut tx = self.begin(&Limits { lock: Duration::from_secs(1), ..Limits::default() })?;
        for statement in statements {
            last = tx.rows(statement)?;
        }
        tx.commit()?;
        Ok(last)
    }

    fn may_change(&self) -> Result<()> {
        match self.only_looks {
            false => Ok(()),
            true => Err(Error::usage("a session that only looks was asked for a change")
                .help("this is a fault of Sexton: report it, with the command")
                .code("25006")),
        }
    }

    /// The host's name, for a server reached by network.
    pub fn host(&self) -> String {
        match self.wire.host() {
            Host::Tcp(name, _) => name.clone(),
            Host::Socket(_) => String::new(),
        }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        // A lease would outlive the session; best effort, for it also ends by itself.
        let _ = lock::give_back(self);
    }
}

impl Facts for Connected {
    fn dialect(&self) -> &dyn Dialect {
        &self.dialect
    }

    fn server(&mut self) -> Result<Server> {
        let sql = "select current_setting('server_version'), current_database()::text, current_user::text,
            pg_is_in_recovery(), coalesce((select rolsuper from pg_roles where rolname = current_user), false),
            (extract(epoch from clock_timestamp()) * 1000000)::bigint, pg_database_size(current_database()),
            case
              when to_regnamespace('sexton') is null
              then case when not has_database_privilege(current_database(), 'create')
                        then format('create schema sexton authorization %I', current_user) end
              when not has_schema_privilege('sexton', 'usage') or not has_schema_privilege('sexton', 'create')
              then format('grant usage, create on schema sexton to %I', current_user)
              when exists (select from pg_class c
                           where c.relnamespace = to_regnamespace('sexton') and c.relkind = 'r'
                             and not (has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'insert')
                                      and has_table_privilege(c.oid, 'update') and has_table_privilege(c.oid, 'delete')))
              then format('grant all on all tables in schema sexton to %I', current_user)
            end";
        let rows = self.rows(&Sql::new(sql))?;
        let row = rows.first().ok_or_else(|| protocol("no answer about itself"))?;
        let text = |n: usize| row[n].as_text().unwrap_or_default().to_owned();
        Ok(Server {
            engine: self.dialect.name().to_owned(),
            version: text(0),
            version_number: self.dialect.version(),
            database: text(1),
            host: self.host(),
            user: text(2),
            read_only: row[3].as_bool().unwrap_or(false),
            pooled: self.pooled,
            superuser: row[4].as_bool().unwrap_or(false),
            // Its own clock is all that it tells.
            written_us: None,
            clock_us: row[5].as_int().unwrap_or(0),
            bytes: row[6].as_int().unwrap_or(0) as u64,
            lacks: row[7].as_text().map(str::to_owned),
        })
    }

    fn schema(&mut self) -> Result<Schema> {
        schema::read(self)
    }

    fn objects(&mut self) -> Result<Vec<Object>> {
        objects::read(self)
    }

    fn query(&mut self, sql: &Sql, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<u64> {
        self.ask(sql, each)
    }

    fn scan(&mut self, sql: &Sql, each: &mut dyn FnMut(&[Seen<'_>]) -> Result<()>) -> Result<u64> {
        self.look(None, sql, &mut |types, body| each(&values::seen_row(types, body)?))
    }

    fn soundness(&mut self, most: usize) -> Result<Soundness> {
        soundness::check(self, most)
    }

    fn moment(&mut self) -> Result<Option<String>> {
        let snapshot = self.value(&Sql::new("select txid_current_snapshot()::text"))?;
        Ok(snapshot.as_text().filter(|_| self.fixed).map(str::to_owned))
    }

    fn takes(&mut self, sql: &Sql) -> Result<std::time::Duration> {
        let began = std::time::Instant::now();
        self.scan(sql, &mut |_| Ok(()))?;
        Ok(began.elapsed())
    }

    fn access(&mut self, sql: &Sql) -> Result<Access> {
        let explain = Sql::new("explain (format json) ").add(sql);
        let mut plan = String::new();
        // Workers share the rows of a parallel plan, so its figures are not those of the query.
        let serial = "select set_config('max_parallel_workers_per_gather', '0', true)";
        self.ask_after(Some(serial), &explain, &mut |row| {
            plan = row.first().and_then(Value::as_text).unwrap_or_default().to_owned();
            Ok(())
        })?;
        super::access::read(&plan)
    }

    fn edge(&mut self, table: &Table, from: Option<&Row>, rows: u64) -> Result<Option<Edge>> {
        let from = from.and_then(|row| row.first()).and_then(Value::as_int).unwrap_or(0);
        let sql = Sql::new("select case when c.reltuples >= 1 and c.relpages > 0 then c.reltuples / c.relpages else 50 end::double precision, pg_relation_size(c.oid) / current_setting('block_size')::bigint from pg_class c where c.oid = cast(")
            .bind(table.name.quoted())
            .text(" as regclass)");
        let found = self.rows(&sql)?;
        let Some(row) = found.first() else { return Ok(None) };
        let per_page = row[0].as_real().unwrap_or(50.0);
        let pages = row[1].as_int().unwrap_or(0);
        if from >= pages {
            return Ok(None);
        }
        let window = (rows as f64 / per_page).ceil().clamp(1.0, 4_294_967_295.0) as i64;
        let end = from.saturating_add(window);
        Ok(Some(Edge { end: vec![Value::Int(end.min(pages))], last: end >= pages }))
    }

    fn edge_of(
        &mut self,
        table: &Table,
        from: Option<&Row>,
        rows: u64,
        condition: &Sql,
    ) -> Result<Option<(Row, Row)>> {
        // Without a bound it would be an ordinary scan, which may begin in the middle.
        let beginning = vec![Value::Int(0)];
        let sql = Sql::new("select (t.ctid::text::point)[0]::bigint from only ")
            .table(&table.name)
            .text(" as t where ")
            .add(&self.dialect().window(table, Some(from.unwrap_or(&beginning)), None))
            .text(" and (")
            .add(condition)
            .text(") limit 1 offset ")
            .bind(rows.max(1).min(i64::MAX as u64) as i64 - 1);
        Ok(self.value(&sql)?.as_int().map(|page| (vec![Value::Int(page + 1)], vec![Value::Int(page)])))
    }

    fn list(&mut self, name: &str, select: &Sql, order: &[&str]) -> Result<Option<List>> {
        if self.read_only || self.only_looks || self.pooled {
            return Ok(None);
        }
        // a lost connection takes the list with it
        self.ready()?;
        if let Some((_, list)) = self.list.as_ref().filter(|(known, _)| known == name) {
            return Ok(Some(list.clone()));
        }
        self.list = None;
        let mut tx = self.begin(&Limits { statement: Duration::ZERO, ..Limits::default() })?;
        tx.execute(&Sql::new("drop table if exists pg_temp.sexton_list"))?;
        tx.execute(&Sql::new("create temporary table sexton_list as ").add(select))?;
        let index = format!("create index on pg_temp.sexton_list ({})", order.join(", "));
        tx.execute(&Sql::new(&index))?;
        tx.execute(&Sql::new("analyze pg_temp.sexton_list"))?;
        tx.commit()?;
        let table = TableName { schema: Some("pg_temp".to_owned()), name: "sexton_list".to_owned() };
        let list = List::new(table);
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

    fn compaction(&mut self, table: &TableName) -> Result<Option<Compaction>> {
        super::compaction::look(self, table)
    }

    fn inspect(&mut self, bounds: &Bounds) -> Result<Inspection> {
        inspection::look(self, bounds)
    }

    fn pulse(&mut self) -> Result<Pulse> {
        pulse::take(self)
    }

    fn promote(mut self: Box<Self>) -> Option<Box<dyn Session>> {
        // What is pooled was never worth keeping, and a session that holds an older moment has its own use.
        if self.pooled || self.holding || self.wire.is_lost() {
            return None;
        }
        // Also tells whether the server is still there.
        let set = "select set_config('default_transaction_read_only', 'off', false)";
        self.wire.script(set, &mut |_| {}).ok()?;
        self.read_only = false;
        // Whether others write is told from the first look of the run on.
        self.numbers = None;
        Some(self)
    }
}

impl Session for Connected {
    fn try_lock(&mut self, holder: &str) -> Result<bool> {
        self.ready()?;
        let right = self.right.clone();
        lock::take(self, holder, right)
    }

    fn lock_holder(&mut self) -> Result<Option<String>> {
        lock::holder(self)
    }

    fn unlock(&mut self) -> Result<()> {
        lock::give_back(self)
    }

    fn end_right(&mut self, holder: &str) -> Result<bool> {
        self.ready()?;
        lock::end(self, holder)
    }

    fn perform(&mut self, command: &Command) -> Result<Performed> {
        self.may_change()?;
        self.ready()?;
        if *command != Command::Checkpoint {
            // How many numbers of the server it takes is not known: the next look begins to count anew.
            self.numbers = None;
        }
        match command {
            Command::Upkeep(order) => chores::perform(self, self.address.clone(), order),
            Command::Checkpoint => Ok(Performed::default()),
            Command::Statement { sql, limits } => self.statement(sql, limits),
            Command::Statements { sql, at_once, limits } => {
                side_by_side::run(&self.address, &self.dialect, sql, *at_once, limits)
            }
        }
    }

    fn only_look(&mut self, only: bool) -> Result<()> {
        self.only_looks = only;
        Ok(())
    }

    fn begin(&mut self, limits: &Limits) -> Result<Box<dyn Tx + '_>> {
        self.may_change()?;
        self.ready()?;
        // `set local x = 0` means no limit, so a limit is at least a millisecond.
        let lock = limits.lock.as_millis().max(1);
        let mut script = String::from("begin isolation level read committed read write;");
        if self.pooled {
            script += &format!("{};", self.local_settings);
        }
        script += &format!(
            "{IN_BATCHES}; set local lock_timeout = {lock}; set local idle_in_transaction_session_timeout = {};
             set local statement_timeout = {}",
            limits.idle.as_millis(),
            limits.statement.as_millis()
        );
        let begun = self.wire.script(&script, &mut |_| {});
        let begun = begun.and_then(|()| lock::renew(self));
        if begun.is_err() {
            self.wire.roll_back();
        }
        begun?;
        self.written += 1;
        Ok(Box::new(Working::new(self, lock)))
    }
}
