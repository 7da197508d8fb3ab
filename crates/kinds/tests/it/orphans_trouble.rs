//! What can go wrong with orphans: parents that seem to be gone and are not, and rows that change meanwhile.

use crate::orphans_stage::{Stage, both, codes, manners, orphans};
use engine::{Level, Manners, Plan, Status, Stop};
use serde_json::json;
use testkit::{Place, story};

/// Ten notes of two users, three of them of users who are gone.
fn notes(place: &Place) {
    place.script(
        "create table users (id integer primary key, status text);
         create table notes (id integer primary key, user_id integer, text text);
         create index notes_user on notes (user_id);
         insert into users values (1, 'active'), (2, 'active');
         insert into notes values (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c'), (4, 3, 'd'), (5, 4, 'e'), (6, null, 'f'), (7, 1, 'g'),
           (8, 1, 'h'), (9, 2, 'i'), (10, 2, 'j');",
    );
}

fn of_users() -> serde_json::Value {
    json!({"table": "notes", "columns": ["user_id"], "parent": "users"})
}

fn finding<'a>(plan: &'a Plan, code: &str) -> &'a engine::Finding {
    let findings = &plan.items[0].findings;
    findings
        .iter()
        .find(|finding| finding.code == code)
        .unwrap_or_else(|| panic!("no `{code}` in {findings:#?}"))
}

#[test]
fn a_table_of_parents_that_is_empty_is_refused_unless_somebody_says_so() {
    // W-017
    both(notes, |stage| {
        stage.place.script("delete from users");
        let before = stage.place.dump();
        let report = stage.run(of_users());
        assert_eq!(report.status, Status::Refused);
        assert_eq!(stage.place.dump(), before);
        let plan = stage.plan(of_users());
        assert!(finding(&plan, "no_parents").remedy.contains("allow_no_parents"));
        let mut options = of_users();
        options["allow_no_parents"] = json!(true);
        assert_eq!(stage.run(options).totals.deleted, 9);
    });
}

#[test]
fn a_condition_that_no_parent_satisfies_is_refused_too() {
    // W-017, X-21
    both(notes, |stage| {
        let mut options = of_users();
        options["parent_where"] = json!("p.status = 'actve'");
        let plan = stage.plan(options.clone());
        assert!(finding(&plan, "no_parents").what.contains("actve"), "{:?}", codes(&plan));
        assert_eq!(stage.run(options.clone()).status, Status::Refused);
        options["parent_where"] = json!("p.status = 'active') or (1 = 1");
        assert!(stage.refusal(options).contains("the condition"));
    });
}

#[test]
fn many_orphans_at_once_are_refused() {
    // W-017
    both(notes, |stage| {
        stage.place.script2(
            "with recursive n(i) as (select 11 union all select i + 1 from n where i < 1000) insert into notes select i, 1 + i % 3, 'x' from n",
            "insert into notes select i, 1 + i % 3, 'x' from generate_series(11, 1000) i",
        );
        let engine = stage.engine();
        let careful = Manners { min_free_disk_mb: 0, ..Manners::default() };
        let request = story::request("orphans", of_users(), careful, false);
        let report = story::run(&engine, &story::plan(&engine, &request));
        assert_eq!(report.status, Status::Refused);
        let why = &report.operations[0]
            .findings
            .iter()
            .find(|finding| finding.code == "share_of_rows")
            .unwrap()
            .what;
        assert!(why.contains("33 %"), "{why}");
    });
}

#[test]
fn a_null_among_the_parents_keys_hides_no_orphan() {
    // W-014
    let options = json!({"table": "workers", "columns": ["planner_id"], "parent": "planners", "parent_columns": ["id"]});
    orphans(options.clone())
        .given(|place| {
            place.script2(
                "create table planners (id text primary key, name text)",
                "create table planners (id text unique, name text)",
            );
            place.script(
                "create table workers (id integer primary key, planner_id text);
                 insert into planners values ('p1', 'a'), (null, 'b'), ('p2', 'c');
                 insert into workers values (1, 'p1'), (2, 'gone'), (3, null), (4, 'p2');",
            );
        })
        .after(|place, report| {
            assert_eq!(report.operations[0].rows_deleted, 1, "{report:#?}");
            assert_eq!(place.rows("select 1 from workers where id = 2").len(), 0);
            assert!(report.operations[0].findings.iter().any(|finding| finding.code == "null_keys"));
        })
        .without_faults()
        .tell();
}

