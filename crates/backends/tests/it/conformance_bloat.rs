//! How much of tables and indexes is wasted: compared with what is left when they are written anew.

use std::collections::BTreeMap;
use targets::db::{Bloat, Measuring, Part};
use testkit::{Place, both};

fn measure(place: &Place, wanted: &Measuring) -> Vec<Bloat> {
    place.database().read().unwrap().bloat(wanted).unwrap()
}

fn of<'a>(all: &'a [Bloat], name: &str) -> &'a Bloat {
    all.iter().find(|one| one.name.name == name).unwrap_or_else(|| panic!("`{name}` is not in {all:#?}"))
}

fn small() -> Measuring {
    Measuring { least_bytes: 64 << 10, ..Measuring::default() }
}

#[test]
fn a_table_that_lost_half_of_its_rows_is_told_and_a_fresh_one_is_not() {
    // S1-031, S1-032, X-32
    both(|place| {
        let table = |name: &str| {
            (
                format!(
                    "create table {name} (id integer primary key, n integer, body text);
                     with recursive c(i) as (select 1 union all select i + 1 from c where i < 20000)
                     insert into {name} select i, i % 7, 'some text of the row ' || i from c;"
                ),
                format!(
                    "create table {name} (id integer primary key, n integer, body text);
                     insert into {name} select i, i % 7, 'some text of the row ' || i from generate_series(1, 20000) i;"
                ),
            )
        };
        for name in ["fresh", "holey"] {
            let (sqlite, postgres) = table(name);
            place.script2(&sqlite, &postgres);
        }
        place.script("delete from holey where id % 2 = 0");
        let all = measure(place, &small());
        let (fresh, holey) = (of(&all, "fresh"), of(&all, "holey"));
        assert!(fresh.wasted_percent().unwrap() < 5.0, "{fresh:?}");
        let wasted = holey.wasted_percent().unwrap();
        assert!((44.0..56.0).contains(&wasted), "{holey:?}");
        assert!(holey.error_points.is_some_and(|points| points < 5.0) && holey.method != "none", "{holey:?}");
        assert!(holey.live_rows.unwrap().abs_diff(10_000) < 300, "{holey:?}");
        assert_eq!(all[0].name.name, "holey", "largest first");
        // Only what was asked for, and nothing below the least size.
        let only = Measuring { tables: vec![fresh.table.clone()], ..small() };
        assert!(measure(place, &only).iter().all(|one| one.table == fresh.table));
        assert!(measure(place, &Measuring { least_bytes: 64 << 20, ..small() }).is_empty());
    });
}

#[test]
fn free_pages_of_a_file_are_told() {
    // S1-032
    let place = Place::sqlite();
    place.script(
        "create table t (id integer primary key, body text);
         with recursive c(i) as (select 1 union all select i + 1 from c where i < 20000)
         insert into t select i, 'some text of the row ' || i from c; delete from t where id > 5000",
    );
    let free = place.rows("select freelist_count * 4096 from pragma_freelist_count")[0][0].as_int().unwrap();
    let all = measure(&place, &small());
    let found = all.iter().find(|one| one.part == Part::Free).unwrap();
    assert_eq!((found.bytes as i64, found.wasted_percent()), (free, Some(100.0)));
    // What may not be read is not guessed at.
    let little = measure(&place, &Measuring { read_bytes: 8192, ..small() });
    assert!(of(&little, "t").wasted_bytes.is_none() && of(&little, "t").lacks.is_some(), "{little:?}");
}

