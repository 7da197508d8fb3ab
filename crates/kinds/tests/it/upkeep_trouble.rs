//! Upkeep that meets bad luck: a statement that takes too long, an object that is gone between look and act, one that belongs
//! to somebody else. Each is told with its reason, and what comes after it is done all the same.

use crate::stage::{Stage, manners};
use engine::{Plan, Report, Status, Stop};
use serde_json::{Value as Json, json};
use testkit::{Place, story};

/// An index and a view that take half a second, and others that take none.
const SLOW: &str = "
    create function slowly(integer) returns integer language plpgsql immutable as 'begin perform pg_sleep(0.01); return $1; end';
    create table t (id integer primary key, a integer); create table u (id integer primary key, a integer);
    create index t_slow on t (slowly(a)); create index u_a on u (a);
    create materialized view v_slow as select id from t; create materialized view w_quick as select id from u;
    insert into t select i, i from generate_series(1, 60) i; insert into u select i, i from generate_series(1, 60) i;
    create or replace view lazy as select slowly(id) as id from t;
    drop materialized view v_slow; create materialized view v_slow as select id from lazy with no data";
const INVALID: &str = "select indexrelid::regclass::text from pg_index where not indisvalid";

fn run_within(stage: &Stage, kind: &str, options: Json, seconds: f64) -> Report {
    let mut hurried = manners();
    hurried.statement_timeout = seconds;
    let patient = stage.patient();
    let engine = patient.engine();
    let plan = story::plan(&engine, &story::request(kind, options, hurried, false));
    engine.run(&plan, &Stop::default(), &mut |_| {}).unwrap()
}

/// Status and reason of one object in the list of a result.
fn told(report: &Report, list: &str, name: &str) -> (String, String) {
    let result = report.operations[0].result.clone().unwrap_or_default();
    let all = result[list].as_array().unwrap_or_else(|| panic!("no `{list}` in {result:#}"));
    let one =
        all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no `{name}` in {result:#}"));
    let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"))
}

#[test]
fn a_chore_that_takes_longer_than_it_may_is_passed_over_and_leaves_nothing() {
    let stage = Stage::new(Place::postgres());
    stage.place.script(SLOW);
    // Twice as long as they may take, where the others have time enough on a busy machine too.
    stage.place.script(
        "create or replace function slowly(integer) returns integer language plpgsql immutable as
         'begin perform pg_sleep(0.05); return $1; end'",
    );
    for (kind, list, options, slow, quick) in [
        ("reindex", "indexes", json!({"indexes": ["t_slow", "u_a"]}), "t_slow", "u_a"),
        ("views", "views", Json::Null, "v_slow", "w_quick"),
        ("analyze", "tables", json!({"all": true}), "t", "u"),
    ] {
        let report = run_within(&stage, kind, options, 1.5);
        assert_eq!(report.status, Status::Partial, "{kind}: {report:#?}");
        let (status, reason) = told(&report, list, slow);
        assert_eq!(status, "failed", "{kind}: {report:#?}");
        assert!(reason.contains("statement timeout") || reason.contains("too long"), "{kind}: {reason}");
        assert_eq!(told(&report, list, quick).0, "done", "{kind}: {report:#?}");
        assert_eq!(stage.list(INVALID), Vec::<String>::new(), "{kind}");
        let finding = report.operations[0].findings.iter().find(|finding| finding.code == "failed").unwrap();
        assert!(!finding.remedy.is_empty(), "{finding:?}");
    }
}

#[test]
fn what_is_gone_between_look_and_act_is_passed_over() {
    let stage = Stage::new(Place::postgres());
    stage.place.script(SLOW);
    let plan = |kind: &str, options: Json| -> Plan {
        story::plan(&stage.engine(), &story::request(kind, options, manners(), false))
    };
    let plans = [
        (plan("views", Json::Null), "views", "w_quick"),
        (plan("analyze", json!({"all": true})), "tables", "u"),
        (plan("vacuum", json!({"all": true})), "tables", "u"),
    ];
    stage.place.script("drop table u cascade");
    for (plan, list, name) in plans {
        let report = story::run(&stage.engine(), &plan);
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        let (status, reason) = told(&report, list, name);
        assert_eq!(status, "skipped", "{report:#?}");
        assert!(reason.contains("gone"), "{reason}");
    }
}

#[test]
fn what_belongs_to_somebody_else_is_left_out_with_what_would_help() {
    let stage = Stage::new(Place::postgres());
    stage.place.script(SLOW);
    stage.place.admin_script(
        "create materialized view theirs as select 1 as one; create table other (id int primary key)",
    );
    for (kind, options, name) in
        [("views", Json::Null, "theirs"), ("reindex", json!({"all": true}), "other_pkey")]
    {
        let request = story::request(kind, options, manners(), false);
        let plan = story::plan(&stage.engine(), &request);
        assert!(plan.items[0].steps.iter().all(|step| step.object != name), "{kind}");
        let finding = plan.items[0]
            .findings
            .iter()
            .find(|finding| finding.code == "permission")
            .unwrap_or_else(|| panic!("{kind}: {:?}", plan.items[0].findings));
        assert!(!finding.remedy.is_empty(), "{finding:?}");
        let report = story::run(&stage.engine(), &plan);
        assert!(report.errors.is_empty(), "{kind}: {report:#?}");
    }
}
