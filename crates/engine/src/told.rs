//! What the log of the program says about a run: start, outcome and figures at `info`, findings at `warn`, failures at
//! `error`, single rows at `info`, everything else at `debug`.
//!
//! These lines have the target `run`, so that a surface that tells of the run itself can leave them out.

use crate::event::{Counts, Event, What};
use crate::finding::{Finding, Level};
use tracing::{debug, error, info, warn};

/// Writes the lines of one event; `so_far` are those before it.
pub fn tell(event: &Event, so_far: &[Event]) {
    let (run, item) = (event.run.as_str(), event.item.unwrap_or(0));
    let found = |findings: &[Finding]| {
        for finding in findings.iter().filter(|finding| finding.level > Level::Note) {
            warn!(target: "run", run, item, object = %finding.object, code = %finding.code, "{}", finding.what);
        }
    };
    match &event.what {
        What::Planned { matched, .. } => info!(target: "run", run, item, matched, "planned"),
        What::Guarded { findings } | What::Verified { findings } => found(findings),
        What::Refused { findings } => {
            for finding in findings {
                error!(target: "run", run, item, object = %finding.object, code = %finding.code, "refused: {}", finding.what);
            }
        }
        What::Noted { text } => info!(target: "run", run, item, "{text}"),
        What::Stopped { reason } => warn!(target: "run", run, item, "{}", reason.said()),
        What::Skipped { reason } => info!(target: "run", run, item, "skipped: {reason}"),
        What::Failed { error, .. } => error!(target: "run", run, item, "failed: {error}"),
        What::Finished if event.item.is_some() => {
            let mut total = Counts::default();
            for earlier in so_far.iter().filter(|earlier| earlier.item == event.item) {
                if let What::Advanced { counts, .. } = &earlier.what {
                    total.add(counts);
                }
            }
            let Counts { deleted, changed, archived, restored, dependants, skipped, failed } = total;
            info!(target: "run", run, item, deleted, changed, archived, restored, dependants, skipped, failed, "finished");
        }
        what => debug!(target: "run", run, item, event = ?what),
    }
}
