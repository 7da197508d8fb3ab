//! A look at a whole database: what it takes for a reference, what it counts, and what it proposes.

use crate::orphans_stage::{Stage, both};
use serde_json::{Value, json};
use testkit::Place;

fn references(stage: &Stage, options: Value) -> Vec<Value> {
    let before = stage.place.dump();
    let plan = stage.plan(options);
    assert_eq!(stage.place.dump(), before, "looking changed something");
    assert!(plan.items[0].steps.is_empty());
    plan.items[0].result.as_ref().unwrap()["references"].as_array().unwrap().clone()
}

fn all(stage: &Stage) -> Vec<Value> {
    references(stage, json!({"scan": true}))
}

/// `table.columns>parent` with rows, NULLs and orphans.
fn said(one: &Value) -> String {
    let columns: Vec<&str> = one["columns"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
    format!(
        "{}.{}{}>{} {} {} {}",
        text("table"),
        columns.join("+"),
        text("type_value"),
        text("parent"),
        one["rows"],
        one["nulls"],
        one["orphans"]
    )
}

fn sorted(references: &[Value]) -> Vec<String> {
    let mut all: Vec<String> = references.iter().map(said).collect();
    all.sort();
    all
}

#[test]
fn columns_are_taken_for_references_by_their_names_and_types() {
    both(
        |place| {
            place.script(
                "create table users (id integer primary key, email text unique);
                 create table categories (id integer primary key, parent_id integer);
                 create table app_boxes (id integer primary key);
                 create table app_things (id integer primary key, box_id integer, owner_user_id integer, created_by integer,
                   category_id integer, user_id_text text, person_id integer, session_id text, \"authorUserId\" integer);
                 create table app_profiles (user_id integer primary key, bio text);
                 insert into users values (1, 'a'), (2, 'b');
                 insert into categories values (1, null), (2, 1), (3, 9);
                 insert into app_boxes values (1);
                 insert into app_things values (1, 1, 1, 1, 1, 'x', 7, 's', 1), (2, 1, 2, null, 2, 'x', 7, 's', 2),
                   (3, 2, null, 5, null, 'x', 7, 's', 3);
                 insert into app_profiles values (1, 'a'), (3, 'b');",
            );
        },
        |stage| {
            assert_eq!(
                sorted(&all(stage)),
                [
                    "app_profiles.user_id>users 2 0 1",
                    "app_things.authorUserId>users 3 0 1",
                    "app_things.box_id>app_boxes 3 0 1",
                    "app_things.category_id>categories 3 1 0",
                    "app_things.created_by>users 3 1 1",
                    "app_things.owner_user_id>users 3 1 0",
                    "categories.parent_id>categories 3 1 1",
                ]
            );
        },
    );
}

#[test]
fn declared_references_are_shown_with_what_the_database_does_about_them() {
    // W-107
    both(
        |place| {
            place.script(
                "create table orders (tenant integer, id integer, primary key (tenant, id)); insert into orders values (1, 1);
                 create table users (id integer primary key); insert into users values (1);",
            );
            place.script2(
                "create table items (id integer primary key, tenant integer, order_id integer, buyer integer references users,
                   foreign key (tenant, order_id) references orders (tenant, id));
                 create index items_order on items (tenant, order_id);",
                "create table items (id integer primary key, tenant integer, order_id integer, buyer integer references users);
                 create index items_order on items (tenant, order_id);",
            );
            place.script(
                "insert into items values (1, 1, 1, 1), (2, 1, 2, 1), (3, 2, 1, null), (4, 1, null, null);",
            );
            place.script2(
                "select 1",
                "alter table items add foreign key (tenant, order_id) references orders (tenant, id) not valid",
            );
        },
        |stage| {
            let found = all(stage);
            assert_eq!(sorted(&found), ["items.buyer>users 4 2 0", "items.tenant+order_id>orders 4 1 2"]);
            let composite = found.iter().find(|one| one["columns"].as_array().unwrap().len() == 2).unwrap();
            let server = !stage.place.is_sqlite();
            assert_eq!((&composite["declared"], &composite["enforced"]), (&json!(true), &json!(server)));
            assert_eq!((&composite["validated"], &composite["indexed"]), (&json!(false), &json!(true)));
            assert!(composite["constraint"][0].as_str().unwrap().contains(if server {
                "validate"
            } else {
                "pragma foreign_keys"
            }));
            let buyer = found.iter().find(|one| one["columns"][0] == "buyer").unwrap();
            assert_eq!((&buyer["validated"], &buyer["indexed"]), (&json!(server), &json!(false)));
            assert_eq!(buyer.get("config"), None, "there is nothing to mend");
        },
    );
}

#[test]
fn references_of_several_types_are_looked_at_one_by_one() {
    both(
        |place| {
            place.script(
                "create table lessons (id integer primary key); create table blog_posts (id integer primary key);
                 create table comments (id integer primary key, about_type text, about_id integer);
                 insert into lessons values (1); insert into blog_posts values (2);
                 insert into comments values (1, 'App\\Lesson', 1), (2, 'App\\Lesson', 2), (3, 'App\\Lesson', 1), (4, 'BlogPost', 2),
                   (5, 'BlogPost', 3), (6, 'BlogPost', 2), (7, 'Unknown', 1), (8, null, 1), (9, 'BlogPost', null);",
            );
        },
        |stage| {
            let found = all(stage);
            assert_eq!(
                sorted(&found),
                ["comments.about_idApp\\Lesson>lessons 9 6 1", "comments.about_idBlogPost>blog_posts 9 6 1"]
            );
            for one in &found {
                let lines = one["config"].as_str().unwrap();
                assert!(lines.contains("type_column = \"about_type\""), "{lines}");
            }
        },
    );
}

#[test]
fn a_column_whose_values_find_hardly_any_parent_is_doubted() {
    both(
        |place| {
            place.script(
                "create table users (id integer primary key); create table logs (id integer primary key, user_id integer);
                 insert into users values (1); insert into logs values (1, 1), (2, 1001), (3, 1002), (4, 1003);",
            );
        },
        |stage| {
            let found = all(stage);
            assert_eq!((found[0]["doubtful"].as_bool(), found[0]["orphans"].as_u64()), (Some(true), Some(3)));
            let plan = stage.plan(json!({"scan": true}));
            assert_eq!(plan.items[0].findings.len(), 0, "a guess is no finding");
        },
    );
}

#[test]
fn a_part_of_a_large_table_can_be_looked_at() {
    both(
        |place| {
            place.script2(
                "create table users (id integer primary key); create table logs (id integer primary key, user_id integer);
                 with recursive n(i) as (select 1 union all select i + 1 from n where i < 500) insert into logs select i, 1 + i % 7 from n;",
                "create table users (id integer primary key); create table logs (id integer primary key, user_id integer);
                 insert into logs select i, 1 + i % 7 from generate_series(1, 500) i;",
            );
            place.script("insert into users values (1), (2), (3), (4), (5), (6); create table other (id integer primary key, user_id integer);");
        },
        |stage| {
            let found = references(stage, json!({"scan": true, "scan_rows": 70, "scan_only": ["logs"]}));
            assert_eq!(sorted(&found), ["logs.user_id>users 70 0 10"]);
            assert_eq!((&found[0]["looked_at"], &found[0]["rows_exact"]), (&json!(70), &json!(false)));
        },
    );
}

#[test]
fn a_large_table_is_told_by_its_statistics_but_orphans_are_counted() {
    // SQLite keeps no statistics that say how large a table is.
    let place = Place::postgres();
    place.script(
        "create table users (id integer primary key); create table logs (id integer primary key, user_id integer, other_user_id integer);
         insert into users select i from generate_series(1, 1000) i;
         insert into logs select i, case when i % 100 = 0 then 5000 when i % 1000 = 1 then null else i % 1000 + 1 end, 1
           from generate_series(1, 420000) i;
         create index logs_user on logs (user_id);",
    );
    place.script("analyze logs");
    let stage = Stage::new(place);
    let plan = stage.plan(json!({"scan": true}));
    let found = plan.items[0].result.as_ref().unwrap()["references"].as_array().unwrap();
    let one = |column: &str| found.iter().find(|one| one["columns"][0] == column).unwrap();
    let (known, other) = (one("user_id"), one("other_user_id"));
    assert_eq!(
        (&known["orphans"], &known["nulls"], &known["rows_exact"]),
        (&json!(4200), &json!(420), &json!(false))
    );
    assert_eq!((&other["orphans"], &other["nulls"]), (&json!(0), &Value::Null), "no index counts its NULLs");
    let plan = stage.plan(json!({"table": "logs", "columns": ["user_id"], "parent": "users"}));
    let step = &plan.items[0].steps[0];
    assert_eq!((step.matched, step.exact, step.total_exact), (4_200, true, false));
    let report = stage.run(json!({"table": "logs", "columns": ["user_id"], "parent": "users"}));
    assert_eq!((report.status, report.totals.deleted), (engine::Status::Completed, 4_200), "{report:#?}");
    assert_eq!(stage.plan(json!({"table": "logs", "columns": ["user_id"], "parent": "users"})).matched(), 0);
}

#[test]
fn a_table_that_may_not_be_read_does_not_hide_the_others() {
    let place = Place::postgres();
    place.script(
        "create table users (id integer primary key); create table notes (id integer primary key, user_id integer);
         create table secrets (id integer primary key, user_id integer); insert into users values (1);
         insert into notes values (1, 1), (2, 2); revoke select on secrets from current_user;",
    );
    let stage = Stage::new(place);
    let plan = stage.plan(json!({"scan": true}));
    let found = plan.items[0].result.as_ref().unwrap()["references"].as_array().unwrap();
    let problem = |table: &str| found.iter().find(|one| one["table"] == table).unwrap()["problem"].as_str();
    assert_eq!(problem("notes"), None);
    assert!(problem("secrets").unwrap().contains("permission denied"), "{found:#?}");
}

#[test]
fn a_declared_key_that_leads_nowhere_is_told_with_its_reason() {
    // S3-012: only SQLite lets such a key be declared
    let place = Place::sqlite();
    place.script(
        "create table users (id integer primary key);
         create table bad (id integer primary key, x integer references nowhere (id), y integer references users (nocol), z blob references users (id));
         insert into users values (1); insert into bad values (1, 5, 6, x'00');",
    );
    let stage = Stage::new(place);
    let plan = stage.plan(json!({"scan": true}));
    let found = plan.items[0].result.as_ref().unwrap()["references"].as_array().unwrap();
    let problem = |column: &str| {
        let one = found.iter().find(|one| one["columns"][0] == column);
        one.unwrap_or_else(|| panic!("{column} is not listed"))["problem"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(problem("x"), "the table `nowhere` is not there");
    assert_eq!(problem("y"), "`users` has no column `nocol`");
    assert!(problem("z").contains("cannot be compared"), "{}", problem("z"));
    let codes: Vec<&str> = plan.items[0].findings.iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!(codes.iter().filter(|code| **code == "broken_reference").count(), 2);
}
