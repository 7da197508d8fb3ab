//! The way back after the application was sent to PostgreSQL: what it wrote there is in the file again, in the file's own words; what
//! has no way back is counted; a death at any point loses nothing.

use crate::transfer_kit::{Move, found};
use engine::{Failure, Level, Report, Status, Stop, What};
use serde_json::{Value as Json, json};
use testkit::story;

const SHOP: &str = "pragma journal_mode = wal;
    create table users (id text primary key, name text unique, active boolean, born date, at datetime, iso text, epoch integer, price decimal(10,2),
      settings json, mood text, photo blob, secret text, n integer);
    create table orders (id integer primary key autoincrement, user_id text references users on delete cascade, total real, at datetime);
    create table lines (order_id integer not null references orders on delete cascade, no integer not null, what text, primary key (order_id, no)) without rowid;
    create table log (m text);
    insert into users values
      ('ann', 'Ann', 1, '1980-01-02', '2024-01-02 03:04:05', '2024-01-02T03:04:05Z', 1700000000, 12.5, '{\"a\": 1}', 'Y', x'00ff', 's1', 1),
      ('bob', 'Bob', 0, null, '2024-01-02 03:04:05.123456', '2024-01-03T03:04:05Z', 1700000001, 0.1, '[]', 'N', null, 's2', 2),
      ('cy', 'Cy', 1, '1990-12-31', null, '2024-01-04T03:04:05Z', null, null, null, 'Y', x'', 's3', 3),
      ('dan', 'Dan', 1, '1990-12-31', null, '2024-01-05T03:04:05Z', null, null, null, 'Y', x'', 's4', 4);
    insert into orders (user_id, total, at) select id, 1.5, '2024-05-05 05:05:05' from users;
    insert into lines select id, 1, 'one' from orders;
    insert into log values ('a'), ('b');
    create trigger counted after insert on orders begin update users set n = coalesce(n, 0) + 100 where id = new.user_id; end;";

/// What the application does in PostgreSQL.
const THERE: &str = "
    update users set name = 'Anna', active = false, born = '1981-03-04', at = '2025-06-07 08:09:10.5+00', iso = '2025-01-01 00:00:00+00',
      epoch = to_timestamp(1800000000), price = 99.99, settings = '{\"b\": [1, 2]}', mood = false, photo = '\\x01', n = 2000000000 where name = 'Ann';
    update users set name = 'tmp' where name = 'Bob'; update users set name = 'Bob' where name = 'Cy'; update users set name = 'Cy' where name = 'tmp';
    delete from users where name = 'Dan';
    insert into users (id, name, active, iso, price) values ('6f1e1c1c-0000-4000-8000-000000000009', 'Eve', true, '2025-01-02 03:04:05+00', 7);
    insert into orders (user_id, total) select id, 2.25 from users where name = 'Eve';
    insert into lines select max(id), 5, 'new' from orders;
    update lines set no = 2 where order_id = 1;
    delete from orders where id = 2;";

fn map() -> Json {
    json!({ "users": { "columns": {
        "id": { "uuid": true }, "iso": { "cast": "timestamptz" }, "epoch": { "cast": "timestamptz", "epoch": "seconds" },
        "mood": { "cast": "boolean", "values": { "Y": true, "N": false } }, "secret": { "drop": true },
    } } })
}

fn options(it: &Move) -> Json {
    let file = it.workshop.folder().join("pointer");
    std::fs::write(&file, "sqlite:///app.db\n").unwrap();
    json!({ "online": true, "switch": { "file": file }, "map": map(), "without_way_back": ["log"] })
}

fn pointer(it: &Move) -> String {
    std::fs::read_to_string(it.workshop.folder().join("pointer")).unwrap()
}

fn moved() -> Move {
    let it = Move::of(SHOP);
    let report = it.run(options(&it));
    assert_eq!(report.status, Status::Completed, "{:?}", report.operations[0].errors);
    assert_eq!(pointer(&it), "test\n");
    it
}

fn back(it: &Move, more: Json) -> Report {
    let mut asked = options(it);
    std::fs::write(it.workshop.folder().join("pointer"), "test\n").unwrap();
    asked["action"] = json!("rollback");
    for (name, value) in more.as_object().unwrap() {
        asked[name] = value.clone();
    }
    it.run(asked)
}

