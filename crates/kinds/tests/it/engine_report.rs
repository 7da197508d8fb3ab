//! The report and the run log: every field, totals that are sums, statuses that never say more than is true.

use crate::stage::{Stage, both};
use engine::{Class, Report, Status, Stop};
use serde_json::{Value, json};
use testkit::story;

const TABLES: &str = "
    create table a (id integer primary key, n integer); create table b (id integer primary key, a integer references a (id));
    create index b_a on b (a); create table c (id integer primary key, n integer);
    insert into a values (1, 1), (2, 1), (3, 0); insert into b values (1, 1), (2, 1), (3, 3); insert into c values (1, 1), (2, 0);";

/// Several operations in one request.
fn several(stage: &Stage, operations: &[(&str, Value)]) -> engine::Request {
    let mut request = stage.request(json!({}), |_| {});
    let first = request.operations.remove(0);
    for (name, options) in operations {
        let mut operation = first.clone();
        operation.name = (*name).to_owned();
        operation.options = options.clone();
        request.operations.push(operation);
    }
    request
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn the_report_has_every_field_of_its_contract() {
    // W-060, W-111, X-29, X-49, X-50
    both(TABLES, TABLES, |stage| {
        let report = stage.run(json!({"table": "a", "where": "n = 1", "dependants": "cascade"}));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(
            keys(&json),
            [
                "schema_version",
                "run_id",
                "correlation_id",
                "status",
                "metadata",
                "operations",
                "warnings",
                "errors",
                "recommendations",
                "backup",
                "totals"
            ]
        );
        assert_eq!(
            keys(&json["metadata"]),
            [
                "timestamp",
                "started_at",
                "finished_at",
                "duration_seconds",
                "dry_run",
                "database",
                "engine",
                "now",
                "actor",
                "trigger"
            ]
        );
        for field in [
            "operation",
            "kind",
            "title",
            "database",
            "severity",
            "status",
            "dry_run",
            "transactional",
            "rows_matched",
            "rows_changed",
            "rows_deleted",
            "rows_archived",
            "rows_restored",
            "rows_dependent",
            "rows_skipped",
            "rows_failed",
            "batches",
            "batch_size",
            "bytes_freed",
            "targets",
            "duration_seconds",
            "expected_seconds",
            "undo_id",
            "backup_path",
            "retries",
            "paused_seconds",
            "usage",
            "error_class",
            "errors",
            "warnings",
            "findings",
            "reason",
        ] {
            assert!(json["operations"][0].get(field).is_some(), "`{field}` is missing");
        }
        let target = &json["operations"][0]["targets"][0];
        for field in ["id", "label", "action", "object", "rows_matched", "deleted", "dependants"] {
            assert!(target.get(field).is_some(), "`{field}` is missing in {target}");
        }
        assert_eq!(json["status"], "completed");
        assert_eq!(json["metadata"]["timestamp"], json["metadata"]["started_at"]);
        assert!(report.metadata.finished_at.unwrap() >= report.metadata.started_at);
        let milliseconds = report.metadata.duration_seconds * 1000.0;
        assert!((milliseconds - milliseconds.round()).abs() < 1e-6 && report.metadata.duration_seconds > 0.0);
        let back: Report = serde_json::from_value(json).unwrap();
        assert_eq!(back, report);
    });
}

#[test]
fn the_same_events_give_the_same_report_at_any_time() {
    both(TABLES, TABLES, |stage| {
        let report = stage.run(json!({"table": "a", "where": "n = 1", "dependants": "cascade"}));
        let engine = stage.engine();
        let record = engine.run_record(&report.run_id).unwrap();
        assert_eq!(record.report(), report);
        assert_eq!(engine.reports(10, None, None).unwrap(), std::slice::from_ref(&report));
        assert_eq!(engine.reports(10, None, Some("the purge")).unwrap().len(), 1);
        assert!(
            engine.reports(10, None, Some("purge")).unwrap().is_empty(),
            "a part of a name is another name"
        );
    });
}

#[test]
fn totals_are_sums_over_operations_and_targets() {
    //
    both(TABLES, TABLES, |stage| {
        let request = several(
            stage,
            &[
                (
                    "first",
                    json!({"targets": [{"table": "a", "where": "n = 1", "dependants": "cascade"}, {"table": "c", "where": "n = 1"}]}),
                ),
                ("second", json!({"table": "c", "where": "n = 0", "action": "mark", "mark": {"n": 5}})),
            ],
        );
        let engine = stage.engine();
        let report = story::run(&engine, &story::plan(&engine, &request));
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        let (first, second) = (&report.operations[0], &report.operations[1]);
        assert_eq!((first.rows_deleted, first.rows_dependent, second.rows_changed), (3, 2, 1));
        assert_eq!((report.totals.deleted, report.totals.dependants, report.totals.changed), (3, 2, 1));
        assert_eq!(first.undo_id.as_deref(), Some(report.run_id.as_str()));
        assert_eq!(second.undo_id, Some(format!("{}.2", report.run_id)));
        // one of two operations is undone alone, then the rest
        let point = second.undo_id.clone().unwrap();
        assert_eq!(stage.undo(&point).totals.restored, 1);
        assert_eq!(stage.undo(&report.run_id).totals.restored, 5);
        assert_eq!(stage.number("select count(*) from c where n in (0, 1)"), 2);
    });
}

#[test]
fn a_failed_operation_among_others_makes_the_run_partial_and_the_others_go_on() {
    // W-064, W-116, W-031
    both(TABLES, TABLES, |stage| {
        let broken = "drop table c; create table c (id integer primary key, x integer)";
        let request = several(
            stage,
            &[
                ("good", json!({"table": "a", "where": "n = 1", "dependants": "cascade"})),
                ("bad", json!({"table": "c", "where": "n = 1"})),
                ("needs bad", json!({"table": "a", "where": "n = 0", "dependants": "cascade"})),
                ("other", json!({"table": "b", "where": "a = 3"})),
            ],
        );
        let mut request = request;
        request.operations[2].needs = vec!["bad".to_owned()];
        let engine = stage.engine();
        let plan = story::plan(&engine, &request);
        stage.place.script(broken);
        let report = story::run(&engine, &plan);
        let statuses: Vec<Status> = report.operations.iter().map(|operation| operation.status).collect();
        assert_eq!(
            statuses,
            [Status::Completed, Status::Failed, Status::Skipped, Status::Completed],
            "{report:#?}"
        );
        assert_eq!(report.status, Status::Partial);
        assert!(report.operations[2].reason.as_deref().unwrap().contains("needs `bad`"));
        assert_eq!((report.errors.len(), report.errors[0].operation.as_str()), (1, "bad"));
        assert!(report.errors[0].class != Class::Transient);
        assert!(
            report
                .operations
                .iter()
                .all(|operation| operation.status != Status::Completed || operation.errors.is_empty())
        );
    });
    both(TABLES, TABLES, |stage| {
        let mut request = several(
            stage,
            &[
                ("bad", json!({"table": "c", "where": "n = 1"})),
                ("next", json!({"table": "b", "where": "a = 3"})),
            ],
        );
        request.go_on = false;
        let engine = stage.engine();
        let plan = story::plan(&engine, &request);
        stage.place.script("drop table c");
        let report = story::run(&engine, &plan);
        let statuses: Vec<Status> = report.operations.iter().map(|operation| operation.status).collect();
        assert_eq!((statuses, report.status), (vec![Status::Failed, Status::Skipped], Status::Failed));
        assert_eq!(stage.number("select count(*) from b"), 3);
    });
}

#[test]
fn a_dry_run_is_logged_as_such_and_left_out_of_estimates() {
    // W-114, X-45
    both(TABLES, TABLES, |stage| {
        let engine = stage.engine();
        let mut request = stage.request(json!({"table": "c", "where": "n = 1"}), |_| {});
        request.dry_run = true;
        let dry = story::run(&engine, &story::plan(&engine, &request));
        assert!(engine.reports(10, None, None).unwrap()[0].metadata.dry_run);
        assert_eq!(story::plan(&engine, &request).items[0].expected_seconds, None);
        request.dry_run = false;
        story::run(&engine, &story::plan(&engine, &request));
        assert!(story::plan(&engine, &request).items[0].expected_seconds.is_some());
        assert_eq!(dry.operations[0].undo_id, None);
        assert!(engine.resume(&dry.run_id, &Stop::default(), &mut |_| {}).is_err());
    });
}

#[test]
fn the_run_log_is_also_a_file_of_json_lines() {
    // W-115
    both(TABLES, TABLES, |stage| {
        let report = stage.run(json!({"table": "c", "where": "n = 1"}));
        let file = std::fs::read_to_string(stage.workshop.folder().join("runs.jsonl")).unwrap();
        let events: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let stored = stage.engine().run_record(&report.run_id).unwrap();
        let logged: Vec<Value> =
            stored.events.iter().map(|event| serde_json::to_value(event).unwrap()).collect();
        assert_eq!(events, logged);
        assert_eq!(events.last().unwrap()["event"], "finished");
        assert_eq!(
            (stored.plan.request.correlation_id.as_str(), report.correlation_id.as_str()),
            ("test", "test")
        );
    });
}

#[test]
fn runs_are_found_by_the_first_letters_of_their_id() {
    both(TABLES, TABLES, |stage| {
        let report = stage.run(json!({"table": "c", "where": "n = 1"}));
        let engine = stage.engine();
        assert_eq!(engine.run_record(&report.run_id[..4]).unwrap().id, report.run_id);
        assert_eq!(engine.run_record("latest").unwrap().id, report.run_id);
        for wrong in ["nothing", "%", "' or ''='"] {
            let error = engine.run_record(wrong).unwrap_err();
            assert!(error.to_string().contains("there is no run") && error.help().is_some(), "{error}");
        }
    });
}

#[test]
fn a_run_tells_what_it_took_from_the_least_to_the_most() {
    // S2-069
    let (lite, server) = crate::stage::rows(30_000);
    both(&lite, &server, |stage| {
        let report = stage.run_with(crate::stage::options(), |manners| manners.batch_size = Some(1_000));
        let usage = report.operations[0].usage.clone().unwrap();
        assert!(usage.samples >= 2, "{usage:?}");
        let memory = usage.memory_bytes.unwrap();
        assert!(memory.min > 1e6 && memory.min <= memory.max, "{usage:?}");
        assert!(usage.memory_free_bytes.unwrap().min > 0.0, "{usage:?}");
        let busy = usage.cpu_percent.unwrap();
        assert!((0.0..=100.0).contains(&busy.min) && busy.max <= 100.0 && busy.max > 0.0, "{usage:?}");
        if !stage.place.is_sqlite() {
            let connections = usage.connections.unwrap();
            assert!(connections.min >= 1.0 && connections.max >= connections.min, "{usage:?}");
        }
        let looked = stage.run_with(json!({"table": "t", "where": "n > 99"}), |_| {});
        assert_eq!(looked.operations[0].usage, None, "nothing was done");
    });
}

#[test]
fn a_run_of_which_more_than_one_in_twenty_fails_says_so() {
    // X-20, S2-074
    let tables = "create table t (id integer primary key, a text, n integer);";
    both(tables, tables, |stage| {
        stage.place.script2(
            "with recursive i(n) as (select 1 union all select n + 1 from i where n < 100) insert into t select n, case when n <= 6 then 'no' else '5' end, null from i",
            "insert into t select n, case when n <= 6 then 'no' else '5' end, null from generate_series(1, 100) n",
        );
        let engine = stage.engine();
        let convert = || {
            let options = json!({"table": "t", "where": "n is null", "input": ["a"], "columns": {"n": ".a | tonumber"}});
            let request = story::request("convert", options, crate::stage::manners(), false);
            story::run(&engine, &story::plan(&engine, &request))
        };
        let report = convert();
        let told = report.operations[0].findings.iter().find(|finding| finding.code == "error_rate");
        assert!(told.is_some_and(|told| told.what.contains("6 of 100")), "{report:#?}");
    });
}
