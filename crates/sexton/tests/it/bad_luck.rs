//! What happens to a process that serves: its state is shared, locked, restarted or taken away, and those who call hang up. Each is
//! answered right, nothing is run twice, and nothing is lost.

use crate::api::Server;
use crate::kit::Desk;
use crate::workers::wait_for;
use serde_json::{Value as Json, json};
use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use targets::db::{Limits, Value};
use testkit::Place;

/// A process that serves, ended when the test ends.
struct Serving(Child);

impl Serving {
    fn begin(desk: &Desk, line: &str, log: &str) -> Self {
        let to = std::fs::File::options().create(true).append(true).open(desk.file(log)).unwrap();
        Self(desk.command(line).stdout(Stdio::null()).stderr(to).spawn().unwrap())
    }

    /// Waits for its end; its exit code.
    fn ends(mut self) -> i32 {
        let began = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(began.elapsed() < Duration::from_secs(60), "it does not end");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn number(value: &Value) -> i64 {
    value.as_text().map_or_else(|| value.as_int().unwrap_or(-1), |text| text.parse().unwrap_or(-1))
}

/// The state of a desk, as somebody else has it open.
fn state(desk: &Desk) -> Place {
    Place::elsewhere(&desk.file(".sexton/state.db").display().to_string())
}

/// Schedules that purge one row each of a table, and note which went.
fn of_many(many: usize) -> Desk {
    let desk = Desk::empty();
    desk.place.script(&format!(
        "create table items (id integer primary key);
         create table gone (id integer not null);
         create trigger went after delete on items begin insert into gone values (old.id); end;
         with recursive c(i) as (select 0 union all select i + 1 from c where i < {many} - 1) insert into items select i from c;"
    ));
    let mut config =
        "[database.main]\nurl = \"app.db\"\n[defaults]\nmax_percent = 100\nmin_free_disk_mb = 0\n".to_owned();
    for n in 0..many {
        config += &format!(
            "[operation.o{n}]\nkind = \"purge\"\nseverity = \"LOW\"\ntable = \"items\"\nwhere = \"id = {n}\"\ntriggers = \"fire\"\nundo = \"none\"\n\
             [schedule.s{n}]\nrun = [\"o{n}\"]\ncron = \"0 0 1 1 *\"\n"
        );
    }
    desk.write("sexton.toml", &config);
    desk.sexton("schedule").ends(0);
    desk
}

/// Notes a time for each of so many schedules.
fn all_due(place: &Place, many: usize) {
    for n in 0..many {
        let at = "2026-01-01T00:00:00.000000Z";
        place.script(&format!(
            "insert into sexton_ticks (id, schedule, due, start, state, term, lease_us) values ('t{n}', 's{n}', '{at}', '{at}', 'waiting', 0, 0)"
        ));
    }
}

#[test]
fn two_processes_on_one_state_file_run_each_time_once() {
    let many = 16;
    let desk = of_many(many);
    let serving: Vec<Serving> =
        (0..2).map(|n| Serving::begin(&desk, "serve --workers 2", &format!("log{n}"))).collect();
    let place = state(&desk);
    wait_for("both are there", || place.rows("select 1 from sexton_workers").len() == 2);
    all_due(&place, many);
    wait_for("all are done", || {
        place.rows("select 1 from sexton_ticks where ended is not null").len() == many
    });
    let done = place.rows("select count(*), count(distinct run) from sexton_ticks where state = 'done'");
    assert_eq!((number(&done[0][0]), number(&done[0][1])), (many as i64, many as i64));
    let gone = desk.place.rows("select count(*), count(distinct id) from gone");
    assert_eq!((number(&gone[0][0]), number(&gone[0][1])), (many as i64, many as i64));
    assert_eq!(number(&place.rows("select count(*) from sexton_runs")[0][0]), many as i64);
    drop(serving);
}

#[test]
fn a_state_that_is_locked_for_a_while_is_waited_for_and_nothing_is_lost() {
    let server = Server::of(of_many(2), "run");
    // Once an hour it is noted that a token was used.
    assert_eq!(server.get("/api/v1/operations").status, 200);
    let place = state(&server.desk);
    let database = place.database();
    let mut session = database.open().unwrap();
    let held = session.begin(&Limits::default()).unwrap();
    // What only reads is answered, what would write waits, and is told so when that takes too long.
    assert_eq!(server.curl(&[], "/live").status, 200);
    assert_eq!(server.get("/api/v1/operations").status, 200);
    let began = Instant::now();
    let late = server.send("POST", "/api/v1/schedules/s0/run", &json!({}), &["--max-time", "60"]);
    assert_eq!(late.wrong(503), "transient");
    assert!(began.elapsed() < Duration::from_secs(50), "{:?}", began.elapsed());
    drop(held);
    drop(session);
    let asked = server.send("POST", "/api/v1/schedules/s0/run", &json!({}), &["--max-time", "60"]);
    assert_eq!(asked.status, 202, "{}", asked.body);
    wait_for("it is done", || server.desk.count("gone") == 1);
    assert_eq!(server.desk.count("items"), 1);
}

#[test]
fn a_state_that_is_taken_away_ends_the_process_instead_of_being_written_nowhere() {
    let desk = of_many(2);
    let serving = Serving::begin(&desk, "serve", "log");
    let place = state(&desk);
    wait_for("it is there", || place.rows("select 1 from sexton_workers").len() == 1);
    let elsewhere = desk.file("elsewhere");
    std::fs::rename(desk.file(".sexton"), &elsewhere).unwrap();
    assert_eq!(serving.ends(), 1);
    let told = std::fs::read_to_string(desk.file("log")).unwrap();
    assert!(told.contains("was taken away or replaced") && told.contains("help: "), "{told}");
    // Where it is back, everything goes on.
    std::fs::remove_dir_all(desk.file(".sexton")).ok();
    std::fs::rename(&elsewhere, desk.file(".sexton")).unwrap();
    let place = state(&desk);
    all_due(&place, 2);
    let serving = Serving::begin(&desk, "serve", "log");
    wait_for("all are done", || desk.count("gone") == 2);
    drop(serving);
}

#[test]
fn a_state_database_that_is_restarted_is_found_again_and_its_runs_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let start = || testkit::Server::start(folder.path(), &["fsync=off"]).unwrap();
    let server = start();
    let url = server.url("postgres");
    let desk = of_many(300);
    let config = std::fs::read_to_string(desk.file("sexton.toml")).unwrap();
    let slow = "[operation.slow]\nkind = \"purge\"\nseverity = \"LOW\"\ntable = \"items\"\nwhere = \"id >= 10\"\ntriggers = \"fire\"\nundo = \"none\"\n\
                batch_size = 5\nrows_per_second = 60\n[schedule.slow]\nrun = [\"slow\"]\ncron = \"0 0 1 1 *\"\n";
    desk.write("sexton.toml", &format!("{config}[state]\nurl = \"{url}\"\n{slow}"));
    desk.sexton("schedule").ends(0);
    let worker = Serving::begin(&desk, "worker --workers 1 --lease 2", "log");
    let told = || std::fs::read_to_string(desk.file("log")).unwrap();
    wait_for("it is there", || told().contains("looked after"));
    let script = |sql: &str| backends::testing::script(&targets::db::Url::parse(&url).unwrap(), sql).unwrap();
    let due = |id: &str, name: &str| {
        let at = "2026-01-01T00:00:00.000000Z";
        script(&format!(
            "insert into sexton.ticks (id, schedule, due, start, state, term, lease_us) values ('{id}', '{name}', '{at}', '{at}', 'waiting', 0, 0);
             select pg_notify('sexton_ticks', '')"
        ));
    };
    due("t1", "slow");
    wait_for("it began", || desk.count("gone") >= 20);
    drop(server);
    std::thread::sleep(Duration::from_secs(2));
    let server = start();
    due("t2", "s3");
    let ended = || {
        let rows = backends::testing::rows(
            &targets::db::Url::parse(&url).unwrap(),
            "select count(*) from sexton.ticks where state = 'done'",
        );
        number(&rows.unwrap()[0][0])
    };
    wait_for("both are done", || ended() == 2);
    let gone = desk.place.rows("select count(*), count(distinct id) from gone");
    assert_eq!((number(&gone[0][0]), number(&gone[0][1])), (291, 291), "{}", told());
    drop((worker, server));
}

#[test]
fn calls_are_told_that_the_state_is_away_and_answered_again_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let start = || testkit::Server::start(folder.path(), &["fsync=off"]).unwrap();
    let state = start();
    let desk = of_many(2);
    let config = std::fs::read_to_string(desk.file("sexton.toml")).unwrap();
    desk.write("sexton.toml", &format!("{config}[state]\nurl = \"{}\"\n", state.url("postgres")));
    let server = Server::of(desk, "run");
    assert_eq!(server.curl(&[], "/ready").json(), json!({"status": "ready"}));
    drop(state);
    let run = json!({"operations": ["o1"]});
    let away = [
        server.curl(&[], "/ready"),
        server.get("/api/v1/status"),
        server.get("/metrics"),
        server.send("POST", "/api/v1/runs", &run, &[]),
    ];
    for answer in away {
        assert!(["system", "transient"].contains(&answer.wrong(503).as_str()), "{}", answer.body);
    }
    assert_eq!(server.curl(&[], "/live").status, 200, "to start it anew would not help");
    let state = start();
    wait_for("it is ready again", || server.curl(&[], "/ready").status == 200);
    let begun = server.send("POST", "/api/v1/runs", &run, &[]);
    assert_eq!(begun.status, 202, "{}", begun.body);
    assert_eq!(server.wait(begun.json()["run_id"].as_str().unwrap())["status"], "completed");
    assert_eq!(server.desk.count("gone"), 1, "what could not be begun was not begun later");
    drop(state);
}

