//! Stories of `vacuum` and `analyze`: by need, by name, whole; what stands in the way; deaths.

use crate::stage::{Stage, both, manners, shown};
use engine::{Failure, Plan, Report, Severity, Status, Stop};
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};
use testkit::{Place, story};

/// Two tables, one of which has lost most of its rows. Nobody else vacuums them.
const LITE: &str = "create table big (id integer primary key, a text); create index big_a on big (a);
    create table small (id integer primary key, a text); insert into small values (1, 'a');
    insert into big with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000) select i, 'text ' || i from n;
    analyze; delete from big where id > 2000;";
const SERVER: &str = "create table big (id integer primary key, a text) with (autovacuum_enabled = false);
    create index big_a on big (a);
    create table small (id integer primary key, a text) with (autovacuum_enabled = false); insert into small values (1, 'a');
    insert into big select i, 'text ' || i from generate_series(1, 20000) i;
    analyze; delete from big where id > 2000;";

fn plan(stage: &Stage, kind: &str, options: Json) -> Plan {
    story::plan(&stage.engine(), &story::request(kind, options, manners(), false))
}

fn run(stage: &Stage, kind: &str, options: Json) -> (Report, Json) {
    let report = story::run(&stage.engine(), &plan(stage, kind, options));
    let result = report.operations[0].result.clone().unwrap_or_default();
    (report, result)
}

fn objects(plan: &Plan) -> Vec<&str> {
    plan.items[0].steps.iter().map(|step| step.object.as_str()).collect()
}

#[test]
fn only_what_needs_it_is_vacuumed_and_nothing_the_second_time() {
    // S1-013, S1-014, S1-074, S1-036, W-050
    both(LITE, SERVER, |stage| {
        stage.place.wait_until_the_dead_may_go();
        let before = stage.place.dump();
        let plan = plan(stage, "vacuum", Json::Null);
        assert!(!plan.items[0].transactional);
        let lite = stage.place.is_sqlite();
        assert!(objects(&plan)[0] == if lite { "the file" } else { "big" }, "{:?}", objects(&plan));
        assert!(plan.items[0].steps.iter().all(|step| step.object != "small"));
        assert!(plan.items[0].expected_seconds.is_some_and(|seconds| seconds > 0.0));
        let report = story::run(&stage.engine(), &plan);
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        let result = report.operations[0].result.clone().unwrap();
        let first = &result["tables"][0];
        assert_eq!(first["status"], "done", "{result}");
        assert!(first["dead_before"].as_u64().unwrap() > 50 && first["dead_after"] == json!(0), "{first}");
        assert!(
            result["message"].as_str().unwrap().contains(if lite { "of the file" } else { "1 table" }),
            "{result}"
        );
        assert!(result["others_waited_seconds"].as_f64().is_some(), "{result}");
        if lite {
            assert_eq!(stage.number("pragma freelist_count"), 0);
            assert!(report.operations[0].bytes_freed.unwrap() > 100_000);
        } else {
            let seen = "select count(*) from pg_stat_user_tables where relname = 'big' and n_dead_tup = 0 and last_vacuum is not null and last_analyze is not null";
            assert_eq!(stage.number(seen), 1);
        }
        assert_eq!(stage.place.dump(), before, "no row changes");
        let again = self::plan(stage, "vacuum", Json::Null);
        assert!(
            again.items[0].steps.iter().all(|step| step.action == "analyze"),
            "{:?}",
            again.items[0].steps
        );
    });
}

#[test]
fn all_are_vacuumed_when_that_is_asked_for_and_the_dead_are_gone() {
    // S1-013, S1-014, S0-089: the file shrinks, statistics are there, it is sound
    both(LITE, SERVER, |stage| {
        stage.place.wait_until_the_dead_may_go();
        let (report, result) = run(stage, "vacuum", json!({"all": true}));
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        assert!(result["tables"].as_array().unwrap().iter().all(|one| one["status"] == "done"), "{result}");
        if stage.place.is_sqlite() {
            assert_eq!(stage.number("pragma freelist_count"), 0);
            assert!(stage.number("select count(*) from sqlite_stat1") > 0);
            assert_eq!(stage.list("pragma integrity_check"), ["ok"]);
        } else {
            let done = "select count(*) from pg_stat_user_tables where relname in ('big', 'small') and last_vacuum is not null and last_analyze is not null and n_dead_tup = 0";
            assert_eq!(stage.number(done), 2);
        }
    });
}

