//! `runs`, `report` and `audit`: what happened before.

use super::act::Act;
use super::numbers::{count, duration, minute, of};
use super::table::Table;
use super::{documents, text};
use crate::exit::Exit;
use crate::trouble::Trouble;
use clap::ArgMatches;
use engine::age::Age;
use engine::{Report, SCHEMA_VERSION, Status};
use jiff::Timestamp;
use serde_json::json;

/// `sexton runs …`.
pub fn runs(act: &Act, matches: &ArgMatches) -> Result<Exit, Trouble> {
    match matches.subcommand() {
        Some(("show", own)) => show(act, own),
        Some((_, own)) => list(act, own),
        None => Ok(Exit::Usage),
    }
}

fn since(act: &Act, matches: &ArgMatches) -> Result<Option<Timestamp>, Trouble> {
    let Some(text) = matches.get_one::<String>("since") else { return Ok(None) };
    Ok(Some(Age(text.clone()).before(act.engine.clock().now())?))
}

fn list(act: &Act, matches: &ArgMatches) -> Result<Exit, Trouble> {
    let limit = matches.get_one::<u64>("limit").copied().unwrap_or(10);
    let operation = matches.get_one::<String>("operation").map(String::as_str);
    let reports = act.engine.reports(limit, since(act, matches)?, operation)?;
    if !act.console.is_text() {
        act.console.document(&json!({ "schema_version": SCHEMA_VERSION, "runs": reports }));
        return Ok(Exit::Done);
    }
    if reports.is_empty() {
        act.console.note("there is no run yet");
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["id", "started (UTC)", "status", "operations", "rows", "took"], &[4, 5]);
    for report in &reports {
        let names: Vec<&str> =
            report.operations.iter().map(|operation| operation.operation.as_str()).collect();
        let dry = if report.metadata.dry_run { " (dry run)" } else { "" };
        table.row([
            report.run_id.clone(),
            minute(report.metadata.started_at),
            format!("{}{dry}", report.status.name()),
            names.join(", "),
            count(report.totals.rows()),
            duration(report.metadata.duration_seconds),
        ]);
    }
    act.console.data(&table.text());
    for report in reports.iter().filter(|report| report.status == Status::Interrupted) {
        let line = format!("resume  sexton resume {}   (its process is gone)", act.short_id(&report.run_id));
        act.console.data(&line);
    }
    Ok(Exit::Done)
}

fn show(act: &Act, matches: &ArgMatches) -> Result<Exit, Trouble> {
    let record = act.engine.run_record(super::id_of(matches))?;
    let report = record.report();
    if act.console.events {
        for event in &record.events {
            act.console.data(&serde_json::to_string(event).unwrap_or_default());
        }
    } else if act.console.is_text() {
        act.console.data(&text::run(&report, act.console));
    } else {
        act.console.document(&documents::of_run(&report, &record.plan, act.console.output));
    }
    Ok(Exit::Done)
}

/// What one operation came to over some time. Dry runs are left out (W-114).
#[derive(Default, serde::Serialize)]
struct Sum {
    operation: String,
    runs: u64,
    completed: u64,
    failed: u64,
    other: u64,
    rows: u64,
    rows_dependent: u64,
    retries: u64,
    seconds: f64,
    last_run: Option<Timestamp>,
    last_status: Option<Status>,
    errors: Vec<String>,
}

/// `sexton report`.
pub fn report(act: &Act, matches: &ArgMatches) -> Result<Exit, Trouble> {
    let operation = matches.get_one::<String>("operation").map(String::as_str);
    let since = since(act, matches)?;
    let reports = act.engine.reports(10_000, since, operation)?;
    let dry_runs = reports.iter().filter(|report| report.metadata.dry_run).count();
    let sums = sums(reports.iter().filter(|report| !report.metadata.dry_run), operation);
    let recommendations = recommendations(&reports);
    if !act.console.is_text() {
        act.console.document(&json!({
            "schema_version": SCHEMA_VERSION,
            "since": since,
            "runs": reports.len() - dry_runs,
            "dry_runs": dry_runs,
            "operations": sums,
            "recommendations": recommendations,
        }));
        return Ok(Exit::Done);
    }
    if sums.is_empty() {
        act.console.note(&format!("no runs in this time ({})", of(dry_runs as u64, "dry run", "dry runs")));
        return Ok(Exit::Done);
    }
    let mut table = Table::new(
        ["operation", "runs", "done", "failed", "other", "rows", "took", "last run (UTC)"],
        &[1, 2, 3, 4, 5, 6],
    );
    for sum in &sums {
        let last = sum.last_status.map_or_else(String::new, Status::name);
        table.row([
            sum.operation.clone(),
            count(sum.runs),
            count(sum.completed),
            count(sum.failed),
            count(sum.other),
            count(sum.rows),
            duration(sum.seconds),
            format!("{} {last}", sum.last_run.map_or_else(String::new, minute)),
        ]);
    }
    act.console.data(&table.text());
    for sum in &sums {
        for error in &sum.errors {
            act.console.data(&format!("error   {}: {error}", sum.operation));
        }
    }
    for advice in recommendations {
        act.console.data(&format!("advice  {advice}"));
    }
    Ok(Exit::Done)
}

/// `reports` come newest first.
fn sums<'a>(reports: impl Iterator<Item = &'a Report>, only: Option<&str>) -> Vec<Sum> {
    let mut all: Vec<Sum> = Vec::new();
    for report in reports {
        for done in &report.operations {
            if only.is_some_and(|only| only != done.operation) {
                continue;
            }
            let n = all.iter().position(|sum| sum.operation == done.operation).unwrap_or_else(|| {
                all.push(Sum { operation: done.operation.clone(), ..Sum::default() });
                all.len() - 1
            });
            let sum = &mut all[n];
            sum.runs += 1;
            match done.status {
                Status::Completed => sum.completed += 1,
                Status::Failed => sum.failed += 1,
                _ => sum.other += 1,
            }
            sum.rows += text::counts_of(done).rows();
            sum.rows_dependent += done.rows_dependent;
            sum.retries += done.retries;
            sum.seconds += done.duration_seconds;
            if sum.last_run.is_none() {
                sum.last_run = Some(report.metadata.started_at);
                sum.last_status = Some(done.status);
            }
            for error in &done.errors {
                if !sum.errors.contains(error) {
                    sum.errors.push(error.clone());
                }
            }
        }
    }
    all.sort_by(|a, b| a.operation.cmp(&b.operation));
    all
}

fn recommendations(reports: &[Report]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for advice in reports.iter().flat_map(|report| &report.recommendations) {
        if !all.contains(advice) {
            all.push(advice.clone());
        }
    }
    all
}

/// `sexton audit`.
pub fn audit(act: &Act, matches: &ArgMatches) -> Result<Exit, Trouble> {
    let limit = matches.get_one::<u64>("limit").copied().unwrap_or(50);
    let trail = act.engine.audit_trail(limit)?;
    if !act.console.is_text() {
        act.console.document(&json!({ "schema_version": SCHEMA_VERSION, "audit": trail }));
        return Ok(Exit::Done);
    }
    if trail.is_empty() {
        act.console.note("nothing was noted yet");
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["at (UTC)", "who", "did", "to", "detail"], &[]);
    for line in trail {
        table.row([minute(line.at), line.actor, line.action, line.object, line.detail]);
    }
    act.console.data(&table.text());
    Ok(Exit::Done)
}
