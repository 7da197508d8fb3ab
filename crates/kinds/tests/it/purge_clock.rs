//! A clock that is wrong on the machine and in the database alike. Instead of moving both ahead, the traces of earlier runs are moved
//! back: that is the same, and works with any server.

use crate::stage::{Stage, both, codes};
use engine::{Engine, Plan, Report, Status};
use jiff::{Timestamp, ToSpan};
use serde_json::{Value as Json, json};
use testkit::{Place, story};

const OLD: (&str, &str) = (
    "create table t (id integer primary key, at text);
     with recursive c(i) as (select 1 union all select i + 1 from c where i < 9)
     insert into t select i, datetime('now', '-' || (110 + i) || ' days') from c;",
    "create table t (id int primary key, at timestamptz);
     insert into t select i, now() - make_interval(days => 110 + i) from generate_series(1, 9) i;",
);

fn rule() -> Json {
    json!({"table": "t", "age_column": "at", "older_than": "90 days"})
}

/// The clock was believed so many days ago.
fn believed(stage: &Stage, days: i64) {
    let at = (Timestamp::now() - (24 * days).hours()).strftime("%Y-%m-%dT%H:%M:%S.%6fZ");
    let state = stage.workshop.folder().join("state.db");
    Place::elsewhere(&state.display().to_string())
        .script(&format!("update sexton_clock set believed_at = '{at}'"));
}

/// An engine that knows the log, with the plan of the rule.
fn planned(stage: &Stage, force: bool) -> (Engine, Plan) {
    let engine = stage.engine();
    engine.reports(1, None, None).unwrap();
    let mut request = stage.request(rule(), |_| {});
    request.force = force;
    let plan = story::plan(&engine, &request);
    (engine, plan)
}

fn run(stage: &Stage, force: bool) -> Report {
    let (engine, plan) = planned(stage, force);
    story::run(&engine, &plan)
}

#[test]
fn a_long_pause_in_which_no_row_came_either_is_a_doubt_about_the_clock() {
    // W-124
    both(OLD.0, OLD.1, |stage| {
        // an undo point of now would be a trace of now
        stage.run(json!({"table": "t", "where": "id = 1", "undo": "none"}));
        believed(stage, 50);
        assert_eq!(codes(&planned(stage, false).1), Vec::<&str>::new(), "a monthly schedule explains it");
        believed(stage, 100);
        let (engine, plan) = planned(stage, false);
        assert_eq!(codes(&plan), ["clock"]);
        assert_eq!(story::run(&engine, &plan).status, Status::Refused);
        assert_eq!(stage.number("select count(*) from t"), 8);
        // rows that came since then tell that time has passed
        stage.place.script2(
            "insert into t values (99, datetime('now', '-1 day'))",
            "insert into t values (99, now() - interval '1 day')",
        );
        assert_eq!(codes(&planned(stage, false).1), Vec::<&str>::new());
        assert_eq!(run(stage, false).totals.deleted, 8);
    });
}

#[test]
fn a_jump_of_more_than_a_year_is_refused_whatever_rows_say_and_allowed_once() {
    // W-124, X-40
    both(OLD.0, OLD.1, |stage| {
        stage.run(json!({"table": "t", "where": "id = 1"}));
        stage.place.script(
            "update sexton_undo_points set expires_at = '2001-01-01T00:00:00Z'"
                .replace(
                    "sexton_undo_points",
                    if stage.place.is_sqlite() { "sexton_undo_points" } else { "sexton.undo_points" },
                )
                .as_str(),
        );
        stage.place.script2(
            "insert into t values (99, datetime('now', '-1 day'))",
            "insert into t values (99, now() - interval '1 day')",
        );
        believed(stage, 3_650);
        for _ in 0..2 {
            let report = run(stage, false);
            assert_eq!(report.status, Status::Refused, "{report:#?}");
            assert!(report.operations[0].errors[0].contains("3 650 days old"), "{report:#?}");
        }
        assert!(stage.engine().drop_expired_undo("test", "tester").is_err());
        let forced = run(stage, true);
        assert_eq!((forced.status, forced.totals.deleted), (Status::Completed, 8), "{forced:#?}");
        assert_eq!(stage.engine().undo_points("test").unwrap().len(), 2, "what has expired is still there");
        // from now on the clock is believed
        assert_eq!(stage.engine().drop_expired_undo("test", "tester").unwrap(), 1);
    });
}
