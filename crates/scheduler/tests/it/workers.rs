//! Many workers on one timetable: nothing is run twice, nothing is lost, whoever dies.

use crate::kit::{LEASE, at, both, nightly};
use engine::{Failure, Stop, SystemClock, TickState};
use scheduler::{Definition, Looker, Worker};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn four_workers_run_each_time_once() {
    // W-069
    both(|stage| {
        for n in 0..40 {
            stage.has(&format!("s{n:02}"), &Definition { dry_run: true, ..nightly("low") });
        }
        stage.look("2026-11-20T12:00:00Z");
        std::thread::scope(|scope| {
            for n in 0..4 {
                let stage = &*stage;
                scope.spawn(move || {
                    let engine = stage.engine("2026-11-21T02:00:01Z");
                    Looker::new(&engine, &stage.plans.configured).look(at("2026-11-21T02:00:01Z")).unwrap();
                    let worker =
                        Worker::new(&engine, &stage.plans, &format!("w{n}"), Duration::from_secs(30));
                    let mut idle = 0;
                    while idle < 5 {
                        match worker.step(&Stop::default()).unwrap() {
                            true => idle = 0,
                            false => {
                                idle += 1;
                                std::thread::sleep(Duration::from_millis(20));
                            }
                        }
                    }
                });
            }
        });
        let ticks = stage.engine("2026-11-21T03:00:00Z").timetable().unwrap().ticks(None, 1_000).unwrap();
        assert_eq!(ticks.len(), 40);
        assert!(ticks.iter().all(|tick| tick.state == TickState::Done && tick.term == 1), "{ticks:#?}");
        let reports = stage.engine("2026-11-21T03:00:00Z").reports(1_000, None, None).unwrap();
        assert_eq!(reports.len(), 40);
        assert_eq!(stage.plans.over.lock().unwrap().len(), 40);
    });
}

#[test]
fn whoever_dies_is_followed_by_another_from_the_checkpoint() {
    both(|stage| {
        stage.has("nightly", &nightly("low"));
        stage.look("2026-11-20T12:00:00Z");
        let fill =
            "delete from t; insert into t values (1, 1), (2, 0), (3, 1), (4, 0), (5, 1), (6, 0), (7, 1)";
        for nth in 1..400_u32 {
            let day = 21 + nth / 20;
            let hour = nth % 20;
            let now = format!("2026-{:02}-{:02}T{hour:02}:30:00Z", 11 + day / 29, 1 + day % 28);
            stage.place.script(fill);
            let dying = stage.workshop.engine_at(Arc::new(SystemClock));
            scheduler::by_hand(&stage.workshop.engine_at(Arc::new(SystemClock)), "nightly").unwrap();
            dying.faults().arm(nth);
            let outcome = Worker::new(&dying, &stage.plans, "dying", LEASE).step(&Stop::default());
            let died = matches!(outcome, Err(Failure::Fault(_)));
            drop(dying);
            let engine = stage.workshop.engine_at(Arc::new(SystemClock));
            let worker = Worker::new(&engine, &stage.plans, "next", LEASE);
            let began = Instant::now();
            while died && stage.ticks("nightly")[0].state == TickState::Claimed {
                assert!(
                    began.elapsed() < Duration::from_secs(20),
                    "nobody takes over after point {nth} ({now})"
                );
                if !worker.step(&Stop::default()).unwrap() {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            let last = stage.ticks("nightly").remove(0);
            assert_eq!(
                (last.state, last.term),
                (TickState::Done, if died { 2 } else { 1 }),
                "point {nth}: {last:?}"
            );
            assert_eq!(stage.rows(), 3, "point {nth}");
            if !died {
                assert!(nth > 5, "{nth}");
                return;
            }
        }
        panic!("there is no end");
    });
}

#[test]
fn whoever_has_lost_a_tick_cannot_end_it() {
    both(|stage| {
        stage.has("nightly", &nightly("low"));
        stage.look("2026-11-20T12:00:00Z");
        stage.look("2026-11-21T02:00:00Z");
        let engine = stage.engine("2026-11-21T02:00:01Z");
        let timetable = engine.timetable().unwrap();
        let long = Duration::from_secs(60);
        let first = timetable.claim("first", long, at("2026-11-21T02:00:01Z")).unwrap().unwrap();
        assert!(timetable.keep(&first, long).unwrap());
        assert_eq!(timetable.claim("second", LEASE, at("2026-11-21T02:00:01Z")).unwrap(), None);
        assert!(timetable.keep(&first, Duration::from_millis(1)).unwrap());
        std::thread::sleep(Duration::from_millis(50));
        let second = timetable.claim("second", LEASE, at("2026-11-21T02:00:01Z")).unwrap().unwrap();
        assert_eq!((second.id.as_str(), second.term), (first.id.as_str(), 2));
        assert!(!timetable.keep(&first, LEASE).unwrap());
        assert!(!timetable.begin(&first, "run").unwrap());
        assert!(!timetable.end(&first, TickState::Done, None, at("2026-11-21T02:00:02Z")).unwrap());
        assert!(timetable.end(&second, TickState::Done, None, at("2026-11-21T02:00:02Z")).unwrap());
    });
}

#[test]
fn workers_are_seen_until_they_leave() {
    both(|stage| {
        let engine = stage.engine("2026-11-21T02:00:01Z");
        let timetable = engine.timetable().unwrap();
        timetable.arrive("w1", "here, process 1", at("2026-11-21T02:00:01Z")).unwrap();
        timetable.arrive("w2", "here, process 2", at("2026-11-21T02:00:01Z")).unwrap();
        timetable.arrive("w1", "here, process 1", at("2026-11-21T02:00:01Z")).unwrap();
        let workers = timetable.workers().unwrap();
        assert_eq!(workers.len(), 2);
        assert!(workers.iter().all(|worker| (0.0..60.0).contains(&worker.silent_seconds)), "{workers:?}");
        timetable.leave("w1").unwrap();
        assert_eq!(timetable.workers().unwrap()[0].id, "w2");
    });
}

#[test]
fn ticks_are_forgotten_but_for_the_last_of_each() {
    both(|stage| {
        stage.has("nightly", &nightly("low"));
        stage.look("2026-11-20T12:00:00Z");
        for day in 21..25 {
            stage.pass(&format!("2026-11-{day}T02:00:01Z"));
        }
        let engine = stage.engine("2026-11-25T02:00:01Z");
        let timetable = engine.timetable().unwrap();
        assert_eq!(timetable.forget(at("2026-11-23T00:00:00Z")).unwrap(), 2);
        assert_eq!(timetable.forget(at("2027-11-23T00:00:00Z")).unwrap(), 1);
        assert_eq!(stage.ticks("nightly").len(), 1);
    });
}
