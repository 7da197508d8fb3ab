//! Stories of `queue`: stale tasks go back, failed ones are tried again, old ones go.

use crate::queue_kit::{options, plan, queue, refusal, request, run, stats, task, tasks, with};
use crate::stage::both;
use engine::{Status, What};
use serde_json::json;
use testkit::story;

#[test]
fn a_task_stale_for_longer_than_the_threshold_goes_back_and_undo_brings_the_old_state() {
    // S0-071, S0-072, S0-073, W-029
    queue("recover", json!({}))
        .given(|place| {
            tasks(place, &[("old", "IN_PROGRESS", 31, 2), ("young", "IN_PROGRESS", 29, 0), ("done", "COMPLETED", 90, 0)]);
            place.script("update task_queue set error_message = 'earlier' where task_id = 'old'");
        })
        .after(|place, report| {
            assert_eq!(report.operations[0].rows_changed, 1);
            let now = if place.is_sqlite() { "julianday(updated_at) > julianday('now') - 0.01" } else { "updated_at > now() at time zone 'utc' - interval '10 minutes'" };
            let row = place.rows(&format!(
                "select status || '|' || retry_count || '|' || error_message from task_queue where task_id = 'old' and {now}"
            ));
            assert_eq!(
                row[0][0].as_text().unwrap(),
                "PENDING|2|Task timed out after 30 minutes and was reset to PENDING"
            );
            assert_eq!(place.rows("select 1 from task_queue where status = 'IN_PROGRESS'").len(), 1);
        })
        .tell();
}

#[test]
fn a_message_can_be_added_to_an_earlier_error() {
    // W-029
    with(&[("a", "IN_PROGRESS", 31, 0), ("b", "IN_PROGRESS", 31, 0)], |stage| {
        stage.place.script("update task_queue set error_message = 'earlier' where task_id = 'a'");
        run(stage, &options("recover", json!({"append_error": true, "threshold_minutes": 30})));
        let message = "Task timed out after 30 minutes and was reset to PENDING";
        assert_eq!(
            stage.list("select error_message from task_queue order by task_id"),
            [format!("earlier; {message}"), message.to_owned()]
        );
    });
}

#[test]
fn nothing_is_written_when_no_task_is_stale() {
    // S0-074
    with(&[("young", "IN_PROGRESS", 29, 0)], |stage| {
        let before = stage.place.dump();
        let report = run(stage, &options("recover", json!({})));
        assert_eq!((report.status, report.operations[0].rows_changed), (Status::Completed, 0));
        assert_eq!(stage.place.dump(), before);
        assert!(stage.engine().undo_points("test").unwrap().is_empty());
    });
}

#[test]
fn the_threshold_is_settable_and_each_function_may_have_its_own() {
    // S0-071, S0-099, W-030
    with(
        &[("a", "IN_PROGRESS", 45, 0), ("b", "IN_PROGRESS", 45, 0), ("c", "IN_PROGRESS", 150, 0)],
        |stage| {
            stage.place.script("update task_queue set function_name = 'embed' where task_id in ('b', 'c')");
            assert_eq!(plan(stage, &options("recover", json!({"threshold_minutes": 60}))).matched(), 1);
            let both = options("recover", json!({"thresholds": {"embed": "2 hours"}}));
            assert_eq!(plan(stage, &both).matched(), 2);
            run(stage, &both);
            assert_eq!(
                stage.list(
                    "select task_id || ' ' || coalesce(error_message, '') from task_queue order by task_id"
                ),
                [
                    "a Task timed out after 30 minutes and was reset to PENDING",
                    "b ",
                    "c Task timed out after 120 minutes and was reset to PENDING",
                ]
            );
            let short = options("recover", json!({"thresholds": {"embed": "10 minutes"}}));
            assert_eq!(plan(stage, &short).matched(), 1);
        },
    );
}

