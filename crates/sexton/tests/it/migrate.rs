//! `sexton migrate`: its commands and exit codes, and the migrations of the example systems.

use crate::kit::Desk;
use serde_json::{Value as Json, json};
use std::path::Path;
use testkit::Place;

fn example(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(example(name)).unwrap()
}

/// A desk with two migrations and no configuration.
fn desk() -> Desk {
    let desk = Desk::empty();
    std::fs::create_dir(desk.file("migrations")).unwrap();
    desk.write(
        "migrations/0001_users.sql",
        "-- sexton:up\ncreate table users (id integer primary key, name text not null);\n-- sexton:down\ndrop table users;\n",
    );
    desk.write(
        "migrations/0002_orders.sql",
        "-- sexton:up\ncreate table orders (id integer primary key, who integer not null);\n-- sexton:down\ndrop table orders;\n",
    );
    desk
}

fn migrate(desk: &Desk, line: &str) -> crate::kit::Said {
    desk.sexton(&format!("migrate {line} --database ./app.db"))
}

#[test]
fn without_a_configuration_a_folder_brings_a_database_up_and_down() {
    // S2-033, S2-034, S0-017
    let desk = desk();
    let shown = migrate(&desk, "up --dry-run").ends(0);
    assert!(shown.stdout.contains("create table orders"), "{}", shown.stdout);
    assert_eq!(desk.place.rows("select 1 from sqlite_schema").len(), 0, "a dry run changes nothing");
    let report = migrate(&desk, "up --output json").ends(0).json();
    let targets: Vec<&str> =
        report["migrate"]["details"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(targets, ["history", "0001_users", "0002_orders"]);
    migrate(&desk, "up").ends(0);
    migrate(&desk, "down").ends(3);
    migrate(&desk, "down 2 --yes").ends(0);
    assert_eq!(desk.place.rows("select 1 from sqlite_schema where name in ('users', 'orders')").len(), 0);
    let status = migrate(&desk, "status --output json").ends(0).json();
    assert_eq!(status["migrations"][0]["state"], "rolled_back");
}

#[test]
fn a_migration_that_is_broken_is_no_success() {
    // W-045
    let desk = desk();
    desk.write("migrations/0003_broken.sql", "-- sexton:up\ncreate table orders (id integer);\n");
    let said = migrate(&desk, "up --output result").ends(1).json();
    assert_eq!(said["success"], false, "{said:#}");
    let status = migrate(&desk, "status --output json").ends(0).json();
    assert_eq!(
        (status["migrations"][1]["state"].clone(), status["migrations"][2]["state"] == "applied"),
        (json!("applied"), false)
    );
}

#[test]
fn the_check_says_in_one_document_whether_something_is_to_be_done() {
    // S0-008, S0-030
    let desk = desk();
    let needed = |current: u32| json!({"schema_version": 1, "migration_needed": true, "current": current, "target": 2});
    assert_eq!(migrate(&desk, "check --output json").ends(5).json(), needed(0));
    migrate(&desk, "up 1").ends(0);
    assert_eq!(migrate(&desk, "check --output json").ends(5).json(), needed(1));
    migrate(&desk, "up").ends(0);
    assert_eq!(
        migrate(&desk, "check --output json").ends(0).json(),
        json!({"schema_version": 1, "migration_needed": false})
    );
    migrate(&desk, "verify").ends(0);
    desk.write("migrations/0001_users.sql", "-- sexton:up\ncreate table users (id integer primary key);\n");
    let said = migrate(&desk, "verify").ends(5);
    assert!(said.stderr.contains("`0001_users` is in, but the file is another by now"), "{}", said.stderr);
    assert!(said.stderr.contains("help: "), "{}", said.stderr);
    migrate(&desk, "up --accept-changed").ends(0);
    migrate(&desk, "verify").ends(0);
    let trail = desk.sexton("audit --output json").ends(0).stdout;
    assert!(trail.contains("accept_changed\\\":true"), "W-007: {trail}");
}

#[test]
fn a_new_file_is_named_after_its_neighbours() {
    let desk = desk();
    let said = migrate(&desk, "new 'Add notes!'").ends(0);
    assert_eq!(said.stdout.trim(), "migrations/0003_add_notes.sql");
    let said = migrate(&desk, "up").ends(3);
    assert!(said.stderr.contains("`0003_add_notes` has no statement"), "{}", said.stderr);
}

#[test]
fn a_folder_or_a_database_that_is_not_there_is_said_with_what_to_do() {
    let desk = desk();
    let said = desk.sexton("migrate status --database ./app.db --directory nowhere").ends(2);
    assert!(said.stderr.contains("nowhere") && said.stderr.contains("help: "), "{}", said.stderr);
    let said = desk.sexton("migrate up --database ./missing.db").ends(2);
    assert!(said.stderr.contains("there is no file") && said.stderr.contains("help: "), "{}", said.stderr);
    assert!(!desk.file("missing.db").exists());
}

/// Tables and columns as SQLite lists them, indexes and triggers as they are written.
fn shape(place: &Place) -> Vec<String> {
    let columns = "select t.name || '.' || c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' || coalesce(c.dflt_value, '') || ' ' || c.pk
         from pragma_table_list t, pragma_table_info(t.name) c where t.schema = 'main' and t.name not like 'sexton%' and t.name not like 'sqlite%' order by 1";
    let others = "select type || ' ' || name || ' ' || sql from sqlite_schema where type in ('index', 'trigger') and sql is not null order by 1";
    [columns, others]
        .iter()
        .flat_map(|sql| place.rows(sql))
        .map(|row| row[0].as_text().unwrap().split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn the_function_agent_system_comes_from_its_legacy_schema_to_version_2() {
    // S0-002, S0-012, S0-014, S0-018, S0-019, S0-020, S0-021, S0-022, S0-023, S0-024, S0-025, S0-026, S0-027, S0-028, S0-029,
    // S0-107, W-010, W-011
    let place = Place::sqlite();
    place.script(&read("e0/schema.legacy.sql"));
    let legacy = shape(&place);
    let old = "select planner_id || status || user_question from planners order by 1";
    let before = place.rows(old);
    let desk = Desk::at(place);
    std::fs::create_dir(desk.file("migrations")).unwrap();
    for file in ["migrations/0001_task_queue.sql", "migrations/0002_monitoring.sql", "sexton.toml"] {
        desk.write(file, &read(&format!("e0/{file}")));
    }
    desk.sexton("migrate up --to 1 --yes").ends(0);
    let check = desk.sexton("migrate check --output json").ends(5).json();
    assert_eq!((&check["current"], &check["target"]), (&json!(1), &json!(2)));
    desk.sexton("run migration-check").ends(5);
    desk.sexton("migrate up --yes").ends(0);
    desk.sexton("run migration-check").ends(0);
    let wanted = Place::sqlite();
    wanted.script(&read("e0/schema.sql"));
    assert_eq!(shape(&desk.place), shape(&wanted));
    assert_eq!(desk.place.rows(old), before);
    let versions = desk
        .place
        .rows("select version || description from migrations where executed_at is not null order by version");
    let versions: Vec<&str> = versions.iter().map(|row| row[0].as_text().unwrap()).collect();
    assert_eq!(
        versions,
        ["1task queue table and file path columns", "2updated_at trigger, monitoring indexes, retry_after"]
    );
    let filled = "select 1 from planners where variable_file_paths = '{}' and next_task is null";
    assert_eq!(desk.place.rows(filled).len(), 20);
    let queue = "insert into task_queue (task_id, entity_type, entity_id, function_name";
    for wrong in [
        format!("{queue}, status) values ('a', 'planner', 'p', 'f', 'X')"),
        format!("{queue}) values ('a', 'router', 'p', 'f')"),
        format!("{queue}, retry_count) values ('a', 'planner', 'p', 'f', -1)"),
        format!("{queue}, max_retries) values ('a', 'planner', 'p', 'f', -1)"),
    ] {
        assert!(desk.place.try_script(&wrong).is_err(), "{wrong}");
    }
    desk.place.script(&format!(
        "pragma recursive_triggers = on; {queue}, updated_at) values ('a', 'planner', 'p', 'f', '2000-01-01'), ('b', 'planner', 'p', 'f', '2000-01-01');
         update task_queue set status = 'COMPLETED'; update task_queue set updated_at = '2020-01-01', status = 'FAILED' where task_id = 'b'"
    ));
    let dated = desk.place.rows("select updated_at from task_queue order by task_id");
    assert!(
        dated[0][0].as_text().unwrap() > "2026" && dated[1][0].as_text() == Some("2020-01-01"),
        "{dated:?}"
    );
    desk.place.script("delete from task_queue");
    desk.sexton("migrate down --to 0 --yes").ends(0);
    let kept: Vec<String> =
        shape(&desk.place).into_iter().filter(|line| !line.starts_with("migrations.")).collect();
    assert_eq!(kept, legacy);
    assert_eq!(desk.place.rows(old), before);
}

#[test]
fn folders_get_their_constraints_when_nothing_speaks_against_them_any_more() {
    // S3-038, S3-039, S3-040, S3-041, S3-042
    for place in [Place::sqlite(), Place::postgres()] {
        let back_end = if place.is_sqlite() { "sqlite" } else { "postgres" };
        place.script(&read(&format!("e3/schema.{back_end}.sql")));
        place.script(&read(&format!("e3/seed.{back_end}.sql")));
        let url = place.url();
        let mut desk = Desk::at(place);
        desk.set("E3_DATABASE", &url);
        desk.write("sexton.toml", &read("e3/sexton.toml"));
        let folder = example(&format!("e3/migrations.{back_end}")).display().to_string();
        let before = desk.sexton("digest").ends(0).stdout;
        let said = desk.sexton(&format!("migrate up --directory '{folder}'")).ends(1);
        assert!(
            said.stderr.contains("folders of these applications must be merged first"),
            "{}",
            said.stderr
        );
        assert_eq!(desk.sexton("digest").ends(0).stdout, before);
        desk.sexton("run cleanup --yes").ends(0);
        desk.sexton(&format!("migrate up --directory '{folder}'")).ends(0);
        let keys = if desk.place.is_sqlite() { "pragma foreign_keys = on; " } else { "" };
        let root = "(select min(id) from folders where parent_id is null)";
        let insert = |application: &str, parent: &str, name: &str| {
            desk.place.try_script(&format!(
                "{keys}insert into folders (application_id, parent_id, name) values ({application}, {parent}, {name})"
            ))
        };
        let of_root = format!("(select application_id from folders where id = {root})");
        assert!(insert(&of_root, "null", "'another root'").is_err());
        insert(&of_root, root, "'once'").unwrap();
        assert!(insert(&of_root, root, "'once'").is_err());
        assert!(insert("(select max(id) from applications)", root, "'stranger'").is_err());
        desk.sexton(&format!("migrate down --yes --directory '{folder}'")).ends(0);
        insert(&of_root, "null", "'another root'").unwrap();
    }
}

#[test]
fn the_migrations_of_the_learning_platform_go_in_the_order_of_their_needs() {
    // S2-031
    for place in [Place::sqlite(), Place::postgres()] {
        let back_end = if place.is_sqlite() { "sqlite" } else { "postgres" };
        place.script(&read(&format!("e2/schema.{back_end}.sql")));
        place.script(&read(&format!("e2/seed.{back_end}.sql")));
        let desk = Desk::at(place);
        let url = desk.place.url();
        let folder = example("e2/migrations").display().to_string();
        let line =
            |what: &str| format!("migrate {what} --database '{url}' --directory '{folder}' --output json");
        desk.sexton(&line("up")).ends(0);
        let status = desk.sexton(&line("status")).ends(0).json();
        let ids: Vec<&Json> = status["migrations"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
        assert_eq!(ids, ["add_level", "fill_level", "a_course_by_level"]);
        assert_eq!(desk.count("courses where level = 1"), desk.count("courses"));
    }
}

#[test]
fn killed_at_any_moment_every_migration_is_wholly_in_or_wholly_out() {
    // W-005
    const COUNT: i64 = 150;
    testkit::both(|place| {
        let folder = tempfile::tempdir().unwrap();
        for n in 1..=COUNT {
            let text = format!(
                "-- sexton:up\ncreate table a{n} (id integer primary key);\ninsert into a{n} values (1);\ncreate table b{n} (id integer primary key);\n"
            );
            std::fs::write(folder.path().join(format!("{n:04}_t.sql")), text).unwrap();
        }
        let sexton = |command: &str| {
            let mut sexton = std::process::Command::new(env!("CARGO_BIN_EXE_sexton"));
            sexton
                .args(["migrate", command, "--database", &place.url(), "--directory", "."])
                .current_dir(folder.path())
                .env_clear()
                .env("HOME", folder.path())
                .stdin(std::process::Stdio::null())
                .stderr(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped());
            sexton
        };
        let numbers = |rows: &[targets::db::Row], letter: char| -> Vec<i64> {
            let text =
                |row: &targets::db::Row| row[0].as_text().map_or_else(|| row[0].to_string(), str::to_owned);
            let number = |row: &targets::db::Row| text(row).strip_prefix(letter)?.parse::<i64>().ok();
            let mut all: Vec<i64> = rows.iter().filter_map(number).collect();
            all.sort_unstable();
            all
        };
        let (tables, history) = match place.is_sqlite() {
            true => ("sqlite_schema where type = 'table' and name", "sexton_migrations"),
            false => (
                "(select relname as name from pg_class where relkind = 'r') as t where name",
                "sexton.migrations",
            ),
        };
        let mut killed = 0;
        for turn in 1..60_u64 {
            let mut run = sexton("up").spawn().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(20 + turn * 37 % 120));
            let over = run.try_wait().unwrap().is_some();
            if !over {
                run.kill().unwrap();
                killed += 1;
            }
            let output = run.wait_with_output().unwrap();
            crate::kit::sessions_end(place);
            // Both in one question: they are of one moment.
            let found = place.rows(&format!(
                "select name from {tables} between 'a' and 'c' and substr(name, 2, 1) between '0' and '9'"
            ));
            let (there, whole) = (numbers(&found, 'a'), numbers(&found, 'b'));
            assert_eq!(there, whole);
            if !there.is_empty() {
                let applied = format!("select 'x' || version from {history} where state = 'applied'");
                assert_eq!(numbers(&place.rows(&applied), 'x'), there);
            }
            if over {
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                break;
            }
        }
        assert!(killed > 0, "it was too fast to be killed");
        assert!(sexton("up").output().unwrap().status.success());
        assert_eq!(sexton("check").output().unwrap().status.code(), Some(0));
    });
}
