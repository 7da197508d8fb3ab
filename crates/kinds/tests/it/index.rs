//! Stories of `index`: what goes comes back just as it was, whatever died in between; what has changed since is a conflict.

use crate::stage::{Stage, both, codes, manners, shown};
use engine::{Plan, Report, Status, Stop};
use serde_json::{Value as Json, json};
use testkit::{Place, Story, story};

const TABLES: &str = "create table p (id integer primary key, code text);
    create table t (id integer primary key, a text, b integer, p_id integer references p (id));
    create index t_a on t (a); create unique index t_ab on t (a, b) where b > 0; create index t_p on t (p_id);
    create index t_lower on t (lower(a));";

fn dropping(options: Json) -> Story {
    Story::new(kinds::catalogue(), "index", options).given(|place| {
        place.script(TABLES);
        place.script("insert into t (id, a, b) values (1, 'x', 1), (2, 'y', 2)");
    })
}

fn plan(stage: &Stage, options: Json, force: bool) -> Plan {
    story::plan(&stage.engine(), &story::request("index", options, manners(), force))
}

fn run(stage: &Stage, options: Json, force: bool) -> Report {
    story::run(&stage.engine(), &plan(stage, options, force))
}

fn names(stage: &Stage) -> Vec<String> {
    let lite =
        "select name from sqlite_schema where type = 'index' and name like 't\\_%' escape '\\' order by 1";
    let server = "select relname from pg_class where relkind = 'i' and relname like 't\\_%' order by 1";
    let all = stage.list(if stage.place.is_sqlite() { lite } else { server });
    all.into_iter().filter(|name| name != "t_pkey").collect()
}

#[test]
fn an_index_goes_and_comes_back_whatever_dies() {
    // S1-056, W-049
    let after = |place: &Place, report: &Report| {
        assert!(!place.dump().contains("t_lower"), "{}", place.dump());
        assert!(place.dump().contains("t_ab"));
        let result = report.operations[0].result.as_ref().unwrap();
        assert_eq!(result["indexes"].as_array().unwrap().len(), 2, "{result}");
        let one = &result["indexes"][0];
        assert_eq!((one["name"].as_str(), one["status"].as_str()), (Some("t_a"), Some("done")), "{result}");
        assert!(one["definition"].as_str().unwrap().to_lowercase().contains("index t_a on"), "{one}");
        assert!(result["message"].as_str().unwrap().starts_with("2 indexes dropped"), "{result}");
    };
    dropping(json!({"drop": ["t_a", "t_lower"]})).after(after).tell();
    // In one transaction, also where it could be otherwise.
    let plainly = dropping(json!({"drop": ["t_a"], "concurrently": false})).without_faults();
    plainly.tell_on(&Place::postgres());
}

#[test]
fn a_unique_index_with_a_condition_comes_back_with_both() {
    dropping(json!({"drop": ["t_ab"]})).forced().without_faults().tell();
}

#[test]
fn what_a_definition_leaves_out_comes_back_too() {
    let stage = Stage::new(Place::postgres());
    stage.place.script(TABLES);
    stage.place.script(
        "create index \"t odd; name\" on t using btree (lower(a) desc nulls last) include (b) with (fillfactor = 70) where b > 3;
         comment on index \"t odd; name\" is 'it''s for the report'; alter index \"t odd; name\" alter column 1 set statistics 500",
    );
    let about = "select pg_get_indexdef(i) || ' ' || obj_description(i, 'pg_class') || ' '
        || (select attstattarget from pg_attribute where attrelid = i and attnum = 1)
        from to_regclass('\"t odd; name\"') as i";
    let before = stage.list(about);
    assert!(before[0].contains("it's for the report") && before[0].contains("500"), "{before:?}");
    let report = run(&stage, json!({"drop": ["t odd; name"]}), false);
    assert_eq!(stage.list("select count(*) from pg_class where relname = 't odd; name'"), ["0"]);
    let undone = stage.undo(&report.run_id);
    assert_eq!(undone.status, Status::Completed, "{undone:#?}");
    assert_eq!(stage.list(about), before);
}

#[test]
fn what_has_changed_since_is_a_conflict() {
    both(TABLES, TABLES, |stage| {
        let report = run(stage, json!({"drop": ["t_a", "t_lower", "t_p"]}), true);
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        assert_eq!(names(stage), ["t_ab"]);
        // Another index has the name, and a column is gone.
        stage.place.script("create index t_a on t (b); alter table t drop column p_id");
        let undone = stage.undo(&report.run_id);
        assert_eq!(undone.status, Status::Partial, "{undone:#?}");
        assert_eq!(names(stage), ["t_a", "t_ab", "t_lower"]);
        let said: Vec<&str> = undone.operations[0].findings.iter().map(|found| found.what.as_str()).collect();
        assert!(said.iter().any(|what| what.contains("another index has its name")), "{said:?}");
        assert!(said.iter().any(|what| what.contains("no column `p_id`")), "{said:?}");
        let points = stage.engine().undo_points("test").unwrap();
        assert_eq!(points.len(), 1);
        let kept = stage.engine().undo_indexes("test", &points[0].id).unwrap();
        assert_eq!(kept.iter().filter(|index| index.state == "conflict").count(), 2, "{kept:?}");
        // What was mended comes back by the same command.
        stage.place.script("drop index t_a; alter table t add column p_id integer");
        let undone = stage.undo(&report.run_id);
        assert_eq!(undone.status, Status::Completed, "{undone:#?}");
        assert_eq!(names(stage), ["t_a", "t_ab", "t_lower", "t_p"]);
        story::forget(&stage.engine());
        assert_eq!(stage.place.leftovers(), Vec::<String>::new());
    });
}

