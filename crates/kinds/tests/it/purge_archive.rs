//! Rows that go to an archive: all of them are there before the delete commits, whatever happens, and they come back.

use crate::stage::{Stage, both, codes};
use crate::tampered::Tampered;
use engine::archive::{Manifest, inspect, read};
use engine::{Status, Stop, What};
use serde_json::json;
use std::path::Path;
use targets::db::{Row, Sql, Value};
use testkit::{Place, Workshop, story};

const LOGS: (&str, &str) = (
    "create table logs (id integer primary key, at text not null, who text, data blob, n real);
     with recursive c(i) as (select 1 union all select i + 1 from c where i < 25)
     insert into logs select i, datetime('now', '-' || (i * 10) || ' days'), case when i % 3 then 'user ' || i end, zeroblob(i % 4), i / 7.0 from c;",
    "create table logs (id bigint generated always as identity primary key, at timestamptz not null, who text, data bytea, n double precision);
     insert into logs (at, who, data, n) select now() - make_interval(days => i * 10), case when i % 3 <> 0 then 'user ' || i end,
       decode(repeat('00', i % 4), 'hex'), i / 7.0 from generate_series(1, 25) i;",
);

fn options(more: serde_json::Value) -> serde_json::Value {
    let mut options =
        json!({"table": "logs", "age_column": "at", "older_than": "99 days", "archive": "store"});
    for (name, value) in more.as_object().unwrap() {
        options[name] = value.clone();
    }
    options
}

/// The names of all files in a folder and below it.
fn files(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            match entry.path().is_dir() {
                true => folders.push(entry.path()),
                false => all.push(entry.path().strip_prefix(folder).unwrap().display().to_string()),
            }
        }
    }
    all.sort();
    all
}

/// All rows of these archive files, in the order of their names; manifests are passed over.
fn archived(workshop: &Workshop, names: &[String]) -> Vec<Row> {
    let mut rows = Vec::new();
    for name in names.iter().filter(|name| !name.contains("manifest")) {
        read(workshop.files().as_ref(), name, &mut |row| {
            rows.push(row);
            Ok(())
        })
        .unwrap();
    }
    rows
}

#[test]
fn every_row_that_goes_is_in_the_archive_and_undo_still_works() {
    // W-058, S1-017, X-40
    for format in ["jsonl", "parquet"] {
        both(LOGS.0, LOGS.1, |stage| {
            let before = stage.place.dump();
            let report = stage
                .run_with(options(json!({"archive_format": format})), |manners| manners.batch_size = Some(5));
            let done = &report.operations[0];
            assert_eq!((done.rows_deleted, done.rows_archived), (16, 16), "{report:#?}");
            let names = files(&stage.workshop.store());
            let rows = archived(&stage.workshop, &names);
            assert_eq!(rows.len(), 16);
            let mut ids: Vec<i64> = rows.iter().map(|row| row[0].as_int().unwrap()).collect();
            ids.sort_unstable();
            assert_eq!(ids, (10..=25).collect::<Vec<_>>());
            assert!(
                rows.iter().any(|row| row[2] == Value::Null)
                    && rows.iter().any(|row| row[3] == Value::Blob(vec![0, 0]))
            );
            let manifests: Vec<&String> = names.iter().filter(|name| name.contains("manifest")).collect();
            let manifest = Manifest::read(stage.workshop.files().as_ref(), manifests[0]).unwrap();
            assert_eq!((manifests.len(), manifest.rows(), manifest.files().len()), (1, 16, 4));
            assert_eq!(manifest.verify(stage.workshop.files().as_ref()).unwrap(), 16);
            stage.undo(&report.run_id);
            assert_eq!(stage.place.dump(), before);
        });
    }
}

#[test]
fn with_the_archive_as_the_only_memory_undo_reads_it_back() {
    for format in ["jsonl", "parquet"] {
        both(LOGS.0, LOGS.1, |stage| {
            let before = stage.place.dump();
            let report = stage
                .run_with(options(json!({"archive_format": format, "undo": "archive"})), |manners| {
                    manners.batch_size = Some(5)
                });
            assert_eq!(
                (report.status, report.operations[0].rows_deleted),
                (Status::Completed, 16),
                "{report:#?}"
            );
            assert!(stage.engine().undo_points("test").unwrap().iter().all(|point| point.tables.is_empty()));
            let undone = stage.undo(&report.run_id);
            assert_eq!(
                (undone.status, undone.operations[0].rows_restored),
                (Status::Completed, 16),
                "{undone:#?}"
            );
            assert_eq!(stage.place.dump(), before);
            // restored rows are exempt here too
            assert_eq!(stage.plan(options(json!({}))).matched(), 0);
        });
    }
}

