//! The judgement over figures that no test database can have.

use super::*;
use targets::db::{
    Connections, Counters, Horizon, IndexFacts, ReferenceFacts, Replica, Replication, Section, SequenceFacts,
    Server, TableFacts, Talker,
};

fn nothing() -> Inspection {
    Inspection::of(Server { engine: "postgresql".to_owned(), ..Server::default() })
}

fn name(name: &str) -> TableName {
    TableName::within("public", name)
}

fn index(of: &str, columns: &[&str]) -> IndexFacts {
    IndexFacts {
        name: name(of),
        table: name("t"),
        definition: Some(format!("CREATE INDEX {of} ON t")),
        method: "btree".to_owned(),
        parts: columns.iter().map(|column| format!("{column} 1 0 0")).collect(),
        columns: columns.iter().map(|column| Some((*column).to_owned())).collect(),
        carried: Vec::new(),
        only: None,
        bytes: Some(200 << 20),
        scans: Some(0),
        last_scan: None,
        unique: false,
        primary: false,
        constraint: None,
        identity: false,
        valid: true,
        building: false,
        attached: false,
    }
}

fn counted(days: f64) -> Section<Counters> {
    Section::Known(Counters { seconds: Some(days * DAY), ..Counters::default() })
}

fn codes(all: &Inspection, around: &Around) -> Vec<(String, Level)> {
    judge(all, around).into_iter().map(|one| (one.finding.code, one.finding.level)).collect()
}

fn warned(code: &str) -> (String, Level) {
    (code.to_owned(), Level::Warning)
}

fn noted(code: &str) -> (String, Level) {
    (code.to_owned(), Level::Note)
}

#[test]
fn an_unused_index_is_told_only_when_it_is_sure() {
    // S1-056
    let unused = |change: &dyn Fn(&mut IndexFacts)| {
        let mut one = index("i", &["a"]);
        change(&mut one);
        Inspection { indexes: Section::Known(vec![one]), counters: counted(60.0), ..nothing() }
    };
    assert_eq!(codes(&unused(&|_| {}), &Around::default()), [warned("unused_index")]);
    for spared in [
        &(|one: &mut IndexFacts| one.unique = true) as &dyn Fn(&mut IndexFacts),
        &|one| one.constraint = Some("c".to_owned()),
        &|one| one.identity = true,
        &|one| one.attached = true,
        &|one| one.scans = Some(51),
        &|one| one.scans = None,
        &|one| one.bytes = Some(1000),
    ] {
        assert_eq!(codes(&unused(spared), &Around::default()), []);
    }
    // W-061: what was reset yesterday says nothing of what runs once a month
    for days in [1.0, 6.9] {
        let young = Inspection { counters: counted(days), ..unused(&|_| {}) };
        assert_eq!(codes(&young, &Around::default()), [noted("unused_index_maybe")]);
    }
    // one that serves a reference
    let reference = ReferenceFacts {
        name: "fk".to_owned(),
        table: name("t"),
        columns: vec!["a".to_owned()],
        parent: name("p"),
        parent_columns: vec!["id".to_owned()],
    };
    let serving = Inspection { references: Section::Known(vec![reference]), ..unused(&|_| {}) };
    assert_eq!(codes(&serving, &Around::default()), []);
}

#[test]
fn uses_on_a_standby_count_too() {
    // S2-065
    let replica = Replica {
        name: "r".to_owned(),
        state: "streaming".to_owned(),
        lag_seconds: None,
        lag_bytes: Some(0),
        synchronous: false,
    };
    let all = Inspection {
        indexes: Section::Known(vec![index("i", &["a"])]),
        counters: counted(60.0),
        replication: Section::Known(Replication {
            replicas: vec![replica],
            archive: targets::db::Archive { on: true, ..Default::default() },
            ..Replication::default()
        }),
        ..nothing()
    };
    assert_eq!(codes(&all, &Around::default()), [noted("unused_index")], "a replica was not asked");
    let asked = Around { asked: 1, ..Around::default() };
    assert_eq!(codes(&all, &asked), [warned("unused_index")]);
    let used = Around { asked: 1, elsewhere: [(name("i"), 900)].into(), ..Around::default() };
    assert_eq!(codes(&all, &used), []);
}

#[test]
fn an_index_is_redundant_only_when_another_does_all_that_it_does() {
    let redundant = |change: &dyn Fn(&mut IndexFacts, &mut IndexFacts)| {
        let (mut short, mut long) = (index("short", &["a"]), index("long", &["a", "b"]));
        (short.scans, long.scans) = (Some(1000), Some(1000));
        change(&mut short, &mut long);
        let all = Inspection { indexes: Section::Known(vec![short, long]), ..nothing() };
        let advice = advise(&all, &HashMap::new());
        (advice.redundant.len(), advice.duplicate.len())
    };
    assert_eq!(redundant(&|_, _| {}), (1, 0));
    assert_eq!(redundant(&|short, _| short.unique = true), (0, 0));
    assert_eq!(redundant(&|short, _| short.only = Some("x > 1".to_owned())), (0, 0));
    assert_eq!(
        redundant(&|short, _| short.parts = vec!["a 2 0 0".to_owned()]),
        (0, 0),
        "another operator class"
    );
    assert_eq!(
        redundant(&|short, long| (short.method, long.method) = ("gin".to_owned(), "gin".to_owned())),
        (0, 0)
    );
    assert_eq!(redundant(&|_, long| long.valid = false), (0, 0));
    assert_eq!(redundant(&|short, _| short.carried = vec!["c".to_owned()]), (0, 0));
    assert_eq!(redundant(&|short, long| short.parts = long.parts.clone()), (0, 1), "the same is told once");
}

