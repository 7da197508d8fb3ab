//! What would not arrive is known beforehand, with all that hangs on it, and again when both sides are compared later.

use crate::transfer_kit::{Move, forbidden, found};
use engine::Status;
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
