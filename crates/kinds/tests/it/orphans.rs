//! Stories of `orphans`: every policy, every sort of reference, and the way back.

use crate::orphans_stage::{both, codes, orphans};
use engine::Status;
use serde_json::json;
use testkit::Place;

/// Two users, and things of them and of a third who is gone; users 2 is inactive.
fn platform(place: &Place) {
    place.script(
        "create table users (id integer primary key, status text not null, tenant integer);
         create table courses (id integer primary key, retired integer not null);
         create table achievements (id integer primary key, user_id integer, course_id integer, name text);
         create index achievements_user on achievements (user_id);
         create index achievements_course on achievements (course_id);
         insert into users values (1, 'active', 1), (2, 'inactive', 1);
         insert into courses values (10, 0), (11, 1);
         insert into achievements values
           (1, 1, 10, 'stays'), (2, 1, null, 'no course'), (3, 3, 10, 'user gone'), (4, 1, 12, 'course gone'),
           (5, 3, 12, 'both gone'), (6, 2, 10, 'user inactive'), (7, 1, 11, 'course retired'), (8, null, null, 'nothing'),
           (9, 3, null, 'user gone'), (10, 4, 10, 'user gone');",
    );
}

fn left(place: &Place) -> Vec<i64> {
    let is_left = |id: &i64| !place.rows(&format!("select 1 from achievements where id = {id}")).is_empty();
    (1..=10).filter(is_left).collect()
}

#[test]
fn orphans_go_and_come_back_whatever_dies_meanwhile() {
    // S2-002, W-014
    orphans(json!({"table": "achievements", "columns": ["user_id"], "parent": "users"}))
        .given(platform)
        .meanwhile(|place| {
            place.script("insert into users values (99, 'active', 1); delete from users where id = 99")
        })
        .after(|place, report| {
            assert_eq!(report.operations[0].rows_deleted, 4, "{report:#?}");
            assert_eq!(left(place), [1, 2, 4, 6, 7, 8]);
        })
        .tell();
}

#[test]
fn a_parent_that_is_not_what_it_must_be_counts_as_missing_and_a_row_is_counted_once() {
    // S2-002, X-21
    orphans(json!({"table": "achievements", "references": [
        {"columns": ["user_id"], "parent": "users", "parent_where": "p.status = 'active' -- nobody else"},
        {"columns": ["course_id"], "parent": "courses", "parent_where": "p.retired = 0"}]}))
    .given(platform)
    .after(|place, report| {
        assert_eq!(report.operations[0].rows_deleted, 7, "{report:#?}");
        assert_eq!(left(place), [1, 2, 8]);
    })
    .without_faults()
    .tell();
}

#[test]
fn references_are_set_to_null_each_for_itself() {
    orphans(json!({"table": "achievements", "policy": "set_null", "references": [
        {"columns": ["user_id"], "parent": "users"}, {"columns": ["course_id"], "parent": "courses"}]}))
    .given(platform)
    .after(|place, report| {
        assert_eq!(report.operations[0].rows_changed, 5, "{report:#?}");
        let is = |condition: &str| place.rows(&format!("select 1 from achievements where {condition}")).len();
        assert_eq!(is("id = 3 and user_id is null and course_id = 10"), 1);
        assert_eq!(is("id = 4 and user_id = 1 and course_id is null"), 1);
        assert_eq!(is("id = 5 and user_id is null and course_id is null"), 1);
    })
    .tell();
}

#[test]
fn orphans_get_another_parent() {
    orphans(json!({"table": "achievements", "columns": ["user_id"], "parent": "users", "policy": "reassign", "to": 1}))
        .given(platform)
        .after(|place, report| {
            assert_eq!(report.operations[0].rows_changed, 4, "{report:#?}");
            assert_eq!(place.rows("select 1 from achievements where user_id = 1").len(), 8);
        })
        .tell();
}

