//! `bloat`: what wastes space is listed with method and error, what does not is not, and nothing is changed.

use crate::stage::{Stage, both, manners, shown};
use engine::{Report, Status};
use serde_json::{Value as Json, json};
use testkit::{Place, story};

fn tables(series: &str) -> String {
    format!(
        "create table fresh (id integer primary key, body text);
         create table holey (id integer primary key, body text);
         create table tiny (id integer primary key, body text);
         {series} insert into fresh select i, 'some text of the row ' || i from c;
         {series} insert into holey select i, 'some text of the row ' || i from c;
         insert into tiny values (1, 'a'), (2, 'b'); delete from tiny where id = 1;
         delete from holey where id % 2 = 0;"
    )
}

fn run(stage: &Stage, options: Json) -> (Report, Json) {
    let engine = stage.engine();
    let plan = story::plan(&engine, &story::request("bloat", options, manners(), false));
    let report = story::run(&engine, &plan);
    let result = plan.items[0].result.clone().unwrap();
    (report, result)
}

#[test]
fn a_table_over_the_limit_is_listed_and_a_fresh_or_small_one_is_not() {
    // S1-031, S1-032, X-32, W-062
    let sqlite = tables("with recursive c(i) as (select 1 union all select i + 1 from c where i < 40000)");
    let postgres = tables("with c(i) as (select generate_series(1, 40000))");
    both(&sqlite, &postgres, |stage| {
        let before = stage.place.dump();
        let (report, result) = run(stage, Json::Null);
        assert_eq!(stage.place.dump(), before, "it changed something");
        assert_eq!(stage.place.leftovers(), Vec::<String>::new());
        let listed = result["tables"].as_array().unwrap();
        assert_eq!(listed.len(), 1, "{result}");
        let one = &listed[0];
        assert_eq!((&one["name"], &result["threshold_percent"]), (&json!("holey"), &json!(10.0)));
        assert!((44.0..56.0).contains(&one["wasted_percent"].as_f64().unwrap()), "{one}");
        assert!(one["error_points"].as_f64().unwrap() < 5.0 && one["method"] != "none", "{one}");
        for field in ["wasted_bytes", "total_bytes", "dead_rows", "last_vacuum", "live_rows"] {
            assert!(one.get(field).is_some(), "R1b has {field}: {one}");
        }
        assert_eq!(report.status, Status::Partial, "what was found decides how it ends");
        // S2-084
        assert!(report.recommendations.iter().any(|one| one.contains("vacuum")), "{report:#?}");
        let (report, result) = run(stage, json!({"threshold_percent": 90}));
        assert_eq!((report.status, &result["tables"]), (Status::Completed, &json!([])));
        assert_eq!(report.recommendations, Vec::<String>::new());
        let (_, result) = run(stage, json!({"tables": ["fresh"]}));
        assert_eq!(result["tables"], json!([]));
    });
}

#[test]
fn a_dry_run_shows_the_same() {
    // S1's situation 14
    let place = Place::sqlite();
    let stage = Stage::new(place);
    let engine = stage.engine();
    let mut request = story::request("bloat", Json::Null, manners(), false);
    request.dry_run = true;
    let report = story::run(&engine, &story::plan(&engine, &request));
    assert_eq!(report.status, Status::Completed);
}

#[test]
fn options_without_sense_are_refused_with_what_is_usual() {
    both("create table t (id integer primary key)", "create table t (id integer primary key)", |stage| {
        for (options, wanted) in [
            (json!({"threshold_percent": 100}), "10 is the usual one"),
            (json!({"least_mb": -1}), "1 is the usual one"),
            (json!({"tables": ["nowhere"]}), "nowhere"),
            (json!({"tabels": []}), "sexton help bloat"),
        ] {
            let said = match stage.engine().plan(&story::request("bloat", options, manners(), false)) {
                Ok(plan) => format!("{:?}", plan.items[0].failed.as_ref().expect("it was planned")),
                Err(failure) => shown(&failure),
            };
            assert!(said.contains(wanted), "{said}");
        }
    });
}

#[test]
fn partitions_are_measured_and_what_holds_no_rows_is_not() {
    let place = Place::postgres();
    place.script(
        "create table p (id int, a text) partition by range (id);
         create table p1 partition of p for values from (0) to (100000);
         create unlogged table u (id int, a text); create temporary table lost (id int);
         insert into p select i, md5(i::text) from generate_series(1, 40000) i;
         insert into u select i, md5(i::text) from generate_series(1, 40000) i;
         create materialized view m as select * from p; create view v as select * from p;
         delete from p where id % 2 = 0",
    );
    let (_, result) = run(&Stage::new(place), Json::Null);
    let listed: Vec<&str> =
        result["tables"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(listed, ["p1"], "{result}");
    assert_eq!(result["measured"], 3, "p1, u and m: {result}");
}