#[test]
fn a_heartbeat_keeps_a_long_task_and_a_lease_that_is_over_does_not() {
    // W-030
    with(&[("a", "IN_PROGRESS", 90, 0), ("b", "IN_PROGRESS", 90, 0)], |stage| {
        stage.place.script2(
            "alter table task_queue add column beat text; alter table task_queue add column until text;
             update task_queue set beat = datetime('now', '-1 minutes'), until = datetime('now', '+5 minutes') where task_id = 'a';
             update task_queue set beat = datetime('now', '-50 minutes'), until = datetime('now', '-1 minutes') where task_id = 'b';",
            "alter table task_queue add column beat timestamptz; alter table task_queue add column until timestamptz;
             update task_queue set beat = now() - interval '1 minute', until = now() + interval '5 minutes' where task_id = 'a';
             update task_queue set beat = now() - interval '50 minutes', until = now() - interval '1 minute' where task_id = 'b';",
        );
        assert_eq!(plan(stage, &options("recover", json!({"columns": {"heartbeat": "beat"}}))).matched(), 1);
        let leased = options("recover", json!({"columns": {"lease": "until"}}));
        assert_eq!(run(stage, &leased).operations[0].rows_changed, 1);
        assert_eq!(
            stage.list("select error_message from task_queue where status = 'PENDING'"),
            ["Task outlived its lease and was reset to PENDING"]
        );
    });
}

#[test]
fn a_task_without_heartbeat_or_lease_is_judged_by_what_it_has_and_told_where_it_has_nothing() {
    // W-030
    let tasks = [("a", "IN_PROGRESS", 90, 0), ("b", "IN_PROGRESS", 90, 0), ("c", "IN_PROGRESS", 1, 0)];
    with(&tasks, |stage| {
        stage.place.script2(
            "alter table task_queue add column beat text; alter table task_queue add column until text; alter table task_queue add column begun text;
             update task_queue set beat = datetime('now', '-1 minutes'), until = datetime('now', '+5 minutes'), begun = datetime('now', '-3 hours') where task_id = 'a';",
            "alter table task_queue add column beat timestamptz; alter table task_queue add column until timestamptz; alter table task_queue add column begun timestamptz;
             update task_queue set beat = now() - interval '1 minute', until = now() + interval '5 minutes', begun = now() - interval '3 hours' where task_id = 'a';",
        );
        let by = |columns: serde_json::Value| options("recover", json!({"columns": columns}));
        // b is judged by the time of its last touch, and c by that too
        for columns in [
            json!({"heartbeat": "beat"}),
            json!({"lease": "until"}),
            json!({"lease": "until", "heartbeat": "beat"}),
        ] {
            let planned = plan(stage, &by(columns.clone()));
            assert_eq!((planned.matched(), planned.items[0].steps[0].unreadable), (1, 0), "{columns}");
        }
        // where nothing else is known, they are told
        let planned = plan(stage, &by(json!({"heartbeat": "beat", "updated": null, "started": "begun"})));
        assert_eq!((planned.matched(), planned.items[0].steps[0].unreadable), (0, 2));
        run(stage, &by(json!({"lease": "until"})));
        assert_eq!(stage.list("select task_id from task_queue where status = 'PENDING'"), ["b"]);
    });
}

#[test]
fn a_task_that_ends_between_plan_and_run_is_left_alone() {
    // W-027
    with(&[("a", "IN_PROGRESS", 90, 0), ("b", "IN_PROGRESS", 90, 0)], |stage| {
        let engine = stage.engine();
        let plan = story::plan(&engine, &request(&options("recover", json!({})), |_| {}));
        assert_eq!(plan.matched(), 2);
        stage.place.script("update task_queue set status = 'COMPLETED' where task_id = 'a'");
        let report = story::run(&engine, &plan);
        assert_eq!(report.operations[0].rows_changed, 1);
        assert_eq!(stage.list("select status from task_queue order by task_id"), ["COMPLETED", "PENDING"]);
    });
}

#[test]
fn the_fourth_reset_of_a_task_fails_it() {
    // W-028
    with(&[("poison", "IN_PROGRESS", 90, 0), ("well", "COMPLETED", 90, 0)], |stage| {
        let recover = options("recover", json!({}));
        let again = || {
            stage.place.script2(
                "update task_queue set status = 'IN_PROGRESS', updated_at = datetime('now', '-90 minutes') where task_id = 'poison'",
                "update task_queue set status = 'IN_PROGRESS', updated_at = now() at time zone 'utc' - interval '90 minutes' where task_id = 'poison'",
            );
        };
        let state = || stage.list("select status from task_queue where task_id = 'poison'");
        for _ in 0..3 {
            again();
            run(stage, &recover);
            assert_eq!(state(), ["PENDING"]);
        }
        again();
        let failing = plan(stage, &recover);
        assert!(failing.items[0].steps[0].facts.iter().any(|(name, _)| name == "failing"), "{failing:#?}");
        let fourth = run(stage, &recover);
        assert_eq!(
            stage.list("select status || '|' || error_message from task_queue where task_id = 'poison'"),
            ["FAILED|Task timed out after 30 minutes after 3 resets and failed"]
        );
        // undone, the fourth does not count; the budget is the same as before
        stage.undo(&fourth.run_id);
        assert_eq!(state(), ["IN_PROGRESS"]);
        run(stage, &recover);
        assert_eq!(state(), ["FAILED"]);
        // whoever gives it another chance gives it a whole one
        again();
        run(stage, &recover);
        assert_eq!(state(), ["PENDING"]);
    });
}

