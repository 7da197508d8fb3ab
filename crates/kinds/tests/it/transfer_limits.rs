//! What a transfer is told to keep to, and what it tells of how its source is used: times that are over, files in use.

use crate::transfer_kit::{Move, found};
use engine::{Clock, Failure, Status, Stop, What};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Rows enough for some thousand batches.
const ROWS: &str = "pragma journal_mode = wal; create table t (id integer primary key, v text not null); create table o (id integer primary key, t integer references t);
    insert into t with recursive c(i) as (select 1 union all select i + 1 from c where i < 6000) select i, 'value ' || i from c;
    insert into o select id, id from t";

#[test]
fn a_copy_whose_time_is_over_stops_in_order_and_goes_on_to_its_end() {
    // S4-016
    let it = Move::of(ROWS);
    let before = it.from.dump();
    let plan = it.plan_with(json!({}), |manners| {
        manners.batch_size = Some(50);
        manners.max_seconds = Some(0.2);
        manners.pause = 0.01;
    });
    let mut report = it.engine().run(&plan, &Stop::default(), &mut |_| {}).unwrap();
    assert_eq!(report.status, Status::TimedOut, "{report:#?}");
    assert!(report.operations[0].reason.as_deref().unwrap().contains("time limit"));
    // nobody takes what is there for the whole: it has no key yet, and a run that has left it
    assert_eq!(
        it.list("select count(*) from pg_index i join pg_class c on c.oid = i.indrelid where relname = 't'"),
        ["0"]
    );
    let text = format!("{:?}", it.plan(json!({})).items[0].findings);
    assert!(text.contains("has left it: go on with `sexton resume"), "{text}");
    assert_eq!(it.from.dump(), before);
    assert_eq!(it.from.leftovers(), Vec::<String>::new());
    let mut attempts = 1;
    while report.status == Status::TimedOut {
        let there = it
            .list("select (select count(*) from t) + (select count(*) from o)")
            .concat()
            .parse::<u64>()
            .unwrap();
        assert_eq!(there, report.operations[0].rows_changed, "what is in is what was told");
        report = it.engine().resume("latest", &Stop::default(), &mut |_| {}).unwrap();
        assert!(report.status == Status::Completed || report.operations[0].rows_changed >= there);
        attempts += 1;
        assert!(attempts < 500, "it gets nowhere");
    }
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert!(attempts > 2, "{attempts} attempts");
    assert_eq!(found(&report), [""; 0]);
    assert_eq!(report.operations[0].rows_changed, 12_000);
    let verified = it.run(json!({"action": "verify"}));
    assert_eq!((verified.status, found(&verified)), (Status::Completed, Vec::new()));
    assert_eq!(it.from.dump(), before);
}

#[test]
fn how_the_file_is_kept_and_what_its_log_holds_is_told_before() {
    // S4-058, W-126
    let it = Move::of(ROWS);
    let told = |options| {
        let plan = it.plan(options);
        let findings = plan.items[0].findings.iter();
        let own = findings.filter(|found| found.code.starts_with("source_"));
        let own: Vec<(String, String)> = own.map(|found| (found.code.clone(), found.what.clone())).collect();
        (own, plan.items[0].result.clone().unwrap())
    };
    let (findings, result) = told(json!({}));
    assert_eq!(findings, []);
    assert_eq!(result["source_file"]["journal_mode"], "wal");
    assert_eq!(result["source_file"]["open_in"], json!([]));
    assert!(result["target_version"].as_str().unwrap().starts_with(|first: char| first.is_ascii_digit()));
    let mut application = it.from.connect();
    application.script("insert into t values (9000, 'in the log')").unwrap();
    assert!(told(json!({})).1["source_file"]["wal_bytes"].as_u64().unwrap() > 0);
    drop(application);
    it.from.script("pragma journal_mode = delete");
    let (findings, result) = told(json!({}));
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].0, "source_locked");
    assert_eq!(result["source_file"]["journal_mode"], "delete");
}

