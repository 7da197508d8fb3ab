//! Limits and manners: batches, budgets, rates, windows, stops; and going on afterwards.

use crate::stage::both;
use engine::{Clock, Status, Stop, StopReason, What};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use testkit::{Workshop, story};

fn rows(count: u32) -> (String, String) {
    (
        format!(
            "create table t (id integer primary key, n integer not null);
             with recursive c(i) as (select 1 union all select i + 1 from c where i < {count})
             insert into t select i, i % 2 from c;"
        ),
        format!(
            "create table t (id int primary key, n int not null);
             insert into t select i, i % 2 from generate_series(1, {count}) i;"
        ),
    )
}

fn odd() -> serde_json::Value {
    json!({"table": "t", "where": "n = 1"})
}

fn all() -> serde_json::Value {
    json!({"table": "t", "where": "n >= 0"})
}

#[test]
fn batches_have_exactly_the_size_that_is_asked_for() {
    // S1-019, S1-023, S2-016, S3-048, X-08
    for (count, size, batches, condition) in [
        (2_500, 1_000, 3, "n >= 0"),
        (25_000, 10_000, 3, "n >= 0"),
        (5_000, 1_000, 3, "n = 1"),
        (40, 10, 4, "n >= 0"),
    ] {
        let (sqlite, postgres) = rows(count);
        both(&sqlite, &postgres, |stage| {
            let mut sizes = Vec::new();
            let report = stage
                .watch(
                    json!({"table": "t", "where": condition}),
                    |manners| manners.batch_size = Some(size),
                    &mut |event| {
                        if let What::Advanced { counts, .. } = &event.what {
                            sizes.push(counts.deleted);
                        }
                    },
                )
                .unwrap();
            assert_eq!(
                (report.operations[0].batches, report.operations[0].batch_size),
                (batches, size),
                "{sizes:?}"
            );
            assert!(sizes[..sizes.len() - 1].iter().all(|had| *had == size), "{sizes:?}");
            assert_eq!(sizes.iter().sum::<u64>(), report.operations[0].rows_deleted);
        });
    }
}

#[test]
fn batches_found_by_an_index_have_the_size_that_is_asked_for_too() {
    both(
        "create table t (id integer primary key, n integer); create index t_n on t (n);
         with recursive c(i) as (select 1 union all select i + 1 from c where i < 3000) insert into t select i, i % 60 from c;",
        "create table t (id int primary key, n int); create index t_n on t (n);
         insert into t select i, i % 60 from generate_series(1, 3000) i; analyze t;",
        |stage| {
            let options = json!({"table": "t", "where": "n = 7"});
            assert!(stage.plan(options.clone()).items[0].steps[0].way.contains("by index"));
            let report = stage.run_with(options, |manners| manners.batch_size = Some(20));
            assert_eq!((report.operations[0].batches, report.operations[0].rows_deleted), (3, 50));
        },
    );
}

#[test]
fn without_a_size_batches_are_fitted_to_the_time_they_take() {
    // S3-047
    let (sqlite, postgres) = rows(30_000);
    // With its other log each batch waits for the disk, which may take longer than all the rest.
    let sqlite = format!("pragma journal_mode = wal; {sqlite}");
    both(&sqlite, &postgres, |stage| {
        let report = stage.run(all());
        let done = &report.operations[0];
        assert_eq!(done.rows_deleted, 30_000);
        assert!(done.batches >= 2, "they begin with a thousand");
        // Beside other tests that write to the same server they stay short there.
        if stage.place.is_sqlite() {
            assert!(done.batches <= 30, "and grow: {}", done.batches);
            assert!(done.batch_size > 1_000, "{}", done.batch_size);
        }
    });
}

