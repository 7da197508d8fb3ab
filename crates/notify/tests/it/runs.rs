//! What is told of runs: which events, to whom, and what is an alert.

use crate::kit::{NOON, after, at, both, channel, ended, failed, nightly, operation, warned};
use engine::{Counts, NoteState, Status};
use notify::channel::Telegram;
use notify::settings::{AlertsSection, Channel, Sort};
use notify::{Event, Level, Message, event_of, of_operation};
use scheduler::Notifications;
use secrecy::SecretString;
use serde_json::json;

const NOTHING: Notifications = Notifications {
    on_success: false,
    on_failure: false,
    on_warnings: false,
    recipients: Vec::new(),
    channels: Vec::new(),
};

#[test]
fn each_event_is_told_where_the_schedule_wants_it_and_nowhere_else() {
    // S2-021, S2-078, S2-077: the 3×2 table of outcomes
    both(|stage| {
        stage.settings.alerts.failures = false;
        let good = stage.report(|_| {});
        let bad = stage.report(failed);
        let odd = stage.report(warned);
        let outcomes = [
            (&good, Notifications { on_success: true, ..NOTHING }, "success", "info"),
            (&bad, Notifications { on_failure: true, ..NOTHING }, "failure", "warning"),
            (&odd, Notifications { on_warnings: true, ..NOTHING }, "warning", "warning"),
        ];
        for (report, wants, event, level) in &outcomes {
            let opposite = Notifications {
                on_success: !wants.on_success,
                on_failure: !wants.on_failure,
                on_warnings: !wants.on_warnings,
                ..NOTHING
            };
            stage.ended(at(NOON), report, Some(&nightly(Some(opposite))));
            assert!(stage.deliver(at(NOON)).is_empty(), "{event} was told though it was not wanted");
            stage.ended(at(NOON), report, Some(&nightly(Some(wants.clone()))));
            let got = stage.deliver(at(NOON));
            assert_eq!(got.len(), 1, "{event}");
            assert_eq!((&got[0]["event"], &got[0]["level"]), (&json!(event), &json!(level)));
            assert_eq!(got[0]["schedule"], "nightly");
            assert_eq!(got[0]["run_id"], report.run_id);
            assert_eq!(got[0]["correlation_id"], report.correlation_id);
            let keys: Vec<&String> = got[0].as_object().unwrap().keys().collect();
            let n1 = [
                "event",
                "level",
                "run_id",
                "correlation_id",
                "schedule",
                "operation",
                "title",
                "text",
                "metrics",
                "time",
            ];
            assert_eq!(keys, n1, "the fields of N1, in their order");
            let text = got[0]["text"].as_str().unwrap();
            assert!(text.contains(&report.run_id) && text.contains(&report.correlation_id), "{text}");
        }
    });
}

#[test]
fn a_schedule_that_says_nothing_tells_what_is_usual() {
    both(|stage| {
        stage.settings.alerts.failures = false;
        for (change, many) in [(failed as fn(&mut engine::Report), 1), (warned, 1), (|_: &mut _| {}, 0)] {
            stage.ended(at(NOON), &stage.report(change), Some(&nightly(None)));
            assert_eq!(stage.deliver(at(NOON)).len(), many);
        }
        stage.settings.usual = Notifications { on_success: true, ..NOTHING };
        stage.ended(at(NOON), &stage.report(|_| {}), Some(&nightly(None)));
        let got = stage.deliver(at(NOON));
        assert_eq!(got[0]["title"], "nightly is done: 1 row");
        assert_eq!(got[0]["metrics"]["rows_deleted"], 1);
    });
}

