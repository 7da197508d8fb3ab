//! Stories of `reindex`: beside a writer, by need, by name; leftovers of deaths, of failures, and of others.

use crate::stage::{Stage, both, codes, manners, shown};
use engine::{Failure, Plan, Report, Status, Stop};
use serde_json::{Value as Json, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use testkit::{Place, story};

const LITE: &str = "create table t (id integer primary key, a text, b text unique); create index t_a on t (a);
    insert into t with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000) select i, 'text ' || i, 'b' || i from n;";
const SERVER: &str =
    "create table t (id integer primary key, a text, b text unique); create index t_a on t (a);
    insert into t select i, 'text ' || i, 'b' || i from generate_series(1, 2000) i;";
const NODES: &str = "select relname || ' ' || relfilenode from pg_class where relkind = 'i' and relnamespace = 'public'::regnamespace order by 1";
const INVALID: &str = "select indexrelid::regclass::text from pg_index where not indisvalid";

fn plan(stage: &Stage, options: Json) -> Plan {
    story::plan(&stage.engine(), &story::request("reindex", options, manners(), false))
}

fn run(stage: &Stage, options: Json) -> (Report, Json) {
    let report = story::run(&stage.engine(), &plan(stage, options));
    let result = report.operations[0].result.clone().unwrap_or_default();
    (report, result)
}

#[test]
fn all_indexes_are_built_anew() {
    // S1-015, S1-016, S1-036, S0-089
    both(LITE, SERVER, |stage| {
        let lite = stage.place.is_sqlite();
        let before = if lite { Vec::new() } else { stage.list(NODES) };
        let plan = plan(stage, json!({"all": true}));
        assert!(plan.items[0].steps.iter().all(|step| step.statements[0].starts_with("reindex")));
        let report = story::run(&stage.engine(), &plan);
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        let result = report.operations[0].result.clone().unwrap();
        let names: Vec<&str> =
            result["indexes"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert!(names.iter().any(|name| name.ends_with("t_a")), "{result}");
        assert!(result["message"].as_str().unwrap().contains("index"), "{result}");
        if lite {
            assert_eq!(names.len(), 2, "{names:?}");
            assert_eq!(stage.list("pragma integrity_check"), ["ok"]);
        } else {
            let after = stage.list(NODES);
            assert_eq!(after.len(), before.len());
            assert!(before.iter().all(|node| !after.contains(node)), "{before:?} {after:?}");
            assert_eq!(stage.list(INVALID), Vec::<String>::new());
        }
        let none = self::plan(stage, Json::Null);
        assert_eq!(none.items[0].steps.len(), 0, "nothing needs it");
    });
}

#[test]
fn a_writer_beside_it_hardly_waits() {
    // S1-015: less than a second
    let stage = Stage::new(Place::postgres());
    stage.place.script(SERVER);
    stage.place.script("insert into t select i, 'text ' || i, 'b' || i from generate_series(2001, 150000) i");
    let mut turn = 0;
    testkit::once_in_three(|| {
        turn += 1;
        let wait = longest_wait_beside(&stage, turn);
        if wait < 1.0 { Ok(()) } else { Err(format!("somebody waited for {wait} s")) }
    });
}

/// So long somebody waited who writes beside the work.
fn longest_wait_beside(stage: &Stage, turn: i64) -> f64 {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ending = testkit::Over(&over);
        let writer = scope.spawn(|| {
            let mut application = stage.place.connect();
            let (mut n, mut longest) = (1_000_000 * turn, Duration::ZERO);
            while !over.load(Ordering::Relaxed) {
                n += 1;
                let began = Instant::now();
                application.script(&format!("insert into t values ({n}, 'new', 'n{n}')")).unwrap();
                longest = longest.max(began.elapsed());
            }
            longest
        });
        let (report, result) = run(stage, json!({"tables": ["t"]}));
        drop(ending);
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        let told = result["others_waited_seconds"].as_f64().unwrap();
        writer.join().unwrap().as_secs_f64().max(told)
    })
}

