//! Ages: strictly older, to the microsecond, in every kind of column; what cannot be read is left alone.

use targets::db::{Cutoff, EpochUnit, Sql};
use testkit::Place;
use testkit::both;

/// 22 August 2026, 12:00:00.123456 UTC; clocks in Berlin show 14:00.
fn cutoff() -> Cutoff {
    Cutoff { instant_us: 1_787_400_000_123_456, civil: "2026-08-22 14:00:00.123456".into() }
}

/// The ids of the older rows, then those of the unreadable ones.
fn sorted(place: &Place, column: &str, unit: EpochUnit) -> (Vec<i64>, Vec<i64>) {
    let mut facts = place.database().read().unwrap();
    let schema = facts.schema().unwrap();
    let column = schema.find("t").unwrap().expect_column(column).unwrap();
    let age = facts.dialect().age(column, unit, &cutoff()).unwrap();
    let mut ids = |condition: &Sql| -> Vec<i64> {
        let sql = Sql::new("select id from t as t where ").add(condition).text(" order by id");
        facts.rows(&sql).unwrap().iter().map(|row| row[0].as_int().unwrap()).collect()
    };
    let found = (ids(&age.older), age.unreadable.as_ref().map(&mut ids).unwrap_or_default());
    let order = Sql::new("select id from t as t order by ").add(&age.instant).text(" desc");
    assert!(!facts.rows(&order).unwrap().is_empty());
    found
}

#[test]
fn text_in_every_usual_form_is_compared_as_a_time() {
    // W-013, W-036
    let older = [
        "2026-08-22T12:00:00.123455Z",
        "2026-08-22 14:00:00.123455+02:00",
        "2026-08-22 07:00:00.1234559999-05",
        "2026-08-22T14:00:00.123455",
        "2026-08-22 13:59",
        "2026-08-22",
        "2024-02-29",
        "0001-01-01",
        "2026-08-22t11:59:59z",
        "1787400000",
        "1787400000123",
        "2026-08-22T14:00:00+0230",
    ];
    let younger = [
        "2026-08-22T12:00:00.123456Z",
        "2026-08-22 14:00:00.123456+02:00",
        "2026-08-22 07:00:00.1234560001-05",
        "2026-08-22T14:00:00.123456",
        "2026-08-22 14:01",
        "2026-08-23",
        "9999-12-31 23:59:59.999999",
        "1787400001",
        "1787400000124",
        "2026-08-22T14:00:00+0130",
    ];
    let unreadable = [
        "",
        "yesterday",
        "infinity",
        "2026-02-29",
        "2026-13-01",
        "2026-00-10",
        "2026-04-31",
        "2026-08-22 25:00",
        "2026-08-22 12:61",
        "2100-02-29",
        "22.08.2026",
        "2026-8-2",
        "2026-08-22 14:00 Europe/Berlin",
        "1e5",
        "--1",
        "2026-08-22T",
        "2026-08-22 12:00:00 PM",
        "1787400000; drop table t",
    ];
    both(|place| {
        place.script("create table t (id integer primary key, at text)");
        let texts = older.iter().chain(&younger).chain(&unreadable);
        for (id, text) in texts.enumerate() {
            place.script(&format!("insert into t values ({id}, '{text}')"));
        }
        place.script("insert into t values (1000, null)");
        let (o, y, u) = (older.len() as i64, younger.len() as i64, unreadable.len() as i64);
        let (found, not_read) = sorted(place, "at", EpochUnit::Auto);
        assert_eq!(found, (0..o).collect::<Vec<_>>());
        assert_eq!(not_read, (o + y..o + y + u).collect::<Vec<_>>());
    });
}

#[test]
fn no_text_makes_the_server_raise() {
    let place = Place::postgres();
    place.script(
        r"create table t (id int primary key, at text, ch char(30));
          insert into t values (1, '2026-08-21', '2026-08-21'), (2, '0000-01-01', ''), (3, '2026-08-22 24:00', null),
            (4, '2026-08-22 23:59:61', ' '), (5, E'2026-08-21\n2026', '2026-08-21T'), (6, '2026-08-21 00:00:00+24', 'x'),
            (7, '99999999999999999999', null), (8, '294277-01-01', null), (9, '2026-08-21 10:00.5', null),
            (10, '2026-08-21\n', null), (11, '2026-12-31 23:59:60.5', null)",
    );
    assert_eq!(sorted(&place, "at", EpochUnit::Auto), (vec![1], vec![2, 3, 4, 5, 6, 7, 8, 9, 10]));
    assert_eq!(sorted(&place, "ch", EpochUnit::Auto), (vec![1], vec![2, 4, 5, 6]));
}

