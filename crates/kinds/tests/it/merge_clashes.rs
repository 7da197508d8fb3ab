//! Rows that would be in each other's way after a merge: folded, renamed, kept or refused, and never lost.

use crate::merge::{cells, merge};
use crate::stage::{Stage, both, codes, manners};
use serde_json::{Value as Json, json};
use testkit::{Place, story};

/// Two albums that are the same, with pictures; `unique` is a further line of the table of pictures.
fn albums(place: &Place, unique: &str) {
    let script = format!(
        "create table albums (id integer primary key, title varchar(20));
         create table pictures (id integer primary key, album integer references albums (id), name varchar(20), hash text, stars integer {unique});
         create index pictures_album on pictures (album);
         create table likes (id integer primary key, picture integer not null references pictures (id), who text, unique (picture, who));
         insert into albums values (1, 'Rome'), (2, 'Rome'), (3, 'Oslo');
         insert into pictures values (10, 1, 'a.jpg', 'x', 1), (11, 1, 'a (2).jpg', 'y', 2), (12, 1, 'noext', 'z', 3), (13, 1, '.dot', 'd', 1),
           (14, 1, 'long-name-of-20-c.jp', 'l', 1),
           (20, 2, 'a.jpg', 'x', 4), (21, 2, 'noext', 'q', 5), (22, 2, 'b.jpg', 'x', 6), (23, 2, '.dot', 'e', 1), (24, 2, 'long-name-of-20-c.jp', 'm', 1),
           (30, 3, 'a.jpg', 'x', 9), (31, null, 'a.jpg', 'x', 9);
         insert into likes values (1, 10, 'ann'), (2, 20, 'ann'), (3, 20, 'bob'), (4, 21, 'ann'), (5, 30, 'ann');"
    );
    place.script(&script);
}

fn options(rule: Json) -> Json {
    json!({"table": "albums", "by": ["title"], "survivor": ["lowest_key"], "on_clash": [rule]})
}

#[test]
fn a_row_of_the_same_name_gets_another_one() {
    // W-082: nobody takes a name that is there already
    for unique in ["", ", unique (album, name)"] {
        merge(options(
            json!({"table": "pictures", "columns": ["name"], "policy": "rename", "rename": "name"}),
        ))
        .given(move |place| albums(place, unique))
        .after(|place, _| {
            assert_eq!(
                cells(place, "select id, name from pictures where album = 1 and id >= 20 order by id"),
                ["20|a (3).jpg", "21|noext (2)", "22|b.jpg", "23|.dot (2)", "24|long-nam (2).jp"]
            );
        })
        .without_faults()
        .tell();
    }
}

#[test]
fn the_same_thing_twice_is_kept_or_folded() {
    // W-082: same hash
    let rule = |if_same: &str| json!({"table": "pictures", "columns": ["name"], "policy": "rename", "rename": "name", "same": ["hash"], "if_same": if_same});
    merge(options(rule("keep")))
        .given(|place| albums(place, ""))
        .after(|place, _| {
            assert_eq!(
                cells(place, "select id from pictures where album = 1 and name = 'a.jpg' order by id"),
                ["10", "20"]
            );
        })
        .without_faults()
        .tell();
    merge(options(rule("fold")))
        .given(|place| albums(place, ""))
        .after(|place, report| {
            assert_eq!(
                cells(place, "select id from pictures where name = 'a.jpg' order by id"),
                ["10", "30", "31"]
            );
            // who liked the one likes the other, once
            assert_eq!(
                cells(place, "select id, who from likes where picture = 10 order by id"),
                ["1|ann", "3|bob"]
            );
            assert_eq!(report.operations[0].rows_deleted, 1);
        })
        .without_faults()
        .tell();
}

#[test]
fn a_folded_row_passes_its_fields_on() {
    // W-082, S3-006
    merge(options(json!({"table": "pictures", "columns": ["name"], "policy": "fold", "fields": {"stars": "sum", "hash": "longest"}})))
        .given(|place| albums(place, ", unique (album, name)"))
        .after(|place, _| {
            assert_eq!(
                cells(place, "select id, name, stars from pictures where album = 1 order by id"),
                ["10|a.jpg|5", "11|a (2).jpg|2", "12|noext|8", "13|.dot|2", "14|long-name-of-20-c.jp|2", "22|b.jpg|6"]
            );
        })
        .without_faults()
        .tell();
}

#[test]
fn what_a_unique_key_forbids_is_refused_until_somebody_says_what_to_do() {
    both("", "", |stage| {
        albums(&stage.place, ", unique (album, name)");
        let before = stage.place.dump();
        let plan =
            |options: Json| story::plan(&stage.engine(), &story::request("merge", options, manners(), false));
        let without = json!({"table": "albums", "by": ["title"]});
        assert!(codes(&plan(without.clone())).contains(&"clash"));
        let report = story::run(&stage.engine(), &plan(without));
        assert_eq!(report.status, engine::Status::Refused);
        let keep = options(json!({"table": "pictures", "policy": "keep"}));
        assert!(codes(&plan(keep)).contains(&"clash"), "a unique key does not let both stay");
        assert_eq!(stage.place.dump(), before);
    });
}