#[test]
fn a_percentage_decides_where_one_is_given() {
    // S1-074
    both(LITE, SERVER, |stage| {
        let some = plan(stage, "vacuum", json!({"if_bloat_over": 20, "analyze": false}));
        assert_eq!(some.items[0].steps.len(), 1, "{:?}", objects(&some));
        let none = plan(stage, "vacuum", json!({"if_bloat_over": 99.5, "analyze": false}));
        assert_eq!(none.items[0].steps.len(), 0, "{:?}", objects(&none));
    });
}

#[test]
fn a_full_vacuum_needs_names_and_gives_the_space_back() {
    // S1-073
    let stage = Stage::new(Place::postgres());
    stage.place.script(SERVER);
    stage.place.wait_until_the_dead_may_go();
    let request = story::request("vacuum", json!({"full": true}), manners(), false);
    let refused = shown(&stage.engine().plan(&request).unwrap_err());
    assert!(refused.contains("name the tables"), "{refused}");
    let size = || stage.number("select pg_relation_size('big')");
    let before = size();
    let (_, _) = run(&stage, "vacuum", json!({"tables": ["big"]}));
    assert_eq!(size(), before, "a plain vacuum keeps the size");
    let plan = plan(&stage, "vacuum", json!({"full": true, "tables": ["big"]}));
    assert_eq!(plan.items[0].operation.severity, Severity::High);
    assert!(plan.items[0].steps[0].statements[0].contains("full"), "{:?}", plan.items[0].steps);
    let report = story::run(&stage.engine(), &plan);
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert!(size() < before / 4 && report.operations[0].bytes_freed.unwrap() > 500_000);
}

#[test]
fn what_keeps_dead_rows_is_told_with_its_remedy() {
    // S1-070, S1-086, W-037: a transaction that is open elsewhere
    let stage = Stage::new(Place::postgres());
    stage.place.script("create table t (id int) with (autovacuum_enabled = false); insert into t select generate_series(1, 5000); analyze");
    let mut other = stage.place.connect();
    other.script("begin isolation level repeatable read").unwrap();
    other.integers("select 1").unwrap();
    stage.place.script("delete from t");
    stage.place.wait_for_figures();
    let (report, _) = run(&stage, "vacuum", json!({"tables": ["t"]}));
    assert_eq!(report.status, Status::Partial, "{report:#?}");
    let found = report.operations[0].findings.iter().find(|finding| finding.code == "pinned").unwrap();
    assert!(
        found.what.contains("5000 dead rows") && found.remedy.contains("pg_terminate_backend"),
        "{found:?}"
    );
    other.script("commit").unwrap();
    stage.place.wait_until_the_dead_may_go();
    let (report, _) = run(&stage, "vacuum", json!({"tables": ["t"]}));
    assert_eq!(report.status, Status::Completed, "{report:#?}");
}

