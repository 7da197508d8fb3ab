//! Purges by a user who lacks a right: told at planning, with what to grant, and nothing is changed.

use crate::stage::{Stage, codes, options, rows};
use engine::{Plan, Status};
use serde_json::{Value as Json, json};
use testkit::{Place, story};

/// A table of somebody else, of which we get these rights.
fn granted(rights: &str) -> Stage {
    let stage = Stage::new(Place::postgres());
    stage.place.admin_script(&format!("{}; grant {rights} on t to public", rows(5).1));
    stage
}

/// The run is refused, and nothing was written. What its findings say.
fn refused(stage: &Stage, options: Json) -> (Plan, String) {
    let before = stage.place.dump();
    let plan = stage.plan(options);
    let report = story::run(&stage.engine(), &plan);
    assert_eq!(report.status, Status::Refused, "{report:#?}");
    assert_eq!(stage.place.dump(), before);
    assert_eq!(stage.place.leftovers(), Vec::<String>::new());
    let said: Vec<String> = plan.items[0]
        .findings
        .iter()
        .map(|finding| format!("{}: {} ({})", finding.object, finding.what, finding.remedy))
        .collect();
    (plan, said.join("\n"))
}

#[test]
fn a_user_who_may_not_delete_is_told_at_planning_what_to_grant() {
    let stage = granted("select, update, insert");
    let (plan, said) = refused(&stage, options());
    assert_eq!(codes(&plan), ["permission"]);
    assert!(
        said.contains("lacks the right to delete") && said.contains("grant delete on \"public\".\"t\""),
        "{said}"
    );

    let stage = granted("select");
    let (_, said) =
        refused(&stage, json!({"table": "t", "where": "n > 0", "action": "mark", "mark": {"body": "x"}}));
    assert!(said.contains("grant update on \"public\".\"t\""), "{said}");
}

#[test]
fn the_rights_that_the_guide_names_are_enough() {
    let stage = granted("select, update, delete, insert");
    assert_eq!(codes(&stage.plan(options())), Vec::<&str>::new());
    let before = stage.place.dump();
    let report = stage.run(options());
    assert_eq!((report.status, report.totals.deleted), (Status::Completed, 5), "{report:#?}");
    stage.undo(&report.run_id);
    assert_eq!(stage.place.dump(), before);

    // a right in one column is enough to lock rows, and to change that column
    let stage = granted("select, delete, insert, update (body)");
    let report = stage.run(json!({"table": "t", "where": "n > 0", "action": "mark", "mark": {"body": "x"}}));
    assert_eq!((report.status, report.totals.changed), (Status::Completed, 5), "{report:#?}");
}

#[test]
fn who_may_delete_but_not_insert_is_warned_that_an_undo_could_not() {
    let stage = granted("select, update, delete");
    let plan = stage.plan(options());
    assert_eq!(codes(&plan), ["permission"]);
    assert!(plan.items[0].findings[0].remedy.contains("grant insert"), "{:?}", plan.items[0].findings);
    assert_eq!(story::run(&stage.engine(), &plan).status, Status::Completed);
}

#[test]
fn rights_are_looked_at_where_dependent_rows_lie() {
    let stage = Stage::new(Place::postgres());
    stage.place.admin_script(
        "create table t (id int primary key, n int); create table c (id int primary key, t int references t (id));
         create index on c (t); insert into t values (1, 1); insert into c values (1, 1);
         grant select, insert, update, delete on t to public; grant select on c to public",
    );
    let (_, said) = refused(&stage, json!({"table": "t", "where": "n > 0", "dependants": "cascade"}));
    assert!(said.contains("grant update, delete on \"public\".\"c\""), "{said}");
    let (_, said) = refused(&stage, json!({"table": "t", "where": "n > 0", "dependants": "set_null"}));
    assert!(said.contains("grant update on \"public\".\"c\""), "{said}");
}

#[test]
fn only_the_owner_of_a_table_empties_it() {
    let stage = granted("select, update, delete, insert, truncate");
    let (_, said) = refused(&stage, json!({"table": "t", "where": "id < 5", "bulk": "refill"}));
    assert!(said.contains("only its owner"), "{said}");
}

