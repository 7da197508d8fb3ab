//! What it costs to give the space of a half-dead table back: `compact` against `pg_repack` on copies of the same, in the same
//! run: seconds, extra disk at the most, and how long a writer of the table waits.
//!
//! Each run is a process of its own on a database copied anew. Without `--bench` (as a test runs it) the table has a few MB, and
//! what came out is checked, not how fast; without `pg_repack` only Sexton runs.
#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)] // a benchmark is a program whose output is text

use backends::testing::Application;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use targets::db::Url;
use testkit::Server;

/// The one test of this file, for test runners that ask.
const TEST: &str = "the_benchmark_of_compact_works_on_a_small_table";
const TIME: f64 = 3.0;
const DISK: f64 = 5.0;
const WAIT_MS: f64 = 250.0;

fn main() {
    let Some(said) = testkit::Arguments::of(TEST) else { return };
    let text = |name: &str| said.text(name);
    let number = |name: &str| said.number::<u64>(name);
    let measured = said.has("--bench");
    let megabytes = number("--mb").unwrap_or(if measured { 1_000 } else { 12 });
    let rounds = number("--rounds").unwrap_or(1);
    let base = text("--folder").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = base.join(format!("sexton-bench-compact-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let settings = ["shared_buffers=512MB", "fsync=on", "autovacuum=off", "max_wal_size=4GB"];
    let server = Server::start(&folder.join("postgres"), &settings)
        .unwrap_or_else(|why| panic!("{why}\nhelp: apt-get install postgresql"));
    let stage = Stage { server: &server, folder: &folder, repack: repack() };
    stage.seed(megabytes);
    stage.compare(megabytes, rounds);
    drop(server);
    let _ = std::fs::remove_dir_all(&folder);
}

/// The program of the peer, where it is installed.
fn repack() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    folders.map(|folder| folder.path().join("bin/pg_repack")).find(|program| program.exists())
}

struct Stage<'a> {
    server: &'a Server,
    folder: &'a Path,
    repack: Option<PathBuf>,
}

/// What one run came to.
struct Outcome {
    seconds: f64,
    /// Beyond what the database had before, in per cent of that.
    extra: f64,
    before: f64,
    after: f64,
    longest_ms: f64,
    writes: u64,
}

