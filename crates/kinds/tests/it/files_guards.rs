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

/// A store of pictures, and a table whose rows say `said` about each of `used`.
fn pictures(stage: &Stage, used: u32, said: impl Fn(u32) -> String) -> Json {
    let store = stage.workshop.store();
    std::fs::remove_dir_all(store.join("planner-1")).unwrap();
    std::fs::remove_dir_all(store.join("planner-9")).unwrap();
    for n in 0..80 {
        file(&store, &format!("media/docs/{n}.png"), 1);
    }
    stage.place.script("create table pictures (id integer primary key, path text)");
    for n in 0..used {
        stage.place.script(&format!("insert into pictures values ({n}, '{}')", said(n)));
    }
    settle(&store);
    json!({"store": "store", "references": [{"table": "pictures", "column": "path", "form": "path"}], "ignore": ["planner-*"]})
}

#[test]
fn rows_none_of_which_means_a_file_that_is_there_are_those_of_another_place() {
    // W-017: whatever the form, and also where every path leads out
    both(|stage| {
        let mut options = pictures(stage, 20, |n| format!("../media/docs/{n}.png"));
        is_refused(stage, options.clone(), "nothing_matches");
        let plan = stage.plan_files(options.clone());
        assert!(codes(&plan).contains(&"elsewhere"), "{:?}", codes(&plan));
        options["references"][0]["form"] = "text".into();
        is_refused(stage, options, "nothing_matches");
    });
}

#[test]
fn a_relative_path_that_leaves_the_base_has_its_finding() {
    // W-124
    both(|stage| {
        let mut options = pictures(stage, 80, |n| match n {
            3 => "../docs/3.png".to_owned(),
            4 => "../../../etc/passwd".to_owned(),
            n => format!("docs/{n}.png"),
        });
        options["base"] = "media".into();
        let plan = stage.plan_files(options);
        let out = plan.items[0].findings.iter().find(|finding| finding.code == "elsewhere").unwrap();
        assert!(out.what.starts_with("2 references lead out"), "{out:?}");
    });
}

#[test]
fn a_folder_at_any_depth_of_which_everything_would_go_is_told() {
    // W-017, W-124
    both(|stage| {
        let options = pictures(stage, 80, |n| format!("media/docs/{n}.png"));
        for n in 0..15 {
            file(&stage.workshop.store(), &format!("media/avatars/small/{n}.png"), 1);
        }
        settle(&stage.workshop.store());
        is_refused(stage, options.clone(), "whole_folder");
        let plan = stage.plan_files_with(options, |manners| manners.max_percent = 20.0);
        let told: Vec<&str> = plan.items[0]
            .findings
            .iter()
            .filter(|finding| finding.code == "whole_folder")
            .map(|finding| finding.object.as_str())
            .collect();
        assert_eq!(told, ["store/media/avatars"]);
    });
}

#[test]
fn the_folder_of_one_thing_that_is_gone_goes_as_a_whole() {
    both(|stage| {
        let options = pictures(stage, 80, |n| format!("media/docs/{n}.png"));
        for n in 0..12 {
            file(&stage.workshop.store(), &format!("media/albums/1{n}/x.png"), 1);
            file(&stage.workshop.store(), &format!("media/docs/77/{n}.png"), 1);
        }
        for n in 0..12 {
            stage.place.script(&format!("insert into pictures values (10{n}, 'media/albums/1{n}/x.png')"));
        }
        settle(&stage.workshop.store());
        let plan = stage.plan_files_with(options, |manners| manners.max_percent = 20.0);
        assert_eq!((all_found(&plan).len(), codes(&plan)), (12, vec![]));
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
