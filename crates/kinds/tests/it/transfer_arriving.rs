//! What would not arrive is known beforehand, with all that hangs on it, and again when both sides are compared later.

use crate::transfer_kit::{Move, forbidden, found};
use engine::{Event, Status, Stop, What};
use serde_json::{Value as Json, json};

/// People with children of children; one of them does not fit.
const FAMILY: &str = "
    create table people (id integer primary key, age integer, boss integer references people);
    create table orders (id integer primary key, person integer not null references people, no integer unique);
    create table lines (id integer primary key, no integer references orders (no), amount integer);
    insert into people values (1, 30, null), (2, 99999, null), (3, 40, 2), (4, 41, 3), (5, 42, 1);
    insert into orders values (1, 1, 10), (2, 2, 20), (3, 4, 30), (4, 5, 40);
    insert into lines values (1, 10, 1), (2, 20, 2), (3, 30, 3), (4, null, 4), (5, 40, -5);";

const THERE: &str = "
    create table people (id bigint primary key, age smallint, boss bigint references people);
    create table orders (id bigint primary key, person bigint not null references people, no bigint unique);
    create table lines (id bigint primary key, no bigint references orders (no), amount bigint constraint positive check (amount > 0));";

fn family(there: bool, mut options: Json) -> (Move, Json) {
    let it = Move::of(FAMILY);
    if there {
        it.to.script(THERE);
        options["existing"] = json!(true);
    } else {
        options["map"] = json!({"people": {"columns": {"age": {"cast": "smallint"}}}});
    }
    (it, options)
}

#[test]
fn rows_that_refer_to_a_row_that_is_kept_aside_are_kept_aside_too() {
    // W-101, W-102, S4-025
    for there in [false, true] {
        let (it, options) = family(there, json!({"policy": "quarantine"}));
        let plan = it.plan(options.clone());
        let told = format!("{:?}", plan.items[0].findings);
        for said in ["3 rows will be kept aside", "2 rows will be kept aside"] {
            assert!(told.contains(said), "{there}: {told}");
        }
        let report = it.run_in(2, options.clone());
        assert_eq!(report.status, Status::Partial, "{there}: {report:#?}");
        let ids = |table: &str| it.list(&format!("select id from {table} order by id")).join(" ");
        assert_eq!(ids("people"), "1 5", "{there}");
        assert_eq!(ids("orders"), "1 4", "{there}");
        assert_eq!(ids("lines"), if there { "1 4" } else { "1 4 5" }, "{there}");
        let broken = it.list("select conname from pg_constraint where contype = 'f' and not convalidated");
        assert_eq!(broken, [""; 0], "{there}");
        for code in ["differs", "not_carried"] {
            assert!(!found(&report).iter().any(|one| one.starts_with(code)), "{there}: {report:#?}");
        }
    }
}

#[test]
fn what_refers_to_a_row_that_is_kept_aside_follows_the_policy_of_references() {
    // W-101, W-102
    let (it, options) = family(true, json!({"dirty": {"out_of_range": "quarantine", "check": "quarantine"}}));
    let mut refused = forbidden(&it.plan(options));
    refused.sort();
    assert_eq!(refused, ["dirty_reference orders.person", "dirty_reference people.boss"]);
    let dirty = json!({"out_of_range": "quarantine", "check": "null", "reference": "null"});
    let (it, options) = family(true, json!({ "dirty": dirty }));
    it.from.script("delete from lines where id = 2; delete from orders where id = 2");
    let report = it.run(options);
    assert_eq!(report.status, Status::Partial, "{report:#?}");
    assert_eq!(it.list("select id, boss from people order by id"), ["1|null", "3|null", "4|3", "5|1"]);
    assert_eq!(it.list("select count(*) from orders"), ["3"]);
}

#[test]
fn a_later_comparison_knows_what_was_kept_aside_or_changed() {
    // S4-017, S4-018, W-101
    for there in [false, true] {
        for (policy, and_orders) in [("quarantine", true), ("null", false)] {
            let options = json!({"policy": policy});
            let (it, mut options) = family(there, options);
            if !and_orders {
                it.from.script("pragma foreign_keys = off; insert into people values (6, 1, 77)");
            }
            it.from.script("pragma foreign_keys = off; insert into lines values (6, 77, 1)");
            let report = it.run(options.clone());
            assert_eq!(report.status, Status::Partial, "{there} {policy}: {report:#?}");
            options["action"] = json!("verify");
            for proof in ["rows", "counts"] {
                options["verify"] = json!(proof);
                let again = it.run(options.clone());
                assert_eq!(again.status, Status::Completed, "{there} {policy} {proof}: {again:#?}");
                if policy == "quarantine" {
                    // rows that were kept aside are so whatever is said now
                    let mut bare = options.clone();
                    bare.as_object_mut().unwrap().remove("policy");
                    let again = it.run(bare);
                    assert_eq!(again.status, Status::Completed, "{there} {proof}: {again:#?}");
                }
            }
            it.to.script("delete from lines where id = 4");
            assert_eq!(it.run(options.clone()).status, Status::Partial, "{there} {policy}");
        }
    }
}