fn told(it: &Move, sql: &str) -> Vec<String> {
    let rows = it.from.rows(sql);
    rows.iter().map(|row| row.iter().map(ToString::to_string).collect::<Vec<_>>().join("|")).collect()
}

/// The file has what the target has, takes changes, and nothing of ours; the target refuses them.
fn is_back(it: &Move, place: &str) {
    assert_eq!(pointer(it), "sqlite:///app.db\n", "{place}");
    let ours = it.from.rows("select name from sqlite_schema where name like 'sexton%'");
    assert!(ours.is_empty(), "{place}: {ours:?}");
    assert_eq!(
        told(
            it,
            "select id, name, active, born, at, iso, epoch, price, settings, mood, hex(photo), secret, n from users where id = 'ann'"
        ),
        [
            "'ann'|'Anna'|0|'1981-03-04'|'2025-06-07 08:09:10.500'|'2025-01-01T00:00:00Z'|1800000000|99.99|'{\"b\": [1, 2]}'|'N'|'01'|'s1'|2000000000"
        ],
        "{place}"
    );
    assert_eq!(
        told(it, "select id, name, at, secret from users where id <> 'ann' order by name"),
        [
            "'cy'|'Bob'|null|'s3'",
            "'bob'|'Cy'|'2024-01-02 03:04:05.123456'|'s2'",
            "'6f1e1c1c-0000-4000-8000-000000000009'|'Eve'|null|null",
        ],
        "{place}"
    );
    // what a trigger wrote there comes back once, and the file's own does not write it again
    assert_eq!(told(it, "select n from users where name = 'Eve'"), ["100"], "{place}");
    assert_eq!(
        told(it, "select id, user_id, total from orders order by id"),
        ["1|'ann'|1.5", "3|'cy'|1.5", "5|'6f1e1c1c-0000-4000-8000-000000000009'|2.25"]
    );
    assert_eq!(
        told(it, "select * from lines order by 1, 2"),
        ["1|2|'one'", "3|1|'one'", "5|5|'new'"],
        "{place}"
    );
    it.from.script("insert into log values ('goes on')");
    assert!(it.to.try_script("update log set m = 'x'").unwrap_err().contains("has moved back"), "{place}");
    assert_eq!(it.list("select count(*) from pg_trigger where tgname like 'sexton_note%'"), ["0"], "{place}");
    assert_eq!(it.list("select count(*) from pg_class where relname like 'noted%'"), ["0"], "{place}");
}

#[test]
fn what_was_written_in_postgresql_is_in_the_file_again() {
    // S4-038, W-103, W-110
    let it = moved();
    it.to.script(THERE);
    let report = back(&it, json!({}));
    assert_eq!(report.status, Status::Completed, "{:?}", report.operations[0].errors);
    is_back(&it, "");
    let result = report.operations[0].result.as_ref().unwrap();
    assert_eq!(result["returned"]["refused"], 0, "{result:#}");
    assert!(result["downtime_seconds"].as_f64().is_some());
    assert!(it.plan(json!({"action": "rollback"})).items[0].skipped.is_some());
}

#[test]
fn without_a_change_the_file_is_as_it_was() {
    // S4-038
    let it = Move::of(SHOP);
    let before = it.from.dump();
    let report = it.run(options(&it));
    assert_eq!(report.status, Status::Completed, "{:?}", report.operations[0].errors);
    // written to what it was
    it.to.script("update users set name = name; update lines set what = what");
    let report = back(&it, json!({}));
    assert_eq!(report.status, Status::Completed, "{:?}", report.operations[0].errors);
    assert_eq!(it.from.dump(), before);
}

