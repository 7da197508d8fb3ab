//! The outbox: nothing is lost, nothing is said twice, nobody is woken for nothing.

use crate::kit::{NOON, Stage, after, at, both, channel, failed, nightly, warned};
use engine::{Clock, NoteState, Window};
use jiff::SignedDuration;
use notify::channel::{Carrier, Exec, Letter, Refused, signature};
use notify::settings::{Channel, Sort};
use notify::{Alert, Level, Template, Watched};
use secrecy::SecretString;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn states(stage: &Stage) -> Vec<(NoteState, u64)> {
    let counts = stage.engine(at(NOON)).outbox().unwrap().counts().unwrap();
    counts.into_iter().filter(|(_, many)| *many > 0).collect()
}

fn alert(id: &str, level: Level) -> Watched {
    Watched::new(id, Some(Alert::new(level, format!("{id} is wrong"), "look at it")))
}

fn tell(stage: &Stage, now: jiff::Timestamp, id: &str, level: Level) {
    stage.post(now, |post| assert!(post.watch(&alert(id, level), None, &[]).unwrap()));
}

#[test]
fn a_receiver_that_was_away_gets_it_later_and_once() {
    // W-070: down for a while, delivered later once; the run is what it is
    both(|stage| {
        stage.settings.alerts.failures = false;
        stage.sink.answers(503);
        let report = stage.report(failed);
        stage.ended(after(0), &report, Some(&nightly(None)));
        let outcome = stage.post(after(0), |post| post.deliver(None).unwrap());
        assert_eq!((outcome.sent, outcome.put_off.len()), (0, 1));
        assert!(outcome.put_off[0].2.contains("503"), "{outcome:?}");
        assert_eq!(stage.sink.take().len(), 1);
        // Before its next try it is left alone.
        assert!(stage.deliver(after(10)).is_empty());
        let note = stage.notes(None).remove(0);
        assert!(note.due >= after(30) && note.due <= after(33), "{note:?}");
        assert_eq!((note.tries, note.error.as_deref()), (1, Some("it answered 503")));
        stage.sink.answers(200);
        assert_eq!(stage.deliver(after(40)).len(), 1);
        assert!(stage.deliver(after(80)).is_empty());
        assert_eq!(states(stage), [(NoteState::Sent, 1)]);
    });
}

#[test]
fn tries_are_further_and_further_apart_and_end_after_a_day() {
    // W-070
    both(|stage| {
        stage.sink.answers(500);
        tell(stage, after(0), "disk/main", Level::Warning);
        let (mut now, mut waits) = (after(0), Vec::new());
        while stage.notes(Some(NoteState::Waiting)).len() == 1 {
            stage.post(now, |post| post.deliver(None).unwrap());
            assert_eq!(stage.sink.take().len(), 1);
            let note = stage.notes(None).remove(0);
            waits.push(note.due.duration_since(now).as_secs());
            now = note.due;
        }
        waits.pop();
        assert_eq!(waits.len(), 11, "{waits:?}");
        assert!(waits.windows(2).all(|pair| pair[1] >= pair[0]), "{waits:?}");
        let hours = now.duration_since(after(0)).as_hours();
        assert!((8..30).contains(&hours), "{hours} hours");
        assert_eq!(states(stage), [(NoteState::Failed, 1)]);
        // Somebody mends it and wants it after all.
        stage.sink.answers(200);
        let engine = stage.engine(now);
        assert_eq!(engine.outbox().unwrap().try_all_again(now).unwrap(), 1);
        assert_eq!(stage.deliver(now).len(), 1);
    });
}

#[test]
fn a_receiver_that_asks_to_be_left_alone_is_left_alone() {
    both(|stage| {
        stage.sink.answers_once(429, "retry-after: 900\r\n", "slow down");
        tell(stage, after(0), "disk/main", Level::Warning);
        stage.deliver(after(0));
        let note = stage.notes(None).remove(0);
        assert_eq!(note.due, after(900));
        assert_eq!(note.error.as_deref(), Some("it answered 429: slow down"));
    });
}

#[test]
fn a_receiver_that_asks_to_be_left_alone_for_ever_is_asked_again_after_a_day() {
    both(|stage| {
        for (n, ever) in ["31536000000", "18446744073709551615"].iter().enumerate() {
            stage.sink.answers_once(503, &format!("retry-after: {ever}\r\n"), "");
            tell(stage, after(0), &format!("disk/{n}"), Level::Critical);
            stage.deliver(after(0));
        }
        for note in stage.notes(None) {
            assert_eq!(note.due, after(86_400), "{note:?}");
        }
    });
}

