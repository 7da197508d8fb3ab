//! Values survive the way out and in, bit by bit.

use crate::sqlite_kit::*;
use targets::db::{Database, Limits, Sql, Value};

fn samples() -> Vec<Value> {
    vec![
        Value::Null,
        Value::Int(0),
        Value::Int(i64::MIN),
        Value::Int(i64::MAX),
        Value::Real(0.1),
        Value::Real(-0.0),
        Value::Real(1.0),
        Value::Real(f64::MIN_POSITIVE / 3.0),
        Value::Real(f64::INFINITY),
        Value::Text(String::new()),
        Value::Text("1".into()),
        Value::Text("größe\0behind a NUL, 名前 'quoted'".into()),
        Value::BrokenText(vec![0xff, 0xfe, b'a', 0, 0xc3]),
        Value::Blob(vec![]),
        Value::Blob((0..=255).collect()),
        Value::Blob(vec![7; 300_000]),
    ]
}

#[test]
fn every_value_comes_back_as_it_was_bound() {
    let kit = Kit::new("create table t (id integer primary key, v)");
    let mut session = kit.open();
    let mut tx = session.begin(&Limits::default()).unwrap();
    for value in samples() {
        tx.execute(&Sql::new("insert into t (v) values (").bind(value).text(")")).unwrap();
    }
    tx.commit().unwrap();
    let back: Vec<Value> =
        session.rows(&Sql::new("select v from t order by id")).unwrap().into_iter().flatten().collect();
    assert_eq!(back, samples());
    assert!(matches!(back[5], Value::Real(zero) if zero.is_sign_negative()));
    // broken text is text to the database, not bytes
    assert_eq!(kit.dump("select typeof(v), length(cast(v as blob)) from t where id = 13")[0][0].1, b"text");
}

#[test]
fn values_of_the_other_database_are_refused_with_a_remedy() {
    let kit = Kit::new("create table t (v)");
    let sql = Sql::new("select ").bind(Value::Raw { type_id: 869, bytes: vec![1] });
    let error = kit.database().read().unwrap().rows(&sql).unwrap_err();
    assert!(error.to_string().contains("869") && error.help.is_some());
}

#[test]
fn an_error_of_the_reader_ends_the_stream() {
    let kit = Kit::new("create table t (v); insert into t values (1), (2), (3)");
    let mut seen = 0;
    let error = kit
        .database()
        .read()
        .unwrap()
        .query(&Sql::new("select v from t"), &mut |_| {
            seen += 1;
            if seen == 2 { Err(targets::db::Error::data("enough")) } else { Ok(()) }
        })
        .unwrap_err();
    assert_eq!((seen, error.to_string().as_str()), (2, "enough"));
}
