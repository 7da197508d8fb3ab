//! The JSON documents: one on stdout, nothing else, in the shape that is written down.

use crate::kit::Desk;
use crate::schema::faults;
use serde_json::Value;

fn contract(desk: &Desk, name: &str) -> Value {
    desk.sexton("reference documents").ends(0).json()[name].clone()
}

fn assert_fits(desk: &Desk, name: &str, document: &Value) {
    let found = faults(document, &contract(desk, name));
    assert!(found.is_empty(), "{found:#?}\n{document:#}");
}

/// Runs of every outcome, as (command, exit code).
const OUTCOMES: [(&str, i32); 6] = [
    ("run --all --dry-run", 0),
    ("run logs --yes --max-rows 100 --batch-size 50", 4),
    ("run sessions", 0),
    ("run logs --yes --max-percent 0.1 --force", 0),
    ("undo latest", 0),
    ("run --all --yes", 0),
];

#[test]
fn every_outcome_is_one_document_of_the_contract() {
    // S2-085, W-111, S1-008, S1-035, S1-037, X-29
    for (form, name) in [("json", "Run by operation"), ("report", "Run report"), ("result", "Command result")]
    {
        let desk = Desk::ready();
        for (line, code) in OUTCOMES {
            let said = desk.sexton(&format!("{line} --output {form}")).ends(code);
            let document = said.json();
            assert_fits(&desk, name, &document);
            let version = if form == "json" {
                &document["metadata"]["schema_version"]
            } else {
                &document["schema_version"]
            };
            assert_eq!(*version, 1, "{line}");
        }
    }
}

#[test]
fn a_refusal_and_a_failure_are_documents_too() {
    // W-111, S0-105
    let desk = Desk::ready();
    for (line, code) in [
        ("run logs", 3),
        ("run nosuch", 2),
        ("run", 2),
        ("nosuch", 2),
        ("run logs --older-than never", 2),
        ("run logs --config nowhere.toml", 2),
        ("undo nosuch", 2),
    ] {
        for form in ["json", "report", "result"] {
            let document = desk.sexton(&format!("{line} --output {form}")).ends(code).json();
            assert_fits(&desk, "Error", &document);
            assert_eq!(document["success"], false);
            assert_eq!(document["exit_code"], code);
        }
    }
    desk.place
        .script("create trigger no before delete on session begin select raise(abort, 'not today'); end");
    let document = desk.sexton("run sessions --triggers fire --output json").ends(1).json();
    assert_fits(&desk, "Run by operation", &document);
    assert_eq!(document["sessions"]["status"], "failed");
    let document = desk.sexton("run sessions --triggers fire --output report").ends(1).json();
    assert_fits(&desk, "Run report", &document);
    assert_eq!(document["errors"][0]["operation"], "sessions");
    let document = desk.sexton("run sessions --triggers fire --output result").ends(1).json();
    assert_eq!(document["success"], false);
}

#[test]
fn plans_lists_and_short_answers_are_documents_of_the_contract() {
    // W-111
    let desk = Desk::ready();
    desk.sexton("run logs --yes").ends(0);
    for (line, name) in [
        ("plan --all", "Plan"),
        ("runs list", "Runs"),
        ("undo list", "Undo points"),
        ("undo show latest", "Undo point"),
        ("audit", "Audit trail"),
        ("report", "Sums"),
        ("status", "Status"),
        ("digest", "Digest"),
        ("config check", "Answer"),
        ("init ./app.db", "Answer"),
        ("undo release", "Answer"),
        ("undo drop --all --yes", "Answer"),
    ] {
        let document = desk.sexton(&format!("{line} --output json")).ends(0).json();
        assert_fits(&desk, name, &document);
        assert_eq!(document["schema_version"], 1, "{line}");
    }
    let document = desk.sexton("plan logs --output result").ends(0).json();
    assert_fits(&desk, "Command result", &document);
}

