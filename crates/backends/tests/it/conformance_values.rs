//! Values survive to the bit: select → bind, and take → put back.

use crate::conformance_take::{put_back, take};
use targets::db::{Limits, Row, Sql, Value};
use testkit::Place;
use testkit::both;

/// Every base type that an issue about lost precision has named, with values at the edges of each.
const EVERY_TYPE: &str = r#"
    create type mood as enum ('sad', 'o''k', 'Happy "quoted"');
    create domain percent as numeric(5, 2) not null check (value between 0 and 100);
    create domain nested as percent;
    create type pair as (a int, b text);
    create type span as range (subtype = float8);
    create collation german (provider = icu, locale = 'de-DE');
    create table v (
      n int primary key,
      i2 int2, i4 int4, i8 int8, o oid,
      num numeric, money_ numeric(12, 3), cash money,
      f4 float4, f8 float8,
      b bool, raw bytea,
      t text, vc varchar(20), ch char(6), nm name, one "char",
      j json, jb jsonb, x xml, jp jsonpath,
      ints int[], texts text[], moods mood[],
      m mood, p nested, c pair, cs pair[],
      r int4range, nr numrange, tr tstzrange, sr span, mr int4multirange,
      d date, ts timestamp, tz timestamptz, ti time, tiz timetz, iv interval,
      u uuid, ip inet, net cidr, mac macaddr,
      bits bit(5), vbits varbit,
      pt point, poly polygon,
      vec tsvector, q tsquery,
      de text collate german,
      lsn pg_lsn, sn txid_snapshot,
      g text generated always as (n::text || '!') stored,
      id int generated always as identity);
    insert into v (n, p) values (0, 0);
    insert into v values (1,
      -32768, -2147483648, -9223372036854775808, 4294967295,
      'NaN', -0.001, '-92233720368547758.08',
      'NaN', 'NaN',
      false, '\x00ff',
      '', '', '', '', 'x',
      '{"a": 1, "a": 1.0, "b" : [ ]}', '{"a": 1.10}', '<a/>', '$.a[*]',
      '{}', '{}', '{}',
      'sad', 0.00, row(null, ''), '{}',
      'empty', '[1.50,2.500)', '(,)', '[-0,1e308]', '{}',
      '-infinity', '-infinity', '-infinity', '00:00', '00:00+15:59', '-1 years -2 mons +3 days -04:05:06.000001',
      '00000000-0000-0000-0000-000000000000', '::1', '10.0.0.0/8', '08:00:2b:01:02:03',
      B'00000', B'',
      '(-0,1e-300)', '((0,0),(1,1))',
      '', '', 'ä', '0/0', '10:20:10,14,15', default, default);
    insert into v values (2,
      32767, 2147483647, 9223372036854775807, 0,
      'Infinity', 123456789.100, '92233720368547758.07',
      '-0', '-0',
      true, '\x',
      E'line\nbreak\ttab \\ " ''', 'ünïcödé 🦀', 'ab', 'Name', '',
      '[1e400]', '[1e400, "\u00e9"]', '<?xml version="1.0"?><a b="c">d&amp;e</a>', 'strict $',
      '{{1,NULL},{3,4}}', '{"",NULL,"NULL","a,b","{"}', '{sad,"Happy \"quoted\""}',
      'Happy "quoted"', 100, row(1, 'a,"b'), array[row(1, 'x')::pair, null],
      '[1,10)', '(,5]', '[2026-01-01 00:00+00,infinity)', '(0.1,0.2)', '{[1,3),[5,8)}',
      'infinity', 'infinity', 'infinity', '24:00', '23:59:59.999999-15:59', '178000000 years',
      'ffffffff-ffff-ffff-ffff-ffffffffffff', '192.168.1.1/24', '::/0', 'ff:ff:ff:ff:ff:ff',
      B'10101', B'1',
      '(NaN,Infinity)', '((0.1,0.2),(0.3,0.4),(5,6))',
      '''a b'':1A c:2', '''x'' & !y | z:*', 'z', 'FFFFFFFF/FFFFFFFF', '10:20:', default, default);
    insert into v values (3,
      0, 0, 0, 1,
      '-Infinity', 0, 0,
      '1.17549435e-38', '5e-324',
      null, decode(repeat('00ff10', 5000), 'hex'),
      repeat('long ', 50000), 'x', '      ', 'n', 'y',
      'null', 'null', 'text only', '$',
      '[0:1]={1,2}', '{a}', '{NULL}',
      'o''k', 99.99, row(0, null), array[null]::pair[],
      '[0,0]', '[-1e10,1e10]', 'empty', 'empty', '{(,)}',
      '0001-01-01 BC', '4713-01-01 00:00:00 BC', '294276-12-31 23:59:59.999999+00', '12:34:56.000001', '12:00+00',
      '1 mon -1 day 00:00:00.1',
      '12345678-9abc-def0-1234-56789abcdef0', 'fe80::1/64', '10.1.2.3/32', '00:00:00:00:00:00',
      B'11111', B'0101',
      '(1,2)', '((0,0))',
      'a:1,2,3', 'a <-> b', '', '1/ABC', '10:10:', default, default);
    insert into v (n, p, num) values (4, 1, 1e-400), (5, 1, 1e400), (6, 1, 10.000), (7, 1, '-0.0')"#;

/// The same for a server of this version: before 14 there are no ranges of several parts, and numerics have no infinity.
fn every_type(place: &Place) -> String {
    if place.version() >= 14 {
        return EVERY_TYPE.to_owned();
    }
    let mut text = EVERY_TYPE.replace("int4multirange", "text");
    for sign in ["", "-"] {
        text = text.replace(&format!("\n      '{sign}Infinity', "), "\n      'NaN', ");
    }
    text
}

fn all(place: &Place, table: &str) -> Vec<String> {
    let sql = format!("set extra_float_digits = 3; select (t.*)::text from {table} t order by n");
    place.rows(&sql).iter().map(|row| row[0].as_text().unwrap().to_owned()).collect()
}

#[test]
fn every_type_survives_reading_and_binding() {
    let place = Place::postgres();
    place.script(&every_type(&place));
    place.script("create table copy (like v including all)");
    let mut session = place.database().open().unwrap();
    let schema = session.schema().unwrap();
    let columns: Vec<&str> = schema.find("v").unwrap().stored().map(|column| column.name.as_str()).collect();
    let select = Sql::new("select ").names("", columns.iter().copied()).text(" from v");
    let rows = session.rows(&select).unwrap();
    assert_eq!(rows.len(), 8);
    let mut tx = session.begin(&Limits::default()).unwrap();
    for row in rows {
        let values: Vec<Sql> = row.into_iter().map(|value| Sql::default().bind(value)).collect();
        let insert = Sql::new("insert into copy (")
            .names("", columns.iter().copied())
            .text(") overriding system value values (")
            .add(&Sql::join(&values, ", "))
            .text(")");
        assert_eq!(tx.execute(&insert).unwrap(), 1);
    }
    tx.commit().unwrap();
    assert_eq!(all(&place, "copy"), all(&place, "v"));
}

#[test]
fn every_type_survives_being_taken_and_put_back() {
    let place = Place::postgres();
    place.script(&every_type(&place));
    let before = place.dump();
    let mut session = place.database().open().unwrap();
    let schema = session.schema().unwrap();
    let table = schema.find("v").unwrap();
    let (taken, undo) = take(&mut *session, table, |_| {});
    assert_eq!((taken.remembered, taken.deleted), (8, 8));
    assert_eq!(put_back(&mut *session, table, &undo), 8);
    assert_eq!(place.dump(), before);
}

#[test]
fn every_type_survives_the_way_out_and_in() {
    // What an archive does: out as plain values or text, in through a cast.
    let place = Place::postgres();
    place.script(&every_type(&place));
    place.script("create table copy (like v including all)");
    let mut session = place.database().open().unwrap();
    let schema = session.schema().unwrap();
    let table = schema.find("v").unwrap();
    let columns: Vec<_> = table.stored().collect();
    let list: Vec<String> = columns.iter().map(|column| session.dialect().outward(column)).collect();
    let rows = session.rows(&Sql::new(&format!("select {} from v as t", list.join(", ")))).unwrap();
    let inserts: Vec<Sql> = rows
        .into_iter()
        .map(|row| {
            assert!(row.iter().all(|value| !matches!(value, Value::Raw { .. })), "{row:?}");
            let values: Vec<Sql> = columns
                .iter()
                .zip(row)
                .map(|(column, value)| session.dialect().inward(column, value))
                .collect();
            Sql::new("insert into copy (")
                .names("", columns.iter().map(|column| column.name.as_str()))
                .text(") overriding system value values (")
                .add(&Sql::join(&values, ", "))
                .text(")")
        })
        .collect();
    let mut tx = session.begin(&Limits::default()).unwrap();
    for insert in &inserts {
        tx.execute(insert).unwrap();
    }
    tx.commit().unwrap();
    assert_eq!(all(&place, "copy"), all(&place, "v"));
}

#[test]
fn a_value_that_was_read_finds_its_row_again() {
    let place = Place::postgres();
    place.script(
        "create type mood as enum ('sad', 'ok');
         create table k (ch char(6), nm name, vc varchar(9), m mood, n numeric, u uuid, tz timestamptz, i2 int2, f4 float4);
         insert into k values ('ab', 'n', 'v', 'ok', 1.10, '12345678-9abc-def0-1234-56789abcdef0', now(), 7, 0.1)",
    );
    let mut facts = place.database().read().unwrap();
    let row = facts.rows(&Sql::new("select * from k")).unwrap().remove(0);
    for (column, value) in ["ch", "nm", "vc", "m", "n", "u", "tz", "i2", "f4"].iter().zip(row) {
        let found = Sql::new("select count(*) from k where ").name(column).text(" = ").bind(value);
        assert_eq!(facts.count(&found).unwrap(), 1, "{column}");
    }
}

#[test]
fn plain_values_survive_on_both_databases() {
    both(|place| {
        let mut facts = place.database().read().unwrap();
        let values: Row = vec![
            Value::Int(i64::MIN),
            Value::Int(i64::MAX),
            Value::Real(-0.0),
            Value::Real(5e-324),
            Value::from(""),
            Value::from("ünï 🦀 '\" \\ \n"),
            Value::Blob(vec![]),
            Value::Blob((0..=255).collect()),
            Value::Null,
        ];
        for value in values {
            let kind = match (&value, place.is_sqlite()) {
                (Value::Int(_), _) => "bigint",
                (Value::Real(_), _) => "double precision",
                (Value::Blob(_), true) => "blob",
                (Value::Blob(_), false) => "bytea",
                _ => "text",
            };
            let sql = Sql::new("select cast(").bind(value.clone()).text(&format!(" as {kind})"));
            let back = facts.value(&sql).unwrap();
            assert_eq!(format!("{back:?}"), format!("{value:?}"));
        }
    });
}

#[test]
fn a_large_result_with_an_enum_streams_to_its_end() {
    // The usual driver waits for itself here for ever.
    let place = Place::postgres();
    place.script(
        "create type mood as enum ('sad', 'ok');
         create table big as select 'ok'::mood as m, repeat('x', 500) as x from generate_series(1, 20000)",
    );
    let mut facts = place.database().read().unwrap();
    let mut seen = 0;
    let count = facts
        .query(&Sql::new("select x, m from big"), &mut |row| {
            assert!(matches!(&row[1], Value::Raw { bytes, .. } if bytes == b"ok"));
            seen += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!((seen, count), (20000, 20000));
}
