//! What happened, in order. Surfaces render events; status and report are folded from them, never stored.

use crate::finding::Finding;
use crate::usage::Usage;
use serde::{Deserialize, Serialize};

/// One entry of the run log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Event {
    /// The run.
    pub run: String,
    /// The place of the operation in the request, from 0; none for events of the whole run.
    pub item: Option<usize>,
    /// When.
    #[schemars(with = "String")]
    pub at: jiff::Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// The plan is ready; nothing has changed.
    Planned {
        /// Rows it is about.
        matched: u64,
        /// Of the plan.
        fingerprint: String,
    },
    /// The guards have nothing against it.
    Guarded {
        /// Notes and warnings.
        findings: Vec<Finding>,
    },
    /// The guards refuse.
    Refused {
        /// Why.
        findings: Vec<Finding>,
    },
    /// A backup is there.
    BackedUp {
        /// Where.
        path: String,
        /// How large.
        bytes: u64,
        /// Its checksum.
        sha256: String,
        /// Whether it was checked.
        #[serde(alias = "verified")]
        checked: bool,
        /// The form of the dump.
        #[serde(default)]
        format: String,
        /// How long it took; 0 for one that was there already.
        #[serde(default)]
        seconds: f64,
        /// The program that dumped it, with its version.
        #[serde(default)]
        tool_version: String,
        /// Whether it was restored into a scratch database too, and so verified.
        #[serde(default)]
        restored: bool,
        /// Whether it was there already.
        #[serde(default)]
        reused: bool,
    },
    /// Work begins (again, when `resumed`).
    Started {
        /// After a stop or a crash.
        resumed: bool,
    },
    /// One batch is committed.
    Advanced {
        /// The step, from 0.
        step: usize,
        /// The number of the batch, from 1.
        batch: u64,
        /// What it did.
        counts: Counts,
        /// How long it took, in seconds.
        seconds: f64,
        /// What the kind tells about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<serde_json::Value>,
    },
    /// A scope failed for its data: it is as it was, and the work goes on without it.
    GaveUp {
        /// The step, from 0.
        step: usize,
        /// The scope.
        scope: String,
        /// What to do about it.
        #[schemars(with = "String")]
        class: targets::db::Class,
        /// What failed, with causes.
        error: String,
    },
    /// What the work took of the machine and the database.
    Used {
        /// From the least to the most.
        usage: Usage,
    },
    /// What all batches came to.
    Summed {
        /// As the kind tells it.
        result: serde_json::Value,
    },
    /// What an operation that only looks has found, looking again after the operations before it.
    Found {
        /// The result.
        result: serde_json::Value,
    },
    /// What happened to one row of a committed batch, where the kind tells of each.
    Noted {
        /// For people.
        text: String,
    },
    /// A batch failed and is tried again.
    Retried {
        /// The error.
        error: String,
        /// Which try comes next, from 2.
        attempt: u32,
    },
    /// The throttle waited.
    Paused {
        /// For what.
        reason: String,
        /// For how long.
        seconds: f64,
    },
    /// What was done so far counts for nothing: the first step begins again.
    BeganAgain {
        /// Why.
        reason: String,
    },
    /// A step is done.
    StepDone {
        /// The step, from 0.
        step: usize,
    },
    /// The result was checked.
    Verified {
        /// What was found.
        findings: Vec<Finding>,
    },
    /// Work stopped between two batches and can be resumed.
    Stopped {
        /// Why.
        reason: StopReason,
    },
    /// Work failed. Everything committed stays; it can be resumed.
    Failed {
        /// What to do about it.
        #[schemars(with = "String")]
        class: targets::db::Class,
        /// What failed, with causes.
        error: String,
        /// What to do next.
        help: Option<String>,
        /// The step, when one was at work.
        step: Option<usize>,
        /// Nothing was tried: somebody else is at work on the database.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        busy: bool,
    },
    /// Not run.
    Skipped {
        /// Why.
        reason: String,
    },
    /// The item, or the run, is over.
    Finished,
}

/// Why work stopped in good order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// A person or a signal asked.
    Asked,
    /// `max_seconds` is used up.
    Time,
    /// `max_rows` is used up.
    Rows,
    /// The window closed.
    Window,
    /// The throttle waited for longer than `max_pause`.
    Throttle,
    /// More rows turned up than the plan had.
    Grown,
}

impl StopReason {
    /// For people.
    pub fn said(self) -> &'static str {
        match self {
            StopReason::Asked => "stopped because it was asked to",
            StopReason::Time => "the time limit is used up: allow more seconds, or run it in quieter hours",
            StopReason::Rows => "the row limit is used up",
            StopReason::Window => "the maintenance window closed",
            StopReason::Throttle => "the database stayed too busy",
            StopReason::Grown => "more rows turned up than the plan had: plan again",
        }
    }
}

/// What a batch, a step or an operation did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Counts {
    /// Rows deleted.
    pub deleted: u64,
    /// Rows changed in place.
    pub changed: u64,
    /// Rows that were put elsewhere in their table, with the values that they have.
    pub moved: u64,
    /// Rows written to an archive or marked as archived.
    pub archived: u64,
    /// Rows put back by an undo.
    pub restored: u64,
    /// Dependent rows deleted or changed.
    pub dependants: u64,
    /// Rows left alone on purpose.
    pub skipped: u64,
    /// Rows that could not be handled.
    pub failed: u64,
}

impl Counts {
    /// Adds another count.
    pub fn add(&mut self, other: &Counts) {
        self.deleted += other.deleted;
        self.changed += other.changed;
        self.moved += other.moved;
        self.archived += other.archived;
        self.restored += other.restored;
        self.dependants += other.dependants;
        self.skipped += other.skipped;
        self.failed += other.failed;
    }

    /// What is left of it without another count.
    pub fn without(&self, other: &Counts) -> Counts {
        Counts {
            deleted: self.deleted.saturating_sub(other.deleted),
            changed: self.changed.saturating_sub(other.changed),
            moved: self.moved.saturating_sub(other.moved),
            archived: self.archived.saturating_sub(other.archived),
            restored: self.restored.saturating_sub(other.restored),
            dependants: self.dependants.saturating_sub(other.dependants),
            skipped: self.skipped.saturating_sub(other.skipped),
            failed: self.failed.saturating_sub(other.failed),
        }
    }

    /// Rows handled for the step itself, for progress and budgets.
    pub fn rows(&self) -> u64 {
        // a marked row is counted once: as archived
        self.deleted + self.changed + self.moved + self.restored
    }
}