#[test]
fn a_number_that_spells_a_day_is_left_alone() {
    both(|place| {
        place.script(
            "create table t (id integer primary key, at bigint);
             insert into t values (1, 20250101), (2, 20250229), (3, 20251301), (4, 20240229), (5, 18991231), (6, 19000101),
               (7, 29991231), (8, 30000101), (9, 20250100), (10, 9223372036854775807)",
        );
        assert_eq!(sorted(place, "at", EpochUnit::Auto), (vec![2, 3, 5, 8, 9], vec![1, 4, 6, 7]));
        assert_eq!(sorted(place, "at", EpochUnit::Seconds), ((1..10).collect(), vec![]));
    });
}

#[test]
fn numbers_count_in_their_unit() {
    both(|place| {
        place.script(
            "create table t (id integer primary key, at bigint);
             insert into t values (1, 1787400000), (2, 1787400001), (3, 1787400000123), (4, 1787400000124),
               (5, 1787400000123455), (6, 1787400000123456), (7, 0), (8, -1), (9, -99999999999),
               (10, 9223372036854775807), (11, -9223372036854775808), (12, 99999999999), (13, null), (14, -100000000000)",
        );
        assert_eq!(sorted(place, "at", EpochUnit::Auto), (vec![1, 3, 5, 7, 8, 9, 11, 14], vec![]));
        assert_eq!(sorted(place, "at", EpochUnit::Seconds).0, [1, 7, 8, 9, 11, 14]);
        assert_eq!(sorted(place, "at", EpochUnit::Milliseconds).0, [1, 2, 3, 7, 8, 9, 11, 12, 14]);
        assert_eq!(sorted(place, "at", EpochUnit::Microseconds).0, [1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 14]);
    });
}

#[test]
fn times_are_compared_as_they_are() {
    let place = Place::postgres();
    place.script(
        "create domain moment as timestamptz;
         create table t (id int primary key, tz moment, ts timestamp, d date, n numeric, f float8, small int2);
         set timezone = 'Asia/Tokyo';
         insert into t values
           (1, '2026-08-22 12:00:00.123455+00', '2026-08-22 14:00:00.123455', '2026-08-21', 1787400000.123455, 1787400000.1, 1),
           (2, '2026-08-22 12:00:00.123456+00', '2026-08-22 14:00:00.123456', '2026-08-22', 1787400000.123456, 1787400000.2, null),
           (3, '-infinity', '-infinity', '-infinity', 'NaN', '-infinity', -1),
           (4, 'infinity', 'infinity', 'infinity', 'NaN', 'infinity', 32767),
           (5, null, null, null, 'NaN', 'NaN', null)",
    );
    if place.version() >= 14 {
        // numerics have no infinity before
        place.script("update t set n = '-infinity' where id = 3; update t set n = 'infinity' where id = 4");
    }
    for column in ["tz", "ts", "d"] {
        assert_eq!(sorted(&place, column, EpochUnit::Auto), (vec![1, 3], vec![]), "{column}");
    }
    for column in ["n", "f"] {
        assert_eq!(sorted(&place, column, EpochUnit::Auto), (vec![1], vec![3, 4, 5]), "{column}");
        assert_eq!(sorted(&place, column, EpochUnit::Seconds), (vec![1], vec![3, 4, 5]), "{column}");
    }
    assert_eq!(sorted(&place, "small", EpochUnit::Auto).0, [1, 3, 4]);
}

