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
    for _ in 0..9 {
        desk.sexton("run sessions --dry-run").ends(0);
    }
    let all = desk.sexton("runs list --limit 100 --output json").ends(0).json();
    let last = desk.sexton("runs list --output json").ends(0).json();
    assert_eq!(all["runs"].as_array().unwrap().len(), 11);
    assert_eq!(last["runs"].as_array().unwrap(), &all["runs"].as_array().unwrap()[..10]);
}

#[test]
fn the_report_of_a_run_is_kept_as_it_was_told() {
    // S0-064, S1-043
    let desk = Desk::ready();
    for form in ["report", "json"] {
        let told = desk.sexton(&format!("run logs --yes --output {form}")).ends(0).json();
        assert_eq!(desk.sexton(&format!("runs show latest --output {form}")).ends(0).json(), told);
    }
}

#[test]
fn one_id_runs_through_log_run_log_and_report() {
    // S3-046
    let desk = Desk::ready_with("\n[log]\nlevel = \"info\"\n");
    let said = desk.sexton("run logs --yes --max-percent 1 --output report").ends(3);
    let report = said.json();
    let id = report["correlation_id"].as_str().unwrap();
    let failed: Vec<&str> = said.stderr.lines().filter(|line| line.contains("would go")).collect();
    assert!(!failed.is_empty(), "{}", said.stderr);
    assert!(failed.iter().any(|line| line.contains(&format!("correlation={id}"))), "{failed:#?}");
    let run = report["run_id"].as_str().unwrap();
    assert!(failed.iter().any(|line| line.contains(&format!("run={run}"))), "{failed:#?}");
    let shown = desk.sexton("runs show latest --output report").ends(0).json();
    assert_eq!((shown["correlation_id"].as_str(), shown["run_id"].as_str()), (Some(id), Some(run)));
    let events = std::fs::read_to_string(desk.file(".sexton/runs.jsonl")).unwrap();
    assert!(events.lines().all(|line| line.contains(run)), "{events}");
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

#[test]
fn how_long_an_operation_takes_is_learned_from_its_runs() {
    // S2-098
    testkit::once_in_three(|| {
        let desk = Desk::ready();
        let text = desk.sexton("plan logs").ends(0).stdout;
        assert!(text.contains("expected   not known before its first run"), "{text}");
        assert!(!desk.file(".sexton").join("state.db").exists(), "looking makes no state");
        desk.sexton("run logs --yes").ends(0);
        desk.sexton("undo latest --yes").ends(0);
        desk.sexton("undo release --yes").ends(0);
        let text = desk.sexton("plan logs").ends(0).stdout;
        let report = desk.sexton("run logs --yes --output report").ends(0).json();
        assert!(report["operations"][0]["expected_seconds"].as_f64().is_some(), "{report}");
        if text.contains("expected to take 0.") { Ok(()) } else { Err(text) }
    });
}

#[test]
fn each_log_level_says_as_much_as_it_promises() {
    // S0-106: what happens at info, findings at warning, failures at error, single batches at debug
    let lines = |level: &str, break_it: bool| {
        let desk = Desk::ready_with(&format!("[log]\nlevel = \"{level}\""));
        desk.place.script("create table hang (id integer, log integer references audit_log (id))");
        if break_it {
            desk.place.script("create trigger no before delete on audit_log when old.id = 200 begin select raise(abort, 'no'); end");
        }
        let said = desk.sexton("run logs --yes --batch-size 100 --set triggers=fire");
        assert_eq!(said.code, i32::from(break_it), "{}", said.shown());
        let count = |word: &str| {
            said.stderr.lines().filter(|line| line.contains(word) && line.contains("sexton_run")).count()
        };
        [count("ERROR"), count("WARN"), count("INFO"), count("DEBUG")]
    };
    assert_eq!(lines("error", false), [0, 0, 0, 0]);
    assert_eq!(lines("error", true), [1, 0, 0, 0]);
    let [errors, warnings, ..] = lines("warn", false);
    assert_eq!((errors, warnings), (0, 1), "the missing index");
    let [_, _, infos, debugs] = lines("info", false);
    assert!(infos >= 6 && debugs == 0, "{infos} {debugs}");
    let [_, _, more, debugs] = lines("debug", false);
    assert!(more == infos && debugs >= 4, "a line for each batch: {debugs}");
}

#[test]
fn old_runs_are_forgotten_but_for_the_last_of_each_operation() {
    //
    let desk = Desk::ready();
    for line in ["run logs --yes", "run sessions", "run sessions"] {
        desk.sexton(line).ends(0);
    }
    let old = desk.runs();
    let state = testkit::Place::elsewhere(&desk.file(".sexton/state.db").display().to_string());
    state.script("update sexton_runs set started_at = '2020-' || substr(started_at, 6)");
    desk.sexton("run sessions").ends(0);
    let list = desk.sexton("runs list --output json").ends(0).json();
    let kept: Vec<&str> =
        list["runs"].as_array().unwrap().iter().map(|run| run["run_id"].as_str().unwrap()).collect();
    assert_eq!(kept.len(), 3, "{kept:?}");
    assert!(kept.contains(&old[0].as_str()) && kept.contains(&old[2].as_str()), "{kept:?} of {old:?}");
    desk.sexton(&format!("runs show {}", old[1])).ends(2);
    let trail = desk.sexton("audit --output json").ends(0).json();
    assert_eq!(trail["audit"].as_array().unwrap().len(), 4, "who did what is not forgotten with the run");
}

#[test]
fn a_clean_up_of_logs_leaves_the_history_of_maintenance_alone() {
    // W-057
    let desk = Desk::ready();
    desk.sexton("run logs --yes").ends(0);
    let old = desk.runs();
    let state = testkit::Place::elsewhere(&desk.file(".sexton/state.db").display().to_string());
    state.script("update sexton_runs set started_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-200 days')");
    desk.sexton("run logs --yes").ends(0);
    desk.sexton("run logs --yes").ends(0);
    assert!(desk.runs().contains(&old[0]), "{:?}", desk.runs());
    desk.sexton(&format!("runs show {}", old[0])).ends(0);
}

#[test]
fn numbers_that_make_no_sense_are_refused_where_they_are_said() {
    let desk = Desk::ready();
    desk.sexton("run logs --yes").ends(0);
    for value in ["0", "-1", "x"] {
        let said = desk.sexton(&format!("runs list --limit {value}")).ends(2);
        assert!(!said.stderr.contains("5d") && !said.stderr.contains("there is no run"), "{}", said.stderr);
    }
    let said = desk.sexton("runs list --limit -1").ends(2);
    assert!(said.stderr.contains("a number from 1 on"), "{}", said.stderr);
    let said = desk.sexton("run logs --yes --max-percent 500").ends(2);
    assert!(said.stderr.contains("must not be more than 100"), "{}", said.stderr);
    let said = desk.sexton("run logs --yes --events --output json").ends(2);
    assert!(said.stderr.contains("exclude each other"), "{}", said.stderr);
    let twice =
        crate::kit::CONFIG.replace("[\"sessions\", \"logs\"]", "[\"sessions\", \"logs\", \"sessions\"]");
    desk.write("sexton.toml", &twice);
    let said = desk.sexton("config check").ends(2);
    assert!(said.stderr.contains("`sessions` stands in the group twice"), "{}", said.stderr);
}
