//! What the move is worth to an application: many who read and write at once, on the SQLite file before, and on PostgreSQL after
//! `sexton transfer`, in the same run. Each does the same mixture: read a user with his orders, add an order, change one.
//!
//! Without `--bench` (as a test runs it) it lasts a moment, and what came out is checked, not how fast.
#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)] // a benchmark is a program whose output is text

use backends::testing::Application;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use targets::db::Url;
use testkit::Server;

/// The one test of this file, for test runners that ask.
const TEST: &str = "the_load_test_works_for_a_moment";

fn main() {
    let Some(said) = testkit::Arguments::of(TEST) else { return };
    let number = |name: &str| said.number::<u64>(name);
    let measured = said.has("--bench");
    let users = number("--users").unwrap_or(if measured { 100_000 } else { 500 });
    let seconds = number("--seconds").map_or(if measured { 10.0 } else { 0.5 }, |seconds| seconds as f64);
    let sessions: Vec<u64> = number("--sessions").map_or(vec![1, 4, 20], |one| vec![one]);
    let folder = std::env::temp_dir().join(format!("sexton-bench-load-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let server = Server::start(&folder.join("postgres"), &["fsync=on"])
        .unwrap_or_else(|why| panic!("{why}\nhelp: apt-get install postgresql"));
    run(&server, &folder, users, seconds, &sessions);
    drop(server);
    let _ = std::fs::remove_dir_all(&folder);
}

fn run(server: &Server, folder: &PathBuf, users: u64, seconds: f64, sessions: &[u64]) {
    let file = Url::Sqlite { path: folder.join("app.db") };
    std::fs::File::create(folder.join("app.db")).unwrap_or_else(|error| panic!("{error}"));
    backends::testing::script(
        &file,
        &format!(
            "pragma journal_mode = wal;
             create table users (id integer primary key, name text not null, active boolean not null);
             create table orders (id integer primary key autoincrement, user_id integer not null references users, total integer not null);
             create index orders_of on orders (user_id);
             with recursive n(i) as (select 1 union all select i + 1 from n where i < {users})
             insert into users select i, 'name ' || i, i % 2 from n;
             insert into orders (user_id, total) select id, id % 1000 from users;"
        ),
    )
    .unwrap_or_else(|why| panic!("{why}"));
    let target = Url::parse(&server.url("app")).unwrap_or_else(|error| panic!("{error}"));
    let admin = Url::parse(&server.url("postgres")).unwrap_or_else(|error| panic!("{error}"));
    backends::testing::script(&admin, "create database app").unwrap_or_else(|why| panic!("{why}"));
    let moved = Command::new(env!("CARGO_BIN_EXE_sexton"))
        .args(["transfer", "run", "--yes", "--quiet", "--source", "app.db", "--database", &server.url("app")])
        .current_dir(folder)
        .env("HOME", folder)
        .stdout(Stdio::null())
        .status()
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(moved.success(), "{moved}");
    println!(
        "| sessions | SQLite, transactions/s (p95) | refused | PostgreSQL, transactions/s (p95) | refused |"
    );
    println!("|---|---|---|---|---|");
    for number in sessions {
        let mut cells = vec![number.to_string()];
        for url in [&file, &target] {
            let done = load(url, *number, users, seconds);
            assert!(!done.times.is_empty(), "nothing was done");
            let p95 = done.times[done.times.len() * 95 / 100].as_secs_f64() * 1000.0;
            cells.push(format!("{:.0} ({p95:.1} ms)", done.times.len() as f64 / seconds));
            cells.push(done.refused.to_string());
        }
        println!("| {} |", cells.join(" | "));
    }
    // both had the same load, and nobody lost an order
    for url in [&file, &target] {
        let mut application = Application::connect(url).unwrap_or_else(|why| panic!("{why}"));
        let lost =
            "select count(*) from orders o where not exists (select 1 from users u where u.id = o.user_id)";
        assert_eq!(application.integers(lost).unwrap_or_default(), [0]);
    }
}

#[derive(Default)]
struct Done {
    /// How long each transaction took, sorted.
    times: Vec<Duration>,
    /// Transactions that had to be given up because of others.
    refused: u64,
}

/// So many sessions at once, for so many seconds.
fn load(url: &Url, sessions: u64, users: u64, seconds: f64) -> Done {
    let over = AtomicBool::new(false);
    let mut all = Done::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..sessions)
            .map(|worker| {
                let over = &over;
                scope.spawn(move || {
                    let mut application = Application::connect(url).unwrap_or_else(|why| panic!("{why}"));
                    let begin = if matches!(url, Url::Sqlite { .. }) { "begin immediate" } else { "begin" };
                    let (mut done, mut dice) = (Done::default(), 88_172_645_463_325_252 ^ (worker + 1));
                    // On a busy machine the time may be up before the first one is through.
                    while !over.load(Ordering::Relaxed) || (done.times.is_empty() && done.refused < 1_000) {
                        dice ^= dice << 13;
                        dice ^= dice >> 7;
                        dice ^= dice << 17;
                        let user = dice % users + 1;
                        let began = Instant::now();
                        let read = format!(
                            "select total from orders where user_id = {user} order by id desc limit 10"
                        );
                        let write = format!(
                            "{begin}; insert into orders (user_id, total) values ({user}, 7); \
                             update users set name = 'seen {user}' where id = {user}; commit"
                        );
                        // one in five writes
                        let outcome = match dice % 5 {
                            0 => application.script(&write),
                            _ => application.integers(&read).map(drop),
                        };
                        match outcome {
                            Ok(()) => done.times.push(began.elapsed()),
                            Err(_) => {
                                done.refused += 1;
                                let _ = application.script("rollback");
                            }
                        }
                    }
                    done
                })
            })
            .collect();
        std::thread::sleep(Duration::from_secs_f64(seconds));
        over.store(true, Ordering::Relaxed);
        for worker in workers {
            let done = worker.join().unwrap_or_else(|_| panic!("a session broke"));
            all.times.extend(done.times);
            all.refused += done.refused;
        }
    });
    all.times.sort();
    all
}
