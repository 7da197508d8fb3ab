//! Runs that did not come to their end: what the log says of them, and the line that goes on.

use crate::kit::{AUDIT, CONFIG, Desk};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use testkit::Place;

/// A running program that is ended with the test, however that ends.
struct Running(Child);

impl Running {
    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A desk whose state is a database of its own, so that a test can change what is in it.
fn desk_with_state(place: Place) -> (Desk, Place) {
    let state = Place::postgres();
    let desk = Desk::at(place);
    desk.place.script2(
        AUDIT,
        "create table audit_log (id int primary key, created_at timestamptz not null, action text not null);
         insert into audit_log select i, now() - make_interval(days => i, hours => 1), 'update' from generate_series(1, 400) i;
         create table session (id int primary key, expires_at timestamptz not null);",
    );
    let config = CONFIG.replace("app.db", &desk.place.url());
    desk.write("sexton.toml", &format!("[state]\nurl = \"{}\"\n{config}", state.url()));
    (desk, state)
}

/// Starts a slow run and waits until it has committed a batch.
fn slow_run(desk: &Desk, state: &Place, line: &str) -> Running {
    let before = advanced(state);
    let child = desk.command(line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let running = Running(child);
    let began = Instant::now();
    while advanced(state) == before {
        assert!(began.elapsed() < Duration::from_secs(30), "no batch was committed");
        std::thread::sleep(Duration::from_millis(5));
    }
    running
}

fn advanced(state: &Place) -> usize {
    match state.try_script("select 1 from sexton.events") {
        Ok(()) => state.rows("select 1 from sexton.events where body like '%\"advanced\"%'").len(),
        Err(_) => 0,
    }
}

fn status(desk: &Desk) -> String {
    let list = desk.sexton("runs list --limit 1 --output json").ends(0).json();
    list["runs"][0]["status"].as_str().unwrap().to_owned()
}

const SLOW: &str = "run logs --yes --batch-size 10 --pause 0.5";

#[test]
fn a_run_that_could_not_be_planned_is_in_the_log_as_failed() {
    // S1-042, W-031, W-044
    let desk = Desk::ready();
    desk.place.script("drop table audit_log");
    let said = desk.sexton("run logs --yes").ends(2);
    assert!(said.stderr.contains("there is no table `audit_log`"), "{}", said.stderr);
    let list = desk.sexton("runs list --output json").ends(0).json();
    let run = &list["runs"][0];
    assert_eq!(
        (run["status"].as_str(), run["operations"][0]["error_class"].as_str()),
        (Some("failed"), Some("usage"))
    );
    assert!(run["errors"][0]["message"].as_str().unwrap().contains("audit_log"), "{run}");
    assert!(desk.sexton("audit").ends(0).stdout.contains("failed, 0 rows"));

    // once the table is there again, the run can go on
    desk.place.script(AUDIT.split("create table session").next().unwrap());
    desk.sexton("resume latest").ends(3);
    let said = desk.sexton("resume latest --yes").ends(0);
    assert!(said.stdout.contains("311 rows"), "{}", said.stdout);
    let show = desk.sexton("runs show latest --output report").ends(0).json();
    assert_eq!(show["status"], "completed");
    assert_eq!(show["errors"], serde_json::json!([]), "what was mended is no error any more");
    desk.sexton("undo latest --yes").ends(0);
    assert_eq!(desk.count("audit_log"), 400);
}

#[test]
fn an_operation_that_cannot_be_planned_does_not_keep_others_from_their_work() {
    // W-031, W-044, W-064, S1-042
    let desk = Desk::ready_with(
        "[run_log.jobs]\ntable = \"jobs\"\ncolumns = { status = \"status\", error = \"error\" }",
    );
    desk.place.script("drop table audit_log; create table jobs (status text, error text)");
    let said = desk.sexton("run --all --yes").ends(1);
    assert_eq!(desk.count("session"), 25, "{}", said.shown());
    assert!(
        said.stderr.contains("logs: ") && said.stderr.contains("there is no table `audit_log`"),
        "{}",
        said.stderr
    );
    assert!(said.stdout.contains("failed logs: it could not be planned"), "{}", said.stdout);
    assert_eq!(desk.count("jobs where status = 'failed' and error like '%audit_log%'"), 1);

    // also a single one is told to the application
    desk.sexton("run logs --yes").ends(2);
    assert_eq!(desk.count("jobs where status = 'failed' and error like '%audit_log%'"), 2);
}

#[test]
fn a_stored_plan_that_can_no_longer_be_planned_is_in_the_log_as_failed() {
    // S1-042
    let desk = Desk::ready();
    desk.sexton("plan logs --save p.json").ends(0);
    desk.place.script("drop table audit_log");
    desk.sexton("run --plan p.json --yes").ends(2);
    assert_eq!(status(&desk), "failed");
}

#[test]
fn a_run_whose_process_died_is_shown_as_interrupted_with_the_line_that_goes_on() {
    let (desk, state) = desk_with_state(Place::sqlite());
    let mut running = slow_run(&desk, &state, SLOW);
    assert_eq!(status(&desk), "running");
    desk.sexton("resume latest").ends(6);
    let id = desk.sexton("runs list --output json").json()["runs"][0]["run_id"].as_str().unwrap().to_owned();
    assert!(desk.sexton(&format!("resume {id}")).ends(6).stderr.contains("process"));
    running.kill();

    assert_eq!(status(&desk), "interrupted");
    let said = desk.sexton("stop latest").ends(2);
    assert!(said.stderr.contains("its process is gone"), "{}", said.stderr);
    let said = desk.sexton("runs list").ends(0);
    let line = said.stdout.lines().find_map(|line| line.strip_prefix("resume  sexton ")).unwrap();
    let line = line.split("  ").next().unwrap();
    assert!(desk.sexton("runs show latest").ends(0).stdout.contains("died   "));
    desk.sexton(&format!("{line} --pause 0")).ends(0);
    assert_eq!((status(&desk).as_str(), desk.count("audit_log")), ("completed", 89));
}

#[test]
fn a_run_of_another_machine_is_never_called_dead_while_it_lives() {
    for place in [Place::sqlite(), Place::postgres()] {
        let (desk, state) = desk_with_state(place);
        let mut running = slow_run(&desk, &state, SLOW);
        state.script("update sexton.presences set host = 'another'");
        assert_eq!(status(&desk), "running", "it was heard of just now");
        // its machine slept, say: the lock is still held (and the process may have told again where it is)
        state.script("update sexton.presences set host = 'another', heard_us = 0");
        assert_eq!(status(&desk), "running");
        running.kill();
        let began = Instant::now();
        // a server needs a moment to see that its client is gone
        while status(&desk) != "interrupted" {
            assert!(began.elapsed() < Duration::from_secs(20), "it is still called {}", status(&desk));
        }
        let heard = format!("update sexton.presences set host = 'another', heard_us = {}", i64::MAX);
        state.script(&heard);
        assert_eq!(status(&desk), "running", "what is heard of is alive, also between two locks");
    }
}

#[test]
fn a_failed_run_goes_on_with_the_limits_of_the_printed_line() {
    // S2-090, S1-048
    let (desk, _state) = desk_with_state(Place::sqlite());
    let database = desk.place.database();
    let mut session = database.open().unwrap();
    let held = session.begin(&targets::db::Limits::default()).unwrap();
    let said = desk.sexton("run logs --yes --lock-timeout 0.01 --min-free-disk-mb 0").ends(1);
    drop(held);
    let line = said.stdout.lines().find_map(|line| line.strip_prefix("resume sexton ")).unwrap();
    assert!(line.ends_with("--batch-size 100 --max-seconds 3600"), "{line}");
    desk.sexton(line).ends(0);
    let report = desk.sexton("runs show latest --output report").ends(0).json();
    assert_eq!(report["operations"][0]["rows_deleted"], 311);
    assert!(report["operations"][0]["batch_size"].as_u64().unwrap() <= 100, "{report}");
    let trail = desk.sexton("audit").ends(0).stdout;
    assert!(trail.contains("resume otherwise") && trail.contains("\"batch_size\":100"), "{trail}");
}

#[test]
fn resume_takes_every_limit_and_refuses_what_is_none() {
    let desk = Desk::ready();
    desk.sexton("run logs --yes --max-rows 5").ends(4);
    desk.sexton("resume latest --max-rows 20").ends(4);
    assert_eq!(desk.count("audit_log"), 400 - 25);
    // the window is closed now, except for a minute of the day
    let closed = if desk.sexton("resume latest --window 00:00-00:01").code == 4 {
        "00:00-00:01"
    } else {
        "12:00-12:01"
    };
    desk.sexton(&format!("resume latest --window {closed} --max-rows 1")).ends(4);
    desk.sexton("resume latest --batch-size none").ends(2);
    desk.sexton("resume latest --table session").ends(2);
    desk.sexton("resume latest --force --max-rows 1000").ends(0);
    assert_eq!(desk.count("audit_log"), 89);
}

#[test]
fn a_state_on_a_server_is_asked_like_one_in_a_file_and_the_log_is_a_file_too() {
    // S2-098, W-115
    let (desk, state) = desk_with_state(Place::postgres());
    let text = desk.sexton("plan logs").ends(0).stdout;
    assert!(text.contains("expected   not known before its first run"), "{text}");
    assert!(state.try_script("select 1 from sexton.meta").is_err(), "looking makes no state");
    desk.sexton("run logs --yes").ends(0);
    assert_eq!(desk.runs().len(), 1);
    let plan = desk.sexton("plan logs --output json").ends(0).json();
    assert!(plan["items"][0]["expected_seconds"].as_f64().is_some(), "{plan}");
}

#[test]
fn a_run_outlives_the_loss_of_its_connections_between_two_batches() {
    // S3-044, W-115
    let (desk, state) = desk_with_state(Place::postgres());
    let mut running = slow_run(&desk, &state, "run logs --yes --batch-size 40 --pause 0.1");
    for place in [&state, &desk.place] {
        place.admin_script(
            "select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and application_name = 'sexton' and pid <> pg_backend_pid()",
        );
    }
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
    assert_eq!((status(&desk).as_str(), desk.count("audit_log")), ("completed", 89));
    assert_eq!(desk.sexton("runs show latest --output report").json()["operations"][0]["rows_deleted"], 311);
}
