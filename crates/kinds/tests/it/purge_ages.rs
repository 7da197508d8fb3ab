//! Which rows are too old: every form of a time, on both sides of the cut-off.

use crate::stage::{Stage, both, codes};
use engine::Status;
use jiff::{Timestamp, ToSpan};
use serde_json::json;
use std::fmt::Write;
use testkit::{Place, story};

/// A moment in every form that text and numbers have.
fn forms(at: Timestamp) -> Vec<String> {
    let shifted = at.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(2)));
    vec![
        format!("'{}'", at.strftime("%Y-%m-%d %H:%M:%S")),
        format!("'{}'", at.strftime("%Y-%m-%dT%H:%M:%S")),
        format!("'{}'", at.strftime("%Y-%m-%d %H:%M:%S.%6f")),
        format!("'{}'", at.strftime("%Y-%m-%dT%H:%M:%SZ")),
        format!("'{}'", at.strftime("%Y-%m-%dT%H:%M:%S.%3f+00:00")),
        format!("'{}'", shifted.strftime("%Y-%m-%dT%H:%M:%S%:z")),
        format!("'{}'", shifted.strftime("%Y-%m-%d %H:%M:%S%z")),
        at.as_second().to_string(),
        at.as_millisecond().to_string(),
        at.as_microsecond().to_string(),
        format!("'{}'", at.as_second()),
        format!("{}.0", at.as_second()),
    ]
}

fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap()
}

fn values(table: &str, rows: &[(String, String)]) -> String {
    let mut script = format!("insert into {table} (what, at) values ");
    for (n, (what, at)) in rows.iter().enumerate() {
        let _ = write!(script, "{}('{what}', {at})", if n == 0 { "" } else { ", " });
    }
    script
}

/// Plans with this very now, runs, and gives what is left.
fn left(stage: &Stage, options: serde_json::Value, now: Timestamp) -> (engine::Report, Vec<String>) {
    let engine = stage.engine();
    let plan = engine.plan_at(&stage.request(options, |_| {}), now).unwrap();
    let matched = plan.matched();
    let report = story::run(&engine, &plan);
    assert_eq!(report.operations[0].rows_deleted, matched, "{report:#?}");
    (report, stage.list("select what from t order by what"))
}

#[test]
fn times_of_every_form_in_one_text_column_are_compared_as_moments() {
    // W-013, W-036, X-48, S1-026
    let now = now();
    let cutoff = now - (90 * 24).hours();
    let mut rows = Vec::new();
    for (n, form) in forms(cutoff - 1.second()).into_iter().enumerate() {
        rows.push((format!("older {n:02}"), form));
    }
    for (n, form) in forms(cutoff).into_iter().enumerate() {
        rows.push((format!("same {n:02}"), form));
    }
    for (n, form) in forms(cutoff + 1.second()).into_iter().enumerate() {
        rows.push((format!("younger {n:02}"), form));
    }
    let kept = forms(cutoff).len() * 2;
    let unreadable = ["'soon'", "''", "'2026-02-30'", "'24/12/2019'"];
    for (n, form) in unreadable.iter().enumerate() {
        rows.push((format!("unreadable {n}"), (*form).to_owned()));
    }
    rows.push(("nothing".to_owned(), "null".to_owned()));
    let options = json!({"table": "t", "age_column": "at", "older_than": "90 days"});

    // A SQLite column without a type keeps numbers as numbers; PostgreSQL has only text for such a mixture.
    let stage = Stage::new(Place::sqlite());
    stage.place.script(&format!("create table t (what text primary key, at); {}", values("t", &rows)));
    let (report, what) = left(&stage, options.clone(), now);
    assert_eq!(
        what.iter().filter(|what| what.starts_with("older")).collect::<Vec<_>>(),
        Vec::<&String>::new()
    );
    assert_eq!(what.len(), kept + unreadable.len() + 1, "{what:?}");
    assert_eq!(report.operations[0].rows_skipped, unreadable.len() as u64);

    let stage = Stage::new(Place::postgres());
    let as_text: Vec<(String, String)> = rows
        .iter()
        .map(|(what, at)| {
            let quoted = if at == "null" || at.starts_with('\'') { at.clone() } else { format!("'{at}'") };
            (what.clone(), quoted)
        })
        .collect();
    stage
        .place
        .script(&format!("create table t (what text primary key, at text); {}", values("t", &as_text)));
    let (report, what) = left(&stage, options, now);
    assert_eq!(
        what.iter().filter(|what| what.starts_with("older")).collect::<Vec<_>>(),
        Vec::<&String>::new()
    );
    assert_eq!(what.len(), kept + unreadable.len() + 1, "{what:?}");
    assert_eq!(report.operations[0].rows_skipped, unreadable.len() as u64);
}

