//! Two operations of one run on the same tables: what the second one finds is not what the plan could count.

use crate::stage::{both, manners, rows};
use engine::{Request, Status};
use serde_json::json;
use testkit::story;

/// Both rules as operations `a` and `b` of one request.
fn two(first: serde_json::Value, second: serde_json::Value) -> Request {
    let small = || engine::Manners { batch_size: Some(50), ..manners() };
    let mut request = story::request("purge", first, small(), false);
    let mut other = story::request("purge", second, small(), false).operations.remove(0);
    request.operations[0].name = "a".to_owned();
    other.name = "b".to_owned();
    request.operations.push(other);
    request
}

#[test]
fn the_figures_of_a_later_operation_on_the_same_table_are_estimates() {
    // W-112
    let (sqlite, postgres) = rows(1000);
    both(&sqlite, &postgres, |stage| {
        let engine = stage.engine();
        let request =
            two(json!({"table": "t", "where": "id > 890"}), json!({"table": "t", "where": "id > 950"}));
        let plan = story::plan(&engine, &request);
        let exact: Vec<_> = plan.items.iter().map(|item| (item.matched(), item.steps[0].exact)).collect();
        assert_eq!(exact, [(110, true), (50, false)]);
        let found = |item: usize| plan.items[item].findings.iter().find(|found| found.code == "estimate");
        assert!(found(0).is_none() && found(1).unwrap().what.contains("`a`"), "{:?}", found(1));
        let dry = Request { dry_run: true, ..request };
        let dry = story::run(&engine, &story::plan(&engine, &dry));
        assert_eq!(dry.status, Status::Completed);
        assert!(dry.operations[1].findings.iter().any(|finding| finding.code == "estimate"), "{dry:#?}");
        let report = story::run(&engine, &plan);
        let deleted: Vec<u64> = report.operations.iter().map(|done| done.rows_deleted).collect();
        assert_eq!((report.status, deleted), (Status::Completed, vec![110, 0]), "{report:#?}");
    });
}

#[test]
fn an_estimate_is_still_the_limit_of_what_goes() {
    // W-112, W-123
    let (sqlite, postgres) = rows(1000);
    both(&sqlite, &postgres, |stage| {
        let engine = stage.engine();
        let marks = json!({"table": "t", "where": "n = 1 and id > 10", "action": "mark", "mark": {"n": 2}});
        stage.place.script("update t set n = 2 where id <= 10");
        let request = two(marks, json!({"table": "t", "where": "n = 2"}));
        let plan = story::plan(&engine, &request);
        assert_eq!((plan.items[1].matched(), plan.items[1].steps[0].exact), (10, false));
        let report = story::run(&engine, &plan);
        assert_eq!(report.operations[1].status, Status::TimedOut, "{report:#?}");
        assert!(report.operations[1].rows_deleted < 1000, "{report:#?}");
    });
}

#[test]
fn what_runs_on_other_tables_or_changes_no_row_leaves_figures_exact() {
    // W-112
    let (sqlite, postgres) = rows(100);
    let other = "create table u (id integer primary key, n integer); insert into u values (1, 1), (2, 1);";
    both(&format!("{sqlite} {other}"), &format!("{postgres} {other}"), |stage| {
        let engine = stage.engine();
        let request = two(json!({"table": "t", "where": "id > 90"}), json!({"table": "u", "where": "n = 1"}));
        let plan = story::plan(&engine, &request);
        assert!(plan.items.iter().all(|item| item.steps[0].exact));
        let request =
            two(json!({"table": "t", "where": "id > 900"}), json!({"table": "t", "where": "n = 1"}));
        assert!(story::plan(&engine, &request).items[1].steps[0].exact, "the first one finds nothing");
    });
}

#[test]
fn a_count_that_depends_on_an_earlier_target_is_called_an_estimate() {
    // W-112
    let script = "create table p (id integer primary key); create table c (id integer primary key, p integer references p (id));
        create index c_p on c (p); insert into p values (1), (2); insert into c values (1, 1), (2, 2), (3, 2);";
    both(script, script, |stage| {
        let plan = stage.plan(json!({"targets": [
            {"table": "p", "where": "id = 1", "dependants": "cascade"}, {"table": "c", "where": "id < 3"}]}));
        assert_eq!(plan.items[0].steps.iter().map(|step| step.exact).collect::<Vec<_>>(), [true, false]);
        let report = story::run(&stage.engine(), &plan);
        assert_eq!(
            (report.status, report.totals.deleted, report.totals.dependants),
            (Status::Completed, 2, 1),
            "{report:#?}"
        );
    });
}
