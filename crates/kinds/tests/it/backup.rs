//! Backups themselves: taken while others write, checked, restored.

use crate::stage::{Stage, both, manners, shown};
use engine::backup::Proof;
use engine::{Report, Status};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use testkit::story;

const SQLITE: &str = "create table customer (id integer primary key, name text not null);
    create table purchase (id integer primary key, customer_id integer references customer (id), at text, data blob);
    create index purchase_at on purchase (at);
    with recursive c(i) as (select 1 union all select i + 1 from c where i < 500)
    insert into customer select i, 'name ' || i from c;
    with recursive c(i) as (select 1 union all select i + 1 from c where i < 2000)
    insert into purchase select i, i % 500 + 1, datetime('now', '-' || i || ' minutes'), randomblob(50) from c;";
const POSTGRES: &str = "create table customer (id int primary key, name text not null);
    create table purchase (id int primary key, customer_id int references customer (id), at timestamptz, data bytea);
    create index purchase_at on purchase (at);
    insert into customer select i, 'name ' || i from generate_series(1, 500) i;
    insert into purchase select i, i % 500 + 1, now() - make_interval(mins => i), decode(md5(i::text), 'hex')
      from generate_series(1, 2000) i;";

/// A shop on both databases.
pub fn shop(test: impl FnMut(&Stage)) {
    both(SQLITE, POSTGRES, test);
}

pub fn back_up(stage: &Stage, options: serde_json::Value) -> Report {
    let engine = stage.engine();
    story::run(&engine, &story::plan(&engine, &story::request("backup", options, manners(), false)))
}

/// All files of the store, by name.
pub fn files(stage: &Stage) -> Vec<PathBuf> {
    fn visit(folder: &Path, all: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => visit(&path, all),
                path => all.push(path),
            }
        }
    }
    let mut all = Vec::new();
    visit(&stage.workshop.store(), &mut all);
    all.sort();
    all
}

#[test]
fn a_backup_says_where_it_is_and_restores_into_a_new_database() {
    // S1-033, S1-034, S2-042, S4-037
    shop(|stage| {
        let before = stage.place.dump();
        let report = back_up(stage, json!({}));
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        let result = report.operations[0].result.clone().unwrap();
        for key in ["path", "format", "size_bytes", "sha256", "duration_seconds", "verified", "tool_version"]
        {
            assert!(!result[key].is_null(), "{key} in {result}");
        }
        let named = report.backup.unwrap();
        assert!(
            named.checked && !named.verified && named.size_bytes > 1_000 && named.sha256.len() == 64,
            "{named:?}"
        );
        assert_eq!(std::fs::metadata(&named.path).unwrap().len(), named.size_bytes);
        let name = Path::new(&named.path).file_name().unwrap().to_string_lossy().into_owned();
        assert!(name.starts_with("test-20") && name.contains(&report.run_id), "{name}");

        let engine = stage.engine();
        let backup = engine.find_backup("latest", Some("test")).unwrap();
        assert_eq!(backup.id, engine.find_backup(&named.path, None).unwrap().id);
        assert_eq!(backup.contents.tables.len(), 2, "{:?}", backup.contents);
        let place = match stage.place.is_sqlite() {
            true => stage.workshop.folder().join("restored.db").display().to_string(),
            false => format!("{}_restored", engine.describe("test").unwrap().0.database),
        };
        // an ordinary role may not make databases
        let workshop = stage.workshop.also_at(stage.place.admin_database());
        let restored = workshop.restore_into(&backup, &place, "tester").unwrap();
        assert_eq!(restored.database, place);
        let url = match stage.place.is_sqlite() {
            true => place.clone(),
            false => stage.place.admin_url().replace(&engine.describe("test").unwrap().0.database, &place),
        };
        assert_eq!(testkit::Place::elsewhere(&url).dump(), before);
        let again = workshop.restore_into(&backup, &place, "tester").unwrap_err();
        assert!(shown(&again).contains("already"), "{}", shown(&again));
        if !stage.place.is_sqlite() {
            stage.place.admin_script_outside(&format!("drop database {place}"));
        }
    });
}

#[test]
fn files_are_for_the_owner_only_and_nothing_is_left_in_scratch_folders() {
    // W-054
    shop(|stage| {
        let report = back_up(stage, json!({}));
        let all = files(stage);
        assert_eq!(all.len(), 2, "{all:?}");
        for file in &all {
            assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
            let folder = file.parent().unwrap();
            assert_eq!(std::fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700, "{folder:?}");
        }
        assert_eq!(std::fs::metadata(stage.workshop.store()).unwrap().permissions().mode() & 0o777, 0o700);
        let scratch = stage.workshop.folder().join("scratch");
        assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0);
        assert_eq!(stage.place.leftovers(), Vec::<String>::new(), "{report:#?}");
    });
}

