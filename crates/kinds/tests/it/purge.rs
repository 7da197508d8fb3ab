//! Stories of `purge`.

use serde_json::json;
use testkit::{Place, Story};

fn purge(options: serde_json::Value) -> Story {
    Story::new(kinds::catalogue(), "purge", options)
}

/// Ten rows, aged 0 to 90 days, in a table with every nicety.
fn logs(place: &Place) {
    place.script2(
        "create table logs (id integer primary key, at text not null, who text, n integer default 7);
         create index logs_at on logs (at);
         with recursive n(i) as (select 0 union all select i + 1 from n where i < 9)
         insert into logs (id, at, who) select i + 1, datetime('now', '-' || (i * 10) || ' days'), 'u' || i from n;",
        "create table logs (id bigint generated always as identity primary key, at timestamptz not null, who text, n int default 7);
         create index logs_at on logs (at);
         insert into logs (at, who) select now() - make_interval(days => i * 10), 'u' || i from generate_series(0, 9) i;",
    );
}

#[test]
fn rows_older_than_an_age_go_and_come_back() {
    // S1-021, S1-025, S1-026, S1-046, X-48
    purge(json!({"table": "logs", "age_column": "at", "older_than": "45 days"}))
        .given(logs)
        .after(|place, report| {
            assert_eq!(report.operations[0].rows_deleted, 5);
            assert_eq!(place.rows("select count(*) from logs where n = 7").len(), 1);
        })
        .tell();
}
