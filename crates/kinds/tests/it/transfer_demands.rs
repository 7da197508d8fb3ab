//! What the tables of the application demand beside their columns: domains, unique keys that are more than columns, exclusions; and
//! a source that goes on changing after the plan.

use crate::transfer_kit::{Move, forbidden};
use engine::{Status, Stop};
use serde_json::json;
use testkit::story;

#[test]
fn the_conditions_of_domains_are_asked_before_the_copy() {
    // S4-025, W-101
    let it = Move::of(
        "create table t (id integer primary key, a real, b integer, c text);
         insert into t values (1, 5, 5, 'x'), (2, -1, 7, 'y'), (6, 5, 6, 'y'), (3, 200, 7, null), (4, null, 20, 'z'), (5, 6, 5, 'long')",
    );
    it.to.script(
        "create domain amount as numeric(8, 2) constraint is_positive check (value > 0); create domain price as amount check (value < 100);
         create domain \"Count\" as int check (VALUE <> 6); create domain word as text not null check (length(value) < 4);
         create table t (id int primary key, a price, b \"Count\", c word, constraint small check (a + b < 25))",
    );
    let mut told = forbidden(&it.plan(json!({"existing": true})));
    told.sort();
    assert_eq!(told, ["dirty_check t.a", "dirty_check t.b", "dirty_check t.c", "dirty_null t.c"]);
    let options = json!({"existing": true, "dirty": {"check": "quarantine", "null": "quarantine"}});
    let report = it.run(options.clone());
    assert_eq!(report.status, Status::Partial, "{report:#?}");
    assert_eq!(it.list("select id, a, b, c from t order by id"), ["1|5.00|5|x", "4|null|20|z"]);
    let mut again = options;
    again["action"] = json!("verify");
    assert_eq!(it.run(again).status, Status::Completed);
}

#[test]
fn a_column_that_must_have_a_value_and_gets_none_is_told_before_the_copy() {
    // S4-025
    let it = Move::of("create table t (id integer primary key, a integer); insert into t values (1, 1)");
    it.to.script(
        "create domain word as text not null; create domain state as word; create domain day as date not null default '2024-01-02';
         create domain below as text not null; create domain above as below; alter domain below set default 'y';
         create table t (id int primary key, a int, b int not null, c state, d day, e state default 'new', f int not null default 3, g text,
           h above default null)",
    );
    assert_eq!(
        forbidden(&it.plan(json!({"existing": true}))),
        ["no_value t.b", "no_value t.c", "no_value t.h"]
    );
    it.to.script("alter table t alter b set default 1, alter c set default 'x', alter h set default 'z'");
    assert_eq!(it.run(json!({"existing": true})).status, Status::Completed);
    assert_eq!(it.list("select * from t"), ["1|1|1|x|2024-01-02|new|3|null|z"]);
}

#[test]
fn keys_over_expressions_and_with_conditions_are_asked_before_the_copy() {
    // S4-025, W-101
    let it = Move::of(
        "create table t (id integer primary key, email text, code text, gone text, n real, m integer);
         insert into t values (1, 'Ann@x.org', 'a', null, 1.50, 1), (2, 'ann@X.org', 'b', null, 2, 2), (3, 'bob@x.org', 'a', '2024-01-01', 3, null),
           (4, 'cy@x.org', 'a', null, 4, 4), (5, null, 'c', null, 5, null), (6, null, 'd', null, 6, 6)",
    );
    it.to.script(
        "create table t (id int primary key, email text, code text, gone timestamptz, n numeric, m int, absent date);
         create unique index by_email on t (lower(email)); create unique index living on t (code) where gone is null and absent is null",
    );
    assert_eq!(
        forbidden(&it.plan(json!({"existing": true}))),
        ["dirty_duplicate t.email", "dirty_duplicate t.code"]
    );
    let options = json!({"existing": true, "dirty": {"duplicate": "quarantine"}});
    let report = it.run_in(2, options.clone());
    assert_eq!(report.status, Status::Partial, "{report:#?}");
    assert_eq!(it.list("select id from t order by id"), ["1", "3", "5", "6"]);
    let mut again = options;
    again["action"] = json!("verify");
    assert_eq!(it.run(again).status, Status::Completed);
    // NULLs are equal in some keys
    it.to.script(
        "truncate t; drop index by_email, living; create unique index nulls on t (m) nulls not distinct",
    );
    assert_eq!(forbidden(&it.plan(json!({"existing": true}))), ["dirty_duplicate t.m"]);
    // decimals are equal whatever their last zeros, and what the target fills in is not known
    it.to.script(
        "drop index nulls; create domain amount as numeric; alter table t alter n type amount; create unique index by_n on t ((n * 0)) where m < 3; alter table t alter absent set default now();
         create unique index by_day on t (code, (absent + 1)); alter table t add constraint early check (m < 9 or absent is null)",
    );
    let plan = it.plan(json!({"existing": true}));
    let findings = plan.items[0].findings.iter().filter(|finding| finding.code == "not_asked");
    let told: Vec<&str> = findings.map(|finding| finding.what.as_str()).collect();
    assert_eq!(forbidden(&plan), ["dirty_duplicate t.n"], "{told:?}");
    assert!(
        told.len() == 2 && told.concat().contains("`early`") && told.concat().contains("`by_day`"),
        "{told:?}"
    );
}

#[test]
fn an_exclusion_that_cannot_be_asked_is_told_and_ends_the_run_with_its_name() {
    // S4-024, S4-025
    let it = Move::of(
        "create table t (id integer primary key, day integer, boss integer references t); insert into t values (1, 5, 2), (2, 6, null), (3, 5, 1)",
    );
    it.to.script(
        "create table t (id int primary key, day int, boss int references t, constraint one_a_day exclude (day with =))",
    );
    let references = "select conname, convalidated from pg_constraint where contype = 'f'";
    let before = it.list(references);
    let plan = it.plan(json!({"existing": true}));
    assert_eq!(forbidden(&plan), [""; 0]);
    let told = format!("{:?}", plan.items[0].findings);
    assert!(told.contains("not_asked") && told.contains("`one_a_day`, EXCLUDE"), "{told}");
    let engine = it.engine();
    let report = story::run(&engine, &plan);
    assert_eq!(report.status, Status::Failed, "{report:#?}");
    assert!(format!("{:?}", report.operations[0].errors).contains("one_a_day"), "{report:#?}");
    assert_eq!(it.list(references).len(), before.len());
    assert_eq!(it.list("select count(*) from t"), ["0"]);
    it.to.script("alter table t drop constraint one_a_day");
    let report = engine.resume("latest", &Stop::default(), &mut |_| {}).unwrap();
    assert_eq!((report.status, it.list(references)), (Status::Completed, before), "{report:#?}");
}

#[test]
fn what_came_after_the_plan_is_named_as_the_reason() {
    // W-101, W-102
    let it = Move::of(
        "create table people (id integer primary key, age integer); create table orders (id integer primary key, person integer references people);
         insert into people values (1, 30); insert into orders values (1, 1)",
    );
    let options =
        json!({"policy": "quarantine", "map": {"people": {"columns": {"age": {"cast": "smallint"}}}}});
    let plan = it.plan(options.clone());
    // a row that is kept aside, and one that refers to it
    it.from.script("insert into people values (2, 99999); insert into orders values (2, 2)");
    let report = story::run(&it.engine(), &plan);
    assert_eq!(report.status, Status::Partial, "{report:#?}");
    let mut told: Vec<&str> =
        report.operations[0].findings.iter().map(|finding| finding.code.as_str()).collect();
    told.sort_unstable();
    told.dedup();
    assert!(
        ["not_carried", "quarantine", "source_changed"].iter().all(|code| told.contains(code)),
        "{told:?}"
    );

    // where the references are there already, the run ends
    let it = Move::of(
        "create table people (id integer primary key, age integer); create table orders (id integer primary key, person integer references people);
         insert into people values (1, 30); insert into orders values (1, 1)",
    );
    it.to.script("create table people (id int primary key, age smallint); create table orders (id int primary key, person int references people)");
    let options = json!({"policy": "quarantine", "existing": true});
    let plan = it.plan(options.clone());
    it.from.script("insert into people values (2, 99999); insert into orders values (2, 2)");
    let report = story::run(&it.engine(), &plan);
    assert_eq!(report.status, Status::Failed, "{report:#?}");
    let told = format!("{:?}", report.operations[0].errors);
    assert!(
        told.contains("orders_person_fkey") && told.contains("may have changed since it was planned"),
        "{told}"
    );
    it.run(json!({"action": "rollback"}));
    let report = it.run(options);
    assert_eq!(
        (report.status, it.list("select id from orders")),
        (Status::Partial, vec!["1".to_owned()]),
        "{report:#?}"
    );
}
