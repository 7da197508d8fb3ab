//! The function-agent system from its shipped configuration alone: every command, and every setting it names.

use crate::kit::Desk;
use serde_json::{Value as Json, json};
use testkit::Place;

const CONFIG: &str = "--config e0/sexton.toml";

/// The example, unpacked.
fn unpacked() -> Desk {
    let desk = Desk::empty();
    desk.sexton("example e0 e0").ends(0);
    desk
}

/// The example with the file as it was before its first migration, and more in it.
fn before_migrations(more: &str) -> Desk {
    let desk = unpacked();
    let legacy = Place::sqlite();
    legacy.script(&std::fs::read_to_string(desk.file("e0/schema.legacy.sql")).unwrap());
    legacy.script(more);
    std::fs::copy(legacy.url(), desk.file("e0/app.db")).unwrap();
    desk
}

/// Changes one place of the configuration.
fn change(desk: &Desk, from: &str, to: &str) {
    let config = std::fs::read_to_string(desk.file("e0/sexton.toml")).unwrap();
    assert!(config.contains(from), "the example does not say `{from}`");
    desk.write("e0/sexton.toml", &config.replace(from, to));
}

/// One operation, as R1 tells of it.
fn told(desk: &Desk, operation: &str, code: i32) -> Json {
    let report = desk.sexton(&format!("run {operation} --yes --output json {CONFIG}")).ends(code).json();
    report[operation].clone()
}

#[test]
fn every_command_works_with_the_shipped_configuration_alone() {
    // S0-001, S0-096, S0-101: from the file before its first migration
    let desk = before_migrations(
        "insert into workers (worker_id, planner_id) values ('worker-lost', 'planner-gone')",
    );
    assert_eq!(told(&desk, "migration-check", 5)["status"], "partial");
    assert_eq!(told(&desk, "schema", 0)["status"], "completed");
    assert_eq!(told(&desk, "migration-check", 0)["status"], "completed");
    let check = told(&desk, "integrity-check", 5);
    assert!(check.to_string().contains("worker-lost"), "{check:#}");

    // The other commands with the file in use; the last of them are groups.
    let desk = unpacked();
    let shipped = std::fs::read(desk.file("e0/sexton.toml")).unwrap();
    for operation in [
        "cleanup-files",
        "remove-files",
        "detect-stale",
        "requeue-failed",
        "cleanup-tasks",
        "deep-cleanup",
        "stats",
        "performance",
        "backup",
        "convert-plans",
        "optimize-db",
        "optimize-indexes",
    ] {
        let one = told(&desk, operation, 0);
        assert!(["completed", "skipped"].contains(&one["status"].as_str().unwrap()), "{one:#}");
    }
    for (group, code) in [("daily", 0), ("weekly", 5), ("monthly", 0)] {
        desk.sexton(&format!("run {group} --yes {CONFIG}")).ends(code);
    }
    let listed = desk.sexton(&format!("plan --all --output json {CONFIG}")).ends(0).json();
    assert_eq!(
        listed["items"].as_array().unwrap().len(),
        15,
        "an operation of the example is not tried above"
    );
    assert_eq!(std::fs::read(desk.file("e0/sexton.toml")).unwrap(), shipped);
}

#[test]
fn the_version_of_the_schema_is_a_setting() {
    // S0-109: database_schema_version
    let desk = before_migrations("select 1");
    change(&desk, "target = \"2\"", "target = \"1\"");
    told(&desk, "schema", 0);
    told(&desk, "migration-check", 0);
    change(&desk, "target = \"1\"", "target = \"2\"");
    told(&desk, "migration-check", 5);
}

#[test]
fn the_folder_of_the_files_is_a_setting() {
    // S0-109: collaterals_base_path
    let desk = unpacked();
    let found = told(&desk, "cleanup-files", 0)["cleanup"]["removed_directories"].clone();
    assert_eq!(found.as_array().unwrap().len(), 3);
    change(&desk, "folder = \"collaterals\"", "folder = \"others\"");
    std::fs::create_dir_all(desk.file("e0/others/planner-999")).unwrap();
    desk.write("e0/others/planner-999/notes.txt", "kept for long enough");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(24 * 30);
    for old in ["e0/others/planner-999/notes.txt", "e0/others/planner-999"] {
        std::fs::File::open(desk.file(old)).unwrap().set_modified(long_ago).unwrap();
    }
    let found = told(&desk, "cleanup-files", 0)["cleanup"]["removed_directories"].clone();
    assert!(found.as_array().unwrap().len() == 1 && found.to_string().contains("planner-999"), "{found}");
}

#[test]
fn the_names_of_the_expected_files_are_settings() {
    // S0-109: execution_plan_model_filename, current_task_filename
    let desk = unpacked();
    let orphans = |desk: &Desk| told(desk, "cleanup-files", 0)["orphans"]["orphaned_json_files"].clone();
    let before = orphans(&desk);
    change(&desk, "\"current_task.json\"]", "\"task_now.json\"]");
    let after = orphans(&desk);
    assert!(!before.to_string().contains("current_task.json"), "{before}");
    assert!(after.to_string().contains("planner-1/current_task.json"), "{after}");
    change(
        &desk,
        "execution_plan_model_filename = \"execution_plan_model.json\" }",
        "execution_plan_model_filename = \"model.json\" }",
    );
    assert_eq!(told(&desk, "convert-plans", 0)["status"], json!("completed"));
    assert!(desk.file("e0/collaterals/planner-101/model.json").is_file());
    assert!(!desk.file("e0/collaterals/planner-101/execution_plan_model.json").exists());
}
