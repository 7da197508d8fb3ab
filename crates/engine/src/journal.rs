//! The run log as it is written: to the state, to a file of JSON lines, and to whoever watches.
//!
//! The file is there so that the record survives the loss of the state (W-115). Progress events are
//! written at most four times a second; anything else at once.

use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::event::{Event, What};
use crate::state::State;
use crate::told::tell;
use std::fs::{DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// The copy of the run log, in the folder of logs (W-115).
pub const LOG_FILE: &str = "runs.jsonl";

/// Sees every event as it happens.
pub type Watch<'a> = dyn FnMut(&Event) + 'a;

const BETWEEN_WRITES: Duration = Duration::from_millis(250);

/// What one operation of several at a time tells to the one who writes the log, and waits until it is written.
pub(crate) struct Told {
    pub event: Event,
    pub written: Sender<Result<()>>,
}

/// The log of one run, being written.
pub struct Journal<'a> {
    run: String,
    clock: &'a dyn Clock,
    all: Vec<Event>,
    to: To<'a>,
}

enum To<'a> {
    Log(Box<Log<'a>>),
    Other(Box<dyn Fn(Told) + Send + 'a>),
}

struct Log<'a> {
    term: i64,
    state: &'a State,
    file: Option<File>,
    watch: &'a mut Watch<'a>,
    written: u64,
    pending: Vec<Event>,
    last_write: Instant,
}

impl<'a> Journal<'a> {
    /// A log for `run`, written under a term, that goes on after `events`.
    pub fn new(
        run: &str,
        term: i64,
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
        let log = Log {
            term,
            state,
            file,
            watch,
            written: events.len() as u64,
            pending: Vec::new(),
            last_write: clock.tick(),
        };
        Self { run: run.to_owned(), clock, all: events, to: To::Log(Box::new(log)) }
    }

    /// The part of one operation, whose events so far these are: somebody else writes it, where the others go too.
    pub(crate) fn part(
        run: &str,
        events: Vec<Event>,
        clock: &'a dyn Clock,
        tell: impl Fn(Told) + Send + 'a,
    ) -> Self {
        Self { run: run.to_owned(), clock, all: events, to: To::Other(Box::new(tell)) }
    }

    /// Everything so far.
    pub fn events(&self) -> &[Event] {
        &self.all
    }

    /// Appends an event.
    pub fn append(&mut self, item: Option<usize>, what: What) -> Result<()> {
        self.take(Event { run: self.run.clone(), item, at: self.clock.now(), what })
    }

    /// Appends an event that has happened elsewhere.
    pub(crate) fn take(&mut self, event: Event) -> Result<()> {
        let written = match &mut self.to {
            To::Log(log) => log.take(&event, self.clock),
            To::Other(tell) => {
                let (sender, receiver) = channel();
                tell(Told { event: event.clone(), written: sender });
                receiver.recv().unwrap_or_else(|_| Err(Error::system("the log of the run was given up")))
            }
        };
        self.all.push(event);
        written
    }

    /// Writes what is pending.
    pub fn flush(&mut self) -> Result<()> {
        match &mut self.to {
            To::Log(log) => log.flush(&self.run, self.clock),
            To::Other(_) => Ok(()),
        }
    }
}

impl Log<'_> {
    fn take(&mut self, event: &Event, clock: &dyn Clock) -> Result<()> {
        tell(event);
        if let Some(file) = &mut self.file {
            let mut line = serde_json::to_string(event).unwrap_or_default();
            line.push('\n');
            // A full disk here must not stop the work: the state has the same event.
            if let Err(error) = file.write_all(line.as_bytes()) {
                tracing::warn!(%error, "the copy of the run log cannot be written");
            }
        }
        let can_wait = matches!(
            event.what,
            What::Advanced { .. } | What::Paused { .. } | What::Noted { .. } | What::StepDone { .. }
        );
        self.pending.push(event.clone());
        // Before anybody hears of it: one who has lost the run tells nothing.
        if !can_wait || clock.tick().duration_since(self.last_write) >= BETWEEN_WRITES {
            self.flush(&event.run, clock)?;
        }
        (self.watch)(event);
        Ok(())
    }

    fn flush(&mut self, run: &str, clock: &dyn Clock) -> Result<()> {
        if !self.pending.is_empty() {
            self.state.append(run, self.written, &self.pending, self.term)?;
            self.written += self.pending.len() as u64;
            self.pending.clear();
        }
        self.last_write = clock.tick();
        Ok(())
    }
}
