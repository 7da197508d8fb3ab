//! What happened before: runs, sums, the audit trail.

use crate::kit::Desk;
use insta::assert_snapshot;

#[test]
fn the_last_runs_are_listed_newest_first() {
    // S1-043
    let desk = Desk::ready();
    assert_snapshot!("none", desk.sexton("runs list").ends(0).shown());
    desk.sexton("run logs --dry-run").ends(0);
    desk.sexton("run sessions").ends(0);
    assert_snapshot!("two", desk.sexton("runs list").ends(0).shown());
    let list = desk.sexton("runs list --limit 1 --output json").ends(0).json();
    assert_eq!(list["runs"].as_array().unwrap().len(), 1);
    assert_eq!(list["runs"][0]["operations"][0]["operation"], "sessions");
    let list = desk.sexton("runs list --operation logs --output json").ends(0).json();
    assert_eq!(list["runs"].as_array().unwrap().len(), 1);
    assert_snapshot!("show", desk.sexton("runs show latest").ends(0).shown());
    desk.sexton("runs show nosuch").ends(2);
}

#[test]
fn a_report_sums_up_real_runs_by_operation() {
    // S2-092, W-114
    let desk = Desk::ready();
    desk.sexton("run logs --dry-run").ends(0);
    desk.sexton("run logs --yes").ends(0);
    desk.sexton("undo latest").ends(0);
    desk.sexton("run sessions").ends(0);
    let sums = desk.sexton("report --since 7d --output json").ends(0).json();
    assert_eq!(sums["runs"], 3);
    assert_eq!(sums["dry_runs"], 1);
    let logs = sums["operations"].as_array().unwrap().iter().find(|sum| sum["operation"] == "logs").unwrap();
    assert_eq!(logs["rows"], 311);
    assert_eq!(logs["runs"], 1);
    let text = desk.sexton("report").ends(0);
    assert!(
        text.stdout.lines().any(|line| line.starts_with("sessions") && line.contains("25")),
        "{}",
        text.stdout
    );
    desk.sexton("report --since soon").ends(2);
}

#[test]
fn stopping_a_run_that_is_over_says_so() {
    let desk = Desk::ready();
    desk.sexton("run sessions").ends(0);
    assert_snapshot!(desk.sexton("stop latest").ends(2).shown());
    assert_snapshot!(desk.sexton("resume latest").ends(2).shown());
}

#[test]
fn every_run_is_in_the_audit_trail_with_its_outcome() {
    // S2-050: who, when, what, options, outcome
    let desk = Desk::ready();
    desk.sexton("run logs --dry-run").ends(0);
    desk.sexton("run logs --yes --older-than 300d").ends(0);
    desk.sexton("run logs --yes --max-rows 5").ends(4);
    desk.sexton("resume latest").ends(4);
    let trail = desk.sexton("audit --output json").ends(0).json();
    let lines: Vec<String> = trail["audit"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|line| format!("{} {} {}: {}", line["actor"], line["action"], line["object"], line["detail"]))
        .collect();
    let said = |n: usize, words: &[&str]| {
        for word in words {
            assert!(lines[n].contains(word), "`{word}` is not in {lines:#?}");
        }
    };
    said(0, &["tester", "\"dry run\"", "logs", "completed, 311 rows"]);
    said(1, &["tester", "\"run\"", "logs", "300d", "completed, 101 rows"]);
    said(2, &["\"run\"", "; timed out, 5 rows; timed out, 10 rows"]);
}
