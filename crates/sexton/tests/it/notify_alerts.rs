//! What is told because somebody looked: a full disk, queues, backups, orphans, runs that fail or take too long.

use crate::kit::Desk;
use crate::notify::{assert_fits, desk, titles, wait_for};
use serde_json::{Value as Json, json};
use testkit::{HttpSink, Place};

#[test]
fn a_full_disk_is_told_once() {
    // S2-070: a threshold below the present use
    let (desk, sink) = desk("[alerts]\ndisk_percent = 0\n");
    let said = desk.sexton("notify check").ends(5);
    assert!(said.stdout.contains("the disk of main is "), "{}", said.shown());
    let told = sink.take();
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0].json()["event"], told[0].json()["metrics"]["disk_used_percent"].is_number()),
        (&json!("alert"), true)
    );
    desk.sexton("notify check").ends(5);
    assert!(sink.take().is_empty());
    let list = desk.sexton("notify list --output json").ends(0).json();
    assert_eq!(list["alarms"][0]["id"], "disk/main");
    let config = std::fs::read_to_string(desk.file("sexton.toml")).unwrap();
    desk.write("sexton.toml", &config.replace("disk_percent = 0", "disk_percent = 100"));
    let document = desk.sexton("notify check --output json").ends(0).json();
    assert_fits(&desk, "Sent", &document);
    assert_eq!(titles(&sink), ["the disk of main is no more than 100 % full"]);
}

#[test]
fn reads_past_the_indexes_are_an_alert() {
    // S2-071, X-19: a load of sequential scans
    let place = Place::postgres();
    place.script(
        "create table big (id integer primary key, body text);
         insert into big select n, 'x' from generate_series(1, 12000) n; analyze big;
         do $$ begin for n in 1..1100 loop perform 1 from big where body = 'y' limit 1; end loop; end $$;
         select pg_stat_force_next_flush()",
    );
    let sink = HttpSink::start();
    let url = place.url();
    let desk = Desk::at(place);
    desk.write(
        "sexton.toml",
        &format!(
            "[database.main]\nurl = \"{url}\"\n[notify.team]\ntype = \"webhook\"\nurl = \"{}\"\n[alerts]\ndisk_percent = 100\n",
            sink.url("/")
        ),
    );
    wait_for("the server has counted", || {
        let looked = desk.sexton("doctor main --output json").json();
        looked["databases"][0]["figures"]["index_efficiency_percent"].is_number()
    });
    desk.sexton("notify check").ends(5);
    let told = titles(&sink);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("of the reads of large tables go through an index"), "{told:?}");
    desk.sexton("notify check").ends(5);
    assert!(sink.take().is_empty(), "told once");
    place_reads_by_index(&desk);
    let mut told = Vec::new();
    wait_for("it is over", || {
        desk.sexton("notify check");
        told.extend(titles(&sink));
        !told.is_empty()
    });
    assert_eq!(told, ["main: 90 % of the reads of large tables go through an index again"]);
}

/// Many reads through an index, so that those past it are few.
fn place_reads_by_index(desk: &Desk) {
    desk.place.script(
        "do $$ begin for n in 1..20000 loop perform 1 from big where id = n % 12000; end loop; end $$;
         select pg_stat_force_next_flush()",
    );
}

#[test]
fn queues_that_grow_or_stand_still_and_old_backups_are_alerts() {
    // S2-070 and what else is looked at: backlog, stuck jobs, backups
    let (mut desk, sink) = desk(
        "[operation.recover]\nkind = \"queue\"\naction = \"recover\"\ntable = \"jobs\"\nstale_after = \"30 minutes\"\n\
         columns = { id = \"id\", state = \"state\", started = \"started_at\", created = \"created_at\" }\n\
         states = { pending = [\"new\"], running = [\"busy\"], completed = [\"done\"], failed = [\"bad\"] }\n\
         [alerts]\ndisk_percent = 100\nqueue_backlog = 3\nbackup_age = \"2 days\"\n",
    );
    desk.place.script(
        "create table jobs (id integer primary key, state text not null, created_at text not null, started_at text);
         insert into jobs (state, created_at) values ('new', datetime('now')), ('new', datetime('now')), ('new', datetime('now'));
         insert into jobs (state, created_at, started_at) values ('busy', datetime('now'), datetime('now', '-5 minutes'))",
    );
    desk.sexton("backup create").ends(0);
    desk.sexton("notify check").ends(0);
    assert!(sink.take().is_empty());
    desk.place.script(
        "insert into jobs (state, created_at) values ('new', datetime('now'));
         update jobs set started_at = datetime('now', '-1 hour') where state = 'busy'",
    );
    desk.sexton("notify check").ends(5);
    let mut told = titles(&sink);
    told.sort();
    assert_eq!(told, ["recover: 1 job is stuck", "recover: 4 jobs are waiting"]);
    desk.place.script("delete from jobs");
    desk.set("SEXTON_NOW", &(jiff::Timestamp::now() + jiff::SignedDuration::from_hours(72)).to_string());
    desk.sexton("notify check").ends(5);
    let mut told = titles(&sink);
    told.sort();
    assert_eq!(
        told,
        [
            "recover: no job is stuck any more",
            "recover: no more than 3 jobs are waiting",
            "the newest backup of main is 3 days old"
        ]
    );
    // Another clock than the machine's has to be allowed.
    desk.sexton("backup create --force").ends(0);
    desk.sexton("notify check").ends(0);
    assert_eq!(titles(&sink), ["there is a new backup of main"]);
}