/// A clock on which each look at a receiver takes time.
struct Dragging {
    begin: Instant,
    passed: Mutex<Duration>,
}

impl Clock for Dragging {
    fn now(&self) -> jiff::Timestamp {
        at(NOON)
    }

    fn tick(&self) -> Instant {
        self.begin + *self.passed.lock().unwrap()
    }
}

/// A receiver that takes everything, and most of the time that it may.
struct Slow {
    clock: Arc<Dragging>,
    took: Arc<Mutex<Vec<String>>>,
}

impl Carrier for Slow {
    fn carry(&self, letter: &Letter, patience: Duration) -> Result<(), Refused> {
        *self.clock.passed.lock().unwrap() += patience * 9 / 10;
        self.took.lock().unwrap().push(letter.id.to_owned());
        Ok(())
    }
}

#[test]
fn a_receiver_that_is_slow_gets_each_message_once_though_others_take_what_is_left() {
    // W-070: a claim holds for five minutes
    for state in [testkit::Place::sqlite(), testkit::Place::postgres()] {
        let mut stage = crate::kit::remembering(&state);
        let clock = Arc::new(Dragging { begin: Instant::now(), passed: Mutex::default() });
        let took = Arc::new(Mutex::new(Vec::new()));
        let slow = Slow { clock: Arc::clone(&clock), took: Arc::clone(&took) };
        stage.settings.channels[0].carrier = Box::new(slow);
        stage.settings.channels[0].patience = Duration::from_secs(50);
        for n in 0..12 {
            tell(&stage, after(0), &format!("disk/{n}"), Level::Critical);
        }
        let deliver = || {
            let engine = stage.workshop.engine_at(Arc::clone(&clock) as Arc<dyn Clock>);
            notify::Post { engine: &engine, settings: &stage.settings }.deliver(None).unwrap().sent
        };
        // Five of 45 seconds each; a sixth might still be on its way when the claim is over.
        assert_eq!(deliver(), 5);
        assert_eq!(deliver(), 0, "what is claimed is nobody else's");
        let mut sent = 5;
        while sent < 12 {
            state.script2("update sexton_outbox set lease_us = 0", "update sexton.outbox set lease_us = 0");
            sent += deliver();
        }
        let mut ids = took.lock().unwrap().clone();
        ids.sort();
        ids.dedup();
        assert_eq!((took.lock().unwrap().len(), ids.len()), (12, 12));
    }
}

#[test]
fn what_was_said_a_short_while_ago_is_not_said_again() {
    // W-070: de-duplication
    both(|stage| {
        stage.settings.alerts.failures = false;
        let schedule = nightly(None);
        for minute in 0..5 {
            let report = stage.report(failed);
            stage.ended(after(minute * 60), &report, Some(&schedule));
        }
        assert_eq!(stage.deliver(after(300)).len(), 1);
        assert_eq!(states(stage), [(NoteState::Sent, 1), (NoteState::Repeated, 4)]);
        // Something else is news, and so is the same after a while.
        stage.ended(after(360), &stage.report(warned), Some(&schedule));
        stage.ended(after(3_700), &stage.report(failed), Some(&schedule));
        assert_eq!(stage.deliver(after(3_700)).len(), 2);
    });
}

#[test]
fn many_processes_send_each_message_once() {
    both(|stage| {
        for n in 0..5 {
            tell(stage, after(0), &format!("disk/{n}"), Level::Critical);
        }
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| stage.post(after(1), |post| post.deliver(None).unwrap()));
            }
        });
        let mut titles: Vec<String> =
            stage.sink.take().iter().map(|call| call.json()["title"].as_str().unwrap().to_owned()).collect();
        titles.sort();
        let wanted: Vec<String> = (0..5).map(|n| format!("disk/{n} is wrong")).collect();
        assert_eq!(titles, wanted);
    });
}

