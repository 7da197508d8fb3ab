//! The routes of the learning platform's maintenance, as a client has them that was written for it: on both databases.

use crate::api::Server;
use crate::kit::Desk;
use serde_json::{Value as Json, json};
use testkit::Place;

const AT: &str = "/api/v1/admin/maintenance";

pub fn served(place: Place) -> Server {
    let url = place.url();
    served_as(place, &url)
}

fn served_as(place: Place, url: &str) -> Server {
    place.script2(
        include_str!("../../../../examples/e2/schema.sqlite.sql"),
        include_str!("../../../../examples/e2/schema.postgres.sql"),
    );
    place.script2(
        include_str!("../../../../examples/e2/seed.sqlite.sql"),
        include_str!("../../../../examples/e2/seed.postgres.sql"),
    );
    let mut desk = Desk::at(place);
    desk.set("E2_DATABASE", url);
    desk.write("sexton.toml", include_str!("../../../../examples/e2/sexton.toml"));
    std::fs::create_dir_all(desk.file("uploads/tmp")).unwrap();
    Server::of(desk, "admin")
}

#[test]
fn the_status_lists_what_there_is_and_actions_do_it() {
    // S2-051, S2-052, S2-053, S2-062, S2-013, S2-014, S2-001, W-117, X-07, X-09, X-10, X-34, A1, A2
    for place in [Place::sqlite(), Place::postgres()] {
        let server = served(place);
        let status = server.get(AT).json();
        assert_eq!(server.get(&format!("{AT}?action=status")).json()["operations"], status["operations"]);
        assert_eq!(server.get("/v1/admin/maintenance").json()["operations"], status["operations"]);
        let operations = status["operations"].as_array().unwrap();
        assert_eq!((operations.len(), &status["schedules"]), (9, &json!(3)), "{status}");
        let progress = operations.iter().find(|one| one["id"] == "orphaned_progress").unwrap();
        assert_eq!((&progress["severity"], &progress["backup_required"]), (&json!("HIGH"), &json!(true)));
        assert_eq!(progress["last_run"], Json::Null);
        assert_eq!(status["scheduler"]["running"], true);
        assert_eq!(status["scheduler"]["next_runs"].as_array().unwrap().len(), 3);
        assert!(status["metrics"]["database_bytes"].as_u64().unwrap() > 10_000, "{status}");
        // A server does not tell of its disk.
        assert_eq!(
            status["metrics"]["disk_used_percent"].is_number(),
            server.desk.place.is_sqlite(),
            "{status}"
        );

        let before = server.desk.sexton("digest").ends(0).stdout;
        let options = json!({"dryRun": true, "batchSize": 500, "maxExecutionTime": 1800});
        let cleanup = |options: &Json| json!({"action": "run_cleanup", "target": "orphaned_achievements", "options": options});
        let seen = server.send("POST", AT, &cleanup(&options), &[]);
        assert_eq!(seen.status, 200, "{}", seen.body);
        let would = seen.json()["operations"][0]["rows_deleted"].as_u64().unwrap();
        assert!(would > 0 && seen.json()["metadata"]["dry_run"] == true, "{}", seen.body);
        // Looking is the default.
        let unsaid = server.send("POST", AT, &cleanup(&json!({})), &[]).json();
        assert_eq!(unsaid["metadata"]["dry_run"], true, "{unsaid}");
        assert_eq!(server.desk.sexton("digest").ends(0).stdout, before, "looking changed something");

        let done = server.send("POST", AT, &cleanup(&json!({"dryRun": false, "batchSize": 7})), &[]);
        let report = done.json();
        assert_eq!((done.status, &report["operations"][0]["rows_deleted"]), (200, &json!(would)), "{report}");
        assert_eq!(report["operations"][0]["batches"], would.div_ceil(7), "S2-016");
        assert!(report["operations"][0]["backup_path"].is_string(), "{report}");
        let history = server.get(&format!("{AT}?action=history&limit=1")).json();
        assert_eq!(history["runs"][0]["run_id"], report["run_id"]);
        let cursor = history["next_cursor"].as_str().unwrap();
        let older = server.get(&format!("{AT}?action=history&limit=1&cursor={cursor}")).json();
        assert!(
            older["runs"][0]["run_id"] != report["run_id"] && older["runs"][0]["metadata"]["dry_run"] == true
        );

        let undo = json!({"action": "undo", "target": report["run_id"], "options": {"dryRun": false}});
        let back = server.send("POST", AT, &undo, &[]).json();
        assert_eq!(back["totals"]["restored"], would, "{back}");
        assert_eq!(server.desk.sexton("digest").ends(0).stdout, before);

        // Three of them, one report.
        let batch = json!({"action": "run_batch", "target": ["expired_tokens", "cached_data", "old_logs"],
            "options": {"dry_run": true, "batch_size": 500}});
        assert_eq!(server.send("POST", AT, &batch, &[]).json()["operations"].as_array().unwrap().len(), 3);

        // Nobody has to wait for the end: the run goes on, and is watched and cancelled elsewhere.
        let begun = server.send("POST", &format!("{AT}?wait=0"), &cleanup(&json!({"dryRun": true})), &[]);
        assert_eq!(begun.status, 202, "{}", begun.body);
        let run = begun.json()["run_id"].as_str().unwrap().to_owned();
        assert_eq!(server.wait(&run)["status"], "completed");

        // CRITICAL: by its name, or by force (S2-015, S2-048).
        let accounts = |options: Json| json!({"action": "run_cleanup", "target": "inactive_accounts", "options": options});
        let refused = server.send("POST", AT, &accounts(json!({"dryRun": false})), &[]);
        assert_eq!(refused.wrong(409), "refused");
        let confirmed = accounts(json!({"dryRun": false, "confirm": "inactive_accounts"}));
        let done = server.send("POST", AT, &confirmed, &[]);
        assert_eq!((done.status, &done.json()["status"]), (200, &json!("completed")), "{}", done.body);

        for (body, status, field) in [
            (json!({"action": "run_cleanup", "target": "nosuch"}), 404, "target"),
            (json!({"action": "run_cleanup"}), 422, "target"),
            (json!({"action": "run_batch", "target": []}), 422, "target"),
            (json!({"action": "explode", "target": "old_logs"}), 400, "action"),
            (json!({"action": "undo", "target": "zzzzzzzz"}), 404, "target"),
            (json!({"action": "verify_backup", "target": "zzzzzzzz"}), 404, "target"),
        ] {
            let runs = server.desk.runs().len();
            let answer = server.send("POST", AT, &body, &[]);
            answer.wrong(status);
            assert_eq!(answer.json()["error"]["field"], field, "{}", answer.body);
            assert_eq!(server.desk.runs().len(), runs, "a run is in the log");
        }
        assert_eq!(server.get(&format!("{AT}?action=explode")).wrong(400), "unknown_action");
    }
}

