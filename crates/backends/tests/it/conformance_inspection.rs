//! What a look at a database brings, on both; and that it waits for nobody.

use std::time::{Duration, Instant};
use targets::db::{Bounds, IndexFacts, Inspection, Section, TableFacts, TableName};
use testkit::{Place, both};

fn look(place: &Place) -> Inspection {
    place.database().read().unwrap().inspect(&Bounds::default()).unwrap()
}

fn table(all: &Inspection, name: &str) -> TableFacts {
    let tables = all.tables.known().unwrap_or_else(|| panic!("{:?}", all.tables));
    tables
        .iter()
        .find(|table| table.name.name == name)
        .unwrap_or_else(|| panic!("no `{name}` in {tables:?}"))
        .clone()
}

fn index(all: &Inspection, name: &str) -> IndexFacts {
    let indexes = all.indexes.known().unwrap_or_else(|| panic!("{:?}", all.indexes));
    indexes.iter().find(|index| index.name.name == name).unwrap_or_else(|| panic!("no `{name}`")).clone()
}

const SHOP: &str = "
    create table customers (id integer primary key, mail text not null);
    create unique index customers_mail on customers (mail);
    create table orders (id integer primary key, customer integer references customers (id), state text, note text);
    create index orders_open on orders (state) where state = 'open';
    create index orders_lower on orders (lower(note), state);
    create table pairs (a integer not null, b integer not null, primary key (a, b));";

#[test]
fn tables_indexes_and_references_are_told_on_both() {
    // S1-052, S1-053, S1-054, S1-055
    both(|place| {
        place.script(SHOP);
        place.script2(
            "insert into customers with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000) select i, 'mail ' || i from n; analyze",
            "insert into customers select i, 'mail ' || i from generate_series(1, 3000) i; analyze; select count(*) from customers where mail = 'mail 7'",
        );
        let all = look(place);
        assert_eq!(
            all.missing().iter().filter(|(part, _, _)| !["slow", "disk"].contains(part)).count(),
            0,
            "{:?}",
            all.missing()
        );
        let customers = table(&all, "customers");
        assert_eq!(customers.rows, Some(3000));
        assert!(!customers.rows_exact && customers.has_key && customers.analyzed);
        let theirs = match place.is_sqlite() {
            true => "select sum(pgsize) from dbstat where name in ('customers', 'customers_mail')",
            false => "select pg_total_relation_size('customers')",
        };
        let theirs = &place.rows(theirs)[0][0];
        let theirs = theirs.as_int().or_else(|| theirs.as_text()?.parse().ok()).unwrap();
        assert_eq!(customers.total_bytes(), Some(theirs as u64));
        let mail = index(&all, "customers_mail");
        assert!(
            mail.unique && mail.valid && !mail.primary && mail.constraint.is_none() && mail.only.is_none()
        );
        assert_eq!(mail.columns, [Some("mail".to_owned())]);
        assert!(mail.definition.unwrap().to_lowercase().contains("customers_mail"));
        assert!(index(&all, "orders_open").only.unwrap().contains("open"));
        let lower = index(&all, "orders_lower");
        assert_eq!(lower.columns, [None, Some("state".to_owned())]);
        assert_eq!(lower.parts.len(), 2);
        let references = all.references.known().unwrap();
        assert_eq!(references.len(), 1);
        assert_eq!(
            (references[0].columns.clone(), references[0].parent.name.as_str()),
            (vec!["customer".to_owned()], "customers")
        );
        assert_eq!(all.server.engine, if place.is_sqlite() { "sqlite" } else { "postgresql" });
        assert!(all.server.bytes > 0);
    });
}

#[test]
fn an_empty_database_can_be_looked_at() {
    both(|place| {
        let all = look(place);
        assert_eq!(all.tables.known().map(Vec::len), Some(0));
        assert_eq!(all.indexes.known().map(Vec::len), Some(0));
    });
}

