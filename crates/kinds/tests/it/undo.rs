//! Undo under conflicts, changes of tables, and time: nothing newer is ever overwritten, and nothing is silent.

use crate::stage::{both, codes};
use engine::undo::PointState;
use engine::{SetClock, Status};
use jiff::{Timestamp, ToSpan};
use serde_json::json;
use std::sync::Arc;
use testkit::story;

const USERS: &str = "
    create table users (id integer primary key, email text unique, old integer not null, boss integer);
    create table posts (id integer primary key, author integer references users (id), body text);
    create index posts_author on posts (author);
    insert into users values (1, 'a', 1, null), (2, 'b', 1, null), (3, 'c', 1, 1), (4, 'd', 0, null);
    insert into posts values (10, 1, 'x'), (11, 2, 'y'), (12, 4, 'z');";

#[test]
fn a_row_that_was_changed_first_and_deleted_later_gets_its_reference_back() {
    // found by the property of `identity`: the first batch only deletes, the second clears a reference, the third takes
    // the row whose reference it was
    let given = "create table staff (id integer primary key, boss integer, old integer not null);
        insert into staff values (1, null, 1), (2, null, 1), (5, 2, 1), (6, 2, 0);";
    both(given, given, |stage| {
        let before = stage.place.dump();
        let options = json!({"table": "staff", "where": "old = 1", "relations": [
            {"table": "staff", "parent": "staff", "columns": ["boss"], "parent_columns": ["id"], "policy": "set_null"},
        ]});
        let report = stage.run_with(options, |manners| manners.batch_size = Some(1));
        assert_eq!(report.operations[0].rows_deleted, 3, "{report:#?}");
        let undone = stage.undo(&report.run_id);
        assert_eq!(undone.status, Status::Completed, "{undone:#?}");
        assert_eq!(stage.place.dump(), before);
    });
}

#[test]
fn rows_whose_place_is_taken_are_reported_and_can_be_put_back_later() {
    // W-078, S3-063
    both(USERS, USERS, |stage| {
        let before = stage.place.dump();
        let report = stage.run(json!({"table": "users", "where": "old = 1", "dependants": "cascade"}));
        assert_eq!(report.operations[0].rows_deleted, 3);
        // one id and one unique value are taken meanwhile
        stage.place.script("insert into users values (3, 'new', 0, null), (7, 'b', 0, null)");
        let meanwhile = stage.place.dump();

        let first = stage.undo(&report.run_id);
        assert_eq!(first.status, Status::Partial, "{first:#?}");
        let done = &first.operations[0];
        assert_eq!((done.rows_failed >= 2, done.rows_restored >= 1), (true, true), "{done:#?}");
        let found: Vec<_> = done.findings.iter().filter(|finding| finding.code == "undo_conflict").collect();
        assert!(
            !found.is_empty() && found.iter().all(|finding| finding.remedy.contains("undo apply")),
            "{found:?}"
        );
        assert_eq!(
            stage.list("select email from users order by id"),
            ["a", "new", "d", "b"],
            "nothing is overwritten"
        );
        assert_ne!(stage.place.dump(), meanwhile);
        let points = stage.engine().undo_points("test").unwrap();
        assert_eq!(points[0].state, PointState::Partly);

        // the same again changes nothing
        let again = stage.undo(&report.run_id);
        assert_eq!((again.status, again.operations[0].rows_restored), (Status::Partial, 0), "{again:#?}");

        stage.place.script("delete from users where email = 'new' or id = 7");
        let mended = stage.undo(&report.run_id);
        assert_eq!(mended.status, Status::Completed, "{mended:#?}");
        assert_eq!(stage.place.dump(), before);
        assert_eq!(stage.engine().undo_points("test").unwrap()[0].state, PointState::Used);
        story::forget(&stage.engine());
        assert_eq!(stage.place.leftovers(), Vec::<String>::new());
    });
}

#[test]
fn a_reference_that_was_changed_since_is_not_set_back() {
    // W-078
    both(USERS, USERS, |stage| {
        let report = stage.run(json!({"table": "users", "where": "old = 1", "dependants": "set_null"}));
        stage.place.script("update posts set author = 4 where id = 10; delete from posts where id = 11");
        let undone = stage.undo(&report.run_id);
        assert_eq!(undone.status, Status::Partial, "{undone:#?}");
        let reasons: Vec<_> =
            undone.operations[0].findings.iter().map(|finding| finding.what.as_str()).collect();
        assert!(
            reasons.iter().any(|reason| reason.contains("2 rows") && reason.contains("gone or was changed")),
            "{reasons:?}"
        );
        assert_eq!(stage.list("select author from posts order by id"), ["4", "4"]);
        assert_eq!(stage.number("select count(*) from users"), 4);
    });
}