#[test]
fn what_is_folded_though_it_differs_goes_into_the_first_and_not_into_itself() {
    // W-082
    merge(options(json!({"table": "pictures", "columns": ["name"], "policy": "fold", "same": ["hash"], "if_same": "fold"})))
        .given(|place| albums(place, ", unique (album, name)"))
        .after(|place, _| {
            assert_eq!(
                cells(place, "select id from pictures where album = 1 order by id"),
                ["10", "11", "12", "13", "14", "22"]
            );
            assert_eq!(cells(place, "select picture, who from likes order by id"), ["10|ann", "10|bob", "12|ann", "30|ann"]);
        })
        .without_faults()
        .tell();
}

/// Users with addresses, of which one is the main one.
fn addresses(place: &Place) {
    place.script2(
        "create table users (id integer primary key, email text);
         create table addresses (id integer primary key, user_id integer references users (id), street text, main integer not null, notes text);
         create unique index addresses_main on addresses (user_id) where main = 1 -- the one to send to",
        "create table users (id integer primary key, email text);
         create table addresses (id integer primary key, user_id integer references users (id), street text, main integer not null, notes text);
         create unique index addresses_main on addresses (user_id) where main = 1",
    );
    place.script(
        "insert into users values (1, 'x'), (2, 'x'), (3, 'y'), (4, 'y');
         insert into addresses values (10, 1, 'a', 1, 'n'), (11, 1, 'b', 0, null), (12, 2, 'c', 1, null), (13, 2, 'd', 0, null), (14, 4, 'e', 1, null);",
    );
}

#[test]
fn a_key_over_some_rows_only_is_foreseen_too() {
    // W-082, W-084: two main addresses cannot be one person's
    both("", "", |stage| {
        addresses(&stage.place);
        let before = stage.place.dump();
        let plan =
            |options: Json| story::plan(&stage.engine(), &story::request("merge", options, manners(), false));
        for options in [
            json!({"table": "users", "by": ["email"]}),
            json!({"table": "users", "by": ["email"], "on_clash": [{"table": "addresses", "policy": "keep"}]}),
            json!({"table": "users", "by": ["email"], "on_clash": [{"table": "addresses", "policy": "rename", "rename": "street"}]}),
        ] {
            let refused = plan(options);
            assert!(codes(&refused).contains(&"clash"), "{:?}", refused.items[0].findings);
            assert_eq!(story::run(&stage.engine(), &refused).status, engine::Status::Refused);
        }
        assert_eq!(stage.place.dump(), before);
    });
    merge(json!({"table": "users", "by": ["email"], "survivor": ["lowest_key"],
        "on_clash": [{"table": "addresses", "policy": "fold", "fields": {"street": "longest"}}]}))
    .given(addresses)
    .after(|place, _| {
        assert_eq!(
            cells(place, "select id, user_id from addresses order by id"),
            ["10|1", "11|1", "13|1", "14|3"]
        );
    })
    .without_faults()
    .tell();
}

#[test]
fn a_key_with_an_expression_is_named_and_stops_the_merge_without_harm() {
    // W-084: nothing is lost
    both("", "", |stage| {
        addresses(&stage.place);
        stage.place.script(
            "drop index addresses_main; create unique index addresses_street on addresses (user_id, lower(street));
             update addresses set street = 'A' where id = 12;",
        );
        let before = stage.place.dump();
        let options = json!({"table": "users", "by": ["email"]});
        let engine = stage.engine();
        let plan = story::plan(&engine, &story::request("merge", options, manners(), false));
        assert!(codes(&plan).contains(&"unforeseen_key"), "{:?}", plan.items[0].findings);
        let report = story::run(&engine, &plan);
        assert_eq!(report.status, engine::Status::Failed, "{report:#?}");
        assert_eq!(stage.place.dump(), before);
    });
}

