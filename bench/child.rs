//! One variant in a process of its own, so that its memory and its CPU seconds are its own.
//!
//! The last line of its output is the outcome as JSON.

use backends::testing::Application;
use engine::{Manners, OperationRequest, Request, Severity, Stop, Trigger};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::time::{Duration, Instant};
use targets::db::Url;
use testkit::Workshop;

/// What a variant cost and did.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Outcome {
    pub seconds: f64,
    /// Of the process; the server's are added by the stage.
    pub cpu: f64,
    pub peak_kb: u64,
    /// Bytes read by system calls.
    pub read_bytes: u64,
    pub rows: u64,
    pub dependants: u64,
    /// Seconds of the parts, for a look.
    pub parts: Vec<(String, f64)>,
}

/// What another writer met.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Waits {
    pub count: usize,
    pub median_ms: f64,
    pub p99_ms: f64,
    pub longest_ms: f64,
}

/// `variant url detail`.
pub fn main(arguments: &[String]) {
    let [variant, url, detail] = arguments else { panic!("a child needs three arguments") };
    if variant == "writer" {
        println!("{}", serde_json::to_string(&write_until_told(url, detail)).unwrap_or_default());
        return;
    }
    let began = Instant::now();
    let mut outcome = match variant.as_str() {
        "statement" => statement(url, detail),
        "list" => by_list(url, detail),
        kind @ ("purge" | "merge" | "queue") => operation(kind, url, detail),
        "undo" => undo(url),
        "backup" => backup(url, detail),
        "copy_file" => copy_file(url, detail),
        "pages" => pages(url, detail),
        "dump" => dump(url, detail, &["--compress=0"]),
        "dump_as_usual" => dump(url, detail, &[]),
        other => panic!("there is no variant `{other}`"),
    };
    outcome.seconds = began.elapsed().as_secs_f64();
    outcome.cpu = cpu_seconds("self");
    outcome.peak_kb = peak_kb();
    outcome.read_bytes = read_bytes();
    println!("{}", serde_json::to_string(&outcome).unwrap_or_default());
}

/// An application; on SQLite with the settings that Sexton has too.
fn application(url: &str) -> Application {
    let url = Url::parse(url).unwrap_or_else(|error| panic!("{error}"));
    let mut application = told(Application::connect(&url));
    if matches!(url, Url::Sqlite { .. }) {
        told(application.script(
            "pragma foreign_keys = on; pragma synchronous = normal; pragma cache_size = -32768; pragma temp_store = file",
        ));
    }
    application
}

fn told<T>(result: Result<T, String>) -> T {
    result.unwrap_or_else(|why| panic!("{why}"))
}

/// Statements separated by `;;`; the rows of the first one count.
fn statement(url: &str, statements: &str) -> Outcome {
    let mut application = application(url);
    let (mut deleted, mut written) = (None, None);
    for statement in statements.split(";;") {
        let changed = told(application.change(statement));
        let begins = |verb: &str| statement.trim_start().starts_with(verb);
        if begins("delete") {
            deleted.get_or_insert(changed);
        } else if begins("insert") || begins("update") {
            written.get_or_insert(changed);
        }
    }
    Outcome { rows: deleted.or(written).unwrap_or(0), ..Outcome::default() }
}

/// What a careful script does: a thousand ids, then their rows, each in a transaction.
fn by_list(url: &str, select: &str) -> Outcome {
    let mut application = application(url);
    let mut rows = 0;
    loop {
        let ids = told(application.integers(select));
        if ids.is_empty() {
            return Outcome { rows, ..Outcome::default() };
        }
        let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
        rows += told(application.change(&format!("delete from events where id in ({})", ids.join(", "))));
    }
}

/// A backup as it is made by default: compressed, read back, checked. Its bytes are told as rows.
fn backup(url: &str, options: &str) -> Outcome {
    let workshop = Workshop::over(url, kinds::catalogue());
    let engine = workshop.engine();
    let plan = engine.plan(&request("backup", options)).unwrap_or_else(|error| panic!("planning: {error:?}"));
    let report =
        engine.run(&plan, &Stop::default(), &mut |_| {}).unwrap_or_else(|error| panic!("running: {error:?}"));
    let taken = report.backup.as_ref().unwrap_or_else(|| panic!("{report:#?}"));
    Outcome { rows: taken.size_bytes, ..Outcome::default() }
}

/// What a person does who knows no better: safe only while nobody writes.
fn copy_file(from: &str, to: &str) -> Outcome {
    let copied = std::fs::copy(from, to).and_then(|bytes| {
        std::fs::File::open(to)?.sync_all()?;
        Ok(bytes)
    });
    Outcome { rows: copied.unwrap_or_else(|error| panic!("copying: {error}")), ..Outcome::default() }
}

/// The consistent copy that a backup of SQLite begins with, and nothing else.
fn pages(url: &str, folder: &str) -> Outcome {
    let database = testkit::database_at(url);
    let how = targets::db::Dumping { scratch: folder.into(), ..Default::default() };
    let copy = database.copies().pages(&how).unwrap_or_else(|error| panic!("copying: {error}"));
    assert!(copy.is_some(), "only of SQLite");
    let file = std::fs::File::open(std::path::Path::new(folder).join("db"));
    let synced = file.and_then(|file| file.sync_all().and_then(|()| file.metadata()));
    Outcome { rows: synced.unwrap_or_else(|error| panic!("{error}")).len(), ..Outcome::default() }
}