#[test]
fn what_has_no_way_back_is_counted_and_must_be_accepted() {
    // W-103
    let it = moved();
    it.to.script(THERE);
    it.to.script("insert into log values ('no key'), ('no key either'); truncate lines; insert into lines values (1, 2, 'one'), (3, 1, 'one'), (5, 5, 'new')");
    it.to.script("insert into users (id, name, at) values ('6f1e1c1c-0000-4000-8000-00000000000a', 'Late', 'infinity')");
    let report = back(&it, json!({}));
    assert_eq!(report.status, Status::Failed);
    let error = format!("{:?}", report.operations[0].errors);
    assert!(error.contains("3 rows") && error.contains("`log`"), "{error}");
    assert!(error.contains("`users` id 6f1e1c1c-0000-4000-8000-00000000000a"), "{error}");
    assert_eq!(pointer(&it), "test\n");
    // both sides are as before
    assert!(
        it.from.try_script("insert into log values ('x')").unwrap_err().contains("has moved to PostgreSQL")
    );
    it.to.script("update log set m = m");
    let few = back(&it, json!({"accept": 4}));
    assert_eq!(few.status, Status::Failed, "more was changed since");
    let report = back(&it, json!({"accept": 7}));
    assert_eq!(report.status, Status::Partial, "{:?}", report.operations[0].errors);
    assert!(found(&report).contains(&"not_returned source".to_owned()), "{:?}", found(&report));
    is_back(&it, "");
}

#[test]
fn a_death_on_the_way_back_loses_nothing() {
    // S4-038, W-103
    let mut died = 0;
    for nth in (1..600).step_by(4) {
        let it = moved();
        it.to.script(THERE);
        let mut asked = options(&it);
        std::fs::write(it.workshop.folder().join("pointer"), "test\n").unwrap();
        asked["action"] = json!("rollback");
        let plan = it.plan(asked.clone());
        let engine = it.engine();
        engine.faults().arm(nth);
        let outcome = engine.run(&plan, &Stop::default(), &mut |_| {});
        let alive = engine.faults().waiting();
        drop(engine);
        let place = format!("point {nth}: {outcome:?}");
        match outcome {
            Ok(report) => assert_eq!(report.status, Status::Completed, "{place}"),
            Err(Failure::Fault(_)) => {
                died += 1;
                // by going on, or by saying it again
                let went = match nth % 8 {
                    1 => story::resumed(&it.engine(), "latest").ok(),
                    _ => None,
                };
                if went.is_none() {
                    let plan = it.plan(asked);
                    if plan.items[0].skipped.is_none() {
                        let report = story::run(&it.engine(), &plan);
                        assert_eq!(
                            report.status,
                            Status::Completed,
                            "{place}: {:?}",
                            report.operations[0].errors
                        );
                    }
                }
            }
            Err(error) => panic!("{place}: {error:?}"),
        }
        is_back(&it, &place);
        if alive {
            assert!(died > 5, "only {died} deaths");
            return;
        }
    }
    panic!("there is no end");
}

#[test]
fn a_settled_transfer_has_no_way_back() {
    let it = moved();
    let settled = it.run(json!({"action": "settle"}));
    assert_eq!(settled.status, Status::Completed, "{:?}", settled.operations[0].errors);
    it.to.script(THERE);
    assert_eq!(it.list("select count(*) from pg_trigger where tgname like 'sexton%'"), ["0"]);
    assert!(it.refusal(json!({"action": "rollback"})).contains("given up"));
    assert!(it.from.try_script("insert into log values ('x')").is_err());
    let it = Move::of(SHOP);
    let mut asked = options(&it);
    asked["one_way"] = json!(true);
    assert_eq!(it.run(asked).status, Status::Completed);
    assert_eq!(it.list("select count(*) from pg_trigger where tgname like 'sexton%'"), ["0"]);
    assert!(it.refusal(json!({"action": "rollback"})).contains("one_way"));
}

#[test]
fn a_command_that_fails_to_send_is_taken_back_while_nothing_was_written() {
    // S4-036, W-121
    for writes in [false, true] {
        let it = Move::of(SHOP);
        let mut asked = options(&it);
        let mark = it.workshop.folder().join("mark");
        asked["switch"]["command"] =
            json!(["sh", "-c", format!("echo $SEXTON_DIRECTION >> {}; exit 1", mark.display())]);
        let plan = it.plan(asked);
        let report = it
            .engine()
            .run(&plan, &Stop::default(), &mut |event| {
                if writes && matches!(&event.what, What::Advanced { detail: Some(detail), .. } if detail["cut_over"].is_object()) {
                    it.to.script("insert into log values ('early')");
                }
            })
            .unwrap();
        assert_eq!(report.status, Status::Failed);
        let said = std::fs::read_to_string(&mark).unwrap();
        if writes {
            assert_eq!((said.as_str(), pointer(&it).as_str()), ("there\n", "test\n"));
            assert!(it.from.try_script("insert into log values ('x')").is_err());
            assert_eq!(it.list("select count(*) from log"), ["3"]);
            it.to.script("insert into log values ('goes on')");
        } else {
            assert_eq!((said.as_str(), pointer(&it).as_str()), ("there\nback\n", "sqlite:///app.db\n"));
            it.from.script("insert into log values ('goes on')");
            assert_eq!(it.list("select count(*) from pg_tables where schemaname = 'public'"), ["0"]);
        }
    }
}

