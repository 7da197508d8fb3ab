//! `sexton transfer run --online`: the application is sent over and back, and a process that is killed in any phase leaves nothing lost.

use crate::kit::Desk;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use testkit::Place;

const SHOP: &str = "pragma journal_mode = wal;
    create table orders (id integer primary key autoincrement, code text not null unique, at datetime not null);
    create table items (order_id integer not null references orders on delete cascade, no integer not null, note text, primary key (order_id, no));
    create table log (m text);
    with recursive c(i) as (select 1 union all select i + 1 from c where i < 6000)
      insert into orders (code, at) select 'c' || i, datetime(1700000000 + i, 'unixepoch') from c;
    insert into items select id, n.no, hex(randomblob(8)) from orders, (select 1 as no union all select 2) as n;
    insert into log select 'made' from orders limit 500;";

/// What the application does in one transaction.
const ORDER: &str = "pragma foreign_keys = on; begin immediate; insert into orders (code, at) values (hex(randomblob(9)), datetime('now'));
    insert into items select (select max(id) from orders), n.no, 'late' from (select 1 as no union all select 2) as n;
    insert into log values ('made'); update orders set at = datetime('now') where id = abs(random()) % 6000;
    insert or replace into orders (code, at) select code, at from orders where id = abs(random()) % 6000;
    delete from orders where id = abs(random()) % 6000; commit;";

fn line(to: &Place, more: &str) -> String {
    format!(
        "--source app.db --database '{}' --switch file=.env --switch variable=DATABASE_URL --without-way-back log {more}",
        to.url()
    )
}

fn pointer(desk: &Desk) -> String {
    pointer_of(desk, ".env")
}

fn pointer_of(desk: &Desk, name: &str) -> String {
    std::fs::read_to_string(desk.file(name)).unwrap()
}

const BEFORE: &str = "A=1\nexport DATABASE_URL=\"sqlite:///app.db\"\n";

#[test]
fn the_application_is_sent_there_and_back() {
    // S4-036, S4-038, S4-039, W-103, W-104, W-108
    let (desk, to) = (Desk::empty(), Place::postgres());
    desk.place.script(SHOP);
    std::fs::write(desk.file(".env"), BEFORE).unwrap();
    let sexton = |command: &str| desk.sexton(&format!("transfer {command} {}", line(&to, "")));
    let plan = sexton("plan --online --output json").ends(0).json();
    let steps = plan["items"][0]["steps"].as_array().unwrap();
    let ids: Vec<&str> = steps.iter().map(|step| step["id"].as_str().unwrap()).collect();
    assert_eq!(ids.first(), Some(&"capture"));
    assert_eq!(ids[ids.len() - 4..], ["follow", "cut over", "switch", "end"]);
    let done = sexton("run --online --yes").ends(0);
    assert!(done.stdout.contains("nobody could write for"), "{}", done.shown());
    assert_eq!(pointer(&desk), BEFORE.replace("sqlite:///app.db", &to.url()));
    assert!(desk.place.try_script(ORDER).unwrap_err().contains("has moved to PostgreSQL"));
    to.script("update orders set code = 'from there' where id = 1; delete from orders where id = 2; insert into items values (1, 9, 'new')");
    let again = sexton("run --online --yes").ends(3);
    let all = format!("{}{}", again.stdout, again.stderr);
    assert!(all.contains("was moved to"), "{}", again.shown());
    let back = sexton("rollback --yes").ends(0);
    assert!(back.stdout.contains("carried back"), "{}", back.shown());
    assert_eq!(pointer(&desk), BEFORE);
    desk.place.script(ORDER);
    let rows = desk
        .place
        .rows("select code, (select count(*) from items where order_id = o.id) from orders o where id < 3");
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0][0].as_text(), rows[0][1].as_int()), (Some("from there"), Some(3)));
    let nothing = sexton("rollback --yes");
    assert!(
        nothing.stdout.contains("no online transfer") || nothing.stderr.contains("no online transfer"),
        "{}",
        nothing.shown()
    );
}

