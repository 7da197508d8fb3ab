//! Rows that become equal on the way are found before the copy, and a run that ended early leaves nothing that cannot be taken back.

use crate::transfer_kit::{Move, forbidden, found};
use engine::{Status, Stop, What};
use serde_json::json;

/// Keys that SQLite takes for different ones and PostgreSQL does not, each with its table.
const KEYS: [(&str, &str); 4] = [
    ("datetime", "'2024-01-01', '2024-01-01 00:00:00', '2024-01-02'"),
    (
        "uuid",
        "'6f1e1c1c-0000-4000-8000-00000000000a', '6F1E1C1C-0000-4000-8000-00000000000A', '6f1e1c1c-0000-4000-8000-00000000000b'",
    ),
    ("", "1, '1', 'x'"),
    ("decimal(10, 2)", "'1.5', '1.50', '2.5'"),
];

#[test]
fn keys_that_become_equal_on_the_way_are_found_before_the_copy() {
    // S4-025, W-101, W-102
    for (declared, values) in KEYS {
        let rows: Vec<String> =
            values.split(", ").enumerate().map(|(n, value)| format!("({}, {value})", n + 1)).collect();
        // a typeless column keeps the text of a number
        let typ = if declared.starts_with("decimal") { "text" } else { declared };
        let it = Move::of(&format!(
            "create table t (id integer primary key, k {typ} unique); insert into t values {}",
            rows.join(", ")
        ));
        let map = match declared.starts_with("decimal") {
            true => json!({"t": {"columns": {"k": {"cast": "numeric(10, 2)"}}}}),
            false => json!({}),
        };
        let plan = it.plan(json!({ "map": map }));
        assert_eq!(forbidden(&plan), ["dirty_duplicate t.k"], "{declared}");
        let told = format!("{:?}", plan.items[0].findings);
        assert!(told.contains("1 value is there more than once") && told.contains("(id 2)"), "{told}");
        let options = json!({"dirty": {"duplicate": "quarantine"}, "map": map});
        let report = it.run(options.clone());
        assert_eq!(report.status, Status::Partial, "{declared}: {report:#?}");
        for code in ["differs", "not_carried"] {
            assert!(!found(&report).iter().any(|one| one.starts_with(code)), "{declared}: {report:#?}");
        }
        assert_eq!(it.list("select id from t order by id"), ["1", "3"], "{declared}");
        let mut again = options;
        again["action"] = json!("verify");
        assert_eq!(it.run(again).status, Status::Completed, "{declared}");
    }
}

#[test]
fn a_key_that_only_the_target_has_is_asked_before_the_copy() {
    // S4-025, W-101
    let it = Move::of(
        "create table people (id integer primary key, email text, team integer, no integer);
         create table notes (id integer primary key, person integer references people);
         insert into people values (1, 'a', 1, 1), (2, 'b', 1, 2), (3, 'a', 2, 1), (4, null, 2, 1), (5, null, 3, 1);
         insert into notes values (1, 1), (2, 3), (3, 5)",
    );
    it.to.script(
        "create table people (id bigint primary key, email text unique, team bigint, no bigint, unique (team, no));
         create table notes (id bigint primary key, person bigint references people)",
    );
    let plan = it.plan(json!({"existing": true}));
    assert_eq!(forbidden(&plan), ["dirty_duplicate people.email", "dirty_duplicate people.team"]);
    let report = it.run_in(2, json!({"existing": true, "policy": "quarantine"}));
    assert_eq!(report.status, Status::Partial, "{report:#?}");
    assert_eq!(it.list("select id from people order by id"), ["1", "2", "5"]);
    assert_eq!(it.list("select id from notes order by id"), ["1", "3"], "who referred to one of them");
    // twelve thousand rows with one value are not about the data
    let it = Move::of(
        "create table t (id integer primary key, n integer); \
         insert into t with recursive c(i) as (select 1 union all select i + 1 from c where i < 12001) select i, 7 from c",
    );
    it.to.script("create table t (id bigint primary key, n bigint unique)");
    let plan = it.plan(json!({"existing": true, "policy": "quarantine"}));
    assert_eq!(forbidden(&plan), ["dirty_duplicate t.n"]);
    assert!(format!("{:?}", plan.items[0].findings).contains("more than 10 000 rows are equal"));
}

