//! What a dump says of itself: the rows of every table, told by the stream of the dump.

use crate::backup::{back_up, files, shop};
use crate::stage::{Stage, both, manners, shown};
use engine::backup::Proof;
use engine::{Engine, Status};
use serde_json::json;
use std::collections::BTreeMap;
use testkit::story;

const SQLITE: &str = r#"create table plain (id integer primary key, x text);
    with recursive c(i) as (select 1 union all select i + 1 from c where i < 1234)
    insert into plain select i, 'a' || char(10) || '\.' || char(10) from c;
    create table "odd ""name' é" (id integer primary key);
    insert into "odd ""name' é" values (1), (2);
    create table empty_one (id integer primary key);"#;
const POSTGRES: &str = r#"create table plain (id int primary key, x text);
    insert into plain select i, E'a\n\\.\n' from generate_series(1, 1234) i;
    create table "odd ""name' é" (id int primary key);
    insert into "odd ""name' é" values (1), (2);
    create table empty_one (id int primary key);
    create schema "other schema";
    create table "other schema"."a b" (id int);
    insert into "other schema"."a b" select generate_series(1, 7);
    create table no_columns ();
    insert into no_columns default values;
    insert into no_columns default values;
    create table parts (id int, at date) partition by range (at);
    create table parts_1 partition of parts for values from ('2020-01-01') to ('2021-01-01');
    create table parts_2 partition of parts for values from ('2021-01-01') to ('2022-01-01');
    insert into parts select i, date '2020-12-30' + i from generate_series(0, 4) i;
    create table heirs () inherits (plain);
    insert into heirs select i, 'x' from generate_series(1, 3) i;
    create table bytes (id int, b bytea, wide text);
    insert into bytes select i, decode('0a5c2e0a0a0a', 'hex'), repeat('wide', 30000) from generate_series(1, 40) i;
    select lo_from_bytea(0, decode(repeat('0a', 300000), 'hex')), lo_from_bytea(0, '');
    create sequence counter;"#;

/// Counted by the database itself, table by table, under the names of the backup.
fn counted(stage: &Stage, engine: &Engine) -> BTreeMap<String, u64> {
    let backup = engine.find_backup("latest", None).unwrap();
    let held = backup.contents.tables.iter();
    held.map(|table| {
        let rows = table.rows.unwrap_or_else(|| panic!("{} was not counted", table.name));
        let only = if stage.place.is_sqlite() { "" } else { "only " };
        let name: Vec<String> = match table.name.split_once('.') {
            Some((schema, name)) if !stage.place.is_sqlite() => vec![schema.to_owned(), name.to_owned()],
            _ => vec![table.name.clone()],
        };
        let quoted: Vec<String> =
            name.iter().map(|part| format!("\"{}\"", part.trim_matches('"').replace('"', "\"\""))).collect();
        let there = stage.number(&format!("select count(*) from {only}{}", quoted.join(".")));
        assert_eq!(rows as i64, there, "{}", table.name);
        (table.name.clone(), rows)
    })
    .collect()
}

#[test]
fn the_rows_of_every_table_are_told_without_being_counted_again() {
    // W-110, S1-033
    both(SQLITE, POSTGRES, |stage| {
        let forms: &[&str] = if stage.place.is_sqlite() { &["sqlite"] } else { &["custom", "directory"] };
        for form in forms {
            let report = back_up(stage, json!({"format": form, "jobs": 2}));
            assert_eq!(report.status, Status::Completed, "{report:#?}");
            let all = counted(stage, &stage.engine());
            let tables = if stage.place.is_sqlite() { 3 } else { 9 };
            assert_eq!(all.len(), tables, "{form}: {all:?}");
            assert_eq!(all["plain"], 1234);
            let admin = stage.workshop.also_at(stage.place.admin_database());
            let backup = admin.find_backup("latest", None).unwrap();
            let drill = admin.drill(&backup, "tester").unwrap();
            assert_eq!(drill.findings, [], "{drill:?}");
        }
    });
}

#[test]
fn tables_of_an_extension_are_not_held_against_the_rows_of_the_dump() {
    let place = testkit::Place::postgres();
    let stage = Stage::new(place);
    stage.place.admin_script("create extension pg_trgm");
    stage.place.script("create table t (id int); insert into t values (1)");
    back_up(&stage, json!({}));
    let backup = stage.engine().find_backup("latest", None).unwrap();
    assert_eq!(backup.contents.tables.len(), 1, "{:?}", backup.contents);
}

