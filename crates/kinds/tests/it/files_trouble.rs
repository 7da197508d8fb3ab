//! Files that change, vanish, resist or are fought over between the look and the move.

use crate::files_kit::*;
use crate::stage::{Stage, codes};
use engine::Status;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use targets::db::Error;
use testkit::story;

#[test]
fn a_young_file_stays_whatever_the_rows_say() {
    // W-020, W-075
    both(|stage| {
        let store = stage.workshop.store();
        file_aged(&store, "planner-1/variables/fresh.pkl", 5, std::time::Duration::from_secs(60));
        file_aged(&store, "planner-9/variables/fresh.pkl", 5, std::time::Duration::from_secs(60));
        settle(&store);
        let plan = stage.plan_files(options(json!({})));
        assert!(
            !all_found(&plan).iter().any(|name| name.contains("fresh") || name == "planner-9"),
            "{:?}",
            all_found(&plan)
        );
        assert_eq!(result(&plan)["young_count"], 2);
        let plan = stage.plan_files(options(json!({"min_age": "10 seconds"})));
        assert_eq!(all_found(&plan).len(), 6);
    });
}

#[test]
fn what_changed_since_the_plan_stays_and_what_vanished_is_not_missed() {
    // W-020, S0-057
    both(|stage| {
        let plan = stage.plan_files(options(json!({})));
        let store = stage.workshop.store();
        std::fs::write(store.join("planner-1/x.json"), "written again").unwrap();
        std::fs::remove_file(store.join("planner-1/images/lost.b64")).unwrap();
        file(&store, "planner-9/variables/new.pkl", 1);
        let report = stage.run_planned(&plan);
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        assert_eq!((report.operations[0].rows_deleted, report.operations[0].rows_skipped), (2, 3));
        assert!(there(stage, "planner-1/x.json") && there(stage, "planner-9/variables/new.pkl"));
        let done = report.operations[0].result.as_ref().unwrap();
        assert_eq!(done["cleanup"]["total_space_freed"], 150);
        assert_eq!(done["cleanup"]["removed_directories"], json!([]));
    });
}

#[test]
fn what_a_row_refers_to_since_the_plan_stays() {
    // W-020
    both(|stage| {
        let plan = stage.plan_files(options(json!({})));
        stage.place.script("update planners set variable_file_paths = '[\"planner-2/variables/gone.pkl\"]' where planner_id = 'planner-2'");
        stage.place.script("insert into planners (planner_id) values ('planner-9')");
        let report = stage.run_planned(&plan);
        assert_eq!(
            (report.operations[0].rows_deleted, report.operations[0].rows_skipped),
            (3, 2),
            "{report:#?}"
        );
        assert!(there(stage, "planner-2/variables/gone.pkl") && there(stage, "planner-9/current_task.json"));
    });
}

#[test]
fn a_file_that_cannot_be_moved_is_one_error_and_the_rest_goes_on() {
    // S0-057
    let hook = |_: &std::path::Path, what: &str, name: &str| match (what, name) {
        ("move", "planner-1/x.json") => {
            Err(Error::system("cannot move `planner-1/x.json`: operation not permitted"))
        }
        _ => Ok(()),
    };
    both_odd(hook, |stage| {
        let report = stage.run_files(options(json!({})));
        assert_eq!(report.status, Status::Partial, "{report:#?}");
        assert_eq!((report.operations[0].rows_deleted, report.operations[0].rows_failed), (4, 1));
        let cleanup = &report.operations[0].result.as_ref().unwrap()["cleanup"];
        assert_eq!(cleanup["errors"].as_array().unwrap().len(), 1);
        assert!(cleanup["errors"][0].as_str().unwrap().starts_with("planner-1/x.json: "), "{cleanup}");
        assert_eq!(cleanup["total_space_freed"], 1_374);
        assert!(there(stage, "planner-1/x.json") && !there(stage, "planner-9"));
        let undone = stage.undo(&report.run_id);
        assert_eq!((undone.status, undone.operations[0].rows_restored), (Status::Completed, 4));
    });
}

#[test]
fn a_folder_that_becomes_a_link_before_the_move_leads_nowhere() {
    // W-023
    let done = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&done);
    let hook = move |store: &std::path::Path, what: &str, name: &str| {
        if what == "move" && name == "planner-2/variables/gone.pkl" {
            let outside = store.parent().unwrap().join("outside");
            if !outside.exists() {
                file(&outside, "gone.pkl", 50);
                std::fs::rename(store.join("planner-2/variables"), store.join("planner-2/aside")).unwrap();
                std::os::unix::fs::symlink(&outside, store.join("planner-2/variables")).unwrap();
            }
            flag.store(true, Ordering::SeqCst);
        }
        Ok(())
    };
    both_odd(hook, |stage| {
        let report = stage.run_files(options(json!({})));
        assert!(done.swap(false, Ordering::SeqCst), "the race did not happen");
        assert_eq!(report.operations[0].rows_failed, 1, "{report:#?}");
        assert!(stage.workshop.folder().join("outside/gone.pkl").is_file(), "a file outside was taken");
        assert!(there(stage, "planner-2/aside/gone.pkl"));
    });
}

