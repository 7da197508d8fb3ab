//! The second example system: accounts leave, with all that hangs on them, and come back.

use crate::kit::Desk;
use testkit::Place;

fn desks(mut test: impl FnMut(&Desk)) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/e2");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    for place in [Place::sqlite(), Place::postgres()] {
        let back_end = if place.is_sqlite() { "sqlite" } else { "postgres" };
        place.script(&read(&format!("schema.{back_end}.sql")));
        place.script(&read(&format!("seed.{back_end}.sql")));
        let url = place.url();
        let mut desk = Desk::at(place);
        desk.write("sexton.toml", &read("sexton.toml"));
        desk.set("E2_DATABASE", &url);
        test(&desk);
    }
}

#[test]
fn suspended_accounts_are_archived_monthly_and_come_back_when_asked_for() {
    // S2-009, S2-012, X-22, W-074, W-034
    desks(|desk| {
        let before = desk.sexton("digest").ends(0).stdout;
        desk.sexton("run inactive_accounts").ends(3);
        assert_eq!(desk.sexton("digest").ends(0).stdout, before);
        let report = desk.sexton("run inactive_accounts --yes --output json").ends(0).json();
        assert_eq!(report["inactive_accounts"]["severity"], "CRITICAL");
        assert_eq!(
            (report["inactive_accounts"]["rows_changed"].as_u64(), desk.count("archived_accounts")),
            (Some(10), 10)
        );
        assert_eq!(
            desk.count("users where status = 'archived' and email like 'archived-%@example.invalid'"),
            10
        );
        assert_eq!(desk.count("users where status = 'suspended'"), 20);
        for table in [
            "achievements",
            "lesson_progress",
            "leaderboard_entries",
            "refresh_tokens",
            "sessions",
            "api_logs",
        ] {
            assert_eq!(desk.count(&format!("{table} where user_id between 601 and 610")), 0, "{table}");
        }
        desk.sexton("undo latest --yes").ends(0);
        assert_eq!(desk.sexton("digest").ends(0).stdout, before);
        desk.sexton("undo release").ends(0);
        desk.sexton("run inactive_accounts --yes").ends(0);
        let back =
            "run inactive_accounts --yes --output json --set action=restore --set accounts=[\\\"601\\\"]";
        let report = desk.sexton(&back.replace('\\', "")).ends(0).json();
        assert_eq!(report["inactive_accounts"]["rows_restored"], 3);
        assert_eq!(
            desk.count("users where id = 601 and status = 'suspended' and email = 'user601@example.org'"),
            1
        );
        assert_eq!((desk.count("achievements where user_id = 601"), desk.count("archived_accounts")), (1, 9));
        assert_eq!(desk.count("api_logs where user_id = 601"), 2);
    });
}
