//! One throw-away database of either kind, and what tests do with it as the application or as a bystander.

use crate::cluster::{ADMIN, APP, Cluster};
use crate::dump;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use targets::db::{Database, Row, Url};

/// A SQLite file in a folder of its own, or a PostgreSQL database owned by an ordinary role. Gone when dropped; after
/// a panic it stays for a look until the server is removed.
pub struct Place {
    kind: Kind,
}

enum Kind {
    Sqlite {
        folder: tempfile::TempDir,
    },
    Postgres {
        name: String,
    },
    /// Made and removed by somebody else.
    Elsewhere {
        url: String,
    },
}

/// Runs the same test on both databases.
pub fn both(mut test: impl FnMut(&Place)) {
    for place in [Place::sqlite(), Place::postgres()] {
        let shown = Shown(place.name());
        test(&place);
        drop(shown);
    }
}

/// Says in a failed test on which database it failed.
struct Shown(&'static str);

impl Drop for Shown {
    #[allow(clippy::print_stderr)]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this happened on {}", self.0);
        }
    }
}

impl Place {
    /// An empty SQLite file.
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        let place = Self { kind: Kind::Sqlite { folder } };
        // SQLite writes the first page with the first table: an application's file is never empty.
        place.script("create table sexton_probe (x); drop table sexton_probe");
        place
    }

    /// An empty PostgreSQL database.
    pub fn postgres() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let cluster = Cluster::running();
        let stamp = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("t{:x}_{}_{count}", stamp.as_secs(), std::process::id());
        cluster
            .administer(&format!("create database {name} template template0 owner {APP}"))
            .unwrap_or_else(|error| panic!("no database `{name}`: {error}"));
        Self { kind: Kind::Postgres { name } }
    }

    /// A database that somebody else made and removes.
    pub fn elsewhere(url: &str) -> Self {
        Self { kind: Kind::Elsewhere { url: url.to_owned() } }
    }

    /// `SQLite` or `PostgreSQL`, for messages.
    pub fn name(&self) -> &'static str {
        if self.is_sqlite() { "SQLite" } else { "PostgreSQL" }
    }

    /// Whether it is a SQLite file.
    pub fn is_sqlite(&self) -> bool {
        match &self.kind {
            Kind::Elsewhere { url } => matches!(parsed(url), Url::Sqlite { .. }),
            kind => matches!(kind, Kind::Sqlite { .. }),
        }
    }

    /// Where it is, as the application's role.
    pub fn url(&self) -> String {
        match &self.kind {
            Kind::Sqlite { folder } => folder.path().join("app.db").display().to_string(),
            Kind::Postgres { name } => Cluster::running().url(APP, name),
            Kind::Elsewhere { url } => url.clone(),
        }
    }

    /// Where it is, as the superuser; the same as [`Place::url`] on SQLite.
    pub fn admin_url(&self) -> String {
        match &self.kind {
            Kind::Sqlite { .. } | Kind::Elsewhere { .. } => self.url(),
            Kind::Postgres { name } => Cluster::running().url(ADMIN, name),
        }
    }

    /// The back end under test.
    pub fn database(&self) -> Arc<dyn Database> {
        database_at(&self.url())
    }

    /// The back end under test, with every right.
    pub fn admin_database(&self) -> Arc<dyn Database> {
        database_at(&self.admin_url())
    }

    /// Runs a script as the application would, on a connection of its own.
    pub fn script(&self, sql: &str) {
        self.try_script(sql).unwrap_or_else(|error| panic!("on {}: {error}\nin {sql}", self.name()));
    }

    /// Runs the script for this kind of database.
    pub fn script2(&self, sqlite: &str, postgres: &str) {
        self.script(if self.is_sqlite() { sqlite } else { postgres });
    }

    /// Runs a script that may fail.
    pub fn try_script(&self, sql: &str) -> Result<(), String> {
        backends::testing::script(&parsed(&self.url()), sql)
    }

    /// Runs a script as the superuser.
    pub fn admin_script(&self, sql: &str) {
        backends::testing::script(&parsed(&self.admin_url()), sql)
            .unwrap_or_else(|error| panic!("on {}: {error}\nin {sql}", self.name()));
    }

    /// An application that stays connected.
    pub fn connect(&self) -> backends::testing::Application {
        backends::testing::Application::connect(&parsed(&self.url()))
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Runs a script as the superuser, on another database of the server.
    pub fn admin_script_outside(&self, sql: &str) {
        if let Kind::Postgres { .. } = self.kind {
            Cluster::running().administer(sql).unwrap_or_else(|error| panic!("{error}\nin {sql}"));
        }
    }

    /// The rows of a query, past the back end: raw values from SQLite, text from PostgreSQL.
    pub fn rows(&self, sql: &str) -> Vec<Row> {
        backends::testing::rows(&parsed(&self.url()), sql)
            .unwrap_or_else(|error| panic!("on {}: {error}\nin {sql}", self.name()))
    }

    /// The major version of the server; a SQLite file is of any age.
    pub fn version(&self) -> i64 {
        if self.is_sqlite() {
            return i64::MAX;
        }
        let shown = self.rows("show server_version_num");
        shown[0][0].as_text().and_then(|number| number.parse::<i64>().ok()).unwrap_or_default() / 10_000
    }

    /// Until the server tells in its figures what was done: before 15 a process of its own collects them, a moment later.
    pub fn wait_for_figures(&self) {
        if self.version() < 15 {
            std::thread::sleep(Duration::from_millis(1_500));
        }
    }

    /// Until a vacuum removes all that is dead by now. What a session may look at stays, also for one that is just being made, to
    /// whatever database: it may look at whatever was there when the oldest open transaction of the server began.
    pub fn wait_until_the_dead_may_go(&self) {
        if self.is_sqlite() {
            return;
        }
        let begun = Instant::now();
        let wait = || {
            assert!(begun.elapsed() < Duration::from_secs(120), "somebody may still look at what is dead");
            std::thread::sleep(Duration::from_millis(20));
        };
        let number = |sql: &str| {
            let rows = self.rows(sql);
            rows[0][0].as_text().and_then(|text| text.parse::<i64>().ok()).unwrap_or_default()
        };
        self.script("create table sexton_probe (x integer) with (autovacuum_enabled = false)");
        self.script("insert into sexton_probe values (1)");
        self.script("delete from sexton_probe");
        let now = number("select txid_current()");
        // From then on nobody begins who sees what is older, and then those who had begun before are through.
        while number("select txid_snapshot_xmin(txid_current_snapshot())") <= now {
            wait();
        }
        self.script("vacuum sexton_probe");
        while number("select pg_relation_size('sexton_probe')") > 0 {
            wait();
            self.script("vacuum sexton_probe");
        }
        self.script("drop table sexton_probe");
    }

    /// Everything that belongs to the user, exact to the bit, in one order: two dumps are equal when the databases are.
    /// What Sexton keeps for itself is left out.
    pub fn dump(&self) -> String {
        if self.is_sqlite() { dump::sqlite(self) } else { dump::postgres(self) }
    }

    /// What Sexton has left in the database or beside it.
    pub fn leftovers(&self) -> Vec<String> {
        match &self.kind {
            Kind::Postgres { .. } | Kind::Elsewhere { .. } => dump::left_in_postgres(self),
            Kind::Sqlite { folder } => {
                let mut left = dump::left_in_sqlite(self);
                for entry in std::fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    if !["app.db", "app.db-wal", "app.db-shm", "app.db-journal"].contains(&name.as_str()) {
                        left.push(format!("file {name}"));
                    }
                }
                left.sort();
                left
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Kind::Postgres { name } = &self.kind
            && !std::thread::panicking()
        {
            // A session that a test has not closed yet must not keep the database alive.
            let server = Cluster::running();
            if server.administer(&format!("drop database {name} with (force)")).is_err() {
                // version 12 knows no `force`
                let _ = server.administer(&format!("drop database {name}"));
            }
        }
    }
}

fn parsed(url: &str) -> Url {
    Url::parse(url).unwrap_or_else(|error| panic!("{error}"))
}

/// The back end under test, for a database anywhere.
pub fn database_at(url: &str) -> Arc<dyn Database> {
    match parsed(url) {
        Url::Sqlite { path } => Arc::new(backends::sqlite::Sqlite::new("test", &path)),
        url => Arc::new(backends::postgres::Postgres::new("test", url)),
    }
}