#[test]
fn migrations_and_backups_are_run_tried_and_taken_back() {
    // S2-033, S2-034, S2-035, S2-036, S2-042, S2-043, A1, A2, M1
    for place in [Place::sqlite(), Place::postgres()] {
        // A copy is made as a database of its own, which not everybody may.
        let url = place.admin_url();
        let server = served_as(place, &url);
        let folder = server.desk.file("migrations");
        std::fs::create_dir_all(&folder).unwrap();
        let text =
            "-- sexton:up\ncreate table later (id integer primary key);\n-- sexton:down\ndrop table later;\n";
        std::fs::write(folder.join("0001_later.sql"), text).unwrap();
        let act = |action: &str, target: Json, options: Json| {
            server.send("POST", AT, &json!({"action": action, "target": target, "options": options}), &[])
        };
        let pending = || {
            let migrations = server.get(&format!("{AT}?action=migrations")).json();
            migrations["pending"].as_array().map(Vec::len)
        };
        assert_eq!(pending(), Some(1));
        let rehearsed = act("test_migration", json!("0001_later"), json!({}));
        assert_eq!(rehearsed.status, 200, "{}", rehearsed.body);
        let dry = act("apply_pending", json!([]), json!({})).json();
        assert_eq!((&dry["metadata"]["dry_run"], pending()), (&json!(true), Some(1)), "{dry}");
        let done = act("apply_migration", json!("0001_later"), json!({"dryRun": false})).json();
        assert_eq!((&done["status"], pending()), (&json!("completed"), Some(0)), "{done}");
        let back = act("rollback_migration", json!("0001_later"), json!({"dryRun": false})).json();
        assert_eq!((&back["status"], pending()), (&json!("completed"), Some(1)), "{back}");

        let taken = act("backup", Json::Null, json!({})).json();
        assert_eq!(taken["status"], "completed", "{taken}");
        let verified = act("verify_backup", json!("latest"), json!({})).json();
        assert_eq!(verified["verified"], true, "{verified}");
        server.desk.sexton("run orphaned_achievements --yes").ends(0);
        let would = act("restore", json!("latest"), json!({})).json();
        assert!(would["dry_run"] == true && would["would_lose"].is_object(), "{would}");
        let refused = act("restore", json!("latest"), json!({"dryRun": false}));
        assert_eq!(refused.wrong(409), "refused");
    }
}