#[test]
fn nobody_is_given_to_a_parent_who_is_not_there() {
    both(platform, |stage| {
        for to in [json!(77), json!(2)] {
            let plan = stage.plan(json!({"table": "achievements", "columns": ["user_id"], "parent": "users",
                "parent_where": "status = 'active'", "policy": "reassign", "to": to}));
            assert!(codes(&plan).contains(&"no_such_parent"), "{:?}", codes(&plan));
        }
    });
}

#[test]
fn declared_references_need_no_words() {
    // S2-005: dangling on either end
    orphans(json!({"table": "prerequisites"}))
        .given(|place| {
            place.script2(
                "create table lessons (id integer primary key, title text);
                 create table prerequisites (lesson_id integer not null references lessons, other_id integer not null references lessons,
                   primary key (lesson_id, other_id));
                 insert into lessons values (1, 'a'), (2, 'b');
                 insert into prerequisites values (1, 2), (2, 1), (3, 1), (1, 4), (5, 6);",
                "create table lessons (id integer primary key, title text);
                 create table prerequisites (lesson_id integer not null, other_id integer not null, primary key (lesson_id, other_id));
                 insert into lessons values (1, 'a'), (2, 'b');
                 insert into prerequisites values (1, 2), (2, 1), (3, 1), (1, 4), (5, 6);
                 alter table prerequisites add constraint a foreign key (lesson_id) references lessons not valid;
                 alter table prerequisites add constraint b foreign key (other_id) references lessons not valid;",
            );
        })
        .after(|place, report| {
            assert_eq!(report.operations[0].rows_deleted, 3);
            assert_eq!(place.rows("select 1 from prerequisites").len(), 2);
        })
        .without_undo()
        .tell();
}

#[test]
fn composite_keys_are_compared_as_a_whole() {
    let given = |place: &Place| {
        place.script(
            "create table orders (tenant integer, id integer, primary key (tenant, id));
             create table items (id integer primary key, tenant integer not null, order_id integer);
             insert into orders values (1, 1), (2, 2);
             insert into items values (1, 1, 1), (2, 1, 2), (3, 2, 2), (4, 2, null), (5, 3, 1);",
        );
    };
    let options = json!({"table": "items", "columns": ["tenant", "order_id"], "parent": "orders"});
    orphans(options.clone())
        .given(given)
        .after(|place, _| assert_eq!(place.rows("select 1 from items where id in (1, 3, 4)").len(), 3))
        .without_faults()
        .tell();
    let mut options = options;
    options["policy"] = json!("set_null");
    orphans(options)
        .given(given)
        .after(|place, report| {
            assert_eq!(report.operations[0].rows_changed, 2);
            assert_eq!(
                place.rows("select 1 from items where order_id is null and tenant in (1, 3)").len(),
                2
            );
        })
        .without_faults()
        .tell();
}

#[test]
fn a_column_that_two_references_share_is_not_emptied() {
    both(
        |place| {
            place.script(
                "create table orders (tenant integer, id integer, primary key (tenant, id));
                 create table buyers (tenant integer, id integer, primary key (tenant, id));
                 create table items (id integer primary key, tenant integer, order_id integer, buyer_id integer);
                 insert into orders values (1, 1); insert into buyers values (1, 1);
                 insert into items values (1, 1, 1, 1), (2, 1, 2, 1), (3, 1, 2, 2);",
            );
        },
        |stage| {
            let report = stage.run(json!({"table": "items", "policy": "set_null", "references": [
                {"columns": ["tenant", "order_id"], "parent": "orders"}, {"columns": ["tenant", "buyer_id"], "parent": "buyers"}]}));
            assert_eq!((report.status, report.totals.changed), (Status::Completed, 2), "{report:#?}");
            let is = |condition: &str| stage.number(&format!("select count(*) from items where {condition}"));
            assert_eq!(is("id = 2 and tenant = 1 and order_id is null and buyer_id = 1"), 1);
            assert_eq!(is("id = 3 and tenant = 1 and order_id is null and buyer_id is null"), 1);
        },
    );
}

