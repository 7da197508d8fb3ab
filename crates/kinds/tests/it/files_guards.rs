//! When what was found is more likely a mistake: nothing is moved, and the reason is told.

use crate::files_kit::*;
use crate::stage::{Stage, codes};
use engine::Status;
use serde_json::{Value as Json, json};
use targets::db::Error;

/// Runs it and expects a refusal with this code, and an untouched store.
fn is_refused(stage: &Stage, options: Json, code: &str) {
    let before = tree(stage);
    let plan = stage.plan_files_with(options, |manners| manners.max_percent = 20.0);
    assert!(codes(&plan).contains(&code), "no `{code}` among {:?}", codes(&plan));
    let report = stage.run_planned(&plan);
    assert_eq!(report.status, Status::Refused, "{report:#?}");
    assert_eq!(tree(stage), before, "something was moved");
}

#[test]
fn an_empty_table_of_ids_is_the_wrong_database() {
    // W-017
    both(|stage| {
        stage.place.script("delete from planners; delete from workers");
        is_refused(stage, options(json!({})), "empty_references");
    });
}

#[test]
fn ids_that_match_no_folder_are_those_of_another_store() {
    // W-017
    both(|stage| {
        stage.place.script("delete from workers; update planners set planner_id = 'other-' || planner_id");
        is_refused(stage, options(json!({})), "nothing_matches");
    });
}

#[test]
fn a_store_that_no_row_refers_to_is_the_wrong_one() {
    // W-017
    both(|stage| {
        let mut options = options(json!({}));
        options["ids"] = Json::Null;
        options["classes"] = json!([]);
        stage.place.script(
            "update planners set variable_file_paths = null, image_file_paths = null; delete from workers",
        );
        is_refused(stage, options.clone(), "empty_references");
        stage.place.script("update planners set variable_file_paths = '[\"/app/files/a.pkl\"]'");
        is_refused(stage, options, "nothing_matches");
    });
}

#[test]
fn a_large_share_of_orphans_is_refused_unless_it_is_allowed() {
    // W-017, W-124
    both(|stage| {
        for n in 0..12 {
            file(&stage.workshop.store(), &format!("planner-1/variables/lost-{n}.pkl"), 1);
        }
        settle(&stage.workshop.store());
        is_refused(stage, options(json!({})), "share_of_files");
        let plan = stage.plan_files_with(options(json!({})), |manners| manners.max_percent = 95.0);
        assert!(!codes(&plan).contains(&"share_of_files"));
    });
}

#[test]
fn a_folder_of_which_everything_would_go_points_at_a_missing_column() {
    // W-017
    both(|stage| {
        let store = stage.workshop.store();
        for n in 0..60 {
            file(&store, &format!("used/{n}.png"), 1);
        }
        for n in 0..11 {
            file(&store, &format!("avatars/{n}.png"), 1);
        }
        std::fs::remove_dir_all(store.join("planner-9")).unwrap();
        settle(&store);
        let list: Vec<String> = (0..60).map(|n| format!("\"used/{n}.png\"")).collect();
        stage.place.script(&format!("update planners set variable_file_paths = '[{}]'", list.join(",")));
        let options = json!({"store": "store", "ignore": ["planner-*"],
            "references": [{"table": "planners", "column": "variable_file_paths"}]});
        is_refused(stage, options, "whole_folder");
    });
}

#[test]
fn a_missing_base_is_a_warning_or_an_error_and_never_an_orphan() {
    // S0-049, W-125
    both(|stage| {
        let gone = |more: Json| {
            let mut options = options(more);
            options["base"] = "mounted/here".into();
            options
        };
        let plan = stage.plan_files(gone(json!({})));
        assert_eq!((all_found(&plan).len(), codes(&plan)), (0, vec!["missing_base"]));
        assert_eq!(stage.run_planned(&plan).status, Status::Completed);
        is_refused(stage, gone(json!({"must_exist": true})), "missing_base");
    });
}

#[test]
fn an_empty_mount_point_is_told_and_without_its_marker_refused() {
    // W-125
    both(|stage| {
        let store = stage.workshop.store();
        is_refused(stage, options(json!({"marker": ".this-is-it"})), "marker");
        file(&store, ".this-is-it", 0);
        let plan = stage.plan_files(options(json!({"marker": ".this-is-it"})));
        assert_eq!((all_found(&plan).len(), codes(&plan)), (5, vec![]));
        std::fs::remove_dir_all(&store).unwrap();
        std::fs::create_dir(&store).unwrap();
        let plan = stage.plan_files(options(json!({})));
        assert_eq!(all_found(&plan).len(), 0);
        assert!(codes(&plan).contains(&"empty_store") && codes(&plan).contains(&"missing_files"));
    });
}

#[test]
fn a_place_that_cannot_be_looked_at_forbids_every_removal() {
    // W-021, W-026
    let hook = |_: &std::path::Path, what: &str, name: &str| match (what, name) {
        ("walk", "planner-1/images") => Err(Error::system("permission denied")),
        _ => Ok(()),
    };
    both_odd(hook, |stage| {
        let plan = stage.plan_files(options(json!({})));
        assert_eq!(result(&plan)["size_complete"], false);
        is_refused(stage, options(json!({})), "unreadable");
    });
}

#[test]
fn values_that_should_be_json_and_are_not_forbid_every_removal() {
    // W-021
    both(|stage| {
        if stage.place.is_sqlite() {
            stage.place.script("update planners set variable_file_paths = '{\"a\": \"planner-1/va' where planner_id = 'planner-1'");
            is_refused(stage, options(json!({})), "broken_references");
        }
    });
}

#[test]
fn unknown_things_are_told_and_stay() {
    // W-022
    both(|stage| {
        let store = stage.workshop.store();
        for name in [
            ".git/config",
            "lost+found/x",
            "backup-2025/all.tar",
            "loose.txt",
            "planner-1/notes.md",
            "planner-1/other/z.pkl",
        ] {
            file(&store, name, 1);
        }
        settle(&store);
        let plan = stage.plan_files(options(json!({"ignore": [".git"]})));
        let wanted =
            ["backup-2025", "loose.txt", "lost+found", "planner-1/notes.md", "planner-1/other/z.pkl"];
        assert_eq!(result(&plan)["unknown"], json!(wanted));
        assert_eq!(all_found(&plan).len(), 5);
        stage.run_planned(&plan);
        for name in wanted.iter().chain(&[".git/config"]) {
            assert!(there(stage, name), "{name} is gone");
        }
    });
}

#[test]
fn a_file_of_several_names_is_counted_once() {
    // W-026
    both(|stage| {
        let store = stage.workshop.store();
        std::fs::hard_link(
            store.join("planner-1/images/lost.b64"),
            store.join("planner-1/images/lost-2.b64"),
        )
        .unwrap();
        settle(&store);
        let plan = stage.plan_files(options(json!({})));
        assert_eq!(all_found(&plan).len(), 6);
        assert_eq!(result(&plan)["cleanup"]["total_space_freed"], 1_674);
        assert_eq!(result(&plan)["statistics"]["total_size"], 50 + 600 + 70 + 1_024);
    });
}
