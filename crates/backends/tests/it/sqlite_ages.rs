//! Ages: every usual form on each side of the cut-off.

use crate::sqlite_kit::*;
use targets::db::{Cutoff, Database, EpochUnit, Sql, Table};

/// 2026-08-22 14:00:00 UTC; clocks in the zone of naive values show two hours more.
const INSTANT: i64 = 1_787_407_200_000_000;

fn cutoff() -> Cutoff {
    Cutoff { instant_us: INSTANT, civil: "2026-08-22 16:00:00".to_owned() }
}

/// The ids that are older, and those that are unreadable.
fn sorted(kit: &Kit, table: &Table, unit: EpochUnit, cutoff: &Cutoff) -> (Vec<i64>, Vec<i64>) {
    let age = kit.database().dialect().age(table.column("at").unwrap(), unit, cutoff).unwrap();
    let mut facts = kit.database().read().unwrap();
    let mut ids = |condition: &Sql| {
        let sql = Sql::new("select id from t where ").add(condition).text(" order by id");
        facts.rows(&sql).unwrap().into_iter().map(|row| row[0].as_int().unwrap()).collect::<Vec<_>>()
    };
    (ids(&age.older), ids(&age.unreadable.unwrap()))
}

/// Odd ids are older by the least step of their form, even ids are not.
const PAIRS: &str = "
    (1, '2026-08-22'), (2, '2026-08-23'),
    (3, '2026-08-22 15:59'), (4, '2026-08-22 16:00'),
    (5, '2026-08-22T13:59:59.999999Z'), (6, '2026-08-22T14:00:00.000000Z'),
    (7, '2026-08-22 15:59:59.999999'), (8, '2026-08-22 16:00:00.000000'),
    (9, '2026-08-22 18:59:59+05:00'), (10, '2026-08-22 19:00:00+05:00'),
    (11, '2026-08-21T15:59:59-22:00'), (12, '2026-08-21T16:00:00-22:00'),
    (13, '2026-08-23T13:59:59+23:59'), (14, '2026-08-23T13:59:00.000001+23:59'),
    (15, 1787407199), (16, 1787407200),
    (17, 1787407199999), (18, 1787407200000),
    (19, 1787407199999999), (20, 1787407200000000),
    (21, 1787407199.5), (22, 1787407200.0),
    (23, '1787407199'), (24, '1787407200'),
    (25, '1787407199999'), (26, '1787407200000'),
    (27, -86400), (28, '9999-12-31 23:59:59'),
    (29, '0001-01-01'), (30, null)";

