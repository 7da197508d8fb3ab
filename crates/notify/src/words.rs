//! What came of a run, in words: the title and the text of its message.

use crate::message::Event;
use engine::words::{bytes, of, rows};
use engine::{OperationReport, Report, Status};

/// More names do not stand in a title.
const NAMED: usize = 3;

/// Names in a row, a few of them.
pub fn listed(names: &[&str]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names if names.len() <= NAMED => names.join(", "),
        names => format!("{} and {} more", names[..NAMED].join(", "), names.len() - NAMED),
    }
}

/// `3 h`, `12 min`, `0.4 s`.
pub fn lasting(seconds: f64) -> String {
    match seconds {
        s if s >= 172_800.0 => format!("{:.0} days", s / 86_400.0),
        s if s >= 7_200.0 => format!("{:.0} h", s / 3_600.0),
        s if s >= 120.0 => format!("{:.0} min", s / 60.0),
        s if s >= 10.0 => format!("{s:.0} s"),
        s => format!("{s:.1} s"),
    }
}

/// Whether an operation was not done.
pub fn is_failed(operation: &OperationReport) -> bool {
    matches!(operation.status, Status::Failed | Status::Refused | Status::Interrupted)
}

/// The title of what came of a run.
pub fn title(report: &Report, name: &str, event: Event) -> String {
    let dry = if report.metadata.dry_run { " (dry run)" } else { "" };
    let failed: Vec<&str> = report
        .operations
        .iter()
        .filter(|operation| is_failed(operation))
        .map(|operation| operation.operation.as_str())
        .collect();
    match event {
        Event::Failure if failed.is_empty() || failed == [name] => format!("{name} failed{dry}"),
        Event::Failure => format!("{name} failed{dry}: {}", listed(&failed)),
        Event::Warning if matches!(report.status, Status::Cancelled | Status::TimedOut) => {
            format!("{name} was stopped{dry}")
        }
        Event::Warning => {
            let many = report.warnings.len() as u64;
            match many {
                0 => format!("{name} is done{dry}, but not all of it"),
                many => format!("{name} is done{dry}, with {}", of(many, "warning", "warnings")),
            }
        }
        _ => match report.totals.rows() {
            0 => format!("{name} is done{dry}"),
            many if report.metadata.dry_run => format!("{name} is done{dry}: it would be {}", rows(many)),
            many => format!("{name} is done: {}", rows(many)),
        },
    }
}

/// The text of what came of a run: every operation with its figures, what is wrong, and what to do.
pub fn text(report: &Report) -> String {
    let mut lines = Vec::new();
    for operation in &report.operations {
        lines.push(figures(operation));
        lines.extend(operation.errors.iter().map(|error| format!("  error: {error}")));
        lines.extend(operation.warnings.iter().map(|warning| format!("  warning: {warning}")));
        lines.extend(operation.reason.iter().map(|reason| format!("  {reason}")));
    }
    if !report.recommendations.is_empty() {
        lines.push(String::new());
        lines.extend(report.recommendations.iter().map(|advice| format!("help: {advice}")));
    }
    lines.push(String::new());
    if let Some(undo) = report.operations.iter().find_map(|operation| operation.undo_id.as_ref()) {
        lines.push(format!("put back with: sexton undo {}", undo.split('.').next().unwrap_or(undo)));
    }
    if report.operations.iter().any(|operation| operation.status.can_resume()) {
        lines.push(format!("go on with: sexton resume {}", report.run_id));
    }
    lines.push(format!(
        "run {} by {}, began {}, took {}",
        report.run_id,
        report.metadata.actor,
        report.metadata.started_at.strftime("%Y-%m-%d %H:%M:%SZ"),
        lasting(report.metadata.duration_seconds)
    ));
    lines.push(format!("correlation {}", report.correlation_id));
    lines.join("\n")
}

/// One operation with its figures, in a line.
fn figures(operation: &OperationReport) -> String {
    let mut parts = Vec::new();
    for (number, what) in [
        (operation.rows_deleted, "deleted"),
        (operation.rows_changed, "changed"),
        (operation.rows_archived, "archived"),
        (operation.rows_restored, "put back"),
        (operation.rows_dependent, "dependent"),
        (operation.rows_skipped, "left alone"),
        (operation.rows_failed, "failed"),
    ] {
        if number > 0 {
            parts.push(format!("{} {what}", rows(number)));
        }
    }
    if operation.batches > 0 {
        parts.push(of(operation.batches, "batch", "batches"));
    }
    if let Some(freed) = operation.bytes_freed.filter(|freed| *freed > 0) {
        parts.push(format!("{} freed", bytes(freed)));
    }
    parts.push(lasting(operation.duration_seconds));
    format!(
        "{} on {} {}: {}",
        operation.operation,
        operation.database,
        operation.status.name(),
        parts.join(", ")
    )
}
