//! The linter with a database at hand: sizes, rows that break new rules, names that are there or not; each held against
//! what the database says when the statement really runs.

use crate::migrate_lint_kit::{codes, linted_at, source};
use kinds::migrate::lint::{Engine, Level, Risk, Terms, lint_around};
use targets::db::{Limits, Sql};
use testkit::{Place, both};

/// Whether the database itself takes the statement, in a transaction that is then rolled back.
fn runs(place: &Place, sql: &str) -> Result<(), String> {
    let database = place.database();
    let mut session = database.open().unwrap();
    let mut tx = session.begin(&Limits::default()).unwrap();
    tx.execute(&Sql::raw(sql)).map(|_| ()).map_err(|error| error.to_string())
}

#[test]
fn what_rows_break_fails_and_what_they_do_not_break_runs() {
    both(|place| {
        place.script2(
            "create table parent (id integer primary key);
             create table t (id integer primary key, a integer, b text, parent_id integer);
             create table empty (id integer primary key, a integer)",
            "create table parent (id bigint primary key);
             create table t (id bigint primary key, a integer, b text, parent_id bigint);
             create table empty (id bigint primary key, a integer)",
        );
        place.script(
            "insert into parent values (1); insert into t values (1, 1, 'x', 1), (2, null, 'x', 7), (3, 3, 'y', null)",
        );
        let mut cases = vec![
            "create unique index i on t (b)",
            "create unique index i on t (a)",
            "create unique index i on t (a, b)",
            "create unique index i on empty (a)",
            "alter table t add column c integer not null",
            "alter table t add column c integer not null default 1",
        ];
        if !place.is_sqlite() {
            cases.extend([
                "alter table t alter column a set not null",
                "alter table t alter column b set not null",
                "alter table empty alter column a set not null",
                "alter table t add constraint c check (a > 2)",
                "alter table t add constraint c check (a > 2) not valid",
                "alter table t add constraint c check (a > 0)",
                "alter table t add constraint c unique (b)",
                "alter table t add constraint c unique (id, b)",
                "alter table t add constraint c foreign key (parent_id) references parent (id)",
                "alter table t add constraint c foreign key (parent_id) references parent",
                "alter table t add constraint c foreign key (id) references t (id)",
                "alter table empty add column c integer not null",
            ]);
        }
        for sql in cases {
            let found = linted_at(place, sql);
            let failing = ["rows-offend", "required-column"];
            let said = found.findings().any(|(_, f)| failing.contains(&f.code) && f.level == Level::Error);
            let really = runs(place, sql);
            assert_eq!(said, really.is_err(), "{sql}: {really:?}\n{:?}", codes(&found));
            assert!(!said || found.risk == Risk::High, "{sql}");
        }
    });
}

#[test]
fn what_sqlite_cannot_do_is_known_before_it_refuses() {
    let place = Place::sqlite();
    place.script(
        "create table p (id integer primary key);
         create table t (id integer primary key, a text, b text unique, c text);
         create index t_a on t (a);
         insert into t (a, b) values ('x', 'y')",
    );
    for sql in [
        "alter table t add column n text default current_timestamp",
        "alter table t add column n text default (1 + 1)",
        "alter table t add column n text default (1)",
        "alter table t add column n text unique",
        "alter table t add column n integer primary key",
        "alter table t add column n text generated always as (a) stored",
        "alter table t add column n text generated always as (a) virtual",
        "alter table t add column n text not null",
        "alter table t add column n text not null default ''",
        "alter table t drop column a",
        "alter table t drop column b",
        "alter table t drop column c",
        "alter table t drop column id",
        "alter table t drop column nothing",
        "alter table t rename column c to d",
        "alter table t rename column c to a",
        "alter table nothing rename to x",
        "create table t (id integer primary key)",
        "create table if not exists t (id integer primary key)",
        "create index t_a on t (c)",
        "create index i on t (nothing)",
        "drop index nothing",
        "drop index if exists nothing",
        "drop table nothing",
        "alter table t alter column c set not null",
        "alter table t alter column a set not null",
        "alter table t add constraint k check (a <> 'x')",
        "alter table t add constraint k check (a <> 'z')",
    ] {
        let found = linted_at(&place, sql);
        let said = found.worst() == Some(Level::Error);
        let really = runs(&place, sql);
        assert_eq!(said, really.is_err(), "{sql}: {really:?}\n{:?}", codes(&found));
    }
}

