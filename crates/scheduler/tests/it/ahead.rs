//! Taking ahead: a fair share is set aside at once, and neither a long run nor a death holds it up. W-069

use crate::kit::{Stage, at, both, nightly};
use engine::{Engine, Stop, TickState};
use scheduler::{Definition, Overlap, Worker};
use std::collections::BTreeMap;
use std::time::Duration;

const NOW: &str = "2026-11-21T02:00:01Z";
const LONG: Duration = Duration::from_secs(3_600);

/// So many schedules are due at this moment.
fn due(stage: &mut Stage, many: usize) -> Engine {
    for n in 0..many {
        stage.has(&format!("s{n}"), &Definition { dry_run: true, ..nightly("low") });
    }
    stage.look("2026-11-20T12:00:00Z");
    stage.look(NOW);
    stage.engine(NOW)
}

/// How many ticks are in each state.
fn states(engine: &Engine) -> BTreeMap<&'static str, usize> {
    let mut states = BTreeMap::new();
    for tick in engine.timetable().unwrap().ticks(None, 100).unwrap() {
        *states.entry(tick.state.name()).or_default() += 1;
    }
    states
}

#[test]
fn a_worker_sets_its_share_aside_and_no_more() {
    both(|stage| {
        let engine = due(stage, 8);
        let timetable = engine.timetable().unwrap();
        for worker in ["a", "b"] {
            timetable.arrive(worker, "here", at(NOW)).unwrap();
        }
        let there = timetable.due(at(NOW)).unwrap();
        assert_eq!((there.waiting, there.ahead, there.lost, there.processes), (8, 0, 0, 2));
        let a = timetable.take("a", 2, LONG, at(NOW)).unwrap();
        let first = a.first.unwrap();
        assert_eq!((first.state, first.term, first.worker.as_deref()), (TickState::Claimed, 1, Some("a")));
        assert_eq!(a.ahead.len(), 3, "half of eight, with the one that it has begun");
        let b = timetable.take("b", 2, LONG, at(NOW)).unwrap();
        assert_eq!((b.first.is_some(), b.ahead.len()), (true, 3));
        assert_eq!(states(&engine), BTreeMap::from([("claimed", 2), ("taken", 6)]));
        // Set aside anew, it is still a share of what is left.
        let again = timetable.take("a", 2, LONG, at(NOW)).unwrap();
        assert_eq!((again.first.is_some(), again.ahead.len()), (true, 2));
        assert_eq!(states(&engine), BTreeMap::from([("claimed", 3), ("taken", 5)]));
    });
}

#[test]
fn what_is_set_aside_is_begun_by_whoever_has_nothing_to_do() {
    both(|stage| {
        let engine = due(stage, 6);
        let timetable = engine.timetable().unwrap();
        // One that is at work for an hour, or was killed a moment ago: its leases are as long.
        let share = timetable.take("killed", 1, LONG, at(NOW)).unwrap();
        assert_eq!(share.ahead.len(), 5);
        let other = stage.engine(NOW);
        assert_eq!(other.timetable().unwrap().quiet(at(NOW), LONG).unwrap(), Duration::ZERO);
        let worker = Worker::new(&other, &stage.plans, "other", LONG);
        while worker.step(&Stop::default()).unwrap() {}
        assert_eq!(states(&engine), BTreeMap::from([("claimed", 1), ("done", 5)]));
        for id in &share.ahead {
            assert_eq!(
                timetable.take_next(id, "killed", LONG, at(NOW)).unwrap(),
                None,
                "it was begun before"
            );
        }
        let ticks = timetable.ticks(None, 100).unwrap();
        assert!(ticks.iter().all(|tick| tick.term == 1), "{ticks:#?}");
        assert_eq!(engine.reports(100, None, None).unwrap().len(), 5);
    });
}

#[test]
fn what_a_dead_one_has_set_aside_comes_before_what_is_due_later() {
    both(|stage| {
        let engine = due(stage, 3);
        let timetable = engine.timetable().unwrap();
        assert_eq!(timetable.take("dead", 1, LONG, at(NOW)).unwrap().ahead.len(), 2);
        // so that it is not free by itself on a machine with too much to do
        stage.state.script2(
            "update sexton_ticks set lease_us = lease_us + 3600000000 where state = 'taken'",
            "update sexton.ticks set lease_us = lease_us + 3600000000 where state = 'taken'",
        );
        stage.has("later", &Definition { cron: Some("30 2 * * *".to_owned()), ..nightly("low") });
        stage.look(NOW);
        let now = "2026-11-21T02:30:01Z";
        assert_eq!(stage.look(now), 1);
        let next = || timetable.take("living", 1, LONG, at(now)).unwrap();
        let (first, ahead) = (next().first.unwrap(), next().ahead);
        assert_eq!((first.schedule.as_str(), ahead.len()), ("later", 0), "the dead one may still live");
        stage.state.script2(
            "update sexton_ticks set lease_us = 0 where state = 'taken'",
            "update sexton.ticks set lease_us = 0 where state = 'taken'",
        );
        assert!(timetable.put_off(&first, at(now), "later").unwrap());
        let share = next();
        assert_ne!(share.first.unwrap().schedule, "later");
        assert_eq!(share.ahead.len(), 2);
    });
}

