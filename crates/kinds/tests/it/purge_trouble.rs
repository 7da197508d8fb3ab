//! What goes wrong around a purge, and what is left then: earlier batches, a clear error, and a way on.

use crate::stage::{Stage, both, codes, options, patient, rows};
use crate::tampered::Tampered;
use engine::{Class, SetClock, Status, Stop};
use jiff::{Timestamp, ToSpan};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use targets::db::Sql;
use testkit::{Place, Workshop, story};

#[test]
fn mistyped_names_and_conditions_are_refused_with_the_nearest_name() {
    both(
        "create table accounts (id integer primary key, created_at text, status text)",
        "create table accounts (id int primary key, created_at timestamptz, status text)",
        |stage| {
            let refusal = stage.refusal(json!({"table": "acounts", "where": "id = 1"}));
            assert!(
                refusal.contains("there is no table `acounts`") && refusal.contains("accounts"),
                "{refusal}"
            );
            let refusal =
                stage.refusal(json!({"table": "accounts", "age_column": "create_at", "older_than": "1 day"}));
            assert!(refusal.contains("no column `create_at`") && refusal.contains("created_at"), "{refusal}");
            let refusal = stage.refusal(json!({"table": "accounts", "keep_newest": 1, "per": ["stat"]}));
            assert!(refusal.contains("no column `stat`"), "{refusal}");
            for condition in
                ["status = = 'x'", "no_such_column = 1", "", "(id = 1", "count(*) > 1", "id = 1; select 1"]
            {
                let refusal = stage.refusal(json!({"table": "accounts", "where": condition}));
                assert!(
                    refusal.contains("the condition") && refusal.contains("help:"),
                    "{condition:?}: {refusal}"
                );
            }
            let refusal =
                stage.refusal(json!({"table": "accounts", "where": "id = 1", "archive": "nowhere"}));
            assert!(refusal.contains("no store `nowhere`") && refusal.contains("store"), "{refusal}");
            let refusal = stage.refusal(json!({}));
            assert!(refusal.contains("needs a table"), "{refusal}");
            let refusal = stage.refusal(json!({"targets": [{"table": "accounts", "where": "id = 1"}, {"table": "accounts", "where": "id = 2"}]}));
            assert!(refusal.contains("two targets have the id"), "{refusal}");
        },
    );
}

