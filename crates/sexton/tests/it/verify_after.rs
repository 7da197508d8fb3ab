//! A check after what was done: it looks once, when there was something to verify, and what it finds counts.

use crate::kit::{Desk, Said};
use serde_json::Value as Json;
use testkit::Place;

/// Notes of which some are old; a rule that forbids short ones.
const NOTES: &str =
    "create table notes (id integer primary key, age integer not null, text varchar(9) not null);
    insert into notes values (1, 9, 'old'), (2, 9, 'old'), (3, 1, 'new'), (4, 1, 'new');
    create table pages (id integer primary key, age integer not null);
    insert into pages values (1, 9), (2, 1);";

const OPERATIONS: &str = r#"
[defaults]
max_percent = 100

[operation.notes]
kind = "purge"
table = "notes"
where = "t.age > 5"
VERIFY

[operation.pages]
kind = "purge"
table = "pages"
where = "t.age > 5"

[operation.sound]
kind = "check"

[[operation.sound.rules]]
name = "empty"
table = "notes"
where = "t.text = ''"

[group.daily]
operations = ["notes", "pages"]
GROUP
"#;

fn desks(of_operation: &str, of_group: &str, work: impl Fn(&Desk)) {
    for place in [Place::sqlite(), Place::postgres()] {
        place.script(NOTES);
        let url = if place.is_sqlite() { "app.db".to_owned() } else { place.url() };
        let desk = Desk::at(place);
        let operations = OPERATIONS.replace("VERIFY", of_operation).replace("GROUP", of_group);
        desk.write("sexton.toml", &format!("[database.main]\nurl = \"{url}\"\n{operations}"));
        work(&desk);
    }
}

/// Each operation of a report with its status.
fn statuses(said: &Said) -> Vec<(String, String)> {
    let report: Json = said.json();
    let one = |done: &Json| {
        (done["operation"].as_str().unwrap().to_owned(), done["status"].as_str().unwrap().to_owned())
    };
    report["operations"].as_array().unwrap().iter().map(one).collect()
}

fn told(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(name, status)| ((*name).to_owned(), (*status).to_owned())).collect()
}

const BY_ITSELF: &str = "verify_after = \"sound\"";

#[test]
fn what_was_done_is_verified_and_the_result_is_in_the_report() {
    // S2-083
    desks(BY_ITSELF, "", |desk| {
        let plan = desk.sexton("plan notes").ends(0);
        assert!(plan.stdout.contains("sound on main: looks after notes"), "{}", plan.stdout);
        let said = desk.sexton("run notes --yes --output report").ends(0);
        assert_eq!(statuses(&said), told(&[("notes", "completed"), ("sound", "completed")]));
        let report = said.json();
        assert_eq!(report["operations"][1]["result"]["pragma_checks"]["integrity_check"], "ok");
        assert_eq!(report["operations"][1]["result"]["passed"], true);
        assert_eq!(desk.count("notes"), 2);
    });
}

#[test]
fn what_the_check_finds_decides_the_exit_code() {
    // S2-083
    desks(BY_ITSELF, "", |desk| {
        desk.place.script("update notes set text = '' where id = 3");
        let said = desk.sexton("run notes --yes --output report").ends(5);
        assert_eq!(statuses(&said), told(&[("notes", "completed"), ("sound", "partial")]));
        let report = said.json();
        assert_eq!(report["status"], "partial");
        assert_eq!(report["operations"][1]["result"]["constraint_violations"][0]["count"], 1);
        assert!(report["warnings"][0].as_str().unwrap().contains("notes"), "{}", report["warnings"]);
    });
}

#[test]
fn nothing_is_verified_where_nothing_was_done() {
    desks(BY_ITSELF, "", |desk| {
        desk.place.script("delete from notes where age > 5; update notes set text = ''");
        let said = desk.sexton("run notes --yes --output report").ends(0);
        assert_eq!(statuses(&said), told(&[("notes", "completed"), ("sound", "skipped")]));
        desk.place.script("insert into notes values (1, 9, 'old')");
        let said = desk.sexton("run notes --dry-run --output report").ends(0);
        assert_eq!(said.json()["operations"][1]["findings"], serde_json::json!([]));
    });
}

