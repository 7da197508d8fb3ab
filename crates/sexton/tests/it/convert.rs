//! Conversions as users run them: E0's plans, a program that breaks its process, a run that is killed.

use crate::kit::Desk;
use backends::jq::Children;
use serde_json::Value as Json;
use std::process::Stdio;
use std::time::Duration;
use targets::programs::{Outcome, Program, Programs};

#[test]
fn e0_turns_its_markdown_plans_into_files_once() {
    // S0-031, S0-032, S0-037, S0-038, W-015, W-016
    let desk = Desk::empty();
    desk.sexton("example e0 e0").ends(0);
    let config = "--config e0/sexton.toml";
    let plan = desk.sexton(&format!("plan convert-plans {config}")).ends(0).stdout;
    assert!(plan.contains("for example") && plan.contains("planner-101/execution_plan_model.json"), "{plan}");
    let report = desk.sexton(&format!("run convert-plans --output report {config}")).ends(0).json();
    let done = &report["operations"][0];
    assert_eq!((&done["rows_changed"], &done["rows_skipped"]), (&45.into(), &3.into()), "{done:#}");
    assert_eq!(done["result"]["counts"]["tasks"], 126);
    let text =
        std::fs::read_to_string(desk.file("e0/collaterals/planner-101/execution_plan_model.json")).unwrap();
    let plan: Json = serde_json::from_str(&text).unwrap();
    assert_eq!(plan["tasks"][2]["task_description"], "write the summary");
    assert_eq!(plan["user_question"], "question 101");
    let again = desk.sexton(&format!("run convert-plans --output report {config}")).ends(0).json();
    assert_eq!(again["operations"][0]["rows_changed"], 0);
    let id = report["run_id"].as_str().unwrap();
    desk.sexton(&format!("undo apply {id} --yes {config}")).ends(0);
    assert!(!desk.file("e0/collaterals/planner-101").exists());
}

#[test]
fn one_plan_that_cannot_be_written_leaves_the_others_and_the_exit_code_says_so() {
    // S0-039, S0-040
    let desk = Desk::empty();
    desk.sexton("example e0 e0").ends(0);
    let config = "--config e0/sexton.toml";
    std::fs::write(desk.file("e0/collaterals/planner-102"), "in the way").unwrap();
    let said = desk.sexton(&format!("run convert-plans {config}")).ends(5);
    assert!(
        format!("{}{}", said.stdout, said.stderr).contains("planner-102"),
        "{}{}",
        said.stdout,
        said.stderr
    );
    assert!(
        desk.file("e0/collaterals/planner-103").is_dir() || desk.file("e0/collaterals/planner-104").is_dir()
    );
    std::fs::remove_file(desk.file("e0/collaterals/planner-102")).unwrap();
    let again = desk.sexton(&format!("run convert-plans --output report {config}")).ends(0).json();
    assert_eq!(again["operations"][0]["rows_changed"], 1);
    desk.sexton(&format!("run convert-plans --table gone {config}")).ends(2);
}

/// The real worker, with little patience.
fn children(milliseconds: u64) -> Children {
    Children {
        program: env!("CARGO_BIN_EXE_sexton").into(),
        arguments: vec!["jq-worker".into()],
        patience: Duration::from_millis(milliseconds),
    }
}

#[test]
fn a_row_that_brings_its_process_down_fails_alone() {
    let text = "def deep: [deep]; if . == 3 then deep elif . == 5 then last(range(1e18)) \
                elif . == 7 then \"x\" * 1e10 else . * 2 end";
    let program = Program { text: text.to_owned(), args: Vec::new(), now: 0.0, pretty: false };
    let check = |n: usize, outcome: &Outcome| match (n, outcome) {
        (3, Outcome::Failed(why)) => assert!(why.contains("stack or memory"), "{why}"),
        (5, Outcome::Failed(why)) => assert!(why.contains("longer than"), "{why}"),
        (7, Outcome::Failed(_)) => {}
        (_, Outcome::Given(values)) => assert_eq!(values, &[(n * 2).to_string()]),
        other => panic!("{other:?}"),
    };
    let mut running = children(15_000).start(&program).ok().unwrap();
    let some: Vec<usize> = (0..2_000).filter(|n| *n != 5).collect();
    let rows: Vec<String> = some.iter().map(usize::to_string).collect();
    let outcomes = running.transform(&rows).unwrap();
    assert_eq!(outcomes.len(), some.len());
    some.iter().zip(&outcomes).for_each(|(n, outcome)| check(*n, outcome));
    // The one that never ends takes all of the patience, twice: less of it here, and as much as its neighbour may need.
    let mut running = children(4_000).start(&program).ok().unwrap();
    let outcomes = running.transform(&["5".to_owned(), "6".to_owned()]).unwrap();
    assert_eq!(outcomes.len(), 2);
    check(5, &outcomes[0]);
    check(6, &outcomes[1]);
}

