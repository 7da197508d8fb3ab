//! Backups at the command line.

use crate::kit::{Desk, on_its_own_file_system};
use std::os::unix::fs::PermissionsExt;
use testkit::Place;

/// Both databases with a table, and a configuration whose operation needs a backup.
fn both(test: impl Fn(Desk)) {
    for place in [Place::sqlite(), Place::postgres()] {
        place.script2(
            "create table orders (id integer primary key, note text);
             with recursive c(i) as (select 1 union all select i + 1 from c where i < 300)
             insert into orders select i, 'order ' || i from c;",
            "create table orders (id int primary key, note text);
             insert into orders select i, 'order ' || i from generate_series(1, 300) i;",
        );
        let mut desk = Desk::at(place);
        // making databases is no right of an ordinary role
        desk.set("PLACE", &if desk.place.is_sqlite() { "app.db".to_owned() } else { desk.place.admin_url() });
        desk.write(
            "sexton.toml",
            r#"
[database.main]
url = "${PLACE}"

[defaults]
max_percent = 100

[operation.trim]
kind = "purge"
backup = true
table = "orders"
where = "t.id <= 10"

[operation.copy]
kind = "backup"

[group.nightly]
operations = ["trim", "copy"]
"#,
        );
        test(desk);
    }
}

fn id(desk: &Desk) -> String {
    let list = desk.sexton("backup list --output json").ends(0).json();
    list["backups"][0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn backups_are_made_listed_checked_verified_drilled_and_removed() {
    // S2-043, S2-044, S2-045
    both(|desk| {
        desk.sexton("backup list").ends(0);
        let said = desk.sexton("backup create").ends(0);
        assert!(said.stdout.contains(".sexton/backups/main/main-20"), "{}", said.stdout);
        let id = id(&desk);
        let listed = |word: &str| {
            let said = desk.sexton("backup list").ends(0).stdout;
            assert!(said.contains(&id) && said.contains(word), "{said}");
            desk.sexton("backup list --output json").ends(0).json()["backups"][0]["verified"] == true
        };
        assert!(!listed(" checked "), "what was not restored is not verified");
        let said = desk.sexton("backup check").ends(0);
        assert!(said.stdout.starts_with("checked") && said.stdout.contains(&id), "{}", said.stdout);
        assert!(!listed(" checked ") && !said.stdout.contains("verified"), "{}", said.stdout);
        let said = desk.sexton("backup verify --all --output json").ends(0).json();
        assert_eq!(said["verified"][0]["good"], true, "{said}");
        assert!(listed(" verified "));
        let said = desk.sexton("backup drill").ends(0);
        assert!(said.stdout.contains("1 table and 300 rows restored"), "{}", said.stdout);
        assert!(desk.sexton("audit").ends(0).stdout.contains("restore drill"));
        assert!(desk.sexton("backup prune").ends(0).stderr.contains("nothing to remove"));
        let folder = desk.file(".sexton/backups/main");
        let file = std::fs::read_dir(&folder)
            .unwrap()
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|ending| ending == "zst"))
            .unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        desk.sexton("backup verify latest").ends(5);
        let said = desk.sexton("backup check latest").ends(5);
        assert!(
            said.stderr.contains("is not what was written") && said.stderr.contains("help:"),
            "{}",
            said.stderr
        );
        desk.sexton("backup drill").ends(1);
        desk.sexton("backup verify nonsense").ends(2);
    });
}

#[test]
fn a_backup_comes_before_the_deletion_whatever_the_order() {
    // X-14, X-16, W-052, W-118, S2-080
    both(|desk| {
        let plan = desk.sexton("plan trim").ends(0);
        assert!(plan.stdout.contains("a backup will be taken first"), "{}", plan.stdout);
        assert!(!desk.file(".sexton").exists(), "looking makes nothing");
        let report = desk.sexton("run nightly --yes --output report").ends(0).json();
        assert_eq!(report["operations"][0]["operation"], "copy", "the backup comes first");
        assert_eq!(report["operations"][1]["backup_path"], report["operations"][0]["result"]["path"]);
        let proof = (&report["backup"]["checked"], &report["backup"]["verified"]);
        assert_eq!(proof, (&true.into(), &false.into()), "nobody restored it yet");
        assert_eq!(desk.count("orders"), 290);
        let list = desk.sexton("backup list --output json").ends(0).json();
        assert_eq!(list["backups"].as_array().unwrap().len(), 1);
        let by_name = desk.sexton("run copy --output json").ends(0).json();
        for key in ["path", "format", "size_bytes", "sha256", "duration_seconds", "verified", "tool_version"]
        {
            assert!(!by_name["copy"][key].is_null(), "{key} in {by_name}");
        }
    });
}

