//! What the page is made of, below the browser: its files, its sessions, and the calls that it reads from.

use crate::api::Server;
use crate::kit::Desk;
use crate::tidy::root;
use serde_json::json;
use std::path::{Path, PathBuf};
use testkit::Place;

fn below(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        match entry.path().is_dir() {
            true => below(&entry.path(), into),
            false => into.push(entry.path()),
        }
    }
}

#[test]
fn every_file_of_the_page_is_served_under_a_strict_policy() {
    let server = Server::of(Desk::ready(), "read");
    let folder = root().join("crates/sexton/web");
    let mut files = Vec::new();
    below(&folder, &mut files);
    assert!(files.len() > 20, "{files:?}");
    for file in files {
        let name = file.strip_prefix(&folder).unwrap().display().to_string();
        let path = if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
        let answer = server.curl(&[], &path);
        assert_eq!((answer.status, &answer.body), (200, &std::fs::read_to_string(&file).unwrap()), "{name}");
        let kind = match name.rsplit('.').next() {
            Some("html") => "text/html",
            Some("css") => "text/css",
            Some("js") => "text/javascript",
            _ => "image/svg+xml",
        };
        let policy = "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'";
        for wanted in [
            &format!("content-type: {kind}"),
            policy,
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-cache",
        ] {
            assert!(answer.headers.contains(wanted), "{name} without `{wanted}`: {}", answer.headers);
        }
        let policy = answer.headers.lines().find(|line| line.starts_with("content-security-policy")).unwrap();
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        let tag = answer.headers.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
        let again = server.curl(&["-H", &format!("If-None-Match: {tag}")], &path);
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{name}");
    }
    // Nothing inside of it would need a laxer one.
    let page = std::fs::read_to_string(folder.join("index.html")).unwrap();
    assert!(
        !page.contains("<style")
            && !page.contains(" style=")
            && !page.contains("onclick")
            && !page.contains("http")
    );
    assert_eq!(
        page.matches("<script").count(),
        page.matches("<script src=").count() + page.matches("<script type=\"module\" src=").count()
    );
}

/// The value of a cookie that an answer sets.
fn cookie(headers: &str) -> String {
    let line = headers.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("no cookie");
    line.split(';').next().unwrap().to_owned()
}

