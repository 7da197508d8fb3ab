//! Sessions: what reads cannot write, what is dropped is rolled back, and one at a time maintains.

use std::time::{Duration, Instant};
use targets::db::{Chore, Class, Command, Error, Facts, Limits, Order, Sql, TableName, Vacuuming, Value};
use testkit::both;

#[test]
fn a_reading_session_cannot_write() {
    both(|place| {
        place.script("create table t (id integer primary key); insert into t values (1)");
        let before = place.dump();
        let mut facts = place.database().read().unwrap();
        for sql in [
            "insert into t values (2)",
            "update t set id = 3",
            "delete from t",
            "create table u (id integer)",
            "drop table t",
        ] {
            assert!(facts.rows(&Sql::new(sql)).is_err(), "{sql}");
            assert_eq!(place.dump(), before, "{sql}");
        }
    });
}

#[test]
fn a_reading_session_cannot_be_talked_into_writing() {
    let place = testkit::Place::postgres();
    place.script(
        "create table t (id int); insert into t values (1); create sequence s;
         create function sneak() returns int language plpgsql as
         'begin set default_transaction_read_only = off; delete from t; return 1; end'",
    );
    let before = place.dump();
    let database = place.database();
    let mut sessions: Vec<Box<dyn Facts>> = vec![database.read().unwrap()];
    let session = database.open().unwrap();
    sessions.push(session);
    sessions.push(database.hold().unwrap().unwrap());
    for facts in &mut sessions {
        for sql in [
            "select set_config('default_transaction_read_only', 'off', false)",
            "select set_config('transaction_read_only', 'off', true)",
            "set session characteristics as transaction read write",
            "select sneak()",
            "select nextval('s')",
            "with gone as (delete from t returning 1) select * from gone",
            "select 1; delete from t",
            "commit",
            "delete from t",
        ] {
            let _ = facts.rows(&Sql::new(sql));
            assert_eq!(place.dump(), before, "{sql}");
        }
        assert_eq!(facts.count(&Sql::new("select count(*) from t")).unwrap(), 1);
    }
}

#[test]
fn a_session_that_only_looks_refuses_changes_until_it_may_make_them_again() {
    both(|place| {
        place.script("create table t (id integer primary key); insert into t values (1)");
        let before = place.dump();
        let mut session = place.database().open().unwrap();
        session.only_look(true).unwrap();
        assert_eq!(session.count(&Sql::new("select count(*) from t")).unwrap(), 1);
        assert!(session.begin(&Limits::default()).is_err());
        assert!(session.rows(&Sql::new("delete from t")).is_err());
        assert!(session.list("l", &Sql::new("select id from t"), &["id"]).unwrap().is_none());
        assert_eq!(place.dump(), before);
        session.only_look(false).unwrap();
        let mut tx = session.begin(&Limits::default()).unwrap();
        assert_eq!(tx.execute(&Sql::new("delete from t")).unwrap(), 1);
        tx.commit().unwrap();
        assert_ne!(place.dump(), before);
    });
}

#[test]
fn the_session_of_a_plan_may_go_on_with_the_run_unless_it_was_lost() {
    let place = testkit::Place::postgres();
    place.script("create table t (id integer primary key); insert into t values (1)");
    let database = place.database();
    assert!(database.opens_slowly());
    let backend = |facts: &mut dyn Facts| facts.count(&Sql::new("select pg_backend_pid()")).unwrap();
    let mut facts = database.read().unwrap();
    let number = backend(facts.as_mut());
    let mut session = facts.promote().unwrap();
    assert_eq!(backend(session.as_mut()), number);
    assert!(session.rows(&Sql::new("delete from t")).is_err(), "only inside a transaction");
    let mut tx = session.begin(&Limits::default()).unwrap();
    assert_eq!(tx.execute(&Sql::new("delete from t")).unwrap(), 1);
    tx.commit().unwrap();
    // The server went meanwhile, or somebody ended the session.
    let mut facts = database.read().unwrap();
    let number = backend(facts.as_mut());
    place.script(&format!("select pg_terminate_backend({number})"));
    while session
        .count(&Sql::new(&format!("select count(*) from pg_stat_activity where pid = {number}")))
        .unwrap()
        > 0
    {}
    assert!(facts.promote().is_none());
}

