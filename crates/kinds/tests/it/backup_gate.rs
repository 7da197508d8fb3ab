//! The gate: no backup, no run; one backup for a whole run.

use crate::backup::{back_up, files, shop};
use crate::stage::{Stage, codes, manners};
use engine::{Engine, Report, Request, Status, Stop, What};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use targets::files::{About, Each, File, Files, Moved, NewFile};
use testkit::story;

/// A purge that needs a backup.
fn purge(name: &str, condition: &str) -> Request {
    let mut request =
        story::request("purge", json!({"table": "purchase", "where": condition}), manners(), false);
    request.operations[0].backup = true;
    request.operations[0].name = name.to_owned();
    request
}

fn together(requests: Vec<Request>) -> Request {
    let mut requests = requests.into_iter();
    let mut first = requests.next().unwrap();
    first.operations.extend(requests.flat_map(|request| request.operations));
    first
}

fn run(engine: &Engine, request: &Request) -> Report {
    engine.run(&engine.plan(request).unwrap(), &Stop::default(), &mut |_| {}).unwrap()
}

fn taken(stage: &Stage) -> usize {
    files(stage).iter().filter(|file| file.to_string_lossy().ends_with(".json")).count()
}

#[test]
fn an_operation_that_needs_a_backup_gets_one_first_and_names_it() {
    // S2-040, S2-041, S2-080
    shop(|stage| {
        let before = stage.place.dump();
        let engine = stage.engine();
        let plan = engine.plan(&purge("old", "id <= 100")).unwrap();
        assert!(codes(&plan).contains(&"backup"), "{:?}", plan.items[0].findings);
        let mut order = Vec::new();
        let report = engine
            .run(&plan, &Stop::default(), &mut |event| match event.what {
                What::BackedUp { .. } => order.push("backup"),
                What::Advanced { .. } => order.push("change"),
                _ => {}
            })
            .unwrap();
        // W-052
        assert_eq!(order, ["backup", "change"]);
        assert_eq!((report.status, report.totals.deleted), (Status::Completed, 100));
        let path = report.operations[0].backup_path.clone().unwrap();
        assert_eq!(report.backup.unwrap().path, path);
        let backup = engine.find_backup(&path, None).unwrap();
        let admin = stage.workshop.also_at(stage.place.admin_database());
        let revived = admin.revive_backup(&backup).unwrap();
        let lost = revived.lost().unwrap();
        assert_eq!((lost.newer(), lost.back()), (0, 100), "{lost:?}");
        assert_ne!(stage.place.dump(), before);
    });
}

#[test]
fn one_backup_serves_the_whole_run_and_for_an_hour() {
    // W-118
    shop(|stage| {
        let engine = stage.engine();
        let request = together(vec![
            purge("a", "id <= 10"),
            purge("b", "id between 11 and 20"),
            purge("c", "id between 21 and 30"),
        ]);
        let report = run(&engine, &request);
        assert_eq!((report.status, report.totals.deleted, taken(stage)), (Status::Completed, 30, 1));
        let paths: Vec<_> = report.operations.iter().map(|done| done.backup_path.clone()).collect();
        assert!(paths.iter().all(|path| *path == paths[0] && path.is_some()), "{paths:?}");
        run(&stage.engine(), &purge("d", "id between 31 and 40"));
        assert_eq!(taken(stage), 1, "it is still fresh");
        let short = stage.workshop.also(stage.place.database(), |policy| {
            policy.fresh = engine::age::Age("1 ns".to_owned());
        });
        run(&short, &purge("e", "id between 41 and 50"));
        assert_eq!(taken(stage), 2, "an old one does not count");
    });
}

#[test]
fn a_fresh_backup_that_was_damaged_does_not_count() {
    // S2-096
    shop(|stage| {
        back_up(stage, json!({}));
        let engine = stage.engine();
        let backup = engine.find_backup("latest", None).unwrap();
        let file = PathBuf::from(&backup.path);
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let report = run(&engine, &purge("a", "id <= 10"));
        assert_eq!((report.status, taken(stage)), (Status::Completed, 2));
        assert_ne!(report.backup.unwrap().path, backup.path);
    });
}