#[test]
fn a_session_is_a_cookie_that_other_sites_cannot_use() {
    let server = Server::of(Desk::ready(), "admin");
    let json_type = "content-type: application/json";
    let sign_in = |token: &str| {
        let body = json!({ "token": token }).to_string();
        server.curl(&["-X", "POST", "-H", json_type, "-d", &body], "/api/v1/session")
    };
    assert_eq!(sign_in("sexton_nosuch_0").wrong(401), "unauthorised");
    assert_eq!(server.curl(&["-X", "POST", "-d", "token=x"], "/api/v1/session").wrong(415), "media_type");
    assert_eq!(server.curl(&[], "/api/v1/session").wrong(401), "unauthorised");
    let answer = sign_in(&server.token);
    assert_eq!(answer.status, 201, "{}", answer.body);
    for wanted in ["httponly", "samesite=strict", "path=/", "max-age=43200"] {
        assert!(answer.headers.contains(wanted), "{}", answer.headers);
    }
    assert!(!answer.headers.contains("; secure"), "{}", answer.headers);
    let (cookie, proof) = (format!("Cookie: {}", cookie(&answer.headers)), answer.json()["proof"].clone());
    let proof = format!("x-sexton-proof: {}", proof.as_str().unwrap());
    assert!(!answer.body.contains(cookie.split('=').nth(1).unwrap()), "the body tells the secret");
    // It looks, with nothing more.
    let who = server.curl(&["-H", &cookie], "/api/v1/session").json();
    assert_eq!((&who["name"], &who["role"]), (&json!("tester"), &json!("admin")));
    // It changes something only with the proof, which no other site knows, and not from one.
    let run = ["-X", "POST", "-H", json_type, "-d", "{\"operations\": [\"sessions\"]}", "-H", &cookie];
    let with = |more: &[&str]| server.curl(&[run.as_slice(), more].concat(), "/api/v1/runs");
    assert_eq!(with(&[]).wrong(403), "not_proven");
    assert_eq!(with(&["-H", "x-sexton-proof: 0000"]).wrong(403), "not_proven");
    assert_eq!(with(&["-H", &proof, "-H", "sec-fetch-site: cross-site"]).wrong(403), "not_proven");
    assert_eq!(server.get("/api/v1/runs").json(), json!([]));
    assert_eq!(with(&["-H", &proof, "-H", "sec-fetch-site: same-origin"]).status, 202);
    // A wrong token is wrong, whatever the cookie says.
    let both = server.curl(&["-H", &cookie, "-H", "Authorization: Bearer nonsense"], "/api/v1/status");
    assert_eq!(both.wrong(401), "unauthorised");
    // The state has no secret, and who signs in stands in the audit trail.
    let state = std::fs::read(server.desk.file(".sexton/state.db"))
        .or_else(|_| std::fs::read(server.desk.file(".local/state/sexton/state.db")))
        .unwrap();
    let secret = cookie.split('=').nth(1).unwrap();
    assert!(!state.windows(secret.len()).any(|part| part == secret.as_bytes()), "the secret is in the state");
    assert!(server.desk.sexton("audit").ends(0).stdout.contains("sign in"));
    // It ends when one signs out, and with its token.
    let out = server.curl(&["-X", "DELETE", "-H", &cookie, "-H", &proof], "/api/v1/session");
    assert!(out.status == 204 && out.headers.contains("max-age=0"), "{}", out.headers);
    assert_eq!(server.curl(&["-H", &cookie], "/api/v1/session").wrong(401), "unauthorised");
    let body = json!({ "token": server.token }).to_string();
    let tls = ["-X", "POST", "-H", json_type, "-H", "x-forwarded-proto: https", "-d", &body];
    let answer = server.curl(&tls, "/api/v1/session");
    assert!(answer.headers.contains("; secure"), "{}", answer.headers);
    let cookie = format!("Cookie: {}", self::cookie(&answer.headers));
    assert_eq!(server.curl(&["-H", &cookie], "/api/v1/status").status, 200);
    let list = server.desk.sexton("token list --output json").ends(0).json();
    server.desk.sexton(&format!("token revoke {}", list["tokens"][0]["id"].as_str().unwrap())).ends(0);
    assert_eq!(server.curl(&["-H", &cookie], "/api/v1/status").wrong(401), "unauthorised");
}

#[test]
fn a_plan_is_run_as_it_was_shown_or_not_at_all() {
    // S2-053
    let server = Server::of(Desk::ready(), "run");
    let wanted = json!({"operations": ["logs"], "examples": 3});
    let plan = server.send("POST", "/api/v1/plans", &wanted, &[]).json();
    let shown = &plan["examples"][0];
    assert_eq!(
        (&shown["item"], &shown["step"], &shown["columns"]),
        (&json!(0), &json!(0), &json!(["id", "created_at", "action"]))
    );
    assert_eq!(shown["rows"].as_array().unwrap().len(), 3, "{shown}");
    assert_eq!(shown["rows"][0][2], "update");
    let run = |body: serde_json::Value| server.send("POST", "/api/v1/runs", &body, &[]);
    assert_eq!(run(json!({"plan": "nosuch", "confirm": true})).wrong(422), "usage");
    assert_eq!(run(json!({"plan": plan["plan_id"], "operations": ["logs"]})).wrong(422), "usage");
    assert_eq!(run(json!({"plan": plan["plan_id"]})).wrong(409), "refused");
    // Far more rows than were shown.
    server.desk.place.script(
        "insert into audit_log (created_at, action) with recursive n(i) as (select 1 union all select i + 1 from n where i < 500) \
         select '2020-01-01', 'late' from n;",
    );
    let refused = run(json!({"plan": plan["plan_id"], "confirm": true}));
    assert_eq!(refused.wrong(409), "data", "{}", refused.body);
    assert_eq!(server.desk.count("audit_log"), 900);
    let plan = server.send("POST", "/api/v1/plans", &json!({"operations": ["logs"]}), &[]).json();
    assert!(plan["examples"].is_null());
    let begun = run(json!({"plan": plan["plan_id"], "confirm": true}));
    server.wait(begun.json()["run_id"].as_str().unwrap());
    assert_eq!(server.desk.count("audit_log"), 89);
}