#[test]
fn a_run_that_somebody_typed_is_told_only_where_the_configuration_asks() {
    // S1-076
    both(|stage| {
        let report = stage.report(failed);
        let by_hand = |stage: &crate::kit::Stage| {
            stage.post(at(NOON), |post| {
                post.ended(&notify::Ended { by_hand: true, ..ended(&report, None) }).unwrap();
            });
        };
        by_hand(stage);
        assert!(stage.deliver(at(NOON)).is_empty());
        stage.settings.by_hand = true;
        by_hand(stage);
        let titles: Vec<String> =
            stage.deliver(at(NOON)).iter().map(|one| one["title"].as_str().unwrap().to_owned()).collect();
        assert_eq!(titles, ["logs failed"]);
        // A look at what would happen is no news.
        let looked = stage.report(|report| {
            failed(report);
            report.metadata.dry_run = true;
        });
        stage.ended(at(NOON), &looked, None);
        assert!(stage.deliver(at(NOON)).is_empty());
    });
}

#[test]
fn the_event_of_a_run_is_that_of_its_worst_operation() {
    both(|stage| {
        let event = |change: fn(&mut engine::Report)| event_of(&stage.report(change));
        assert_eq!(event(|_| {}), Event::Success);
        assert_eq!(event(warned), Event::Warning);
        assert_eq!(event(|report| report.status = Status::TimedOut), Event::Warning);
        assert_eq!(event(|report| report.status = Status::Refused), Event::Failure);
        let partly = |report: &mut engine::Report| {
            report.status = Status::Partial;
            let mut bad = report.operations[0].clone();
            bad.status = Status::Failed;
            report.operations.push(bad);
        };
        assert_eq!(event(partly), Event::Failure);
    });
}

#[test]
fn an_error_rate_above_five_percent_is_an_alert() {
    // S2-074, X-20: 6 of 100 and 5 of 100; fewer than 20 say nothing
    both(|stage| {
        let alerts = AlertsSection::default();
        let rate = |bad: u64, all: u64| -> Option<Level> {
            let done = operation(stage, |done| {
                done.rows_failed = bad;
                done.targets[0].counts = Counts { deleted: all - bad, failed: bad, ..Counts::default() };
            });
            let found = of_operation(&done, 0, true, &alerts);
            found.into_iter().find(|one| one.id == "errors/logs").and_then(|one| one.alert).map(|a| a.level)
        };
        for (bad, all, expected) in [
            (6, 100, Some(Level::Warning)),
            (5, 100, None),
            (0, 100, None),
            (2, 20, Some(Level::Warning)),
            (10, 19, None),
        ] {
            assert_eq!(rate(bad, all), expected, "{bad} of {all}");
        }
        let strict = AlertsSection { error_rate_percent: 1.0, ..AlertsSection::default() };
        let done = operation(stage, |done| {
            done.rows_failed = 5;
            done.targets[0].counts = Counts { deleted: 95, failed: 5, ..Counts::default() };
        });
        assert!(of_operation(&done, 0, true, &strict).iter().any(|one| one.alert.is_some()));
    });
}

#[test]
fn duplicates_above_the_threshold_are_an_alert_and_above_twice_of_it_critical() {
    // S3-023, S3-024, S3-021, X-27
    both(|stage| {
        let level = |total: u64, threshold: u64| {
            let done = operation(stage, |done| {
                done.result = Some(json!({"duplicates": [], "total": total, "threshold": threshold}));
            });
            let found = of_operation(&done, 0, true, &AlertsSection::default());
            found.into_iter().find(|one| one.id == "duplicates/logs").unwrap().alert.map(|alert| alert.level)
        };
        for (total, threshold, expected) in [
            (0, 5, None),
            (5, 5, None),
            (6, 5, Some(Level::Warning)),
            (10, 5, Some(Level::Warning)),
            (11, 5, Some(Level::Critical)),
            (6, 10, None),
            (11, 10, Some(Level::Warning)),
            (1, 0, Some(Level::Critical)),
        ] {
            assert_eq!(level(total, threshold), expected, "{total} with a threshold of {threshold}");
        }
    });
}

