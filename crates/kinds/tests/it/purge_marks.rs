//! `action = "mark"`: which values a column can hold is found out at planning, and what was there comes back to the bit.

use crate::stage::{Stage, both, purge};
use engine::Status;
use serde_json::{Value as Json, json};
use testkit::Place;

/// Columns of the types of which values can be wrong.
const TYPES: &str = "create type mood as enum ('new', 'done');
    create table t (id int primary key, n int, word varchar(5), code char(3), doc json, docb jsonb, state mood, tags text[],
                    price numeric(5, 2), day date, must text not null default '', twice int generated always as (n * 2) stored);
    insert into t (id, n, word, code, doc, docb, state, tags, price, day)
    select i, 1, 'w' || i, 'c', '{\"b\":  1, \"a\": [1, 2]}', '{\"b\": 1}', 'new', array['x', null, 'y z'], 1.5, '2020-01-01'
    from generate_series(1, 5) i";

fn set(column: &str, value: Json) -> Json {
    json!({"table": "t", "where": "n > 0", "action": "mark", "mark": {column: value}})
}

#[test]
fn a_value_that_its_column_cannot_hold_is_refused_at_planning() {
    let stage = Stage::new(Place::postgres());
    stage.place.script(TYPES);
    for (column, value, said) in [
        ("word", json!("archived"), "does not fit into `character varying(5)`, it would become `archi`"),
        ("code", json!("long"), "does not fit into `character(3)`"),
        ("doc", json!("{not json"), "is no value of type `json`"),
        ("docb", json!("{'a': 1}"), "is no value of type `jsonb`"),
        ("state", json!("gone"), "is no value of type `mood`"),
        ("tags", json!("a, b"), "is no value of type `text[]`"),
        ("price", json!(12345), "is no value of type `numeric(5,2)`"),
        ("day", json!("soon"), "is no value of type `date`"),
        ("n", json!("many"), "is no value of type `integer`"),
        ("must", json!(null), "NOT NULL"),
        ("twice", json!(4), "the database computes this column"),
        ("nosuch", json!(4), "has no column `nosuch`"),
    ] {
        let refusal = stage.refusal(set(column, value));
        assert!(refusal.contains(said) && refusal.contains("help:"), "{column}: {refusal}");
    }
}

#[test]
fn json_enum_and_array_columns_are_marked_and_put_back() {
    for (column, value, now) in [
        ("word", json!("done"), "done"),
        ("code", json!("x"), "x"),
        ("doc", json!("{\"gone\":  true}"), "{\"gone\":  true}"),
        ("doc", json!({"gone": true}), "{\"gone\":true}"),
        ("docb", json!(["a", 1]), "[\"a\", 1]"),
        ("docb", json!(null), ""),
        ("state", json!("done"), "done"),
        ("tags", json!("{a,b}"), "{a,b}"),
        ("price", json!(9.25), "9.25"),
        ("day", json!("now"), "20"),
    ] {
        let stage = Stage::new(Place::postgres());
        stage.place.script(TYPES);
        let before = stage.place.dump();
        let report = stage.run(set(column, value));
        assert_eq!((report.status, report.totals.changed), (Status::Completed, 5), "{column}: {report:#?}");
        let is = stage.list(&format!("select coalesce({column}::text, '') from t where id = 3"));
        assert!(is[0].starts_with(now), "{column}: {is:?}");
        stage.undo(&report.run_id);
        assert_eq!(stage.place.dump(), before, "{column}");
    }
}

#[test]
fn json_is_kept_as_text_where_the_database_has_no_type_for_it() {
    purge(json!({"table": "t", "where": "n > 0", "action": "mark", "mark": {"doc": {"gone": [1, null]}}}))
        .given(|place| {
            place.script("create table t (id integer primary key, n integer, doc text); insert into t values (1, 1, '{}'), (2, 0, null)");
        })
        .after(|place, _| {
            assert_eq!(place.rows("select 1 from t where doc = '{\"gone\":[1,null]}'").len(), 1);
        })
        .tell();
    both(
        "create table t (id integer primary key, n integer, doc text not null)",
        "create table t (id int primary key, n int, doc text not null)",
        |stage| {
            let refusal = stage.refusal(set("doc", json!(null)));
            assert!(refusal.contains("NOT NULL"), "{refusal}");
        },
    );
}
