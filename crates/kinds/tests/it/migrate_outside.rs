//! What a database does in its own way: indexes built beside the application, tables made anew, histories of other tools.

use crate::migrate_kit::{THREE, Yard, both};
use engine::{Failure, Status, Stop};
use serde_json::json;
use testkit::{Place, story};

const INDEX: (&str, &str) = (
    "0002_index.sql",
    "-- sexton:up\ncreate index concurrently users_name on users (name);\n-- sexton:down\n\
     drop index concurrently users_name;\n",
);

fn indexes(yard: &Yard) -> Vec<String> {
    yard.list("select relname || ' ' || indisvalid from pg_class join pg_index on indexrelid = oid where relname like 'users_n%' order by 1")
}

#[test]
fn an_index_built_beside_the_application_survives_a_death_at_any_point() {
    // W-005
    let yard = Yard::with(Place::postgres(), &[THREE[0]]);
    yard.up();
    yard.write(&[INDEX]);
    for nth in 1..200 {
        let engine = yard.engine();
        let plan = story::plan(&engine, &yard.request(json!({})));
        engine.faults().arm(nth);
        let id = format!("death{nth:03}");
        let outcome = engine.run_as(&id, &plan, &Stop::default(), &mut |_| {});
        let died = matches!(outcome, Err(Failure::Fault(_)));
        drop(engine);
        if died && let Err(error) = yard.resume(&id) {
            let over = yard.state("0002_index") == "applied";
            assert!(over || nth == 1, "point {nth}: {error}");
            if !over {
                yard.up();
            }
        }
        assert_eq!(indexes(&yard), ["users_name true"], "after a death at {nth}");
        assert_eq!(yard.history().last().unwrap(), "apply 0002_index applied 1", "{:?}", yard.history());
        yard.place.script("drop index users_name; delete from sexton.migrations where id = '0002_index'");
        if !died {
            assert!(nth > 15, "{nth}");
            return;
        }
    }
    panic!("there is no end");
}

#[test]
fn an_index_is_built_beside_the_application_right_after_rows_were_changed() {
    // Building it waits for every older moment that somebody holds: the run itself must hold none by then.
    let fill =
        "-- sexton:up\ninsert into users (id, name) select n, 'u' || n from generate_series(10, 50) as n;\n";
    let change = "-- sexton:up\nupdate users set name = name || '!' where id >= 10;\n";
    let index = "-- sexton:up\ncreate index concurrently users_name on users (name);\n";
    let files = [THREE[0], ("0002_fill.sql", fill), ("0003_change.sql", change), ("0004_index.sql", index)];
    let yard = Yard::with(Place::postgres(), &files);
    yard.up();
    assert_eq!(indexes(&yard), ["users_name true"]);
    assert_eq!(yard.state("0004_index"), "applied");
}

#[test]
fn an_index_that_a_dead_process_left_half_built_is_removed_and_built_again() {
    let yard = Yard::with(Place::postgres(), &[THREE[0]]);
    yard.up();
    yard.place.script("insert into users values (2, 'ann')");
    yard.write(&[(INDEX.0, "-- sexton:up\ncreate unique index concurrently users_name on users (name);\n")]);
    let report = yard.run(json!({}));
    assert_eq!(report.status, Status::Failed, "{report:#?}");
    assert_eq!(indexes(&yard), ["users_name false"]);
    assert!(yard.status()["migrations"][1]["so_far"].as_str().unwrap().contains("statement 1 was at work"));
    yard.place.script("delete from users where id = 2");
    yard.done(json!({"action": "resume"}));
    assert_eq!(indexes(&yard), ["users_name true"]);
    assert_eq!(yard.state("0002_index"), "applied");
    yard.write(&[INDEX]);
    yard.done(json!({"accept_changed": true}));
    yard.done(json!({"action": "down"}));
    assert_eq!(indexes(&yard), [""; 0]);
}

