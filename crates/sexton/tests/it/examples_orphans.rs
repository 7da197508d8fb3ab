//! The orphans of the learning platform, rule by rule, on both databases.

use crate::kit::Desk;
use serde_json::Value;
use testkit::Place;

/// A desk with the example, on each database in turn.
fn both(mut test: impl FnMut(&Desk)) {
    for place in [Place::sqlite(), Place::postgres()] {
        place.script2(
            include_str!("../../../../examples/e2/schema.sqlite.sql"),
            include_str!("../../../../examples/e2/schema.postgres.sql"),
        );
        place.script2(
            include_str!("../../../../examples/e2/seed.sqlite.sql"),
            include_str!("../../../../examples/e2/seed.postgres.sql"),
        );
        let url = place.url();
        let mut desk = Desk::at(place);
        desk.set("E2_DATABASE", &url);
        desk.write("sexton.toml", include_str!("../../../../examples/e2/sexton.toml"));
        test(&desk);
    }
}

/// What one rule deletes must be these rows, and no others.
fn deletes(desk: &Desk, operation: &str, table: &str, doomed: &str) {
    let (before, doomed) = (desk.count(table), desk.count(&format!("{table} as t where {doomed}")));
    assert!(doomed > 10 && doomed < before, "{operation}: {doomed} of {before}");
    let preview = desk.sexton(&format!("run {operation} --dry-run --output json")).ends(0).json();
    assert_eq!(preview[operation]["rows_deleted"], doomed, "{operation}");
    let report = desk.sexton(&format!("run {operation} --yes --output json")).ends(0).json();
    assert_eq!(report[operation]["rows_deleted"], doomed, "{operation}");
    assert_eq!(desk.count(table), before - doomed);
    desk.sexton("undo latest --yes").ends(0);
    assert_eq!(desk.count(table), before);
}

fn absent(table: &str, column: &str, more: &str) -> String {
    format!("not exists (select 1 from {table} p where p.id = t.{column} {more})")
}

#[test]
fn every_rule_of_the_platform_deletes_what_it_names_and_nothing_else() {
    // S2-002, S2-003, S2-004, S2-005, X-21
    both(|desk| {
        let user = absent("users", "user_id", "and p.status <> 'archived'");
        let course = absent("courses", "course_id", "and p.status <> 'retired'");
        let either = format!("{user} or (course_id is not null and {course})");
        deletes(desk, "orphaned_achievements", "achievements", &either);
        let lesson = absent("lessons", "lesson_id", "and p.deleted_at is null");
        let either = format!("{} or {lesson}", absent("users", "user_id", ""));
        deletes(desk, "orphaned_progress", "lesson_progress", &either);
        let user = absent("users", "user_id", "and p.status = 'active'");
        deletes(desk, "orphaned_leaderboard", "leaderboard_entries", &user);
        let either =
            format!("{} or {}", absent("lessons", "lesson_id", ""), absent("lessons", "prerequisite_id", ""));
        deletes(desk, "orphaned_prerequisites", "lesson_prerequisites", &either);
    });
}

#[test]
fn after_all_rules_a_look_at_the_whole_database_finds_no_orphan_of_theirs() {
    // S2-001, S2-002
    both(|desk| {
        let scan = |desk: &Desk| desk.sexton("orphans scan --output json").json();
        let orphans = |document: &Value, table: &str| -> u64 {
            let all = document["references"].as_array().unwrap();
            all.iter().filter(|one| one["table"] == table).map(|one| one["orphans"].as_u64().unwrap()).sum()
        };
        let before = scan(desk);
        assert!(
            orphans(&before, "achievements") > 0 && orphans(&before, "lesson_prerequisites") > 0,
            "{before:#}"
        );
        assert_eq!(desk.sexton("orphans scan").code, 5);
        let report = desk.sexton("run weekly --yes --output json").ends(0).json();
        assert_eq!(report["orphaned_progress"]["severity"], "HIGH");
        assert_eq!(report["orphaned_leaderboard"]["severity"], "MEDIUM");
        let after = scan(desk);
        for table in ["achievements", "lesson_progress", "leaderboard_entries", "lesson_prerequisites"] {
            assert_eq!(orphans(&after, table), 0, "{after:#}");
        }
        assert_eq!(desk.sexton("orphans scan").code, 0, "{after:#}");
    });
}

#[test]
fn what_the_scan_proposes_is_a_configuration_that_mends() {
    both(|desk| {
        let document = desk.sexton("orphans scan --output json").ends(5).json();
        let all = document["references"].as_array().unwrap();
        let lines: Vec<&str> = all.iter().filter_map(|one| one["config"].as_str()).collect();
        assert!(lines.len() >= 5, "{document:#}");
        let database = "[database.main]\nurl = \"${E2_DATABASE}\"\n\n";
        desk.write("sexton.toml", &format!("{database}{}\n", lines.join("\n\n")));
        desk.sexton("config check").ends(0);
        desk.sexton("run --all --yes").ends(0);
        desk.sexton("orphans scan").ends(0);
        assert!(desk.count("achievements_quarantine") > 10);
        // what it offers keeps the next ones away
        let document = desk.sexton("orphans scan --output json").ends(0).json();
        let all = document["references"].as_array().unwrap();
        let offered = all.iter().flat_map(|one| one["constraint"].as_array().into_iter().flatten());
        let offered: Vec<&str> = offered.filter_map(Value::as_str).collect();
        assert!(offered.len() > 5, "{document:#}");
        if !desk.place.is_sqlite() {
            desk.place.script(&offered.join("\n"));
            let document = desk.sexton("orphans scan --output json").ends(0).json();
            let kept = |one: &Value| one["validated"] == true && one["enforced"] == true;
            assert!(document["references"].as_array().unwrap().iter().filter(|one| kept(one)).count() > 5);
        }
    });
}

#[test]
fn a_look_shows_tables_and_lines_to_people() {
    both(|desk| {
        let said = desk.sexton("orphans scan lesson_prerequisites").ends(5);
        assert!(said.stdout.contains("lessons (id)"), "{}", said.stdout);
        assert!(
            said.stdout.contains("[operation.orphaned_lesson_prerequisites_lesson_id]"),
            "{}",
            said.stdout
        );
        assert!(!said.stdout.contains("achievements"), "{}", said.stdout);
        let said = desk.sexton("orphans scan --rows 10 achievements").ends(0);
        assert!(said.stdout.contains("no orphans"), "{}", said.stdout);
        desk.sexton("orphans scan nothing_of_the_kind").ends(2);
    });
}
