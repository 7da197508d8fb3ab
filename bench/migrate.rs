//! What many small migrations cost, measured against dbmate on the same folder and in the same run, and what looking at them costs.
//!
//! Rounds alternate: dbmate, Sexton, …, each a process of its own on a database made anew, from its start to its end. dbmate is
//! named with `--dbmate PATH`; without it only Sexton runs. Without `--bench` (as a test runs it) everything is done once with
//! few migrations, and what came out is checked, not how fast.
#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)] // a benchmark is a program whose output is text

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use targets::db::Url;
use testkit::Server;

/// The one test of this file, for test runners that ask.
const TEST: &str = "the_benchmark_of_migrations_works_on_few_of_them";

fn main() {
    let Some(said) = testkit::Arguments::of(TEST) else { return };
    let text = |name: &str| said.text(name);
    let number = |name: &str| said.number::<u64>(name);
    let measured = said.has("--bench");
    let many = number("--migrations").unwrap_or(if measured { 1_000 } else { 20 });
    let rounds = number("--rounds").unwrap_or(if measured { 3 } else { 1 });
    let folder = std::env::temp_dir().join(format!("sexton-bench-migrate-{}", std::process::id()));
    let bench = Bench { many, rounds, dbmate: text("--dbmate").map(PathBuf::from), folder: folder.clone() };
    bench.write();
    println!("| {many} migrations | bar | ratio | seconds, Sexton / dbmate | met |");
    println!("|---|---|---|---|---|");
    let mut looked = Vec::new();
    let file = folder.join("app.db");
    looked.push(bench.measure(
        "SQLite",
        &file.display().to_string(),
        &format!("sqlite:{}", file.display()),
        || {
            for suffix in ["", "-wal", "-shm"] {
                let _ = fs::remove_file(format!("{}{suffix}", file.display()));
            }
            fs::File::create(&file).unwrap_or_else(|error| panic!("{error}"));
        },
    ));
    let server = Server::start(&folder.join("postgres"), &["shared_buffers=512MB", "fsync=on"])
        .unwrap_or_else(|why| panic!("{why}\nhelp: apt-get install postgresql"));
    let base = Url::parse(&server.url("postgres")).unwrap_or_else(|error| panic!("{error}"));
    let fresh = || {
        for statement in ["drop database if exists app", "create database app"] {
            backends::testing::script(&base, statement).unwrap_or_else(|why| panic!("{why}"));
        }
    };
    let socket = server.url("app");
    looked.push(bench.measure("PostgreSQL", &socket, &for_dbmate(&socket), fresh));
    println!("\n| a look at {many} that are in | bar | ms | MB | met |\n|---|---|---|---|---|");
    looked.iter().for_each(|line| println!("{line}"));
    drop(server);
    let _ = fs::remove_dir_all(&folder);
}

/// dbmate wants no certificate to be asked for on a socket.
fn for_dbmate(url: &str) -> String {
    format!("{url}{}sslmode=disable", if url.contains('?') { '&' } else { '?' })
}

struct Bench {
    many: u64,
    rounds: u64,
    dbmate: Option<PathBuf>,
    folder: PathBuf,
}

impl Bench {
    fn migrations(&self) -> PathBuf {
        self.folder.join("migrations")
    }

    /// As applications have them: a table, a column for it, an index on that, and the next.
    fn write(&self) {
        fs::create_dir_all(self.migrations()).unwrap_or_else(|error| panic!("{error}"));
        for n in 0..self.many {
            let table = n / 3;
            let (up, down) = match n % 3 {
                0 => (
                    format!("create table t{table} (id integer primary key, name text not null);"),
                    format!("drop table t{table};"),
                ),
                1 => (
                    format!("alter table t{table} add column more integer;"),
                    format!("alter table t{table} drop column more;"),
                ),
                _ => (format!("create index i{table} on t{table} (more);"), format!("drop index i{table};")),
            };
            let text = format!("-- migrate:up\n{up}\n\n-- migrate:down\n{down}\n");
            let name = format!("{}_step.sql", 20_240_101_000_000 + n);
            fs::write(self.migrations().join(name), text).unwrap_or_else(|error| panic!("{error}"));
        }
    }

    fn measure(&self, name: &str, url: &str, theirs: &str, fresh: impl Fn()) -> String {
        let (mut ours, mut base) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            if let Some(dbmate) = &self.dbmate {
                fresh();
                base.push(timed(&mut self.dbmate(dbmate, theirs, "migrate")).0);
                self.all_are_in(url);
            }
            fresh();
            let mut command = self.sexton("up", url);
            ours.push(timed(command.args(["--yes", "--output", "json"])).0);
            if let Some(dbmate) = &self.dbmate {
                // What we wrote into its table is what it would have written.
                let (_, said) = timed(&mut self.dbmate(dbmate, theirs, "status"));
                assert!(said.contains("Pending: 0"), "{said}");
            }
        }
        let their = median(&base);
        let ratio = median(&ours.iter().zip(&base).map(|(ours, base)| ours / base).collect::<Vec<_>>());
        let met = if base.is_empty() { "–" } else { yes(ratio <= 0.5) };
        println!("| {name} | ≤ 0.5 | **{ratio:.2}** | {:.2} / {their:.2} | {met} |", median(&ours));
        let mut ms = Vec::new();
        for _ in 0..self.rounds {
            ms.push(self.all_are_in(url) * 1000.0);
        }
        let peak = peak_kb(self.sexton("status", url).args(["--output", "json"]));
        let (ms, mb) = (median(&ms), peak as f64 / 1024.0);
        format!(
            "| {name} | ≤ 100 ms, ≤ 30 MB | **{ms:.0}** | **{mb:.1}** | {} |",
            yes(ms <= 100.0 && mb <= 30.0)
        )
    }

    /// How long it takes to see that.
    fn all_are_in(&self, url: &str) -> f64 {
        let (seconds, said) = timed(self.sexton("status", url).args(["--output", "json"]));
        let applied = said.matches("\"state\": \"applied\"").count() as u64;
        assert_eq!(applied, self.many, "{said}");
        seconds
    }

    fn dbmate(&self, program: &Path, url: &str, command: &str) -> Command {
        let mut dbmate = Command::new(program);
        dbmate
            .args(["--url", url, "--no-dump-schema", "--migrations-dir"])
            .arg(self.migrations())
            .arg(command);
        dbmate
    }

    fn sexton(&self, command: &str, url: &str) -> Command {
        let mut sexton = Command::new(env!("CARGO_BIN_EXE_sexton"));
        sexton.args(["migrate", command, "--database", url, "--directory"]).arg(self.migrations());
        sexton.env("XDG_STATE_HOME", self.folder.join("state")).current_dir(&self.folder);
        sexton
    }
}

fn yes(met: bool) -> &'static str {
    if met { "yes" } else { "no" }
}

/// Seconds, and what it said.
fn timed(command: &mut Command) -> (f64, String) {
    let began = Instant::now();
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let seconds = began.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let troubles = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{troubles}\n{said}", output.status);
    (seconds, said)
}

/// The most memory it has held, looked at all the time: once it has ended nobody can tell any more.
fn peak_kb(command: &mut Command) -> u64 {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let place = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap_or_else(|error| panic!("{error}")).is_none() {
        let status = fs::read_to_string(&place).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        peak = line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(peak);
    }
    peak
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
