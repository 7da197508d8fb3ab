//! Every mistake in a configuration is shown with its place, what is allowed and the nearest name; all at once.

use crate::kit::Desk;
use insta::assert_snapshot;

/// The head of most files here.
const MAIN: &str = "[database.main]\nurl = \"app.db\"\n";

fn check(text: &str) -> String {
    let desk = Desk::empty();
    desk.write("sexton.toml", text);
    desk.sexton("config check").ends(2).shown().to_owned()
}

fn with_operation(lines: &str) -> String {
    check(&format!("{MAIN}\n[operation.logs]\nkind = \"purge\"\ntable = \"audit_log\"\n{lines}"))
}

#[test]
fn an_unknown_key_at_the_top() {
    assert_snapshot!(check("ordr = \"by_phase\"\n"));
}

#[test]
fn an_unknown_key_of_an_operation() {
    assert_snapshot!(with_operation("older_then = \"90 days\"\n"));
}

#[test]
fn an_unknown_key_of_a_section() {
    assert_snapshot!(check("[undo]\nkeeep = \"30 days\"\n"));
}

#[test]
fn an_unknown_key_inside_a_target() {
    assert_snapshot!(check(&format!(
        "{MAIN}\n[operation.logs]\nkind = \"purge\"\n\n[[operation.logs.targets]]\ntabel = \"x\"\nwhere = \"true\"\n"
    )));
}

#[test]
fn a_wrong_sort_of_value() {
    assert_snapshot!(with_operation(
        "older_than = 90\nage_column = \"created_at\"\nbatch_size = \"many\"\nper = \"x\"\n"
    ));
}

#[test]
fn an_unknown_choice() {
    assert_snapshot!(with_operation("where = \"true\"\nundo = \"row\"\nseverity = \"high\"\n"));
}

#[test]
fn a_negative_number() {
    assert_snapshot!(with_operation("where = \"true\"\nbatch_size = -1\n"));
}

#[test]
fn a_number_that_counts_nothing() {
    assert_snapshot!(with_operation(
        "where = \"true\"\nbatch_size = 0\npause = inf\nmax_pause = nan\nmax_percent = -3\n"
    ));
}

#[test]
fn a_size_that_is_none() {
    assert_snapshot!(check("[undo]\nmax_size = \"5 apples\"\n"));
}

#[test]
fn a_run_log_with_a_fact_that_is_none() {
    assert_snapshot!(check(&format!(
        "{MAIN}\n[run_log.jobs]\ntable = \"job\"\ncolumns = {{ a = \"statsu\", b = {{ txet = \"x\" }} }}\n"
    )));
}

#[test]
fn operations_that_need_each_other() {
    let rule = "kind = \"purge\"\ntable = \"x\"\nwhere = \"true\"";
    assert_snapshot!(check(&format!(
        "{MAIN}\n[operation.a]\n{rule}\nneeds = [\"b\"]\n[operation.b]\n{rule}\nneeds = [\"a\"]\n[operation.c]\n{rule}\nneeds = [\"c\"]\n"
    )));
}

#[test]
fn an_age_without_a_unit() {
    assert_snapshot!(with_operation("age_column = \"created_at\"\nolder_than = \"90\"\n"));
}

#[test]
fn a_zone_that_is_none() {
    assert_snapshot!(with_operation("where = \"true\"\nzone = \"Europe/Pariss\"\n"));
}

#[test]
fn a_window_that_is_none() {
    assert_snapshot!(with_operation("where = \"true\"\nwindow = \"22-06\"\n"));
}

#[test]
fn an_operation_without_a_kind() {
    assert_snapshot!(check(&format!("{MAIN}\n[operation.logs]\ntable = \"x\"\n")));
}

#[test]
fn an_unknown_kind() {
    assert_snapshot!(check(&format!("{MAIN}\n[operation.logs]\nkind = \"purgee\"\n")));
}

#[test]
fn a_rule_without_a_limit() {
    //
    assert_snapshot!(with_operation(""));
}

#[test]
fn an_age_without_its_column() {
    assert_snapshot!(with_operation("older_than = \"90 days\"\n"));
}

#[test]
fn a_reserved_name() {
    // W-059
    assert_snapshot!(check(&format!(
        "{MAIN}\n[operation.metadata]\nkind = \"purge\"\ntable = \"x\"\nwhere = \"true\"\n"
    )));
}

