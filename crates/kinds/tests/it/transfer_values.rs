//! Values on their way into columns that hold less than SQLite's do: what would become another value is told, and never silently so.

use crate::transfer_kit::{Move, forbidden, found};
use engine::Status;
use serde_json::json;

fn sorted(mut all: Vec<String>) -> Vec<String> {
    all.sort();
    all.dedup();
    all
}

#[test]
fn what_a_column_would_round_is_told_and_cut_only_where_that_is_wanted() {
    // W-101, S4-025
    let it = Move::of(
        "create table t (id integer primary key, r real, m text, c text, p text);
         insert into t values (1, 0.5, '2024-01-02T03:04:05.123Z', '12:30', 'ab'),
           (2, 0.1, null, null, 'ab  '), (3, null, '2024-01-02T03:04:05.1236Z', null, null), (4, null, null, '12:30:00.75', null)",
    );
    it.to.script("create table t (id int primary key, r real, m timestamptz(3), c time(0), p char(5))");
    assert_eq!(
        sorted(forbidden(&it.plan(json!({"existing": true})))),
        ["dirty_too_fine t.c", "dirty_too_fine t.m", "dirty_too_fine t.r"]
    );
    let options = json!({"existing": true, "dirty": {"too_fine": "truncate"}});
    let report = it.run(options.clone());
    assert_eq!(
        sorted(found(&report)),
        ["dirty_too_fine t.c", "dirty_too_fine t.m", "dirty_too_fine t.r"],
        "both sides are the same: {report:#?}"
    );
    assert_eq!(
        it.list("select id, r::text, to_char(m at time zone 'utc', 'SS.US'), c::text, p from t order by id"),
        [
            "1|0.5|05.123000|12:30:00|ab   ",
            "2|0.1|null|null|ab   ",
            "3|null|05.123000|null|null",
            "4|null|null|12:30:00|null"
        ]
    );
    let again = it.run(json!({"action": "verify", "dirty": {"too_fine": "truncate"}}));
    assert!(!found(&again).iter().any(|one| one.starts_with("differs")), "{again:#?}");
}

#[test]
fn documents_are_what_the_server_takes_for_documents() {
    // W-100
    let deep = "replace(hex(zeroblob(1500)), '0', '[') || replace(hex(zeroblob(1500)), '0', ']')";
    let it = Move::of(&format!(
        "create table t (id integer primary key, j json, k json);
         insert into t values (1, '\"\\ud83d\"', {deep}), (2, '1', '\"\\ud83d\\ude00 \\\\u0000\"')"
    ));
    let cast = json!({"map": {"t": {"columns": {"j": {"cast": "jsonb"}}}}});
    assert_eq!(forbidden(&it.plan(cast)), ["dirty_broken_text t.j"]);
    let report = it.run(json!({}));
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!([it.typ("t", "j"), it.typ("t", "k")], ["json", "jsonb"]);
}

#[test]
fn a_domain_takes_what_its_base_takes() {
    // S4-021
    let it = Move::of(
        "create table t (id integer primary key, a real, c text, m text, f integer);
         insert into t values (1, 1.5, 'ab', '2024-01-02 03:04:05', 1)",
    );
    it.to.script(
        "create domain amount as numeric(6, 2); create domain price as amount check (value > 0);
         create domain code as varchar(4); create domain moment as timestamptz; create domain flag as boolean;
         create table t (id int primary key, a price, c code, m moment, f flag)",
    );
    let report = it.run(json!({"existing": true}));
    assert_eq!((report.status, found(&report)), (Status::Completed, Vec::new()), "{report:#?}");
    assert_eq!(it.list("select id, a::text, c, f::text from t"), ["1|1.50|ab|true"]);
    it.to.script("truncate t");
    it.from.script(
        "update t set a = 1.005; insert into t (id, c) values (2, 'abcde'); insert into t (id, f) values (3, 2)",
    );
    assert_eq!(
        sorted(forbidden(&it.plan(json!({"existing": true})))),
        ["dirty_too_fine t.a", "dirty_too_long t.c", "dirty_unreadable t.f"]
    );
}