#[test]
fn a_failed_clean_up_is_recovered_with_the_printed_commands() {
    // S2-090, W-119
    both(|desk| {
        desk.sexton("run trim --yes").ends(0);
        let id = id(&desk);
        desk.place.script("insert into orders values (1001, 'new')");
        let said = desk.sexton(&format!("backup restore {id} --replace --dry-run")).ends(0);
        assert!(
            said.stdout.contains("orders: 1 newer or changed row would go, 10 rows would come back"),
            "{}",
            said.stdout
        );
        desk.sexton(&format!("backup restore {id} --replace")).ends(3);
        assert_eq!(desk.count("orders"), 291, "nobody could be asked, so nothing was done");
        let said =
            desk.sexton(&format!("backup restore {id} --table orders --where 't.id <= 4' --yes")).ends(0);
        assert!(said.stderr.contains("4 rows missing"), "{}", said.stderr);
        assert_eq!(desk.count("orders"), 295);
        desk.sexton("undo latest --yes").ends(0);
        assert_eq!(desk.count("orders"), 291, "rows of a backup go again as they came");
        desk.sexton(&format!("backup restore {id} --table orders --where 't.id <= 4' --yes")).ends(0);
        assert_eq!(desk.count("orders"), 295);
        let said = desk.sexton(&format!("backup restore {id} --replace --yes")).ends(0);
        assert_eq!(desk.count("orders"), 300);
        let back = said.stdout.lines().find_map(|line| line.strip_prefix("back   sexton ")).unwrap();
        desk.sexton(&format!("{back} --yes")).ends(0);
        assert_eq!(desk.count("orders"), 295);
        desk.sexton("run trim --batch-size 100 --max-seconds 3600 --yes").ends(0);
        desk.sexton("backup restore latest").ends(2);
        if let Some(aside) =
            said.stdout.lines().find_map(|line| line.split('`').nth(1).filter(|_| line.starts_with("aside")))
        {
            desk.place.admin_script_outside(&format!("drop database if exists \"{aside}\""));
        }
    });
}

#[test]
fn the_log_survives_when_the_database_is_restored_or_gone() {
    // W-115
    both(|desk| {
        let report = desk.sexton("run trim --yes --output report").ends(0).json();
        desk.sexton("backup restore latest --replace --yes").ends(0);
        let run = report["run_id"].as_str().unwrap();
        assert!(desk.sexton("runs list").ends(0).stdout.contains(run));
        let text = std::fs::read_to_string(desk.file(".sexton/runs.jsonl")).unwrap();
        assert!(text.contains(run));
    });
}

#[test]
fn encrypted_backups_need_the_identity_to_be_read() {
    both(|desk| {
        let config = std::fs::read_to_string(desk.file("sexton.toml")).unwrap();
        let with = |more: &str| {
            desk.write("sexton.toml", &format!("{config}\n[backup]\nrecipient = \"age1xse43vfalu3jevaae6av0x84wv7r48yvlqluc74dw28qrl8j05eq7556nz\"\n{more}\n"))
        };
        with("");
        desk.sexton("backup create").ends(0);
        let id = id(&desk);
        assert!(
            desk.sexton("backup list --output json").json()["backups"][0]["path"]
                .as_str()
                .unwrap()
                .ends_with(".age")
        );
        desk.sexton("backup check latest").ends(0);
        let said = desk.sexton("backup drill").ends(2);
        assert!(said.stderr.contains("encrypted"), "{}", said.stderr);
        desk.write("key", "AGE-SECRET-KEY-1267MMFK7QAGC5W7CHD66KX964URMKZ25836P0NT2LE0PER7UDV7QMP0KSE\n");
        with("identity = \"file:key\"");
        assert!(desk.sexton(&format!("backup drill {id}")).ends(0).stdout.contains("300 rows"));
        with("recipient2 = 1");
        desk.sexton("config check").ends(2);
    });
}

