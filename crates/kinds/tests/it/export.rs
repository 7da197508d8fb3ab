//! Tables as files, and back into tables: to the bit, told of what does not go in, and taken away again.

use crate::stage::{Stage, both, manners, shown};
use engine::{Report, Status};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use testkit::{Place, Story, story};

const LITE: &str = "create table users (id integer primary key, name text not null, born, score real, pic blob, twice integer generated always as (id * 2));
    create table orders (id integer primary key, user_id integer references users (id), amount numeric);
    create table tags (a text, b text, n any, primary key (a, b)) without rowid, strict;
    create table \"odd \"\"name.\" (\"the key\" text primary key, \"a\"\"b\" any);";

const LITE_ROWS: &str = "insert into users (id, name, born, score, pic) values
      (1, 'Ada', null, 9e999, x'00ff'), (2, 'B' || char(0) || 'b', 9223372036854775807, -9e999, null),
      (3, cast(x'ff41' as text), 5, 0.1, 'text where blobs are'), (-4, '', '', 1e-320, zeroblob(3));
    insert into orders values (1, 1, 12.5), (2, 3, '1.50'), (3, null, 9007199254740993);
    insert into tags values ('ü', 'b', 1.0), ('', '', null), ('\"', '\\', 1);
    insert into \"odd \"\"name.\" values ('{\"$real\": \"NaN\"}', '{}'), ('x', 1e300);";

const LARGE: &str = "create type mood as enum ('sad', 'it''s ok');
    create type pair as (a int, b text);
    create domain small as int check (value < 1000);
    create schema audit;
    create table users (id bigint generated always as identity primary key, name text not null, born timestamptz, at timestamp, day date,
      amount numeric, ratio double precision, half real, ok boolean, pic bytea, doc jsonb, raw json, ids int[], names text[], feels mood,
      p pair, few small, key uuid, span int4range, ip inet, bits bit varying(9), lasts interval, code char(4),
      twice bigint generated always as (id * 2) stored, boss bigint references users (id));
    create table audit.log (id serial primary key, user_id bigint references users (id) on delete cascade, said varchar(20));
    create table parts (id int not null, k int not null, v text, primary key (id, k)) partition by range (k);
    create table parts_low partition of parts for values from (0) to (10);
    create table parts_high partition of parts for values from (10) to (20);
    create table \"odd \"\"name.\" (\"the key\" text primary key);";

// two statements: before PostgreSQL 14 a computed column takes no `default` among several rows
const LARGE_ROWS: &str = "insert into users overriding system value
      values (2, '', '-infinity', '0044-03-15 00:00:00 BC', '5874897-12-31', 123456789012345678901234567890.123456789, 'Infinity', '3.4e38', false, '',
      'null', '\"x\"', '{}', '{}', null, null, null, null, 'empty', null, B'', '00:00:00', '', default, null);
    insert into users overriding system value
      values (1, 'Ada', '2024-02-29 12:00:00.123456+02', '1999-12-31 23:59:59.999999', 'infinity', 'NaN', 'NaN', '-0', true, '\\x00ff',
      '{\"b\": [1, null], \"a\": 12345678901234567890.5}', '{\"b\":1, \"b\":2}', '{{1,null},{3,4}}', array['a\"b', null, '', 'NULL'], 'it''s ok',
      row(1, 'x,\"y'), 7, '6f1e1c1c-0000-4000-8000-000000000001', '[1,5)', '::1/64', B'101', '1 mon -3 days 00:00:01.5', 'ab', default, 2);
    insert into audit.log values (7, 1, E'tab\\tline\\nzero'), (8, 2, '');
    insert into parts select i, i % 20, 'v' || i from generate_series(1, 60) i;
    insert into \"odd \"\"name.\" values ('a.b');
    select setval(pg_get_serial_sequence('users', 'id'), 2), setval('audit.log_id_seq', 8);";

/// The numbers that the database gives go on where they are after an undo, too: a number is never given twice.
const AS_NEW: &str =
    "select setval(pg_get_serial_sequence('users', 'id'), 1, false), setval('audit.log_id_seq', 1, false)";

fn run(stage: &Stage, kind: &str, options: Json, rows: u64) -> Report {
    let engine = stage.engine();
    let mut manners = manners();
    manners.batch_size = Some(rows);
    story::run(&engine, &story::plan(&engine, &story::request(kind, options, manners, false)))
}

