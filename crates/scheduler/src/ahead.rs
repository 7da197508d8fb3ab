//! Which tick a worker begins next: it takes a share of what is due ahead, so that a thousand ticks of one second are in somebody's
//! hands at once, and keeps nobody from them by that.
//!
//! A share is short-lived: after two seconds it is either set aside anew, by what is due then and by how many share it, or given
//! back, because a run of this worker takes longer. And a worker that has nothing to do begins what others have set aside.

use crate::work::Worker;
use engine::{Failure, Tick};
use std::collections::VecDeque;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A share is not kept for longer.
const KEPT: Duration = Duration::from_secs(2);

/// What a worker has set aside for itself.
#[derive(Default)]
pub(crate) struct Ahead {
    /// The ids, the oldest first. Some may be begun by others since.
    ids: VecDeque<String>,
    since: Option<Instant>,
}

impl Worker<'_> {
    /// Begins a tick: one of the share, of what is due, or of what others have set aside; none when there is nothing to do.
    pub(crate) fn next(&self) -> Result<Option<Tick>, Failure> {
        let clock = self.engine.clock();
        let timetable = self.engine.timetable()?;
        while let Some(id) = self.next_ahead() {
            if let Some(tick) = timetable.take_next(&id, &self.id, self.lease, clock.now())? {
                return Ok(Some(tick));
            }
        }
        let now = clock.now();
        let due = timetable.due(now)?;
        // Somebody has begun these: they come first, however much is due beside them.
        if due.lost > 0
            && let Some(tick) = timetable.claim_lost(&self.id, self.lease)?
        {
            return Ok(Some(tick));
        }
        let had = self.ahead().since.take().is_some();
        if due.waiting > 0 || had {
            let sharers = due.processes * self.beside;
            let share = timetable.take(&self.id, sharers, self.lease, now)?;
            if !share.ahead.is_empty() {
                *self.ahead() = Ahead { ids: share.ahead.into(), since: Some(clock.tick()) };
            }
            if share.first.is_some() {
                return Ok(share.first);
            }
        }
        if due.waiting + due.ahead == 0 {
            return Ok(None);
        }
        Ok(timetable.claim(&self.id, self.lease, now)?)
    }

    /// The next of the share, while it is fresh.
    fn next_ahead(&self) -> Option<String> {
        let mut ahead = self.ahead();
        let since = ahead.since?;
        match self.engine.clock().tick().duration_since(since) < KEPT {
            true => ahead.ids.pop_front(),
            false => {
                ahead.ids.clear();
                None
            }
        }
    }

    /// Gives back what is set aside and not begun, so that nobody has to take it away.
    pub fn give_back(&self) {
        let Some(since) = self.ahead().since.take() else { return };
        let given = self.engine.timetable().and_then(|timetable| Ok(timetable.give_back(&self.id)?));
        match given {
            Ok(_) => self.ahead().ids.clear(),
            Err(error) => {
                tracing::warn!(%error, worker = %self.id, "what is set aside cannot be given back");
                self.ahead().since = Some(since);
            }
        }
    }

    /// The same where it was set aside too long ago for what is at work now.
    pub(crate) fn give_back_what_is_old(&self) {
        let since = self.ahead().since;
        if since.is_some_and(|since| self.engine.clock().tick().duration_since(since) >= KEPT) {
            self.give_back();
        }
    }

    fn ahead(&self) -> MutexGuard<'_, Ahead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
