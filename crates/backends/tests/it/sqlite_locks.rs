//! The right to maintain, and the signs that others use the file, across processes.

use crate::sqlite_kit::*;
use backends::sqlite::Sqlite;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use targets::db::{Class, Database, GAVE_WAY, Limits, Sql};

/// Set for the child only: the database it is to open, and what it is to do.
const CHILD: &str = "SEXTON_TEST_CHILD";

/// Not a test of its own: in the child process it takes hold of the database and waits for its end.
#[test]
fn as_a_child_process_hold_the_database() {
    let Ok(task) = std::env::var(CHILD) else {
        return;
    };
    let (what, path) = task.split_once(' ').unwrap();
    let database = Sqlite::new("child", Path::new(path));
    let mut session = database.open().unwrap();
    match what {
        "lock" => assert!(session.try_lock("the child").unwrap()),
        _ => drop(session.rows(&Sql::raw("select count(*) from t")).unwrap()),
    }
    writeln!(std::io::stderr(), "ready").unwrap();
    let mut line = String::new();
    let _ = std::io::stdin().read_line(&mut line);
}

fn child(kit: &Kit, what: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite_locks::as_a_child_process_hold_the_database", "--nocapture"])
        .env(CHILD, format!("{what} {}", kit.path.display()))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("ready")), "the child failed");
    child
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn one_session_at_a_time_has_the_right_to_maintain() {
    let kit = Kit::new("create table t (v)");
    let (mut first, mut second) = (kit.open(), kit.open());
    assert!(first.try_lock("the first").unwrap());
    assert!(first.try_lock("the first").unwrap(), "it has it already");
    assert!(!second.try_lock("the second").unwrap());
    assert!(second.lock_holder().unwrap().unwrap().contains("the first"));
    first.unlock().unwrap();
    assert_eq!(second.lock_holder().unwrap(), None);
    assert!(second.try_lock("the second").unwrap());
    assert!(!first.try_lock("the first").unwrap());
    drop(second);
    assert!(first.try_lock("the first").unwrap());
    drop(first);
    let left: Vec<_> = std::fs::read_dir(kit.folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "only the database is left: {left:?}");
}

#[test]
fn another_name_of_the_file_means_the_same_right() {
    let kit = Kit::new("create table t (v)");
    let link = kit.folder.path().join("link.db");
    std::os::unix::fs::symlink(&kit.path, &link).unwrap();
    let mut first = kit.open();
    assert!(first.try_lock("a").unwrap());
    let mut second = backends::sqlite::Sqlite::new("link", &link).open().unwrap();
    assert!(!second.try_lock("b").unwrap());
}

#[test]
fn a_killed_process_gives_the_right_back() {
    let kit = Kit::new("create table t (v)");
    let child = child(&kit, "lock");
    let mut session = kit.open();
    assert!(!session.try_lock("us").unwrap());
    assert!(session.lock_holder().unwrap().unwrap().contains("the child"));
    end(child);
    assert!(kit.folder.path().join("app.db-sexton").exists(), "the file is left over");
    assert_eq!(session.lock_holder().unwrap(), None);
    assert!(session.try_lock("us").unwrap());
}

#[test]
fn many_that_take_and_give_back_at_once_never_have_it_together() {
    let kit = Kit::new("create table t (v)");
    let inside = std::sync::atomic::AtomicUsize::new(0);
    let taken = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut session = kit.open();
                for _ in 0..300 {
                    if session.try_lock("one of many").unwrap() {
                        assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        taken.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        session.unlock().unwrap();
                    }
                }
            });
        }
    });
    assert!(taken.into_inner() > 0);
}

#[test]
fn another_process_that_has_the_database_open_is_seen() {
    let kit = Kit::new("pragma journal_mode = wal; create table t (v)");
    let mut session = kit.open();
    assert_eq!(session.pulse().unwrap().in_use, Some(false), "we ourselves do not count");
    assert!(session.pulse().unwrap().alone);
    let child = child(&kit, "read");
    assert_eq!(session.pulse().unwrap().in_use, Some(true));
    assert!(!session.pulse().unwrap().alone);
    end(child);
    assert_eq!(session.pulse().unwrap().in_use, Some(false));
    assert!(session.pulse().unwrap().alone);
}

