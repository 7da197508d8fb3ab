//! Whether somebody still works on a run, on this machine or on another one.
//!
//! On this machine the kernel knows its processes. Elsewhere a run is heard of every ten seconds, and holds the lock of
//! the database it works on. What can be told in none of these ways is taken for alive: a living run is never called
//! dead, not even one whose machine sleeps.

use crate::engine::Engine;
use crate::error::Failure;
use crate::state::{RunRecord, Seen, State};
use std::fs;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

const BETWEEN_BEATS: Duration = Duration::from_secs(10);
/// Silence for so long means that the process is gone, or its machine sleeps: then the lock tells.
const SILENCE_US: i64 = 120_000_000;

/// What is known of the process of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Life {
    /// It works there.
    At(String),
    /// Nobody works on it.
    Gone,
    /// Nobody can tell from here.
    Unknown,
}

/// Says that this process works on a run, until it is dropped.
pub(crate) struct Presence<'a> {
    state: &'a State,
    run: String,
    me: Seen,
    beat: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Engine {
    /// This process, at this moment.
    pub(crate) fn here(&self) -> Result<Seen, Failure> {
        Ok(Seen { heard_us: self.state()?.clock_us()?, ..me() })
    }

    /// Says that this process works on a run.
    pub(crate) fn present(&self, run: &str) -> Result<Presence<'_>, Failure> {
        let here = self.here()?;
        self.state()?.arrive(run, &here)?;
        self.beating(run, here)
    }

    /// The same where it was said already.
    pub(crate) fn beating(&self, run: &str, me: Seen) -> Result<Presence<'_>, Failure> {
        let state = self.state()?;
        let (end, ended) = channel();
        let database = state.database();
        let (id, seen) = (run.to_owned(), me.clone());
        let beat = move || {
            let mut own = None;
            while ended.recv_timeout(BETWEEN_BEATS) == Err(RecvTimeoutError::Timeout) {
                // Runs that are over soon never connect a second time.
                if own.is_none() {
                    own = State::open(&database).ok();
                }
                let Some(state) = &own else { continue };
                let beaten =
                    state.clock_us().and_then(|now| state.arrive(&id, &Seen { heard_us: now, ..me.clone() }));
                if let Err(error) = beaten {
                    tracing::warn!(%error, "the state does not hear of the run");
                    own = None;
                }
            }
        };
        // Without a thread the run is only heard of at its beginning; the lock tells the rest.
        let beat = std::thread::Builder::new().name("sexton-beat".to_owned()).spawn(beat).ok();
        Ok(Presence { state, run: run.to_owned(), me: seen, beat: beat.map(|thread| (end, thread)) })
    }

    /// Whether somebody works on a run that has not come to its end.
    pub(crate) fn life(&self, record: &RunRecord) -> Life {
        let Ok(state) = self.state() else { return Life::Unknown };
        let Ok(seen) = state.seen(&record.id) else { return Life::Unknown };
        if let Some(seen) = seen {
            let me = me();
            if !me.host.is_empty() && seen.host == me.host {
                return match began(seen.process) == Some(seen.began) {
                    true => Life::At(format!("run {} (process {})", record.id, seen.process)),
                    false => Life::Gone,
                };
            }
            let Ok(now) = state.clock_us() else { return Life::Unknown };
            if now - seen.heard_us < SILENCE_US {
                return Life::At(format!("run {} (process {} of another machine)", record.id, seen.process));
            }
        }
        let mut databases: Vec<&str> =
            record.plan.items.iter().map(|item| item.operation.database.as_str()).collect();
        databases.sort_unstable();
        databases.dedup();
        let mut life = Life::Gone;
        for name in databases {
            let holder = self.database(name).and_then(|database| Ok(database.open()?.lock_holder()?));
            match holder {
                Ok(Some(holder)) if holder.starts_with(&format!("run {} ", record.id)) => {
                    return Life::At(holder);
                }
                Ok(_) => {}
                Err(_) => life = Life::Unknown,
            }
        }
        life
    }
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.beat.take() {
            drop(end);
            let _ = thread.join();
        }
        if let Err(error) = self.state.leave(&self.run, &self.me) {
            tracing::warn!(%error, "the state cannot note that the run is over");
        }
    }
}

/// This process, where the kernel says which one it is.
fn me() -> Seen {
    let process = i64::from(std::process::id());
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    // Containers on one machine count their processes each from 1.
    let space = fs::read_link("/proc/self/ns/pid").map(|link| link.display().to_string()).unwrap_or_default();
    let host = match (boot.trim(), began(process)) {
        ("", _) | (_, None) => String::new(),
        (boot, Some(_)) => format!("{boot} {space}"),
    };
    Seen { host, process, began: began(process).unwrap_or_default(), heard_us: 0 }
}

/// When a process of this machine began; none when there is none that lives.
fn began(process: i64) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in brackets may hold anything, brackets and blanks too.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let alive = !matches!(fields.next()?, "Z" | "X");
    fields.nth(18).filter(|_| alive).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_another_one_with_its_number() {
        let own = i64::from(std::process::id());
        assert!(began(own).is_some_and(|ticks| ticks.parse::<u64>().is_ok()));
        assert_ne!(began(own), began(1));
        assert_eq!(began(i64::from(i32::MAX)), None);
    }
}