#[test]
fn a_later_comparison_reads_numbers_as_the_times_that_they_became() {
    // S4-017, S4-018
    let it = Move::of(
        "create table t (id integer primary key, seconds datetime, millis timestamp, said datetime);
         insert into t values (1, 1704067200, 1704067200123, '2024-01-02'), (2, 1719792000, 1719792000000, null), (3, null, null, null)",
    );
    assert_eq!(it.run(json!({})).status, Status::Completed);
    assert_eq!(it.list("select count(*) from t where millis = '2024-01-01 00:00:00.123z'"), ["1"]);
    let again = it.run(json!({"action": "verify"}));
    assert_eq!(again.status, Status::Completed, "{again:#?}");
    it.to.script("update t set millis = millis + interval '1 second' where id = 1");
    assert_eq!(found(&it.run(json!({"action": "verify"}))), ["differs t"]);
}

/// Tables of which one refers to itself, so that its reference is away while rows come.
const CIRCLE: &str = "
    create table people (id bigint primary key, boss bigint constraint has_boss references people);
    create table notes (id bigint primary key, person bigint references people);
    create function no() returns trigger language plpgsql as $$ begin raise exception 'not this one'; end $$;
    create trigger no before insert on notes for each row when (new.id = 3) execute function no();";

#[test]
fn a_copy_that_fails_puts_the_references_of_the_application_back_and_takes_them_again() {
    // S4-016, S4-024, W-096
    let it = Move::of(
        "create table people (id integer primary key, boss integer); create table notes (id integer primary key, person integer);
         insert into people values (1, 4), (2, 1), (3, null), (4, 2); insert into notes values (1, 1), (2, 2), (3, 3)",
    );
    it.to.script(CIRCLE);
    let references =
        "select conname, pg_get_constraintdef(oid) from pg_constraint where contype = 'f' order by 1";
    let before = it.list(references);
    let plan = it.plan_with(json!({"existing": true}), |manners| manners.batch_size = Some(2));
    let mut noted = String::new();
    let engine = it.engine();
    for attempt in 1..=2 {
        let mut see = |event: &Event| {
            if let What::Noted { text } = &event.what {
                noted.push_str(text);
            }
        };
        let report = match attempt {
            1 => engine.run(&plan, &Stop::default(), &mut see).unwrap(),
            _ => engine.resume("latest", &Stop::default(), &mut see).unwrap(),
        };
        assert_eq!(report.status, Status::Failed, "{report:#?}");
        assert!(format!("{:?}", report.operations[0].errors).contains("not this one"));
        assert_eq!(it.list(references).len(), 2, "attempt {attempt}");
        assert!(it.to.try_script("insert into people values (100, 99)").is_err(), "attempt {attempt}");
    }
    // what the second attempt took away again came back with its batch
    assert_eq!(noted.matches("1 reference put back").count(), 1, "{noted}");
    it.to.script("drop trigger no on notes");
    let report = engine.resume("latest", &Stop::default(), &mut |_| {}).unwrap();
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(it.list(references), before);
    assert_eq!(it.list("select count(*) from notes"), ["3"]);
    assert!(!it.to.leftovers().iter().any(|one| one.contains("released") || one.contains("carried")));
}

#[test]
fn checks_of_new_tables_are_asked_before_anything_is_copied() {
    // S4-025, W-101
    let it = Move::of(
        "create table t (id integer primary key, n integer, code text, check (n < 100), constraint short check (length(code) < 5));
         pragma ignore_check_constraints = on;
         insert into t values (1, 5, 'a'), (2, 500, 'b'), (3, 7, 'far too long'), (4, null, null)",
    );
    let mut refused = forbidden(&it.plan(json!({})));
    refused.sort();
    assert_eq!(refused, ["dirty_check t.code", "dirty_check t.n"]);
    let report = it.run(json!({"dirty": {"check": "quarantine"}}));
    assert_eq!(report.status, Status::Partial, "{report:#?}");
    assert_eq!(it.list("select id from t order by id"), ["1", "4"]);
    assert_eq!(it.list("select source_key from sexton.unloaded order by 1"), ["id 2", "id 3"]);
    assert_eq!(it.run(json!({"action": "verify"})).status, Status::Completed);
    // a mapping may make values that no row had
    let it = Move::of(
        "create table t (id integer primary key, n integer check (n < 100)); insert into t values (1, 5)",
    );
    let map = json!({"t": {"columns": {"n": {"values": {"5": 500}}}}});
    assert_eq!(forbidden(&it.plan(json!({ "map": map }))), ["dirty_check t.n"]);
}

