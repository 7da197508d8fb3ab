//! What an online move costs the application: how long nobody can write at the cut-over, how long a transaction waits at the worst, and
//! how much of the application's throughput is left while changes are written down.
//!
//! The application is a process of its own: transactions of ten statements on the SQLite file, and after the move on PostgreSQL, where
//! the pointer file sends it. Without `--bench` (as a test runs it) there are few rows, and what came out is checked, not how fast.
#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)] // a benchmark is a program whose output is text

#[path = "transfer/shop.rs"]
#[allow(dead_code)] // the other benchmark asks how many rows it makes
mod shop;

use backends::testing::Application;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use targets::db::Url;
use testkit::Server;

/// The one test of this file, for test runners that ask.
const TEST: &str = "the_benchmark_of_an_online_move_works_on_a_few_rows";
/// Statements of a transaction, each of one row.
const STATEMENTS: u64 = 10;
/// What the application reads its database from.
const POINTER: &str = "DATABASE_URL";

fn main() {
    let Some(said) = testkit::Arguments::of(TEST) else { return };
    match said.all() {
        [first, file, pointer, rows] if first == "writer" => {
            return print(&write_until_moved(file, pointer, rows));
        }
        [first, file, seconds] if first == "hasty" => return print(&write_hastily(file, seconds)),
        _ => {}
    }
    let number = |name: &str| said.number::<u64>(name);
    let measured = said.has("--bench");
    let rows = number("--rows").unwrap_or(if measured { 10_000_000 } else { 2_000 });
    let rate = number("--rate").unwrap_or(500);
    let seconds = number("--seconds").map_or(if measured { 5.0 } else { 0.3 }, |seconds| seconds as f64);
    let base = said.text("--folder").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = base.join(format!("sexton-bench-online-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let server = Server::start(&folder.join("postgres"), &["fsync=on", "max_wal_size=4GB"])
        .unwrap_or_else(|why| panic!("{why}\nhelp: apt-get install postgresql"));
    let stage = Stage { server: &server, folder: &folder, file: folder.join("app.db") };
    match said.text("--source") {
        // one that is named stays as it is
        Some(source) => {
            std::fs::copy(&source, &stage.file).unwrap_or_else(|error| panic!("{source}: {error}"));
        }
        None => shop::make(&stage.file, rows),
    }
    stage.run(rate, seconds);
    drop(server);
    let _ = std::fs::remove_dir_all(&folder);
}

fn print(what: &impl Serialize) {
    println!("{}", serde_json::to_string(what).unwrap_or_default());
}

fn told<T>(result: Result<T, String>) -> T {
    result.unwrap_or_else(|why| panic!("{why}"))
}

/// What the application met.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Met {
    transactions: u64,
    /// Rows of `events` that it added, without those that it took away.
    added: i64,
    /// From asking to being committed, at most, while it wrote into the file.
    longest_ms: f64,
    p99_ms: f64,
    /// Between the last transaction in the file and the first in PostgreSQL.
    without_writes: f64,
}

/// The application.
struct Writer {
    session: Application,
    dice: u64,
    users: u64,
    events: u64,
    added: i64,
}

impl Writer {
    fn on(file: &str) -> Self {
        let mut session = told(Application::connect(&Url::Sqlite { path: file.into() }));
        told(
            session
                .script("pragma foreign_keys = on; pragma synchronous = normal; pragma busy_timeout = 60000"),
        );
        let most = |session: &mut Application, table: &str| {
            told(session.integers(&format!("select max(id) from {table}")))[0] as u64
        };
        let (users, events) = (most(&mut session, "users"), most(&mut session, "events"));
        Self { session, dice: 88_172_645_463_325_252, users, events, added: 0 }
    }

    fn below(&mut self, most: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % most + 1
    }

    /// Ten statements.
    fn transaction(&mut self) -> Result<(), String> {
        let mut added = 0;
        self.session.script("begin immediate")?;
        for n in 0..STATEMENTS {
            let (user, event) = (self.below(self.users), self.below(self.events));
            match n {
                0..4 => {
                    added += 1;
                    self.session.script(&format!(
                        "insert into events (user_id, kind, ts_ms, created_at) values ({user}, 'click', 1546300800000 + {event}, '2024-05-06 07:08:09.123')"
                    ))?;
                }
                4..6 => self.session.script(&format!("update events set duration = {user} / 7.0 where id = {event}"))?,
                6..8 => self.session.script(&format!(
                    "update users set balance = balance + 1, last_login = '2024-05-06 07:08:09' where id = {user}"
                ))?,
                8 => self.session.script(&format!(
                    "insert into messages (author_id, body, sent_at) values ({user}, 'hello', '2024-05-06 07:08:09.000')"
                ))?,
                _ => added -= self.session.change(&format!("delete from events where id = {event}"))? as i64,
            }
        }
        self.session.script("commit")?;
        self.added += added;
        Ok(())
    }
}

/// So many rows a second, until it is told that the file has moved; then it goes where the pointer says.
fn write_until_moved(file: &str, pointer: &str, rows: &str) -> Met {
    let mut writer = Writer::on(file);
    let pause = Duration::from_secs_f64(STATEMENTS as f64 / rows.parse::<f64>().unwrap_or(500.0));
    let (mut times, mut last, mut next) = (Vec::new(), Instant::now(), Instant::now());
    loop {
        let began = Instant::now();
        match writer.transaction() {
            Ok(()) => {
                last = Instant::now();
                times.push(began.elapsed().as_secs_f64() * 1000.0);
            }
            Err(why) if why.contains("has moved") => {
                told(writer.session.script("rollback"));
                break;
            }
            Err(why) => panic!("{why}"),
        }
        next += pause;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        // what it could not do in time it does not do twice as fast
        next = next.max(Instant::now() - pause);
    }
    let there = loop {
        let text = std::fs::read_to_string(pointer).unwrap_or_default();
        let line =
            text.lines().find_map(|line| line.strip_prefix(&format!("{POINTER}="))).unwrap_or_default();
        let url = line.trim_matches(['"', '\'']);
        if url.starts_with("postgres") {
            break told(Url::parse(url).map_err(|error| error.to_string()));
        }
        assert!(last.elapsed() < Duration::from_secs(60), "nobody sent it on: {text}");
        std::thread::sleep(Duration::from_millis(2));
    };
    let mut session = told(Application::connect(&there));
    told(
        session.change("insert into events (user_id, kind, ts_ms, created_at) values (1, 'there', 1, now())"),
    );
    let without_writes = last.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        times.get(((times.len().max(1) - 1) as f64 * share) as usize).copied().unwrap_or_default()
    };
    Met {
        transactions: times.len() as u64,
        added: writer.added + 1,
        longest_ms: at(1.0),
        p99_ms: at(0.99),
        without_writes,
    }
}