#[test]
fn an_index_that_is_mostly_empty_or_not_valid_needs_it() {
    // S1-015, W-049
    let stage = Stage::new(Place::postgres());
    stage.place.script(SERVER);
    stage.place.script(
        "insert into t select i, 'text ' || i, 'b' || i from generate_series(2001, 60000) i; analyze t",
    );
    // Rows that come in no order leave pages half full: built anew once, nothing needs it.
    run(&stage, json!({"tables": ["t"]}));
    stage.place.script("vacuum analyze t");
    assert_eq!(plan(&stage, Json::Null).items[0].steps.len(), 0);
    stage.place.script("delete from t where id % 10 <> 0");
    stage.place.wait_until_the_dead_may_go();
    stage.place.script("vacuum analyze t");
    let some = plan(&stage, json!({"at_least_mb": 0}));
    assert!(some.items[0].steps.iter().any(|step| step.object == "t_a"), "{:?}", some.items[0].steps);
    assert!(stage.place.try_script("insert into t values (1000001, 'same'), (1000002, 'same'); ").is_ok());
    assert!(stage.place.try_script("create unique index concurrently t_once on t (a)").is_err());
    let invalid = plan(&stage, Json::Null);
    let first = &invalid.items[0].steps[0];
    assert_eq!(first.object, "t_once");
    // The rows are still the same: it fails for its data, is tidied up after, and told.
    let (report, result) = run(&stage, json!({"if_bloat_over": 100}));
    assert_eq!(report.status, Status::Partial, "{report:#?}");
    assert!(result["indexes"][0]["status"] == "failed", "{result}");
    assert_eq!(stage.list(INVALID), ["t_once"], "what the failure left is gone: {result}");
    // After so many failures it is left alone, with the reason, until it is named.
    for _ in 0..2 {
        run(&stage, json!({"if_bloat_over": 100}));
    }
    let tired = plan(&stage, json!({"if_bloat_over": 100}));
    assert_eq!(tired.items[0].steps.len(), 0);
    let given_up = tired.items[0].findings.iter().find(|finding| finding.code == "given_up").unwrap();
    assert!(given_up.what.contains("3 failures"), "{given_up:?}");
    stage.place.script("delete from t where id = 1000002");
    let (report, _) = run(&stage, json!({"indexes": ["t_once"]}));
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(stage.list(INVALID), Vec::<String>::new());
}

#[test]
fn leftovers_go_and_what_somebody_builds_stays() {
    // W-049
    let stage = Stage::new(Place::postgres());
    stage.place.script(SERVER);
    let mut other = stage.place.connect();
    other.script("begin; insert into t values (5000, 'x', 'y')").unwrap();
    // A rebuild that gives up waiting leaves one.
    let died = stage.place.try_script("set lock_timeout = '200ms'");
    assert!(died.is_ok());
    let mut dba = stage.place.connect();
    dba.script("set lock_timeout = '200ms'").unwrap();
    assert!(dba.script("reindex index concurrently t_a").is_err());
    assert_eq!(stage.list(INVALID), ["t_a_ccnew"]);
    // Another one is at work on the same table: now it may be his.
    dba.script("set lock_timeout = 0").unwrap();
    std::thread::scope(|scope| {
        let building = scope.spawn(|| dba.script("reindex index concurrently t_b_key"));
        let building_now =
            "select count(*) from pg_stat_progress_create_index where datname = current_database()";
        let busy = || stage.number(building_now) > 0;
        let began = Instant::now();
        while !busy() && began.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let meanwhile = plan(&stage, json!({"tables": ["t"]}));
        assert_eq!(meanwhile.items[0].steps.len(), 0, "{:?}", meanwhile.items[0].steps);
        assert!(codes(&meanwhile).contains(&"busy"), "{:?}", codes(&meanwhile));
        other.script("rollback").unwrap();
        building.join().unwrap().unwrap();
    });
    let plan = plan(&stage, Json::Null);
    assert!(codes(&plan).contains(&"leftover"), "{:?}", codes(&plan));
    let report = story::run(&stage.engine(), &plan);
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(report.operations[0].result.as_ref().unwrap()["leftovers_dropped"], json!(["t_a_ccnew"]));
    assert_eq!(stage.list(INVALID), Vec::<String>::new());
}

