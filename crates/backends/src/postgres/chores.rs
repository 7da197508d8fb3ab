//! Upkeep in the words of PostgreSQL, and a look at those who wait meanwhile.
//!
//! Options that came later than the server at hand are left out and told. While a statement runs on one connection, another
//! one looks ten times a second who waits for it.

use super::address::Address;
use super::dialect::Spelling;
use super::session::Connected;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use targets::db::{Chore, Facts, Order, Performed, Result, Row, Spelled, Sql, TableName, Vacuuming, Value};

/// A statement that is over by then made nobody wait for longer.
const PATIENCE: Duration = Duration::from_millis(50);
/// How often to look for those who wait.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What the server says of a table that it passes over.
const NOT_AVAILABLE: &str = "55P03";

/// Before version 15 a process of its own collects what sessions tell, and writes it down twice a second.
const BEHIND: Duration = Duration::from_millis(600);
/// The table that this process vacuumed last, on whatever server: the figures of that time may be of before it.
static LAST: Mutex<Option<(TableName, Instant)>> = Mutex::new(None);

/// Waits until the figures of the server are of after the last vacuum of the table, or of all.
pub(super) fn wait_for_figures(session: &mut Connected, only: Option<&TableName>) -> Result<()> {
    let is_it = |table: &TableName| only.is_none_or(|only| only == table);
    let last =
        LAST.lock().ok().and_then(|last| last.as_ref().filter(|(table, _)| is_it(table)).map(|(_, at)| *at));
    let left = last.map_or(Duration::ZERO, |last| BEHIND.saturating_sub(last.elapsed()));
    if session.dialect.version() >= 150_000 || left.is_zero() {
        return Ok(());
    }
    std::thread::sleep(left);
    session.rows(&Sql::new("select pg_stat_clear_snapshot()::text")).map(drop)
}

pub(super) fn spell(version: u32, chore: &Chore) -> Spelled {
    let of = |statement: String| Spelled { statement: Some(statement), left_out: Vec::new() };
    let beside = |concurrently: &bool| if *concurrently { " concurrently" } else { "" };
    match chore {
        Chore::Vacuum { table, how } => {
            let table = table.as_ref().map(|table| format!(" {}", table.quoted())).unwrap_or_default();
            let (options, left_out) = vacuuming(version, how);
            let options =
                if options.is_empty() { String::new() } else { format!(" ({})", options.join(", ")) };
            Spelled { statement: Some(format!("vacuum{options}{table}")), left_out }
        }
        Chore::Analyze { table } => {
            let table = table.as_ref().map(|table| format!(" {}", table.quoted())).unwrap_or_default();
            of(format!("analyze (skip_locked){table}"))
        }
        Chore::Reindex { index, concurrently } => {
            of(format!("reindex index{} {}", beside(concurrently), index.quoted()))
        }
        Chore::DropIndex { index } => of(format!("drop index concurrently if exists {}", index.quoted())),
        Chore::MakeIndex { statement, concurrently, .. } => of(match concurrently {
            true => super::index_statements::beside(statement),
            false => statement.clone(),
        }),
        Chore::Refresh { view, concurrently } => {
            of(format!("refresh materialized view{} {}", beside(concurrently), view.quoted()))
        }
        Chore::GiveBack { .. } | Chore::Optimize | Chore::ShortenLog => Spelled::default(),
    }
}

/// The options that the server knows, and those that it does not.
fn vacuuming(version: u32, how: &Vacuuming) -> (Vec<String>, Vec<String>) {
    let mut options = Vec::new();
    let mut left_out = Vec::new();
    let mut add = |wanted: bool, since: u32, option: String| match wanted {
        true if version >= since => options.push(option),
        true => left_out.push(format!("{option} (PostgreSQL {} and newer)", since / 10_000)),
        false => {}
    };
    add(how.full, 0, "full".to_owned());
    add(how.freeze, 0, "freeze".to_owned());
    add(how.analyze, 0, "analyze".to_owned());
    add(how.skip_locked, 120_000, "skip_locked".to_owned());
    // A full vacuum has no empty pages at its end, and works alone. A table may say otherwise for itself.
    add(!how.full, 120_000, format!("truncate {}", how.truncate));
    if let Some(cleanup) = how.index_cleanup.filter(|_| !how.full) {
        add(true, 120_000, format!("index_cleanup {cleanup}"));
    }
    if let Some(parallel) = how.parallel.filter(|_| !how.full) {
        add(true, 130_000, format!("parallel {parallel}"));
    }
    add(how.without_toast && !how.full, 140_000, "process_toast false".to_owned());
    if let Some(limit) = how.buffer_limit.as_ref().filter(|_| !how.full || how.analyze) {
        add(true, 160_000, format!("buffer_usage_limit '{}'", limit.replace('\'', "''")));
    }
    (options, left_out)
}

