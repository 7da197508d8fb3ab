//! Errors: sorted by what to do, one lowercase fragment, with something to type where it helps.

use targets::db::{Class, Database, Limits, Sql, Url};
use testkit::Place;
use testkit::both;

fn failing(place: &Place, sql: &str) -> targets::db::Error {
    let mut session = place.database().open().unwrap();
    let mut tx = session.begin(&Limits::default()).unwrap();
    tx.execute(&Sql::new(sql)).unwrap_err()
}

#[test]
fn what_the_data_refuse_and_what_is_wrong_are_told_apart() {
    both(|place| {
        place.script(
            "create table p (id integer primary key, n integer not null check (n > 0)); insert into p values (1, 1)",
        );
        for (sql, class) in [
            ("insert into p values (1, 1)", Class::Data),
            ("insert into p values (2, null)", Class::Data),
            ("insert into p values (2, 0)", Class::Data),
            ("insert into nowhere values (1)", Class::Usage),
            ("select nothing from p", Class::Usage),
            ("selec 1", Class::Usage),
        ] {
            let error = failing(place, sql);
            assert_eq!(error.class, class, "{sql}: {error:?}");
            assert!(!error.what.starts_with(char::is_uppercase) && !error.what.ends_with('.'), "{error}");
        }
    });
}

#[test]
fn the_classes_of_postgresql() {
    let place = Place::postgres();
    place.script(
        "create table p (id int primary key); create table c (id int references p);
         insert into p values (1); insert into c values (1);
         create function refuse() returns trigger language plpgsql as 'begin raise exception ''Not this one''; end';
         create trigger refuse before delete on c execute function refuse()",
    );
    place.admin_script("create table secret (id int)");
    for (sql, class, code) in [
        ("delete from p", Class::Data, "23503"),
        ("select 1 / 0", Class::Data, "22012"),
        ("select 'x'::int", Class::Data, "22P02"),
        ("delete from c", Class::Data, "P0001"),
        ("delete from secret", Class::System, "42501"),
        ("select 1; select 2", Class::Usage, "42601"),
        ("copy p from stdin", Class::Transient, "57014"),
    ] {
        let error = failing(&place, sql);
        assert_eq!((error.class, error.code.as_deref()), (class, Some(code)), "{sql}: {error:?}");
    }
    assert!(failing(&place, "delete from secret").help.unwrap().contains("grant"));
    assert!(failing(&place, "delete from c").what.contains("not this one"));
}

#[test]
fn a_deadlock_is_worth_another_try() {
    let place = Place::postgres();
    place.script("create table t (id int); insert into t values (1), (2)");
    let database = place.database();
    let gate = std::sync::Barrier::new(2);
    let work = |first: i64, second: i64| {
        let mut session = database.open().unwrap();
        let limits = Limits { lock: std::time::Duration::from_secs(20), ..Limits::default() };
        let mut tx = session.begin(&limits).unwrap();
        let touch = |id: i64| Sql::new("update t set id = id where id = ").bind(id);
        tx.execute(&touch(first)).unwrap();
        gate.wait();
        tx.execute(&touch(second)).err().map(|error| {
            assert_eq!(error.code.as_deref(), Some("40P01"));
            error.class
        })
    };
    let classes: Vec<Option<Class>> = std::thread::scope(|scope| {
        let work = &work;
        let one = scope.spawn(move || work(1, 2));
        let other = scope.spawn(move || work(2, 1));
        vec![one.join().unwrap(), other.join().unwrap()]
    });
    assert_eq!(classes.iter().flatten().collect::<Vec<_>>(), [&Class::Transient]);
}

#[test]
fn nobody_there_no_such_database_and_no_such_user_are_matters_for_a_person() {
    let place = Place::postgres();
    let url = place.url();
    let socket = url.split("host=").nth(1).unwrap();
    for (url, part) in [
        (format!("postgres://app@/nowhere?host={socket}"), "does not exist"),
        (format!("postgres://nobody_here@/postgres?host={socket}"), "does not exist"),
        ("postgres://app@/app?host=/tmp/no-such-folder".to_owned(), "no connection to the server"),
        ("postgres://app:s3cret@127.0.0.1:1/app".to_owned(), "no connection to the server"),
        ("postgres://app:s3cret@no-such-host.invalid/app".to_owned(), "no connection to the server"),
    ] {
        let database = backends::postgres::Postgres::new("main", Url::parse(&url).unwrap());
        let error = database.read().err().unwrap();
        assert_eq!(error.class, Class::System, "{error:?}");
        assert!(
            error.what.contains(part) && error.what.contains("`main`") && error.help.is_some(),
            "{error:?}"
        );
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
}
