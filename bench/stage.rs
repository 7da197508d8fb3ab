//! The databases of the benchmark: made once, copied for every variant, and the SQL of what Sexton is compared with.

#[path = "stage/queue.rs"]
pub mod queue;

use crate::child::{Outcome, Waits, cpu_seconds};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use targets::db::{Url, Value};
use testkit::Server;

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "sqlite" => Some(Self::Sqlite),
            "postgres" | "postgresql" => Some(Self::Postgres),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// Where all of it lies.
pub struct Stage {
    pub kind: Kind,
    folder: PathBuf,
    server: Option<Server>,
}

/// Options of a purge of the rows older than this; `case` says what is remembered.
pub fn options(age: &str, case: &str) -> String {
    let (undo, archive) = match case {
        "rows" => ("rows", serde_json::Value::Null),
        "archive" => ("archive", "store".into()),
        _ => ("none", serde_json::Value::Null),
    };
    serde_json::json!({
        "table": "events", "age_column": "created_at", "older_than": age, "dependants": "cascade", "undo": undo,
        "archive": archive,
    })
    .to_string()
}

impl Stage {
    /// Starts the server where one is needed.
    pub fn open(kind: Kind, folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let server = match kind {
            Kind::Sqlite => None,
            Kind::Postgres => Some(
                Server::start(&folder.join("postgres"), &["shared_buffers=512MB", "fsync=on"])
                    .unwrap_or_else(|why| panic!("{why}\nhelp: apt-get install postgresql")),
            ),
        };
        Self { kind, folder: folder.to_owned(), server }
    }

    /// The name of the database with so many rows.
    pub fn seed_name(&self, rows: u64) -> String {
        format!("seed_{rows}")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.db"))
    }

    pub fn url(&self, name: &str) -> String {
        match &self.server {
            None => self.path(name).display().to_string(),
            Some(server) => server.url(name),
        }
    }

    fn script(&self, name: &str, sql: &str) {
        backends::testing::script(&parsed(&self.url(name)), sql)
            .unwrap_or_else(|why| panic!("{why}\nin {sql}"));
    }

    fn value(&self, url: &str, sql: &str) -> String {
        let rows = backends::testing::rows(&parsed(url), sql).unwrap_or_else(|why| panic!("{why}\nin {sql}"));
        match rows.first().and_then(|row| row.first()) {
            Some(Value::Text(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        }
    }

    /// Makes the database with so many rows unless it is there.
    pub fn seed(&self, rows: u64) {
        let name = self.seed_name(rows);
        match self.kind {
            Kind::Sqlite if self.path(&name).exists() => {}
            Kind::Sqlite => self.seed_sqlite(&name, rows),
            Kind::Postgres => {
                let there = format!("select count(*) from pg_database where datname = '{name}'");
                if self.value(&self.url("postgres"), &there) == "0" {
                    self.seed_postgres(&name, rows);
                }
            }
        }
    }

    /// Makes a database with a script that both understand.
    pub fn seed_with(&self, name: &str, script: &str) {
        self.remove(name);
        match self.kind {
            Kind::Sqlite => {
                self.script(name, script);
                self.script(name, "pragma journal_mode = wal");
            }
            Kind::Postgres => {
                self.script("postgres", &format!("create database {name}"));
                self.script(name, script);
                self.script(name, "vacuum (analyze)");
            }
        }
    }

    // `h` scatters: a fifth of the rows is 100 to 500 days old, the rest younger than 90.
    fn seed_sqlite(&self, name: &str, rows: u64) {
        let making = self.path("making");
        let _ = std::fs::remove_file(&making);
        self.script(
            "making",
            &format!(
                "pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -262144;
                 create table events (id integer primary key, created_at text not null, account integer not null,
                   kind text not null, payload text not null);
                 with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows}),
                      h(i, h) as (select i, i * 2654435761 % 4294967296 from n)
                 insert into events
                 select i, datetime('now', '-' || (case when h / 65536 % 1000 < 200 then 144000 + h % 576000 else h % 129600 end)
                     || ' minutes'), h / 64 % 50000, 'kind ' || h % 17, hex(randomblob(48))
                 from h;
                 create table notes (id integer primary key, event_id integer not null references events (id) on delete cascade,
                   note text not null);
                 insert into notes (event_id, note) select id, 'a note about ' || id from events where id % 10 = 3;
                 create index events_created_at on events (created_at);
                 create index events_account on events (account);
                 create index events_kind on events (kind, account);
                 create index notes_event on notes (event_id);
                 analyze;
                 create table visits (id integer primary key, at text not null);
                 pragma journal_mode = wal;"
            ),
        );
        std::fs::rename(making, self.path(name)).unwrap_or_else(|error| panic!("{error}"));
    }

