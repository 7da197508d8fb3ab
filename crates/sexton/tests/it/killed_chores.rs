//! Upkeep whose process is killed in the middle of a command: what that left is told apart from what others do, and cleaned.

use crate::kit::Desk;
use std::process::Stdio;
use std::time::{Duration, Instant};
use testkit::Place;

const INVALID: &str = "select indexrelid::regclass::text from pg_index where not indisvalid order by 1";

/// A table that somebody is writing to, so that whoever wants to build or drop an index there waits.
fn given() -> (Desk, backends::testing::Application) {
    let place = Place::postgres();
    place.script(
        "create table t (id int primary key, a text, b text); insert into t select i, 'a' || i, 'b' || i from generate_series(1, 500) i;
         create index t_a on t (a); create index t_b on t (b)",
    );
    let mut other = place.connect();
    other.script("begin; insert into t values (100000, 'x', 'y')").unwrap();
    (Desk::at(place), other)
}

fn wait(what: &str, mut until: impl FnMut() -> bool) {
    let began = Instant::now();
    while !until() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs the program until `until`, then kills it.
fn killed(desk: &Desk, line: &str, mut until: impl FnMut() -> bool) {
    let mut run = desk.command(line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait("its command", || {
        assert!(run.try_wait().unwrap().is_none(), "it ended by itself: {line}");
        until()
    });
    run.kill().unwrap();
    run.wait().unwrap();
}

fn list(desk: &Desk, sql: &str) -> Vec<String> {
    desk.place.rows(sql).iter().map(|row| row[0].as_text().unwrap_or_default().to_owned()).collect()
}

/// The server notices that its client is gone when it next tells him something: then the work has ended, and nothing is locked.
fn gone(desk: &Desk) {
    crate::kit::sessions_end(&desk.place);
}

#[test]
fn a_killed_rebuild_leaves_an_index_that_the_next_run_removes() {
    // W-049: killed in mid reindex; the next run cleans up
    for (next, ends) in [("resume latest", 0), ("reindex", 0)] {
        let (desk, mut other) = given();
        let url = desk.place.url();
        killed(&desk, &format!("reindex --indexes t_a --database '{url}'"), || {
            list(&desk, INVALID) == ["t_a_ccnew"]
        });
        // While the server still works on it, it is nobody's leftover.
        let busy = desk.sexton(&format!("plan reindex --database '{url}'"));
        let _ = busy;
        let early = desk.sexton(&format!("reindex --dry-run --database '{url}'")).ends(0);
        assert!(!early.stdout.contains("remove what rebuilds left"), "{}", early.shown());
        other.script("rollback").unwrap();
        gone(&desk);
        desk.sexton(&format!("{next} --database '{url}'")).ends(ends);
        assert_eq!(list(&desk, INVALID), Vec::<String>::new(), "{next}");
    }
}

#[test]
fn a_killed_drop_is_gone_on_with_or_put_back() {
    for back in [false, true] {
        let (desk, mut other) = given();
        let url = desk.place.url();
        let before = list(&desk, "select indexdef from pg_indexes where tablename = 't' order by 1");
        killed(&desk, &format!("index drop t_a --yes --database '{url}'"), || {
            list(&desk, INVALID) == ["t_a"]
        });
        other.script("rollback").unwrap();
        gone(&desk);
        if !back {
            desk.sexton(&format!("resume latest --database '{url}'")).ends(0);
            assert_eq!(
                list(&desk, "select indexname from pg_indexes where tablename = 't' order by 1"),
                ["t_b", "t_pkey"]
            );
        }
        desk.sexton(&format!("undo latest --database '{url}'")).ends(0);
        assert_eq!(list(&desk, "select indexdef from pg_indexes where tablename = 't' order by 1"), before);
        assert_eq!(list(&desk, INVALID), Vec::<String>::new());
    }
}

#[test]
fn a_killed_way_back_is_gone_on_with() {
    let (desk, mut other) = given();
    let url = desk.place.url();
    let before = list(&desk, "select indexdef from pg_indexes where tablename = 't' order by 1");
    other.script("rollback").unwrap();
    desk.sexton(&format!("index drop t_a t_b --yes --database '{url}'")).ends(0);
    other.script("begin; insert into t values (100001, 'x', 'y')").unwrap();
    killed(&desk, &format!("undo latest --database '{url}'"), || list(&desk, INVALID) == ["t_a"]);
    other.script("rollback").unwrap();
    gone(&desk);
    desk.sexton(&format!("undo latest --database '{url}'")).ends(0);
    assert_eq!(list(&desk, "select indexdef from pg_indexes where tablename = 't' order by 1"), before);
    assert_eq!(list(&desk, INVALID), Vec::<String>::new());
}