#[test]
fn names_that_are_there_or_not_are_known_before() {
    // S2-038
    both(|place| {
        place.script2(
            "create table t (id integer primary key, a integer); create index t_a on t (a); create view v as select 1 as x",
            "create table t (id bigint primary key, a integer); create index t_a on t (a); create view v as select 1 as x;
             alter table t add constraint k check (a > 0)",
        );
        let mut cases = vec![
            "create table t (id bigint primary key)",
            "create table v (id bigint primary key)",
            "create table if not exists t (id bigint primary key)",
            "alter table t add column a integer",
            "alter table t add column b integer",
            "alter table t rename column a to id",
            "alter table t rename to v",
            "create index t_a on t (id)",
            "create index if not exists t_a on t (id)",
            "alter table u add column a integer",
            "drop table u",
            "drop table if exists u",
            "drop index t_b",
            "update t set a = 1 where id = 1",
            "update u set a = 1 where id = 1",
        ];
        if !place.is_sqlite() {
            cases.extend([
                "alter table t add constraint k check (a > 1)",
                "alter table t add column if not exists a integer",
                "alter table t alter column nothing set not null",
                "alter table t drop column if exists nothing",
                "alter table public.t add column a integer",
                "alter table t add constraint f foreign key (a) references nothing (id)",
            ]);
        }
        for sql in cases {
            let found = linted_at(place, sql);
            let said = found.findings().any(|(_, f)| ["already-there", "not-there"].contains(&f.code));
            let really = runs(place, sql);
            assert_eq!(said, really.is_err(), "{sql}: {really:?}\n{:?}", codes(&found));
        }
        let both_made = "create table u (id bigint primary key); create index u_i on u (id); drop table u;
                         create table u (id bigint primary key, a text); alter table u rename to w; drop table w";
        assert!(!codes(&linted_at(place, both_made)).contains(&"already-there"));
    });
}

#[test]
fn a_large_table_makes_a_rewrite_dangerous_and_a_nullable_column_not() {
    // S2-037
    let place = Place::postgres();
    place.script(
        "create table big (id bigint primary key, a integer, b text);
         insert into big select n, n, repeat('x', 200) from generate_series(1, 300000) n;
         create table small (id bigint primary key, a integer);
         insert into small values (1, 1);
         analyze",
    );
    let rewrite = linted_at(&place, "alter table big alter column a type bigint");
    let nullable = linted_at(&place, "alter table big add column c integer");
    let small = linted_at(&place, "alter table small alter column a type bigint");
    let seconds = |linted: &kinds::migrate::lint::Linted| linted.seconds.unwrap().expected;
    assert!(seconds(&rewrite) > 50.0 * seconds(&nullable), "{rewrite:?}");
    assert!(rewrite.risk > nullable.risk, "{:?} {:?}", rewrite.risk, nullable.risk);
    assert_eq!(small.risk, Risk::Low);
    let judged = &rewrite.statements[0];
    assert_eq!(judged.table.as_deref(), Some("big"));
    assert!(
        judged.rows.unwrap().abs_diff(300_000) < 3_000 && judged.bytes.unwrap() > 60_000_000,
        "{judged:?}"
    );
    assert!(judged.rewrites && judged.blocks == Some("readers and writers"));
    let level = |linted: &kinds::migrate::lint::Linted| {
        linted.findings().find(|(_, f)| f.code == "column-type-rewrite").unwrap().1.level
    };
    assert_eq!((level(&rewrite), level(&small)), (Level::Warning, Level::Note));
}

#[test]
fn an_open_transaction_is_told_because_everybody_would_wait_behind_it() {
    let place = Place::postgres();
    place.script("create table t (id bigint primary key)");
    let mut application = place.connect();
    application.script("set application_name = 'shop'; begin; select * from t").unwrap();
    // Five seconds are not waited for: the age is that of the server's clock.
    let mut around = {
        let mut facts = place.database().read().unwrap();
        kinds::migrate::lint::Surroundings::of(facts.as_mut()).unwrap()
    };
    let oldest = around.oldest.as_mut().expect("the open transaction is seen");
    assert_eq!(oldest.state, "idle in transaction");
    oldest.seconds = 60.0;
    let sources = [source(Engine::Postgres, "alter table t add column a integer")];
    let found = lint_around(&sources, &Terms::new(Engine::Postgres), Some(&around));
    assert_eq!(found.risk, Risk::Medium);
    assert!(found.statements[0].reason.contains("open for 60 s"), "{}", found.statements[0].reason);
}

#[test]
fn looking_changes_nothing() {
    both(|place| {
        place.script("create table t (id bigint primary key, a integer); insert into t values (1, null)");
        let before = place.dump();
        linted_at(place, "create unique index i on t (a); update t set a = 2; drop table t");
        assert_eq!(place.dump(), before);
        assert_eq!(place.leftovers(), Vec::<String>::new());
    });
}
