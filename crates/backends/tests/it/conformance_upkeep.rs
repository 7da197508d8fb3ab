//! What a database needs for its own upkeep, and the chores that give it.

use std::time::{Duration, Instant};
use targets::db::{
    Chore, Command, Limits, Order, Performed, PinKind, Session, Sql, TableName, TableUpkeep, Upkeep,
    Vacuuming,
};
use testkit::{Place, both};

fn name(place: &Place, name: &str) -> TableName {
    if place.is_sqlite() { TableName::bare(name) } else { TableName::within("public", name) }
}

fn order(session: &mut dyn Session, chore: Chore) -> Performed {
    try_order(session, chore).unwrap_or_else(|error| panic!("{error:?}"))
}

fn try_order(session: &mut dyn Session, chore: Chore) -> targets::db::Result<Performed> {
    let limits = Limits { lock: Duration::from_millis(200), statement: Duration::ZERO, ..Limits::default() };
    session.perform(&Command::Upkeep(Order { chore, limits }))
}

fn look(place: &Place) -> Upkeep {
    place.database().read().unwrap().upkeep(None).unwrap()
}

const ROWS: &str = "create table t (id integer primary key, a text); create index t_a on t (a);";

fn filled(place: &Place, rows: u32) {
    place.script2(
        &format!("{ROWS} insert into t with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows}) select i, 'text ' || i from n"),
        &format!("{ROWS} alter table t set (autovacuum_enabled = false); insert into t select i, 'text ' || i from generate_series(1, {rows}) i; reindex table t"),
    );
}

#[test]
fn tables_and_indexes_tell_what_they_need() {
    // S1-013, S1-074
    both(|place| {
        filled(place, 2_000);
        let mut session = place.database().open().unwrap();
        order(session.as_mut(), Chore::Analyze { table: Some(name(place, "t")) });
        place.script("delete from t where id <= 1500");
        place.wait_for_figures();
        let found = look(place);
        let table = found.tables.iter().find(|table| table.name == name(place, "t")).unwrap();
        assert!(table.may, "{table:?}");
        let index = found.indexes.iter().find(|index| index.name.name == "t_a").unwrap();
        assert_eq!((&index.table, index.valid, &index.left_by), (&name(place, "t"), true, &None));
        let only = place.database().read().unwrap().upkeep(Some(&name(place, "t"))).unwrap();
        // the age grows with every transaction of the whole server
        let [of_one] = only.tables.as_slice() else { panic!("one table was asked for: {only:?}") };
        assert_eq!(TableUpkeep { age: table.age, ..of_one.clone() }, *table);
        if place.is_sqlite() {
            let file = found.file.unwrap();
            assert!(file.pages > 10 && file.free_pages > 5 && file.page_size >= 512, "{file:?}");
            assert!(found.views.is_none());
            return;
        }
        assert!(table.neglected);
        assert_eq!((table.rows, table.dead), (2_000.0, 1_500.0));
        assert_eq!(table.dead_limit, 50.0 + 0.2 * 2_000.0);
        let by_inserts = place.version() >= 13;
        assert_eq!(table.insert_limit, by_inserts.then_some(1_000.0 + 0.2 * 2_000.0));
        assert_eq!((table.changed, table.change_limit), (1_500.0, 50.0 + 0.1 * 2_000.0));
        assert!(table.age > 0.0 && table.age_limit == 200_000_000.0, "{table:?}");
        assert!(
            index.bloat_percent.is_some_and(|share| share < 20.0),
            "nothing is deleted from it yet: {index:?}"
        );
        assert!(table.bytes > 50_000 && table.index_bytes > 50_000 && table.analyzed_us.is_some());
        place.wait_until_the_dead_may_go();
        order(session.as_mut(), Chore::Vacuum { table: Some(name(place, "t")), how: Vacuuming::default() });
        place.wait_for_figures();
        let after = look(place).tables.into_iter().find(|table| table.name.name == "t").unwrap();
        assert_eq!((after.dead, after.vacuumed_us.is_some()), (0.0, true));
        // Three quarters of it are gone; an exact look would say 75 less what its pages keep free.
        order(session.as_mut(), Chore::Analyze { table: Some(name(place, "t")) });
        let found = look(place);
        let index = found.indexes.iter().find(|index| index.name.name == "t_a").unwrap();
        assert!(index.bloat_percent.is_some_and(|share| (50.0..90.0).contains(&share)), "{index:?}");
    });
}