#[test]
fn epoch_numbers_are_read_in_the_unit_that_is_asked_for() {
    // W-013, X-47
    let now = now();
    let cutoff = now - 48.hours();
    for (unit, at) in [
        ("seconds", cutoff.as_second()),
        ("milliseconds", cutoff.as_millisecond()),
        ("microseconds", cutoff.as_microsecond()),
        ("auto", cutoff.as_millisecond()),
    ] {
        let script = |kind: &str| {
            format!(
                "create table t (what text primary key, at {kind});
                 insert into t values ('older', {}), ('same', {at}), ('younger', {}), ('none', null);",
                at - 1,
                at + 1
            )
        };
        both(&script("integer"), &script("bigint"), |stage| {
            let options = json!({"table": "t", "age_column": "at", "older_than": "48h", "epoch_unit": unit});
            let (_, what) = left(stage, options, now);
            assert_eq!(what, ["none", "same", "younger"], "{unit}");
        });
    }
}

#[test]
fn every_postgresql_type_that_holds_a_time_is_compared_strictly() {
    // X-48, W-036
    let now = now();
    let cutoff = now - (30 * 24).hours();
    for kind in ["timestamptz", "timestamp", "timestamp(3)", "numeric", "double precision", "date", "moment"]
    {
        let stage = Stage::new(Place::postgres());
        stage.place.script("create domain moment as timestamptz");
        stage.place.script(&format!("create table t (what text primary key, at {kind})"));
        let number = matches!(kind, "numeric" | "double precision");
        let at = |at: Timestamp| match number {
            true => format!("{}", at.as_second()),
            false => format!("'{}'", at.strftime("%Y-%m-%d %H:%M:%S+00")),
        };
        let day = |days: i32| format!("date '{}' - {days}", cutoff.strftime("%Y-%m-%d"));
        let (older, same, younger) = match kind {
            "date" => (day(1), day(0), day(-1)),
            _ => (at(cutoff - 1.second()), at(cutoff), at(cutoff + 1.second())),
        };
        let endless = if number { "'NaN'" } else { "'infinity'" };
        stage.place.script(&format!(
            "insert into t values ('older', {older}), ('same', {same}), ('younger', {younger}), ('none', null),
               ('endless', {endless})"
        ));
        let options = json!({"table": "t", "age_column": "at", "older_than": "720h"});
        let (report, what) = left(&stage, options, now);
        assert_eq!(what, ["endless", "none", "same", "younger"], "{kind}");
        assert_eq!(report.operations[0].rows_skipped, u64::from(number), "NaN is no time");
    }
}

#[test]
fn the_beginning_of_time_is_older_than_any_age() {
    let stage = Stage::new(Place::postgres());
    stage.place.script(
        "create table t (what text primary key, at timestamptz);
         insert into t values ('always', '-infinity'), ('bc', '0044-03-15 12:00+00 BC'), ('new', now());",
    );
    let report = stage.run(json!({"table": "t", "age_column": "at", "older_than": "1000 years"}));
    assert_eq!(report.operations[0].rows_deleted, 2);
    assert_eq!(stage.list("select what from t"), ["new"]);
    stage.undo(&report.run_id);
    assert_eq!(stage.number("select count(*) from t where at = '-infinity'"), 1);
}

