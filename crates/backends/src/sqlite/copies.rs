//! Whole copies of a SQLite file, in one go under one read transaction.
//!
//! With a write-ahead log writers go on meanwhile; without one they wait. A copy has the pages of the source, so rowids, free
//! pages and settings are the same; `vacuum into` may number rows anew, which undo rows would not survive. The copy is checked and counted while it is being read.

use super::errors::{During, explain};
use super::{Sqlite, prepare, pulse, whole};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use targets::db::{Contents, Copies, Database, Dumping, EachPart, Error, Held, Result, TableName, quote};
use targets::files::failed;

/// The one part of a dump.
const PART: &str = "db";
/// How long to wait for a writer that lets nobody read, or for readers when replacing.
const PATIENCE: Duration = Duration::from_secs(30);
const SCRATCH: &str = "sexton_drill_";

impl Copies for Sqlite {
    fn formats(&self) -> &'static [&'static str] {
        &["sqlite"]
    }

    fn dump(&self, how: &Dumping, each: &mut EachPart) -> Result<Contents> {
        let place = how.scratch.join(PART);
        self.copy_to(&place)?;
        let label = format!("copy of {}", self.label);
        let mut file = File::open(&place)
            .map_err(|error| failed("cannot read the copy in the scratch folder", error))?;
        std::thread::scope(|scope| {
            let checked = scope.spawn(|| look_at(&label, &place));
            let sent = each(PART, &mut file);
            let checked =
                checked.join().unwrap_or_else(|_| Err(Error::system("the check of the copy failed")));
            sent.and(checked)
        })
    }

    fn pages(&self, how: &Dumping) -> Result<Option<Arc<dyn Database>>> {
        let place = how.scratch.join(PART);
        self.copy_to(&place)?;
        Ok(Some(Arc::new(Sqlite::new(&self.label, &place))))
    }

    fn look(&self, _how: &Dumping, folder: &Path) -> Result<Contents> {
        look_at("backup", &folder.join(PART))
    }

    fn revive(&self, _how: &Dumping, folder: &Path, name: &str) -> Result<Arc<dyn Database>> {
        let place = std::path::absolute(name).unwrap_or_else(|_| name.into());
        let doing = format!("cannot write `{}`", place.display());
        if place.exists() {
            return Err(Error::usage(format!("there is a file `{}` already", place.display()))
                .help("name a new file, or move that one away"));
        }
        let parent = place.parent().unwrap_or(Path::new("/"));
        let part =
            parent.join(format!(".{}.sexton-part", place.file_name().unwrap_or_default().to_string_lossy()));
        let write = || -> std::io::Result<()> {
            let mut from = File::open(folder.join(PART))?;
            let mut to = File::options().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
            std::io::copy(&mut from, &mut to)?;
            to.sync_all()?;
            // unlike a rename, a link never replaces a file that came meanwhile
            std::fs::hard_link(&part, &place)?;
            std::fs::remove_file(&part)?;
            File::open(parent)?.sync_all()
        };
        write().map_err(|error| {
            let _ = std::fs::remove_file(&part);
            failed(&doing, error)
        })?;
        Ok(Arc::new(Sqlite::new(&place.display().to_string(), &place)))
    }

    fn blank(&self, _how: &Dumping, name: &str) -> Result<Arc<dyn Database>> {
        let place = Path::new(name);
        File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(place)
            .map_err(|error| failed(&format!("cannot make `{name}`"), error))?;
        Ok(Arc::new(Sqlite::new(&format!("{} (empty)", self.label), place)))
    }

    fn script(&self, _how: &Dumping, without: &[TableName]) -> Result<String> {
        super::script::of(self, without)
    }

    fn scratch_name(&self, how: &Dumping, id: &str) -> String {
        how.scratch.join(format!("{SCRATCH}{id}.db")).display().to_string()
    }

    fn discard(&self, name: &str) -> Result<()> {
        let place = Path::new(name);
        if !place.file_name().is_some_and(|last| last.to_string_lossy().starts_with(SCRATCH)) {
            return Err(Error::usage(format!("`{name}` was not made to be discarded")));
        }
        for suffix in ["", "-wal", "-shm", "-journal"] {
            match std::fs::remove_file(super::lock::beside(place, suffix)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(failed(&format!("cannot remove `{name}`"), error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn replace(&self, revived: &str, _aside: &str) -> Result<Option<String>> {
        let explain = |error| explain(&self.label, During::Run, error);
        let from = Connection::open_with_flags(revived, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(explain)?;
        let path = self.existing_file()?;
        let mut live =
            Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(explain)?;
        prepare(&live, true).map_err(explain)?;
        live.busy_timeout(Duration::from_secs(5)).map_err(explain)?;
        // One write transaction of SQLite itself: others see all of the old state or all of the new one.
        {
            let backup = Backup::new(&from, &mut live).map_err(explain)?;
            all_pages(&backup, &self.label)?;
        }
        let _ = live.pragma_update_and_check(None, "wal_checkpoint", "passive", |_| Ok(()));
        Ok(None)
    }
}

impl Sqlite {
    /// Writes the copy. It is not synced: what is kept of it is.
    fn copy_to(&self, place: &Path) -> Result<()> {
        let path = self.existing_file()?;
        let during = |error| explain(&self.label, During::Run, error);
        let source = Connection::open_with_flags(
            &path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .map_err(|error| self.about_opening(explain(&self.label, During::Open, error), &path))?;
        prepare(&source, false).map_err(during)?;
        source.busy_timeout(PATIENCE).map_err(during)?;
        let bytes: u64 = source
            .query_row("select page_count * page_size from pragma_page_count, pragma_page_size", [], |row| {
                row.get::<_, i64>(0)
            })
            .map_err(during)?
            .max(0) as u64;
        enough_room(place, bytes)?;
        let doing = || format!("cannot write a copy of `{}` in the scratch folder", self.label);
        // made by us first, because SQLite would let others read it
        File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(place)
            .map_err(|error| failed(&doing(), error))?;
        let about_copy = |error: rusqlite::Error| explain(&doing(), During::Run, error);
        whole::copy(&source, &self.label, &path, place)?;
        // What is only in the log moves into the copy, which is one file then.
        let copy = Connection::open(place).map_err(about_copy)?;
        copy.execute_batch("pragma synchronous = off; pragma cache_size = -4096;").map_err(about_copy)?;
        let moved: i64 =
            copy.query_row("pragma wal_checkpoint(truncate)", [], |row| row.get(0)).map_err(about_copy)?;
        copy.close().map_err(|(_, error)| about_copy(error))?;
        match moved {
            0 => Ok(()),
            _ => Err(Error::system(format!(
                "the log of the copy of `{}` could not be moved into it",
                self.label
            ))),
        }
    }
}

fn all_pages(backup: &Backup<'_, '_>, label: &str) -> Result<()> {
    let began = Instant::now();
    loop {
        match backup.step(-1).map_err(|error| explain(label, During::Run, error))? {
            StepResult::Done => return Ok(()),
            _ if began.elapsed() > PATIENCE => {
                return Err(Error::transient(format!("database `{label}` is locked by another connection"))
                    .help("wait until the other one is done, then try again"));
            }
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn enough_room(place: &Path, needed: u64) -> Result<()> {
    match pulse::free_disk(place) {
        Some(free) if free < needed => Err(Error::system(format!(
            "not enough room for a copy in `{}`: {needed} bytes are needed, {free} bytes are free",
            place.parent().unwrap_or(place).display()
        ))
        .help("make room there, or name another folder: `[backup]` with `scratch = \"…\"`")),
        _ => Ok(()),
    }
}

/// Checks a file that nobody else has, and counts its rows.
fn look_at(label: &str, place: &Path) -> Result<Contents> {
    let during = |error| explain(label, During::Run, error);
    // immutable: no locks, no log, not a byte of the file changes
    let url = format!("file:{}?immutable=1", escaped(place));
    let conn = Connection::open_with_flags(
        url,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(during)?;
    let found: String = conn.query_row("pragma quick_check(5)", [], |row| row.get(0)).map_err(during)?;
    if found != "ok" {
        return Err(Error::system(format!("the {label} is damaged: {found}")).help(
            "check the database itself: `sqlite3 FILE 'pragma integrity_check'`; use an older backup",
        ));
    }
    let mut tables = Vec::new();
    let mut sum: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |text: &str| {
        for byte in text.bytes().chain([0]) {
            sum = (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    let mut names: Vec<String> = Vec::new();
    let sql = "select type, name, coalesce(sql, '') from sqlite_schema order by type, name";
    let mut statement = conn.prepare(sql).map_err(during)?;
    let mut rows = statement.query([]).map_err(during)?;
    while let Some(row) = rows.next().map_err(during)? {
        let of = |n: usize| row.get::<_, String>(n).map_err(during);
        let (kind, name, sql) = (of(0)?, of(1)?, of(2)?);
        [&kind, &name, &sql].into_iter().for_each(|text| add(text));
        let is_virtual = sql.to_ascii_lowercase().starts_with("create virtual");
        if kind == "table" && !is_virtual {
            names.push(name);
        }
    }
    for name in names {
        let rows = conn
            .query_row(&format!("select count(*) from {}", quote(&name)), [], |row| row.get::<_, i64>(0))
            .map_err(during)?;
        tables.push(Held { name, rows: Some(rows.max(0) as u64) });
    }
    let number = |pragma: &str| conn.query_row(&format!("pragma {pragma}"), [], |row| row.get::<_, i64>(0));
    for pragma in ["application_id", "user_version", "page_size"] {
        add(&number(pragma).map_err(during)?.to_string());
    }
    Ok(Contents {
        format: "sqlite".to_owned(),
        server_version: rusqlite::version().to_owned(),
        tool_version: format!("SQLite {} online backup", rusqlite::version()),
        schema: format!("{sum:016x}"),
        tables,
    })
}

/// A path as part of a URI.
fn escaped(path: &Path) -> String {
    path.display()
        .to_string()
        .chars()
        .map(|c| match c {
            '%' => "%25".to_owned(),
            '?' => "%3f".to_owned(),
            '#' => "%23".to_owned(),
            c => c.to_string(),
        })
        .collect()
}