fn plan(stage: &Stage, kind: &str, options: Json) -> engine::Plan {
    story::plan(&stage.engine(), &story::request(kind, options, manners(), false))
}

fn refusal(stage: &Stage, kind: &str, options: Json) -> String {
    match stage.engine().plan(&story::request(kind, options, manners(), false)) {
        Ok(plan) => panic!("it was planned: {:#?}", plan.items[0].findings),
        Err(failure) => shown(&failure),
    }
}

/// What stands against a plan, as `code object: what`.
fn against(stage: &Stage, options: Json) -> Vec<String> {
    let plan = plan(stage, "import", options);
    let refused = plan.items[0].findings.iter().filter(|finding| finding.level == engine::Level::Refuse);
    let told = refused.map(|finding| {
        assert!(!finding.remedy.is_empty());
        format!(
            "{} {}: {}",
            finding.code,
            finding.object.rsplit('/').next().unwrap_or_default(),
            finding.what
        )
    });
    told.collect()
}

/// A second place with the same tables, whose files are those of the first.
fn second(stage: &Stage, script: &str) -> Stage {
    let place = if stage.place.is_sqlite() { Place::sqlite() } else { Place::postgres() };
    place.script(script);
    let other = Stage::new(place);
    Stage { workshop: other.workshop.keeping(stage.workshop.files()), ..other }
}

fn folder(stage: &Stage) -> PathBuf {
    stage.workshop.store()
}

fn change(file: &Path, how: impl FnOnce(String) -> String) {
    let text = std::fs::read_to_string(file).unwrap();
    std::fs::write(file, how(text)).unwrap();
}

#[test]
fn what_is_exported_comes_back_to_the_bit() {
    // S4-007, W-091
    for (options, ending) in [
        (json!({"store": "store"}), "jsonl"),
        (json!({"store": "store", "format": "json", "folder": "a/b"}), "json"),
        (json!({"store": "store", "compress": true, "format": "json"}), "json.zst"),
        (json!({"store": "store", "compress": true}), "jsonl.zst"),
    ] {
        both(LITE, LARGE, |stage| {
            let empty = stage.place.dump();
            let (tables, rows) =
                if stage.place.is_sqlite() { (LITE, LITE_ROWS) } else { (LARGE, LARGE_ROWS) };
            stage.place.script(rows);
            let before = stage.place.dump();
            let report = run(stage, "export", options.clone(), 3);
            assert_eq!(report.status, Status::Completed, "{report:#?}");
            assert_eq!(stage.place.dump(), before, "an export changes nothing");
            assert_eq!(stage.place.leftovers(), Vec::<String>::new());
            let into = folder(stage).join(options["folder"].as_str().unwrap_or_default());
            let file = into.join(format!("users_export.{ending}"));
            assert!(file.exists(), "{}", file.display());
            if ending == "jsonl" {
                let first: Json = std::fs::read_to_string(&file)
                    .unwrap()
                    .lines()
                    .next()
                    .map(|line| serde_json::from_str(line).unwrap())
                    .unwrap();
                assert!(
                    first["id"].is_i64() && first.get("name").is_some() && first.get("twice").is_none(),
                    "{first}"
                );
            }
            if ending == "json" {
                let all: Json = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
                assert!(all.as_array().is_some_and(|rows| rows.len() >= 2), "{all}");
            }

            let there = second(stage, tables);
            let mut back = json!({"store": "store"});
            back["folder"] = options["folder"].clone();
            if back["folder"].is_null() {
                back = json!({"store": "store"});
            }
            let report = run(&there, "import", back, 2);
            assert_eq!(report.status, Status::Completed, "{report:#?}");
            assert_eq!(there.place.dump(), before);
            let message = report.operations[0].result.as_ref().unwrap()["message"].as_str().unwrap();
            assert!(message.ends_with("each the same as exported"), "{message}");
            let undone = there.undo(&report.run_id);
            assert_eq!(undone.status, Status::Completed, "{undone:#?}");
            there.place.script(if there.place.is_sqlite() { "select 1" } else { AS_NEW });
            assert_eq!(there.place.dump(), empty);
        });
    }
}

