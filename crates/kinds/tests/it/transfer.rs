//! A whole database moves: tables, rows, keys, references, ids; it goes on after every death; whatever differs is named.

use crate::transfer_kit::{Move, forbidden, found};
use engine::{Event, Failure, Status, Stop, What};
use serde_json::json;
use testkit::story;

/// A small shop with something of everything.
pub const SHOP: &str = "
    create table users (id integer primary key autoincrement, uuid uuid not null unique, email text not null collate nocase unique,
      active boolean not null default 1, created_at datetime not null default current_timestamp, settings json,
      balance decimal(10,2) not null default 0, check (balance >= 0));
    create table orders (id integer primary key, user_id integer not null references users on delete cascade,
      code text not null, total real, paid boolean, note text, at datetime, unique (user_id, code));
    create table lines (order_id integer not null, no integer not null, what text, n int not null default 1,
      twice int generated always as (n * 2) stored, primary key (order_id, no),
      foreign key (order_id) references orders (id) on update cascade on delete cascade) without rowid;
    create table log (m text, b blob);
    create index by_note on orders (note) where note is not null;
    create index by_lower on orders (lower(code), at desc);
    insert into users (id, uuid, email, active, created_at, settings, balance) values
      (1, '6f1e1c1c-0000-4000-8000-000000000001', 'Ann@x.org', 1, '2024-01-02 03:04:05', '{\"b\": 1.50, \"a\": [1, 2]}', 12.5),
      (2, '6F1E1C1C-0000-4000-8000-000000000002', 'bob@x.org', 0, '2024-01-02T03:04:05.123456+02:00', null, 0),
      (7, '6f1e1c1c-0000-4000-8000-000000000007', 'cy@x.org', 1, '2024-02-29', '[]', 99999999.99),
      (90, '6f1e1c1c-0000-4000-8000-000000000090', 'gone@x.org', 1, '2024-02-29', '[]', 1);
    delete from users where id = 90;
    insert into orders values (1, 1, 'A', 1.1, 1, 'note', '2024-03-01 10:00'), (2, 1, 'B', 0.1, 0, null, null),
      (3, 2, 'A', 1e300, null, 'größe 🚀', '2024-03-01T10:00:00Z'), (4000000000, 7, 'C', -0.0, 1, '', null);
    insert into lines (order_id, no, what, n) values (1, 1, 'x', 1), (1, 2, 'y', 5), (3, 1, null, -2), (2, 1, 'z', 0);
    insert into log values ('a', x'00ff'), ('a', x'00ff'), (null, null), ('b', x'');";

#[test]
fn a_database_arrives_whole() {
    // S4-001, S4-004, S4-006, S4-013, S4-017, S4-018, S4-040, W-089, W-105, W-127
    let it = Move::of(SHOP);
    let report = it.run(json!({}));
    let done = &report.operations[0];
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(done.rows_changed, 15);
    assert_eq!(
        it.list("select id, email, active, to_char(created_at at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS.US'), settings, balance from users order by id"),
        [
            "1|Ann@x.org|t|2024-01-02 03:04:05.000000|{\"a\": [1, 2], \"b\": 1.50}|12.50",
            "2|bob@x.org|f|2024-01-02 01:04:05.123456|null|0.00",
            "7|cy@x.org|t|2024-02-29 00:00:00.000000|[]|99999999.99",
        ]
    );
    assert_eq!(it.typ("users", "uuid"), "uuid");
    assert_eq!(it.typ("orders", "total"), "double precision");
    assert_eq!(it.typ("orders", "user_id"), "bigint");
    assert_eq!(
        it.list("select order_id, no, twice from lines order by 1, 2"),
        ["1|1|2", "1|2|10", "2|1|0", "3|1|-4"]
    );
    assert_eq!(it.list("select count(*) from log where m = 'a'"), ["2"]);
    // ids go on where they were, also behind those that are gone
    it.to.script(
        "insert into users (uuid, email) values ('6f1e1c1c-0000-4000-8000-0000000000aa', 'new@x.org')",
    );
    assert_eq!(it.list("select id, active, balance from users where email = 'new@x.org'"), ["91|t|0.00"]);
    it.to.script("insert into orders (user_id, code) values (91, 'N')");
    assert_eq!(it.list("select max(id) from orders"), ["4000000001"]);
    for refused in [
        "insert into users (uuid, email) values ('6f1e1c1c-0000-4000-8000-0000000000bb', 'ANN@x.org')",
        "insert into users (uuid, email, balance) values ('6f1e1c1c-0000-4000-8000-0000000000bb', 'd@x.org', -1)",
        "insert into orders (user_id, code) values (5, 'X')",
        "insert into orders (user_id, code) values (1, 'A')",
        "insert into lines (order_id, no) values (1, 1)",
        "update orders set code = null",
    ] {
        assert!(it.to.try_script(refused).is_err(), "{refused}");
    }
    it.to.script("delete from users where id = 1");
    assert_eq!(it.list("select count(*) from lines"), ["1"], "on delete cascade");
    assert_ne!(it.list("select count(*) from pg_stats where tablename = 'orders'"), ["0"], "statistics");
    let indexes =
        it.list("select indexdef from pg_indexes where tablename = 'orders' order by indexname").join("\n");
    assert!(indexes.contains("by_note") && indexes.contains("WHERE (note IS NOT NULL)"), "{indexes}");
    assert!(indexes.contains("lower(code), at DESC"), "{indexes}");
    // what the engine keeps in every database that it has changed, and nothing of the transfer's own
    let left = it.to.leftovers();
    assert!(
        !left.iter().any(|one| one.contains("carried") || one.contains("ahead") || one.contains("unloaded")),
        "{left:?}"
    );
}

