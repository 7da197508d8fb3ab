//! Schedules over fleets: each database once, a few first, until too many fail; and messages about all of them together.

use crate::kit::Desk;
use serde_json::Value as Json;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use testkit::{HttpSink, Place};

const MANY: usize = 12;

/// A catalogue of tenants, and the database of each with rows to purge.
struct Estate {
    desk: Desk,
    tenants: Vec<Place>,
    sink: HttpSink,
}

/// Workers, ended when the test ends.
struct Working(Vec<Child>);

impl Drop for Working {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Estate {
    /// `state` is where the state is, `more` what else the fleet says.
    fn new(state: &str, more: &str) -> Self {
        let (desk, sink) = (Desk::empty(), HttpSink::start());
        std::fs::create_dir(desk.file("tenants")).unwrap();
        desk.place.script("create table tenants (name text primary key)");
        let tenants: Vec<Place> = (0..MANY)
            .map(|n| {
                let path = desk.file(&format!("tenants/t{n:02}.db")).display().to_string();
                let place = Place::elsewhere(&path);
                place.script(
                    "create table logs (id integer primary key, old integer not null);
                     insert into logs (old) values (1), (0), (1), (0), (1);",
                );
                desk.place.script(&format!("insert into tenants values ('t{n:02}')"));
                place
            })
            .collect();
        let hook = sink.url("/team");
        desk.write(
            "sexton.toml",
            &format!(
                "[database.main]\nurl = \"app.db\"\n{state}\n[defaults]\nmax_percent = 100\nmin_free_disk_mb = 0\n\
                 [fleet.tenants]\nfrom = \"main\"\nquery = \"select name from tenants order by name\"\nurl = \"tenants/{{1}}.db\"\n{more}\n\
                 [operation.logs]\nkind = \"purge\"\nseverity = \"LOW\"\ntable = \"logs\"\nwhere = \"old = 1\"\n\
                 [schedule.nightly]\nrun = [\"logs\"]\nfleet = \"tenants\"\ncron = \"0 2 * * *\"\nnotifications = {{ on_success = true }}\n\
                 [notify.team]\ntype = \"webhook\"\nurl = \"{hook}\"\n"
            ),
        );
        Self { desk, tenants, sink }
    }

    fn left(&self) -> Vec<usize> {
        self.tenants.iter().map(|place| place.rows("select id from logs").len()).collect()
    }

    fn runs(&self) -> Vec<Json> {
        let runs = self.desk.sexton("runs list --limit 1000 --output json").ends(0).json();
        runs["runs"].as_array().unwrap().clone()
    }

    fn last(&self) -> Json {
        self.desk.sexton("schedule show nightly --output json").ends(0).json()["ticks"][0].clone()
    }

