//! Statistics of `queue`: the figures, the history, and why it is slow.

use crate::queue_kit::{options, plan, request, run, stats, with};
use crate::stage::codes;
use engine::{SetClock, Status};
use jiff::ToSpan;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use testkit::story;

#[test]
fn the_figures_are_those_of_a_count_by_hand() {
    // S0-081, S0-082, S0-083, S0-084, S0-085, S0-087, X-31
    with(
        &[
            ("a", "PENDING", 90, 0),
            ("b", "PENDING", 45, 0),
            ("c", "IN_PROGRESS", 31, 0),
            ("d", "IN_PROGRESS", 29, 0),
            ("e", "FAILED", 5, 1),
        ],
        |stage| {
            stage.place.script("update task_queue set function_name = 'plan', entity_type = 'worker' where task_id in ('a', 'c')");
            let figures = stats(stage, &options("stats", json!({})));
            assert_eq!(figures["total_tasks"], 5);
            assert_eq!(figures["by_status"], json!({"IN_PROGRESS": 2, "PENDING": 2, "FAILED": 1}));
            assert_eq!(figures["by_function"], json!({"execute": 3, "plan": 2}));
            assert_eq!(figures["by_entity_type"], json!({"planner": 3, "worker": 2}));
            let oldest = &figures["oldest_pending"];
            assert_eq!(oldest["task_id"], "a");
            assert!((89.9..91.0).contains(&oldest["age_minutes"].as_f64().unwrap()), "{oldest}");
            let at: jiff::Timestamp = oldest["created_at"].as_str().unwrap().parse().unwrap();
            assert!((jiff::Timestamp::now() - at).total(jiff::Unit::Minute).unwrap() > 89.0);
            assert_eq!(figures["stale_tasks"], 1);
            assert_eq!(stats(stage, &options("stats", json!({"threshold_minutes": 20})))["stale_tasks"], 2);
            assert_eq!(figures["depth"], json!({"pending": 2, "running": 2, "completed": 0, "failed": 1}));
        },
    );
}

#[test]
fn completion_times_are_of_the_last_day_with_median_and_high_percentile() {
    // S0-086, W-035, X-41
    with(
        &[("a", "COMPLETED", 5, 0), ("b", "COMPLETED", 5, 0), ("old", "COMPLETED", 60 * 24 * 3, 0)],
        |stage| {
            let took = |id: &str, seconds: u32| {
                stage.place.script2(
                &format!("update task_queue set created_at = strftime('%Y-%m-%d %H:%M:%f', updated_at, '-{seconds} seconds') where task_id = '{id}'"),
                &format!("update task_queue set created_at = updated_at - interval '{seconds} seconds' where task_id = '{id}'"),
            );
            };
            took("a", 10);
            took("b", 20);
            took("old", 5000);
            let figures = stats(stage, &options("stats", json!({})));
            assert_eq!(figures["avg_completion_count"], 2);
            assert_eq!(figures["avg_completion_time"], 15.0);
            assert_eq!(figures["median_completion_time"], 15.0);
            assert_eq!(figures["p95_completion_time"], 20.0);
            stage.place.script2(
            "alter table task_queue add column began text; update task_queue set began = strftime('%Y-%m-%d %H:%M:%f', updated_at, '-4 seconds')",
            "alter table task_queue add column began timestamp; update task_queue set began = updated_at - interval '4 seconds'",
        );
            let began = stats(stage, &options("stats", json!({"columns": {"started": "began"}})));
            assert_eq!(began["avg_completion_time"], 4.0);
        },
    );
}

#[test]
fn an_empty_queue_has_every_key() {
    // S0-085, S0-086, S0-088
    with(&[], |stage| {
        let figures = stats(stage, &options("stats", json!({})));
        let keys: Vec<&str> = figures.as_object().unwrap().keys().map(String::as_str).collect();
        for key in [
            "total_tasks",
            "by_status",
            "by_function",
            "by_entity_type",
            "oldest_pending",
            "avg_completion_time",
            "avg_completion_count",
            "median_completion_time",
            "p95_completion_time",
            "stale_tasks",
            "depth",
            "history",
        ] {
            assert!(keys.contains(&key), "{key} is missing in {keys:?}");
        }
        assert_eq!(figures["avg_completion_time"], Json::Null);
        assert_eq!((&figures["oldest_pending"], &figures["stale_tasks"]), (&Json::Null, &json!(0)));
        assert_eq!(figures["by_status"], json!({}));
        assert_eq!(figures.get("error"), None);
    });
}

