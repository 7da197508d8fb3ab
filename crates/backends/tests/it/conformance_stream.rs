//! Rows in bulk: what is loaded is what was given, what is looked at belongs to one moment.

use proptest::prelude::*;
use targets::db::{Cell, Class, Command, Limits, Load, Result, Seen, Sql, TableName, Value};
use testkit::{Place, both};

fn load(place: &Place, table: &str, columns: &[&str], rows: &[Vec<Cell<'_>>]) -> Result<u64> {
    let mut session = place.database().open()?;
    let mut tx = session.begin(&Limits::default())?;
    let columns: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
    let name = if place.is_sqlite() { TableName::bare(table) } else { TableName::within("public", table) };
    let mut loader = tx.load(&Load { table: &name, columns: &columns })?;
    for row in rows {
        loader.row(row)?;
    }
    let count = loader.finish()?;
    tx.commit()?;
    Ok(count)
}

fn read(place: &Place, sql: &str) -> Vec<Vec<Value>> {
    place.database().read().unwrap().rows(&Sql::new(sql)).unwrap()
}

const U: [u8; 16] =
    [0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8, 0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38, 0x0a, 0x11];

#[test]
fn each_type_takes_its_cells_to_the_bit() {
    let place = Place::postgres();
    place.script(
        "create type mood as enum ('sad', 'happy'); create domain share as numeric(5, 2);
         create table t (n int primary key, i2 int2, i8 int8, f4 real, f8 float8, num numeric, s share, b bool, raw bytea,
           t text, vc varchar(5), j json, jb jsonb, u uuid, d date, ts timestamp, tz timestamptz, m mood, x int default 7)",
    );
    let columns = [
        "n", "i2", "i8", "f4", "f8", "num", "s", "b", "raw", "t", "vc", "j", "jb", "u", "d", "ts", "tz", "m",
    ];
    let full = |n, f: f64, number, moment, day| {
        vec![
            Cell::Int(n),
            Cell::Int(-32_768),
            Cell::Int(i64::MIN),
            Cell::Real(0.5),
            Cell::Real(f),
            Cell::Text(number),
            Cell::Text("12.50"),
            Cell::Bool(true),
            Cell::Bytes(&[0, 255]),
            Cell::Text("tab\t nl\n \\N 🦀"),
            Cell::Text(""),
            Cell::Text("{\"b\": 1.0}"),
            Cell::Text("{\"b\": 1.0,\"a\":2}"),
            Cell::Uuid(U),
            Cell::Day(day),
            Cell::Moment(moment),
            Cell::Moment(moment),
            Cell::Text("happy"),
        ]
    };
    let rows = vec![
        full(1, f64::MIN_POSITIVE, "-1234567890123456789012345678901234567890.000000000100", 1, 0),
        full(2, f64::INFINITY, "NaN", -62_135_596_800_000_000, -719_162),
        full(3, -0.0, "0.000", i64::MAX, 2_932_896),
        std::iter::once(Cell::Int(4)).chain(std::iter::repeat_n(Cell::Null, 17)).collect(),
    ];
    assert_eq!(load(&place, "t", &columns, &rows).unwrap(), 4);
    let shown = read(&place, "select w::text from t as w order by n");
    let shown: Vec<&str> = shown.iter().map(|row| row[0].as_text().unwrap()).collect();
    let common = |rest: &str| {
        rest.replace("COMMON", "12.50,t,\"\\\\x00ff\",\"tab\t nl\n \\\\N 🦀\",\"\",\"{\"\"b\"\": 1.0}\",\"{\"\"a\"\": 2, \"\"b\"\": 1.0}\",a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")
    };
    assert_eq!(
        shown,
        [
            common(
                "(1,-32768,-9223372036854775808,0.5,2.2250738585072014e-308,-1234567890123456789012345678901234567890.000000000100,COMMON,1970-01-01,\"1970-01-01 00:00:00.000001\",\"1970-01-01 00:00:00.000001+00\",happy,7)"
            ),
            common(
                "(2,-32768,-9223372036854775808,0.5,Infinity,NaN,COMMON,0001-01-01,\"0001-01-01 00:00:00\",\"0001-01-01 00:00:00+00\",happy,7)"
            ),
            common(
                "(3,-32768,-9223372036854775808,0.5,-0,0.000,COMMON,9999-12-31,infinity,infinity,happy,7)"
            ),
            "(4,,,,,,,,,,,,,,,,,,7)".to_owned(),
        ]
    );
}

#[test]
fn a_table_with_a_type_of_its_own_form_is_loaded_as_text() {
    let place = Place::postgres();
    place.script(
        "create table t (n int primary key, r int4range, iv interval, tags text[], num numeric, f float8, raw bytea, u uuid, d date,
           tz timestamptz, t text, b bool)",
    );
    let row = vec![
        Cell::Int(1),
        Cell::Text("[1,5)"),
        Cell::Text("1 day 02:00:00"),
        Cell::Text("{\"a,b\",NULL,\"x\\\\y\"}"),
        Cell::Text("1.50"),
        Cell::Real(1e-300),
        Cell::Bytes(&[0, 92, 10]),
        Cell::Uuid(U),
        Cell::Day(-719_163),
        Cell::Moment(1_735_787_045_000_006),
        Cell::Text("\\N\t\r\n\\"),
        Cell::Bool(false),
    ];
    let columns = ["n", "r", "iv", "tags", "num", "f", "raw", "u", "d", "tz", "t", "b"];
    assert_eq!(load(&place, "t", &columns, &[row]).unwrap(), 1);
    let sql = "select row(r, iv, tags, num, f, raw, u, d, tz)::text, t, b from t";
    let found = read(&place, sql);
    assert_eq!(
        found[0][0].as_text().unwrap(),
        "(\"[1,5)\",\"1 day 02:00:00\",\"{\"\"a,b\"\",NULL,\"\"x\\\\\\\\y\"\"}\",1.50,1e-300,\"\\\\x005c0a\",a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,\"0001-12-31 BC\",\"2025-01-02 03:04:05.000006+00\")"
    );
    assert_eq!(found[0][1..], [Value::from("\\N\t\r\n\\"), Value::Bool(false)]);
}