#[test]
fn what_is_critical_is_agreed_to_by_its_name_whatever_the_action_is() {
    // S2-015, W-086, A2
    let desk = Desk::empty();
    std::fs::create_dir(desk.file("migrations")).unwrap();
    desk.write(
        "migrations/0001_later.sql",
        "-- sexton:up\ncreate table later (id integer primary key);\n-- sexton:down\ndrop table later;\n",
    );
    desk.write(
        "sexton.toml",
        "[database.main]\nurl = \"app.db\"\n\
         [operation.schema]\nkind = \"migrate\"\nseverity = \"CRITICAL\"\ndirectory = \"migrations\"\n",
    );
    let server = Server::of(desk, "admin");
    let act = |action: &str, target: Json, confirm: Json| {
        let options = json!({"dryRun": false, "confirm": confirm});
        server.send("POST", AT, &json!({"action": action, "target": target, "options": options}), &[])
    };
    let is_there = || server.desk.count("sqlite_schema where name = 'later'") == 1;
    for confirm in [Json::Null, json!(true), json!("0001_later")] {
        assert_eq!(act("apply_pending", json!([]), confirm.clone()).wrong(409), "refused");
        assert_eq!(act("apply_migration", json!("0001_later"), confirm).wrong(409), "refused");
        assert!(!is_there());
    }
    assert_eq!(act("apply_pending", json!([]), json!("schema")).status, 200);
    assert!(is_there());
    let back = |confirm: Json| act("rollback_migration", json!("0001_later"), confirm);
    assert_eq!((back(json!(true)).wrong(409).as_str(), is_there()), ("refused", true));
    assert_eq!((back(json!("schema")).status, is_there()), (200, false));
}

