//! What a conversion costs: a backfill in batches against one single update, and rows through a jq program against the bare
//! library, in the same run, as ratios.
//!
//! Rounds alternate: update, backfill, backfill with undo rows, …, each on a table made anew. The whole operation counts:
//! planning, batches, verification. A writer beside a further backfill tells how long it had to wait. Without `--bench` (as a
//! test runs it) everything is done once on few rows, and what came out is checked, not how fast.
#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)] // a benchmark is a program whose output is text

use backends::jq::Children;
use engine::{Manners, OperationRequest, Request, Severity, Stop, Trigger};
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, data, unwrap_valr};
use jaq_json::{Val, read};
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use targets::db::Url;
use targets::programs::{Outcome, Program, Programs};
use testkit::{Server, Workshop};

/// The one test of this file, for test runners that ask.
const TEST: &str = "the_benchmark_of_conversions_works_on_few_rows";
/// The first word of a process that writes.
const WRITER: &str = "writer";
/// What is measured of jq, and how many rows a second are wanted of each.
const PROGRAMS: [(&str, &str); 3] = [
    ("as it is", "."),
    ("one field", ".title | ascii_downcase"),
    ("a new object", "{id, slug: (.title | ascii_downcase), n: (.n + 1), tags: (.tags | length)}"),
];

fn main() {
    let Some(said) = testkit::Arguments::of(TEST) else { return };
    if let [first, place] = said.all()
        && first == WRITER
    {
        return write(place);
    }
    let number = |name: &str| said.number::<u64>(name);
    let text = |name: &str| said.text(name);
    let measured = said.has("--bench");
    let rows = number("--rows").unwrap_or(if measured { 5_000_000 } else { 20_000 });
    let documents = number("--documents").unwrap_or(if measured { 200_000 } else { 2_000 });
    let rounds = number("--rounds").unwrap_or(1);
    let only = text("--only");
    let wanted = |what: &str| only.as_deref().is_none_or(|only| only == what);
    let folder = std::env::temp_dir().join(format!("sexton-bench-convert-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    if wanted("jq") {
        through_jq(documents);
    }
    println!("\n| backfill of {rows} rows | bar | ratio | seconds, ours / one update | met |");
    println!("|---|---|---|---|---|");
    if wanted("sqlite") {
        measure("SQLite", &folder.join("convert.db").display().to_string(), rows, rounds);
    }
    if wanted("postgresql") {
        let server = Server::start(&folder.join("postgres"), &["shared_buffers=512MB", "fsync=on"])
            .unwrap_or_else(|why| panic!("{why}\nhelp: apt-get install postgresql"));
        measure("PostgreSQL", &server.url("postgres"), rows, rounds);
        drop(server);
    }
    let _ = std::fs::remove_dir_all(&folder);
}

fn script(url: &Url, sql: &str) {
    backends::testing::script(url, sql).unwrap_or_else(|why| panic!("{why}\nin {sql}"));
}

/// The table with an empty column, as if it had just been added.
fn table(url: &Url, rows: u64) {
    let (series, key, settle) = match url {
        Url::Sqlite { .. } => (
            format!(
                "(with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows}) select i from n)"
            ),
            "integer primary key",
            "pragma wal_checkpoint(truncate)",
        ),
        Url::Postgres { .. } => (
            format!("(select i from generate_series(1, {rows}::bigint) as g(i))"),
            "bigint primary key",
            "vacuum analyze items; checkpoint",
        ),
    };
    script(url, "drop table if exists items");
    script(url, &format!("create table items (id {key}, title text not null, body text, slug text)"));
    script(
        url,
        &format!(
            "insert into items (id, title, body) select s.i, 'Title ' || s.i, 'what is told about it, in a hundred letters or so, so that \
             a row is as long as rows mostly are, number ' || s.i from {series} as s"
        ),
    );
    for statement in settle.split("; ") {
        script(url, statement);
    }
}

fn measure(name: &str, place: &str, rows: u64, rounds: u64) {
    let url = Url::parse(place).unwrap_or_else(|error| panic!("{error}"));
    if let Url::Sqlite { path } = &url {
        std::fs::File::create(path).unwrap_or_else(|error| panic!("{error}"));
        script(&url, "pragma journal_mode = wal");
    }
    script(
        &url,
        "create table others (id integer primary key, n integer not null); insert into others values (1, 0)",
    );
    let (mut base, mut plain, mut remembered, mut by_jq) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        table(&url, rows);
        let began = Instant::now();
        script(&url, "update items set slug = lower(title) where slug is null");
        base.push(began.elapsed().as_secs_f64());
        plain.push(backfill(place, &url, rows, "none"));
        remembered.push(backfill(place, &url, rows, "rows"));
        by_jq.push(rows as f64 / 20.0 / in_jq(place, &url, rows / 20));
    }
    told(&format!("{name}, without undo"), &plain, &base, Some(1.4));
    told(&format!("{name}, with undo rows"), &remembered, &base, None);
    println!(
        "| {name}, by jq into a column, with undo rows: rows/s | – | {:.0} | | – |",
        by_jq.iter().sum::<f64>() / by_jq.len() as f64
    );
    let (longest, peer) = beside_a_writer(place, &url, rows.min(1_000_000));
    println!(
        "| {name}, longest wait of a writer beside it, ms (one update: {peer:.0}) | ≤ 250 | **{longest:.0}** | | {} |",
        if longest <= 250.0 { "yes" } else { "no" }
    );
}