#[test]
fn dependants_are_archived_with_the_rows_they_refer_to() {
    // W-034
    let children = "create table notes (id integer primary key, log integer references logs (id), body text); create index notes_log on notes (log);
        insert into notes values (1, 12, 'a'), (2, 12, 'b'), (3, 2, 'c');";
    let postgres = children.replace("log integer", "log bigint");
    both(&format!("{} {children}", LOGS.0), &format!("{} {postgres}", LOGS.1), |stage| {
        let before = stage.place.dump();
        let plan = stage.plan(json!({"table": "logs", "where": "id > 9", "dependants": "archive"}));
        assert!(codes(&plan).contains(&"no_archive"), "{:?}", codes(&plan));
        let asked = options(json!({"dependants": "archive", "undo": "archive"}));
        let mut dry = stage.request(asked.clone(), |_| {});
        dry.dry_run = true;
        let engine = stage.engine();
        let dry = story::run(&engine, &story::plan(&engine, &dry));
        let report = stage.run(asked);
        let done = &report.operations[0];
        assert_eq!((done.rows_deleted, done.rows_dependent, done.rows_archived), (16, 2, 18), "{report:#?}");
        // W-112
        assert_eq!(dry.operations[0].targets, done.targets);
        stage.undo(&report.run_id);
        assert_eq!(stage.place.dump(), before);
    });
}

#[test]
fn a_batch_that_is_repeated_overwrites_its_file() {
    // S3-063: the file is written, then the batch dies or is rolled back, and is done again
    both(LOGS.0, LOGS.1, |stage| {
        let before = stage.place.dump();
        let mut nth = 1;
        loop {
            let engine = stage.engine();
            let plan = story::plan(
                &engine,
                &stage.request(options(json!({"undo": "archive"})), |manners| manners.batch_size = Some(8)),
            );
            engine.faults().arm(nth);
            let outcome = engine.run(&plan, &Stop::default(), &mut |_| {});
            let died = outcome.is_err();
            let run_id = match outcome {
                Ok(report) => report.run_id,
                Err(_) => match story::resumed(&stage.engine(), "latest") {
                    Ok(report) => report.run_id,
                    Err(_) if nth == 1 => stage.run(options(json!({"undo": "archive"}))).run_id,
                    Err(_) => stage.engine().run_record("latest").unwrap().id,
                },
            };
            assert_eq!(stage.number("select count(*) from logs"), 9, "at point {nth}");
            let names: Vec<String> =
                files(&stage.workshop.store()).into_iter().filter(|name| name.contains(&run_id)).collect();
            assert_eq!(archived(&stage.workshop, &names).len(), 16, "at point {nth}: {names:?}");
            assert!(names.iter().all(|name| !name.contains(".part") && !name.contains(".tmp")), "{names:?}");
            stage.undo(&run_id);
            assert_eq!(stage.place.dump(), before, "at point {nth}");
            story::forget(&stage.engine());
            if !died {
                break;
            }
            nth += 5;
        }
        assert!(nth > 20, "{nth}");
    });
}

#[test]
fn an_archive_that_cannot_be_written_keeps_every_row() {
    both(LOGS.0, LOGS.1, |stage| {
        let before = stage.place.dump();
        std::fs::write(stage.workshop.store(), "a file where the folder should be").unwrap();
        let engine = stage.engine();
        let request = stage.request(options(json!({})), |_| {});
        let failed = match engine.plan(&request) {
            Err(error) => error.to_string(),
            Ok(plan) => {
                let report = story::run(&engine, &plan);
                assert_eq!(report.status, Status::Failed, "{report:#?}");
                report.operations[0].errors.join(", ")
            }
        };
        assert!(failed.contains("store"), "{failed}");
        assert_eq!(stage.place.dump(), before);
    });
}