#[test]
fn a_trigger_that_raises_rolls_its_batch_back_and_keeps_the_earlier_ones() {
    // S1-044, S3-045, W-064, W-031
    let (sqlite, postgres) = rows(30);
    both(
        &format!("{sqlite} create trigger no before delete on t when old.id = 15 begin select raise(abort, 'not this one'); end;"),
        &format!("{postgres} create function no() returns trigger language plpgsql as $$ begin if old.id = 15 then raise 'not this one'; end if; return old; end $$;
                  create trigger no before delete on t for each row execute function no();"),
        |stage| {
            let before = stage.place.dump();
            let refused = stage.run(options());
            assert_eq!(refused.status, Status::Refused, "a trigger is not fired without asking");
            let mut fire = options();
            fire["triggers"] = json!("fire");
            let report = stage.run_with(fire, |manners| manners.batch_size = Some(10));
            let done = &report.operations[0];
            assert_eq!((report.status, done.error_class), (Status::Failed, Some(Class::Data)), "{report:#?}");
            assert!(done.errors.len() == 1 && done.errors[0].contains("not this one"), "{:?}", done.errors);
            assert_eq!((done.rows_deleted, done.batches, done.rows_failed), (10, 1, 0));
            assert_eq!((report.errors[0].class, report.errors[0].target.as_deref()), (Class::Data, Some("t")));
            assert_eq!(stage.number("select count(*) from t"), 20, "batch 2 is wholly undone, batch 1 kept");

            stage.place.script2("drop trigger no", "drop trigger no on t");
            let resumed = stage.engine().resume(&report.run_id, &Stop::default(), &mut |_| {}).unwrap();
            assert_eq!((resumed.status, resumed.operations[0].rows_deleted), (Status::Completed, 30), "{resumed:#?}");
            stage.place.script2(
                "create trigger no before delete on t when old.id = 15 begin select raise(abort, 'not this one'); end;",
                "create trigger no before delete on t for each row execute function no();",
            );
            stage.undo(&report.run_id);
            assert_eq!(stage.place.dump(), before);
        },
    );
}

#[test]
fn an_error_names_the_target_it_happened_to() {
    both(
        "create table a (id integer primary key); create table b (id integer primary key); insert into a values (1); insert into b values (1);
         create trigger no before delete on b begin select raise(abort, 'never'); end;",
        "create table a (id int primary key); create table b (id int primary key); insert into a values (1); insert into b values (1);
         create function no() returns trigger language plpgsql as $$ begin raise 'never'; end $$;
         create trigger no before delete on b for each row execute function no();",
        |stage| {
            let report = stage.run(json!({"targets": [
                {"table": "a", "where": "id = 1"}, {"table": "b", "where": "id = 1", "triggers": "fire"}]}));
            assert_eq!(report.errors[0].target.as_deref(), Some("b"), "{report:#?}");
            assert_eq!((report.totals.deleted, report.operations[0].targets[0].counts.deleted), (1, 1));
            let report = stage.run(json!({"targets": [{"table": "b", "where": "id = 1", "triggers": "fire"}]}));
            assert_eq!(report.errors[0].target.as_deref(), Some("b"), "also before the first batch is through");
        },
    );
}

#[test]
fn a_server_process_that_is_ended_in_mid_batch_costs_one_try() {
    // S3-044, S2-047
    for nth in [2, 3, 5] {
        let stage = Stage::new(Place::postgres());
        stage.place.script(&rows(50).1);
        let admin = stage.place.admin_database();
        let killed = move |number: u64, _: &mut dyn targets::db::Tx| {
            if number == nth {
                let end = "select pg_terminate_backend(pid) from pg_stat_activity
                    where datname = current_database() and pid <> pg_backend_pid() and application_name like 'sexton run%'";
                assert_eq!(admin.read().unwrap().rows(&Sql::new(end)).unwrap().len(), 1);
            }
        };
        let before = stage.place.dump();
        let workshop = Workshop::new(&stage.place, kinds::catalogue())
            .at(patient())
            .on(Tampered::at_begin(stage.place.database(), killed));
        let engine = workshop.engine();
        let plan = story::plan(&engine, &stage.request(options(), |manners| manners.batch_size = Some(10)));
        let report = engine.run(&plan, &Stop::default(), &mut |_| {}).unwrap();
        let done = &report.operations[0];
        assert_eq!(
            (report.status, done.rows_deleted, done.retries),
            (Status::Completed, 50, 1),
            "at {nth}: {report:#?}"
        );
        let request = engine.undo_request(&report.run_id, Some("test"), "tester").unwrap();
        story::run(&engine, &story::plan(&engine, &request));
        assert_eq!(stage.place.dump(), before);
    }
}

#[test]
fn a_batch_that_gives_way_is_done_again_at_once() {
    let (sqlite, postgres) = rows(50);
    both(&sqlite, &postgres, |stage| {
        let workshop = Workshop::new(&stage.place, kinds::catalogue())
            .at(patient())
            .on(Tampered::giving_way(stage.place.database(), 4));
        let engine = workshop.engine();
        let plan = story::plan(&engine, &stage.request(options(), |manners| manners.batch_size = Some(10)));
        let report = engine.run(&plan, &Stop::default(), &mut |_| {}).unwrap();
        let done = &report.operations[0];
        assert_eq!(
            (report.status, done.rows_deleted, done.retries),
            (Status::Completed, 50, 1),
            "{report:#?}"
        );
    });
}

#[test]
fn a_commit_whose_answer_is_lost_is_not_done_twice() {
    // S3-052: the first batch makes the undo table, so doing it again would even fail
    let (sqlite, postgres) = rows(50);
    for nth in [2, 4, 6] {
        both(&sqlite, &postgres, |stage| {
            let before = stage.place.dump();
            let workshop = Workshop::new(&stage.place, kinds::catalogue())
                .at(patient())
                .on(Tampered::losing_answer(stage.place.database(), nth));
            let engine = workshop.engine();
            let plan =
                story::plan(&engine, &stage.request(options(), |manners| manners.batch_size = Some(10)));
            let report = engine.run(&plan, &Stop::default(), &mut |_| {}).unwrap();
            let done = &report.operations[0];
            assert_eq!((report.status, done.rows_deleted), (Status::Completed, 50), "at {nth}: {report:#?}");
            assert_eq!((done.batches, done.retries), (5, 1), "at {nth}");
            let request = engine.undo_request(&report.run_id, Some("test"), "tester").unwrap();
            story::run(&engine, &story::plan(&engine, &request));
            assert_eq!(stage.place.dump(), before);
        });
    }
}

#[test]
fn a_full_disk_ends_the_run_between_two_batches_and_it_can_be_resumed() {
    // S3-045, S3-047, S2-047
    let stage = Stage::new(Place::sqlite());
    stage.place.script(&rows(3000).0.replace("'row ' || i", "hex(zeroblob(200))"));
    let before = stage.place.dump();
    let filled = |number: u64, tx: &mut dyn targets::db::Tx| {
        if number == 4 {
            // somebody else takes the pages that became free, then nothing is left
            tx.execute(&Sql::new("create table filler as select zeroblob(1000000) as filler")).unwrap();
            let pages = tx.count(&Sql::new("pragma page_count")).unwrap();
            tx.rows(&Sql::new(&format!("pragma max_page_count = {pages}"))).unwrap();
        }
    };
    let full = Workshop::new(&stage.place, kinds::catalogue())
        .on(Tampered::at_begin(stage.place.database(), filled));
    let engine = full.engine();
    let plan = story::plan(&engine, &stage.request(options(), |manners| manners.batch_size = Some(500)));
    let report = engine.run(&plan, &Stop::default(), &mut |_| {}).unwrap();
    let done = &report.operations[0];
    assert_eq!((report.status, done.error_class), (Status::Failed, Some(Class::System)), "{report:#?}");
    assert!(done.errors[0].contains("disk is full"), "{:?}", done.errors);
    let gone = done.rows_deleted;
    assert!((500..3000).contains(&gone), "{gone}");
    assert_eq!(stage.number("select count(*) from t") as u64, 3000 - gone);
    let resumed = engine.resume(&report.run_id, &Stop::default(), &mut |_| {}).unwrap();
    assert_eq!(
        (resumed.status, resumed.operations[0].rows_deleted),
        (Status::Completed, 3000),
        "{resumed:#?}"
    );
    let request = engine.undo_request(&report.run_id, Some("test"), "tester").unwrap();
    story::run(&engine, &story::plan(&engine, &request));
    assert_eq!(stage.place.dump(), before);
}

#[test]
fn too_little_free_disk_is_refused_before_anything_is_written() {
    // S3-047
    let (sqlite, postgres) = rows(5);
    both(&sqlite, &postgres, |stage| {
        // only a role that may know where the data lie is told how much is free there
        let engine = stage.workshop.also_at(stage.place.admin_database());
        let plan =
            story::plan(&engine, &stage.request(options(), |manners| manners.min_free_disk_mb = 1 << 40));
        assert_eq!(codes(&plan), ["disk"]);
        assert!(plan.items[0].findings[0].remedy.contains("free space"));
        assert_eq!(story::run(&engine, &plan).status, Status::Refused);
    });
}

#[test]
fn a_clock_that_is_ten_years_ahead_is_refused() {
    // W-124
    let (sqlite, postgres) = rows(5);
    both(&sqlite, &postgres, |stage| {
        let ahead = Arc::new(SetClock::standing(Timestamp::now() + (24 * 3650).hours()));
        for _ in 0..2 {
            let mut dry = stage.request(options(), |_| {});
            dry.dry_run = true;
            story::run(&stage.engine(), &story::plan(&stage.engine(), &dry));
        }
        let engine = stage.workshop.engine_at(ahead);
        let plan = story::plan(&engine, &stage.request(options(), |_| {}));
        assert!(codes(&plan).contains(&"clock"));
        assert_eq!(story::run(&engine, &plan).status, Status::Refused);
        assert_eq!(
            engine.reports(10, None, None).unwrap().len(),
            3,
            "no run in the log is forgotten for its age"
        );
        assert_eq!(stage.number("select count(*) from t"), 5);
    });
}

#[test]
fn a_clock_behind_the_last_run_is_refused_also_by_a_fresh_process() {
    // W-124: the newest run in the log lies in the future
    let (sqlite, postgres) = rows(5);
    both(&sqlite, &postgres, |stage| {
        let engine = stage.engine();
        let mut dry = stage.request(options(), |_| {});
        dry.dry_run = true;
        story::run(&engine, &story::plan(&engine, &dry));
        let behind = Arc::new(SetClock::standing(Timestamp::now() - 3.hours()));
        let later = stage.workshop.engine_at(behind);
        let plan = story::plan(&later, &stage.request(options(), |_| {}));
        let report = story::run(&later, &plan);
        assert_eq!(report.status, Status::Refused, "{report:#?}");
        assert!(
            report.operations[0].errors[0].contains("in the future"),
            "{:?}",
            report.operations[0].errors
        );
        assert_eq!(stage.number("select count(*) from t"), 5);
    });
}

#[test]
fn a_rule_that_hits_a_large_share_of_a_table_is_refused_without_force() {
    // W-124, S2-015
    let (sqlite, postgres) = rows(1200);
    both(&sqlite, &postgres, |stage| {
        let request = stage.request(options(), |manners| manners.max_percent = 20.0);
        let engine = stage.engine();
        let plan = story::plan(&engine, &request);
        assert_eq!(codes(&plan), ["share_of_rows"]);
        assert_eq!(story::run(&engine, &plan).status, Status::Refused);
        let mut forced = request;
        forced.force = true;
        let report = story::run(&engine, &story::plan(&engine, &forced));
        assert_eq!((report.status, report.totals.deleted), (Status::Completed, 1200));
    });
}

#[test]
fn a_stored_plan_is_refused_when_the_rows_have_grown_or_the_tables_changed() {
    // W-123
    let (sqlite, postgres) = rows(200);
    both(&sqlite, &postgres, |stage| {
        let engine = stage.engine();
        let plan = story::plan(&engine, &stage.request(options(), |_| {}));
        let stored: engine::Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
        assert_eq!(engine.recheck(&stored).unwrap().fingerprint, plan.fingerprint);
        stage.place.script("insert into t (id, n) values (1001, 1), (1002, 1)");
        let fresh = engine.recheck(&stored).unwrap();
        assert_eq!((fresh.matched(), fresh.now), (202, plan.now), "a little growth is normal");
        stage.place.script2(
            "with recursive c(i) as (select 2000 union all select i + 1 from c where i < 2100) insert into t select i, 1, '' from c",
            "insert into t select i, 1, '' from generate_series(2000, 2100) i",
        );
        let error = engine.recheck(&stored).unwrap_err();
        assert!(error.to_string().contains("200 rows") && error.help().is_some(), "{error}");
        stage.place.script("create table c (t integer references t (id)); delete from t where id > 1000");
        let error = engine.recheck(&stored).unwrap_err();
        assert!(error.to_string().contains("no longer fits"), "{error}");
        let mut other = stored.clone();
        other.request.operations[0].options = json!({"table": "t", "where": "n >= 0"});
        assert!(engine.recheck(&other).is_err());
    });
}

#[test]
fn rows_that_turn_up_in_masses_during_the_run_stop_it() {
    // W-123
    let (sqlite, postgres) = rows(20);
    both(&sqlite, &postgres, |stage| {
        let engine = stage.engine();
        let plan = story::plan(&engine, &stage.request(options(), |manners| manners.batch_size = Some(50)));
        stage.place.script2(
            "with recursive c(i) as (select 2000 union all select i + 1 from c where i < 3000) insert into t select i, 1, '' from c",
            "insert into t select i, 1, '' from generate_series(2000, 3000) i",
        );
        let report = story::run(&engine, &plan);
        assert_eq!(report.status, Status::TimedOut, "{report:#?}");
        assert!(report.operations[0].reason.as_deref().unwrap().contains("more rows turned up"));
        assert!(report.totals.deleted < 300, "{}", report.totals.deleted);
    });
}

#[test]
fn a_database_that_is_gone_when_the_run_begins_leaves_a_failed_run_in_the_file() {
    // W-115, W-031
    let (sqlite, postgres) = rows(5);
    both(&sqlite, &postgres, |stage| {
        let engine = stage.engine();
        let plan = story::plan(&engine, &stage.request(options(), |_| {}));
        if stage.place.is_sqlite() {
            std::fs::rename(stage.place.url(), format!("{}.away", stage.place.url())).unwrap();
        } else {
            stage.place.admin_script(
                "do $$ begin execute format('alter database %I owner to %I', current_database(), current_user);
                   execute format('revoke connect on database %I from public', current_database()); end $$",
            );
        }
        let report = engine.run(&plan, &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!(report.status, Status::Failed, "{report:#?}");
        assert_eq!(report.operations[0].errors.len(), 1);
        let file = std::fs::read_to_string(stage.workshop.folder().join("runs.jsonl")).unwrap();
        let failed: Vec<serde_json::Value> = file
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .filter(|event: &serde_json::Value| event["event"] == "failed")
            .collect();
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0]["run"], json!(report.run_id));
    });
}

