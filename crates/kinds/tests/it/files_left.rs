//! Files that were moved by a batch whose commit never came, and nobody goes on with: they are taken back, never lost.

use crate::files_kit::*;
use crate::stage::{Stage, codes};
use engine::Status;
use serde_json::json;
use testkit::story;

const SECOND: &str = "planner-1/variables/lost.pkl";

/// Lets runs die at one point after the other until what is wanted has happened; the id of that run.
fn die_when(stage: &Stage, wanted: impl Fn(&Stage) -> bool) -> String {
    let plan = stage.plan_files(options(json!({})));
    for nth in 1..80 {
        let engine = stage.engine();
        engine.faults().arm(nth);
        let died = engine.run(&plan, &engine::Stop::default(), &mut |_| {}).is_err();
        drop(engine);
        assert!(died, "it never happened");
        if wanted(stage) {
            return stage.engine().run_record("latest").unwrap().id;
        }
        let engine = stage.engine();
        if story::resumed(&engine, "latest").is_ok() || !there(stage, SECOND) {
            stage.undo("latest");
            story::forget(&engine);
        }
    }
    panic!("it did not happen within 80 points");
}

fn points(stage: &Stage) -> usize {
    stage.engine().undo_points("test").unwrap().len()
}

#[test]
fn what_a_dead_run_moved_and_never_committed_is_taken_back_by_the_next_run() {
    both(|stage| {
        let dead = die_when(stage, |stage| !there(stage, "planner-9") && points(stage) == 0);
        let plan = stage.plan_files(options(json!({})));
        assert!(codes(&plan).contains(&"quarantine"), "{:?}", codes(&plan));
        let report = stage.run_planned(&plan);
        assert_eq!((report.status, report.operations[0].rows_deleted), (Status::Completed, 4), "{report:#?}");
        assert!(there(stage, "planner-9/variables/deep/y.pkl"), "it is lost");
        let again = stage.plan_files(options(json!({})));
        assert_eq!(found(&again, "orphaned_directories"), ["planner-9"]);
        assert!(!codes(&again).contains(&"quarantine"), "{:?}", codes(&again));
        stage.undo(&report.run_id);
        // the dead run can go on all the same
        let resumed = stage.engine().resume(&dead, &engine::Stop::default(), &mut |_| {}).unwrap();
        assert_eq!(
            (resumed.status, resumed.operations[0].rows_deleted),
            (Status::Completed, 5),
            "{resumed:#?}"
        );
        stage.undo(&dead);
        assert!(there(stage, "planner-9/variables/deep/y.pkl") && there(stage, SECOND));
    });
}

#[test]
fn a_run_with_nothing_else_to_do_takes_them_back_too() {
    both(|stage| {
        for name in [SECOND, "planner-1/images/lost.b64", "planner-1/x.json", "planner-2/variables/gone.pkl"]
        {
            std::fs::remove_file(stage.workshop.store().join(name)).unwrap();
        }
        let dead = |stage: &Stage| !there(stage, "planner-9") && points(stage) == 0;
        let plan = stage.plan_files(options(json!({})));
        for nth in 1..40 {
            let engine = stage.engine();
            engine.faults().arm(nth);
            let _ = engine.run(&plan, &engine::Stop::default(), &mut |_| {});
            if dead(stage) {
                break;
            }
            assert!(there(stage, "planner-9"), "no point was met between a move and its commit");
        }
        assert!(dead(stage));
        let plan = stage.plan_files(options(json!({})));
        assert_eq!(plan.items[0].steps.iter().map(|step| step.matched).sum::<u64>(), 0);
        let report = stage.run_planned(&plan);
        assert_eq!((report.status, report.operations[0].rows_deleted), (Status::Completed, 0), "{report:#?}");
        assert!(there(stage, "planner-9/variables/deep/y.pkl") && !there(stage, ".sexton-quarantine"));
        assert_eq!(stage.run_files(options(json!({}))).operations[0].rows_deleted, 1);
    });
}

