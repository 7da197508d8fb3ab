//! `doctor`: what is wrong is found, what is not is not, and growth has a rate.

use crate::stage::{Stage, both, manners};
use engine::{SetClock, Status};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use testkit::{Place, story};

fn look(stage: &Stage) -> (Status, Json) {
    let plan = story::plan(&stage.engine(), &story::request("doctor", Json::Null, manners(), false));
    let report = story::run(&stage.engine(), &plan);
    (report.status, plan.items[0].result.clone().unwrap())
}

/// Code and object of what was found at this level. Settings are left out: the server of the tests is set to be fast.
fn found(result: &Json, level: &str) -> Vec<(String, String)> {
    let all = result["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["level"] == level && one["code"] != "setting");
    let text = |one: &Json, key: &str| one[key].as_str().unwrap().to_owned();
    all.map(|one| (text(one, "code"), text(one, "object"))).collect()
}

fn has(result: &Json, code: &str) -> Json {
    let all = result["findings"].as_array().unwrap();
    all.iter().find(|one| one["code"] == code).unwrap_or_else(|| panic!("no {code} in {all:#?}")).clone()
}

const ROWS: &str = "insert into child with recursive n(i) as (select 1 union all select i + 1 from n where i < 12000) select i, 1 from n;";

#[test]
fn a_healthy_database_has_nothing_that_needs_anybody() {
    let healthy = "create table parent (id integer primary key, name text not null); create table child (id integer primary key, parent integer not null references parent);
        create index child_parent on child (parent); insert into parent values (1, 'a');";
    both(
        &format!("pragma journal_mode = wal; {healthy} {ROWS} analyze;"),
        &format!("{healthy} {ROWS} analyze;"),
        |stage| {
            let (status, result) = look(stage);
            assert_eq!(found(&result, "warning"), [], "{result:#}");
            if stage.place.is_sqlite() {
                assert_eq!((status, &result["passed"]), (Status::Completed, &json!(true)));
            }
        },
    );
}

#[test]
fn an_empty_database_is_healthy() {
    both("select 1", "select 1", |stage| {
        let (_, result) = look(stage);
        assert_eq!(found(&result, "warning"), [], "{result:#}");
    });
}

#[test]
fn faults_of_keys_and_indexes_are_found_with_what_mends_them() {
    // S1-056, W-107
    let sick = "create table parent (id integer primary key); create table child (id integer primary key, parent integer references parent (id));
        insert into parent values (1);";
    let more = "create index child_one on child (parent, id); create index child_two on child (parent, id);";
    both(
        &format!("{sick} {ROWS} analyze;"),
        &format!("{sick} {ROWS} analyze; insert into parent values (5); delete from parent where id = 5;"),
        |stage| {
            let begun = std::time::Instant::now();
            let (_, result) = loop {
                let told = look(stage);
                if has(&told.1, "missing_index")["level"] == "warning"
                    || begun.elapsed() > std::time::Duration::from_secs(20)
                {
                    break told;
                }
                std::thread::sleep(std::time::Duration::from_millis(100));
            };
            let missing = has(&result, "missing_index");
            assert_eq!(
                (missing["object"].as_str(), missing["level"].as_str()),
                (Some("child (parent)"), Some("warning")),
                "{missing}"
            );
            assert!(missing["remedy"].as_str().unwrap().contains("on "), "{missing}");
            let remedy = missing["remedy"].as_str().unwrap();
            // the statement that is told mends it, as it stands
            stage.place.script(remedy);
            stage.place.script(more);
            let (_, result) = look(stage);
            assert!(!found(&result, "warning").iter().any(|(code, _)| code == "missing_index"), "{result:#}");
            let duplicate = has(&result, "duplicate_index");
            assert_eq!(duplicate["object"], "child_two");
            assert!(has(&result, "redundant_index")["what"].as_str().unwrap().contains("child_one"));
            let command = duplicate["remedy"].as_str().unwrap().strip_prefix("sexton index drop ").unwrap();
            let request = story::request("index", json!({ "drop": [command] }), manners(), false);
            let dropped = story::run(&stage.engine(), &story::plan(&stage.engine(), &request));
            assert_eq!(dropped.status, Status::Completed, "{dropped:#?}");
            let (_, result) = look(stage);
            assert!(
                result["findings"].as_array().unwrap().iter().all(|one| one["code"] != "duplicate_index")
            );
        },
    );
}

#[test]
fn what_ends_one_day_comes_first() {
    let place = Place::postgres();
    place.script(
        "create table t (id serial primary key); select setval('t_id_seq', 2100000000);
         create table u (id integer primary key, t integer); alter table u add constraint late check (t > 0) not valid;
         create table bare (x integer); insert into bare values (1)",
    );
    place.wait_for_figures();
    let stage = Stage::new(place);
    let (status, result) = look(&stage);
    assert_eq!(status, Status::Partial);
    let all = result["findings"].as_array().unwrap();
    let first = all.iter().find(|one| one["code"] != "setting").unwrap();
    assert_eq!(
        (first["code"].as_str(), first["object"].as_str()),
        (Some("sequence_ends"), Some("t.id")),
        "{result:#}"
    );
    assert!(first["what"].as_str().unwrap().contains("97 %"));
    assert_eq!(has(&result, "not_validated")["object"], "late of u");
    assert_eq!(has(&result, "no_key")["object"], "bare");
    let harms: Vec<u64> = result["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["level"] == "warning")
        .map(|one| one["harm"].as_u64().unwrap())
        .collect();
    assert!(harms.windows(2).all(|pair| pair[0] >= pair[1]), "{harms:?}");
}

#[test]
fn an_index_that_was_left_half_built_is_found() {
    let place = Place::postgres();
    place.script("create table t (id integer primary key, k integer); insert into t values (1, 1), (2, 1)");
    place.try_script("create unique index concurrently t_k on t (k)").unwrap_err();
    let (_, result) = look(&Stage::new(place));
    let broken = has(&result, "invalid_index");
    assert_eq!((broken["object"].as_str(), broken["level"].as_str()), (Some("t_k"), Some("warning")));
}

#[test]
fn rows_without_parents_are_found_in_a_file() {
    let place = Place::sqlite();
    place.script("create table p (id integer primary key); create table c (id integer primary key, p integer references p); insert into c values (1, 9)");
    let (_, result) = look(&Stage::new(place));
    assert_eq!(has(&result, "orphans")["object"], "c");
}

#[test]
fn growth_has_a_rate_and_findings_are_compared() {
    // S2-063, S2-093
    both(
        "create table t (id integer primary key, body text)",
        "create table t (id integer primary key, body text)",
        |stage| {
            let at = |text: &str| Arc::new(SetClock::standing(text.parse().unwrap()));
            let request = story::request("doctor", Json::Null, manners(), false);
            let first = stage.workshop.engine_at(at("2026-03-01T00:00:00Z"));
            let plan = story::plan(&first, &request);
            assert_eq!(plan.items[0].result.as_ref().unwrap()["compared"], Json::Null);
            // a dry run keeps nothing
            let dry = engine::Request { dry_run: true, ..request.clone() };
            story::run(&first, &story::plan(&first, &dry));
            assert!(first.samples("test").is_empty());
            let report = story::run(&first, &plan);
            let database = report.metadata.database.clone();
            assert_eq!(first.samples(&database).len(), 1, "{database}");
            let before = plan.items[0].result.as_ref().unwrap()["size_bytes"].as_u64().unwrap();
            stage.place.script(
            "insert into t with recursive n(i) as (select 1 union all select i + 1 from n where i < 40000) select i, 'words that fill a page ' || i from n;
             create index dup_a on t (body); create index dup_b on t (body)",
        );
            let second = stage.workshop.engine_at(at("2026-03-03T00:00:00Z"));
            second.audit_trail(1).unwrap();
            let result = story::plan(&second, &request).items[0].result.clone().unwrap();
            let grown = result["size_bytes"].as_u64().unwrap() - before;
            assert!(grown > 500_000, "{grown}");
            let rate = result["growth"]["bytes_per_day"].as_f64().unwrap();
            assert!((rate - grown as f64 / 2.0).abs() < 1.0, "{rate} {grown}");
            assert_eq!(result["growth"]["sizes"].as_array().unwrap().len(), 2);
            let new = result["compared"]["new"].as_array().unwrap();
            assert!(
                new.iter().any(|one| one["code"] == "duplicate_index" && one["object"] == "dup_b"),
                "{result:#}"
            );
            assert_eq!(result["compared"]["since"], "2026-03-01T00:00:00Z");
        },
    );
}

/// A shop whose customers are only marked as deleted, so that its indexes leave the marked ones out: the shape of which a look
/// at real schemas had made false alarms.
const MARKED: &str = "
    create table customers (id integer primary key, name text, deleted_at timestamp);
    create table orders (id integer primary key, customer integer references customers (id), note text, deleted_at timestamp);
    create table visits (id integer primary key, customer integer references customers (id));
    create index orders_open on orders (customer, note) where deleted_at is null;";

#[test]
fn rows_that_are_only_marked_as_deleted_are_no_cause_for_alarm() {
    let stage = Stage::new(Place::postgres());
    stage.place.script(MARKED);
    stage.place.script(
        "insert into customers select i, 'n' || i from generate_series(1, 20000) i;
         insert into orders select i, i, 'o' || i from generate_series(1, 20000) i;
         insert into visits select i, i from generate_series(1, 20000) i; analyze",
    );
    stage.place.script("update customers set deleted_at = now() where id < 9000");
    stage.place.wait_until_the_dead_may_go();
    stage.place.script("vacuum analyze customers");
    stage.counted();
    let (_, result) = look(&stage);
    assert_eq!(found(&result, "warning"), [], "{result:#}");
    let all = result["findings"].as_array().unwrap();
    let missing: Vec<&str> = all
        .iter()
        .filter(|one| one["code"] == "missing_index")
        .map(|one| one["what"].as_str().unwrap())
        .collect();
    assert!(
        missing.iter().any(|what| what.contains("a part of the rows only (`orders_open`)")),
        "{missing:?}"
    );
    // One whose parents really go is another matter.
    stage.place.script(
        "delete from visits; delete from orders where id > 19000; delete from customers where id > 19000;
        insert into visits select i, i from generate_series(1, 19000) i; analyze",
    );
    stage.counted();
    let (_, result) = look(&stage);
    let mut alarms = found(&result, "warning");
    alarms.retain(|(code, _)| code == "missing_index");
    assert_eq!(alarms, [("missing_index".to_owned(), "visits (customer)".to_owned())], "{result:#}");
}

#[test]
fn a_much_larger_index_does_not_take_the_place_of_a_small_one() {
    let stage = Stage::new(Place::postgres());
    stage.place.script(
        "create table t (id integer primary key, k integer, note text);
         insert into t select i, i % 10, md5(i::text) || md5((i + 1)::text) || md5((i + 2)::text) from generate_series(1, 160000) i;
         create index t_k on t (k); create index t_k_note on t (k, note); create index t_k_id on t (k, id)",
    );
    let beginning = |stage: &Stage| {
        let (_, result) = look(stage);
        let all = result["findings"].as_array().unwrap().clone();
        all.into_iter()
            .filter(|one| one["code"] == "redundant_index")
            .map(|one| one["what"].to_string())
            .collect::<Vec<_>>()
    };
    assert!(beginning(&stage)[0].contains("t_k_id"), "{:?}", beginning(&stage));
    stage.place.script("drop index t_k_id");
    assert_eq!(beginning(&stage), Vec::<String>::new());
}