#[test]
fn what_a_process_had_when_it_died_is_sent_by_the_next() {
    both(|stage| {
        tell(stage, after(0), "disk/main", Level::Warning);
        let engine = stage.engine(after(1));
        let dead = engine.outbox().unwrap().claim("team", false, Duration::ZERO, 10, after(1)).unwrap();
        assert_eq!((dead.len(), states(stage)), (1, vec![(NoteState::Sending, 1)]));
        assert_eq!(stage.deliver(after(2)).len(), 1);
        // Whoever comes back from the dead changes nothing.
        engine.outbox().unwrap().put_off(&[dead[0].id.as_str()], after(60), "late").unwrap();
        assert_eq!(states(stage), [(NoteState::Sent, 1)]);
    });
}

#[test]
fn in_quiet_hours_only_what_is_critical_is_sent_and_the_rest_comes_together() {
    // W-070
    both(|stage| {
        stage.settings.channels[0].quiet = Some(Window::parse("22:00-07:00", "Europe/Paris").unwrap());
        let night = at("2026-11-29T23:30:00Z");
        for n in 0..3 {
            tell(stage, night, &format!("index/{n}"), Level::Warning);
        }
        tell(stage, night, "disk/main", Level::Critical);
        let got = stage.deliver(night);
        assert_eq!(got.len(), 1);
        assert_eq!(got[0]["title"], "disk/main is wrong");
        assert!(stage.deliver(at("2026-11-30T05:59:00Z")).is_empty());
        // Seven in Paris is six in UTC.
        let got = stage.deliver(at("2026-11-30T06:00:00Z"));
        assert_eq!(got.len(), 1, "{got:#?}");
        assert_eq!(got[0]["title"], "3 messages: 3 alerts");
        assert_eq!(got[0]["metrics"]["alert"], 3);
        let text = got[0]["text"].as_str().unwrap();
        assert!((0..3).all(|n| text.contains(&format!("index/{n} is wrong"))), "{text}");
        assert_eq!(text.matches("correlation ").count(), 6, "each has its own: {text}");
        // A try that comes due at night waits for the morning too.
        stage.sink.answers(500);
        tell(stage, at("2026-11-30T20:59:50Z"), "late/x", Level::Warning);
        stage.deliver(at("2026-11-30T20:59:50Z"));
        stage.sink.answers(200);
        assert!(stage.deliver(at("2026-11-30T23:00:00Z")).is_empty());
        assert_eq!(stage.deliver(at("2026-12-01T06:00:00Z")).len(), 1);
    });
}

#[test]
fn a_digest_collects_until_its_time_comes() {
    // W-070
    both(|stage| {
        stage.settings.channels[0].digest = Some(SignedDuration::from_hours(24));
        stage.settings.usual.on_success = true;
        stage.settings.alerts.failures = false;
        let schedule = nightly(None);
        stage.ended(after(0), &stage.report(failed), Some(&schedule));
        stage.ended(after(60), &stage.report(|_| {}), Some(&schedule));
        stage.ended(after(120), &stage.report(|_| {}), Some(&schedule));
        assert!(stage.deliver(after(600)).is_empty());
        let got = stage.deliver(at("2026-11-30T00:00:00Z"));
        assert_eq!(got.len(), 1);
        assert_eq!(got[0]["title"], "3 messages: 1 failure, 2 successes");
        assert_eq!((&got[0]["event"], &got[0]["level"]), (&"failure".into(), &"warning".into()));
        assert_eq!(states(stage), [(NoteState::Sent, 3)]);
        // One alone is said as it is.
        stage.ended(at("2026-11-30T10:00:00Z"), &stage.report(|_| {}), Some(&schedule));
        let got = stage.deliver(at("2026-12-01T00:00:00Z"));
        assert_eq!(got[0]["title"], "nightly is done: 1 row");
    });
}

#[test]
fn a_crowd_is_one_message() {
    both(|stage| {
        for n in 0..30 {
            tell(stage, after(0), &format!("reach/{n:02}"), Level::Warning);
        }
        let got = stage.deliver(after(1));
        assert_eq!(got.len(), 1);
        assert_eq!(got[0]["title"], "30 messages: 30 alerts");
    });
}

#[test]
fn a_channel_gets_what_is_grave_enough_for_it() {
    both(|stage| {
        stage.settings.channels[0].level = Level::Critical;
        let low = channel("low", &stage.sink);
        stage.settings.channels.push(low);
        tell(stage, after(0), "index/main", Level::Warning);
        tell(stage, after(0), "disk/main", Level::Critical);
        stage.post(after(0), |post| post.deliver(None).unwrap());
        let mut told: Vec<String> = stage
            .sink
            .take()
            .iter()
            .map(|call| format!("{} {}", call.what, call.json()["title"].as_str().unwrap()))
            .collect();
        told.sort();
        assert_eq!(
            told,
            [
                "POST /low disk/main is wrong",
                "POST /low index/main is wrong",
                "POST /team disk/main is wrong"
            ]
        );
    });
}