#[test]
fn a_table_that_is_gone_or_of_another_type_is_a_conflict() {
    both(TABLES, TABLES, |stage| {
        let report = run(stage, json!({"drop": ["t_a"]}), false);
        stage.place.script("drop table t");
        let undone = stage.undo(&report.run_id);
        assert_eq!(undone.status, Status::Partial, "{undone:#?}");
        assert!(undone.operations[0].findings[0].what.contains("no longer exists"), "{undone:#?}");
        stage.place.script("create table t (id integer primary key, a integer, b integer, p_id integer)");
        let undone = stage.undo(&report.run_id);
        assert!(undone.operations[0].findings[0].what.contains("`t.a` was"), "{undone:#?}");
        assert_eq!(names(stage), Vec::<String>::new());
    });
}

#[test]
fn rows_that_are_twice_there_now_keep_a_unique_index_away_and_leave_nothing_half_built() {
    both(TABLES, TABLES, |stage| {
        let report = run(stage, json!({"drop": ["t_ab"]}), true);
        stage.place.script("insert into t (id, a, b) values (1, 'x', 1), (2, 'x', 1)");
        let undone = stage.undo(&report.run_id);
        assert_eq!(undone.status, Status::Partial, "{undone:#?}");
        assert_eq!(names(stage), ["t_a", "t_lower", "t_p"], "nothing is left half built");
        assert_eq!(undone.operations[0].rows_failed, 1, "{undone:#?}");
        stage.place.script("delete from t where id = 2");
        let undone = stage.undo(&report.run_id);
        assert_eq!(undone.status, Status::Completed, "{undone:#?}");
        assert_eq!(names(stage), ["t_a", "t_ab", "t_lower", "t_p"]);
        story::forget(&stage.engine());
        assert_eq!(stage.place.leftovers(), Vec::<String>::new());
    });
}

#[test]
fn what_changed_between_plan_and_run_is_passed_over() {
    both(TABLES, TABLES, |stage| {
        let plan = plan(stage, json!({"drop": ["t_a", "t_lower", "t_p"]}), true);
        stage.place.script("drop index t_a; drop index t_lower; create index t_lower on t (upper(a))");
        let report = story::run(&stage.engine(), &plan);
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        let indexes = report.operations[0].result.as_ref().unwrap()["indexes"].clone();
        let reason = |n: usize| indexes[n]["reason"].as_str().unwrap_or_default().to_owned();
        assert!(reason(0).contains("it is gone"), "{indexes}");
        assert!(reason(1).contains("another one now"), "{indexes}");
        assert_eq!(names(stage), ["t_ab", "t_lower"]);
    });
}

#[test]
fn a_drop_that_cannot_get_its_turn_is_told_and_done_again() {
    // S1-070
    let stage = Stage::new(Place::postgres());
    stage.place.script(TABLES);
    let mut other = stage.place.connect();
    other.script("begin; insert into t (id) values (7)").unwrap();
    let mut hasty = manners();
    hasty.lock_timeout = 0.1;
    let patient = stage.patient();
    let request = story::request("index", json!({"drop": ["t_a"]}), hasty, false);
    let plan = story::plan(&patient.engine(), &request);
    let report = patient.engine().run(&plan, &Stop::default(), &mut |_| {}).unwrap();
    assert_eq!(report.status, Status::Partial, "{report:#?}");
    let codes: Vec<&str> = report.operations[0].findings.iter().map(|found| found.code.as_str()).collect();
    assert!(codes.contains(&"half_dropped"), "{codes:?}");
    other.script("rollback").unwrap();
    // The undo point knows it, and so does the next run.
    let engine = patient.engine();
    let undo = engine.undo_request(&report.run_id, Some("test"), "tester").unwrap();
    let undone = story::run(&engine, &story::plan(&engine, &undo));
    assert_eq!(undone.status, Status::Completed, "{undone:#?}");
    assert_eq!(
        stage.list("select indexrelid::regclass::text from pg_index where not indisvalid"),
        Vec::<String>::new()
    );
    let again = story::run(&engine, &story::plan(&engine, &request));
    assert_eq!(again.status, Status::Completed, "{again:#?}");
    assert!(!names(&stage).contains(&"t_a".to_owned()));
}

#[test]
fn nothing_named_is_a_usage_error_and_so_is_a_name_that_is_none() {
    both(TABLES, TABLES, |stage| {
        let refused = |options: Json| {
            let request = story::request("index", options, manners(), false);
            shown(&stage.engine().plan(&request).unwrap_err())
        };
        assert!(refused(Json::Null).contains("which indexes are to go"));
        let unknown = refused(json!({"drop": ["t_z"]}));
        assert!(unknown.contains("no index `t_z`") && unknown.contains("t_a"), "{unknown}");
        assert!(refused(json!({"unused_for": "soon"})).contains("not an age"));
        let none = plan(stage, json!({"invalid": true}), false);
        assert_eq!((none.items[0].steps.len(), codes(&none).len()), (0, 0), "{:?}", none.items[0]);
    });
}
