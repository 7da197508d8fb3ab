//! The REST API as its users have it: with curl, against the real program.

use crate::kit::Desk;
use serde_json::{Value as Json, json};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A process that serves the API of a desk.
pub struct Server {
    pub desk: Desk,
    process: Child,
    /// Its whole address: `http://…`.
    pub at: String,
    pub token: String,
    log: Arc<Mutex<Vec<String>>>,
}

/// What curl got.
pub struct Answer {
    pub status: u16,
    pub headers: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{} {}", self.status, self.body))
    }

    /// The code of what went wrong, which must be in the one shape of errors.
    pub fn wrong(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.body);
        let error = &self.json()["error"];
        for key in ["code", "message", "correlation_id"] {
            assert!(!error[key].as_str().unwrap_or_default().is_empty(), "no {key}: {}", self.body);
        }
        error["code"].as_str().unwrap().to_owned()
    }
}

impl Server {
    fn begin(role: &str) -> Self {
        Self::of(Desk::ready(), role)
    }

    /// With a token of this role.
    pub fn of(desk: Desk, role: &str) -> Self {
        let token =
            desk.sexton(&format!("token create tester --role {role}")).ends(0).stdout.trim().to_owned();
        let log = Arc::default();
        let (process, at) = Self::process(&desk, &log);
        Self { desk, process, at, token, log }
    }

    /// What it wrote into its log so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The same again as another process, which knows only what was kept.
    pub fn restart(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        (self.process, self.at) = Self::process(&self.desk, &self.log);
    }