#[test]
fn rows_from_files_come_in_batches_and_go_again_whatever_dies() {
    // S4-007, W-091
    Story::new(kinds::catalogue(), "import", json!({"store": "store", "files": {"people": "people.jsonl", "pets": "pets.json"}}))
        .given(|place| {
            place.script(
                "create table people (id integer primary key, name text not null, age integer default 7);
                 create table pets (id integer primary key, owner integer references people (id), name text)",
            );
        })
        .stocked(|store| {
            std::fs::create_dir_all(store).unwrap();
            let people: String = (1..=8).map(|n| format!("{{\"id\": {n}, \"name\": \"P {n}\"}}\n")).collect();
            std::fs::write(store.join("people.jsonl"), people).unwrap();
            let pets = "[\n  { \"id\": 1, \"owner\": 8, \"name\": \"a \\\" } ] b\" },\n  {\"id\": 2, \"owner\": null,\n \"name\": \"\"}]\n";
            std::fs::write(store.join("pets.json"), pets).unwrap();
        })
        .after(|place, report| {
            assert_eq!(report.operations[0].rows_restored, 10);
            let rows = place.rows("select count(*), min(age) from people");
            let number = |value: &targets::db::Value| value.to_string().trim_matches('\'').to_owned();
            assert_eq!(rows[0].iter().map(number).collect::<Vec<_>>(), ["8", "7"]);
            assert_eq!(place.rows("select name from pets where owner = 8")[0][0].as_text(), Some("a \" } ] b"));
        })
        .tell();
}

#[test]
fn what_would_not_go_in_is_told_before_anything_changes() {
    // S4-007, W-091
    both(LITE, LARGE, |stage| {
        let lite = stage.place.is_sqlite();
        stage.place.script(if lite { LITE_ROWS } else { LARGE_ROWS });
        run(stage, "export", json!({"store": "store"}), 3);
        let from = |options: Json| {
            let mut all = json!({"store": "store"});
            all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
            all
        };
        let found = against(stage, from(json!({"tables": ["users"]})));
        assert_eq!(found, ["table_not_empty users: it has rows already"]);
        let twice = plan(stage, "export", json!({"store": "store"}));
        assert_eq!(twice.items[0].findings[0].code, "export_there");
        let again = run(stage, "export", json!({"store": "store", "replace": true}), 3);
        assert_eq!(again.status, Status::Completed, "{again:#?}");

        let other = second(stage, "create table other (id integer primary key)");
        let found = against(&other, from(json!({"tables": ["users"]})));
        assert_eq!(found, ["table_missing users: there is no such table here"]);
        assert!(
            refusal(&other, "import", from(json!({"tables": ["user"]})))
                .contains("there is no table `user` in the export")
        );
        assert!(
            refusal(&other, "import", json!({"store": "store", "folder": "none"}))
                .contains("manifest.json` is missing")
        );
        assert!(
            refusal(&other, "import", json!({"store": "nowhere"})).contains("there is no store `nowhere`")
        );
        assert!(refusal(&other, "import", json!({})).contains("`store` is missing"));

        let short = second(
            stage,
            "create table users (id integer primary key, name text not null, more integer not null)",
        );
        let found = against(&short, from(json!({"tables": ["users"]})));
        assert!(found.iter().any(|one| one.starts_with("column_missing users.born: ")), "{found:?}");
        assert!(found.iter().any(|one| one.starts_with("value_missing users.more: ")), "{found:?}");

        let there = second(stage, if lite { LITE } else { LARGE });
        let file = folder(stage).join("users_export.jsonl");
        let whole = std::fs::read_to_string(&file).unwrap();
        let mine = || from(json!({"files": {"users": "users_export.jsonl"}}));
        change(&file, |text| text.replacen("\"name\"", "\"nam\"", 1));
        let found = against(&there, from(json!({"tables": ["users"]})));
        assert!(found[0].starts_with("broken_file users_export.jsonl: line 1 of "), "{found:?}");
        std::fs::write(&file, whole.replacen("Ada", "Ida", 1)).unwrap();
        let found = against(&there, from(json!({"tables": ["users"]})));
        assert!(found[0].ends_with("is not what was exported"), "{found:?}");
        let mut lines: Vec<&str> = whole.lines().collect();
        lines.insert(1, "{\"id\": 9, \"name\": ");
        std::fs::write(&file, lines.join("\n")).unwrap();
        let found = against(&there, mine());
        assert!(
            found[0].starts_with("broken_file users_export.jsonl: line 2 of ")
                && found[0].contains("is no JSON object"),
            "{found:?}"
        );
        std::fs::remove_file(&file).unwrap();
        let found = against(&there, from(json!({"tables": ["users"]})));
        assert_eq!(found, ["file_missing users_export.jsonl: the file of `users` is not there"]);
        let refused = run(&there, "import", from(json!({"tables": ["users"]})), 3);
        assert_eq!(refused.status, Status::Refused, "{refused:#?}");
    });
}