#[test]
fn sqlite_makes_a_table_anew_with_its_rows_indexes_triggers_and_views() {
    // S3-040
    let yard = Yard::new(Place::sqlite());
    yard.place.script(
        "create table folders (id integer primary key autoincrement, app integer, parent integer references folders (id), name text, old text);
         create table documents (id integer primary key, folder integer not null references folders (id));
         create index folders_app on folders (app);
         create table log (n integer);
         create trigger folders_log after insert on folders begin insert into log values (new.id); end;
         create trigger documents_log after insert on documents begin insert into log select count(*) from folders; end;
         create view roots as select id, name from folders where parent is null;
         insert into folders (id, app, parent, name) values (1, 7, null, 'a'), (2, 7, 1, 'b'), (9, 7, 1, 'c');
         delete from folders where id = 9;
         insert into documents values (1, 2);",
    );
    let rebuild = |columns: &str| {
        format!(
            "-- sexton:up\n-- sexton:rebuild folders\ncreate table folders (id integer primary key autoincrement, {columns}\
             parent integer check (parent <> id) references folders (id), name text not null);\n"
        )
    };
    yard.write(&[("0001_checks.sql", &rebuild("app integer not null, "))]);
    yard.up();
    assert_eq!(yard.list("select id || coalesce(parent, 0) || name || app from folders"), ["10a7", "21b7"]);
    assert_eq!(yard.list("select name from roots"), ["a"]);
    assert!(yard.place.try_script("insert into folders (app, parent, name) values (1, null, null)").is_err());
    yard.place.script("insert into folders (app, name) values (1, 'd')");
    assert_eq!(yard.list("select id from folders where name = 'd'"), ["10"], "the counter went on");
    assert_eq!(
        yard.list("select count(*) from log"),
        ["5"],
        "the trigger is there, and did not fire for moved rows"
    );
    assert_eq!(yard.list("pragma foreign_key_list(documents)").len(), 1);
    assert_eq!(yard.list("select count(*) from pragma_foreign_key_check"), ["0"]);

    let before = yard.place.dump();
    yard.write(&[("0002_narrow.sql", &rebuild(""))]);
    let report = yard.run(json!({}));
    assert!(report.operations[0].errors[0].contains("making index `folders_app` again"), "{report:#?}");
    assert_eq!(yard.place.dump(), before);
    yard.write(&[(
        "0002_narrow.sql",
        "-- sexton:up\n-- sexton:rebuild folders\ncreate table folders (id integer primary key, app integer, parent integer, name text);\n\
         delete from folders where id = 1;\n-- sexton:rebuild documents\ncreate table documents (id integer primary key, folder integer not null references folders (id) on delete cascade);\n\
         delete from folders where id = 2;\n",
    )]);
    let report = yard.run(json!({}));
    assert!(report.operations[0].errors[0].contains("would break 1 references"), "{report:#?}");
    assert_eq!(yard.place.dump(), before);
}

#[test]
fn the_table_of_another_tool_is_kept_until_it_is_adopted() {
    both(|yard| {
        let file = |n: u32, name: &str| {
            (
                format!("2026010{n}000000_{name}.sql"),
                format!(
                    "-- migrate:up\ncreate table {name} (id int);\n-- migrate:down\ndrop table {name};\n"
                ),
            )
        };
        for (name, text) in [file(1, "a"), file(2, "b"), file(3, "c")] {
            yard.write(&[(name.as_str(), text.as_str())]);
        }
        yard.place.script(
            "create table schema_migrations (version varchar(128) primary key); create table a (id int);
             insert into schema_migrations values ('20260101000000')",
        );
        let status = yard.status();
        assert_eq!(
            (&status["convention"], status["pending"].as_array().unwrap().len()),
            (&json!("dbmate"), 2)
        );
        yard.done(json!({"count": 1}));
        let versions = "select version from schema_migrations order by version";
        assert_eq!(yard.list(versions), ["20260101000000", "20260102000000"]);
        yard.done(json!({"action": "down"}));
        assert_eq!(yard.list(versions), ["20260101000000"]);
        yard.done(json!({"action": "adopt"}));
        assert!(yard.status()["history"].as_str().unwrap().contains("sexton"));
        yard.up();
        assert_eq!(yard.list(versions), ["20260101000000"], "it is left as it was");
        assert_eq!(yard.status()["pending"], json!([]));
    });
}

#[test]
fn a_plain_table_of_versions_is_made_kept_and_believed() {
    // S0-003, S0-004, S0-005, S0-011, S0-012
    both(|yard| {
        yard.write(&THREE);
        let plain = |more: serde_json::Value| {
            let mut options = json!({"history": "plain"});
            options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            options
        };
        let current = |yard: &Yard| {
            let plan = yard.plan(plain(json!({"action": "status"})));
            plan.items[0].result.clone().unwrap()["current"].clone()
        };
        assert_eq!(current(yard), json!(null));
        yard.place.script("create table migrations (version integer primary key, description text, executed_at timestamp default current_timestamp)");
        assert_eq!(current(yard), json!(null));
        yard.done(plain(json!({"count": 2})));
        assert_eq!(
            yard.list("select description from migrations where executed_at is not null order by version"),
            ["users", "orders"]
        );
        yard.place
            .script("alter table orders add column note text; insert into migrations (version) values (3)");
        assert_eq!(current(yard), json!(3));
    });
}

#[test]
fn a_dump_of_rails_makes_a_fresh_database_and_is_in_by_its_own_word() {
    //
    let place = Place::sqlite();
    let yard = Yard::with(
        place,
        &[(
            "structure.sql",
            "CREATE TABLE IF NOT EXISTS \"schema_migrations\" (\"version\" varchar NOT NULL PRIMARY KEY);\n\
             CREATE TABLE users (id integer primary key);\n\
             INSERT INTO \"schema_migrations\" (version) VALUES ('20240131120000');\n",
        )],
    );
    yard.up();
    assert_eq!(yard.list("select version from schema_migrations"), ["20240131120000"]);
    assert_eq!(yard.state("structure"), "applied");
}
