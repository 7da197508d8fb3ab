//! SQLite: one file, opened directly, never created.
//!
//! Promises: a missing file stays missing; a read session is refused every write by SQLite itself; foreign keys are
//! never enforced on our connections, because Sexton handles children explicitly and must be able to bring back rows
//! that were orphans already. The database files themselves are only ever opened by SQLite: closing a descriptor of
//! our own would drop the locks that SQLite holds in this process.

mod age;
mod bloat;
mod chores;
mod collations;
mod copies;
mod dialect;
mod errors;
mod inspection;
mod load;
mod lock;
mod moment;
mod objects;
mod place;
mod predicate;
mod pulse;
mod rebuild;
mod references;
mod schema;
mod script;
mod session;
mod soundness;
mod traffic;
mod transaction;
mod triggers;
mod upkeep;
mod values;
mod walk;
mod watch;
mod whole;

pub use dialect::SqliteDialect;

use rusqlite::{Connection, OpenFlags};
use session::Link;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use targets::db::{Class, Copies, Database, Dialect, Error, Facts, Limits, Result, Session};

/// How long others are waited for where a file of our own is made.
const PATIENCE: Duration = Duration::from_secs(5);

/// A SQLite file.
#[derive(Debug, Clone)]
pub struct Sqlite {
    label: String,
    path: PathBuf,
}

impl Sqlite {
    /// The file at `path`, called `label` in messages. Nothing is opened yet.
    pub fn new(label: &str, path: &Path) -> Self {
        Self { label: label.to_owned(), path: path.to_owned() }
    }

    /// Makes a file for Sexton's own use where there is none, with a write-ahead log so that looking does not wait for
    /// writing. The only place where a database is created.
    pub fn create(label: &str, path: &Path) -> Result<Self> {
        let explain = |error| errors::explain(label, errors::During::Open, error);
        let conn = Connection::open(path).map_err(explain)?;
        conn.busy_timeout(PATIENCE).map_err(explain)?;
        let began = Instant::now();
        // Of several who change the mode at the same moment all but one are refused at once, without the wait asked for above.
        while let Err(error) = conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())) {
            let error = explain(error);
            if error.class != Class::Transient || began.elapsed() > PATIENCE {
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(Self::new(label, path))
    }

    /// Runs scripts of our own on a file of our own, such as an example.
    pub fn script(&self, scripts: &[&str]) -> Result<()> {
        let explain = |error| errors::explain(&self.label, errors::During::Run, error);
        let conn = Connection::open(self.existing_file()?).map_err(explain)?;
        conn.busy_timeout(PATIENCE).map_err(explain)?;
        for script in scripts {
            conn.execute_batch(&format!("begin immediate; {script}; commit")).map_err(explain)?;
        }
        Ok(())
    }

    /// So many sessions that happen to see the same moment, without a lock for that; none where somebody commits too often.
    fn at_one_moment(&self, most: usize) -> Result<Option<Vec<Box<dyn Facts>>>> {
        let mut sessions: Vec<Box<dyn Facts>> = Vec::new();
        let mut moment = None;
        for n in 0..most.max(1) {
            let mut session = self.connect(false)?;
            session.fix()?;
            let own = session.moment()?;
            if own.is_none() || (n > 0 && own != moment) {
                return Ok(None);
            }
            moment = own;
            sessions.push(Box::new(session));
        }
        Ok(Some(sessions))
    }

    /// Opens the file and prepares the connection.
    fn connect(&self, writes: bool) -> Result<Link> {
        let path = self.existing_file()?;
        let access =
            if writes { OpenFlags::SQLITE_OPEN_READ_WRITE } else { OpenFlags::SQLITE_OPEN_READ_ONLY };
        let explain = |error| errors::explain(&self.label, errors::During::Open, error);
        let conn = Connection::open_with_flags(&path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(|error| self.about_opening(explain(error), &path))?;
        prepare(&conn, writes).map_err(|error| self.about_opening(explain(error), &path))?;
        if writes && conn.is_readonly("main").map_err(explain)? {
            return Err(Error::system(format!(
                "database `{}` cannot be written: `{}` is read-only",
                self.label,
                path.display()
            ))
            .help(format!("allow this user to write it: chmod u+w '{}'", path.display())));
        }
        let link = Link::new(conn, &self.label, path)?;
        if !writes {
            collations::lend(&link.conn, &link.watch).map_err(explain)?;
        }
        Ok(link)
    }

    /// The absolute path, or why there is nothing to open. An absolute path also keeps SQLite from reading
    /// `:memory:` and the empty name as databases of its own.
    fn existing_file(&self) -> Result<PathBuf> {
        let shown = self.path.display();
        let about = match std::fs::metadata(&self.path) {
            Ok(about) => about,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::usage(format!("database `{}`: there is no file `{shown}`", self.label))
                    .help("correct the path; Sexton never creates a database that is missing")
                    .because(error));
            }
            Err(error) => {
                return Err(Error::system(format!("database `{}`: cannot look at `{shown}`", self.label))
                    .help(format!(
                        "allow this user to enter the folder: ls -ld '{}'",
                        self.folder().display()
                    ))
                    .because(error));
            }
        };
        if about.is_dir() {
            return Err(Error::usage(format!("database `{}`: `{shown}` is a directory", self.label))
                .help("name the database file inside it"));
        }
        if !about.is_file() {
            return Err(Error::usage(format!("database `{}`: `{shown}` is not a regular file", self.label))
                .help("name a SQLite file"));
        }
        std::fs::canonicalize(&self.path).map_err(|error| {
            Error::system(format!("database `{}`: cannot resolve `{shown}`", self.label)).because(error)
        })
    }

    /// SQLite says only "unable to open database file"; the surroundings say more.
    fn about_opening(&self, error: Error, path: &Path) -> Error {
        let unopened = error.code.as_deref().and_then(|code| code.parse::<i32>().ok()).is_some_and(|code| {
            matches!(code & 0xff, rusqlite::ffi::SQLITE_CANTOPEN | rusqlite::ffi::SQLITE_READONLY)
        });
        if !unopened {
            return error;
        }
        let side = |suffix: &str| lock::beside(path, suffix).exists();
        let folder = path.parent().unwrap_or(Path::new("/")).display();
        if !pulse::may(path, libc::R_OK) {
            return error.help(format!("allow this user to read it: chmod u+r '{}'", path.display()));
        }
        if !pulse::may(path.parent().unwrap_or(Path::new("/")), libc::W_OK) && !side("-shm") {
            return error.help(format!(
                "the database uses a write-ahead log, and even reading it needs files beside it: allow this user to write in \
                 '{folder}', or leave that mode with: sqlite3 '{}' 'pragma journal_mode=delete'",
                path.display()
            ));
        }
        if side("-journal") {
            return error.help(format!(
                "an application left a transaction half done: open it once with write access, so that SQLite can \
                 repair it: sqlite3 '{}' 'pragma schema_version'",
                path.display()
            ));
        }
        error
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }
}

