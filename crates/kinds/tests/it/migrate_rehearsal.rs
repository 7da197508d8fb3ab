//! Migrations tried before they are run, and backups taken before them.

use crate::migrate_kit::{THREE, Yard, both};
use serde_json::json;

#[test]
fn a_rehearsal_measures_and_leaves_everything_as_it_was() {
    // S2-036, S2-037
    both(|yard| {
        yard.write(&THREE);
        yard.done(json!({"count": 2}));
        let (before, history) = (yard.place.dump(), yard.history());
        let request = yard.request(json!({}));
        let rehearsal = yard.engine().try_out(&request.operations[0], false, "tester").unwrap();
        assert_eq!((yard.place.dump(), yard.history()), (before, history));
        let step = &rehearsal.steps[0];
        assert_eq!((step.id.as_str(), &step.detail.as_ref().unwrap()["rows"]), ("0003_note", &json!(1)));
        if yard.place.is_sqlite() {
            assert_eq!(rehearsal.place, "copy");
        } else {
            assert_eq!(rehearsal.place, "rolled_back");
            assert!(step.locks.contains(&"orders: AccessExclusiveLock".to_owned()), "{step:?}");
        }
        yard.up();
    });
}

#[test]
fn a_way_back_that_leaves_something_behind_is_found_on_a_copy() {
    // S2-036, S2-039
    both(|yard| {
        yard.write(&[
            THREE[0],
            (
                "0002_two.sql",
                "-- sexton:up\ncreate table two (id int);\ncreate table more (id int);\n-- sexton:down\ndrop table two;\n",
            ),
        ]);
        let before = yard.place.dump();
        let request = yard.request(json!({}));
        // a copy is a database of its own, which not everybody may make
        let engine = || yard.workshop.also_at(yard.place.admin_database());
        let try_out = || engine().try_out(&request.operations[0], true, "tester").unwrap();
        let rehearsal = try_out();
        assert_eq!(rehearsal.findings.len(), 1, "{rehearsal:#?}");
        assert_eq!(rehearsal.findings[0].object, "0002_two");
        assert!(rehearsal.findings[0].what.ends_with(": table `more` is new"), "{rehearsal:#?}");
        yard.write(&[(
            "0002_two.sql",
            "-- sexton:up\ncreate table two (id int);\n-- sexton:down\ndrop table two;\n",
        )]);
        let rehearsal = try_out();
        let deeds: Vec<&str> = rehearsal.steps.iter().map(|step| step.action.as_str()).collect();
        assert_eq!(deeds, ["prepare", "apply", "revert", "apply", "apply", "revert", "apply"]);
        assert!(rehearsal.findings.is_empty(), "{rehearsal:#?}");
        // two statements and their record, and the end of the transaction
        assert!(rehearsal.steps[1].interruptions >= 4, "{rehearsal:#?}");
        assert_eq!((yard.place.dump(), yard.place.leftovers()), (before, Vec::new()));
    });
}

#[test]
fn a_migration_that_asks_for_a_backup_gets_one_before() {
    // W-009
    both(|yard| {
        yard.write(&[("0001_t.sql", "-- sexton:backup on\n-- sexton:up\ncreate table t (id int);\n")]);
        let report = yard.up();
        assert!(report.operations[0].backup_path.is_some(), "{report:#?}");
        assert!(report.backup.as_ref().is_some_and(|backup| backup.checked), "{report:#?}");
    });
}

/// Tries all on a copy.
fn tried(yard: &Yard) -> engine::backup::Rehearsal {
    let request = yard.request(json!({}));
    let engine = yard.workshop.also_at(yard.place.admin_database());
    engine.try_out(&request.operations[0], true, "tester").unwrap()
}

/// Codes, objects and words.
fn found(rehearsal: &engine::backup::Rehearsal) -> Vec<String> {
    let shown = |one: &engine::Finding| format!("{} {}: {}", one.code, one.object, one.what);
    rehearsal.findings.iter().map(shown).collect()
}