/// A clock that a test can put forward.
struct Movable(AtomicI64);

impl Clock for Movable {
    fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

const ONE: &str = "pragma journal_mode = wal; create table t (id integer primary key, v text); insert into t values (1, 'one')";

#[test]
fn the_limit_of_a_cut_over_counts_from_its_first_beginning() {
    // S4-039, W-104, X-25
    let pointer = |it: &Move| std::fs::read_to_string(it.workshop.folder().join("pointer")).unwrap();
    let all = || json!(["limit", "check", "error", "cancel"]);
    // how many points of death there are from the end of the rounds to the commit of the cut-over
    let points = {
        let it = Move::of(ONE);
        let (engine, plan) = (it.engine(), it.plan(json!({"online": true})));
        let (mut before, mut after) = (0, 0);
        let report = engine.run(&plan, &Stop::default(), &mut |event| match &event.what {
            What::StepDone { step } if plan.items[0].steps[*step].action == "follow" => {
                before = engine.faults().passed()
            }
            What::Advanced { detail: Some(detail), .. } if detail["cut_over"].is_object() => {
                after = engine.faults().passed()
            }
            _ => {}
        });
        assert!(report.is_ok_and(|report| report.status == Status::Completed));
        (after - before) as u32
    };
    // the source refuses changes, and the process dies: before the target has committed, and after it
    for (dies, goes_back_on, away, goes_on) in [
        ("changed", all(), 250, true),
        ("changed", all(), 350, false),
        // whoever lets nothing go back for its time wants it to go on
        ("changed", json!([]), 350, true),
        ("committed", all(), 250, true),
        ("committed", all(), 350, false),
    ] {
        let mut it = Move::of(ONE);
        let clock = Arc::new(Movable(AtomicI64::new(0)));
        it.workshop =
            testkit::Workshop::new(&it.to, kinds::catalogue()).at(Arc::clone(&clock) as Arc<dyn Clock>);
        let file = it.workshop.folder().join("pointer");
        std::fs::write(&file, "app.db\n").unwrap();
        let refuses =
            || !it.from.rows("select 1 from sqlite_schema where name like 'sexton_moved%'").is_empty();
        let plan = it.plan(json!({"online": true, "switch": {"file": file}, "go_back_on": goes_back_on}));
        let engine = it.engine();
        let outcome = engine.run(&plan, &Stop::default(), &mut |event| {
            if matches!(event.what, What::StepDone { step } if plan.items[0].steps[step].action == "follow") {
                engine.faults().arm(if dies == "changed" { points - 2 } else { points });
            }
        });
        assert!(matches!(outcome, Err(Failure::Fault(name)) if name == dies), "{outcome:?}");
        drop(engine);
        assert!(refuses());
        let case = format!("{dies}, {away} s later");
        clock.0.store(away, Ordering::SeqCst);
        let report = testkit::story::resumed(&it.engine(), "latest").unwrap();
        if goes_on {
            assert_eq!(report.status, Status::Completed, "{case}: {:?}", report.operations[0].errors);
            let result = report.operations[0].result.as_ref().unwrap();
            let seconds = result["downtime_seconds"].as_f64().unwrap();
            assert!((away as f64..away as f64 + 60.0).contains(&seconds), "{case}: {seconds}");
            assert_eq!(pointer(&it), "test\n", "{case}");
            assert!(refuses(), "{case}");
        } else {
            assert_eq!(report.status, Status::Failed, "{case}");
            let errors = format!("{:?}", report.operations[0].errors);
            assert!(errors.contains("nobody could write for 300 s"), "{case}: {errors}");
            assert_eq!(pointer(&it), "app.db\n", "{case}");
            assert!(!refuses(), "{case}");
            assert_eq!(
                it.list("select count(*) from pg_tables where schemaname = 'public'"),
                ["0"],
                "{case}"
            );
            it.from.script("insert into t values (7000, 'goes on')");
        }
    }
}
