//! The same work for many databases: a few first, then several at once, until too many have failed.
//!
//! It promises that no further database is begun after a canary has failed, after more than the allowed share has failed, or
//! after a stop was asked for; those at work are let end in good order.

use super::Member;
use crate::config::FleetSetting;
use engine::Stop;
use scheduler::rollout::{Policy, Standing, turn};
use std::sync::{Condvar, Mutex, PoisonError};

/// What came of one database.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome<T> {
    /// It was worked on; whether that counts as a failure.
    Ended {
        /// What came of it.
        of: T,
        /// Whether it counts against the share that may fail.
        failed: bool,
    },
    /// It was not begun.
    NotBegun,
}

/// What came of all.
pub struct Rollout<T> {
    /// In the order of the fleet.
    pub outcomes: Vec<Outcome<T>>,
    /// Why some were not begun.
    pub stopped: Option<String>,
}

struct Shared<T> {
    standings: Vec<Standing>,
    stopped: Option<String>,
    outcomes: Vec<Outcome<T>>,
}

/// How many of a fleet at a time, and until when.
pub fn policy(fleet: &FleetSetting) -> Policy {
    Policy {
        canary: fleet.canary,
        at_once: fleet.at_once,
        at_once_per_server: fleet.at_once_per_server,
        max_failed_percent: fleet.max_failed_percent,
    }
}

/// Works on all. `work` says what came of one, and whether it failed; it must end soon when the stop is asked for.
pub fn rollout<T: Send + Clone>(
    fleet: &FleetSetting,
    members: &[Member],
    stop: &Stop,
    work: impl Fn(&Member) -> (T, bool) + Sync,
) -> Rollout<T> {
    let shared = Mutex::new(Shared {
        standings: vec![Standing::NotBegun; members.len()],
        stopped: None,
        outcomes: vec![Outcome::NotBegun; members.len()],
    });
    let ended = Condvar::new();
    let policy = policy(fleet);
    let servers: Vec<String> = members.iter().map(|member| member.setting.url.server()).collect();
    // The next one, once it has its turn; none when nobody has one any more.
    let next = || {
        let mut all = shared.lock().ok()?;
        loop {
            if all.stopped.is_none() && stop.asked() {
                all.stopped = Some("it was asked to stop".to_owned());
            }
            let turn = turn(&policy, &servers, &all.standings);
            if all.stopped.is_none() {
                all.stopped = turn.stopped.map(str::to_owned);
            }
            if all.stopped.is_some() {
                return None;
            }
            if let Some(n) = turn.begin.first().copied() {
                all.standings[n] = Standing::AtWork;
                return Some(n);
            }
            if !all.standings.contains(&Standing::AtWork) {
                return None;
            }
            all = ended.wait(all).ok()?;
        }
    };
    let go = || {
        while let Some(n) = next() {
            let (of, failed) = work(&members[n]);
            let Ok(mut all) = shared.lock() else { return };
            all.standings[n] = if failed { Standing::Failed } else { Standing::Done };
            all.outcomes[n] = Outcome::Ended { of, failed };
            drop(all);
            ended.notify_all();
        }
        // Who waits for a turn must hear that there is none any more.
        ended.notify_all();
    };
    std::thread::scope(|scope| {
        for _ in 0..fleet.at_once.max(1) {
            scope.spawn(go);
        }
    });
    let shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    let left = shared.outcomes.iter().any(|one| matches!(one, Outcome::NotBegun));
    Rollout { stopped: shared.stopped.filter(|_| left), outcomes: shared.outcomes }
}

/// Looks at all, so many at once, in any order; the results in the order of the fleet.
pub fn each<T: Send>(members: &[Member], at_once: usize, look: impl Fn(&Member) -> T + Sync) -> Vec<T> {
    let next = Mutex::new(0_usize);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..at_once.max(1).min(members.len()) {
            scope.spawn(|| {
                loop {
                    let n = match next.lock() {
                        Ok(mut next) if *next < members.len() => {
                            *next += 1;
                            *next - 1
                        }
                        _ => return,
                    };
                    let one = look(&members[n]);
                    if let Ok(mut found) = found.lock() {
                        found.push((n, one));
                    }
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|(n, _)| *n);
    found.into_iter().map(|(_, one)| one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DatabaseSetting, Members};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use targets::db::Url;

    fn fleet(canary: usize, at_once: usize, max_failed_percent: f64) -> FleetSetting {
        let members = Members::Listed(Vec::new());
        FleetSetting {
            name: "f".into(),
            members,
            canary,
            at_once,
            at_once_per_server: None,
            max_failed_percent,
        }
    }

    fn members(count: usize) -> Vec<Member> {
        let setting = |n: usize| DatabaseSetting {
            name: n.to_string(),
            url: Url::Sqlite { path: format!("{n}.db").into() },
            zone: None,
        };
        (0..count).map(|n| Member { setting: setting(n) }).collect()
    }

    fn begun(rollout: &Rollout<()>) -> usize {
        rollout.outcomes.iter().filter(|one| **one != Outcome::NotBegun).count()
    }

    #[test]
    fn nobody_is_begun_after_a_canary_has_failed() {
        let fails = |bad: usize| move |one: &Member| ((), one.name() == bad.to_string());
        let stopped = rollout(&fleet(2, 3, 100.0), &members(9), &Stop::default(), fails(1));
        assert_eq!((begun(&stopped), stopped.stopped.is_some()), (2, true));
        let fine = rollout(&fleet(2, 3, 100.0), &members(9), &Stop::default(), fails(5));
        assert_eq!((begun(&fine), fine.stopped), (9, None));
    }

    #[test]
    fn a_share_may_fail_and_no_more() {
        let all_but_the_first = |one: &Member| ((), one.name() != "0");
        for at_once in [1, 4] {
            let found = rollout(&fleet(1, at_once, 20.0), &members(40), &Stop::default(), all_but_the_first);
            // The ninth failure is one more than a fifth; those at work beside it end.
            let most = 1 + 9 + at_once - 1;
            assert!((10..=most).contains(&begun(&found)), "{} with {at_once}", begun(&found));
            assert!(found.stopped.is_some());
        }
        let none = rollout(&fleet(0, 1, 0.0), &members(5), &Stop::default(), |_| ((), true));
        assert_eq!(begun(&none), 1);
    }

    #[test]
    fn several_are_at_work_at_once_and_never_more() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let gate = std::sync::Barrier::new(3);
        let found = rollout(&fleet(0, 3, 0.0), &members(12), &Stop::default(), |_| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            gate.wait();
            now.fetch_sub(1, Ordering::SeqCst);
            gate.wait();
            ((), false)
        });
        assert_eq!((begun(&found), most.load(Ordering::SeqCst)), (12, 3));
    }

    #[test]
    fn a_stop_begins_nobody_else() {
        let stop = Stop::default();
        let found = rollout(&fleet(1, 2, 0.0), &members(20), &stop, |_| {
            stop.ask();
            ((), false)
        });
        assert_eq!((begun(&found), found.stopped.as_deref()), (1, Some("it was asked to stop")));
        assert_eq!(each(&members(7), 3, |one| one.name().to_owned()), ["0", "1", "2", "3", "4", "5", "6"]);
    }
}