#[test]
fn times_without_a_zone_are_read_in_the_zone_of_the_configuration() {
    // W-036: Tokyo is nine hours ahead of UTC all the year
    let now = now();
    let tokyo = |at: Timestamp| {
        at.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(9)))
            .strftime("'%Y-%m-%d %H:%M:%S'")
            .to_string()
    };
    let cutoff = now - 2.hours();
    let rows = format!(
        "insert into t values ('older', {}), ('same', {}), ('younger', {})",
        tokyo(cutoff - 1.second()),
        tokyo(cutoff),
        tokyo(cutoff + 1.second())
    );
    both(
        &format!("create table t (what text primary key, at text); {rows}"),
        &format!("create table t (what text primary key, at timestamp); {rows}"),
        |stage| {
            let options =
                json!({"table": "t", "age_column": "at", "older_than": "2 hours", "zone": "Asia/Tokyo"});
            let (_, what) = left(stage, options, now);
            assert_eq!(what, ["same", "younger"]);
            let refusal = stage.refusal(
                json!({"table": "t", "age_column": "at", "older_than": "2 hours", "zone": "Mars/Olympus"}),
            );
            assert!(refusal.contains("Mars/Olympus") && refusal.contains("IANA"), "{refusal}");
        },
    );
}

#[test]
fn log_kinds_keep_their_own_ages_in_one_run_with_a_result_each() {
    // S1-021, S1-022, S1-024, S1-025, X-49, X-50
    let days = |name: &str, days: &[i32], sqlite: bool| {
        let mut script = format!("create table {name} (id integer primary key, at text not null);");
        for day in days {
            let at = if sqlite {
                format!("datetime('now', '-{day} days')")
            } else {
                format!("(now() at time zone 'utc' - interval '{day} days')::text")
            };
            let _ = write!(script, "insert into {name} values ({day}, {at});");
        }
        script
    };
    let script = |sqlite| {
        format!(
            "{}{}",
            days("audit_log", &[1, 60, 89, 91, 400], sqlite),
            days("task_log", &[1, 29, 31, 60], sqlite)
        )
    };
    both(&script(true), &script(false), |stage| {
        let report = stage.run(json!({"targets": [
            {"id": "audit", "label": "Audit Logs", "table": "audit_log", "age_column": "at", "older_than": "90 days"},
            {"id": "task", "label": "Task Logs", "table": "task_log", "age_column": "at", "older_than": "30 days"},
        ]}));
        let done = &report.operations[0];
        let results: Vec<_> =
            done.targets.iter().map(|t| (t.id.as_str(), t.label.as_str(), t.counts.deleted)).collect();
        assert_eq!(results, [("audit", "Audit Logs", 2), ("task", "Task Logs", 2)]);
        assert_eq!(done.rows_deleted, 4);
        assert_eq!(stage.list("select id from audit_log order by id"), ["1", "60", "89"]);
        assert_eq!(stage.list("select id from task_log order by id"), ["1", "29"]);
        let undone = stage.undo(&report.run_id);
        assert_eq!(undone.operations[0].rows_restored, 4);
        assert_eq!(stage.list("select id from audit_log order by id"), ["1", "60", "89", "91", "400"]);
    });
}

#[test]
fn an_age_that_cannot_be_meant_is_refused() {
    // no age, no purge
    both(
        "create table t (id integer primary key, at text)",
        "create table t (id int primary key, at timestamptz)",
        |stage| {
            for age in ["90", "soon", "-3 days", "0 days", ""] {
                let refusal = stage.refusal(json!({"table": "t", "age_column": "at", "older_than": age}));
                assert!(refusal.contains("is not an age") && refusal.contains("help:"), "{refusal}");
            }
            let refusal = stage.refusal(json!({"table": "t", "age_column": "at"}));
            assert!(refusal.contains("every row would go"), "{refusal}");
            let refusal = stage.refusal(json!({"table": "t", "older_than": "90 days"}));
            assert!(refusal.contains("age_column"), "{refusal}");
        },
    );
}

