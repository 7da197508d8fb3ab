//! What a look at a large schema costs: the program itself as a process of its own, its wall time and its peak memory, and
//! whether it reads users' tables.
//!
//! A thousand tables with three indexes each and a reference to the one before. Without `--bench` (as a test runs it) it does
//! everything once on forty tables and checks what came out, not how fast.
#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)] // a benchmark is a program whose output is text

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use targets::db::{Url, Value};
use testkit::Server;

/// The one test of this file, for test runners that ask.
const TEST: &str = "the_benchmark_of_the_doctor_works_on_forty_tables";
const SECONDS: f64 = 3.0;
const PEAK_MB: f64 = 64.0;

fn main() {
    let Some(said) = testkit::Arguments::of(TEST) else { return };
    let number = |name: &str| said.number::<usize>(name);
    let (tables, rounds) = match said.has("--bench") {
        true => (number("--tables").unwrap_or(1_000), number("--rounds").unwrap_or(5)),
        false => (40, 1),
    };
    let folder = std::env::temp_dir().join(format!("sexton-bench-doctor-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    println!(
        "| look at {tables} tables, {} indexes | bar | seconds | rounds | bar | peak MB | met |",
        tables * 3
    );
    println!("|---|---|---|---|---|---|---|");
    measure("SQLite", &folder.join("doctor.db").display().to_string(), tables, rounds);
    let server = Server::start(&folder.join("postgres"), &["max_locks_per_transaction=1024"])
        .unwrap_or_else(|why| panic!("{why}\nhelp: apt-get install postgresql"));
    measure("PostgreSQL", &server.url("postgres"), tables, rounds);
    drop(server);
    let _ = std::fs::remove_dir_all(&folder);
}

fn seed(url: &Url, tables: usize) {
    if let Url::Sqlite { path } = url {
        std::fs::File::create(path).unwrap_or_else(|error| panic!("{error}"));
    }
    let series = match url {
        Url::Sqlite { .. } => {
            "(with recursive n(i) as (select 1 union all select i + 1 from n where i < 50) select i from n)"
        }
        Url::Postgres { .. } => "(select i from generate_series(1, 50) as g(i))",
    };
    // Some hundred statements at once: one by one the seed would take longer than everything else.
    for chunk in (0..tables).collect::<Vec<_>>().chunks(100) {
        let mut script = String::from("begin;");
        for n in chunk {
            let parent = n.saturating_sub(1);
            script += &format!(
                "create table t{n} (id integer primary key, parent integer references t{parent} (id), name text, state text, at timestamp);
                 create index t{n}_parent on t{n} (parent); create index t{n}_name on t{n} (name);
                 create index t{n}_state on t{n} (state, at) where state <> 'done';
                 insert into t{n} select s.i, null, 'name ' || s.i, 'open', '2026-01-01' from {series} as s;"
            );
        }
        script += "commit";
        backends::testing::script(url, &script).unwrap_or_else(|why| panic!("{why}"));
    }
    backends::testing::script(url, "analyze").unwrap_or_else(|why| panic!("{why}"));
}

fn measure(name: &str, place: &str, tables: usize, rounds: usize) {
    let url = Url::parse(place).unwrap_or_else(|error| panic!("{error}"));
    seed(&url, tables);
    let before = scans(&url);
    let (mut seconds, mut peak) = (Vec::new(), 0.0_f64);
    for _ in 0..rounds {
        let (took, megabytes, found) = look(place);
        assert_eq!(found["databases"][0]["figures"]["tables"], tables, "{found:#}");
        assert!(found["databases"][0]["figures"]["indexes"].as_u64() >= Some(tables as u64 * 3));
        assert_eq!(found["passed"], true, "{:#}", found["databases"][0]["findings"]);
        seconds.push(took);
        peak = peak.max(megabytes);
    }
    assert_eq!(scans(&url), before, "a table of the user was read");
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    let shown: Vec<String> = seconds.iter().map(|took| format!("{took:.2}")).collect();
    println!(
        "| {name} | ≤ {SECONDS} s | **{median:.2}** | {} | ≤ {PEAK_MB} MB | **{peak:.0}** | {} |",
        shown.join(" "),
        if median <= SECONDS && peak <= PEAK_MB { "yes" } else { "no" }
    );
}

/// How often tables of the user were read, in whatever way; SQLite does not count.
fn scans(url: &Url) -> i64 {
    if matches!(url, Url::Sqlite { .. }) {
        return 0;
    }
    // Counters come to everybody a moment after the session that counted has ended.
    std::thread::sleep(Duration::from_millis(1_500));
    let sql = "select coalesce(sum(seq_scan), 0) from pg_stat_user_tables";
    let rows = backends::testing::rows(url, sql).unwrap_or_else(|why| panic!("{why}"));
    match rows.first().and_then(|row| row.first()) {
        Some(Value::Text(text)) => text.parse().unwrap_or(0),
        _ => 0,
    }
}

/// One look by the program: seconds, peak memory in MB, the document.
fn look(place: &str) -> (f64, f64, serde_json::Value) {
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_sexton"))
        .args(["doctor", place, "--output", "json", "--no-sample"])
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{error}"));
    let mut out = child.stdout.take().unwrap_or_else(|| panic!("no output"));
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = out.read_to_string(&mut text);
        text
    });
    let (mut peak, status) = (0.0_f64, format!("/proc/{}/status", child.id()));
    let ended = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
        let kilobytes: f64 = line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0.0);
        peak = peak.max(kilobytes / 1024.0);
        if let Some(ended) = child.try_wait().unwrap_or_else(|error| panic!("{error}")) {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let took = began.elapsed().as_secs_f64();
    assert!(ended.success(), "{ended}");
    let text = reader.join().unwrap_or_default();
    (took, peak, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}
