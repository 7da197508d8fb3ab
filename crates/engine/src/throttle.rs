//! Staying out of the way: after each batch, look at the database and wait as long as it is busy.
//!
//! Any signal may pause; the first reason is told. Free disk below the limit stops at once: waiting would not help.

use crate::clock::Clock;
use crate::error::Result;
use crate::request::Manners;
use crate::words::bytes;
use std::time::{Duration, Instant};
use targets::db::{Dialect, Facts, Pulse};

const LOOK_EVERY: Duration = Duration::from_millis(500);
const WAIT_STEP: Duration = Duration::from_millis(250);
/// How long somebody who was seen is thought to be there.
const SEEN: Duration = Duration::from_secs(60);
/// So much time that was lost may be made up for by going faster; more would be a rush of rows after each standstill.
const MADE_UP: Duration = Duration::from_secs(1);
/// A log may grow to this, and to an eighth of the free disk, while nobody else has to read through it.
const LOG_ALONE: u64 = 256 << 20;
/// Where less of it than this may wait, it is moved after each batch: two long ones fill as much.
const LOG_SHORT_MB: u64 = 2048;

/// What the throttle says.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Go on.
    Go,
    /// Wait; the reason.
    Wait(String),
    /// It will not get better; the reason.
    Hopeless(String),
}

/// Decides from one look.
pub fn judge(pulse: &Pulse, manners: &Manners) -> Verdict {
    const MB: u64 = 1 << 20;
    if let Some(free) = pulse.free_disk_bytes.filter(|free| *free < manners.min_free_disk_mb * MB) {
        return Verdict::Hopeless(format!("only {} are free on the database's disk", bytes(free)));
    }
    if let Some(lag) = pulse.replica_lag_ms.filter(|lag| *lag as f64 > manners.max_replica_lag * 1000.0) {
        return Verdict::Wait(format!("a replica is {:.1} s behind", lag as f64 / 1000.0));
    }
    if let Some(waiters) = pulse.lock_waiters.filter(|waiters| *waiters > manners.max_lock_waiters) {
        return Verdict::Wait(format!("{waiters} sessions wait for locks"));
    }
    if let (Some(active), Some(most)) = (pulse.active_sessions, manners.max_active_sessions)
        && active > most
    {
        return Verdict::Wait(format!("{active} sessions are at work"));
    }
    if let Some(wal) = pulse.wal_bytes.filter(|wal| *wal > manners.max_wal_mb * MB) {
        return Verdict::Wait(format!("{} of write-ahead log are waiting", bytes(wal)));
    }
    Verdict::Go
}

/// What came of waiting.
#[derive(Debug, Clone, PartialEq)]
pub enum Waited {
    /// The way is free; the reason and length of the wait, if there was one.
    Go(Option<(String, f64)>),
    /// A stop was asked for meanwhile.
    Stopped,
    /// Waited for longer than allowed; the reason.
    TooLong(String),
    /// It will not get better; the reason.
    Hopeless(String),
}

/// The throttle of one operation.
pub struct Throttle<'a> {
    manners: &'a Manners,
    clock: &'a dyn Clock,
    dialect: &'a dyn Dialect,
    last_look: Option<Instant>,
    last_breather: Instant,
    last_seen: Option<Instant>,
    alone: bool,
    /// The last look saw others, or nobody for certain.
    in_use: bool,
    nobody: bool,
    looked: bool,
    log_is_long: bool,
    pulse: Option<Pulse>,
    rested: Duration,
    began: Instant,
    rows: u64,
}

impl<'a> Throttle<'a> {
    /// A throttle with these manners.
    pub fn new(manners: &'a Manners, clock: &'a dyn Clock, dialect: &'a dyn Dialect) -> Self {
        let now = clock.tick();
        Self {
            manners,
            clock,
            dialect,
            last_look: None,
            last_breather: now,
            last_seen: None,
            alone: false,
            in_use: false,
            nobody: false,
            looked: false,
            log_is_long: false,
            pulse: None,
            rested: Duration::ZERO,
            began: now,
            rows: 0,
        }
    }

    /// Whether nobody else uses the database, nor did a moment ago.
    pub fn is_alone(&self) -> bool {
        self.alone
    }

    /// Notes that the database was left alone for so long while the log was moved.
    pub fn rested(&mut self, time: Duration) {
        self.rested = time;
    }

    /// Whether the log should be moved into the file now: after each batch, or the application's next commit
    /// pays for it; but without an application only when there is much of it, because a page that many batches
    /// changed is moved once.
    pub fn wants_checkpoint(&self) -> bool {
        !self.alone || self.log_is_long || self.manners.max_wal_mb < LOG_SHORT_MB
    }