#[test]
fn an_operation_that_takes_longer_than_expected_is_an_alert() {
    // S2-073: more than what was promised; what was learned has to be passed by far
    both(|stage| {
        let longer = |took: f64, expected: f64, promised: bool| {
            let done = operation(stage, |done| {
                done.duration_seconds = took;
                done.expected_seconds = Some(expected);
            });
            let found = of_operation(&done, 0, promised, &AlertsSection::default());
            found.into_iter().find(|one| one.id == "longer/logs").unwrap().alert.is_some()
        };
        assert!(longer(0.02, 0.001, true));
        assert!(!longer(59.0, 60.0, true));
        assert!(!longer(0.02, 0.001, false), "an estimate of a millisecond is no promise");
        assert!(!longer(100.0, 60.0, false));
        assert!(longer(200.0, 60.0, false));
    });
}

#[test]
fn an_operation_that_hangs_is_told_before_it_ends() {
    // S2-073
    both(|stage| {
        let report = stage.report(|report| {
            report.status = Status::Running;
            report.metadata.finished_at = None;
            let mut second = report.operations[0].clone();
            report.operations[0].duration_seconds = 60.0;
            second.operation = "sessions".to_owned();
            second.status = Status::Running;
            second.expected_seconds = Some(30.0);
            report.operations.push(second);
        });
        let found = |seconds: i64, promised: bool| {
            let found = notify::at_work(&report, after(seconds), &|_| promised, &AlertsSection::default());
            found.into_iter().filter_map(|one| one.alert).map(|alert| alert.title).collect::<Vec<_>>()
        };
        // The first operation took a minute of it.
        assert!(found(89, true).is_empty());
        assert_eq!(found(100, true), ["sessions is at work for 40 s, and 30 s was expected"]);
        assert!(found(100, false).is_empty());
        assert_eq!(found(300, false).len(), 1);
        let over = stage.report(|_| {});
        assert!(notify::at_work(&over, after(9_999), &|_| true, &AlertsSection::default()).is_empty());
    });
}

#[test]
fn a_failed_operation_is_an_alert_told_once_critical_when_it_comes_again_and_over_when_it_works() {
    // S2-072, S3-024
    both(|stage| {
        let oncall = channel("oncall", &stage.sink);
        stage.settings.channels.push(oncall);
        stage.settings.alerts.escalate_to = vec!["oncall".to_owned()];
        stage.settings.repeat_after = jiff::SignedDuration::ZERO;
        let silent = nightly(Some(NOTHING));
        let titles = |stage: &crate::kit::Stage, now| {
            stage.post(now, |post| post.deliver(None).unwrap());
            let calls = stage.sink.take();
            let told: Vec<String> = calls
                .iter()
                .map(|call| {
                    format!(
                        "{} {} {}",
                        call.what,
                        call.json()["level"].as_str().unwrap(),
                        call.json()["title"].as_str().unwrap()
                    )
                })
                .collect();
            told
        };
        // Failures that the state knows: two runs that really fail.
        let fail = |stage: &crate::kit::Stage, now| {
            let engine = stage.engine(now);
            let request = testkit::story::request(
                "purge",
                json!({"table": "t", "where": "nosuch = 1"}),
                Default::default(),
                true,
            );
            let request = engine::Request {
                operations: vec![engine::OperationRequest {
                    name: "logs".to_owned(),
                    ..request.operations[0].clone()
                }],
                ..request
            };
            let failure = engine.prepare(&request).unwrap().failures.remove(0);
            engine.log_unplanned(&request, &failure).unwrap()
        };
        let first = fail(stage, after(0));
        assert_eq!(first.status, Status::Failed);
        stage.ended(after(0), &first, Some(&silent));
        assert_eq!(titles(stage, after(0)), ["POST /team warning logs failed"]);
        // Told already, and as bad as before.
        let second = fail(stage, after(60));
        stage.settings.alerts.escalate_after = 9;
        stage.ended(after(60), &second, Some(&silent));
        assert!(titles(stage, after(60)).is_empty());
        // Worse: it is critical now, and goes further.
        let third = fail(stage, after(120));
        stage.settings.alerts.escalate_after = 3;
        stage.ended(after(120), &third, Some(&silent));
        let told = titles(stage, after(120));
        assert_eq!(
            told,
            [
                "POST /team critical logs failed 3 times in a row",
                "POST /oncall critical logs failed 3 times in a row"
            ]
        );
        let good = stage.report_at(after(180), |_| {});
        stage.ended(after(180), &good, Some(&silent));
        assert_eq!(titles(stage, after(180)), ["POST /team info logs works again"]);
        // Who is told of the run hears it once.
        let fourth = fail(stage, after(86_400));
        stage.ended(
            after(86_400),
            &fourth,
            Some(&nightly(Some(Notifications { on_failure: true, ..NOTHING }))),
        );
        assert_eq!(titles(stage, after(86_400)), ["POST /team warning nightly failed: logs"]);
    });
}