#[test]
fn a_killed_backup_leaves_no_half_file_under_its_final_name() {
    both(|desk| {
        desk.place.script2(
            "create table big (id integer primary key, x blob);
             with recursive c(i) as (select 1 union all select i + 1 from c where i < 20000)
             insert into big select i, randomblob(1000) from c;",
            "create table big (id int primary key, x text);
             insert into big select i, repeat(md5(i::text), 30) from generate_series(1, 20000) i;",
        );
        let folder = desk.file(".sexton/backups/main");
        let visible = || -> Vec<String> {
            let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            entries
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .filter(|name| !name.starts_with('.'))
                .collect()
        };
        let mut killed = 0;
        for wait in [30, 60, 90, 120, 160, 220, 300] {
            let before = visible().len();
            let mut child = desk
                .command("backup create")
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(std::time::Duration::from_millis(wait));
            child.kill().unwrap();
            let died = !child.wait().unwrap().success();
            killed += usize::from(died && visible().len() == before);
            for backup in desk.sexton("backup list --output json").json()["backups"].as_array().unwrap() {
                let id = backup["id"].as_str().unwrap();
                desk.sexton(&format!("backup check {id}")).ends(0);
            }
        }
        assert!(killed > 0, "no kill came before the end");
        desk.sexton("backup create").ends(0);
        desk.sexton("backup verify latest").ends(0);
        let scratch = std::fs::read_dir(desk.file(".sexton/scratch")).unwrap().count();
        assert_eq!(scratch, 0, "what the killed ones left is gone");
    });
}

#[test]
fn a_full_a_read_only_and_a_vanished_target_each_say_what_is_wrong() {
    // S2-046, S2-087: a small file system of its own, which the system drops with the process
    both(|desk| {
        desk.place.script2(
            "create table big (id integer primary key, x blob);
             with recursive c(i) as (select 1 union all select i + 1 from c where i < 3000)
             insert into big select i, randomblob(1000) from c;",
            "create table big (id int primary key, x text);
             insert into big select i, (select string_agg(md5(random()::text || i || n), '') from generate_series(1, 30) n)
             from generate_series(1, 3000) i;",
        );
        let config = std::fs::read_to_string(desk.file("sexton.toml")).unwrap();
        desk.write(
            "sexton.toml",
            &format!("{config}\n[store.small]\nfolder = \"small\"\n\n[backup]\nstore = \"small\"\n"),
        );
        std::fs::create_dir(desk.file("small")).unwrap();
        let create = |mount: &str| {
            let said = on_its_own_file_system(&desk.command("backup create"), mount);
            let text = String::from_utf8_lossy(&said.stderr).into_owned();
            assert_ne!(said.status.code(), Some(0), "{text}");
            assert!(text.contains("help:"), "{text}");
            text
        };
        let small = create("size=256k");
        assert!(small.contains("bytes are needed") && small.contains("bytes are free"), "{small}");
        let read_only = create("size=64m,ro");
        assert!(read_only.contains("read-only"), "{read_only}");
        assert_eq!(std::fs::read_dir(desk.file("small")).unwrap().count(), 0);
        desk.write(
            "sexton.toml",
            &std::fs::read_to_string(desk.file("sexton.toml"))
                .unwrap()
                .replace("\"small\"\n\n", "\"gone/small\"\n\n"),
        );
        let said = desk.command("backup create").output().unwrap();
        assert_ne!(said.status.code(), Some(0));
        let gone = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(gone.contains("does not exist") && gone.contains("mkdir -p"), "{gone}");
        desk.write(
            "sexton.toml",
            &std::fs::read_to_string(desk.file("sexton.toml")).unwrap().replace("gone/small", "small"),
        );
        desk.sexton("backup create").ends(0);
        desk.sexton("backup verify latest").ends(0);
    });
}