#[test]
fn one_channel_that_is_away_does_not_keep_the_others_waiting() {
    both(|stage| {
        let broken = Channel {
            name: "broken".to_owned(),
            sort: Sort::Exec,
            carrier: Box::new(Exec { command: vec!["/no/such/program".to_owned()] }),
            template: Template::default(),
            ..channel("x", &stage.sink)
        };
        stage.settings.channels.insert(0, broken);
        tell(stage, after(0), "disk/main", Level::Warning);
        tell(stage, after(0), "disk/other", Level::Warning);
        let outcome = stage.post(after(0), |post| post.deliver(None).unwrap());
        assert_eq!((outcome.sent, stage.sink.take().len()), (2, 2));
        assert!(outcome.put_off[0].2.contains("cannot be started"), "{outcome:?}");
    });
}

#[test]
fn the_body_of_a_webhook_is_the_message_and_its_signature_fits() {
    // S2-077, W-071, S3-046
    both(|stage| {
        tell(stage, after(0), "disk/main", Level::Warning);
        stage.post(after(0), |post| post.deliver(None).unwrap());
        let call = stage.sink.take().remove(0);
        let body: notify::Message = serde_json::from_str(&call.body).unwrap();
        assert_eq!(body.body(), call.body, "to the byte");
        let signed = signature(&SecretString::from("hush"), call.body.as_bytes());
        assert_eq!(call.header("x-sexton-signature"), Some(signed.as_str()));
        assert_ne!(signed, signature(&SecretString::from("other"), call.body.as_bytes()));
        let note = stage.notes(None).remove(0);
        assert_eq!(call.header("x-sexton-delivery"), Some(note.id.as_str()));
        assert!(body.text.contains(&format!("correlation {}", body.correlation_id)), "{}", body.text);
    });
}

#[test]
fn what_waits_for_a_channel_that_is_gone_is_given_up() {
    both(|stage| {
        let other = channel("other", &stage.sink);
        stage.settings.channels.push(other);
        tell(stage, after(0), "disk/main", Level::Warning);
        let engine = stage.engine(after(1));
        let outbox = engine.outbox().unwrap();
        assert_eq!(outbox.give_up_others(&["team", "other"], after(1)).unwrap(), 0);
        assert_eq!(outbox.give_up_others(&["team"], after(1)).unwrap(), 1);
        assert_eq!(states(stage), [(NoteState::Waiting, 1), (NoteState::Failed, 1)]);
        assert_eq!(stage.deliver(after(2)).len(), 1);
    });
}

#[test]
fn what_was_sent_long_ago_is_forgotten_and_what_waits_is_not() {
    both(|stage| {
        tell(stage, after(0), "disk/main", Level::Warning);
        stage.deliver(after(0));
        stage.sink.answers(500);
        tell(stage, after(0), "disk/other", Level::Warning);
        stage.deliver(after(0));
        let engine = stage.engine(after(9));
        assert_eq!(engine.outbox().unwrap().forget(after(9)).unwrap(), 1);
        assert_eq!(states(stage), [(NoteState::Waiting, 1)]);
    });
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_a_receiver_does_it_takes_each_message_once(
        ups in proptest::collection::vec(proptest::bool::ANY, 1..10),
        new in proptest::collection::vec(0..4_usize, 1..10),
    ) {
        // W-070
        let state = testkit::Place::sqlite();
        let stage = crate::kit::remembering(&state);
        let (mut made, mut taken, mut now) = (0, 0, 0);
        let mut deliver = |now: i64, up: bool| {
            stage.sink.answers(if up { 200 } else { 500 });
            let many = stage.deliver(after(now)).len();
            if up { taken += many; }
        };
        for (n, up) in ups.iter().enumerate() {
            for _ in 0..new[n % new.len()] {
                tell(&stage, after(now), &format!("reach/{made}"), Level::Critical);
                made += 1;
            }
            deliver(now, *up);
            now += 400;
        }
        deliver(now + 100_000, true);
        proptest::prop_assert_eq!(taken, made);
        proptest::prop_assert!(stage.notes(Some(NoteState::Waiting)).is_empty());
    }
}
