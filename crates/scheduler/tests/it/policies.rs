//! What becomes of times that have come: run, passed over, shown only, run after others.

use crate::kit::{LEASE, at, both, nightly};
use engine::{Entry, Stop, TickState};
use scheduler::{
    Approval, ClockChange, Definition, Looker, Missed, Overlap, Requests as _, Schedule, Worker, all,
    by_hand, fingerprint,
};

fn entry(name: &str, says: Option<&Definition>) -> Entry {
    Entry {
        name: name.to_owned(),
        body: says.map(|says| serde_json::to_value(says).unwrap()),
        version: 0,
        enabled: None,
        approval: None,
        looked: None,
        changed_at: None,
        changed_by: "anna".to_owned(),
    }
}

#[test]
fn a_time_is_run_once_and_its_run_is_in_the_log() {
    // S0-060, S3-016: with the clock past the time
    both(|stage| {
        stage.has("nightly", &nightly("low"));
        assert_eq!(stage.look("2026-11-20T12:00:00Z"), 0, "it begins when it is first seen");
        stage.pass("2026-11-21T01:59:59Z");
        assert_eq!((stage.rows(), stage.ticks("nightly").len()), (7, 0));
        stage.pass("2026-11-21T02:00:01Z");
        assert_eq!(stage.rows(), 3);
        let ticks = stage.ticks("nightly");
        assert_eq!(
            (ticks.len(), ticks[0].state, ticks[0].due),
            (1, TickState::Done, at("2026-11-21T02:00:00Z"))
        );
        let engine = stage.engine("2026-11-21T03:00:00Z");
        let record = engine.run_record(ticks[0].run.as_deref().unwrap()).unwrap();
        assert_eq!(serde_json::to_value(record.plan.request.trigger).unwrap(), "schedule");
        assert_eq!(record.report().totals.deleted, 4);
        stage.pass("2026-11-21T02:00:30Z");
        assert_eq!(stage.ticks("nightly").len(), 1, "it is due once");
        assert_eq!(*stage.plans.over.lock().unwrap(), [("nightly".to_owned(), "done".to_owned())]);
    });
}

#[test]
fn an_absence_is_made_up_for_as_the_schedule_says() {
    both(|stage| {
        stage.has("once", &nightly("low"));
        stage.has("skip", &Definition { missed: Missed::Skip, ..nightly("low") });
        stage.has("all", &Definition { missed: Missed::All, ..nightly("low") });
        stage.look("2026-11-20T12:00:00Z");
        stage.pass("2026-11-23T09:00:00Z");
        let states = |name: &str| stage.ticks(name).iter().map(|tick| tick.state).collect::<Vec<_>>();
        use TickState::{Done, Skipped};
        assert_eq!(states("once"), [Done, Skipped, Skipped]);
        assert_eq!(states("skip"), [Skipped, Skipped, Skipped]);
        assert_eq!(states("all"), [Done, Done, Done]);
    });
}

#[test]
fn a_clock_that_went_ahead_and_was_set_right_holds_nothing_up() {
    both(|stage| {
        stage.has("nightly", &nightly("low"));
        stage.look("2036-11-20T12:00:00Z");
        assert_eq!(stage.look("2026-11-20T12:00:00Z"), 0);
        assert_eq!(stage.look("2026-11-21T02:00:00Z"), 1);
        // Back by less than an hour, it is not due again.
        assert_eq!(stage.look("2026-11-21T01:50:00Z"), 0);
        assert_eq!(stage.look("2026-11-21T02:00:00Z"), 0);
    });
}