#[test]
fn a_reference_may_say_which_table_it_means() {
    orphans(json!({"table": "comments", "references": [
        {"columns": ["about_id"], "type_column": "about", "type_value": "Lesson", "parent": "lessons"},
        {"columns": ["about_id"], "type_column": "about", "type_value": "Course", "parent": "courses"}]}))
    .given(|place| {
        place.script(
            "create table lessons (id integer primary key); create table courses (id integer primary key);
             create table comments (id integer primary key, about text, about_id integer);
             insert into lessons values (1), (2); insert into courses values (3);
             insert into comments values (1, 'Lesson', 1), (2, 'Lesson', 3), (3, 'Course', 3), (4, 'Course', 1),
               (5, 'User', 77), (6, null, 5), (7, 'Lesson', null);",
        );
    })
    .after(|place, report| {
        assert_eq!(report.operations[0].rows_deleted, 2, "{report:#?}");
        assert_eq!(place.rows("select 1 from comments where id in (2, 4)").len(), 0);
    })
    .without_faults()
    .tell();
}

/// Playlists with ids of lessons inside JSON.
fn playlists(place: &Place) {
    place.script2(
        "create table lessons (id integer primary key); insert into lessons values (1), (2), (3);
         create table playlists (id integer primary key, data text);",
        "create table lessons (id bigint primary key); insert into lessons values (1), (2), (3);
         create table playlists (id integer primary key, data jsonb);",
    );
    place.script(
        r#"insert into playlists values
             (1, '{"a": {"ids": [1, 2]}, "first": 1}'), (2, '{"a": {"ids": [1, 9, "3", 8, null, true, {"x": 1}]}, "first": 9}'),
             (3, '{"a": {"ids": []}}'), (4, '{"a": null, "first": null}'), (5, null), (6, '[7]'), (7, '{"a": {"ids": {"id": 9}}}'),
             (8, '{"a": {"ids": ["x", 9]}}');"#,
    );
}