#[test]
fn sqlite_takes_every_cell_and_keeps_its_class() {
    let place = Place::sqlite();
    place.script("create table t (a, b, c, d, e, f, g, h, i, x default 7)");
    let row = vec![
        Cell::Null,
        Cell::Bool(true),
        Cell::Int(i64::MAX),
        Cell::Real(0.1),
        Cell::Text("12"),
        Cell::Bytes(&[0]),
        Cell::Uuid(U),
        Cell::Moment(1_500_000),
        Cell::Day(1),
    ];
    assert_eq!(load(&place, "t", &["a", "b", "c", "d", "e", "f", "g", "h", "i"], &[row]).unwrap(), 1);
    let expected = vec![
        Value::Null,
        Value::Int(1),
        Value::Int(i64::MAX),
        Value::Real(0.1),
        Value::from("12"),
        Value::Blob(vec![0]),
        Value::from("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        Value::from("1970-01-01T00:00:01.500000Z"),
        Value::from("1970-01-02"),
        Value::Int(7),
    ];
    assert_eq!(read(&place, "select * from t"), [expected]);
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_stays() {
    let place = Place::postgres();
    place.script("create table t (i4 int, num numeric(4, 1), vc varchar(3), ok bool check (ok), f real)");
    let cases: [(&str, Cell<'_>, &str); 7] = [
        ("i4", Cell::Int(3_000_000_000), "does not fit column `i4`"),
        ("i4", Cell::Text("1"), "does not fit column `i4`"),
        ("num", Cell::Text("abc"), "does not fit column `num`"),
        ("num", Cell::Text("12345"), "numeric field overflow"),
        ("vc", Cell::Text("long"), "value too long"),
        ("ok", Cell::Bool(false), "violates check constraint"),
        ("f", Cell::Real(1e300), "does not fit column `f`"),
    ];
    for (column, cell, message) in cases {
        let rows = vec![vec![Cell::Null], vec![cell]];
        let error = load(&place, "t", &[column], &rows).unwrap_err();
        assert_eq!(error.class, Class::Data, "{error:?}");
        assert!(error.what.contains(message), "{column}: {}", error.what);
        assert_eq!(read(&place, "select count(*) from t"), [[Value::Int(0)]], "{column}");
    }
    let error = load(&place, "t", &["nothing"], &[]).unwrap_err();
    assert!(error.what.contains("has no column `nothing`"), "{}", error.what);
}

#[test]
fn a_load_that_is_dropped_leaves_nothing_and_the_session_goes_on() {
    both(|place| {
        place.script("create table t (a text)");
        let mut session = place.database().open().unwrap();
        let mut tx = session.begin(&Limits::default()).unwrap();
        let name = if place.is_sqlite() { TableName::bare("t") } else { TableName::within("public", "t") };
        let mut loader = tx.load(&Load { table: &name, columns: &["a".to_owned()] }).unwrap();
        let long = "x".repeat(1_000);
        for _ in 0..1_000 {
            loader.row(&[Cell::Text(&long)]).unwrap();
        }
        drop(loader);
        drop(tx);
        assert_eq!(session.count(&Sql::new("select count(*) from t")).unwrap(), 0);
        let mut tx = session.begin(&Limits::default()).unwrap();
        let mut loader = tx.load(&Load { table: &name, columns: &["a".to_owned()] }).unwrap();
        loader.row(&[Cell::Text(&long)]).unwrap();
        assert_eq!(loader.finish().unwrap(), 1);
        assert_eq!(tx.count(&Sql::new("select count(*) from t")).unwrap(), 1);
        tx.commit().unwrap();
    });
}

#[test]
fn a_trigger_that_leaves_rows_out_is_told() {
    let place = Place::postgres();
    place.script(
        "create table t (a int); create function leave() returns trigger language plpgsql as 'begin return null; end';
         create trigger o before insert on t for each row execute function leave()",
    );
    let error = load(&place, "t", &["a"], &[vec![Cell::Int(1)]]).unwrap_err();
    assert!(error.what.contains("took 0 of 1 rows"), "{}", error.what);
}

#[test]
fn what_is_scanned_is_what_a_query_returns() {
    both(|place| {
        place.script(
            "create table t (n integer primary key, a text, b bigint, c double precision);
             insert into t values (1, 'ä', 9223372036854775807, 0.1), (2, null, -1, null), (3, '', 0, 1e300)",
        );
        let sql = Sql::new("select * from t where n < ").bind(3_i64).text(" order by n");
        let mut facts = place.database().read().unwrap();
        let mut scanned = Vec::new();
        let count = facts.scan(&sql, &mut |row| {
            scanned.push(row.iter().map(|value| value.to_value()).collect::<Vec<_>>());
            Ok(())
        });
        assert_eq!(count.unwrap(), 2);
        assert_eq!(scanned, facts.rows(&sql).unwrap());
        assert!(facts.scan(&Sql::new("delete from t"), &mut |_| Ok(())).is_err());
        let mut seen = 0;
        let stopped = facts.scan(&Sql::new("select * from t"), &mut |row| {
            seen += 1;
            assert_eq!(row[0], Seen::Int(1));
            Err(targets::db::Error::data("enough"))
        });
        assert_eq!((stopped.unwrap_err().what.as_str(), seen), ("enough", 1));
    });
}

#[test]
fn sessions_together_see_one_moment() {
    both(|place| {
        if place.is_sqlite() {
            // In the other journal modes nobody can write while somebody looks.
            place.script("create table u (x)");
            backends_wal(place);
        }
        place.script("create table t (n integer primary key); insert into t values (1), (2)");
        let mut sessions = place.database().together(3).unwrap();
        assert_eq!(sessions.len(), 3);
        place.script("insert into t values (3); delete from t where n = 1");
        for facts in &mut sessions {
            let sql = Sql::new("select n from t order by n");
            assert_eq!(facts.rows(&sql).unwrap(), [[Value::Int(1)], [Value::Int(2)]]);
            assert_eq!(facts.rows(&sql).unwrap().len(), 2);
        }
        drop(sessions);
        assert_eq!(read(place, "select n from t order by n"), [[Value::Int(2)], [Value::Int(3)]]);
    });
}

fn backends_wal(place: &Place) {
    let mut session = place.database().open().unwrap();
    let sql = "pragma journal_mode = wal".to_owned();
    session.perform(&Command::Statement { sql, limits: Limits::default() }).unwrap();
}

#[test]
fn a_moment_is_told_from_those_in_which_something_else_was_there() {
    // W-097
    let kinds: [fn() -> Place; 3] = [Place::sqlite, Place::postgres, || {
        let place = Place::sqlite();
        place.script("create table u (x)");
        backends_wal(&place);
        place
    }];
    for (n, kind) in kinds.iter().enumerate() {
        let place = kind();
        place.script("create table t (n integer primary key); insert into t values (1), (2)");
        let moment = || place.database().together(1).unwrap().remove(0).moment().unwrap().unwrap();
        let first = moment();
        // on a server that others use as well it may change without us
        assert!(!place.is_sqlite() || moment() == first, "nothing was committed");
        let mut seen = vec![first];
        for change in
            ["insert into t values (3)", "update t set n = 4 where n = 3", "delete from t where n = 4"]
        {
            let mut held = place.database().together(1).unwrap();
            let same = held[0].moment().unwrap().as_ref() == seen.last();
            assert!(!place.is_sqlite() || same);
            if n == 0 {
                // in the rollback modes nobody commits while somebody looks
                held.clear();
            }
            place.script(change);
            let now = moment();
            assert!(!seen.contains(&now), "{change} did not change the moment");
            seen.push(now);
        }
        assert!(place.database().read().unwrap().moment().unwrap().is_none());
    }
}

#[test]
fn a_lost_moment_is_not_replaced_by_another_one() {
    let place = Place::postgres();
    place.script("create table t (n int); insert into t values (1)");
    let mut facts = place.database().together(1).unwrap().remove(0);
    assert_eq!(facts.count(&Sql::new("select count(*) from t")).unwrap(), 1);
    assert!(facts.rows(&Sql::new("select nonsense")).is_err());
    let error = facts.rows(&Sql::new("select * from t")).unwrap_err();
    assert!(error.what.contains("moment"), "{}", error.what);
}

#[test]
fn statements_at_once_are_all_done_and_an_error_begins_no_more() {
    both(|place| {
        place.script("create table t (a integer, b integer); insert into t values (1, 2)");
        let sql: Vec<String> = (0..5).map(|n| format!("create index i{n} on t (a, b)")).collect();
        let mut session = place.database().open().unwrap();
        let many = |sql: Vec<String>| Command::Statements { sql, at_once: 3, limits: Limits::default() };
        session.perform(&many(sql)).unwrap();
        assert_eq!(
            session.schema().unwrap().tables.iter().find(|t| t.name.name == "t").unwrap().indexes.len(),
            5
        );
        let wrong = vec!["create index i0 on t (a)".to_owned(), "create index other on t (a)".to_owned()];
        let error = session
            .perform(&Command::Statements { sql: wrong, at_once: 1, limits: Limits::default() })
            .unwrap_err();
        assert!(format!("{error:?}").contains("i0"), "{error:?}");
        let indexes =
            session.schema().unwrap().tables.into_iter().find(|t| t.name.name == "t").unwrap().indexes;
        assert!(!indexes.iter().any(|index| index.name == "other"));
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn random_decimals_arrive_as_the_server_itself_reads_them(
        numbers in proptest::collection::vec("-?[0-9]{0,12}(\\.[0-9]{1,12})?([eE]-?[0-9]{1,2})?", 1..60)
    ) {
        let place = Place::postgres();
        place.script("create table t (n int, a numeric)");
        let numbers: Vec<String> = numbers.into_iter().filter(|text| text.bytes().any(|b| b.is_ascii_digit()) && !text.starts_with(['e', 'E']) && !text.starts_with("-e") && !text.starts_with("-E")).collect();
        let rows: Vec<Vec<Cell>> =
            numbers.iter().enumerate().map(|(n, text)| vec![Cell::Int(n as i64), Cell::Text(text)]).collect();
        load(&place, "t", &["n", "a"], &rows).unwrap();
        let found = read(&place, "select a::text from t order by n");
        for (row, text) in found.iter().zip(&numbers) {
            let own = place.database().read().unwrap().value(&Sql::new("select cast(").bind(text.as_str()).text(" as numeric)::text")).unwrap();
            prop_assert_eq!(&row[0], &own, "{}", text);
        }
    }
}
