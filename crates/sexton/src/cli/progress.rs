//! Progress of a run: a bar with rate and time left on a terminal, a line now and then elsewhere. Always on stderr.

use super::console::Console;
use super::numbers::{bytes, count, duration, of, rows};
use engine::{Clock, Counts, Event, Item, Plan, Step, What};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration, Instant};

const BETWEEN_LINES: Duration = Duration::from_secs(2);

/// What earlier attempts have done of an operation.
#[derive(Debug, Clone, Copy, Default)]
struct Earlier {
    /// The step at which they were.
    step: usize,
    /// The rows of that step, and of all.
    rows: u64,
    all: u64,
    /// What the rows of that step came to, where they are copied from elsewhere.
    bytes: u64,
}

impl Earlier {
    /// Of the n-th operation.
    fn of(n: usize, item: &Item, events: &[Event]) -> Self {
        let mut earlier = Self::default();
        for event in events.iter().filter(|event| event.item == Some(n)) {
            match &event.what {
                What::Advanced { counts, detail, .. } => {
                    earlier.rows += counts.rows() + counts.failed;
                    earlier.all += changed(item, counts);
                    earlier.bytes += size(detail.as_ref());
                }
                What::StepDone { step } => (earlier.step, earlier.rows, earlier.bytes) = (step + 1, 0, 0),
                What::BeganAgain { .. } => earlier = Self::default(),
                _ => {}
            }
        }
        earlier
    }
}

/// The rows of a batch that count as done.
fn changed(item: &Item, counts: &Counts) -> u64 {
    // what leaves the database is not changed
    let archived = if item.operation.kind == "export" { counts.archived } else { 0 };
    counts.rows() + archived
}

/// What the rows of a batch came to, where they are copied from elsewhere.
fn size(detail: Option<&serde_json::Value>) -> u64 {
    detail.and_then(|detail| detail["bytes"].as_u64()).unwrap_or(0)
}

/// Shows the events of one run.
pub struct Progress<'a> {
    console: &'a Console,
    plan: &'a Plan,
    clock: &'a dyn Clock,
    /// What earlier attempts have done of each operation.
    earlier: Vec<Earlier>,
    bar: Option<ProgressBar>,
    done: u64,
    /// How much of it others have done, which says nothing of the speed of this one.
    before: u64,
    /// What the rows of the table at work came to, where it is copied from elsewhere.
    bytes: u64,
    began: Instant,
    last_line: Instant,
}

impl<'a> Progress<'a> {
    /// For a run of this plan, of which these events have happened in earlier attempts.
    pub fn new(console: &'a Console, plan: &'a Plan, clock: &'a dyn Clock, events: &[Event]) -> Self {
        Self {
            console,
            plan,
            clock,
            earlier: plan.items.iter().enumerate().map(|(n, item)| Earlier::of(n, item, events)).collect(),
            bar: None,
            done: 0,
            before: 0,
            bytes: 0,
            began: clock.tick(),
            last_line: clock.tick(),
        }
    }

    /// Shows an event.
    pub fn see(&mut self, event: &Event) {
        let Some(n) = event.item else { return };
        let Some(item) = self.plan.items.get(n) else { return };
        let earlier = self.earlier.get(n).copied().unwrap_or_default();
        match &event.what {
            // Their rows are nobody's concern; how many are in is.
            What::Advanced { .. } if item.operation.kind == "migrate" => {}
            What::StepDone { step } if item.operation.kind == "migrate" => {
                self.steps(&item.operation.name, *step as u64 + 1, item.steps.len() as u64);
            }
            What::Started { .. } if item.operation.kind == "transfer" => {
                let step = item.steps.get(earlier.step).or(item.steps.first());
                self.bytes = earlier.bytes;
                self.begin(&item.operation.name, step.map_or(0, |step| step.matched), earlier.rows);
            }
            What::Advanced { step, counts, detail, .. } if item.operation.kind == "transfer" => {
                self.copied(item, *step, counts.rows() + counts.failed, size(detail.as_ref()));
            }
            What::StepDone { step } if item.operation.kind == "transfer" => self.next_step(item, *step),
            What::Started { .. } => self.begin(&item.operation.name, item.matched(), earlier.all),
            What::Advanced { counts, .. } => {
                self.advance(&item.operation.name, item.matched(), changed(item, counts));
            }
            What::BeganAgain { reason } => {
                (self.done, self.before, self.bytes) = (0, 0, 0);
                self.tell(&format!("{}: begins again, {reason}", item.operation.name));
            }
            What::Paused { reason, .. } => self.tell(&format!("{}: waited, {reason}", item.operation.name)),
            What::Retried { error, attempt } => {
                self.tell(&format!("{}: try {attempt} after: {error}", item.operation.name));
            }
            What::BackedUp { path, .. } => self.tell(&format!("{}: backup {path}", item.operation.name)),
            What::Stopped { .. } | What::Failed { .. } | What::Verified { .. } | What::Finished => self.end(),
            _ => {}
        }
    }