#[test]
fn children_whose_parents_are_gone_are_reported() {
    both(USERS, USERS, |stage| {
        let report = stage.run(json!({"table": "posts", "where": "id < 12"}));
        stage.place.script("delete from users where id = 1");
        let undone = stage.undo(&report.run_id);
        let codes: Vec<_> =
            undone.operations[0].findings.iter().map(|finding| finding.code.as_str()).collect();
        match stage.place.is_sqlite() {
            // SQLite refuses nothing, since foreign keys may be off there: the row is back and told
            true => assert!(codes.contains(&"parent_missing"), "{undone:#?}"),
            false => {
                assert_eq!((undone.status, undone.operations[0].rows_failed), (Status::Partial, 1));
                assert!(codes.contains(&"undo_conflict"), "{codes:?}");
            }
        }
        stage.place.script("insert into users values (1, 'a', 1, null)");
        if !stage.place.is_sqlite() {
            assert_eq!(stage.undo(&report.run_id).status, Status::Completed);
        }
        assert_eq!(stage.list("select id from posts order by id"), ["10", "11", "12"]);
    });
}

#[test]
fn a_restored_row_is_not_swept_again_until_it_is_released() {
    // X-40, W-078
    both(USERS, USERS, |stage| {
        let options = json!({"table": "users", "where": "old = 1", "dependants": "cascade"});
        let report = stage.run(options.clone());
        stage.undo(&report.run_id);
        let plan = stage.plan(options.clone());
        assert_eq!((plan.matched(), plan.items[0].steps[0].exempt), (0, 3));
        stage.place.script("insert into users values (9, 'i', 1, null)");
        let second = stage.run(options.clone());
        assert_eq!(
            (second.operations[0].rows_deleted, second.operations[0].rows_skipped),
            (1, 3),
            "{second:#?}"
        );
        assert!(stage.engine().end_exemption("test", "users", "tester").unwrap());
        assert!(!stage.engine().end_exemption("test", "users", "tester").unwrap());
        assert_eq!(stage.plan(options).matched(), 3);
        let trail = stage.engine().audit_trail(10).unwrap();
        assert!(trail.iter().any(|entry| entry.action == "end exemption" && entry.object == "users"));
    });
}

#[test]
fn an_older_change_is_not_undone_before_a_newer_one_of_the_same_rows() {
    // W-080
    both(USERS, USERS, |stage| {
        let before = stage.place.dump();
        let mark = |value: &str| json!({"table": "users", "where": format!("email <> '{value}' and id = 4"), "action": "mark", "mark": {"email": value}});
        let older = stage.run(mark("first"));
        let newer = stage.run(mark("second"));
        assert_eq!(newer.operations[0].rows_changed, 1);
        assert!(stage.undo_findings(&older.run_id).contains(&"newer_undo_point".to_owned()));
        assert_eq!(stage.undo(&older.run_id).status, Status::Refused);
        assert_eq!(stage.list("select email from users where id = 4"), ["second"]);
        stage.undo(&newer.run_id);
        assert_eq!(stage.list("select email from users where id = 4"), ["first"]);
        stage.undo(&older.run_id);
        assert_eq!(stage.place.dump(), before);
    });
}

#[test]
fn expired_undo_points_are_dropped_and_others_stay() {
    //
    both(USERS, USERS, |stage| {
        let old = stage.run(json!({"table": "posts", "where": "id = 10"}));
        let engine = stage.engine();
        let until = engine.undo_points("test").unwrap()[0].expires_at.unwrap();
        assert!((until - Timestamp::now()).total(jiff::Unit::Hour).unwrap() > 29.0 * 24.0);
        assert_eq!(engine.drop_expired_undo("test", "tester").unwrap(), 0);
        let later = Arc::new(SetClock::standing(Timestamp::now() + (24 * 31).hours()));
        let place_database = stage.place.database();
        let workshop = testkit::Workshop::new(&stage.place, kinds::catalogue()).on(place_database).at(later);
        assert_eq!(workshop.engine().drop_expired_undo("test", "tester").unwrap(), 1);
        assert!(engine.undo_points("test").unwrap().is_empty());
        let request = engine.undo_request(&old.run_id, Some("test"), "tester").unwrap();
        let error = engine.plan(&request).unwrap_err();
        assert!(error.to_string().contains("no undo point") && error.help().is_some(), "{error}");
        assert_eq!(stage.place.leftovers(), Vec::<String>::new());
    });
}

