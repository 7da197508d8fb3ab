//! What others do makes a run wait, give up for now, or end: each signal of a real database, moved where it would be rare.

use crate::stage::{Stage, both, manners, options, rows};
use crate::tampered::Tampered;
use engine::{Class, Manners, Report, Status, Stop, What};
use targets::db::Pulse;
use testkit::{Workshop, story};

/// A run in small batches over a database whose pulse is changed at each look; with what was waited for.
fn run(
    stage: &Stage,
    change: impl FnOnce(&mut Manners),
    felt: impl FnMut(u64, &mut Pulse) + Send + 'static,
) -> (Workshop, Report, Vec<String>) {
    let workshop = Workshop::new(&stage.place, kinds::catalogue())
        .on(Tampered::feeling(stage.place.database(), felt))
        .at(crate::stage::patient());
    let engine = workshop.engine();
    let mut own = Manners { batch_size: Some(10), max_pause: 30.0, ..manners() };
    change(&mut own);
    let plan = story::plan(&engine, &story::request("purge", options(), own, false));
    let mut waited = Vec::new();
    let report = engine.run(&plan, &Stop::default(), &mut |event| {
        if let What::Paused { reason, .. } = &event.what {
            waited.push(reason.clone());
        }
    });
    (workshop, report.unwrap(), waited)
}

#[test]
fn each_signal_makes_a_run_wait_until_it_is_gone() {
    // S3-050, S2-081
    type Moved = fn(&mut Pulse);
    let signals: [(Moved, &str); 4] = [
        (|pulse| pulse.replica_lag_ms = Some(60_000), "a replica is 60.0 s behind"),
        (|pulse| pulse.lock_waiters = Some(99), "99 sessions wait for locks"),
        (|pulse| pulse.active_sessions = Some(9), "9 sessions are at work"),
        (|pulse| pulse.wal_bytes = Some(5_000_000_000), "5.0 GB of write-ahead log are waiting"),
    ];
    let (sqlite, postgres) = rows(60);
    for (signal, said) in signals {
        both(&sqlite, &postgres, |stage| {
            let limits = |own: &mut Manners| (own.max_active_sessions, own.max_wal_mb) = (Some(8), 1_000);
            let (_, report, waited) = run(stage, limits, move |look, pulse| {
                if look == 1 || look == 2 {
                    signal(pulse);
                }
            });
            assert_eq!((report.status, report.totals.deleted), (Status::Completed, 60), "{report:#?}");
            assert_eq!(waited, [said]);
        });
    }
}

#[test]
fn a_run_that_waits_for_too_long_stops_and_says_for_what() {
    // S3-050
    let (sqlite, postgres) = rows(60);
    both(&sqlite, &postgres, |stage| {
        let (workshop, report, waited) =
            run(stage, |own| own.max_pause = 0.2, |_, pulse| pulse.lock_waiters = Some(99));
        assert_eq!((report.status, report.totals.deleted), (Status::TimedOut, 0), "{report:#?}");
        assert_eq!(waited, ["99 sessions wait for locks"]);
        let reason = report.operations[0].reason.clone().unwrap_or_default();
        assert!(reason.contains("too busy") && reason.contains("99 sessions wait for locks"), "{reason}");
        let calm = workshop.also_at(stage.place.database());
        let resumed = calm.resume(&report.run_id, &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!((resumed.status, resumed.totals.deleted), (Status::Completed, 60), "{resumed:#?}");
    });
}

#[test]
fn a_disk_that_fills_up_in_the_middle_ends_the_run_with_everything_committed_kept() {
    // S3-047, S2-081
    let (sqlite, postgres) = rows(60);
    both(&sqlite, &postgres, |stage| {
        // slow enough for a second look, which on PostgreSQL comes after half a second
        let limits = |own: &mut Manners| (own.min_free_disk_mb, own.rows_per_second) = (1, Some(80.0));
        let (workshop, report, _) = run(stage, limits, |look, pulse| {
            pulse.free_disk_bytes = Some(if look > 1 { 1_000 } else { 1 << 40 });
        });
        assert_eq!(report.status, Status::Failed, "{report:#?}");
        let error = &report.errors[0];
        assert!(error.class == Class::System && error.message.contains("1.0 kB are free"), "{error:?}");
        let gone = report.totals.deleted;
        assert!((1..60).contains(&gone), "{gone}");
        assert_eq!(stage.number("select count(*) from t") as u64, 60 - gone);
        let calm = workshop.also_at(stage.place.database());
        let resumed = calm.resume(&report.run_id, &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!((resumed.status, resumed.totals.deleted), (Status::Completed, 60), "{resumed:#?}");
    });
}
