//! Many workers, as processes of their own, on one state in PostgreSQL: how late a thousand times of the same second are taken,
//! and how long a fleet takes with four workers against one, and with one killed every so often.
//!
//! Without `--bench` (as a test runs it) it does everything once on a few databases and checks what came out, not how fast.
#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)] // a benchmark is a program whose output is text

use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use targets::db::{Url, Value};
use testkit::Server;

/// The one test of this file, for test runners that ask.
const TEST: &str = "the_benchmark_of_workers_works_on_a_few_databases";
const LATE: f64 = 2.0;
const SHARE: f64 = 0.6;
/// So long before everything is due: the state is made, and the workers have begun.
const LEAD: i64 = 20;
/// Kills of a fleet that is only to come to its end: each costs the seconds of a lease.
const KILLS: usize = 12;
/// Rows of each database of the fleet, and how many of them go.
const ROWS: usize = 400;
const DOOMED: usize = 300;

/// What is measured.
struct Bench {
    folder: PathBuf,
    server: Server,
    many: usize,
    every: Duration,
    /// Whether schedules are waited for, which takes up to a minute and a half each time; else their times are written down.
    waits: bool,
}

/// Processes, ended with the measurement.
struct Workers {
    all: Vec<Child>,
    began: Instant,
    due: Timestamp,
    lease: &'static str,
}