#[test]
fn a_name_that_cannot_be_typed() {
    assert_snapshot!(check(&format!(
        "{MAIN}\n[operation.\"a,b\"]\nkind = \"purge\"\ntable = \"x\"\nwhere = \"true\"\n"
    )));
}

#[test]
fn a_name_that_is_group_and_operation() {
    assert_snapshot!(check(&format!(
        "{MAIN}\n[operation.daily]\nkind = \"purge\"\ntable = \"x\"\nwhere = \"true\"\n\n[group.daily]\noperations = [\"daily\"]\n"
    )));
}

#[test]
fn the_same_name_twice() {
    // W-059
    assert_snapshot!(check(&format!(
        "{MAIN}\n[operation.a]\nkind = \"purge\"\ntable = \"x\"\nwhere = \"true\"\n\n[operation.a]\nkind = \"purge\"\n"
    )));
}

#[test]
fn names_of_things_that_are_not_there() {
    assert_snapshot!(check(&format!(
        "{MAIN}\n[operation.logs]\nkind = \"purge\"\ntable = \"x\"\nwhere = \"true\"\ndatabase = \"mian\"\narchive = \"cold\"\n\
         needs = [\"log\"]\n\n[group.daily]\noperations = [\"logs\", \"session\"]\n"
    )));
}

#[test]
fn several_databases_and_none_named() {
    assert_snapshot!(check(
        "[database.a]\nurl = \"a.db\"\n[database.b]\nurl = \"b.db\"\n\n[operation.logs]\nkind = \"purge\"\ntable = \"x\"\nwhere = \"true\"\n"
    ));
}

#[test]
fn no_database_at_all() {
    assert_snapshot!(check("[operation.logs]\nkind = \"purge\"\ntable = \"x\"\nwhere = \"true\"\n"));
}

#[test]
fn a_database_of_another_make() {
    assert_snapshot!(check("[database.main]\nurl = \"mysql://joe:s3cret@db/app\"\n"));
}

#[test]
fn a_database_without_a_place() {
    assert_snapshot!(check("[database.main]\nzone = \"UTC\"\n"));
}

#[test]
fn a_store_that_is_both_or_neither() {
    assert_snapshot!(check(
        "[store.a]\nfolder = \"x\"\nurl = \"s3://x\"\n[store.b]\nregion = \"x\"\n[store.c]\nurl = \"http://x\"\n\
         [store.d]\nfolder = \"x\"\nregion = \"y\"\n"
    ));
}

#[test]
fn a_state_in_two_places() {
    assert_snapshot!(check("[state]\nfolder = \"x\"\nurl = \"postgres://sexton@localhost/sexton\"\n"));
}

#[test]
fn a_mistake_of_toml_itself() {
    assert_snapshot!(check("[database.main\nurl = \"app.db\"\n\n[undo]\nkeep = 30 days\n"));
}

#[test]
fn an_operation_that_is_no_table() {
    assert_snapshot!(check(&format!("{MAIN}\n[operation]\nlogs = \"purge\"\n")));
}

#[test]
fn all_mistakes_of_a_file_are_shown_at_once() {
    let desk = Desk::empty();
    desk.write(
        "sexton.toml",
        "ordr = 1\n[database.main]\nurl = \"${NOWHERE}\"\n[operation.a]\nkind = \"purge\"\ntable = \"x\"\n[operation.b]\nkind = \"x\"\n",
    );
    let said = desk.sexton("config check --output json").ends(2).json();
    let problems: Vec<&str> =
        said["problems"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert_eq!(
        problems,
        [
            "sexton.toml:1: `ordr`: unknown key `ordr`",
            "sexton.toml:3: `database.main.url`: the variable `NOWHERE` is not set",
            "sexton.toml:4: `operation.a`: the rule for `x` has no limit: every row would go",
            "sexton.toml:8: `operation.b.kind`: there is no kind `x`",
        ]
    );
}

#[test]
fn a_mistake_stops_what_would_act_by_it() {
    // What looks and what gives back goes on: see broken_config.rs.
    let desk = Desk::ready_with("ordr = 1");
    for line in ["plan --all", "run --all --yes", "run --all --dry-run"] {
        desk.sexton(line).ends(2);
    }
    assert_eq!(desk.count("session"), 50);
}
