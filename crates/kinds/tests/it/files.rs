//! Stories of `files`: what E0's store looks like, what goes, what stays, what comes back.

use crate::files_kit::*;
use crate::stage::{Stage, codes};
use engine::Status;
use serde_json::json;
use testkit::Story;

#[test]
fn orphans_of_every_class_go_and_come_back_to_the_bit_whatever_dies_in_between() {
    // S0-053, W-025, W-065, X-38
    let few = |store: &std::path::Path| {
        file(store, "planner-1/variables/a.pkl", 10);
        file(store, "planner-1/variables/lost.pkl", 100);
        file(store, "planner-9/variables/deep/y.pkl", 1_000);
        settle(store);
    };
    tale(json!({"classes": [{"class": "orphaned_variables", "glob": "variables/*.pkl"}]}))
        .stocked(few)
        .after(|_, report| {
            assert_eq!(report.operations[0].rows_deleted, 2, "{report:#?}");
            assert!(report.operations[0].undo_id.is_some());
        })
        .tell();
    tale(json!({})).without_faults().tell();
}

#[test]
fn the_findings_are_exactly_those_of_the_layout() {
    // S0-042, S0-043, S0-044, S0-045, S0-046, S0-047, S0-048, S0-050, S0-051, W-019, R3a
    both(|stage| {
        let before = tree(stage);
        std::fs::create_dir_all(stage.workshop.store().join("planner-2/empty")).unwrap();
        settle(&stage.workshop.store());
        let plan = stage.plan_files(options(json!({})));
        let wanted = json!({
            "orphaned_directories": ["planner-9"],
            "orphaned_variables": ["planner-1/variables/lost.pkl", "planner-2/variables/gone.pkl"],
            "orphaned_images": ["planner-1/images/lost.b64"],
            "orphaned_json_files": ["planner-1/x.json"],
        });
        assert_eq!(result(&plan)["orphans"], wanted);
        std::fs::remove_dir(stage.workshop.store().join("planner-2/empty")).unwrap();
        assert_eq!(tree(stage), before, "looking changed something");
        settle(&stage.workshop.store());

        stage.place.script("delete from planners where planner_id = 'planner-2'");
        let plan = stage.plan_files(options(json!({})));
        assert_eq!(
            found(&plan, "orphaned_directories"),
            ["planner-9"],
            "a worker refers to a file of planner-2"
        );
        assert!(codes(&plan).contains(&"referenced_inside"), "{:?}", codes(&plan));
        stage.place.script("delete from workers");
        let plan = stage.plan_files(options(json!({})));
        assert_eq!(found(&plan, "orphaned_directories"), ["planner-2", "planner-9"]);
    });
}

#[test]
fn a_dry_run_and_a_run_tell_the_same_and_sizes_are_those_of_the_files() {
    // S0-052, S0-054, S0-055, S0-056, R3b
    both(|stage| {
        let plan = stage.plan_files(options(json!({})));
        let mut dry = plan.clone();
        dry.request.dry_run = true;
        let before = tree(stage);
        let dry = stage.run_planned(&dry);
        assert_eq!(tree(stage), before);
        let wet = stage.run_planned(&plan);
        assert_eq!(dry.operations[0].result, wet.operations[0].result);
        assert_eq!(dry.operations[0].rows_deleted, wet.operations[0].rows_deleted);
        let wanted = json!({
            "removed_directories": [{"path": "planner-9", "size_bytes": 1_024}],
            "removed_files": [
                {"path": "planner-1/variables/lost.pkl", "size_bytes": 100},
                {"path": "planner-2/variables/gone.pkl", "size_bytes": 50},
                {"path": "planner-1/images/lost.b64", "size_bytes": 200},
                {"path": "planner-1/x.json", "size_bytes": 300},
            ],
            "errors": [],
            "total_space_freed": 1_674,
        });
        assert_eq!(wet.operations[0].result.as_ref().unwrap()["cleanup"], wanted);
        for name in ["planner-9", "planner-1/x.json", "planner-1/images/lost.b64"] {
            assert!(!there(stage, name), "{name} is still there");
        }
        for name in ["planner-1/variables/a.pkl", "planner-2/variables/w.pkl", "planner-1/current_task.json"]
        {
            assert!(there(stage, name), "{name} is gone");
        }
        assert_eq!(stage.run_files(options(json!({}))).operations[0].rows_deleted, 0);
    });
}