#[test]
fn an_archive_that_was_damaged_is_not_brought_back() {
    both(LOGS.0, LOGS.1, |stage| {
        let report = stage.run(options(json!({"undo": "archive"})));
        let names = files(&stage.workshop.store());
        let name = names.iter().find(|name| !name.contains("manifest")).unwrap();
        let path = stage.workshop.store().join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(inspect(stage.workshop.files().as_ref(), name).is_err());
        let engine = stage.engine();
        let request = engine.undo_request(&report.run_id, Some("test"), "tester").unwrap();
        let error = engine.plan(&request).map(|plan| story::run(&engine, &plan).status);
        assert!(matches!(error, Err(_) | Ok(Status::Failed)), "{error:?}");
        assert_eq!(stage.number("select count(*) from logs"), 9);
    });
}

#[test]
fn values_without_a_counterpart_come_back_from_an_archive_exactly() {
    for format in ["jsonl", "parquet"] {
        let stage = Stage::new(Place::postgres());
        stage.place.script(
            "create type mood as enum ('sad', 'ok'); create domain small as int check (value < 10);
             create table t (n small primary key, m mood, l mood[], j jsonb, r int4range, u uuid, i inet, iv interval, d numeric, f float8, h bytea, ts timestamptz, twice int generated always as (n * 2) stored);
             insert into t values
               (1, 'sad', '{sad,ok}', '{\"a\": [1, null]}', '[1,5)', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.0.0.1/8', '1 mon -1 day', 'NaN', 'NaN', '\\x00ff', 'infinity'),
               (2, 'ok', '{}', 'null', 'empty', null, '::1', '00:00:00.000001', 1.500, '-0', '', '0044-03-15 BC'),
               (3, null, null, null, null, null, null, null, null, null, null, null)",
        );
        let before = stage.place.dump();
        let report = stage.run(json!({"table": "t", "where": "n > 0", "archive": "store", "archive_format": format, "undo": "archive"}));
        assert_eq!(report.totals.deleted, 3, "{report:#?}");
        stage.undo(&report.run_id);
        assert_eq!(stage.place.dump(), before, "{format}");

        let stage = Stage::new(Place::sqlite());
        stage.place.script(
            "create table t (n integer, v, r real, twice integer as (n * 2) stored);
             insert into t (rowid, n, v, r) values (7, 1, 9223372036854775807, -0.0), (9, 2, cast(x'ff41' as text), 1e308), (-3, 3, x'', 0.1), (4, 4, 'a' || char(0) || 'b', null);",
        );
        let before = stage.place.dump();
        let report = stage.run(json!({"table": "t", "where": "n > 0", "archive": "store", "archive_format": format, "undo": "archive"}));
        assert_eq!(report.totals.deleted, 4, "{report:#?}");
        stage.undo(&report.run_id);
        // hidden rowids are no part of an archive
        let without_rowids = |dump: &str| {
            let mut lines: Vec<String> = dump
                .lines()
                .map(|line| match line.strip_prefix("  int ") {
                    Some(row) => row.split_once(" | ").map_or(row, |(_, rest)| rest).to_owned(),
                    None => line.to_owned(),
                })
                .collect();
            lines.sort();
            lines
        };
        assert_eq!(without_rowids(&stage.place.dump()), without_rowids(&before), "{format}");
    }
}

#[test]
fn rows_that_a_retry_leaves_out_are_not_in_the_archive_either() {
    // the archive holds what was deleted, no more: a batch that failed after its file was written leaves none behind
    let stage = Stage::new(Place::sqlite());
    stage.place.script(LOGS.0);
    let changed = |number: u64, tx: &mut dyn targets::db::Tx| {
        if number == 3 {
            tx.execute(&Sql::new("update logs set at = datetime('now') where id = 25")).unwrap();
        }
    };
    let workshop = Workshop::new(&stage.place, kinds::catalogue())
        .on(Tampered::at_begin(stage.place.database(), changed));
    let engine = workshop.engine();
    let plan = story::plan(
        &engine,
        &stage.request(options(json!({"undo": "archive"})), |manners| manners.batch_size = Some(8)),
    );
    let mut batches = 0;
    let report = engine
        .run(&plan, &Stop::default(), &mut |event| {
            batches += u64::from(matches!(event.what, What::Advanced { .. }))
        })
        .unwrap();
    let done = &report.operations[0];
    assert_eq!((done.rows_deleted, done.rows_archived, batches), (15, 15, 2), "{report:#?}");
    assert!(done.findings.iter().any(|finding| finding.code == "rows_gone"), "{:?}", done.findings);
    let rows = archived(&workshop, &files(&workshop.store()));
    assert!(rows.len() == 15 && rows.iter().all(|row| row[0] != Value::Int(25)));
}