    fn titles(&self) -> Vec<String> {
        self.desk.sexton("notify send").ends(0);
        self.sink.take().iter().map(|call| call.json()["title"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn a_schedule_over_a_fleet_runs_on_each_database_once_and_each_can_be_undone() {
    let estate = Estate::new("", "at_once = 4");
    estate.desk.sexton("schedule run nightly").ends(0);
    assert_eq!(estate.left(), [2; MANY]);
    let last = estate.last();
    assert_eq!((&last["state"], &last["why"]), (&"done".into(), &"12 databases done".into()));
    let runs = estate.runs();
    assert_eq!(runs.len(), MANY);
    assert!(runs.iter().all(|run| run["totals"]["deleted"] == 3), "{runs:#?}");
    assert_eq!(estate.titles(), ["nightly done"]);
    // Its parts are no times of their own.
    let shown = estate.desk.sexton("schedule show nightly --output json").ends(0).json();
    assert_eq!(shown["ticks"].as_array().unwrap().len(), 1);
    let list = estate.desk.sexton("schedule --output json").ends(0).json();
    assert_eq!(list["schedules"].as_array().unwrap().len(), 1);
    // A run of one of them is undone like any other: the fleet knows where it is.
    estate.desk.sexton(&format!("undo {}", runs[0]["run_id"].as_str().unwrap())).ends(0);
    let mut left = estate.left();
    left.sort_unstable();
    assert_eq!((left[0], left[MANY - 2], left[MANY - 1]), (2, 2, 5));
}

#[test]
fn nobody_else_is_begun_after_one_that_goes_first_has_failed_and_the_message_says_so() {
    let estate = Estate::new("", "canary = 2");
    estate.tenants[1].script("drop table logs");
    let said = estate.desk.sexton("schedule run nightly");
    assert!(said.code != 0, "{}", said.shown());
    let last = estate.last();
    let why = last["why"].as_str().unwrap();
    assert!(
        why.starts_with("1 database done; 1 failed: t01 (")
            && why.ends_with("10 not begun: one of those that go first has failed"),
        "{why}"
    );
    assert_eq!(estate.titles(), ["nightly failed"]);
    assert_eq!(estate.tenants[2].rows("select id from logs").len(), 5);
    // The next time it goes on with all of them.
    estate.tenants[1].script("create table logs (id integer primary key, old integer not null)");
    estate.desk.sexton("schedule run nightly").ends(0);
    assert_eq!(estate.last()["why"], "12 databases done");
}

#[test]
fn a_share_may_fail_and_the_others_are_done_all_the_same() {
    let after =
        "[schedule.after]\nrun = [\"look\"]\nafter = [\"nightly\"]\n[operation.look]\nkind = \"check\"\n";
    let estate = Estate::new("", &format!("max_failed_percent = 25.0\nat_once = 2\n{after}"));
    estate.desk.sexton("schedule").ends(0);
    for n in [4, 7] {
        estate.tenants[n].script("drop table logs");
    }
    let said = estate.desk.sexton("schedule run nightly").ends(5);
    assert!(said.stdout.starts_with("nightly done: 10 databases done; 2 failed: t04 ("), "{}", said.shown());
    let last = estate.last();
    let why = last["why"].as_str().unwrap();
    assert!(why.starts_with("10 databases done; 2 failed: t04 (") && why.contains("t07 ("), "{why}");
    assert_eq!(last["state"], "done");
    // It is told as what it is, and those that failed are named.
    estate.desk.sexton("notify send").ends(0);
    let told: Vec<Json> = estate.sink.take().iter().map(|call| call.json()).collect();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(
        (&told[0]["title"], &told[0]["level"]),
        (&"nightly done with warnings".into(), &"warning".into())
    );
    let text = told[0]["text"].as_str().unwrap();
    assert!(text.contains("2 failed: t04 (") && text.contains("t07 ("), "{text}");
    // What waits for it has its turn.
    let next = estate.desk.sexton("schedule show after --output json").ends(0).json();
    assert_eq!(next["ticks"][0]["state"], "waiting", "{next:#}");
    let left = estate.tenants.iter().enumerate().filter(|(n, _)| ![4, 7].contains(n));
    assert!(left.into_iter().all(|(_, place)| place.rows("select id from logs").len() == 2));
}

#[test]
fn one_more_than_may_fail_is_a_failure_even_where_none_is_left_to_begin() {
    let estate = Estate::new("", "max_failed_percent = 10.0\nat_once = 12\ncanary = 0");
    for n in [4, 7] {
        estate.tenants[n].script("drop table logs");
    }
    let said = estate.desk.sexton("schedule run nightly").ends(1);
    assert!(said.stdout.starts_with("nightly failed: "), "{}", said.shown());
    let why = estate.last()["why"].as_str().unwrap().to_owned();
    assert!(why.contains("2 failed: t04 (") && why.ends_with("too many have failed"), "{why}");
    assert_eq!(estate.titles(), ["nightly failed"]);
}

#[test]
fn workers_share_the_databases_of_a_fleet_and_go_on_where_one_is_killed() {
    let state = Place::postgres();
    let estate = Estate::new(&format!("[state]\nurl = \"{}\"", state.url()), "canary = 0\nat_once = 6");
    // Some seconds of work.
    for place in &estate.tenants {
        place.script(
            "delete from logs;
             with recursive c(i) as (select 1 union all select i + 1 from c where i < 60) insert into logs (old) select 1 from c",
        );
    }
    let config = std::fs::read_to_string(estate.desk.file("sexton.toml")).unwrap();
    let slowly = "[defaults]\nbatch_size = 5\nrows_per_second = 40\n";
    estate.desk.write("sexton.toml", &config.replace("[defaults]\n", slowly));
    estate.desk.sexton("schedule").ends(0);
    let worker = || {
        let mut command = estate.desk.command("worker --workers 2 --lease 1");
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut working = Working(vec![worker(), worker(), worker()]);
    state.script(
        "insert into sexton.ticks (id, schedule, due, start, state, term, lease_us)
         values ('tick0001', 'nightly', '2026-01-01T02:00:00.000000Z', '2026-01-01T02:00:00.000000Z', 'waiting', 0, 0);
         select pg_notify('sexton_ticks', '')",
    );
    let began = Instant::now();
    let number = |sql: &str| state.rows(sql)[0][0].as_text().unwrap_or_default().parse::<i64>().unwrap_or(-1);
    let ended =
        || number("select count(*) from sexton.ticks where id = 'tick0001' and ended is not null") == 1;
    let mut kills = 0;
    while !ended() {
        assert!(
            began.elapsed() < Duration::from_secs(120),
            "{:?}",
            state.rows("select schedule, state, term, why from sexton.ticks")
        );
        std::thread::sleep(Duration::from_millis(700));
        if kills < 4 {
            working.0[kills % 3].kill().unwrap();
            working.0[kills % 3].wait().unwrap();
            working.0[kills % 3] = worker();
            kills += 1;
        }
    }
    assert_eq!(estate.last()["why"], "12 databases done");
    assert_eq!(estate.left(), [0; MANY]);
    let several = number("select count(distinct worker) from sexton.ticks where schedule like 'nightly/%'");
    assert!(several > 2, "{several} workers shared the work");
    let runs = estate.runs();
    assert_eq!(runs.len(), MANY);
    assert!(runs.iter().all(|run| run["totals"]["deleted"] == 60), "each row once: {runs:#?}");
}

#[test]
fn a_fleet_that_cannot_be_reached_is_one_alarm() {
    let estate = Estate::new("", "");
    estate.desk.sexton("notify check").ends(0);
    for n in [3, 5] {
        std::fs::remove_file(estate.desk.file(&format!("tenants/t{n:02}.db"))).unwrap();
    }
    let said = estate.desk.sexton("notify check").ends(5);
    assert!(said.stdout.contains("the fleet tenants cannot be looked at"), "{}", said.shown());
    let told = estate.sink.take();
    assert_eq!(told.len(), 1);
    let text = told[0].json()["text"].as_str().unwrap().to_owned();
    assert!(text.contains("2 of 12 databases") && text.contains("t03: ") && text.contains("t05: "), "{text}");
}

#[test]
fn the_databases_of_a_fleet_are_looked_at_as_any_other() {
    let alerts = "[alerts]\ndisk_percent = 0.01\nqueue_backlog = 2\n\
                  [operation.jobs]\nkind = \"queue\"\ntable = \"jobs\"\naction = \"recover\"\nstale_after = \"30 minutes\"\n\
                  columns = { id = \"id\", state = \"state\", started = \"started_at\", created = \"created_at\" }\n\
                  states = { pending = [\"new\"], running = [\"busy\"], completed = [\"done\"], failed = [\"bad\"] }\n\
                  [schedule.recover]\nrun = [\"jobs\"]\nfleet = \"tenants\"\ncron = \"0 3 * * *\"\n";
    let estate = Estate::new("", alerts);
    for (n, place) in estate.tenants.iter().enumerate() {
        place.script(
            "create table jobs (id integer primary key, state text not null, created_at text not null, started_at text)",
        );
        for _ in 0..if n == 7 { 3 } else { 1 } {
            place.script("insert into jobs (state, created_at) values ('new', datetime('now'))");
        }
    }
    let alarms = || estate.desk.sexton("notify list --output json").ends(0).json()["alarms"].to_string();
    let said = estate.desk.sexton("notify check").ends(5);
    // Twelve files on one disk are one alarm.
    assert_eq!(said.stdout.matches("the disk of the fleet tenants at ").count(), 1, "{}", said.shown());
    assert_eq!(said.stdout.matches("jobs are waiting").count(), 1, "{}", said.shown());
    assert!(said.stdout.contains("jobs on tenants/t07: 3 jobs are waiting"), "{}", said.shown());
    assert!(alarms().contains("backlog/jobs on tenants/t07"), "{}", alarms());
    // What is wrong with one that is no longer there is over.
    estate.desk.place.script("delete from tenants where name = 't07'");
    let said = estate.desk.sexton("notify check").ends(5);
    assert!(!said.stdout.contains("t07"), "{}", said.shown());
    assert!(!alarms().contains("t07"), "{}", alarms());
}

#[test]
fn old_backups_of_a_fleet_are_one_alarm_that_is_told_once_and_ends_with_new_ones() {
    let more = "[alerts]\ndisk_percent = 100\nbackup_age = \"2 days\"\n[operation.copy]\nkind = \"backup\"\n\
                [schedule.copies]\nrun = [\"copy\"]\nfleet = \"tenants\"\ncron = \"0 3 * * *\"\nnotifications = { on_failure = false }\n";
    let mut estate = Estate::new("", &format!("at_once = 4\n{more}"));
    let check = |estate: &Estate, code: i32| {
        estate.desk.sexton("notify check").ends(code);
        let told = estate.sink.take();
        told.iter().map(|call| call.json()["title"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let alarms = |estate: &Estate| {
        let list = estate.desk.sexton("notify list --output json").ends(0).json();
        list["alarms"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect::<Vec<Json>>()
    };
    assert_eq!(check(&estate, 5), ["12 of 12 databases of the fleet tenants have no new backup"]);
    assert_eq!(check(&estate, 5), Vec::<String>::new(), "told once");
    assert_eq!(alarms(&estate), ["backup/the fleet tenants"]);
    estate.desk.sexton("schedule run copies").ends(0);
    estate.sink.take();
    assert_eq!(check(&estate, 0), ["there are new backups of all databases of the fleet tenants"]);
    assert_eq!(alarms(&estate), Vec::<Json>::new());
    // One that came later has none, and its neighbours have.
    std::fs::copy(estate.desk.file("tenants/t00.db"), estate.desk.file("tenants/late.db")).unwrap();
    estate.desk.place.script("insert into tenants values ('late')");
    assert_eq!(check(&estate, 5), ["1 of 13 databases of the fleet tenants have no new backup"]);
    estate.desk.place.script("delete from tenants where name = 'late'");
    check(&estate, 0);
    // Three days on, all are too old; the text names some of them.
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(72);
    estate.desk.set("SEXTON_NOW", &later.to_string());
    estate.desk.sexton("notify check").ends(5);
    let told = estate.sink.take();
    let title = "12 of 12 databases of the fleet tenants have no new backup";
    let told = told.iter().map(|call| call.json()).find(|one| one["title"] == title).unwrap();
    assert_eq!(told["level"], "critical");
    let text = told["text"].as_str().unwrap();
    assert!(text.contains("the newest backup of t00 is 3 days old") && text.contains("and 2 more"), "{text}");
}

#[test]
fn reads_past_the_indexes_of_one_of_a_fleet_are_an_alert_of_that_one() {
    // S2-071, X-19: on two databases of one server, one of which is read as a whole
    let places = [Place::postgres(), Place::postgres()];
    for place in &places {
        place.script(
            "create table big (id integer primary key, body text);
             insert into big select n, 'x' from generate_series(1, 12000) n; analyze big;
             do $$ begin for n in 1..1100 loop perform 1 from big where id = n; end loop; end $$;
             select pg_stat_force_next_flush()",
        );
    }
    places[1].script(
        "do $$ begin for n in 1..1100 loop perform 1 from big where body = 'y' limit 1; end loop; end $$;
         select pg_stat_force_next_flush()",
    );
    let (desk, sink) = (Desk::empty(), HttpSink::start());
    let databases: Vec<String> = places
        .iter()
        .enumerate()
        .map(|(n, place)| format!("[database.d{n}]\nurl = \"{}\"\n", place.url()))
        .collect();
    let config = |least: &str| {
        format!(
            "{}[fleet.all]\ndatabases = [\"d0\", \"d1\"]\n[notify.team]\ntype = \"webhook\"\nurl = \"{}\"\n\
             [alerts]\ndisk_percent = 100\n{least}",
            databases.concat(),
            sink.url("/")
        )
    };
    desk.write("sexton.toml", &config(""));
    crate::notify::wait_for("the server has counted", || {
        let looked = desk.sexton("doctor --output json").json();
        (0..2).all(|n| looked["databases"][n]["figures"]["index_efficiency_percent"].is_number())
    });
    let check = |code: i32| {
        desk.sexton("notify check").ends(code);
        sink.take().iter().map(|call| call.json()).collect::<Vec<Json>>()
    };
    let of_fleet = |told: &[Json]| -> Vec<String> {
        let titles = told.iter().map(|one| one["title"].as_str().unwrap().to_owned());
        titles.filter(|title| title.contains("all/")).collect()
    };
    let told = of_fleet(&check(5));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("all/d1: only ") && told[0].contains("go through an index"), "{told:?}");
    assert!(check(5).is_empty(), "told once");
    // Another threshold, and it is over; a member that is no longer one is no alarm either.
    desk.write("sexton.toml", &config("index_efficiency_percent = 10\n"));
    assert_eq!(of_fleet(&check(0)), ["all/d1: 10 % of the reads of large tables go through an index again"]);
    desk.write("sexton.toml", &config(""));
    assert_eq!(of_fleet(&check(5)).len(), 1);
    desk.write("sexton.toml", &config("").replace("[\"d0\", \"d1\"]", "[\"d0\"]"));
    check(5);
    let alarms = desk.sexton("notify list --output json").ends(0).json()["alarms"].clone();
    let ids: Vec<&Json> = alarms.as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, ["index/d1"], "of the database itself, which is looked at as well");
}

#[test]
fn of_a_large_fleet_some_are_looked_at_each_time_and_all_in_turn() {
    let estate = Estate::new("", "at_once = 8");
    let path = |name: &str| estate.desk.file(&format!("tenants/{name}.db"));
    for n in MANY..70 {
        std::fs::copy(path("t00"), path(&format!("t{n:02}"))).unwrap();
        estate.desk.place.script(&format!("insert into tenants values ('t{n:02}')"));
    }
    let looked = || {
        let state = Place::elsewhere(&estate.desk.file(".sexton/state.db").display().to_string());
        state.rows("select 1 from sexton_marks where id like 'looked/tenants/%'").len()
    };
    estate.desk.sexton("notify check");
    assert_eq!(looked(), 50);
    estate.desk.sexton("notify check");
    assert_eq!(looked(), 70);
    // Whether they can be reached is asked of all of them every time.
    for name in ["t03", "t69"] {
        std::fs::remove_file(path(name)).unwrap();
    }
    let said = estate.desk.sexton("notify check").ends(5);
    assert!(said.stdout.contains("2 of 70 databases"), "{}", said.shown());
}

#[test]
fn what_a_schedule_says_wrong_about_its_fleet_is_told() {
    let estate = Estate::new("", "");
    let config = std::fs::read_to_string(estate.desk.file("sexton.toml")).unwrap();
    estate.desk.write("sexton.toml", &config.replace("fleet = \"tenants\"", "fleet = \"tenant\""));
    let said = estate.desk.sexton("config check").ends(2);
    assert!(
        said.stderr.contains("there is no fleet `tenant`") && said.stderr.contains("did you mean `tenants`?"),
        "{}",
        said.stderr
    );
    estate.desk.write("sexton.toml", &config);
    estate.tenants[0].script("drop table logs");
    estate.desk.place.script("update tenants set name = '../x' where name = 't05'");
    let said = estate.desk.sexton("schedule run nightly");
    assert!(said.code != 0 && said.shown().contains("another folder"), "{}", said.shown());
}
