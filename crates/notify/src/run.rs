//! What a report means: a message about the run, and what is wrong with its operations.

use crate::alert::{Alert, Watched, number};
use crate::message::{Event, Level, Message};
use crate::settings::AlertsSection;
use crate::words;
use engine::words::{count, of, rows};
use engine::{ErrorRate, OperationReport, Report, Status};
use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

/// An estimate that was learned is no promise: less than this over it is no news, in seconds.
const LITTLE: f64 = 60.0;

/// What a run came to, in one word.
pub fn event_of(report: &Report) -> Event {
    let stopped = matches!(report.status, Status::Partial | Status::Cancelled | Status::TimedOut);
    if report.operations.iter().any(words::is_failed)
        || matches!(report.status, Status::Failed | Status::Refused)
    {
        Event::Failure
    } else if stopped || !report.warnings.is_empty() {
        Event::Warning
    } else {
        Event::Success
    }
}

/// The message about a run.
pub fn of_run(report: &Report, schedule: Option<&str>, now: Timestamp) -> Message {
    let event = event_of(report);
    let names: Vec<&str> = report.operations.iter().map(|operation| operation.operation.as_str()).collect();
    let name = schedule.map_or_else(|| words::listed(&names), str::to_owned);
    let level = if event == Event::Success { Level::Info } else { Level::Warning };
    let title = words::title(report, &name, event);
    let mut message = Message::new(event, level, title, words::text(report), now)
        .of_run(&report.run_id, &report.correlation_id);
    message.schedule = schedule.map(str::to_owned);
    message.operation = match names.as_slice() {
        [only] => Some((*only).to_owned()),
        _ => None,
    };
    message.metrics = metrics(report);
    message
}

