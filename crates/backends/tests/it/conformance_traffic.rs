//! How big and how busy tables are.

use targets::db::{TableName, Traffic};
use testkit::{Place, both};

fn of(all: &[Traffic], name: &str) -> Traffic {
    all.iter()
        .find(|one| one.table.name == name)
        .unwrap_or_else(|| panic!("`{name}` is not in {all:?}"))
        .clone()
}

#[test]
fn sizes_of_tables_are_about_right_on_both() {
    both(|place| {
        place.script2(
            "create table big (id integer primary key, a text); create index big_a on big (a);
             create table small (id integer primary key); create table keyed (k text primary key, v text) without rowid;
             insert into big with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
               select i, 'text of some length ' || i from n;
             insert into small values (1), (2); insert into keyed values ('a', 'b')",
            "create table big (id integer primary key, a text); create index big_a on big (a);
             create table small (id integer primary key); create table keyed (k text primary key, v text);
             insert into big select i, 'text of some length ' || i from generate_series(1, 20000) i;
             insert into small values (1), (2); insert into keyed values ('a', 'b'); analyze",
        );
        let all = place.database().read().unwrap().traffic().unwrap();
        let big = of(&all, "big");
        assert!(big.rows.unwrap().abs_diff(20_000) < 500, "{big:?}");
        assert!((600_000..4_000_000).contains(&big.bytes.unwrap()), "{big:?}");
        assert!(big.index_bytes.unwrap() > 400_000, "{big:?}");
        assert_eq!(of(&all, "small").rows, Some(2));
        assert_eq!(of(&all, "keyed").rows, Some(1));
    });
}

#[test]
fn postgresql_adds_up_partitions_and_counts_writes() {
    let place = Place::postgres();
    place.script(
        "create table p (id integer, k integer) partition by range (k);
         create table p1 partition of p for values from (0) to (10);
         create table p2 partition of p for values from (10) to (20);
         insert into p select n, n % 20 from generate_series(1, 1000) n; analyze",
    );
    let all = place.database().read().unwrap().traffic().unwrap();
    let whole = of(&all, "p");
    assert_eq!(whole.table, TableName::within("public", "p"));
    assert_eq!(whole.rows, Some(1_000));
    assert_eq!(whole.bytes, Some(of(&all, "p1").bytes.unwrap() + of(&all, "p2").bytes.unwrap()));
    assert!(whole.writes_per_second.is_some());
}