#[test]
fn it_goes_on_after_every_death_and_nothing_differs() {
    // S4-016, W-096
    // each case has databases of its own: every fifth point, another fifth for each part of the tables
    for nth in (1..400).filter(|nth| nth % 5 == 1 || nth % 17 == 0) {
        let it = Move::of(SHOP);
        let before = it.from.dump();
        let plan = it.plan_with(json!({}), |manners| manners.batch_size = Some(2));
        let engine = it.engine();
        engine.faults().arm(nth);
        let outcome = engine.run(&plan, &Stop::default(), &mut |_| {});
        drop(engine);
        let died = matches!(outcome, Err(Failure::Fault(_)));
        let engine = it.engine();
        let report = match outcome {
            Ok(report) => report,
            Err(_) if nth == 1 => continue,
            Err(_) => match story::resumed(&engine, "latest") {
                Ok(report) => report,
                Err(_) => engine.run_record("latest").unwrap().report(),
            },
        };
        assert_eq!(report.status, Status::Completed, "after point {nth}: {report:#?}");
        assert_eq!(found(&report), Vec::<String>::new(), "after point {nth}");
        assert_eq!(it.list("select count(*) from lines"), ["4"], "after point {nth}");
        assert_eq!(it.list("select count(*) from pg_constraint c join pg_class t on t.oid = c.conrelid where contype in ('p', 'f', 'u') and convalidated and t.relnamespace = 'public'::regnamespace"), ["7"], "after point {nth}");
        assert_eq!(
            it.list("select relname from pg_class where reloptions::text like '%autovacuum%'"),
            [""; 0]
        );
        assert_eq!(it.from.dump(), before, "the source was written");
        if !died {
            assert!(nth > 60, "only {nth} points");
            return;
        }
    }
    panic!("there is no end");
}

/// What the application does while nobody copies: rows come, change and go, with what refers to them.
const MEANWHILE: &str = "
    insert into users (id, uuid, email) values (100, '6f1e1c1c-0000-4000-8000-000000000100', 'late@x.org');
    insert into orders (id, user_id, code) values (500, 100, 'L'); insert into lines (order_id, no) values (500, 1);
    update users set email = 'ann@elsewhere.org' where id = 1; delete from lines where order_id = 3; delete from orders where id = 3;";

