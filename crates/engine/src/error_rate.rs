//! How much fails: of what one run attempted, and of the runs of a week. More than one in twenty is worth a word, where there
//! are enough to tell.

use crate::finding::Finding;
use crate::report::{OperationReport, Report};
use crate::status::Status;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A larger share than this is told.
const LIMIT: f64 = 0.05;
/// Of fewer a share says nothing.
const ENOUGH: u64 = 20;
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How many of something failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ErrorRate {
    /// All that were attempted.
    pub attempted: u64,
    /// Those that failed.
    pub failed: u64,
}

impl ErrorRate {
    /// The share; none where there are too few to tell.
    pub fn share(self) -> Option<f64> {
        (self.attempted >= ENOUGH).then(|| self.failed as f64 / self.attempted as f64)
    }

    /// Whether that is too much.
    pub fn is_high(self) -> bool {
        self.share().is_some_and(|share| share > LIMIT)
    }

    /// Runs of the last seven days, without those that only looked at what would happen and those still at work.
    pub fn of_week<'a>(reports: impl IntoIterator<Item = &'a Report>, now: Timestamp) -> Self {
        let mut rate = Self::default();
        for report in reports {
            let lately = now.duration_since(report.metadata.started_at) <= WEEK;
            if lately && !report.metadata.dry_run && !report.is_open() {
                rate.attempted += 1;
                rate.failed += u64::from(report.status == Status::Failed);
            }
        }
        rate
    }
}

/// What is to be told of one operation of a run.
pub(crate) fn of_operation(done: &OperationReport) -> Option<Finding> {
    let handled: u64 = done.targets.iter().map(|target| target.counts.rows()).sum();
    let rate = ErrorRate { attempted: handled + done.rows_failed, failed: done.rows_failed };
    rate.is_high().then(|| {
        Finding::warning(
            "error_rate",
            &done.operation,
            format!(
                "{} of {} failed, which is more than {:.0} %",
                crate::words::count(rate.failed),
                crate::words::count(rate.attempted),
                LIMIT * 100.0
            ),
            "look at their errors in the report before the next run",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(failed: u64, attempted: u64) -> ErrorRate {
        ErrorRate { attempted, failed }
    }

    #[test]
    fn more_than_one_in_twenty_is_told_where_there_are_twenty() {
        // S2-074, X-20
        assert!(rate(6, 100).is_high());
        assert!(!rate(5, 100).is_high());
        assert!(rate(2, 20).is_high());
        assert!(!rate(10, 19).is_high() && rate(10, 19).share().is_none());
        assert!(!rate(0, 0).is_high());
    }
}
