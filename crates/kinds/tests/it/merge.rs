//! Stories of `merge`: duplicates become one row, what refers to them follows, and everything can be put back.

use serde_json::json;
use targets::db::Value;
use testkit::{Place, Story};

/// The rows of a query, with bars between the values.
pub fn cells(place: &Place, sql: &str) -> Vec<String> {
    let said = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        Value::Null => "NULL".to_owned(),
        other => other.to_string(),
    };
    place.rows(sql).iter().map(|row| row.iter().map(said).collect::<Vec<_>>().join("|")).collect()
}

pub fn merge(options: serde_json::Value) -> Story {
    Story::new(kinds::catalogue(), "merge", options)
}

/// Five persons of whom three and two are the same, with orders, tags (a link table) and a table that declares nothing.
fn persons(place: &Place) {
    place.script2(
        "create table persons (id integer primary key, email text unique, phone text, visits integer not null default 0, born text);
         create table orders (id integer primary key, person_id integer not null references persons, total integer);
         create index orders_person on orders (person_id);
         create table person_tags (person_id integer not null references persons, tag text not null, primary key (person_id, tag));
         create table notes (id integer primary key, about integer, said text);
         create index notes_about on notes (about);",
        "create table persons (id bigint generated always as identity primary key, email text unique, phone text, visits int not null default 0, born timestamptz);
         create table orders (id bigint primary key, person_id bigint not null references persons, total int);
         create index orders_person on orders (person_id);
         create table person_tags (person_id bigint not null references persons, tag text not null, primary key (person_id, tag));
         create table notes (id bigint primary key, about bigint, said text);
         create index notes_about on notes (about);",
    );
    place.script2(
        "insert into persons (id, email, phone, visits, born) values (1, 'Ann@x', null, 1, '2020-01-01'), (2, 'ann@x ', '', 2, '2019-01-01'),
         (3, 'ANN@X', '123', 4, '2021-01-01'), (4, 'bob@x', '9', 1, '2020-01-01'), (5, 'BOB@x', '8', 1, '2022-01-01'), (6, null, '7', 1, null), (7, null, '7', 1, null);",
        "insert into persons (id, email, phone, visits, born) overriding system value values (1, 'Ann@x', null, 1, '2020-01-01'), (2, 'ann@x ', '', 2, '2019-01-01'),
         (3, 'ANN@X', '123', 4, '2021-01-01'), (4, 'bob@x', '9', 1, '2020-01-01'), (5, 'BOB@x', '8', 1, '2022-01-01'), (6, null, '7', 1, null), (7, null, '7', 1, null);",
    );
    place.script(
        "insert into orders values (10, 2, 5), (11, 2, 6), (12, 3, 7), (13, 5, 8), (14, 6, 9);
         insert into person_tags values (1, 'a'), (2, 'a'), (2, 'b'), (3, 'b'), (3, 'c'), (4, 'a'), (5, 'a');
         insert into notes values (20, 1, 'n1'), (21, 3, 'n3'), (22, 5, 'n5'), (23, null, 'none');",
    );
}

#[test]
fn duplicates_by_an_expression_become_one_and_everything_follows() {
    // S3-002, W-081, W-084
    merge(json!({
        "table": "persons",
        "by": [{"expression": "lower(trim(t.email))"}],
        "age_column": "born",
        "fields": {"visits": "sum", "phone": "first_non_empty", "email": "newest"},
        "references": [{"table": "notes", "columns": ["about"]}],
    }))
    .given(persons)
    .after(|place, report| {
        // 2 has most dependants (two orders, two tags); 5 has one more than 4
        assert_eq!(
            cells(place, "select id, phone, visits, email from persons order by id"),
            ["2|123|7|ANN@X", "5|8|2|BOB@x", "6|7|1|NULL", "7|7|1|NULL"]
        );
        assert_eq!(place.rows("select 1 from orders where person_id = 2").len(), 3);
        assert_eq!(place.rows("select 1 from notes where about = 2").len(), 2);
        assert_eq!(place.rows("select 1 from person_tags where person_id = 2").len(), 3);
        assert_eq!(place.rows("select 1 from person_tags where person_id = 5").len(), 1);
        assert_eq!(report.operations[0].rows_deleted, 3);
    })
    .tell();
}

/// The example system E3.
pub fn folders(place: &Place) {
    place.script2(
        include_str!("../../../../examples/e3/schema.sqlite.sql"),
        include_str!("../../../../examples/e3/schema.postgres.sql"),
    );
    place.script2(
        include_str!("../../../../examples/e3/seed.sqlite.sql"),
        include_str!("../../../../examples/e3/seed.postgres.sql"),
    );
}

/// Its clean-up.
pub fn cleanup() -> serde_json::Value {
    json!({
        "table": "folders",
        "by": ["application_id"],
        "tree": {"parent": "parent_id", "siblings": ["name"]},
        "scope": "application_id",
        "survivor": ["most documents", "oldest"],
        "age_column": "created_at",
        "on_clash": [{"table": "documents", "columns": ["name"], "policy": "rename", "rename": "name", "same": ["content_hash"]}],
    })
}

#[test]
fn folders_of_the_same_name_merge_at_every_depth() {
    // S3-002, S3-003, S3-004, S3-008, S3-011, S3-063, W-082, W-112
    merge(cleanup())
        .given(folders)
        .after(|place, report| {
            let roots = "select application_id from folders where parent_id is null group by 1 having count(*) > 1";
            assert!(place.rows(roots).is_empty());
            let siblings = "select 1 from folders where parent_id is not null group by parent_id, name having count(*) > 1";
            assert!(place.rows(siblings).is_empty());
            assert_eq!(
                cells(
                    place,
                    "select p.name, f.name, d.id, d.name from documents d join folders f on f.id = d.folder_id
                     left join folders p on p.id = f.parent_id where f.application_id = 2 order by d.id"
                )
                .len(),
                11
            );
            assert_eq!(report.operations[0].rows_deleted, 7 + 1 + 7 * 2);
        })
        .without_faults()
        .tell();
}

/// Only the two applications with which S3-001 begins.
fn two_applications(place: &Place) {
    folders(place);
    place.script(
        "delete from documents where folder_id >= 600; delete from folders where application_id >= 6;
         delete from applications where id >= 6;",
    );
}

#[test]
fn a_death_at_any_point_leaves_whole_applications() {
    // S3-052, S3-063
    merge(cleanup()).given(two_applications).tell();
}