#[test]
fn a_source_that_changed_between_death_and_resume_is_copied_from_its_beginning() {
    // W-096, W-097, S4-016
    let (mut again, mut goes_on) = (0, 0);
    for nth in (1..400).filter(|nth| nth % 7 == 3) {
        let it = Move::of(SHOP);
        let plan = it.plan_with(json!({}), |manners| manners.batch_size = Some(2));
        let engine = it.engine();
        engine.faults().arm(nth);
        let outcome = engine.run(&plan, &Stop::default(), &mut |_| {});
        drop(engine);
        if outcome.is_ok() {
            assert!(again > 5 && goes_on > 5, "{again} began again, {goes_on} went on");
            return;
        }
        let there = |table: &str| {
            it.list(&format!("select count(*) from pg_class where relname = '{table}'")) != ["0"]
        };
        let is_in = there("users")
            && (!there("carried")
                || it.list("select count(*) from sexton.carried where carried_rows is null") == ["0"]);
        it.from.script(MEANWHILE);
        let mut began_again = false;
        let mut see = |event: &Event| began_again |= matches!(event.what, What::BeganAgain { .. });
        let resumed = story::unless_busy(|| it.engine().resume("latest", &Stop::default(), &mut see));
        let Ok(report) = resumed else { continue };
        assert_eq!(report.status, Status::Completed, "after point {nth}: {report:#?}");
        assert_eq!(found(&report), Vec::<String>::new(), "after point {nth}");
        assert_eq!(it.list("select count(*) from pg_class where relname = 'carried'"), ["0"]);
        let same = it.run(json!({"action": "verify"})).status;
        match began_again {
            true => {
                again += 1;
                assert_eq!(same, Status::Completed, "after point {nth}");
                assert_eq!(report.operations[0].rows_changed, 16, "after point {nth}");
            }
            false => {
                goes_on += 1;
                // all rows were in at one moment, or none was
                let moment = if is_in { Status::Partial } else { Status::Completed };
                assert_eq!(same, moment, "after point {nth}");
            }
        }
    }
    panic!("there is no end");
}

#[test]
fn tables_of_the_application_are_emptied_and_filled_again_when_the_source_changed() {
    // W-096, W-097
    let mut again = 0;
    for nth in (1..300).filter(|nth| nth % 9 == 4) {
        let it = Move::of(PEOPLE);
        it.to.script(APPLICATION);
        let plan = it.plan_with(json!({"existing": true}), |manners| manners.batch_size = Some(2));
        let engine = it.engine();
        engine.faults().arm(nth);
        let outcome = engine.run(&plan, &Stop::default(), &mut |_| {});
        drop(engine);
        if outcome.is_ok() {
            assert!(again > 2, "{again} began again");
            return;
        }
        it.from.script("insert into People (id, firstName, state, boss) values (9, 'New', 'idle', 1); update People set boss = 9 where id = 1");
        let mut began_again = false;
        let mut see = |event: &Event| began_again |= matches!(event.what, What::BeganAgain { .. });
        let resumed = story::unless_busy(|| it.engine().resume("latest", &Stop::default(), &mut see));
        let Ok(report) = resumed else { continue };
        assert_eq!(report.status, Status::Completed, "after point {nth}: {report:#?}");
        let keys = it.list("select count(*) from pg_constraint where contype = 'f' and convalidated and connamespace = 'public'::regnamespace");
        assert_eq!(keys, ["2"], "after point {nth}");
        if began_again {
            again += 1;
            assert_eq!(it.run(json!({"action": "verify"})).status, Status::Completed, "after point {nth}");
        }
    }
    panic!("there is no end");
}

#[test]
fn what_differs_afterwards_is_named_by_table_row_and_column() {
    // S4-017, S4-018, W-099, W-100
    for (change, said) in [
        ("update users set email = 'Ann@y.org' where id = 1", "id 1: `email`"),
        ("update users set settings = '{\"a\": [2, 1], \"b\": 1.5}' where id = 1", "id 1: `settings`"),
        ("update orders set total = 0.10000000000000002 where id = 2", "id 2: `total`"),
        ("delete from lines where order_id = 3", "order_id 3, no 1: missing in the target"),
        ("insert into log values ('c', null)", "not in the source"),
        ("update users set balance = 12.51 where id = 1", "`balance`"),
    ] {
        let it = Move::of(SHOP);
        let steps = it.plan(json!({})).items[0].steps.clone();
        let last = steps.iter().position(|step| step.action == "finish").unwrap();
        let report = it.watch(json!({}), &mut |event| {
            if matches!(event.what, What::StepDone { step } if step == last) {
                it.to.script(change);
            }
        });
        assert_eq!(report.status, Status::Partial, "{change}");
        let text = format!("{:?}", report.operations[0].findings);
        assert!(text.contains(said) && text.contains("differs"), "{change}: {text}");
    }
}

