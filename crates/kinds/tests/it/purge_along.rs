//! Children that the database takes along, or that go in one statement with their parents: the same rows, the same counts
//! as the careful way, and the careful way wherever things are not as plain.

use crate::stage::Stage;
use engine::{Status, What};
use serde_json::{Value as Json, json};
use testkit::Place;

/// Four parents, two of them old; children of both; toys of some of those.
fn family(on_delete: &str) -> String {
    format!(
        "create table parents (id integer primary key, old integer not null);
         create table children (id integer primary key, parent integer references parents (id) {on_delete}, note text);
         create index children_parent on children (parent);
         create table toys (id integer primary key, child integer references children (id) {on_delete});
         create index toys_child on toys (child);
         insert into parents values (1, 1), (2, 1), (3, 0), (4, 0);
         insert into children values (11, 1, 'a'), (12, 1, 'b'), (13, 2, 'c'), (14, 3, 'd'), (15, null, 'e');
         insert into toys values (111, 11), (112, 11), (113, 13), (114, 14), (115, null);"
    )
}

fn stage(script: &str) -> Stage {
    let stage = Stage::new(Place::postgres());
    stage.place.script(script);
    stage
}

fn options(undo: &str) -> Json {
    json!({"table": "parents", "where": "old = 1", "dependants": "cascade", "undo": undo, "triggers": "fire"})
}

/// Only a superuser may disable the triggers of a foreign key.
fn change(stage: &Stage, script: &str) {
    match script.contains("disable trigger") {
        true => stage.place.admin_script(script),
        false => stage.place.script(script),
    }
}

/// Plans, runs, and tells who handled the children, how many rows went, and what is left.
fn outcome(stage: &Stage, options: Json) -> (Json, (u64, u64), Vec<String>) {
    let engine = stage.engine();
    let plan = testkit::story::plan(&engine, &stage.request(options, |_| {}));
    let report = testkit::story::run(&engine, &plan);
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    let done = &report.operations[0];
    let left = stage.list(
        "select 'c' || id || coalesce(' of ' || parent, '') from children
         union all select 't' || id || coalesce(' of ' || child, '') from toys order by 1",
    );
    (plan.items[0].steps[0].task["hands"].clone(), (done.rows_deleted, done.rows_dependent), left)
}

#[test]
fn children_left_to_the_database_are_counted_like_those_that_are_deleted_one_by_one() {
    // W-034
    let (hands, counts, left) = outcome(&stage(&family("")), options("none"));
    assert_eq!((hands, counts), (Json::Null, (2, 6)), "no key does it here");
    for undo in ["none", "rows"] {
        let (hands, same_counts, same_left) = outcome(&stage(&family("on delete cascade")), options(undo));
        assert_eq!(hands, if undo == "none" { "database" } else { "watched" });
        assert_eq!((same_counts, same_left), (counts, left.clone()), "{undo}");
    }
    let (hands, same_counts, same_left) = outcome(&stage(&family("")), options("rows"));
    assert_eq!((hands, same_counts, same_left), ("watched".into(), counts, left));
}

#[test]
fn references_that_the_database_sets_to_null_are_counted_too() {
    let nulls = json!({"table": "parents", "where": "old = 1", "dependants": "set_null", "undo": "none"});
    let (hands, counts, left) = outcome(&stage(&family("on delete set null")), nulls.clone());
    assert_eq!((hands, counts), ("database".into(), (2, 3)));
    let (hands, same_counts, same_left) = outcome(&stage(&family("")), nulls);
    assert_eq!((hands, same_counts, same_left), (Json::Null, counts, left));
}

#[test]
fn whatever_could_get_in_between_makes_it_go_the_careful_way() {
    let nothing = "create function nothing() returns trigger language plpgsql as 'begin return old; end'";
    let reasons = [
        format!("{nothing}; create trigger t before delete on toys for each row execute function nothing()"),
        format!("{nothing}; create trigger t before delete on parents for each row execute function nothing()"),
        "alter table parents disable trigger all".to_owned(),
        "create rule r as on update to toys do also select 1".to_owned(),
        "alter table children enable row level security".to_owned(),
        "drop index toys_child".to_owned(),
        "create table more () inherits (toys)".to_owned(),
        "alter table toys drop constraint toys_child_fkey, add foreign key (child) references children (id) \
         on delete cascade not valid"
            .to_owned(),
        "alter table toys add parent integer references parents (id) on delete cascade; create index on toys (parent)"
            .to_owned(),
        "insert into toys select 1000 + n, 12 from generate_series(1, 1500) as n".to_owned(),
    ];
    for reason in reasons {
        for undo in ["none", "rows"] {
            let stage = stage(&family("on delete cascade"));
            change(&stage, &reason);
            let more = if reason.starts_with("insert") { 1500 } else { 0 };
            let (hands, counts, left) = outcome(&stage, options(undo));
            assert_eq!((hands, counts), (Json::Null, (2, 6 + more)), "{undo}: {reason}");
            assert_eq!(left, ["c14 of 3", "c15", "t114 of 14", "t115"], "{undo}: {reason}");
        }
    }
    // One relation is to be kept otherwise than its key says.
    let mixed = json!({"table": "parents", "where": "old = 1", "dependants": "cascade", "undo": "none",
        "relations": [{"table": "toys", "columns": ["child"], "parent": "children", "policy": "set_null"}]});
    let (hands, counts, left) = outcome(&stage(&family("on delete cascade")), mixed);
    assert_eq!((hands, counts), (Json::Null, (2, 6)));
    assert_eq!(left, ["c14 of 3", "c15", "t111", "t112", "t113", "t114 of 14", "t115"]);
}

#[test]
fn a_key_that_is_gone_since_the_plan_leaves_no_orphans() {
    for change in [
        "alter table children drop constraint children_parent_fkey",
        "alter table parents disable trigger all",
        "alter table toys drop constraint toys_child_fkey, add foreign key (child) references children (id)",
    ] {
        let stage = stage(&family("on delete cascade"));
        let engine = stage.engine();
        let plan = testkit::story::plan(&engine, &stage.request(options("none"), |_| {}));
        assert_eq!(plan.items[0].steps[0].task["hands"], "database");
        self::change(&stage, change);
        let report = testkit::story::run(&engine, &plan);
        let done = &report.operations[0];
        assert_eq!((done.rows_deleted, done.rows_dependent), (2, 6), "{change}: {report:#?}");
        assert_eq!(stage.number("select count(*) from toys"), 2, "{change}");
    }
}

#[test]
fn rows_that_go_silently_are_noticed_and_the_batch_is_done_again() {
    // W-079: what is not remembered does not go
    let stage = stage(&family("on delete cascade"));
    let engine = stage.engine();
    let plan = testkit::story::plan(&engine, &stage.request(options("rows"), |_| {}));
    assert_eq!(plan.items[0].steps[0].task["hands"], "watched");
    // As a child would that comes while its parent is being deleted.
    stage.place.script(
        "create sequence times;
         create function one_more() returns trigger language plpgsql as 'begin
           if nextval(''times'') = 1 then delete from toys where id = 114; end if; return old; end';
         create trigger one_more before delete on children for each row execute function one_more()",
    );
    let mut retried = 0;
    let report = engine
        .run(&plan, &engine::Stop::default(), &mut |event| {
            retried += i32::from(matches!(event.what, What::Retried { .. }));
        })
        .unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(retried, 1, "{report:#?}");
    assert_eq!(report.operations[0].rows_dependent, 6);
    assert_eq!(stage.list("select id from toys order by id"), ["114", "115"]);
}