#[test]
fn resets_are_counted_in_a_column_where_there_is_one() {
    // W-028
    with(&[("a", "IN_PROGRESS", 90, 0), ("b", "IN_PROGRESS", 90, 0)], |stage| {
        stage.place.script(
            "alter table task_queue add column resets integer; update task_queue set resets = 3 where task_id = 'b'",
        );
        run(stage, &options("recover", json!({"columns": {"resets": "resets"}})));
        assert_eq!(
            stage.list("select status || ' ' || resets from task_queue order by task_id"),
            ["PENDING 1", "FAILED 3"]
        );
        let left = stage.place.leftovers();
        assert!(!left.iter().any(|name| name.contains("tallies")), "{left:?}");
    });
}

#[test]
fn counted_resets_go_with_their_undo() {
    // W-028: the fault loop, with a budget that some tasks have spent
    queue("recover", json!({"max_resets": 0, "columns": {"function": "function_name"}}))
        .given(|place| {
            let ids: Vec<String> = (0..7).map(|n| format!("t{n}")).collect();
            let all: Vec<(&str, &str, i64, i64)> =
                ids.iter().map(|id| (id.as_str(), "IN_PROGRESS", 90, 0)).collect();
            tasks(place, &all);
        })
        .after(|place, _| {
            assert_eq!(place.rows("select 1 from task_queue where status = 'FAILED'").len(), 7);
        })
        .tell();
}

#[test]
fn each_reset_is_told_with_id_and_function() {
    // S0-075, S0-106: a warning with the number, one line for each, and the total
    with(&[("a", "IN_PROGRESS", 90, 0), ("b", "IN_PROGRESS", 90, 0)], |stage| {
        let engine = stage.engine();
        let plan = story::plan(&engine, &request(&options("recover", json!({})), |_| {}));
        let warning = plan.items[0].findings.iter().find(|finding| finding.code == "stale_jobs").unwrap();
        assert_eq!(warning.what, "2 jobs are IN_PROGRESS without a sign of life");
        let mut told = Vec::new();
        engine
            .run(&plan, &engine::Stop::default(), &mut |event| {
                if let What::Noted { text } = &event.what {
                    told.push(text.clone());
                }
            })
            .unwrap();
        told.sort();
        assert_eq!(told, ["reset a execute", "reset b execute"]);
    });
}

#[test]
fn a_failed_task_with_retries_left_is_tried_again_later_and_only_once() {
    // S0-080, W-032, X-42
    queue("requeue", json!({"backoff": "10 minutes"}))
        .given(|place| {
            tasks(place, &[("one", "FAILED", 5, 1), ("two", "FAILED", 5, 2), ("out", "FAILED", 5, 3)]);
        })
        .after(|place, report| {
            assert_eq!(report.operations[0].rows_changed, 2);
            let minutes = if place.is_sqlite() {
                "cast(round((julianday(retry_after) - julianday('now')) * 1440) as integer)"
            } else {
                "round(extract(epoch from retry_after - (now() at time zone 'utc')) / 60)::int"
            };
            let waits = place.rows(&format!(
                "select task_id || ' ' || {minutes} || ' ' || retry_count from task_queue where status = 'PENDING' order by 1"
            ));
            let waits: Vec<&str> = waits.iter().map(|row| row[0].as_text().unwrap()).collect();
            assert_eq!(waits, ["one 20 1", "two 40 2"]);
        })
        .tell();
    with(&[("one", "FAILED", 5, 1)], |stage| {
        let requeue = options("requeue", json!({}));
        assert_eq!(run(stage, &requeue).operations[0].rows_changed, 1);
        let before = stage.place.dump();
        assert_eq!(run(stage, &requeue).operations[0].rows_changed, 0);
        assert_eq!(stage.place.dump(), before);
    });
}