#[test]
fn an_undo_of_a_dead_run_brings_back_what_it_never_committed_too() {
    both(|stage| {
        let dead = die_when(stage, |stage| {
            !there(stage, SECOND) && points(stage) == 1 && {
                let known =
                    stage.engine().undo_files("test", &stage.engine().undo_points("test").unwrap()[0].id, 9);
                known.unwrap().iter().all(|file| file.name != SECOND)
            }
        });
        let undone = stage.undo(&dead);
        assert_eq!(
            (undone.status, undone.operations[0].rows_restored),
            (Status::Completed, 1),
            "{undone:#?}"
        );
        assert!(
            there(stage, "planner-9/variables/deep/y.pkl") && there(stage, SECOND),
            "one of them is lost"
        );
    });
}

#[test]
fn forgetting_a_dead_run_removes_only_what_it_committed() {
    both(|stage| {
        let dead = die_when(stage, |stage| {
            !there(stage, SECOND) && points(stage) == 1 && {
                let known =
                    stage.engine().undo_files("test", &stage.engine().undo_points("test").unwrap()[0].id, 9);
                known.unwrap().iter().all(|file| file.name != SECOND)
            }
        });
        stage.engine().drop_undo("test", &dead, "tester").unwrap();
        assert!(there(stage, SECOND), "a file went that nothing tells of");
        assert!(!there(stage, "planner-9") && !there(stage, ".sexton-quarantine"));
    });
}

#[test]
fn files_that_wait_for_somebody_else_are_left_alone() {
    both(|stage| {
        let store = stage.workshop.store();
        file(&store, ".sexton-quarantine/another/files/planner-7/x.pkl", 5);
        file(&store, ".sexton-quarantine/another/manifest-000001.jsonl", 0);
        std::fs::write(
            store.join(".sexton-quarantine/another/manifest-000001.jsonl"),
            "{\"path\": \"planner-7/x.pkl\"}\n",
        )
        .unwrap();
        let report = stage.run_files(options(json!({})));
        assert_eq!(report.operations[0].rows_deleted, 5, "{report:#?}");
        assert!(
            there(stage, ".sexton-quarantine/another/files/planner-7/x.pkl") && !there(stage, "planner-7")
        );
    });
}

/// Takes one file of the folder that a dead run had moved out of the quarantine again, as if its move had come no further.
fn half_back(stage: &Stage) {
    let store = stage.workshop.store();
    let quarantine = store.join(".sexton-quarantine");
    let point = std::fs::read_dir(&quarantine).unwrap().next().unwrap().unwrap().path();
    let name = "planner-9/variables/deep/y.pkl";
    std::fs::create_dir_all(store.join(name).parent().unwrap()).unwrap();
    std::fs::rename(point.join("files").join(name), store.join(name)).unwrap();
}

#[test]
fn the_rest_of_a_folder_follows_that_a_dead_run_had_moved_in_part() {
    // buckets have no folders, so one is moved file by file
    both(|stage| {
        file(&stage.workshop.store(), "planner-9/variables/z.pkl", 7);
        settle(&stage.workshop.store());
        let files =
            |stage: &Stage| tree(stage).into_iter().filter(|name| !name.ends_with('/')).collect::<Vec<_>>();
        let before = files(stage);
        let dead = die_when(stage, |stage| !there(stage, "planner-9") && points(stage) == 0);
        half_back(stage);
        let resumed = story::resumed(&stage.engine(), &dead).unwrap();
        assert_eq!(
            (resumed.status, resumed.operations[0].rows_deleted),
            (Status::Completed, 5),
            "{resumed:#?}"
        );
        assert!(!there(stage, "planner-9/variables/deep/y.pkl"), "a part of the folder was left");
        std::fs::remove_dir_all(stage.workshop.store().join("planner-9")).unwrap();
        assert_eq!(stage.undo(&dead).status, Status::Completed);
        assert_eq!(files(stage), before);
    });
}

#[test]
fn a_folder_that_was_moved_in_part_and_has_something_new_stays_whole() {
    both(|stage| {
        file(&stage.workshop.store(), "planner-9/variables/z.pkl", 7);
        settle(&stage.workshop.store());
        let dead = die_when(stage, |stage| !there(stage, "planner-9") && points(stage) == 0);
        half_back(stage);
        file(&stage.workshop.store(), "planner-9/new.pkl", 3);
        let resumed = story::resumed(&stage.engine(), &dead).unwrap();
        assert_eq!(resumed.operations[0].rows_deleted, 4, "{resumed:#?}");
        for name in ["new.pkl", "variables/z.pkl", "variables/deep/y.pkl"] {
            assert!(there(stage, &format!("planner-9/{name}")), "{name} is gone");
        }
    });
}