#[test]
fn without_a_backup_nothing_is_changed_and_the_others_go_on() {
    // S2-040, S2-087, S3-047, W-116
    shop(|stage| {
        let before = stage.place.dump();
        // a file where the folder should be
        std::fs::write(stage.workshop.store(), "in the way").unwrap();
        let engine = stage.engine();
        let plan = engine.plan(&purge("a", "id <= 10")).unwrap();
        assert!(codes(&plan).contains(&"no_backup"), "{:?}", plan.items[0].findings);
        let report = engine.run(&plan, &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!(report.status, Status::Refused);
        assert_eq!(stage.place.dump(), before);
        std::fs::remove_file(stage.workshop.store()).unwrap();

        // in order when it was planned, broken when it is run
        let mut stats = purge("stats", "id = 1999");
        stats.operations[0].backup = false;
        let request = together(vec![
            story::request("backup", json!({}), manners(), false),
            purge("a", "id <= 10"),
            purge("b", "id between 11 and 20"),
            stats,
        ]);
        let plan = engine.plan(&request).unwrap();
        std::fs::write(stage.workshop.store(), "in the way").unwrap();
        let report = engine.run(&plan, &Stop::default(), &mut |_| {}).unwrap();
        let statuses: Vec<_> = report.operations.iter().map(|done| done.status).collect();
        assert_eq!(
            statuses,
            [Status::Failed, Status::Skipped, Status::Skipped, Status::Completed],
            "{:#?}",
            report.operations
        );
        assert_eq!(report.operations[0].error_class, Some(engine::Class::System));
        assert!(report.operations[1].reason.as_deref().unwrap().contains("needs a backup"));
        assert_eq!(stage.number("select count(*) from purchase"), 1_999);
    });
}

#[test]
fn a_run_that_failed_for_want_of_a_backup_gets_one_when_it_is_resumed() {
    shop(|stage| {
        let engine = stage.engine();
        let plan = engine.plan(&purge("a", "id <= 10")).unwrap();
        std::fs::write(stage.workshop.store(), "in the way").unwrap();
        let report = engine.run(&plan, &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!((report.status, report.totals.deleted), (Status::Failed, 0), "{report:#?}");
        let again = stage.engine().resume(&report.run_id, &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!((again.status, again.totals.deleted), (Status::Failed, 0), "still no backup");
        std::fs::remove_file(stage.workshop.store()).unwrap();
        let again = stage.engine().resume(&report.run_id, &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!(
            (again.status, again.totals.deleted, taken(stage)),
            (Status::Completed, 10, 1),
            "{again:#?}"
        );
    });
}

#[test]
fn when_backups_are_switched_off_what_needs_one_is_refused() {
    shop(|stage| {
        let engine = stage.workshop.without_backups(stage.place.database());
        let mut request = purge("a", "id <= 10");
        request.force = true;
        let report = run(&engine, &request);
        assert_eq!((report.status, stage.number("select count(*) from purchase")), (Status::Refused, 2_000));
    });
}

/// A folder with programs of our own in the place of PostgreSQL's.
fn programs(stage: &Stage, script: &str) -> PathBuf {
    let folder = stage.workshop.folder().join("programs");
    std::fs::create_dir_all(&folder).unwrap();
    for name in ["pg_dump", "pg_restore"] {
        let file = folder.join(name);
        let text = format!(
            "#!/bin/sh\nif [ \"$1\" = --version ]; then echo '{name} (PostgreSQL) 99.1'; exit; fi\n{script}\n"
        );
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

fn with_programs(stage: &Stage, folder: PathBuf) -> Engine {
    stage.workshop.also(stage.place.database(), |policy| policy.programs = Some(folder))
}

#[test]
fn an_empty_dump_a_broken_one_and_a_failing_program_are_no_backup() {
    // S2-096, S2-087
    shop(|stage| {
        if stage.place.is_sqlite() {
            return;
        }
        let before = stage.place.dump();
        let mut told = Vec::new();
        for script in [
            "exit 0",
            "echo this is no dump",
            "echo 'pg_dump: error: permission denied for table customer' >&2; exit 1",
            "echo 'pg_dump: error: could not write: No space left on device' >&2; exit 1",
            "head -c 100000 /dev/zero; exit 1",
        ] {
            let engine = with_programs(stage, programs(stage, script));
            let report = run(&engine, &purge("a", "id <= 10"));
            assert_eq!(report.status, Status::Failed, "{script}: {report:#?}");
            told.push(report.errors[0].message.clone());
            assert_eq!(files(stage), Vec::<PathBuf>::new(), "{script}");
        }
        assert_eq!(stage.place.dump(), before);
        told.sort();
        told.dedup();
        assert_eq!(told.len(), 5, "every cause has a message of its own: {told:#?}");
    });
}

#[test]
fn a_program_that_is_missing_or_older_than_the_server_is_named_with_what_to_do() {
    // W-055
    shop(|stage| {
        if stage.place.is_sqlite() {
            return;
        }
        let missing = with_programs(stage, PathBuf::from("/nowhere"));
        let plan = missing.plan(&purge("a", "id <= 10")).unwrap();
        let mut help = String::new();
        let report = missing
            .run(&plan, &Stop::default(), &mut |event| {
                if let What::Failed { help: Some(text), .. } = &event.what {
                    help = text.clone();
                }
            })
            .unwrap();
        assert!(report.errors[0].message.contains("no `pg_dump` in `/nowhere`"), "{:?}", report.errors);
        assert!(help.contains("postgresql-client-") && help.contains("runs.jsonl"), "{help}");
        let folder = programs(stage, "exit 0");
        let old = std::fs::read_to_string(folder.join("pg_dump")).unwrap().replace("99.1", "9.6.24");
        std::fs::write(folder.join("pg_dump"), old).unwrap();
        let report = run(&with_programs(stage, folder), &purge("a", "id <= 10"));
        assert!(report.errors[0].message.contains("older than the server"), "{:?}", report.errors);
    });
}

#[test]
fn no_secret_is_on_a_command_line() {
    // W-054
    shop(|stage| {
        if stage.place.is_sqlite() {
            return;
        }
        let seen = stage.workshop.folder().join("seen");
        let script = format!(
            "echo \"$0 $@\" >> '{0}'; tr '\\0' ' ' < /proc/$$/cmdline >> '{0}'; echo \"env=$PGPASSWORD\" >> '{0}'; exit 1",
            seen.display()
        );
        let folder = programs(stage, &script);
        let url = stage.place.url().replace("app@", "app:s3cret-w0rd@");
        let database = testkit::database_at(&url);
        let engine = stage.workshop.also(database, |policy| policy.programs = Some(folder));
        let report = run(&engine, &purge("a", "id <= 10"));
        assert_eq!(report.status, Status::Failed);
        let seen = std::fs::read_to_string(seen).unwrap();
        assert!(seen.contains("env=s3cret-w0rd"), "it gets the password: {seen}");
        assert_eq!(seen.matches("s3cret-w0rd").count(), seen.matches("env=s3cret-w0rd").count(), "{seen}");
        assert!(!serde_json::to_string(&report).unwrap().contains("s3cret-w0rd"));
    });
}

#[test]
fn a_table_that_goes_while_the_dump_begins_is_no_reason_to_give_up() {
    shop(|stage| {
        if stage.place.is_sqlite() {
            return;
        }
        let once = stage.workshop.folder().join("once");
        let script = format!(
            "case $0 in *pg_dump) if [ ! -e '{0}' ]; then touch '{0}'; echo 'pg_dump: error: query failed: ERROR:  relation \"public.gone\" does not exist' >&2; exit 1; fi; exec /usr/bin/env pg_dump \"$@\";; *) exec /usr/bin/env pg_restore \"$@\";; esac",
            once.display()
        );
        let engine = with_programs(stage, programs(stage, &script));
        let report = run(&engine, &purge("a", "id <= 10"));
        assert_eq!((report.status, report.totals.deleted), (Status::Completed, 10), "{report:#?}");
        assert!(once.exists());
    });
}

/// A store that says how little room there is.
struct Small(std::sync::Arc<dyn Files>);

impl Files for Small {
    fn label(&self) -> &str {
        self.0.label()
    }
    fn create(&self, _name: &str) -> engine::Result<Box<dyn NewFile>> {
        panic!("nothing may be written");
    }
    fn open(&self, name: &str) -> engine::Result<Box<dyn std::io::Read + Send>> {
        self.0.open(name)
    }
    fn list(&self, prefix: &str) -> engine::Result<Vec<File>> {
        self.0.list(prefix)
    }
    fn remove(&self, name: &str) -> engine::Result<bool> {
        self.0.remove(name)
    }
    fn free_bytes(&self) -> engine::Result<Option<u64>> {
        Ok(Some(1_234))
    }
    fn walk(&self, folder: &str, each: &mut Each) -> engine::Result<bool> {
        self.0.walk(folder, each)
    }
    fn look(&self, name: &str) -> engine::Result<Option<About>> {
        self.0.look(name)
    }
    fn move_to(&self, _from: &str, _to: &str) -> engine::Result<Moved> {
        panic!("nothing may be moved");
    }
    fn remove_tree(&self, _name: &str) -> engine::Result<bool> {
        panic!("nothing may be removed");
    }
    fn roots(&self) -> Vec<String> {
        self.0.roots()
    }
}

#[test]
fn without_room_for_the_backup_it_is_refused_before_anything_is_written() {
    // S2-046, S2-081, W-038
    shop(|stage| {
        let small = std::sync::Arc::new(Small(stage.workshop.files()));
        let workshop = testkit::Workshop::new(&stage.place, kinds::catalogue()).keeping(small);
        let engine = workshop.engine();
        for request in [story::request("backup", json!({}), manners(), false), purge("a", "id <= 10")] {
            let plan = engine.plan(&request).unwrap();
            let report = engine.run(&plan, &Stop::default(), &mut |_| {}).unwrap();
            assert_eq!(report.status, Status::Refused, "{report:#?}");
            let why = &report.errors[0].message;
            assert!(why.contains("bytes are needed") && why.contains("1234 bytes are free"), "{why}");
        }
        assert_eq!(stage.number("select count(*) from purchase"), 2_000);
    });
}

#[test]
fn where_another_tool_looks_after_the_database_its_state_is_read() {
    // S4-054
    shop(|stage| {
        let state = stage.workshop.folder().join("state.json");
        let told = |stop: i64| {
            let answer =
                json!([{"backup": [{"label": "20261120F", "error": false, "timestamp": {"stop": stop}}]}]);
            std::fs::write(&state, answer.to_string()).unwrap();
        };
        let engine = stage.workshop.also(stage.place.database(), |policy| {
            policy.external = vec![engine::backup::External {
                database: "test".to_owned(),
                tool: engine::backup::Tool::Pgbackrest,
                command: format!("cat {}", state.display()),
                max_age: engine::age::Age("1 day".to_owned()),
            }];
        });
        let now = jiff::Timestamp::now().as_second();
        told(now - 3_600);
        let report = run(&engine, &purge("a", "id <= 10"));
        assert_eq!((report.status, taken(stage)), (Status::Completed, 0), "{report:#?}");
        assert_eq!(report.operations[0].backup_path.as_deref(), Some("pgBackRest:20261120F"));
        told(now - 3 * 86_400);
        let report = run(&engine, &purge("b", "id between 11 and 20"));
        assert_eq!(report.status, Status::Refused, "{report:#?}");
        assert!(report.errors[0].message.contains("older than 1 day"), "{:?}", report.errors);
        assert_eq!(stage.number("select count(*) from purchase"), 1_990);
    });
}
