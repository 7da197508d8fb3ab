//! Conversions in SQL: backfills in batches, undone, resumed, with the rows that the data refuse left and told.

use crate::stage::{Stage, both, codes, manners, shown};
use engine::{Report, Status};
use serde_json::{Value as Json, json};
use testkit::{Story, story};

/// Articles, some of them with a slug already.
pub const TABLES: (&str, &str) = (
    "create table articles (id integer primary key, title text, slug text, price text, cents integer);
     insert into articles values (1, 'Hello World', null, '1.50', null), (2, 'Second', 'kept', '2', null),
       (3, 'Drei', null, '3', null), (4, null, null, '4', null), (5, 'Fünf', null, '5', null),
       (6, 'Six', null, '6', null), (7, 'Seven', null, '7', null);",
    "create table articles (id int primary key, title text, slug text, price text, cents int);
     insert into articles values (1, 'Hello World', null, '1.50', null), (2, 'Second', 'kept', '2', null),
       (3, 'Drei', null, '3', null), (4, null, null, '4', null), (5, 'Fünf', null, '5', null),
       (6, 'Six', null, '6', null), (7, 'Seven', null, '7', null);",
);

/// What tests say about conversions on a stage.
pub trait Converting {
    fn convert(&self, options: Json) -> Report;
    fn refused_conversion(&self, options: Json) -> String;
}

impl Converting for Stage {
    fn convert(&self, options: Json) -> Report {
        let engine = self.engine();
        let mut manners = manners();
        manners.batch_size = Some(3);
        let plan = story::plan(&engine, &story::request("convert", options, manners, false));
        story::run(&engine, &plan)
    }

    fn refused_conversion(&self, options: Json) -> String {
        let request = story::request("convert", options, manners(), false);
        match self.engine().plan(&request) {
            Ok(plan) => panic!("it was planned: {:#?}", plan.items[0]),
            Err(failure) => shown(&failure),
        }
    }
}

fn backfill() -> Json {
    json!({
        "table": "articles",
        "where": "slug is null and title is not null",
        "set": {"slug": "lower(title)"},
    })
}

fn story(options: Json) -> Story {
    Story::new(kinds::catalogue(), "convert", options).given(|place| place.script2(TABLES.0, TABLES.1))
}

#[test]
fn a_new_column_is_filled_in_batches_and_emptied_again() {
    story(backfill())
        .after(|place, report| {
            assert_eq!(report.operations[0].rows_changed, 5);
            assert!(report.operations[0].batches >= 2);
            let rows = place.rows("select slug from articles order by id");
            assert_eq!(rows[0][0], "hello world".into());
            assert_eq!(rows[1][0], "kept".into());
        })
        .tell();
}

#[test]
fn without_a_condition_that_tells_converted_rows_are_remembered() {
    // W-015
    let twice = json!({"table": "articles", "set": {"cents": "coalesce(t.cents, 0) + 1"}});
    story(twice.clone())
        .given(|place| {
            place.script2(TABLES.0, TABLES.1);
            place.script("delete from articles where id > 4");
        })
        .after(|place, report| {
            assert_eq!(report.operations[0].rows_changed, 4);
            assert_eq!(place.rows("select id from articles where cents = 1").len(), 4);
        })
        .tell();
    both(TABLES.0, TABLES.1, |stage| {
        assert_eq!(stage.convert(twice.clone()).operations[0].rows_changed, 7);
        let again = stage.convert(twice.clone());
        assert_eq!((again.status, again.operations[0].rows_changed), (Status::Completed, 0));
        stage.place.script("insert into articles (id, price) values (8, '8')");
        assert_eq!(stage.convert(twice.clone()).operations[0].rows_changed, 1);
        assert_eq!(stage.number("select count(*) from articles where cents = 1"), 8);
    });
}