#[test]
fn transaction_ids_are_told_when_autovacuum_does_not_get_through() {
    let at = |age: u64, rate: Option<f64>| {
        let horizon = Horizon {
            xid_age: age,
            freeze_at: 200_000_000,
            multixact_freeze_at: 400_000_000,
            ..Horizon::default()
        };
        let around = Around { trend: Trend { ids_per_day: rate, ..Trend::default() }, ..Around::default() };
        judge(&Inspection { horizon: Section::Known(horizon), ..nothing() }, &around)
    };
    assert_eq!(at(199_000_000, Some(1_000_000.0)), []);
    assert_eq!(at(250_000_000, None), [], "it is at it");
    let late = at(500_000_000, Some(20_000_000.0));
    assert_eq!(late[0].harm, 88);
    assert!(late[0].finding.what.contains("they end in 82 days"), "{}", late[0].finding.what);
    assert_eq!(at(1_900_000_000, None)[0].harm, 100);
    assert_eq!(at(100_000_000, Some(1_000_000_000.0))[0].harm, 100, "it goes fast");
}

#[test]
fn a_sequence_is_forecast_from_samples() {
    let sequence = |last: i64| SequenceFacts {
        name: name("s"),
        column: Some("t.id".to_owned()),
        last,
        most: i64::from(i32::MAX),
        cycles: false,
    };
    let at = |last: i64, rate: f64| {
        let trend = Trend { values_per_day: [("s".to_owned(), rate)].into(), ..Trend::default() };
        judge(
            &Inspection { sequences: Section::Known(vec![sequence(last)]), ..nothing() },
            &Around { trend, ..Around::default() },
        )
    };
    assert_eq!(at(500_000_000, 1_000.0), []);
    let soon = at(500_000_000, 50_000_000.0);
    assert!(soon[0].finding.what.contains("it ends in 32 days"), "{}", soon[0].finding.what);
}

#[test]
fn a_large_table_in_the_order_of_time_is_better_divided() {
    // S1-080
    let table = |bytes: u64| TableFacts {
        rows: Some(300_000_000),
        bytes: Some(bytes),
        inserted: 100,
        grows_by: Some("created_at".to_owned()),
        ..TableFacts::of(name("events"))
    };
    let told = |table: TableFacts| {
        codes(&Inspection { tables: Section::Known(vec![table]), ..nothing() }, &Around::default())
    };
    assert_eq!(told(table(80 << 30)), [noted("partition")]);
    assert_eq!(told(TableFacts { rows: Some(5_000), ..table(4 << 20) }), []);
    assert_eq!(told(TableFacts { grows_by: None, ..table(80 << 30) }), []);
    assert_eq!(told(TableFacts { partition: true, ..table(80 << 30) }), []);
}

#[test]
fn few_free_connections_are_told() {
    // W-109
    let of = |all: u64, limit: u64| Inspection {
        connections: Section::Known(Connections {
            all,
            limit: Some(limit),
            reserved: 3,
            ..Connections::default()
        }),
        ..nothing()
    };
    assert_eq!(codes(&of(5, 100), &Around::default()), []);
    assert_eq!(codes(&of(15, 20), &Around::default()), [warned("connections")]);
    assert_eq!(codes(&of(90, 100), &Around::default()), [warned("connections")]);
}

#[test]
fn who_blocks_stands_at_the_root_of_a_tree() {
    // S1-058
    let talker = |pid: i64, seconds: f64, blocked_by: &[i64]| Talker {
        pid,
        state: "active".to_owned(),
        state_seconds: seconds,
        blocked_by: blocked_by.to_vec(),
        ..Talker::default()
    };
    let talkers =
        vec![talker(1, 60.0, &[]), talker(2, 50.0, &[1]), talker(3, 40.0, &[2]), talker(4, 9.0, &[])];
    let all = Inspection {
        connections: Section::Known(Connections { limit: Some(100), talkers, ..Connections::default() }),
        ..nothing()
    };
    let judged = judge(&all, &Around::default());
    assert_eq!(judged.len(), 1, "{judged:#?}");
    assert!(judged[0].finding.object.starts_with("session 1"));
    assert!(
        judged[0].finding.what.contains("2 sessions wait, the longest for 50 seconds")
            || judged[0].finding.what.contains("makes 2 sessions wait, the longest for 50 seconds")
    );
    // a ring of waiting sessions, as a deadlock is for a moment, ends
    let ring =
        Connections { talkers: vec![talker(1, 9.0, &[2]), talker(2, 9.0, &[1])], ..Connections::default() };
    assert_eq!(sessions::behind(&ring, 1).len(), 2);
}

#[test]
fn the_share_of_reads_by_index_needs_enough_of_them() {
    // X-19, S2-065
    let table = |rows: u64, by_index: u64, whole: u64| TableFacts {
        rows: Some(rows),
        index_scans: Some(by_index),
        seq_scans: Some(whole),
        ..TableFacts::of(name("t"))
    };
    let share = |tables: Vec<TableFacts>| {
        document::index_efficiency(&Inspection { tables: Section::Known(tables), ..nothing() })
    };
    assert_eq!(share(vec![table(10_000, 900, 100)]), Some(90.0));
    assert_eq!(share(vec![table(10_000, 900, 99)]), None, "under 1 000 scans");
    assert_eq!(share(vec![table(9_999, 90_000, 10_000)]), None, "small tables say nothing");
    assert_eq!(share(vec![TableFacts::of(name("t"))]), None);
}