#[test]
fn indexes_are_built_anew_and_statistics_made() {
    // S1-015, S1-016, S0-089
    both(|place| {
        filled(place, 500);
        let mut session = place.database().open().unwrap();
        let node = |found: &Upkeep| found.indexes.iter().find(|index| index.name.name == "t_a").unwrap().node;
        let before = node(&look(place));
        let index = name(place, "t_a");
        let done = order(session.as_mut(), Chore::Reindex { index, concurrently: true });
        assert!(done.statement.starts_with("reindex"), "{done:?}");
        assert!(done.others_waited.is_some());
        assert!(place.is_sqlite() || node(&look(place)) != before);
        assert!(place.is_sqlite() != place.database().dialect().spell(&Chore::Optimize).statement.is_none());
        if place.is_sqlite() {
            assert!(look(place).tables[0].wants_statistics.unwrap(), "{:?}", look(place));
            order(session.as_mut(), Chore::Optimize);
            assert_eq!(look(place).tables[0].wants_statistics, Some(false));
            assert!(look(place).file.unwrap().has_statistics);
            assert_eq!(place.rows("pragma integrity_check")[0][0].as_text(), Some("ok"));
        }
        let gone = name(place, "nothing_of_this_name");
        assert!(try_order(session.as_mut(), Chore::Reindex { index: gone, concurrently: true }).is_err());
    });
}

#[test]
fn a_file_is_given_back_bit_by_bit_and_its_log_cut_off() {
    // S1-014, X-15
    let place = Place::sqlite();
    place.script("pragma auto_vacuum = incremental; vacuum; pragma journal_mode = wal");
    filled(&place, 20_000);
    place.script("delete from t");
    let mut session = place.database().open().unwrap();
    let free = look(&place).file.unwrap().free_pages;
    order(session.as_mut(), Chore::GiveBack { pages: 7 });
    assert_eq!(look(&place).file.unwrap().free_pages, free - 7);
    // Somebody who reads keeps the log; he is known, and the cut waits no longer than it may.
    let mut reader = place.connect();
    reader.script("begin; select count(*) from t").unwrap();
    place.script("insert into t values (1, 'one')");
    let kept = order(session.as_mut(), Chore::ShortenLog);
    assert!(kept.passed_over, "{kept:?}");
    reader.script("commit").unwrap();
    let cut = order(session.as_mut(), Chore::ShortenLog);
    assert!(!cut.passed_over);
    assert_eq!(look(&place).file.unwrap().log_bytes, Some(0));
}

#[test]
fn what_keeps_dead_rows_is_told_with_what_lets_go() {
    // S1-070
    let place = Place::postgres();
    filled(&place, 10);
    let mut other = place.connect();
    other.script("begin isolation level repeatable read").unwrap();
    other.integers("select count(*) from t").unwrap();
    place.script("update t set a = 'x'");
    let found = look(&place);
    let pin = found.pins.iter().find(|pin| pin.about.contains("select count(*) from t")).unwrap();
    assert_eq!(pin.kind, PinKind::Session);
    assert!(
        pin.age >= 1.0 && pin.seconds.is_some() && pin.release.contains("pg_terminate_backend"),
        "{pin:?}"
    );
}

#[test]
fn views_tell_whether_they_can_be_filled_beside_their_readers() {
    // S1-028, W-051
    let place = Place::postgres();
    filled(&place, 10);
    place.script(
        "create materialized view first as select id, a from t;
         create unique index first_id on first (id);
         create view between as select id from first;
         create materialized view second as select count(*) from between;
         create unique index second_part on first (id) where id > 5;
         create materialized view empty as select 1 as one with no data",
    );
    let views = look(&place).views.unwrap();
    let of = |wanted: &str| views.iter().find(|view| view.name.name == wanted).unwrap();
    assert_eq!(of("first").unique.as_deref(), Some("first_id"));
    assert_eq!((of("second").unique.as_deref(), &of("second").reads), (None, &vec![name(&place, "first")]));
    assert_eq!((of("first").populated, of("empty").populated), (true, false));
    let mut session = place.database().open().unwrap();
    place.script("insert into t values (11, 'eleven')");
    order(session.as_mut(), Chore::Refresh { view: name(&place, "first"), concurrently: true });
    order(session.as_mut(), Chore::Refresh { view: name(&place, "empty"), concurrently: false });
    assert_eq!(session.count(&Sql::new("select count(*) from first")).unwrap(), 11);
}

