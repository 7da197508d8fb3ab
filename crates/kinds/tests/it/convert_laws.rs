//! A law: converting random rows and undoing it is the identity, whatever fails among them.

use crate::stage::{Stage, cases, manners};
use engine::Status;
use proptest::prelude::*;
use serde_json::json;
use testkit::{Place, story};

fn text() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        Just(None),
        Just(Some(String::new())),
        "[a-zäß'\"\\\\\n 0-9{\\[]{0,12}".prop_map(Some),
        Just(Some("[1, {\"a\": null}]".to_owned())),
        Just(Some("12345678901234567890123".to_owned())),
    ]
}

fn literal(text: &Option<String>) -> String {
    text.as_ref().map_or("null".to_owned(), |text| format!("'{}'", text.replace('\'', "''")))
}

fn converted_and_undone(place: &Place, rows: &[(Option<String>, Option<i32>)], batch: u64) {
    place.script("drop table if exists law; create table law (a integer not null, b text not null, body text, n integer, out text, primary key (a, b))");
    for (n, (body, number)) in rows.iter().enumerate() {
        let number = number.map_or("null".to_owned(), |number| number.to_string());
        place.script(&format!(
            "insert into law values ({}, 'k{}', {}, {number}, null)",
            n % 3,
            n,
            literal(body)
        ));
    }
    let before = place.dump();
    let stage = testkit::Workshop::new(place, kinds::catalogue());
    let engine = stage.engine();
    let mut manners = manners();
    manners.batch_size = Some(batch);
    let program = "if .n == 13 then error(\"unlucky\") elif .n == 0 then empty else .body end";
    for options in [
        json!({"table": "law", "where": "out is null", "jq": program, "columns": {"out": "ascii_upcase + \"!\""}}),
        json!({"table": "law", "set": {"out": "coalesce(t.body, '') || t.n", "n": "t.n + 1"}}),
    ] {
        let plan = story::plan(&engine, &story::request("convert", options, manners.clone(), false));
        let report = story::run(&engine, &plan);
        assert!(matches!(report.status, Status::Completed | Status::Partial), "{report:#?}");
        let done = &report.operations[0];
        assert!(done.rows_changed + done.rows_failed + done.rows_skipped >= plan.matched(), "{done:#?}");
        if done.rows_changed > 0 {
            let request = engine.undo_request(&report.run_id, Some("test"), "tester").unwrap();
            let undone = story::run(&engine, &story::plan(&engine, &request));
            assert_eq!(undone.status, Status::Completed, "{undone:#?}");
        }
        assert_eq!(place.dump(), before);
        story::forget(&engine);
    }
    assert_eq!(place.leftovers(), Vec::<String>::new());
}

fn law(place: &Place, number: u32) {
    let rows = prop::collection::vec(
        (text(), prop::option::of(prop_oneof![Just(13), Just(0), any::<i16>().prop_map(i32::from)])),
        0..14,
    );
    let mut runner = proptest::test_runner::TestRunner::new(cases(number));
    let outcome = runner.run(&(rows, 1_u64..6), |(rows, batch)| {
        converted_and_undone(place, &rows, batch);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn converting_and_undoing_is_the_identity_on_sqlite() {
    let stage = Stage::new(Place::sqlite());
    law(&stage.place, 24);
}

#[test]
fn converting_and_undoing_is_the_identity_on_postgresql() {
    let stage = Stage::new(Place::postgres());
    law(&stage.place, 8);
}