#[test]
fn waits_have_a_limit_and_are_spread_when_asked() {
    // S0-080
    let many: Vec<(String, i64)> = (0..16).map(|n| (format!("t{n:x}"), 12)).collect();
    let all: Vec<(&str, &str, i64, i64)> =
        many.iter().map(|(id, retries)| (id.as_str(), "FAILED", 5, *retries)).collect();
    with(&all, |stage| {
        stage.place.script("update task_queue set max_retries = 100");
        run(stage, &options("requeue", json!({"backoff_limit": "2 hours", "jitter": 0.5})));
        let distinct = stage.number("select count(distinct retry_after) from task_queue");
        assert_eq!(distinct, 16);
        let (least, most) = if stage.place.is_sqlite() {
            let minutes = "cast((julianday(retry_after) - julianday('now')) * 1440 as integer)";
            (
                stage.number(&format!("select min({minutes}) from task_queue")),
                stage.number(&format!("select max({minutes}) from task_queue")),
            )
        } else {
            let minutes = "(extract(epoch from retry_after - (now() at time zone 'utc')) / 60)::int";
            (
                stage.number(&format!("select min({minutes}) from task_queue")),
                stage.number(&format!("select max({minutes}) from task_queue")),
            )
        };
        assert!((118..=130).contains(&least) && (175..=181).contains(&most), "{least} {most}");
    });
}

#[test]
fn old_tasks_go_by_state_and_age() {
    // S0-076, S0-077, X-01, X-43
    const DAY: i64 = 24 * 60;
    queue("prune", json!({}))
        .given(|place| {
            tasks(
                place,
                &[
                    ("young", "COMPLETED", 7 * DAY - 60, 0),
                    ("old", "COMPLETED", 7 * DAY + 60, 0),
                    ("left", "FAILED", 31 * DAY, 2),
                    ("spent", "FAILED", 31 * DAY, 3),
                    ("fresh", "FAILED", 29 * DAY, 3),
                    ("waits", "PENDING", 100 * DAY, 0),
                ],
            );
        })
        .after(|place, report| {
            let targets = &report.operations[0].targets;
            assert_eq!((targets[0].counts.deleted, targets[1].counts.deleted), (1, 1));
            let left = place.rows("select task_id from task_queue order by task_id");
            let left: Vec<&str> = left.iter().map(|row| row[0].as_text().unwrap()).collect();
            assert_eq!(left, ["fresh", "left", "waits", "young"]);
        })
        .tell();
}

#[test]
fn retention_can_be_said_in_days_and_the_deep_clean_up_takes_every_failure() {
    // S0-078, S0-097, X-01, W-032
    const DAY: i64 = 24 * 60;
    with(
        &[
            ("a", "COMPLETED", 10 * DAY, 0),
            ("b", "COMPLETED", 20 * DAY, 0),
            ("c", "FAILED", 100 * DAY, 0),
            ("d", "FAILED", 60 * DAY, 0),
        ],
        |stage| {
            assert_eq!(plan(stage, &options("prune", json!({"retention_days": 14}))).matched(), 1);
            assert_eq!(plan(stage, &options("prune", json!({}))).matched(), 2);
            let deep = options("prune", json!({"prune": [{"state": "FAILED", "older_than": "90 days"}]}));
            assert_eq!(run(stage, &deep).operations[0].rows_deleted, 1);
            assert_eq!(stage.list("select task_id from task_queue where status = 'FAILED'"), ["d"]);
        },
    );
}

#[test]
fn rules_that_overlap_count_a_task_once() {
    with(&[("a", "FAILED", 60 * 24 * 100, 3)], |stage| {
        let twice = options(
            "prune",
            json!({"prune": [{"state": "failed", "older_than": "30 days"}, {"state": "FAILED", "older_than": "90 days"}]}),
        );
        let report = run(stage, &twice);
        let done: Vec<u64> =
            report.operations[0].targets.iter().map(|target| target.counts.deleted).collect();
        assert_eq!((report.operations[0].rows_matched, done), (1, vec![1, 0]));
    });
}

#[test]
fn a_fault_in_the_mapping_is_told_with_what_would_be_right() {
    // W-031
    with(&[], |stage| {
        let wrong = |more: serde_json::Value, action: &str| refusal(stage, &options(action, more));
        assert!(
            wrong(json!({"prune": [{"state": "DONE", "older_than": "7 days"}]}), "prune")
                .contains("COMPLETED")
        );
        assert!(wrong(json!({"prune": [{"state": "FAILED"}]}), "prune").contains("no age"));
        assert!(wrong(json!({"columns": {"state": "stat"}}), "recover").contains("no column `stat`"));
        assert!(wrong(json!({"table": "tasks"}), "recover").contains("there is no table `tasks`"));
        assert!(wrong(json!({"preset": "sidekiq"}), "stats").contains("the presets are task_queue"));
        assert!(wrong(json!({"stale_after": "30"}), "recover").contains("the unit is missing"));
        assert!(wrong(json!({"threshold_minutes": 0}), "recover").contains("more than nothing"));
        assert!(wrong(json!({"stale": "30 minutes"}), "recover").contains("unknown field"));
    });
}