#[test]
fn orphans_are_told_or_removed_as_the_configuration_says() {
    // S0-062: two configurations; S0-061
    let sink = HttpSink::start();
    let desk = Desk::empty();
    desk.place.script(
        "create table parent (id integer primary key); insert into parent values (1);
         create table child (id integer primary key, parent_id integer);
         insert into child values (1, 1), (2, 7), (3, 8), (4, 9)",
    );
    let config = |dry: bool| {
        format!(
            "[database.main]\nurl = \"app.db\"\n[defaults]\nmax_percent = 100\n[operation.lost]\nkind = \"orphans\"\n\
             severity = \"LOW\"\ntable = \"child\"\ncolumns = [\"parent_id\"]\nparent = \"parent\"\n[schedule.daily]\n\
             run = [\"lost\"]\ncron = \"0 2 * * *\"\ndry_run = {dry}\n[notify.team]\ntype = \"webhook\"\nurl = \"{}\"\n\
             [alerts]\norphans = 0\n",
            sink.url("/")
        )
    };
    desk.write("sexton.toml", &config(true));
    desk.sexton("schedule run daily").ends(0);
    assert_eq!(desk.count("child"), 4);
    assert_eq!(
        titles(&sink),
        ["daily is done (dry run), with 1 warning", "lost: 3 rows that nobody refers to"]
    );
    desk.write("sexton.toml", &config(false));
    desk.sexton("schedule run daily").ends(0);
    assert_eq!(desk.count("child"), 1);
    assert!(titles(&sink).contains(&"lost: no orphans any more".to_owned()));
}

#[test]
fn a_check_alerts_above_the_threshold_of_its_schedule_and_escalates_above_twice_of_it() {
    // S3-021, S3-023, S3-024, S3-060: 9 applications have duplicates
    let (team, oncall) = (HttpSink::start(), HttpSink::start());
    let mut desk = Desk::empty();
    desk.place.script(include_str!("../../../../examples/e3/schema.sqlite.sql"));
    desk.place.script(include_str!("../../../../examples/e3/seed.sqlite.sql"));
    desk.set("E3_DATABASE", "app.db");
    let example = include_str!("../../../../examples/e3/sexton.toml");
    let begin = example.find("# By a mail server on this machine").unwrap();
    let with = |threshold: &str, more: &str| {
        format!(
            "{}[notify.team]\ntype = \"webhook\"\nurl = \"{}\"\n[notify.oncall]\ntype = \"webhook\"\nurl = \"{}\"\n\
             [alerts]\nescalate_to = [\"oncall\"]\n{more}",
            example[..begin].replace("alert_threshold = 5\n", threshold),
            team.url("/"),
            oncall.url("/")
        )
    };
    let quiet = "[schedule.consistency_check.notifications]\non_warnings = false\n";
    let told = |config: &str, line: &str| {
        desk.write("sexton.toml", config);
        let _ = std::fs::remove_dir_all(desk.file(".sexton"));
        desk.sexton(line);
        (team.take(), oncall.take())
    };
    let run = "schedule run consistency_check";
    let (at_team, at_oncall) = told(&with("alert_threshold = 8\n", quiet), run);
    assert_eq!((at_team.len(), at_oncall.len()), (1, 0));
    let message = at_team[0].json();
    assert_eq!((&message["event"], &message["level"]), (&json!("alert"), &json!("warning")));
    assert_eq!((&message["metrics"]["duplicates"], &message["metrics"]["threshold"]), (&json!(9), &json!(8)));
    // At the threshold is not above it.
    let (at_team, at_oncall) = told(&with("alert_threshold = 9\n", quiet), run);
    assert_eq!((at_team.len(), at_oncall.len()), (0, 0));
    let (at_team, at_oncall) = told(&with("alert_threshold = 4\n", quiet), run);
    assert_eq!((at_team.len(), at_oncall.len()), (1, 1));
    assert_eq!(at_oncall[0].json()["level"], "critical");
    // Another threshold in another environment.
    let profile = format!("{quiet}[profile.production.schedule.consistency_check]\nalert_threshold = 10\n");
    let (at_team, _) = told(&with("alert_threshold = 5\n", &profile), run);
    assert_eq!(at_team.len(), 1);
    let (at_team, _) = told(&with("alert_threshold = 5\n", &profile), &format!("{run} --profile production"));
    assert_eq!(at_team.len(), 0);
    // The same for all, where neither operation nor schedule say anything.
    let all = with("", &format!("duplicates = 20\n{quiet}[profile.strict.alerts]\nduplicates = 3\n"))
        .replace("threshold = 5\n", "");
    assert_eq!(told(&all, run).0.len(), 0);
    assert_eq!(told(&all, &format!("{run} --profile strict")).0.len(), 1);
}