#[test]
fn a_row_limit_stops_the_run_exactly_there_and_it_can_be_resumed() {
    // S2-017, W-068, W-124
    let (sqlite, postgres) = rows(100);
    both(&sqlite, &postgres, |stage| {
        let before = stage.place.dump();
        let report = stage.run_with(all(), |manners| {
            manners.batch_size = Some(10);
            manners.max_rows = Some(35);
        });
        let done = &report.operations[0];
        assert_eq!((report.status, done.rows_deleted), (Status::TimedOut, 35), "{report:#?}");
        assert!(done.reason.as_deref().unwrap().contains("row limit"));
        assert_eq!(stage.number("select count(*) from t"), 65);
        let engine = stage.engine();
        let second = engine.resume(&report.run_id, &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!(
            (second.status, second.operations[0].rows_deleted),
            (Status::TimedOut, 70),
            "each attempt has its limit"
        );
        let third = engine.resume(&report.run_id, &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!(
            (third.status, third.operations[0].rows_deleted, third.totals.deleted),
            (Status::Completed, 100, 100)
        );
        let error = engine.resume(&report.run_id, &Stop::default(), &mut |_| {}).unwrap_err();
        assert!(error.to_string().contains("nothing to resume") && error.help().is_some());
        stage.undo(&report.run_id);
        assert_eq!(stage.place.dump(), before);
    });
}

#[test]
fn a_time_limit_stops_the_run_between_two_batches_and_what_is_done_is_kept() {
    // S2-017, W-068
    let (sqlite, postgres) = rows(60);
    both(&sqlite, &postgres, |stage| {
        let mut report = stage.run_with(all(), |manners| {
            manners.batch_size = Some(10);
            manners.max_seconds = Some(0.05);
            manners.pause = 0.03;
        });
        assert_eq!(report.status, Status::TimedOut, "{report:#?}");
        assert!(report.operations[0].reason.as_deref().unwrap().contains("time limit"));
        let mut attempts = 1;
        while report.status == Status::TimedOut {
            let done = report.operations[0].rows_deleted;
            assert_eq!(stage.number("select count(*) from t") as u64, 60 - done);
            report = stage.engine().resume(&report.run_id, &Stop::default(), &mut |_| {}).unwrap();
            assert!(done == 60 || report.operations[0].rows_deleted > done, "each attempt gets further");
            attempts += 1;
        }
        assert_eq!((report.status, report.operations[0].rows_deleted), (Status::Completed, 60));
        assert!(attempts > 1);
    });
}

#[test]
fn a_rate_limit_is_kept() {
    // S2-049, S3-050
    let (sqlite, postgres) = rows(40);
    both(&sqlite, &postgres, |stage| {
        let began = std::time::Instant::now();
        let report = stage.run_with(all(), |manners| {
            manners.batch_size = Some(10);
            manners.rows_per_second = Some(100.0);
        });
        let took = began.elapsed().as_secs_f64();
        assert_eq!(report.operations[0].rows_deleted, 40);
        assert!(took >= 0.3, "three batches of ten have to be waited for: {took}");
    });
}

/// A clock that a test can put forward.
struct Movable(AtomicI64);

impl Clock for Movable {
    fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.0.load(Ordering::SeqCst))
    }

    fn sleep(&self, _: std::time::Duration) {}
}