/// As many transactions as it can.
fn write_hastily(file: &str, seconds: &str) -> Met {
    let mut writer = Writer::on(file);
    let (most, began) = (Duration::from_secs_f64(seconds.parse().unwrap_or(1.0)), Instant::now());
    let mut met = Met::default();
    while began.elapsed() < most {
        told(writer.transaction());
        met.transactions += 1;
    }
    met.added = writer.added;
    met
}

struct Stage<'a> {
    server: &'a Server,
    folder: &'a Path,
    file: PathBuf,
}

impl Stage<'_> {
    fn sexton(&self, action: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sexton"));
        command
            .args(["transfer", action, "--yes", "--source"])
            .arg(&self.file)
            .args(["--database", &self.server.url("app")])
            .args(more)
            .current_dir(self.folder)
            .env("HOME", self.folder);
        command
    }

    fn itself(&self, words: &[&str]) -> Child {
        let program = std::env::current_exe().unwrap_or_else(|error| panic!("{error}"));
        let mut command = Command::new(program);
        command.args(words).stdout(Stdio::piped());
        command.spawn().unwrap_or_else(|error| panic!("{error}"))
    }

    fn file(&self) -> &str {
        self.file.to_str().unwrap_or_default()
    }

    fn hastily(&self, seconds: f64) -> Met {
        answer(self.itself(&["hasty", self.file(), &seconds.to_string()]))
    }

    fn count(&self, url: &Url) -> i64 {
        told(told(Application::connect(url)).integers("select count(*) from events"))[0]
    }

    fn run(&self, rate: u64, seconds: f64) {
        let source = Url::Sqlite { path: self.file.clone() };
        told(backends::testing::script(&source, "pragma journal_mode = wal"));
        let admin = told(Url::parse(&self.server.url("postgres")).map_err(|error| error.to_string()));
        told(backends::testing::script(&admin, "create database app"));
        let pointer = self.folder.join(".env");
        std::fs::write(&pointer, format!("{POINTER}=sqlite://{}\n", self.file()))
            .unwrap_or_else(|error| panic!("{error}"));
        let online = ["--online", "--switch", "file=.env", "--switch", "variable=DATABASE_URL"];

        let before = self.hastily(seconds).transactions;
        let during = self.while_captured(&source, &online, seconds);
        let after = self.hastily(seconds).transactions;
        let usual = (before + after) as f64 / 2.0;
        let share = during as f64 / usual.max(1.0);

        let there = self.count(&source);
        let writer =
            self.itself(&["writer", self.file(), pointer.to_str().unwrap_or_default(), &rate.to_string()]);
        std::thread::sleep(Duration::from_millis(200));
        let began = Instant::now();
        let moved = self.sexton("run", &[&online[..], &["--output", "json"]].concat()).output();
        let moved = moved.unwrap_or_else(|error| panic!("{error}"));
        let took = began.elapsed().as_secs_f64();
        assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stderr));
        let report: serde_json::Value = serde_json::from_slice(&moved.stdout).unwrap_or_default();
        let said = report["transfer"]["downtime_seconds"].as_f64();
        let met = answer(writer);
        let target = told(Url::parse(&self.server.url("app")).map_err(|error| error.to_string()));
        assert_eq!(self.count(&target), there + met.added, "rows were lost, or came twice");
        assert!(said.is_some() && met.transactions > 0, "{}", report["transfer"]["message"]);

        println!(
            "{there} events and as many other rows; the move took {took:.1} s, {} transactions meanwhile\n",
            met.transactions
        );
        println!("| what | seen |\n|---|---|");
        println!("| transactions a second, as many as can be | {:.0} |", usual / seconds);
        println!("| the same while changes are written down | {:.0} ({share:.2}) |", during as f64 / seconds);
        println!("| seconds without writes, as Sexton says | {:.2} |", said.unwrap_or_default());
        println!(
            "| from the last transaction in the file to the first in PostgreSQL | {:.2} |",
            met.without_writes
        );
        println!(
            "| longest transaction before, of {rate} rows a second; p99 | {:.0} ms; {:.1} ms |",
            met.longest_ms, met.p99_ms
        );
    }

    /// A move that dies as soon as changes are written down, and is taken back afterwards.
    fn while_captured(&self, source: &Url, online: &[&str], seconds: f64) -> u64 {
        let admin = told(Url::parse(&self.server.url("postgres")).map_err(|error| error.to_string()));
        for _ in 0..10 {
            self.die_when_captured(source, online);
            // A small move may be through before this process is given time to see it: then nobody may write any more.
            let during =
                Writer::on(self.file()).transaction().is_ok().then(|| self.hastily(seconds).transactions);
            self.take_back();
            if let Some(during) = during {
                return during;
            }
            told(backends::testing::script(&admin, "drop database app with (force)"));
            told(backends::testing::script(&admin, "create database app"));
        }
        panic!("no move died in time");
    }

    /// The server may not know yet that a session of the one who died is gone.
    fn take_back(&self) {
        let began = Instant::now();
        loop {
            let back = self.sexton("rollback", &[]).output().unwrap_or_else(|error| panic!("{error}"));
            let said = String::from_utf8_lossy(&back.stderr);
            if back.status.success() {
                return;
            }
            let busy = said.contains("is being maintained") && began.elapsed() < Duration::from_secs(60);
            assert!(busy, "{said}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn die_when_captured(&self, source: &Url, online: &[&str]) {
        let mut dying = self.sexton("run", online).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let dying = dying.as_mut().unwrap_or_else(|error| panic!("{error}"));
        let triggers = "select count(*) from sqlite_schema where type = 'trigger' and name like 'sexton%'";
        let began = Instant::now();
        let mut looker = told(Application::connect(source));
        while told(looker.integers(triggers))[0] == 0 && dying.try_wait().is_ok_and(|end| end.is_none()) {
            assert!(began.elapsed() < Duration::from_secs(600), "nothing is written down");
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = dying.kill();
        let _ = dying.wait();
    }
}

/// What a process of our own says at its end.
fn answer(child: Child) -> Met {
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("{error}"));
    assert!(output.status.success(), "{}", output.status);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(text.trim()).unwrap_or_else(|error| panic!("{error}: {text}"))
}