#[test]
fn times_mean_the_same_wherever_the_program_runs() {
    // W-036: naive times are read and written in the declared zone
    with(&[("a", "IN_PROGRESS", 31, 0)], |stage| {
        let paris = options("recover", json!({"zone": "Europe/Paris"}));
        // 31 minutes ago in UTC is an hour and a half or more ago on the clocks of Paris
        assert_eq!(plan(stage, &paris).matched(), 1);
        stage.place.script2(
            "update task_queue set updated_at = datetime('now', '-30 minutes', '+3 hours')",
            "update task_queue set updated_at = now() at time zone 'utc' - interval '30 minutes' + interval '3 hours'",
        );
        assert_eq!(
            plan(stage, &options("recover", json!({"zone": "Africa/Nairobi", "threshold_minutes": 29})))
                .matched(),
            1
        );
        let nairobi = options("recover", json!({"zone": "Africa/Nairobi", "threshold_minutes": 29}));
        run(stage, &nairobi);
        // written as clocks there show it: nothing is stale any more
        stage.place.script("update task_queue set status = 'IN_PROGRESS'");
        assert_eq!(plan(stage, &nairobi).matched(), 0);
    });
}

#[test]
fn a_missing_table_fails_a_clean_up_and_empties_the_statistics() {
    // S0-088, W-031
    both("create table other (a integer)", "create table other (a integer)", |stage| {
        assert!(refusal(stage, &options("prune", json!({}))).contains("there is no table `task_queue`"));
        let nothing = stats(stage, &options("stats", json!({})));
        assert_eq!(nothing["total_tasks"], 0);
        assert_eq!(nothing["oldest_pending"], serde_json::Value::Null);
        assert!(nothing["error"].as_str().unwrap().contains("task_queue"));
    });
}

#[test]
fn a_task_changed_between_run_and_undo_is_a_conflict() {
    with(&[("a", "IN_PROGRESS", 90, 0), ("b", "IN_PROGRESS", 90, 0)], |stage| {
        let report = run(stage, &options("recover", json!({})));
        stage.place.script("update task_queue set status = 'COMPLETED' where task_id = 'a'");
        let undone = stage.undo(&report.run_id);
        assert_eq!(
            (undone.status, undone.operations[0].rows_restored, undone.operations[0].rows_failed),
            (Status::Partial, 1, 1)
        );
        assert_eq!(
            stage.list("select status from task_queue order by task_id"),
            ["COMPLETED", "IN_PROGRESS"]
        );
    });
}

#[test]
fn a_new_task_waits_with_three_retries() {
    // S0-079
    with(&[], |stage| {
        stage.place.script("insert into task_queue (task_id, entity_type, entity_id, function_name) values ('n', 'worker', 'w', 'f')");
        assert_eq!(
            stage.list("select status || ' ' || retry_count || ' ' || max_retries from task_queue"),
            ["PENDING 0 3"]
        );
        task(&stage.place, "m", "PENDING", 1, 0);
        assert_eq!(stats(stage, &options("stats", json!({})))["depth"]["pending"], 2);
    });
}

#[test]
fn old_tasks_go_in_short_transactions() {
    // W-033: never one unbounded statement
    let ids: Vec<String> = (0..20).map(|n| format!("t{n:02}")).collect();
    let all: Vec<(&str, &str, i64, i64)> =
        ids.iter().map(|id| (id.as_str(), "COMPLETED", 60 * 24 * 9, 0)).collect();
    with(&all, |stage| {
        let engine = stage.engine();
        let request = request(&options("prune", json!({})), |manners| manners.batch_size = Some(6));
        let plan = story::plan(&engine, &request);
        let mut batches = Vec::new();
        engine
            .run(&plan, &engine::Stop::default(), &mut |event| {
                if let What::Advanced { counts, .. } = &event.what {
                    batches.push(counts.deleted);
                }
            })
            .unwrap();
        assert_eq!((batches.iter().sum::<u64>(), batches.iter().max()), (20, Some(&6)), "{batches:?}");
    });
}