#[test]
fn a_dropped_transaction_is_rolled_back_and_a_committed_one_stays() {
    both(|place| {
        place.script("create table t (id integer primary key)");
        let mut session = place.database().open().unwrap();
        let mut tx = session.begin(&Limits::default()).unwrap();
        assert_eq!(tx.execute(&Sql::new("insert into t values (1), (2)")).unwrap(), 2);
        drop(tx);
        assert_eq!(session.count(&Sql::new("select count(*) from t")).unwrap(), 0);
        let mut tx = session.begin(&Limits::default()).unwrap();
        tx.execute(&Sql::new("insert into t values (1)")).unwrap();
        assert_eq!(tx.count(&Sql::new("select count(*) from t")).unwrap(), 1);
        tx.commit().unwrap();
        assert_eq!(session.count(&Sql::new("select count(*) from t")).unwrap(), 1);
    });
}

#[test]
fn a_failed_transaction_cannot_be_committed() {
    let place = testkit::Place::postgres();
    place.script("create table t (id int primary key)");
    let mut session = place.database().open().unwrap();
    let mut tx = session.begin(&Limits::default()).unwrap();
    tx.execute(&Sql::new("insert into t values (1)")).unwrap();
    tx.execute(&Sql::new("insert into t values (1)")).unwrap_err();
    assert!(tx.commit().is_err());
    assert_eq!(session.count(&Sql::new("select count(*) from t")).unwrap(), 0);
}

#[test]
fn savepoints_are_plain_statements() {
    both(|place| {
        place.script("create table t (id integer primary key)");
        let mut session = place.database().open().unwrap();
        let mut tx = session.begin(&Limits::default()).unwrap();
        for sql in ["savepoint a", "insert into t values (1)"] {
            tx.execute(&Sql::new(sql)).unwrap();
        }
        tx.execute(&Sql::new("insert into t values (1)")).unwrap_err();
        for sql in ["rollback to a", "insert into t values (2)"] {
            tx.execute(&Sql::new(sql)).unwrap();
        }
        tx.commit().unwrap();
        assert_eq!(session.value(&Sql::new("select id from t")).unwrap(), Value::Int(2));
    });
}

#[test]
fn an_error_from_the_reader_ends_the_result_and_leaves_the_session_usable() {
    both(|place| {
        place.script2(
            "create table t (id integer);
             with recursive n (n) as (select 1 union all select n + 1 from n where n < 300000) insert into t select n from n",
            "create table t as select generate_series(1, 300000) as id",
        );
        let mut facts = place.database().read().unwrap();
        let mut seen = 0;
        let error = facts
            .query(&Sql::new("select id from t"), &mut |_| {
                seen += 1;
                if seen == 3 { Err(Error::usage("enough")) } else { Ok(()) }
            })
            .unwrap_err();
        assert_eq!((error.what.as_str(), seen), ("enough", 3));
        assert_eq!(facts.count(&Sql::new("select count(*) from t")).unwrap(), 300_000);
    });
}

#[test]
fn only_one_session_at_a_time_has_the_right_to_maintain() {
    // S1-085, X-06
    both(|place| {
        let database = place.database();
        let mut first = database.open().unwrap();
        let mut second = database.open().unwrap();
        assert_eq!(second.lock_holder().unwrap(), None);
        assert!(first.try_lock("nightly clean-up").unwrap());
        assert!(first.try_lock("nightly clean-up").unwrap(), "it has it already");
        assert!(!second.try_lock("somebody").unwrap());
        let holder = second.lock_holder().unwrap().unwrap();
        assert!(holder.contains("nightly clean-up"), "{holder}");
        first.unlock().unwrap();
        assert!(second.try_lock("somebody").unwrap());
        drop(second);
        // The server needs a moment to notice that a session is gone: the engine polls, and so does this test.
        let begun = Instant::now();
        while !first.try_lock("again").unwrap() {
            assert!(begun.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(2));
        }
        drop(first);
        assert_eq!(place.leftovers(), [""; 0]);
    });
}