#[test]
fn a_table_that_is_held_or_gone_is_passed_over_with_the_reason() {
    // S1-086
    let stage = Stage::new(Place::postgres());
    stage.place.script(SERVER);
    let all = plan(&stage, "vacuum", json!({"tables": ["big", "small"]}));
    let mut other = stage.place.connect();
    other.script("begin; lock table small in share mode").unwrap();
    stage.place.script("drop table big");
    let report = story::run(&stage.engine(), &all);
    other.script("commit").unwrap();
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    let result = report.operations[0].result.clone().unwrap();
    let of = |name: &str| {
        result["tables"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone()
    };
    assert!(of("big")["reason"].as_str().unwrap().contains("gone"), "{result}");
    assert_eq!(of("small")["status"], "skipped", "{result}");
    assert!(of("small")["reason"].as_str().is_some(), "{result}");
}

#[test]
fn a_table_of_somebody_else_is_left_out_and_told() {
    let stage = Stage::new(Place::postgres());
    stage.place.script("create table mine (id int)");
    // The owner of the database may vacuum everything in it: this one owns nothing.
    stage.place.admin_script(
        "do $$ begin
           if not exists (select from pg_roles where rolname = 'sexton_stranger') then create role sexton_stranger login; end if;
         exception when duplicate_object or unique_violation then null; end $$",
    );
    let url = stage.place.url().replacen("app", "sexton_stranger", 1);
    let engine = stage.workshop.also_at(testkit::database_at(&url));
    let plan = story::plan(&engine, &story::request("vacuum", json!({"all": true}), manners(), false));
    assert!(objects(&plan).is_empty(), "{:?}", objects(&plan));
    let found = plan.items[0].findings.iter().find(|finding| finding.code == "permission").unwrap();
    assert!(found.remedy.contains("owner"), "{found:?}");
}

#[test]
fn a_death_at_any_point_ends_in_the_same() {
    // S1-013, S1-014
    both(LITE, SERVER, |stage| {
        for nth in 1..120 {
            let engine = stage.engine();
            let request = story::request("vacuum", json!({"all": true}), manners(), false);
            let plan = story::plan(&engine, &request);
            engine.faults().arm(nth);
            let id = format!("death{nth:03}");
            let outcome = engine.run_as(&id, &plan, &Stop::default(), &mut |_| {});
            let died = matches!(outcome, Err(Failure::Fault(_)));
            drop(engine);
            if died && let Ok(report) = story::resumed(&stage.engine(), &id) {
                assert_eq!(report.status, Status::Completed, "point {nth}: {report:#?}");
                let tables =
                    report.operations[0].result.as_ref().unwrap()["tables"].as_array().unwrap().clone();
                assert!(tables.iter().all(|one| one["status"] != "failed"), "point {nth}: {tables:?}");
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
fn a_file_gives_pages_back_in_slices_and_stops_when_asked() {
    // S1-014, X-15
    let stage = Stage::new(Place::sqlite());
    stage.place.script("pragma auto_vacuum = incremental; vacuum");
    stage.place.script(LITE);
    let free = stage.number("pragma freelist_count");
    let mut slow = manners();
    slow.batch_size = Some(20);
    let engine = stage.engine();
    let plan = story::plan(&engine, &story::request("vacuum", json!({"analyze": false}), slow, false));
    assert_eq!(plan.items[0].steps[0].action, "give_back");
    let stop = Stop::default();
    let mut slices = 0;
    let report = engine
        .run(&plan, &stop, &mut |event| {
            if matches!(event.what, engine::What::Advanced { .. }) {
                slices += 1;
                if slices == 2 {
                    stop.ask();
                }
            }
        })
        .unwrap();
    assert_eq!(report.status, Status::Cancelled);
    let left = stage.number("pragma freelist_count");
    assert!(left > 0 && left < free, "{free} then {left}");
    let report = stage.engine().resume("latest", &Stop::default(), &mut |_| {}).unwrap();
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(stage.number("pragma freelist_count"), 0);
}

#[test]
fn a_vacuum_of_a_file_waits_for_the_one_who_writes_and_not_for_ever() {
    // W-037
    let stage = Stage::new(Place::sqlite());
    stage.place.script(LITE);
    let mut writer = stage.place.connect();
    let plan = plan(&stage, "vacuum", json!({"all": true}));
    writer.script("begin immediate; insert into small values (7, 'x')").unwrap();
    let patient = stage.patient();
    let began = Instant::now();
    let outcome = patient.engine().run(&plan, &Stop::default(), &mut |_| {});
    assert!(began.elapsed() < Duration::from_secs(60));
    assert!(!matches!(&outcome, Ok(report) if report.status == Status::Completed), "{outcome:?}");
    writer.script("commit").unwrap();
    assert_eq!(stage.list("pragma integrity_check"), ["ok"]);
}

#[test]
fn what_was_never_analysed_or_changed_much_is_analysed() {
    // S0-089, S1-013
    let lite = "create table t (id integer primary key, a text); create index t_a on t (a);
        insert into t with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000) select i, 'x' || i from n";
    let server = "create table p (id int, k int) partition by range (k); create table p1 partition of p for values from (0) to (10);
        create table t (id integer primary key, a text) with (autovacuum_enabled = false);
        insert into t select i, 'x' || i from generate_series(1, 3000) i; insert into p select i, i % 10 from generate_series(1, 100) i";
    both(lite, server, |stage| {
        let (report, result) = run(stage, "analyze", Json::Null);
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        assert!(result["message"].as_str().unwrap().contains("table"), "{result}");
        if stage.place.is_sqlite() {
            assert!(stage.number("select count(*) from sqlite_stat1") > 0);
        } else {
            let names: Vec<&str> = result["tables"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["name"].as_str().unwrap())
                .collect();
            assert!(names.contains(&"p") && names.contains(&"t"), "{names:?}");
            assert_eq!(stage.number("select count(*) from pg_stats where tablename = 'p'"), 2);
        }
        stage.place.wait_for_figures();
        let again = plan(stage, "analyze", Json::Null);
        assert_eq!(objects(&again), Vec::<&str>::new());
        let (report, _) = run(stage, "analyze", json!({"tables": ["t"]}));
        assert_eq!(report.status, Status::Completed);
        let request = story::request("analyze", json!({"tables": ["nowhere"]}), manners(), false);
        assert!(shown(&stage.engine().plan(&request).unwrap_err()).contains("nowhere"));
    });
}