impl Drop for Workers {
    fn drop(&mut self) {
        for child in &mut self.all {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn main() {
    let Some(said) = testkit::Arguments::of(TEST) else { return };
    let number = |name: &str| said.number::<usize>(name);
    let (many, every) = match said.has("--bench") {
        true => (number("--databases").unwrap_or(1_000), number("--kill-every").unwrap_or(10)),
        false => (12, 1),
    };
    let folder = std::env::temp_dir().join(format!("sexton-bench-workers-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("fleet")).unwrap_or_else(|error| panic!("{error}"));
    let server = Server::start(&folder.join("postgres"), &["shared_buffers=256MB", "max_connections=300"])
        .unwrap_or_else(|why| panic!("{why}\nhelp: apt-get install postgresql"));
    let bench =
        Bench { folder, server, many, every: Duration::from_secs(every as u64), waits: said.has("--bench") };
    println!("| what | bar | seen | met |");
    println!("|---|---|---|---|");
    bench.lateness();
    let one = bench.fleet("one", 1, false);
    let four = bench.fleet("four", 4, false);
    let share = four.0 / one.0;
    println!(
        "| fleet of {many} databases, four workers ÷ one | ≤ {SHARE} | {share:.2} ({:.1} against {:.1} s) | {} |",
        four.0,
        one.0,
        met(share <= SHARE)
    );
    let (seconds, kills) = bench.fleet("killed", 4, true);
    println!(
        "| the same while a worker is killed every {every} s | nothing lost, nothing twice | {seconds:.1} s, {kills} kills | yes |"
    );
    drop(bench.server);
    let _ = std::fs::remove_dir_all(&bench.folder);
}

fn met(met: bool) -> &'static str {
    if met { "yes" } else { "no" }
}

impl Bench {
    fn url(&self, name: &str) -> Url {
        Url::parse(&self.server.url(name)).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A new state, and a folder with this configuration.
    fn desk(&self, name: &str, config: &str) -> (Url, PathBuf) {
        script(&self.url("postgres"), &format!("create database state_{name}"));
        let state = self.url(&format!("state_{name}"));
        let desk = self.folder.join(name);
        std::fs::create_dir_all(&desk).unwrap_or_else(|error| panic!("{error}"));
        let config = format!("[state]\nurl = \"{}\"\n{config}", state.expose());
        std::fs::write(desk.join("sexton.toml"), config).unwrap_or_else(|error| panic!("{error}"));
        // The state, and until when the schedules were looked at.
        let mut clerk = sexton(&desk, &["worker"]);
        let made = Instant::now();
        let looked = "select count(*) from information_schema.tables where table_name = 'schedules'";
        while count(&state, looked) == 0 || count(&state, "select count(*) from sexton.schedules") == 0 {
            assert!(made.elapsed() < Duration::from_secs(120), "the state is not made");
            std::thread::sleep(Duration::from_millis(100));
        }
        let asked = Command::new("kill").arg(clerk.id().to_string()).status();
        assert!(asked.is_ok_and(|status| status.success()));
        let _ = clerk.wait();
        (state, desk)
    }

    /// A moment that comes soon, and the line of a schedule that is due then.
    fn soon(&self) -> (Timestamp, String) {
        let now = Timestamp::now().as_second();
        if !self.waits {
            return (second(now), "0 0 29 2 *".to_owned());
        }
        let due = second((now + LEAD + 59) / 60 * 60);
        (due, due.strftime("%-M %-H %-d %-m *").to_string())
    }

    /// When it comes.
    fn at(&self, due: Timestamp) -> Timestamp {
        if self.waits { due } else { second(Timestamp::now().as_second() + 4) }
    }

    /// Seconds after which a worker that is not heard of has lost its work: a busy machine keeps one silent for a while, which must
    /// not be taken for dead unless some are.
    fn lease(&self, kill: bool) -> &'static str {
        if self.waits || kill { "5" } else { "60" }
    }

    /// Where schedules are not waited for, their times are written down.
    fn come(&self, state: &Url, due: Timestamp) {
        if self.waits {
            return;
        }
        while Timestamp::now() < due {
            std::thread::sleep(Duration::from_millis(10));
        }
        let due = due.strftime("%Y-%m-%dT%H:%M:%S.%6fZ");
        script(
            state,
            &format!(
                "insert into sexton.ticks (id, schedule, due, start, state, term, lease_us)
                 select substr(md5(name), 1, 8), name, '{due}', '{due}', 'waiting', 0, 0 from sexton.schedules;
                 select pg_notify('sexton_ticks', '')"
            ),
        );
    }

    /// A thousand schedules, each a look at a small file, all due in the same second.
    fn lateness(&self) {
        let file = self.folder.join("small.db");
        fill(&file, 10);
        let (due, cron) = self.soon();
        let mut config = format!(
            "[database.main]\nurl = \"{}\"\n[operation.look]\nkind = \"check\"\n[defaults]\nmin_free_disk_mb = 0\n",
            file.display()
        );
        for n in 0..self.many {
            config += &format!("[schedule.s{n:04}]\nrun = [\"look\"]\ncron = \"{cron}\"\n");
        }
        let (state, desk) = self.desk("lateness", &config);
        let workers = Workers::begin(self, &desk, 4, due, false);
        self.come(&state, workers.due);
        let of = |state_of: &str| format!("select count(*) from sexton.ticks where {state_of}");
        let taken = wait_for(&workers, || count(&state, &of("state <> 'waiting'")) >= self.many as i64);
        let done = wait_for(&workers, || count(&state, &of("ended is not null")) >= self.many as i64);
        assert_eq!(
            count(&state, &of("state = 'done' and term = 1")),
            self.many as i64,
            "not each exactly once"
        );
        assert_eq!(count(&state, "select count(distinct run) from sexton.ticks"), self.many as i64);
        assert_eq!(count(&state, "select count(*) from sexton.runs"), self.many as i64);
        let many = self.many;
        println!(
            "| {many} times of one second, four workers: all claimed | ≤ {LATE} s | {taken:.2} s | {} |",
            met(taken <= LATE)
        );
        println!("| the same: all done, each once | – | {done:.1} s | – |");
    }

    /// A fleet of small files, each with a purge and a check; the seconds from its time to its end, and how many were killed.
    fn fleet(&self, name: &str, workers: usize, kill: bool) -> (f64, usize) {
        let files: Vec<PathBuf> =
            (0..self.many).map(|n| self.folder.join("fleet").join(format!("{name}{n:04}.db"))).collect();
        let first = &files[0];
        fill(first, ROWS);
        for file in &files[1..] {
            std::fs::copy(first, file).unwrap_or_else(|error| panic!("{error}"));
        }
        let (due, cron) = self.soon();
        let listed: Vec<String> = files.iter().map(|file| format!("\"{}\"", file.display())).collect();
        let config = format!(
            "[database.main]\nurl = \"{}\"\n[defaults]\nmax_percent = 100\nmin_free_disk_mb = 0\n\
             [fleet.all]\ncanary = 1\nat_once = 16\ndatabases = [{}]\n\
             [operation.logs]\nkind = \"purge\"\nseverity = \"LOW\"\ntable = \"logs\"\nwhere = \"old = 1\"\n\
             [operation.sound]\nkind = \"check\"\n[group.daily]\noperations = [\"logs\", \"sound\"]\n\
             [schedule.daily]\nrun = [\"daily\"]\nfleet = \"all\"\ncron = \"{cron}\"\n",
            first.display(),
            listed.join(", ")
        );
        let (state, desk) = self.desk(name, &config);
        let mut at_work = Workers::begin(self, &desk, workers, due, kill);
        let ended = "select count(*) from sexton.ticks where schedule = 'daily' and ended is not null";
        self.come(&state, at_work.due);
        let (mut kills, mut last) = (0, Instant::now());
        while count(&state, ended) == 0 {
            assert!(at_work.began.elapsed() < Duration::from_secs(3_600), "it does not end");
            std::thread::sleep(Duration::from_millis(20));
            if kill && last.elapsed() > self.every && (self.waits || kills < KILLS) {
                last = Instant::now();
                at_work.replace(&desk, kills % workers);
                kills += 1;
            }
        }
        let seconds = at_work.since_due();
        drop(at_work);
        assert_eq!(
            count(&state, "select count(*) from sexton.ticks where state = 'done'"),
            self.many as i64 + 1
        );
        assert_eq!(count(&state, "select count(*) from sexton.runs"), self.many as i64);
        let told = "select sum((report::json->'totals'->>'deleted')::int) from sexton.runs";
        assert_eq!(count(&state, told), (self.many * DOOMED) as i64);
        for file in &files {
            let url = Url::Sqlite { path: file.clone() };
            assert_eq!(
                count(&url, "select count(*) from logs"),
                (ROWS - DOOMED) as i64,
                "{}",
                file.display()
            );
            let _ = std::fs::remove_file(file);
        }
        (seconds, kills)
    }
}

impl Workers {
    /// So many of them, for whom everything is due at that moment.
    fn begin(bench: &Bench, desk: &Path, many: usize, due: Timestamp, kill: bool) -> Self {
        let lease = bench.lease(kill);
        let all = (0..many).map(|_| at_work(desk, lease)).collect();
        let workers = Self { all, began: Instant::now(), due: bench.at(due), lease };
        assert!(
            !bench.waits || workers.since_due() < -1.0,
            "everything was due before the workers had begun"
        );
        workers
    }

    fn replace(&mut self, desk: &Path, n: usize) {
        let _ = self.all[n].kill();
        let _ = self.all[n].wait();
        self.all[n] = at_work(desk, self.lease);
    }

    /// Seconds since everything was due; less than nothing before.
    fn since_due(&self) -> f64 {
        Timestamp::now().duration_since(self.due).as_secs_f64()
    }
}

fn second(number: i64) -> Timestamp {
    Timestamp::from_second(number).unwrap_or_else(|error| panic!("{error}"))
}

/// Waits for something; the seconds since everything was due.
fn wait_for(workers: &Workers, mut there: impl FnMut() -> bool) -> f64 {
    while !there() {
        assert!(workers.began.elapsed() < Duration::from_secs(1_200), "it does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
    workers.since_due()
}

/// A worker that does one thing at a time, so that four of them are four times as much as one.
fn at_work(desk: &Path, lease: &str) -> Child {
    sexton(desk, &["worker", "--workers", "1", "--lease", lease])
}

fn sexton(desk: &Path, arguments: &[&str]) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(desk.join("log"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_sexton"));
    command.current_dir(desk).args(arguments).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.unwrap_or_else(|error| panic!("{error}")));
    command.spawn().unwrap_or_else(|error| panic!("{error}"))
}

/// A file with a table of logs, a part of which is old.
fn fill(file: &Path, rows: usize) {
    std::fs::File::create(file).unwrap_or_else(|error| panic!("{error}"));
    script(
        &Url::Sqlite { path: file.to_owned() },
        &format!(
            "create table logs (id integer primary key, old integer not null, body text not null);
             create index logs_old on logs (old);
             with recursive c(i) as (select 1 union all select i + 1 from c where i < {rows})
             insert into logs (old, body) select i * {ROWS} <= {DOOMED} * {rows}, 'body ' || i from c;"
        ),
    );
}

fn script(url: &Url, sql: &str) {
    backends::testing::script(url, sql).unwrap_or_else(|why| panic!("{why}"));
}

fn count(url: &Url, sql: &str) -> i64 {
    let rows = backends::testing::rows(url, sql).unwrap_or_else(|why| panic!("{why}\nin {sql}"));
    match rows.first().and_then(|row| row.first()) {
        Some(Value::Text(text)) => text.parse().unwrap_or(0),
        Some(other) => other.as_int().unwrap_or(0),
        None => 0,
    }
}
