//! Migrations that go well: up, down, again, one by one, and what is remembered of it.

use crate::migrate_kit::{THREE, Yard, both};
use engine::{Failure, Status, Stop};
use serde_json::json;
use testkit::story;

#[test]
fn pending_ones_go_in_in_order_each_with_its_record_and_a_second_run_does_nothing() {
    // S0-009, S0-010, S0-013, S0-014, S0-017, S2-029, W-001
    both(|yard| {
        yard.write(&THREE);
        let before = yard.place.dump();
        let plan = yard.plan(json!({}));
        assert_eq!(yard.place.dump(), before, "a plan changes nothing");
        assert_eq!(yard.place.leftovers(), Vec::<String>::new());
        assert!(plan.items[0].findings.iter().any(|finding| finding.what == "from 0 to 3"), "{plan:#?}");
        let report = yard.up();
        assert_eq!(
            yard.history(),
            ["apply 0001_users applied 2", "apply 0002_orders applied 3", "apply 0003_note applied 2"]
        );
        assert_eq!(yard.list("select note from orders"), ["old"]);
        assert_eq!(report.operations[0].result.as_ref().unwrap()["current"], 3);
        let after = yard.place.dump();
        let again = yard.up();
        assert_eq!(again.operations[0].batches, 0);
        assert_eq!((yard.place.dump(), yard.history().len()), (after, 3));
    });
}

#[test]
fn the_way_back_gives_the_schema_that_was_there_and_the_history_keeps_all_of_it() {
    // S2-030, S2-035, W-009
    both(|yard| {
        yard.write(&THREE);
        let empty = yard.place.dump();
        yard.done(json!({"to": "0001_users"}));
        let one = yard.place.dump();
        yard.up();
        yard.done(json!({"action": "down", "to": "1"}));
        assert_eq!(yard.place.dump(), one);
        yard.done(json!({"action": "down", "to": "0"}));
        assert_eq!(yard.place.dump(), empty);
        yard.done(json!({"count": 1}));
        assert_eq!(yard.history().len(), 7, "{:?}", yard.history());
        assert_eq!(yard.state("0001_users"), "applied");
        assert_eq!(yard.state("0003_note"), "rolled_back");
    });
}

#[test]
fn one_is_done_again_or_taken_out_by_its_name() {
    // S2-028, S2-033
    both(|yard| {
        yard.write(&THREE);
        yard.up();
        let all = yard.place.dump();
        yard.done(json!({"action": "redo"}));
        assert_eq!(yard.place.dump(), all);
        yard.done(json!({"action": "revert", "ids": ["0003_note"]}));
        yard.done(json!({"action": "apply", "ids": ["0003"]}));
        assert_eq!(yard.place.dump(), all);
        assert_eq!(yard.history().len(), 7);
    });
}

#[test]
fn dependencies_decide_the_order_whatever_the_names() {
    // S2-031, X-26
    both(|yard| {
        yard.write(&[
            ("c.sql", "-- sexton:description needs b\n-- sexton:depends b\ninsert into t values (3);"),
            ("b.sql", "-- sexton:description needs a\n-- sexton:depends a\ninsert into t values (2);"),
            ("a.sql", "-- sexton:description the first\ncreate table t (n integer primary key);"),
        ]);
        yard.up();
        assert_eq!(yard.history(), ["apply a applied 1", "apply b applied 1", "apply c applied 1"]);
        let plan = yard.plan(json!({"action": "revert", "ids": ["a"]}));
        let finding = &plan.items[0].findings[0];
        assert_eq!((finding.code.as_str(), plan.items[0].steps.len()), ("dependency", 0), "{finding:?}");
    });
}

/// A death at each fault point of a run, then what goes on from there, until none fires any more.
fn die_everywhere(options: serde_json::Value, files: &[(&str, &str)], given: &[&str], back: &str) {
    both(|yard| {
        yard.write(files);
        for sql in given {
            yard.place.script(sql);
        }
        let before = yard.place.dump();
        yard.done(options.clone());
        let wanted = yard.place.dump();
        let history = yard.history();
        yard.place.script(back);
        assert_eq!(yard.place.dump(), before, "the way back");
        for nth in 1..400 {
            forget(yard);
            let engine = yard.engine();
            let plan = story::plan(&engine, &yard.request(options.clone()));
            engine.faults().arm(nth);
            let id = format!("death{nth:03}");
            let outcome = engine.run_as(&id, &plan, &Stop::default(), &mut |_| {});
            let died = matches!(outcome, Err(Failure::Fault(_)));
            assert_eq!(died, !engine.faults().waiting(), "point {nth}: {outcome:?}");
            drop(engine);
            if died {
                match yard.resume(&id) {
                    Ok(report) => {
                        assert_eq!(report.status, Status::Completed, "resumed after {nth}: {report:#?}")
                    }
                    // dead before the run was noted, or after its last event
                    Err(_) if yard.place.dump() == wanted => {}
                    Err(_) if nth == 1 => drop(yard.done(options.clone())),
                    Err(error) => panic!("point {nth}: {error}"),
                }
            }
            assert_eq!(yard.place.dump(), wanted, "after a death at point {nth}");
            assert_eq!(yard.history(), history, "after a death at point {nth}");
            yard.place.script(back);
            if !died {
                assert!(nth > 10);
                return;
            }
        }
        panic!("there is no end");
    });
}

/// Takes away what the last round left in the history.
fn forget(yard: &Yard) {
    let table = if yard.place.is_sqlite() { "sexton_migrations" } else { "sexton.migrations" };
    yard.place.script(&format!("drop table {table}"));
}

#[test]
fn a_death_anywhere_leaves_whole_migrations_and_what_is_left_goes_in_afterwards() {
    // W-005
    die_everywhere(json!({}), &THREE[..2], &[], "drop table orders; drop table users");
}

#[test]
fn a_death_between_any_two_statements_outside_of_transactions_is_found_out_by_their_traces() {
    // W-005
    let files = [
        THREE[0],
        (
            "0002_index.sql",
            "-- sexton:transaction off\n-- sexton:up\ninsert into users values (2, 'bob');\n\
             create index users_name on users (name);\ninsert into users values (3, 'eve');\n-- sexton:down\n\
             delete from users where id > 1;\ndrop index users_name;\n",
        ),
    ];
    die_everywhere(json!({}), &files, &[], "drop table users");
}