#[test]
fn a_cron_line_that_is_being_written_tells_when_it_would_be_due() {
    // S2-019: over the change of the clock
    let mut desk = Desk::ready_with(
        "[notify.email]\nserver = \"localhost\"\ntls = \"off\"\nfrom = \"s@example.org\"\nto = [\"a@example.org\"]\n",
    );
    desk.set("SEXTON_NOW", "2026-03-27T12:00:00Z");
    let server = Server::of(desk, "read");
    let due = server.get("/api/v1/due?cron=30%202%20*%20*%20*&zone=Europe/Paris").json();
    let local: Vec<&str> =
        due["next"].as_array().unwrap().iter().map(|one| one["local"].as_str().unwrap()).collect();
    assert_eq!(local[..3], ["Sat 28 Mar 02:30 CET", "Sun 29 Mar 03:00 CEST", "Mon 30 Mar 02:30 CEST"]);
    assert_eq!(
        (&due["next"][1]["at"], &due["next"][1]["utc"], &due["either_day"]),
        (&json!("2026-03-29T01:00:00Z"), &json!("Sun 29 Mar 01:00"), &json!(false))
    );
    let skipped =
        server.get("/api/v1/due?cron=30%202%20*%20*%20*&zone=Europe/Paris&clock_change=skip").json();
    assert_eq!(skipped["next"][1]["local"], "Mon 30 Mar 02:30 CEST");
    assert_eq!(server.get("/api/v1/due?cron=0%203%201%20*%20sun").json()["either_day"], true);
    for (query, field) in
        [("cron=0%2025%20*%20*%20*", "cron"), ("cron=", "cron"), ("cron=0%202%20*%20*%20*&zone=Mars", "zone")]
    {
        let wrong = server.get(&format!("/api/v1/due?{query}"));
        assert!(wrong.wrong(422) == "usage" && wrong.json()["error"]["field"] == field, "{}", wrong.body);
    }
    assert_eq!(server.get("/api/v1/due").status, 400);
    // Names, and no address.
    assert_eq!(server.get("/api/v1/channels").json(), json!([{"name": "email", "sort": "email"}]));
}

#[test]
fn a_plan_that_was_shown_holds_for_a_quarter_of_an_hour_in_every_process_and_is_agreed_to_once() {
    for state in [None, Some(Place::postgres())] {
        let more = state.as_ref().map(|place| format!("[state]\nurl = \"{}\"\n", place.url()));
        let mut server = Server::of(Desk::ready_with(&more.unwrap_or_default()), "run");
        let show = |server: &Server| {
            let shown = server.send("POST", "/api/v1/plans", &json!({"operations": ["logs"]}), &[]);
            assert_eq!(shown.status, 200, "{}", shown.body);
            json!({"plan": shown.json()["plan_id"], "confirm": true})
        };
        let (sure, later) = (show(&server), show(&server));
        server.restart();
        // Whoever else has a token has not seen it.
        let other = server.desk.sexton("token create other --role run").ends(0).stdout;
        let body = sure.to_string();
        let bearer = format!("Authorization: Bearer {}", other.trim());
        let kind = "content-type: application/json";
        let forged = server.curl(&["-X", "POST", "-H", &bearer, "-H", kind, "-d", &body], "/api/v1/runs");
        assert_eq!(forged.wrong(422), "usage");
        let begun = server.send("POST", "/api/v1/runs", &sure, &[]);
        assert_eq!(begun.status, 202, "{}", begun.body);
        let run = begun.json()["run_id"].as_str().unwrap().to_owned();
        assert_eq!(server.wait(&run)["status"], "completed");
        // The same confirmation again, in this process and in the next one.
        for _ in 0..2 {
            let again = server.send("POST", "/api/v1/runs", &sure, &[]);
            assert!(again.wrong(409) == "refused" && again.body.contains(&run), "{}", again.body);
            server.restart();
        }
        assert_eq!(server.get("/api/v1/runs").json().as_array().unwrap().len(), 1);
        // With a key, the answer is that of the first call.
        let key = ["-H", "idempotency-key: just-once"];
        let fresh = show(&server);
        let first = server.send("POST", "/api/v1/runs", &fresh, &key).json();
        server.wait(first["run_id"].as_str().unwrap());
        assert_eq!(server.send("POST", "/api/v1/runs", &fresh, &key).json()["run_id"], first["run_id"]);
        // What was shown too long ago was of other data.
        let late = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(16);
        server.desk.set("SEXTON_NOW", &late.to_string());
        server.restart();
        assert_eq!(server.send("POST", "/api/v1/runs", &later, &[]).wrong(422), "usage");
        show(&server);
        if let Some(place) = &state {
            let kept = place.rows("select count(*) from sexton.plans");
            assert_eq!(format!("{:?}", kept[0][0]), "Text(\"1\")", "what holds no longer is not kept");
        }
    }
}