#[test]
fn a_target_that_is_not_empty_is_refused_and_a_fresh_schema_taken() {
    let it = Move::of(SHOP);
    it.to.script("create table users (id int)");
    assert_eq!(forbidden(&it.plan(json!({}))), ["target_not_empty public"]);
    let report = it.run(json!({"into_schema": "Old Shop"}));
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(it.list("select count(*) from \"Old Shop\".orders"), ["4"]);
}

#[test]
fn a_source_that_is_none_and_a_target_that_is_none_are_told() {
    let it = Move::of(SHOP);
    let refused = |source: &str| {
        let request = story::request("transfer", json!({"source": source}), crate::stage::manners(), false);
        match it.engine().plan(&request) {
            Ok(plan) => panic!("{:?}", plan.items[0]),
            Err(failure) => crate::stage::shown(&failure),
        }
    };
    assert!(refused("").contains("`source` is missing"));
    assert!(refused(&it.to.url()).contains("is no SQLite file"));
    let path = it.workshop.folder().join("text.db");
    std::fs::write(&path, "this is no database, but long enough to look like one that is broken").unwrap();
    assert!(
        refused(&path.display().to_string()).contains("not a database"),
        "{}",
        refused(&path.display().to_string())
    );
    assert!(refused(&it.workshop.folder().join("none.db").display().to_string()).contains("none.db"));
}

#[test]
fn names_and_values_follow_the_mapping() {
    // S4-010, S4-011, S4-014, W-092, W-093, W-094, W-095
    let it = Move::of(
        "create table \"Agents\" (id integer primary key, firstName text, capabilities text, state text, at text, junk text, n text);
         insert into \"Agents\" values (1, 'a', '[\"a\"]', 'Y', '2025-01-02T03:04:05', 'x', '5'),
           (2, 'b', null, 'N', '2025-01-02T03:04:05Z', 'x', '6'), (3, 'c', '', null, null, 'x', '')",
    );
    let options = json!({
        "names": "snake_case",
        "map": { "Agents": { "rename": "people", "columns": {
            "capabilities": { "cast": "jsonb", "default": "[]", "null": "default", "empty": "default" },
            "state": { "values": { "Y": "active", "N": "idle" }, "default": "idle", "null": "default" },
            "at": { "cast": "timestamptz", "zone": "Europe/Berlin" },
            "junk": { "drop": true },
            "n": { "cast": "integer", "empty": "null" },
        } } },
    });
    let report = it.run(options);
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(
        it.list("select id, first_name, capabilities, state, extract(epoch from at)::bigint, n from people order by id"),
        ["1|a|[\"a\"]|active|1735783445|5", "2|b|[]|idle|1735787045|6", "3|c|[]|idle|null|null"]
    );
    assert_eq!(it.typ("people", "junk"), "");
    it.to.script("insert into people (first_name) values ('d')");
    assert_eq!(it.list("select capabilities, state from people where first_name = 'd'"), ["[]|idle"]);
    let wrong = it.refusal(json!({"map": {"agents": {"columns": {"nothing": {"drop": true}}}}}));
    assert!(wrong.contains("has no column `nothing`"), "{wrong}");
    assert!(it.refusal(json!({"map": {"none": {}}})).contains("has no table `none`"));
}

/// Values that do not fit, of each kind.
const DIRTY: &str = "create table p (id integer primary key);
    insert into p values (1);
    create table t (id integer primary key, n text, s text, d text, p integer references p);
    insert into t values (1, '1', 'good', '2024-01-01', 1), (2, 'N/A', 'good', '2024-01-01', 1), (3, '99999', 'good', '2024-01-01', 1),
      (4, '4', 'too long a text', '2024-01-01', null), (5, '5', 'good', '0000-00-00', 1), (6, '6', cast(x'610062' as text), '2024-01-01', 1),
      (7, '7', cast(x'63e9' as text), '2024-01-01', 1), (8, '8', 'good', '2024-01-01', 99), (9, '', 'good', '2024-01-01', 1);";

fn dirty(policy: &str) -> serde_json::Value {
    json!({ "policy": policy, "map": { "t": { "columns": {
        "n": { "cast": "smallint", "default": 0 }, "s": { "cast": "varchar(4)", "default": "?" }, "d": { "cast": "date", "default": "1970-01-01" },
        "p": { "default": 1 },
    } } } })
}