#[test]
fn a_large_table_is_walked_as_it_lies_and_what_fails_is_met_once() {
    let (sqlite, postgres) = crate::stage::rows(6_000);
    both(&sqlite, &postgres, |stage| {
        stage.place.script(
            "alter table t add column m integer check (m <> 4321); alter table t add column k integer",
        );
        let engine = stage.engine();
        let options = json!({"table": "t", "where": "m is null", "set": {"m": "t.id"}});
        let plan = story::plan(&engine, &story::request("convert", options, manners(), false));
        // PostgreSQL before 14 cannot look at a part of a table only.
        let walks = plan.items[0].steps[0].way.contains("physical");
        assert_eq!(walks, stage.place.version() >= 14, "{}", plan.items[0].steps[0].way);
        let report = story::run(&engine, &plan);
        let done = &report.operations[0];
        assert_eq!(
            (report.status, done.rows_changed, done.rows_failed),
            (Status::Partial, 5_999, 1),
            "{report:#?}"
        );
        assert_eq!(stage.number("select count(*) from t where m = id"), 5_999);
        assert_eq!(stage.undo(&report.run_id).status, Status::Completed);
        assert_eq!(stage.number("select count(*) from t where m is not null"), 0);
    });
}

#[test]
fn a_condition_that_does_not_tell_what_is_left_is_refused() {
    both(TABLES.0, TABLES.1, |stage| {
        let options = json!({"table": "articles", "where": "id > 0", "set": {"slug": "'x'"}});
        let plan = story::plan(&stage.engine(), &story::request("convert", options, manners(), false));
        assert_eq!(codes(&plan), ["still_matches"]);
    });
}

#[test]
fn rows_that_the_data_refuse_are_told_and_the_others_converted() {
    // S0-039
    let (sqlite, postgres) = (
        TABLES.0.replace("cents integer", "cents integer check (cents <> 500)"),
        TABLES.1.replace("cents int", "cents int check (cents <> 500)"),
    );
    both(&sqlite, &postgres, |stage| {
        let options = json!({
            "table": "articles",
            "where": "cents is null",
            "set": {"cents": "cast(cast(t.price as numeric) * 100 as integer)"},
        });
        let report = stage.convert(options.clone());
        let done = &report.operations[0];
        assert_eq!(
            (report.status, done.rows_changed, done.rows_failed),
            (Status::Partial, 6, 1),
            "{report:#?}"
        );
        let told = &done.result.as_ref().unwrap()["failures"][0];
        assert_eq!(told["row"], "id 5");
        assert!(done.warnings[0].contains("id 5"), "{:?}", done.warnings);
        assert_eq!(stage.number("select count(*) from articles where cents is null"), 1);
        stage.place.script("update articles set price = '5.01' where id = 5");
        let again = stage.convert(options);
        assert_eq!((again.status, again.operations[0].rows_changed), (Status::Completed, 1));
        // Both runs can be put back.
        for run in [again.run_id, report.run_id] {
            assert_eq!(stage.undo(&run).status, Status::Completed);
        }
        assert_eq!(stage.number("select count(*) from articles where cents is null"), 7);
    });
}

#[test]
fn what_cannot_be_meant_is_refused_at_planning() {
    both(TABLES.0, TABLES.1, |stage| {
        for (options, wanted) in [
            (json!({"table": "articles"}), "nothing says how"),
            (json!({"table": "articles", "set": {"nope": "1"}}), "nope"),
            (json!({"table": "articles", "set": {"id": "1"}}), "told apart"),
            (json!({"table": "articles", "set": {"slug": "no_such(t.title)"}}), "set.slug"),
            (json!({"table": "articles", "set": {"slug": "1"}, "jq": "."}), "one of them"),
            (json!({"table": "articles", "columns": {"slug": ".title |"}}), "expected term"),
            (json!({"table": "articles", "columns": {"slug": "env.HOME"}}), "env"),
            (json!({"table": "articles", "jq": "."}), "columns"),
            (json!({"table": "articles", "where": "1) or (1", "set": {"slug": "'x'"}}), "condition"),
        ] {
            let said = stage.refused_conversion(options.clone());
            assert!(said.contains(wanted), "{options}: {said}");
            assert!(said.contains("help: ") || options["set"]["slug"] != Json::Null, "{said}");
        }
    });
}

#[test]
fn a_missing_table_fails_the_run() {
    // S0-040
    both(TABLES.0, TABLES.1, |stage| {
        let said = stage.refused_conversion(json!({"table": "gone", "set": {"slug": "'x'"}}));
        assert!(said.contains("gone"), "{said}");
    });
}
