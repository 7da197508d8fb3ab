//! What the log of the program says about a run: what it is about to do and what it came to at `info`, findings and waits
//! at `warn`, failures at `error`, single rows at `info`, single batches at `debug`.

use crate::event::{Event, What};
use crate::finding::Level;
use crate::report::Report;

/// The target of log lines about runs, so that a surface which shows runs by itself can leave them out.
pub const LOG: &str = "sexton_run";

/// The log lines of an event: failures at error, findings and waits at warning, single batches at debug, all else at
/// info.
pub(crate) fn tell(event: &Event) {
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
        What::Advanced { step, batch, counts, seconds, .. } => {
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
        What::BeganAgain { reason } => tracing::warn!(target: LOG, %run, item, "begun again: {reason}"),
        What::Planned { matched, .. } => tracing::info!(target: LOG, %run, item, matched, "planned"),
        What::Skipped { reason } => tracing::info!(target: LOG, %run, item, "skipped: {reason}"),
        What::Stopped { reason } => tracing::info!(target: LOG, %run, item, "stopped: {}", reason.said()),
        What::StepDone { step } => tracing::info!(target: LOG, %run, item, step, "a step is done"),
        What::BackedUp { path, bytes, .. } => {
            tracing::info!(target: LOG, %run, item, bytes, "backed up: {path}")
        }
        What::Started { resumed } => tracing::info!(target: LOG, %run, item, resumed, "started"),
        What::Noted { text } => tracing::info!(target: LOG, %run, item, "{text}"),
        What::GaveUp { scope, class, error, .. } => {
            tracing::error!(target: LOG, %run, item, %class, "{scope} failed and is passed over: {error}");
        }
        What::Found { .. } => tracing::debug!(target: LOG, %run, item, "looked again"),
        What::Used { .. } => tracing::debug!(target: LOG, %run, item, "measured"),
        What::Summed { .. } => tracing::debug!(target: LOG, %run, item, "summed up"),
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
        let cleanup = done.result.as_ref().and_then(|result| result.get("cleanup"));
        if let Some(cleanup) = cleanup {
            let listed = |list: &str| cleanup[list].as_array().map_or(0, Vec::len);
            let (folders, files) = (listed("removed_directories"), listed("removed_files"));
            let bytes = cleanup["total_space_freed"].as_u64().unwrap_or(0);
            let dry = report.metadata.dry_run || done.batches == 0;
            let would = if dry { "would be freed" } else { "freed" };
            tracing::info!(
                target: LOG, run = %report.run_id, operation = done.operation, folders, files, bytes, "{would}"
            );
        }
    }
}