#[test]
fn the_same_command_with_a_profile_goes_to_a_staging_database() {
    // S4-044
    let (desk, staging, to) = (Desk::empty(), Place::postgres(), Place::postgres());
    desk.place.script(SHOP);
    std::fs::write(desk.file(".pointer"), "app.db\n").unwrap();
    let config = format!(
        "[database.old]\nurl = \"app.db\"\n[database.new]\nurl = \"{}\"\n[operation.move]\nkind = \"transfer\"\ndatabase = \"new\"\nwithout_way_back = [\"log\"]\n\
         source = \"old\"\n[profile.staging.database.new]\nurl = \"{}\"\n",
        to.url(),
        staging.url()
    );
    desk.write("sexton.toml", &config);
    desk.sexton("transfer rehearse --yes").ends(0);
    desk.sexton("transfer run --yes --profile staging").ends(0);
    let tables = |place: &Place| place.rows("select 1 from pg_tables where schemaname = 'public'").len();
    assert_eq!((tables(&staging), tables(&to)), (3, 0));
    desk.sexton("transfer run --yes --online --switch file=.pointer").ends(0);
    assert_eq!((tables(&to), pointer_of(&desk, ".pointer")), (3, format!("{}\n", to.url())));
    // from another folder, and without saying how
    let elsewhere = tempfile::tempdir().unwrap();
    let mut back =
        desk.command(&format!("transfer rollback --yes --config {}", desk.file("sexton.toml").display()));
    let url = config.replace("\"app.db\"", &format!("\"{}\"", desk.file("app.db").display()));
    desk.write("sexton.toml", &url);
    assert!(back.current_dir(elsewhere.path()).status().unwrap().success());
    assert_eq!(pointer_of(&desk, ".pointer"), "app.db\n");
}

