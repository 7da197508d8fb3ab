//! Taking rows and putting them back is the identity, for every shape of table.

use crate::sqlite_kit::*;
use targets::db::{Class, Database, Limits, Range, Sql, TableName, Taken, UndoTable};

/// Takes what meets the condition, checks that just that is gone, puts it back, compares everything.
fn there_and_back(script: &str, name: &str, select: &str, condition: &str, doomed: u64) {
    let kit = Kit::new(script);
    let table = kit.table(name);
    let undo = undo_of(&table);
    let before = kit.dump(select);
    let mut session = kit.open();
    let taken = take(&mut *session, &all_where(&table, condition, Some(&undo)));
    assert_eq!(taken, Taken { remembered: doomed, deleted: doomed, below: 0 }, "{script}");
    assert_eq!(kit.dump(select).len() as u64, before.len() as u64 - doomed);
    assert_eq!(put_back(&mut *session, &table, &undo).unwrap(), doomed);
    assert_eq!(kit.dump(select), before, "{script}");
}

#[test]
fn rows_come_back_with_their_hidden_rowids() {
    there_and_back(
        "create table t (a text, b);
         insert into t (rowid, a, b) values (-5, 'x', 1), (7, 'y', 1.0), (9223372036854775807, 'z', x'00'), (8, null, '1')",
        "t",
        "select rowid, a, b from t order by rowid",
        "t.a is null or t.a <> 'y'",
        3,
    );
}

#[test]
fn rows_of_every_shape_of_table_come_back() {
    let shapes = [
        ("create table t (id integer primary key autoincrement, v); insert into t (v) values (1), (2), (3), (4)", "id, v"),
        ("create table t (id text primary key, v) without rowid; insert into t values ('a', 1), ('b', 2), ('c', 3), ('d', 4)", "id, v"),
        (
            "create table t (a, b text collate nocase, v, primary key (b, a)) without rowid;
             insert into t values (1, 'x', 1), (1.5, 'X', 2), (x'01', 'y', 3), ('1', 'Z', 4)",
            "a, b, v",
        ),
        ("create table t (a int, b int, v, primary key (a, b)); insert into t values (1, 1, 1), (1, 2, 2), (2, 1, 3), (null, 1, 4)", "rowid, *"),
        ("create table t (rowid text, _rowid_ text, v); insert into t values ('a', 'b', 1), ('a', 'b', 2), ('c', 'd', 3), ('', '', 4)", "oid, *"),
        (
            "create table t (rowid text, _rowid_ text, oid text primary key not null, v);
             insert into t values ('a', 'b', 'c', 1), ('a', 'b', 'd', 2), (null, 'd', 'e', 3), ('', '', 'f', 4)",
            "*",
        ),
        (
            "create table t (id integer primary key, n int as (v * 2) virtual, v int, s int generated always as (v + 1) stored);
             insert into t (v) values (1), (2), (3), (4)",
            "*",
        ),
        (
            "create table t (id int primary key, r real, x any, v int) strict;
             insert into t values (1, 1, 1, 1), (2, 0.1, '1', 2), (3, null, x'31', 3), (4, -0.0, 1.0, 4)",
            "rowid, *",
        ),
        (
            "create table \"order\" (\"select\" integer primary key, \"a\"\"b\" text, \"from\" text, v int);
             insert into \"order\" values (1, 'x', cast(x'ff00fe' as text), 1), (2, 'y', '', 2), (3, 'z', 'ü', 3), (4, '', 'w', 4)",
            "*",
        ),
        ("create table t (id integer primary key desc, v); insert into t values (10, 1), (20, 2), (null, 3), (null, 4)", "rowid, *"),
    ];
    for (script, select) in shapes {
        let name = if script.contains("\"order\"") { "order" } else { "t" };
        let select = format!("select {select} from \"{name}\" order by v");
        there_and_back(script, name, &select, "t.v in (1, 3, 4)", 3);
    }
}

#[test]
fn numbers_as_text_and_text_as_numbers_keep_their_storage_class() {
    // W-012
    there_and_back(
        "create table t (id integer primary key, n numeric, i integer, t text, b blob, ts timestamp);
         insert into t values (1, 'abc', 'x', 5, '5', '20250101'), (2, 9007199254740993, 1.5, 1.5, 5, 1.0), (3, '1e3', x'31', x'31', 0.1, '2025-01-01')",
        "t",
        "select *, typeof(n), typeof(i), typeof(t), typeof(b), typeof(ts) from t order by id",
        "true",
        3,
    );
}

#[test]
fn a_condition_that_changes_its_mind_takes_exactly_what_it_remembers() {
    let kit = Kit::new(
        "create table t (id integer primary key, v);
         insert into t (v) select value from json_each('[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]')",
    );
    let table = kit.table("t");
    let undo = undo_of(&table);
    let before = kit.dump("select * from t");
    let mut session = kit.open();
    let taken = take(&mut *session, &all_where(&table, "random() > 0", Some(&undo)));
    assert_eq!(taken.remembered, taken.deleted);
    put_back(&mut *session, &table, &undo).unwrap();
    assert_eq!(kit.dump("select * from t"), before);
}

