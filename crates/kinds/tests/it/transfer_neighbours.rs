//! Transfers beside what is there already: other moves in the same database, triggers of the file's own, conditions that name their
//! table, a target that is gone when it should be cleaned.

use crate::transfer_kit::Move;
use engine::{Status, Stop, What};
use serde_json::json;
use testkit::{Place, Workshop};

fn texts(place: &Place, sql: &str) -> Vec<String> {
    let rows = place.rows(sql);
    rows.iter().map(|row| row.iter().map(ToString::to_string).collect::<Vec<_>>().join("|")).collect()
}

/// A file that moves into the database of another move.
fn beside(it: &Move, script: &str) -> Move {
    let from = Place::sqlite();
    from.script(script);
    Move { from, to: Place::postgres(), workshop: Workshop::new(&it.to, kinds::catalogue()) }
}

#[test]
fn files_that_moved_into_one_database_know_nothing_of_each_other() {
    // S4-038, W-103, X-25
    let file = |columns: &str| {
        format!(
            "pragma journal_mode = wal; create table things ({columns}, v text); insert into things values (1, 'one'), (2, 'two')"
        )
    };
    let a = Move::of(&file("code text primary key"));
    let b = beside(&a, &file("id integer primary key"));
    let rehearsed = beside(&a, &file("other integer primary key"));
    let into = |schema: &str, action: &str| json!({"online": true, "into_schema": schema, "action": action});
    let succeeds = |it: &Move, options| {
        let report = it.run(options);
        assert_eq!(report.status, Status::Completed, "{report:#?}");
    };
    succeeds(&a, into("a", "run"));
    a.to.script("update a.things set v = 'eins' where code = '1'");
    succeeds(&b, into("b", "run"));
    a.to.script("update b.things set v = 'un' where id = 1");
    succeeds(&rehearsed, json!({"action": "rehearse"}));
    a.to.script("insert into a.things values ('3', 'drei'); insert into b.things values (3, 'trois')");
    succeeds(&a, into("a", "rollback"));
    assert_eq!(texts(&a.from, "select * from things order by 1"), ["'1'|'eins'", "'2'|'two'", "'3'|'drei'"]);
    // what has gone back stays as it is, the others go on
    assert!(a.to.try_script("delete from a.things").unwrap_err().contains("has moved back"));
    succeeds(&rehearsed, json!({"action": "rehearse"}));
    a.to.script("delete from b.things where id = 2");
    succeeds(&b, into("b", "rollback"));
    assert_eq!(texts(&b.from, "select * from things order by 1"), ["1|'un'", "3|'trois'"]);
    // and again, into other tables
    succeeds(&a, into("again", "run"));
    succeeds(&a, into("again", "rollback"));
    assert_eq!(a.list("select relname from pg_class where relname ~ '^(noted|note)_'"), [""; 0]);
    assert_eq!(
        a.list("select proname from pg_proc where proname like 'note%' or proname like '%rehearsal%'"),
        [""; 0]
    );
}

#[test]
fn triggers_of_the_file_do_not_fire_for_what_comes_back() {
    // S4-038, W-103
    let it = Move::of(
        "pragma journal_mode = wal;
         create table users (id integer primary key, name text, at text);
         create table orders (id integer primary key, user_id integer);
         create table audit (id integer primary key, what text);
         create virtual table found using fts5 (name, content='users', content_rowid='id');
         create virtual table words using fts5 (name);
         create trigger comes after insert on users begin
           insert into found (rowid, name) values (new.id, new.name); insert into words (rowid, name) values (new.id, new.name); end;
         create trigger goes after delete on users begin delete from orders where user_id = old.id;
           insert into found (found, rowid, name) values ('delete', old.id, old.name); end;
         create trigger changes after update on users begin insert into audit (what) values ('changed ' || new.id);
           insert into found (found, rowid, name) values ('delete', old.id, old.name);
           insert into found (rowid, name) values (new.id, new.name); end;
         insert into users values (1, 'ann', 'x'), (2, 'bob', 'y'), (3, 'cy', 'z'); insert into orders values (1, 1), (2, 2), (3, 3);
         insert into audit values (1, 'begun')",
    );
    let moved = it.run(json!({"online": true}));
    assert!(matches!(moved.status, Status::Completed | Status::Partial), "{moved:#?}");
    it.to.script(
        "update users set name = 'anna' where id = 1; delete from users where id = 3; insert into users values (4, 'eve', null)",
    );
    let report = it.run(json!({"online": true, "action": "rollback"}));
    assert!(report.operations[0].errors.is_empty(), "{report:#?}");
    assert_eq!(
        texts(&it.from, "select * from users order by 1"),
        ["1|'anna'|'x'", "2|'bob'|'y'", "4|'eve'|null"]
    );
    assert_eq!(
        texts(&it.from, "select * from orders order by 1"),
        ["1|1", "2|2", "3|3"],
        "nobody deleted them"
    );
    assert_eq!(texts(&it.from, "select * from audit"), ["1|'begun'"]);
    let found = |word: &str| texts(&it.from, &format!("select rowid from found where found match '{word}'"));
    assert_eq!(
        (found("anna"), found("ann"), found("eve"), found("cy")),
        (vec!["1".into()], vec![], vec!["4".into()], vec![])
    );
    // one that keeps words of its own cannot be filled by us, and is named
    let named =
        report.operations[0].findings.iter().any(|one| one.code == "not_filled" && one.object == "words");
    assert!(named, "{:?}", report.operations[0].findings);
    it.from.script("update users set name = 'bobby' where id = 2");
    assert_eq!(
        texts(&it.from, "select what from audit order by id"),
        ["'begun'", "'changed 2'"],
        "they fire again"
    );
}

