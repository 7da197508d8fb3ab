//! Copies of a SQLite file while others write.

use testkit::Place;

const SHOP: &str = "create table customer (id integer primary key, name text not null);
    create table purchase (id integer primary key, data blob);
    with recursive c(i) as (select 1 union all select i + 1 from c where i < 500)
    insert into customer select i, 'name ' || i from c;";

#[test]
fn fifty_copies_under_a_writer_are_all_whole() {
    // W-056, S1-034
    let place = Place::sqlite();
    let scratch = tempfile::tempdir().unwrap();
    place.script("pragma journal_mode = wal");
    place.script(SHOP);
    place.script("create table pair (id integer primary key, a integer, b integer); insert into pair select id, 0, 0 from customer");
    let over = std::sync::atomic::AtomicBool::new(false);
    let written = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        let end = End(&over);
        scope.spawn(|| {
            let url = targets::db::Url::parse(&place.url()).unwrap();
            let mut application = backends::testing::Application::connect(&url).unwrap();
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                application
                    .script("begin immediate; update pair set a = a + 1; insert into purchase (data) values (randomblob(300)); update pair set b = b + 1; commit")
                    .unwrap();
                written.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        });
        let database = place.database();
        for n in 0..50 {
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
    assert!(written.load(std::sync::atomic::Ordering::Relaxed) > 50, "the writer went on");
}

/// Ends the writer also when the test fails.
struct End<'a>(&'a std::sync::atomic::AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}
