//! What the runs of each operation came to, from the run log: for `sexton status`, the API and the metrics.
//!
//! Dry runs are left out (W-114), and attempts that found somebody else at work. What a kind did beside its rows is summed under
//! its own names, so that the statistics survive every restart (W-076); what it measured is told as last seen. A share of nothing is no share: before the first run there is none.

use crate::wiring;
use engine::{OperationReport, Report, Status};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// As many runs as anybody will ever look back at.
pub const ALL: u64 = 100_000;

/// What the runs of one operation, or of all, came to.
#[derive(Default)]
pub struct Statistics {
    /// Runs.
    pub total: u64,
    /// Those that did their work.
    pub successful: u64,
    /// Those that failed.
    pub failed: u64,
    /// When the last one began, and how it ended.
    pub last: Option<(Timestamp, Status)>,
    /// What a kind tells beside its rows.
    pub figures: Map<String, Value>,
}

/// What of a report counts: whatever was really begun and is over.
pub fn counted(report: &Report) -> impl Iterator<Item = &OperationReport> {
    let is_real = !report.metadata.dry_run && !report.is_open();
    // Whoever found another at work failed at nothing.
    let busy =
        |name: &str| report.errors.iter().any(|error| error.operation == name && error.code == engine::BUSY);
    report.operations.iter().filter(move |done| is_real && !busy(&done.operation))
}

impl Statistics {
    /// Those of one operation.
    pub fn of(reports: &[Report], name: &str) -> Self {
        let mut own = Self::default();
        for report in reports {
            for done in counted(report).filter(|done| done.operation == name) {
                own.add(report.metadata.started_at, done);
            }
        }
        own
    }

    /// Adds one run, in whatever order they come.
    pub fn add(&mut self, at: Timestamp, done: &OperationReport) {
        self.total += 1;
        match done.status {
            Status::Completed => self.successful += 1,
            Status::Failed => self.failed += 1,
            _ => {}
        }
        let is_newest = self.last.is_none_or(|(last, _)| at >= last);
        if is_newest {
            self.last = Some((at, done.status));
        }
        let catalogue = wiring::catalogue();
        let kind = catalogue.iter().find(|kind| kind.name() == done.kind);
        for (name, value) in done.result.iter().filter_map(Value::as_object).flatten() {
            let Some(figure) = value.as_u64() else { continue };
            let known = self.figures.get(name).and_then(Value::as_u64);
            match known {
                Some(known) if kind.is_some_and(|kind| kind.adds_up(name)) => {
                    drop(self.figures.insert(name.clone(), (known + figure).into()))
                }
                Some(_) if !is_newest => {}
                _ => drop(self.figures.insert(name.clone(), figure.into())),
            }
        }
    }

    /// Which part of them did its work; none before the first.
    pub fn share(&self) -> Option<f64> {
        (self.total > 0).then(|| self.successful as f64 / self.total as f64)
    }

    /// R5; the share is null until there is a run.
    pub fn document(&self) -> Value {
        let mut all = json!({
            "total_runs": self.total,
            "successful_runs": self.successful,
            "failed_runs": self.failed,
            "last_run_at": self.last.map(|(at, _)| at),
            "last_status": self.last.map(|(_, status)| status),
            "success_rate": self.share(),
        });
        if let Some(all) = all.as_object_mut() {
            all.extend(self.figures.clone());
        }
        all
    }
}