    fn begin(&mut self, name: &str, matched: u64, before: u64) {
        (self.done, self.before) = (before, before);
        self.began = self.clock.tick();
        self.last_line = self.clock.tick();
        if !self.console.can_draw() {
            return;
        }
        let bar = ProgressBar::with_draw_target(Some(matched.max(1)), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(name.to_owned());
        bar.set_position(before);
        self.bar = Some(bar);
    }

    fn advance(&mut self, name: &str, matched: u64, done: u64) {
        self.done += done;
        match &self.bar {
            Some(bar) => {
                // More rows than planned may turn up; a bar beyond its end looks broken.
                bar.set_length(matched.max(self.done).max(1));
                bar.set_position(self.done);
                bar.set_message(self.figures(matched));
            }
            None if self.clock.tick().duration_since(self.last_line) >= BETWEEN_LINES => {
                self.last_line = self.clock.tick();
                self.console.note(&format!("{name}: {} of {}", count(self.done), rows(matched)));
            }
            None => {}
        }
    }

    fn steps(&mut self, name: &str, done: u64, all: u64) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(all.max(1));
                bar.set_position(done);
                bar.set_message(format!("{} of {}", count(done), of(all, "migration", "migrations")));
            }
            None if self.clock.tick().duration_since(self.last_line) >= BETWEEN_LINES => {
                self.last_line = self.clock.tick();
                self.console.note(&format!(
                    "{name}: {} of {}",
                    count(done),
                    of(all, "migration", "migrations")
                ));
            }
            None => {}
        }
    }

    /// Some rows of a table are copied.
    fn copied(&mut self, item: &Item, step: usize, done: u64, size: u64) {
        let Some(Step { object, matched, .. }) = item.steps.get(step).filter(|step| step.action == "load")
        else {
            return;
        };
        self.done += done;
        self.bytes += size;
        let figures = format!("{}, {}", bytes(self.bytes), self.figures(*matched));
        match &self.bar {
            Some(bar) => {
                bar.set_prefix(object.clone());
                bar.set_length((*matched).max(self.done).max(1));
                bar.set_position(self.done);
                bar.set_message(figures);
            }
            None if self.clock.tick().duration_since(self.last_line) >= BETWEEN_LINES => {
                self.last_line = self.clock.tick();
                self.console.note(&format!("{}: {object}: {figures}", item.operation.name));
            }
            None => {}
        }
    }

    /// A table is in, or what comes after the tables: the next part begins.
    fn next_step(&mut self, item: &Item, step: usize) {
        let seconds = self.clock.tick().duration_since(self.began).as_secs_f64();
        let is_load = |step: &&Step| step.action == "load";
        if let (Some(bar), Some(done)) = (&self.bar, item.steps.get(step).filter(is_load)) {
            let said = format!("{}: {}, {}", done.object, rows(self.done), bytes(self.bytes));
            bar.suspend(|| self.console.note(&format!("{said}, {}", duration(seconds))));
        }
        (self.done, self.before, self.bytes, self.began) = (0, 0, 0, self.clock.tick());
        let Some(next) = item.steps.get(step + 1) else { return };
        match &self.bar {
            Some(bar) => {
                bar.set_prefix(if is_load(&next) { next.object.clone() } else { next.label.clone() });
                bar.set_length(next.matched.max(1));
                bar.set_position(0);
                bar.set_message("");
            }
            None if !is_load(&next) && self.clock.tick().duration_since(self.last_line) >= BETWEEN_LINES => {
                self.last_line = self.clock.tick();
                self.console.note(&format!("{}: {}", item.operation.name, next.label));
            }
            None => {}
        }
    }

    /// Rows, rate and time left.
    fn figures(&self, matched: u64) -> String {
        let seconds = self.clock.tick().duration_since(self.began).as_secs_f64();
        let rate = self.done.saturating_sub(self.before) as f64 / seconds.max(0.001);
        let left = matched.saturating_sub(self.done) as f64 / rate.max(0.001);
        let figures = format!("{} of {}, {} rows/s", count(self.done), rows(matched), count(rate as u64));
        // The first batches say little about the rest.
        if seconds < 1.0 { figures } else { format!("{figures}, {} left", duration(left)) }
    }

    fn tell(&mut self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None => self.console.note(text),
        }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.end();
    }
}
