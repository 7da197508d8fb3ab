//! Messages and alerts as users meet them: configured, tried, sent to real receivers, listed, and sent again when they were away.

use crate::kit::{CONFIG, Desk};
use crate::schema::faults;
use serde_json::{Value as Json, json};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use testkit::{HttpSink, Place, SmtpSink, Speaks};

const NIGHTLY: &str = "\n[schedule.nightly]\nrun = [\"logs\"]\ncron = \"0 2 * * *\"\n";

/// A desk whose messages go to a web server; `more` is the rest of the configuration.
pub fn desk(more: &str) -> (Desk, HttpSink) {
    let (desk, sink) = (Desk::ready(), HttpSink::start());
    let channel = format!("[notify.team]\ntype = \"webhook\"\nurl = \"{}\"\n", sink.url("/team"));
    desk.write("sexton.toml", &format!("{CONFIG}{channel}{NIGHTLY}{more}"));
    (desk, sink)
}

pub fn titles(sink: &HttpSink) -> Vec<String> {
    sink.take().iter().map(|call| call.json()["title"].as_str().unwrap().to_owned()).collect()
}

pub fn assert_fits(desk: &Desk, name: &str, document: &Json) {
    let contract = desk.sexton("reference documents").ends(0).json()[name].clone();
    let found = faults(document, &contract);
    assert!(found.is_empty(), "{found:#?}\n{document:#}");
}

pub fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let began = Instant::now();
    while !there() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A process that serves, ended with the test.
pub struct Serving(Child);