#[test]
fn whoever_hangs_up_gets_no_answer_and_what_was_asked_for_is_done() {
    let server = Server::of(of_many(3), "run");
    let place = server.at.trim_start_matches("http://").to_owned();
    let sent = |text: &str| {
        let mut stream = TcpStream::connect(&place).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
    };
    let call = |body: &str, length: usize| {
        format!(
            "POST /api/v1/runs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}",
            server.token
        )
    };
    // Half a head, half a body, and nothing at all: nothing is begun by any of them.
    let body = json!({"operations": ["o1"]}).to_string();
    for half in ["", "POST /api/v1/runs HTT", &call(&body[..10], body.len())] {
        sent(half);
    }
    // All of it, and nobody waits for the answer. What was asked may be done or not; never twice, and never half.
    for _ in 0..5 {
        sent(&call(&body, body.len()));
    }
    let mut id = String::new();
    // Those may be at work on the same database just then: whoever comes meanwhile is told so.
    wait_for("what is asked for next is done", || {
        let whole = server.send("POST", "/api/v1/runs", &json!({"operations": ["o2"]}), &[]);
        assert_eq!(whole.status, 202, "{}", whole.body);
        id = whole.json()["run_id"].as_str().unwrap().to_owned();
        server.wait(&id)["status"] == "completed"
    });
    assert_eq!(server.curl(&[], "/live").status, 200);
    wait_for("all of it is over", || {
        let runs = server.get("/api/v1/runs").json();
        let well = |run: &Json| {
            run["status"] == "completed" || run["status"] == "skipped" || run.to_string().contains("busy")
        };
        runs.as_array().unwrap().iter().all(well)
    });
    let gone = server.desk.place.rows("select count(*), count(distinct id) from gone");
    assert_eq!(number(&gone[0][0]), number(&gone[0][1]));
    // A stream of events that is left does not hold anything up either.
    sent(&format!(
        "GET /api/v1/runs/{id}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
        server.token
    ));
    assert_eq!(server.get(&format!("/api/v1/runs/{id}")).status, 200);
}