#[test]
fn a_column_that_holds_no_time_is_refused_or_left_alone() {
    let stage = Stage::new(Place::postgres());
    stage.place.script(
        "create table t (id int primary key, flag boolean, tags text[], span interval, doc jsonb, at timestamptz)",
    );
    for column in ["flag", "tags", "span", "doc"] {
        let refusal = stage.refusal(json!({"table": "t", "age_column": column, "older_than": "1 day"}));
        assert!(refusal.contains("does not say how old") && refusal.contains(column), "{refusal}");
    }
    let stage = Stage::new(Place::sqlite());
    stage.place.script(
        "create table t (id integer primary key, doc blob); insert into t values (1, x'00'), (2, 'no')",
    );
    let plan = stage.plan(json!({"table": "t", "age_column": "doc", "older_than": "1 day"}));
    assert_eq!((plan.matched(), plan.items[0].steps[0].unreadable), (0, 2));
}

#[test]
fn rules_are_joined_with_and() {
    both(
        "create table t (id integer primary key, made text, archived text, status text);
         insert into t values
           (1, datetime('now', '-800 days'), datetime('now', '-2 days'), 'archived'),
           (2, datetime('now', '-800 days'), datetime('now', '-1 hour'), 'archived'),
           (3, datetime('now', '-800 days'), null, 'failed'),
           (4, datetime('now', '-10 days'), datetime('now', '-2 days'), 'archived');",
        "create table t (id int primary key, made timestamptz, archived timestamptz, status text);
         insert into t values
           (1, now() - interval '800 days', now() - interval '2 days', 'archived'),
           (2, now() - interval '800 days', now() - interval '1 hour', 'archived'),
           (3, now() - interval '800 days', null, 'failed'),
           (4, now() - interval '10 days', now() - interval '2 days', 'archived');",
        |stage| {
            // W-113
            let plan = stage.plan(json!({
                "table": "t", "age_column": "made", "older_than": "730 days", "where": "status = 'archived' -- only those",
                "and_older": [{"column": "archived", "than": "1 day"}],
            }));
            assert_eq!(plan.matched(), 1);
            let facts = &plan.items[0].steps[0].facts;
            assert!(
                facts.iter().any(|(name, fact)| name == "cut-off" && fact.starts_with("made before")),
                "{facts:?}"
            );
            let report = story::run(&stage.engine(), &plan);
            assert_eq!(report.operations[0].rows_deleted, 1);
            assert_eq!(stage.list("select id from t order by id"), ["2", "3", "4"]);
        },
    );
}