/// Does a chore, and sees who waits.
pub(super) fn perform(session: &mut Connected, address: Address, order: &Order) -> Result<Performed> {
    let Some(statement) = spell(session.dialect.version(), &order.chore).statement else {
        return Ok(Performed::default());
    };
    let process_id = session.wire.process_id;
    let dialect = session.dialect.clone();
    // Behind a pooler the process that works is not known, and each connection counts.
    let watched = !session.pooled;
    let began = Instant::now();
    let (done, waited) = std::thread::scope(|scope| {
        let (over, ends) = channel::<()>();
        let watcher = watched.then(|| scope.spawn(move || watch(address, dialect, process_id, &ends)));
        let done = session.statement(&statement, &order.limits);
        drop(over);
        (done, watcher.and_then(|watcher| watcher.join().ok()).flatten())
    });
    let took = began.elapsed();
    let done = done?;
    if let (Chore::Vacuum { table: Some(table), .. }, Ok(mut last)) = (&order.chore, LAST.lock()) {
        *last = Some((table.clone(), Instant::now()));
    }
    let passed_over = session.wire.noticed.iter().any(|code| code == NOT_AVAILABLE);
    Ok(Performed { others_waited: waited.map(|longest| longest.min(took)), passed_over, ..done })
}

/// The longest wait that may have been until the end, which is no longer than the work took; none when nobody could look.
fn watch(address: Address, dialect: Spelling, process_id: i32, ends: &Receiver<()>) -> Option<Duration> {
    // It ended before anybody looked.
    if ends.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
        return Some(Duration::MAX);
    }
    let mut looker = Connected::open(address, dialect, true).ok()?;
    let mut since: HashMap<i64, Instant> = HashMap::new();
    let mut longest = Duration::ZERO;
    loop {
        // Who works in the background only gives way, and comes back.
        let waiting = Sql::new(
            "select l.pid::bigint,
                    extract(epoch from clock_timestamp() - (to_jsonb(l) ->> 'waitstart')::timestamptz)::double precision
             from pg_locks as l join pg_stat_activity as a on a.pid = l.pid
             where not l.granted and a.backend_type = 'client backend' and ",
        )
        .bind(i64::from(process_id))
        .text(" = any (pg_blocking_pids(l.pid)::bigint[])");
        let Ok(rows) = looker.rows(&waiting) else { return Some(longest) };
        let now = Instant::now();
        let mut seen = HashMap::new();
        for row in rows {
            let (pid, told) = waits(&row);
            let first = since.get(&pid).copied().unwrap_or(now);
            seen.insert(pid, first);
            longest = longest.max(told.unwrap_or_else(|| now.duration_since(first)));
        }
        since = seen;
        if ends.recv_timeout(LOOK_EVERY) != Err(RecvTimeoutError::Timeout) {
            // They waited until now.
            let end = Instant::now();
            let last = since.values().map(|first| end.duration_since(*first)).max();
            return Some(longest.max(last.unwrap_or_default()));
        }
    }
}

fn waits(row: &Row) -> (i64, Option<Duration>) {
    let seconds = row.get(1).and_then(Value::as_real).filter(|seconds| *seconds >= 0.0);
    (row.first().and_then(Value::as_int).unwrap_or(0), seconds.map(Duration::from_secs_f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use targets::db::TableName;

    fn vacuum(version: u32, how: Vacuuming) -> (String, Vec<String>) {
        let table = Some(TableName::within("public", "t"));
        let spelled = spell(version, &Chore::Vacuum { table, how });
        (spelled.statement.unwrap(), spelled.left_out)
    }

    #[test]
    fn a_vacuum_is_spelled_for_the_server_at_hand() {
        // S1-013, W-049
        let how = Vacuuming {
            analyze: true,
            skip_locked: true,
            parallel: Some(2),
            buffer_limit: Some("4MB".to_owned()),
            index_cleanup: Some(false),
            without_toast: true,
            ..Vacuuming::default()
        };
        let (statement, left_out) = vacuum(170_002, how.clone());
        assert_eq!(
            statement,
            "vacuum (analyze, skip_locked, truncate false, index_cleanup false, parallel 2, process_toast false, \
             buffer_usage_limit '4MB') \"public\".\"t\""
        );
        assert!(left_out.is_empty());
        let (statement, left_out) = vacuum(150_018, how.clone());
        assert!(!statement.contains("buffer") && statement.contains("process_toast"), "{statement}");
        assert_eq!(left_out, ["buffer_usage_limit '4MB' (PostgreSQL 16 and newer)"]);
        let (statement, left_out) = vacuum(120_000, how);
        assert_eq!(
            statement,
            "vacuum (analyze, skip_locked, truncate false, index_cleanup false) \"public\".\"t\""
        );
        assert_eq!(left_out.len(), 3, "{left_out:?}");
        let full = Vacuuming { full: true, parallel: Some(2), without_toast: true, ..Vacuuming::default() };
        assert_eq!(vacuum(150_000, full).0, "vacuum (full) \"public\".\"t\"");
    }

    #[test]
    fn no_name_is_left_out_that_the_server_wants() {
        // W-049: `reindex database concurrently` takes a name; an index by its name works on every version
        let index = TableName::within("public", "My Index");
        let spelled = spell(120_000, &Chore::Reindex { index, concurrently: true });
        assert_eq!(spelled.statement.unwrap(), "reindex index concurrently \"public\".\"My Index\"");
        assert_eq!(spell(150_000, &Chore::Optimize).statement, None);
    }
}
