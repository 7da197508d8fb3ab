//! Purges that meet locks of others: rows, tables, the right to maintain; who waits, who gives way, who is named.

use crate::stage::{Stage, UNTIL_SOMEBODY_WAITS, both, options, rows, shown};
use engine::{Class, Engine, Failure, Manners, Plan, Status, Stop, What};
use serde_json::{Value as Json, json};
use targets::db::{Limits, Session, Sql};
use testkit::{Place, Workshop, story};

/// A PostgreSQL database with so many doomed rows.
fn on_postgres(count: u32) -> Stage {
    let stage = Stage::new(Place::postgres());
    stage.place.script(&rows(count).1);
    stage
}

/// A purge of all rows that waits so many seconds for a lock, in batches of ten.
fn impatient(stage: &Stage, seconds: f64) -> (Workshop, Engine, Plan) {
    planned(stage, options(), |manners| {
        manners.batch_size = Some(10);
        manners.lock_timeout = seconds;
    })
}

/// A plan, and what runs it without really sleeping between tries.
fn planned(stage: &Stage, options: Json, change: impl FnOnce(&mut Manners)) -> (Workshop, Engine, Plan) {
    let workshop = stage.patient();
    let engine = workshop.engine();
    let plan = story::plan(&engine, &stage.request(options, change));
    (workshop, engine, plan)
}

/// Somebody else's session.
fn somebody(stage: &Stage) -> Box<dyn Session> {
    stage.place.database().open().unwrap()
}

/// Holds a row (SQLite: the write lock) until the transaction is dropped.
fn hold<'a>(session: &'a mut dyn Session, row: i64) -> Box<dyn targets::db::Tx + 'a> {
    let lock = session.dialect().name() == "postgresql";
    let mut tx = session.begin(&Limits::default()).unwrap();
    if lock {
        tx.execute(&Sql::new("select 1 from t where id = ").bind(row).text(" for update")).unwrap();
    }
    tx
}

#[test]
fn a_lock_of_somebody_else_is_waited_for_and_the_batch_tried_again() {
    // S3-044, S1-048, W-063
    let (sqlite, postgres) = rows(30);
    both(&sqlite, &postgres, |stage| {
        let (_workshop, engine, plan) = impatient(stage, 0.05);
        // Sexton's own tables are there already, so that the batch itself meets the lock.
        engine.run(&plan, &asked(), &mut |_| {}).unwrap();
        let mut session = somebody(stage);
        let mut held = Some(hold(session.as_mut(), 5));
        let report = engine
            .run(&plan, &Stop::default(), &mut |event| {
                if matches!(event.what, What::Retried { .. }) {
                    held = None;
                }
            })
            .unwrap();
        let done = &report.operations[0];
        assert_eq!(
            (report.status, done.rows_deleted, done.retries),
            (Status::Completed, 30, 1),
            "{report:#?}"
        );
    });
}

/// A stop that is asked for before the first batch.
fn asked() -> Stop {
    let stop = Stop::default();
    stop.ask();
    stop
}

#[test]
fn rows_that_stay_locked_are_passed_over_and_met_again_in_the_end() {
    // W-063
    let stage = on_postgres(30);
    let (_workshop, engine, plan) = impatient(&stage, 0.05);
    let mut session = somebody(&stage);
    let mut held = Some(hold(session.as_mut(), 5));
    let mut batches = 0;
    let report = engine
        .run(&plan, &Stop::default(), &mut |event| {
            if matches!(event.what, What::Advanced { .. }) {
                batches += 1;
                if batches == 3 {
                    held = None;
                }
            }
        })
        .unwrap();
    let done = &report.operations[0];
    // all rows lie on one page, so each batch meets the lock
    assert_eq!((report.status, done.rows_deleted, done.retries), (Status::Completed, 30, 3), "{report:#?}");
    assert_eq!(done.batches, 4, "three of 10, 9, 10 and the one that was passed over");
    drop(held);
}

