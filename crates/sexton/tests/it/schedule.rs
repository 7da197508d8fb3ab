//! Schedules at the command line: what is due when, what is added, switched, approved and run now; and the process that serves.

use crate::kit::Desk;
use serde_json::{Value as Json, json};
use std::io::Read as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const NIGHTLY: &str =
    "[schedule.nightly]\nrun = [\"sessions\"]\ncron = \"30 2 * * *\"\nzone = \"Europe/Paris\"\n";

fn desk() -> Desk {
    let desk = Desk::ready();
    let config = std::fs::read_to_string(desk.file("sexton.toml")).unwrap();
    desk.write("sexton.toml", &format!("{config}\n{NIGHTLY}"));
    desk
}

fn listed(desk: &Desk, name: &str) -> Json {
    let list = desk.sexton("schedule --output json").ends(0).json();
    let all = list["schedules"].as_array().unwrap().clone();
    all.into_iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name} in {list:#}"))
}

#[test]
fn the_next_times_are_shown_in_the_zone_and_in_utc() {
    // S2-019, W-048: around the change of the clock
    let mut desk = desk();
    desk.set("SEXTON_NOW", "2026-03-28T12:00:00Z");
    let said = desk.sexton("schedule next nightly --count 2").ends(0);
    assert!(said.stdout.contains("Sun 29 Mar 2026 03:00 +02:00  2026-03-29 01:00Z"), "{}", said.stdout);
    assert!(said.stdout.contains("Mon 30 Mar 2026 02:30 +02:00  2026-03-30 00:30Z"), "{}", said.stdout);
    let tried = desk.sexton("schedule next --cron '0 4 * * sun#1' --count 12 --output json").ends(0).json();
    let times = tried["next"]["0 4 * * sun#1"].as_array().unwrap();
    assert!(times.iter().all(|at| at.as_str().unwrap()[8..10].parse::<u8>().unwrap() <= 7), "{times:?}");
    desk.sexton("schedule next --cron '0 4 * *'").ends(2);
    desk.sexton("schedule next nosuch").ends(2);
    let both = desk.sexton("schedule add either --cron '0 4 1 * mon' --run logs").ends(0);
    drop(both);
    assert!(desk.sexton("schedule show either").ends(0).stdout.contains("cron takes either day"));
}