#[test]
fn a_rebuild_that_cannot_get_its_turn_leaves_nothing_and_goes_on_with_the_next() {
    // W-049, S1-070
    let stage = Stage::new(Place::postgres());
    stage.place.script(SERVER);
    stage
        .place
        .script("create table u (id integer primary key); insert into u select generate_series(1, 100)");
    let mut other = stage.place.connect();
    other.script("begin; insert into t values (5000, 'x', 'y')").unwrap();
    let mut hasty = manners();
    hasty.lock_timeout = 0.1;
    let patient = stage.patient();
    let engine = patient.engine();
    let options = json!({"indexes": ["t_a", "u_pkey"]});
    let plan = story::plan(&engine, &story::request("reindex", options, hasty, false));
    let before = stage.list(NODES);
    // The one who writes goes when it has been given up, so that what is left can be removed.
    let report = engine
        .run(&plan, &Stop::default(), &mut |event| {
            if matches!(event.what, engine::What::GaveUp { .. }) {
                other.script("rollback").unwrap();
            }
        })
        .unwrap();
    assert_eq!(report.status, Status::Partial, "{report:#?}");
    let said = report.operations[0].errors.join(" ");
    assert!(said.contains("t_a") && said.contains("lock timeout"), "{said}");
    assert_eq!(stage.list(INVALID), Vec::<String>::new());
    let after = stage.list(NODES);
    let changed = |name: &str| {
        before.iter().find(|node| node.starts_with(name)) != after.iter().find(|node| node.starts_with(name))
    };
    assert!(changed("u_pkey") && !changed("t_a"));
}

#[test]
fn a_death_at_any_point_leaves_no_index_behind() {
    // W-049
    both(LITE, SERVER, |stage| {
        for nth in 1..120 {
            let engine = stage.engine();
            let plan =
                story::plan(&engine, &story::request("reindex", json!({"tables": ["t"]}), manners(), false));
            engine.faults().arm(nth);
            let id = format!("death{nth:03}");
            let outcome = engine.run_as(&id, &plan, &Stop::default(), &mut |_| {});
            let died = matches!(outcome, Err(Failure::Fault(_)));
            drop(engine);
            if died && let Ok(report) = story::resumed(&stage.engine(), &id) {
                assert_eq!(report.status, Status::Completed, "point {nth}: {report:#?}");
            }
            if !stage.place.is_sqlite() {
                assert_eq!(stage.list(INVALID), Vec::<String>::new(), "point {nth}");
            }
            if !died {
                assert!(nth > 10, "{nth}");
                return;
            }
        }
        panic!("there is no end");
    });
}

#[test]
fn parts_of_partitioned_indexes_are_built_by_themselves_and_exclusions_are_told() {
    // W-049
    let stage = Stage::new(Place::postgres());
    stage.place.script(
        "create table p (id int, k int) partition by range (k); create table p1 partition of p for values from (0) to (10);
         create table p2 partition of p for values from (10) to (20); create index p_id on p (id);
         create table e (r int4range, exclude using gist (r with &&))",
    );
    let parts = plan(&stage, json!({"tables": ["p"]}));
    let objects: Vec<&str> = parts.items[0].steps.iter().map(|step| step.object.as_str()).collect();
    assert_eq!(objects.len(), 2, "{objects:?}");
    let of_e = plan(&stage, json!({"tables": ["e"]}));
    assert_eq!(codes(&of_e), ["exclusion"]);
    let (report, _) = run(&stage, json!({"tables": ["e", "p"], "concurrently": false}));
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    let request = story::request("reindex", json!({"indexes": ["p_id"]}), manners(), false);
    assert!(shown(&stage.engine().plan(&request).unwrap_err()).contains("parts"));
}

#[test]
fn an_index_dropped_since_the_plan_is_passed_over() {
    both(LITE, SERVER, |stage| {
        let plan = plan(stage, json!({"tables": ["t"]}));
        stage.place.script("drop index t_a");
        let report = story::run(&stage.engine(), &plan);
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        let result = report.operations[0].result.clone().unwrap();
        let gone = result["indexes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["status"] == "skipped")
            .unwrap()
            .clone();
        assert!(gone["reason"].as_str().unwrap().contains("gone"), "{gone}");
    });
}