#[test]
fn a_row_that_the_database_refuses_is_named_by_its_line() {
    let lite = "create table t (id integer primary key, n integer not null check (n < 5))";
    both(lite, lite, |stage| {
        let empty = stage.place.dump();
        let lines: String =
            (1..=40).map(|n| format!("{{\"id\":{n},\"n\":{}}}\n", if n == 23 { 7 } else { 1 })).collect();
        std::fs::create_dir_all(folder(stage)).unwrap();
        std::fs::write(folder(stage).join("t.jsonl"), lines).unwrap();
        let engine = stage.engine();
        let options = json!({"store": "store", "files": {"t": "t.jsonl"}});
        let mut manners = manners();
        manners.batch_size = Some(10);
        let plan = story::plan(&engine, &story::request("import", options, manners, false));
        let report = engine.run(&plan, &engine::Stop::default(), &mut |_| {}).unwrap();
        assert_eq!(report.status, Status::Failed, "{report:#?}");
        assert!(report.errors[0].message.contains("line 23 of `t.jsonl`"), "{:?}", report.errors);
        assert_eq!(stage.number("select count(*) from t"), 20, "the batches before it are in");
        assert_eq!(stage.undo(&report.run_id).status, Status::Completed);
        assert_eq!(stage.place.dump(), empty);
    });
}

#[test]
fn rows_may_refer_to_later_ones_and_numbers_go_on() {
    // W-105
    let postgres = "create table t (id serial primary key, above integer references t (id), body text);
        create table a (id int primary key, b int); create table b (id int primary key, a int references a (id));
        alter table a add foreign key (b) references b (id);";
    both(
        "create table t (id integer primary key autoincrement, above integer references t (id), body text)",
        postgres,
        |stage| {
            std::fs::create_dir_all(folder(stage)).unwrap();
            let lines: String =
                (1..=30).map(|n| format!("{{\"id\":{n},\"above\":{},\"body\":\"b\"}}\n", 31 - n)).collect();
            std::fs::write(folder(stage).join("t.jsonl"), lines).unwrap();
            let report = run(stage, "import", json!({"store": "store", "files": {"t": "t.jsonl"}}), 7);
            assert_eq!(report.status, Status::Completed, "{report:#?}");
            stage.place.script("insert into t (above, body) values (1, 'new')");
            assert_eq!(stage.number("select id from t where body = 'new'"), 31);
            if !stage.place.is_sqlite() {
                for name in ["a", "b"] {
                    std::fs::write(folder(stage).join(format!("{name}.jsonl")), "").unwrap();
                }
                let found =
                    against(stage, json!({"store": "store", "files": {"a": "a.jsonl", "b": "b.jsonl"}}));
                assert_eq!(found.len(), 1, "{found:?}");
                assert!(found[0].starts_with("circle "), "{found:?}");
            }
        },
    );
}

#[test]
fn rows_that_nothing_tells_apart_come_in_only_where_nothing_can_be_taken_back() {
    both("create table t (n integer)", "create table t (n integer)", |stage| {
        stage.place.script("insert into t values (1), (1), (null)");
        run(stage, "export", json!({"store": "store"}), 3);
        let there = second(stage, "create table t (n integer)");
        let found = against(&there, json!({"store": "store"}));
        assert!(found[0].starts_with("no_key t: "), "{found:?}");
        let report = run(&there, "import", json!({"store": "store", "undo": "none"}), 2);
        assert_eq!(
            (report.status, report.operations[0].undo_id.as_ref()),
            (Status::Completed, None),
            "{report:#?}"
        );
        assert_eq!(there.number("select count(*) from t"), 3);
        let more = run(&there, "import", json!({"store": "store", "undo": "none", "add": true}), 2);
        assert_eq!(more.status, Status::Completed, "{more:#?}");
        assert_eq!(there.number("select count(*) from t"), 6);
    });
}