#[test]
fn the_right_to_maintain_is_per_database() {
    let (one, other) = (testkit::Place::postgres(), testkit::Place::postgres());
    let (mut a, mut b) = (one.database().open().unwrap(), other.database().open().unwrap());
    assert!(a.try_lock("a").unwrap() && b.try_lock("b").unwrap());
}

#[test]
fn a_session_survives_the_loss_of_its_connection_with_its_right() {
    let place = testkit::Place::postgres();
    place.script("create table t (id int)");
    let mut session = place.database().open().unwrap();
    assert!(session.try_lock("me").unwrap());
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'sexton%' and datname = current_database()";

    let mut tx = session.begin(&Limits::default()).unwrap();
    tx.execute(&Sql::new("insert into t values (1)")).unwrap();
    place.admin_script(cut);
    let error = tx.execute(&Sql::new("insert into t values (2)")).unwrap_err();
    assert_eq!(error.class, Class::Transient, "{error:?}");
    assert_eq!(tx.commit().unwrap_err().class, Class::Transient);

    let mut tx = session.begin(&Limits::default()).unwrap();
    tx.execute(&Sql::new("insert into t values (3)")).unwrap();
    tx.commit().unwrap();
    assert_eq!(session.value(&Sql::new("select array_agg(id)::text from t")).unwrap(), Value::from("{3}"));
    assert!(!place.database().open().unwrap().try_lock("other").unwrap());

    place.admin_script(cut);
    let mut other = place.database().open().unwrap();
    let begun = Instant::now();
    while !other.try_lock("other").unwrap() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(2));
    }
    // The first question after the cut reports it, the next one finds that the right is gone.
    let errors: Vec<Class> =
        (0..2).filter_map(|_| session.begin(&Limits::default()).err()).map(|error| error.class).collect();
    assert_eq!(errors, [Class::Transient, Class::Transient]);
    drop(other);
}

#[test]
fn statements_end_at_their_limit() {
    // W-063
    let place = testkit::Place::postgres();
    let mut session = place.database().open().unwrap();
    let limits = Limits { statement: Duration::from_millis(10), ..Limits::default() };
    let mut tx = session.begin(&limits).unwrap();
    let error = tx.execute(&Sql::new("select pg_sleep(20)")).unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Transient, Some("57014")));
    drop(tx);
    let limits = Limits { statement: Duration::ZERO, ..Limits::default() };
    let mut tx = session.begin(&limits).unwrap();
    let shown = tx.rows(&Sql::new("show statement_timeout")).unwrap();
    assert_eq!(shown, [vec![Value::from("0")]]);
}

#[test]
fn whoever_falls_asleep_in_a_transaction_loses_it_and_may_try_again() {
    // W-069
    let place = testkit::Place::postgres();
    place.script("create table t (id int primary key, n int); insert into t values (1, 0)");
    let change = |n: i64| Sql::new("update t set n = ").bind(n).text(" where id = 1");
    let (mut asleep, mut other) = (place.database().open().unwrap(), place.database().open().unwrap());
    let mut tx = asleep.begin(&Limits { idle: Duration::from_secs(3), ..Limits::default() }).unwrap();
    tx.execute(&change(1)).unwrap();
    let patience = Duration::from_secs(60);
    let mut next = other.begin(&Limits { lock: patience, statement: patience, ..Limits::default() }).unwrap();
    next.execute(&change(2)).unwrap();
    next.commit().unwrap();
    assert_eq!(tx.commit().unwrap_err().class, Class::Transient);
    let mut tx = asleep.begin(&Limits::default()).unwrap();
    tx.execute(&change(3)).unwrap();
    tx.commit().unwrap();
    assert_eq!(place.rows("select n::text from t"), [vec![Value::from("3")]]);
    // A session that served such a one waits as long as ever in the next.
    let mut tx = asleep.begin(&Limits::default()).unwrap();
    let shown = tx.rows(&Sql::new("show idle_in_transaction_session_timeout")).unwrap();
    assert_eq!(shown, [vec![Value::from("5min")]]);
}

