//! The first example system: its commands, its groups, and what the log says about them.

use crate::kit::Desk;
use serde_json::{Value as Json, json};

fn ready() -> Desk {
    let desk = Desk::empty();
    desk.sexton("example e0 e0").ends(0);
    desk
}

fn document(desk: &Desk, line: &str) -> Json {
    desk.sexton(&format!("{line} --output json --config e0/sexton.toml")).ends(0).json()
}

/// The rows of each operation, in the order of the run.
fn processed(report: &Json) -> Vec<(String, u64)> {
    let operations = report.as_object().unwrap().iter().filter(|(name, _)| *name != "metadata");
    operations.map(|(name, one)| (name.clone(), one["rows_processed"].as_u64().unwrap())).collect()
}

#[test]
fn the_daily_group_resets_requeues_cleans_and_counts() {
    // S0-070, S0-103, X-02, X-03, S2-001
    let desk = ready();
    let before = desk.sexton("digest --config e0/sexton.toml").ends(0).stdout;
    let report = document(&desk, "run daily --yes");
    let wanted = [
        ("detect-stale", 600),
        ("requeue-failed", 900),
        ("cleanup-tasks", 3_498),
        ("cleanup-files", 0),
        ("stats", 0),
    ];
    assert_eq!(processed(&report), wanted.map(|(name, rows)| (name.to_owned(), rows)));
    let details = &report["cleanup-tasks"]["details"];
    assert_eq!(
        (&details["completed"]["deleted"], &details["failed"]["deleted"]),
        (&json!(3_298), &json!(200))
    );
    // the figures of a run are those that it leaves behind, not those that it found
    assert_eq!(report["stats"]["by_status"], json!({"PENDING": 2_100, "COMPLETED": 302, "FAILED": 100}));
    desk.sexton("undo latest --yes --config e0/sexton.toml").ends(0);
    assert_eq!(desk.sexton("digest --config e0/sexton.toml").ends(0).stdout, before);
}

#[test]
fn the_monthly_group_drops_every_failure_of_the_last_quarter() {
    // S0-078, S0-103, X-01
    let report = document(&ready(), "run monthly --yes");
    assert_eq!(report["deep-cleanup"]["severity"], "MEDIUM");
    assert!(processed(&report).contains(&("deep-cleanup".to_owned(), 300)));
    assert_eq!(report["migration-check"]["migration_needed"], false, "S0-030");
    // S0-068, S0-094, S0-095, W-043
    let performance = &report["performance"];
    assert_eq!(performance["database"].as_object().unwrap().len(), 7);
    assert!(performance["database"]["planners"].as_u64().unwrap() > 0);
    assert!(performance["file_system"]["file_count"].as_u64().unwrap() > 0);
    assert!(performance["task_queue"]["total_tasks"].as_u64().unwrap() > 0);
}

#[test]
fn the_commands_take_a_threshold_and_a_retention() {
    // S0-097, S0-099
    let desk = ready();
    let planned = |line: &str| {
        let plan = document(&desk, line);
        plan["items"][0]["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| step["matched"].as_u64().unwrap())
            .sum::<u64>()
    };
    let week = planned("plan cleanup-tasks");
    let fortnight = planned("plan cleanup-tasks --set retention_days=14");
    assert!(week > fortnight && fortnight > 0, "{week} {fortnight}");
    assert_eq!(planned("plan cleanup-tasks --retention-days 14"), fortnight);
    let half_an_hour = planned("plan detect-stale");
    assert!(half_an_hour > planned("plan detect-stale --threshold-minutes 144000"));
    assert_eq!(half_an_hour, planned("plan detect-stale --set threshold_minutes=30"));
}

#[test]
fn the_statistics_are_printed_and_come_as_a_command_result() {
    // S0-102, S0-105
    let desk = ready();
    let text = desk.sexton("run stats --config e0/sexton.toml").ends(0).stdout;
    assert!(text.contains("\"total_tasks\": 6000") && text.contains("\"stale_tasks\": 600"), "{text}");
    let result = desk.sexton("run stats --output result --config e0/sexton.toml").ends(0).json();
    assert_eq!(
        (&result["success"], &result["result"]["stats"]["total_tasks"]),
        (&json!(true), &json!(6_000))
    );
    assert_eq!(result["result"]["stats"]["history"]["samples"].as_array().unwrap().len(), 2);
    let unknown = desk.sexton("run cleanup-task --output result --config e0/sexton.toml").ends(2).json();
    assert!(unknown["error"].as_str().unwrap().contains("cleanup-task"), "{unknown}");
    desk.write("missing.toml", "[database.main]\nurl = \"e0/app.db\"\n[operation.stats]\nkind = \"queue\"\ntable = \"jobs\"\naction = \"stats\"\n");
    let missing = desk.sexton("run stats --output result --config missing.toml").ends(5).json();
    assert_eq!(missing["result"]["stats"]["total_tasks"], 0);
    assert!(missing["result"]["stats"]["error"].as_str().unwrap().contains("`jobs`"), "{missing}");
}

#[test]
fn the_log_has_a_line_for_each_reset_and_one_before_and_after() {
    // S0-075, S0-106: n + 2 lines; less at a higher level, none unless asked for
    let desk = ready();
    let config = std::fs::read_to_string(desk.file("e0/sexton.toml")).unwrap();
    let lines = |level: &str| {
        desk.write("e0/logged.toml", &format!("{config}\n{level}\n"));
        let said = desk.sexton("run detect-stale --max-rows 3 --batch-size 3 --config e0/logged.toml");
        let lines = said.stderr.lines().filter(|line| line.contains(" sexton_run: ")).map(str::to_owned);
        lines.collect::<Vec<String>>()
    };
    assert_eq!(lines(""), Vec::<String>::new());
    let warnings = lines("[log]\nlevel = \"warn\"");
    assert!(
        warnings.iter().any(|line| line.contains("WARN") && line.contains("jobs are IN_PROGRESS")),
        "{warnings:?}"
    );
    assert!(!warnings.iter().any(|line| line.contains("reset task-")));
    let all = lines("[log]\nlevel = \"info\"");
    let resets = all.iter().filter(|line| line.contains("reset task-")).count();
    assert_eq!(resets, 3, "{all:?}");
    assert!(all.iter().any(|line| line.contains("planned") && line.contains("matched=59")), "{all:?}");
    assert!(all.iter().any(|line| line.contains("over: ") && line.contains("rows=3")), "no total: {all:?}");
}
