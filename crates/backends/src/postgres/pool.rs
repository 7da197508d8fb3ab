//! Sessions to one database that are kept for whoever needs the next one, in a process that stays.
//!
//! A few are open from the start, more are opened when they are asked for and kept up to a number, and up to another number there
//! are more for as long as they are needed. Then whoever wants one waits, and is refused in the end. What comes back is as nobody
//! had used it. Only the way to the server is kept: what a session is set to is said anew by whoever gets it.

use super::address::Address;
use super::connect;
use super::wire::Wire;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use targets::db::{Error, Result, Url};

/// How many sessions, and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Keep {
    /// So many are open from the start.
    pub min: usize,
    /// So many are kept at most.
    pub size: usize,
    /// So many more are opened for a while.
    pub overflow: usize,
    /// So long is waited for one.
    pub wait: Duration,
    /// None is kept for longer.
    pub recycle: Duration,
}

/// The sessions of a database.
pub struct Pool {
    label: String,
    address: Address,
    keep: Keep,
    inside: Mutex<Inside>,
    freed: Condvar,
}

#[derive(Default)]
struct Inside {
    idle: Vec<(Wire, Instant)>,
    out: usize,
}

/// Where a session goes back to.
pub(super) struct Home {
    pool: Arc<Pool>,
    since: Instant,
}

impl Home {
    /// It comes back, fit for the next one.
    pub fn take_back(self, wire: Wire) {
        self.pool.given(Some((wire, self.since)));
    }

    /// It will not come back.
    pub fn lost(self) {
        self.pool.given(None);
    }
}

impl Pool {
    /// An empty pool.
    pub fn new(label: &str, url: &Url, keep: Keep) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            label: label.to_owned(),
            address: Address::parse(&url.expose())?,
            keep,
            inside: Mutex::default(),
            freed: Condvar::new(),
        }))
    }

    /// Opens what is to be open from the start; how many sessions the server takes in all.
    pub fn fill(&self) -> Result<u64> {
        let mut most = 0;
        while self.lacks() {
            let mut wire = connect::open(&self.address)?;
            if most == 0 {
                let ask = "select current_setting('max_connections')";
                wire.script(ask, &mut |row| {
                    most = row.first().and_then(|text| text.as_ref()?.parse().ok()).unwrap_or(0);
                })?;
            }
            self.inside().idle.push((wire, Instant::now()));
        }
        Ok(most)
    }

    fn lacks(&self) -> bool {
        let inside = self.inside();
        inside.idle.len() + inside.out < self.keep.min
    }

    /// How many are open: idle, and in use.
    pub fn open(&self) -> (usize, usize) {
        let inside = self.inside();
        (inside.idle.len(), inside.out)
    }

    /// One that is idle, or a new one, or, when there are too many, the next that is given back.
    pub(super) fn wire(self: &Arc<Self>) -> Result<Wire> {
        let end = Instant::now() + self.keep.wait;
        loop {
            let (found, old) = self.found(end)?;
            drop(old);
            let home = |since| Home { pool: Arc::clone(self), since };
            match found {
                Some((mut wire, since)) => {
                    // whoever stands between us and the server may have closed the way
                    match wire.script("select 1", &mut |_| {}) {
                        Ok(()) => return Ok(wire.at_home(home(since))),
                        Err(_) => self.given(None),
                    }
                }
                None => match connect::open(&self.address) {
                    Ok(wire) => return Ok(wire.at_home(home(Instant::now()))),
                    Err(error) => {
                        self.given(None);
                        return Err(error);
                    }
                },
            }
        }
    }

    /// A place: with a session that is idle, or for a new one. What is too old is handed out to be closed.
    #[expect(clippy::type_complexity, reason = "a session with its age, twice")]
    fn found(&self, end: Instant) -> Result<(Option<(Wire, Instant)>, Vec<(Wire, Instant)>)> {
        let mut inside = self.inside();
        let mut old = Vec::new();
        loop {
            let all = std::mem::take(&mut inside.idle);
            let (young, too_old): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|(_, since)| since.elapsed() < self.keep.recycle);
            inside.idle = young;
            old.extend(too_old);
            if let Some(found) = inside.idle.pop() {
                inside.out += 1;
                return Ok((Some(found), old));
            }
            if inside.out < self.keep.size + self.keep.overflow {
                inside.out += 1;
                return Ok((None, old));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.exhausted(inside.out));
            }
            inside = self.freed.wait_timeout(inside, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn exhausted(&self, out: usize) -> Error {
        Error::transient(format!(
            "all {out} sessions to `{}` are in use, and none was given back for {} s",
            self.label,
            self.keep.wait.as_secs_f64()
        ))
        .help("wait until others are done, or allow more: `overflow` in `[pool]`, as far as the server takes them")
    }

    fn given(&self, back: Option<(Wire, Instant)>) {
        let mut inside = self.inside();
        inside.out = inside.out.saturating_sub(1);
        let room = inside.idle.len() + inside.out < self.keep.size;
        let closed = match back {
            Some((wire, since)) if room && since.elapsed() < self.keep.recycle => {
                inside.idle.push((wire, since));
                None
            }
            other => other,
        };
        drop(inside);
        // its goodbye takes a moment, which nobody should wait for
        drop(closed);
        self.freed.notify_one();
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("label", &self.label).field("keep", &self.keep).finish_non_exhaustive()
    }
}
