//! The retention rules of the examples, row by row, on both databases.

use crate::kit::{Desk, Said};
use serde_json::Value;
use testkit::Place;

const E1: [&str; 5] = [
    include_str!("../../../../examples/e1/schema.sqlite.sql"),
    include_str!("../../../../examples/e1/seed.sqlite.sql"),
    include_str!("../../../../examples/e1/schema.postgres.sql"),
    include_str!("../../../../examples/e1/seed.postgres.sql"),
    include_str!("../../../../examples/e1/sexton.toml"),
];
const E2: [&str; 5] = [
    include_str!("../../../../examples/e2/schema.sqlite.sql"),
    include_str!("../../../../examples/e2/seed.sqlite.sql"),
    include_str!("../../../../examples/e2/schema.postgres.sql"),
    include_str!("../../../../examples/e2/seed.postgres.sql"),
    include_str!("../../../../examples/e2/sexton.toml"),
];

/// A desk with an example, on each database in turn.
fn both(
    variable: &str,
    [lite, lite_seed, server, server_seed, config]: [&str; 5],
    mut test: impl FnMut(&Desk),
) {
    for place in [Place::sqlite(), Place::postgres()] {
        place.script2(lite, server);
        place.script2(lite_seed, server_seed);
        let url = place.url();
        let mut desk = Desk::at(place);
        desk.set(variable, &url);
        desk.write("sexton.toml", config);
        test(&desk);
    }
}

fn json(said: &Said) -> Value {
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    serde_json::from_str(&said.stdout).unwrap()
}

/// `column` is older than so many days, in the words of the database at hand.
fn older(desk: &Desk, column: &str, days: u32) -> String {
    if desk.place.is_sqlite() {
        format!("julianday({column}) < julianday('now') - {days}")
    } else {
        format!("{column} < now() - interval '{days} days'")
    }
}

#[test]
fn e1_keeps_each_log_for_its_own_time() {
    // S1-021, S1-022, S1-023, S1-024, S1-025, S1-026, S1-046, S1-068, S1-035, S1-037
    both("E1_DATABASE", E1, |desk| {
        let audit = desk.count(&format!("core_auditlog where {}", older(desk, "created_at", 90)));
        let tasks = desk.count(&format!("core_taskexecutionlog where {}", older(desk, "started_at", 30)));
        assert!(audit > 10_000 && tasks > 5_000, "the example has too little in it: {audit}, {tasks}");
        let preview = json(&desk.sexton("run logs --dry-run --output json"));
        assert_eq!(desk.count(&format!("core_auditlog where {}", older(desk, "created_at", 90))), audit);
        let report = json(&desk.sexton("run logs --yes --output json"));
        assert_eq!(report["logs"]["rows_deleted"], audit + tasks);
        assert_eq!(preview["logs"]["rows_deleted"], report["logs"]["rows_deleted"]);
        assert_eq!(report["logs"]["details"]["Audit Logs"]["deleted"], audit);
        assert_eq!(report["logs"]["details"]["Task Logs"]["deleted"], tasks);
        assert_eq!(report["metadata"]["dry_run"], false);
        assert_eq!(desk.count(&format!("core_auditlog where {}", older(desk, "created_at", 90))), 0);
        // 10 000 a batch
        let whole = json(&desk.sexton("runs show latest --output report"));
        let batches = (audit as u64).div_ceil(10_000) + (tasks as u64).div_ceil(10_000);
        assert_eq!(whole["operations"][0]["batches"], batches);
    });
}

#[test]
fn e1_archives_after_a_year_and_deletes_after_two_but_not_in_one_run() {
    // S1-017, S1-018, S1-019, S1-020, S1-069, X-33, W-113
    both("E1_DATABASE", E1, |desk| {
        let fresh = desk.count(&format!(
            "core_failedtask where status <> 'archived' and {}",
            older(desk, "failed_at", 365)
        ));
        let never_archived_and_two_years_old = desk.count(&format!(
            "core_failedtask where status <> 'archived' and {}",
            older(desk, "failed_at", 730)
        ));
        assert!(never_archived_and_two_years_old > 0);
        let first = json(&desk.sexton("run cleanup --yes --output report"));
        let target = |report: &Value, id: &str| {
            let all = report["operations"][0]["targets"].as_array().unwrap().clone();
            all.into_iter().find(|target| target["id"] == id).unwrap()
        };
        assert_eq!(target(&first, "archive_failed_tasks")["archived"], fresh);
        let left = desk.count(&format!(
            "core_failedtask where status = 'archived' and not (deleted_at is not null and {}) and {}",
            older(desk, "deleted_at", 365),
            older(desk, "failed_at", 730)
        ));
        assert!(left > 0, "rows archived a moment ago must not be deleted in the same run");
        let again = json(&desk.sexton("run cleanup --yes --output report"));
        assert_eq!(again["totals"]["deleted"], 0, "nothing is a day in the archive yet");
        let undone = desk.sexton(&format!("undo {}", first["run_id"].as_str().unwrap()));
        assert_eq!(undone.code, 0, "{}{}", undone.stdout, undone.stderr);
        let back = desk.count(&format!(
            "core_failedtask where status <> 'archived' and {}",
            older(desk, "failed_at", 365)
        ));
        assert_eq!(back, fresh);
    });
}

