//! Several operations of a run at a time: those that have nothing in common, and no others.

use crate::stage::{Stage, both, manners};
use engine::{Event, Manners, OperationRequest, Report, Request, Status, Stop, What};
use serde_json::json;
use std::collections::BTreeMap;
use testkit::{Place, story};

const SQLITE: &str = "create table t (id integer primary key, n integer not null);
    with recursive c(i) as (select 1 union all select i + 1 from c where i < 40) insert into t select i, i % 2 from c;";
const POSTGRES: &str = "create table t (id int primary key, n int not null);
    insert into t select i, i % 2 from generate_series(1, 40) i;";

/// A purge that takes about four seconds: one that begins beside it may do so late and still overlaps.
fn slowly(name: &str, database: &str, n: u32) -> OperationRequest {
    at(5.0, name, database, n)
}

/// The same in a quarter of a second.
fn quickly(name: &str, database: &str, n: u32) -> OperationRequest {
    at(80.0, name, database, n)
}

fn at(rate: f64, name: &str, database: &str, n: u32) -> OperationRequest {
    let slow = Manners { batch_size: Some(5), rows_per_second: Some(rate), ..manners() };
    let options = json!({"table": "t", "where": format!("n = {n}")});
    OperationRequest {
        name: name.to_owned(),
        database: database.to_owned(),
        ..story::request("purge", options, slow, false).operations.remove(0)
    }
}

/// When each began and ended, as the log has it; and the report.
fn run(
    stage: &Stage,
    operations: Vec<OperationRequest>,
    most: usize,
) -> (BTreeMap<String, (usize, usize)>, Report) {
    let engine = stage.engine();
    let request =
        Request { operations, max_parallel: most, ..story::request("purge", json!({}), manners(), false) };
    let plan = story::plan(&engine, &request);
    let mut events: Vec<Event> = Vec::new();
    let report = engine.run(&plan, &Stop::default(), &mut |event| events.push(event.clone())).unwrap();
    let written = engine.events(&report.run_id, 0).unwrap();
    assert_eq!(written, events, "the log has another order than what was told");
    let place = |n: usize, wanted: &dyn Fn(&What) -> bool| {
        events.iter().position(|event| event.item == Some(n) && wanted(&event.what)).unwrap_or(usize::MAX)
    };
    let times = plan.items.iter().enumerate().map(|(n, item)| {
        let began = place(n, &|what| matches!(what, What::Started { .. }));
        (item.operation.name.clone(), (began, place(n, &|what| matches!(what, What::Finished))))
    });
    (times.collect(), report)
}

fn overlap(a: (usize, usize), b: (usize, usize)) -> bool {
    a.0 < b.1 && b.0 < a.1
}

#[test]
fn independent_operations_overlap_in_time_and_conflicting_ones_do_not() {
    // S1-075
    both(SQLITE, POSTGRES, |stage| {
        let other = Place::postgres();
        other.script(POSTGRES);
        let elsewhere = other.url();
        let three =
            vec![slowly("even", "test", 0), quickly("odd", "test", 1), slowly("there", &elsewhere, 0)];
        let (times, report) = run(stage, three, 2);
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        assert_eq!(report.operations.iter().map(|done| done.rows_deleted).collect::<Vec<_>>(), [20, 20, 20]);
        assert!(overlap(times["even"], times["there"]), "{times:?}");
        assert!(!overlap(times["even"], times["odd"]) && times["even"].1 < times["odd"].0, "{times:?}");
        stage.undo(&report.run_id);
        other.script("truncate t; insert into t select i, i % 2 from generate_series(1, 40) i");
        // One at a time unless more is said.
        let three =
            vec![quickly("even", "test", 0), quickly("odd", "test", 1), quickly("there", &elsewhere, 0)];
        let (times, report) = run(stage, three, 1);
        assert_eq!(report.status, Status::Completed);
        assert!(
            !overlap(times["even"], times["there"]) && !overlap(times["odd"], times["there"]),
            "{times:?}"
        );
    });
}

#[test]
fn who_needs_another_waits_for_it_wherever_it_works() {
    // S1-075
    both(SQLITE, POSTGRES, |stage| {
        let other = Place::postgres();
        other.script(POSTGRES);
        let needs = OperationRequest { needs: vec!["even".to_owned()], ..quickly("there", &other.url(), 0) };
        let (times, report) = run(stage, vec![quickly("even", "test", 0), needs.clone()], 4);
        assert_eq!(report.status, Status::Completed);
        assert!(times["even"].1 < times["there"].0, "{times:?}");
        let broken = OperationRequest { database: "test".to_owned(), ..quickly("even", "test", 0) };
        stage.place.script("drop table t");
        let engine = stage.engine();
        let request = Request {
            operations: vec![broken, needs],
            max_parallel: 4,
            ..story::request("purge", json!({}), manners(), false)
        };
        let prepared = engine.prepare(&request).unwrap();
        let report = engine.run(&prepared.plan, &Stop::default(), &mut |_| {}).unwrap();
        let statuses: Vec<Status> = report.operations.iter().map(|done| done.status).collect();
        assert_eq!(statuses, [Status::Failed, Status::Skipped]);
    });
}

#[test]
fn two_names_of_one_database_are_one_database() {
    // S1-075
    let stage = Stage::new(Place::postgres());
    stage.place.script(POSTGRES);
    let (times, report) =
        run(&stage, vec![quickly("even", "test", 0), quickly("odd", &stage.place.url(), 1)], 2);
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(report.totals.rows(), 40, "{times:?}");
}

#[test]
fn a_stop_ends_all_of_them_and_each_goes_on_where_it_was() {
    // S1-075, S1-019
    both(SQLITE, POSTGRES, |stage| {
        let other = Place::postgres();
        other.script(POSTGRES);
        let engine = stage.engine();
        let request = Request {
            operations: vec![slowly("even", "test", 0), slowly("there", &other.url(), 0)],
            max_parallel: 2,
            ..story::request("purge", json!({}), manners(), false)
        };
        let plan = story::plan(&engine, &request);
        let (stop, mut seen) = (Stop::default(), std::collections::BTreeSet::new());
        let report = engine
            .run(&plan, &stop, &mut |event| {
                if let What::Advanced { .. } = event.what {
                    seen.insert(event.item);
                }
                if seen.len() == 2 {
                    stop.ask();
                }
            })
            .unwrap();
        assert!(report.operations.iter().all(|done| done.status == Status::Cancelled), "{report:#?}");
        let report = stage.engine().resume(&report.run_id, &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!((report.status, report.totals.rows()), (Status::Completed, 40));
        assert_eq!(other.rows("select id from t").len(), 20);
    });
}