#[test]
fn an_operation_that_takes_longer_than_it_may_is_an_alert() {
    // S2-073: a millisecond is expected
    let (desk, sink) = desk("");
    let config = std::fs::read_to_string(desk.file("sexton.toml")).unwrap();
    desk.write(
        "sexton.toml",
        &config.replace(
            "table = \"audit_log\"",
            "expected = \"1 ms\"\nbatch_size = 20\npause = 0.01\ntable = \"audit_log\"",
        ),
    );
    desk.sexton("schedule run nightly").ends(0);
    let told = titles(&sink);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("logs took ") && told[0].ends_with(" was expected"), "{told:?}");
    let alarms = || desk.sexton("notify list --output json").ends(0).json()["alarms"].clone();
    assert_eq!(alarms()[0]["id"], "longer/logs");
    // As late again, and told once; in time again, and it is over.
    desk.sexton("undo latest").ends(0);
    desk.sexton("undo release").ends(0);
    desk.sexton("schedule run nightly").ends(0);
    assert_eq!((titles(&sink), alarms()[0]["id"].clone()), (Vec::new(), json!("longer/logs")));
    desk.write("sexton.toml", &config);
    desk.sexton("schedule run nightly").ends(0);
    assert_eq!((titles(&sink), alarms()), (Vec::new(), json!([])));
}

#[test]
fn a_week_in_which_more_than_five_percent_of_the_runs_fail_is_told_once_until_it_is_over() {
    // S2-074, X-20
    let (mut desk, sink) = desk("[alerts]\ndisk_percent = 100\nfailures = false\n");
    let began = jiff::Timestamp::now();
    for _ in 0..19 {
        desk.sexton("run sessions").ends(0);
    }
    desk.place
        .script("create trigger no before delete on session begin select raise(abort, 'not today'); end");
    let fail = || {
        desk.place.script("insert into session (expires_at) values ('2020-01-01')");
        desk.sexton("run sessions --triggers fire").ends(1);
    };
    fail();
    // One of twenty is five per cent, and not more.
    desk.sexton("notify check").ends(0);
    assert_eq!(titles(&sink), Vec::<String>::new());
    fail();
    desk.sexton("notify check").ends(5);
    assert_eq!(titles(&sink), ["2 of 21 runs of the last week failed"]);
    desk.sexton("notify check").ends(5);
    assert_eq!(titles(&sink), Vec::<String>::new());
    // They work again: a week later nobody speaks of it.
    desk.place.script("drop trigger no");
    for _ in 0..20 {
        desk.sexton("run sessions").ends(0);
    }
    desk.sexton("notify check").ends(0);
    assert_eq!(titles(&sink), ["fewer runs fail again"]);
    desk.set("SEXTON_NOW", &(began + jiff::SignedDuration::from_hours(24 * 9)).to_string());
    desk.sexton("notify check");
    assert!(!titles(&sink).iter().any(|title| title.contains("failed")));
}

#[test]
fn a_broken_operation_is_told_and_critical_when_it_comes_again() {
    // S2-072, S3-024, S2-078
    let (desk, sink) = desk(
        "[notify.oncall]\ntype = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", \"cat >> oncall\"]\n[alerts]\nescalate_to = [\"oncall\"]\n",
    );
    desk.place.script("drop table audit_log");
    assert_ne!(desk.sexton("schedule run nightly").code, 0);
    let first = sink.take().remove(0).json();
    assert_eq!((&first["event"], &first["title"]), (&json!("failure"), &json!("nightly failed: logs")));
    assert!(first["text"].as_str().unwrap().contains("audit_log"), "{first:#}");
    assert!(!desk.file("oncall").exists());
    // The same again is said once, but now it is critical.
    assert_ne!(desk.sexton("schedule run nightly").code, 0);
    let second: Vec<Json> = sink.take().iter().map(|call| call.json()).collect();
    assert_eq!(second.len(), 1, "{second:#?}");
    assert_eq!((&second[0]["event"], &second[0]["level"]), (&json!("alert"), &json!("critical")));
    assert_eq!(second[0]["title"], "logs failed 2 times in a row");
    let oncall: Json = serde_json::from_str(&std::fs::read_to_string(desk.file("oncall")).unwrap()).unwrap();
    assert_eq!(oncall["title"], second[0]["title"]);
    // A database that is away is a failure of its operations, too.
    std::fs::remove_file(desk.file("app.db")).unwrap();
    desk.sexton("schedule run nightly");
    desk.sexton("notify check").ends(5);
    assert!(titles(&sink).contains(&"main cannot be looked at".to_owned()));
}
