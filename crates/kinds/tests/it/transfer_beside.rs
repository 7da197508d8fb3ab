//! Transfers that bring a table on two sessions: each batch is two transactions, and a death may come between them.

use crate::stage::manners;
use crate::transfer_kit::Move;
use engine::{Failure, Manners, Status, Stop, What};
use serde_json::json;
use std::time::{Duration, Instant};
use testkit::{Place, Server, Workshop, story};

#[test]
fn rows_that_came_beside_a_batch_that_died_do_not_come_again() {
    // S4-016, W-096
    let script = "create table t (id integer primary key, v text);
        insert into t with recursive c(i) as (select 1 union all select i + 1 from c where i < 40) select i * i, 'v' || i from c;
        create table words (word text, n integer, primary key (word, n)) without rowid;
        insert into words select v, id from t";
    let whole = |it: &Move| {
        let outcome = it.run(json!({"action": "verify"}));
        assert_eq!(outcome.status, Status::Completed, "{outcome:#?}");
        assert_eq!(it.list("select count(*), count(distinct id) from t"), ["40|40"]);
        assert_eq!(it.list("select count(*) from words"), ["40"]);
    };
    // where the rows are on their way
    let it = Move::of(script);
    let engine = it.engine();
    let plan = it.plan_with(json!({}), |manners| manners.batch_size = Some(8));
    let mut loads = Vec::new();
    let report = engine.run(&plan, &Stop::default(), &mut |event| {
        if let What::Advanced { detail: Some(detail), .. } = &event.what
            && detail["loaded"].is_string()
        {
            loads.push((engine.faults().passed(), detail["loaded"].clone(), detail["rows"].as_u64()));
        }
    });
    assert_eq!(report.unwrap().status, Status::Completed);
    whole(&it);
    assert_eq!(loads.iter().filter_map(|(.., rows)| *rows).sum::<u64>(), 80);
    let words = loads.iter().position(|(_, table, _)| table == "words").unwrap();
    assert!(words >= 3 && loads.len() - words >= 3, "{loads:?}");
    // from the end of the first batch of each table to that of the next one
    let around = |n: usize| loads[n].0 as u32 + 1..loads[n + 1].0 as u32 + 1;
    let mut ahead = 0;
    for nth in around(0).chain(around(words)) {
        let it = Move::of(script);
        let plan = it.plan_with(json!({}), |manners| manners.batch_size = Some(8));
        let engine = it.engine();
        engine.faults().arm(nth);
        let outcome = engine.run(&plan, &Stop::default(), &mut |_| {});
        drop(engine);
        assert!(matches!(outcome, Err(Failure::Fault(_))), "point {nth}: {outcome:?}");
        if it.list("select count(*) from pg_tables where tablename = 'ahead'") == ["1"] {
            // rows that no checkpoint counts
            let there: u64 = it
                .list("select (select count(*) from t) + (select count(*) from words)")
                .concat()
                .parse()
                .unwrap();
            let kept = it.list("select progress from sexton.checkpoints").concat();
            let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
            let counts = kept["counts"].as_array().unwrap().iter();
            let counted: u64 = counts.filter_map(|counts| counts["changed"].as_u64()).sum();
            ahead += u32::from(there > counted);
        }
        let report = story::resumed(&it.engine(), "latest").unwrap();
        assert_eq!(report.status, Status::Completed, "after point {nth}: {report:#?}");
        assert_eq!(report.operations[0].rows_changed, 80, "after point {nth}");
        whole(&it);
    }
    assert!(ahead > 1, "only {ahead} died between one half of a batch and the other");
}

#[test]
fn a_server_that_crashes_and_forgets_what_it_was_not_waited_for_loses_no_row() {
    // S4-016, W-096
    let from = Place::sqlite();
    from.script(
        "create table t (id integer primary key, v text);
         insert into t with recursive c(i) as (select 1 union all select i + 1 from c where i < 4000) select i, 'v' || i from c",
    );
    let folder = tempfile::tempdir().unwrap();
    // nothing is written behind our backs: what is not waited for is gone for certain
    let server = Server::start(&folder.path().join("server"), &["wal_writer_delay=10s"]).unwrap();
    let url = server.url("postgres");
    let workshop = Workshop::over(&url, kinds::catalogue());
    let crash = || {
        let main = server.process_id();
        let children = std::fs::read_to_string(format!("/proc/{main}/task/{main}/children")).unwrap();
        let child = children.split_whitespace().next().unwrap();
        assert!(std::process::Command::new("kill").args(["-9", child]).status().unwrap().success());
    };
    let engine = workshop.engine();
    let own = Manners { batch_size: Some(100), ..manners() };
    let options = json!({"source": from.url()});
    let plan = story::plan(&engine, &story::request("transfer", options.clone(), own.clone(), false));
    let (mut loads, mut forgot) = (0, false);
    let mut watch = |event: &engine::Event| match &event.what {
        What::Advanced { detail: Some(detail), .. } if detail["loaded"] == "t" => {
            loads += 1;
            // Several times: what it was not waited for may be written just the same, when somebody else is waited for.
            if matches!(loads, 10 | 20 | 30) {
                crash();
            }
        }
        What::Retried { error, .. } => forgot |= error.contains("has forgotten the last batches"),
        _ => {}
    };
    let mut outcome = engine.run(&plan, &Stop::default(), &mut watch);
    let (began, long) = (Instant::now(), Duration::from_secs(120));
    while !outcome.as_ref().is_ok_and(|report| report.status == Status::Completed) && began.elapsed() < long {
        std::thread::sleep(Duration::from_millis(100));
        // it answers again when it has read its log
        while Place::elsewhere(&url).try_script("select 1").is_err() && began.elapsed() < long {
            std::thread::sleep(Duration::from_millis(100));
        }
        outcome = engine.resume("latest", &Stop::default(), &mut watch);
    }
    let report = outcome.unwrap();
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    let count =
        |sql: &str| testkit::database_at(&url).read().unwrap().count(&targets::db::Sql::raw(sql)).unwrap();
    assert_eq!((count("select count(*) from t"), count("select count(distinct id) from t")), (4000, 4000));
    assert_eq!(report.operations[0].rows_changed, 4000);
    let verify = json!({"source": from.url(), "action": "verify"});
    let plan = story::plan(&engine, &story::request("transfer", verify, own, false));
    assert_eq!(story::run(&engine, &plan).status, Status::Completed);
    assert!(forgot, "it was never asked what is left");
}

#[test]
fn autovacuum_stays_away_until_the_tables_are_made() {
    // S4-016: an index that waits for it waits a second
    let it = Move::of(
        "create table t (id integer primary key, name text); insert into t (name) values ('a'), ('b'), ('c')",
    );
    let options =
        || it.list("select coalesce(reloptions::text, 'none') from pg_class where relname = 't'").concat();
    let mut seen = Vec::new();
    let report = it.watch(json!({}), &mut |event| {
        if matches!(event.what, What::StepDone { .. }) {
            seen.push(options());
        }
    });
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    let away = seen.iter().take_while(|one| *one == "{autovacuum_enabled=false}").count();
    assert!(away >= 4, "made, filled, indexed, analysed: {seen:?}");
    assert!(seen.len() > away && seen[away..].iter().all(|one| one == "none"), "{seen:?}");
}