#[test]
fn each_kind_of_dirt_is_counted_before_anything_is_copied() {
    // S4-025, W-101, W-102
    let it = Move::of(DIRTY);
    let plan = it.plan(dirty("stop"));
    let mut refused = forbidden(&plan);
    refused.sort();
    assert_eq!(
        refused,
        [
            "dirty_broken_text t.s",
            "dirty_empty t.n",
            "dirty_out_of_range t.n",
            "dirty_reference t.p",
            "dirty_too_long t.s",
            "dirty_unreadable t.d",
            "dirty_unreadable t.n",
            "dirty_zero_character t.s",
        ]
    );
    let text = format!("{:?}", plan.items[0].findings);
    assert!(text.contains("'N/A' (id 2)") && text.contains("99 (id 8)"), "{text}");
    let report = story::run(&it.engine(), &plan);
    assert_eq!(report.status, Status::Refused);
    assert_eq!(it.list("select count(*) from pg_class where relname = 't'"), ["0"]);
}

#[test]
fn each_policy_does_what_it_says() {
    // W-101, W-102
    let it = Move::of(DIRTY);
    let report = it.run(dirty("quarantine"));
    assert_eq!(report.status, Status::Partial, "{report:#?}");
    assert_eq!(it.list("select id from t order by id"), ["1"]);
    let aside = it.list("select source_key, source_column, reason from sexton.unloaded order by source_key");
    assert_eq!(aside.len(), 8, "{aside:?}");
    assert_eq!(aside[0], "id 2|n|cannot be read as the column's type");
    assert!(
        it.list("select row_data from sexton.unloaded where source_key = 'id 7'").concat().contains("63e9")
    );
    assert!(found(&report).contains(&"quarantine t".to_owned()));
    let differs = |report: &engine::Report| found(report).iter().any(|one| one.starts_with("differs"));
    assert!(!differs(&report));

    let it = Move::of(DIRTY);
    let report = it.run(dirty("null"));
    assert_eq!(
        it.list("select id, n, s, d, p from t order by id"),
        [
            "1|1|good|2024-01-01|1",
            "2|null|good|2024-01-01|1",
            "3|null|good|2024-01-01|1",
            "4|4|null|2024-01-01|null",
            "5|5|good|null|1",
            "6|6|null|2024-01-01|1",
            "7|7|null|2024-01-01|1",
            "8|8|good|2024-01-01|null",
            "9|null|good|2024-01-01|1",
        ]
    );
    assert_eq!(report.status, Status::Partial, "values were changed: {report:#?}");
    assert!(!differs(&report));

    let it = Move::of(DIRTY);
    let mut options = dirty("default");
    options["dirty"] = json!({"reference": "null", "too_long": "truncate", "zero_character": "truncate", "broken_text": "truncate"});
    let report = it.run(options);
    assert_eq!(
        it.list("select id, n, s, d, p from t order by id"),
        [
            "1|1|good|2024-01-01|1",
            "2|0|good|2024-01-01|1",
            "3|0|good|2024-01-01|1",
            "4|4|too |2024-01-01|null",
            "5|5|good|1970-01-01|1",
            "6|6|ab|2024-01-01|1",
            "7|7|c\u{fffd}|2024-01-01|1",
            "8|8|good|2024-01-01|null",
            "9|0|good|2024-01-01|1",
        ]
    );
    assert!(!differs(&report), "{report:#?}");
}

/// The schema that an application made for itself.
const APPLICATION: &str = "
    create type mood as enum ('good', 'bad');
    create table people (id serial primary key, first_name varchar(20) not null, state varchar(10) not null default 'idle',
      mood mood, born timestamp, points real, boss int references people (id) on delete set null, extra jsonb default '{}',
      constraint known_state check (state in ('idle', 'active')), constraint two check (points < 100 or state = 'active'));
    create table notes (person int not null references people (id), body text, at timestamptz, primary key (person, at));";

const PEOPLE: &str = "
    create table People (id integer primary key autoincrement, firstName text, state text, mood text, born text, points real, boss integer);
    create table notes (person integer references People (id), body text, at text, primary key (person, at));
    insert into People values (1, 'Ann', 'idle', 'good', '1980-01-02 03:04:05', 1.5, 3), (2, 'Bob', 'active', null, null, 200, 1),
      (3, 'Cy', 'active', 'bad', '1990-01-01', null, null);
    insert into notes values (1, 'x', '2024-01-01T00:00:00Z'), (3, 'y', '2024-01-01 00:00:00');";