#[test]
fn databases_backups_migrations_and_undo_points_are_told() {
    for desk in [Desk::empty(), Desk::at(Place::postgres())] {
        told(desk);
    }
}

fn told(desk: Desk) {
    let url = if desk.place.is_sqlite() { "app.db".to_owned() } else { desk.place.url() };
    desk.place.script(
        "create table audit_log (id integer primary key, old integer not null, action text);
         insert into audit_log with recursive n(i) as (select 1 union all select i + 1 from n where i < 400)
         select i, case when i > 89 then 1 else 0 end, 'update' from n;",
    );
    desk.write(
        "sexton.toml",
        &format!(
            "[database.main]\nurl = \"{url}\"\n[defaults]\nmax_percent = 100\n\
             [operation.logs]\nkind = \"purge\"\ntable = \"audit_log\"\nwhere = \"old = 1\"\n\
             [operation.copy]\nkind = \"backup\"\n[operation.schema]\nkind = \"migrate\"\ndirectory = \"migrations\"\n"
        ),
    );
    std::fs::create_dir(desk.file("migrations")).unwrap();
    desk.write("migrations/0001_note.sql", "-- sexton:up\nalter table audit_log add column note text;\n");
    desk.write(
        "migrations/0002_index.sql",
        "-- sexton:up\ncreate index audit_action on audit_log (action);\n",
    );
    let server = Server::of(desk, "admin");

    let found = server.get("/api/v1/databases/main/findings").json();
    assert!(
        found["label"] == "main" && found["findings"].is_array() && found["size_bytes"].as_u64() > Some(0),
        "{found}"
    );
    assert!(found.get("sample").is_none(), "{found}");
    // A look within the minute is not made twice, unless it has to be fresh.
    assert_eq!(server.get("/api/v1/databases/main/findings").json()["at"], found["at"]);
    assert_ne!(server.get("/api/v1/databases/main/findings?fresh=true").json()["at"], found["at"]);
    let sizes = server.get("/api/v1/databases/main/sizes").json();
    assert_eq!(sizes["samples"].as_array().unwrap().len(), 1, "{sizes}");
    assert_eq!(sizes["samples"][0]["bytes"], found["size_bytes"]);
    for path in ["findings", "sizes"] {
        assert_eq!(server.get(&format!("/api/v1/databases/nosuch/{path}")).wrong(404), "not_found");
    }

    assert_eq!(server.get("/api/v1/backups").json()["backups"], json!([]));
    server.desk.sexton("run copy --yes").ends(0);
    // A drill needs a database of its own, which the role of these tests may not make on PostgreSQL.
    let drilled = server.desk.place.is_sqlite();
    if drilled {
        server.desk.sexton("backup drill").ends(0);
    }
    let backups = server.get("/api/v1/backups").json();
    let one = &backups["backups"][0];
    assert_eq!((&one["database"], &one["verified"]), (&json!("main"), &json!(drilled)), "{backups}");
    if drilled {
        let drill = &backups["drills"][0];
        assert_eq!((&drill["backup"], &drill["findings"]), (&one["id"], &json!([])), "{backups}");
    }

    let migrations = server.get("/api/v1/migrations").json();
    let status = &migrations[0]["status"];
    assert!(status.is_object(), "{migrations}");
    assert_eq!(
        (&migrations[0]["operation"], status["pending"].as_array().unwrap().len()),
        (&json!("schema"), 2),
        "{migrations}"
    );
    let impact = server.get("/api/v1/migrations/schema/impact").json();
    assert_eq!(
        (impact["statements"].as_array().unwrap().len(), &impact["database"]),
        (2, &json!("main")),
        "{impact}"
    );
    assert_eq!(server.get("/api/v1/migrations/logs/impact").wrong(404), "not_found");

    assert_eq!(server.get("/api/v1/undo-points").json()["undo_points"], json!([]));
    let begun =
        server.send("POST", "/api/v1/runs", &json!({"operations": ["logs"], "confirm": true}), &[]).json();
    let run = begun["run_id"].as_str().unwrap().to_owned();
    server.wait(&run);
    let points = server.get("/api/v1/undo-points").json();
    assert_eq!(
        (&points["undo_points"][0]["point"]["id"], &points["undo_points"][0]["database"]),
        (&json!(run), &json!("main"))
    );
    let preview = server.get(&format!("/api/v1/runs/{run}/undo")).json();
    assert_eq!(
        (&preview["plan"]["items"][0]["steps"][0]["matched"], &preview["points"][0]["conflicts"]),
        (&json!(311), &json!([]))
    );
    server
        .desk
        .place
        .script("insert into audit_log (id, old, action) values (400, 0, 'new'), (399, 0, 'new')");
    let point = server.get(&format!("/api/v1/undo-points/{run}")).json();
    let conflicts = point["conflicts"].as_array().unwrap();
    assert_eq!((conflicts.len(), &point["more_conflicts"]), (2, &json!(false)), "{point}");
    assert!(
        conflicts
            .iter()
            .any(|one| one["key"] == "id = 400" && one["reason"] == "a row with this key is there again"),
        "{point}"
    );
    assert_eq!(server.get("/api/v1/undo-points/nosuch").wrong(404), "not_found");
    assert_eq!(server.get("/api/v1/runs/nosuch/undo").wrong(404), "not_found");
    // What was foreseen is what happens.
    let undone = server.send("POST", &format!("/api/v1/runs/{run}/undo"), &json!({}), &[]).json();
    let report = server.wait(undone["run_id"].as_str().unwrap());
    assert_eq!(
        (&report["operations"][0]["rows_restored"], &report["operations"][0]["rows_failed"]),
        (&json!(309), &json!(2))
    );
    let brief = server.get("/api/v1/runs?brief=true&limit=1").json();
    assert_eq!(
        (&brief[0]["operations"][0]["findings"], &brief[0]["run_id"]),
        (&json!([]), &undone["run_id"])
    );
}