#[test]
fn files_of_other_programs_are_taken_where_they_mean_one_thing() {
    let table = "create table t (id integer primary key, doc text, big numeric(30, 2))";
    both(table, &table.replace("doc text", "doc jsonb"), |stage| {
        std::fs::create_dir_all(folder(stage)).unwrap();
        let write = |text: &str| std::fs::write(folder(stage).join("t.json"), text).unwrap();
        let options = || json!({"store": "store", "files": {"t": "t.json"}});
        write(
            "[{\"id\": 1, \"doc\": {\"a\": [1, 2]}, \"big\": 18446744073709551615},\n{\"id\": 2, \"doc\": [], \"big\": \"12345678901234567890.25\"}]",
        );
        let report = run(stage, "import", options(), 5);
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        assert_eq!(stage.list("select doc from t where id = 2"), ["[]"]);
        stage.place.script("delete from t");
        for (text, why) in [
            ("[{\"id\": 1, \"doc\": null, \"big\": 123456789012345678901}]", "exact only as text"),
            ("[{\"id\": 1, \"doc\": null, \"big\": 1}", "cut off"),
            ("[{\"id\": 1, \"doc\": null, \"big\": 1}] x", "follows the end"),
            ("[{\"id\": 1, \"doc\": null, \"big\": 1},\n\n{\"id\": 2, \"doc\": null}]", "line 3 of"),
            (
                "[{\"id\": 1, \"doc\": null, \"big\": 1},\n{\"id\": 2, \"doc\": null, \"big\": 1, \"x\": 1}]",
                "has `x`",
            ),
            ("[7]", "is no JSON object"),
        ] {
            if why.contains("only as text") && stage.place.is_sqlite() {
                // a column there holds floats anyway
                continue;
            }
            write(text);
            let found = against(stage, options());
            assert!(found.len() == 1 && found[0].contains(why), "{text}: {found:?}");
        }
    });
}

#[test]
fn an_export_that_is_stopped_has_no_manifest_and_begins_again() {
    let script = "create table a (id integer primary key); create table b (id integer primary key); insert into a values (1); insert into b values (2)";
    both(script, script, |stage| {
        let engine = stage.engine();
        let plan = plan(stage, "export", json!({"store": "store"}));
        let stop = engine::Stop::default();
        let stopper = stop.clone();
        let stopped = engine.run(&plan, &stop, &mut |event| {
            if matches!(event.what, engine::What::Advanced { .. }) {
                stopper.ask();
            }
        });
        let stopped = stopped.unwrap();
        assert_eq!(stopped.status, Status::Cancelled, "{stopped:#?}");
        assert!(!folder(stage).join("manifest.json").exists());
        stage.place.script("insert into a values (3)");
        let resumed = engine.resume(&stopped.run_id, &engine::Stop::default(), &mut |_| {});
        assert_eq!(resumed.unwrap().status, Status::Completed);
        assert_eq!(
            std::fs::read_to_string(folder(stage).join("a_export.jsonl")).unwrap(),
            "{\"id\":1}\n{\"id\":3}\n"
        );
        assert!(folder(stage).join("manifest.json").exists());
    });
}

#[test]
fn whoever_may_only_read_can_export() {
    let place = Place::postgres();
    place.script(
        "create table t (id integer primary key); insert into t values (1); create view v as select * from t",
    );
    place.admin_script("drop role if exists sexton_reader; create role sexton_reader login; grant select on all tables in schema public to sexton_reader");
    let url = place.url().replacen(&role(&place.url()), "sexton_reader", 1);
    let workshop = testkit::Workshop::over(&url, kinds::catalogue());
    let engine = workshop.engine();
    let request = story::request("export", json!({"store": "store"}), manners(), false);
    let report = story::run(&engine, &story::plan(&engine, &request));
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(std::fs::read_to_string(workshop.store().join("t_export.jsonl")).unwrap(), "{\"id\":1}\n");
    assert_eq!(place.leftovers(), Vec::<String>::new());
}

/// The role of a URL.
fn role(url: &str) -> String {
    let rest = url.split_once("://").unwrap().1;
    rest.split(['@', ':']).next().unwrap().to_owned()
}