#[test]
fn a_long_statement_gives_way_to_whoever_opens_the_database() {
    let kit = Kit::new("pragma journal_mode = wal; create table t (v)");
    let mut session = kit.open();
    assert!(session.pulse().unwrap().alone);
    let many = |rows: u64| {
        Sql::raw(&format!(
            "with recursive c(i) as (select 1 union all select i + 1 from c where i < {rows}) insert into t select i from c"
        ))
    };
    let mut tx = session.begin(&Limits::default()).unwrap();
    tx.execute(&many(10)).unwrap();
    let newcomer = child(&kit, "read");
    let error = tx.execute(&many(1 << 40)).unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Transient, Some(GAVE_WAY)), "{error:?}");
    drop(tx);
    assert_eq!(session.count(&Sql::raw("select count(*) from t")).unwrap(), 0);
    // seen at the look before it, another process stops nothing: batches are short then
    assert!(!session.pulse().unwrap().alone);
    let mut tx = session.begin(&Limits::default()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(3));
    tx.execute(&many(200_000)).unwrap();
    tx.commit().unwrap();
    end(newcomer);
}

#[test]
fn without_a_log_nobody_can_be_sure_to_be_alone() {
    let kit = Kit::new("create table t (v)");
    let pulse = kit.open().pulse().unwrap();
    assert_eq!((pulse.in_use, pulse.alone), (Some(false), false));
}

#[test]
fn the_log_is_as_long_as_what_waits_in_it() {
    let kit = Kit::new("pragma journal_mode = wal; create table t (v)");
    let mut session = kit.open();
    let mut tx = session.begin(&Limits::default()).unwrap();
    tx.execute(&Sql::raw("insert into t values (randomblob(100000))")).unwrap();
    tx.commit().unwrap();
    let before = session.pulse().unwrap().wal_bytes.unwrap();
    assert!((100_000..200_000).contains(&before), "{before}");
    session.perform(&targets::db::Command::Checkpoint).unwrap();
    let mut tx = session.begin(&Limits::default()).unwrap();
    tx.execute(&Sql::raw("insert into t values (1)")).unwrap();
    tx.commit().unwrap();
    // the file keeps its size; the writer began again at its start
    assert!(session.pulse().unwrap().wal_bytes.unwrap() < 50_000);
}

#[test]
fn what_others_wrote_since_the_last_look_is_seen_once() {
    let kit = Kit::new("create table t (v)");
    let mut session = kit.open();
    assert_eq!(session.pulse().unwrap().in_use, Some(false));
    kit.app().execute_batch("insert into t values (1)").unwrap();
    assert_eq!(session.pulse().unwrap().in_use, Some(true));
    assert_eq!(session.pulse().unwrap().in_use, Some(false));
    let mut tx = session.begin(&Limits::default()).unwrap();
    tx.execute(&Sql::raw("insert into t values (2)")).unwrap();
    tx.commit().unwrap();
    assert_eq!(session.pulse().unwrap().in_use, Some(false), "what we wrote does not count");
}

#[test]
fn looking_at_the_pulse_does_not_let_go_of_the_databases_locks() {
    let kit = Kit::new("create table t (v)");
    let mut session = kit.open();
    let mut other = kit.database().read().unwrap();
    let mut tx = session.begin(&Limits::default()).unwrap();
    tx.execute(&Sql::raw("insert into t values (1)")).unwrap();
    assert!(other.pulse().unwrap().free_disk_bytes.unwrap() > 0);
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite_locks::as_a_child_process_write"])
        .env("SEXTON_TEST_WRITER", &kit.path)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "another process could write into our transaction");
    tx.commit().unwrap();
}

/// Not a test of its own: in the child process it must find the database locked.
#[test]
fn as_a_child_process_write() {
    if let Ok(path) = std::env::var("SEXTON_TEST_WRITER") {
        let conn = rusqlite::Connection::open(path).unwrap();
        conn.execute_batch("pragma busy_timeout = 0").unwrap();
        assert!(conn.execute_batch("begin immediate").is_err());
    }
}

/// Several who begin to work on one machine at the same moment all make the place of their common memory.
#[test]
fn a_file_of_our_own_is_made_by_several_at_the_same_moment() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..40 {
        let path = folder.path().join(format!("own{round}.db"));
        let start = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        let own = Sqlite::create("state", &path)?;
                        own.script(&["create table if not exists t (n integer)", "insert into t values (1)"])
                    })
                })
                .collect();
            for maker in makers {
                maker.join().unwrap().unwrap();
            }
        });
        let conn = rusqlite::Connection::open(&path).unwrap();
        let mode: String = conn.query_row("pragma journal_mode", [], |row| row.get(0)).unwrap();
        let rows: i64 = conn.query_row("select count(*) from t", [], |row| row.get(0)).unwrap();
        assert_eq!((mode.as_str(), rows), ("wal", 8));
    }
}