#[test]
fn two_runs_at_once_over_one_store_move_each_file_once() {
    both(|stage| {
        let other = Stage::new(testkit::Place::sqlite());
        other.place.script(SQLITE);
        other.place.script(ROWS);
        let store = stage.workshop.store();
        let other = other.storing(Arc::new(Same(store.clone())));
        let plans = (stage.plan_files(options(json!({}))), other.plan_files(options(json!({}))));
        let (first, second) = std::thread::scope(|scope| {
            let first = scope.spawn(|| stage.run_planned(&plans.0));
            let second = scope.spawn(|| other.run_planned(&plans.1));
            (first.join().unwrap(), second.join().unwrap())
        });
        let moved = first.operations[0].rows_deleted + second.operations[0].rows_deleted;
        assert_eq!(moved, 5, "{first:#?}{second:#?}");
        stage.undo(&first.run_id);
        if second.operations[0].rows_deleted > 0 {
            other.undo(&second.run_id);
        }
        for name in ["planner-9/variables/deep/y.pkl", "planner-1/x.json", "planner-2/variables/gone.pkl"] {
            assert!(there(stage, name), "{name} is lost");
        }
    });
}

struct Same(std::path::PathBuf);

impl engine::Stores for Same {
    fn store(&self, _name: &str) -> engine::Result<Arc<dyn targets::files::Files>> {
        Ok(Arc::new(backends::local_files::LocalFiles::new("store", &self.0)))
    }
}

#[test]
fn a_run_that_died_after_a_move_is_told_of_and_goes_on_where_it_was() {
    both(|stage| {
        let plan = stage.plan_files(options(json!({})));
        let mut died_after_a_move = 0;
        for nth in 1..60 {
            let engine = stage.engine();
            engine.faults().arm(nth);
            let outcome = engine.run(&plan, &engine::Stop::default(), &mut |_| {});
            drop(engine);
            if outcome.is_ok() {
                break;
            }
            let waits = stage.workshop.store().join(".sexton-quarantine").is_dir();
            if !waits || there(stage, "planner-9") {
                if story::resumed(&stage.engine(), "latest").is_ok() {
                    put_back(stage);
                }
                continue;
            }
            let told = stage.plan_files(options(json!({})));
            let known = !stage.engine().undo_points("test").unwrap().is_empty();
            assert_eq!(codes(&told).contains(&"quarantine"), !known, "{:?}", codes(&told));
            died_after_a_move += 1;
            let engine = stage.engine();
            // A run that died after its last event is over.
            let report = story::resumed(&engine, "latest")
                .unwrap_or_else(|_| engine.run_record("latest").unwrap().report());
            assert_eq!(report.operations[0].rows_deleted, 5, "at point {nth}: {report:#?}");
            put_back(stage);
        }
        assert!(died_after_a_move > 3, "only {died_after_a_move}");
    });
}

#[test]
fn a_file_that_a_row_refers_to_after_its_move_was_not_committed_comes_back() {
    // W-020
    both(|stage| {
        let plan = stage.plan_files(options(json!({})));
        let mut met = 0;
        for nth in 1..40 {
            let engine = stage.engine();
            engine.faults().arm(nth);
            let died = engine.run(&plan, &engine::Stop::default(), &mut |_| {}).is_err();
            drop(engine);
            assert!(died, "no point was reached between a move and its commit");
            let gone = !there(stage, "planner-9");
            if gone && stage.engine().undo_points("test").unwrap().is_empty() {
                stage.place.script("insert into planners (planner_id) values ('planner-9')");
                let report = story::resumed(&stage.engine(), "latest").unwrap();
                assert_eq!((report.operations[0].rows_deleted, report.operations[0].rows_skipped), (4, 1));
                assert!(there(stage, "planner-9/variables/deep/y.pkl"), "at point {nth}");
                met += 1;
                break;
            }
            let _ = story::resumed(&stage.engine(), "latest");
            if stage
                .engine()
                .run_record("latest")
                .is_ok_and(|run| run.report().operations[0].undo_id.is_some())
            {
                put_back(stage);
            }
        }
        assert_eq!(met, 1);
    });
}

fn put_back(stage: &Stage) {
    stage.undo("latest");
    story::forget(&stage.engine());
    assert!(there(stage, "planner-9/variables/deep/y.pkl") && there(stage, "planner-1/x.json"));
}