#[test]
fn dangling_ids_leave_a_list_inside_json() {
    orphans(json!({"table": "playlists", "columns": ["data"], "json": "$.a.ids[*]", "parent": "lessons", "policy": "remove"}))
        .given(playlists)
        .after(|place, report| {
            assert_eq!(report.operations[0].rows_changed, 2, "{report:#?}");
            let kept = place.rows("select cast(data as text) from playlists where id in (2, 8) order by id");
            let text = |n: usize| kept[n][0].as_text().unwrap_or_default().replace(' ', "");
            assert!(text(0).contains(r#""ids":[1,"3",null,true,{"x":1}]"#), "{}", text(0));
            assert!(text(1).contains(r#""ids":["x"]"#), "{}", text(1));
        })
        .tell();
}

#[test]
fn a_single_id_inside_json_becomes_null_or_its_row_goes() {
    let options = |policy: &str| json!({"table": "playlists", "columns": ["data"], "json": "first", "parent": "lessons", "policy": policy});
    orphans(options("remove"))
        .given(playlists)
        .after(|place, report| {
            assert_eq!(report.operations[0].rows_changed, 1, "{report:#?}");
            let kept = place.rows("select cast(data as text) from playlists where id = 2");
            assert!(kept[0][0].as_text().unwrap_or_default().replace(' ', "").contains(r#""first":null"#));
        })
        .without_faults()
        .tell();
    orphans(options("delete"))
        .given(playlists)
        .after(|place, report| {
            assert_eq!(report.operations[0].rows_deleted, 1, "{report:#?}");
            assert_eq!(place.rows("select 1 from playlists where id = 2").len(), 0);
        })
        .without_faults()
        .tell();
}

#[test]
fn ids_in_the_items_of_lists_inside_json_are_found_at_any_depth() {
    let given = |place: &Place| {
        playlists(place);
        place.script(
            r#"insert into playlists values
                 (30, '{"b": [{"l": 1}, {"l": 9, "n": "x"}, {"l": "8"}, {"l": [2, 9]}, {"l": {"id": 9}}, 9, null, "9", [], {"m": 9}]}'),
                 (31, '{"b": [{"l": 1}, {"l": [2, "3"]}]}'), (32, '{"b": {"l": 9}}'), (33, '{"b": 9}'),
                 (34, '[[{"l": 9}, {"l": 2}], {"l": 9}, []]');"#,
        );
    };
    let of = |place: &Place, id: i64| {
        let rows = place.rows(&format!("select cast(data as text) from playlists where id = {id}"));
        serde_json::from_str::<serde_json::Value>(rows[0][0].as_text().unwrap_or_default()).unwrap()
    };
    let options = |path: &str, policy: &str| json!({"table": "playlists", "columns": ["data"], "json": path, "parent": "lessons", "policy": policy});
    orphans(options("$.b[*].l", "remove"))
        .given(given)
        .after(move |place, report| {
            assert_eq!(report.operations[0].rows_changed, 1, "{report:#?}");
            let kept = json!({"b": [{"l": 1}, {"l": null, "n": "x"}, {"l": null}, {"l": [2]}, {"l": {"id": 9}},
                9, null, "9", [], {"m": 9}]});
            assert_eq!(of(place, 30), kept);
            assert_eq!(of(place, 31), json!({"b": [{"l": 1}, {"l": [2, "3"]}]}));
            assert_eq!(of(place, 32), json!({"b": {"l": 9}}));
        })
        .tell();
    orphans(options("$[*][*].l", "remove"))
        .given(given)
        .after(move |place, report| {
            assert_eq!(report.operations[0].rows_changed, 1, "{report:#?}");
            assert_eq!(of(place, 34), json!([[{"l": null}, {"l": 2}], {"l": 9}, []]));
        })
        .without_faults()
        .tell();
    orphans(options("$.b[*].l", "delete"))
        .given(given)
        .after(|place, report| {
            assert_eq!(report.operations[0].rows_deleted, 1, "{report:#?}");
            assert_eq!(place.rows("select 1 from playlists where id = 30").len(), 0);
        })
        .without_faults()
        .tell();
}

#[test]
fn what_is_no_json_is_left_alone() {
    let place = Place::sqlite();
    playlists(&place);
    place.script("insert into playlists values (20, 'not json at all'), (21, '{\"a\": [broken')");
    orphans(json!({"table": "playlists", "columns": ["data"], "json": "$.a.ids", "parent": "lessons", "policy": "remove"}))
        .given(|_| {})
        .after(|_, report| assert_eq!(report.operations[0].rows_changed, 2))
        .without_faults()
        .tell_on(&place);
}

#[test]
fn a_partitioned_table_loses_orphans_in_every_partition() {
    orphans(json!({"table": "events", "columns": ["user_id"], "parent": "users"}))
        .given(|place| {
            place.script2(
                "create table events (id integer primary key, user_id integer, day integer)",
                "create table events (id integer, user_id integer, day integer, primary key (id, day)) partition by range (day);
                 create table events_1 partition of events for values from (0) to (10);
                 create table events_2 partition of events for values from (10) to (20);",
            );
            place.script(
                "create table users (id integer primary key); insert into users values (1), (2);
                 insert into events values (1, 1, 1), (2, 3, 2), (3, 2, 11), (4, 4, 12), (5, 4, 3);",
            );
        })
        .after(|place, report| {
            assert_eq!(report.operations[0].rows_deleted, 3, "{report:#?}");
            assert_eq!(place.rows("select 1 from events").len(), 2);
        })
        .tell();
}

#[test]
fn the_report_offers_what_would_prevent_the_next_ones() {
    // W-107
    both(platform, |stage| {
        let report = stage.run(json!({"table": "achievements", "columns": ["user_id"], "parent": "users"}));
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        let said = report.recommendations.join("\n");
        if stage.place.is_sqlite() {
            assert!(said.contains("foreign key (\"user_id\") references \"users\" (\"id\")"), "{said}");
            return;
        }
        assert!(said.contains("not valid") && said.contains("validate constraint"), "{said}");
        let offered = report.recommendations.iter().find(|advice| advice.contains("not valid")).unwrap();
        stage.place.script(offered);
        assert_eq!(
            stage.number("select count(*) from pg_constraint where contype = 'f' and convalidated"),
            1
        );
    });
}

#[test]
fn orphans_move_to_a_quarantine_and_back() {
    orphans(json!({"table": "achievements", "columns": ["user_id"], "parent": "users", "policy": "quarantine"}))
        .given(|place| {
            platform(place);
            let more = "quarantined_at timestamp with time zone, quarantined_by text, primary key (id, quarantined_by)";
            place.script(&format!("create table achievements_quarantine (id integer, user_id integer, course_id integer, name text, {more})"));
        })
        .after(|place, report| {
            assert_eq!(report.operations[0].rows_deleted, 4, "{report:#?}");
            assert_eq!(left(place), [1, 2, 4, 6, 7, 8]);
            let moved = format!("quarantined_by = '{}' and quarantined_at is not null", report.run_id);
            assert_eq!(place.rows(&format!("select 1 from achievements_quarantine where {moved}")).len(), 4);
        })
        .tell();
}

#[test]
fn a_quarantine_that_the_run_made_goes_with_its_undo_whatever_dies_meanwhile() {
    // W-014: the schema is as it was, too
    orphans(
        json!({"table": "achievements", "columns": ["user_id"], "parent": "users", "policy": "quarantine"}),
    )
    .given(platform)
    .after(|place, _| assert_eq!(place.rows("select 1 from achievements_quarantine").len(), 4))
    .tell();
}

#[test]
fn a_quarantine_stays_while_somebody_needs_it() {
    both(platform, |stage| {
        let options = json!({"table": "achievements", "columns": ["user_id"], "parent": "users", "policy": "quarantine"});
        let there = "select count(*) from achievements_quarantine";
        // a second run has rows in it
        let first = stage.run(options.clone());
        stage.place.script("insert into achievements values (20, 20, 20, 'new')");
        let second = stage.run(options.clone());
        assert_eq!((first.totals.deleted, second.totals.deleted), (4, 1));
        stage.undo(&first.run_id);
        assert_eq!(stage.number(there), 1);
        stage.undo(&second.run_id);
        assert_eq!(stage.number(there), 0, "the second run has not made it");
        // somebody put a row into the one that a run has made
        stage.place.script("drop table achievements_quarantine");
        stage.engine().end_all_exemptions("test", "tester").unwrap();
        let third = stage.run(options);
        assert_eq!(third.totals.deleted, 5, "{third:#?}");
        stage
            .place
            .script("insert into achievements_quarantine (id, quarantined_by) values (99, 'a person')");
        assert_eq!(stage.undo(&third.run_id).status, Status::Completed);
        assert_eq!(stage.number(there), 1);
    });
}

#[test]
fn a_quarantine_is_made_like_its_source_and_used_again() {
    both(platform, |stage| {
        let options = json!({"table": "achievements", "columns": ["user_id"], "parent": "users",
            "policy": "quarantine", "quarantine_table": "lost_achievements"});
        let before = stage.number("select count(*) from achievements");
        let first = stage.run(options.clone());
        assert_eq!((first.status, first.totals.deleted), (Status::Completed, 4), "{first:#?}");
        stage.undo(&first.run_id);
        assert_eq!(stage.number("select count(*) from achievements"), before);
        assert!(stage.place.try_script("select 1 from lost_achievements").is_err(), "it was made by the run");
        stage.place.script("insert into achievements values (20, 20, 20, 'new')");
        let second = stage.run(options.clone());
        assert_eq!(
            (second.status, second.totals.deleted),
            (Status::Completed, 1),
            "restored rows stay: {second:#?}"
        );
        assert_eq!(stage.number("select count(*) from lost_achievements where name = 'new'"), 1);
        stage.place.script("alter table achievements add column extra text");
        let refusal = stage.refusal(options);
        assert!(
            refusal.contains("has no column `extra`") && refusal.contains("quarantine_table"),
            "{refusal}"
        );
    });
}
