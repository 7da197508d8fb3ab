//! What a call leaves behind: a line in the audit trail for whatever it changes, and one id under which all of it is found.

use crate::api::{Answer, Server};
use crate::fuzz::{MORE, served_with};
use crate::kit::Desk;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use testkit::HttpSink;

/// Calls that change nothing.
const LOOK: [&str; 1] = ["post /api/v1/plans"];

/// Makes calls, and looks whether each of them has left a line.
struct Trail {
    server: Server,
    called: BTreeSet<String>,
}

impl Trail {
    fn lines(&self) -> Vec<Json> {
        self.server.get("/api/v1/audit?limit=1000").json().as_array().unwrap().clone()
    }

    /// Makes a call by its name in the document; `parts` are those of its path.
    fn call(&mut self, name: &str, parts: &[&str], body: Json) -> Answer {
        let (method, template) = name.split_once(' ').unwrap();
        let mut path = template.to_owned();
        for part in parts {
            let (before, rest) = path.split_once('{').unwrap();
            path = format!("{before}{part}{}", rest.split_once('}').unwrap().1);
        }
        let before = self.lines().len();
        let answer = self.server.send(&method.to_uppercase(), &path, &body, &[]);
        assert!((200..300).contains(&answer.status), "{name} {body}: {} {}", answer.status, answer.body);
        let lines = self.lines();
        // What it asked for may have left some by now as well.
        let new = &lines[..lines.len() - before];
        assert!(new.iter().any(|line| line["actor"] == "token tester"), "{name} {body}: {new:?}");
        self.called.insert(name.to_owned());
        answer
    }

    /// The same for a call that begins a run, which is waited for.
    fn run(&mut self, name: &str, parts: &[&str], body: Json) -> String {
        let id = self.call(name, parts, body).json()["run_id"].as_str().unwrap().to_owned();
        self.server.wait(&id);
        id
    }
}

#[test]
fn every_call_that_changes_something_leaves_a_line_in_the_audit_trail() {
    // S2-060, W-066
    let slow = "[operation.slow]\nkind = \"purge\"\nseverity = \"LOW\"\ntable = \"slow\"\nwhere = \"id > 0\"\n\
                batch_size = 5\npause = 0.4\nmax_percent = 100\n";
    let server = served_with("admin", &format!("{MORE}{slow}"));
    server.desk.place.script(
        "create table slow (id integer primary key);
         insert into slow with recursive n(i) as (select 1 union all select i + 1 from n where i < 100) select i from n;",
    );
    let mut trail = Trail { server, called: BTreeSet::new() };

    // Runs.
    let begun = trail.call("post /api/v1/runs", &[], json!({"operations": ["slow"]}));
    let id = begun.json()["run_id"].as_str().unwrap().to_owned();
    trail.call("post /api/v1/runs/{id}/cancel", &[&id], json!({}));
    assert_eq!(trail.server.wait(&id)["status"], "cancelled");
    trail.call("post /api/v1/runs/{id}/resume", &[&id], json!({}));
    while trail.server.desk.count("slow") > 0 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(trail.server.wait(&id)["status"], "completed");
    trail.run("post /api/v1/runs/{id}/undo", &[&id], json!({}));

    // Schedules.
    let says = json!({"run": ["check"], "cron": "0 2 * * *"});
    let one = "/api/v1/schedules/{name}";
    trail.call(&format!("put {one}"), &["mine"], says);
    trail.call(&format!("post {one}/refuse"), &["mine"], json!({}));
    for what in ["enable", "approve", "run", "withdraw", "disable"] {
        trail.call(&format!("post {one}/{what}"), &["mine"], json!({}));
    }
    trail.call(&format!("delete {one}"), &["mine"], json!({}));

    // Those of the service that merges.
    for look in ["check", "verify"] {
        trail.call(&format!("post /api/cleanup/{look}"), &[], json!({}));
    }
    let cleaned =
        trail.call("post /api/cleanup/cleanup", &[], json!({"dry_run": false, "max_applications": 1})).json();
    let point = cleaned["rollback_ids"][0].as_str().unwrap().to_owned();
    trail.call("post /api/cleanup/rollback/{rollback_id}", &[&point], json!({}));

    // The routes of the learning platform.
    let base = "/api/v1/admin/maintenance";
    let theirs = json!({"name": "Theirs", "operations": ["check"]});
    trail.call(&format!("post {base}/schedules"), &[], theirs.clone());
    trail.call(&format!("put {base}/schedules/{{id}}"), &["theirs"], theirs);
    trail.call(&format!("post {base}/schedules/{{id}}/run"), &["theirs"], json!({}));
    trail.call(&format!("delete {base}/schedules/{{id}}"), &["theirs"], json!({}));
    let act = |trail: &mut Trail, action: &str, target: Json| {
        // A database is replaced only by whoever names the backup.
        let confirm = if action == "restore" { target.clone() } else { json!(true) };
        let options = json!({"dryRun": false, "confirm": confirm});
        let body = json!({"action": action, "target": target, "options": options});
        trail.call(&format!("post {base}"), &[], body).json()
    };
    let cleaned = act(&mut trail, "run_cleanup", json!("cleanup"));
    act(&mut trail, "undo", cleaned["run_id"].clone());
    act(&mut trail, "run_batch", json!(["check", "verify"]));
    act(&mut trail, "test_migration", json!("0001_note"));
    act(&mut trail, "apply_migration", json!("0001_note"));
    act(&mut trail, "apply_pending", json!([]));
    act(&mut trail, "rollback_migration", json!("0001_note"));
    act(&mut trail, "backup", Json::Null);
    act(&mut trail, "verify_backup", json!("latest"));
    act(&mut trail, "restore", json!("latest"));

    // Sessions.
    let token = json!({"token": trail.server.token});
    let begun = trail.call("post /api/v1/session", &[], token);
    let cookie = begun.headers.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    let cookie = format!("Cookie: {}", cookie.split(';').next().unwrap());
    let proof = format!("x-sexton-proof: {}", begun.json()["proof"].as_str().unwrap());
    let before = trail.lines().len();
    let ended = trail.server.curl(&["-X", "DELETE", "-H", &cookie, "-H", &proof], "/api/v1/session");
    assert_eq!((ended.status, trail.lines().len()), (204, before + 1));
    trail.called.insert("delete /api/v1/session".to_owned());

    // Whatever else the document has would be missing here.
    let document = trail.server.get("/api/openapi.json").json();
    let paths = document["paths"].as_object().unwrap().iter();
    let all = paths.flat_map(|(path, methods)| {
        methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
    });
    let changing: BTreeSet<String> =
        all.filter(|name| !name.starts_with("get ") && !LOOK.contains(&name.as_str())).collect();
    assert_eq!(changing, trail.called);
}

