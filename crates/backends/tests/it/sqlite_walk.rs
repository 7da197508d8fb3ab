//! The physical walk meets every row once, whatever the keys look like.

use crate::sqlite_kit::*;
use targets::db::{Database, Edge, Row, Sql};

/// Walks with a stride and returns how many rows each window holds.
fn walk(kit: &Kit, name: &str, stride: u64) -> Vec<u64> {
    let table = kit.table(name);
    let dialect = backends::sqlite::SqliteDialect;
    assert!(dialect.walks(&table));
    let mut facts = kit.database().read().unwrap();
    let (mut from, mut counts): (Option<Row>, Vec<u64>) = (None, Vec::new());
    while let Some(Edge { end: to, .. }) = facts.edge(&table, from.as_ref(), stride).unwrap() {
        let window = dialect.window(&table, from.as_ref(), Some(&to));
        let sql = Sql::new("select count(*) from ").table(&table.name).text(" as t where ").add(&window);
        counts.push(facts.count(&sql).unwrap());
        from = Some(to);
        assert!(counts.len() < 100, "the walk does not end");
    }
    counts
}

#[test]
fn every_row_of_a_rowid_table_is_in_one_window() {
    let kit = Kit::new(
        "create table t (id integer primary key, v);
         insert into t (id) values (-9223372036854775808), (-1), (0), (5), (9223372036854775806), (9223372036854775807)",
    );
    assert_eq!(walk(&kit, "t", 2), [2, 2, 2]);
    assert_eq!(walk(&kit, "t", 4), [4, 2]);
    assert_eq!(walk(&kit, "t", 6), [6]);
    assert_eq!(walk(&kit, "t", 100), [6]);
}

#[test]
fn every_row_of_a_table_without_rowid_is_in_one_window() {
    let kit = Kit::new(
        "create table t (a, b text collate nocase, c, primary key (a, b desc)) without rowid;
         insert into t values (1, 'x', 0), (1, 'y', 0), (1.5, 'x', 0), ('1', 'x', 0), ('a', 'X', 0), ('A', 'x', 0), (x'00', '', 0)",
    );
    for stride in 1..9 {
        let counts = walk(&kit, "t", stride);
        assert_eq!(counts.iter().sum::<u64>(), 7, "stride {stride}");
        assert!(counts.iter().all(|count| *count <= stride && *count > 0), "stride {stride}: {counts:?}");
    }
}

#[test]
fn an_empty_table_has_no_windows() {
    let kit = Kit::new("create table t (v); create table k (a primary key) without rowid");
    assert_eq!(walk(&kit, "t", 10), [] as [u64; 0]);
    assert_eq!(walk(&kit, "k", 10), [] as [u64; 0]);
}

#[test]
fn an_empty_position_is_the_beginning() {
    let kit = Kit::new("create table t (v); insert into t values (1), (2), (3)");
    let table = kit.table("t");
    let mut facts = kit.database().read().unwrap();
    assert_eq!(
        facts.edge(&table, Some(&Vec::new()), 2).unwrap(),
        Some(Edge { end: ints(&[3]), last: false })
    );
    assert_eq!(facts.edge(&table, Some(&ints(&[4])), 2).unwrap(), None);
}

#[test]
fn a_window_is_searched_by_its_place_even_when_an_index_beckons() {
    let kit = Kit::new(
        "create table t (id integer primary key, v); create index i on t (v); create table k (a, b, v, primary key (a, b)) without rowid",
    );
    let mut facts = kit.database().read().unwrap();
    for (name, from, to) in [("t", ints(&[1]), ints(&[9])), ("k", ints(&[1, 1]), ints(&[2, 2]))] {
        let table = kit.table(name);
        let some =
            targets::db::Take { window: Some((Some(from), Some(to))), ..all_where(&table, "t.v = 1", None) };
        let sql = backends::sqlite::SqliteDialect.take(&some).remove(0);
        assert_eq!(facts.access(&sql).unwrap().index.as_deref(), Some("primary key"), "{name}");
    }
}
