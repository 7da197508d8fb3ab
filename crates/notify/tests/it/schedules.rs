//! The dead man: schedules that did not run, and nobody who serves.

use crate::kit::{at, both, nightly};
use engine::{NewTick, TickState};
use jiff::SignedDuration;
use notify::{late, standstill};
use scheduler::Looker;
use std::time::Duration;

const GRACE: SignedDuration = SignedDuration::from_hours(1);

#[test]
fn a_schedule_that_did_not_run_is_told_after_a_while_and_again_when_it_runs() {
    both(|stage| {
        let configured = [nightly(None)];
        let titles = |now: &str| {
            let engine = stage.engine(at(now));
            let known = scheduler::all(&engine, &configured).unwrap();
            let last = engine.timetable().unwrap().last_of_each().unwrap();
            let found = late(&known, &last, at(now), GRACE);
            found.into_iter().filter_map(|one| one.alert).map(|alert| alert.title).collect::<Vec<_>>()
        };
        // Nobody has looked at it yet.
        assert!(titles("2026-11-28T12:00:00Z").is_empty());
        let look = |now: &str| Looker::new(&stage.engine(at(now)), &configured).look(at(now)).unwrap();
        look("2026-11-28T12:00:00Z");
        assert!(titles("2026-11-29T02:59:00Z").is_empty());
        // The process stands still: nobody notes the time.
        assert_eq!(titles("2026-11-29T03:01:00Z"), ["nightly did not run, 61 min after its time"]);
        // It is noted, but nobody works on it.
        look("2026-11-29T03:02:00Z");
        assert_eq!(titles("2026-11-29T05:00:00Z"), ["nightly did not run, 3 h after its time"]);
        // It is at work, then done.
        let engine = stage.engine(at("2026-11-29T05:00:00Z"));
        let timetable = engine.timetable().unwrap();
        let tick =
            timetable.claim("w", Duration::from_secs(60), at("2026-11-29T05:00:00Z")).unwrap().unwrap();
        assert!(titles("2026-11-29T05:30:00Z").is_empty());
        timetable.end(&tick, TickState::Done, None, at("2026-11-29T05:40:00Z")).unwrap();
        assert!(titles("2026-11-30T02:30:00Z").is_empty());
        assert_eq!(titles("2026-11-30T03:30:00Z").len(), 1);
    });
}

#[test]
fn what_waits_says_for_what_and_what_is_switched_off_is_not_missed() {
    both(|stage| {
        let mut schedule = nightly(None);
        let engine = stage.engine(at("2026-11-29T02:00:00Z"));
        let timetable = engine.timetable().unwrap();
        let due = at("2026-11-29T02:00:00Z");
        let tick = NewTick { due, start: due, skipped: None };
        let looked =
            engine::Looked { schedule: "nightly".to_owned(), ticks: vec![tick], until: None, back: false };
        timetable.note(&[looked]).unwrap();
        let tick = timetable.claim("w", Duration::from_secs(60), due).unwrap().unwrap();
        timetable.put_off(&tick, due, "`main` is being maintained by somebody").unwrap();
        let found = |schedule: &scheduler::Schedule| {
            let known = scheduler::all(&engine, std::slice::from_ref(schedule)).unwrap();
            let last = timetable.last_of_each().unwrap();
            late(&known, &last, at("2026-11-29T04:00:00Z"), GRACE).remove(0).alert
        };
        let alert = found(&schedule).unwrap();
        assert!(alert.text.contains("it waits: `main` is being maintained by somebody"), "{alert:?}");
        schedule.says.enabled = false;
        assert_eq!(found(&schedule), None);
    });
}

#[test]
fn nobody_who_serves_is_told_by_whoever_looks() {
    both(|stage| {
        let configured = [nightly(None)];
        let now = at("2026-11-29T12:00:00Z");
        let engine = stage.engine(now);
        let known = scheduler::all(&engine, &configured).unwrap();
        let outbox = engine.outbox().unwrap();
        let wrong = |known: &[scheduler::Known]| {
            standstill(known, outbox.marked(notify::SERVED).unwrap(), now, GRACE).and_then(|one| one.alert)
        };
        assert_eq!(wrong(&known), None, "nobody ever served: another scheduler may run them");
        outbox.mark(notify::SERVED, at("2026-11-29T11:30:00Z")).unwrap();
        assert_eq!(wrong(&known), None);
        outbox.mark(notify::SERVED, at("2026-11-29T08:00:00Z")).unwrap();
        let alert = wrong(&known).unwrap();
        assert_eq!(alert.title, "nobody looks after the schedules for 4 h");
        assert!(alert.text.contains("2026-11-29 08:00 UTC"), "{alert:?}");
        assert_eq!(wrong(&[]), None, "there is nothing to look after");
    });
}