#[test]
fn a_row_is_archived_in_one_run_and_deleted_in_a_later_one() {
    // S1-017, S1-018, S1-020, X-33, W-113, X-49
    let failures = |at: &dyn Fn(i32) -> String| {
        let mut script = String::new();
        for day in [1, 364, 366, 729, 731, 800] {
            let _ = write!(script, "insert into tasks values ({day}, 'FAILED', {}, null);", at(day));
        }
        script
    };
    both(
        &format!(
            "create table tasks (id integer primary key, status text not null, failed_at text, archived_at text); {}",
            failures(&|day| format!("datetime('now', '-{day} days')"))
        ),
        &format!(
            "create table tasks (id int primary key, status varchar(20) not null, failed_at timestamptz, archived_at timestamptz); {}",
            failures(&|day| format!("now() - interval '{day} days'"))
        ),
        |stage| {
            let cleanup = json!({"targets": [
                {"id": "archive", "table": "tasks", "age_column": "failed_at", "older_than": "365 days", "where": "status = 'FAILED'",
                 "action": "mark", "mark": {"status": "ARCHIVED", "archived_at": "now"}},
                {"id": "purge", "table": "tasks", "age_column": "failed_at", "older_than": "730 days", "where": "status = 'ARCHIVED'",
                 "and_older": [{"column": "archived_at", "than": "1 day"}]},
            ]});
            let before = stage.place.dump();
            let planned = stage.plan(cleanup.clone());
            assert_eq!(planned.items[0].steps.iter().map(|step| step.matched).collect::<Vec<_>>(), [4, 0]);
            let first = stage.run(cleanup.clone());
            let done = &first.operations[0];
            assert_eq!((done.rows_archived, done.rows_changed, done.rows_deleted), (4, 4, 0), "{first:#?}");
            assert_eq!(
                stage.number(
                    "select count(*) from tasks where status = 'ARCHIVED' and archived_at is not null"
                ),
                4
            );
            stage.undo(&first.run_id);
            assert_eq!(stage.place.dump(), before);

            let first = stage.run(cleanup.clone());
            assert_eq!(first.operations[0].rows_archived, 4);
            assert_eq!(stage.plan(cleanup.clone()).matched(), 0, "it is in the archive for less than a day");
            stage.place.script2(
                "update tasks set archived_at = datetime(archived_at, '-2 days')",
                "update tasks set archived_at = archived_at - interval '2 days'",
            );
            let second = stage.run(cleanup);
            assert_eq!(second.operations[0].rows_deleted, 2);
            assert_eq!(stage.list("select id from tasks order by id"), ["1", "364", "366", "729"]);
        },
    );
}

#[test]
fn a_mark_of_now_fits_the_column_it_is_written_to() {
    both(
        "create table t (id integer primary key, seconds integer, at text);
         insert into t values (1, 5, 'then')",
        "create table t (id int primary key, seconds bigint, at timestamp); insert into t values (1, 5, '2020-01-01')",
        |stage| {
            let report = stage.run(json!({"table": "t", "where": "id = 1", "action": "mark", "mark": {"seconds": "now", "at": "now"}}));
            assert_eq!(report.operations[0].rows_changed, 1, "{report:#?}");
            let seconds = stage.number("select seconds from t");
            assert!((Timestamp::now().as_second() - seconds).abs() < 600, "{seconds}");
            stage.undo(&report.run_id);
            assert_eq!(stage.number("select seconds from t"), 5);
        },
    );
}

#[test]
fn unreadable_times_are_counted_in_the_plan_and_told_in_the_report() {
    // W-013
    both(
        "create table t (id integer primary key, at text); create index t_at on t (at);
         insert into t values (1, '2001-01-01'), (2, 'soon'), (3, '31.12.2001'), (4, null), (5, datetime('now'));",
        "create table t (id int primary key, at text); create index t_at on t (at);
         insert into t values (1, '2001-01-01'), (2, 'soon'), (3, '31.12.2001'), (4, null), (5, now()::text);",
        |stage| {
            let plan = stage.plan(json!({"table": "t", "age_column": "at", "older_than": "1 year"}));
            let step = &plan.items[0].steps[0];
            assert_eq!((step.matched, step.unreadable, step.total), (1, 2, Some(5)));
            assert!(codes(&plan).is_empty(), "{:?}", codes(&plan));
            let report = story::run(&stage.engine(), &plan);
            assert_eq!((report.operations[0].rows_deleted, report.operations[0].rows_skipped), (1, 2));
            assert_eq!(stage.list("select id from t order by id"), ["2", "3", "4", "5"]);
        },
    );
}

#[test]
fn a_condition_stays_inside_its_brackets() {
    // W-042: `a) or (b` would step past the age, and past the rows that an undo has exempted
    both(LOGS_OF_TWO_AGES, LOGS_OF_TWO_AGES, |stage| {
        for condition in ["1 = 1) or (1 = 1", "1 = 1; delete from t", "1 = 1 union select 1", "1 = 1)", ""] {
            let refusal = stage.refusal(
                json!({"table": "t", "age_column": "at", "older_than": "1 day", "where": condition}),
            );
            assert!(refusal.contains("condition"), "{condition}: {refusal}");
            assert!(refusal.contains("help: "), "{condition}: {refusal}");
        }
        assert_eq!(stage.number("select count(*) from t"), 2);
        // brackets in texts and comments are no brackets
        let report = stage.run(json!({"table": "t", "where": "note = ') or (' -- )"}));
        assert_eq!(report.operations[0].rows_deleted, 1);
    });
}