#[test]
fn outside_its_window_a_run_is_refused_and_when_the_window_closes_it_stops() {
    // S2-081
    let (sqlite, postgres) = rows(40);
    both(&sqlite, &postgres, |stage| {
        let clock = Arc::new(Movable(AtomicI64::new(0)));
        let workshop =
            Workshop::new(&stage.place, kinds::catalogue()).at(Arc::clone(&clock) as Arc<dyn Clock>);
        let engine = workshop.engine();
        let hour =
            |hours: i64| (Timestamp::now() + SignedDuration::from_hours(hours)).strftime("%H:%M").to_string();
        let request = |window: String| {
            stage.request(all(), |manners| {
                manners.batch_size = Some(10);
                manners.window = Some(window);
            })
        };
        let closed = story::plan(&engine, &request(format!("{}-{}", hour(3), hour(5))));
        assert_eq!(story::run(&engine, &closed).status, Status::Refused);
        assert_eq!(stage.number("select count(*) from t"), 40);

        let open = story::plan(&engine, &request(format!("{}-{}", hour(-1), hour(1))));
        let report = engine
            .run(&open, &Stop::default(), &mut |event| {
                if matches!(event.what, What::Advanced { .. }) {
                    clock.0.store(2 * 3_600, Ordering::SeqCst);
                }
            })
            .unwrap();
        assert_eq!((report.status, report.operations[0].rows_deleted), (Status::TimedOut, 10), "{report:#?}");
        assert!(report.operations[0].reason.as_deref().unwrap().contains("window closed"));
        clock.0.store(0, Ordering::SeqCst);
        let resumed = engine.resume(&report.run_id, &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!((resumed.status, resumed.operations[0].rows_deleted), (Status::Completed, 40));
    });
}

#[test]
fn a_run_stops_at_its_next_batch_when_another_process_asks() {
    let (sqlite, postgres) = rows(40);
    both(&sqlite, &postgres, |stage| {
        let other = stage.engine();
        let mut asked = false;
        let report = stage
            .watch(all(), |manners| manners.batch_size = Some(10), &mut |event| {
                if matches!(event.what, What::Advanced { batch: 2, .. }) {
                    assert_eq!(other.ask_stop(&event.run[..5], "somebody").unwrap(), event.run);
                    asked = true;
                }
            })
            .unwrap();
        assert!(asked);
        assert_eq!(
            (report.status, report.operations[0].rows_deleted),
            (Status::Cancelled, 20),
            "{report:#?}"
        );
        let record = other.run_record(&report.run_id).unwrap();
        assert!(record.events.iter().any(|event| event.what == What::Stopped { reason: StopReason::Asked }));
        assert!(
            other
                .audit_trail(5)
                .unwrap()
                .iter()
                .any(|entry| entry.action == "stop" && entry.actor == "somebody")
        );
        let error = other.ask_stop(&report.run_id, "somebody").unwrap_err();
        assert!(error.to_string().contains("is over"), "{error}");
        let resumed = other.resume(&report.run_id, &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!((resumed.status, resumed.operations[0].rows_deleted), (Status::Completed, 40));
    });
}

#[test]
fn undoing_a_run_that_was_stopped_half_way_brings_its_rows_back() {
    let (sqlite, postgres) = rows(40);
    both(&sqlite, &postgres, |stage| {
        let before = stage.place.dump();
        let report = stage.run_with(odd(), |manners| {
            manners.batch_size = Some(5);
            manners.max_rows = Some(10);
        });
        assert_eq!(report.totals.deleted, 10);
        assert_eq!(stage.undo(&report.run_id).operations[0].rows_restored, 10);
        assert_eq!(stage.place.dump(), before);
    });
}

#[test]
fn progress_is_told_with_what_is_done_and_what_is_to_do() {
    // S3-049
    let (sqlite, postgres) = rows(40);
    both(&sqlite, &postgres, |stage| {
        let (mut planned, mut done) = (0, Vec::new());
        stage
            .watch(all(), |manners| manners.batch_size = Some(10), &mut |event| match &event.what {
                What::Planned { matched, .. } => planned = *matched,
                What::Advanced { counts, batch, .. } => done.push((*batch, counts.rows())),
                _ => {}
            })
            .unwrap();
        assert_eq!(planned, 40);
        assert_eq!(done, [(1, 10), (2, 10), (3, 10), (4, 10)]);
    });
}

#[test]
fn a_second_run_finds_nothing_to_do() {
    let (sqlite, postgres) = rows(40);
    both(&sqlite, &postgres, |stage| {
        assert_eq!(stage.run(odd()).totals.deleted, 20);
        let again = stage.run(odd());
        assert_eq!(
            (again.status, again.totals.deleted, again.operations[0].undo_id.clone()),
            (Status::Completed, 0, None)
        );
    });
}

#[test]
fn what_a_stopped_run_had_not_begun_is_done_when_it_is_resumed() {
    // W-068
    let (sqlite, postgres) = rows(40);
    for go_on in [true, false] {
        both(&sqlite, &postgres, |stage| {
            stage.place.script("create table u (id integer primary key); insert into u select id from t");
            let before = stage.place.dump();
            let manners = engine::Manners { batch_size: Some(10), ..crate::stage::manners() };
            let mut request = story::request("purge", all(), manners, false);
            let mut second = request.operations[0].clone();
            second.name = "the second".to_owned();
            second.options = json!({"table": "u", "where": "id > 0"});
            request.operations.push(second);
            request.go_on = go_on;
            let engine = stage.engine();
            let plan = story::plan(&engine, &request);
            let stop = Stop::default();
            let stopped = engine.run(&plan, &stop, &mut |event| {
                if matches!(event.what, What::Advanced { .. }) {
                    stop.ask();
                }
            });
            let stopped = stopped.unwrap();
            let statuses = |report: &engine::Report| -> Vec<Status> {
                report.operations.iter().map(|operation| operation.status).collect()
            };
            assert_eq!(statuses(&stopped), [Status::Cancelled, Status::Skipped]);
            let resumed = engine.resume(&stopped.run_id, &Stop::default(), &mut |_| {}).unwrap();
            assert_eq!(statuses(&resumed), [Status::Completed, Status::Completed], "{resumed:#?}");
            assert_eq!(resumed.operations[1].reason, None);
            assert_eq!(stage.number("select count(*) from u"), 0);
            stage.undo(&stopped.run_id);
            assert_eq!(stage.place.dump(), before);
        });
    }
}

#[test]
fn what_stood_still_goes_on_no_faster_than_it_may() {
    // S2-049: 3 s are lost after the first batch, and at most one of them is made up for
    let (sqlite, postgres) = rows(60);
    both(&sqlite, &postgres, |stage| {
        let began = std::time::Instant::now();
        let mut stood = false;
        let report = stage
            .watch(
                all(),
                |manners| {
                    manners.batch_size = Some(5);
                    manners.rows_per_second = Some(20.0);
                },
                &mut |event| {
                    if matches!(event.what, What::Advanced { .. }) && !std::mem::replace(&mut stood, true) {
                        std::thread::sleep(std::time::Duration::from_secs(3));
                    }
                },
            )
            .unwrap();
        assert_eq!(report.operations[0].rows_deleted, 60);
        let took = began.elapsed().as_secs_f64();
        // 55 rows take 2.75 s, the last five of which nobody waits for.
        assert!(took >= 3.0 + 2.75 - 1.0 - 0.3, "the rest came as a rush: {took}");
    });
}