#[test]
fn numbers_become_times_by_what_they_count() {
    // S4-021, W-095
    let it = Move::of(
        "create table t (id integer primary key, a integer, b integer, c real, d text);
         insert into t values (1, 1700000000, 1700000000123, 1700000000.25, '2023-11-14T22:13:20Z')",
    );
    it.to.script(
        "create table t (id int primary key, a timestamptz, b timestamp, c timestamptz, d timestamptz)",
    );
    let plan = it.plan(json!({"existing": true}));
    let told: Vec<&str> = plan.items[0].findings.iter().map(|finding| finding.what.as_str()).collect();
    assert!(told.contains(&"its numbers are read as milliseconds since 1970"), "{told:?}");
    let report = it.run(json!({"existing": true}));
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(
        it.list("select extract(epoch from a)::text, extract(epoch from b)::text, extract(epoch from c)::text, (a = d)::text from t"),
        ["1700000000.000000|1700000000.123000|1700000000.250000|true"]
    );
}

#[test]
fn two_that_would_become_one_are_named() {
    // S4-021
    let it = Move::of(
        "create table user_data (id integer primary key); create table userData (id integer primary key, userName text, user_name text)",
    );
    it.to.script("create table user_data (id int primary key, user_name text)");
    let plan = it.plan(json!({"existing": true, "map": {"user_data": {"drop": true}}}));
    assert_eq!(forbidden(&plan), ["ambiguous userData.user_name"]);
    let plan =
        it.plan(json!({"existing": true, "map": {"userData": {"columns": {"userName": {"drop": true}}}}}));
    assert_eq!(forbidden(&plan).len(), 1);
    let text = format!("{:?}", plan.items[0].findings);
    assert!(text.contains("ambiguous") && text.contains("`userData`"), "{text}");
}

#[test]
fn a_sequence_that_only_a_default_names_goes_on_and_one_that_is_behind_is_told() {
    // S4-022, S4-023
    let it = Move::of(
        "create table a (id integer primary key, s text); create table b (id integer primary key, s text);
         insert into a values (7, 'x'); insert into b values (3, 'y')",
    );
    it.to.script(
        "create sequence numbers; create table a (id bigint primary key default nextval('numbers'), s text);
         create table b (id bigint primary key default nextval('numbers'), s text)",
    );
    let report = it.run(json!({"existing": true}));
    assert_eq!((report.status, found(&report)), (Status::Completed, Vec::new()), "{report:#?}");
    it.to.script("insert into b (s) values ('new')");
    assert_eq!(it.list("select id from b where s = 'new'"), ["8"]);
    it.to.script("delete from b where s = 'new'; select setval('numbers', 2)");
    let again = it.run(json!({"action": "verify"}));
    assert_eq!(sorted(found(&again)), ["sequence_behind a.id", "sequence_behind b.id"], "{again:#?}");
}

#[test]
fn checks_go_by_the_order_that_texts_have_in_sqlite() {
    // S4-011
    let it = Move::of(
        "create table t (id integer primary key, s text check (s < 'a' and s between 'A' and 'Z'), n decimal(5, 1), check (n / 2 <= 3));
         insert into t values (1, 'B', 7)",
    );
    let report = it.run(json!({}));
    assert_eq!(found(&report), ["not_carried t"], "7 / 2 is 3 in SQLite: {report:#?}");
    let checks = it.list("select pg_get_constraintdef(oid) from pg_constraint where contype = 'c'").concat();
    assert_eq!(checks.matches("COLLATE \"C\"").count(), 3, "{checks}");
}

#[test]
fn names_are_names_wherever_they_are_written() {
    // W-104
    let it = Move::of(
        "create table \"p (x) on y\" (id integer primary key, \"a, b\" text unique);
         create table c (id integer primary key, p integer references \"p (x) on y\" (id), q text references \"p (x) on y\" (\"a, b\"));
         insert into \"p (x) on y\" values (1, 'x'); insert into c values (1, 1, 'x');
         create view \"v\ndrop table c; --\" as select random() as\r drop_table_c",
    );
    let plan = it.plan(json!({}));
    let sql = plan.items[0].result.as_ref().and_then(|result| result["sql"].as_str()).unwrap().to_owned();
    let live = |line: &&str| line.starts_with("drop") || line.trim().starts_with("drop_table");
    assert_eq!(sql.split(['\r', '\n']).filter(live).collect::<Vec<_>>(), Vec::<&str>::new(), "{sql}");
    let report = it.run(json!({}));
    assert_eq!(found(&report).len(), 1, "nothing but the view is left: {report:#?}");
    assert_eq!(it.list("select count(*) from pg_constraint where contype = 'f'"), ["2"]);
}

#[test]
fn a_cut_over_of_more_than_a_day_is_no_limit() {
    // X-25
    let it = Move::of("pragma journal_mode = wal; create table t (id integer primary key)");
    let why = it.refusal(json!({"online": true, "cut_over_limit": 1e30}));
    assert!(why.contains("cut_over_limit") && why.contains("86400"), "{why}");
}