#[test]
fn a_rehearsal_goes_there_and_back_and_leaves_nothing() {
    // S4-043, W-110
    let it = Move::of(SHOP);
    it.to.script("create table public.other (id int)");
    let before = (it.from.dump(), it.to.dump());
    let report = it.run(json!({"action": "rehearse", "map": map()}));
    assert_eq!(report.status, Status::Completed, "{:?}", report.operations[0].errors);
    let result = report.operations[0].result.as_ref().unwrap();
    let message = result["message"].as_str().unwrap();
    assert!(
        message.contains("both sides the same") && message.contains("the copy is as it was"),
        "{message}"
    );
    assert!(result["returned"]["written"].as_u64().unwrap() >= 12, "{result:#}");
    assert!(result["downtime_seconds"].as_f64().is_some());
    let clean = |place: &str| {
        assert_eq!((it.from.dump(), it.to.dump()), before, "{place}");
        assert_eq!(it.from.leftovers(), Vec::<String>::new(), "{place}");
    };
    clean("");
    // what would go wrong is told, and leaves nothing either
    it.to.admin_script(
        "create function public.refuse() returns event_trigger language plpgsql as $$ begin raise 'no index today'; end $$;
         create event trigger refuse on ddl_command_start when tag in ('CREATE INDEX') execute function public.refuse()",
    );
    let report = it.run(json!({"action": "rehearse", "map": map()}));
    it.to.admin_script("drop event trigger refuse; drop function public.refuse()");
    assert_eq!(report.status, Status::Failed);
    assert!(format!("{:?}", report.operations[0].errors).contains("no index today"));
    clean("failed");
    // questions are asked about the tables of the rehearsal, whatever the application's are
    it.to.script("create table public.users (id int)");
    let before = (it.from.dump(), it.to.dump());
    let asked = |target: &str| {
        let names = json!({"source": "select name, n from users", "target": target});
        json!({"action": "rehearse", "map": map(), "queries": {"names": names}})
    };
    let plan = it.plan(asked("select name, n from users"));
    let told = |code: &str| plan.items[0].findings.iter().find(|found| found.code == code);
    assert_eq!(
        told("no_way_back").map(|found| (found.object.as_str(), found.level)),
        Some(("log", Level::Note))
    );
    assert!(told("not_asked").is_none(), "{plan:?}");
    let report = it.run(asked("select name, n from users"));
    assert_eq!(report.status, Status::Completed, "{:?}", report.operations[0].errors);
    let result = report.operations[0].result.as_ref().unwrap();
    assert_eq!(result["queries"][0]["target"]["rows"], 4, "{result:#}");
    let report = it.run(asked("select id, id from public.users"));
    assert_eq!(report.status, Status::Failed, "{report:#?}");
    assert!(
        format!("{:?}", report.operations[0].errors).contains("the source answers 4 rows"),
        "{report:#?}"
    );
    assert_eq!((it.from.dump(), it.to.dump()), before);
    it.to.script("drop table public.users");
    // nor does a death, once it went on
    let plan = it.plan(json!({"action": "rehearse", "map": map()}));
    for nth in [40, 90, 140, 190] {
        let engine = it.engine();
        engine.faults().arm(nth);
        let outcome = engine.run(&plan, &Stop::default(), &mut |_| {});
        assert!(matches!(outcome, Err(Failure::Fault(_))), "{nth}: {outcome:?}");
        drop(engine);
        let report = story::resumed(&it.engine(), "latest").unwrap();
        assert_eq!(report.status, Status::Completed, "{nth}: {:?}", report.operations[0].errors);
        clean(&nth.to_string());
    }
    assert!(it.refusal(json!({"action": "rehearse", "existing": true})).contains("--profile staging"));
}