#[test]
fn what_is_still_at_work_is_not_begun_again() {
    both(|stage| {
        for (name, overlap) in [("skip", Overlap::Skip), ("queue", Overlap::Queue), ("fail", Overlap::Fail)] {
            stage.has(name, &Definition { overlap, cron: Some("0 * * * *".to_owned()), ..nightly("low") });
        }
        stage.look("2026-11-21T00:30:00Z");
        stage.look("2026-11-21T01:00:00Z");
        let engine = stage.engine("2026-11-21T01:00:01Z");
        let timetable = engine.timetable().unwrap();
        let claim = || {
            timetable.claim("slow", std::time::Duration::from_secs(60), at("2026-11-21T01:00:01Z")).unwrap()
        };
        let taken: Vec<_> = std::iter::from_fn(claim).collect();
        assert_eq!(taken.len(), 3);
        assert_eq!(stage.look("2026-11-21T02:00:00Z"), 3);
        stage.look("2026-11-21T02:00:10Z");
        let last = |name: &str| stage.told(name)[0].clone();
        assert_eq!(last("skip"), "skipped: the one before is still at work");
        assert_eq!(last("fail"), "failed: the one before is still at work");
        assert_eq!(last("queue"), "waiting");
        assert_eq!(timetable.claim("other", LEASE, at("2026-11-21T02:00:10Z")).unwrap(), None);
        for tick in &taken {
            assert!(timetable.end(tick, TickState::Done, None, at("2026-11-21T02:00:20Z")).unwrap());
        }
        let next = timetable.claim("other", LEASE, at("2026-11-21T02:00:30Z")).unwrap().unwrap();
        assert_eq!(next.schedule, "queue");
    });
}

#[test]
fn what_a_person_would_be_asked_about_is_only_shown_until_it_is_approved() {
    //
    both(|stage| {
        stage.has("purge-all", &nightly("grave"));
        stage.look("2026-11-20T12:00:00Z");
        stage.pass("2026-11-21T02:00:00Z");
        assert_eq!(stage.rows(), 7);
        assert_eq!(stage.told("purge-all"), ["done: approval needed for grave; only shown"]);
        let approval = Approval { by: "anna".to_owned(), at: "2026-11-21".to_owned(), max_rows: Some(5) };
        stage.plans.configured.clear();
        stage.has("purge-all", &Definition { approval: Some(approval.clone()), ..nightly("grave") });
        stage.pass("2026-11-22T02:00:00Z");
        assert_eq!(stage.told("purge-all")[0], "failed: it would take 7 rows, and the approval is for 5");
        assert_eq!(stage.rows(), 7);
        stage.plans.configured.clear();
        let enough = Approval { max_rows: Some(7), ..approval };
        stage.has("purge-all", &Definition { approval: Some(enough), ..nightly("grave") });
        stage.pass("2026-11-23T02:00:00Z");
        assert_eq!((stage.told("purge-all")[0].as_str(), stage.rows()), ("done", 0));
    });
}

#[test]
fn what_was_added_is_shown_until_somebody_approves_just_that() {
    // W-067
    both(|stage| {
        let says = nightly("low");
        let engine = stage.engine("2026-11-20T12:00:00Z");
        let timetable = engine.timetable().unwrap();
        // An approval in what was sent is nobody's.
        let own = Approval { by: "mallory".to_owned(), at: "2026-11-20".to_owned(), max_rows: None };
        let sent = Definition { approval: Some(own), ..says.clone() };
        assert_eq!(
            timetable.put(&entry("added", Some(&sent)), Some(0), at("2026-11-20T12:00:00Z")).unwrap(),
            1
        );
        let again = timetable.put(&entry("added", Some(&sent)), Some(0), at("2026-11-20T12:00:00Z"));
        assert!(again.unwrap_err().what.contains("changed meanwhile"));
        stage.look("2026-11-20T12:00:01Z");
        stage.pass("2026-11-21T02:00:00Z");
        assert_eq!(
            (stage.rows(), stage.told("added")[0].as_str()),
            (7, "done: approval needed: it was added and nobody approved it; only shown")
        );
        let approve = |of: &str| {
            let mut approved = timetable.entry("added").unwrap().unwrap();
            approved.approval = Some(serde_json::json!({"by": "anna", "at": "2026-11-21", "of": of}));
            timetable.put(&approved, None, at("2026-11-21T12:00:00Z")).unwrap();
        };
        approve("something else");
        stage.pass("2026-11-22T02:00:00Z");
        assert_eq!(stage.rows(), 7);
        assert!(stage.told("added")[0].contains("was changed since it was approved"));
        let schedule = Schedule::read("added", &says, false).unwrap();
        approve(&fingerprint(&schedule, &stage.plans.request(&schedule).unwrap()));
        stage.pass("2026-11-23T02:00:00Z");
        assert_eq!((stage.rows(), stage.told("added")[0].as_str()), (3, "done"));
        assert!(timetable.remove("added", Some(1)).is_err());
        assert!(timetable.remove("added", None).unwrap());
        assert!(!timetable.remove("added", None).unwrap());
    });
}