#[test]
fn text_is_read_as_the_number_it_is_and_what_is_none_stays() {
    both(
        |place| {
            place.script(
                "create table users (id bigint primary key); create table notes (id integer primary key, user_id text);
                 insert into users values (1), (2), (-3), (123456789012345678);
                 insert into notes values (1, '1'), (2, '01'), (3, ' 2 '), (4, '+2'), (5, '-3'), (6, '4'), (7, '1x'), (8, ''), (9, null),
                   (10, '123456789012345678'), (11, '123456789012345679'), (12, '99999999999999999999'), (13, '-'), (14, '1.0');",
            );
        },
        |stage| {
            let report = stage.run(of_users());
            let done = &report.operations[0];
            assert_eq!((report.status, done.rows_deleted), (Status::Completed, 2), "{report:#?}");
            assert_eq!(stage.number("select count(*) from notes where id in (6, 11)"), 0);
            assert_eq!(done.rows_skipped, 5, "1x, nothing, a sign, too long, a fraction: {report:#?}");
            stage.undo(&report.run_id);
            assert_eq!(stage.number("select count(*) from notes"), 14);
        },
    );
}

#[test]
fn numbers_are_compared_with_text_only_where_the_text_is_their_own_spelling() {
    both(
        |place| {
            place.script(
                "create table users (id varchar(20) primary key); create table notes (id integer primary key, user_id integer);
                 insert into users values ('1'), ('2'); insert into notes values (1, 1), (2, 2), (3, 3), (4, null);",
            );
        },
        |stage| {
            let report = stage.run(of_users());
            assert_eq!(report.totals.deleted, 1, "{report:#?}");
            stage.place.script("insert into users values ('007'); insert into notes values (7, 7)");
            let plan = stage.plan(of_users());
            assert!(finding(&plan, "types_differ").level == Level::Refuse, "{:?}", codes(&plan));
            assert_eq!(stage.run(of_users()).status, Status::Refused);
        },
    );
}

#[test]
fn types_that_cannot_be_compared_are_refused_with_their_names() {
    both(
        |place| {
            place.script2(
                "create table users (id blob primary key not null); create table notes (id integer primary key, user_id integer)",
                "create table users (id bytea primary key); create table notes (id integer primary key, user_id integer)",
            );
        },
        |stage| {
            let refusal = stage.refusal(of_users());
            assert!(refusal.contains("notes.user_id") && refusal.contains("same type"), "{refusal}");
        },
    );
}

#[test]
fn names_that_are_not_there_are_told() {
    both(notes, |stage| {
        for (key, value, wanted) in [
            ("parent", json!("user"), "the nearest names are"),
            ("columns", json!(["user"]), "has no column `user`"),
            ("parent_columns", json!(["uid"]), "has no column `uid`"),
            ("parent_columns", json!(["id", "status"]), "as many"),
            ("type_column", json!("kind"), "type_value"),
            ("policy", json!("reassign"), "to = 1"),
            ("policy", json!("remove"), "set_null"),
            ("parnet", json!("users"), "there is no option"),
        ] {
            let mut options = of_users();
            options[key] = value;
            let refusal = stage.refusal(options);
            assert!(refusal.contains(wanted), "{key}: {refusal}");
        }
        let refusal = stage.refusal(json!({"table": "notes"}));
        assert!(refusal.contains("declares no reference"), "{refusal}");
        let refusal = stage.refusal(json!({"table": "notes", "columns": ["user_id"]}));
        assert!(refusal.contains("parent ="), "{refusal}");
    });
}