#[test]
fn schedules_are_kept_in_the_words_of_the_platform() {
    // X-05, S2-018, S2-019, S2-020, S2-022, S2-023, S2-024, S2-025, S2-026, S2-027, S2-054, S2-055, S2-056, S2-057, S2-058, S2-059, X-11, X-12, W-067, W-072, A3
    let server = served(Place::sqlite());
    let at = format!("{AT}/schedules");
    let shipped = server.get(&at).json();
    let named =
        |name: &str| shipped.as_array().unwrap().iter().find(|one| one["id"] == name).cloned().unwrap();
    assert_eq!(shipped.as_array().unwrap().len(), 3);
    assert_eq!(
        (
            &named("daily")["schedule"]["hour"],
            &named("weekly")["schedule"]["dayOfWeek"],
            &named("monthly")["schedule"]["dayOfMonth"]
        ),
        (&json!("2"), &json!("sun"), &json!("1"))
    );
    assert!(named("daily")["next_run"].as_str().unwrap().contains("T02:00:00"), "{shipped}");
    assert!(named("monthly")["approval_needed"].is_string(), "X-23: {shipped}");

    let mine = json!({
        "name": "Nightly Clean-up", "description": "two of them", "operations": ["expired_tokens", "cached_data"],
        "schedule": {"minute": 30, "hour": "3", "dayOfMonth": "*", "month": "*", "dayOfWeek": "*", "timezone": "UTC"},
        "enabled": true, "options": {"dryRun": false, "batchSize": 1000, "maxExecutionTime": 1800},
        "notifications": {
            "onSuccess": true, "onFailure": true, "onWarnings": true, "recipients": ["admin@example.com"], "channels": ["email"],
        },
    });
    let made = server.send("POST", &at, &mine, &[]);
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(id, "nightly_clean_up");
    let read = server.get(&format!("{at}/{id}")).json();
    for key in ["name", "description", "operations", "enabled", "options", "notifications"] {
        assert_eq!(read[key], mine[key], "{key}");
    }
    assert_eq!((&read["schedule"]["minute"], &read["schedule"]["hour"]), (&json!("30"), &json!("3")));
    assert_eq!(server.send("POST", &at, &mine, &[]).wrong(409), "exists");

    // In winter and in summer.
    let mut berlin = mine.clone();
    berlin["schedule"]["timezone"] = "Europe/Berlin".into();
    let old = format!("If-Match: \"{}\"", read["version"]);
    let changed = server.send("PUT", &format!("{at}/{id}"), &berlin, &["-H", &old]);
    assert_eq!(changed.status, 200, "{}", changed.body);
    let next = changed.json()["next_run"].as_str().unwrap().to_owned();
    assert!(next.contains("T02:30:00") || next.contains("T01:30:00"), "{next}");
    assert_eq!(server.send("PUT", &format!("{at}/{id}"), &mine, &["-H", &old]).wrong(412), "changed");

    let wrong = |key: &str, value: Json| {
        let mut body = mine.clone();
        body["name"] = "other".into();
        body["schedule"][key] = value;
        let answer = server.send("POST", &at, &body, &[]);
        answer.wrong(422);
        answer.json()["error"]["field"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(wrong("minute", json!(75)), "schedule.minute");
    assert_eq!(wrong("dayOfWeek", json!("someday")), "schedule.dayOfWeek");
    assert_eq!(wrong("hour", json!("3 4")), "schedule.hour");
    assert_eq!(wrong("timezone", json!("Mars/Olympus")), "schedule.timezone");
    let pigeon =
        json!({"name": "x", "operations": ["cached_data"], "notifications": {"channels": ["pigeon"]}});
    server.send("POST", &at, &pigeon, &[]).wrong(422);
    let unknown = json!({"name": "x", "operations": ["nosuch"]});
    server.send("POST", &at, &unknown, &[]).wrong(422);

    // Now, with its report.
    let ran = server.send("POST", &format!("{at}/{id}/run?wait=60"), &json!({}), &[]);
    assert_eq!((ran.status, &ran.json()["status"]), (200, &json!("completed")), "{}", ran.body);
    let told = server.send("POST", &format!("{at}/daily/run"), &json!({}), &[]);
    assert_eq!(told.status, 202, "{}", told.body);
    let run = told.json()["run_id"].as_str().unwrap().to_owned();
    assert_eq!(server.wait(&run)["status"], "completed");

    assert_eq!(server.send("DELETE", &format!("{at}/{id}"), &json!({}), &[]).status, 204);
    for (method, path) in [("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/run")] {
        assert_eq!(
            server.send(method, &format!("{at}/{id}{path}"), &mine, &[]).wrong(404),
            "not_found",
            "{method}"
        );
    }
    assert_eq!(server.send("DELETE", &format!("{at}/daily"), &json!({}), &[]).wrong(409), "refused");
}

#[test]
fn a_schedule_that_cannot_do_its_work_says_so_at_once_with_its_run() {
    // S2-059, S2-089
    let desk = Desk::ready_with("first_run_dry = true\n");
    let more = "[operation.broken]\nkind = \"purge\"\nseverity = \"LOW\"\ntable = \"nosuch\"\nwhere = \"id > 0\"\n\
                [schedule.broken]\nrun = [\"broken\"]\ncron = \"0 2 * * *\"\ndry_run = true\n\
                [schedule.unseen]\nrun = [\"sessions\"]\ncron = \"0 2 * * *\"\n";
    let config = std::fs::read_to_string(desk.file("sexton.toml")).unwrap();
    desk.write("sexton.toml", &format!("{config}{more}"));
    let server = Server::of(desk, "admin");
    let run = |name: &str, wait: &str| {
        server.send("POST", &format!("{AT}/schedules/{name}/run{wait}"), &json!({}), &["--max-time", "25"])
    };
    let begun = run("broken", "");
    assert_eq!(begun.status, 202, "{}", begun.body);
    let report = server.wait(begun.json()["run_id"].as_str().unwrap());
    assert_eq!(report["status"], "failed");
    assert_eq!(run("broken", "?wait=60").json()["status"], "failed");
    // What was refused before it was a run has none.
    let refused = run("unseen", "?wait=60").json();
    assert_eq!((&refused["run_id"], &refused["tick"]["state"]), (&Json::Null, &json!("failed")), "{refused}");
    assert!(refused["tick"]["why"].as_str().unwrap().contains("had no dry run yet"), "{refused}");
}

#[test]
fn only_administrators_are_let_in_and_only_json_is_read() {
    // S2-060, S2-061, W-066
    let server = served(Place::sqlite());
    let body = json!({"action": "run_cleanup", "target": "old_logs"}).to_string();
    for path in [AT.to_owned(), format!("{AT}/schedules"), format!("{AT}/schedules/daily")] {
        assert_eq!(server.curl(&[], &path).wrong(401), "unauthorised");
        assert_eq!(server.curl(&["-H", "Authorization: Bearer wrong"], &path).wrong(401), "unauthorised");
        for role in ["read", "run"] {
            let token = server.desk.sexton(&format!("token create {role} --role {role}")).ends(0).stdout;
            let bearer = format!("Authorization: Bearer {}", token.trim());
            let refused = server.curl(&["-H", &bearer], &path);
            assert_eq!(refused.wrong(403), "forbidden");
            assert!(!refused.body.contains("old_logs"), "{}", refused.body);
        }
    }
    let bearer = format!("Authorization: Bearer {}", server.token);
    let post = |kind: &str, body: &str| {
        server.curl(&["-X", "POST", "-H", &bearer, "-H", &format!("content-type: {kind}"), "-d", body], AT)
    };
    assert_eq!(post("application/json", "{\"action\"").wrong(400), "malformed");
    assert_eq!(post("text/plain", &body).wrong(415), "media_type");
    assert_eq!(server.get("/api/v1/admin/nosuch").wrong(404), "not_found");
}

#[test]
fn a_database_that_does_not_answer_is_told_and_hides_no_other() {
    let desk = Desk::ready_with("[database.gone]\nurl = \"postgres://nobody@127.0.0.1:1/gone\"\n");
    let config = std::fs::read_to_string(desk.file("sexton.toml")).unwrap();
    desk.write("sexton.toml", &config.replace("kind = \"purge\"", "kind = \"purge\"\ndatabase = \"main\""));
    let server = Server::of(desk, "admin");
    for path in [AT.to_owned(), format!("{AT}?action=metrics")] {
        let answer = server.get(&path);
        assert_eq!(answer.status, 200, "{}", answer.body);
        let each = &answer.json()["metrics"]["databases"];
        assert!(each["main"]["database_bytes"].as_u64() > Some(0), "{each}");
        assert!(each["gone"]["database_bytes"].is_null(), "{each}");
        assert!(!each["gone"]["error"].as_str().unwrap().is_empty(), "{each}");
    }
}
