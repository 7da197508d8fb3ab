//! Copies of a SQLite file while others write.

use testkit::Place;

const SHOP: &str = "create table customer (id integer primary key, name text not null);
    create table purchase (id integer primary key, data blob);
    with recursive c(i) as (select 1 union all select i + 1 from c where i < 500)
    insert into customer select i, 'name ' || i from c;";

#[test]
fn fifty_copies_under_a_writer_are_all_whole() {
    // W-056, S1-034
    copies_under_a_writer("wal", &[]);
}

#[test]
fn copies_are_whole_while_the_log_is_moved_and_begun_again() {
    // W-056
    copies_under_a_writer(
        "wal",
        &["passive", "restart", "truncate"].map(|how| format!("pragma wal_checkpoint({how})")),
    );
}

#[test]
fn copies_without_a_log_keep_writers_waiting_and_are_whole() {
    // W-056
    copies_under_a_writer("delete", &[]);
}

/// `between` are statements that the writer says between its transactions, one after the other.
fn copies_under_a_writer(mode: &str, between: &[String]) {
    let place = Place::sqlite();
    let scratch = tempfile::tempdir().unwrap();
    place.script(&format!("pragma journal_mode = {mode}"));
    place.script(SHOP);
    place.script("create table pair (id integer primary key, a integer, b integer); insert into pair select id, 0, 0 from customer");
    let over = std::sync::atomic::AtomicBool::new(false);
    let written = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        let end = testkit::Over(&over);
        scope.spawn(|| {
            let url = targets::db::Url::parse(&place.url()).unwrap();
            let mut application = backends::testing::Application::connect(&url).unwrap();
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                match application.script("begin immediate; update pair set a = a + 1; insert into purchase (data) values (randomblob(300)); update pair set b = b + 1; commit") {
                    // Whoever reads may keep it waiting for longer than it waits.
                    Err(why) if mode == "delete" && why.contains("locked") => {
                        let _ = application.script("rollback");
                        continue;
                    }
                    outcome => outcome.unwrap(),
                }
                let many = written.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if mode == "delete" {
                    // a writer that never lets go lets nobody read
                    std::thread::sleep(std::time::Duration::from_millis(3));
                }
                if let Some(statement) = between.get(many as usize % between.len().max(1)) {
                    application.script(statement).unwrap();
                }
            }
        });
        let database = place.database();
        let enough = |n: u64| n >= 50 && written.load(std::sync::atomic::Ordering::Relaxed) > 100;
        for n in (0..5_000).take_while(|n| !enough(*n)) {
            let folder = scratch.path().join(format!("copy{n}"));
            std::fs::create_dir(&folder).unwrap();
            let how = targets::db::Dumping { scratch: folder.clone(), ..Default::default() };
            let contents = database
                .copies()
                .dump(&how, &mut |_, from| {
                    std::io::copy(from, &mut std::io::sink()).unwrap();
                    Ok(())
                })
                .unwrap();
            assert_eq!(contents.tables.len(), 3);
            let copy = folder.join("db").display().to_string();
            let url = targets::db::Url::parse(&copy).unwrap();
            let rows = |sql: &str| backends::testing::rows(&url, sql).unwrap();
            assert_eq!(rows("pragma integrity_check")[0][0], targets::db::Value::Text("ok".into()));
            // one state: never the first half of a transaction
            assert_eq!(rows("select count(*) from pair where a <> b")[0][0], targets::db::Value::Int(0));
            assert_eq!(rows("select count(distinct a) from pair")[0][0], targets::db::Value::Int(1));
            std::fs::remove_dir_all(&folder).unwrap();
        }
        drop(end);
    });
    assert!(written.load(std::sync::atomic::Ordering::Relaxed) > 100, "the writer went on");
}