#[test]
fn each_run_adds_a_sample_to_the_history() {
    with(&[("a", "PENDING", 10, 0)], |stage| {
        let look = options("stats", json!({}));
        let first = stats(stage, &look);
        assert_eq!(first["history"]["samples"].as_array().unwrap().len(), 1);
        for id in ["b", "c", "d"] {
            crate::queue_kit::task(&stage.place, id, "PENDING", 1, 0);
        }
        let later = Arc::new(SetClock::standing(jiff::Timestamp::now() + 2.hours()));
        let engine = stage.workshop.engine_at(later);
        let report = story::run(&engine, &story::plan(&engine, &request(&look, |_| {})));
        let history = &report.operations[0].result.as_ref().unwrap()["history"];
        let pending: Vec<u64> = history["samples"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["pending"].as_u64().unwrap())
            .collect();
        assert_eq!((pending, history["pending"].as_str().unwrap()), (vec![1, 4], "▃█"));
        assert_eq!(report.status, Status::Completed);
    });
}

#[test]
fn looking_changes_nothing_and_leaves_nothing() {
    with(&[("a", "IN_PROGRESS", 90, 0)], |stage| {
        let before = stage.place.dump();
        run(stage, &options("stats", json!({})));
        assert_eq!(stage.place.dump(), before);
        assert_eq!(stage.place.leftovers(), Vec::<String>::new());
    });
}

/// Twenty thousand tasks, a few of them stale, failed or pending.
fn many(stage: &crate::stage::Stage) {
    stage.place.script2(
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
         insert into task_queue (task_id, entity_type, entity_id, function_name, status, created_at, updated_at)
         select 't' || i, 'planner', 'p', 'f' || i % 9,
                case when i % 1000 = 0 then 'IN_PROGRESS' when i % 1000 = 1 then 'FAILED' when i % 1000 = 2 then 'PENDING' else 'COMPLETED' end,
                datetime('now', '-' || (i % 200) || ' hours'), datetime('now', '-' || (i % 200) || ' hours') from n; analyze;",
        "insert into task_queue (task_id, entity_type, entity_id, function_name, status, created_at, updated_at)
         select 't' || i, 'planner', 'p', 'f' || i % 9,
                case when i % 1000 = 0 then 'IN_PROGRESS' when i % 1000 = 1 then 'FAILED' when i % 1000 = 2 then 'PENDING' else 'COMPLETED' end,
                (now() at time zone 'utc') - make_interval(hours => (i % 200)::int), (now() at time zone 'utc') - make_interval(hours => (i % 200)::int)
         from generate_series(1, 20000) i; analyze task_queue;",
    );
}

#[test]
fn indexes_serve_the_clean_up_and_missing_ones_are_named() {
    // S0-108
    with(&[], |stage| {
        many(stage);
        for action in ["recover", "requeue", "prune"] {
            let planned = plan(
                stage,
                &options(action, json!({"prune": [{"state": "FAILED", "older_than": "5 days"}]})),
            );
            let step = &planned.items[0].steps[0];
            assert!(step.way.starts_with("by index `task_queue_"), "{action}: {}", step.way);
        }
        assert!(!codes(&plan(stage, &options("stats", json!({})))).contains(&"missing_index"));
        stage.place.script("drop index task_queue_created; drop index task_queue_updated");
        stage.place.script2("analyze", "analyze task_queue");
        let looked = plan(stage, &options("stats", json!({})));
        let remedies: Vec<&str> = looked.items[0]
            .findings
            .iter()
            .filter(|finding| finding.code == "missing_index")
            .map(|finding| finding.remedy.as_str())
            .collect();
        assert_eq!(remedies.len(), 2, "{remedies:?}");
        assert!(
            remedies[0].ends_with("(\"status\", \"updated_at\")")
                && remedies[1].ends_with("(\"status\", \"created_at\")"),
            "{remedies:?}"
        );
        // What is advised can be run, and mends it.
        for remedy in &remedies {
            stage.place.script(remedy);
        }
        stage.place.script2("analyze", "analyze task_queue");
        assert!(!codes(&plan(stage, &options("stats", json!({})))).contains(&"missing_index"));
    });
}

#[test]
fn dead_rows_and_the_snapshot_that_keeps_them_are_named() {
    with(&[], |stage| {
        if stage.place.is_sqlite() {
            return;
        }
        many(stage);
        stage.place.script(
            "alter table task_queue set (autovacuum_enabled = false); delete from task_queue where task_id > 't15'",
        );
        stage.place.wait_for_figures();
        let database = stage.place.database();
        let mut other = database.open().unwrap();
        let limits = targets::db::Limits::default();
        let mut tx = other.begin(&limits).unwrap();
        tx.execute(&targets::db::Sql::new("set application_name = 'application'")).unwrap();
        tx.count(&targets::db::Sql::new("select count(*) from task_queue")).unwrap();
        let looked = plan(stage, &options("stats", json!({"old_snapshot": "1 millisecond"})));
        let codes = codes(&looked);
        assert!(codes.contains(&"dead_rows") && codes.contains(&"old_snapshot"), "{codes:?}");
    });
}
