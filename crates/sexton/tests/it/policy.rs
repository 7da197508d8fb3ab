//! Policies of the configuration that stand above every run.

use crate::api::{Answer, Server};
use crate::fuzz::{MORE, served_with};
use crate::kit::Desk;
use serde_json::{Value as Json, json};

#[test]
fn the_first_run_must_be_dry_where_the_policy_says_so() {
    // S3-059, S2-079
    let desk = Desk::ready_with("first_run_dry = true");
    insta::assert_snapshot!(desk.sexton("run logs --yes").ends(3).shown());
    assert_eq!(desk.count("audit_log"), 400);
    desk.sexton("run logs --dry-run").ends(0);
    desk.sexton("run sessions").ends(3);
    desk.sexton("run logs --yes").ends(0);
    desk.sexton("undo latest").ends(0);
    assert_eq!(desk.count("audit_log"), 400);
}

#[test]
fn schedules_are_held_to_the_same_policy() {
    // S3-059, S2-079
    let nightly = "[schedule.nightly]\nrun = [\"logs\"]\ncron = \"0 2 * * *\"\n\
                   [schedule.careful]\nrun = [\"sessions\"]\ncron = \"0 3 * * *\"\ndry_run_first = true\n";
    let desk = Desk::ready_with(&format!("first_run_dry = true\n{nightly}"));
    let said = desk.sexton("schedule run nightly");
    assert!(said.code != 0 && said.shown().contains("had no dry run yet"), "{}", said.shown());
    assert!(said.shown().contains("sexton run logs --dry-run"), "{}", said.shown());
    assert_eq!(desk.count("audit_log"), 400);
    desk.sexton("run logs --dry-run").ends(0);
    desk.sexton("schedule run nightly").ends(0);
    assert_eq!(desk.count("audit_log"), 89);
    // It looks by itself.
    desk.sexton("schedule run careful").ends(0);
    assert_eq!(desk.count("session"), 25);
}

#[test]
fn calls_are_held_to_the_same_policy() {
    // S3-059, S2-079
    let server = Server::of(Desk::ready_with("first_run_dry = true"), "admin");
    let run = |body: serde_json::Value| server.send("POST", "/api/v1/runs", &body, &[]);
    let id = |answer: &Answer| answer.json()["run_id"].as_str().unwrap().to_owned();
    let refused = run(json!({"operations": ["sessions"]}));
    assert_eq!(refused.wrong(409), "refused");
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("`sessions` had no dry run yet") && message.contains("\"dry_run\": true"),
        "{message}"
    );
    // A plan that was shown is not a dry run: nothing is in the log that says how it was.
    let plan = server.send("POST", "/api/v1/plans", &json!({"operations": ["sessions"]}), &[]).json();
    assert_eq!(run(json!({"plan": plan["plan_id"], "confirm": true})).wrong(409), "refused");
    assert_eq!((server.desk.count("session"), server.desk.runs().len()), (50, 0));
    let dry = run(json!({"operations": ["sessions"], "dry_run": true}));
    assert_eq!(dry.status, 202, "{}", dry.body);
    assert_eq!(server.wait(&id(&dry))["status"], "completed");
    let real = run(json!({"operations": ["sessions"]}));
    assert_eq!((real.status, server.wait(&id(&real))["status"].as_str()), (202, Some("completed")));
    assert_eq!(server.desk.count("session"), 25);
    // Whoever calls it by its other name meets the same.
    let act = |dry: bool| {
        let body = json!({"action": "run_cleanup", "target": "logs", "options": {"dryRun": dry}});
        server.send("POST", "/api/v1/admin/maintenance", &body, &[])
    };
    assert_eq!(act(false).wrong(409), "refused");
    assert_eq!((act(true).status, server.desk.count("audit_log")), (200, 400));
    assert_eq!((act(false).status, server.desk.count("audit_log")), (200, 89));
    // What puts things back was never in need of a look.
    let undo = server.send(
        "POST",
        &format!("/api/v1/runs/{}/undo", server.desk.runs().last().unwrap()),
        &json!({}),
        &[],
    );
    assert_eq!(undo.status, 202, "{}", undo.body);
    assert_eq!(server.wait(&id(&undo))["status"], "completed");
    assert_eq!(server.desk.count("audit_log"), 400);
}

#[test]
fn calls_of_the_service_that_merges_are_held_to_the_same_policy() {
    // S3-059, S2-079
    let mut server = served_with("run", MORE);
    let config = std::fs::read_to_string(server.desk.file("sexton.toml")).unwrap();
    server.desk.write("sexton.toml", &format!("first_run_dry = true\n{config}"));
    server.restart();
    let call = |path: &str, body: Json| server.send("POST", &format!("/api/cleanup/{path}"), &body, &[]);
    let before = server.desk.sexton("digest").ends(0).stdout;
    // What only looks needs no look before it.
    assert_eq!(call("check", json!({})).json()["total"], 9);
    assert_eq!(call("verify", json!({})).json()["ok"], false);
    for real in [call("cleanup?dry_run=false", json!({})), call("cleanup", json!({"dry_run": false}))] {
        assert_eq!(real.wrong(409), "refused");
        assert!(real.body.contains("`cleanup` had no dry run yet"), "{}", real.body);
    }
    assert_eq!(server.desk.sexton("digest").ends(0).stdout, before);
    assert_eq!(call("cleanup", json!({})).json()["applications_found"], 9);
    let done = call("cleanup?dry_run=false", json!({})).json();
    assert_eq!(done["applications_cleaned"], 9, "{done}");
    // What puts things back was never in need of a look.
    for point in done["rollback_ids"].as_array().unwrap().iter().rev() {
        let back = call(&format!("rollback/{}", point.as_str().unwrap()), json!({}));
        assert_eq!(back.json()["success"], true, "{}", back.body);
    }
    assert_eq!(server.desk.sexton("digest").ends(0).stdout, before);
}

#[test]
fn what_is_needed_comes_first_in_all() {
    // S1-004, W-116
    let desk = Desk::ready();
    desk.write(
        "sexton.toml",
        &crate::kit::CONFIG.replace("[operation.logs]", "[operation.logs]\nneeds = [\"sessions\"]"),
    );
    let report = desk.sexton("run --all --dry-run --output report").ends(0).json();
    assert_eq!(report["operations"][0]["operation"], "sessions");
}

#[test]
fn listed_order_replaces_phases_where_the_configuration_says_so() {
    // X-16, W-037
    let space = "[operation.seen]\nkind = \"analyze\"\n[operation.built]\nkind = \"reindex\"\nall = true\n[operation.space]\nkind = \"vacuum\"\n";
    for (order, expected) in [
        ("", ["logs", "sessions", "space", "built", "seen"]),
        ("order = \"by_phase\"\n", ["logs", "sessions", "space", "built", "seen"]),
        ("order = \"as_listed\"\n", ["seen", "built", "space", "logs", "sessions"]),
    ] {
        let desk = Desk::ready_with(&format!("{order}{space}"));
        let report = desk.sexton("run --all --dry-run --output report").ends(0).json();
        let all = report["operations"].as_array().unwrap();
        let names: Vec<_> = all.iter().map(|one| one["operation"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{order}");
    }
}
