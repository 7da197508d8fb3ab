//! Into the tables that a framework made with its own migrations: rows and lists that these have put there, and values in the forms in
//! which frameworks keep what SQLite has no type for. Each comes back in its own form.

use crate::transfer_kit::{Move, forbidden, found};
use engine::{Level, Report, Status};
use serde_json::{Value as Json, json};

/// There, with the application sent to PostgreSQL, and what it writes there.
fn there_and_back(it: &Move, options: Json, written: &str) -> [Report; 2] {
    let file = it.workshop.folder().join("pointer");
    std::fs::write(&file, "sqlite:///app.db\n").unwrap();
    let mut options = options;
    options["existing"] = json!(true);
    options["online"] = json!(true);
    options["switch"] = json!({ "file": file });
    let there = it.run(options.clone());
    assert_eq!(there.status, Status::Completed, "{:?}", there.operations[0].errors);
    it.to.script(written);
    options["action"] = json!("rollback");
    let back = it.run(options);
    assert_eq!(back.status, Status::Completed, "{:?}", back.operations[0].errors);
    [there, back]
}

fn rows(it: &Move, sql: &str) -> Vec<String> {
    let rows = it.from.rows(sql);
    rows.iter().map(|row| row.iter().map(ToString::to_string).collect::<Vec<_>>().join("|")).collect()
}

#[test]
fn uuids_in_every_form_arrive_and_come_back_in_their_own() {
    // W-094, S4-038
    let it = Move::of(
        "pragma journal_mode = wal;
         create table things (id char(32) primary key, raw blob, big text, braced text);
         create table parts (no integer primary key, thing_id char(32) references things);
         insert into things values
           ('6f1e1c1c00004000800000000000000a', x'6f1e1c1c00004000800000000000000a', '6F1E1C1C-0000-4000-8000-00000000000A', '{6f1e1c1c-0000-4000-8000-00000000000a}'),
           ('6f1e1c1c00004000800000000000000b', null, null, null);
         insert into parts values (1, '6f1e1c1c00004000800000000000000a'), (2, null)",
    );
    it.to.script(
        "create table things (id uuid primary key, raw uuid, big uuid, braced uuid);
         create table parts (no int primary key, thing_id uuid references things)",
    );
    there_and_back(
        &it,
        json!({}),
        "insert into things select '6f1e1c1c-0000-4000-8000-00000000000c', u, u, u from (select '6f1e1c1c-0000-4000-8000-00000000000c'::uuid as u) as x;
         update parts set thing_id = '6f1e1c1c-0000-4000-8000-00000000000c' where no = 2;
         update things set raw = id where raw is null",
    );
    assert_eq!(
        rows(&it, "select id, raw, big, braced from things order by id"),
        [
            "'6f1e1c1c00004000800000000000000a'|x'6f1e1c1c00004000800000000000000a'|'6F1E1C1C-0000-4000-8000-00000000000A'|'{6f1e1c1c-0000-4000-8000-00000000000a}'",
            "'6f1e1c1c00004000800000000000000b'|x'6f1e1c1c00004000800000000000000b'|null|null",
            "'6f1e1c1c00004000800000000000000c'|x'6f1e1c1c00004000800000000000000c'|'6F1E1C1C-0000-4000-8000-00000000000C'|'{6f1e1c1c-0000-4000-8000-00000000000c}'",
        ]
    );
    assert_eq!(rows(&it, "select thing_id from parts where no = 2"), ["'6f1e1c1c00004000800000000000000c'"]);
}

#[test]
fn one_uuid_in_two_forms_is_there_twice() {
    // W-101
    let it = Move::of(
        "create table t (id char(36) primary key);
         insert into t values ('6f1e1c1c00004000800000000000000a'), ('6f1e1c1c-0000-4000-8000-00000000000a')",
    );
    it.to.script("create table t (id uuid primary key)");
    assert_eq!(forbidden(&it.plan(json!({"existing": true}))), ["dirty_duplicate t.id"]);
}