fn metrics(report: &Report) -> Map<String, Json> {
    let sum = |of: fn(&OperationReport) -> u64| report.operations.iter().map(of).sum::<u64>();
    let failed = report.operations.iter().filter(|operation| words::is_failed(operation)).count();
    let all = json!({
        "operations": report.operations.len(),
        "operations_failed": failed,
        "warnings": report.warnings.len(),
        "rows_deleted": sum(|one| one.rows_deleted),
        "rows_changed": sum(|one| one.rows_changed),
        "rows_archived": sum(|one| one.rows_archived),
        "rows_restored": sum(|one| one.rows_restored),
        "rows_failed": sum(|one| one.rows_failed),
        "batches": sum(|one| one.batches),
        "bytes_freed": sum(|one| one.bytes_freed.unwrap_or(0)),
        "duration_seconds": report.metadata.duration_seconds,
        "dry_run": report.metadata.dry_run,
    });
    match all {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

/// What is wrong with an operation of a run, and what is not any more. `before` is how many of its runs failed right before this
/// one; `promised` whether its time was said, not learned.
pub fn of_operation(
    done: &OperationReport,
    before: u64,
    promised: bool,
    alerts: &AlertsSection,
) -> Vec<Watched> {
    let name = done.operation.as_str();
    let failed = words::is_failed(done);
    // What was not run, or not to its end, says nothing.
    if matches!(done.status, Status::Skipped | Status::Cancelled | Status::TimedOut) {
        return Vec::new();
    }
    let mut all = Vec::new();
    if alerts.failures {
        let alert = failed.then(|| failure(done, before, alerts));
        all.push(Watched::new(format!("failed/{name}"), alert).told_over(format!("{name} works again")));
    }
    if failed {
        return all;
    }
    if !done.dry_run {
        let alert = longer(done, promised, alerts);
        all.push(Watched::new(format!("longer/{name}"), alert));
    }
    let handled: u64 = done.targets.iter().map(|target| target.counts.rows()).sum();
    let rate = ErrorRate { attempted: handled + done.rows_failed, failed: done.rows_failed };
    if rate.share().is_some() {
        all.push(Watched::new(format!("errors/{name}"), errors(done, rate, alerts)));
    }
    all.extend(duplicates(done));
    all.extend(found_orphans(done, alerts));
    all
}

fn failure(done: &OperationReport, before: u64, alerts: &AlertsSection) -> Alert {
    let row = before + 1;
    let level = if row >= alerts.escalate_after { Level::Critical } else { Level::Warning };
    let times = if row > 1 { format!(" {row} times in a row") } else { String::new() };
    let mut text: Vec<String> = done.errors.clone();
    text.extend(
        done.findings
            .iter()
            .filter(|finding| finding.level == engine::Level::Refuse)
            .map(|f| f.remedy.clone()),
    );
    Alert::new(level, format!("{name} failed{times}", name = done.operation), text.join("\n"))
        .about(&done.operation)
        .with("failures_in_a_row", json!(row))
}

/// What is still at work and takes too long already: one that hangs does not end by itself.
pub fn at_work(
    report: &Report,
    now: Timestamp,
    promised: &dyn Fn(&str) -> bool,
    alerts: &AlertsSection,
) -> Vec<Watched> {
    if report.metadata.dry_run || !report.is_open() {
        return Vec::new();
    }
    let since = now.duration_since(report.metadata.started_at).as_secs_f64();
    let mut before = 0.0;
    let mut all = Vec::new();
    for done in &report.operations {
        let name = done.operation.as_str();
        if matches!(done.status, Status::Running | Status::Verifying)
            && let Some(expected) = done.expected_seconds
        {
            let took = (since - before).max(0.0);
            let alert = is_longer(took, expected, promised(name), alerts).then(|| {
                Alert::new(
                    Level::Warning,
                    format!(
                        "{name} is at work for {}, and {} was expected",
                        words::lasting(took),
                        words::lasting(expected)
                    ),
                    format!(
                        "look for what it waits: `sexton doctor`; stop it at its next batch: `sexton stop {}`",
                        report.run_id
                    ),
                )
                .about(name)
                .with("duration_seconds", number(took))
                .with("expected_seconds", number(expected))
            });
            // Only news: whether it is over is told by its end.
            all.extend(alert.map(|alert| Watched::new(format!("longer/{name}"), Some(alert))));
        }
        before += done.duration_seconds;
    }
    all
}

fn is_longer(took: f64, expected: f64, promised: bool, alerts: &AlertsSection) -> bool {
    match promised {
        true => took > expected,
        false => took > expected * alerts.times_expected && took - expected > LITTLE,
    }
}

fn longer(done: &OperationReport, promised: bool, alerts: &AlertsSection) -> Option<Alert> {
    let (took, expected) = (done.duration_seconds, done.expected_seconds?);
    let text = "allow for more, look for what it waited (`sexton runs show`), or give it smaller batches in quieter hours";
    is_longer(took, expected, promised, alerts).then(|| {
        Alert::new(
            Level::Warning,
            format!(
                "{} took {}, and {} was expected",
                done.operation,
                words::lasting(took),
                words::lasting(expected)
            ),
            text,
        )
        .about(&done.operation)
        .with("duration_seconds", number(took))
        .with("expected_seconds", number(expected))
    })
}

fn errors(done: &OperationReport, rate: ErrorRate, alerts: &AlertsSection) -> Option<Alert> {
    let percent = rate.share()? * 100.0;
    (percent > alerts.error_rate_percent).then(|| {
        let what = format!("{} of {} failed", count(rate.failed), count(rate.attempted));
        Alert::new(
            Level::Warning,
            format!("{}: {what}", done.operation),
            format!(
                "{what}, which is more than {} %\n{}",
                alerts.error_rate_percent,
                done.errors.iter().take(5).cloned().collect::<Vec<_>>().join("\n")
            ),
        )
        .about(&done.operation)
        .with("error_rate_percent", number(percent))
    })
}

/// Of a check for duplicates: above its threshold, not at it.
fn duplicates(done: &OperationReport) -> Option<Watched> {
    let result = done.result.as_ref()?;
    let (total, threshold) = (result.get("total")?.as_u64()?, result.get("threshold")?.as_u64()?);
    result.get("duplicates")?;
    let level = if total > threshold.saturating_mul(2) { Level::Critical } else { Level::Warning };
    let alert = (total > threshold).then(|| {
        Alert::new(
            level,
            format!("{}: {}, more than {threshold}", done.operation, of(total, "duplicate", "duplicates")),
            done.warnings.join("\n"),
        )
        .about(&done.operation)
        .with("duplicates", json!(total))
        .with("threshold", json!(threshold))
    });
    let over = format!("{}: no more than {} now", done.operation, of(threshold, "duplicate", "duplicates"));
    Some(Watched::new(format!("duplicates/{}", done.operation), alert).told_over(over))
}

/// Of a look for rows or files that belong to nothing.
fn found_orphans(done: &OperationReport, alerts: &AlertsSection) -> Option<Watched> {
    let most = alerts.orphans.filter(|_| ["orphans", "files"].contains(&done.kind.as_str()))?;
    let many = crate::alert::orphans(done);
    let alert = (many > most).then(|| {
        let what = if done.kind == "files" { of(many, "file", "files") } else { rows(many) };
        Alert::new(
            Level::Warning,
            format!("{}: {what} that nobody refers to", done.operation),
            format!("look at them: `sexton plan {}`", done.operation),
        )
        .about(&done.operation)
        .with("orphans", json!(many))
    });
    let over = format!("{}: no orphans any more", done.operation);
    Some(Watched::new(format!("orphans/{}", done.operation), alert).told_over(over))
}