#[test]
fn a_key_that_holds_the_reference_is_changed_and_set_back() {
    // W-084, X-21: a link table of which the reference is a part of the key, and one with a single row for each
    merge(json!({"table": "users", "by": ["email"], "survivor": ["active = 1", "most links"], "nulls_equal": true}))
        .given(|place| {
            place.script(
                "create table users (id integer primary key, email text, active integer not null);
                 create table links (a integer not null references users (id), b integer not null references users (id), note text, primary key (a, b));
                 create index links_b on links (b);
                 create table profiles (user_id integer primary key references users (id));
                 insert into users values (1, 'x', 0), (2, 'x', 1), (3, 'x', 0), (4, 'y', 0), (5, null, 0), (6, null, 0);
                 insert into links values (1, 4, 'one'), (4, 3, 'two'), (5, 1, 'three');
                 insert into profiles values (1), (3), (4);",
            );
        })
        .after(|place, _| {
            assert_eq!(cells(place, "select id from users order by id"), ["2", "4", "5"]);
            assert_eq!(cells(place, "select a, b, note from links order by note"), ["2|4|one", "5|2|three", "4|2|two"]);
            assert_eq!(cells(place, "select user_id from profiles order by 1"), ["2", "4"]);
        })
        .manners(|manners| manners.batch_size = Some(100))
        .forced()
        .without_faults()
        .tell();
}

#[test]
fn children_that_meet_twins_on_their_way_up_do_not_stumble_over_a_unique_name() {
    // W-085, S3-004: the name is unique below a parent while two roots merge
    let tree = |place: &Place| {
        place.script(
            "create table nodes (id integer primary key, app integer not null, parent integer references nodes (id), name varchar(30) not null, unique (parent, name));
             create index nodes_app on nodes (app);
             insert into nodes values (1, 1, null, 'r'), (2, 1, null, 'r'),
               (3, 1, 1, 'docs'), (4, 1, 2, 'docs'), (5, 1, 3, 'x'), (6, 1, 4, 'x'), (7, 1, 4, 'y'), (8, 1, 6, 'deep'), (9, 1, 6, 'deeper');",
        );
    };
    merge(json!({
        "table": "nodes", "by": ["app"], "scope": "app", "tree": {"parent": "parent", "siblings": ["name"]},
        "survivor": ["highest_key"],
    }))
    .given(tree)
    .after(|place, _| {
        assert_eq!(
            cells(place, "select id, parent from nodes order by id"),
            ["2|NULL", "4|2", "6|4", "7|4", "8|6", "9|6"]
        );
    })
    .without_faults()
    .tell();
    merge(json!({"table": "nodes", "by": ["app"], "tree": {"parent": "parent", "siblings": ["name"]}, "survivor": ["lowest_key"]}))
        .given(tree)
        .after(|place, _| {
            assert_eq!(cells(place, "select id, parent from nodes order by id"), ["1|NULL", "3|1", "5|3", "7|3", "8|5", "9|5"]);
        })
        .without_faults()
        .tell();
}

#[test]
fn the_survivor_is_chosen_by_the_rules_in_their_order() {
    // W-081: most documents, then oldest, then lowest id
    both("", "", |stage: &Stage| {
        stage.place.script(
            "create table p (id integer primary key, name text, at text);
             create table d (id integer primary key, p integer references p (id));
             insert into p values (1, 'a', '2024-01-01'), (2, 'a', '2020-01-01'), (3, 'b', '2024-01-01'), (4, 'b', '2020-01-01'), (5, 'c', '2024-01-01'), (6, 'c', '2024-01-01'), (7, 'd', null), (8, 'd', '2024-01-01');
             insert into d values (1, 1), (2, 5), (3, 6);",
        );
        let survivors = |rules: Json| {
            let options = json!({"table": "p", "by": ["name"], "survivor": rules, "age_column": "at"});
            let engine = stage.engine();
            let report = story::run(
                &engine,
                &story::plan(&engine, &story::request("merge", options, manners(), false)),
            );
            let left = stage.list("select id from p order by name").join(" ");
            stage.undo(&report.run_id);
            story::forget(&stage.engine());
            left
        };
        assert_eq!(survivors(json!(["most d", "oldest", "lowest_key"])), "1 4 5 8");
        assert_eq!(survivors(json!([])), "1 4 5 8");
        assert_eq!(survivors(json!(["newest"])), "1 3 5 8");
        assert_eq!(survivors(json!(["highest at", "highest id"])), "1 3 6 8");
        assert_eq!(survivors(json!(["at = 2020-01-01", "highest_key"])), "2 4 6 8");
        let wrong = json!({"table": "p", "by": ["name"], "survivor": ["prettiest"]});
        let refused = crate::stage::shown(
            &stage.engine().plan(&story::request("merge", wrong, manners(), false)).unwrap_err(),
        );
        assert!(refused.contains("prettiest") && refused.contains("most_dependants"), "{refused}");
    });
}