#[test]
fn a_user_who_may_not_make_our_own_tables_is_told_what_to_run() {
    let stage = Stage::new(Place::postgres());
    stage.place.script(&rows(5).1);
    stage.place.admin_script(
        "do $$ begin execute format('alter database %I owner to %I', current_database(), current_user);
           execute format('revoke create on database %I from public', current_database()); end $$",
    );
    let (plan, said) = refused(&stage, options());
    assert_eq!(codes(&plan), ["permission"]);
    assert!(said.contains("create schema sexton authorization"), "{said}");

    // a schema of somebody else is no use either
    stage.place.admin_script("create schema sexton; create table sexton.undo_points (id text)");
    let refusal = stage.refusal(options());
    assert!(refusal.contains("grant usage, create on schema sexton to"), "{refusal}");
    stage.place.admin_script("grant usage, create on schema sexton to public");
    let plan = stage.plan(options());
    assert!(
        plan.items[0].findings[0].remedy.contains("grant all on all tables in schema sexton"),
        "{plan:#?}"
    );
}

#[test]
fn a_rule_that_takes_the_place_of_a_delete_is_a_finding_and_no_raw_error() {
    for (rule, options) in [
        ("delete to t do instead nothing", options()),
        ("delete to t do also notify gone", options()),
        (
            "update to t do instead nothing",
            json!({"table": "t", "where": "n > 0", "action": "mark", "mark": {"body": "x"}}),
        ),
        ("delete to c do instead nothing", json!({"table": "t", "where": "n > 0", "dependants": "cascade"})),
    ] {
        let stage = Stage::new(Place::postgres());
        stage.place.script(&rows(5).1);
        stage.place.script("create table c (t int references t (id)); create index on c (t)");
        stage.place.script(&format!("create rule kept as on {rule}"));
        let (plan, said) = refused(&stage, options.clone());
        assert_eq!(codes(&plan), ["rule"], "{rule}");
        assert!(said.contains("`kept`") && said.contains("disable rule \"kept\""), "{said}");
        let table = if rule.contains("to c") { "c" } else { "t" };
        stage.place.script(&format!("alter table {table} disable rule kept"));
        assert_eq!(stage.run(options).status, Status::Completed, "{rule}");
    }
    // one that is met by no statement of ours does no harm
    let stage = Stage::new(Place::postgres());
    stage.place.script(&format!("{}; create rule kept as on update to t do instead nothing", rows(5).1));
    assert_eq!(codes(&stage.plan(options())), Vec::<&str>::new());
    assert_eq!(stage.run(options()).totals.deleted, 5);
}

#[test]
fn a_right_that_is_missing_elsewhere_is_not_mistaken_for_one_of_our_own() {
    let stage = Stage::new(Place::postgres());
    stage.place.admin_script("create schema others; create table others.t (id int primary key, n int)");
    let refusal = stage.refusal(json!({"table": "others.t", "where": "n = 1"}));
    assert!(refusal.contains("grant usage on schema \"others\""), "{refusal}");
    assert!(!refusal.contains("the condition"), "nothing is wrong with it: {refusal}");
    stage.place.admin_script("grant usage on schema others to public");
    let refusal = stage.refusal(json!({"table": "others.t", "where": "n = 1"}));
    assert!(refusal.contains("on \"t\" to ROLE"), "{refusal}");
}

#[test]
fn a_rule_that_adds_to_what_an_undo_does_is_told_of_before() {
    let stage = Stage::new(Place::postgres());
    stage.place.script(&format!(
        "{}; create table log (id int); create rule r as on insert to t do also insert into log values (new.id)",
        rows(5).1
    ));
    let report = stage.run(options());
    assert_eq!((report.status, report.totals.deleted), (Status::Completed, 5), "{report:#?}");
    assert_eq!(stage.undo_findings(&report.run_id), ["rule"]);
    assert_eq!(stage.undo(&report.run_id).operations[0].rows_restored, 5);
    assert_eq!(stage.number("select count(*) from t"), 5);
}