const LOGS_OF_TWO_AGES: &str = "create table t (id integer primary key, at varchar(40), note varchar(40));
    insert into t values (1, '2001-01-01 00:00:00', ') or ('), (2, '2999-01-01 00:00:00', 'young');";

#[test]
fn a_column_without_times_is_told_of() {
    // W-013: the rows stay, and the plan says why nothing goes
    both(LOGS_OF_TWO_AGES, LOGS_OF_TWO_AGES, |stage| {
        let plan = stage.plan(json!({"table": "t", "age_column": "note", "older_than": "1 day"}));
        assert_eq!(codes(&plan), ["unreadable_ages"]);
        assert_eq!((plan.items[0].steps[0].matched, plan.items[0].steps[0].unreadable), (0, 2));
        let plan = stage.plan(json!({"table": "t", "age_column": "at", "older_than": "1 day"}));
        assert_eq!(codes(&plan), Vec::<&str>::new());
    });
}

#[test]
fn what_is_marked_in_a_run_is_not_deleted_in_the_same_run() {
    // W-112, W-113: the plan could not have counted it
    both(
        "create table t (id integer primary key, status text, at text); insert into t values (1, 'failed', null), (2, 'archived', '2001-01-01')",
        "create table t (id int primary key, status text, at timestamptz); insert into t values (1, 'failed', null), (2, 'archived', '2001-01-01')",
        |stage| {
            let targets = |mark: serde_json::Value| {
                json!({"targets": [
                {"id": "mark", "table": "t", "where": "status = 'failed'", "action": "mark", "mark": mark},
                {"id": "delete", "table": "t", "where": "status = 'archived'"}]})
            };
            let options = targets(json!({"status": "archived", "at": "now"}));
            let plan = stage.plan(options.clone());
            assert_eq!(plan.items[0].steps.iter().map(|step| step.matched).collect::<Vec<_>>(), [1, 1]);
            let report = stage.run(options.clone());
            assert_eq!(
                (report.operations[0].rows_archived, report.operations[0].rows_deleted),
                (1, 1),
                "{report:#?}"
            );
            assert_eq!(stage.list("select id from t"), ["1"]);
            assert_eq!(stage.run(options.clone()).operations[0].rows_deleted, 1, "the next run takes it");
            let mut by_itself = options.clone();
            by_itself["targets"][1] = json!({"id": "delete", "table": "t", "where": "id > 0"});
            stage.place.script("insert into t values (3, 'failed', null), (4, 'done', null)");
            let report = stage.run(by_itself);
            assert_eq!(
                (
                    report.operations[0].rows_archived,
                    report.operations[0].rows_deleted,
                    report.operations[0].rows_matched
                ),
                (1, 2, 3),
                "this rule does not look at the mark: {report:#?}"
            );
            let plan = stage.plan(targets(json!({"status": "archived"})));
            assert!(codes(&plan).contains(&"marked_in_this_run"), "{:?}", codes(&plan));
        },
    );
}

#[test]
fn a_year_goes_by_the_calendar() {
    // S2-007, X-47
    let leap: Timestamp = "2024-02-29T12:00:00Z".parse().unwrap();
    let rows = "insert into t values ('older', '2023-02-28 11:59:59+00'), ('same', '2023-02-28 12:00:00+00'), ('younger', '2023-03-01 00:00:00+00')";
    both(
        &format!("create table t (what text primary key, at text); {rows}"),
        &format!("create table t (what text primary key, at timestamptz); {rows}"),
        |stage| {
            let engine = stage.engine();
            let mut request =
                stage.request(json!({"table": "t", "age_column": "at", "older_than": "1 year"}), |_| {});
            request.force = true;
            let plan = engine.plan_at(&request, leap).unwrap();
            assert!(plan.items[0].steps[0].facts.iter().any(|(_, fact)| fact.contains("2023-02-28")));
            story::run(&engine, &plan);
            assert_eq!(stage.list("select what from t order by what"), ["same", "younger"]);
        },
    );
}