#[test]
fn the_figures_of_the_store_are_counted_at_any_depth() {
    // S0-059, R3e
    both(|stage| {
        let figures = result(&stage.plan_files(options(json!({})))).clone()["statistics"].clone();
        assert_eq!(
            figures,
            json!({"total_size": 50 + 600 + 70 + 1_024, "file_count": 12, "directory_count": 8})
        );
        let figures = result(&stage.plan_files(options(json!({"base": "nowhere"})))).clone();
        assert_eq!(figures["statistics"], json!({"total_size": 0, "file_count": 0, "directory_count": 0}));
        assert_eq!(figures["orphans"]["orphaned_directories"], json!([]));
    });
}

#[test]
fn another_base_can_be_named_for_one_run() {
    // S0-041
    both(|stage| {
        let store = stage.workshop.store();
        for entry in std::fs::read_dir(&store).unwrap().flatten() {
            std::fs::create_dir_all(store.join("deeper")).unwrap();
            std::fs::rename(entry.path(), store.join("deeper").join(entry.file_name())).unwrap();
        }
        settle(&store);
        let plan = stage.plan_files(options(json!({"base": "deeper"})));
        assert_eq!(found(&plan, "orphaned_directories"), ["deeper/planner-9"]);
        let report = stage.run_planned(&plan);
        assert_eq!(report.operations[0].rows_deleted, 5);
        assert!(!there(stage, "deeper/planner-9") && there(stage, "deeper/planner-1/variables/a.pkl"));
        stage.undo(&report.run_id);
        assert!(there(stage, "deeper/planner-9/variables/deep/y.pkl"));
    });
}

#[test]
fn what_was_brought_back_is_not_swept_again_until_it_is_released() {
    both(|stage| {
        let report = stage.run_files(options(json!({})));
        stage.undo(&report.run_id);
        let plan = stage.plan_files(options(json!({})));
        assert_eq!(all_found(&plan), [""; 0]);
        assert_eq!(plan.items[0].steps.iter().map(|step| step.exempt).sum::<u64>(), 5);
        stage.engine().end_all_exemptions("test", "tester").unwrap();
        assert_eq!(all_found(&stage.plan_files(options(json!({})))).len(), 5);
    });
}

#[test]
fn an_undo_never_overwrites_a_file_that_took_the_name() {
    both(|stage| {
        let report = stage.run_files(options(json!({})));
        file(&stage.workshop.store(), "planner-1/x.json", 7);
        let undone = stage.undo(&report.run_id);
        assert_eq!(undone.status, Status::Partial, "{undone:#?}");
        assert_eq!((undone.operations[0].rows_restored, undone.operations[0].rows_failed), (4, 1));
        assert!(
            undone.warnings.iter().any(|text| text.contains("planner-1/x.json")),
            "{:?}",
            undone.warnings
        );
        let path = stage.workshop.store().join("planner-1/x.json");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 7, "the new file was overwritten");
        std::fs::remove_file(&path).unwrap();
        let again = stage.undo(&report.run_id);
        assert_eq!((again.status, again.operations[0].rows_restored), (Status::Completed, 1));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 300);
    });
}

#[test]
fn the_quarantine_says_what_is_in_it_and_goes_with_its_undo_point() {
    //
    both(|stage| {
        let report = stage.run_files(options(json!({})));
        let engine = stage.engine();
        let point = engine.undo_points("test").unwrap().remove(0);
        let kept = point.expires_at.unwrap().as_second() - point.created_at.as_second();
        assert!((7 * 86_400 - 60..=7 * 86_400).contains(&kept), "kept for {kept} s");
        assert_eq!(engine.undo_files("test", &point.id, 100).unwrap().len(), 5);
        let folder = stage.workshop.store().join(".sexton-quarantine").join(&report.run_id);
        let manifest = std::fs::read_to_string(folder.join("manifest-000001.jsonl")).unwrap();
        let line: serde_json::Value = serde_json::from_str(manifest.lines().next().unwrap()).unwrap();
        assert_eq!((&line["path"], &line["bytes"]), (&json!("planner-9"), &json!(1_024)));
        assert!(folder.join("files/planner-9/variables/deep/y.pkl").is_file());
        let again = stage.plan_files(options(json!({})));
        assert_eq!(result(&again)["statistics"]["file_count"], 6, "the quarantine is not part of the store");
        engine.drop_undo("test", &report.run_id, "tester").unwrap();
        assert!(!stage.workshop.store().join(".sexton-quarantine").exists());
        assert_eq!(stage.place.leftovers(), Vec::<String>::new());
    });
}

