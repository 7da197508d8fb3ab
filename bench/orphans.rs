//! What it costs to find orphans, measured against one hand-written anti-join, in the same run, as ratios.
//!
//! Rounds alternate: anti-join, plan of an operation, look at the whole database, …; medians are told. A plan counts rows and
//! orphans exactly and looks for dependants, indexes and guards; the anti-join only counts orphans. Without `--bench`
//! (as a test runs it) it does everything once on 20 000 rows and checks what came out, not how fast.
#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)] // a benchmark is a program whose output is text

use engine::{Engine, Manners, OperationRequest, Plan, Request, Severity, Trigger};
use std::time::Instant;
use targets::db::{Url, Value};
use testkit::{Server, Workshop};

/// The one test of this file, for test runners that ask.
const TEST: &str = "the_benchmark_of_orphans_works_on_twenty_thousand_rows";
const BAR: f64 = 1.1;
const ANTI_JOIN: &str = "select count(*) from events t where t.user_id is not null
    and not exists (select 1 from users p where p.id = t.user_id)";

fn main() {
    let Some(said) = testkit::Arguments::of(TEST) else { return };
    let number = |name: &str| said.number::<u64>(name);
    let (rows, rounds) = match said.has("--bench") {
        true => (number("--rows").unwrap_or(2_000_000), number("--rounds").unwrap_or(5)),
        false => (20_000, 1),
    };
    let folder = std::env::temp_dir().join(format!("sexton-bench-orphans-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    println!(
        "| finding orphans among {rows} rows | bar | ratio | rounds | seconds, ours / anti-join | met |"
    );
    println!("|---|---|---|---|---|---|");
    measure("SQLite", &folder.join("orphans.db").display().to_string(), rows, rounds);
    let server = Server::start(&folder.join("postgres"), &["shared_buffers=512MB"])
        .unwrap_or_else(|why| panic!("{why}\nhelp: apt-get install postgresql"));
    measure("PostgreSQL", &server.url("postgres"), rows, rounds);
    drop(server);
    let _ = std::fs::remove_dir_all(&folder);
}

/// A tenth as many parents; one row in a hundred has none.
fn seed(url: &Url, rows: u64) {
    let parents = rows / 10;
    let series = |many: u64| match url {
        Url::Sqlite { .. } => {
            format!(
                "(with recursive n(i) as (select 1 union all select i + 1 from n where i < {many}) select i from n)"
            )
        }
        Url::Postgres { .. } => format!("(select i from generate_series(1, {many}::bigint) as g(i))"),
    };
    let analyse = match url {
        Url::Sqlite { .. } => "analyze",
        Url::Postgres { .. } => "vacuum analyze",
    };
    let key = match url {
        Url::Sqlite { .. } => "integer primary key",
        Url::Postgres { .. } => "bigint primary key",
    };
    if matches!(url, Url::Sqlite { path } if !path.exists()) {
        // Sexton makes no databases, and the application opens what is there.
        let Url::Sqlite { path } = url else { return };
        std::fs::File::create(path).unwrap_or_else(|error| panic!("{error}"));
    }
    let statements = [
        format!("create table users (id {key}, name text)"),
        format!("create table events (id {key}, user_id bigint, name text, at text)"),
        format!("insert into users select s.i, 'user ' || s.i from {} as s", series(parents)),
        format!(
            "insert into events select s.i, case when s.i % 100 = 0 then {parents} + s.i else 1 + (s.i * 7919) % {parents} end,
               'what happened to somebody, number ' || s.i, '2026-01-01 00:00:00' from {} as s",
            series(rows)
        ),
        "create index events_user on events (user_id)".to_owned(),
        analyse.to_owned(),
    ];
    for statement in statements {
        backends::testing::script(url, &statement).unwrap_or_else(|why| panic!("{why}\nin {statement}"));
    }
}

fn measure(name: &str, place: &str, rows: u64, rounds: u64) {
    let url = Url::parse(place).unwrap_or_else(|error| panic!("{error}"));
    seed(&url, rows);
    let workshop = Workshop::over(place, kinds::catalogue());
    let engine = workshop.engine();
    let manners = Manners { max_percent: 100.0, min_free_disk_mb: 0, ..Manners::default() };
    let operation = serde_json::json!({"table": "events", "columns": ["user_id"], "parent": "users"});
    let planned = request(operation, manners.clone());
    let looked = request(serde_json::json!({"scan": true}), manners);
    let (mut base, mut plans, mut looks) = (Vec::new(), Vec::new(), Vec::new());
    // The first round warms the caches and is not told, where there are several.
    for round in 0..rounds + u64::from(rounds > 1) {
        let began = Instant::now();
        let found = backends::testing::rows(&url, ANTI_JOIN).unwrap_or_else(|why| panic!("{why}"));
        let by_hand = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let plan = planned_by(&engine, &planned);
        let by_plan = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let look = planned_by(&engine, &looked);
        let by_look = began.elapsed().as_secs_f64();
        let orphans = match found.first().and_then(|row| row.first()) {
            Some(Value::Int(number)) => *number as u64,
            Some(Value::Text(text)) => text.parse().unwrap_or(0),
            other => panic!("no number: {other:?}"),
        };
        assert_eq!((orphans, plan.matched()), (rows / 100, rows / 100));
        let result = look.items[0].result.clone().unwrap_or_default();
        assert_eq!(result["references"][0]["orphans"], orphans, "{result}");
        if round > 0 || rounds == 1 {
            base.push(by_hand);
            plans.push(by_plan);
            looks.push(by_look);
        }
    }
    told(&format!("{name}: plan ÷ anti-join"), &plans, &base);
    told(&format!("{name}: look at the whole database ÷ anti-join"), &looks, &base);
}

fn told(what: &str, ours: &[f64], base: &[f64]) {
    let ratios: Vec<f64> = ours.iter().zip(base).map(|(ours, base)| ours / base.max(1e-6)).collect();
    let shown: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
    let ratio = median(&ratios);
    println!(
        "| {what} | ≤ {BAR} | **{ratio:.2}** | {} | {:.3} / {:.3} | {} |",
        shown.join(" "),
        median(ours),
        median(base),
        if ratio <= BAR { "yes" } else { "no" }
    );
    assert!(ratio.is_finite() && ratio > 0.0);
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn request(options: serde_json::Value, manners: Manners) -> Request {
    let operation = OperationRequest {
        name: "bench".to_owned(),
        kind: "orphans".to_owned(),
        title: "bench".to_owned(),
        database: "test".to_owned(),
        severity: Severity::Low,
        backup: false,
        options,
        manners,
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

fn planned_by(engine: &Engine, request: &Request) -> Plan {
    engine.plan(request).unwrap_or_else(|error| panic!("planning failed: {error:?}"))
}