#[test]
fn rows_beside_a_migration_must_survive_it_both_ways() {
    // S2-036, W-009
    both(|yard| {
        yard.write(&THREE[..2]);
        yard.up();
        yard.write(&[(
            "0003_split.sql",
            "-- sexton:up\nalter table users add column first text;\nupdate users set first = name;\n\
             update users set name = 'nobody' where id = 7;\ndelete from orders where id = 70;\n\
             -- sexton:down\nalter table users drop column first;\n",
        )]);
        yard.write_seeds(&[(
            "0003_split.sql",
            "insert into users values (7, 'zoe'), (8, 'yan');\ninsert into orders (id, who) values (70, 7), (80, 8);\n",
        )]);
        let before = yard.place.dump();
        assert_eq!(
            found(&tried(yard)),
            [
                "rows_lost 0003_split: 1 of the 2 rows put into `orders` are not there any more, once it was in",
                "rows_lost 0003_split: 1 of the 2 rows put into `orders` are not as they were put in, once it was taken back",
                "rows_lost 0003_split: 1 of the 2 rows put into `users` are not as they were put in, once it was taken back",
                "rows_lost 0003_split: 1 of the 2 rows put into `orders` are not there any more, once it was in",
            ]
        );
        assert_eq!(yard.place.dump(), before);
        yard.write(&[THREE[2]]);
        yard.remove("0003_split.sql");
        assert_eq!(found(&tried(yard)), [""; 0]);
    });
}

#[test]
fn a_trial_dies_at_every_statement_inside_and_outside_of_transactions_and_goes_on() {
    // S2-036, W-005
    both(|yard| {
        yard.write(&[
            THREE[0],
            (
                "0002_alone.sql",
                "-- sexton:transaction off\n-- sexton:up\ncreate table alone (id int);\ncreate index alone_id on alone (id);\n\
                 -- sexton:down\ndrop table alone;\n",
            ),
            ("0003_one_way.sql", "-- sexton:up\ncreate table stays (id int);\n"),
        ]);
        let rehearsal = tried(yard);
        assert_eq!(found(&rehearsal), ["one_way 0003_one_way: it has no way back"], "{rehearsal:#?}");
        let deaths: Vec<u32> =
            rehearsal.steps.iter().map(|step| step.interruptions).filter(|n| *n > 0).collect();
        assert_eq!(deaths.len(), 3, "{rehearsal:#?}");
        assert!(deaths.iter().all(|deaths| *deaths >= 3), "{rehearsal:#?}");
        assert_eq!(yard.place.leftovers(), Vec::<String>::new());
    });
}

#[test]
fn a_way_back_by_name_is_gone_after_a_backup_was_taken() {
    // S2-035, S2-091, W-120
    both(|yard| {
        yard.write(&THREE);
        yard.done(json!({"to": "0002_orders"}));
        let before = yard.place.dump();
        yard.up();
        let report = yard.done(json!({"action": "revert", "ids": ["0003_note"]}));
        assert!(report.backup.as_ref().is_some_and(|backup| backup.checked), "{report:#?}");
        assert!(report.operations[0].backup_path.is_some(), "{report:#?}");
        assert_eq!(yard.place.dump(), before);
    });
}

#[test]
fn what_is_pending_is_told_with_its_risk_and_how_long_it_takes() {
    // S2-037, S2-029
    both(|yard| {
        yard.write(&THREE);
        yard.done(json!({"count": 2}));
        yard.place.script2(
            "insert into orders with recursive n(i) as (select 100 union all select i + 1 from n where i < 60000) select i, 1 from n",
            "insert into orders select n, 1 from generate_series(100, 60000) as n",
        );
        if !yard.place.is_sqlite() {
            yard.place.script("analyze orders");
        }
        yard.write(&[
            ("0004_said.sql", "-- sexton:expected 5 min\n-- sexton:up\nselect 1;\n"),
            ("0005_type.sql", "-- sexton:up\nalter table orders add column more int;\n"),
        ]);
        let estimate = |n: usize| yard.status()["migrations"][n]["estimate"].clone();
        assert_eq!(estimate(0)["risk"], json!(null), "it is in");
        let note = estimate(2);
        assert!(note["from"] == "sizes" && note["seconds"].as_f64().unwrap() > 0.05, "{note}");
        let more = estimate(4);
        assert!(note["seconds"].as_f64() > more["seconds"].as_f64(), "{note} {more}");
        assert_eq!((&estimate(3)["from"], &estimate(3)["seconds"]), (&json!("author"), &json!(300.0)));
        yard.done(json!({"count": 1}));
        yard.done(json!({"action": "down"}));
        assert_eq!(estimate(2)["from"], "history");
    });
}
