//! Stories of `merge`: duplicates become one row, what refers to them follows, and everything can be put back.

use serde_json::json;
use testkit::{Place, Story};

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
        let left = place.rows("select id, phone, visits, email from persons order by id");
        let left: Vec<String> = left.iter().map(|row| format!("{row:?}")).collect();
        assert_eq!(left.len(), 4, "{left:#?}");
        assert!(left[0].contains("Int(2)") && left[0].contains("123") && left[0].contains("Int(7)"), "{left:#?}");
        assert!(left[0].contains("ANN@X"), "{left:#?}");
        assert!(left[1].contains("Int(5)"), "{left:#?}");
        assert_eq!(place.rows("select 1 from orders where person_id = 2").len(), 3);
        assert_eq!(place.rows("select 1 from notes where about = 2").len(), 2);
        assert_eq!(place.rows("select 1 from person_tags where person_id = 2").len(), 3);
        assert_eq!(place.rows("select 1 from person_tags where person_id = 5").len(), 1);
        assert_eq!(report.operations[0].rows_deleted, 3);
    })
    .tell();
}