#[test]
fn what_has_expired_or_is_flagged_goes_without_being_remembered() {
    // S2-006, S2-008, X-40: secrets are not copied
    let rows = |soon: &str, past: &str| {
        let row =
            |table: &str, n: u32, at: &str| format!("insert into {table} values ({n}, {at}, {});", n == 3);
        ["tokens", "sessions", "cache"]
            .map(|table| {
                let made = format!(
                    "create table {table} (id integer primary key, expires_at {}, invalid boolean);",
                    if soon.contains("now()") { "timestamptz" } else { "text" }
                );
                format!(
                    "{made}{}{}{}{}",
                    row(table, 1, past),
                    row(table, 2, soon),
                    row(table, 3, soon),
                    row(table, 4, "null")
                )
            })
            .join("")
    };
    both(
        &rows("datetime('now', '+1 hour')", "datetime('now', '-1 second')"),
        &rows("now() + interval '1 hour'", "now() - interval '1 second'"),
        |stage| {
            let tokens = json!({"undo": "none", "targets": [
                {"table": "tokens", "expires": "expires_at"}, {"table": "sessions", "expires": "expires_at"}]});
            let report = stage.run(tokens);
            assert_eq!((report.totals.deleted, report.operations[0].undo_id.clone()), (2, None));
            let cache = json!({"undo": "none", "targets": [
                {"id": "expired", "table": "cache", "expires": "expires_at"}, {"id": "flagged", "table": "cache", "where": "invalid"}]});
            let report = stage.run(cache);
            assert_eq!(
                report.operations[0].targets.iter().map(|t| t.counts.deleted).collect::<Vec<_>>(),
                [1, 1]
            );
            assert_eq!(
                stage.list("select id from cache order by id"),
                ["2", "4"],
                "what never expires stays"
            );
            assert!(stage.engine().undo_points("test").unwrap().is_empty());
        },
    );
}

const NUMBERED: &str = "create table t (id integer primary key, note text);
    insert into t with recursive c(i) as (select 1 union all select i + 1 from c where i < 150) select i, 'x' || i from c";

#[test]
fn numbers_that_would_be_times_of_long_ago_are_taken_for_none() {
    // W-124: the key is no age
    both(NUMBERED, NUMBERED, |stage| {
        let options = json!({"table": "t", "age_column": "id", "older_than": "1 day"});
        assert_eq!(codes(&stage.plan(options.clone())), ["doubtful_ages"]);
        assert_eq!(stage.run(options).status, Status::Refused);
        assert_eq!(stage.number("select count(*) from t"), 150);
        let said = json!({"table": "t", "age_column": "id", "older_than": "1 day", "epoch_unit": "seconds"});
        assert_eq!(codes(&stage.plan(said)), Vec::<&str>::new());
        stage.place.script("update t set id = id + 1000000000");
        let times = json!({"table": "t", "age_column": "id", "older_than": "1 day"});
        assert_eq!(codes(&stage.plan(times)), Vec::<&str>::new());
    });
}

#[test]
fn a_column_of_many_rows_without_one_time_is_a_mistake() {
    // W-013
    both(NUMBERED, NUMBERED, |stage| {
        let refusal = stage.refusal(json!({"table": "t", "age_column": "note", "older_than": "1 day"}));
        assert!(refusal.contains("`note` of `t` holds no time") && refusal.contains("help:"), "{refusal}");
        stage.place.script("update t set note = '2001-01-01' where id = 1");
        let plan = stage.plan(json!({"table": "t", "age_column": "note", "older_than": "1 day"}));
        assert_eq!((codes(&plan), plan.matched()), (vec!["unreadable_ages"], 1));
    });
}
