//! Migrations that go wrong: each time it is said what is the matter and one thing to do, and nothing is half recorded.

use crate::migrate_kit::{THREE, Yard, both};
use crate::stage::shown;
use engine::{Report, Status, Stop};
use serde_json::json;
use testkit::{Place, story};

/// What refused it: code, words, and what to do.
fn refused(report: &Report) -> Vec<(String, String, String)> {
    assert_eq!(report.status, Status::Refused, "{report:#?}");
    let findings =
        report.operations[0].findings.iter().filter(|finding| finding.level == engine::Level::Refuse);
    findings.map(|finding| (finding.code.clone(), finding.what.clone(), finding.remedy.clone())).collect()
}

/// The one reason.
fn reason(report: &Report) -> (String, String, String) {
    let mut all = refused(report);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn an_error_in_a_later_statement_takes_the_whole_migration_back_and_later_ones_do_not_run() {
    // S0-016, W-005, S2-088
    both(|yard| {
        yard.write(&THREE);
        yard.write(&[(
            "0002_orders.sql",
            "-- sexton:up\ncreate table orders (id integer primary key, who integer);\ncreate index orders_who on orders (who);\n\
             create tabel wrong (id int);\ninsert into orders values (1, 1);\ninsert into orders values (2, 2);\n\
             -- sexton:down\ndrop table orders;\n",
        )]);
        yard.done(json!({"count": 1}));
        let before = yard.place.dump();
        let report = yard.run(json!({}));
        assert_eq!(report.status, Status::Failed);
        let error = &report.operations[0].errors[0];
        assert!(error.contains("`0002_orders.sql`, line 4, statement 3 of 5"), "{error}");
        assert_eq!(yard.place.dump(), before);
        assert_eq!(yard.history()[1..], ["apply 0002_orders failed 0"]);
        assert_eq!((yard.state("0002_orders"), yard.state("0003_note")), ("failed".into(), "pending".into()));
        yard.write(&[THREE[1]]);
        yard.up();
        assert_eq!(yard.state("0003_note"), "applied");
    });
}

#[test]
fn a_way_back_that_is_missing_is_told_before_anything_is_taken_out() {
    both(|yard| {
        yard.write(&[
            ("0001_t.sql", "-- sexton:up\ncreate table t (id int);"),
            ("0002_u.sql", "-- sexton:up\ncreate table u (id int);"),
        ]);
        yard.up();
        let (code, what, help) = reason(&yard.run(json!({"action": "down", "count": 2})));
        assert_eq!(code, "one_way");
        assert!(
            what.contains("`0002_u` and `0001_t` have no way back") && !help.is_empty(),
            "{what}; {help}"
        );
    });
}

#[test]
fn an_edited_file_is_refused_until_it_is_accepted_and_a_lost_one_until_it_is_back() {
    // W-007
    both(|yard| {
        yard.write(&THREE);
        yard.done(json!({"count": 2}));
        let edited = THREE[0].1.replace("'ann'", "'anna'");
        yard.write(&[("0001_users.sql", edited.as_str())]);
        assert_eq!(yard.status()["migrations"][0]["checksum_ok"], false);
        let (code, what, help) = reason(&yard.run(json!({})));
        assert_eq!(code, "changed");
        assert!(what.contains("`0001_users`") && help.contains("--accept-changed"), "{what}; {help}");
        yard.done(json!({"accept_changed": true}));
        assert_eq!(yard.status()["migrations"][0]["checksum_ok"], true);
        assert_eq!(yard.list("select name from users"), ["ann"], "accepted, not run again");
        yard.remove("0002_orders.sql");
        yard.write(&[("0004_x.sql", "-- sexton:up\ncreate table x (id int);")]);
        let all = refused(&yard.run(json!({})));
        assert!(
            all.iter().any(|(_, what, help)| what.contains('2') && help.contains("bring the file back")),
            "{all:?}"
        );
    });
}

#[test]
fn gaps_doubles_and_rings_are_found_before_anything_runs() {
    // S0-015, S2-032, W-003
    both(|yard| {
        let before = yard.place.dump();
        yard.write(&[
            ("0001_a.sql", "-- sexton:up\ncreate table a (id int);"),
            ("0003_c.sql", "-- sexton:up\ncreate table c (id int);"),
        ]);
        let (code, what, _) = reason(&yard.run(json!({"target": "3"})));
        assert!(code == "gap" && what.contains('2'), "{code}: {what}");
        yard.write(&[
            ("0002_b.sql", "-- sexton:up\ncreate table b (id int);"),
            ("0002_bb.sql", "-- sexton:up\ncreate table bb (id int);"),
        ]);
        let (code, what, _) = reason(&yard.run(json!({})));
        assert!(code == "duplicate" && what.contains("0002_b") && what.contains("0002_bb"), "{code}: {what}");
        yard.remove("0002_bb.sql");
        yard.write(&[
            ("0001_a.sql", "-- sexton:depends 0003_c\n-- sexton:up\ncreate table a (id int);"),
            ("0003_c.sql", "-- sexton:depends 0001_a\n-- sexton:up\ncreate table c (id int);"),
        ]);
        let all = refused(&yard.run(json!({})));
        assert!(
            all.iter()
                .any(|(code, what, _)| code == "cycle" && what.contains("0001_a") && what.contains("0003_c")),
            "{all:?}"
        );
        assert_eq!((yard.place.dump(), yard.place.leftovers()), (before, Vec::new()));
    });
}

#[test]
fn a_database_newer_than_the_target_is_not_up_to_date() {
    // W-004
    both(|yard| {
        yard.write(&THREE);
        yard.up();
        let (code, _, help) = reason(&yard.run(json!({"target": "1"})));
        assert_eq!(code, "newer");
        assert!(help.contains("sexton migrate down --to"), "{help}");
    });
}

#[test]
fn a_database_that_has_the_tables_already_is_marked_rather_than_migrated() {
    // W-008, S2-038, S2-088
    both(|yard| {
        yard.write(&THREE);
        yard.place.script("create table users (id integer primary key, name text not null)");
        let before = yard.place.dump();
        let (code, what, help) = reason(&yard.run(json!({})));
        assert_eq!(code, "object_exists");
        assert!(
            what.contains("`users`") && help.contains("sexton migrate baseline --to 0001_users"),
            "{what}; {help}"
        );
        yard.done(json!({"action": "baseline", "to": "0001_users"}));
        assert_eq!((yard.place.dump(), yard.state("0001_users")), (before, "baseline".to_owned()));
        yard.up();
        assert_eq!(yard.state("0003_note"), "applied");
    });
}

#[test]
fn what_must_be_true_before_is_asked_and_the_offenders_are_shown() {
    // S3-042
    both(|yard| {
        yard.place
            .script("create table f (a int, n text); insert into f values (1, 'x'), (1, 'x'), (2, 'y')");
        let join = if yard.place.is_sqlite() { "group_concat(a)" } else { "string_agg(a::text, ',')" };
        yard.write(&[(
            "0001_unique.sql",
            &format!(
                "-- sexton:assert-before select count(*) = 0, {join} from (select a from f group by a, n having count(*) > 1) as twice\n\
                 -- sexton:up\ncreate unique index f_one on f (a, n);\n-- sexton:assert-after select count(*) = 2 from f\n"
            ),
        )]);
        let before = yard.place.dump();
        let report = yard.run(json!({}));
        let error = &report.operations[0].errors[0];
        assert!(
            report.status == Status::Failed && error.contains("needs before it what is not true: 1"),
            "{error}"
        );
        assert_eq!(yard.place.dump(), before);
        let twice =
            if yard.place.is_sqlite() { "rowid in (select max(rowid)" } else { "ctid in (select max(ctid)" };
        yard.place.script(&format!("delete from f where {twice} from f group by a, n having count(*) > 1)"));
        yard.up();
    });
}

#[test]
fn of_two_starters_one_waits_and_then_finds_nothing_to_do() {
    // W-006
    both(|yard| {
        yard.write(&THREE);
        let first = yard.engine();
        let second = yard.engine();
        let plans =
            [story::plan(&first, &yard.request(json!({}))), story::plan(&second, &yard.request(json!({})))];
        let reports = std::thread::scope(|scope| {
            let one = scope.spawn(|| story::run(&first, &plans[0]));
            let other = scope.spawn(|| story::run(&second, &plans[1]));
            [one.join().unwrap(), other.join().unwrap()]
        });
        assert!(reports.iter().all(|report| report.status == Status::Completed), "{reports:#?}");
        assert_eq!(yard.history().len(), 3);
    });
}

#[test]
fn a_database_that_cannot_be_read_is_an_error_and_never_version_0() {
    // S0-007, W-002
    let yard = Yard::with(Place::sqlite(), &THREE);
    yard.up();
    yard.place.script("create table other (id int)");
    let url = yard.place.url();
    std::fs::write(&url, vec![b'x'; 8192]).unwrap();
    let words = yard.refusal(json!({}));
    assert!(words.contains("not a SQLite database") && words.contains("help:"), "{words}");
    let yard = Yard::with(Place::postgres(), &THREE);
    yard.up();
    yard.place.admin_script(
        "revoke all on schema sexton from public; alter table sexton.migrations owner to postgres",
    );
    let words = match yard.engine().plan(&yard.request(json!({}))) {
        Ok(plan) => panic!("{plan:#?}"),
        Err(failure) => shown(&failure),
    };
    assert!(words.contains("permission denied") && words.contains("help:"), "{words}");
}

#[test]
fn a_lock_of_the_application_is_waited_for_in_short_turns() {
    let yard = Yard::with(Place::postgres(), &THREE);
    yard.done(json!({"count": 2}));
    let mut holder = yard.place.connect();
    let engine = yard.engine();
    let plan = story::plan(&engine, &yard.request_with(json!({}), |manners| manners.lock_timeout = 0.05));
    holder.script("begin; lock table orders in access share mode").unwrap();
    let mut tries = 0;
    let report = engine
        .run(&plan, &Stop::default(), &mut |event| {
            if matches!(event.what, engine::What::Retried { .. }) {
                tries += 1;
                if tries == 5 {
                    holder.script("commit").unwrap();
                }
            }
        })
        .unwrap();
    assert_eq!((report.status, tries), (Status::Completed, 5), "{report:#?}");
}

#[test]
fn a_statement_outside_of_transactions_that_fails_leaves_what_is_in_exactly_told() {
    both(|yard| {
        yard.write(&[
            ("0001_t.sql", "create table t (id int);"),
            (
                "0002_half.sql",
                "-- sexton:transaction off\n-- sexton:up\ninsert into t values (1);\ninsert into t values (2);\n\
                 insert into elsewhere values (3);\ninsert into t values (4);\n-- sexton:down\ndelete from t;\n",
            ),
        ]);
        assert_eq!(yard.run(json!({})).status, Status::Failed);
        assert_eq!(yard.list("select count(*) from t"), ["2"]);
        let half = &yard.status()["migrations"][1];
        assert_eq!(half["state"], "interrupted");
        assert!(
            half["so_far"].as_str().unwrap().contains("statements 1 to 2 are in of 4, statement 3 is not"),
            "{half}"
        );
        let (code, _, help) = reason(&yard.run(json!({})));
        assert!(code == "interrupted" && help.contains("resume"), "{help}");
        yard.place.script("create table elsewhere (id int)");
        yard.done(json!({"action": "resume"}));
        assert_eq!(yard.list("select count(*) from t"), ["3"]);
        assert_eq!(yard.state("0002_half"), "applied");
    });
}

#[test]
fn what_stopped_in_the_middle_can_be_taken_out_instead() {
    // S2-091
    both(|yard| {
        yard.write(&[
            ("0001_t.sql", "create table t (id int);"),
            (
                "0002_half.sql",
                "-- sexton:transaction off\n-- sexton:up\ninsert into t values (1);\ninsert into elsewhere values (3);\n\
                 -- sexton:down\ndelete from t;\n",
            ),
        ]);
        yard.run(json!({}));
        yard.done(json!({"action": "revert", "ids": ["0002_half"]}));
        assert_eq!(
            (yard.list("select count(*) from t"), yard.state("0002_half")),
            (vec!["0".into()], "rolled_back".into())
        );
    });
}

#[test]
fn each_state_of_a_failed_migration_has_one_advised_command() {
    // W-120
    both(|yard| {
        let advised = |options: serde_json::Value| {
            let engine = yard.engine();
            let plan = story::plan(&engine, &yard.request(options));
            let mut advice = Vec::new();
            let report = engine.run(&plan, &Stop::default(), &mut |event| {
                if let engine::What::Failed { help, .. } = &event.what {
                    advice.extend(help.clone());
                }
            });
            let findings = report.unwrap().operations[0].findings.clone();
            let against = findings.into_iter().filter(|finding| finding.level == engine::Level::Refuse);
            advice.extend(against.map(|finding| finding.remedy));
            assert_eq!(advice.len(), 1, "{advice:?}");
            let commands = advice[0].matches("`sexton ").count();
            assert_eq!(commands, 1, "{advice:?}");
            advice.remove(0)
        };
        // In one transaction: nothing of it is in, and nothing is to be restored.
        yard.write(&[(
            "0001_t.sql",
            "-- sexton:up\ncreate table t (id int);\ninsert into elsewhere values (1);\n-- sexton:down\ndrop table t;\n",
        )]);
        let help = advised(json!({}));
        assert!(help.contains("line 3 of `0001_t.sql`, then `sexton migrate up`"), "{help}");
        // Statement by statement: the first one is in.
        yard.write(&[(
            "0001_t.sql",
            "-- sexton:transaction off\n-- sexton:up\ncreate table t (id int);\ninsert into elsewhere values (1);\n",
        )]);
        advised(json!({}));
        let help = advised(json!({}));
        assert!(help.contains("`sexton migrate resume`"), "{help}");
        // No way back: the way on is advised, not a backup.
        let help = advised(json!({"action": "revert", "ids": ["0001_t"]}));
        assert!(help.contains("`sexton migrate resume`"), "{help}");
    });
}

#[test]
fn a_database_newer_than_the_files_is_told_as_such_and_left_alone() {
    // W-004
    both(|yard| {
        yard.write(&THREE);
        yard.up();
        let before = yard.place.dump();
        // The application of last week comes with its folder.
        yard.remove("0003_note.sql");
        let (code, what, _) = reason(&yard.run(json!({})));
        assert_eq!(code, "newer", "{what}");
        assert!(
            what.contains("the database is newer than these files") && what.contains("`0003_note`"),
            "{what}"
        );
        assert_eq!(yard.status()["ok"], false);
        assert_eq!(yard.place.dump(), before);
        // One from the middle is lost, not newer.
        yard.write(&[THREE[2]]);
        yard.remove("0002_orders.sql");
        assert_eq!(reason(&yard.run(json!({}))).0, "missing");
    });
}
