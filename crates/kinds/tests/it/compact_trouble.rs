//! `compact` and bad luck: deaths, writers, locks, tables that vanish, and any state of a table at all.

use crate::compact::{SERVER, pages, plan, run};
use crate::stage::{Stage, cases, manners};
use engine::{Failure, Status, Stop, What};
use proptest::prelude::*;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use testkit::{Place, story};

fn stage() -> Stage {
    let stage = Stage::new(Place::postgres());
    stage.place.script(SERVER);
    stage
}

#[test]
fn a_death_at_any_point_ends_in_the_same() {
    let stage = stage();
    stage.place.script("delete from t where id > 6000");
    stage.place.script("vacuum full t");
    let (before, fresh) = (stage.place.dump(), pages(&stage, "t"));
    let mut small = manners();
    small.batch_size = Some(700);
    for nth in 1..400 {
        // Half of the rows are written again: as much space as before is free.
        stage.place.script("update t set n = n where id % 4 < 2");
        let engine = stage.engine();
        let request = story::request("compact", json!({"tables": ["t"]}), small.clone(), false);
        let plan = story::plan(&engine, &request);
        engine.faults().arm(nth);
        let id = format!("death{nth:03}");
        let outcome = engine.run_as(&id, &plan, &Stop::default(), &mut |_| {});
        let died = matches!(outcome, Err(Failure::Fault(_)));
        drop(engine);
        // The server ends the session of the dead one in its own time; until then its rows are locked, and rows that others
        // hold stay where they are.
        wait_until_alone(&stage);
        assert_eq!(stage.place.dump(), before, "point {nth}");
        if died && let Ok(report) = story::resumed(&stage.engine(), &id) {
            assert_eq!(report.status, Status::Completed, "point {nth}: {report:#?}");
            assert!(pages(&stage, "t") <= fresh + fresh / 3, "point {nth}: {} pages", pages(&stage, "t"));
        }
        assert_eq!(stage.place.dump(), before, "point {nth}");
        if !died {
            assert!(nth > 25, "{nth}");
            return;
        }
    }
    panic!("there is no end");
}

