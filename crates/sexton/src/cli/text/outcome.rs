//! What came of a run, in words.

use super::super::about_files::{acts_on_files, freed, only_reports, things};
use super::super::console::{Console, Style};
use super::super::numbers::{bytes, count, duration, minute, of};
use super::super::table::Table;
use super::{FELT, INDENT, finding_lines};
use engine::{Class, Counts, Level, OperationReport, Report, Status};

/// What a run came to: one line an operation, then how to undo or resume it. `after_plan`: the plan stands just above, so
/// that what it found need not be told again where nothing was done.
pub fn outcome(report: &Report, short_id: &str, after_plan: bool, console: &Console) -> String {
    let mut lines: Vec<String> = Vec::new();
    let several = report.operations.len() > 1;
    for operation in &report.operations {
        lines.push(outcome_line(operation, several, console));
        let told = after_plan && operation.batches == 0 && !operation.targets.is_empty();
        if operation.status != Status::Refused && !told {
            let new = operation.findings.iter().filter(|finding| finding.level > Level::Note);
            lines.extend(
                new.flat_map(|finding| finding_lines(finding, true, console))
                    .filter(|_| !report.metadata.dry_run),
            );
        }
    }
    let any =
        |status: &[Status]| report.operations.iter().any(|operation| status.contains(&operation.status));
    let open = report.operations.iter().any(|operation| !operation.status.is_over());
    if open || any(&[Status::Failed, Status::Cancelled, Status::TimedOut]) {
        // What took too long, or waited for too long, goes better in small bites (S2-090).
        let slow = report.operations.iter().any(|operation| operation.error_class == Some(Class::Transient));
        let limits = if slow { " --batch-size 100 --max-seconds 3600" } else { "" };
        lines.push(format!("resume sexton resume {short_id}{limits}"));
    }
    if report.operations.iter().any(|operation| operation.undo_id.is_some()) {
        lines.push(format!("undo   sexton undo {short_id}"));
    }
    lines.join("\n")
}

fn outcome_line(operation: &OperationReport, several: bool, console: &Console) -> String {
    let (word, style) = match operation.status {
        Status::Completed if operation.dry_run => ("dry", Style::Good),
        Status::Completed => ("done", Style::Good),
        Status::Partial => ("partly", Style::Warn),
        Status::Refused => ("refused", Style::Bad),
        Status::Cancelled | Status::TimedOut => ("stopped", Style::Warn),
        Status::Skipped => ("skipped", Style::Faint),
        Status::Failed => ("failed", Style::Bad),
        Status::Interrupted => ("died", Style::Bad),
        _ => ("so far", Style::Warn),
    };
    let word = console.paint(style, &format!("{word:<6}"));
    let name = if several { format!("{}: ", operation.operation) } else { String::new() };
    format!("{word} {name}{}{}", said(operation), compared(operation))
}

/// How long it was thought to take, where it took much more or less.
fn compared(operation: &OperationReport) -> String {
    let over = matches!(operation.status, Status::Completed | Status::Partial) && !operation.dry_run;
    match operation
        .expected_seconds
        .filter(|_| over && (operation.batches > 0 || operation.backup_path.is_some()))
    {
        Some(expected) if operation.duration_seconds.max(expected) >= FELT => {
            let off = operation.duration_seconds.max(0.001) / expected.max(0.001);
            match (0.5..=2.0).contains(&off) {
                true => String::new(),
                false => format!(" (expected {})", duration(expected)),
            }
        }
        _ => String::new(),
    }
}

fn backed_up(operation: &OperationReport) -> String {
    let result = operation.result.as_ref();
    let size = result.and_then(|result| result["size_bytes"].as_u64()).unwrap_or(0);
    let path = operation.backup_path.as_deref().unwrap_or_default();
    format!("{} in {path}, {}", bytes(size), duration(operation.duration_seconds))
}