#[test]
fn the_examples_have_the_schedules_of_their_systems() {
    // S0-060, S0-063, S1-062, S1-063, S2-023, S2-024, S2-025, S3-015, S3-016, S3-017
    let mut desk = Desk::empty();
    desk.set("SEXTON_NOW", "2026-11-28T12:00:00Z");
    for variable in ["E1_DATABASE", "E2_DATABASE", "E3_DATABASE"] {
        desk.set(variable, "app.db");
    }
    let due = |example: &str, name: &str| -> (Json, Vec<String>) {
        if !desk.file(example).exists() {
            desk.sexton(&format!("example {example} {example}")).ends(0);
        }
        let list =
            desk.sexton(&format!("schedule --output json --config {example}/sexton.toml")).ends(0).json();
        let all = list["schedules"].as_array().unwrap();
        let one = all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{list:#}"));
        let next = one["next"].as_array().unwrap().iter().map(|at| at.as_str().unwrap().to_owned()).collect();
        (one["run"].clone(), next)
    };
    let first = |next: Vec<String>| next[0].clone();
    assert_eq!(first(due("e0", "daily").1), "2026-11-29T02:00:00Z");
    assert_eq!(first(due("e0", "weekly").1), "2026-11-29T03:00:00Z");
    let (run, next) = due("e1", "nightly");
    assert_eq!((run, first(next)), (json!(["logs", "sessions"]), "2026-11-29T02:00:00Z".to_owned()));
    assert_eq!(first(due("e1", "everything").1), "2026-11-29T03:00:00Z");
    assert_eq!(first(due("e1", "reindex").1), "2026-12-06T04:00:00Z");
    assert_eq!(first(due("e2", "daily").1), "2026-11-29T02:00:00Z");
    assert_eq!(first(due("e2", "weekly").1), "2026-11-29T01:00:00Z");
    assert_eq!(first(due("e2", "monthly").1), "2026-12-01T03:00:00Z");
    let hourly = due("e3", "consistency_check").1;
    assert_eq!((hourly[0].as_str(), hourly[1].as_str()), ("2026-11-28T13:00:00Z", "2026-11-28T14:00:00Z"));
    assert_eq!(first(due("e3", "full_cleanup").1), "2026-11-29T02:30:00Z");
    assert_eq!(first(due("e3", "integrity_verification").1), "2026-11-29T04:00:00Z");
}

#[test]
fn a_schedule_is_added_approved_run_switched_and_removed_without_a_restart() {
    // S2-018, S2-020, S2-022, S2-026, S2-027, S3-022, W-067
    let desk = desk();
    let add = "schedule add mine --cron '30 3 * * *' --run logs,sessions --set batch_size=1000 --set max_seconds=1800";
    let said = desk.sexton(add).ends(0);
    assert!(said.stderr.contains("only shown until it is approved"), "{}", said.stderr);
    let one = listed(&desk, "mine");
    assert_eq!(
        (&one["origin"], &one["version"], &one["enabled"]),
        (&json!("added"), &json!(1), &json!(true))
    );
    assert_eq!(one["options"], json!({"batch_size": 1000, "max_seconds": 1800}));
    assert!(one["approval_needed"].as_str().unwrap().contains("nobody approved it"));
    let shown = desk.sexton("schedule run mine").ends(0);
    assert!(shown.stdout.contains("only shown"), "{}", shown.stdout);
    assert_eq!(desk.count("audit_log"), 400);
    desk.sexton("schedule approve mine --max-rows 10").ends(0);
    let refused = desk.sexton("schedule run mine");
    assert!(refused.code != 0 && refused.stdout.contains("the approval is for 10"), "{}", refused.shown());
    desk.sexton("schedule approve mine --max-rows 1000").ends(0);
    desk.sexton("schedule run mine").ends(0);
    assert_eq!((desk.count("audit_log"), desk.count("session")), (89, 25));
    // Another condition is another thing.
    let config = std::fs::read_to_string(desk.file("sexton.toml")).unwrap();
    desk.write("sexton.toml", &config.replace("90 days", "30 days"));
    let changed = desk.sexton("schedule run mine").ends(0);
    assert!(changed.stdout.contains("was changed since it was approved"), "{}", changed.stdout);
    assert_eq!(desk.count("audit_log"), 89);
    desk.sexton("schedule disable mine").ends(0);
    assert_eq!(
        (&listed(&desk, "mine")["enabled"], &listed(&desk, "mine")["next"]),
        (&json!(false), &json!([]))
    );
    desk.sexton("schedule enable mine").ends(0);
    desk.sexton("schedule remove mine").ends(0);
    desk.sexton("schedule show mine").ends(2);
    let trail = desk.sexton("audit").ends(0).stdout;
    for line in ["add schedule", "approve schedule", "run schedule", "disable schedule", "remove schedule"] {
        assert!(trail.contains(line), "{line}: {trail}");
    }
    for wrong in [
        "schedule add mine --cron '99 3 * * *' --run logs",
        "schedule add mine --cron '0 3 * * *' --run nosuch",
        "schedule add mine --cron '0 3 * * *' --run logs --set nosuch=1",
        "schedule add mine --run logs",
        "schedule add mine --run logs --after nosuch",
        "schedule add 'my own' --cron '0 3 * * *' --run logs",
    ] {
        let said = desk.sexton(wrong).ends(2);
        assert!(said.stderr.contains("help: "), "{wrong}: {}", said.stderr);
    }
    desk.sexton("schedule add one --run logs --cron '0 3 * * *'").ends(0);
    desk.sexton("schedule add two --run logs --after one").ends(0);
    let circle = desk.sexton("schedule add one --run logs --after two").ends(2);
    assert!(circle.stderr.contains("would wait for itself"), "{}", circle.stderr);
    for theirs in ["schedule add nightly --cron '0 3 * * *' --run logs", "schedule remove nightly"] {
        assert!(desk.sexton(theirs).ends(3).stderr.contains("stands in the configuration"));
    }
}

#[test]
fn what_would_be_run_can_be_registered_instead() {
    // S1-009, X-52
    let desk = desk();
    desk.sexton("run --schedule daily").ends(0);
    assert_eq!(desk.count("audit_log"), 400);
    assert_eq!(
        (&listed(&desk, "daily")["run"], &listed(&desk, "daily")["cron"]),
        (&json!(["logs", "sessions"]), &json!("0 2 * * *"))
    );
    desk.sexton("run sessions --schedule weekly --batch-size 50").ends(0);
    let weekly = listed(&desk, "weekly");
    assert_eq!(
        (&weekly["run"], &weekly["cron"], &weekly["options"]),
        (&json!(["sessions"]), &json!("0 3 * * sun"), &json!({"batch_size": 50}))
    );
    desk.sexton("run --schedule monthly").ends(2);
    let config = std::fs::read_to_string(desk.file("sexton.toml")).unwrap();
    desk.write("sexton.toml", &format!("{config}\n[operation.reindex]\nkind = \"reindex\"\nall = true\n"));
    desk.sexton("run --schedule monthly").ends(0);
    assert_eq!(
        (&listed(&desk, "monthly")["run"], &listed(&desk, "monthly")["cron"]),
        (&json!(["reindex"]), &json!("0 4 * * sun#1"))
    );
    desk.sexton("run --schedule weekly --dry-run").ends(0);
    let all: Vec<String> = serde_json::from_value(listed(&desk, "weekly")["run"].clone()).unwrap();
    assert_eq!(all.len(), 3, "{all:?}");
    desk.sexton("run logs --schedule hourly").ends(2);
    // What a schedule cannot keep is refused, not left out.
    for lost in ["--database ./other.db", "--force"] {
        let said = desk.sexton(&format!("run logs --schedule daily {lost}")).ends(2);
        assert!(said.stderr.contains("cannot be used with"), "{}", said.shown());
    }
}

#[test]
fn other_schedulers_get_lines_that_work() {
    // W-047, S1-065: the line is run by a shell, as cron would, in an empty environment
    let desk = desk();
    let config = std::fs::read_to_string(desk.file("sexton.toml")).unwrap();
    desk.write(
        "sexton.toml",
        &format!("{config}\n[schedule.first]\nrun = [\"sessions\"]\ncron = \"0 4 * * sun#1\"\n"),
    );
    let lines = desk.sexton("schedule cron").ends(0).stdout;
    assert!(lines.contains("CRON_TZ=Europe/Paris\n30 2 * * * sexton schedule run nightly"), "{lines}");
    let line = lines.lines().find(|line| line.starts_with("0 4 1-7")).unwrap();
    assert!(!line.replace("\\%", "").contains('%'), "{line}");
    // What cron gives to the shell: without the five fields and the escapes, and on any day.
    let command = line.splitn(6, ' ').nth(5).unwrap().replace("\\%", "%");
    let always = command.replace("test \"$(date +%w)\" = 0", "test \"$(date +%w)\" -le 6");
    assert_ne!(command, always);
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_sexton")).parent().unwrap();
    let status = std::process::Command::new("/bin/sh")
        .args(["-c", &always])
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", program.display()))
        .current_dir("/")
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(desk.count("session"), 25);
    let unit = desk.sexton("schedule systemd nightly").ends(0).stdout;
    assert!(
        unit.contains("OnCalendar=*-*-* 02:30:00 Europe/Paris") && unit.contains("Persistent=true"),
        "{unit}"
    );
}

/// A process that serves, ended when the test ends.
struct Serving(Child);

impl Serving {
    fn begin(desk: &Desk) -> Self {
        Serving(desk.command("serve").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn ask(&mut self) -> (i32, String) {
        // SAFETY of the process: the id is that of our own child, which was not waited for.
        let asked = std::process::Command::new("kill").arg(self.0.id().to_string()).status().unwrap();
        assert!(asked.success());
        let code = self.0.wait().unwrap().code().unwrap_or(-1);
        let mut told = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        (code, told)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let began = Instant::now();
    while !there() {
        // Some wait for the next minute first.
        assert!(began.elapsed() < Duration::from_secs(150), "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn what_is_due_is_run_by_the_process_that_serves_and_it_stops_when_asked() {
    // S3-018, S2-089, S0-060, S2-026
    let desk = desk();
    // Seldom enough not to be due in the same minute as the other one, or it might be named as the next.
    let config = std::fs::read_to_string(desk.file("sexton.toml")).unwrap();
    desk.write("sexton.toml", &config.replace("\"30 2 * * *\"", "\"30 2 1 1 *\""));
    desk.sexton("schedule add often --cron '* * * * *' --run logs").ends(0);
    desk.sexton("schedule approve often").ends(0);
    assert!(desk.sexton("schedule").ends(0).stderr.contains("nobody serves them"));
    let mut serving = Serving::begin(&desk);
    wait_for("it is seen", || !desk.sexton("schedule").stderr.contains("nobody serves them"));
    let status = desk.sexton("status --output json").ends(0).json();
    assert_eq!(status["scheduler"]["running"], true, "{status:#}");
    assert!(
        status["schedules"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["name"] == "nightly" && one["next_run"].is_string())
    );
    // By hand while it serves: whoever is quicker.
    desk.sexton("schedule run nightly").ends(0);
    assert_eq!(desk.count("session"), 25);
    wait_for("the minute comes", || desk.count("audit_log") == 89);
    wait_for("it is told", || listed(&desk, "often")["last"]["state"] == "done");
    let (code, told) = serving.ask();
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("2 schedules are looked after; next is often at"), "{told}");
    assert!(told.contains("often done, 311 rows, run "), "{told}");
    assert!(told.trim_end().ends_with("stopped"), "{told}");
    assert!(desk.sexton("schedule").ends(0).stderr.contains("nobody serves them"));
}

#[test]
fn a_process_that_is_killed_in_mid_run_is_followed_by_the_next() {
    let desk = desk();
    let config = std::fs::read_to_string(desk.file("sexton.toml")).unwrap();
    let slowly = "[defaults]\npause = 0.15\nbatch_size = 5\n";
    desk.write("sexton.toml", &config.replace("[defaults]\n", slowly));
    desk.sexton("schedule add often --cron '* * * * *' --run logs").ends(0);
    desk.sexton("schedule approve often").ends(0);
    let serve = |lease: u32| {
        let mut command = desk.command(&format!("serve --lease {lease}"));
        Serving(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    };
    let mut first = serve(1);
    wait_for("it began", || desk.count("audit_log") < 400);
    first.0.kill().unwrap();
    first.0.wait().unwrap();
    let left = desk.count("audit_log");
    assert!(left > 89, "it was done before it could be killed");
    let mut second = serve(60);
    wait_for("it goes on", || desk.count("audit_log") == 89);
    wait_for("it is told", || {
        let ticks = desk.sexton("schedule show often --output json").ends(0).json()["ticks"].clone();
        let ticks = ticks.as_array().unwrap();
        ticks.iter().any(|tick| tick["term"].as_i64() >= Some(2) && tick["state"] == "done")
    });
    second.0.kill().unwrap();
    let runs = desk.sexton("runs list --limit 100 --output json").ends(0).json();
    let rows: u64 =
        runs["runs"].as_array().unwrap().iter().map(|run| run["totals"]["deleted"].as_u64().unwrap()).sum();
    assert_eq!(rows, 311, "each row once: {runs:#}");
}

#[test]
fn what_a_schedule_says_wrong_is_shown_under_a_caret() {
    let desk = Desk::ready();
    let config = std::fs::read_to_string(desk.file("sexton.toml")).unwrap();
    desk.write(
        "sexton.toml",
        &format!("{config}\n[schedule.a]\nrun = [\"sessions\", \"lgos\"]\ncron = \"0 25 * * *\"\nzone = \"UTC\"\nmised = \"once\"\noptions = {{ btch_size = 1, batch_size = \"x\" }}\n\
                  [schedule.b]\nrun = [\"logs\"]\nafter = [\"c\", \"b\"]\n[schedule.all]\nrun = []\ncron = \"0 2 * * *\"\n"),
    );
    let said = desk.sexton("config check").ends(2).stderr;
    for wrong in [
        "there is no operation or group `lgos`",
        "did you mean `logs`?",
        "`0 25 * * *` is no cron line",
        "did you mean `missed`?",
        "did you mean `batch_size`?",
        "there is no schedule `c`",
        "it cannot wait for itself",
        "it runs nothing",
        "a schedule cannot be called `all`",
    ] {
        assert!(said.contains(wrong), "{wrong}: {said}");
    }
}