/// Kills the process of a command after so many milliseconds; whether it was still alive.
fn kill_after(desk: &Desk, line: &str, milliseconds: u64) -> bool {
    let mut run = desk.command(line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    let mut alive = true;
    while alive && began.elapsed() < Duration::from_millis(milliseconds) {
        std::thread::sleep(Duration::from_millis(2));
        alive = run.try_wait().unwrap().is_none();
    }
    let _ = run.kill();
    run.wait().unwrap();
    alive
}

#[test]
fn killed_in_any_phase_under_a_live_writer_nothing_is_lost() {
    // S4-036, S4-039, S4-040, W-096, W-103, W-104
    let mut whole = 1_500;
    let mut killed = 0;
    for round in 0..9_u64 {
        let (desk, to) = (Desk::empty(), Place::postgres());
        desk.place.script(SHOP);
        std::fs::write(desk.file(".env"), BEFORE).unwrap();
        let (stop, orders) = (AtomicBool::new(false), AtomicU64::new(0));
        let command = format!("transfer run --online --yes --quiet --batch-size 700 {}", line(&to, ""));
        std::thread::scope(|scope| {
            let ending = testkit::Over(&stop);
            let writer = scope.spawn(|| {
                let mut application = desk.place.connect();
                while !stop.load(Ordering::Relaxed) {
                    match application.script(ORDER) {
                        Ok(()) => {
                            orders.fetch_add(1, Ordering::Relaxed);
                        }
                        // it moved, or one of its deeds met the other
                        Err(_) => {
                            let _ = application.script("rollback");
                        }
                    }
                    std::thread::sleep(Duration::from_millis(4));
                }
            });
            let began = Instant::now();
            if round == 0 {
                desk.sexton(&command).ends(0);
                whole = began.elapsed().as_millis() as u64;
            } else {
                // each in another ninth of the time that it takes
                let alive = kill_after(&desk, &command, whole * round / 9 + 20);
                killed += u64::from(alive);
                if !alive {
                    // It was faster: the next ones are killed earlier.
                    whole = whole.min(began.elapsed().as_millis() as u64);
                }
                crate::kit::sessions_end(&to);
                if alive && round % 4 == 3 {
                    desk.sexton(&format!("transfer rollback --yes {}", line(&to, "")));
                    let ours = desk.place.rows("select name from sqlite_schema where name like 'sexton%'");
                    assert!(ours.is_empty(), "round {round}: {ours:?}");
                    let tables = to.rows("select 1 from pg_tables where schemaname = 'public'");
                    assert!(tables.is_empty(), "round {round}");
                    assert_eq!(pointer(&desk), BEFORE, "round {round}");
                    desk.sexton(&command).ends(0);
                } else if alive {
                    let resumed = desk.sexton("resume latest");
                    if pointer(&desk) == BEFORE {
                        // it was killed before the run was noted
                        assert_ne!(resumed.code, 0, "round {round}: {}", resumed.shown());
                        desk.sexton(&command).ends(0);
                    } else {
                        // 2: it was over
                        assert!([0, 2].contains(&resumed.code), "round {round}: {}", resumed.shown());
                    }
                }
            }
            drop(ending);
            writer.join().unwrap();
        });
        assert!(orders.load(Ordering::Relaxed) > 5, "round {round}");
        assert!(pointer(&desk).contains(&to.url()), "round {round}");
        let verified = desk.sexton(&format!("transfer verify --source app.db --database '{}'", to.url()));
        assert_eq!(verified.code, 0, "round {round}: {}", verified.shown());
        let left = desk.place.rows(
            "select name from sqlite_schema where name like 'sexton_capture%' or name = 'sexton_changes'",
        );
        assert!(left.is_empty(), "round {round}: {left:?}");
    }
    assert!(killed > 3, "only {killed} were killed");
}

/// Runs a command with its events, and kills it at the end of this step (the beginning of the run where there is none before it); the
/// last step that it told to be done.
fn kill_behind(desk: &Desk, line: &str, behind: Option<u64>) -> Option<u64> {
    use std::io::BufRead;
    let mut command = desk.command(&format!("{line} --events"));
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let events = std::io::BufReader::new(run.stdout.take().unwrap());
    let mut done = None;
    for line in events.lines() {
        let Ok(event) = serde_json::from_str::<serde_json::Value>(&line.unwrap()) else { continue };
        if event["event"] == "step_done" {
            done = event["step"].as_u64();
        }
        if event["event"] == "started" && behind.is_none() || done.is_some() && done == behind {
            // what it still tells was told before it died
            let _ = run.kill();
        }
    }
    run.wait().unwrap();
    done
}

/// The steps of the way back.
const BACK: [&str; 5] = ["stop_target", "carry_back", "switch_back", "settle", "clear_source"];

/// The steps of a plan.
fn steps(desk: &Desk, line: &str) -> Vec<String> {
    let plan = desk.sexton(&format!("{line} --output json")).json();
    let steps = plan["items"][0]["steps"].as_array().unwrap();
    steps.iter().map(|step| step["action"].as_str().unwrap().to_owned()).collect()
}

/// Goes there and back, and is killed on both ways: before the n-th of these steps, and before one of the way back. The phases that it
/// was in then; none where it had ended.
fn killed_there_and_back(shop: &str, all: &[String], n: usize) -> [Option<String>; 2] {
    let (desk, to) = (Desk::empty(), Place::postgres());
    desk.place.script(shop);
    desk.write(".env", BEFORE);
    let (stop, orders) = (AtomicBool::new(false), AtomicU64::new(0));
    let place = format!("there, before `{}`", all[n]);
    let there = std::thread::scope(|scope| {
        let ending = testkit::Over(&stop);
        scope.spawn(|| {
            let mut application = desk.place.connect();
            while !stop.load(Ordering::Relaxed) {
                match application.script(ORDER) {
                    Ok(()) => drop(orders.fetch_add(1, Ordering::Relaxed)),
                    Err(_) => drop(application.script("rollback")),
                }
                std::thread::sleep(Duration::from_millis(4));
            }
        });
        let command = format!("transfer run --online --yes --batch-size 300 {}", line(&to, ""));
        let done = kill_behind(&desk, &command, (n as u64).checked_sub(1));
        crate::kit::sessions_end(&to);
        let resumed = desk.sexton("resume latest");
        // 2: it was over
        assert!([0, 2].contains(&resumed.code), "{place}: {}", resumed.shown());
        drop(ending);
        all.get(done.map_or(0, |done| done as usize + 1)).cloned()
    });
    assert!(pointer(&desk).contains(&to.url()), "{place}");
    let verified = desk.sexton(&format!("transfer verify --source app.db --database '{}'", to.url()));
    assert_eq!(verified.code, 0, "{place}: {}", verified.shown());

    // and back, with a writer on the other side
    let command = format!("transfer rollback --yes {}", line(&to, ""));
    let behind = (n % BACK.len()).checked_sub(1);
    let place = format!("back, before `{}`", BACK[n % BACK.len()]);
    let (written, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let back = std::thread::scope(|scope| {
        let ending = testkit::Over(&over);
        let (to, written, over) = (&to, &written, &over);
        scope.spawn(move || {
            let mut application = to.connect();
            while !over.load(Ordering::Relaxed) {
                let n = written.load(Ordering::Relaxed);
                let sql = format!("insert into orders (code, at) values ('there {n}', now())");
                if application.script(&sql).is_ok() {
                    written.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(4));
            }
        });
        let began = Instant::now();
        while written.load(Ordering::Relaxed) < 5 && began.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(2));
        }
        let done = kill_behind(&desk, &command, behind.map(|behind| behind as u64));
        crate::kit::sessions_end(to);
        // whichever way it goes on
        if n.is_multiple_of(2) {
            desk.sexton("resume latest");
        }
        let again = desk.sexton(&command);
        assert_eq!(again.code, 0, "{place}: {}", again.shown());
        drop(ending);
        BACK.get(done.map_or(0, |done| done as usize + 1)).map(|action| (*action).to_owned())
    });
    assert_eq!(pointer(&desk), BEFORE, "{place}");
    let written = written.load(Ordering::Relaxed);
    assert!(written >= 5, "{place}");
    assert_eq!(desk.count("orders where code like 'there %'"), written as i64, "{place}");
    let ours = desk.place.rows("select name from sqlite_schema where name like 'sexton%'");
    assert!(ours.is_empty(), "{place}: {ours:?}");
    desk.place.script(ORDER);
    [there, back]
}