#[test]
fn undo_copes_with_a_table_that_was_changed_since() {
    both(USERS, USERS, |stage| {
        let report = stage.run(json!({"table": "posts", "where": "id < 12"}));
        stage.place.script("alter table posts add column extra text default 'e'");
        let undone = stage.undo(&report.run_id);
        assert_eq!(
            (undone.status, undone.operations[0].rows_restored),
            (Status::Completed, 2),
            "{undone:#?}"
        );
        assert_eq!(stage.number("select count(*) from posts where extra = 'e'"), 3);
    });
    both(USERS, USERS, |stage| {
        let report = stage.run(json!({"table": "posts", "where": "id < 12"}));
        stage.place.script("alter table posts drop column body");
        assert!(stage.undo_findings(&report.run_id).contains(&"column_gone".to_owned()));
        assert_eq!(stage.undo(&report.run_id).status, Status::Refused);
        assert_eq!(stage.number("select count(*) from posts"), 1);
        let engine = stage.engine();
        let mut request = engine.undo_request(&report.run_id, Some("test"), "tester").unwrap();
        request.force = true;
        let forced = story::run(&engine, &story::plan(&engine, &request));
        assert_eq!(forced.operations[0].rows_restored, 2, "{forced:#?}");
    });
    both(USERS, USERS, |stage| {
        let report = stage.run(json!({"table": "posts", "where": "id < 12"}));
        stage.place.script("alter table posts rename to letters");
        let engine = stage.engine();
        let mut request = engine.undo_request(&report.run_id, Some("test"), "tester").unwrap();
        request.force = true;
        let plan = story::plan(&engine, &request);
        assert_eq!(codes(&plan), ["table_gone"]);
        assert_eq!(story::run(&engine, &plan).status, Status::Refused, "{plan:#?}");
        stage.place.script("alter table letters rename to posts");
        assert_eq!(stage.undo(&report.run_id).operations[0].rows_restored, 2);
    });
    both(USERS, USERS, |stage| {
        let report = stage
            .run(json!({"table": "users", "where": "id = 4", "action": "mark", "mark": {"email": null}}));
        stage.place.script2(
            "create table u2 (id integer primary key, old integer, boss integer); insert into u2 select id, old, boss from users;
             drop table users; alter table u2 rename to users",
            "alter table users drop column email",
        );
        assert!(stage.undo_findings(&report.run_id).contains(&"column_gone".to_owned()));
        assert_eq!(stage.undo(&report.run_id).status, Status::Refused);
    });
    both(USERS, USERS, |stage| {
        let report = stage.run(json!({"table": "posts", "where": "id < 12"}));
        stage.place.script2(
            "drop table posts; create table posts (id integer primary key, author integer, body text, must text not null)",
            "delete from posts; alter table posts add column must text not null",
        );
        let undone = stage.undo(&report.run_id);
        assert_eq!((undone.status, undone.operations[0].rows_failed), (Status::Partial, 2), "{undone:#?}");
        assert_eq!(stage.number("select count(*) from posts"), 0);
    });
}

#[test]
fn an_undo_that_was_interrupted_goes_on_in_another_process() {
    both(USERS, USERS, |stage| {
        let before = stage.place.dump();
        let report = stage.run(json!({"table": "users", "where": "old = 1", "dependants": "cascade"}));
        let engine = stage.engine();
        let request = engine.undo_request(&report.run_id, Some("test"), "tester").unwrap();
        let plan = story::plan(&engine, &request);
        let stop = engine::Stop::default();
        let stopper = stop.clone();
        let outcome = engine
            .run(&plan, &stop, &mut |event| {
                if matches!(event.what, engine::What::Advanced { .. }) {
                    stopper.ask();
                }
            })
            .unwrap();
        assert_eq!(outcome.status, Status::Cancelled, "{outcome:#?}");
        let resumed = stage.engine().resume(&outcome.run_id, &engine::Stop::default(), &mut |_| {}).unwrap();
        assert_eq!(resumed.status, Status::Completed);
        assert_eq!(stage.place.dump(), before);
    });
}

#[test]
fn ids_and_sequences_are_as_they_were() {
    // W-079
    both(
        "create table t (id integer primary key autoincrement, a text); insert into t (a) values ('x'), ('y'), ('z');",
        "create table t (id bigint generated always as identity primary key, a text); insert into t (a) values ('x'), ('y'), ('z');",
        |stage| {
            let report = stage.run(json!({"table": "t", "where": "id >= 2"}));
            stage.undo(&report.run_id);
            stage.place.script("insert into t (a) values ('new')");
            assert_eq!(stage.list("select id from t order by id"), ["1", "2", "3", "4"]);
        },
    );
}