#[test]
fn whoever_ends_gives_back_what_was_set_aside() {
    both(|stage| {
        let engine = due(stage, 5);
        let first = Worker::new(&engine, &stage.plans, "first", LONG);
        assert!(first.step(&Stop::default()).unwrap());
        // A run that took more than two seconds has given it back by now.
        let mut after = states(&engine);
        assert_eq!(after.remove("done"), Some(1));
        assert_eq!(after.values().sum::<usize>(), 4, "{after:?}");
        assert!(after.keys().all(|state| ["taken", "waiting"].contains(state)), "{after:?}");
        first.give_back();
        assert_eq!(states(&engine), BTreeMap::from([("done", 1), ("waiting", 4)]));
        let others = stage.engine(NOW);
        let second = Worker::new(&others, &stage.plans, "second", LONG);
        assert!(second.step(&Stop::default()).unwrap());
        // Nothing of it is the first one's any more; it takes a part of what the second has.
        assert!(first.step(&Stop::default()).unwrap());
        while first.step(&Stop::default()).unwrap() {}
        assert!(!second.step(&Stop::default()).unwrap());
        assert_eq!(states(&engine), BTreeMap::from([("done", 5)]));
        assert_eq!(engine.reports(100, None, None).unwrap().len(), 5);
    });
}

#[test]
fn what_is_set_aside_is_not_at_work_and_is_passed_over_where_another_one_is() {
    both(|stage| {
        let hourly = |run: &str, overlap| Definition {
            overlap,
            cron: Some("0 * * * *".to_owned()),
            dry_run: true,
            ..nightly(run)
        };
        stage.has("a-first", &hourly("low", Overlap::Queue));
        stage.has("skip", &hourly("low", Overlap::Skip));
        stage.look("2026-11-21T00:30:00Z");
        stage.look("2026-11-21T01:00:00Z");
        let engine = stage.engine("2026-11-21T01:00:01Z");
        let timetable = engine.timetable().unwrap();
        let one = timetable.ticks(Some("skip"), 1).unwrap().remove(0);
        let claim = |id: &str, now: &str| timetable.claim_this(id, "b", LONG, at(now)).unwrap().unwrap();
        // Put off, so that the next one comes before it.
        let begun = claim(&one.id, "2026-11-21T01:00:01Z");
        assert!(timetable.put_off(&begun, at("2026-11-21T02:30:00Z"), "busy").unwrap());
        stage.look("2026-11-21T02:00:00Z");
        let share = timetable.take("a", 1, LONG, at("2026-11-21T02:00:01Z")).unwrap();
        assert_eq!(share.ahead.len(), 1, "one of each schedule: {share:?}");
        // Nothing of it is at work, so nothing is passed over.
        stage.look("2026-11-21T02:10:00Z");
        assert_eq!(stage.told("skip")[0], "taken");
        claim(&one.id, "2026-11-21T02:30:00Z");
        assert_eq!(
            timetable.take_next(&share.ahead[0], "a", LONG, at("2026-11-21T02:30:01Z")).unwrap(),
            None
        );
        stage.look("2026-11-21T02:30:10Z");
        assert_eq!(stage.told("skip")[0], "skipped: the one before is still at work");
    });
}

#[test]
fn four_of_a_share_run_each_time_once_while_they_are_killed() {
    both(|stage| {
        let engine = due(stage, 60);
        std::thread::scope(|scope| {
            for n in 0..4 {
                let stage = &*stage;
                scope.spawn(move || {
                    let mut idle = 0;
                    for life in 0.. {
                        let engine = stage.engine(NOW);
                        let worker = Worker::new(&engine, &stage.plans, &format!("w{n}-{life}"), LONG);
                        // Each life ends after a few steps, with what it has set aside.
                        for _ in 0..4 {
                            match worker.step(&Stop::default()).unwrap() {
                                true => idle = 0,
                                false => idle += 1,
                            }
                        }
                        if idle > 4 {
                            break;
                        }
                    }
                });
            }
        });
        assert_eq!(states(&engine), BTreeMap::from([("done", 60)]));
        let ticks = engine.timetable().unwrap().ticks(None, 100).unwrap();
        assert!(ticks.iter().all(|tick| tick.term == 1), "{ticks:#?}");
        assert_eq!(engine.reports(100, None, None).unwrap().len(), 60);
    });
}