#[test]
fn what_refers_by_values_of_another_type_counts_for_one_row() {
    // W-081, W-084: `2`, `'2'` and `2.0` are three values and one user. Only SQLite compares columns of different types.
    for (column, values) in [
        ("user_id", "(1, 2), (2, '2'), (3, 2.0)"),
        ("user_id text", "(1, '2'), (2, ' 2'), (3, '2')"),
        ("user_id text references users (id)", "(1, '2'), (2, ' 2'), (3, '2')"),
    ] {
        for index in ["", "create index orders_user on orders (user_id);"] {
            let stage = Stage::new(Place::sqlite());
            stage.place.script(&format!(
                "create table users (id integer primary key, email text); create table orders (id integer primary key, {column}); {index}
                 insert into users values (1, 'x'), (2, 'x'); insert into orders values {values};"
            ));
            let before = stage.place.dump();
            let options = json!({"table": "users", "by": ["email"], "references": [{"table": "orders", "columns": ["user_id"]}]});
            let engine = stage.engine();
            let plan = story::plan(&engine, &story::request("merge", options, manners(), false));
            let report = story::run(&engine, &plan);
            assert_eq!(
                (report.status, report.totals.deleted),
                (engine::Status::Completed, 1),
                "{column}: {report:#?}"
            );
            assert_eq!(stage.list("select id from users"), ["2"], "{column}");
            assert_eq!(
                stage.number("select count(*) from orders as o join users as u on u.id = o.user_id"),
                3
            );
            stage.undo(&report.run_id);
            assert_eq!(stage.place.dump(), before, "{column}");
        }
    }
}

#[test]
fn rows_that_moved_several_times_come_back_where_they_were() {
    // S3-008, W-082: both columns of a key refer to merged rows, so that a row takes the place that another has left
    both("", "", |stage| {
        stage.place.script(
            "create table p (id integer primary key, e text);
             create table f (a integer not null references p (id), b integer not null references p (id), w integer, primary key (a, b));
             create index f_b on f (b);
             insert into p values (1, 'x'), (2, 'x'), (3, 'x'), (9, 'z');
             insert into f values (2, 9, 1), (3, 9, 2), (9, 2, 3), (9, 3, 4), (2, 3, 5), (3, 2, 6);",
        );
        let before = stage.place.dump();
        for batch_size in [1, 100] {
            let options = json!({"table": "p", "by": ["e"], "survivor": ["lowest_key"],
                "on_clash": [{"table": "f", "policy": "fold", "fields": {"w": "sum"}}]});
            let manners = engine::Manners { batch_size: Some(batch_size), ..manners() };
            let engine = stage.engine();
            let report =
                story::run(&engine, &story::plan(&engine, &story::request("merge", options, manners, false)));
            assert_eq!(report.status, engine::Status::Completed, "{report:#?}");
            assert_eq!(
                cells(&stage.place, "select a, b, w from f order by a, b"),
                ["1|1|11", "1|9|3", "9|1|7"]
            );
            let undone = stage.undo(&report.run_id);
            assert_eq!(undone.status, engine::Status::Completed, "{undone:#?}");
            assert_eq!(stage.place.dump(), before);
            story::forget(&engine);
        }
    });
}

#[test]
fn a_row_in_two_keys_is_never_folded_into_one_that_goes() {
    // W-081, W-082: card 1 is folded into card 2 by its kind, and card 3 met card 1 by its shade
    both("", "", |stage| {
        stage.place.script(
            "create table p (id integer primary key, e text);
             create table cards (id integer primary key, p integer references p (id), kind integer, shade integer,
               unique (p, kind), unique (p, shade));
             create table stamps (id integer primary key, card integer not null references cards (id));
             insert into p values (0, 'x'), (3, 'x'), (4, 'x');
             insert into cards values (0, 4, 0, 0), (1, 3, 0, 2), (2, 0, 0, 0), (3, 4, 1, 2);
             insert into stamps values (0, 3), (1, 1);",
        );
        let before = stage.place.dump();
        let options = json!({"table": "p", "by": ["e"], "survivor": ["lowest_key"],
            "on_clash": [{"table": "cards", "policy": "fold"}]});
        let engine = stage.engine();
        let report =
            story::run(&engine, &story::plan(&engine, &story::request("merge", options, manners(), false)));
        assert_eq!(report.status, engine::Status::Completed, "{report:#?}");
        assert_eq!(
            cells(&stage.place, "select id, p, kind, shade from cards order by id"),
            ["2|0|0|0", "3|0|1|2"]
        );
        assert_eq!(cells(&stage.place, "select id, card from stamps order by id"), ["0|3", "1|2"]);
        stage.undo(&report.run_id);
        assert_eq!(stage.place.dump(), before);
    });
}

#[test]
fn a_rule_for_a_table_that_refers_to_nothing_is_refused() {
    both("", "", |stage| {
        albums(&stage.place, "");
        let refused = |table: &str| {
            let options = options(json!({"table": table, "policy": "fold"}));
            match stage.engine().plan(&story::request("merge", options, manners(), false)) {
                Ok(plan) => panic!("it was planned: {plan:#?}"),
                Err(failure) => failure.to_string(),
            }
        };
        assert!(refused("pictuers").contains("pictuers"));
        assert!(refused("albums").contains("refers to no merged row"));
    });
}