#[test]
fn a_schedule_can_wait_for_others_and_is_passed_over_when_they_fail() {
    both(|stage| {
        let after = |names: &[&str]| Definition {
            cron: None,
            after: names.iter().map(|name| (*name).to_owned()).collect(),
            ..nightly("low")
        };
        stage.has("first", &nightly("low"));
        stage.has("broken", &nightly("broken"));
        stage.has("then", &after(&["first"]));
        stage.has("last", &after(&["first", "then"]));
        stage.has("never", &after(&["broken"]));
        stage.look("2026-11-20T12:00:00Z");
        stage.pass("2026-11-21T02:00:00Z");
        assert_eq!(stage.told("first"), ["done"]);
        assert_eq!(stage.told("then"), ["done"]);
        assert_eq!(stage.told("last"), ["done"]);
        assert!(stage.told("broken")[0].starts_with("failed: "), "{:?}", stage.told("broken"));
        assert_eq!(stage.told("never"), ["skipped: `broken`, which it waits for, has failed"]);
        stage.pass("2026-11-22T02:00:00Z");
        assert_eq!(stage.told("last"), ["done", "done"]);
    });
}

#[test]
fn switched_off_it_runs_only_by_hand_and_can_be_switched_while_others_run() {
    // S2-022, S3-022, S2-026
    both(|stage| {
        stage.has("nightly", &nightly("low"));
        let engine = stage.engine("2026-11-20T12:00:00Z");
        let timetable = engine.timetable().unwrap();
        let mut looker = Looker::new(&engine, &stage.plans.configured);
        looker.look(at("2026-11-20T12:00:00Z")).unwrap();
        let mut off = entry("nightly", None);
        off.enabled = Some(false);
        timetable.put(&off, None, at("2026-11-20T12:00:00Z")).unwrap();
        assert_eq!(looker.look(at("2026-11-21T02:00:00Z")).unwrap(), 0, "the same process has seen it");
        assert_eq!(stage.rows(), 7);
        by_hand(&stage.engine("2026-11-21T09:00:00Z"), "nightly").unwrap().unwrap();
        stage.pass("2026-11-21T09:00:00Z");
        assert_eq!((stage.rows(), stage.told("nightly").len()), (3, 1));
        off.enabled = Some(true);
        timetable.put(&off, None, at("2026-11-21T10:00:00Z")).unwrap();
        let known = all(&engine, &stage.plans.configured).unwrap();
        assert!(known[0].schedule.says.enabled && known[0].entry.as_ref().unwrap().version == 2);
    });
}

#[test]
fn a_dry_run_can_go_before_each_real_one_or_be_all_there_is() {
    // S2-020, S3-020
    both(|stage| {
        stage.has("shown", &Definition { dry_run: true, ..nightly("low") });
        stage.has(
            "looked-at",
            &Definition { dry_run_first: true, cron: Some("0 3 * * *".to_owned()), ..nightly("low") },
        );
        stage.look("2026-11-20T12:00:00Z");
        stage.pass("2026-11-21T02:00:00Z");
        assert_eq!(stage.rows(), 7);
        stage.pass("2026-11-21T03:00:00Z");
        assert_eq!(stage.rows(), 3);
        let reports = stage.engine("2026-11-21T04:00:00Z").reports(10, None, None).unwrap();
        let dry = reports.iter().filter(|report| report.metadata.dry_run).count();
        assert_eq!((reports.len(), dry), (3, 2));
    });
}