#[test]
fn runs_are_read_page_by_page() {
    // W-128
    let desk = Desk::ready();
    for _ in 0..5 {
        desk.sexton("run sessions --dry-run").ends(0);
    }
    let server = Server::of(desk, "read");
    let ids = |path: &str| -> Vec<String> {
        let page = server.get(path).json();
        page.as_array().unwrap().iter().map(|run| run["run_id"].as_str().unwrap().to_owned()).collect()
    };
    let all = ids("/api/v1/runs");
    assert_eq!(all.len(), 5);
    let (mut read, mut cursor) = (Vec::new(), String::new());
    for wanted in [2, 2, 1, 0] {
        let page = ids(&format!("/api/v1/runs?limit=2&operation=sessions{cursor}"));
        assert_eq!(page.len(), wanted, "{page:?}");
        read.extend(page);
        cursor = format!("&cursor={}", read.last().unwrap());
    }
    assert_eq!(read, all);
    assert_eq!(server.get("/api/v1/runs?cursor=nosuch").wrong(422), "usage");
}

#[test]
fn a_schedule_that_waits_for_an_approval_can_be_refused() {
    let desk = Desk::ready();
    let config = std::fs::read_to_string(desk.file("sexton.toml")).unwrap();
    desk.write(
        "sexton.toml",
        &format!("{config}\n[schedule.grave]\nrun = [\"logs\"]\ncron = \"0 2 * * *\"\n").replace(
            "title = \"Delete old audit rows\"",
            "title = \"Delete old audit rows\"\nseverity = \"HIGH\"",
        ),
    );
    let server = Server::of(desk, "admin");
    assert!(server.get("/api/v1/schedules/grave").json()["approval_needed"].is_string());
    let refused = server.send("POST", "/api/v1/schedules/grave/refuse", &json!({}), &[]).json();
    assert_eq!((&refused["enabled"], &refused["next"]), (&json!(false), &json!([])));
    assert!(server.desk.sexton("audit").ends(0).stdout.contains("refuse schedule"));
    server.send("POST", "/api/v1/schedules/grave/approve", &json!({}), &[]);
    assert_eq!(server.send("POST", "/api/v1/schedules/grave/refuse", &json!({}), &[]).wrong(409), "refused");
    assert_eq!(
        server.send("POST", "/api/v1/schedules/nosuch/refuse", &json!({}), &[]).wrong(404),
        "not_found"
    );
}
