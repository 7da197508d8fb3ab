//! Rows of an archive come back once: an undo and a restore of the same run know of each other, with a key and without.

use crate::stage::{Stage, both};
use engine::{Report, Status};
use serde_json::json;
use testkit::story;

const KEYED: &str = "create table t (id integer primary key, n integer not null, body text)";
const BARE: &str = "create table t (id integer, n integer not null, body text)";

/// 120 rows, of which 50 go.
fn stages(mut test: impl FnMut(&Stage, bool)) {
    for (table, keyed) in [(KEYED, true), (BARE, false)] {
        let sqlite = format!(
            "{table}; with recursive c(i) as (select 1 union all select i + 1 from c where i < 120)
             insert into t select i, i <= 50, 'row ' || i from c;"
        );
        let postgres = format!(
            "{table}; insert into t select i, (i <= 50)::int, 'row ' || i from generate_series(1, 120) i;"
        );
        both(&sqlite, &postgres, |stage| test(stage, keyed));
    }
}

fn archived(stage: &Stage) -> String {
    let rule = json!({"table": "t", "where": "n = 1", "archive": "store"});
    let report = stage.run_with(rule, |manners| manners.batch_size = Some(20));
    assert_eq!((report.status, report.operations[0].rows_archived), (Status::Completed, 50), "{report:#?}");
    report.run_id
}

fn restore(stage: &Stage, run: &str, table: Option<&str>) -> Report {
    let engine = stage.engine();
    let request = engine.restore_request("store", run, table, "test", "tester");
    story::run(&engine, &story::plan(&engine, &request))
}

/// Restored and skipped rows.
fn figures(report: &Report) -> (u64, u64) {
    (report.operations[0].rows_restored, report.operations[0].targets.iter().map(|t| t.counts.skipped).sum())
}

#[test]
fn an_archive_gives_nothing_back_that_an_undo_gave_back() {
    // W-058
    stages(|stage, keyed| {
        let before = stage.place.dump();
        let run = archived(stage);
        assert_eq!(stage.undo(&run).operations[0].rows_restored, 50);
        let report = restore(stage, &run, None);
        assert_eq!(stage.number("select count(*) from t"), 120, "{report:#?}");
        assert_eq!(figures(&report), (0, if keyed { 50 } else { 0 }), "{report:#?}");
        let expected = if keyed { Status::Completed } else { Status::Skipped };
        assert_eq!(report.status, expected, "{report:#?}");
        assert_eq!(stage.place.dump(), before);
    });
}

#[test]
fn an_undo_gives_nothing_back_that_an_archive_gave_back() {
    // W-058
    stages(|stage, _| {
        let before = rows(stage);
        let run = archived(stage);
        let report = restore(stage, &run, None);
        assert_eq!((report.status, figures(&report)), (Status::Completed, (50, 0)), "{report:#?}");
        let undone = stage.undo(&run);
        assert_eq!(undone.status, Status::Skipped, "{undone:#?}");
        assert_eq!(rows(stage), before);
        let states: Vec<_> = stage.engine().undo_points("test").unwrap().iter().map(|p| p.state).collect();
        assert_eq!(states, [engine::undo::PointState::Used]);
    });
}

#[test]
fn a_second_restore_tells_what_it_did() {
    // W-058
    stages(|stage, keyed| {
        let run = archived(stage);
        assert_eq!(figures(&restore(stage, &run, Some("t"))), (50, 0));
        for table in [None, Some("t")] {
            let again = restore(stage, &run, table);
            assert_eq!(figures(&again), (0, if keyed { 50 } else { 0 }), "{again:#?}");
            assert_eq!(stage.number("select count(*) from t"), 120);
        }
        // what went since comes back, where that can be told
        stage.place.script("delete from t where id <= 10");
        let again = restore(stage, &run, None);
        let (back, there) = if keyed { (10, 40) } else { (0, 0) };
        assert_eq!(figures(&again), (back, there), "{again:#?}");
        assert_eq!(stage.number("select count(*) from t"), 110 + back as i64);
    });
}

#[test]
fn a_restore_that_was_interrupted_goes_on_and_an_undo_in_between_is_told() {
    // W-058
    stages(|stage, keyed| {
        let before = rows(stage);
        let run = archived(stage);
        let engine = stage.engine();
        let request = engine.restore_request("store", &run, None, "test", "tester");
        let stop = engine::Stop::default();
        let stopper = stop.clone();
        let stopped = engine.run(&story::plan(&engine, &request), &stop, &mut |event| {
            if matches!(event.what, engine::What::Advanced { .. }) {
                stopper.ask();
            }
        });
        assert_eq!(stopped.unwrap().status, Status::Cancelled);
        let there = stage.number("select count(*) from t");
        assert!((71..120).contains(&there), "{there}");
        if !keyed {
            assert!(stage.undo_findings(&run).contains(&"already_back".to_owned()));
            assert_eq!(stage.undo(&run).status, Status::Refused);
        }
        assert_eq!(restore(stage, &run, None).status, Status::Completed);
        assert_eq!(rows(stage), before);
        assert_eq!(stage.undo(&run).status, Status::Skipped);
    });
}

/// What the rows are. An archive knows no hidden rowid, so a table without a key has others afterwards.
fn rows(stage: &Stage) -> Vec<String> {
    stage.list(
        "select cast(id as text) || ' ' || cast(n as text) || ' ' || coalesce(body, '-') from t order by 1",
    )
}