fn dump(url: &str, to: &str, more: &[&str]) -> Outcome {
    let status = std::process::Command::new("pg_dump")
        .args(["--format=custom", "--file", to])
        .args(more)
        .arg(url)
        .status()
        .unwrap_or_else(|error| panic!("pg_dump: {error}"));
    assert!(status.success(), "pg_dump: {status}");
    let synced = std::fs::File::open(to).and_then(|file| file.sync_all().and_then(|()| file.metadata()));
    Outcome { rows: synced.unwrap_or_else(|error| panic!("{error}")).len(), ..Outcome::default() }
}

fn operation(kind: &str, url: &str, options: &str) -> Outcome {
    let workshop = Workshop::over(url, kinds::catalogue());
    run(&workshop.engine(), &request(kind, options))
}

fn request(kind: &str, options: &str) -> Request {
    let operation = OperationRequest {
        name: "bench".to_owned(),
        kind: kind.to_owned(),
        title: "bench".to_owned(),
        database: "test".to_owned(),
        severity: Severity::Low,
        backup: false,
        options: serde_json::from_str(options).unwrap_or_else(|error| panic!("{error}")),
        manners: Manners { max_percent: 100.0, ..Manners::default() },
        needs: Vec::new(),
        verifies: Vec::new(),
        expected_seconds: None,
    };
    Request {
        operations: vec![operation],
        dry_run: false,
        actor: "bench".to_owned(),
        trigger: Trigger::Cli,
        correlation_id: "bench".to_owned(),
        force: false,
        go_on: false,
        max_parallel: 1,
    }
}

fn undo(url: &str) -> Outcome {
    let workshop = Workshop::over(url, kinds::catalogue());
    let engine = workshop.engine();
    let points = engine.undo_points("test").unwrap_or_else(|error| panic!("{error}"));
    let request =
        engine.undo_request(&points[0].id, Some("test"), "bench").unwrap_or_else(|error| panic!("{error}"));
    run(&engine, &request)
}

fn run(engine: &engine::Engine, request: &Request) -> Outcome {
    let began = Instant::now();
    // As the command line does it for what is to be run.
    let prepared = engine.prepare(request).unwrap_or_else(|error| panic!("planning: {error:?}"));
    assert!(prepared.failures.is_empty(), "planning: {:?}", prepared.failures);
    let plan = prepared.plan;
    let planned = began.elapsed().as_secs_f64();
    let (mut batches, mut in_batches, mut last, mut verified) = (0.0, 0.0, 0.0, 0.0);
    let report = engine
        .run(&plan, &Stop::default(), &mut |event| {
            let now = began.elapsed().as_secs_f64();
            match &event.what {
                engine::What::Advanced { seconds, .. } => {
                    batches += 1.0;
                    in_batches += seconds;
                    last = now;
                }
                engine::What::Verified { .. } => verified = now - last,
                _ => {}
            }
        })
        .unwrap_or_else(|error| panic!("running: {error:?}"));
    assert_eq!(report.status, engine::Status::Completed, "{report:#?}");
    let done = &report.operations[0];
    let part = |name: &str, value: f64| (name.to_owned(), (value * 1000.0).round() / 1000.0);
    Outcome {
        rows: done.rows_deleted + done.rows_changed + done.rows_restored,
        dependants: done.rows_dependent,
        parts: vec![
            part("plan", planned),
            part("batches", batches),
            part("in batches", in_batches),
            part("between", last - planned - in_batches),
            part("verify", verified),
        ],
        ..Outcome::default()
    }
}

/// A writer as applications have them, one short transaction after the other, until its input ends.
fn write_until_told(url: &str, statement: &str) -> Waits {
    let mut application = application(url);
    let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let heard = std::sync::Arc::clone(&over);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        heard.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let mut times = Vec::new();
    while !over.load(std::sync::atomic::Ordering::Relaxed) || times.is_empty() {
        let began = Instant::now();
        // a time-out is a long wait too, which a single delete causes
        let outcome = application.change(&statement.replace("{n}", &(times.len() + 1).to_string()));
        if let Err(why) = outcome
            && !why.contains("locked")
        {
            panic!("{why}");
        }
        times.push(began.elapsed().as_secs_f64() * 1000.0);
        std::thread::sleep(Duration::from_millis(2));
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    Waits { count: times.len(), median_ms: at(0.5), p99_ms: at(0.99), longest_ms: at(1.0) }
}

/// CPU seconds of a process and of its children that ended.
pub fn cpu_seconds(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // the name in brackets may hold blanks; after it, utime, stime, cutime and cstime are the 12th to 15th word
    let words: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    words
        .get(11..15)
        .map_or(0.0, |words| words.iter().filter_map(|word| word.parse::<f64>().ok()).sum::<f64>() / 100.0)
}

fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn read_bytes() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    io.lines()
        .find_map(|line| line.strip_prefix("rchar: "))
        .and_then(|number| number.trim().parse().ok())
        .unwrap_or(0)
}