#[test]
fn undo_finds_the_point_without_the_run_log() {
    // W-115: the log may be lost, the rows are in the database itself
    both(USERS, USERS, |stage| {
        let before = stage.place.dump();
        let report = stage.run(json!({"table": "posts", "where": "id < 12"}));
        std::fs::remove_file(stage.workshop.folder().join("state.db")).unwrap();
        for beside in ["state.db-wal", "state.db-shm"] {
            let _ = std::fs::remove_file(stage.workshop.folder().join(beside));
        }
        assert_eq!(stage.undo(&report.run_id).status, Status::Completed);
        assert_eq!(stage.place.dump(), before);
    });
}

#[test]
fn a_trigger_that_interferes_with_the_way_back_is_told() {
    both(
        &format!("{USERS} create table seen (n integer); create trigger watch after insert on posts begin insert into seen values (new.id); end;"),
        &format!("{USERS} create table seen (n int); create function see() returns trigger language plpgsql as $$ begin insert into seen values (new.id); return null; end $$;
                  create trigger watch after insert on posts for each row execute function see();"),
        |stage| {
            let report = stage.run(json!({"table": "posts", "where": "id = 10"}));
            assert_eq!(report.status, Status::Completed);
            assert!(stage.undo_findings(&report.run_id).contains(&"trigger".to_owned()));
            let undone = stage.undo(&report.run_id);
            assert!(undone.operations[0].warnings.iter().any(|warning| warning.contains("watch")), "{undone:#?}");
        },
    );
}

#[test]
fn a_new_row_with_the_key_of_a_restored_one_that_was_deleted_is_no_longer_exempt() {
    both(
        "create table t (id integer primary key, old integer not null); insert into t values (1, 1), (2, 1), (3, 0);
         create table other (id integer primary key); insert into other values (1);",
        "create table t (id int primary key, old int not null); insert into t values (1, 1), (2, 1), (3, 0);
         create table other (id int primary key); insert into other values (1);",
        |stage| {
            let rule = || json!({"table": "t", "where": "old = 1"});
            let report = stage.run(rule());
            stage.undo(&report.run_id);
            assert_eq!(stage.plan(rule()).items[0].steps[0].exempt, 2);
            // the application deletes one; any run that works on the database notices
            stage.place.script("delete from t where id = 1");
            stage.run(json!({"table": "other", "where": "id = 1"}));
            stage.place.script("insert into t values (1, 1)");
            let plan = stage.plan(rule());
            assert_eq!((plan.matched(), plan.items[0].steps[0].exempt), (1, 1));
            let report = stage.run(rule());
            assert_eq!(report.totals.deleted, 1);
            assert_eq!(stage.list("select id from t order by id"), ["2", "3"]);
        },
    );
}

#[test]
fn conflicts_are_foreseen_before_an_undo_and_nothing_is_changed_by_looking() {
    // W-078
    both(USERS, USERS, |stage| {
        let foreseen = |run: &str| {
            let engine = stage.engine();
            let points = engine.undo_points("test").unwrap();
            let point = points.iter().find(|point| point.id == run).unwrap();
            let told = |conflict: &engine::undo::Conflict| {
                let key: Vec<String> =
                    conflict.key.iter().map(|(name, value)| format!("{name} = {value}")).collect();
                format!("{} {}: {}", conflict.table.name, key.join(", "), conflict.reason)
            };
            let mut all: Vec<String> =
                engine.foreseen_conflicts("test", point, 10).unwrap().iter().map(told).collect();
            all.sort();
            all
        };
        let report = stage.run(json!({"table": "users", "where": "old = 1", "dependants": "set_null"}));
        assert_eq!(foreseen(&report.run_id), Vec::<String>::new());
        // an id and a unique value are taken, and a reference that was cleared is set anew
        stage.place.script("insert into users values (3, 'new', 0, null), (7, 'b', 0, null); update posts set author = 4 where id = 10");
        let before = stage.place.dump();
        let expected = [
            "posts id = 10: the row is gone or was changed since",
            "users id = 2: another row has its email",
            "users id = 3: a row with this key is there again",
        ];
        assert_eq!(foreseen(&report.run_id), expected);
        assert_eq!(stage.place.dump(), before);
        let undone = stage.undo(&report.run_id);
        // what hangs on those that stay away stays as it is as well
        assert!(undone.operations[0].rows_failed >= 3, "{undone:#?}");
        let left = foreseen(&report.run_id);
        assert!(
            expected.iter().all(|line| {
                let row = line.split(':').next().unwrap();
                left.iter().any(|left| left.starts_with(row))
            }),
            "{left:?}"
        );
    });
}