#[test]
fn a_use_of_an_index_is_counted() {
    // S1-055
    let place = Place::postgres();
    place.script("create table t (id integer primary key, k integer); create index t_k on t (k); insert into t select i, i from generate_series(1, 5000) i; analyze t");
    place.script("set enable_seqscan = off; select id from t where k = 7; select pg_sleep(0.05)");
    let begun = Instant::now();
    // The counters come to everybody a moment after the session that counted has ended.
    loop {
        let scans = index(&look(&place), "t_k").scans;
        if scans.is_some_and(|scans| scans >= 1) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{scans:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_table_that_somebody_holds_is_not_waited_for() {
    let place = Place::postgres();
    place.script(SHOP);
    let mut holder = place.connect();
    holder.script("begin; lock table orders in access exclusive mode").unwrap();
    let all = testkit::quickly(Duration::from_secs(4), || look(&place));
    assert!(table(&all, "orders").held && !table(&all, "customers").held);
    assert_eq!(index(&all, "orders_lower").definition, None);
    let locks = all.locks.known().unwrap();
    // S1-059
    let lock = locks.iter().find(|lock| lock.table == "orders" && lock.mode == "AccessExclusiveLock");
    assert!(lock.is_some_and(|lock| lock.granted && lock.pid > 0), "{locks:?}");
}

#[test]
fn who_waits_for_whom_is_told_without_what_they_said() {
    // S1-057, S1-058
    let place = Place::postgres();
    place.script("create table t (id integer primary key, k text); insert into t values (1, 'a')");
    let mut holder = place.connect();
    holder.script("begin; update t set k = 'held' where id = 1").unwrap();
    let (url, name) = (place.url(), place.name());
    let waiter = std::thread::spawn(move || {
        let place = Place::elsewhere(&url);
        place.try_script("set lock_timeout = '90s'; update t set k = 'secret' where id = 1")
    });
    let begun = Instant::now();
    let (all, waits) = loop {
        let all = look(&place);
        let known = all.connections.known().unwrap();
        if let Some(waits) = known.talkers.iter().find(|talker| !talker.blocked_by.is_empty()).cloned() {
            break (all, waits);
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "nobody waits on {name}");
        std::thread::sleep(Duration::from_millis(50));
    };
    let connections = all.connections.known().unwrap();
    assert!(connections.all >= 3 && connections.limit.is_some());
    let holds = connections.talkers.iter().find(|talker| waits.blocked_by == [talker.pid]).unwrap();
    assert_eq!((holds.state.as_str(), holds.application.as_str()), ("idle in transaction", "application"));
    assert!(waits.query.contains("set k = ?") && !waits.query.contains("secret"), "{}", waits.query);
    assert!(waits.waits_for.unwrap().starts_with("Lock"));
    holder.script("commit").unwrap();
    waiter.join().unwrap().unwrap();
}

#[test]
fn what_keeps_vacuum_from_its_work_is_named() {
    let place = Place::postgres();
    place.script("create table t (id integer primary key)");
    let mut holder = place.connect();
    holder.script("begin isolation level repeatable read; select count(*) from t").unwrap();
    let horizon = look(&place).horizon.known().unwrap().clone();
    assert!(
        horizon.pins.iter().any(|pin| pin.state.starts_with("idle in transaction") && pin.seconds.is_some()),
        "{horizon:?}"
    );
    assert!(horizon.given > 0 && horizon.freeze_at > 0);
}

#[test]
fn a_sequence_ends_where_its_column_does() {
    let place = Place::postgres();
    place.script("create table t (id serial primary key); create table u (id bigserial primary key); create sequence apart;
        alter sequence t_id_seq as bigint; select setval('t_id_seq', 2000000000), setval('u_id_seq', 5), nextval('apart')");
    let all = look(&place);
    let sequences = all.sequences.known().unwrap_or_else(|| panic!("{:?}", all.sequences));
    let of = |name: &str| sequences.iter().find(|one| one.name == TableName::within("public", name)).unwrap();
    assert_eq!((of("t_id_seq").last, of("t_id_seq").most), (2_000_000_000, i64::from(i32::MAX)));
    assert_eq!(of("t_id_seq").column.as_deref(), Some("t.id"));
    assert_eq!((of("u_id_seq").most, of("apart").most), (i64::MAX, i64::MAX));
    assert_eq!(sequences[0].name.name, "t_id_seq", "the most used one comes first");
}

#[test]
fn a_role_with_few_rights_gets_what_it_may_see() {
    // no permission for a view
    let place = Place::postgres();
    place.script(SHOP);
    let all = look(&place);
    assert!(!all.server.superuser);
    assert!(
        all.tables.known().is_some() && all.horizon.known().is_some() && all.replication.known().is_some()
    );
    assert!(matches!(&all.slow, Section::Missing { help, .. } if help.contains("pg_stat_statements")));
    let everything = place.admin_database().read().unwrap().inspect(&Bounds::default()).unwrap();
    assert!(
        everything.disk.known().is_some_and(|disk| disk.total_bytes > disk.free_bytes),
        "S2-067: {:?}",
        everything.disk
    );
    // S4-054
    assert!(!everything.replication.known().unwrap().archive.on);
}

#[test]
fn a_look_without_time_is_cut_off_and_says_so() {
    let place = Place::postgres();
    let mut script = String::new();
    for n in 0..400 {
        script += &format!(
            "create table t{n} (id integer primary key, k integer, l text); create index on t{n} (lower(l));"
        );
    }
    place.script(&script);
    let bounds = Bounds { total: Duration::from_millis(1), part: Duration::from_millis(1), most: 10 };
    let all = place.database().read().unwrap().inspect(&bounds).unwrap();
    assert!(
        matches!(&all.indexes, Section::Missing { why, .. } if why.contains("cut off")),
        "{:?}",
        all.indexes
    );
}

#[test]
fn a_sqlite_file_is_described() {
    // S2-067, S2-068
    let place = Place::sqlite();
    place.script("pragma journal_mode = wal; create table p (id integer primary key); create table c (id integer primary key, p integer references p);
        create table w (k text primary key, v text) without rowid; create table s (id int primary key, code string);
        create table ab (a integer not null, b integer not null, primary key (a, b));
        insert into c values (1, 5), (2, 6); create table big (x); insert into big values (zeroblob(400000)); drop table big");
    let all = look(&place);
    let file = all.file.known().unwrap();
    assert_eq!(
        (file.journal_mode.as_str(), file.auto_vacuum.as_str(), file.analyzed),
        ("wal", "none", false)
    );
    assert!(file.free_pages > 90 && file.page_size == 4096 && file.pages > file.free_pages, "{file:?}");
    assert_eq!(file.violations, Some(vec![("c".to_owned(), "p".to_owned(), 2)]));
    assert!(all.disk.known().is_some());
    let codes =
        |name: &str| table(&all, name).oddities.iter().map(|(code, ..)| code.clone()).collect::<Vec<_>>();
    assert_eq!(codes("s"), ["affinity", "not_rowid"]);
    assert_eq!(codes("ab"), ["twice"]);
    assert_eq!(codes("w"), Vec::<String>::new());
}

#[test]
fn a_sqlite_file_that_somebody_writes_is_looked_at_all_the_same() {
    for mode in ["wal", "delete"] {
        let place = Place::sqlite();
        place.script(&format!(
            "pragma journal_mode = {mode}; create table t (id integer primary key); insert into t values (1)"
        ));
        let mut writer = place.connect();
        writer.script("begin immediate; insert into t values (2)").unwrap();
        let all = testkit::quickly(Duration::from_secs(3), || look(&place));
        assert_eq!(table(&all, "t").rows, Some(1), "{mode}");
    }
}