#[test]
fn a_view_may_be_a_parent_but_not_be_mended() {
    both(notes, |stage| {
        stage.place.script(
            "create view active_users as select id from users where status = 'active';
             create view my_notes as select * from notes; update users set status = 'gone' where id = 2",
        );
        let refusal = stage.refusal(json!({"table": "my_notes", "columns": ["user_id"], "parent": "users"}));
        assert!(refusal.contains("is a view"), "{refusal}");
        let options = json!({"table": "notes", "columns": ["user_id"], "parent": "active_users", "parent_columns": ["id"]});
        assert_eq!(stage.run(options).totals.deleted, 6);
    });
}

#[test]
fn orphans_that_others_refer_to_stay_unless_it_is_said_what_happens_to_those() {
    // W-034
    let given = |place: &Place| {
        notes(place);
        place.script(
            "create table files (id integer primary key, note_id integer references notes (id));
             create index files_note on files (note_id);
             insert into files values (1, 3), (2, 3), (3, 1);",
        );
    };
    both(given, |stage| {
        let plan = stage.plan(of_users());
        assert!(finding(&plan, "dependants").what.contains("2 rows"), "{:?}", codes(&plan));
        assert_eq!(stage.run(of_users()).status, Status::Refused);
    });
    for policy in ["delete", "quarantine"] {
        let mut options = of_users();
        options["policy"] = json!(policy);
        options["dependants"] = json!("cascade");
        orphans(options)
            .given(move |place| {
                given(place);
                let more = "quarantined_at timestamp with time zone, quarantined_by text";
                place.script(&format!(
                    "create table notes_quarantine (id integer, user_id integer, text text, {more})"
                ));
            })
            .after(|place, report| {
                let done = &report.operations[0];
                assert_eq!((done.rows_deleted, done.rows_dependent), (3, 2), "{report:#?}");
                assert_eq!(place.rows("select 1 from files").len(), 1);
            })
            .without_faults()
            .tell();
    }
}

#[test]
fn a_tree_loses_what_hangs_in_the_air_and_what_hangs_on_that() {
    // 9 refers to nothing; 10 and 11 hang on it; 4 and 5 refer to each other and so are no orphans
    orphans(json!({"table": "folders", "columns": ["parent_id"], "parent": "folders", "dependants": "cascade"}))
        .given(|place| {
            place.script(
                "create table folders (id integer primary key, parent_id integer);
                 create index folders_parent on folders (parent_id);
                 insert into folders values (1, null), (2, 1), (3, 2), (4, 5), (5, 4), (6, 6), (9, 8), (10, 9), (11, 10), (12, 7);",
            );
        })
        .after(|place, report| {
            assert_eq!(report.operations[0].rows_deleted, 4, "{report:#?}");
            assert_eq!(place.rows("select 1 from folders").len(), 6);
        })
        .tell();
}

#[test]
fn tables_in_a_circle_are_refused_where_everything_would_go() {
    both(
        |place| {
            place.script2(
                "create table a (id integer primary key, b_id integer references b (id));
                 create table b (id integer primary key, a_id integer references a (id));",
                "create table a (id integer primary key, b_id integer); create table b (id integer primary key, a_id integer);",
            );
            place.script("insert into a values (1, 1), (2, 9); insert into b values (1, 1), (2, 2);");
            place.script2(
                "select 1",
                "alter table a add foreign key (b_id) references b (id) not valid; alter table b add foreign key (a_id) references a (id);",
            );
        },
        |stage| {
            let plan = stage.plan(json!({"table": "a", "dependants": "cascade"}));
            assert!(codes(&plan).contains(&"cycle"), "{:?}", codes(&plan));
            let report = stage.run(json!({"table": "a", "dependants": "set_null"}));
            assert_eq!((report.status, report.totals.deleted), (Status::Completed, 1), "{report:#?}");
        },
    );
}