fn said(operation: &OperationReport) -> String {
    let counts = counts_of(operation);
    match operation.status {
        Status::Skipped => operation.reason.clone().unwrap_or_default(),
        Status::Refused => operation.errors.join("; "),
        Status::Failed if operation.kind == "backup" => "there is no backup".to_owned(),
        Status::Failed if operation.targets.is_empty() => "it could not be planned".to_owned(),
        Status::Completed if operation.dry_run && ["export", "import"].contains(&operation.kind.as_str()) => {
            let how = if operation.kind == "import" { "come in" } else { "be written" };
            format!("{} would {how}; nothing was changed", things(operation, operation.rows_matched))
        }
        Status::Completed if operation.dry_run && counts.restored > 0 => {
            format!("{} would be put back; nothing was changed", things(operation, counts.restored))
        }
        _ if operation.kind == "migrate" => migrated(operation),
        Status::Completed | Status::Partial if message(operation).is_some() => {
            format!("{}, {}", message(operation).unwrap_or_default(), duration(operation.duration_seconds))
        }
        Status::Completed if operation.dry_run && is_chore(operation) => {
            format!(
                "{} would be done; nothing was changed",
                of(operation.targets.len() as u64, "step", "steps")
            )
        }
        Status::Completed if operation.dry_run => {
            let size = freed(operation).map(|size| format!(" ({})", bytes(size))).unwrap_or_default();
            format!("{}{size} would be processed; nothing was changed", things(operation, counts.rows()))
        }
        Status::Completed if operation.kind == "backup" && operation.backup_path.is_some() => {
            backed_up(operation)
        }
        Status::Completed if operation.batches == 0 && only_reports(operation) => {
            let size = freed(operation).map(|size| format!(" ({})", bytes(size))).unwrap_or_default();
            format!("{}{size} would go; nothing was changed", things(operation, operation.rows_matched))
        }
        Status::Completed
            if operation.batches == 0 && operation.result.is_some() && !acts_on_files(operation) =>
        {
            format!("{} looked", operation.operation)
        }
        Status::Partial if operation.batches == 0 && operation.result.is_some() => {
            format!("{} looked, and found something", operation.operation)
        }
        Status::Completed if operation.batches == 0 => "nothing to do".to_owned(),
        _ => {
            let mut text = match counts.restored {
                _ if operation.kind == "import" => things(operation, counts.rows()),
                0 => things(operation, counts.rows()),
                restored => format!("{} put back", things(operation, restored)),
            };
            if operation.status.can_resume() || !operation.status.is_over() {
                text = format!("{} of {}", count(counts.rows()), things(operation, operation.rows_matched));
            }
            text = format!("{text} in {}", of(operation.batches, "batch", "batches"));
            if operation.rows_dependent > 0 {
                text = format!("{text}, {}", of(operation.rows_dependent, "dependant", "dependants"));
            }
            if let Some(freed) = freed(operation) {
                text = format!("{text}, {}", bytes(freed));
            }
            text = format!("{text}, {}", duration(operation.duration_seconds));
            if operation.rows_failed > 0 {
                text = format!("{text}, {} not handled", count(operation.rows_failed));
            }
            match &operation.reason {
                Some(reason) => format!("{text}; {reason}"),
                None => text,
            }
        }
    }
}

/// What a kind says in its own words.
fn message(operation: &OperationReport) -> Option<&str> {
    operation.result.as_ref()?.get("message")?.as_str()
}

/// Whether no rows are what it is about.
fn is_chore(operation: &OperationReport) -> bool {
    ["vacuum", "analyze", "compact", "reindex", "index", "views"].contains(&operation.kind.as_str())
}

fn migrated(operation: &OperationReport) -> String {
    let result = operation.result.as_ref();
    let wanted = result.and_then(|result| result["migrations"].as_array()).map_or(0, Vec::len) as u64;
    let steps = operation.targets.iter().filter(|target| target.action != "prepare").count() as u64;
    let at = |result: &serde_json::Value| match &result["current"] {
        serde_json::Value::Null => "nothing is in".to_owned(),
        serde_json::Value::String(id) => format!("the last one in is {id}"),
        number => format!("the last one in is {number}"),
    };
    match operation.status {
        Status::Completed if operation.dry_run => {
            format!("{} would be run; nothing was changed", of(steps, "migration", "migrations"))
        }
        Status::Completed if operation.batches == 0 && wanted == 0 => "nothing to do".to_owned(),
        Status::Completed | Status::Partial => {
            let place = result.map(|result| format!("; {}", at(result))).unwrap_or_default();
            let took = duration(operation.duration_seconds);
            format!("{}, {took}{place}", of(wanted, "migration", "migrations"))
        }
        _ => match &operation.reason {
            Some(reason) => reason.clone(),
            None => "what was in before is in; `sexton migrate status` shows it".to_owned(),
        },
    }
}

/// The counts of an operation.
pub fn counts_of(operation: &OperationReport) -> Counts {
    let mut counts = Counts::default();
    for target in &operation.targets {
        counts.add(&target.counts);
    }
    counts
}

/// One run in full.
pub fn run(report: &Report, console: &Console) -> String {
    let about = &report.metadata;
    let mut lines = vec![
        format!("run      {}", report.run_id),
        format!("status   {}", report.status.name()),
        format!("started  {} UTC by {}", minute(about.started_at), about.actor),
        format!("took     {}", duration(about.duration_seconds)),
        format!("database {} ({})", about.database, about.engine),
    ];
    if about.dry_run {
        lines.push("dry run  nothing was changed".to_owned());
    }
    lines.push(String::new());
    lines.push(outcome(report, &report.run_id, false, console));
    let mut table = Table::new(["target", "table", "rows", "done", "dependants"], &[2, 3, 4]);
    for target in report.operations.iter().flat_map(|operation| &operation.targets) {
        table.row([
            target.label.clone(),
            target.object.clone(),
            count(target.rows_matched),
            count(target.counts.rows()),
            count(target.counts.dependants),
        ]);
    }
    if !table.is_empty() {
        lines.push(String::new());
        lines.extend(table.lines(INDENT.len()));
    }
    for error in &report.errors {
        lines.push(format!("{}  {}: {}", console.paint(Style::Bad, "error"), error.operation, error.message));
    }
    lines.join("\n")
}