    /// Waits as long as it takes after a batch of `rows` rows that took so long.
    pub fn wait(
        &mut self,
        rows: u64,
        took: Duration,
        facts: &mut dyn Facts,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Waited> {
        self.rows += rows;
        if self.manners.pause > 0.0 && rows > 0 {
            self.clock.sleep(Duration::from_secs_f64(self.manners.pause));
        }
        self.keep_rate(stopped);
        let began = self.clock.tick();
        let mut reason = None;
        loop {
            if stopped() {
                return Ok(Waited::Stopped);
            }
            match self.look(facts)? {
                Verdict::Go => break,
                Verdict::Hopeless(why) => return Ok(Waited::Hopeless(why)),
                Verdict::Wait(why) => {
                    reason.get_or_insert(why);
                }
            }
            let waited = self.clock.tick().duration_since(began);
            if waited.as_secs_f64() > self.manners.max_pause {
                return Ok(Waited::TooLong(reason.unwrap_or_default()));
            }
            self.clock.sleep(WAIT_STEP);
            self.last_look = None;
        }
        let waited = self.clock.tick().duration_since(began).as_secs_f64();
        self.breathe(took);
        Ok(Waited::Go(reason.map(|reason| (reason, waited))))
    }

    /// One look at the signals, unless the last one is fresh.
    fn look(&mut self, facts: &mut dyn Facts) -> Result<Verdict> {
        let now = self.clock.tick();
        let fresh = self.last_look.is_some_and(|last| now.duration_since(last) < LOOK_EVERY);
        if fresh && !self.looks_every_time() {
            return Ok(Verdict::Go);
        }
        let pulse = match facts.pulse() {
            // A connection that was lost while nothing was done is the batch's to open again, as often as it may.
            Err(error) if crate::retry::may_retry(error.class) => return Ok(Verdict::Go),
            pulse => pulse?,
        };
        // Whether others write is told by the second look: it comes after the next batch.
        let told = pulse.in_use.is_some() || std::mem::replace(&mut self.looked, true);
        self.last_look = told.then_some(now);
        if !pulse.alone && pulse.in_use.is_some() {
            self.last_seen = Some(now);
        }
        let lately = self.last_seen.is_some_and(|seen| now.duration_since(seen) <= SEEN);
        self.alone = !lately && (pulse.alone || pulse.in_use.is_some());
        self.in_use = pulse.in_use.unwrap_or(false);
        self.nobody = pulse.alone;
        let room = pulse.free_disk_bytes.map_or(LOG_ALONE, |free| LOG_ALONE.min(free / 8));
        self.log_is_long = pulse.wal_bytes.is_some_and(|bytes| bytes > room);
        let verdict = judge(&pulse, self.manners);
        self.pulse = Some(pulse);
        Ok(verdict)
    }

    /// What the last look brought; none when it was taken already.
    pub fn take_pulse(&mut self) -> Option<Pulse> {
        self.pulse.take()
    }

    fn looks_every_time(&self) -> bool {
        self.dialect.breather(Duration::ZERO) > Duration::ZERO
    }

    /// The breather for others, after a batch that took so long.
    fn breathe(&mut self, took: Duration) {
        // Others that poll for the write lock cannot be seen before they got it once: leave a gap now and then anyway.
        let now = self.clock.tick();
        let due = self.looks_every_time()
            && !self.nobody
            && now.duration_since(self.last_breather) > Duration::from_secs(1);
        if !self.in_use && !due {
            return;
        }
        let breather = self.dialect.breather(took);
        if std::mem::take(&mut self.rested) < breather {
            self.clock.sleep(breather);
        }
        self.last_breather = self.clock.tick();
    }

    /// Sleeps until the rows so far fit into `rows_per_second`.
    fn keep_rate(&mut self, stopped: &dyn Fn() -> bool) {
        let Some(rate) = self.manners.rows_per_second.filter(|rate| *rate > 0.0) else { return };
        let due = Duration::from_secs_f64(self.rows as f64 / rate);
        loop {
            let spent = self.clock.tick().duration_since(self.began);
            self.began += spent.saturating_sub(due + MADE_UP);
            if spent >= due || stopped() {
                return;
            }
            self.clock.sleep((due - spent).min(Duration::from_millis(100)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_signal_pauses_and_a_full_disk_stops() {
        // S3-050, S2-081
        let manners = Manners::default();
        assert_eq!(judge(&Pulse::default(), &manners), Verdict::Go);
        let lagging = Pulse { replica_lag_ms: Some(6_000), ..Pulse::default() };
        assert!(matches!(judge(&lagging, &manners), Verdict::Wait(why) if why.contains("6.0 s")));
        let crowded = Pulse { lock_waiters: Some(11), ..Pulse::default() };
        assert!(matches!(judge(&crowded, &manners), Verdict::Wait(_)));
        let crowd = Pulse { active_sessions: Some(5), ..Pulse::default() };
        assert_eq!(judge(&crowd, &manners), Verdict::Go, "no limit unless one is said");
        let few = Manners { max_active_sessions: Some(4), ..Manners::default() };
        assert_eq!(judge(&crowd, &few), Verdict::Wait("5 sessions are at work".to_owned()));
        let little = Manners { max_wal_mb: 0, ..Manners::default() };
        let log = Pulse { wal_bytes: Some(40_000), ..Pulse::default() };
        assert_eq!(judge(&log, &little), Verdict::Wait("40.0 kB of write-ahead log are waiting".to_owned()));
        let full = Pulse { free_disk_bytes: Some(1 << 20), replica_lag_ms: Some(6_000), ..Pulse::default() };
        assert!(matches!(judge(&full, &manners), Verdict::Hopeless(_)));
    }
}
