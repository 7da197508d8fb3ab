//! What it costs to move a whole SQLite database into PostgreSQL: `sexton transfer` without and with its comparison, against a bare
//! pipeline that knows every type beforehand, and against pgloader where it is installed, in the same run.
//!
//! Each run is a process of its own into an empty database. Without `--bench` (as a test runs it) there are few rows, and what came
//! out is checked, not how fast.
#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)] // a benchmark is a program whose output is text

#[path = "transfer/floor.rs"]
mod floor;
#[path = "transfer/shop.rs"]
mod shop;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use targets::db::Url;
use testkit::Server;

/// The one test of this file, for test runners that ask.
const TEST: &str = "the_benchmark_of_transfer_works_on_a_few_rows";

fn main() {
    let Some(said) = testkit::Arguments::of(TEST) else { return };
    if let [first, plan, source, target] = said.all()
        && first == "floor"
    {
        return floor::run(plan, source, target);
    }
    let text = |name: &str| said.text(name);
    let number = |name: &str| said.number::<u64>(name);
    let measured = said.has("--bench");
    let rows = number("--rows").unwrap_or(if measured { 1_000_000 } else { 2_000 });
    let rounds = number("--rounds").unwrap_or(1);
    let base = text("--folder").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = base.join(format!("sexton-bench-transfer-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let server = Server::start(&folder.join("postgres"), &["fsync=on", "max_wal_size=4GB"])
        .unwrap_or_else(|why| panic!("{why}\nhelp: apt-get install postgresql"));
    // One that is named stays, and is not made again.
    let source = text("--source").map_or_else(|| folder.join("shop.db"), PathBuf::from);
    if !source.exists() {
        shop::make(&source, rows);
    }
    let stage = Stage { server: &server, folder: &folder, source: &source, only: text("--only") };
    stage.compare(rows, rounds, measured);
    drop(server);
    let _ = std::fs::remove_dir_all(&folder);
}

/// The database in which the tables have their keys and indexes before the rows come (W-127).
const INDEXED: &str = "indexed";

struct Stage<'a> {
    server: &'a Server,
    folder: &'a Path,
    source: &'a Path,
    /// The runs that are wanted, if not all.
    only: Option<String>,
}

/// What one run came to.
#[derive(Debug, Clone, Copy, Default)]
struct Outcome {
    seconds: f64,
    client: f64,
    server: f64,
    peak_mb: f64,
}

impl Outcome {
    fn cpu(&self) -> f64 {
        self.client + self.server
    }
}

/// User and system seconds of a process, with those of its children that are gone.
fn cpu_seconds(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let words: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |words: &[&str]| words.iter().filter_map(|word| word.parse::<f64>().ok()).sum::<f64>();
    words.get(11..15).map_or(0.0, |words| ticks(words) / 100.0)
}

fn is_over(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_none_or(|rest| rest.trim_start().starts_with(['Z', 'X']))
}

fn peak_mb(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

impl Stage<'_> {
    fn script(&self, database: &str, sql: &str) {
        let url = Url::parse(&self.server.url(database)).unwrap_or_else(|error| panic!("{error}"));
        backends::testing::script(&url, sql).unwrap_or_else(|why| panic!("{why}\nin {sql}"));
    }

    fn server_cpu(&self) -> f64 {
        let parent = self.server.process_id().to_string();
        let children =
            std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        cpu_seconds(&parent) + children.split_whitespace().map(cpu_seconds).sum::<f64>()
    }

    /// Runs a command into a database in which there is only what `first` makes, and waits for what the server does afterwards.
    fn run(&self, database: &str, first: &str, mut command: Command) -> Outcome {
        self.script("postgres", &format!("drop database if exists {database} with (force)"));
        self.script("postgres", &format!("create database {database}"));
        self.script(database, first);
        self.script("postgres", "checkpoint");
        let before = self.server_cpu();
        let began = Instant::now();
        command.current_dir(self.folder).env("HOME", self.folder).stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{error}"));
        let mut outcome = Outcome::default();
        while !is_over(child.id()) {
            outcome.peak_mb = outcome.peak_mb.max(peak_mb(child.id()));
            std::thread::sleep(Duration::from_millis(20));
        }
        outcome.seconds = began.elapsed().as_secs_f64();
        // a process that is over keeps its figures until somebody asks how it ended
        outcome.client = cpu_seconds(&child.id().to_string());
        let ended = child.wait().unwrap_or_else(|error| panic!("{error}"));
        assert!(ended.success(), "{database}: {ended}");
        outcome.server = self.server_cpu() - before;
        outcome
    }

    fn sexton(&self, database: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sexton"));
        command.args(["transfer", "run", "--yes", "--quiet", "--source"]).arg(self.source);
        command.args(["--database", &self.server.url(database)]).args(more);
        command
    }

    /// What a plan says.
    fn plan(&self, more: &[&str]) -> Vec<u8> {
        let mut plan = Command::new(env!("CARGO_BIN_EXE_sexton"));
        plan.args(["transfer", "plan", "--source"]).arg(self.source).args(more);
        plan.args(["--database", &self.server.url("template1")]);
        let plan = plan.current_dir(self.folder).env("HOME", self.folder).output();
        let plan = plan.unwrap_or_else(|error| panic!("{error}"));
        assert!(plan.status.success(), "{}", String::from_utf8_lossy(&plan.stderr));
        plan.stdout
    }

    fn floor(&self, database: &str) -> Command {
        let file = self.folder.join("plan.json");
        let plan = self.plan(&["--output", "json"]);
        std::fs::write(&file, plan).unwrap_or_else(|error| panic!("{error}"));
        let program = std::env::current_exe().unwrap_or_else(|error| panic!("{error}"));
        let mut command = Command::new(program);
        command.arg("floor").arg(file).arg(self.source).arg(self.server.url(database));
        command
    }

    /// Debian's heap is 1 GB: with small batches that is enough, with a larger heap it may do as it likes.
    fn pgloader(&self, database: &str, heap: Option<u32>) -> Option<Command> {
        let program = ["/usr/bin/pgloader", "/usr/local/bin/pgloader"]
            .into_iter()
            .find(|path| Path::new(path).exists())?;
        let url = self.server.url(database);
        let (user, rest) = url.trim_start_matches("postgres://").split_once('@')?;
        let of = |name: &str| {
            let settings = rest.split_once('?').map(|(_, settings)| settings).unwrap_or_default();
            settings.split('&').find_map(|one| one.strip_prefix(name)).unwrap_or_default().to_owned()
        };
        let port = Some(of("port=")).filter(|port| !port.is_empty()).unwrap_or("5432".to_owned());
        let small =
            if heap.is_none() { ", prefetch rows = 5000, batch rows = 5000, batch size = 4MB" } else { "" };
        let load = format!(
            "load database from sqlite://{} into postgresql://{user}@unix:{}:{port}/{database}\n with include drop, create tables, create indexes, reset sequences{small};\n",
            self.source.display(),
            of("host=")
        );
        let file = self.folder.join("pgloader.load");
        std::fs::write(&file, load).ok()?;
        let mut command = Command::new(program);
        if let Some(heap) = heap {
            command.args(["--dynamic-space-size", &heap.to_string()]);
        }
        command.arg("--root-dir").arg(self.folder.join("pgloader")).arg("--quiet").arg(file);
        command.stderr(Stdio::null());
        Some(command)
    }

    fn counted(&self, database: &str) -> i64 {
        let url = Url::parse(&self.server.url(database)).unwrap_or_else(|error| panic!("{error}"));
        let tables = ["users", "products", "orders", "order_items", "events", "messages"];
        let sums: Vec<String> =
            tables.iter().map(|table| format!("(select count(*) from {table})")).collect();
        let mut looker = backends::testing::Application::connect(&url).unwrap_or_else(|why| panic!("{why}"));
        looker.integers(&format!("select {}", sums.join(" + "))).unwrap_or_else(|why| panic!("{why}"))[0]
    }

    fn compare(&self, rows: u64, rounds: u64, measured: bool) {
        let expected = shop::rows(rows) as i64;
        let mut all: Vec<(&str, Vec<Outcome>)> = Vec::new();
        let indexed = String::from_utf8(self.plan(&["--sql", "-"])).unwrap_or_else(|error| panic!("{error}"));
        for _ in 0..rounds {
            let mut add = |name: &'static str, database: &str, command: Option<Command>| {
                let wanted = self.only.as_ref().is_none_or(|only| only.split(',').any(|one| one == database));
                let Some(command) = command.filter(|_| wanted) else { return };
                let first = if database == INDEXED { indexed.as_str() } else { "" };
                let outcome = self.run(database, first, command);
                assert_eq!(self.counted(database), expected, "{name}");
                eprintln!("{name}: {outcome:.1?}");
                match all.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, outcomes)) => outcomes.push(outcome),
                    None => all.push((name, vec![outcome])),
                }
                self.script("postgres", &format!("drop database {database} with (force)"));
            };
            add("floor", "floor", Some(self.floor("floor")));
            add("transfer", "bare", Some(self.sexton("bare", &["--verify", "nothing"])));
            add("transfer, every value compared", "proven", Some(self.sexton("proven", &[])));
            let into = ["--verify", "nothing", "--existing"];
            add("transfer, keys and indexes made first", INDEXED, Some(self.sexton(INDEXED, &into)));
            if measured {
                add("pgloader, heap of 12 GB", "pgloader", self.pgloader("pgloader", Some(12_000)));
                add("pgloader, small batches", "pgloader", self.pgloader("pgloader", None));
            }
        }
        let bytes = std::fs::metadata(self.source).map_or(0, |about| about.len());
        println!("{expected} rows in a file of {} MB, {rounds} rounds (the medians)\n", bytes / 1_000_000);
        println!(
            "| run | seconds | CPU s, client | CPU s, server | peak MB | ÷ floor (CPU) | ÷ ours (CPU) |\n|---|---|---|---|---|---|---|"
        );
        let of =
            |name: &str| all.iter().find(|(known, _)| *known == name).map(|(_, outcomes)| median(outcomes));
        let (floor, ours) = (of("floor"), of("transfer"));
        for (name, outcomes) in &all {
            let one = median(outcomes);
            let ratio = |base: Option<Outcome>| match base {
                Some(base) => format!("{:.2} ({:.2})", one.seconds / base.seconds, one.cpu() / base.cpu()),
                None => "–".to_owned(),
            };
            println!(
                "| {name} | {:.1} | {:.1} | {:.1} | {:.0} | {} | {} |",
                one.seconds,
                one.client,
                one.server,
                one.peak_mb,
                ratio(floor),
                ratio(ours)
            );
        }
    }
}

/// The run with the median of the CPU seconds.
fn median(outcomes: &[Outcome]) -> Outcome {
    let mut sorted = outcomes.to_vec();
    sorted.sort_by(|one, other| one.cpu().total_cmp(&other.cpu()));
    sorted[sorted.len() / 2]
}
