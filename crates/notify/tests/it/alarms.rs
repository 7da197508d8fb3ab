//! Alarms: told once, again when worse or after a day, and when it is over; and what the figures of databases mean.

use crate::kit::{NOON, after, at, both};
use jiff::SignedDuration;
use notify::settings::AlertsSection;
use notify::{Alert, Level, Watched, backup, databases_figures, queue, unreachable};
use serde_json::json;

fn levels(found: &[Watched]) -> Vec<(String, Option<Level>)> {
    found.iter().map(|one| (one.id.clone(), one.alert.as_ref().map(|alert| alert.level))).collect()
}

#[test]
fn an_alarm_is_told_once_again_when_worse_again_after_a_day_and_when_it_is_over() {
    // S2-070: alert once
    both(|stage| {
        let watch = |now, level: Option<Level>| {
            let alert = level.map(|level| Alert::new(level, "the disk is full", "…"));
            let watched = Watched::new("disk/main", alert).told_over("the disk has room");
            stage.post(now, |post| post.watch(&watched, None, &[]).unwrap())
        };
        assert!(!watch(after(0), None), "what was never wrong is not over");
        assert!(watch(after(10), Some(Level::Warning)));
        assert!(!watch(after(20), Some(Level::Warning)));
        assert!(watch(after(30), Some(Level::Critical)));
        assert!(!watch(after(40), Some(Level::Warning)), "better is no news");
        assert!(!watch(after(86_000), Some(Level::Warning)));
        assert!(watch(after(86_500), Some(Level::Warning)), "still wrong after a day");
        let engine = stage.engine(at(NOON));
        let known = engine.outbox().unwrap().alarms().unwrap();
        assert_eq!((known.len(), known[0].since, known[0].told), (1, after(10), after(86_500)));
        assert!(watch(after(90_000), None));
        assert!(!watch(after(90_010), None));
        assert_eq!(engine.outbox().unwrap().alarms().unwrap(), []);
        assert!(watch(after(90_020), Some(Level::Warning)), "wrong again");
        let told: Vec<String> =
            stage.deliver(after(90_030)).iter().map(|one| one["text"].as_str().unwrap().to_owned()).collect();
        assert_eq!(told.len(), 5, "{told:?}");
    });
}

#[test]
fn of_many_that_find_it_at_once_one_tells_it() {
    both(|stage| {
        let told = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let watched = Watched::new("disk/main", Some(Alert::new(Level::Warning, "full", "…")));
                    if stage.post(after(0), |post| post.watch(&watched, None, &[]).unwrap()) {
                        told.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(told.into_inner(), 1);
        assert_eq!(stage.deliver(after(1)).len(), 1);
    });
}

#[test]
fn disks_and_indexes_are_judged_by_their_thresholds() {
    // S2-070, S2-071, X-19: what is not known is not judged
    let alerts = AlertsSection::default();
    let found = |disk: Option<f64>, index: Option<f64>| {
        let figures =
            json!({"disk_used_percent": disk, "index_efficiency_percent": index, "disk_free_bytes": 1_000});
        levels(&databases_figures("main", &figures, &alerts))
    };
    let one = |id: &str, level| (id.to_owned(), level);
    assert_eq!(found(None, None), []);
    assert_eq!(found(Some(80.0), Some(90.0)), [one("disk/main", None), one("index/main", None)]);
    assert_eq!(
        found(Some(80.1), Some(89.9)),
        [one("disk/main", Some(Level::Warning)), one("index/main", Some(Level::Warning))]
    );
    assert_eq!(found(Some(90.1), None), [one("disk/main", Some(Level::Critical))]);
    let off =
        AlertsSection { disk_percent: 100.0, index_efficiency_percent: 0.0, ..AlertsSection::default() };
    let figures = json!({"disk_used_percent": 99.9, "index_efficiency_percent": 0.1});
    assert!(databases_figures("main", &figures, &off).iter().all(|one| one.alert.is_none()));
}

#[test]
fn queues_that_grow_or_stand_still_and_backups_that_are_too_old_are_alerts() {
    let alerts = AlertsSection { queue_backlog: Some(100), ..AlertsSection::default() };
    let found = |pending: u64, stuck: u64| {
        let result = json!({"depth": {"pending": pending}, "stale_tasks": stuck, "oldest_pending": {"age_minutes": 90.0}});
        levels(&queue("jobs", &result, &alerts)).into_iter().map(|(_, level)| level).collect::<Vec<_>>()
    };
    assert_eq!(found(100, 0), [None, None]);
    assert_eq!(found(101, 1), [Some(Level::Warning), Some(Level::Warning)]);
    assert_eq!(found(201, 0), [Some(Level::Critical), None]);
    let result = json!({"depth": {"pending": 9_999_999}, "stale_tasks": 0});
    assert_eq!(levels(&queue("jobs", &result, &AlertsSection::default())), [("stuck/jobs".to_owned(), None)]);
    let week = SignedDuration::from_hours(24 * 7);
    let level = |taken| backup("main", taken, at(NOON), week).alert.map(|alert| alert.level);
    assert_eq!(level(Some(after(-3_600))), None);
    assert_eq!(level(Some(after(-8 * 86_400))), Some(Level::Critical));
    assert_eq!(level(None), Some(Level::Critical));
    assert!(unreachable("main", None).alert.is_none() && unreachable("main", Some("no")).alert.is_some());
}

#[test]
fn a_week_in_which_many_runs_fail_is_an_alert() {
    // S2-074, X-20
    both(|stage| {
        let alerts = AlertsSection::default();
        let reports = |failed: usize, all: usize| {
            let one = stage.report(|_| {});
            (0..all)
                .map(|n| {
                    let mut report = one.clone();
                    if n < failed {
                        report.status = engine::Status::Failed;
                    }
                    report
                })
                .collect::<Vec<_>>()
        };
        let wrong = |failed, all| {
            notify::error_rate_of_week(&reports(failed, all), at(NOON), &alerts)
                .map(|one| one.alert.is_some())
        };
        assert_eq!(wrong(6, 100), Some(true));
        assert_eq!(wrong(5, 100), Some(false));
        assert_eq!(wrong(10, 19), None);
    });
}