#[test]
fn killed_at_the_beginning_of_each_phase_there_and_back_nothing_is_lost() {
    // S4-036, S4-038, S4-040, W-096, W-103
    let shop = SHOP.replace("i < 6000", "i < 800");
    let all = {
        let (desk, to) = (Desk::empty(), Place::postgres());
        desk.place.script(&shop);
        desk.write(".env", BEFORE);
        steps(&desk, &format!("transfer plan --online {}", line(&to, "")))
    };
    let known = all.iter().map(String::as_str).chain(BACK).collect::<std::collections::BTreeSet<_>>().len();
    let mut phases = std::collections::BTreeSet::new();
    // a phase may be over before the signal arrives, not most of them: those that were missed are tried again
    let enough = |hit: usize| hit * 3 > known * 2;
    for turn in 0..3 {
        for n in (0..all.len()).filter(|n| !all[..*n].contains(&all[*n])) {
            let hit = [all[n].as_str(), BACK[n % BACK.len()]].map(|action| Some(action.to_owned()));
            if turn == 0 || !enough(phases.len()) && !hit.iter().all(|phase| phases.contains(phase)) {
                phases.extend(killed_there_and_back(&shop, &all, n));
            }
        }
    }
    let hit = phases.len();
    assert!(enough(hit), "only {hit} of {known}: {phases:?}");
}
