//! Each way to fail has its class and something to do about it.

use crate::sqlite_kit::*;
use backends::sqlite::Sqlite;
use std::time::Duration;
use targets::db::{Class, Database, Error, Limits, Sql};

fn quick() -> Limits {
    Limits { lock: Duration::from_millis(1), statement: Duration::ZERO, ..Limits::default() }
}

/// What a statement in a transaction fails with.
fn failure(kit: &Kit, statement: &str) -> Error {
    let mut session = kit.open();
    let mut tx = session.begin(&quick()).unwrap();
    tx.execute(&Sql::raw(statement)).unwrap_err()
}

fn opening(path: &std::path::Path) -> Vec<Error> {
    let database = Sqlite::new("app", path);
    vec![database.read().err().unwrap(), database.open().err().unwrap()]
}

#[test]
fn a_missing_file_stays_missing() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["missing.db", ":memory:", "file:missing.db?mode=rwc"] {
        for error in opening(&folder.path().join(name)) {
            assert_eq!(error.class, Class::Usage);
            assert!(error.to_string().contains(name) && error.help.is_some());
        }
    }
    for error in opening(std::path::Path::new(":memory:")) {
        assert_eq!(error.class, Class::Usage);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_is_no_database_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    for error in opening(folder.path()) {
        assert_eq!(error.class, Class::Usage);
        assert!(error.to_string().contains("is a directory"));
    }
    let text = folder.path().join("notes.db");
    std::fs::write(&text, "this is no database, however long it may be; ".repeat(100)).unwrap();
    for error in opening(&text) {
        assert_eq!((error.class, error.code.as_deref()), (Class::System, Some("26")));
        assert!(error.help.unwrap().contains("encrypted"));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_read_session_is_refused_every_write_by_the_database() {
    let kit = Kit::new("create table t (v)");
    let before = std::fs::read(&kit.path).unwrap();
    let mut facts = kit.database().read().unwrap();
    for statement in ["insert into t values (1)", "create temporary table x (v)", "drop table t", "vacuum"] {
        assert!(facts.rows(&Sql::raw(statement)).is_err(), "{statement}");
    }
    // taking the brake off does not help: the file itself is open for reading only
    facts.rows(&Sql::raw("pragma query_only = off")).unwrap();
    facts.rows(&Sql::raw("begin")).unwrap();
    let error = facts.rows(&Sql::raw("insert into t values (1)")).unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::System, Some("8")));
    assert_eq!(std::fs::read(&kit.path).unwrap(), before);
}

#[test]
fn nothing_is_written_outside_a_transaction() {
    let kit = Kit::new("create table t (v)");
    let error = kit.open().rows(&Sql::raw("insert into t values (1) returning v")).unwrap_err();
    assert_eq!(error.class, Class::Usage);
    assert!(kit.dump("select * from t").is_empty());
}

#[test]
fn a_second_statement_in_the_tail_is_refused() {
    let kit = Kit::new("create table t (v); insert into t values (1)");
    let error = failure(&kit, "delete from t where v = 2; delete from t");
    assert_eq!(error.class, Class::Usage);
    assert_eq!(kit.dump("select * from t").len(), 1);
    let mut facts = kit.database().read().unwrap();
    assert_eq!(facts.count(&Sql::raw("select 7; -- the end")).unwrap(), 7);
}

#[test]
fn wrong_statements_are_the_users_business() {
    let kit = Kit::new("create table t (v)");
    for statement in
        ["selec 1", "select * from missing", "select missing from t", "", "-- nothing", "select ?"]
    {
        let error = failure(&kit, statement);
        assert_eq!(error.class, Class::Usage, "{statement}: {error}");
        assert!(error.help.is_some(), "{statement}");
    }
}

#[test]
fn constraints_and_values_are_the_datas_business() {
    let kit = Kit::new(
        "create table t (id integer primary key, u text unique, n text not null default '', c int check (c > 0));
         insert into t values (1, 'a', '', 1);
         create table s (i int) strict;
         create trigger no_two before insert on t when new.id = 2 begin select raise(abort, 'two is forbidden'); end",
    );
    for (statement, code) in [
        ("insert into t (id) values (1)", "1555"),
        ("insert into t (u) values ('a')", "2067"),
        ("insert into t (n) values (null)", "1299"),
        ("insert into t (c) values (0)", "275"),
        ("insert into t (id) values (2)", "1811"),
        ("insert into s values ('x')", "3091"),
        ("insert into t (id) values ('x')", "20"),
        ("insert into t (u) select json_extract('{bad', '$.x')", "1"),
        ("insert into t (c) values (abs(-9223372036854775808))", "1"),
    ] {
        let error = failure(&kit, statement);
        assert_eq!((error.class, error.code.as_deref()), (Class::Data, Some(code)), "{statement}: {error:?}");
        assert!(error.help.is_some());
        let cause = error.source.as_ref().unwrap().to_string();
        assert!(!error.to_string().contains(&cause), "the chain would say it twice: {cause}");
    }
}

