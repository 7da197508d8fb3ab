//! Sessions that are kept: how many, for how long, what is left of whoever had them before, and who waits for whom.

use backends::postgres::{Keep, Pool, Postgres};
use std::sync::Arc;
use std::time::{Duration, Instant};
use targets::db::{Class, Database, Limits, Sql, Url};
use testkit::Place;

const KEEP: Keep = Keep {
    min: 5,
    size: 20,
    overflow: 30,
    wait: Duration::from_millis(300),
    recycle: Duration::from_secs(3600),
};

fn pooled(place: &Place, keep: Keep) -> (Arc<Pool>, Postgres) {
    let url = Url::parse(&place.url()).unwrap();
    let pool = Pool::new("test", &url, keep).unwrap();
    (Arc::clone(&pool), Postgres::new("test", url).with_sessions_of(Some(pool)))
}

/// How many sessions of ours the server has.
fn there(place: &Place) -> i64 {
    let ours = "select count(*) from pg_stat_activity where datname = current_database() and application_name like 'sexton%'";
    number(place, ours)
}

fn number(place: &Place, sql: &str) -> i64 {
    place.rows(sql)[0][0].as_text().unwrap().parse().unwrap()
}

/// A session that ends is gone from the server a moment later.
fn soon(place: &Place, number: i64) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        if there(place) == number {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(there(place), number);
}

#[test]
fn some_are_open_from_the_start_more_are_kept_and_the_last_one_waits_in_vain() {
    // S4-050, S4-051, S4-056, X-24
    let place = Place::postgres();
    let (pool, database) = pooled(&place, KEEP);
    assert!(pool.fill().unwrap() > 50);
    assert_eq!((pool.open(), there(&place)), ((5, 0), 5));
    let held: Vec<_> = (0..50).map(|_| database.read().unwrap()).collect();
    assert_eq!((pool.open(), there(&place)), ((0, 50), 50));
    let began = Instant::now();
    let refused = database.open().err().unwrap();
    assert!(began.elapsed() >= KEEP.wait, "{:?}", began.elapsed());
    assert_eq!(refused.class, Class::Transient);
    assert!(refused.to_string().contains("all 50 sessions to `test` are in use"), "{refused}");
    assert!(refused.help.is_some_and(|help| help.contains("`[pool]`")));
    drop(held);
    assert_eq!(pool.open(), (20, 0), "no more are kept than was said");
    soon(&place, 20);
}

#[test]
fn whoever_waits_gets_what_is_given_back() {
    // S4-050
    let place = Place::postgres();
    // So long that the one who waits does so still when the other one is done.
    let (_, database) =
        pooled(&place, Keep { min: 0, size: 1, overflow: 0, wait: Duration::from_secs(20), ..KEEP });
    let freed = database.read().unwrap();
    let waited = std::thread::scope(|scope| {
        let waiting =
            scope.spawn(|| database.open().map(|mut session| session.count(&Sql::new("select 7")).unwrap()));
        std::thread::sleep(Duration::from_millis(50));
        drop(freed);
        waiting.join().unwrap()
    });
    assert_eq!(waited.unwrap(), 7);
}

#[test]
fn whoever_comes_next_finds_nothing_of_the_one_before() {
    // S4-050
    let place = Place::postgres();
    place.script("create table t (id integer primary key)");
    let (pool, database) = pooled(&place, Keep { min: 1, ..KEEP });
    pool.fill().unwrap();
    let process =
        |facts: &mut dyn targets::db::Facts| facts.count(&Sql::new("select pg_backend_pid()")).unwrap();
    let mut first = database.open().unwrap();
    let own = process(first.as_mut());
    assert!(first.try_lock("a test").unwrap());
    let mut tx = first.begin(&Limits::default()).unwrap();
    tx.execute(&Sql::new("create temporary table mine (id integer)")).unwrap();
    tx.execute(&Sql::new("insert into t values (1)")).unwrap();
    drop(tx);
    let mut tx = first.begin(&Limits::default()).unwrap();
    tx.execute(&Sql::new("create temporary table mine (id integer)")).unwrap();
    tx.commit().unwrap();
    drop(first);

    let mut reader = database.read().unwrap();
    assert_eq!(process(reader.as_mut()), own, "the same session");
    assert_eq!(reader.count(&Sql::new("select count(*) from t")).unwrap(), 0);
    assert_eq!(reader.count(&Sql::new("select count(*) from pg_class where relname = 'mine'")).unwrap(), 0);
    let locks = "select count(*) from pg_locks where locktype = 'advisory'";
    assert_eq!(reader.count(&Sql::new(locks)).unwrap(), 0);
    assert!(reader.rows(&Sql::new("insert into t values (2) returning id")).is_err(), "it only reads");
    drop(reader);
    let mut writer = database.open().unwrap();
    assert_eq!(process(writer.as_mut()), own, "and now it may write");
    let mut tx = writer.begin(&Limits::default()).unwrap();
    tx.execute(&Sql::new("insert into t values (3)")).unwrap();
    tx.commit().unwrap();
    assert_eq!(number(&place, "select id from t"), 3);
    // one that looks at one moment ends its transaction before it goes on
    drop(writer);
    drop(database.together(2).unwrap());
    let idle =
        "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in%'";
    assert_eq!(number(&place, idle), 0);
}

#[test]
fn what_is_too_old_or_was_ended_is_not_handed_out() {
    // S4-050
    let place = Place::postgres();
    let (pool, database) = pooled(&place, Keep { min: 2, recycle: Duration::from_millis(200), ..KEEP });
    pool.fill().unwrap();
    let mut all: Vec<i64> = Vec::new();
    for _ in 0..2 {
        let mut one = database.read().unwrap();
        all.push(one.count(&Sql::new("select pg_backend_pid()")).unwrap() as i64);
        drop(one);
        std::thread::sleep(Duration::from_millis(250));
    }
    assert_ne!(all[0], all[1]);
    let (pool, database) = pooled(&place, KEEP);
    pool.fill().unwrap();
    place.admin_script(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'sexton%' and datname = current_database()",
    );
    soon(&place, 0);
    assert_eq!(database.read().unwrap().count(&Sql::new("select 1")).unwrap(), 1);
    let gone = Pool::new("gone", &Url::parse("postgres://nobody@127.0.0.1:1/x").unwrap(), KEEP).unwrap();
    assert!(gone.fill().is_err());
    assert_eq!(gone.open(), (0, 0));
}