fn vacuum(table: Option<TableName>) -> Chore {
    let how = Vacuuming { skip_locked: true, ..Vacuuming::default() };
    Chore::Vacuum { table, how }
}

fn chore(chore: Chore) -> Command {
    Command::Upkeep(Order { chore, limits: Limits::default() })
}

#[test]
fn commands_say_what_they_ran() {
    both(|place| {
        place.script("create table t (id integer primary key); insert into t values (1), (2); delete from t");
        let name = if place.is_sqlite() { TableName::bare("t") } else { TableName::within("public", "t") };
        let mut session = place.database().open().unwrap();
        let analyzed = session.perform(&chore(Chore::Analyze { table: Some(name.clone()) })).unwrap();
        assert!(analyzed.statement.to_lowercase().starts_with("analyze"), "{analyzed:?}");
        session.perform(&chore(vacuum(Some(name)))).unwrap();
        session.perform(&chore(vacuum(None))).unwrap();
        session.perform(&Command::Checkpoint).unwrap();
    });
}

#[test]
fn a_vacuum_passes_over_a_table_that_somebody_holds_and_says_so() {
    let place = testkit::Place::postgres();
    place.script("create table t (id int)");
    let database = place.database();
    let mut other = database.open().unwrap();
    let mut holding = other.begin(&Limits::default()).unwrap();
    holding.execute(&Sql::new("lock table t in share mode")).unwrap();
    let mut session = database.open().unwrap();
    let performed = session.perform(&chore(vacuum(Some(TableName::within("public", "t"))))).unwrap();
    assert!(performed.passed_over, "{performed:?}");
    drop(holding);
}

#[test]
fn the_pulse_shows_others_and_not_us() {
    let place = testkit::Place::postgres();
    place.script("create table t (id int); insert into t values (1)");
    let mut facts = place.database().read().unwrap();
    let calm = facts.pulse().unwrap();
    assert_eq!((calm.oldest, calm.replica_lag_ms), (None, None));
    assert_eq!(calm.free_disk_bytes, None, "an ordinary role may not know where the data lie");

    let url = targets::db::Url::parse(&place.url()).unwrap();
    std::thread::scope(|scope| {
        let script = "begin; update t set id = 2; select pg_sleep(100)";
        let begun = Instant::now();
        let working = scope.spawn(|| backends::testing::script(&url, script));
        let oldest = loop {
            let pulse = facts.pulse().unwrap();
            // Before the update has run, the statement that is shown is another one of the same script.
            if let Some(oldest) = pulse.oldest.filter(|_| pulse.active_sessions > Some(0)) {
                break oldest;
            }
            assert!(begun.elapsed() < Duration::from_secs(60));
        };
        assert!(oldest.query.contains("pg_sleep") && oldest.state == "active", "{oldest:?}");
        assert!(oldest.seconds <= begun.elapsed().as_secs_f64() && oldest.blocked_by.is_empty());
        place.admin_script(&format!("select pg_terminate_backend({})", oldest.pid));
        assert!(working.join().unwrap().is_err());
    });
    let admin = place.admin_database().read().unwrap().pulse().unwrap();
    assert!(admin.free_disk_bytes.unwrap() > 0);
}

