//! `sexton migrate diff` and `squash`: drift is found and mended by what is offered, checkpoints stand for what they replace.

use crate::kit::{Desk, Said};
use serde_json::Value as Json;
use testkit::Place;

const FILES: [(&str, &str); 3] = [
    (
        "0001_users.sql",
        "-- sexton:up\ncreate table users (id integer primary key, name text not null);\n\
         insert into users values (1, 'it''s');\n-- sexton:down\ndrop table users;\n",
    ),
    (
        "0002_orders.sql",
        "-- sexton:depends 0001_users\n-- sexton:up\n\
         create table orders (id integer primary key, who integer not null references users (id));\n\
         create index orders_who on orders (who);\n-- sexton:down\ndrop table orders;\n",
    ),
    (
        "0003_view.sql",
        "-- sexton:depends 0002_orders\n-- sexton:up\ncreate view seen as select id from orders;\n\
         -- sexton:down\ndrop view seen;\n",
    ),
];

/// Another database of the same kind: the one that holds it, and itself with every right.
fn another(place: &Place) -> (Place, Place) {
    let held = if place.is_sqlite() { Place::sqlite() } else { Place::postgres() };
    let admin = Place::elsewhere(&held.admin_url());
    (held, admin)
}

/// A desk with three migrations on each kind of database, reached with every right.
fn both(test: impl Fn(&Desk, &str)) {
    for place in [Place::sqlite(), Place::postgres()] {
        let url = if place.is_sqlite() { "./app.db".to_owned() } else { place.admin_url() };
        let desk = Desk::at(Place::elsewhere(&place.admin_url()));
        std::fs::create_dir(desk.file("migrations")).unwrap();
        for (name, text) in FILES {
            desk.write(&format!("migrations/{name}"), text);
        }
        test(&desk, &url);
    }
}

fn migrate(desk: &Desk, url: &str, line: &str) -> Said {
    desk.sexton(&format!("migrate {line} --database {url}"))
}

/// Scratch databases that are there and stay. Other tests on the same server have theirs, but not for long.
fn scratch_databases(place: &Place) -> usize {
    if place.is_sqlite() {
        return 0;
    }
    let there = || -> Vec<String> {
        let rows = place.rows("select datname::text from pg_database where datname like 'sexton\\_drill%'");
        rows.iter().filter_map(|row| row[0].as_text().map(str::to_owned)).collect()
    };
    let mut seen = there();
    for _ in 0..300 {
        if seen.is_empty() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
        let now = there();
        seen.retain(|name| now.contains(name));
    }
    seen.len()
}

#[test]
fn drift_is_told_statement_by_statement_and_mended_by_what_is_offered() {
    // S2-039, S2-088
    both(|desk, url| {
        migrate(desk, url, "up").ends(0);
        let before = desk.place.dump();
        let said = migrate(desk, url, "diff").ends(0);
        assert!(said.stdout.starts_with("equal  "), "{}", said.shown());
        desk.place.script(
            "drop index orders_who; create index by_hand on users (name); drop view seen; create table more (id integer)",
        );
        let drifted = desk.place.dump();
        let said = migrate(desk, url, "diff").ends(5);
        for text in [
            "missing   index",
            "extra     index",
            "missing   view",
            "extra     table",
            "by hand dropping this table",
        ] {
            assert!(said.stdout.contains(text), "{text} in {}", said.shown());
        }
        assert_eq!(desk.place.dump(), drifted, "nothing was changed");
        let json = migrate(desk, url, "diff --output json --ignore *more").ends(5).json();
        let what: Vec<&str> =
            json["differences"].as_array().unwrap().iter().map(|one| one["what"].as_str().unwrap()).collect();
        assert_eq!(what, ["missing", "missing", "extra"], "{json}");
        assert_eq!((&json["equal"], json["statements"].as_array().unwrap().len()), (&Json::from(false), 3));
        // Both ways: what would have to be in the migrations.
        let reverse = migrate(desk, url, "diff --reverse --sql").ends(5).stdout.to_lowercase();
        assert!(reverse.contains("create index by_hand") && reverse.contains("create table"), "{reverse}");
        let sql = migrate(desk, url, "diff --sql").ends(5).stdout;
        desk.place.script(&sql);
        desk.place.script("drop table more");
        assert_eq!(desk.place.dump(), before);
        migrate(desk, url, "diff").ends(0);
        assert_eq!(scratch_databases(&desk.place), 0);
    });
}