#[test]
fn a_second_batch_deletes_only_its_own_rows() {
    let kit = Kit::new(
        "create table t (id integer primary key, v); insert into t (v) values (1), (2), (3), (4), (5)",
    );
    let table = kit.table("t");
    let undo = undo_of(&table);
    let mut session = kit.open();
    let mut first = all_where(&table, "t.v <> 3", Some(&undo));
    first.limit = Some(2);
    take(&mut *session, &first);
    // what an earlier batch took, and the application has made again since, is not of this batch
    kit.app().execute_batch("insert into t values (1, 3)").unwrap();
    let mut tx = session.begin(&Limits::default()).unwrap();
    for (batch, expected) in [(2, 2), (3, 0)] {
        let next = targets::db::Take { batch, limit: Some(2), ..all_where(&table, "t.v <> 3", Some(&undo)) };
        assert_eq!(tx.take(&next).unwrap(), Taken { remembered: expected, deleted: expected, below: 0 });
    }
    tx.commit().unwrap();
    assert_eq!(session.count(&Sql::new("select count(*) from t")).unwrap(), 2);
    assert_eq!(
        session.count(&Sql::new("select count(distinct sexton_batch) from sexton_undo_1")).unwrap(),
        2
    );
}

#[test]
fn a_window_and_a_limit_bound_what_is_taken() {
    let script = "create table t (id integer primary key, v); create index i on t (v);
         insert into t (v) select value from json_each('[1,2,3,4,5,6,7,8,9,10]')";
    for remembers in [true, false] {
        let kit = Kit::new(script);
        let table = kit.table("t");
        let undo = undo_of(&table);
        let mut session = kit.open();
        let mut some = all_where(&table, "t.v % 2 = 0", remembers.then_some(&undo));
        some.window = Some((Some(ints(&[3])), Some(ints(&[10]))));
        some.limit = Some(2);
        let taken = take(&mut *session, &some);
        assert_eq!(taken, Taken { remembered: 2, deleted: 2, below: 0 });
        assert_eq!(kit.dump("select id from t where id in (4, 6)").len(), 0);
        assert_eq!(kit.dump("select id from t").len(), 8);
    }
}

#[test]
fn without_an_undo_table_rows_are_only_deleted() {
    let kit = Kit::new(
        "create table t (a, b, primary key (a, b)) without rowid; insert into t values (1, 1), (1, 2), (2, 1)",
    );
    let table = kit.table("t");
    let mut session = kit.open();
    let mut some = all_where(&table, "t.a = 1", None);
    some.limit = Some(1);
    assert_eq!(take(&mut *session, &some), Taken { remembered: 1, deleted: 1, below: 0 });
    assert_eq!(
        take(&mut *session, &all_where(&table, "", None)),
        Taken { remembered: 2, deleted: 2, below: 0 }
    );
}

#[test]
fn a_trigger_that_spares_a_row_shows_in_the_counts() {
    let kit = Kit::new(
        "create table t (id integer primary key); insert into t values (1), (2), (3);
         create trigger keep before delete on t when old.id = 2 begin select raise(ignore); end",
    );
    let table = kit.table("t");
    let undo = undo_of(&table);
    let taken = take(&mut *kit.open(), &all_where(&table, "", Some(&undo)));
    assert_eq!(taken, Taken { remembered: 3, deleted: 2, below: 0 });
}

#[test]
fn a_dropped_transaction_leaves_nothing() {
    let kit = Kit::new("create table t (id integer primary key); insert into t values (1), (2)");
    let table = kit.table("t");
    let undo = undo_of(&table);
    let mut session = kit.open();
    let mut tx = session.begin(&Limits::default()).unwrap();
    create(&mut *tx, &table, &undo);
    assert_eq!(tx.take(&all_where(&table, "", Some(&undo))).unwrap().deleted, 2);
    drop(tx);
    assert_eq!(kit.dump("select * from sqlite_schema").len(), 1);
    assert_eq!(session.count(&Sql::new("select count(*) from t")).unwrap(), 2);
}

#[test]
fn a_key_that_is_taken_again_is_not_overwritten() {
    // W-078
    let kit =
        Kit::new("create table t (id integer primary key, v); insert into t values (1, 'old'), (2, 'old')");
    let table = kit.table("t");
    let undo = undo_of(&table);
    let mut session = kit.open();
    take(&mut *session, &all_where(&table, "", Some(&undo)));
    kit.app().execute_batch("insert into t values (2, 'new')").unwrap();
    let error = put_back(&mut *session, &table, &undo).unwrap_err();
    assert_eq!(error.class, Class::Data);
    assert_eq!(kit.dump("select v from t"), [[("Text".to_owned(), b"new".to_vec())]]);
}