fn wait_until_alone(stage: &Stage) {
    let others = "select count(*) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and backend_type in ('client backend', 'autovacuum worker')";
    let began = Instant::now();
    while stage.number(others) > 0 {
        assert!(began.elapsed() < Duration::from_secs(60), "somebody stays");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_run_that_is_stopped_goes_on_where_it_was() {
    let stage = stage();
    let before = stage.place.dump();
    let mut small = manners();
    small.batch_size = Some(500);
    let engine = stage.engine();
    let plan = story::plan(&engine, &story::request("compact", json!({"tables": ["t"]}), small, false));
    let stop = Stop::default();
    let mut batches = 0;
    let report = engine
        .run(&plan, &stop, &mut |event| {
            if let What::Advanced { counts, .. } = &event.what
                && counts.moved > 0
            {
                batches += 1;
                if batches == 3 {
                    stop.ask();
                }
            }
        })
        .unwrap();
    assert_eq!(report.status, Status::Cancelled, "{report:#?}");
    assert_eq!(stage.place.dump(), before);
    let report = stage.engine().resume("latest", &Stop::default(), &mut |_| {}).unwrap();
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert!(pages(&stage, "t") < 190 && stage.place.dump() == before);
}

#[test]
fn a_writer_beside_it_loses_nothing_and_hardly_waits() {
    testkit::once_in_three(|| {
        let (told, longest) = longest_waits_beside();
        // Others share this machine: what the server lets a writer wait is in the report, and the other is that and the machine.
        let hardly = told < 1.0 && longest < Duration::from_secs(5);
        if hardly { Ok(()) } else { Err(format!("somebody waited for {told} s, or {longest:?}")) }
    });
}

/// So long somebody waited who writes beside the work, as it is told and as the writer saw it.
fn longest_waits_beside() -> (f64, Duration) {
    let stage = stage();
    stage.place.script("insert into t select i, i % 10, 'text of the row ' || i from generate_series(40001, 120000) i; delete from t where id % 3 = 0");
    let rest = "select md5(string_agg(id || a, ',' order by id)) from t where id < 1000000";
    let (sum, same) = (stage.number("select sum(n) from t"), stage.list(rest));
    let over = AtomicBool::new(false);
    let (report, result, writes, longest) = std::thread::scope(|scope| {
        let ending = testkit::Over(&over);
        let writer = scope.spawn(|| {
            let mut application = stage.place.connect();
            let (mut writes, mut longest, mut at) = (0_i64, Duration::ZERO, 1_i64);
            while !over.load(Ordering::Relaxed) {
                at = at * 7_919 % 119_993;
                let began = Instant::now();
                writes +=
                    application.change(&format!("update t set n = n + 1 where id = {at}")).unwrap() as i64;
                application
                    .script(&format!(
                        "insert into t values ({}, 0, 'new')",
                        1_000_000 + writes * 1_000 + at % 1_000
                    ))
                    .ok();
                longest = longest.max(began.elapsed());
            }
            (writes, longest)
        });
        let (report, result) = run(&stage, json!({"tables": ["t"]}));
        drop(ending);
        let (writes, longest) = writer.join().unwrap();
        (report, result, writes, longest)
    });
    assert!(matches!(report.status, Status::Completed | Status::Partial), "{report:#?}");
    assert!(writes > 10, "{writes}");
    assert_eq!(stage.number("select sum(n) from t"), sum + writes, "a write was lost");
    assert_eq!(stage.list(rest), same);
    assert!(result["rows_moved"].as_u64().unwrap() > 1_000, "{result}");
    (result["others_waited_seconds"].as_f64().unwrap(), longest)
}

#[test]
fn rows_that_others_hold_stay_and_the_next_run_takes_them() {
    let stage = stage();
    let before = stage.place.dump();
    let mut other = stage.place.connect();
    other.script("begin; select from t where id = 39999 for update").unwrap();
    let (report, result) = run(&stage, json!({"tables": ["t"], "reindex": false}));
    assert!(matches!(report.status, Status::Completed | Status::Partial), "{report:#?}");
    assert!(result["rows_moved"].as_u64().unwrap() > 8_000, "{result}");
    assert!(result["tables"][0]["reason"].as_str().unwrap().contains("held"), "{result}");
    assert!(pages(&stage, "t") > 250, "its page cannot be cut off");
    other.script("commit").unwrap();
    let (report, _) = run(&stage, json!({"tables": ["t"]}));
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert!(pages(&stage, "t") < 190 && stage.place.dump() == before, "{} pages", pages(&stage, "t"));
}

#[test]
fn a_table_that_is_held_or_gone_is_passed_over_with_the_reason() {
    let stage = stage();
    stage.place.script("create table u (id int, a text) with (autovacuum_enabled = false); insert into u select i, md5(i::text) from generate_series(1, 9000) i; delete from u where id % 2 = 0");
    let both = plan(&stage, json!({"tables": ["t", "u"], "reindex": false}));
    assert_eq!(both.items[0].steps.len(), 2);
    let mut other = stage.place.connect();
    other.script("begin; lock table u in access exclusive mode").unwrap();
    stage.place.script("drop table t");
    let began = Instant::now();
    let report = story::run(&stage.engine(), &both);
    assert!(began.elapsed() < Duration::from_secs(20));
    other.script("commit").unwrap();
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    let result = report.operations[0].result.clone().unwrap();
    let of = |name: &str| {
        result["tables"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone()
    };
    assert!(of("t")["reason"].as_str().unwrap().contains("gone"), "{result}");
    assert_eq!(of("u")["status"], "skipped", "{result}");
}

#[test]
fn an_end_that_somebody_may_still_look_at_is_told() {
    let stage = stage();
    let mut other = stage.place.connect();
    other.script("begin isolation level repeatable read").unwrap();
    other.integers("select 1").unwrap();
    stage.place.wait_for_figures();
    let before = stage.place.dump();
    let (report, _) = run(&stage, json!({"tables": ["t"], "reindex": false}));
    assert_eq!(report.status, Status::Partial, "{report:#?}");
    let found = report.operations[0].findings.iter().find(|finding| finding.code == "pinned").unwrap();
    assert!(found.remedy.contains("pg_terminate_backend"), "{found:?}");
    other.script("commit").unwrap();
    let (report, _) = run(&stage, json!({"tables": ["t"]}));
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert!(pages(&stage, "t") < 190 && stage.place.dump() == before);
}

#[test]
fn a_disk_that_is_nearly_full_ends_it_before_anything_moves() {
    let stage = stage();
    let before = (stage.place.dump(), pages(&stage, "t"));
    let mut full = manners();
    full.min_free_disk_mb = 1 << 40;
    let engine = stage.workshop.also_at(stage.place.admin_database());
    let plan = story::plan(&engine, &story::request("compact", json!({"tables": ["t"]}), full, false));
    let report = story::run(&engine, &plan);
    assert!(!matches!(report.status, Status::Completed), "{report:#?}");
    assert_eq!((stage.place.dump(), pages(&stage, "t")), before);
}

proptest! {
    #![proptest_config(cases(8))]

    #[test]
    fn no_value_changes_whatever_was_deleted_and_updated(
        rows in 500_i64..6_000, fill in prop::sample::select(vec![40, 70, 100]), wide in 0_i64..300,
        changes in prop::collection::vec((2_i64..9, 0_i64..9, any::<bool>()), 0..5),
    ) {
        let stage = Stage::new(Place::postgres());
        stage.place.script(&format!(
            "create table t (id bigint primary key, n numeric, a text, b bytea, c jsonb) with (autovacuum_enabled = false, fillfactor = {fill});
             create index on t (n); create unique index on t (lower(a));
             insert into t select i, i / 7.0, 'a' || i || repeat('x', (i * 31 % ({wide} + 1))::int),
               case when i % 11 = 0 then decode(repeat('ab', 3000), 'hex') end, jsonb_build_object('i', i) from generate_series(1, {rows}) i"
        ));
        for (of, rest, delete) in changes {
            match delete {
                true => stage.place.script(&format!("delete from t where id % {of} = {}", rest % of)),
                false => stage.place.script(&format!("update t set n = n + 1 where id % {of} = {}", rest % of)),
            }
        }
        let before = stage.place.dump();
        let size = pages(&stage, "t");
        let (report, result) = run(&stage, json!({"tables": ["t"]}));
        prop_assert!(matches!(report.status, Status::Completed | Status::Skipped), "{report:#?}");
        prop_assert_eq!(stage.place.dump(), before);
        // Where a low fill factor leaves no room, the attempt may have cost a page.
        prop_assert!(pages(&stage, "t") <= size + 2, "it grew from {} to {} pages: {}", size, pages(&stage, "t"), result);
    }
}