#[test]
fn e1_sessions_go_when_their_time_is_over_and_running_twice_does_no_harm() {
    // S1-027, X-40
    both("E1_DATABASE", E1, |desk| {
        let expired = desk.count(&format!("django_session where {}", older(desk, "expire_date", 0)));
        let live = desk.count("django_session") - expired;
        assert!(expired > 1_000 && live > 1_000);
        let report = json(&desk.sexton("run sessions --output json"));
        assert_eq!(report["sessions"]["rows_deleted"], expired);
        let again = json(&desk.sexton("run sessions --output json"));
        assert_eq!(again["sessions"]["rows_deleted"], 0);
        assert_eq!(desk.count("django_session"), live);
        // secrets are not remembered, so nothing of ours is needed
        assert!(desk.sexton("undo list").stdout.is_empty());
    });
}

#[test]
fn e2_runs_its_groups_in_order() {
    // S2-006, S2-007, S2-008, S2-011, S2-001, S2-014, S2-024, X-18
    both("E2_DATABASE", E2, |desk| {
        let tokens = desk.count(&format!("refresh_tokens where {}", older(desk, "expires_at", 0)));
        let sessions = desk.count(&format!("sessions where {}", older(desk, "expires_at", 0)));
        let cache =
            desk.count(&format!("cache_entries where not is_valid or {}", older(desk, "expires_at", 0))) + 10;
        let report = json(&desk.sexton("run daily weekly --yes --output report"));
        let names: Vec<&str> = report["operations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["operation"].as_str().unwrap())
            .collect();
        let orphans =
            ["achievements", "progress", "leaderboard", "prerequisites"].map(|of| format!("orphaned_{of}"));
        let [first, second, third, fourth] = orphans.each_ref().map(String::as_str);
        assert_eq!(names, ["expired_tokens", "cached_data", first, second, third, fourth, "old_logs"]);
        assert_eq!(report["operations"][0]["rows_deleted"], tokens + sessions);
        // one operation, several targets, each with a result of its own
        let targets = report["operations"][0]["targets"].as_array().unwrap();
        let of = |table: &str| {
            let own = targets.iter().filter(|one| one["object"] == table);
            own.map(|one| one["deleted"].as_u64().unwrap()).sum::<u64>()
        };
        assert_eq!(
            [Value::from(of("refresh_tokens")), Value::from(of("sessions"))],
            [Value::from(tokens), Value::from(sessions)],
            "{targets:#?}"
        );
        assert_eq!(report["operations"][1]["rows_deleted"], cache);
        assert_eq!(report["operations"][1]["rows_matched"], cache, "a row of two rules is counted once");
        assert_eq!(desk.count("cache_entries where source_table is not null"), 10);
        assert_eq!(desk.count(&format!("api_logs where {}", older(desk, "created_at", 366))), 0);
        assert!(desk.count(&format!("api_logs where {}", older(desk, "created_at", 360))) > 0);
    });
}

#[test]
fn e0_drops_finished_tasks_and_leaves_the_rest() {
    // S0-076, S0-077, S0-078, X-01, S0-069, W-013
    let place = Place::sqlite();
    place.script(include_str!("../../../../examples/e0/schema.sql"));
    place.script(include_str!("../../../../examples/e0/seed.sql"));
    let before = place.dump();
    let desk = Desk::at(place);
    desk.write("sexton.toml", include_str!("../../../../examples/e0/sexton.toml"));
    let report = json(&desk.sexton("run daily --output report"));
    assert_eq!(report["status"], "completed");
    let left = "task_queue where status = 'COMPLETED' and julianday(updated_at) < julianday('now') - 7";
    assert_eq!(desk.count(left), 0);
    assert_eq!(desk.count("task_queue where updated_at = 'unknown'"), 3);
    let retried = "task_queue where status = 'PENDING' and retry_count < max_retries and julianday(retry_after) > julianday('now')";
    assert_eq!(desk.count(retried), 900);
    assert_eq!(desk.sexton("undo latest").code, 0);
    assert_eq!(desk.place.dump(), before);
}