#[test]
fn the_map_form_has_what_scripts_of_old_expect() {
    // S1-035, R1
    let desk = Desk::ready();
    let document = desk.sexton("run logs --yes --output json").ends(0).json();
    let logs = &document["logs"];
    assert_eq!(logs["operation"], "logs");
    assert_eq!(logs["status"], "completed");
    assert_eq!(logs["rows_deleted"], 311);
    assert_eq!(logs["details"]["audit_log"]["deleted"], 311);
    assert_eq!(logs["details"]["audit_log"]["days"], 90.0);
    assert_eq!(document["metadata"]["dry_run"], false);
    assert!(document["metadata"]["timestamp"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn a_preview_equals_the_real_run_but_for_mode_ids_and_times() {
    // W-112
    let desk = Desk::ready();
    let preview = desk.sexton("run logs --dry-run --output json").ends(0).json();
    let real = desk.sexton("run logs --yes --output json").ends(0).json();
    for key in [
        "rows_matched",
        "rows_deleted",
        "rows_changed",
        "rows_archived",
        "rows_dependent",
        "details",
        "errors",
    ] {
        assert_eq!(preview["logs"][key], real["logs"][key], "{key}");
    }
}

#[test]
fn a_preview_of_what_would_be_refused_is_refused_in_every_form() {
    // W-112, W-064, S0-105
    let desk = Desk::ready();
    let preview = desk.sexton("run logs --max-percent 20 --dry-run --output json").ends(3).json();
    let real = desk.sexton("run logs --max-percent 20 --yes --output json").ends(3).json();
    assert_eq!(preview["metadata"]["status"], "refused");
    assert!(preview["logs"]["errors"][0].as_str().unwrap().contains("the limit is 20 %"), "{preview:#}");
    for key in ["status", "rows_matched", "rows_deleted", "details", "errors"] {
        assert_eq!(preview["logs"][key], real["logs"][key], "{key}");
    }
    let said = desk.sexton("run logs --max-percent 20 --dry-run --output result").ends(3);
    assert_eq!(said.json()["success"], false);
    assert!(said.json()["error"].as_str().unwrap().contains("the limit is 20 %"));
    let said = desk.sexton("run logs --max-percent 20 --dry-run --output report").ends(3);
    assert_eq!(
        (&said.json()["status"], said.json()["errors"].as_array().map(Vec::len)),
        (&"refused".into(), Some(1))
    );
    let said = desk.sexton("run logs --max-percent 20 --dry-run").ends(3);
    assert!(said.stdout.contains("refused") && said.stderr.contains("--max-percent 100"), "{}", said.shown());
    assert_eq!(desk.count("audit_log"), 400);
    desk.sexton("run logs --max-percent 20 --dry-run --force").ends(0);
}

#[test]
fn events_are_one_document_a_line() {
    // S2-097, S3-049
    let desk = Desk::ready();
    let said = desk.sexton("run logs --yes --events").ends(0);
    let schema = contract(&desk, "Event");
    let mut names = Vec::new();
    for line in said.stdout.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let found = faults(&event, &schema);
        assert!(found.is_empty(), "{found:#?}\n{event:#}");
        names.push(event["event"].as_str().unwrap().to_owned());
    }
    assert_eq!(names.first().map(String::as_str), Some("planned"));
    assert_eq!(names.last().map(String::as_str), Some("finished"));
    assert!(names.contains(&"advanced".to_owned()));
}

#[test]
fn a_long_run_counts_up_beside_its_result() {
    // S1-039: lines on stderr while it works; nothing but the document on stdout
    let desk = Desk::ready();
    let config = std::fs::read_to_string(desk.file("sexton.toml")).unwrap();
    let slowly = "[defaults]\npause = 0.25\nbatch_size = 10\n";
    desk.write("sexton.toml", &config.replace("[defaults]\n", slowly));
    let said = desk.sexton("run logs --yes --output json").ends(0);
    assert_eq!(said.json()["logs"]["rows_deleted"], 311);
    let counts: Vec<u64> = said
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("logs: ")?.strip_suffix(" of 311 rows")?.parse().ok())
        .collect();
    assert!(counts.len() >= 2 && counts.is_sorted() && counts[0] < counts[1], "{}", said.stderr);
    assert!(counts.iter().all(|count| (1..=311).contains(count)), "{counts:?}");
}

#[test]
fn every_mix_of_operation_mode_and_form_works() {
    // S1-011
    let desk = Desk::ready();
    for operation in ["logs", "sessions", "--all", "daily"] {
        for mode in ["--dry-run", "--yes"] {
            for form in ["text", "json", "report", "result"] {
                desk.sexton(&format!("run {operation} {mode} --output {form}")).ends(0);
            }
        }
    }
}

#[test]
fn quiet_says_nothing_but_the_result() {
    let desk = Desk::ready();
    let said = desk.sexton("run logs --yes --quiet").ends(0);
    assert_eq!(said.stderr, "");
}

#[test]
fn nothing_is_coloured_where_no_terminal_is() {
    let desk = Desk::ready();
    for line in ["run --all --yes", "config check", "run nosuch", "--help"] {
        let said = desk.sexton(line);
        assert!(!said.stdout.contains('\u{1b}') && !said.stderr.contains('\u{1b}'), "{line}");
    }
}

#[test]
fn a_dry_run_of_what_only_looks_shows_what_the_real_one_shows() {
    //
    let desk = Desk::empty();
    desk.sexton("example e0 e0").ends(0);
    let ran = |mode: &str| {
        desk.sexton(&format!("run stats {mode} --output json --config e0/sexton.toml")).ends(0).json()
    };
    let (dry, real) = (ran("--dry-run"), ran(""));
    assert_eq!(dry["metadata"]["dry_run"], true);
    assert_eq!(real["metadata"]["dry_run"], false);
    assert_eq!(real["stats"]["total_tasks"], 6_000);
    for figure in ["total_tasks", "by_status", "stale_tasks", "status"] {
        assert_eq!(dry["stats"][figure], real["stats"][figure], "{figure}");
    }
}

#[test]
fn what_is_said_of_schemas_and_fleets_is_in_the_contract() {
    let desk = Desk::empty();
    std::fs::create_dir(desk.file("migrations")).unwrap();
    desk.write(
        "migrations/0001_t.sql",
        "-- sexton:up\ncreate table t (id integer);\n-- sexton:down\ndrop table t;\n",
    );
    desk.write(
        "sexton.toml",
        "[database.main]\nurl = \"app.db\"\n[fleet.all]\ndatabases = [\"main\", \"./gone.db\"]\n",
    );
    for (line, name, code) in [
        ("migrate status --fleet all", "Fleet status", 1),
        ("migrate up --fleet all --dry-run", "Fleet status", 1),
        ("migrate up --fleet all", "Fleet run", 5),
        ("migrate diff --database main", "Schema comparison", 0),
    ] {
        let document = desk.sexton(&format!("{line} --output json")).ends(code).json();
        assert_fits(&desk, name, &document);
    }
    desk.place
        .script("create table more (id integer); create index t_id on t (id); alter table t add column n");
    let document = desk.sexton("migrate diff --database main --output json").ends(5).json();
    assert_fits(&desk, "Schema comparison", &document);
}