#[test]
fn a_lock_that_is_never_given_back_ends_the_run_in_time_and_it_can_be_resumed() {
    // S1-048, W-063, W-088
    let (sqlite, postgres) = rows(30);
    both(&sqlite, &postgres, |stage| {
        let (_workshop, engine, plan) = impatient(stage, 0.02);
        let mut session = somebody(stage);
        let held = hold(session.as_mut(), 5);
        let report = engine.run(&plan, &Stop::default(), &mut |_| {}).unwrap();
        let done = &report.operations[0];
        assert_eq!(
            (report.status, done.error_class),
            (Status::Failed, Some(Class::Transient)),
            "{report:#?}"
        );
        // SQLite has one lock for all rows
        assert_eq!(done.rows_deleted, if stage.place.is_sqlite() { 0 } else { 29 });
        if stage.place.is_sqlite() {
            assert_eq!(done.retries, 3, "then it is enough");
        }
        drop(held);
        let resumed = engine.resume(&report.run_id, &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!((resumed.status, resumed.operations[0].rows_deleted), (Status::Completed, 30));
    });
}

#[test]
fn a_second_run_is_told_who_maintains_the_database() {
    let (sqlite, postgres) = rows(5);
    both(&sqlite, &postgres, |stage| {
        let mut session = somebody(stage);
        assert!(session.try_lock("run abc (process 7)").unwrap());
        let engine = stage.engine();
        let plan = story::plan(&engine, &stage.request(options(), |_| {}));
        let failure = engine.run(&plan, &Stop::default(), &mut |_| {}).unwrap_err();
        assert!(matches!(failure, Failure::Busy { .. }), "{failure:?}");
        let told = shown(&failure);
        assert!(told.contains("abc") && told.contains("help:"), "{told}");
        assert_eq!(stage.number("select count(*) from t"), 5);
        // the log does not take it for running
        let logged = engine.run_record("latest").unwrap().report();
        assert_eq!(
            (logged.status, logged.operations[0].error_class),
            (Status::Failed, Some(Class::Transient))
        );
        assert!(logged.metadata.finished_at.is_some());
        session.unlock().unwrap();
        let resumed = engine.resume("latest", &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!((resumed.status, resumed.operations[0].rows_deleted), (Status::Completed, 5));
    });
}

#[test]
fn a_long_transaction_of_somebody_else_is_warned_about() {
    // S1-047
    let stage = on_postgres(5);
    let request = stage.request(options(), |manners| manners.old_transaction = 0.0);
    let mut other = stage.place.connect();
    other.script("begin; select count(*) from t").unwrap();
    let plan = story::plan(&stage.engine(), &request);
    let found = plan.items[0].findings.iter().find(|finding| finding.code == "old_transaction");
    let found = found.unwrap_or_else(|| panic!("nobody sees it: {:?}", plan.items[0].findings));
    assert!(found.object.starts_with("pid ") && found.what.contains("select count(*) from t"), "{found:?}");
    assert!(found.remedy.contains("pg_terminate_backend"), "{found:?}");
    other.script("commit").unwrap();
}

#[test]
fn a_row_that_comes_below_a_doomed_one_during_the_batch_stays_with_it() {
    // the application's insert holds the parent, so the batch waits for it and then must look again
    for on_delete in ["", "on delete cascade", "on delete set null"] {
        let stage = on_postgres(10);
        stage.place.script(&format!(
            "create table c (id int primary key, t int references t (id) {on_delete}); create index on c (t)"
        ));
        let (_workshop, engine, plan) = planned(&stage, options(), |manners| manners.batch_size = Some(20));
        let report = std::thread::scope(|threads| {
            threads.spawn(|| {
                stage.place.script(&format!(
                    "set application_name = 'app'; begin; insert into c values (1, 5);
                     {UNTIL_SOMEBODY_WAITS}; commit"
                ))
            });
            let sleeps = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'app' and query like '%pg_sleep%' and wait_event = 'PgSleep'";
            let waits = (0..2000).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(2));
                stage.number(sleeps) == 1
            });
            assert!(waits);
            engine.run(&plan, &Stop::default(), &mut |_| {}).unwrap()
        });
        let done = &report.operations[0];
        assert_eq!(
            (report.status, done.rows_deleted, done.retries),
            (Status::Completed, 9, 1),
            "{on_delete}: {report:#?}"
        );
        assert_eq!(stage.list("select t from c"), ["5"], "{on_delete}");
        assert!(done.findings.iter().any(|finding| finding.code == "rows_held"), "{:?}", done.findings);
    }
}