#[test]
fn what_is_pending_is_no_drift_unless_it_is_asked_for() {
    // S2-039
    both(|desk, url| {
        migrate(desk, url, "up 2").ends(0);
        let said = migrate(desk, url, "diff").ends(0);
        assert!(said.stderr.contains("0003_view"), "{}", said.shown());
        let said = migrate(desk, url, "diff --pending").ends(5);
        assert!(said.stdout.contains("missing   view"), "{}", said.shown());
        desk.place.script("create view seen as select id from orders");
        migrate(desk, url, "diff --pending").ends(0);
    });
}

#[test]
fn two_databases_are_compared_without_any_files() {
    both(|desk, url| {
        let (_held, other) = another(&desk.place);
        let script = "create table users (id integer primary key, name text)";
        desk.place.script(script);
        other.script(script);
        let against =
            |line: &str| migrate(desk, url, &format!("diff --against {} {line}", other.admin_url()));
        against("").ends(0);
        other.script("alter table users add column age integer default 3");
        let said = against("--sql").ends(5);
        desk.place.script(&said.stdout);
        against("").ends(0);
        let wrong = if desk.place.is_sqlite() { Place::postgres() } else { Place::sqlite() };
        let said = migrate(desk, url, &format!("diff --against {}", wrong.admin_url())).ends(2);
        assert!(said.stderr.contains("cannot be compared"), "{}", said.shown());
    });
}

#[test]
fn a_file_that_fails_on_an_empty_database_is_told_and_nothing_is_left() {
    both(|desk, url| {
        migrate(desk, url, "up").ends(0);
        desk.write(
            "migrations/0003_view.sql",
            "-- sexton:up\ncreate view seen as select nothing from orders;\n",
        );
        let said = migrate(desk, url, "diff").ends(1);
        assert!(said.stderr.contains("nothing") && said.stderr.contains("0003_view"), "{}", said.shown());
        assert_eq!(scratch_databases(&desk.place), 0);
    });
}

