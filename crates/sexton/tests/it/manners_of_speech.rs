//! Small things that a newcomer meets: names of files, of people and of tables, one and many, and what `-5d` means.

use crate::kit::{CONFIG, Desk};

#[test]
fn a_checked_configuration_is_called_by_its_own_name() {
    let mut desk = Desk::ready();
    desk.write("other.toml", CONFIG);
    assert!(desk.sexton("config check --config other.toml").ends(0).stdout.starts_with("other.toml is good"));
    assert!(desk.sexton("config check").ends(0).stdout.starts_with("sexton.toml is good"));
    desk.set("SEXTON_CONFIG", "other.toml");
    assert!(desk.sexton("config check").ends(0).stdout.starts_with("other.toml is good"));
}

#[test]
fn one_row_is_no_rows() {
    let desk = Desk::ready();
    desk.place.script("delete from audit_log where id not in (100, 101); delete from session where id > 1");
    let text = desk.sexton("run logs --yes --max-rows 1").ends(4).stdout;
    assert!(text.contains("stopped 1 of 2 rows in 1 batch"), "{text}");
    desk.sexton("resume latest --max-rows 5").ends(0);
    desk.place.script("insert into audit_log select id, created_at, action from (select 100 as id, 'x' as created_at, 'y' as action)");
    let text = desk.sexton("undo latest --yes").ends(7);
    assert!(text.stdout.contains("1 row could not be put back"), "{}", text.shown());
    let text = desk.sexton("run sessions").ends(0).stdout;
    assert!(text.contains("done   1 row in 1 batch"), "{text}");
    assert!(desk.sexton("audit").ends(0).stdout.contains("completed, 1 row\n"));
    let report = desk.sexton("runs show latest --output json").ends(0).stdout;
    assert!(!report.contains("1 rows"), "{report}");
}

#[test]
fn an_actor_without_a_name_is_called_by_the_account() {
    let desk = Desk::ready();
    let output = desk.command("run sessions").env_remove("USER").output().unwrap();
    assert!(output.status.success());
    let trail = desk.sexton("audit --output json").ends(0).json();
    let own = std::process::Command::new("id").arg("-un").output().unwrap();
    let name = String::from_utf8(own.stdout).unwrap();
    assert_eq!(trail["audit"][0]["actor"], name.trim());
}

#[test]
fn an_age_with_a_minus_is_explained() {
    let desk = Desk::ready();
    let said = desk.sexton("run logs --older-than -5d").ends(2);
    assert!(
        said.stderr.contains("help: `--older-than` takes no value that begins with `-`"),
        "{}",
        said.stderr
    );
    let said = desk.sexton("run logs --older-than=-5d").ends(2);
    assert!(said.stderr.contains("help:"), "{}", said.stderr);
}

#[test]
fn a_table_may_be_named_as_a_statement_names_it() {
    let desk = Desk::ready();
    for table in ["audit_log", "\"audit_log\"", "AUDIT_LOG"] {
        let plan = desk.sexton(&format!(
            "purge --table {table} --age-column created_at --older-than 90d --dry-run --output json"
        ));
        assert_eq!(plan.ends(0).json()["purge"]["rows_deleted"], 311, "{table}");
    }
    let place = testkit::Place::postgres();
    place.script("create schema \"My App\"; create table \"My App\".\"a.b\" (id int primary key); insert into \"My App\".\"a.b\" values (1)");
    let desk = Desk::at(place);
    let database = desk.place.url();
    for table in ["'\"My App\".\"a.b\"'", "'My App.\"a.b\"'", "'My App.a.b'"] {
        let plan = desk.sexton(&format!(
            "purge --database {database} --table {table} --where 'id = 1' --dry-run --output json"
        ));
        assert_eq!(plan.ends(0).json()["purge"]["rows_deleted"], 1, "{table}");
    }
    // the name that findings and statements show can be given back
    let said = desk
        .sexton(&format!(
            "purge --database {database} --table '\"My App\".nosuch' --where 'id = 1' --dry-run"
        ))
        .ends(2);
    assert!(said.stderr.contains("there is no table"), "{}", said.stderr);
}
