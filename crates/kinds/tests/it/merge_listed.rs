//! Merges without scopes: rows are compared once, kept in a list, and looked at again before anything is done to them.

use crate::merge::{cells, merge};
use crate::stage::{Stage, both, manners};
use crate::tampered::Tampered;
use engine::{Manners, Report, Status};
use serde_json::{Value as Json, json};
use targets::db::{Sql, Tx};
use testkit::{Place, Workshop, story};

/// Runs a merge of a few rows per batch; the application runs `script` in the first batch after the list was made.
fn run_while(stage: &Stage, options: Json, script: &'static [&str]) -> (Workshop, Report) {
    let sqlite = stage.place.is_sqlite();
    let mut done = false;
    let begun = move |_: u64, tx: &mut dyn Tx| {
        let listed = match sqlite {
            true => "select count(*) from sqlite_temp_schema where name = 'sexton_list'",
            false => "select count(to_regclass('pg_temp.sexton_list'))",
        };
        if !done && tx.count(&Sql::new(listed)).unwrap() > 0 {
            done = true;
            for statement in script {
                tx.execute(&Sql::raw(statement)).unwrap();
            }
        }
    };
    let workshop =
        Workshop::new(&stage.place, kinds::catalogue()).on(Tampered::at_begin(stage.place.database(), begun));
    let engine = workshop.engine();
    let manners = Manners { batch_size: Some(2), ..manners() };
    let plan = story::plan(&engine, &story::request("merge", options, manners, false));
    let report = story::run(&engine, &plan);
    (workshop, report)
}

fn codes(report: &Report) -> Vec<&str> {
    report.operations[0].findings.iter().map(|finding| finding.code.as_str()).collect()
}

const NAMES: &str = "create table p (id integer primary key, name varchar(20), n integer);
    create table d (id integer primary key, p integer references p (id));
    create index d_p on d (p);
    insert into p values (1, 'a', 1), (2, 'a', 2), (3, 'a', 4), (4, 'b', 1), (5, 'b', 1), (6, 'c', 1), (7, 'c', 1), (8, 'd', 1), (9, 'd', 7);
    insert into d values (10, 2), (11, 3), (12, 5), (13, 7), (14, 9);";

#[test]
fn what_others_change_after_the_rows_were_compared_is_respected() {
    // S3-004, W-087: 3 is no `a` any more, the `b` that was to stay is gone, 6 has another number and 20 is new
    both("", "", |stage| {
        stage.place.script(NAMES);
        let options =
            json!({"table": "p", "by": ["name"], "survivor": ["lowest_key"], "fields": {"n": "sum"}});
        let (workshop, report) = run_while(
            stage,
            options,
            &[
                "update p set name = 'other' where id = 3",
                "delete from p where id = 4",
                "update p set n = 10 where id = 6",
                "insert into p values (20, 'd', 100)",
                "insert into d values (30, 9), (31, 20)",
            ],
        );
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        assert_eq!(
            cells(&stage.place, "select id, name, n from p order by id"),
            ["1|a|3", "3|other|4", "5|b|1", "6|c|11", "8|d|8", "20|d|100"]
        );
        assert_eq!(
            cells(&stage.place, "select id, p from d order by id"),
            ["10|1", "11|3", "12|5", "13|6", "14|8", "30|8", "31|20"]
        );
        assert!(codes(&report).contains(&"rows_left"), "{:?}", codes(&report));
        stage_undo(&workshop, &report);
        assert_eq!(
            cells(&stage.place, "select id, name, n from p order by id"),
            ["1|a|1", "2|a|2", "3|other|4", "5|b|1", "6|c|10", "7|c|1", "8|d|1", "9|d|7", "20|d|100"]
        );
    });
}

fn stage_undo(workshop: &Workshop, report: &Report) {
    let engine = workshop.engine();
    let request = engine.undo_request(&report.run_id, Some("test"), "tester").unwrap();
    let undone = story::run(&engine, &story::plan(&engine, &request));
    assert_eq!(undone.status, Status::Completed, "{undone:#?}");
}

