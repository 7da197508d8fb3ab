//! The run log as it is written: to the state, to a file of JSON lines, and to whoever watches.
//!
//! The file is there so that the record survives the loss of the state (W-115). Progress events are
//! written at most four times a second; anything else at once.

use crate::clock::Clock;
use crate::error::Result;
use crate::event::{Event, What};
use crate::state::State;
use crate::told::tell;
use std::fs::{DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// The copy of the run log, in the folder of logs (W-115).
pub const LOG_FILE: &str = "runs.jsonl";

/// Sees every event as it happens.
pub type Watch<'a> = dyn FnMut(&Event) + 'a;

const BETWEEN_WRITES: Duration = Duration::from_millis(250);

/// The log of one run, being written.
pub struct Journal<'a> {
    run: String,
    state: &'a State,
    file: Option<File>,
    clock: &'a dyn Clock,
    watch: &'a mut Watch<'a>,
    written: u64,
    pending: Vec<Event>,
    all: Vec<Event>,
    last_write: Instant,
}

impl<'a> Journal<'a> {
    /// A log for `run` that goes on after `events`.
    pub fn new(
        run: &str,
        events: Vec<Event>,
        state: &'a State,
        folder: Option<&Path>,
        clock: &'a dyn Clock,
        watch: &'a mut Watch<'a>,
    ) -> Self {
        let file = folder.and_then(|folder| {
            // What is in it says what is in a database.
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            let open = || File::options().create(true).append(true).open(folder.join(LOG_FILE));
            made.and_then(|()| open())
                .inspect_err(|error| tracing::warn!(%error, "the copy of the run log cannot be written"))
                .ok()
        });
        Self {
            run: run.to_owned(),
            state,
            file,
            clock,
            watch,
            written: events.len() as u64,
            pending: Vec::new(),
            all: events,
            last_write: clock.tick(),
        }
    }

    /// Everything so far.
    pub fn events(&self) -> &[Event] {
        &self.all
    }

    /// Appends an event.
    pub fn append(&mut self, item: Option<usize>, what: What) -> Result<()> {
        let event = Event { run: self.run.clone(), item, at: self.clock.now(), what };
        tell(&event);
        if let Some(file) = &mut self.file {
            let mut line = serde_json::to_string(&event).unwrap_or_default();
            line.push('\n');
            // A full disk here must not stop the work: the state has the same event.
            if let Err(error) = file.write_all(line.as_bytes()) {
                tracing::warn!(%error, "the copy of the run log cannot be written");
            }
        }
        (self.watch)(&event);
        let can_wait = matches!(
            event.what,
            What::Advanced { .. } | What::Paused { .. } | What::Noted { .. } | What::StepDone { .. }
        );
        self.pending.push(event.clone());
        self.all.push(event);
        if can_wait && self.clock.tick().duration_since(self.last_write) < BETWEEN_WRITES {
            return Ok(());
        }
        self.flush()
    }

    /// Writes what is pending.
    pub fn flush(&mut self) -> Result<()> {
        if !self.pending.is_empty() {
            self.state.append(&self.run, self.written, &self.pending)?;
            self.written += self.pending.len() as u64;
            self.pending.clear();
        }
        self.last_write = self.clock.tick();
        Ok(())
    }
}