#[test]
fn a_row_that_comes_two_levels_below_a_doomed_one_is_not_taken_along_silently() {
    for on_delete in ["", "on delete cascade"] {
        let script = format!(
            "create table a (id integer primary key); create table b (id integer primary key, a integer references a (id));
             create table c (id integer primary key, b integer references b (id) {on_delete});
             create index b_a on b (a); create index c_b on c (b);
             insert into a values (1); insert into b values (1, 1);"
        );
        both(&script, &script, |stage| {
            let options =
                json!({"table": "a", "where": "id = 1", "relations": [{"table": "b", "policy": "cascade"}]});
            let (_workshop, engine, plan) = planned(stage, options, |_| {});
            stage.place.script("insert into c values (1, 1)");
            let before = stage.place.dump();
            let report = engine.run(&plan, &Stop::default(), &mut |_| {}).unwrap();
            assert_eq!(report.status, Status::Failed, "{report:#?}");
            assert!(
                report.operations[0].errors[0].contains("rows of `c`"),
                "{:?}",
                report.operations[0].errors
            );
            assert_eq!(stage.place.dump(), before);
        });
    }
}

#[test]
fn whoever_holds_a_lock_for_good_is_named() {
    // S1-070
    let stage = on_postgres(30);
    let (_workshop, engine, plan) = planned(&stage, options(), |manners| manners.lock_timeout = 0.05);
    let mut advice = None;
    let mut other = stage.place.connect();
    other.script("begin; select 1 from t where id = 5 for update").unwrap();
    let report = engine
        .run(&plan, &Stop::default(), &mut |event| {
            if let What::Failed { help, .. } = &event.what {
                advice = help.clone();
            }
        })
        .unwrap();
    other.script("commit").unwrap();
    assert_eq!((report.status, report.totals.deleted), (Status::Failed, 29), "{report:#?}");
    let advice = advice.unwrap_or_default();
    assert!(advice.contains("pid ") && advice.contains("for update"), "{advice}");
    assert!(advice.contains("--lock-timeout"), "{advice}");
}

#[test]
fn a_batch_that_takes_longer_than_it_may_says_what_helps() {
    // S2-086
    let stage = on_postgres(30);
    stage.place.script(
        "create table switched (at int); create function slowly(n int) returns boolean language plpgsql stable as
         'begin if exists (select 1 from switched) then perform pg_sleep(1); end if; return true; end'",
    );
    let mut slow = options();
    slow["where"] = json!("slowly(id)");
    let (_workshop, engine, plan) = planned(&stage, slow, |manners| manners.statement_timeout = 0.2);
    stage.place.script("insert into switched values (1)");
    let before = stage.place.dump();
    let mut advice = None;
    let report = engine
        .run(&plan, &Stop::default(), &mut |event| {
            if let What::Failed { help, .. } = &event.what {
                advice = help.clone();
            }
        })
        .unwrap();
    assert_eq!((report.status, report.totals.deleted), (Status::Failed, 0), "{report:#?}");
    assert_eq!(stage.place.dump(), before);
    let advice = advice.unwrap_or_default();
    for word in ["--statement-timeout", "--batch-size", "quieter hours"] {
        assert!(advice.contains(word), "{word}: {advice}");
    }
}

#[test]
fn whoever_keeps_the_plan_waiting_is_named() {
    // S1-070
    let stage = on_postgres(5);
    let mut other = somebody(&stage);
    other.value(&Sql::new("select set_config('application_name', 'app', false)")).unwrap();
    let mut tx = other.begin(&Limits::default()).unwrap();
    tx.execute(&Sql::new("lock table t in access exclusive mode")).unwrap();
    let refusal = stage.refusal(options());
    assert!(
        refusal.contains("pid ")
            && refusal.contains("lock table t")
            && refusal.contains("idle in transaction"),
        "{refusal}"
    );
    assert!(refusal.contains("pg_terminate_backend("), "{refusal}");
    // a run is logged with the same advice
    let engine = stage.engine();
    let prepared = engine.prepare(&stage.request(options(), |_| {})).unwrap();
    drop(tx);
    assert_eq!(prepared.failures.len(), 1);
    let report = engine.run(&prepared.plan, &Stop::default(), &mut |_| {}).unwrap();
    assert_eq!((report.status, report.operations[0].error_class), (Status::Failed, Some(Class::Transient)));
    let resumed = engine.resume(&report.run_id, &Stop::default(), &mut |_| {}).unwrap();
    assert_eq!((resumed.status, resumed.totals.deleted), (Status::Completed, 5), "{resumed:#?}");
    assert_eq!(resumed.operations[0].errors, Vec::<String>::new());
}
