//! Transfers that bring a table on two sessions: each batch is two transactions, and a death may come between them.

use crate::transfer_kit::Move;
use engine::{Failure, Status, Stop, What};
use serde_json::json;

#[test]
fn rows_that_came_beside_a_batch_that_died_do_not_come_again() {
    // S4-016, W-096
    let script = "create table t (id integer primary key, v text);
        insert into t with recursive c(i) as (select 1 union all select i + 1 from c where i < 40) select i * i, 'v' || i from c;
        create table words (word text, n integer, primary key (word, n)) without rowid;
        insert into words select v, id from t";
    let whole = |it: &Move| {
        let outcome = it.run(json!({"action": "verify"}));
        assert_eq!(outcome.status, Status::Completed, "{outcome:#?}");
        assert_eq!(it.list("select count(*), count(distinct id) from t"), ["40|40"]);
        assert_eq!(it.list("select count(*) from words"), ["40"]);
    };
    // where the rows are on their way
    let it = Move::of(script);
    let engine = it.engine();
    let plan = it.plan_with(json!({}), |manners| manners.batch_size = Some(8));
    let mut loads = Vec::new();
    let report = engine.run(&plan, &Stop::default(), &mut |event| {
        if let What::Advanced { detail: Some(detail), .. } = &event.what
            && detail["loaded"].is_string()
        {
            loads.push((engine.faults().passed(), detail["rows"].as_u64()));
        }
    });
    assert_eq!(report.unwrap().status, Status::Completed);
    whole(&it);
    let rows: Vec<_> = loads.iter().filter_map(|(_, rows)| *rows).collect();
    assert_eq!(rows, [8, 8, 8, 8, 8, 0, 8, 8, 8, 8, 8, 0]);
    // from the end of the first batch of each table to that of the next one
    let around = |n: usize| loads[n].0 as u32 + 1..loads[n + 1].0 as u32 + 1;
    let mut ahead = 0;
    for nth in around(0).chain(around(6)) {
        let it = Move::of(script);
        let plan = it.plan_with(json!({}), |manners| manners.batch_size = Some(8));
        let engine = it.engine();
        engine.faults().arm(nth);
        let outcome = engine.run(&plan, &Stop::default(), &mut |_| {});
        drop(engine);
        assert!(matches!(outcome, Err(Failure::Fault(_))), "point {nth}: {outcome:?}");
        if it.list("select count(*) from pg_tables where tablename = 'ahead'") == ["1"] {
            let there = it.list("select (select count(*) from t) % 8, (select count(*) from words) % 8");
            ahead += u32::from(there.concat().contains('4'));
        }
        let report = it.engine().resume("latest", &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!(report.status, Status::Completed, "after point {nth}: {report:#?}");
        assert_eq!(report.operations[0].rows_changed, 80, "after point {nth}");
        whole(&it);
    }
    assert!(ahead > 1, "only {ahead} died between one half of a batch and the other");
}
