//! Migrations behind a transaction pooler: what goes there goes well, and what cannot is refused before anything runs.

use crate::migrate_kit::{THREE, Yard};
use engine::{Engine, Status};
use serde_json::json;
use testkit::{Place, Pooler, database_at, story};

fn through(yard: &Yard, pooler: &Pooler) -> Engine {
    yard.workshop.also_at(database_at(&pooler.url()))
}

#[test]
fn behind_a_pooler_each_migration_is_one_transaction_with_its_record() {
    let yard = Yard::with(Place::postgres(), &THREE);
    let pooler = Pooler::before(&yard.place);
    let engine = through(&yard, &pooler);
    let run = |options| story::run(&engine, &story::plan(&engine, &yard.request(options)));
    assert_eq!(run(json!({})).status, Status::Completed);
    assert_eq!(
        yard.history(),
        ["apply 0001_users applied 2", "apply 0002_orders applied 3", "apply 0003_note applied 2"]
    );
    yard.write(&[(
        "0004_bad.sql",
        "-- sexton:up\ncreate table bad (id int);\ninsert into elsewhere values (1);\n",
    )]);
    let before = yard.place.dump();
    assert_eq!(run(json!({})).status, Status::Failed);
    assert_eq!((yard.place.dump(), yard.state("0004_bad")), (before, "failed".to_owned()));
    assert_eq!(run(json!({"action": "down"})).status, Status::Completed);
    assert_eq!(yard.state("0003_note"), "rolled_back");
}

#[test]
fn behind_a_pooler_of_two_starters_one_waits() {
    // W-006
    let yard = Yard::with(Place::postgres(), &THREE);
    let pooler = Pooler::before(&yard.place);
    let engines = [through(&yard, &pooler), through(&yard, &pooler)];
    let plans = engines.each_ref().map(|engine| story::plan(engine, &yard.request(json!({}))));
    let statuses = std::thread::scope(|scope| {
        let runs = [0, 1].map(|n| {
            let (engine, plan) = (&engines[n], &plans[n]);
            scope.spawn(move || story::run(engine, plan).status)
        });
        runs.map(|run| run.join().unwrap())
    });
    assert_eq!(statuses, [Status::Completed, Status::Completed]);
    assert_eq!(yard.history().len(), 3, "{:?}", yard.history());
}

#[test]
fn behind_a_pooler_a_statement_outside_of_transactions_is_refused_with_the_way_around() {
    let yard = Yard::with(Place::postgres(), &[THREE[0]]);
    yard.up();
    yard.write(&[(
        "0002_index.sql",
        "-- sexton:up\ncreate index concurrently users_name on users (name);\n",
    )]);
    let pooler = Pooler::before(&yard.place);
    let engine = through(&yard, &pooler);
    let before = yard.place.dump();
    let report = story::run(&engine, &story::plan(&engine, &yard.request(json!({}))));
    assert_eq!(report.status, Status::Refused, "{report:#?}");
    let finding = report.operations[0].findings.iter().find(|finding| finding.code == "pooler").unwrap();
    assert!(finding.remedy.contains("connect to the server itself"), "{finding:?}");
    assert_eq!(yard.place.dump(), before);
    yard.up();
    assert_eq!(yard.state("0002_index"), "applied", "directly it goes");
}
