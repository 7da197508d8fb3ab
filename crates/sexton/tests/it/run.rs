//! `plan` and `run`: what is chosen, in which order, what is told, how it ends.

use crate::kit::Desk;
use insta::assert_snapshot;

#[test]
fn a_plan_shows_everything_and_changes_nothing() {
    // S1-007, X-07
    let desk = Desk::ready();
    let before = desk.place.dump();
    assert_snapshot!(desk.sexton("plan --all").ends(0).shown());
    assert_eq!(desk.place.dump(), before);
    assert!(!desk.file(".sexton").exists(), "looking makes no state");
}

#[test]
fn a_verbose_plan_shows_the_statements() {
    let said = Desk::ready().sexton("plan logs -v").ends(0);
    assert!(said.stdout.contains("delete from \"audit_log\""), "{}", said.stdout);
}

#[test]
fn a_run_ends_with_the_line_that_undoes_it() {
    let desk = Desk::ready();
    assert_snapshot!(desk.sexton("run logs --yes").ends(0).shown());
    assert_eq!(desk.count("audit_log"), 89);
}

#[test]
fn a_low_operation_asks_nothing() {
    let desk = Desk::ready();
    assert_snapshot!(desk.sexton("run sessions").ends(0).shown());
    assert_eq!(desk.count("session"), 25);
}

#[test]
fn without_a_terminal_a_medium_operation_needs_yes() {
    let desk = Desk::ready();
    assert_snapshot!(desk.sexton("run logs").ends(3).shown());
    assert_eq!(desk.count("audit_log"), 400);
}

#[test]
fn a_dry_run_always_wins() {
    let desk = Desk::ready();
    assert_snapshot!(desk.sexton("run logs --yes --force --dry-run").ends(0).shown());
    assert_eq!(desk.count("audit_log"), 400);
}

#[test]
fn an_unknown_operation_runs_nothing_and_names_the_nearest() {
    // S1-006, S0-104
    let desk = Desk::ready();
    assert_snapshot!(desk.sexton("run sessions lgos --yes").ends(2).shown());
    assert_eq!(desk.count("session"), 50);
    assert!(desk.runs().is_empty());
}

#[test]
fn an_unknown_command_is_a_usage_error() {
    // S0-104
    assert_snapshot!(Desk::ready().sexton("rnu logs").ends(2).shown());
}

#[test]
fn nothing_named_is_a_usage_error_that_names_both_flags() {
    // S1-005
    let said = Desk::ready().sexton("run --yes").ends(2);
    assert!(said.stderr.contains("--operation") && said.stderr.contains("--all"), "{}", said.stderr);
}