impl Serving {
    pub fn begin(desk: &Desk) -> Self {
        Serving(desk.command("serve").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_channel_can_be_tried_and_no_secret_is_shown() {
    // S1-077, S2-075, S2-076, S2-077, W-070: secrets come from the environment or a file
    let (mut desk, sink, mails) = (Desk::ready(), HttpSink::start(), SmtpSink::start(Speaks::Plain));
    desk.set("SLACK_URL", &sink.url("/services/s3cr3t-slack"));
    desk.write("token", "77:s3cr3t-telegram\n");
    desk.set("SIGN", "s3cr3t-sign");
    desk.write(
        "sexton.toml",
        &format!(
            "{CONFIG}\n[notify.email]\nserver = \"localhost\"\nport = {}\ntls = \"off\"\nfrom = \"sexton@example.org\"\n\
             to = [\"ops@example.org\"]\n[notify.slack]\nurl = \"${{SLACK_URL}}\"\n\
             [notify.telegram]\ntoken = \"file:token\"\nchat = \"42\"\napi = \"{}\"\n\
             [notify.monitor]\ntype = \"webhook\"\nurl = \"{}\"\nsecret = \"${{SIGN}}\"\n\
             [notify.script]\ntype = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", \"cat > got.json\"]\n",
            mails.port,
            sink.url(""),
            sink.url("/monitor")
        ),
    );
    let said = desk.sexton("notify test").ends(0);
    for name in
        ["email (email)", "slack (slack)", "telegram (telegram)", "monitor (webhook)", "script (exec)"]
    {
        assert!(said.stdout.contains(&format!("sent   {name}")), "{}", said.shown());
    }
    let calls = sink.take();
    let paths: Vec<&str> = calls.iter().map(|call| call.what.as_str()).collect();
    assert_eq!(
        paths,
        ["POST /services/s3cr3t-slack", "POST /bot77:s3cr3t-telegram/sendMessage", "POST /monitor"]
    );
    assert!(calls[2].header("x-sexton-signature").unwrap().starts_with("sha256="));
    assert_fits(&desk, "Message", &calls[2].json());
    assert!(mails.take()[0].data.contains("Subject: a test of email"));
    let got: Json = serde_json::from_str(&std::fs::read_to_string(desk.file("got.json")).unwrap()).unwrap();
    assert_eq!(got["title"], "a test of script");
    sink.answers(403);
    let said = desk.sexton("notify test telegram").ends(1);
    assert!(said.stderr.contains("telegram: it answered 403"), "{}", said.shown());
    let document = desk.sexton("notify test slack --output json").ends(1).json();
    assert_fits(&desk, "Tested channels", &document);
    for line in ["notify test", "notify list", "config check", "schedule", "notify test --output json"] {
        let said = desk.sexton(line);
        assert!(!format!("{}{}", said.stdout, said.stderr).contains("s3cr3t"), "{line}: {}", said.shown());
    }
    assert!(desk.sexton("notify test nosuch").ends(2).stderr.contains("there is no channel `nosuch`"));
    assert!(Desk::ready().sexton("notify test").ends(2).stderr.contains("there are no channels"));
}

#[test]
fn what_a_schedule_came_to_is_mailed_with_its_figures() {
    // S1-076, S2-075, S3-046
    let (desk, mails) = (Desk::ready(), SmtpSink::start(Speaks::Plain));
    desk.write(
        "sexton.toml",
        &format!(
            "{CONFIG}{NIGHTLY}notifications = {{ on_success = true, recipients = [\"anna@example.org\"] }}\n[notify.email]\n\
             server = \"127.0.0.1\"\nport = {}\ntls = \"off\"\nfrom = \"sexton@example.org\"\nto = [\"ops@example.org\"]\n",
            mails.port
        ),
    );
    desk.sexton("schedule run nightly").ends(0);
    let mail = mails.take().remove(0);
    assert_eq!(mail.to, ["anna@example.org"]);
    let run = desk.sexton("runs show latest --output report").ends(0).json();
    for line in [
        "Subject: nightly is done: 311 rows",
        &format!("correlation {}", run["correlation_id"].as_str().unwrap()),
        &format!("put back with: sexton undo {}", run["run_id"].as_str().unwrap()),
    ] {
        assert!(mail.data.lines().any(|known| known == line), "{line}\n{}", mail.data);
    }
    assert!(mail.data.contains("logs on main completed: 311 rows deleted, "), "{}", mail.data);
    // Nobody asked for a word about what somebody typed.
    desk.sexton("run sessions").ends(0);
    assert!(mails.take().is_empty());
}

#[test]
fn a_channel_says_it_in_its_own_words() {
    let (desk, sink) = (Desk::ready(), HttpSink::start());
    desk.write(
        "sexton.toml",
        &format!(
            "{CONFIG}{NIGHTLY}notifications = {{ on_success = true }}\n[notify.slack]\nurl = \"{}\"\n\
             title = \"[{{{{ event | upper }}}}] {{{{ schedule }}}}\"\n\
             text = \"{{{{ metrics.rows_deleted }}}} rows{{% if level == 'critical' %}}!{{% endif %}}, runbook: https://wiki.example.org/{{{{ schedule }}}}\"\n",
            sink.url("/hook")
        ),
    );
    desk.sexton("schedule run nightly").ends(0);
    let told: Vec<Json> = sink.take().iter().map(|call| call.json()).collect();
    let text = "*[SUCCESS] nightly*\n311 rows, runbook: https://wiki.example.org/nightly";
    assert_eq!(told, [json!({ "text": text })]);
}

#[test]
fn a_receiver_that_is_away_fails_no_run_and_gets_it_later_once() {
    // W-070: sink down; delivered later once
    let (mut desk, sink) = desk("notifications = { on_success = true }\n");
    sink.answers(503);
    // By our clock and by that of the database it is the same day, or nothing would be run.
    let begin = jiff::Timestamp::now();
    desk.set("SEXTON_NOW", &begin.to_string());
    desk.sexton("run logs --dry-run").ends(0);
    let said = desk.sexton("schedule run nightly");
    assert_eq!(said.code, 0, "{}", said.shown());
    assert!(said.stderr.contains("1 message waits for team: it answered 503"), "{}", said.shown());
    let list = desk.sexton("notify list --output json").ends(0).json();
    assert_fits(&desk, "Notes", &list);
    assert_eq!((&list["counts"]["waiting"], &list["notes"][0]["tries"]), (&json!(1), &json!(1)));
    assert!(desk.sexton("notify list").ends(0).stdout.contains("waiting"));
    sink.answers(200);
    sink.take();
    // It is not its time yet.
    desk.sexton("notify send").ends(0);
    assert!(sink.take().is_empty());
    desk.set("SEXTON_NOW", &(begin + jiff::SignedDuration::from_mins(2)).to_string());
    desk.sexton("notify send").ends(0);
    desk.sexton("notify send").ends(0);
    assert_eq!(titles(&sink).len(), 1);
    assert_eq!(desk.sexton("notify list --output json").ends(0).json()["counts"]["sent"], 1);
}

#[test]
fn a_typed_run_is_told_where_that_is_wanted_and_a_receiver_that_hangs_is_not_waited_for() {
    // W-070: a receiver that takes the call and never answers
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hangs = format!(
        "[notify.deaf]\ntype = \"webhook\"\nurl = \"http://{}/\"\ntimeout = \"1 s\"\n\
         [notifications]\nby_hand = true\non_success = true\n",
        deaf.local_addr().unwrap()
    );
    let (desk, sink) = desk(&hangs);
    let began = Instant::now();
    let said = desk.sexton("run sessions").ends(0);
    assert!(began.elapsed() < Duration::from_secs(20));
    assert!(said.stderr.contains("1 message waits for deaf: it took too long"), "{}", said.shown());
    assert_eq!(titles(&sink), ["sessions is done: 25 rows"]);
    // A look at what would happen is no news.
    desk.sexton("run logs --dry-run").ends(0);
    assert!(sink.take().is_empty());
}

#[test]
fn a_schedule_that_is_added_says_who_is_told() {
    // S2-018, S2-027
    let (desk, _sink) = desk("");
    let add = "schedule add mine --cron '30 3 * * *' --run logs,sessions --tell success,failure,warnings --channel team";
    desk.sexton(&format!("{add} --recipient anna@example.org --alert-threshold 10")).ends(0);
    let shown = desk.sexton("schedule show mine").ends(0).stdout;
    assert!(shown.contains("tells      success, failure, warnings on team to anna@example.org"), "{shown}");
    let document = desk.sexton("schedule show mine --output json").ends(0).json();
    assert_eq!(document["alert_threshold"], 10);
    desk.sexton(&format!("{add},nosuch")).ends(2);
    desk.sexton(&format!("{add} --recipient nobody")).ends(2);
    desk.sexton("schedule add quiet --cron '30 3 * * *' --run logs --tell nothing").ends(0);
    assert!(desk.sexton("schedule show quiet").ends(0).stdout.contains("tells      nothing"));
}

#[test]
fn what_was_given_up_can_be_sent_again() {
    let (mut desk, sink) = desk("notifications = { on_success = true }\n");
    sink.answers(503);
    let begin = jiff::Timestamp::now();
    desk.set("SEXTON_NOW", &begin.to_string());
    desk.sexton("schedule run nightly").ends(0);
    for day in 1..13 {
        desk.set("SEXTON_NOW", &(begin + jiff::SignedDuration::from_hours(24 * day)).to_string());
        desk.sexton("notify send");
    }
    let failed = desk.sexton("notify list --state failed --output json").ends(0).json();
    assert_eq!(failed["notes"].as_array().unwrap().len(), 1);
    sink.answers(200);
    sink.take();
    desk.sexton("notify send").ends(0);
    assert!(sink.take().is_empty());
    desk.sexton("notify send --again").ends(0);
    assert_eq!(titles(&sink).len(), 1);
}

#[test]
fn the_schedules_of_the_examples_tell_what_their_systems_tell() {
    // S2-023, S2-024, S2-025, S3-021
    let mut desk = Desk::empty();
    desk.set("E2_DATABASE", "app.db");
    desk.set("E3_DATABASE", "app.db");
    let listed = |example: &str| {
        desk.sexton(&format!("example {example} {example}")).ends(0);
        let list = format!("schedule --output json --config {example}/sexton.toml");
        desk.sexton(&list).ends(0).json()["schedules"].as_array().unwrap().clone()
    };
    let e2 = listed("e2");
    for (name, on_success) in [("daily", false), ("weekly", true), ("monthly", true)] {
        let one = e2.iter().find(|one| one["name"] == name).unwrap();
        let wanted = json!({"on_success": on_success, "on_failure": true, "on_warnings": true, "recipients": [], "channels": ["email"]});
        assert_eq!(one["notifications"], wanted, "{name}");
    }
    let e3 = listed("e3");
    let check = e3.iter().find(|one| one["name"] == "consistency_check").unwrap();
    assert_eq!(check["alert_threshold"], 5);
}

/// A file whose rows a server will not take.
fn refused_by_the_target() -> (Desk, Place) {
    let desk = Desk::empty();
    desk.place
        .script("create table users (id integer primary key, email text); insert into users values (1, 'a')");
    let to = Place::postgres();
    to.script(
        "create table users (id bigint primary key, email text);
         create function full_disk() returns trigger language plpgsql as $$
           begin raise exception 'no space left on device' using errcode = '53100'; end $$;
         create trigger full_disk before insert on users for each row execute function full_disk()",
    );
    (desk, to)
}

#[test]
fn errors_of_a_transfer_that_a_call_began_are_told_before_it_ends() {
    // S4-047
    let (sink, (desk, to)) = (HttpSink::start(), refused_by_the_target());
    desk.write(
        "sexton.toml",
        &format!(
            "[database.local]\nurl = \"app.db\"\n[database.there]\nurl = \"{}\"\n\
             [operation.move]\nkind = \"transfer\"\ndatabase = \"there\"\nsource = \"local\"\nexisting = true\n\
             [notify.team]\ntype = \"webhook\"\nurl = \"{}\"\n[alerts]\ndisk_percent = 100\n",
            to.url(),
            sink.url("/")
        ),
    );
    let server = crate::api::Server::of(desk, "run");
    let begun = server.send("POST", "/api/v1/runs", &json!({"operations": ["move"], "confirm": "move"}), &[]);
    assert_eq!(begun.status, 202, "{}", begun.body);
    let run = begun.json()["run_id"].as_str().unwrap().to_owned();
    let mut report = server.wait(&run);
    assert_eq!(report["status"], "failed", "{report:#}");
    let mut told = Vec::new();
    // after the failure the references of the application are put back: only then it has ended
    wait_for("it is told, and has ended", || {
        told.extend(sink.take().iter().map(|call| call.json()));
        report = server.wait(&run);
        !report["metadata"]["finished_at"].is_null()
            && told.iter().any(|one| one["title"] == "move: the transfer has an error")
    });
    let message = told.iter().find(|one| one["title"] == "move: the transfer has an error").unwrap();
    assert_eq!((&message["level"], &message["run_id"]), (&json!("critical"), &report["run_id"]));
    let moment = |text: &Json| text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(moment(&message["time"]) <= moment(&report["metadata"]["finished_at"]), "{message:#}");
    assert_eq!(told.iter().filter(|one| one["title"] == message["title"]).count(), 1);
}

#[test]
fn errors_of_a_transfer_are_told_at_once() {
    // S4-047: within five seconds of the failure, although somebody typed the command
    testkit::once_in_three(|| {
        let (sink, (desk, to)) = (HttpSink::start(), refused_by_the_target());
        desk.write(
            "sexton.toml",
            &format!("[notify.team]\ntype = \"webhook\"\nurl = \"{}\"\n", sink.url("/")),
        );
        let began = Instant::now();
        let line = format!("transfer run --yes --source app.db --database '{}' --existing", to.url());
        let said = desk.sexton(&line);
        assert_ne!(said.code, 0, "{}", said.shown());
        let took = began.elapsed();
        let told = sink.take();
        assert_eq!(told.len(), 1, "{}", said.shown());
        let message = told[0].json();
        assert_eq!((&message["event"], &message["level"]), (&json!("alert"), &json!("critical")));
        assert_eq!(message["title"], "transfer: the transfer has an error");
        let run = desk.sexton("runs show latest --output report").ends(0).json();
        assert_eq!(message["correlation_id"], run["correlation_id"]);
        let failed = run["metadata"]["finished_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let at = message["time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let soon = failed.duration_since(at).as_secs().abs() < 5 && took < Duration::from_secs(30);
        if soon { Ok(()) } else { Err(format!("{failed} {at}, {took:?}")) }
    });
}

#[test]
fn where_messages_go_is_said_in_the_configuration_only() {
    // W-071, X-28, S2-027
    let (desk, _sink) = desk("[alerts]\ndisk_percent = 0\n");
    let mail = "[notify.email]\nserver = \"localhost\"\ntls = \"off\"\nfrom = \"a@example.org\"\nto = [\"b@example.org\"]\n";
    let config = std::fs::read_to_string(desk.file("sexton.toml")).unwrap();
    desk.write("sexton.toml", &format!("{config}{mail}"));
    let token = desk.sexton("token create tester --role admin").ends(0).stdout.trim().to_owned();
    let mut process = desk
        .command("serve --listen 127.0.0.1:0")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(process.stderr.take().unwrap()));
    let at = loop {
        let line = lines.next().expect("it ended before it answered").unwrap();
        if let Some((_, at)) = line.split_once("http://") {
            break at.to_owned();
        }
    };
    let _serving = Serving(process);
    std::thread::spawn(move || lines.for_each(drop));
    let put = |notifications: Json| {
        let body = json!({"run": ["logs", "sessions"], "cron": "30 3 * * *", "options": {"batch_size": 1000, "max_seconds": 1800},
            "notifications": notifications});
        let output = std::process::Command::new("curl")
            .args([
                "-s",
                "-w",
                "\n%{http_code}",
                "-X",
                "PUT",
                "-H",
                &format!("Authorization: Bearer {token}"),
            ])
            .args(["-H", "content-type: application/json", "-d", &body.to_string()])
            .arg(format!("http://{at}/api/v1/schedules/mine"))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.to_owned(), body.to_owned())
    };
    for (wrong, why) in [
        (json!({"channels": ["http://169.254.169.254/"]}), "there is no channel"),
        (json!({"recipients": ["https://evil.example/hook"]}), "is nobody"),
        (json!({"recipients": ["team:http://127.0.0.1:22/"]}), "is nobody"),
        (json!({"recipients": ["nobody"]}), "is no mail address"),
        (json!({"url": "http://127.0.0.1/"}), "url"),
    ] {
        let (status, body) = put(wrong.clone());
        assert!(status == "422" || status == "400", "{wrong}: {status} {body}");
        assert!(body.contains(why), "{wrong}: {body}");
    }
    let all = json!({"on_success": true, "on_failure": true, "on_warnings": true, "recipients": ["anna@example.org"], "channels": ["email"]});
    let (status, body) = put(all.clone());
    assert_eq!(status, "201", "{body}");
    let known: Json = serde_json::from_str(&body).unwrap();
    assert_eq!(known["notifications"], all);
    // What is wrong stands in the status.
    wait_for("the disk is in the status", || {
        let output = std::process::Command::new("curl")
            .args(["-s", "-H", &format!("Authorization: Bearer {token}")])
            .arg(format!("http://{at}/api/v1/admin/maintenance?action=status"))
            .output()
            .unwrap();
        let status: Json = serde_json::from_slice(&output.stdout).unwrap();
        status["alerts"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["id"] == "disk/main" && one["since"].is_string())
    });
}

#[test]
fn a_process_that_serves_sends_and_gives_a_sign_of_life() {
    // S2-078, W-070
    let watcher = HttpSink::start();
    let (desk, sink) = desk(&format!(
        "notifications = {{ on_success = true }}\n[alerts]\ndisk_percent = 100\nheartbeat = \"{}\"\nheartbeat_every = \"1 s\"\n",
        watcher.url("/ping")
    ));
    sink.answers(500);
    desk.sexton("schedule run nightly").ends(0);
    sink.answers(200);
    sink.take();
    desk.sexton("notify send --again").ends(0);
    assert_eq!(titles(&sink), ["nightly is done: 311 rows"]);
    let _serving = Serving::begin(&desk);
    wait_for("the watcher is called", || watcher.take().iter().any(|call| call.what == "GET /ping"));
    desk.place.script("insert into audit_log (created_at, action) values ('2020-01-01 00:00:00', 'old')");
    let list = || desk.sexton("schedule run nightly").ends(0);
    list();
    wait_for("it is sent", || titles(&sink).contains(&"nightly is done: 1 row".to_owned()));
}

#[test]
fn a_schedule_that_does_not_run_and_a_process_that_stands_still_are_told() {
    // S3-024: the dead man
    let (mut desk, sink) = desk("[alerts]\ndisk_percent = 100\nevery = \"1 s\"\n");
    {
        let _serving = Serving::begin(&desk);
        wait_for("it serves", || !desk.sexton("schedule").stderr.contains("nobody serves them"));
        // A schedule that nobody has looked at yet has missed nothing.
        let state = Place::elsewhere(&desk.file(".sexton/state.db").display().to_string());
        let looked = "select 1 from sexton_schedules where looked is not null";
        wait_for("it has looked", || !state.rows(looked).is_empty());
    }
    desk.sexton("notify check").ends(0);
    assert!(sink.take().is_empty());
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(49);
    desk.set("SEXTON_NOW", &soon.to_string());
    let said = desk.sexton("notify check").ends(5);
    let mut told = titles(&sink);
    told.sort();
    assert_eq!(told.len(), 2, "{}", said.shown());
    assert!(told[0].starts_with("nightly did not run, "), "{told:?}");
    assert!(told[1].starts_with("nobody looks after the schedules for "), "{told:?}");
    desk.sexton("notify check").ends(5);
    assert!(sink.take().is_empty(), "told once");
    // Whoever serves again says so.
    let _serving = Serving::begin(&desk);
    let mut all = Vec::new();
    wait_for("it is over", || {
        all.extend(titles(&sink));
        all.contains(&"the schedules are looked after again".to_owned())
            && all.contains(&"nightly runs again".to_owned())
    });
}

#[test]
fn mistakes_in_channels_are_shown_under_a_caret() {
    let desk = Desk::ready();
    desk.write(
        "sexton.toml",
        &format!(
            "{CONFIG}\n[notify.ops]\nurl = \"https://example.org\"\n[notify.pager]\ntype = \"pigeon\"\n[notify.email]\n\
             from = \"nobody\"\nchat = \"1\"\ntitle = \"{{% if %}}\"\nserver = \"mail.example.org\"\ntls = \"off\"\npassword = \"x\"\n\
             [notify.slack]\nurl = \"hooks.example.org\"\nlevel = \"grave\"\nquiet = \"22-7\"\n[notify.exec]\ncommand = []\n\
             [notifications]\nrecipients = [\"sms:1\", \"anna\"]\n[alerts]\nescalate_to = [\"onkall\"]\ndisk_percent = 180\n\
             [schedule.nightly]\nrun = [\"logs\"]\ncron = \"0 2 * * *\"\nnotifications = {{ channels = [\"emial\"], on_sucess = true }}\n"
        ),
    );
    let said = desk.sexton("config check").ends(2).stderr;
    for wrong in [
        "`notify.ops` does not say its `type`",
        "`type` cannot be \"pigeon\"",
        "a channel of type `email` has no `chat`",
        "`title` is no template",
        "`nobody` is no mail address",
        "the password would be sent in the clear",
        "`notify.slack.url` is no address on the web",
        "`level` cannot be \"grave\"",
        "`22-7` is not a window",
        "`notify.exec.command` names no program",
        "there is no channel `sms` for `sms:1`",
        "`anna` is no mail address",
        "there is no channel `onkall`",
        "`disk_percent` must not be more than 100",
        "there is no channel `emial`",
        "did you mean `email`?",
        "did you mean `on_success`?",
    ] {
        assert!(said.contains(wrong), "{wrong}: {said}");
    }
    assert!(!said.contains("password = \"x\""), "{said}");
    // Where a secret was written into the file, it is not shown.
    desk.write("sexton.toml", &format!("{CONFIG}[notify.slack]\nurl = \"https://hooks.slack.com/services/s3cr3t\" \nurl2 = 1\n[x] url = \"https://hooks.slack.com/services/s3cr3t\"\n"));
    let said = desk.sexton("config check").ends(2).stderr;
    assert!(said.contains("hooks.slack.com") && !said.contains("s3cr3t"), "{said}");
}