#[test]
fn a_program_that_breaks_every_row_is_given_up() {
    let program =
        Program { text: "def deep: [deep]; deep".into(), args: Vec::new(), now: 0.0, pretty: false };
    let mut running = children(10_000).start(&program).ok().unwrap();
    let rows: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let error = running.transform(&rows).unwrap_err();
    assert!(error.what.contains("again and again"), "{error}");
}

#[test]
fn a_worker_sees_no_environment_and_dies_with_nobody_to_serve() {
    let program = Program { text: "env".into(), args: Vec::new(), now: 0.0, pretty: false };
    let error = children(10_000).start(&program).err().unwrap();
    assert!(error.what.contains("`env` is not there"), "{error}");
    let mut worker = std::process::Command::new(env!("CARGO_BIN_EXE_sexton"))
        .arg("jq-worker")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    assert!(worker.wait().unwrap().success());
}

#[test]
fn a_killed_conversion_goes_on_and_converts_nothing_twice() {
    // W-015
    let desk = Desk::empty();
    desk.place.script(
        "pragma journal_mode = wal; create table items (id integer primary key, name text, n integer not null default 0);
         with recursive c(i) as (select 1 union all select i + 1 from c where i < 30000)
         insert into items (id, name) select i, 'name ' || i from c;",
    );
    desk.write(
        "sexton.toml",
        "[database.main]\nurl = \"app.db\"\n[store.out]\nfolder = \"out\"\n[defaults]\nmin_free_disk_mb = 0\n\
         [operation.count]\nkind = \"convert\"\nseverity = \"LOW\"\ntable = \"items\"\nremember = true\nbatch_size = 1000\n\
         columns = { n = \".n + 1\" }\n\
         [operation.write]\nkind = \"convert\"\nseverity = \"LOW\"\ntable = \"items\"\nwhere = \"id <= 600\"\nbatch_size = 50\n\
         jq = \"{name}\"\ninto = \"file\"\nstore = \"out\"\nfile = \"{id}.json\"\n",
    );
    for (operation, wait) in [("count", 250), ("count", 700), ("write", 150), ("write", 400)] {
        let mut run =
            desk.command(&format!("run {operation} --quiet")).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        run.kill().unwrap();
        run.wait().unwrap();
        // 2: it was killed before the run was noted, or it had ended.
        let resumed = desk.sexton("resume latest");
        if resumed.code == 2 {
            desk.sexton(&format!("run {operation}")).ends(0);
        } else {
            assert_eq!(resumed.code, 0, "{}{}", resumed.stdout, resumed.stderr);
        }
        let report = desk.sexton(&format!("run {operation} --output report")).ends(0).json();
        assert_eq!(report["operations"][0]["rows_changed"], 0);
        if operation == "count" {
            assert_eq!(desk.count("items where n = 1"), 30_000, "each once");
        } else {
            assert_eq!(
                std::fs::read_dir(desk.file("out")).unwrap().flatten().filter(|f| f.path().is_file()).count(),
                600
            );
        }
        let runs = desk.sexton(&format!("runs list --operation {operation} --output json")).ends(0).json();
        for run in runs["runs"].as_array().unwrap() {
            desk.sexton(&format!("undo apply {}", run["run_id"].as_str().unwrap()));
        }
        assert_eq!(desk.count("items where n = 0"), 30_000);
    }
}