#[test]
fn the_application_goes_on_writing_whatever_its_indexes_say() {
    // W-097: the condition of an index may name its table
    let it = Move::of(
        "pragma journal_mode = wal; create table users (id integer primary key, email text, deleted integer);
         create unique index u on users (email) where users.deleted is null;
         create table new (id integer primary key, email text); create unique index n on new (email) where email <> '';
         insert into users values (1, 'a', null); insert into new values (1, 'a')",
    );
    let mut wrote = 0;
    let report = it.watch(json!({"online": true}), &mut |event| {
        if matches!(event.what, What::StepDone { step: 0, .. }) {
            it.from.script(
                "insert into users values (2, 'b', null); insert or replace into users values (3, 'a', null);
                 insert into new values (2, 'b'); insert or replace into new values (3, 'a')",
            );
            wrote += 1;
        }
    });
    assert_eq!((report.status, wrote), (Status::Completed, 1), "{report:#?}");
    for table in ["users", "new"] {
        assert_eq!(it.list(&format!("select id, email from {table} order by 1")), ["2|b", "3|a"], "{table}");
    }
}

#[test]
fn a_file_without_tables_is_rehearsed_at_once() {
    // S4-043
    let it = Move::of("pragma journal_mode = wal; create view v as select 1 as one");
    let report = it.run(json!({"action": "rehearse"}));
    assert!(report.operations[0].errors.is_empty(), "{report:#?}");
}

#[test]
fn tables_that_are_not_carried_refuse_changes_too() {
    // W-104
    let it = Move::of(
        "pragma journal_mode = wal; create table t (id integer primary key); create table cache (k text)",
    );
    let options = json!({"online": true, "map": {"cache": {"drop": true}}});
    assert_eq!(it.run(options).status, Status::Completed);
    for sql in ["insert into t values (1)", "insert into cache values ('x')"] {
        assert!(it.from.try_script(sql).unwrap_err().contains("has moved to PostgreSQL"), "{sql}");
    }
}

#[test]
fn what_could_not_be_cleaned_is_remembered_until_it_can() {
    // S4-036: the target is gone in the midst of the copy
    let it = Move::of(
        "pragma journal_mode = wal; create table t (id integer primary key, v text);
         insert into t with recursive c(i) as (select 1 union all select i + 1 from c where i < 500) select i, 'v' from c",
    );
    let name = it.list("select current_database()").concat();
    let away = |away: bool| {
        let server = Place::postgres();
        server.script(&format!("alter database \"{name}\" allow_connections {}", !away));
        server.script(&format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
        ));
    };
    let plan = it.plan_with(json!({"online": true}), |manners| manners.batch_size = Some(100));
    let (mut gone, mut said) = (false, String::new());
    let outcome = it.engine().run(&plan, &Stop::default(), &mut |event| {
        if let What::Noted { text } = &event.what {
            said.push_str(text);
        }
        if !gone
            && matches!(&event.what, What::Advanced { detail: Some(detail), .. } if detail["loaded"] == "t")
        {
            away(true);
            gone = true;
        }
    });
    away(false);
    assert!(outcome.is_ok_and(|report| report.status == Status::Failed));
    assert!(gone && said.contains("transfer rollback"), "{said}");
    it.from.script("insert into t values (1000, 'goes on')");
    assert_eq!(
        texts(&it.from, "select name from sqlite_schema where name like 'sexton%'"),
        ["'sexton_transfers'"]
    );
    assert_ne!(it.list("select count(*) from pg_tables where tablename = 't'"), ["0"]);
    let refused = it.plan(json!({"online": true}));
    assert!(format!("{:?}", refused.items[0].findings).contains("is still there"));
    let report = it.run(json!({"online": true, "action": "rollback"}));
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(it.list("select count(*) from pg_tables where tablename = 't'"), ["0"]);
    assert_eq!(texts(&it.from, "select name from sqlite_schema where name like 'sexton%'"), [""; 0]);
    assert_eq!(it.run(json!({"online": true})).status, Status::Completed);
    assert_eq!(it.list("select count(*) from t"), ["501"]);
}