#[test]
fn each_form_is_older_just_before_the_cutoff_and_not_at_it() {
    // W-013, W-036
    for declared in ["", "text", "timestamp", "datetime", "integer", "real", "blob", "numeric"] {
        for index in ["", "create index i on t (at);"] {
            let kit = Kit::new(&format!(
                "create table t (id integer primary key, at {declared}); {index} insert into t values {PAIRS}"
            ));
            let (older, unreadable) = sorted(&kit, &kit.table("t"), EpochUnit::Auto, &cutoff());
            let mut expected: Vec<i64> = (1..30).step_by(2).collect();
            expected.retain(|id| *id != 13);
            let mut lost = Vec::new();
            if declared == "text" {
                // a negative number as text is too short to be told from other numbers
                expected.retain(|id| *id != 27);
                lost.push(27);
            }
            assert_eq!(older, expected, "{declared} {index}");
            assert_eq!(unreadable, lost, "{declared} {index}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_counted_and_left_alone() {
    let kit = Kit::new(
        "create table t (id integer primary key, at datetime);
         insert into t values (1, 'soon'), (2, ''), (3, x'32303030'), (4, '2026-02-30'), (5, '20250101'), (6, 2460000.5), (7, null),
            (8, '12/31/1999'), (9, '2000-01-01')",
    );
    assert_eq!(
        sorted(&kit, &kit.table("t"), EpochUnit::Auto, &cutoff()),
        (vec![9], vec![1, 2, 3, 4, 5, 6, 8])
    );
}

#[test]
fn a_given_unit_is_believed() {
    let kit = Kit::new(
        "create table t (id integer primary key, at integer); create index i on t (at);
         insert into t values (1, 20250101), (2, 1787407199), (3, 1787407200), (4, 1787407199999), (5, 1787407199999999), (6, '2020-01-01')",
    );
    let table = kit.table("t");
    for (unit, expected) in [
        (EpochUnit::Seconds, vec![1, 2, 6]),
        (EpochUnit::Milliseconds, vec![1, 2, 3, 4, 6]),
        (EpochUnit::Microseconds, vec![1, 2, 3, 4, 5, 6]),
    ] {
        assert_eq!(sorted(&kit, &table, unit, &cutoff()).0, expected, "{unit:?}");
    }
}

#[test]
fn a_far_cutoff_misses_nothing_although_text_and_numbers_sort_differently() {
    let kit = Kit::new(
        "create table t (id integer primary key, at text); create index i on t (at);
         insert into t values (1, '2040000000'), (2, '2039-01-01'), (3, '3000000000')",
    );
    // 2036-01-01 and 2060-01-01
    for (instant_us, civil, expected) in [
        (2_082_758_400_000_000, "2036-01-01 00:00:00", vec![1]),
        (2_840_140_800_000_000, "2060-01-01 00:00:00", vec![1, 2]),
    ] {
        let cutoff = Cutoff { instant_us, civil: civil.to_owned() };
        assert_eq!(sorted(&kit, &kit.table("t"), EpochUnit::Auto, &cutoff).0, expected);
    }
}

#[test]
fn an_index_on_the_column_narrows_the_search() {
    for declared in ["text", "timestamp", "integer", "real", ""] {
        let kit = Kit::new(&format!(
            "create table t (id integer primary key, at {declared}, v); create index by_age on t (at)"
        ));
        let table = kit.table("t");
        let age =
            kit.database().dialect().age(table.column("at").unwrap(), EpochUnit::Auto, &cutoff()).unwrap();
        let mut facts = kit.database().read().unwrap();
        let sql = Sql::new("select t.v from t where ").add(&age.older);
        let access = facts.access(&sql).unwrap();
        assert_eq!(access.index.as_deref(), Some("by_age"), "{declared}: {}", access.text);
        let all = facts.access(&Sql::new("select v from t")).unwrap();
        assert_eq!(all.index, None);
    }
}

#[test]
fn the_instant_sorts_times_of_all_forms() {
    let kit = Kit::new(&format!("create table t (id integer primary key, at); insert into t values {PAIRS}"));
    let age = kit
        .database()
        .dialect()
        .age(kit.table("t").column("at").unwrap(), EpochUnit::Auto, &cutoff())
        .unwrap();
    let mut facts = kit.database().read().unwrap();
    let sql = Sql::new("select ").add(&age.instant).text(", id from t where at is not null order by 1");
    let rows = facts.rows(&sql).unwrap();
    assert_eq!(rows.first().unwrap()[1].as_int(), Some(29));
    assert_eq!(rows.last().unwrap()[1].as_int(), Some(28));
    let at = |id: i64| {
        rows.iter().find(|row| row[1].as_int() == Some(id)).unwrap()[0].as_text().unwrap().to_owned()
    };
    assert_eq!(at(8), "2026-08-22T14:00:00.000000Z");
    assert_eq!(at(8), at(10));
}

#[test]
fn a_cutoff_that_is_no_time_is_refused() {
    let kit = Kit::new("create table t (at)");
    let cutoff = Cutoff { instant_us: 0, civil: "yesterday".to_owned() };
    assert!(
        kit.database().dialect().age(kit.table("t").column("at").unwrap(), EpochUnit::Auto, &cutoff).is_err()
    );
}