#[test]
fn a_locked_database_may_be_tried_again() {
    let kit = Kit::new("create table t (v)");
    let app = kit.app();
    app.execute_batch("begin immediate").unwrap();
    let mut session = kit.open();
    let error = session.begin(&quick()).err().unwrap();
    assert_eq!((error.class, error.code.as_deref()), (Class::Transient, Some("5")));
    app.execute_batch("commit").unwrap();
    let tx = session.begin(&quick()).unwrap();
    assert!(
        app.execute_batch("begin immediate").is_err(),
        "a transaction holds the write lock from the start"
    );
    drop(tx);
    app.execute_batch("begin immediate").unwrap();
}

#[test]
fn a_statement_that_takes_too_long_is_stopped() {
    let kit = Kit::new("create table t (v)");
    let mut session = kit.open();
    let mut tx = session.begin(&Limits { statement: Duration::from_millis(5), ..quick() }).unwrap();
    let endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";
    let error = tx.count(&Sql::raw(endless)).unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Transient, Some("9")));
    tx.execute(&Sql::raw("insert into t values (1)")).unwrap();
    tx.commit().unwrap();
    assert_eq!(kit.dump("select * from t").len(), 1);
}

#[test]
fn a_full_disk_is_told_and_nothing_goes_on_behind_it() {
    let kit = Kit::new("pragma page_size = 4096; create table t (v)");
    let mut session = kit.open();
    session.rows(&Sql::raw("pragma max_page_count = 3")).unwrap();
    let mut tx = session.begin(&quick()).unwrap();
    let error = tx.execute(&Sql::raw("insert into t values (zeroblob(100000))")).unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::System, Some("13")));
    assert!(error.help.unwrap().contains("free space"));
    // SQLite may have rolled back by itself; then no statement may commit on its own
    if let Err(error) = tx.execute(&Sql::raw("insert into t values (1)")) {
        assert_eq!(error.class, Class::System);
    }
    drop(tx);
    assert!(kit.dump("select * from t").is_empty());
}

#[test]
fn a_transaction_that_a_trigger_rolled_back_takes_no_further_statement() {
    let kit = Kit::new(
        "create table t (v); create trigger r before insert on t when new.v = 2 begin select raise(rollback, 'all of it'); end",
    );
    let mut session = kit.open();
    let mut tx = session.begin(&quick()).unwrap();
    tx.execute(&Sql::raw("insert into t values (1)")).unwrap();
    assert_eq!(tx.execute(&Sql::raw("insert into t values (2)")).unwrap_err().class, Class::Data);
    assert!(tx.execute(&Sql::raw("insert into t values (3)")).is_err());
    assert!(tx.commit().is_err());
    assert!(kit.dump("select * from t").is_empty());
}

#[test]
fn a_damaged_file_is_told() {
    let kit =
        Kit::new("pragma page_size = 4096; create table t (v); insert into t values (zeroblob(20000)), (1)");
    let mut bytes = std::fs::read(&kit.path).unwrap();
    bytes[4096..].fill(0x77);
    std::fs::write(&kit.path, bytes).unwrap();
    let error = kit.database().read().unwrap().rows(&Sql::raw("select * from t")).unwrap_err();
    assert_eq!(error.class, Class::System);
    assert!(error.help.unwrap().contains("integrity_check"));
}

#[test]
fn rows_changed_are_those_of_this_statement() {
    let kit = Kit::new("create table t (v)");
    let mut session = kit.open();
    let mut tx = session.begin(&quick()).unwrap();
    for (statement, expected) in [
        ("insert into t values (1), (2), (3)", 3),
        ("create table x (v)", 0),
        ("savepoint s", 0),
        ("update t set v = 0 where v = 9", 0),
        ("delete from t", 3),
        ("release s", 0),
        ("insert into t values (1) returning v", 1),
    ] {
        assert_eq!(tx.execute(&Sql::raw(statement)).unwrap(), expected, "{statement}");
    }
}