#[test]
fn lengths_of_time_arrive_whatever_they_are_written_in() {
    // W-094, W-100, S4-038
    let script = "pragma journal_mode = wal;
         create table t (id integer primary key, counted bigint, since datetime, words text);
         insert into t values (1, 90000000, '1970-01-03 00:00:01.500000', '1 day, 2:03:04'), (2, -1, '1969-12-31 23:59:59.000000', 'PT90S'), (3, null, null, null)";
    let table = "create table t (id int primary key, counted interval, since interval, words interval)";
    let it = Move::of(script);
    it.to.script(table);
    assert_eq!(
        forbidden(&it.plan(json!({"existing": true}))),
        ["epoch t.counted", "dirty_unreadable t.counted"]
    );
    let said = json!({"map": {"t": {"columns": {"counted": {"epoch": "microseconds"}}}}});
    let [there, _] = there_and_back(
        &it,
        said,
        "insert into t values (4, '3 days', '2 days 00:00:00.25', '5 minutes'); update t set since = '-1 day', counted = '1 second' where id = 3",
    );
    let compared = &there.operations[0].result.as_ref().unwrap()["tables"][0]["compared"];
    assert!(compared["rows"] == 3 && compared["not_compared"].is_null(), "{compared:#}");
    assert_eq!(
        it.list("select extract(epoch from counted)::float8, extract(epoch from since)::float8, extract(epoch from words)::float8 from t where id < 3 order by id"),
        ["90|172801.5|93784", "-1e-06|-1|90"]
    );
    assert_eq!(
        rows(&it, "select counted, since, words from t order by id"),
        [
            "90000000|'1970-01-03 00:00:01.500000'|'1 day, 2:03:04'",
            "-1|'1969-12-31 23:59:59.000000'|'PT90S'",
            "1000000|'1969-12-31 00:00:00.000000'|null",
            "259200000000|'1970-01-03 00:00:00.250000'|'00:05:00'",
        ]
    );
    // a framework that is known to count in microseconds
    let it = Move::of(&format!(
        "{script}; create table django_migrations (id integer primary key, app text, name text, applied datetime)"
    ));
    it.to.script(table);
    let report = it.run(json!({"existing": true}));
    assert_eq!(report.status, Status::Completed, "{:?}", report.operations[0].errors);
    assert_eq!(found(&report), ["ledger django_migrations", "epoch t.counted"]);
    assert_eq!(it.list("select counted from t where id = 1 and counted = '90 seconds'").len(), 1);
}

#[test]
fn what_has_no_type_in_sqlite_comes_back_as_it_was_written() {
    // S4-038, W-100
    let it = Move::of(
        "pragma journal_mode = wal;
         create table t (id integer primary key, at datetime, clock time, iso text, n blob, doc blob, place text, f real);
         insert into t values (1, '2024-01-02 03:04:05.000000', '03:04:05.500000', '2024-01-02T03:04:05.120Z', cast('9007199254740993' as blob), cast('{\"a\": 1}' as blob), '10.0.0.1', 0.5)",
    );
    it.to.script(
        "create table t (id int primary key, at timestamp, clock time, iso timestamptz, n bigint, doc jsonb, place inet, f float8)",
    );
    let [there, _] = there_and_back(
        &it,
        json!({}),
        "insert into t values (2, '2025-01-01', '12:00', '2025-01-01 00:00:00Z', 5, '[2]', '10.0.0.2', '-0')",
    );
    // only the server reads addresses: what was not compared is not said to be the same
    let result = there.operations[0].result.as_ref().unwrap();
    assert_eq!(result["tables"][0]["compared"]["not_compared"], json!(["place"]));
    let message = result["message"].as_str().unwrap();
    assert!(message.contains("both sides the same but for 1 column that could not be compared"), "{message}");
    assert_eq!(
        rows(
            &it,
            "select at, clock, iso, cast(n as text), typeof(n), cast(doc as text), typeof(doc), place, f from t order by id"
        ),
        [
            "'2024-01-02 03:04:05.000000'|'03:04:05.500000'|'2024-01-02T03:04:05.120Z'|'9007199254740993'|'blob'|'{\"a\": 1}'|'blob'|'10.0.0.1'|0.5",
            "'2025-01-01 00:00:00.000000'|'12:00:00.000000'|'2025-01-01T00:00:00.000Z'|'5'|'blob'|'[2]'|'blob'|'10.0.0.2'|0.0",
        ]
    );
}

const SEEDED: &str = "
    create table kinds (id integer primary key, name text not null unique);
    create table rights (id integer primary key, kind_id integer not null references kinds, name text, photo blob, price decimal(6,2));
    create table people (id integer primary key autoincrement, name text);
    insert into kinds values (7, 'user'), (9, 'order');
    insert into rights values (1, 7, 'see', x'00ff', 1.5), (2, 9, 'see', null, null);
    insert into people values (4, 'Ann'), (5, 'Bob')";

const SEEDED_THERE: &str = "
    create table kinds (id int generated always as identity primary key, name text not null unique, more json, kept int);
    create table rights (id serial primary key, kind_id int not null references kinds, name text, photo bytea, price numeric(6,2), twice numeric generated always as (price * 2) stored);
    create table people (id serial primary key, name text);
    insert into kinds (name, more, kept) values ('order', '{\"b\":1,  \"a\" : 1.50, \"b\": \"\\u0000\"}', 3), ('user', null, null);
    insert into rights (kind_id, name, photo, price) values (1, 'it''s', '\\x01', 2.25), (2, null, null, null)";

const WHAT_IS_THERE: &str = "select 'kinds', id, name, more::text, kept::text, null from kinds union all \
    select 'rights', id, name, kind_id::text, photo::text, twice::text from rights union all select 'people', id, name, null, null, null from people order by 1, 2";