/// Ten shapes, each a table of its own name with an index where indexes matter.
const SHAPES: &[(&str, &str)] = &[
    (
        "narrow",
        "create table narrow (id bigint, n int); insert into narrow select i, i from generate_series(1, 60000) i; delete from narrow where id % 3 = 0;",
    ),
    (
        "wide",
        "create table wide (id int, a text); alter table wide alter a set storage plain; insert into wide select i, repeat('x', 300 + i % 900) from generate_series(1, 5000) i; delete from wide where id % 5 < 2;",
    ),
    (
        "holes",
        "create table holes (id int, a int, b text, c bigint, d text, e int); insert into holes select i, case when i % 2 = 0 then i end, case when i % 2 = 0 then 'b' || i end, i, case when i % 7 = 0 then repeat('d', 150) end, null from generate_series(1, 40000) i; delete from holes where id % 4 = 0;",
    ),
    (
        "large",
        "create table large (id int primary key, a text, b text); alter table large alter a set storage external, alter b set storage external; insert into large select i, repeat('a', 2500 + i % 3000), repeat('b', i % 400) from generate_series(1, 1500) i; delete from large where id % 2 = 0;",
    ),
    (
        "filled",
        "create table filled (id int, a text) with (fillfactor = 70); insert into filled select i, repeat('x', 60) from generate_series(1, 40000) i; delete from filled where id % 10 < 3;",
    ),
    (
        "deleted",
        "create table deleted (id int primary key, a text); insert into deleted select i, md5(i::text) from generate_series(1, 50000) i; delete from deleted where id between 10000 and 35000;",
    ),
    (
        "updated",
        "create table updated (id int primary key, n int, a text); create index updated_n on updated (n); insert into updated select i, i, md5(i::text) from generate_series(1, 25000) i; update updated set n = n + 1; update updated set n = n + 1 where id % 2 = 0;",
    ),
    (
        "equal",
        "create table equal (id int, k int, s text); create index equal_k on equal (k); create index equal_s on equal (s); insert into equal select i, (i * 7919) % 9000, 'state ' || i % 5 from generate_series(1, 60000) i; delete from equal where id % 2 = 0;",
    ),
    (
        "partly",
        "create table partly (id int, n name, v numeric, open bool); create index partly_open on partly (id) include (v) where open; create index partly_n on partly (n); create index partly_lower on partly (lower(n::text)); insert into partly select i, 'name ' || i, i, i % 3 = 0 from generate_series(1, 40000) i; delete from partly where id % 2 = 0;",
    ),
    (
        "dropped",
        "create table dropped (id int, gone text, a text); insert into dropped select i, repeat('g', 100), md5(i::text) from generate_series(1, 20000) i; alter table dropped drop column gone; delete from dropped where id % 3 = 0;",
    ),
    (
        "fresh",
        "create table fresh (id int primary key, a text); insert into fresh select i, repeat('y', i % 200) from generate_series(1, 30000) i;",
    ),
];

const SIZES: &str = "select c.relname::text, pg_relation_size(c.oid) from pg_class c
    join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'public' and c.relkind in ('r', 'i')
    union all select c.relname || ' (large values)', pg_relation_size(c.reltoastrelid) from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind = 'r' and c.reltoastrelid <> 0";

fn sizes(place: &Place) -> BTreeMap<String, i64> {
    let row = |row: &targets::db::Row| Some((row[0].as_text()?.to_owned(), row[1].as_text()?.parse().ok()?));
    place.rows(SIZES).iter().filter_map(row).collect()
}

#[test]
fn the_figures_agree_with_what_is_left_when_everything_is_written_anew() {
    // Median 3 points, worst 10, with nothing analysed and no extension.
    let place = Place::postgres();
    for (_, script) in SHAPES {
        place.script(script);
    }
    let before = sizes(&place);
    let all = measure(&place, &small());
    // Twice: somebody who connects to the server at that moment, for another test, keeps the last dead rows of the first time.
    for (name, _) in SHAPES.iter().chain(SHAPES) {
        place.admin_script(&format!("vacuum full {name}"));
    }
    let after = sizes(&place);
    let mut errors: Vec<(f64, String)> = all
        .iter()
        .map(|one| {
            let name = &one.name.name;
            let truth = 100.0 * (1.0 - after[name] as f64 / before[name] as f64);
            let ours = one.wasted_percent().unwrap_or_else(|| panic!("{one:?}"));
            ((ours - truth).abs(), format!("{name}: {ours:.1} for {truth:.1} by {}", one.method))
        })
        .collect();
    errors.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert!(errors.len() >= SHAPES.len() + 8, "{errors:#?}");
    assert!(errors[errors.len() / 2].0 <= 3.0, "{errors:#?}");
    assert!(errors.last().unwrap().0 <= 10.0, "{errors:#?}");
}

#[test]
fn whoever_may_not_read_gets_a_guess_with_its_error_or_none() {
    let place = Place::postgres();
    place.script(
        "create table t (id int, a text); insert into t select i, md5(i::text) from generate_series(1, 20000) i;
         delete from t where id % 2 = 0",
    );
    place.admin_script("alter table t owner to current_user; revoke all on t from public");
    let blind = measure(&place, &small());
    let one = of(&blind, "t");
    assert!(one.wasted_bytes.is_none() && one.method == "none" && one.lacks.is_some(), "{one:?}");
    // Its statistics are hidden from this role too, so they are no help; the owner of a table that is held gets them.
    let place = Place::postgres();
    place.script(
        "create table t (id int, a text); insert into t select i, md5(i::text) from generate_series(1, 20000) i;
         delete from t where id % 2 = 0; analyze t",
    );
    let mut holder = place.connect();
    holder.script("begin; lock table t in access exclusive mode").unwrap();
    // A session waits five seconds for a lock.
    let held = testkit::quickly(std::time::Duration::from_secs(4), || measure(&place, &small()));
    let one = of(&held, "t");
    assert_eq!(one.method, "statistics", "{one:?}");
    assert!((one.wasted_percent().unwrap() - 50.0).abs() <= one.error_points.unwrap(), "{one:?}");
    holder.script("rollback").unwrap();
}
