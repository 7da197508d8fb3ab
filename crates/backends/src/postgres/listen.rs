//! A connection that only hears what others announce.
//!
//! Behind a transaction pooler nobody can listen: the session that was told to belongs to the next client a moment later.

use super::address::Address;
use super::wire::Wire;
use std::time::{Duration, Instant};
use targets::db::{Listener, Result, quote};

/// A way that was cut says nothing about it: after so long without a word the server is asked for one.
const SILENCE: Duration = Duration::from_secs(60);

/// The connection.
pub(super) struct Ear {
    wire: Wire,
    heard: Instant,
}

/// Listens from now on; none behind a pooler.
pub(super) fn open(address: &Address, name: &str) -> Result<Option<Ear>> {
    let mut wire = Wire::open(address)?;
    let mut process = None;
    wire.script("select pg_backend_pid()", &mut |row| {
        process = row.first().cloned().flatten().and_then(|text| text.parse::<i32>().ok());
    })?;
    if process != Some(wire.process_id) {
        return Ok(None);
    }
    wire.script(&format!("listen {}", quote(name)), &mut |_| {})?;
    Ok(Some(Ear { wire, heard: Instant::now() }))
}

impl Listener for Ear {
    fn wait(&mut self, most: Duration) -> Result<bool> {
        if self.heard.elapsed() > SILENCE {
            self.wire.script("select 1", &mut |_| {})?;
            self.heard = Instant::now();
        }
        if !self.wire.announced {
            self.wire.hear(most)?;
        }
        let announced = std::mem::take(&mut self.wire.announced);
        if announced {
            self.heard = Instant::now();
        }
        Ok(announced)
    }
}