#[test]
fn rows_go_into_the_schema_that_the_application_made() {
    // S4-008, S4-021, S4-022, S4-023, S4-024, S4-033
    let it = Move::of(PEOPLE);
    it.to.script(APPLICATION);
    let before =
        it.list("select pg_get_constraintdef(oid) from pg_constraint where connamespace = 'public'::regnamespace order by conname");
    let report = it.run(json!({"existing": true}));
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(
        it.list("select id, first_name, state, mood, born, points, boss, extra from people order by id"),
        [
            "1|Ann|idle|good|1980-01-02 03:04:05|1.5|3|{}",
            "2|Bob|active|null|null|200|1|{}",
            "3|Cy|active|bad|1990-01-01 00:00:00|null|null|{}",
        ]
    );
    let after =
        it.list("select pg_get_constraintdef(oid) from pg_constraint where connamespace = 'public'::regnamespace order by conname");
    assert_eq!(after, before, "what the tables demand is as it was");
    it.to.script("insert into people (first_name) values ('new')");
    assert_eq!(it.list("select id from people where first_name = 'new'"), ["4"]);
    // filled tables are not filled again
    assert_eq!(forbidden(&it.plan(json!({"existing": true}))), ["target_not_empty public"]);
}

#[test]
fn what_the_application_demands_is_asked_before_anything_is_copied() {
    // S4-021, S4-025, W-092, W-101
    let it = Move::of(PEOPLE);
    it.to.script(APPLICATION);
    it.from.script(
        "insert into People (id, firstName, state, mood, points) values (4, 'D', 'other', 'good', 1), (5, 'E', 'idle', 'meh', 1), \
         (6, 'F', 'idle', 'bad', 500), (7, 'a name that is far too long', 'idle', null, 1), (8, null, 'idle', null, 1); \
         alter table notes add column junk text;",
    );
    let plan = it.plan(json!({"existing": true}));
    let mut refused = forbidden(&plan);
    refused.sort();
    assert_eq!(
        refused,
        [
            "dirty_check People.points",
            "dirty_check People.state",
            "dirty_null People.firstName",
            "dirty_too_long People.firstName",
            "dirty_unreadable People.mood",
            "unmapped notes.junk",
        ],
        "{:#?}",
        plan.items[0].findings
    );
    let options = json!({"existing": true, "policy": "quarantine", "map": {"notes": {"columns": {"junk": {"drop": true}}}}});
    let report = it.run(options);
    assert_eq!(report.status, Status::Partial, "{report:#?}");
    assert_eq!(it.list("select id from people order by id"), ["1", "2", "3"]);
    assert_eq!(found(&report).last().map(String::as_str), Some("quarantine People"));
    assert!(!found(&report).iter().any(|one| one.starts_with("differs")), "{report:#?}");
    assert_eq!(it.list("select count(*) from sexton.unloaded"), ["5"]);
}

#[test]
fn batches_are_as_large_as_asked_and_the_plan_tells_how_the_source_is_used() {
    // S4-015, S4-058, W-126
    let it = Move::of(
        "create table t (id integer primary key, n integer); \
         insert into t with recursive c(i) as (select 1 union all select i + 1 from c where i < 2500) select i, i from c",
    );
    let plan = it.plan_with(json!({}), |manners| manners.batch_size = Some(1_000));
    let noted = |plan: &engine::Plan| format!("{:?}", plan.items[0].findings);
    assert!(
        noted(&plan).contains("its journal mode is `delete`: while it is copied nobody can write it"),
        "{}",
        noted(&plan)
    );
    let version = plan.items[0].result.as_ref().unwrap()["target_version"].as_str().unwrap().to_owned();
    assert!(
        version
            .split('.')
            .next()
            .and_then(|major| major.parse::<u32>().ok())
            .is_some_and(|major| major >= 12),
        "{version}"
    );
    let mut batches = Vec::new();
    let report = it
        .engine()
        .run(&plan, &Stop::default(), &mut |event| {
            if let What::Advanced { detail: Some(detail), .. } = &event.what
                && detail["loaded"] == "t"
            {
                batches.push(detail["rows"].as_u64().unwrap());
            }
        })
        .unwrap();
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(batches, [1_000, 1_000, 500]);
    it.from.script("pragma journal_mode = wal");
    let _application = it.from.connect();
    let plan = it.plan(json!({"into_schema": "again"}));
    assert!(!noted(&plan).contains("source_locked"), "{}", noted(&plan));
}