#[test]
fn explicit_names_keep_their_order_and_a_group_runs_its_own() {
    // S1-002, S0-103, S0-065, S0-066, S0-070, S1-003
    let desk = Desk::ready();
    for (line, order) in [
        ("run sessions logs", ["sessions", "logs"]),
        ("run --operation logs --operation sessions", ["logs", "sessions"]),
        ("run --operation logs,sessions", ["logs", "sessions"]),
        ("run daily", ["sessions", "logs"]),
        ("run --group daily", ["sessions", "logs"]),
        ("run --all", ["logs", "sessions"]),
    ] {
        let report = desk.sexton(&format!("{line} --dry-run --output report")).ends(0).json();
        let names: Vec<&str> = report["operations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["operation"].as_str().unwrap())
            .collect();
        assert_eq!(names, order, "{line}");
    }
}

#[test]
fn a_flag_wins_over_the_operation_and_the_operation_over_the_defaults() {
    // S2-013, S2-095, S0-097
    let desk = Desk::ready();
    desk.write(
        "sexton.toml",
        &crate::kit::CONFIG
            .replace("max_percent = 100", "max_percent = 100\nbatch_size = 7")
            .replace("title = \"Delete old audit rows\"", "batch_size = 20"),
    );
    let manners = |line: &str, n: usize| {
        let plan = desk.sexton(&format!("plan {line} --output json")).ends(0).json();
        plan["items"][n]["operation"]["manners"]["batch_size"].clone()
    };
    assert_eq!(manners("sessions", 0), 7);
    assert_eq!(manners("logs", 0), 20);
    assert_eq!(manners("logs --batch-size 500", 0), 500);
    assert_eq!(manners("logs sessions --set logs.batch_size=30", 0), 30);
    assert_eq!(manners("logs sessions --set logs.batch_size=30", 1), 7);
    let plan = desk.sexton("plan logs --older-than 14d --output json").ends(0).json();
    assert_eq!(plan["items"][0]["steps"][0]["matched"], 387);
}

#[test]
fn a_flag_reaches_the_targets_that_say_something_about_it() {
    // S0-097
    let desk = Desk::ready();
    desk.write(
        "sexton.toml",
        "[database.main]\nurl = \"app.db\"\n[operation.all_of_it]\nkind = \"purge\"\nmax_percent = 100\n\
         [[operation.all_of_it.targets]]\ntable = \"audit_log\"\nage_column = \"created_at\"\nolder_than = \"90 days\"\n\
         [[operation.all_of_it.targets]]\ntable = \"session\"\nexpires = \"expires_at\"\n",
    );
    let plan = desk
        .sexton("plan all_of_it --older-than 14d --triggers fire --undo none --output json")
        .ends(0)
        .json();
    let options = &plan["items"][0]["operation"]["options"];
    assert_eq!(options["targets"][0]["older_than"], "14d");
    assert_eq!(options["targets"][1].get("older_than"), None);
    assert_eq!(options["targets"][1]["triggers"], "fire");
    assert_eq!(options["undo"], "none");
    assert_eq!(options.get("older_than"), None);
    assert_eq!(plan["items"][0]["steps"][0]["matched"], 387);
}

#[test]
fn a_flag_takes_what_the_configuration_would_take() {
    let desk = Desk::ready();
    assert_snapshot!(desk.sexton("run logs --older-than 90").ends(2).shown());
    assert_snapshot!(desk.sexton("run logs --batch-size many").ends(2).shown());
    assert_snapshot!(desk.sexton("run logs --set older=3d").ends(2).shown());
    assert_snapshot!(desk.sexton("run logs --undo rosw").ends(2).shown());
    assert_snapshot!(desk.sexton("run logs --set severity=LOW").ends(2).shown());
    assert!(desk.runs().is_empty());
}

#[test]
fn a_list_on_the_command_line_takes_names_and_tables() {
    let desk = Desk::empty();
    desk.place.script(
        "create table users (id integer primary key, email text, at text);
         insert into users (email, at) values ('Anna@x', 'a'), (' anna@x', 'a'), ('anna@x', 'b'), ('bob@x', 'a')",
    );
    let by = "--by '{ expression = \"lower(trim(t.email))\" }' --by at";
    let merge = format!("merge --database ./app.db --table users --max-percent 100 {by}");
    desk.sexton(&format!("{merge} --yes")).ends(0);
    assert_eq!(desk.count("users"), 3);
    let wrong = desk.sexton(&merge.replace("expression", "expresion")).ends(2);
    assert!(wrong.stderr.contains("--by"), "{}", wrong.stderr);
}

#[test]
fn a_guard_refuses_and_says_how_to_allow_it() {
    // W-124
    let desk = Desk::ready();
    desk.place.script(
        "insert into audit_log (created_at, action) select created_at, action from audit_log, session",
    );
    assert_snapshot!(desk.sexton("run logs --yes --max-percent 20").ends(3).shown());
    assert_eq!(desk.count("audit_log"), 20_400);
    desk.sexton("run logs --yes --max-percent 20 --force").ends(0);
}

#[test]
fn a_clock_that_runs_ahead_is_refused() {
    // W-124
    let mut desk = Desk::ready();
    desk.set("SEXTON_NOW", "2046-11-20T12:00:00Z");
    let said = desk.sexton("run logs --yes").ends(3);
    assert!(said.stderr.contains("days apart") && said.stderr.contains("--force"), "{}", said.stderr);
}

#[test]
fn a_missing_table_names_the_nearest() {
    let desk = Desk::ready();
    desk.place.script("alter table audit_log rename to audit_logs");
    assert_snapshot!(desk.sexton("plan logs").ends(2).shown());
}

#[test]
fn a_missing_database_is_never_created() {
    let desk = Desk::ready();
    desk.write("sexton.toml", &crate::kit::CONFIG.replace("app.db", "other.db"));
    assert_snapshot!(desk.sexton("run logs --yes").ends(2).shown());
    assert!(!desk.file("other.db").exists());
}

#[test]
fn a_saved_plan_takes_no_other_options() {
    // W-123
    let desk = Desk::ready();
    desk.sexton("plan logs --save logs.plan.json").ends(0);
    for option in [
        "--database ./other.db",
        "--table session",
        "--where '1 = 1'",
        "--older-than 1d",
        "--batch-size 10",
        "--max-percent 100",
        "--keep-newest 1",
        "--max-rows 1",
    ] {
        let said = desk.sexton(&format!("run --plan logs.plan.json --yes {option}")).ends(2);
        let flag = option.split(' ').next().unwrap();
        assert!(said.stderr.contains(&format!("`{flag}` cannot be used with `--plan`")), "{}", said.stderr);
        assert!(said.stderr.contains("help:"), "{}", said.stderr);
    }
    assert_eq!(desk.count("audit_log"), 400);
    desk.sexton("run --plan logs.plan.json --yes --force").ends(0);
    assert_eq!(desk.count("audit_log"), 89);
}

#[test]
fn a_saved_plan_is_run_as_long_as_it_fits() {
    // W-123
    let desk = Desk::ready();
    desk.sexton("plan logs --save logs.plan.json").ends(0);
    desk.place.script(
        "insert into audit_log (created_at, action) select '2001-01-01 00:00:00', 'x' from audit_log",
    );
    assert_snapshot!(desk.sexton("run --plan logs.plan.json --yes").ends(3).shown());
    desk.place.script("delete from audit_log where created_at < '2002'");
    desk.sexton("run --plan logs.plan.json --yes").ends(0);
    assert_eq!(desk.count("audit_log"), 89);
}

#[test]
fn a_kind_is_a_command_without_any_configuration() {
    let desk = Desk::empty();
    desk.place.script(crate::kit::AUDIT);
    let line = "purge --database app.db --table audit_log --age-column created_at --older-than 90d --max-percent 100";
    assert_snapshot!(desk.sexton(line).ends(3).shown());
    assert_eq!(desk.count("audit_log"), 400);
    desk.sexton(&format!("{line} --yes")).ends(0);
    assert_eq!(desk.count("audit_log"), 89);
    assert!(desk.file(".local/state/sexton/state.db").exists());
    // The run remembers its database, so that no configuration is needed to put it back either.
    desk.sexton("undo latest").ends(0);
    assert_eq!(desk.count("audit_log"), 400);
}

#[test]
fn lists_and_tables_have_flags_too() {
    let desk = Desk::empty();
    desk.place.script(crate::kit::AUDIT);
    let line = "purge --database app.db --table audit_log --keep-newest 2 --per action --max-percent 100 --dry-run \
                --and-older '{ column = \"created_at\", than = \"1 day\" }'";
    assert_snapshot!(desk.sexton(line).ends(0).shown());
    let marked = "purge --database app.db --table audit_log --where true --action mark --mark action=seen --max-percent 100 --yes";
    desk.sexton(marked).ends(0);
    assert_eq!(desk.count("audit_log where action = 'seen'"), 400);
}

#[test]
fn a_run_stops_at_its_limit_and_is_resumed() {
    let desk = Desk::ready();
    assert_snapshot!(desk.sexton("run logs --yes --max-rows 100 --batch-size 50").ends(4).shown());
    assert!(desk.count("audit_log") < 400);
    assert_snapshot!(desk.sexton("resume latest").ends(4).shown());
    desk.sexton("resume latest").ends(4);
    desk.sexton("resume latest").ends(0);
    assert_eq!(desk.count("audit_log"), 89);
}

#[test]
fn a_busy_database_has_an_exit_code_of_its_own() {
    // S1-085
    let desk = Desk::ready();
    let database = desk.place.database();
    let mut session = database.open().unwrap();
    assert!(session.try_lock("someone else").unwrap());
    let said = desk.sexton("run logs --yes").ends(6);
    assert!(said.stderr.contains("help: "), "{}", said.stderr);
    assert_eq!(desk.count("audit_log"), 400);
}

#[test]
fn an_attempt_that_found_another_at_work_is_no_failure_and_is_not_the_latest_to_stop() {
    // S3-025, S1-085
    let desk = Desk::ready();
    desk.sexton("run logs --yes").ends(0);
    let database = desk.place.database();
    let mut session = database.open().unwrap();
    assert!(session.try_lock("someone else").unwrap());
    desk.place.script("insert into audit_log (created_at, action) values ('2001-01-01', 'x')");
    let busy = desk.sexton("run logs --yes --output report").ends(6);
    drop(busy);
    drop(session);
    let status = desk.sexton("status logs --output json").ends(0).json();
    assert_eq!(status["statistics"]["success_rate"], 1.0, "{status:#}");
    assert_eq!(
        (&status["statistics"]["total_runs"], &status["statistics"]["failed_runs"]),
        (&1.into(), &0.into())
    );
    // nothing is at work: the newest is over
    let said = desk.sexton("stop latest").ends(2);
    assert!(said.stderr.contains("is over"), "{}", said.stderr);
}

#[test]
fn the_same_commands_work_on_postgresql() {
    let mut desk = Desk::at(testkit::Place::postgres());
    desk.set("DATABASE", &desk.place.url());
    desk.place.script(
        "create table audit_log (id bigint generated always as identity primary key, created_at timestamptz not null);
         insert into audit_log (created_at) select now() - i * interval '1 day' - interval '1 hour' from generate_series(1, 400) i;
         create table session (id bigint primary key, expires_at timestamptz not null)",
    );
    desk.write("sexton.toml", &crate::kit::CONFIG.replace("app.db", "${DATABASE}"));
    desk.sexton("plan --all").ends(0);
    desk.sexton("run logs --yes").ends(0);
    assert_eq!(desk.count("audit_log"), 89);
    desk.sexton("undo latest").ends(0);
    assert_eq!(desk.count("audit_log"), 400);
}