#[test]
fn a_worker_that_is_asked_to_stop_leaves_the_rest_to_the_next() {
    // S3-018
    both(|stage| {
        stage.has("nightly", &nightly("low"));
        stage.look("2026-11-20T12:00:00Z");
        stage.look("2026-11-21T02:00:00Z");
        let engine = stage.engine("2026-11-21T02:00:01Z");
        let stop = Stop::default();
        stop.ask();
        assert!(Worker::new(&engine, &stage.plans, "first", LEASE).step(&stop).unwrap());
        let ticks = stage.ticks("nightly");
        if ticks[0].state == TickState::Waiting {
            assert_eq!(ticks[0].why.as_deref(), Some("its worker was stopped"));
            assert!(ticks[0].run.is_some());
        }
        stage.pass("2026-11-21T02:00:05Z");
        assert_eq!((stage.rows(), stage.told("nightly")[0].as_str()), (3, "done"));
        let reports = stage.engine("2026-11-21T04:00:00Z").reports(10, None, None).unwrap();
        assert_eq!(reports.len(), 1, "it is one run");
    });
}

#[test]
fn what_a_definition_says_wrong_is_told_all_at_once() {
    let says = Definition {
        cron: Some("99 * * * *".to_owned()),
        zone: "UTC".to_owned(),
        blackouts: vec!["christmas".to_owned()],
        jitter: Some(engine::age::Age("soon".to_owned())),
        approval: Some(Approval { by: " ".to_owned(), at: "some day".to_owned(), max_rows: None }),
        clock_change: ClockChange::Skip,
        ..Definition::default()
    };
    let faults = Schedule::read("x", &says, true).unwrap_err();
    let keys: Vec<&str> = faults.iter().map(|fault| fault.key).collect();
    assert_eq!(keys, ["cron", "run", "jitter", "blackouts", "approval", "approval"]);
    assert!(faults.iter().all(|fault| !fault.help.is_empty()));
}

#[test]
fn lengths_that_nobody_waits_for_are_faults_and_no_panics() {
    for wrong in ["-5 min", "900000 years", "100000000000 days"] {
        let age = Some(engine::age::Age(wrong.to_owned()));
        let says = Definition { jitter: age.clone(), max_lateness: age, ..nightly("low") };
        let faults = Schedule::read("x", &says, true).unwrap_err();
        assert_eq!(
            faults.iter().map(|fault| fault.key).collect::<Vec<_>>(),
            ["max_lateness", "jitter"],
            "{wrong}"
        );
    }
}

#[test]
fn whoever_waits_for_itself_through_others_is_found() {
    let after_of = |name: &str| match name {
        "b" => vec!["c".to_owned()],
        "c" => vec!["d".to_owned(), "a".to_owned()],
        _ => Vec::new(),
    };
    let waits = |name: &str, after: &str| Schedule::waits_for_itself(name, &[after.to_owned()], after_of);
    assert!(waits("a", "b") && waits("x", "x"));
    assert!(!waits("e", "b") && !waits("a", "d"));
}

#[test]
fn the_last_tick_of_each_is_found_at_once() {
    both(|stage| {
        stage.has("one", &nightly("low"));
        stage.has("two", &nightly("low"));
        stage.look("2026-11-20T12:00:00Z");
        stage.pass("2026-11-21T02:00:00Z");
        stage.pass("2026-11-22T02:00:00Z");
        let last = stage.engine("2026-11-22T03:00:00Z").timetable().unwrap().last_of_each().unwrap();
        let due: Vec<_> = last.iter().map(|(name, tick)| (name.as_str(), tick.due)).collect();
        assert_eq!(due, [("one", at("2026-11-22T02:00:00Z")), ("two", at("2026-11-22T02:00:00Z"))]);
    });
}