#[test]
fn a_row_that_gets_its_parent_back_after_the_plan_stays() {
    both(notes, |stage| {
        for policy in ["delete", "set_null"] {
            let mut options = of_users();
            options["policy"] = json!(policy);
            let plan = stage.plan(options);
            assert_eq!(plan.matched(), 3);
            stage.place.script("insert into users values (3, 'back')");
            let report = story::run(&stage.engine(), &plan);
            assert_eq!(report.totals.deleted + report.totals.changed, 1, "{report:#?}");
            assert_eq!(stage.number("select count(*) from notes where user_id = 3"), 2);
            stage.undo(&report.run_id);
            stage.place.script("delete from users where id = 3");
            story::forget(&stage.engine());
        }
    });
}

#[test]
fn a_row_that_others_changed_after_the_run_is_not_overwritten_by_the_undo() {
    both(notes, |stage| {
        let mut options = of_users();
        options["policy"] = json!("reassign");
        options["to"] = json!(1);
        let report = stage.run(options);
        assert_eq!(report.totals.changed, 3);
        stage.place.script("update notes set user_id = 2 where id = 3");
        let undone = stage.undo(&report.run_id);
        assert_eq!(undone.status, Status::Partial, "{undone:#?}");
        assert_eq!(
            stage.list("select user_id from notes where id in (3, 4, 5) order by id"),
            ["2", "3", "4"]
        );
    });
}

#[test]
fn orphans_that_come_during_the_run_are_told_or_go_too() {
    // W-087
    both(notes, |stage| {
        stage.place.script2(
            "with recursive n(i) as (select 11 union all select i + 1 from n where i < 60) insert into notes select i, 5, 'x' from n",
            "insert into notes select i, 5, 'x' from generate_series(11, 60) i",
        );
        let engine = stage.engine();
        let request =
            story::request("orphans", of_users(), Manners { batch_size: Some(10), ..manners() }, false);
        let plan = story::plan(&engine, &request);
        let mut came = false;
        let report = engine
            .run(&plan, &Stop::default(), &mut |event| {
                if matches!(event.what, engine::What::Advanced { .. }) && !came {
                    came = true;
                    stage
                        .place
                        .script("insert into notes values (1000, 77, 'came meanwhile'), (1001, 1, 'sound')");
                }
            })
            .unwrap();
        assert_eq!((report.status, came), (Status::Completed, true), "{report:#?}");
        let left = stage.number("select count(*) from notes where user_id = 77");
        let told = report.operations[0].findings.iter().any(|finding| finding.code == "rows_left");
        assert!(left == 0 || told, "{report:#?}");
        assert_eq!(stage.number("select count(*) from notes where id = 1001"), 1);
        assert!(report.operations[0].findings.iter().any(|finding| finding.code == "constraint"));
    });
}

#[test]
fn accounts_deleted_in_the_same_run_leave_no_orphans() {
    // W-074
    both(notes, |stage| {
        let engine = stage.engine();
        let mut request =
            story::request("purge", json!({"table": "users", "where": "id = 2"}), manners(), false);
        request.operations.extend(stage.request(of_users()).operations);
        let report = story::run(&engine, &story::plan(&engine, &request));
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        let left = "select count(*) from notes n where user_id is not null and not exists (select 1 from users u where u.id = n.user_id)";
        assert_eq!(stage.number(left), 0, "{report:#?}");
        assert_eq!(stage.number("select count(*) from notes"), 4);
    });
}

#[test]
fn missing_indexes_are_named_with_the_statement_that_makes_them() {
    // W-107
    both(
        |place| {
            place.script(
                "create table users (id integer, name text); create table notes (id integer primary key, user_id integer);
                 insert into users values (1, 'a'); insert into notes values (1, 1), (2, 2)",
            );
        },
        |stage| {
            let plan = stage.plan(json!({"table": "notes", "columns": ["user_id"], "parent": "users", "parent_columns": ["id"]}));
            let missing: Vec<&str> = plan.items[0]
                .findings
                .iter()
                .filter(|finding| finding.code == "missing_index")
                .map(|finding| finding.remedy.as_str())
                .collect();
            assert_eq!(missing.len(), 2, "{missing:?}");
            for statement in missing {
                stage.place.script(statement);
            }
            let plan = stage.plan(json!({"table": "notes", "columns": ["user_id"], "parent": "users", "parent_columns": ["id"]}));
            assert!(!codes(&plan).contains(&"missing_index"), "{:?}", codes(&plan));
        },
    );
}