#[test]
fn a_reference_to_a_key_that_could_not_be_made_is_told_and_the_rest_is_finished() {
    // W-099
    let it = Move::of(
        "create table p (id integer primary key, name text); create table c (id integer primary key, p integer references p);
         insert into p values (1, 'a'), (2, 'b'); insert into c values (1, 1), (2, 2)",
    );
    let steps = it.plan(json!({})).items[0].steps.clone();
    let last = steps.iter().rposition(|step| step.action == "load").unwrap();
    let report = it.watch(json!({}), &mut |event| {
        if matches!(event.what, What::StepDone { step } if step == last) {
            it.to.script("insert into p select * from p where id = 1");
        }
    });
    assert_eq!(report.status, Status::Partial, "{report:#?}");
    let told = found(&report);
    for name in ["not_carried p_pkey", "not_carried c_p_fkey"] {
        assert_eq!(told.iter().filter(|one| *one == name).count(), 1, "{told:?}");
    }
    let result = report.operations[0].result.as_ref().unwrap();
    assert_eq!(result["verdict"], "different");
    assert_eq!(it.list("select relname from pg_class where reloptions::text like '%autovacuum%'"), [""; 0]);
    assert_eq!(
        it.list("select count(*) from pg_constraint where contype = 'p' and conrelid = 'c'::regclass"),
        ["1"]
    );
}

const SMALL: &str = "create table people (id integer primary key, boss integer); create table notes (id integer primary key, person integer);
    insert into people values (1, 4), (2, 1), (3, null), (4, 2); insert into notes values (1, 1), (2, 2), (3, 3)";

#[test]
fn a_run_that_ended_early_is_taken_back() {
    // S4-016, W-096
    let mut taken = 0;
    for nth in (1..200).filter(|nth| nth % 11 == 7) {
        let it = Move::of(SMALL);
        let plan = it.plan_with(json!({}), |manners| manners.batch_size = Some(2));
        let engine = it.engine();
        engine.faults().arm(nth);
        let outcome = engine.run(&plan, &Stop::default(), &mut |_| {});
        drop(engine);
        if outcome.is_ok() {
            assert!(taken > 3, "{taken} were taken back");
            return;
        }
        let tables = || it.list("select relname from pg_class where relname in ('people', 'notes')");
        if tables().is_empty() {
            continue;
        }
        let refused = it.plan(json!({}));
        if forbidden(&refused).is_empty()
            || it.list("select count(*) from pg_class where relname = 'carried'") == ["0"]
        {
            continue;
        }
        let told = format!("{:?}", refused.items[0].findings);
        assert!(told.contains("sexton transfer rollback"), "after point {nth}: {told}");
        let back = json!({"action": "rollback"});
        let preview = it.plan(back.clone());
        let statements = preview.items[0].steps[0].statements.join("; ");
        assert!(statements.starts_with("drop table if exists "), "{statements}");
        assert_eq!(tables().len(), 2, "a preview changes nothing");
        let report = it.run(back.clone());
        assert_eq!(report.status, Status::Completed, "after point {nth}: {report:#?}");
        assert_eq!(tables(), [""; 0], "after point {nth}");
        assert!(!it.to.leftovers().iter().any(|one| one.contains("carried") || one.contains("ahead")));
        assert!(it.plan(back).items[0].steps.is_empty(), "once is enough");
        assert_eq!(it.run(json!({})).status, Status::Completed, "after point {nth}");
        taken += 1;
    }
    panic!("there is no end");
}

#[test]
fn tables_of_the_application_are_empty_again_and_have_their_references_when_a_run_is_taken_back() {
    // S4-016, S4-024
    for refers in [false, true] {
        let it = Move::of(SMALL);
        it.to.script(
            "create table people (id bigint primary key, boss bigint constraint has_boss references people);
             create table notes (id bigint primary key, person bigint references people);
             create function no() returns trigger language plpgsql as $$ begin raise exception 'not this one'; end $$;
             create trigger no before insert on notes for each row when (new.id = 3) execute function no();",
        );
        if refers {
            it.to.script("create table other (person bigint references people)");
        }
        let references = "select conname, pg_get_constraintdef(oid), convalidated from pg_constraint where contype = 'f' order by 1";
        let before = it.list(references);
        assert_eq!(it.run_in(2, json!({"existing": true})).status, Status::Failed);
        assert_ne!(it.list("select count(*) from people"), ["0"]);
        let told = format!("{:?}", it.plan(json!({"existing": true})).items[0].findings);
        assert!(told.contains("sexton transfer rollback"), "{told}");
        let report = it.run(json!({"action": "rollback"}));
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        let message = report.operations[0].result.as_ref().unwrap()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("nothing of it is left in the target"), "{message}");
        assert_eq!(it.list("select count(*) from people union all select count(*) from notes"), ["0", "0"]);
        assert_eq!(it.list(references), before, "{refers}");
        it.to.script("drop trigger no on notes");
        assert_eq!(it.run(json!({"existing": true})).status, Status::Completed);
    }
}