    fn process(desk: &Desk, log: &Arc<Mutex<Vec<String>>>) -> (Child, String) {
        let mut process = desk
            .command("serve --listen 127.0.0.1:0 --workers 1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        // It answers, and notes that it is there and looks for what is due: whichever comes first.
        let (mut at, mut is_there) = (String::new(), false);
        while at.is_empty() || !is_there {
            let line = lines.next().expect("it ended before it answered").unwrap();
            is_there |= line.contains(" looked after");
            if let Some((_, found)) = line.split_once("the API answer at ") {
                at = found.to_owned();
            }
        }
        let log = Arc::clone(log);
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| log.lock().unwrap().push(line))
        });
        (process, at)
    }

    pub fn curl(&self, arguments: &[&str], path: &str) -> Answer {
        let output = Command::new("curl")
            .args(["-s", "-i", "--max-time", "30", "-H", "Expect:"])
            .args(arguments)
            .arg(format!("{}{path}", self.at))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (headers, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text}"));
        let status = headers.split_whitespace().nth(1).unwrap().parse().unwrap();
        Answer { status, headers: headers.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.curl(&["-H", &format!("Authorization: Bearer {}", self.token)], path)
    }

    pub fn send(&self, method: &str, path: &str, body: &Json, more: &[&str]) -> Answer {
        let (token, body) = (format!("Authorization: Bearer {}", self.token), body.to_string());
        let mut arguments =
            vec!["-X", method, "-H", &token, "-H", "content-type: application/json", "-d", &body];
        arguments.extend(more);
        self.curl(&arguments, path)
    }

    /// The report of a run, once it has ended. An operation that has failed may still be putting something back.
    pub fn wait(&self, run: &str) -> Json {
        let began = Instant::now();
        loop {
            let run = self.get(&format!("/api/v1/runs/{run}"));
            if run.status == 200 {
                let report = run.json();
                if !report["metadata"]["finished_at"].is_null() || report["status"] == "interrupted" {
                    return report;
                }
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{}", run.body);
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn operations_are_planned_run_watched_and_undone() {
    let server = Server::begin("run");
    let names: Vec<Json> = server.get("/api/v1/operations").json().as_array().unwrap().clone();
    assert_eq!(names.iter().map(|one| one["id"].as_str().unwrap()).collect::<Vec<_>>(), ["logs", "sessions"]);
    let wanted = json!({"operations": ["logs"], "options": {"batch_size": 50}});
    let plan = server.send("POST", "/api/v1/plans", &wanted, &[]);
    assert_eq!(
        (plan.status, &plan.json()["items"][0]["steps"][0]["matched"]),
        (200, &json!(311)),
        "{}",
        plan.body
    );
    assert_eq!(server.send("POST", "/api/v1/runs", &wanted, &[]).wrong(409), "refused");
    assert_eq!(server.desk.count("audit_log"), 400);
    let sure = json!({"operations": ["logs"], "options": {"batch_size": 50}, "confirm": true});
    let begun = server.send("POST", "/api/v1/runs", &sure, &[]);
    assert_eq!(begun.status, 202, "{}", begun.body);
    let id = begun.json()["run_id"].as_str().unwrap().to_owned();
    let done = server.wait(&id);
    assert_eq!(
        (&done["status"], &done["progress"]),
        (&json!("completed"), &json!({"done": 311, "total": 311}))
    );
    assert_eq!(server.desk.count("audit_log"), 89);
    // Its events, also from the middle on.
    let events = server.get(&format!("/api/v1/runs/{id}/events"));
    assert!(events.headers.contains("text/event-stream"), "{}", events.headers);
    let all: Vec<Json> = events
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((&all[0]["event"], &all.last().unwrap()["event"]), (&json!("planned"), &json!("finished")));
    let rest = server.get(&format!("/api/v1/runs/{id}/events?from={}", all.len() - 1));
    assert_eq!(rest.body.matches("data: ").count(), 1, "{}", rest.body);
    // As a browser does that has lost its connection.
    let (bearer, last) =
        (format!("Authorization: Bearer {}", server.token), format!("Last-Event-ID: {}", all.len() - 3));
    let rest = server.curl(&["-H", &bearer, "-H", &last], &format!("/api/v1/runs/{id}/events"));
    assert_eq!(rest.body.matches("data: ").count(), 2, "{}", rest.body);
    assert!(rest.body.contains(&format!("id: {}\n", all.len() - 1)), "{}", rest.body);
    let undone = server.send("POST", &format!("/api/v1/runs/{id}/undo"), &json!({}), &[]).json();
    server.wait(undone["run_id"].as_str().unwrap());
    assert_eq!(server.desk.count("audit_log"), 400);
    let listed = server.get("/api/v1/runs?limit=1").json();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["run_id"]), (1, &undone["run_id"]));
    let trail = server.desk.sexton("audit").ends(0).stdout;
    assert!(trail.contains("token tester"), "{trail}");
}

#[test]
fn a_run_is_stopped_and_gone_on_with() {
    // S2-097: its status tells how far it is
    let server = Server::begin("run");
    let slow = json!({"operations": ["logs"], "confirm": true, "options": {"batch_size": 5, "pause": 0.15}});
    let id = server.send("POST", "/api/v1/runs", &slow, &[]).json()["run_id"].as_str().unwrap().to_owned();
    let began = Instant::now();
    while server.desk.count("audit_log") == 400 {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut done = Vec::new();
    while done.len() < 3 {
        assert!(began.elapsed() < Duration::from_secs(60), "{done:?}");
        let progress = server.get(&format!("/api/v1/runs/{id}")).json()["progress"].clone();
        assert_eq!(progress["total"], 311);
        done.push(progress["done"].as_u64().unwrap());
        done.dedup();
    }
    assert!(done.is_sorted() && done[2] < 311, "{done:?}");
    assert_eq!(server.send("POST", &format!("/api/v1/runs/{id}/cancel"), &json!({}), &[]).status, 202);
    assert_eq!(server.wait(&id)["status"], "cancelled");
    assert!(server.desk.count("audit_log") > 89);
    assert_eq!(server.send("POST", &format!("/api/v1/runs/{id}/resume"), &json!({}), &[]).status, 202);
    let began = Instant::now();
    while server.desk.count("audit_log") > 89 {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(server.wait(&id)["status"], "completed");
}

#[test]
fn schedules_are_added_approved_and_run_under_their_versions() {
    // S2-026, S2-027, W-067
    let server = Server::begin("admin");
    let says =
        json!({"run": ["logs"], "cron": "30 3 * * *", "options": {"batch_size": 1000, "max_seconds": 1800}});
    let added = server.send("PUT", "/api/v1/schedules/mine", &says, &["-H", "If-None-Match: *"]);
    assert_eq!(added.status, 201, "{}", added.body);
    assert!(added.headers.contains("etag: \"1\""), "{}", added.headers);
    assert_eq!(
        server.send("PUT", "/api/v1/schedules/mine", &says, &["-H", "If-None-Match: *"]).wrong(412),
        "changed"
    );
    assert_eq!(
        server.send("PUT", "/api/v1/schedules/mine", &says, &["-H", "If-Match: \"7\""]).wrong(412),
        "changed"
    );
    assert!(server.get("/api/v1/schedules/mine").json()["approval_needed"].is_string());
    let approved = server.send("POST", "/api/v1/schedules/mine/approve", &json!({"max_rows": 1000}), &[]);
    assert_eq!(
        (approved.status, &approved.json()["approval_needed"]),
        (200, &Json::Null),
        "{}",
        approved.body
    );
    assert_eq!(server.send("POST", "/api/v1/schedules/mine/run", &json!({}), &[]).status, 202);
    let began = Instant::now();
    while server.desk.count("audit_log") != 89 {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(50));
    }
    let off = server.send("POST", "/api/v1/schedules/mine/disable", &json!({}), &[]);
    assert_eq!((&off.json()["enabled"], &off.json()["next"]), (&json!(false), &json!([])));
    let wrong = json!({"run": ["nosuch"], "cron": "30 3 * * *"});
    assert_eq!(server.send("PUT", "/api/v1/schedules/other", &wrong, &[]).wrong(422), "usage");
    let unknown = json!({"run": ["logs"], "cron": "30 3 * * *", "sql": "drop table audit_log"});
    assert_eq!(server.send("PUT", "/api/v1/schedules/other", &unknown, &[]).wrong(422), "usage");
    assert_eq!(server.send("DELETE", "/api/v1/schedules/mine", &json!({}), &[]).status, 204);
    assert_eq!(server.get("/api/v1/schedules/mine").wrong(404), "not_found");
    assert_eq!(server.get("/api/v1/schedules").json(), json!([]));
}

#[test]
fn only_who_has_a_token_may_and_only_what_its_role_allows() {
    let mut server = Server::begin("read");
    assert_eq!(server.curl(&[], "/live").json(), json!({"status": "ok"}));
    assert_eq!(server.curl(&[], "/ready").json(), json!({"status": "ready"}));
    for wrong in ["", "Bearer ", "Bearer nonsense", "Bearer sexton_abcdefgh_0000", "Basic dGVzdA=="] {
        let answer = server.curl(&["-H", &format!("Authorization: {wrong}")], "/api/v1/operations");
        assert_eq!(answer.wrong(401), "unauthorised", "{wrong}");
        assert!(answer.headers.contains("www-authenticate: bearer"), "{}", answer.headers);
    }
    // The last letter changed.
    let forged = format!(
        "{}{}",
        &server.token[..server.token.len() - 1],
        if server.token.ends_with('0') { '1' } else { '0' }
    );
    assert_eq!(
        server.curl(&["-H", &format!("Authorization: Bearer {forged}")], "/api/v1/status").status,
        401
    );
    assert_eq!(server.get("/api/v1/status").status, 200);
    for path in ["/api/v1/plans", "/api/v1/runs"] {
        assert_eq!(server.send("POST", path, &json!({"operations": ["logs"]}), &[]).wrong(403), "forbidden");
    }
    let says = json!({"run": ["logs"], "cron": "0 2 * * *"});
    assert_eq!(server.send("PUT", "/api/v1/schedules/x", &says, &[]).wrong(403), "forbidden");
    let list = server.desk.sexton("token list --output json").ends(0).json();
    let id = list["tokens"][0]["id"].as_str().unwrap();
    assert!(!list.to_string().contains(&server.token) && list["tokens"][0]["used"].is_string(), "{list}");
    // Nor is its secret in the state, in whichever of its files.
    let secret = server.token.rsplit('_').next().unwrap().as_bytes();
    for file in std::fs::read_dir(server.desk.file(".sexton")).unwrap().flatten() {
        let bytes = std::fs::read(file.path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|part| part == secret), "{}", file.path().display());
    }
    server.desk.sexton(&format!("token revoke {id}")).ends(0);
    assert_eq!(server.get("/api/v1/status").status, 401);
    server.desk.sexton("token revoke nosuch").ends(2);
    for wrong in ["soon", "-1d", "0d", "900000y"] {
        let said = server.desk.sexton(&format!("token create x --expires={wrong}")).ends(2);
        assert!(said.stderr.contains("help: "), "{wrong}: {}", said.stderr);
    }
    server.desk.set("SEXTON_NOW", "2020-01-01T00:00:00Z");
    server.token = server.desk.sexton("token create old --expires 1d").ends(0).stdout.trim().to_owned();
    assert_eq!(server.get("/api/v1/status").wrong(401), "unauthorised", "it holds no longer");
}

#[test]
fn guards_are_overridden_by_administrators_only_and_that_is_written_down() {
    // W-066
    let desk = Desk::ready();
    desk.write("sexton.toml", &crate::kit::CONFIG.replace("max_percent = 100", "max_percent = 20"));
    let mut server = Server::of(desk, "run");
    let wanted = json!({"operations": ["logs"], "force": true, "confirm": true});
    for path in ["/api/v1/plans", "/api/v1/runs"] {
        let refused = server.send("POST", path, &wanted, &[]);
        assert_eq!(
            (refused.wrong(403), &refused.json()["error"]["field"]),
            ("forbidden".into(), &json!("force"))
        );
    }
    assert_eq!(server.desk.runs().len(), 0);
    server.token = server.desk.sexton("token create boss --role admin").ends(0).stdout.trim().to_owned();
    let begun = server.send("POST", "/api/v1/runs", &wanted, &[]).json();
    assert_eq!(server.wait(begun["run_id"].as_str().unwrap())["status"], "completed");
    assert_eq!(server.desk.count("audit_log"), 89);
    let trail = server.get("/api/v1/audit?limit=1").json();
    let line = trail[0]["detail"].as_str().unwrap();
    assert!(trail[0]["actor"] == "token boss" && line.contains(" by api, forced, with "), "{trail}");
}

#[test]
fn no_other_site_is_told_that_it_may_ask() {
    let server = Server::begin("admin");
    let bearer = format!("Authorization: Bearer {}", server.token);
    for method in ["GET", "OPTIONS"] {
        let asked = ["-X", method, "-H", &bearer, "-H", "Origin: https://evil.example"];
        let asked = [&asked[..], &["-H", "Access-Control-Request-Method: POST"]].concat();
        for path in ["/api/v1/runs", "/api/v1/session", "/live", "/", "/metrics"] {
            let answer = server.curl(&asked, path);
            assert!(!answer.headers.contains("access-control"), "{method} {path}: {}", answer.headers);
            assert!(method == "GET" || !(200..300).contains(&answer.status), "{path}: {}", answer.status);
        }
    }
}

#[test]
fn whatever_is_sent_is_answered_in_one_shape() {
    let server = Server::begin("admin");
    let token = format!("Authorization: Bearer {}", server.token);
    let json_type = "content-type: application/json";
    let post = |body: &str, kind: &str| {
        server.curl(&["-X", "POST", "-H", &token, "-H", kind, "-d", body], "/api/v1/plans")
    };
    assert_eq!(post("{", json_type).wrong(400), "malformed");
    assert_eq!(post("{}", json_type).wrong(422), "usage");
    assert_eq!(post("{\"operations\": 3}", json_type).wrong(422), "usage");
    assert_eq!(post("{\"operations\": [\"logs\"], \"more\": 1}", json_type).wrong(422), "usage");
    assert_eq!(post("{\"operations\": [\"a\\\"; drop table x; --\"]}", json_type).wrong(422), "usage");
    assert_eq!(post("{\"operations\": []}", json_type).wrong(422), "usage");
    assert_eq!(
        post("{\"operations\": [\"logs\"], \"options\": {\"nosuch\": 1}}", json_type).wrong(422),
        "usage"
    );
    // W-042: no SQL from here, no path, no other table
    for (key, value) in [
        ("where", "\"1 = 1\""),
        ("table", "\"session\""),
        ("archive", "\"/etc\""),
        ("mark", "{\"action\": \"x\"}"),
    ] {
        let sent = format!("{{\"operations\": [\"logs\"], \"options\": {{\"{key}\": {value}}}}}");
        let answer = post(&sent, json_type);
        assert!(
            answer.wrong(422) == "usage" && answer.body.contains("only be said in the configuration"),
            "{}",
            answer.body
        );
    }
    let plain = "{\"operations\": [\"logs\"], \"options\": {\"older_than\": \"395 days\", \"batch_size\": 7, \"undo\": \"none\"}}";
    assert_eq!(post(plain, json_type).status, 200);
    let sql = json!({"run": ["logs"], "cron": "0 2 * * *", "options": {"where": "1 = 1"}});
    assert_eq!(server.send("PUT", "/api/v1/schedules/sql", &sql, &[]).wrong(422), "usage");
    assert_eq!(post("operations=logs", "content-type: text/plain").wrong(415), "media_type");
    let file = server.desk.file("huge.json");
    std::fs::write(&file, format!("{{\"operations\": [\"{}\"]}}", "x".repeat(400_000))).unwrap();
    let huge = server.curl(
        &["-X", "POST", "-H", &token, "-H", json_type, "--data-binary", &format!("@{}", file.display())],
        "/api/v1/plans",
    );
    huge.wrong(413);
    // The same without a word of how long it is.
    let chunked = server.curl(
        &[
            "-X",
            "POST",
            "-H",
            &token,
            "-H",
            json_type,
            "-H",
            "Transfer-Encoding: chunked",
            "--data-binary",
            &format!("@{}", file.display()),
        ],
        "/api/v1/plans",
    );
    assert_eq!(chunked.wrong(413), "too_large");
    assert_eq!(post("[[\"logs\"]]", json_type).wrong(422), "usage", "a list is no object");
    assert_eq!(post("null", json_type).wrong(422), "usage");
    assert_eq!(server.get("/api/v1/nosuch").wrong(404), "not_found");
    assert_eq!(server.get("/nosuch").wrong(404), "not_found");
    assert_eq!(server.get("/api/v1/runs/nosuch").wrong(404), "not_found");
    for path in
        ["/api/v1/runs?limit=many", "/api/v1/runs?limit=-1", "/api/v1/runs?more=1", "/api/v1/runs/%ff"]
    {
        assert_eq!(server.get(path).wrong(400), "malformed", "{path}");
    }
    for path in ["/api/v1/runs?limit=0", "/api/v1/audit?limit=1001", "/api/v1/admin/maintenance?limit=0"] {
        let answer = server.get(path);
        assert!(
            answer.wrong(422) == "usage" && answer.json()["error"]["field"] == "limit",
            "{}",
            answer.body
        );
    }
    assert_eq!(server.send("DELETE", "/api/v1/runs", &json!({}), &[]).wrong(405), "method");
    let named = server.curl(&["-H", "x-correlation-id: my-own-1"], "/api/v1/status");
    assert_eq!(named.json()["error"]["correlation_id"], "my-own-1");
    assert!(
        named.headers.contains("x-correlation-id: my-own-1")
            && named.headers.contains("cache-control: no-store")
    );
    let document = server.get("/api/openapi.json").json();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 15 && paths.contains_key("/api/v1/runs/{id}/undo"), "{:?}", paths.keys());
    // Every answer that there is, and none that cannot be: a body is what may be no JSON, a version what may have changed.
    let answers = |path: &str, method: &str| {
        let all = paths[path][method]["responses"].as_object().unwrap();
        all.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(answers("/api/v1/status", "get"), "200 401 403 409 422 429 500 503");
    assert_eq!(
        answers("/api/v1/schedules/{name}", "put"),
        "200 201 400 401 403 404 409 412 413 415 422 429 500 503"
    );
    // What is no part of the API proper stands there too: who may ask, and with what it answers.
    for (path, all, is_open) in [
        ("/live", "200 500", true),
        ("/ready", "200 500 503", true),
        ("/health", "200 503 500", true),
        ("/metrics", "200 401 429 500 503", false),
        ("/api/openapi.json", "200 401 429 500 503", false),
    ] {
        assert_eq!(answers(path, "get"), all, "{path}");
        assert_eq!(paths[path]["get"].get("security").is_none(), is_open, "{path}");
    }
    assert!(
        paths["/metrics"]["get"]["responses"]["200"]["content"]["application/openmetrics-text"].is_object()
    );
    // Everything that can be said has words.
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(
                operation["summary"].is_string() || operation["description"].is_string(),
                "{method} {path}"
            );
            for one in operation["parameters"].as_array().into_iter().flatten() {
                let told = [&one["description"], &one["schema"]["description"]];
                assert!(told.iter().any(|words| words.is_string()), "{method} {path}: {one}");
            }
        }
    }
    let ids: Vec<&Json> = paths
        .values()
        .flat_map(|methods| methods.as_object().unwrap().values())
        .map(|one| &one["operationId"])
        .collect();
    let different: std::collections::BTreeSet<String> = ids.iter().map(|id| id.to_string()).collect();
    assert_eq!(different.len(), ids.len());
    assert!(document["components"]["schemas"]["Schedule"]["properties"]["cron"].is_object(), "{document}");
}