#[test]
fn rows_that_migrations_put_there_make_way_for_those_of_the_source() {
    // XFR, W-092, W-109
    let it = Move::of(SEEDED);
    it.to.script(SEEDED_THERE);
    let before = it.list(WHAT_IS_THERE);
    let plan = it.plan(json!({"existing": true}));
    assert_eq!(forbidden(&plan), ["target_not_empty public"]);
    let told = format!("{:?}", plan.items[0].findings);
    assert!(told.contains("kinds (2), rights (2)") && told.contains("--replace"), "{told}");
    let replace = json!({"existing": true, "replace": true});

    // a run that ends early is taken back, and they are as they were
    it.to.script(
        "create function no() returns trigger language plpgsql as $$ begin if new.name = 'Bob' then raise 'no'; end if; return new; end $$;
         create trigger no before insert on people for each row execute function no()",
    );
    assert_eq!(it.run(replace.clone()).status, Status::Failed);
    assert_ne!(it.list(WHAT_IS_THERE), before);
    let report = it.run(json!({"action": "rollback"}));
    assert_eq!(report.status, Status::Completed, "{:?}", report.operations[0].errors);
    assert_eq!(it.list(WHAT_IS_THERE), before);
    assert_eq!(it.list("select count(*) from pg_class where relname = 'replaced'"), ["0"]);
    it.to.script("drop trigger no on people");

    let report = it.run(replace);
    assert_eq!(report.status, Status::Completed, "{:?}", report.operations[0].errors);
    assert_eq!(found(&report), ["replaced public"]);
    assert_eq!(
        it.list(WHAT_IS_THERE),
        [
            "kinds|7|user|null|null|null",
            "kinds|9|order|null|null|null",
            "people|4|Ann|null|null|null",
            "people|5|Bob|null|null|null",
            "rights|1|see|7|\\x00ff|3.00",
            "rights|2|see|9|null|null",
        ]
    );
    assert_eq!(it.list("select count(*) from pg_class where relname = 'replaced'"), ["0"]);
    it.to.script("insert into kinds (name) values ('new')");
    assert_eq!(it.list("select id from kinds where name = 'new'"), ["10"]);
}

#[test]
fn an_online_transfer_that_goes_back_puts_them_back_too() {
    // W-109
    let it = Move::of(&format!("pragma journal_mode = wal; {SEEDED}"));
    it.to.script(SEEDED_THERE);
    let before = it.list(WHAT_IS_THERE);
    let wrong = json!({"existing": true, "replace": true, "online": true,
        "queries": {"never": {"source": "select 1", "target": "select 2"}}});
    assert_eq!(it.run(wrong).status, Status::Failed);
    assert_eq!(it.list(WHAT_IS_THERE), before);
}

#[test]
fn what_no_migration_put_there_is_not_replaced() {
    // W-109
    let it = Move::of(SEEDED);
    it.to.script(SEEDED_THERE);
    it.to.script(
        "create table notes (kind_id int references kinds on delete cascade); insert into notes values (1)",
    );
    let replace = json!({"existing": true, "replace": true});
    assert_eq!(forbidden(&it.plan(replace.clone())), ["target_not_empty notes"], "they would go along");
    it.to.script("drop table notes; insert into people (name) select 'x' from generate_series(1, 10001)");
    assert_eq!(forbidden(&it.plan(replace)), ["target_not_empty public"]);
}

#[test]
fn a_list_of_migrations_stays_that_of_the_target() {
    // W-092
    let it = Move::of(
        "create table t (id integer primary key);
         create table alembic_version (version_num varchar(32) primary key);
         create table __drizzle_migrations (id integer primary key, hash text);
         create table migrations (id integer primary key, name text);
         insert into t values (1); insert into alembic_version values ('a1'); insert into __drizzle_migrations values (1, 'x');
         insert into migrations values (1, 'of birds')",
    );
    it.to.script(
        "create table t (id int primary key); create table alembic_version (version_num varchar(32) primary key);
         create table migrations (id int primary key, name text); insert into alembic_version values ('a1')",
    );
    let options = json!({"existing": true});
    let report = it.run(options.clone());
    assert_eq!(report.status, Status::Completed, "{:?}", report.operations[0].errors);
    assert_eq!(found(&report), ["ledger __drizzle_migrations", "ledger alembic_version"]);
    assert_eq!(it.list("select * from migrations"), ["1|of birds"], "a table of the application");
    it.to.script("update alembic_version set version_num = 'b2'; truncate t, migrations");
    let plan = it.plan(options.clone());
    let ledger = plan.items[0].findings.iter().find(|finding| finding.object == "alembic_version").unwrap();
    assert_eq!(ledger.level, Level::Warning);
    assert!(ledger.what.contains("the source has had some that the target has not: a1"), "{}", ledger.what);
    // whoever maps it has it carried
    let mapped =
        json!({"existing": true, "replace": true, "map": {"alembic_version": {"rename": "alembic_version"}}});
    it.run(mapped);
    assert_eq!(it.list("select * from alembic_version"), ["a1"]);
}