/// Three roots that are the same, with children of the same names at two depths.
const TREE: &str = "create table nodes (id integer primary key, app varchar(9) not null, parent integer references nodes (id), name varchar(30) not null, unique (parent, name));
    insert into nodes values (1, 'x', null, 'r'), (2, 'x', null, 'r'), (3, 'x', null, 'r'),
      (11, 'x', 1, 'docs'), (12, 'x', 2, 'docs'), (13, 'x', 3, 'docs'), (21, 'x', 11, 'in'), (22, 'x', 12, 'in'), (23, 'x', 13, 'in');";

fn tree() -> Json {
    json!({"table": "nodes", "by": ["app"], "tree": {"parent": "parent", "siblings": ["name"]}, "survivor": ["lowest_key"]})
}

#[test]
fn a_root_that_became_another_keeps_what_lies_below_it() {
    // W-083, W-087: two levels further down the rows were the same by name, and are no longer the same thing
    both("", "", |stage| {
        stage.place.script(TREE);
        let (workshop, report) = run_while(stage, tree(), &["update nodes set app = 'y' where id = 3"]);
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        assert_eq!(
            cells(&stage.place, "select id, parent from nodes order by id"),
            ["1|NULL", "3|NULL", "11|1", "13|3", "21|11", "23|13"]
        );
        stage_undo(&workshop, &report);
        assert_eq!(cells(&stage.place, "select id from nodes").len(), 9);
    });
}

#[test]
fn a_child_that_comes_meanwhile_merges_with_its_twin() {
    // W-085, W-087: a unique name below the parent would stop the merge of the roots
    both("", "", |stage| {
        stage.place.script(TREE);
        let (workshop, report) = run_while(
            stage,
            tree(),
            &["insert into nodes values (31, 'x', 1, 'new'), (32, 'x', 2, 'new'), (33, 'x', 32, 'below')"],
        );
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        assert_eq!(
            cells(&stage.place, "select id, parent from nodes order by id"),
            ["1|NULL", "11|1", "21|11", "31|1", "33|31"]
        );
        stage_undo(&workshop, &report);
        assert_eq!(cells(&stage.place, "select id from nodes").len(), 12);
    });
}

#[test]
fn behind_a_pooler_every_batch_compares_again() {
    both("", "", |stage| {
        stage.place.script(NAMES);
        stage.place.script(TREE);
        let workshop = Workshop::new(&stage.place, kinds::catalogue())
            .on(Tampered::keeping_no_list(stage.place.database()));
        let engine = workshop.engine();
        let before = stage.place.dump();
        let flat = json!({"table": "p", "by": ["name"], "survivor": ["lowest_key"], "fields": {"n": "sum"}});
        for options in [flat, tree()] {
            let manners = Manners { batch_size: Some(2), ..manners() };
            let plan = story::plan(&engine, &story::request("merge", options, manners, false));
            let report = story::run(&engine, &plan);
            assert_eq!(
                (report.status, report.totals.deleted),
                (Status::Completed, plan.matched()),
                "{report:#?}"
            );
            stage_undo(&workshop, &report);
            assert_eq!(stage.place.dump(), before);
        }
    });
}

#[test]
fn a_column_that_ignores_case_makes_duplicates_of_what_differs_in_it() {
    // S3-002: the database's own idea of sameness holds, also when the rows are looked at again
    merge(json!({"table": "users", "by": ["email"], "survivor": ["lowest_key"], "fields": {"n": "sum"}}))
        .given(|place: &Place| {
            place.script2(
                "create table users (id integer primary key, email text collate nocase, n integer)",
                "create collation no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
                 create table users (id integer primary key, email text collate no_case, n integer)",
            );
            place.script("insert into users values (1, 'Ann@x', 1), (2, 'ann@X', 2), (3, 'bob', 4), (4, 'BOB', 8), (5, 'cy', 16)");
        })
        .after(|place, _| {
            assert_eq!(cells(place, "select id, email, n from users order by id"), ["1|Ann@x|3", "3|bob|12", "5|cy|16"]);
        })
        .without_faults()
        .tell();
}
