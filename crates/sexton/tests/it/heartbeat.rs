//! Outside watchers: who stands still cannot tell that it does.

use crate::kit::{CONFIG, Desk};
use crate::notify::{Serving, wait_for};
use serde_json::json;
use testkit::HttpSink;

#[test]
fn each_schedule_calls_its_own_watcher_once_it_has_done_its_work_and_only_then() {
    // W-070
    let watcher = HttpSink::start();
    let mut desk = Desk::ready_with("");
    desk.set("WATCHER", &watcher.url("/nightly/s3cr3t"));
    desk.write(
        "sexton.toml",
        &format!(
            "{CONFIG}[operation.broken]\nkind = \"purge\"\ntable = \"nosuch\"\nage_column = \"at\"\nolder_than = \"1 day\"\n\
             [schedule.nightly]\ncron = \"0 2 * * *\"\nrun = [\"logs\"]\nheartbeat = \"${{WATCHER}}\"\n\
             [schedule.failing]\ncron = \"0 2 * * *\"\nrun = [\"broken\"]\nheartbeat = \"{}\"\n\
             [schedule.grave]\ncron = \"0 2 * * *\"\nrun = [\"sessions\"]\nheartbeat = \"{}\"\n",
            watcher.url("/failing"),
            watcher.url("/grave"),
        )
        .replace("severity = \"LOW\"", "severity = \"HIGH\""),
    );
    let called = || watcher.take().into_iter().map(|call| call.what).collect::<Vec<_>>();
    desk.sexton("schedule run nightly").ends(0);
    assert_eq!(called(), ["GET /nightly/s3cr3t"]);
    desk.sexton("schedule run failing").ends(1);
    // It waits for an approval, so it only shows what it would do: that is no work.
    desk.sexton("schedule run grave");
    assert_eq!(desk.count("session"), 50);
    assert_eq!(called(), Vec::<String>::new());
    desk.sexton("schedule approve grave").ends(0);
    desk.sexton("schedule run grave").ends(0);
    assert_eq!(called(), ["GET /grave"]);
    // A watcher that is away is no trouble of the run.
    watcher.answers(503);
    let said = desk.sexton("schedule run nightly").ends(0);
    assert!(
        said.stderr.contains("did not take the heartbeat") && !said.stderr.contains("s3cr3t"),
        "{}",
        said.shown()
    );
    // Nobody is told the address, and no schedule that was added has one.
    for line in
        ["schedule show nightly --output json", "schedule list --output json", "schedule show nightly"]
    {
        let said = desk.sexton(line).ends(0);
        assert!(!said.stdout.contains("s3cr3t") && !said.stdout.contains("WATCHER"), "{}", said.shown());
    }
    let server = crate::api::Server::of(desk, "admin");
    let says = json!({"run": ["logs"], "cron": "0 2 * * *", "heartbeat": watcher.url("/mine")});
    let refused = server.send("PUT", "/api/v1/schedules/mine", &says, &[]);
    assert!(refused.wrong(422) == "usage" && refused.body.contains("configuration"), "{}", refused.body);
    assert!(!server.get("/api/v1/schedules").body.contains("heartbeat"));
}

#[test]
fn a_receiver_that_hangs_does_not_look_like_a_death() {
    let watcher = HttpSink::start();
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let desk = Desk::ready_with("");
    desk.write(
        "sexton.toml",
        &format!(
            "{CONFIG}[notify.deaf]\ntype = \"webhook\"\nurl = \"http://{}/\"\ntimeout = \"5 min\"\n\
             [alerts]\ndisk_percent = 0.01\nheartbeat = \"{}\"\nheartbeat_every = \"1 s\"\n\
             [schedule.nightly]\ncron = \"0 2 * * *\"\nrun = [\"logs\"]\n",
            deaf.local_addr().unwrap(),
            watcher.url("/ping")
        ),
    );
    let _serving = Serving::begin(&desk);
    // It has called, and is given no answer.
    let _held = deaf.accept().unwrap();
    watcher.take();
    let mut beats = 0;
    wait_for("the watcher is called all the same", || {
        beats += watcher.take().len();
        beats >= 3
    });
}

#[test]
fn a_sign_of_life_needs_no_channel() {
    let watcher = HttpSink::start();
    let desk = Desk::ready_with("");
    let alerts = format!("[alerts]\nheartbeat = \"{}\"\nheartbeat_every = \"1 s\"\n", watcher.url("/ping"));
    desk.write(
        "sexton.toml",
        &format!("{CONFIG}{alerts}[schedule.nightly]\ncron = \"0 2 * * *\"\nrun = [\"logs\"]\n"),
    );
    let _serving = Serving::begin(&desk);
    wait_for("the watcher is called", || watcher.take().iter().any(|call| call.what == "GET /ping"));
}