#[test]
fn a_flipped_byte_a_cut_off_file_and_a_missing_one_are_found() {
    // S2-043
    shop(|stage| {
        back_up(stage, json!({}));
        let engine = stage.engine();
        let backup = engine.find_backup("latest", None).unwrap();
        assert_eq!(engine.check_backup(backup.clone(), Proof::Quick).unwrap().failure, None);
        let file = PathBuf::from(&backup.path);
        let good = std::fs::read(&file).unwrap();
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 1;
        for bad in [flipped, good[..good.len() - 1].to_vec(), Vec::new()] {
            std::fs::write(&file, &bad).unwrap();
            let checked = engine.check_backup(backup.clone(), Proof::Quick).unwrap();
            assert!(checked.failure.is_some_and(|why| why.contains("not what was written")));
            assert!(checked.help.is_some());
            let error = engine.restore_into(&backup, "nowhere", "tester").unwrap_err();
            assert!(shown(&error).contains("not what was written"), "{}", shown(&error));
        }
        std::fs::remove_file(&file).unwrap();
        assert!(engine.check_backup(backup.clone(), Proof::Quick).unwrap().failure.is_some());
        std::fs::write(&file, &good).unwrap();
        let manifest = file.parent().unwrap().join(format!("{}.json", backup.id));
        let text = std::fs::read_to_string(&manifest).unwrap();
        std::fs::write(&manifest, text.replace("\"database\": \"test\"", "\"database\": \"Test\"")).unwrap();
        let (none, broken) = engine.backups(None).unwrap();
        assert!(none.is_empty() && broken[0].to_string().contains("damaged"), "{broken:?}");
    });
}

#[test]
fn a_backup_is_proved_by_restoring_it_into_a_scratch_database() {
    // S2-045, W-110
    shop(|stage| {
        let admin = stage.workshop.also_at(stage.place.admin_database());
        let request = story::request("backup", json!({"check": "restore"}), manners(), false);
        let report = story::run(&admin, &story::plan(&admin, &request));
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        let backup = admin.find_backup("latest", None).unwrap();
        assert_eq!(backup.checked.as_ref().unwrap().how, Proof::Restore);
        let rows: u64 = backup.contents.tables.iter().filter_map(|table| table.rows).sum();
        assert_eq!(rows, 2_500, "{:?}", backup.contents.tables);
        let drill = admin.drill(&backup, "tester").unwrap();
        assert_eq!((drill.tables, drill.rows, drill.findings.len()), (2, 2_500, 0), "{drill:?}");
        assert!(drill.restore_seconds > 0.0);
        assert!(admin.audit_trail(5).unwrap().iter().any(|line| line.action == "restore drill"));
        if !stage.place.is_sqlite() {
            let there = format!("select count(*) from pg_database where datname = '{}'", drill.scratch);
            let left = stage.list(&there);
            assert_eq!(left, ["0"]);
        }
    });
}

#[test]
fn a_drill_asks_what_must_be_true_and_measures_against_the_goal() {
    // S2-045, W-110
    shop(|stage| {
        back_up(stage, json!({}));
        let workshop = &stage.workshop;
        let asks = |sql: &str, within: Option<&str>| {
            let engine = workshop.also(stage.place.admin_database(), |policy| {
                policy.assertions = vec![engine::backup::Assertion { database: None, sql: sql.to_owned() }];
                policy.restore_within = within.map(|age| engine::age::Age(age.to_owned()));
            });
            let backup = engine.find_backup("latest", None).unwrap();
            engine.drill(&backup, "tester").unwrap()
        };
        let good = asks("select count(*) = 500 from customer", Some("1 hour"));
        assert_eq!((good.held, good.findings.len()), (1, 0), "{good:?}");
        let bad = asks("select count(*) from customer where name = 'nobody'", None);
        assert_eq!(bad.findings[0].code, "assertion");
        let slow = asks("select 1", Some("1 ms"));
        assert_eq!(slow.findings[0].code, "restore_time");
    });
}

#[test]
fn a_dump_in_the_directory_format_with_several_jobs_restores_too() {
    shop(|stage| {
        if stage.place.is_sqlite() {
            return;
        }
        let engine = stage.workshop.also(stage.place.admin_database(), |policy| policy.jobs = 2);
        let options = json!({"format": "directory", "jobs": 2, "check": "restore"});
        let request = story::request("backup", options, manners(), false);
        let report = story::run(&engine, &story::plan(&engine, &request));
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        assert!(files(stage).len() > 3, "{:?}", files(stage));
        let backup = engine.find_backup("latest", None).unwrap();
        assert_eq!(backup.contents.format, "directory");
        assert_eq!(engine.drill(&backup, "tester").unwrap().rows, 2_500);
        engine.prune_backups(None, false, "tester").unwrap();
        assert_eq!(engine.backups(None).unwrap().0.len(), 1);
        let wrong = engine.plan(&story::request("backup", json!({"format": "tar"}), manners(), false));
        assert!(shown(&wrong.unwrap_err()).contains("no form"));
    });
}

#[test]
fn sexton_tables_and_views_and_empty_databases_are_no_obstacle() {
    both("create view v as select 1 as one", "create view v as select 1 as one", |stage| {
        assert_eq!(back_up(stage, json!({})).status, Status::Completed);
        stage.place.script("create table t (id integer primary key); insert into t values (1), (2)");
        let engine = stage.engine();
        let purge = story::request("purge", json!({"table": "t", "where": "t.id = 1"}), manners(), false);
        story::run(&engine, &story::plan(&engine, &purge));
        let admin = stage.workshop.also_at(stage.place.admin_database());
        let request = story::request("backup", json!({"check": "restore"}), manners(), false);
        let report = story::run(&admin, &story::plan(&admin, &request));
        assert_eq!(report.status, Status::Completed, "{report:#?}");
    });
}
