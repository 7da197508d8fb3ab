//! Migrations tried before they are run, and backups taken before them.

use crate::migrate_kit::{THREE, both};
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
        yard.write(&[(
            "0002_two.sql",
            "-- sexton:up\ncreate table two (id int);\n-- sexton:down\ndrop table two;\n",
        )]);
        let rehearsal = try_out();
        let deeds: Vec<&str> = rehearsal.steps.iter().map(|step| step.action.as_str()).collect();
        assert_eq!(deeds, ["prepare", "apply", "revert", "apply", "apply", "revert", "apply"]);
        assert!(rehearsal.findings.is_empty(), "{rehearsal:#?}");
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