#[test]
fn a_group_is_verified_once_when_all_of_it_is_done() {
    desks(BY_ITSELF, "verify_after = \"sound\"", |desk| {
        let said = desk.sexton("run daily --yes --output report").ends(0);
        let all = [("notes", "completed"), ("pages", "completed"), ("sound", "completed")];
        assert_eq!(statuses(&said), told(&all));
        // Named itself it comes once all the same, and after the others.
        let said = desk.sexton("plan sound daily --output json").ends(0).json();
        let items = said["items"].as_array().unwrap();
        let names: Vec<&Json> = items.iter().map(|item| &item["operation"]["name"]).collect();
        assert_eq!(names, ["notes", "pages", "sound"]);
    });
}

#[test]
fn what_failed_half_way_is_verified_all_the_same() {
    let refuses = |desk: &Desk| {
        let sqlite = "create trigger stays before delete on notes when old.id = 2 begin select raise(abort, 'stays'); end";
        let postgres = "create function stays() returns trigger language plpgsql as $$ begin if old.id = 2 then raise 'stays'; end if; return old; end $$;
            create trigger stays before delete on notes for each row execute function stays()";
        desk.place.script(if desk.place.is_sqlite() { sqlite } else { postgres });
    };
    desks("triggers = \"fire\"\nbatch_size = 1\nverify_after = \"sound\"", "", |desk| {
        refuses(desk);
        let config = std::fs::read_to_string(desk.file("sexton.toml")).unwrap();
        desk.write("sexton.toml", &config.replace("[defaults]", "[defaults]\non_error = \"stop\""));
        let said = desk.sexton("run notes pages --yes --output report").ends(1);
        let all = [("notes", "failed"), ("sound", "completed"), ("pages", "skipped")];
        assert_eq!(statuses(&said), told(&all));
    });
}

#[test]
fn what_a_check_finds_is_no_failure_that_stops_the_others() {
    // what was found is told, and ends in its exit code, when all is done
    desks("", "", |desk| {
        desk.place.script("update notes set text = '' where id = 3");
        let config = std::fs::read_to_string(desk.file("sexton.toml")).unwrap();
        desk.write("sexton.toml", &config.replace("[defaults]", "[defaults]\non_error = \"stop\""));
        let said = desk.sexton("run sound notes --yes --output report").ends(5);
        assert_eq!(statuses(&said), told(&[("sound", "partial"), ("notes", "completed")]));
        // Who needs it to be clean waits.
        let config = std::fs::read_to_string(desk.file("sexton.toml")).unwrap();
        desk.write(
            "sexton.toml",
            &config.replace("table = \"pages\"", "table = \"pages\"\nneeds = [\"sound\"]"),
        );
        let said = desk.sexton("run sound pages --yes --output report").ends(5);
        assert_eq!(statuses(&said), told(&[("sound", "partial"), ("pages", "skipped")]));
    });
}

#[test]
fn only_a_check_can_verify_and_nothing_can_need_it() {
    let desk = Desk::empty();
    let wrong = |of_operation: &str, more: &str, said: &str| {
        let operations = OPERATIONS.replace("VERIFY", of_operation).replace("GROUP", more);
        desk.write("sexton.toml", &format!("[database.main]\nurl = \"app.db\"\n{operations}"));
        let told = desk.sexton("config check").ends(2).stderr;
        assert!(told.contains(said), "{told}");
    };
    wrong("verify_after = \"pages\"", "", "`pages` is no check: it changes something");
    wrong("verify_after = \"notes\"", "", "`notes` cannot verify itself");
    wrong("verify_after = \"sond\"", "", "there is no operation `sond`");
    wrong("", "verify_after = \"sond\"", "there is no operation `sond`");
    wrong("verify_after = \"sound\"\nneeds = [\"sound\"]", "", "`notes` cannot need it");
    desk.write(
        "sexton.toml",
        &format!(
            "[database.main]\nurl = \"app.db\"\n{}",
            OPERATIONS.replace("VERIFY", BY_ITSELF).replace("GROUP", "")
        ),
    );
    let told = desk.sexton("plan notes --set verify_after=pages").ends(2).stderr;
    assert!(told.contains("`verify_after` can only be set in the configuration"), "{told}");
}