#[test]
fn the_report_of_a_transfer_has_the_shape_t1() {
    // T1
    let keys = |one: &Json, names: &[&str]| {
        let has = |name: &&&str| !one.as_object().unwrap().contains_key(**name);
        names.iter().filter(has).map(|name| (*name).to_owned()).collect::<Vec<_>>()
    };
    let shape =
        ["tables", "phases", "downtime_seconds", "query_checks", "timings_before_after", "backup", "verdict"];
    let of_table = [
        "name",
        "source_rows",
        "target_rows",
        "quarantined",
        "checksum_source",
        "checksum_target",
        "mismatches",
    ];
    let told = |it: &Move, options: Json| {
        let result = it.run(options).operations[0].result.clone().unwrap();
        assert_eq!(keys(&result, &shape), [""; 0], "{result:#}");
        for table in result["tables"].as_array().unwrap() {
            assert_eq!(keys(table, &of_table), [""; 0], "{table:#}");
        }
        result
    };
    let named = |result: &Json| {
        let phases = result["phases"].as_array().unwrap().iter();
        phases.map(|phase| phase["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    let (it, options) = family(false, json!({"policy": "null"}));
    it.from.script("update people set age = 1");
    let result = told(&it, options.clone());
    assert_eq!(named(&result), "look copy index validate finish compare", "{result:#}");
    let seconds = result["phases"].as_array().unwrap().iter().map(|phase| phase["seconds"].as_f64().unwrap());
    assert!(seconds.sum::<f64>() > 0.0, "{result:#}");
    assert_eq!(result["verdict"], "same");
    assert_eq!(result["tables"][0]["source_rows"], result["tables"][0]["target_rows"]);
    assert_eq!(result["tables"][0]["checksum_source"], result["tables"][0]["checksum_target"]);
    let mut asked = options.clone();
    asked["action"] = json!("verify");
    assert_eq!(named(&told(&it, asked.clone())), "look compare");
    asked["queries"] = json!({"differs": {"source": "select 1", "target": "select 2"}});
    let result = told(&it, asked);
    assert_eq!(
        (&result["verdict"], &result["query_checks"][0]["same"]),
        (&json!("different"), &json!(false))
    );
    assert_eq!(result["timings_before_after"][0]["name"], "differs");

    let (it, options) = family(false, json!({"policy": "quarantine", "verify": "counts"}));
    let result = told(&it, options);
    assert_eq!(result["verdict"], "incomplete", "rows were kept aside");
    let message = result["message"].as_str().unwrap();
    assert!(message.ends_with("as many rows on both sides"), "only counted: {message}");
    let people = result["tables"].as_array().unwrap().iter().find(|table| table["name"] == "people").unwrap();
    let figures =
        ["source_rows", "target_rows", "quarantined", "mismatches"].map(|name| people[name].clone());
    assert_eq!(figures, [5, 2, 3, 0].map(|number| json!(number)));
    let (it, options) = family(false, json!({"policy": "null", "verify": "nothing"}));
    it.from.script("update people set age = 1");
    assert_eq!(told(&it, options)["verdict"], "not_compared");
}

#[test]
fn the_statements_around_rows_that_go_into_existing_tables_can_be_read() {
    // S4-024
    let it = Move::of(
        "create table people (id integer primary key, boss integer); create table notes (id integer primary key, person integer)",
    );
    it.to.script(CIRCLE);
    let sql = it.plan(json!({"existing": true})).items[0].result.clone().unwrap()["sql"]
        .as_str()
        .unwrap()
        .to_owned();
    let place = |part: &str| sql.find(part).unwrap_or_else(|| panic!("no `{part}` in {sql}"));
    assert!(place("drop constraint if exists \"has_boss\"") < place("-- the rows are copied here"));
    assert!(place("-- the rows are copied here") < place("add constraint \"has_boss\""));
    assert!(place("validate constraint \"has_boss\"") < place("analyze \"public\".\"people\""));
}

#[test]
fn references_to_tables_that_are_not_carried_are_asked_before_the_copy() {
    // S4-024, S4-025, W-101
    let it = Move::of(
        "create table teams (id integer primary key); create table people (id integer primary key, team integer references teams);
         insert into teams values (1), (2); insert into people values (1, 1), (2, 2), (3, null)",
    );
    it.to.script(
        "create table teams (id bigint primary key); insert into teams values (1);
         create table people (id bigint primary key, team bigint references teams)",
    );
    let map = json!({"teams": {"drop": true}});
    let plan = it.plan(json!({"existing": true, "map": map}));
    assert_eq!(forbidden(&plan), ["dirty_reference people.team"]);
    let options = json!({"existing": true, "map": map, "dirty": {"reference": "null"}});
    let report = it.run(options.clone());
    assert_eq!(report.status, Status::Partial, "{report:#?}");
    assert_eq!(it.list("select id, team from people order by id"), ["1|1", "2|null", "3|null"]);
    let mut again = options;
    again["action"] = json!("verify");
    assert_eq!(it.run(again).status, Status::Completed);
}