#[test]
fn a_dry_run_writes_nothing_anywhere() {
    // S1-045, S1-046
    let (sqlite, postgres) = rows(20);
    both(&sqlite, &postgres, |stage| {
        let before = stage.place.dump();
        for options in [
            options(),
            json!({"table": "t", "where": "n > 0", "archive": "store"}),
            json!({"table": "t", "where": "n > 0", "action": "mark", "mark": {"body": null}}),
        ] {
            let engine = stage.engine();
            let mut request = stage.request(options, |manners| manners.batch_size = Some(5));
            request.dry_run = true;
            let report = story::run(&engine, &story::plan(&engine, &request));
            assert!(report.metadata.dry_run && report.status == Status::Completed);
            assert_eq!(report.totals.deleted + report.totals.changed, 20);
        }
        assert_eq!(stage.place.dump(), before);
        assert_eq!(stage.place.leftovers(), Vec::<String>::new());
        assert!(!stage.workshop.store().exists());
    });
}

#[test]
fn nothing_stays_open_after_a_run() {
    // S3-053, S3-055
    let stage = Stage::new(Place::postgres());
    stage.place.script(&rows(50).1);
    let sessions = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'";
    // One that looks and stays: each of its own would be one that is about to end, too.
    let mut eye = stage.place.connect();
    let mut count = || eye.integers(sessions).unwrap()[0];
    // a session ends a moment after its connection
    let gone = |count: &mut dyn FnMut() -> i64| {
        let began = Instant::now();
        while count() > 0 {
            assert!(began.elapsed() < Duration::from_secs(30), "a session is left");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    gone(&mut count);
    let mut most = 0;
    let engine = stage.engine();
    let plan = story::plan(&engine, &stage.request(options(), |manners| manners.batch_size = Some(10)));
    engine.run(&plan, &Stop::default(), &mut |_| most = most.max(count())).unwrap();
    assert!((1..=3).contains(&most), "{most} sessions at once");
    gone(&mut count);
}

#[test]
fn rows_that_a_trigger_keeps_are_no_success() {
    // W-031, W-064
    let stage = Stage::new(Place::postgres());
    stage.place.script(&rows(10).1);
    stage.place.script(
        "create function keep() returns trigger language plpgsql as $$ begin return null; end $$;
         create trigger keep before delete on t for each row execute function keep();",
    );
    let report = stage.run(json!({"table": "t", "where": "n > 0", "triggers": "fire"}));
    assert_eq!((report.status, report.totals.deleted), (Status::Partial, 0));
    assert!(report.operations[0].findings.iter().any(|finding| finding.code == "rows_kept"), "{report:#?}");
}

#[test]
fn a_run_that_was_mended_by_resuming_has_no_errors() {
    // W-064: completed means that nothing is wrong
    both(&rows(10).0, &rows(10).1, |stage| {
        stage.place.script2(
            "create table gate (shut integer); insert into gate values (1);
             create trigger stop before delete on t when (select shut from gate) begin select raise(abort, 'not now'); end;",
            "create table gate (shut bool); insert into gate values (true);
             create function stop() returns trigger language plpgsql as $$ begin
               if (select shut from gate) then raise 'not now'; end if; return old; end $$;
             create trigger stop before delete on t for each row execute function stop();",
        );
        let failed = stage.run(json!({"table": "t", "where": "n > 0", "triggers": "fire"}));
        assert_eq!((failed.status, failed.errors.len()), (Status::Failed, 1));
        stage.place.script("delete from gate");
        let mended = stage.engine().resume(&failed.run_id, &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!((mended.status, mended.totals.deleted), (Status::Completed, 10));
        assert!(mended.errors.is_empty() && mended.operations[0].errors.is_empty(), "{mended:#?}");
        assert_eq!(mended.operations[0].error_class, None);
    });
}

#[test]
fn a_condition_that_fails_on_a_row_is_named_with_its_help() {
    let stage = Stage::new(Place::postgres());
    stage.place.script(&rows(10).1);
    let refusal = stage.refusal(json!({"table": "t", "where": "1 / (id - 5) > 0"}));
    assert!(refusal.contains("the condition `1 / (id - 5) > 0`: division by zero"), "{refusal}");
    assert!(refusal.contains("help: leave out the rows"), "{refusal}");
}

#[test]
fn a_condition_over_columns_that_are_not_there_is_told_which_there_are() {
    both(&rows(5).0, &rows(5).1, |stage| {
        let refusal = stage.refusal(json!({"table": "t", "where": "status = 'old'"}));
        assert!(refusal.contains("the condition `status = 'old'`"), "{refusal}");
        assert!(refusal.contains("its columns are id, n, body"), "{refusal}");
    });
}

#[test]
fn the_nearest_table_may_be_in_another_schema() {
    let stage = Stage::new(Place::postgres());
    stage.place.script("create schema audit; create table audit.log (id int); create table blogs (id int)");
    let refusal = stage.refusal(json!({"table": "log", "where": "id = 1"}));
    assert!(refusal.contains("the nearest names are audit.log"), "{refusal}");
}