#[test]
fn a_vacuum_between_does_not_keep_rows_without_a_key_away() {
    let kit = Kit::new("create table t (v); insert into t values ('a'), ('b'), ('c'), ('d')");
    let table = kit.table("t");
    let undo = undo_of(&table);
    let mut session = kit.open();
    take(&mut *session, &all_where(&table, "t.v in ('a', 'c')", Some(&undo)));
    // gives `b` and `d` the rowids 1 and 2
    kit.app().execute_batch("vacuum; insert into t (rowid, v) values (4, 'e')").unwrap();
    assert_eq!(put_back(&mut *session, &table, &undo).unwrap(), 2);
    let all: Vec<u8> = kit.dump("select v from t order by v").into_iter().map(|row| row[0].1[0]).collect();
    assert_eq!(all, b"abcde");
}

#[test]
fn orphans_come_back_although_their_parent_is_gone() {
    let kit = Kit::new(
        "create table p (id integer primary key);
         create table c (id integer primary key, p int not null references p);
         insert into c values (1, 99)",
    );
    let table = kit.table("c");
    let undo = undo_of(&table);
    let mut session = kit.open();
    take(&mut *session, &all_where(&table, "", Some(&undo)));
    assert_eq!(put_back(&mut *session, &table, &undo).unwrap(), 1);
}

#[test]
fn a_scratch_table_remembers_parents_until_their_children_are_gone() {
    for script in [
        "create table p (id integer primary key, code text, v int)",
        "create table p (id int, code text, v int, primary key (id, code)) without rowid",
    ] {
        let kit = Kit::new(&format!("{script}; insert into p values (1, 'a', 1), (2, 'b', 1), (3, 'c', 2)"));
        let table = kit.table("p");
        let scratch = UndoTable {
            name: TableName::bare("sexton_chosen"),
            temporary: true,
            columns: vec!["code".into()],
            after: Vec::new(),
        };
        let dialect = backends::sqlite::SqliteDialect;
        let mut session = kit.open();
        let mut tx = session.begin(&Limits::default()).unwrap();
        create(&mut *tx, &table, &scratch);
        for condition in ["t.v = 2", "t.v = 1"] {
            for statement in dialect.choose(&all_where(&table, condition, Some(&scratch))) {
                tx.execute(&statement).unwrap();
            }
        }
        let chosen = Sql::new("select count(*) from p as t where ").add(&dialect.chosen(&table, &scratch));
        assert_eq!(tx.count(&chosen).unwrap(), 2, "{script}");
        assert_eq!(
            tx.count(&Sql::new("select count(*) from sexton_chosen where code in ('a', 'b')")).unwrap(),
            2
        );
        tx.commit().unwrap();
        assert_eq!(kit.dump("select * from sqlite_schema where name like 'sexton%'").len(), 0);
    }
}

#[test]
fn undo_rows_are_counted_in_ranges_that_leave_nothing_out() {
    let kit = Kit::new(
        "create table t (id integer primary key, rowid text); insert into t values (1, 'a'), (2, 'b'), (3, 'c')",
    );
    let table = kit.table("t");
    let undo = undo_of(&table);
    let mut session = kit.open();
    take(&mut *session, &all_where(&table, "", Some(&undo)));
    let dialect = backends::sqlite::SqliteDialect;
    let end = session.count(&dialect.undo_end(&undo)).unwrap() as i64;
    let within = |from, to| {
        Sql::new("select count(*) from sexton_undo_1 as u where ")
            .add(&dialect.undo_range(Range::of(from, to)))
    };
    assert_eq!(session.count(&within(0, 2)).unwrap() + session.count(&within(2, end)).unwrap(), 3);
}

#[test]
fn views_and_virtual_tables_are_not_taken_from() {
    let kit = Kit::new(
        "create table t (v); create view w as select v from t; create virtual table f using fts5(x)",
    );
    let mut session = kit.open();
    for name in ["w", "f"] {
        let table = kit.table(name);
        assert!(!kit.database().dialect().walks(&table));
        let mut tx = session.begin(&Limits::default()).unwrap();
        assert_eq!(tx.take(&all_where(&table, "", None)).unwrap_err().class, Class::Usage);
    }
}

#[test]
fn equality_sees_null_and_the_case_that_a_collation_hides() {
    let kit = Kit::new(
        "create table t (a text collate nocase, b text); insert into t values ('x', 'X'), (null, null), ('y', 'y')",
    );
    let same = backends::sqlite::SqliteDialect.same(&Sql::new("t.a"), &Sql::new("t.b"));
    let sql = Sql::new("select count(*) from t where ").add(&same);
    assert_eq!(kit.database().read().unwrap().count(&sql).unwrap(), 2);
}
