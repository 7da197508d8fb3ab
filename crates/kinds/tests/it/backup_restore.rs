//! Restoring: in the place of the live database, and single rows.

use crate::backup::{back_up, shop};
use crate::stage::{Stage, shown};
use engine::{Engine, Status};
use serde_json::json;
use testkit::story;

/// With every right: an ordinary role may not make databases.
fn admin(stage: &Stage) -> Engine {
    stage.workshop.also_at(stage.place.admin_database())
}

/// Whether a database of this name is on the server.
fn there(name: &str) -> String {
    format!("select count(*) from pg_database where datname = '{name}'")
}

#[test]
fn what_newer_rows_would_go_is_counted_before_the_live_database_is_replaced() {
    // W-119, S2-042
    shop(|stage| {
        let before = stage.place.dump();
        back_up(stage, json!({}));
        let engine = admin(stage);
        let backup = engine.find_backup("latest", None).unwrap();
        stage.place.script(
            "insert into purchase (id, customer_id) values (9001, 1), (9002, 2);
             update customer set name = 'changed' where id = 7;
             delete from purchase where id <= 40;",
        );
        let destroyed = stage.place.dump();
        let revived = engine.revive_backup(&backup).unwrap();
        let lost = revived.lost().unwrap();
        let of = |name: &str| {
            let table = lost.tables.iter().find(|table| table.table == name).unwrap();
            (table.newer, table.back)
        };
        assert_eq!((of("purchase"), of("customer"), lost.newer()), ((2, 40), (1, 1), 3));
        let scratch = revived.name().to_owned();
        let restored = revived.replace("tester").unwrap();
        assert_eq!(stage.place.dump(), before);

        // the present state was backed up first, so the way back is open
        let undo = engine.find_backup(restored.before.as_deref().unwrap(), None).unwrap();
        let again = engine.revive_backup(&undo).unwrap().replace("tester").unwrap();
        assert_eq!(stage.place.dump(), destroyed);
        assert!(engine.audit_trail(5).unwrap().iter().any(|line| line.action == "restore backup"));
        if !stage.place.is_sqlite() {
            assert_eq!(stage.list(&there(&scratch)), ["0"]);
            for aside in [restored.aside, again.aside].into_iter().flatten() {
                stage.place.admin_script_outside(&format!("drop database if exists {aside}"));
            }
        }
    });
}

#[test]
fn nothing_is_replaced_when_the_present_state_cannot_be_backed_up() {
    // W-119
    shop(|stage| {
        back_up(stage, json!({}));
        let engine = admin(stage);
        let backup = engine.find_backup("latest", None).unwrap();
        stage.place.script("delete from purchase where id <= 40");
        let now = stage.place.dump();
        let revived = engine.revive_backup(&backup).unwrap();
        let aside = stage.workshop.folder().join("aside");
        std::fs::rename(stage.workshop.store(), &aside).unwrap();
        std::fs::write(stage.workshop.store(), "in the way").unwrap();
        let error = revived.replace("tester").unwrap_err();
        assert!(shown(&error).contains("nothing was restored"), "{}", shown(&error));
        assert_eq!(stage.place.dump(), now);
    });
}

#[test]
fn rows_that_are_missing_come_back_and_what_is_there_is_never_overwritten() {
    // W-119
    shop(|stage| {
        back_up(stage, json!({}));
        stage.place.script(
            "delete from purchase where id between 11 and 30; update purchase set at = null where id = 31",
        );
        let engine = admin(stage);
        let backup = engine.find_backup("latest", None).unwrap();
        let find = |condition: Option<&str>| {
            let revived = engine.revive_backup(&backup).unwrap();
            engine.missing_rows(&revived, "purchase", condition, "tester").unwrap()
        };
        let some = find(Some("t.id <= 15"));
        assert_eq!((some.looked_at, some.missing), (15, 5));
        let damaged = stage.place.dump();
        let report = story::run(&engine, &story::plan(&engine, &some.request.unwrap()));
        assert_eq!(
            (report.status, report.operations[0].rows_restored),
            (Status::Completed, 5),
            "{report:#?}"
        );
        assert_ne!(stage.place.dump(), damaged);
        let back = engine.undo_request(&report.run_id, None, "tester").unwrap();
        let undone = story::run(&engine, &story::plan(&engine, &back));
        assert_eq!((undone.status, stage.place.dump()), (Status::Completed, damaged));
        let some = find(Some("t.id <= 15"));
        story::run(&engine, &story::plan(&engine, &some.request.unwrap()));
        let rest = find(None);
        assert_eq!((rest.looked_at, rest.missing), (2_000, 15));
        story::run(&engine, &story::plan(&engine, &rest.request.unwrap()));
        assert_eq!(
            stage.number("select count(*) from purchase where at is null"),
            1,
            "changed rows stay changed"
        );
        assert!(find(None).request.is_none());
        stage.place.script2(
            "update purchase set at = (select datetime('now')) where id = 31",
            "update purchase set at = now() where id = 31",
        );
        assert_eq!(stage.number("select count(*) from purchase"), 2_000);
        let wrong = {
            let revived = engine.revive_backup(&backup).unwrap();
            engine.missing_rows(&revived, "purchase", Some("nonsense ="), "tester").err().unwrap()
        };
        assert!(shown(&wrong).contains("nonsense"), "{}", shown(&wrong));
    });
}

#[test]
fn a_failed_replacement_on_postgres_leaves_the_live_database_where_it_was() {
    shop(|stage| {
        if stage.place.is_sqlite() {
            return;
        }
        back_up(stage, json!({}));
        let engine = admin(stage);
        let backup = engine.find_backup("latest", None).unwrap();
        let now = stage.place.dump();
        let revived = engine.revive_backup(&backup).unwrap();
        let scratch = revived.name().to_owned();
        assert_eq!(stage.list(&there(&scratch)), ["1"]);
        // an application that stays connected
        let guest = stage.place.connect();
        let error = revived.replace("tester").unwrap_err();
        assert!(shown(&error).contains("stop what uses"), "{}", shown(&error));
        drop(guest);
        assert_eq!(stage.place.dump(), now);
        assert_eq!(stage.list(&there(&scratch)), ["0"]);
    });
}