impl Stage<'_> {
    fn url(&self, database: &str) -> Url {
        Url::parse(&self.server.url(database)).unwrap_or_else(|error| panic!("{error}"))
    }

    fn script(&self, database: &str, sql: &str) {
        backends::testing::script(&self.url(database), sql).unwrap_or_else(|why| panic!("{why}\nin {sql}"));
    }

    fn connect(&self, database: &str) -> Application {
        Application::connect(&self.url(database)).unwrap_or_else(|why| panic!("{why}"))
    }

    /// Rows of about 150 bytes, half of them deleted all over the table; a key and two more indexes.
    fn seed(&self, megabytes: u64) {
        let rows = megabytes * 1_000_000 / 150;
        self.script("postgres", "create database seed");
        if self.repack.is_some() {
            self.script("seed", "create extension pg_repack");
        }
        self.script(
            "seed",
            &format!(
                "create table events (id bigint primary key, n int not null, at timestamptz not null, payload text not null);
                 insert into events select i, 0, now() - make_interval(secs => i), md5(i::text) || md5((i + 1)::text) || md5((i + 2)::text)
                 from generate_series(1, {rows}::bigint) i;
                 create index events_at on events (at);
                 delete from events where i_hash(id) < 50"
            )
            .replace("i_hash(id)", "(id * 2654435761 % 4294967296) / 65536 % 100"),
        );
        self.script("seed", "analyze events");
        self.script("postgres", "checkpoint");
    }

    fn copy(&self, name: &str) {
        self.script("postgres", &format!("drop database if exists {name} with (force)"));
        self.script("postgres", &format!("create database {name} template seed strategy file_copy"));
        self.script("postgres", "checkpoint");
    }

    fn number(&self, database: &str, sql: &str) -> i64 {
        self.connect(database).integers(sql).unwrap_or_else(|why| panic!("{why}"))[0]
    }

    fn sexton(&self, database: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sexton"));
        command.args([
            "compact",
            "--database",
            &self.server.url(database),
            "--tables",
            "events",
            "--yes",
            "--quiet",
        ]);
        command
    }

    fn peer(&self, database: &str) -> Option<Command> {
        let mut command = Command::new(self.repack.as_ref()?);
        let url = self.server.url(database);
        let (user, rest) = url.trim_start_matches("postgres://").split_once('@')?;
        let settings = rest.split_once('?')?.1;
        let of = |name: &str| {
            settings.split('&').find_map(|one| one.strip_prefix(name)).unwrap_or_default().to_owned()
        };
        command.args(["--host", &of("host="), "--port", &of("port="), "--username", user]);
        command.args(["--dbname", database, "--table", "events", "--elevel", "WARNING"]);
        Some(command)
    }

    /// Runs it on a fresh copy; with a writer of the table beside it where that is asked for.
    fn run(&self, name: &str, make: impl Fn(&str) -> Option<Command>, writer: bool) -> Option<Outcome> {
        self.copy(name);
        let mut command = make(name)?;
        let sum = "select sum(n)::bigint from events";
        let content =
            "select sum(hashtextextended(id::text || at || payload, 0) / 1000000)::bigint from events";
        let (before, same) =
            (self.number(name, "select pg_database_size(current_database())"), self.number(name, content));
        let over = AtomicBool::new(false);
        let most = self.number(name, "select max(id) from events");
        let mut outcome = std::thread::scope(|scope| {
            let peak = scope.spawn(|| {
                let mut looker = self.connect("postgres");
                let mut peak = 0_i64;
                while !over.load(Ordering::Relaxed) {
                    // A file may vanish while it is measured.
                    let size = looker.integers(&format!("select pg_database_size('{name}')"));
                    peak = peak.max(size.map_or(0, |size| size[0]));
                    std::thread::sleep(Duration::from_millis(50));
                }
                peak
            });
            let writing = writer.then(|| scope.spawn(|| self.write(name, most, &over)));
            command
                .current_dir(self.folder)
                .env("HOME", self.folder)
                .stdin(Stdio::null())
                .stdout(Stdio::null());
            let began = Instant::now();
            let ended = command.status().unwrap_or_else(|error| panic!("{error}"));
            let seconds = began.elapsed().as_secs_f64();
            over.store(true, Ordering::Relaxed);
            // With a writer it may find that a little of the end could not be cut off.
            assert!(ended.success() || (writer && ended.code() == Some(5)), "{name}: {ended}");
            let peak = peak.join().unwrap_or_default();
            let (writes, longest) = writing.and_then(|writing| writing.join().ok()).unwrap_or_default();
            Outcome {
                seconds,
                extra: 100.0 * (peak - before).max(0) as f64 / before as f64,
                before: before as f64 / 1e6,
                after: 0.0,
                longest_ms: longest.as_secs_f64() * 1_000.0,
                writes,
            }
        });
        outcome.after = self.number(name, "select pg_database_size(current_database())") as f64 / 1e6;
        assert_eq!(self.number(name, content), same, "{name}: a value changed");
        assert_eq!(self.number(name, sum) as u64, outcome.writes, "{name}: a write was lost");
        self.script("postgres", &format!("drop database {name} with (force)"));
        Some(outcome)
    }

    /// Single rows by their key, a few hundred a second; how many, and the longest wait.
    fn write(&self, database: &str, most: i64, over: &AtomicBool) -> (u64, Duration) {
        let mut application = self.connect(database);
        let (mut writes, mut longest, mut at) = (0, Duration::ZERO, 1_i64);
        while !over.load(Ordering::Relaxed) {
            at = (at * 6_364_136_223 + 1_442_695) % most;
            let began = Instant::now();
            let changed = application.change(&format!("update events set n = n + 1 where id = {at}"));
            writes += changed.unwrap_or_else(|why| panic!("{why}"));
            longest = longest.max(began.elapsed());
            std::thread::sleep(Duration::from_millis(2));
        }
        (writes, longest)
    }

    fn compare(&self, megabytes: u64, rounds: u64) {
        println!(
            "| a table of {megabytes} MB, half of it dead | bar | Sexton | pg_repack | ratio | met |\n|---|---|---|---|---|---|"
        );
        for _ in 0..rounds {
            let Some(ours) = self.run("ours", |name| Some(self.sexton(name)), false) else { return };
            let peer = self.run("peer", |name| self.peer(name), false);
            assert!(ours.after < ours.before * 0.8, "from {:.0} to {:.0} MB", ours.before, ours.after);
            let of = |figure: fn(&Outcome) -> f64, unit: &str| {
                peer.as_ref().map_or("–".to_owned(), |peer| format!("{:.1} {unit}", figure(peer)))
            };
            let ratio = peer.as_ref().map_or(0.0, |peer| ours.seconds / peer.seconds);
            let met = |met: bool| if met { "yes" } else { "no" };
            println!(
                "| time | ≤ {TIME} | {:.1} s | {} | **{ratio:.2}** | {} |",
                ours.seconds,
                of(|one| one.seconds, "s"),
                met(ratio <= TIME)
            );
            println!(
                "| extra disk at the most | ≤ {DISK} % | **{:.1} %** | {} | – | {} |",
                ours.extra,
                of(|one| one.extra, "%"),
                met(ours.extra <= DISK)
            );
            println!(
                "| database before and after | – | {:.0} to {:.0} MB | {} | – | – |",
                ours.before,
                ours.after,
                of(|one| one.after, "MB")
            );
        }
        let Some(ours) = self.run("ours", |name| Some(self.sexton(name)), true) else { return };
        let peer = self.run("peer", |name| self.peer(name), true);
        println!(
            "| longest wait of a writer | ≤ {WAIT_MS} ms | **{:.0} ms** in {:.0} s, {} writes | {} | – | {} |",
            ours.longest_ms,
            ours.seconds,
            ours.writes,
            peer.map_or("–".to_owned(), |peer| format!(
                "{:.0} ms in {:.0} s",
                peer.longest_ms, peer.seconds
            )),
            if ours.longest_ms <= WAIT_MS { "yes" } else { "no" }
        );
        println!("| extra disk beside a writer | ≤ {DISK} % | **{:.1} %** | – | – | – |", ours.extra);
    }
}
