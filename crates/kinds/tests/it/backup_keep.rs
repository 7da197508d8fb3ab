//! Which backups stay and which go.

use crate::backup::{back_up, files, shop};
use crate::stage::{Stage, manners};
use engine::{Clock, SetClock, Status, Stop};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::sync::Arc;
use testkit::story;

/// Backups of these ages in days, taken by clocks that stood there; taking them removes none.
fn taken_days_ago(stage: &Stage, days: &[i64]) -> Vec<String> {
    let mut ids = Vec::new();
    for days in days {
        let at = Timestamp::now() - SignedDuration::from_hours(24 * days);
        let engine = stage.workshop.engine_at(Arc::new(SetClock::moving(at)) as Arc<dyn Clock>);
        let mut request = story::request("backup", json!({"keep": "10 years"}), manners(), false);
        // the clock differs from the database's on purpose
        request.force = true;
        let report = engine.run(&engine.plan(&request).unwrap(), &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        ids.push(engine.find_backup(&report.run_id, None).unwrap().id);
    }
    ids
}

fn left(stage: &Stage) -> Vec<String> {
    stage.engine().backups(None).unwrap().0.into_iter().map(|backup| backup.id).collect()
}

#[test]
fn backups_of_31_days_go_and_those_of_29_stay_and_so_do_the_newest_three() {
    // S4-053, S2-044, X-51
    shop(|stage| {
        let ids = taken_days_ago(stage, &[60, 31, 29, 2, 1]);
        let looked = stage.engine().prune_backups(None, true, "tester").unwrap();
        assert_eq!(looked.removed.iter().map(|backup| &backup.id).collect::<Vec<_>>(), [&ids[0], &ids[1]]);
        assert_eq!(left(stage).len(), 5, "a dry run removes nothing");
        stage.engine().prune_backups(None, false, "tester").unwrap();
        assert_eq!(left(stage), [ids[4].clone(), ids[3].clone(), ids[2].clone()]);
        assert_eq!(files(stage).len(), 6, "their files go too");
    });
}

#[test]
fn the_newest_stay_however_old_they_are_and_taking_one_tidies_up() {
    // S2-044, X-51
    shop(|stage| {
        let ids = taken_days_ago(stage, &[400, 300, 200, 100]);
        assert_eq!(left(stage).len(), 4, "nothing was tidied up yet");
        stage.engine().prune_backups(None, false, "tester").unwrap();
        assert_eq!(left(stage), [ids[3].clone(), ids[2].clone(), ids[1].clone()]);
        back_up(stage, json!({"keep_at_least": 1}));
        assert_eq!(left(stage).len(), 1);
    });
}

#[test]
fn the_backup_of_a_run_that_came_to_no_good_end_is_kept() {
    //
    shop(|stage| {
        let days = |days: i64| Timestamp::now() - SignedDuration::from_hours(24 * days);
        let engine = stage.workshop.engine_at(Arc::new(SetClock::moving(days(50))) as Arc<dyn Clock>);
        let mut request =
            story::request("purge", json!({"table": "purchase", "where": "id <= 100"}), manners(), false);
        request.operations[0].backup = true;
        request.operations[0].manners.max_rows = Some(10);
        request.operations[0].manners.batch_size = Some(10);
        request.force = true;
        let stopped = engine.run(&engine.plan(&request).unwrap(), &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!(stopped.status, Status::TimedOut, "{stopped:#?}");
        taken_days_ago(stage, &[40, 3, 2, 1]);
        let pruned = stage.engine().prune_backups(None, false, "tester").unwrap();
        assert_eq!((pruned.removed.len(), pruned.kept_for_runs.len()), (1, 1));
        assert_eq!(pruned.kept_for_runs[0].run, stopped.run_id);
    });
}

#[test]
fn files_that_a_dying_process_left_go_after_a_day_and_never_those_of_others() {
    shop(|stage| {
        back_up(stage, json!({}));
        let folder = stage.workshop.store().join("test");
        let left_behind = folder.join("test-20200101T000000Z-dead0000.dump.zst");
        let fresh = folder.join("test-20200101T000001Z-live0000.dump.zst");
        let foreign = folder.join("notes.zst");
        for file in [&left_behind, &fresh, &foreign] {
            std::fs::write(file, "half").unwrap();
        }
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3 * 86_400);
        for file in [&left_behind, &foreign] {
            std::fs::File::options().write(true).open(file).unwrap().set_modified(old).unwrap();
        }
        assert_eq!(left(stage).len(), 1, "what has no manifest is no backup");
        let pruned = stage.engine().prune_backups(None, false, "tester").unwrap();
        assert_eq!(pruned.leftovers.len(), 1);
        assert!(!left_behind.exists() && fresh.exists() && foreign.exists());
        assert_eq!(left(stage).len(), 1);
    });
}

#[test]
fn a_backup_with_the_first_manifest_is_still_good() {
    // Made by the program as it was then: always compressed, and what is `checked` now was called `verified`.
    let stage = Stage::new(testkit::Place::sqlite());
    let older = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/older_backup");
    let store = stage.workshop.store().join("test");
    std::fs::create_dir_all(&store).unwrap();
    for entry in std::fs::read_dir(older).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), store.join(entry.file_name())).unwrap();
    }
    let engine = stage.engine();
    let backup = engine.find_backup("latest", None).unwrap();
    assert_eq!((backup.version, backup.compression.as_deref()), (1, Some("zstd")));
    assert!(backup.checked.is_some() && !backup.is_verified(), "read back is not restored");
    assert!(engine.prune_backups(None, true, "tester").unwrap().removed.is_empty());
    let manifest = files(&stage).into_iter().find(|file| file.extension().is_some_and(|end| end == "json"));
    let manifest = manifest.unwrap();
    let text = std::fs::read_to_string(&manifest).unwrap();
    for (was, now) in [("\"rows\": 3", "\"rows\": 4"), ("\"encryption\": null", "\"encryption\": \"age\"")] {
        assert!(text.contains(was), "{text}");
        std::fs::write(&manifest, text.replace(was, now)).unwrap();
        assert_eq!(engine.backups(None).unwrap().1.len(), 1, "{now} is not what was sealed");
    }
    std::fs::write(&manifest, text).unwrap();
    let drill = engine.drill(&backup, "tester").unwrap();
    assert_eq!((drill.rows, drill.findings.len()), (3, 0), "{drill:?}");
    let again = engine.find_backup("latest", None).unwrap();
    assert!(again.version > 1 && again.is_verified(), "{again:?}");
    let revived = engine.revive_backup(&again).unwrap();
    revived.replace("tester").unwrap();
    assert_eq!(stage.number("select count(*) from note where text in ('one', 'two', 'three')"), 3);
}