impl Database for Sqlite {
    fn label(&self) -> &str {
        &self.label
    }

    fn dialect(&self) -> &dyn Dialect {
        &SqliteDialect
    }

    fn read(&self) -> Result<Box<dyn Facts>> {
        Ok(Box::new(self.connect(false)?))
    }

    fn open(&self) -> Result<Box<dyn Session>> {
        Ok(Box::new(self.connect(true)?))
    }

    fn copies(&self) -> &dyn Copies {
        self
    }

    fn together(&self, most: usize) -> Result<Vec<Box<dyn Facts>>> {
        if let Some(all) = self.at_one_moment(most)? {
            return Ok(all);
        }
        let mut first = self.connect(false)?;
        if most > 1
            && let Ok(mut gate) = self.connect(true)
            && let Ok(nobody_writes) = gate.begin(&Limits::default())
        {
            // While the write lock is held there is nothing new to see, so all of them begin at the same moment.
            let mut sessions: Vec<Box<dyn Facts>> = Vec::new();
            for _ in 1..most {
                let mut session = self.connect(false)?;
                session.fix()?;
                sessions.push(Box::new(session));
            }
            first.fix()?;
            drop(nobody_writes);
            sessions.push(Box::new(first));
            return Ok(sessions);
        }
        first.fix()?;
        Ok(vec![Box::new(first)])
    }
}

/// Settings of every connection. 32 MB of cache for the session that writes, 8 MB for the one that verifies beside it,
/// and sorting in files keep the whole process under 64 MB. The log is
/// checkpointed on command only, so that no commit of ours pays for it.
fn prepare(conn: &Connection, writes: bool) -> rusqlite::Result<()> {
    conn.busy_timeout(whole_milliseconds(Limits::default().lock))?;
    let cache = if writes { 32_768 } else { 8_192 };
    conn.execute_batch(&format!(
        "pragma foreign_keys = off;
         pragma cache_size = -{cache};
         pragma temp_store = file;
         pragma mmap_size = 0;",
    ))?;
    // the first statement that reads the file: here a file that is no database is found out
    let mode: String = conn.query_row("pragma journal_mode", [], |row| row.get(0))?;
    conn.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))?;
    if writes {
        let sync = if mode.eq_ignore_ascii_case("wal") { "normal" } else { "full" };
        conn.execute_batch(&format!("pragma synchronous = {sync}; pragma wal_autocheckpoint = 0;"))?;
    } else {
        conn.execute_batch("pragma query_only = on;")?;
    }
    age::register(conn)
}

/// rusqlite panics on a time-out that does not fit into 32 bits of milliseconds.
fn whole_milliseconds(wanted: Duration) -> Duration {
    wanted.min(Duration::from_secs(24 * 60 * 60))
}
