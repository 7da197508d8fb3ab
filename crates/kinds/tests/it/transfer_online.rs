//! The application writes while its database moves: nothing is lost, nobody waits long, and whatever goes wrong ends where it began.

use crate::transfer_kit::{Move, forbidden};
use engine::{Failure, Manners, Report, Status, Stop, What};
use serde_json::{Value as Json, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Tables of every shape: with a number, with a text for a key, without a rowid, without any key, a tree, and one that others hang on.
pub const SHOP: &str = "pragma journal_mode = wal;
    create table users (id integer primary key autoincrement, email text not null collate nocase unique, nick text unique, at datetime);
    create table orders (id integer primary key, user_id integer not null references users on delete cascade, paid boolean, total real);
    create table lines (order_id integer not null references orders on delete cascade, no integer not null, what text,
      twice int generated always as (no * 2) stored, primary key (order_id, no)) without rowid;
    create table tags (name text primary key, color text, user_id integer references users on delete set null);
    create table tree (id integer primary key, parent_id integer references tree on delete cascade, place integer not null unique);
    create table log (m text, n integer);
    create table ids (id text primary key, m text);
    with recursive c(i) as (select 1 union all select i + 1 from c where i < 60)
      insert into users (email, nick, at) select 'u' || i || '@x.org', 'n' || i, datetime(1700000000 + i, 'unixepoch') from c;
    insert into orders select id, id, id % 2, id / 7.0 from users;
    insert into lines (order_id, no, what) select id, n.no, 'x' || id from orders, (select 1 as no union all select 2) as n;
    insert into tags select 'tag' || id, 'red', id from users where id <= 20;
    insert into tree select id, nullif(id / 2, 0), id from users;
    insert into log select 'made ' || id, id from users;
    insert into ids select 'a' || id, 'm' from users where id <= 10;
    create view paying as select u.email, sum(o.total) as total from users u join orders o on o.user_id = u.id where o.paid group by u.id;
    create view most as select max(total) as total from paying;
    create trigger gone after delete on users begin insert into log values ('gone', old.id); end;
    create trigger renamed after update of name on tags begin update tags set color = 'new' where name = new.name; end;";

/// What the application may do at any moment, each in a transaction of its own, whatever was done before.
pub const DEEDS: [&str; 15] = [
    "insert or replace into tags (rowid, name, color) select rowid, 'r' || hex(randomblob(4)), 'put' from tags order by random() limit 1",
    "insert into users (email, nick, at) values (hex(randomblob(6)) || '@y.org', hex(randomblob(6)), datetime('now'))",
    "update users set at = datetime('now'), nick = hex(randomblob(5)) where id % 5 = abs(random()) % 5",
    // takes another row away, without a trigger of its own
    "insert or replace into users (email, nick) select hex(randomblob(4)), nick from users order by random() limit 1",
    "update or replace users set nick = (select nick from users order by id limit 1) where id = (select max(id) from users)",
    "delete from users where id = (select id from users order by random() limit 1)",
    "insert into orders (user_id, paid, total) select id, 1, 1.5 from users order by random() limit 3",
    "insert or replace into lines (order_id, no, what) select id, abs(random()) % 5, 'late' from orders order by random() limit 5",
    "update lines set no = no + (select max(no) from lines) where order_id = (select order_id from lines order by random() limit 1)",
    // unique values change hands
    "update tree set place = -place; update tree set place = place - (select min(place) + max(place) from tree)",
    "delete from tree where id = (select max(id) from tree); insert into tree select max(id) + 2, max(id), max(place) + 1 from tree; \
     update tree set parent_id = 1 where id = (select id from tree where id > 3 order by random() limit 1)",
    "insert into log select 'late', abs(random()) % 100; insert into log select 'late', 7; update log set m = m || '!' where rowid % 9 = 0; delete from log where rowid = (select min(rowid) from log)",
    "update tags set name = name || 'x' where name = (select min(name) from tags); insert or replace into tags values ('tag3', 'blue', null)",
    "update ids set id = 'b' || id where id = (select min(id) from ids where id < 'b'); insert into ids values (hex(randomblob(5)), 'new')",
    "update users set id = (select max(id) + 5 from users) where id = (select max(id) from users) and not exists (select 1 from orders where user_id = (select max(id) from users))",
];

/// The application: references are enforced, as it should be.
pub fn application(it: &Move) -> backends::testing::Application {
    let mut application = it.from.connect();
    application.script("pragma foreign_keys = on").unwrap();
    application
}

pub fn options(it: &Move) -> Json {
    std::fs::write(it.workshop.folder().join(".env"), "OTHER=1\nDATABASE_URL='sqlite:///app.db'\n").unwrap();
    json!({
        "online": true,
        "without_way_back": ["log"],
        "switch": { "file": it.workshop.folder().join(".env"), "variable": "DATABASE_URL", "value": "at {url}" },
        "map": { "ids": { "columns": { "id": { "uuid": true } } } },
    })
}

fn pointer(it: &Move) -> String {
    let text = std::fs::read_to_string(it.workshop.folder().join(".env")).unwrap();
    text.strip_prefix("OTHER=1\nDATABASE_URL=").unwrap().trim().to_owned()
}

/// All of it is there, the views and triggers as well.
pub fn has_moved(it: &Move, place: &str) {
    rows_have_moved(it, place);
    assert_eq!(it.list("select count(*) from most"), ["1"], "{place}");
    assert_eq!(
        it.list("select tgname from pg_trigger where tgname in ('gone', 'renamed') order by 1"),
        ["gone", "renamed"],
        "{place}"
    );
}

/// Both sides have the same, the file takes no changes, and the application was sent elsewhere.
fn rows_have_moved(it: &Move, place: &str) {
    let verified =
        it.run(json!({"action": "verify", "map": { "ids": { "columns": { "id": { "uuid": true } } } }}));
    assert_eq!(verified.status, Status::Completed, "{place}: {:#?}", verified.operations[0].findings);
    let refused = it.from.try_script("insert into log values ('too late', 1)").unwrap_err();
    assert!(refused.contains("has moved to PostgreSQL"), "{place}: {refused}");
    assert_eq!(pointer(it), "'at test'", "{place}");
    let left = it
        .from
        .rows("select name from sqlite_schema where name like 'sexton_capture%' or name = 'sexton_changes'");
    assert!(left.is_empty(), "{place}: {left:?}");
    for gone in ["carried", "followed", "made"] {
        assert_eq!(
            it.list(&format!("select count(*) from pg_class where relname = '{gone}'")),
            ["0"],
            "{place}"
        );
    }
    assert_eq!(
        it.list("select count(*) from pg_attribute where attname = 'sexton_rowid' and not attisdropped"),
        ["0"]
    );
    assert_eq!(
        it.list("select count(*) from pg_constraint where contype = 'f' and condeferrable"),
        ["0"],
        "{place}"
    );
}

/// The file takes changes, nothing of ours is left in it, the target is empty, the application was sent nowhere.
pub fn is_back(it: &Move, place: &str) {
    let ours = it.from.rows("select name from sqlite_schema where name like 'sexton%'");
    assert!(ours.is_empty(), "{place}: {ours:?}");
    it.from.script("insert into log values ('goes on', 1)");
    for what in [
        "pg_tables where schemaname = 'public'",
        "pg_views where schemaname = 'public'",
        "pg_proc where pronamespace = 'public'::regnamespace",
    ] {
        assert_eq!(it.list(&format!("select count(*) from {what}")), ["0"], "{place}: {what}");
    }
    assert_eq!(pointer(it), "'sqlite:///app.db'", "{place}");
}

pub fn error(report: &Report) -> String {
    format!("{:?}", report.operations[0].errors)
}

/// Runs it in small batches; `meanwhile` is told of every event.
fn run(it: &Move, options: Json, stop: &Stop, meanwhile: &mut dyn FnMut(&What)) -> Report {
    let plan = it.plan_with(options, |manners: &mut Manners| manners.batch_size = Some(25));
    it.engine()
        .run(&plan, stop, &mut |event| meanwhile(&event.what))
        .unwrap_or_else(|error| panic!("{error:?}"))
}

#[test]
fn whatever_the_application_does_meanwhile_arrives() {
    // W-097, W-104, S4-039, S4-040, S4-048, X-25
    let it = Move::of(SHOP);
    let mut application = application(&it);
    let mut n = 0;
    let report = run(&it, options(&it), &Stop::default(), &mut |what| {
        if matches!(what, What::Advanced { .. } | What::StepDone { .. })
            && it.from.rows("select 1 from sqlite_schema where name = 'sexton_moved_0_insert'").is_empty()
        {
            for deed in [DEEDS[n % DEEDS.len()], DEEDS[(n + 5) % DEEDS.len()]] {
                application.script(&format!("begin immediate; {deed}; commit")).unwrap();
            }
            n += 1;
        }
    });
    assert_eq!(report.status, Status::Completed, "{} {:#?}", error(&report), report.operations[0].findings);
    assert!(n > DEEDS.len(), "only {n} deeds were done");
    has_moved(&it, "");
    let result = report.operations[0].result.as_ref().unwrap();
    assert!(result["downtime_seconds"].as_f64().unwrap() > 0.0, "{result:#}");
    assert!(result["cut_over"]["changed"].as_u64().unwrap() > 0, "{result:#}");
    assert!(result["latency"]["p95"].as_f64().unwrap() >= result["latency"]["p50"].as_f64().unwrap());
    assert_eq!(result["verdict"], "same");
    let message = result["message"].as_str().unwrap();
    assert!(
        message.contains("that changed meanwhile") && message.contains("nobody could write for"),
        "{message}"
    );
    // ids go on behind the last that was given, also where that row is gone
    let last = it
        .from
        .rows("select max(seq, (select max(id) from users)) from sqlite_sequence where name = 'users'");
    it.to.script("insert into users (email) values ('first@pg')");
    assert_eq!(
        it.list("select id from users where email = 'first@pg'"),
        [(last[0][0].as_int().unwrap() + 1).to_string()]
    );
}

#[test]
fn a_live_writer_is_hardly_disturbed_and_loses_nothing() {
    // W-097, W-104, S4-039
    testkit::once_in_three(|| {
        let seconds = beside_a_live_writer();
        if seconds < 2.0 { Ok(()) } else { Err(format!("nobody could write for {seconds} s")) }
    });
}

/// So long nobody could write.
fn beside_a_live_writer() -> f64 {
    let it = Move::of(SHOP);
    let stop = AtomicBool::new(false);
    let seconds = std::thread::scope(|scope| {
        let ending = testkit::Over(&stop);
        let writer = scope.spawn(|| {
            let mut application = application(&it);
            let (mut n, mut refused) = (0, None);
            while !stop.load(Ordering::Relaxed) && refused.is_none() {
                let deed = DEEDS[n % DEEDS.len()];
                // in one go, as most applications write: what is refused leaves nothing half done
                match application.script(&format!("begin immediate; {deed}; commit")) {
                    Err(why) if why.contains("has moved to PostgreSQL") => refused = Some(why),
                    // one deed met another
                    Err(_) => application.script("rollback").unwrap_or_default(),
                    Ok(()) => {}
                }
                n += 1;
                std::thread::sleep(Duration::from_millis(2));
            }
            (n, refused)
        });
        let report = run(&it, options(&it), &Stop::default(), &mut |_| {});
        assert_eq!(report.status, Status::Completed, "{}", error(&report));
        let ended = std::time::Instant::now();
        while !writer.is_finished() && ended.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(ending);
        let (n, refused) = writer.join().unwrap();
        assert!(n > 20, "only {n} transactions");
        assert!(refused.is_some(), "it was never told that it has moved");
        report.operations[0].result.as_ref().unwrap()["downtime_seconds"].as_f64().unwrap()
    });
    has_moved(&it, "");
    seconds
}

#[test]
fn a_death_at_any_point_loses_nothing() {
    // W-096, S4-036, S4-040
    let mut died = 0;
    for nth in (1..2_000).step_by(19) {
        let it = Move::of(SHOP);
        let mut application = application(&it);
        let plan = it.plan_with(options(&it), |manners| manners.batch_size = Some(100));
        let engine = it.engine();
        engine.faults().arm(nth);
        let mut n = nth as usize;
        let outcome = engine.run(&plan, &Stop::default(), &mut |_| {
            if application.script(&format!("begin immediate; {}; commit", DEEDS[n % DEEDS.len()])).is_err() {
                let _ = application.script("rollback");
            }
            n += 1;
        });
        let alive = engine.faults().waiting();
        drop(engine);
        let place = format!("point {nth}: {outcome:?}");
        match outcome {
            Ok(report) => assert_eq!(report.status, Status::Completed, "{place} {}", error(&report)),
            Err(Failure::Fault(_)) => {
                died += 1;
                for deed in DEEDS {
                    if application.script(&format!("begin immediate; {deed}; commit")).is_err() {
                        let _ = application.script("rollback");
                    }
                }
                match testkit::story::resumed(&it.engine(), "latest") {
                    Ok(report) => {
                        assert_eq!(report.status, Status::Completed, "{place} {}", error(&report));
                    }
                    // it was over, or was never noted
                    Err(_) if it.list("select 1 from pg_tables where tablename = 'users'").is_empty() => {
                        is_back(&it, &place);
                        continue;
                    }
                    Err(_) => {}
                }
            }
            Err(error) => panic!("{place}: {error:?}"),
        }
        has_moved(&it, &place);
        if alive {
            assert!(died > 10, "only {died} deaths");
            return;
        }
    }
    panic!("there is no end");
}

#[test]
fn it_goes_back_by_itself_when_something_goes_wrong() {
    // S4-016, S4-036, W-099, W-104, W-121, X-25
    let troubles: [(&str, &str); 4] = [
        ("limit", "the limit of the cut-over"),
        ("error", "in `users.at`"),
        ("check", "were changed while it was carried"),
        ("cancel", ""),
    ];
    for (trouble, said) in troubles {
        for wanted in [true, false] {
            let it = Move::of(SHOP);
            let mut options = options(&it);
            let others: Vec<&str> =
                ["check", "limit", "error", "cancel"].into_iter().filter(|one| *one != trouble).collect();
            options["go_back_on"] = if wanted { json!([trouble]) } else { json!(others) };
            if trouble == "limit" {
                options["cut_over_limit"] = json!(0.000_001);
            }
            let stop = Stop::default();
            let mut loads = 0;
            let report = run(&it, options, &stop, &mut |what| {
                if let What::Advanced { .. } = what {
                    loads += 1;
                    match trouble {
                        "error" if loads == 4 => {
                            it.from.script("update users set at = 'no time' where id = 60")
                        }
                        "check" if loads == 4 => it.from.script("alter table users add column phone text"),
                        "cancel" if loads == 6 => stop.ask(),
                        _ => {}
                    }
                }
            });
            let place = format!("{trouble} {wanted}: {}", error(&report));
            let status = if trouble == "cancel" { Status::Cancelled } else { Status::Failed };
            assert_eq!(report.status, status, "{place}");
            assert!(place.contains(said), "{place}");
            assert!(
                it.from.rows("select 1 from sqlite_schema where name like 'sexton_moved%'").is_empty(),
                "{place}"
            );
            if wanted {
                is_back(&it, &place);
                continue;
            }
            // it can go on, and can be taken back by hand
            assert!(
                !it.from.rows("select 1 from sqlite_schema where name = 'sexton_changes'").is_empty(),
                "{place}"
            );
            let back = it.run(json!({"action": "rollback"}));
            assert_eq!(back.status, Status::Completed, "{place} {}", error(&back));
            is_back(&it, &place);
            let again = it.plan(json!({"action": "rollback"}));
            assert!(again.items[0].skipped.is_some());
        }
    }
}

#[test]
fn after_it_went_back_a_resumed_run_begins_again() {
    // S4-036
    let it = Move::of(SHOP);
    let stop = Stop::default();
    let report = run(&it, options(&it), &stop, &mut |what| {
        if matches!(what, What::Advanced { detail: Some(detail), .. } if detail["followed"].is_object()) {
            stop.ask();
        }
    });
    assert_eq!(report.status, Status::Cancelled, "{}", error(&report));
    is_back(&it, "");
    it.from.script("delete from lines where no = 1; update users set nick = 'other' where id = 3");
    let report = it.engine().resume("latest", &Stop::default(), &mut |_| {}).unwrap();
    assert_eq!(report.status, Status::Completed, "{}", error(&report));
    has_moved(&it, "");
}

#[test]
fn what_the_application_orphans_or_dirties_meanwhile_stops_it() {
    // W-099, W-101, W-102
    for (deed, said) in [
        // references are not enforced here, as SQLite does by default
        ("delete from users where id = 3", "that the application has deleted meanwhile"),
        ("insert into orders (id, user_id) values (999, 12345)", "violates foreign key"),
        ("update users set at = 'soon' where id = 9", "cannot be read as the column's type"),
    ] {
        let it = Move::of(SHOP);
        let mut done = false;
        let report = run(&it, options(&it), &Stop::default(), &mut |what| {
            if matches!(what, What::Advanced { detail: Some(detail), .. } if detail["compared"].is_string())
                && !done
            {
                done = true;
                it.from.script(deed);
            }
        });
        assert_eq!(report.status, Status::Failed, "{deed}");
        assert!(error(&report).contains(said), "{deed}: {}", error(&report));
        is_back(&it, deed);
    }
}

#[test]
fn rows_that_are_kept_aside_follow_their_changes() {
    // W-101
    let it = Move::of(SHOP);
    it.from.script("update users set at = 'bad' where id in (1, 2, 3); update tags set user_id = null");
    it.from.script("delete from orders where user_id in (1, 2, 3, 50); delete from lines where order_id in (1, 2, 3, 50)");
    let mut options = options(&it);
    options["policy"] = json!("quarantine");
    options["map"]["users"] = json!({"columns": {"at": {"cast": "timestamptz"}}});
    let mut done = false;
    let report = run(&it, options, &Stop::default(), &mut |what| {
        if matches!(what, What::Advanced { detail: Some(detail), .. } if detail["compared"].is_string())
            && !done
        {
            done = true;
            it.from.script(
                "update users set at = '2024-01-01 00:00:00' where id = 1; update users set nick = 'still bad' where id = 2; \
                 delete from users where id = 3; update users set at = 'worse' where id = 50",
            );
        }
    });
    assert_eq!(report.status, Status::Partial, "{}", error(&report));
    assert_eq!(it.list("select source_key from sexton.unloaded order by 1"), ["id 2", "id 50"]);
    assert_eq!(it.list("select count(*) from users where id in (1, 2, 3, 50)"), ["1"]);
}

#[test]
fn an_online_transfer_fills_the_tables_of_the_application() {
    // S4-008
    let it = Move::of(SHOP);
    it.to.script(
        "create table users (id bigint generated always as identity primary key, email text not null unique, nick text unique, at timestamptz);
         create table orders (id bigint primary key, user_id bigint not null references users on delete cascade, paid boolean, total float8);
         create table lines (order_id bigint not null references orders on delete cascade, no int not null, what text,
           twice int generated always as (no * 2) stored, primary key (order_id, no));
         create table tags (name text primary key, color text default 'red', user_id bigint references users on delete set null);
         create table tree (id bigint primary key, parent_id bigint references tree on delete cascade, place int not null unique);
         create table log (m text, n int);
         create table ids (id uuid primary key, m text)",
    );
    let keys = "select pg_get_constraintdef(oid) from pg_constraint where connamespace = 'public'::regnamespace order by conname";
    let before = it.list(keys);
    let mut asked = options(&it);
    asked["existing"] = json!(true);
    let mut application = application(&it);
    let stop = Stop::default();
    let mut n = 0;
    let mut write = |what: &What, stop: Option<&Stop>| {
        if matches!(what, What::Advanced { .. }) {
            if it.from.rows("select 1 from sqlite_schema where name like 'sexton_moved%'").is_empty() {
                application.script(&format!("begin immediate; {}; commit", DEEDS[n % DEEDS.len()])).unwrap();
            }
            n += 1;
            if let Some(stop) = stop.filter(|_| n == 12) {
                stop.ask();
            }
        }
    };
    let report = run(&it, asked.clone(), &stop, &mut |what| write(what, Some(&stop)));
    assert_eq!(report.status, Status::Cancelled, "{}", error(&report));
    assert_eq!(it.list(keys), before, "references are as they were");
    assert_eq!(it.list("select (select count(*) from users) + (select count(*) from log)"), ["0"]);
    assert_eq!(
        it.list("select count(*) from pg_attribute where attname = 'sexton_rowid' and not attisdropped"),
        ["0"]
    );
    let report = run(&it, asked, &Stop::default(), &mut |what| write(what, None));
    assert_eq!(report.status, Status::Completed, "{}", error(&report));
    assert_eq!(it.list(keys), before);
    rows_have_moved(&it, "existing");
}

#[test]
fn what_cannot_be_followed_is_refused_before_anything_is_done() {
    let it = Move::of("create table t (id integer primary key); insert into t values (1)");
    let codes = |options: Json| forbidden(&it.plan(options));
    assert_eq!(codes(json!({"online": true})), [format!("source_locked {}", it.from.url())]);
    it.from.script("pragma journal_mode = wal");
    assert_eq!(codes(json!({"online": true})), Vec::<String>::new());
    for switch in
        [json!({}), json!({"file": "/nowhere/.env"}), json!({"file": "/etc/hostname", "variable": "NO_SUCH"})]
    {
        assert_eq!(codes(json!({"online": true, "switch": switch})), [format!("switch {}", it.from.url())]);
    }
    // without a key there would be no way back, which is told and must be accepted
    let keyless =
        Move::of("pragma journal_mode = wal; create table log (m text); insert into log values ('a')");
    let told = |options: Json| forbidden(&keyless.plan(options));
    assert_eq!(told(json!({"online": true})), ["no_way_back log"]);
    assert_eq!(told(json!({"online": true, "without_way_back": ["Log"]})), Vec::<String>::new());
    assert_eq!(told(json!({"online": true, "one_way": true})), Vec::<String>::new());
    assert_eq!(told(json!({})), Vec::<String>::new());
    // another one has its hands on it
    let stop = Stop::default();
    let options = json!({"online": true, "go_back_on": []});
    let report = run(&it, options.clone(), &stop, &mut |what| {
        if matches!(what, What::StepDone { .. }) {
            stop.ask();
        }
    });
    assert_eq!(report.status, Status::Cancelled);
    let mut other = options;
    other["into_schema"] = json!("other");
    assert_eq!(codes(other), [format!("under_way {}", it.from.url())]);
    let report = it.engine().resume("latest", &Stop::default(), &mut |_| {}).unwrap();
    assert_eq!(report.status, Status::Completed, "{}", error(&report));
    // without a switch the file refuses all the same
    assert!(it.from.try_script("insert into t values (2)").is_err());
    assert_eq!(it.list("select count(*) from t"), ["1"]);
}

#[test]
fn a_switch_that_fails_leaves_the_application_where_it_was() {
    // S4-036, W-121
    let it = Move::of(SHOP);
    let mut options = options(&it);
    options["switch"] =
        json!({ "file": it.workshop.folder().join(".env"), "variable": "DATABASE_URL", "value": "at {url}" });
    let report = run(&it, options, &Stop::default(), &mut |what| {
        if matches!(what, What::Advanced { detail: Some(detail), .. } if detail["cut_over"].is_object()) {
            std::fs::write(it.workshop.folder().join(".env"), "OTHER=1\n").unwrap();
        }
    });
    assert_eq!(report.status, Status::Failed, "{}", error(&report));
    assert!(error(&report).contains("has no line `DATABASE_URL=…`"), "{}", error(&report));
    std::fs::write(it.workshop.folder().join(".env"), "OTHER=1\nDATABASE_URL='sqlite:///app.db'\n").unwrap();
    is_back(&it, "");
}

#[test]
fn a_row_that_went_without_a_trace_is_noticed() {
    // W-099
    let it = Move::of(&format!("{SHOP} create unique index by_lower on tags (hex(lower(name)));"));
    let mut done = false;
    let mut options = options(&it);
    options["leave"] = json!(["by_lower"]);
    let report = run(&it, options, &Stop::default(), &mut |what| {
        if matches!(what, What::Advanced { detail: Some(detail), .. } if detail["followed"]["counted"] == json!(true))
            && !done
        {
            done = true;
            // takes `tag3` away, of which no trigger tells
            it.from.script("insert or replace into tags values ('TAG3', 'blue', null)");
        }
    });
    assert_eq!(report.status, Status::Failed, "{}", error(&report));
    let said = error(&report);
    assert!(said.contains("`tags` has 20 rows, and 21 are in the target"), "{said}");
    is_back(&it, "");
}
