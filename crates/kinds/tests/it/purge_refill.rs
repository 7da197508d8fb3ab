//! `bulk = "refill"`: when most of a table goes.

use serde_json::json;
use testkit::{Place, Story};

/// Twelve rows, ten of them too old; keys of the database's making, a hidden rowid on SQLite, a generated column.
fn given(place: &Place) {
    place.script2(
        "create table logs (at text not null, who text, twice integer generated always as (length(who) * 2) stored);
         create index logs_at on logs (at);
         insert into logs (rowid, at, who) with recursive n(i) as (select 1 union all select i + 1 from n where i < 12)
         select i * 10, datetime('now', '-' || (case when i < 3 then 1 else 100 end) || ' days'), 'u' || i from n;",
        "create table logs (id bigint generated always as identity primary key, at timestamptz not null, who text,
           twice int generated always as (length(who) * 2) stored);
         create index logs_at on logs (at);
         insert into logs (at, who) select now() - make_interval(days => case when i < 3 then 1 else 100 end), 'u' || i
         from generate_series(1, 12) i;",
    );
}

#[test]
fn what_stays_is_put_aside_and_the_rest_can_be_undone() {
    // RET, S1-026, W-077
    Story::new(
        kinds::catalogue(),
        "purge",
        json!({"table": "logs", "age_column": "at", "older_than": "30 days", "bulk": "refill"}),
    )
    .given(given)
    .after(|place, report| {
        assert_eq!(report.operations[0].rows_deleted, 10);
        assert_eq!(report.operations[0].batches, 1);
        assert_eq!(place.rows("select who from logs order by who").len(), 2);
    })
    .tell();
}

#[test]
fn without_undo_only_what_stays_is_copied() {
    Story::new(
        kinds::catalogue(),
        "purge",
        json!({"table": "logs", "age_column": "at", "older_than": "30 days", "bulk": "refill", "undo": "none"}),
    )
    .given(given)
    .without_undo()
    .after(|place, _| {
        let kept = place.rows("select who, twice from logs order by who");
        assert_eq!(kept.len(), 2);
        assert_eq!(kept[0][0].as_text(), Some("u1"));
    })
    .tell();
}

#[test]
fn a_table_that_others_refer_to_is_not_emptied() {
    testkit::both(|place| {
        place.script(
            "create table a (id integer primary key, n integer); create table b (a integer references a (id));
             insert into a values (1, 1), (2, 2);",
        );
        let workshop = testkit::Workshop::new(place, kinds::catalogue());
        let options = json!({"table": "a", "where": "t.n = 1", "bulk": "refill"});
        let request = testkit::story::request("purge", options, Default::default(), false);
        let error = workshop.engine().plan(&request).unwrap_err();
        assert!(error.to_string().contains("`b` refers to it"), "{error}");
    });
}