#[test]
fn those_who_wait_for_a_chore_are_seen() {
    // S1-015
    let place = Place::postgres();
    filled(&place, 10);
    let mut holding = place.connect();
    let (mut reader, mut eye) = (place.connect(), place.connect());
    holding.script("begin; select count(*) from t").unwrap();
    // A full vacuum waits for him who reads, and whoever comes after waits for the vacuum.
    let mut session = place.database().open().unwrap();
    let full = Vacuuming { full: true, ..Vacuuming::default() };
    let limits = Limits { lock: Duration::from_secs(60), statement: Duration::ZERO, ..Limits::default() };
    let mut until = move |what: &str| {
        let begun = Instant::now();
        while eye.integers(what).unwrap() == [0] {
            assert!(begun.elapsed() < Duration::from_secs(40), "{what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let waits_for = |mode: &str| {
        format!(
            "select count(*) from pg_locks where not granted and mode = '{mode}' and relation = 't'::regclass
             and database = (select oid from pg_database where datname = current_database())"
        )
    };
    let begun = Instant::now();
    let done = std::thread::scope(|scope| {
        scope.spawn(move || {
            until(&waits_for("AccessExclusiveLock"));
            scope.spawn(move || reader.integers("select count(*) from t").unwrap());
            until(&waits_for("AccessShareLock"));
            // Whoever looks at those who wait has a connection of its own, and has looked once by then.
            until(
                "select count(*) from pg_stat_activity where datname = current_database()
                 and application_name like 'sexton%' and (query = 'commit' or query like '%pg_blocking_pids(l.pid)%')",
            );
            std::thread::sleep(Duration::from_millis(500));
            holding.script("commit").unwrap();
        });
        let table = Some(name(&place, "t"));
        session.perform(&Command::Upkeep(Order { chore: Chore::Vacuum { table, how: full }, limits }))
    })
    .unwrap();
    let waited = done.others_waited.unwrap();
    assert!(waited > Duration::from_millis(200) && waited < begun.elapsed(), "{waited:?}");
}

#[test]
fn a_rebuild_that_died_leaves_what_is_known_as_such() {
    // W-049
    let place = Place::postgres();
    filled(&place, 10);
    let mut other = place.connect();
    other.script("begin; insert into t values (100, 'x')").unwrap();
    let mut session = place.database().open().unwrap();
    let index = name(&place, "t_a");
    // It waits for the one who writes, and gives up.
    let failed = try_order(session.as_mut(), Chore::Reindex { index: index.clone(), concurrently: true });
    assert!(failed.is_err());
    other.script("rollback").unwrap();
    let found = look(&place);
    let left: Vec<&TableName> =
        found.indexes.iter().filter(|one| one.left_by == Some(index.clone())).map(|one| &one.name).collect();
    assert_eq!(left.len(), 1, "{:?}", found.indexes);
    order(session.as_mut(), Chore::DropIndex { index: left[0].clone() });
    assert!(look(&place).indexes.iter().all(|one| one.valid));
}

#[test]
fn a_table_tells_what_stands_in_the_way_of_making_it_smaller() {
    // S1-073
    both(|place| {
        filled(place, 5_000);
        place.script("delete from t where id > 1000");
        let table = look(place).tables[0].name.clone();
        let found = place.database().read().unwrap().compaction(&table).unwrap();
        let dialect_knows = {
            let shift = targets::db::Shift { column: "a", from: 0, to: 1, skip_locked: false };
            place.database().dialect().shift(&table, &shift).is_some()
        };
        assert_eq!(found.is_some(), dialect_knows, "facts and words belong together");
        assert_eq!(found.is_some(), !place.is_sqlite());
        let Some(found) = found else { return };
        // Before 14 nobody can read a range of pages, so the end is not looked at.
        let empty = if place.version() >= 14 { found.pages / 2 + 1 } else { 0 };
        assert!(found.pages > 10 && found.empty_pages >= empty, "{found:?}");
        assert!(
            found.column.is_some() && found.may_update && found.identified && found.fires.is_empty(),
            "{found:?}"
        );
        // Somebody who keeps everybody out is not waited for.
        let mut other = place.connect();
        other.script("begin; lock table t in access exclusive mode").unwrap();
        let held = place.database().read().unwrap().compaction(&table).unwrap().unwrap();
        assert_eq!(held.empty_pages, 0);
        other.script("commit").unwrap();
        place.script("drop table t");
        assert_eq!(place.database().read().unwrap().compaction(&table).unwrap(), None);
    });
}

#[test]
fn rows_are_written_again_before_their_place_and_stay_the_same() {
    // S1-073
    let place = Place::postgres();
    filled(&place, 5_000);
    place.script("delete from t where id % 2 = 0");
    place.wait_until_the_dead_may_go();
    place.script("vacuum t");
    let before = place.dump();
    let database = place.database();
    let mut session = database.open().unwrap();
    let table = name(&place, "t");
    let pages = session.compaction(&table).unwrap().unwrap().pages;
    for skip_locked in [false, true] {
        // What was rolled back before leaves the pages only when nobody looks at them, which an eager one waits for.
        place.script("vacuum (freeze) t");
        let shift = targets::db::Shift { column: "a", from: pages - 2, to: pages, skip_locked };
        let sql = database.dialect().shift(&table, &shift).unwrap();
        let mut tx = session.begin(&targets::db::Limits::default()).unwrap();
        let mut counts = Vec::new();
        for _ in 0..300 {
            let row = tx.rows(&sql).unwrap().remove(0);
            counts.push((row[0].as_int().unwrap(), row[1].as_int().unwrap(), row[2].as_int().unwrap()));
            if counts.last() == Some(&(0, 0, 0)) {
                break;
            }
        }
        assert!(counts[0].0 > 20 && counts[0].1 > 0, "the first time fills the pages: {counts:?}");
        assert_eq!(counts.last(), Some(&(0, 0, 0)), "then they are empty: {counts:?}");
        drop(tx);
    }
    assert_eq!(place.dump(), before);
}