#[test]
fn parents_that_are_there_twice_do_not_count_a_row_twice() {
    both(
        |place| {
            place.script(
                "create table users (id integer, name text); create table notes (id integer primary key, user_id integer);
                 insert into users values (1, 'a'), (1, 'again'), (null, 'nobody');
                 insert into notes values (1, 1), (2, 2), (3, 2), (4, null)",
            );
        },
        |stage| {
            let options = json!({"table": "notes", "columns": ["user_id"], "parent": "users", "parent_columns": ["id"]});
            let plan = stage.plan(options.clone());
            let step = &plan.items[0].steps[0];
            assert_eq!((step.matched, step.total), (2, Some(4)));
            assert_eq!(stage.run(options).totals.deleted, 2);
        },
    );
}

#[test]
fn a_composite_reference_within_one_application_gets_a_composite_constraint() {
    // X-36
    both(
        |place| {
            place.script(
                "create table folders (id integer primary key, application_id integer not null, parent_id integer, unique (id, application_id));
                 create index folders_parent on folders (parent_id, application_id);
                 insert into folders values (1, 1, null), (2, 1, 1), (3, 2, 1), (4, 2, null), (5, 2, 4), (6, 1, 99);",
            );
        },
        |stage| {
            let report = stage.run(
                json!({"table": "folders", "columns": ["parent_id", "application_id"], "parent": "folders",
                "parent_columns": ["id", "application_id"], "policy": "set_null"}),
            );
            assert_eq!((report.status, report.totals.changed), (Status::Completed, 2), "{report:#?}");
            assert_eq!(
                stage.list("select id from folders where parent_id is null order by id"),
                ["1", "3", "4", "6"]
            );
            let offered = report.recommendations.join("\n");
            assert!(offered.contains(r#"("parent_id", "application_id") references"#), "{offered}");
        },
    );
}

#[test]
fn what_the_database_would_refuse_to_take_back_is_said_before() {
    // Only PostgreSQL keeps a reference on every connection.
    let place = Place::postgres();
    notes(&place);
    place.script("alter table notes add constraint notes_user_fkey foreign key (user_id) references users (id) not valid");
    let stage = Stage::new(place);
    let before = stage.place.dump();
    let plan = stage.plan(json!({"table": "notes"}));
    assert!(finding(&plan, "undo_refused").remedy.contains("drop constraint \"notes_user_fkey\""));
    let report = story::run(&stage.engine(), &plan);
    assert_eq!(report.totals.deleted, 3);
    assert!(
        report
            .recommendations
            .iter()
            .any(|advice| advice.starts_with("alter table \"public\".\"notes\" validate"))
    );
    assert_eq!(stage.undo(&report.run_id).status, Status::Partial);
    stage.place.script("alter table notes drop constraint notes_user_fkey");
    stage.undo(&report.run_id);
    stage.place.script("alter table notes add constraint notes_user_fkey foreign key (user_id) references users (id) not valid");
    assert_eq!(stage.place.dump(), before);
}

#[test]
fn orphans_go_to_an_archive_first_where_one_is_named() {
    both(notes, |stage| {
        let mut options = of_users();
        options["archive"] = json!("store");
        let before = stage.place.dump();
        let report = stage.run(options);
        assert_eq!(
            (report.status, report.totals.archived, report.totals.deleted),
            (Status::Completed, 3, 3),
            "{report:#?}"
        );
        let engine = stage.engine();
        let request = engine.restore_request("store", &report.run_id, None, "test", "tester");
        let back = story::run(&engine, &story::plan(&engine, &request));
        assert_eq!(back.totals.restored, 3, "{back:#?}");
        assert_eq!(stage.place.dump(), before, "the archive did not hold what went");
    });
}
