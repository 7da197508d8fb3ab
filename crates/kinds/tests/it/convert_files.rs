//! Conversions into files: E0's markdown plans become JSON, whole or not at all, once, and go away again.

use crate::convert::Converting;
use crate::files_kit::file;
use crate::stage::{Stage, both};
use engine::Status;
use serde_json::{Value as Json, json};
use testkit::Story;

const TABLES: &str = "
    create table planners (planner_id text primary key, execution_plan text, status text);
    insert into planners values
      ('planner-1', 'Intro
- first task
- second  
  - indented
* star
1. one
[x] box', 'completed'),
      ('planner-2', '- only', 'completed'),
      ('planner-3', '- not yet', 'running'),
      ('planner-4', null, 'completed'),
      ('planner-5', '{\"tasks\": []}', 'completed'),
      ('planner-6', 'no tasks', 'completed');";

/// The parser of E0.
fn program() -> String {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/e0/plans.jq");
    std::fs::read_to_string(file).unwrap()
}

fn options(more: Json) -> Json {
    let mut options = json!({
        "table": "planners",
        "where": "execution_plan is not null and status = 'completed'",
        "input": ["planner_id", "execution_plan"],
        "text": ["execution_plan"],
        "jq": program(),
        "args": {"items": ["- "], "execution_plan_model_filename": "execution_plan_model.json"},
        "into": "file",
        "store": "store",
        "file": "{planner_id}/{execution_plan_model_filename}",
    });
    for (name, value) in more.as_object().unwrap() {
        options[name] = value.clone();
    }
    options
}

fn read(stage: &Stage, name: &str) -> Json {
    let text =
        std::fs::read_to_string(stage.workshop.store().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn markdown_plans_become_files() {
    // S0-031, S0-032, S0-033, S0-034, S0-035, S0-036, S0-037, S0-038, W-016
    both(TABLES, TABLES, |stage| {
        let report = stage.convert(options(json!({})));
        let done = &report.operations[0];
        assert_eq!(
            (report.status, done.rows_changed, done.rows_skipped),
            (Status::Completed, 3, 1),
            "{report:#?}"
        );
        let plan = read(stage, "planner-1/execution_plan_model.json");
        let column =
            &stage.place.rows("select execution_plan from planners where planner_id = 'planner-1'")[0][0];
        assert_eq!(plan["overall_plan"].as_str(), column.as_text(), "byte for byte");
        assert!(plan["user_question"].is_string());
        let tasks: Vec<&str> = plan["tasks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|task| task["task_description"].as_str().unwrap())
            .collect();
        assert_eq!(tasks, ["first task", "second"]);
        let task = &plan["tasks"][0];
        assert_eq!(task["acceptance_criteria"].as_array().unwrap().len(), 1);
        let context = task["task_context"].as_object().unwrap();
        assert_eq!(context.keys().collect::<Vec<_>>(), ["user_request", "context", "previous_outputs"]);
        assert_eq!(context["previous_outputs"], json!([]));
        assert!(!stage.workshop.store().join("planner-3").exists());
        assert!(!stage.workshop.store().join("planner-5").exists());
        let result = done.result.as_ref().unwrap();
        assert_eq!(result["made"], 3);
        assert_eq!(result["skipped"], json!({"structured already": 1}));
        // the introduction, the indented item, the star, the number, the box; and the one plan without tasks
        assert_eq!(result["counts"], json!({"tasks": 3, "unparsed_lines": 6}));
        // W-015: a second run converts nothing
        let again = stage.convert(options(json!({})));
        assert_eq!((again.status, again.operations[0].rows_changed), (Status::Completed, 0));
    });
}

#[test]
fn the_rules_of_the_parser_are_options() {
    // W-016
    both(TABLES, TABLES, |stage| {
        let args = json!({"items": ["- ", "* ", "1.", "[x]", "indented"], "execution_plan_model_filename": "p.json"});
        let report = stage.convert(options(json!({"args": args})));
        let plan = read(stage, "planner-1/p.json");
        let tasks: Vec<&str> = plan["tasks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|task| task["task_description"].as_str().unwrap())
            .collect();
        assert_eq!(tasks, ["first task", "second", "indented", "star", "one", "box"]);
        assert_eq!(report.operations[0].result.as_ref().unwrap()["counts"]["unparsed_lines"], 2);
    });
}

#[test]
fn files_come_and_go_whatever_dies() {
    // W-015: nothing is converted twice, what was there stays
    Story::new(
        kinds::catalogue(),
        "convert",
        options(json!({"where": "planner_id in ('planner-1', 'planner-2', 'planner-6')"})),
    )
    .given(|place| place.script(TABLES))
    .stocked(|store| {
        file(store, "planner-1/variables/a.pkl", 3);
        std::fs::create_dir_all(store.join("planner-6")).unwrap();
    })
    .manners(|manners| manners.batch_size = Some(2))
    .after(|_, report| assert_eq!(report.operations[0].result.as_ref().unwrap()["made"], 3))
    .tell();
}

#[test]
fn files_that_take_the_place_of_others_bring_them_back() {
    Story::new(
        kinds::catalogue(),
        "convert",
        options(json!({"existing": "replace", "where": "planner_id in ('planner-1', 'planner-2')"})),
    )
    .given(|place| place.script(TABLES))
    .stocked(|store| file(store, "planner-1/execution_plan_model.json", 20))
    .after(|_, report| assert_eq!(report.operations[0].rows_dependent, 1))
    .tell();
}

#[test]
fn what_is_there_is_kept_and_one_failure_leaves_the_others() {
    // S0-039
    both(TABLES, TABLES, |stage| {
        let store = stage.workshop.store();
        file(&store, "planner-2/execution_plan_model.json", 7);
        // a file where the folder must be
        file(&store, "planner-6", 1);
        let report = stage.convert(options(json!({})));
        let done = &report.operations[0];
        assert_eq!(
            (report.status, done.rows_failed, done.rows_changed),
            (Status::Partial, 1, 1),
            "{report:#?}"
        );
        assert_eq!(std::fs::read(store.join("planner-2/execution_plan_model.json")).unwrap(), b"xxxxxxx");
        let told = &done.result.as_ref().unwrap()["failures"][0];
        assert_eq!(told["row"], "planner_id planner-6");
        std::fs::remove_file(store.join("planner-6")).unwrap();
        let again = stage.convert(options(json!({})));
        assert_eq!((again.status, again.operations[0].rows_changed), (Status::Completed, 1), "{again:#?}");
    });
}

#[test]
fn a_file_that_was_changed_since_is_left_by_the_undo() {
    both(TABLES, TABLES, |stage| {
        let report = stage.convert(options(json!({})));
        let own = stage.workshop.store().join("planner-2/execution_plan_model.json");
        std::fs::write(&own, "{}").unwrap();
        let undone = stage.undo(&report.run_id);
        assert_eq!((undone.status, undone.operations[0].rows_restored), (Status::Partial, 2), "{undone:#?}");
        assert_eq!(std::fs::read(&own).unwrap(), b"{}");
        assert!(!stage.workshop.store().join("planner-1").exists());
        std::fs::remove_file(&own).unwrap();
        assert_eq!(stage.undo(&report.run_id).status, Status::Completed);
        assert_eq!(stage.convert(options(json!({}))).operations[0].rows_changed, 3);
    });
}

#[test]
fn names_that_lead_elsewhere_fail_their_row_and_templates_that_do_are_refused() {
    both(TABLES, TABLES, |stage| {
        stage.place.script("insert into planners values ('../up', '- x', 'completed'), ('', '- x', 'completed'), ('..', '- x', 'completed')");
        let report = stage.convert(options(json!({})));
        assert_eq!(
            (report.operations[0].rows_changed, report.operations[0].rows_failed),
            (3, 3),
            "{report:#?}"
        );
        for bad in [
            "/etc/{planner_id}",
            "{planner_id}//x",
            "../{planner_id}",
            "{nope}/x",
            "{planner_id",
            ".sexton-quarantine/{planner_id}",
        ] {
            let said = stage.refused_conversion(options(json!({"file": bad})));
            assert!(said.contains("help:"), "{bad}: {said}");
        }
        // One file for several rows: the first has it.
        stage.place.script("delete from planners where planner_id not like 'planner-%'");
        stage.undo(&report.run_id);
        let report = stage.convert(options(json!({"file": "one.json", "args": {"items": ["- "]}})));
        assert_eq!(
            (report.operations[0].rows_changed, report.operations[0].rows_failed),
            (1, 2),
            "{report:#?}"
        );
    });
}