#[test]
fn who_writes_beside_us_is_seen_at_the_second_look() {
    let place = testkit::Place::postgres();
    place.script("create table t (id int)");
    let mut session = place.database().open().unwrap();
    let mut application = place.connect();
    application.script("insert into t values (1)").unwrap();
    // Somebody is at work all the time: whoever did something two seconds ago counts no more.
    let mut busy = place.connect();
    let working = std::thread::spawn(move || busy.script("select pg_sleep(300)"));
    let at_work = "from pg_stat_activity where datname = current_database() and state = 'active'
        and query = 'select pg_sleep(300)'";
    let begun = Instant::now();
    while place.rows(&format!("select 1 {at_work}")).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    let first = session.pulse().unwrap();
    assert_eq!((first.in_use, first.alone), (None, false), "whoever is connected may write or not");
    let mut tx = session.begin(&Limits::default()).unwrap();
    tx.execute(&Sql::new("insert into t values (2)")).unwrap();
    tx.commit().unwrap();
    application.script("insert into t values (3)").unwrap();
    let second = session.pulse().unwrap();
    assert_eq!((second.in_use, second.alone), (Some(true), false));
    place.script(&format!("select pg_terminate_backend(pid) {at_work}"));
    assert!(working.join().unwrap().is_err());
}

#[test]
fn a_held_session_sees_the_present_and_keeps_the_past_from_being_cleaned_away() {
    let place = testkit::Place::sqlite();
    assert!(place.database().hold().unwrap().is_none(), "nothing is cleaned there");
    let place = testkit::Place::postgres();
    place.script("create table t (id int) with (autovacuum_enabled = off); insert into t select generate_series(1, 10)");
    let mut held = place.database().hold().unwrap().unwrap();
    place.script("delete from t where id > 3");
    let count = Sql::new("select count(*) from t");
    assert_eq!(held.count(&count).unwrap(), 3, "it sees what was done since");
    let place_of = |id: i64| {
        place.admin_script("vacuum t");
        place.script(&format!("insert into t values ({id})"));
        let newest = Sql::new(&format!("select (ctid::text::point)[1]::bigint from t where id = {id}"));
        place.database().read().unwrap().count(&newest).unwrap()
    };
    assert_eq!(place_of(11), 11, "no place is free while it is held");
    assert!(held.count(&Sql::new("select count(*) from nowhere")).is_err());
    assert_eq!(held.count(&count).unwrap(), 4, "an error lets go, and it still answers");
    place.wait_until_the_dead_may_go();
    assert_eq!(place_of(12), 4);
}

#[test]
fn what_may_come_later_is_there_in_its_order_and_fails_with_what_comes_after_it() {
    both(|place| {
        place.script("create table t (id integer primary key)");
        let database = place.database();
        let mut session = database.open().unwrap();
        let rows = |session: &mut dyn Facts| session.count(&Sql::new("select count(*) from t")).unwrap();
        let mut tx = session.begin(&Limits::default()).unwrap();
        tx.later(Sql::new("insert into t values (").bind(1_i64).text(")")).unwrap();
        assert_eq!(tx.count(&Sql::new("select count(*) from t")).unwrap(), 1);
        tx.later(Sql::new("insert into t values (2)")).unwrap();
        tx.later(Sql::new("update t set id = 3 where id = 2")).unwrap();
        tx.commit().unwrap();
        assert_eq!(session.count(&Sql::new("select count(*) from t where id in (1, 3)")).unwrap(), 2);
        // At the latest the commit tells, and nothing of it is in.
        let mut tx = session.begin(&Limits::default()).unwrap();
        let outcome = tx
            .later(Sql::new("insert into t values (4)"))
            .and_then(|()| tx.later(Sql::new("insert into t values (1)")))
            .and_then(|()| tx.later(Sql::new("insert into t values (5)")))
            .and_then(|()| tx.commit());
        assert_eq!(outcome.unwrap_err().class, Class::Data);
        assert_eq!(rows(session.as_mut()), 2);
        // Dropped, it was never sent.
        let mut tx = session.begin(&Limits::default()).unwrap();
        tx.later(Sql::new("insert into t values (6)")).unwrap();
        drop(tx);
        assert_eq!(rows(session.as_mut()), 2);
        let mut tx = session.begin(&Limits::default()).unwrap();
        tx.later(Sql::new("insert into t values (7)")).unwrap();
        tx.commit_soon().unwrap();
        assert_eq!(rows(session.as_mut()), 3);
    });
}