#[test]
fn a_checkpoint_stands_for_the_migrations_that_were_squashed_into_it() {
    // S2-030, W-003, W-008
    both(|desk, url| {
        let said = migrate(desk, url, "squash").ends(2);
        assert!(said.stderr.contains("would be left in the middle"), "{}", said.shown());
        migrate(desk, url, "up").ends(0);
        let whole = desk.place.dump();
        let said = migrate(desk, url, "squash --to 0002_orders --dry-run").ends(0);
        assert!(said.stdout.contains("-- sexton:replaces 0001_users, 0002_orders"), "{}", said.shown());
        assert!(!said.stdout.contains("restrict") && !desk.file("migrations/squashed").exists());
        let json = migrate(desk, url, "squash --to 2 --output json").ends(0).json();
        assert_eq!((&json["checkpoint"], &json["rows"]), (&Json::from("0002_checkpoint"), &Json::from(1)));
        assert!(desk.file("migrations/squashed/0001_users.sql").exists());
        assert!(!desk.file("migrations/0001_users.sql").exists());
        // The one that has the old ones is at it.
        let check = migrate(desk, url, "check --output json").ends(0).json();
        assert_eq!(check["migration_needed"], false);
        let status = migrate(desk, url, "status --output json").ends(0).json();
        assert_eq!(
            (&status["migrations"][0]["state"], &status["ok"]),
            (&Json::from("baseline"), &Json::from(true))
        );
        migrate(desk, url, "verify").ends(0);
        migrate(desk, url, "diff").ends(0);
        // A new one begins with it.
        let (_held, fresh) = another(&desk.place);
        migrate(desk, &fresh.admin_url(), "up").ends(0);
        migrate(desk, &fresh.admin_url(), "diff").ends(0);
        let against = migrate(desk, url, &format!("diff --against {}", fresh.admin_url()));
        assert_eq!(against.code, 0, "{}", against.shown());
        assert_eq!(fresh.rows("select name from users"), desk.place.rows("select name from users"));
        assert_eq!(desk.place.dump(), whole);
        // One in the middle is told to go on with the old files, and can.
        let (_held_too, middle) = another(&desk.place);
        let middle_url = middle.admin_url();
        migrate(desk, &middle_url, "up 1 --directory migrations/squashed").ends(0);
        let said = migrate(desk, &middle_url, "up").ends(3);
        assert!(
            said.stderr.contains("in the middle of what `0002_checkpoint` stands for"),
            "{}",
            said.shown()
        );
        migrate(desk, &middle_url, "up --directory migrations/squashed").ends(0);
        migrate(desk, &middle_url, "up").ends(0);
        migrate(desk, &middle_url, "diff").ends(0);
        // And again: a checkpoint of a checkpoint.
        migrate(desk, url, "squash --remove").ends(0);
        let left: Vec<String> = std::fs::read_dir(desk.file("migrations"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .filter(|name| name.ends_with(".sql"))
            .collect();
        assert_eq!(left, ["0003_checkpoint.sql"]);
        for url in [url, &fresh.admin_url(), &middle_url] {
            migrate(desk, url, "check").ends(0);
            migrate(desk, url, "diff").ends(0);
        }
        assert_eq!(scratch_databases(&desk.place), 0);
    });
}

#[test]
fn files_of_other_tools_are_not_squashed() {
    let desk = Desk::empty();
    std::fs::create_dir(desk.file("migrations")).unwrap();
    desk.write(
        "migrations/20240101000000_a.sql",
        "-- migrate:up\ncreate table a (id int);\n-- migrate:down\n",
    );
    let said = migrate(&desk, "./app.db", "squash").ends(2);
    assert!(said.stderr.contains("dbmate") && said.stderr.contains("help: "), "{}", said.shown());
}

#[test]
fn all_migrations_are_tried_from_nothing_on_an_empty_database() {
    // S2-036, S2-039
    both(|desk, url| {
        migrate(desk, url, "up").ends(0);
        let before = desk.place.dump();
        let said = migrate(desk, url, "test --all --output json").ends(0).json();
        assert_eq!(said["rehearsal"]["place"], "empty");
        let deeds: Vec<&str> = said["rehearsal"]["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| step["action"].as_str().unwrap())
            .filter(|action| *action != "prepare")
            .collect();
        assert_eq!(deeds, ["apply", "revert", "apply"].repeat(3));
        // One whose way back leaves something, long after it went in.
        desk.write(
            "migrations/0002_orders.sql",
            "-- sexton:depends 0001_users\n-- sexton:up\ncreate table orders (id integer primary key);\n\
             create table more (id integer primary key, note text);\n-- sexton:down\ndrop table orders;\n",
        );
        let said = migrate(desk, url, "test --all").ends(5);
        assert!(said.stderr.contains("table `more` is new"), "{}", said.shown());
        assert_eq!((desk.place.dump(), scratch_databases(&desk.place)), (before, 0));
    });
}

#[test]
fn roles_of_the_server_are_left_alone_where_migrations_are_tried() {
    let place = Place::postgres();
    let url = place.admin_url();
    let desk = Desk::at(place);
    std::fs::create_dir(desk.file("migrations")).unwrap();
    let role = format!("tried_{}", std::process::id());
    desk.write(
        "migrations/0001_role.sql",
        &format!("-- sexton:up\ncreate role {role};\ncreate table t (id int);\n-- sexton:down\ndrop table t;\ndrop role {role};\n"),
    );
    for line in ["test", "test --all"] {
        let said = migrate(&desk, &url, line).ends(0);
        assert!(said.stderr.contains("reach beyond this database"), "{}", said.shown());
        let roles = desk.place.rows(&format!("select 1 from pg_roles where rolname = '{role}'"));
        assert!(roles.is_empty(), "{line}");
    }
}

#[test]
fn a_file_with_a_syntax_error_is_told_once_and_in_our_words() {
    // S2-039
    let desk = Desk::empty();
    std::fs::create_dir(desk.file("migrations")).unwrap();
    desk.write("migrations/0001_a.sql", "-- sexton:up\ncreate tabel a (id int);\n");
    for line in ["lint --database ./app.db", "up --database ./app.db", "status --database ./app.db"] {
        let said = desk.sexton(&format!("migrate {line}"));
        assert!(
            !said.stderr.contains("sqlite3Parser") && !said.stdout.contains("sqlite3Parser"),
            "{}",
            said.shown()
        );
    }
}