#[test]
fn one_id_runs_through_the_answer_the_log_the_report_and_the_message() {
    // S3-046
    let sink = HttpSink::start();
    let server = Server::of(
        Desk::ready_with(&format!(
            "[log]\nlevel = \"info\"\nformat = \"json\"\n[notifications]\non_success = true\n\
             [notify.team]\ntype = \"webhook\"\nurl = \"{}\"\n",
            sink.url("/team")
        )),
        "admin",
    );
    let sessions = json!({"operations": ["sessions"]});
    let begun = server.send("POST", "/api/v1/runs", &sessions, &["-H", "x-correlation-id: my-call-7"]);
    assert!(begun.headers.contains("x-correlation-id: my-call-7"), "{}", begun.headers);
    let report = server.wait(begun.json()["run_id"].as_str().unwrap());
    assert_eq!(report["correlation_id"], "my-call-7");
    let mut told = Vec::new();
    crate::notify::wait_for("it is told", || {
        told.extend(sink.take());
        !told.is_empty()
    });
    assert_eq!(told[0].json()["correlation_id"], "my-call-7");
    let lines = server.log();
    let of_run: Vec<&String> = lines.iter().filter(|line| line.contains("my-call-7")).collect();
    assert!(!of_run.is_empty(), "{lines:#?}");
    for line in of_run {
        let line: Json = serde_json::from_str(line).unwrap();
        assert_eq!(line["span"]["correlation"], "my-call-7", "{line}");
    }
    // Where the caller names none, the answer does.
    let body = json!({"action": "run_cleanup", "target": "logs", "options": {"dryRun": false}});
    let done = server.send("POST", "/api/v1/admin/maintenance", &body, &[]);
    let named = done.headers.lines().find_map(|line| line.strip_prefix("x-correlation-id: ")).unwrap();
    assert_eq!(done.json()["correlation_id"], named, "{}", done.body);
    let undo = format!("/api/v1/runs/{}/undo", done.json()["run_id"].as_str().unwrap());
    let undone = server.send("POST", &undo, &json!({}), &["-H", "x-correlation-id: my-undo"]).json();
    assert_eq!(server.wait(undone["run_id"].as_str().unwrap())["correlation_id"], "my-undo");
}
