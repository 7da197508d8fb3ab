//! The newest rows of each group stay: ranked once, whatever others do meanwhile.

use crate::stage::{Stage, both, purge};
use crate::tampered::Tampered;
use engine::{Report, Status, Stop, What};
use serde_json::{Value as Json, json};
use std::time::Instant;
use targets::db::{Sql, Tx};
use testkit::{Workshop, story};

/// Ten groups of twenty rows; the greater the id, the newer.
const GROUPS: (&str, &str) = (
    "create table t (id integer primary key, g text, at text not null);
     with recursive c(i) as (select 1 union all select i + 1 from c where i < 200)
     insert into t select i, case i % 10 when 0 then null else 'group ' || (i % 10) end, datetime('2026-01-01', i || ' minutes') from c;",
    "create table t (id int primary key, g text, at timestamp not null);
     insert into t select i, case i % 10 when 0 then null else 'group ' || (i % 10) end, timestamp '2026-01-01' + make_interval(mins => i)
     from generate_series(1, 200) i;",
);

fn options() -> Json {
    json!({"table": "t", "age_column": "at", "keep_newest": 3, "per": ["g"]})
}

/// A run in small batches in which somebody else does this once, in the middle.
fn meanwhile(stage: &Stage, sql: &'static str) -> Report {
    let mut there = false;
    let mut batches = 0;
    let begun = move |_: u64, tx: &mut dyn Tx| {
        batches += 1;
        if batches == 6 && !there {
            there = true;
            tx.execute(&Sql::new(sql)).unwrap();
        }
    };
    let workshop =
        Workshop::new(&stage.place, kinds::catalogue()).on(Tampered::at_begin(stage.place.database(), begun));
    let engine = workshop.engine();
    let plan = story::plan(&engine, &stage.request(options(), |manners| manners.batch_size = Some(10)));
    engine.run(&plan, &Stop::default(), &mut |_| {}).unwrap()
}

#[test]
fn the_newest_of_each_group_survive_faults_and_undo() {
    purge(options())
        .given(|place| place.script2(GROUPS.0, GROUPS.1))
        .manners(|manners| manners.batch_size = Some(40))
        .after(|place, report| {
            assert_eq!(report.operations[0].rows_deleted, 170);
            assert_eq!(place.rows("select id from t").len(), 30);
            assert_eq!(place.rows("select id from t where id < 171").len(), 0);
        })
        .tell();
}

#[test]
fn no_batch_ranks_the_whole_table() {
    // A batch holds the only write lock of a SQLite file, so it must not take as long as ranking.
    both(
        "create table t (id integer primary key, g integer); with recursive c(i) as (select 1 union all select i + 1 from c where i < 100000) insert into t select i, i % 500 from c;",
        "create table t (id int primary key, g int, pad text default repeat('x', 400)); insert into t select i, i % 500 from generate_series(1, 100000) i; analyze t;",
        |stage| {
            let began = Instant::now();
            let ranked = "select count(*) from (select id, row_number() over (partition by g order by id desc) as r from t) as s where r > 180";
            assert_eq!(stage.number(ranked), 10_000);
            let ranking = began.elapsed().as_secs_f64();
            let mut times = Vec::new();
            let report = stage
                .watch(
                    json!({"table": "t", "keep_newest": 180, "per": ["g"]}),
                    |manners| manners.batch_size = Some(100),
                    &mut |event| {
                        if let What::Advanced { seconds, .. } = &event.what {
                            times.push(*seconds);
                        }
                    },
                )
                .unwrap();
            assert_eq!((report.status, report.totals.deleted), (Status::Completed, 10_000));
            assert_eq!(
                stage.number("select max(n) - min(n) from (select count(*) as n from t group by g) as s"),
                0
            );
            assert!(times.len() >= 100, "{} batches", times.len());
            if stage.place.is_sqlite() {
                times.sort_by(f64::total_cmp);
                let median = times[times.len() / 2];
                assert!(median < ranking / 2.0, "a batch takes {median} s, ranking {ranking} s");
            } else {
                // Every batch would read the whole table, 100 times 100 000 rows.
                let read = stage.number("select seq_tup_read from pg_stat_user_tables where relname = 't'");
                assert!(read < 2_000_000, "{read} rows were read by walking");
            }
        },
    );
}

#[test]
fn a_group_that_loses_one_of_its_newest_meanwhile_keeps_as_many_of_the_rest() {
    both(GROUPS.0, GROUPS.1, |stage| {
        let report = meanwhile(stage, "delete from t where id = 199");
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        assert_eq!(stage.list("select id from t where g = 'group 9' order by id"), ["169", "179", "189"]);
        assert_eq!(stage.number("select count(*) from t"), 30);
        assert_eq!(report.operations[0].rows_deleted, 169);
    });
}

#[test]
fn what_becomes_new_or_changes_its_group_meanwhile_stays() {
    both(GROUPS.0, GROUPS.1, |stage| {
        let report = meanwhile(stage, "update t set at = '2027-01-01' where id = 9");
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        // one of the three was pushed out by it, which the next run finds
        let left = stage.list("select id from t where g = 'group 9' order by id");
        assert!(["9", "189", "199"].iter().all(|id| left.contains(&(*id).to_owned())), "{left:?}");
    });
    both(GROUPS.0, GROUPS.1, |stage| {
        meanwhile(stage, "update t set g = 'another' where id in (9, 19)");
        assert_eq!(stage.list("select id from t where g = 'another' order by id"), ["9", "19"]);
        assert_eq!(stage.list("select id from t where g = 'group 9' order by id"), ["179", "189", "199"]);
    });
}

#[test]
fn rows_that_come_meanwhile_stay() {
    both(GROUPS.0, GROUPS.1, |stage| {
        let come = "insert into t values (201, 'group 9', '2027-01-01'), (202, 'fresh', '2027-01-01')";
        let report = meanwhile(stage, come);
        assert_eq!(
            (report.status, report.operations[0].rows_deleted),
            (Status::Completed, 170),
            "{report:#?}"
        );
        assert_eq!(
            stage.list("select id from t where g = 'group 9' order by id"),
            ["179", "189", "199", "201"]
        );
        assert_eq!(stage.number("select count(*) from t where id = 202"), 1);
    });
}

#[test]
fn keeping_none_of_each_group_empties_all_of_them() {
    both(GROUPS.0, GROUPS.1, |stage| {
        let report = stage.run(json!({"table": "t", "age_column": "at", "keep_newest": 0, "per": ["g"]}));
        assert_eq!((report.totals.deleted, stage.number("select count(*) from t")), (200, 0));
    });
}
