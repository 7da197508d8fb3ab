//! The run log as it is written: to the state, to a file of JSON lines, and to whoever watches.
//!
//! The file is there so that the record survives the loss of the state (W-115). Progress events are
//! written at most four times a second; anything else at once.

use crate::clock::Clock;
use crate::error::Result;
use crate::event::{Event, What};
use crate::finding::Level;
use crate::report::Report;
use crate::state::State;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// Sees every event as it happens.
pub type Watch<'a> = dyn FnMut(&Event) + 'a;

/// The target of log lines about runs, so that a surface which shows runs by itself can leave them out.
pub const LOG: &str = "sexton_run";

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
            let opened = File::options().create(true).append(true).open(folder.join("runs.jsonl"));
            opened
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
        let can_wait = matches!(event.what, What::Advanced { .. } | What::Paused { .. });
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

/// The log lines of an event: failures at error, findings and waits at warning, single batches at debug, all else at
/// info.
fn tell(event: &Event) {
    let Event { run, item, what, .. } = event;
    match what {
        What::Failed { class, error, .. } => {
            tracing::error!(target: LOG, %run, item, %class, "failed: {error}");
        }
        What::Retried { error, attempt } => {
            tracing::warn!(target: LOG, %run, item, attempt, "tried again: {error}");
        }
        What::Paused { reason, seconds } => {
            tracing::warn!(target: LOG, %run, item, seconds, "paused: {reason}");
        }
        What::Advanced { step, batch, counts, seconds } => {
            let rows = counts.rows();
            tracing::debug!(target: LOG, %run, item, step, batch, rows, seconds, "a batch is committed");
        }
        What::Guarded { findings } | What::Refused { findings } | What::Verified { findings } => {
            tracing::info!(target: LOG, %run, item, findings = findings.len(), "{}", name(what));
            for found in findings {
                let (object, text) = (&found.object, &found.what);
                match found.level {
                    Level::Note => {
                        tracing::info!(target: LOG, %run, item, code = found.code, "{object}: {text}")
                    }
                    _ => tracing::warn!(target: LOG, %run, item, code = found.code, "{object}: {text}"),
                }
            }
        }
        What::Planned { matched, .. } => tracing::info!(target: LOG, %run, item, matched, "planned"),
        What::Skipped { reason } => tracing::info!(target: LOG, %run, item, "skipped: {reason}"),
        What::Stopped { reason } => tracing::info!(target: LOG, %run, item, "stopped: {}", reason.said()),
        What::StepDone { step } => tracing::info!(target: LOG, %run, item, step, "a step is done"),
        What::BackedUp { path, bytes, .. } => {
            tracing::info!(target: LOG, %run, item, bytes, "backed up: {path}")
        }
        What::Started { resumed } => tracing::info!(target: LOG, %run, item, resumed, "started"),
        What::Finished => tracing::debug!(target: LOG, %run, item, "finished"),
    }
}

fn name(what: &What) -> &'static str {
    match what {
        What::Guarded { .. } => "guarded",
        What::Refused { .. } => "refused",
        _ => "verified",
    }
}

/// What the operations of a run came to, each on a line.
pub(crate) fn tell_outcome(report: &Report) {
    for done in &report.operations {
        let (rows, dependants) =
            (done.targets.iter().map(|target| target.counts.rows()).sum::<u64>(), done.rows_dependent);
        tracing::info!(
            target: LOG, run = %report.run_id, operation = done.operation, rows, dependants, batches = done.batches,
            seconds = done.duration_seconds, "over: {}", done.status.name()
        );
    }
}
