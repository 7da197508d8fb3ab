//! The example systems that ship with the program, run as their users run them, on both databases.

use crate::kit::Desk;
use serde_json::Value as Json;
use testkit::Place;

/// The example on both databases, each at a desk of its own.
pub fn on_both(example: &str, variable: &str, test: impl Fn(&Desk)) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(example);
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    for place in [Place::sqlite(), Place::postgres()] {
        let back_end = if place.is_sqlite() { "sqlite" } else { "postgres" };
        place.script(&read(&format!("schema.{back_end}.sql")));
        place.script(&read(&format!("seed.{back_end}.sql")));
        let url = place.url().to_owned();
        let mut desk = Desk::at(place);
        desk.write("sexton.toml", &read("sexton.toml"));
        desk.set(variable, &url);
        test(&desk);
    }
}

/// The rows of each operation.
fn processed(report: &Json) -> Vec<(String, u64)> {
    let operations = report.as_object().unwrap().iter().filter(|(name, _)| *name != "metadata");
    operations.map(|(name, one)| (name.clone(), one["rows_processed"].as_u64().unwrap())).collect()
}

#[test]
fn the_web_application_keeps_what_it_must() {
    // S1-017, S1-018, S1-021, S1-022, S1-024, S1-025, S1-027, S1-068, S1-069, S1-083, S1-084, X-33, W-112
    on_both("e1", "E1_DATABASE", |desk| {
        let before = desk.sexton("digest").ends(0).stdout;
        let preview = desk.sexton("run --all --dry-run --output json").ends(0).json();
        assert_eq!(desk.sexton("digest").ends(0).stdout, before, "S1-045: a dry run writes nothing");
        let report = desk.sexton("run --all --yes --output json").ends_well_but_for("bloat").json();
        let wanted = [("cleanup", 1_740 + 70 + 125), ("logs", 12_281 + 6_000), ("sessions", 1_502)];
        let of_rows = |report: &Json| -> Vec<(String, u64)> {
            processed(report)
                .into_iter()
                .filter(|(name, _)| wanted.iter().any(|(known, _)| known == name))
                .collect()
        };
        assert_eq!(of_rows(&report), wanted.map(|(name, rows)| (name.to_owned(), rows)));
        assert_eq!(of_rows(&preview), of_rows(&report));
        let details = &report["logs"]["details"];
        assert_eq!(
            (&details["Audit Logs"]["deleted"], &details["Audit Logs"]["days"]),
            (&12_281.into(), &90.0.into())
        );
        assert_eq!(
            (&details["Task Logs"]["deleted"], &details["Task Logs"]["days"]),
            (&6_000.into(), &30.0.into())
        );
        let again = desk.sexton("run sessions --output json").ends(0).json();
        assert_eq!(again["sessions"]["rows_processed"], 0);
    });
}

#[test]
fn audit_rows_are_archived_before_they_are_deleted() {
    // X-17, W-058
    on_both("e1", "E1_DATABASE", |desk| {
        let report = desk.sexton("run logs --yes --output json").ends(0).json();
        assert_eq!(report["logs"]["details"]["Audit Logs"]["archived"], 12_281);
        assert!(desk.file("archive").is_dir());
        let run = report["metadata"]["run_id"].as_str().unwrap().to_owned();
        desk.sexton(&format!("undo drop {run} --yes")).ends(0);
        desk.sexton(&format!("restore-archive archive {run} --yes")).ends(0);
        assert_eq!(desk.count("core_auditlog"), 40_000);
    });
}

#[test]
fn the_application_is_told_of_runs_that_changed_or_failed() {
    // S1-040, S1-041, S1-042, X-45
    on_both("e1", "E1_DATABASE", |desk| {
        let ours = |more: &str| {
            desk.count(&format!("core_taskexecutionlog where task_name = 'database_maintenance' and {more}"))
        };
        desk.sexton("run sessions --dry-run").ends(0);
        assert_eq!(ours("1 = 1"), 0);
        let said = desk.sexton("run sessions --output json").ends(0).json();
        let results = "select result from core_taskexecutionlog where task_name = 'database_maintenance'";
        let told = desk.place.rows(results);
        let targets::db::Value::Text(told) = &told[0][0] else { panic!("no report: {told:?}") };
        assert_eq!(serde_json::from_str::<Json>(told).unwrap(), said);
        assert_eq!(
            ours(
                "status = 'success' and error is null and duration_seconds >= 0 and finished_at >= started_at"
            ),
            1
        );
        desk.sexton("run logs --yes --max-percent 1").ends(3);
        assert_eq!(ours("status = 'failed' and error like '%would go%'"), 1);
        let told = desk.place.rows(&format!("{results} and status = 'failed'"));
        let targets::db::Value::Text(told) = &told[0][0] else { panic!("no report: {told:?}") };
        let told: Json = serde_json::from_str(told).unwrap();
        assert_eq!(told["logs"]["status"], "refused");
    });
}

#[test]
fn the_learning_platform_loses_what_is_over() {
    // S2-006, S2-007, S2-008, S2-014: four tables, rows on each side of now and of a year
    on_both("e2", "E2_DATABASE", |desk| {
        let preview = desk.sexton("run daily weekly --dry-run --output json").ends(0).json();
        let report = desk.sexton("run daily weekly --yes --output json").ends(0).json();
        let wanted = [
            ("expired_tokens", 2_000),
            ("cached_data", 1_121),
            ("old_logs", 2_820),
            ("orphaned_achievements", 198),
            ("orphaned_leaderboard", 60),
            ("orphaned_prerequisites", 12),
            ("orphaned_progress", 282),
        ];
        let mut wanted: Vec<_> = wanted.map(|(name, rows)| (name.to_owned(), rows)).into();
        wanted.sort();
        let mut done = processed(&report);
        done.sort();
        assert_eq!(done, wanted);
        assert_eq!(processed(&preview), processed(&report));
        // tokens and caches are worth nothing, logs come back
        assert_eq!(report["expired_tokens"]["undo_id"], Json::Null);
        desk.sexton("undo latest").ends(0);
        assert_eq!(desk.count("api_logs"), 20_040);
        assert_eq!(desk.count("refresh_tokens"), 1_000);
    });
}

#[test]
fn a_plan_says_how_long_it_takes_whether_it_needs_a_backup_and_what_it_changes() {
    // S2-080, S2-098, S1-051: expected and real duration both in the report
    on_both("e1", "E1_DATABASE", |desk| {
        let text = desk.sexton("plan --all").ends(0).stdout;
        for (name, expected) in [("cleanup", "10 min 0 s"), ("logs", "5 min 0 s"), ("sessions", "60 s")] {
            let own = &text[text.find(&format!("plan   {name} on")).unwrap()..];
            let own = &own[..own[4..].find("plan   ").map_or(own.len(), |end| end + 4)];
            assert!(own.contains(&format!("expected   {expected}")), "{own}");
            assert!(own.contains("backup     none is needed") && own.contains(" rows in "), "{own}");
        }
        let report = desk.sexton("run sessions --output report").ends(0).json();
        assert_eq!(report["operations"][0]["expected_seconds"], 60.0);
        assert!(report["operations"][0]["duration_seconds"].as_f64().unwrap() < 60.0);
    });
}