#[test]
fn an_index_on_the_column_is_used() {
    let place = Place::postgres();
    place.script(
        "create table t (id int primary key, tz timestamptz, ts timestamp, d date, n bigint, i int);
         insert into t select n, '2026-08-22 00:00+00'::timestamptz + n * interval '1 minute',
             '2026-08-22 00:00'::timestamp + n * interval '1 minute', '2026-08-20'::date + n, 1787400000 + n, 1787400000 + n
           from generate_series(1, 50000) n;
         create index on t (tz); create index on t (ts); create index on t (d); create index on t (n); create index on t (i);
         analyze t",
    );
    let mut facts = place.database().read().unwrap();
    let schema = facts.schema().unwrap();
    let table = schema.find("t").unwrap();
    for column in ["tz", "ts", "d", "n", "i"] {
        let age = facts.dialect().age(table.column(column).unwrap(), EpochUnit::Auto, &cutoff()).unwrap();
        let access = facts.access(&Sql::new("select count(*) from t as t where ").add(&age.older)).unwrap();
        assert_eq!(access.index, Some(format!("t_{column}_idx")), "{}", access.text);
    }
}

#[test]
fn a_column_that_holds_no_time_is_refused() {
    let place = Place::postgres();
    place.script("create table t (id int, b bool, j jsonb)");
    let database = place.database();
    let schema = database.read().unwrap().schema().unwrap();
    for column in ["b", "j"] {
        let column = schema.find("t").unwrap().column(column).unwrap();
        let error = database.dialect().age(column, EpochUnit::Auto, &cutoff()).unwrap_err();
        assert_eq!(error.class, targets::db::Class::Usage);
    }
}

#[test]
fn both_databases_read_the_same_times_in_any_text() {
    // W-013: a few thousand texts put together from parts, right and wrong ones.
    let days = [
        "2026-08-22",
        "2026-08-21",
        "2026-08-23",
        "2026-02-30",
        "2024-02-29",
        "1900-02-29",
        "26-08-22",
        "2026-8-22",
    ];
    let between = ["T", " ", "t", "  ", "_", ""];
    let clocks = [
        "12:00",
        "12:00:00",
        "11:59:59.999999",
        "12:00:00.123455",
        "12:00:00.1234559",
        "12:00:00.123456",
        "14:00:00.123455",
        "14:00:00,123456",
        "24:00",
        "12:60",
        "12:00:60",
        "23:59:60.5",
        "12:00:61",
        "12",
        "12:0",
        "1200",
        "12:00:00.",
    ];
    let zones = [
        "",
        "Z",
        "z",
        " Z",
        "+00",
        "+02:00",
        "+0200",
        "-05:30",
        "+2",
        "+14:00",
        "+15:00",
        "+23:30",
        "-23:30",
        "+24:00",
        "-0530 UTC",
        " GMT",
        "-00:00",
        "UTC",
        "+02:60",
    ];
    let mut texts: Vec<String> = days.iter().map(|day| (*day).to_owned()).collect();
    for day in days {
        for middle in between {
            for clock in clocks {
                texts.extend(zones.iter().map(|zone| format!("{day}{middle}{clock}{zone}")));
            }
        }
    }
    let sign = ["", "-", "+", " "];
    for number in [
        "1787400000",
        "1787400000.123455",
        "1787400000.123456",
        "1787400000123",
        "1787400000123456",
        "1e9",
        "0x10",
        ".5",
        "5.",
        "1 2",
    ] {
        texts.extend(sign.iter().map(|sign| format!("{sign}{number}")));
    }
    let values: Vec<String> =
        texts.iter().enumerate().map(|(id, text)| format!("({id}, '{text}')")).collect();
    let mut found = Vec::new();
    both(|place| {
        place.script(&format!(
            "create table t (id integer primary key, at text); insert into t values {}",
            values.join(", ")
        ));
        found.push(sorted(place, "at", EpochUnit::Auto));
    });
    let shown = |ids: &[i64], others: &[i64]| -> Vec<String> {
        ids.iter().filter(|id| !others.contains(id)).map(|id| texts[*id as usize].clone()).collect()
    };
    let [sqlite, postgres] = &found[..] else { panic!() };
    assert!(sqlite.0.len() > 500 && sqlite.1.len() > 500);
    for (what, one, other) in [("older", &sqlite.0, &postgres.0), ("unreadable", &sqlite.1, &postgres.1)] {
        assert_eq!(shown(one, other), [""; 0], "{what} only on SQLite");
        assert_eq!(shown(other, one), [""; 0], "{what} only on PostgreSQL");
    }
}
