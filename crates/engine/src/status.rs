//! Where a run stands, folded from its events by one table of legal moves. It is never stored.

use crate::event::{StopReason, What};
use crate::finding::Level;
use serde::{Deserialize, Serialize};

/// Where a run, or one of its operations, stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nothing happened yet.
    New,
    /// Planned; a dry run ends here.
    Planned,
    /// Guards and backup passed.
    Ready,
    /// At work, or died at work.
    Running,
    /// Died at work; can be resumed. No event says so: it is seen by whoever looks whether the process still lives.
    Interrupted,
    /// All batches done, check pending.
    Verifying,
    /// Done.
    Completed,
    /// Done, but something failed or verification found something.
    Partial,
    /// Failed; can be resumed.
    Failed,
    /// A guard refused.
    Refused,
    /// Stopped in good order; can be resumed.
    Cancelled,
    /// Stopped because a budget was used up; can be resumed.
    TimedOut,
    /// Not run.
    Skipped,
}

impl Status {
    /// The status after `what`. An event that cannot follow leaves an error that names both.
    pub fn after(self, what: &What) -> Result<Status, String> {
        use Status::*;
        let next = match (self, what) {
            // A process that died before it changed anything begins again.
            (New | Planned | Ready, What::Planned { .. }) => Planned,
            // So does one that could not be planned, or had no backup: nothing was started.
            (Failed, What::Planned { .. }) => Planned,
            // What was passed over is looked at again when the run is resumed.
            (Skipped, What::Planned { .. }) => Planned,
            (Skipped, What::Skipped { .. }) => Skipped,
            (Planned, What::Guarded { .. }) => Ready,
            (Planned, What::Found { .. }) => Planned,
            (New | Planned | Ready, What::Refused { .. }) => Refused,
            // An attempt that failed for want of a backup gets one when it is resumed.
            (Ready | Failed, What::BackedUp { .. }) => Ready,
            (New | Planned | Ready, What::Skipped { .. }) => Skipped,
            // A process that died left `Running` or `Verifying` behind; resuming starts from there.
            (Ready | Running | Verifying | Failed | Cancelled | TimedOut, What::Started { .. }) => Running,
            (Running, What::Advanced { .. } | What::Retried { .. } | What::Paused { .. }) => Running,
            (Running, What::Noted { .. }) => Running,
            (Running, What::StepDone { .. } | What::GaveUp { .. } | What::Summed { .. }) => Running,
            (Running, What::Used { .. } | What::BeganAgain { .. }) => Running,
            (Running, What::Verified { findings }) if findings.iter().any(|f| f.level > Level::Note) => {
                Partial
            }
            (Running, What::Verified { .. }) => Verifying,
            (Running, What::Stopped { reason: StopReason::Asked }) => Cancelled,
            (Running, What::Stopped { .. }) => TimedOut,
            (_, What::Failed { .. }) if !self.is_over() => Failed,
            // Resuming may fail before work begins again.
            (Failed | Cancelled | TimedOut | Skipped, What::Failed { .. }) => Failed,
            (Verifying, What::Finished) => Completed,
            // An operation that only looks.
            (Planned, What::Verified { findings }) if findings.iter().any(|f| f.level > Level::Note) => {
                Partial
            }
            // A dry run, or an operation that only looks.
            (Planned | Ready, What::Finished) => Completed,
            (Partial | Failed | Refused | Cancelled | TimedOut | Skipped, What::Finished) => self,
            _ => return Err(format!("`{what:?}` cannot follow `{self:?}`")),
        };
        Ok(next)
    }

    /// Whether nothing follows any more but a resume.
    pub fn is_over(self) -> bool {
        use Status::*;
        matches!(self, Completed | Partial | Failed | Refused | Cancelled | TimedOut | Skipped)
    }

    /// Whether `resume` has something to do.
    pub fn can_resume(self) -> bool {
        use Status::*;
        matches!(self, Running | Interrupted | Verifying | Failed | Cancelled | TimedOut)
    }

    /// As the documents spell it, with spaces.
    pub fn name(self) -> String {
        let name = serde_json::to_value(self).ok();
        name.as_ref().and_then(|name| name.as_str()).unwrap_or_default().replace('_', " ")
    }

    /// The worst of several operations, as the status of the run.
    pub fn of_run(items: &[Status]) -> Status {
        use Status::*;
        let any = |wanted: Status| items.contains(&wanted);
        let all = |wanted: &[Status]| items.iter().all(|status| wanted.contains(status));
        if all(&[Completed, Skipped]) {
            return if !items.is_empty() && all(&[Skipped]) { Skipped } else { Completed };
        }
        for running in [Running, Verifying, Ready, Planned, New] {
            if any(running) {
                return if running == New { Running } else { running };
            }
        }
        for stopped in [Cancelled, TimedOut] {
            if any(stopped) {
                return stopped;
            }
        }
        if all(&[Refused, Skipped]) {
            return Refused;
        }
        if all(&[Failed, Refused, Skipped]) { Failed } else { Partial }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_cannot_follow_a_refusal() {
        let advanced =
            What::Advanced { step: 0, batch: 1, counts: Default::default(), seconds: 0.0, detail: None };
        assert!(Status::Refused.after(&advanced).is_err());
        assert!(Status::Completed.after(&What::Started { resumed: true }).is_err());
    }

    #[test]
    fn a_failed_operation_beside_a_good_one_makes_the_run_partial() {
        // W-064
        assert_eq!(Status::of_run(&[Status::Completed, Status::Failed]), Status::Partial);
        assert_eq!(Status::of_run(&[Status::Failed]), Status::Failed);
        assert_eq!(Status::of_run(&[Status::Completed, Status::Skipped]), Status::Completed);
    }
}