#[test]
fn recipients_are_people_or_are_meant_for_a_channel() {
    //
    both(|stage| {
        let wants = Notifications {
            on_failure: true,
            recipients: vec!["anna@example.org".to_owned(), "team:42".to_owned()],
            ..NOTHING
        };
        stage.settings.alerts.failures = false;
        stage.ended(at(NOON), &stage.report(failed), Some(&nightly(Some(wants))));
        let notes = stage.notes(Some(NoteState::Waiting));
        assert_eq!(notes[0].recipients, ["42"], "mail addresses are for mail");
    });
}

#[test]
fn each_of_several_chats_gets_a_message_once_though_another_one_was_away() {
    // X-28, W-070
    both(|stage| {
        let telegram = Telegram {
            api: Some(stage.sink.url("")),
            token: SecretString::from("123:x"),
            chat: "-100".to_owned(),
        };
        stage.settings.channels[0] =
            Channel { sort: Sort::Telegram, carrier: Box::new(telegram), ..channel("chat", &stage.sink) };
        stage.settings.alerts.failures = false;
        let wants = Notifications {
            on_failure: true,
            recipients: vec!["chat:7".to_owned(), "chat:8".to_owned(), "anna@example.org".to_owned()],
            ..NOTHING
        };
        let schedule = nightly(Some(wants));
        stage.ended(at(NOON), &stage.report(failed), Some(&schedule));
        stage.sink.answers_once(200, "", "");
        stage.sink.answers_once(503, "", "");
        let chats = |now| -> Vec<serde_json::Value> {
            stage.deliver(now).iter().map(|body| body["chat_id"].clone()).collect()
        };
        let mut first = chats(at(NOON));
        let away = first[1].clone();
        assert_eq!(chats(after(60)), [away], "only the one that was away");
        first.sort_by_key(|chat| chat.to_string());
        assert_eq!(first, ["7", "8"]);
        assert!(chats(after(600)).is_empty());
        // The same again is said to neither.
        stage.ended(after(900), &stage.report(failed), Some(&schedule));
        assert!(chats(after(900)).is_empty());
    });
}

#[test]
fn what_is_only_shown_for_want_of_an_approval_is_a_warning() {
    both(|stage| {
        let report = stage.report(|report| report.metadata.dry_run = true);
        let schedule = nightly(None);
        stage.post(at(NOON), |post| {
            let ended = notify::Ended {
                why: Some("approval needed for logs; only shown"),
                name: "nightly",
                ..ended(&report, Some(&schedule))
            };
            post.ended(&ended).unwrap();
            // The same end is told once.
            post.ended(&ended).unwrap();
        });
        let got = stage.deliver(at(NOON));
        let message: Message = serde_json::from_value(got[0].clone()).unwrap();
        assert_eq!((got.len(), message.event), (1, Event::Warning));
        assert_eq!(message.title, "nightly: approval needed for logs; only shown");
    });
}