#[test]
fn the_quarantine_is_emptied_when_its_time_is_over() {
    //
    both(|stage| {
        stage.run_files(options(json!({"quarantine": "2 days"})));
        let later = |hours: i64| {
            let at = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours);
            stage.workshop.engine_at(std::sync::Arc::new(engine::SetClock::moving(at)))
        };
        assert_eq!(later(47).drop_expired_undo("test", "tester").unwrap(), 0);
        assert!(there(stage, ".sexton-quarantine"));
        assert_eq!(later(49).drop_expired_undo("test", "tester").unwrap(), 1);
        assert!(!there(stage, ".sexton-quarantine") && !there(stage, "planner-9"));
    });
}

#[test]
fn without_a_quarantine_files_are_gone_after_the_run() {
    //
    both(|stage| {
        let plan = stage.plan_files(options(json!({"quarantine": "off"})));
        assert_eq!(plan.items[0].undo, engine::Undo::Nothing);
        assert!(plan.items[0].steps[0].way.contains("for good"));
        let report = stage.run_planned(&plan);
        assert_eq!((report.status, report.operations[0].rows_deleted), (Status::Completed, 5), "{report:#?}");
        assert_eq!(report.operations[0].undo_id, None);
        assert!(!there(stage, "planner-9") && !there(stage, ".sexton-quarantine"));
    });
}

#[test]
fn an_operation_that_only_reports_moves_nothing_in_a_run() {
    // S0-052, S0-098
    both(|stage| {
        let before = tree(stage);
        let report = stage.run_files(options(json!({"dry_run": true})));
        assert_eq!((report.status, report.operations[0].rows_matched), (Status::Completed, 5), "{report:#?}");
        assert_eq!(report.operations[0].rows_deleted, 0);
        assert_eq!(tree(stage), before);
        assert_eq!(report.operations[0].result.as_ref().unwrap()["cleanup"]["total_space_freed"], 1_674);
    });
}

#[test]
fn uploads_without_a_row_and_old_temporary_files_go() {
    // S2-010, W-075
    let options = json!({
        "store": "store",
        "references": [{"table": "uploads", "column": "path", "where": "t.status = 'attached'"}],
        "temporary": [{"glob": "tmp/**", "older_than": "1 day"}],
    });
    let story = Story::new(kinds::catalogue(), "files", options.clone())
        .stocked(|store| {
            file(store, "a/used.png", 1);
            file(store, "a/left.png", 2);
            file(store, "a/never.png", 3);
            file_aged(store, "a/fresh.png", 4, std::time::Duration::from_secs(60));
            file(store, "tmp/new.part", 5);
            file_aged(store, "tmp/deep/old.part", 6, std::time::Duration::from_secs(30 * 3600));
        })
        .given(|place| {
            place.script(
                "create table uploads (id bigint primary key, path varchar(500) not null unique, status text not null);
                 insert into uploads values (1, 'a/used.png', 'attached'), (2, 'a/left.png', 'temporary')",
            );
        });
    story
        .after(|_, report| {
            let done = report.operations[0].result.as_ref().unwrap();
            assert_eq!(done["orphans"]["orphaned_files"], json!(["a/left.png", "a/never.png"]));
            assert_eq!(done["orphans"]["temporary_files"], json!(["tmp/deep/old.part"]));
        })
        .without_faults()
        .tell();
}

#[test]
fn more_files_than_a_run_may_move_wait_for_the_next() {
    both(|stage: &Stage| {
        let plan = stage.plan_files(options(json!({"max_files": 2})));
        assert!(codes(&plan).contains(&"max_files"));
        assert_eq!(stage.run_planned(&plan).operations[0].rows_deleted, 2);
        assert_eq!(stage.run_files(options(json!({"max_files": 2}))).operations[0].rows_deleted, 2);
        assert_eq!(stage.run_files(options(json!({"max_files": 2}))).operations[0].rows_deleted, 1);
    });
}