fn told(what: &str, ours: &[f64], base: &[f64], bar: Option<f64>) {
    let ratio = median(&ours.iter().zip(base).map(|(ours, base)| ours / base.max(1e-6)).collect::<Vec<_>>());
    println!(
        "| {what} | {} | **{ratio:.2}** | {:.2} / {:.2} | {} |",
        bar.map_or("–".to_owned(), |bar| format!("≤ {bar}")),
        median(ours),
        median(base),
        bar.map_or("–", |bar| if ratio <= bar { "yes" } else { "no" })
    );
    assert!(ratio.is_finite() && ratio > 0.0);
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn backfill(place: &str, url: &Url, rows: u64, undo: &str) -> f64 {
    table(url, rows);
    let options = serde_json::json!({
        "table": "items", "where": "slug is null", "set": {"slug": "lower(t.title)"}, "undo": undo,
    });
    run(place, options, rows)
}

fn in_jq(place: &str, url: &Url, rows: u64) -> f64 {
    table(url, rows);
    let options = serde_json::json!({
        "table": "items", "where": "slug is null", "input": ["title"], "columns": {"slug": ".title | ascii_downcase"},
    });
    run(place, options, rows)
}

/// Who runs programs: the real worker.
struct Here(Workshop);

impl engine::Stores for Here {
    fn store(&self, _name: &str) -> engine::Result<std::sync::Arc<dyn targets::files::Files>> {
        Ok(self.0.files())
    }

    fn programs(&self) -> engine::Result<std::sync::Arc<dyn Programs>> {
        Ok(std::sync::Arc::new(worker()))
    }
}

fn worker() -> Children {
    Children {
        program: env!("CARGO_BIN_EXE_sexton").into(),
        arguments: vec!["jq-worker".into()],
        patience: Duration::from_secs(10),
    }
}

/// How long it takes; the undo point goes with the state.
fn run(place: &str, options: serde_json::Value, rows: u64) -> f64 {
    let stores = Here(Workshop::over(place, kinds::catalogue()));
    let workshop = Workshop::over(place, kinds::catalogue()).storing(std::sync::Arc::new(stores));
    let engine = workshop.engine();
    let began = Instant::now();
    let plan = engine.plan(&request(options)).unwrap_or_else(|error| panic!("{error:?}"));
    let report = engine.run(&plan, &Stop::default(), &mut |_| {}).unwrap_or_else(|error| panic!("{error:?}"));
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(report.operations[0].rows_changed, rows, "{report:#?}");
    for point in engine.undo_points("test").unwrap_or_default() {
        engine.drop_undo("test", &point.id, "bench").unwrap_or_else(|error| panic!("{error:?}"));
    }
    seconds
}

fn request(options: serde_json::Value) -> Request {
    let operation = OperationRequest {
        name: "bench".to_owned(),
        kind: "convert".to_owned(),
        title: "bench".to_owned(),
        database: "test".to_owned(),
        severity: Severity::Low,
        backup: false,
        options,
        manners: Manners { max_percent: 100.0, min_free_disk_mb: 0, ..Manners::default() },
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
        go_on: true,
        max_parallel: 1,
    }
}

/// The longest that somebody in a process of his own waits who writes another row all the while, in milliseconds; and beside
/// nothing but one single update. Whoever shares a process with Sexton is not seen as somebody else.
fn beside_a_writer(place: &str, url: &Url, rows: u64) -> (f64, f64) {
    table(url, rows);
    let options =
        serde_json::json!({"table": "items", "where": "slug is null", "set": {"slug": "lower(t.title)"}});
    let longest = with_a_writer(place, || {
        let _ = run(place, options, rows);
    });
    table(url, rows);
    let peer =
        with_a_writer(place, || script(url, "update items set slug = lower(title) where slug is null"));
    (longest, peer)
}

fn with_a_writer(place: &str, meanwhile: impl FnOnce()) -> f64 {
    let program = std::env::current_exe().unwrap_or_else(|error| panic!("{error}"));
    let mut writer = Command::new(program)
        .args([WRITER, place])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("the writer: {error}"));
    meanwhile();
    drop(writer.stdin.take());
    let output = writer.wait_with_output().unwrap_or_else(|error| panic!("the writer: {error}"));
    String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or_else(|_| panic!("the writer has died"))
}