    fn seed_postgres(&self, name: &str, rows: u64) {
        self.script("postgres", "drop database if exists making");
        self.script("postgres", "create database making");
        self.script(
            "making",
            &format!(
                "create table events (id bigint generated always as identity, created_at timestamptz not null,
                   account bigint not null, kind text not null, payload text not null);
                 insert into events (created_at, account, kind, payload)
                 select now() - make_interval(mins => (case when h / 65536 % 1000 < 200 then 144000 + h % 576000 else h % 129600 end)::int),
                        h / 64 % 50000, 'kind ' || h % 17, md5(h::text) || md5((h + 1)::text) || md5((h + 2)::text)
                 from (select i * 2654435761 % 4294967296 as h from generate_series(1, {rows}::bigint) as i offset 0) as n;
                 alter table events add primary key (id);
                 create table notes (id bigint generated always as identity primary key, event_id bigint not null, note text not null);
                 insert into notes (event_id, note) select id, 'a note about ' || id from events where id % 10 = 3;
                 create index events_created_at on events (created_at);
                 create index events_account on events (account);
                 create index events_kind on events (kind, account);
                 create index notes_event on notes (event_id);
                 alter table notes add foreign key (event_id) references events (id) on delete cascade;
                 create table visits (id bigint generated always as identity primary key, at timestamptz not null);"
            ),
        );
        self.script("making", "vacuum (analyze)");
        self.script("postgres", &format!("alter database making rename to {name}"));
        self.script("postgres", "checkpoint");
    }

    /// A fresh copy, on disk before this returns.
    pub fn copy(&self, from: &str, to: &str) -> String {
        self.remove(to);
        match self.kind {
            Kind::Sqlite => {
                let copied = std::fs::copy(self.path(from), self.path(to))
                    .and_then(|_| std::fs::File::open(self.path(to))?.sync_all());
                copied.unwrap_or_else(|error| panic!("copying: {error}"));
            }
            Kind::Postgres => {
                self.script("postgres", &format!("create database {to} template {from} strategy file_copy"));
                self.script("postgres", "checkpoint");
            }
        }
        self.url(to)
    }

    pub fn remove(&self, name: &str) {
        match self.kind {
            Kind::Sqlite => {
                for ending in ["", "-wal", "-shm"] {
                    let _ = std::fs::remove_file(format!("{}{ending}", self.path(name).display()));
                }
            }
            Kind::Postgres => {
                self.script("postgres", &format!("drop database if exists {name} with (force)"))
            }
        }
    }

    /// Runs a variant in a process of its own.
    pub fn run(&self, variant: &str, url: &str, detail: &str) -> Outcome {
        let before = self.server_cpu();
        let child = this_program().args(["child", variant, url, detail]).stderr(Stdio::inherit()).output();
        let child = child.unwrap_or_else(|error| panic!("cannot run a child: {error}"));
        let text = String::from_utf8_lossy(&child.stdout);
        let mut outcome: Outcome = serde_json::from_str(text.lines().last().unwrap_or_default())
            .unwrap_or_else(|error| panic!("`{variant}` failed: {error}"));
        outcome.cpu += self.server_cpu() - before;
        outcome
    }

    /// Lets another process write while `meanwhile` goes on.
    pub fn writer(&self, url: &str, meanwhile: impl FnOnce()) -> Waits {
        let now = match self.kind {
            Kind::Sqlite => "insert into visits (at) values (datetime('now'))".to_owned(),
            // a young row of the very table, found by its key
            Kind::Postgres => "update events set kind = 'touched' where id = (select id from events
                where id > {n} * 7919 % 4000000 and created_at > now() - interval '30 days' order by id limit 1)".to_owned(),
        };
        let mut child = this_program()
            .args(["child", "writer", url, &now])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run a child: {error}"));
        meanwhile();
        let told = child.stdin.take().map(|mut input| input.write_all(b"."));
        assert!(told.is_some_and(|told| told.is_ok()), "the writer has died");
        let output = child.wait_with_output().unwrap_or_else(|error| panic!("the writer: {error}"));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("the writer: {error}"))
    }

    /// CPU seconds of the server and of all its processes so far.
    fn server_cpu(&self) -> f64 {
        let Some(server) = &self.server else { return 0.0 };
        let parent = server.process_id().to_string();
        let children =
            std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        cpu_seconds(&parent) + children.split_whitespace().map(cpu_seconds).sum::<f64>()
    }

    fn older_than(&self, days: u32) -> String {
        match self.kind {
            Kind::Sqlite => format!("created_at < datetime('now', '-{days} days')"),
            Kind::Postgres => format!("created_at < now() - interval '{days} days'"),
        }
    }

    /// The statement that Sexton is measured against.
    pub fn delete(&self, days: u32) -> String {
        format!("delete from events where {}", self.older_than(days))
    }

    /// The ids that a script deletes next: the oldest first, as a person would say it.
    pub fn list(&self, days: u32) -> String {
        format!("select id from events where {} order by created_at limit 1000", self.older_than(days))
    }

    /// The same in whatever order the database finds them.
    pub fn list_any(&self, days: u32) -> String {
        format!("select id from events where {} limit 1000", self.older_than(days))
    }

    pub fn doomed(&self, rows: u64, days: u32) -> u64 {
        let url = self.url(&self.seed_name(rows));
        let count = self.value(&url, &format!("select count(*) from events where {}", self.older_than(days)));
        count.parse().unwrap_or_else(|_| panic!("`{count}` is no count"))
    }

    /// The statements that put the remembered rows back and do nothing else.
    pub fn insert_again(&self, url: &str) -> String {
        let undo_table = |column: &str| {
            let sql = match self.kind {
                Kind::Sqlite => format!(
                    "select name from sqlite_schema where name like 'sexton\\_undo\\_%' escape '\\' and sql like '%\"{column}\"%'"
                ),
                Kind::Postgres => format!(
                    "select attrelid::regclass::text from pg_attribute
                     where attname = '{column}' and attrelid::regclass::text like 'sexton.undo%'"
                ),
            };
            self.value(url, &sql)
        };
        let own = if self.kind == Kind::Postgres { "overriding system value " } else { "" };
        format!(
            "begin;;insert into events (id, created_at, account, kind, payload) {own}
             select id, created_at, account, kind, payload from {};;
             insert into notes (id, event_id, note) {own}select id, event_id, note from {};;commit",
            undo_table("payload"),
            undo_table("note")
        )
    }

    /// How much of the table a purge by index has read.
    pub fn how_much_was_read(&self, url: &str, table: &str, outcome: &Outcome) -> String {
        match self.kind {
            Kind::Sqlite => {
                let bytes = std::fs::metadata(url).map_or(0, |about| about.len()).max(1);
                format!(" (read {:.0} % of the file)", 100.0 * outcome.read_bytes as f64 / bytes as f64)
            }
            Kind::Postgres => {
                let sql = format!(
                    "select coalesce(seq_tup_read, 0) from pg_stat_user_tables where relname = '{table}'"
                );
                format!(" (rows read by walking: {})", self.value(url, &sql))
            }
        }
    }
}

fn this_program() -> Command {
    Command::new(std::env::current_exe().unwrap_or_else(|error| panic!("{error}")))
}

fn parsed(url: &str) -> Url {
    Url::parse(url).unwrap_or_else(|error| panic!("{error}"))
}