#[test]
fn without_compression_the_file_is_what_the_database_reads() {
    shop(|stage| {
        let report = back_up(stage, json!({"compression": 0}));
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        let admin = stage.workshop.also_at(stage.place.admin_database());
        let backup = admin.find_backup("latest", None).unwrap();
        assert_eq!(backup.bytes(), backup.plain_bytes());
        let bytes = std::fs::read(&backup.path).unwrap();
        let begins: &[u8] = if stage.place.is_sqlite() { b"SQLite format 3\0" } else { b"PGDMP" };
        assert!(bytes.starts_with(begins), "{}", backup.path);
        assert_eq!(admin.check_backup(backup.clone(), Proof::Restore).unwrap().failure, None);
        let wrong = admin.plan(&story::request("backup", json!({"compression": 300}), manners(), false));
        assert!(shown(&wrong.unwrap_err()).contains("options of the backup"));
    });
}

#[test]
fn a_flipped_byte_in_any_file_is_found() {
    // S2-043
    shop(|stage| {
        let form = if stage.place.is_sqlite() { "sqlite" } else { "directory" };
        back_up(stage, json!({"format": form, "jobs": 2}));
        let engine = stage.engine();
        let backup = engine.find_backup("latest", None).unwrap();
        let all = files(stage);
        assert!(all.len() > 3 || stage.place.is_sqlite(), "{all:?}");
        for file in &all {
            let good = std::fs::read(file).unwrap();
            for at in [0, good.len() / 2, good.len() - 1] {
                let mut bad = good.clone();
                bad[at] ^= 1;
                std::fs::write(file, &bad).unwrap();
                let found = match file.extension().is_some_and(|end| end == "json") {
                    true => engine.backups(None).unwrap().1.len() == 1,
                    false => engine.check_backup(backup.clone(), Proof::Quick).unwrap().failure.is_some(),
                };
                // The line end after the manifest says nothing.
                let is_idle = at == good.len() - 1 && bad[at] == b'\x0b';
                assert!(found || is_idle, "byte {at} of {}", file.display());
            }
            std::fs::write(file, &good).unwrap();
        }
        assert_eq!(engine.check_backup(backup, Proof::Quick).unwrap().failure, None);
    });
}

#[test]
fn only_a_drill_verifies_and_a_drill_that_fails_leaves_nothing() {
    // S2-045, W-110: checked is not verified
    shop(|stage| {
        let report = back_up(stage, json!({}));
        let named = report.backup.unwrap();
        assert!(named.checked && !named.verified, "{named:?}");
        let plain = stage.engine();
        let backup = plain.find_backup("latest", None).unwrap();
        plain.check_backup(backup.clone(), Proof::Quick).unwrap();
        assert!(!plain.find_backup("latest", None).unwrap().is_verified(), "read is not restored");
        let with = |sql: &str| {
            stage.workshop.also(stage.place.admin_database(), |policy| {
                policy.assertions = vec![engine::backup::Assertion { database: None, sql: sql.to_owned() }];
            })
        };
        let false_one = with("select 1 = 2");
        assert_eq!(false_one.drill(&backup, "tester").unwrap().findings.len(), 1);
        assert!(!plain.find_backup("latest", None).unwrap().is_verified(), "an assertion did not hold");
        let broken = with("select nonsense from nowhere");
        assert!(broken.drill(&backup, "tester").is_err());
        match stage.place.is_sqlite() {
            true => {
                let scratch = stage.workshop.folder().join("scratch");
                assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0);
            }
            false => {
                // others have their drills on this server at the same time
                let own = stage.workshop.also_at(stage.place.admin_database());
                let drill = own.drill(&backup, "tester").unwrap();
                assert!(drill.scratch.starts_with("sexton_drill_"), "{}", drill.scratch);
                let there = format!("select count(*) from pg_database where datname = '{}'", drill.scratch);
                assert_eq!(stage.list(&there), ["0"]);
            }
        }
        with("select count(*) = 500 from customer").drill(&backup, "tester").unwrap();
        assert!(plain.find_backup("latest", None).unwrap().is_verified());
        let live = plain.describe("test").unwrap().0.database;
        let refused = stage.place.admin_database().copies().discard(&live).unwrap_err();
        assert!(shown(&refused.into()).contains("not made to be discarded"));
    });
}
