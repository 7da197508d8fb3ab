//! Stories of `views`: in order, beside readers, plainly with a reason, skipped where there are none.

use crate::stage::{Stage, codes, manners, shown};
use engine::{Plan, Report, Status};
use serde_json::{Value as Json, json};
use testkit::{Place, story};

const VIEWS: &str = "create table t (id integer primary key, n integer); insert into t values (1, 10), (2, 20);
    create materialized view a_second as select 0 as total with no data; drop materialized view a_second;
    create materialized view z_first as select id, n from t; create unique index z_first_id on z_first (id);
    create materialized view a_second as select count(*) as rows, sum(n) as total from z_first;
    create materialized view unfilled as select id from t with no data; create unique index unfilled_id on unfilled (id);";

fn stage() -> Stage {
    let stage = Stage::new(Place::postgres());
    stage.place.script(VIEWS);
    stage
}

fn plan(stage: &Stage, options: Json) -> Plan {
    story::plan(&stage.engine(), &story::request("views", options, manners(), false))
}

fn run(stage: &Stage, options: Json) -> (Report, Json) {
    let report = story::run(&stage.engine(), &plan(stage, options));
    let result = report.operations[0].result.clone().unwrap_or_default();
    (report, result)
}

fn of(result: &Json, name: &str) -> Json {
    result["views"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone()
}

#[test]
fn every_view_is_filled_after_those_that_it_reads() {
    // S1-028, W-051
    let stage = stage();
    stage.place.script("insert into t values (3, 30)");
    // Somebody who reads the view all the while keeps it from nothing.
    let mut reader = stage.place.connect();
    reader.script("begin; select count(*) from z_first").unwrap();
    let (report, result) = run(&stage, json!({"views": ["z_first"]}));
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(of(&result, "z_first")["concurrently"], true);
    reader.script("commit").unwrap();
    let (report, result) = run(&stage, Json::Null);
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(stage.number("select total from a_second"), 60);
    assert_eq!(stage.number("select count(*) from unfilled"), 3);
    let second = of(&result, "a_second");
    assert_eq!((&second["concurrently"], &second["status"]), (&json!(false), &json!("done")));
    assert!(
        second["warning"].as_str().is_some() && second["duration_seconds"].as_f64().is_some(),
        "{second}"
    );
    let found = report.operations[0].findings.iter().find(|one| one.object == "a_second").unwrap();
    assert!(found.code == "plainly" && found.remedy.contains("create unique index"), "{found:?}");
    assert!(report.operations[0].warnings.iter().any(|said| said.contains("a_second")));
    // Filled once, it can be filled beside its readers.
    assert_eq!(of(&run(&stage, json!({"views": ["unfilled"]})).1, "unfilled")["concurrently"], true);
}

#[test]
fn a_dry_run_fills_nothing() {
    // S1-083
    let stage = stage();
    stage.place.script("insert into t values (3, 30)");
    let mut request = story::request("views", Json::Null, manners(), false);
    request.dry_run = true;
    let engine = stage.engine();
    let report = story::run(&engine, &story::plan(&engine, &request));
    assert_eq!(report.status, Status::Completed);
    assert_eq!(stage.number("select count(*) from z_first"), 2);
}

#[test]
fn a_view_that_fails_is_told_and_what_reads_it_is_left_alone() {
    // S1-086
    let stage = stage();
    stage.place.script("create materialized view broken as select 100 / n as part from t; create materialized view above as select * from broken");
    stage.place.script("update t set n = 0 where id = 1");
    let (report, result) = run(&stage, Json::Null);
    assert_eq!(report.status, Status::Partial, "{report:#?}");
    assert_eq!(of(&result, "broken")["status"], "failed");
    assert!(of(&result, "broken")["reason"].as_str().unwrap().contains("division by zero"), "{result}");
    assert!(of(&result, "above")["reason"].as_str().unwrap().contains("reads `broken`"), "{result}");
    assert_eq!(of(&result, "z_first")["status"], "done");
}

#[test]
fn a_view_may_be_skipped_rather_than_kept_from_its_readers() {
    // W-051
    let stage = stage();
    let plan = plan(&stage, json!({"otherwise": "skip"}));
    let objects: Vec<&str> = plan.items[0].steps.iter().map(|step| step.object.as_str()).collect();
    assert_eq!(objects, ["unfilled", "z_first"]);
    assert!(codes(&plan).contains(&"plainly"));
    let request = story::request("views", json!({"views": ["nowhere"]}), manners(), false);
    assert!(shown(&stage.engine().plan(&request).unwrap_err()).contains("nowhere"));
}

#[test]
fn sqlite_has_none_and_says_so() {
    // S1-029, S1-071
    let stage = Stage::new(Place::sqlite());
    stage.place.script("create table t (a); create view v as select * from t");
    let (report, _) = run(&stage, Json::Null);
    assert_eq!(report.status, Status::Skipped);
    assert!(report.operations[0].reason.as_ref().unwrap().contains("no materialised views"));
}