#[test]
fn questions_have_the_same_answers_on_both_sides() {
    // S4-019, S4-041, S4-042, W-099
    let it = Move::of(SHOP);
    let queries = json!({
        "sums": { "source": "select user_id, count(*), sum(paid), max(at) from orders group by user_id order by 2;",
                  "target": "select user_id, count(*), sum(paid::int), max(at) from orders group by user_id" },
        "balances": { "source": "select id, email, active, created_at, settings, balance from users" },
        "nothing": { "source": "select id from users where id < 0" },
    });
    let report = it.run(json!({ "queries": queries }));
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    let message = report.operations[0].result.as_ref().unwrap()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("3 of 3 queries answered alike"), "{message}");
    assert!(message.contains("s before and "), "{message}");
    let result = report.operations[0].result.as_ref().unwrap();
    let timed = result["timings_before_after"].as_array().unwrap();
    assert_eq!(
        timed.iter().map(|one| one["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["balances", "nothing", "sums"]
    );
    for one in timed {
        assert!(
            ["before_seconds", "after_seconds"].iter().all(|side| one[side].as_f64().unwrap() > 0.0),
            "{one}"
        );
    }
    assert_eq!(result["query_checks"][0], json!({"name": "balances", "same": true}));
    assert!(result["backup"].is_null(), "none was asked for");
    it.to.script("update users set balance = 1 where id = 2");
    let mut asked = queries.clone();
    asked["wrong"] = json!({"source": "select 1", "target": "select 1 from nowhere"});
    asked["writes"] = json!({"source": "select 1", "target": "select setval('users_id_seq', 5000)"});
    let again = it.run(json!({"action": "verify", "verify": "counts", "queries": asked}));
    assert_eq!(again.status, Status::Partial);
    let mut differ = found(&again);
    differ.sort();
    assert_eq!(differ, ["query_differs balances", "query_differs writes", "query_differs wrong"]);
    let text = format!("{:?}", again.operations[0].findings);
    assert!(text.contains("3 rows such as 1, Ann@x.org"), "{text}");
    assert!(text.contains("nowhere") && text.contains("read-only"), "{text}");
    let refused =
        it.run(json!({"into_schema": "two", "queries": {"broken": {"source": "select nothing from users"}}}));
    assert_eq!(refused.status, Status::Failed);
}

#[test]
fn columns_that_tell_when_a_row_changed_go_on_doing_so() {
    // W-106
    let it = Move::of(
        "create table t (id integer primary key, name text, updated_at datetime, \"Changed\" date, said text);
         insert into t values (1, 'a', '2020-01-02 03:04:05', '2020-01-02', 'x'), (2, 'b', null, null, 'y');",
    );
    let asked = json!({"stamps": ["updated_at", "changed"]});
    let plan = it.plan(asked.clone());
    let sql = plan.items[0].result.as_ref().unwrap()["sql"].as_str().unwrap().to_owned();
    assert!(sql.contains("create trigger \"set_t_updated_at\" before update on \"public\".\"t\""), "{sql}");
    assert!(plan.items[0].steps.iter().any(|step| step.id == "stamp" && step.statements.len() == 4));
    let report = it.run(asked);
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(it.list("select count(*) from t where updated_at > '2021-01-01'"), ["0"]);
    it.to.script("update t set name = 'c' where id = 1");
    it.to.script("update t set name = 'd', updated_at = '2021-05-05' where id = 2");
    assert_eq!(it.list("select updated_at > now() - interval '1 hour', \"Changed\" >= current_date - 1 from t where id = 1"), ["t|t"]);
    assert_eq!(it.list("select updated_at = '2021-05-05' from t where id = 2"), ["t"]);
    assert_eq!(
        forbidden(&it.plan(json!({"into_schema": "two", "stamps": ["said", "nowhere"]}))),
        ["stamp t.said", "stamp nowhere"]
    );
}

#[test]
fn a_program_makes_values_of_what_is_there() {
    // S4-010, W-094
    let it = Move::of(
        "create table t (id integer primary key, owner text, tags text, n integer);
         insert into t values (1, '{\"name\": \"Ann\"}', 'a,b', 5), (2, '{\"name\": null}', '', 6), (3, 'no json', null, 7),
           (4, '{\"name\": \"Bob\", \"n\": 12345678901234567890}', 'c', null)",
    );
    let columns = json!({
        "owner": { "jq": "fromjson | .name", "cast": "text", "null": "default", "default": "nobody" },
        "tags": { "jq": "(. // \"\") | split(\",\")", "cast": "jsonb" },
        "n": { "jq": "if . then . * 2 else 0 end", "cast": "integer" },
    });
    let plan = it.plan(json!({"map": {"t": {"columns": columns}}}));
    assert_eq!(forbidden(&plan), ["dirty_unreadable t.owner"], "{:#?}", plan.items[0].findings);
    let report = it.run(json!({"policy": "quarantine", "map": {"t": {"columns": columns}}}));
    assert_eq!(report.status, Status::Partial, "{report:#?}");
    assert!(!found(&report).iter().any(|one| one.starts_with("differs")));
    assert_eq!(
        it.list("select * from t order by id"),
        ["1|Ann|[\"a\", \"b\"]|10", "2|nobody|[]|12", "4|Bob|[\"c\"]|0"]
    );
    assert_eq!(it.list("select source_key from sexton.unloaded"), ["id 3"]);
    it.to.script("update t set n = 11 where id = 1");
    let again =
        it.run(json!({"action": "verify", "policy": "quarantine", "map": {"t": {"columns": columns}}}));
    assert!(format!("{:?}", again.operations[0].findings).contains("`n`"), "{again:#?}");
    let untyped = it.refusal(json!({"map": {"t": {"columns": {"n": {"jq": "."}}}}}));
    assert!(untyped.contains("jq makes of `t.n`"), "{untyped}");
    let broken = it.refusal(json!({"map": {"t": {"columns": {"n": {"jq": ". |", "cast": "text"}}}}}));
    assert!(broken.contains("jq"), "{broken}");
}

#[test]
fn a_check_that_nearly_all_values_break_is_refused_not_cut() {
    // W-101
    let it = Move::of(
        "create table t (id integer primary key, n integer); \
         insert into t with recursive c(i) as (select 1 union all select i + 1 from c where i < 12001) select i, i from c",
    );
    it.to.script("create table t (id bigint primary key, n bigint constraint few check (n < 100))");
    for policy in ["stop", "quarantine"] {
        let plan = it.plan(json!({"existing": true, "policy": policy}));
        assert_eq!(forbidden(&plan), ["dirty_check t.n"], "{policy}");
        assert!(format!("{:?}", plan.items[0].findings).contains("more than 10 000 different values"));
        assert_eq!(story::run(&it.engine(), &plan).status, Status::Refused);
    }
    // as many as can be kept are handled
    it.from.script("delete from t where id > 10050");
    let report = it.run_in(5_000, json!({"existing": true, "policy": "quarantine"}));
    assert_eq!(report.status, Status::Partial, "{:?}", report.operations[0].errors);
    assert_eq!(it.list("select count(*) from t"), ["99"]);
    assert_eq!(it.list("select count(*) from sexton.unloaded"), ["9951"]);
}

#[test]
fn what_arrived_before_can_be_compared_again() {
    // S4-017, S4-018
    let it = Move::of(SHOP);
    assert_eq!(it.run(json!({})).status, Status::Completed);
    let again = it.run(json!({"action": "verify"}));
    assert_eq!(again.status, Status::Completed, "{again:#?}");
    it.to.script("update lines set what = 'other' where order_id = 1 and no = 2");
    let again = it.run(json!({"action": "verify"}));
    assert_eq!(again.status, Status::Partial);
    let text = format!("{:?}", again.operations[0].findings);
    assert!(text.contains("`what` is 'y' there and 'other' here"), "{text}");
    // a row that is gone, by its key and by the number of all
    it.to.script(
        "update lines set what = 'y' where order_id = 1 and no = 2; delete from lines where order_id = 3",
    );
    for proof in ["rows", "counts"] {
        let again = it.run(json!({"action": "verify", "verify": proof}));
        assert_eq!(
            (again.status, found(&again)),
            (Status::Partial, vec!["differs lines".to_owned()]),
            "{proof}"
        );
        let text = format!("{:?}", again.operations[0].findings);
        assert!(text.contains("(4 there, 3 here)"), "{proof}: {text}");
        assert_eq!(text.contains("order_id 3, no 1: missing in the target"), proof == "rows", "{text}");
    }
}
