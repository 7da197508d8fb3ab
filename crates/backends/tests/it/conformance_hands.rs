//! What workers need of a database: its clock, a right that can be taken from one who sleeps, and announcements that are heard.

use std::time::{Duration, Instant};
use targets::db::{Limits, Session, Sql};
use testkit::{Place, both};

#[test]
fn its_clock_is_the_same_in_a_statement_as_in_what_it_says_of_itself() {
    both(|place| {
        let mut facts = place.database().read().unwrap();
        let clock = facts.dialect().clock_us();
        let before = facts.server().unwrap().clock_us;
        let there = facts.value(&Sql::new("select ").add(&clock)).unwrap().as_int().unwrap();
        let after = facts.server().unwrap().clock_us;
        assert!(before <= there && there <= after, "{before} {there} {after}");
    });
}

#[test]
fn a_right_can_be_taken_from_its_holder_by_name_and_from_nobody_else() {
    both(|place| {
        place.script("create table t (id integer primary key)");
        let database = place.database();
        let (mut first, mut second) = (database.open().unwrap(), database.open().unwrap());
        assert!(!second.end_right("run abc ").unwrap(), "nobody has it");
        assert!(first.try_lock("run abc (process 1)").unwrap());
        assert!(!second.end_right("run xyz ").unwrap(), "another one has it");
        assert!(!second.try_lock("run abc (process 2, attempt 2)").unwrap());
        assert!(second.end_right("run abc ").unwrap());
        let asked = Instant::now();
        while !second.try_lock("run abc (process 2, attempt 2)").unwrap() {
            assert!(asked.elapsed() < Duration::from_secs(60), "it is not free");
        }
        assert!(second.lock_holder().unwrap().unwrap().starts_with("run abc (process 2, attempt 2)"));
        // Whoever had it does not take it away by leaving.
        drop(first);
        let mut third = database.open().unwrap();
        assert!(!third.try_lock("run other").unwrap());
        second.unlock().unwrap();
        assert!(third.try_lock("run other").unwrap());
        third.unlock().unwrap();
        assert_eq!(place.leftovers(), Vec::<String>::new());
    });
}

#[test]
fn what_the_holder_had_begun_is_rolled_back_where_his_session_can_be_ended() {
    let place = Place::postgres();
    place.script("create table t (id integer primary key)");
    let database = place.database();
    let (mut first, mut second) = (database.open().unwrap(), database.open().unwrap());
    assert!(first.try_lock("run abc (process 1)").unwrap());
    let mut tx = first.begin(&Limits::default()).unwrap();
    tx.execute(&Sql::new("insert into t values (1)")).unwrap();
    assert!(second.end_right("run abc ").unwrap());
    let mut other = second.begin(&Limits::default()).unwrap();
    other.execute(&Sql::new("insert into t values (1)")).unwrap();
    other.commit().unwrap();
    assert!(tx.execute(&Sql::new("insert into t values (2)")).is_err());
    drop(tx);
    assert_eq!(second.count(&Sql::new("select count(*) from t")).unwrap(), 1);
}

#[test]
fn what_is_announced_is_heard_after_its_commit_and_nothing_else_is() {
    let place = Place::postgres();
    let database = place.database();
    let mut ear = database.listen("sexton_test").unwrap().unwrap();
    let mut session = database.open().unwrap();
    let say = |session: &mut dyn Session, name: &str, commit: bool| {
        let announce = session.dialect().announce(name).unwrap();
        let mut tx = session.begin(&Limits::default()).unwrap();
        tx.rows(&announce).unwrap();
        if commit {
            tx.commit().unwrap();
        }
    };
    assert!(!ear.wait(Duration::from_millis(20)).unwrap());
    say(session.as_mut(), "sexton_test", false);
    say(session.as_mut(), "sexton_other", true);
    assert!(!ear.wait(Duration::from_millis(50)).unwrap());
    say(session.as_mut(), "sexton_test", true);
    say(session.as_mut(), "sexton_test", true);
    assert!(ear.wait(Duration::from_secs(60)).unwrap());
    while ear.wait(Duration::from_millis(50)).unwrap() {}
    // One who waits is called at once.
    let waiting = std::thread::spawn(move || {
        let began = Instant::now();
        (ear.wait(Duration::from_secs(120)).unwrap(), began.elapsed(), ear)
    });
    std::thread::sleep(Duration::from_millis(100));
    say(session.as_mut(), "sexton_test", true);
    let (heard, took, mut ear) = waiting.join().unwrap();
    assert!(heard && took < Duration::from_secs(30), "{took:?}");
    // A lost connection is an error, not silence.
    place.admin_script(
        "select pg_terminate_backend(pid) from pg_stat_activity where query like 'listen%' and datname = current_database()",
    );
    // What was announced before it may come first.
    let end = loop {
        match ear.wait(Duration::from_secs(30)) {
            Ok(true) => {}
            other => break other,
        }
    };
    assert!(end.is_err());
    let file = Place::sqlite();
    assert!(file.database().listen("sexton_test").unwrap().is_none());
    assert!(file.database().dialect().announce("sexton_test").is_none());
}