/// Writes until nobody wants it any more.
fn write(place: &str) {
    let over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&over);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        told.store(true, Ordering::Relaxed);
    });
    let url = Url::parse(place).unwrap_or_else(|error| panic!("{error}"));
    let mut application =
        backends::testing::Application::connect(&url).unwrap_or_else(|error| panic!("{error}"));
    let mut longest = 0.0_f64;
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let _ = application.change("update others set n = n + 1 where id = 1");
        longest = longest.max(began.elapsed().as_secs_f64() * 1000.0);
        std::thread::sleep(Duration::from_millis(2));
    }
    println!("{longest}");
}

/// A document of a kilobyte.
fn document(n: u64) -> String {
    let tags: Vec<String> = (0..20).map(|tag| format!("\"tag number {}\"", (n + tag) % 1000)).collect();
    format!(
        "{{\"id\":{n},\"title\":\"A Title With Some Words {n}\",\"n\":{},\"price\":12.50,\"active\":true,\"body\":\"{}\",\"tags\":[{}]}}",
        n % 97,
        "what is told about it, at some length, ".repeat(14),
        tags.join(",")
    )
}

fn through_jq(rows: u64) {
    let documents: Vec<String> = (0..rows).map(document).collect();
    let bytes = documents.iter().map(String::len).sum::<usize>() / documents.len().max(1);
    println!(
        "| {rows} documents of {bytes} bytes through jq | bare library, rows/s | worker, rows/s | worker ÷ library |"
    );
    println!("|---|---|---|---|");
    for (name, text) in PROGRAMS {
        let bare = bare(text, &documents);
        let program = Program { text: text.to_owned(), args: Vec::new(), now: 0.0, pretty: false };
        let mut running = worker().start(&program).unwrap_or_else(|error| panic!("{error}"));
        let began = Instant::now();
        let mut given = 0;
        for some in documents.chunks(5_000) {
            let outcomes = running.transform(some).unwrap_or_else(|error| panic!("{error}"));
            given += outcomes
                .iter()
                .filter(|outcome| matches!(outcome, Outcome::Given(values) if values.len() == 1))
                .count();
        }
        let ours = rows as f64 / began.elapsed().as_secs_f64();
        assert_eq!(given as u64, rows);
        println!("| {name} | {bare:.0} | **{ours:.0}** | {:.2} |", ours / bare);
    }
}

/// Text in, text out, with nothing around.
fn bare(text: &str, documents: &[String]) -> f64 {
    type Plain = data::JustLut<Val>;
    let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let functions =
        jaq_core::funs::<Plain>().chain(jaq_std::funs::<Plain>()).chain(jaq_json::funs::<Plain>());
    let arena = Arena::default();
    let modules = Loader::new(definitions)
        .load(&arena, File { code: text, path: () })
        .unwrap_or_else(|_| panic!("the program cannot be read"));
    let filter = Compiler::default()
        .with_funs(functions)
        .compile(modules)
        .unwrap_or_else(|_| panic!("the program cannot be read"));
    let began = Instant::now();
    let mut bytes = 0;
    for document in documents {
        let input = read::parse_single(document.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        let context = Ctx::<Plain>::new(&filter.lut, Vars::new([]));
        for value in filter.id.run((context, input)).map(unwrap_valr) {
            bytes += value.map(|value| value.to_string().len()).unwrap_or_default();
        }
    }
    assert!(bytes > 0);
    documents.len() as f64 / began.elapsed().as_secs_f64()
}
