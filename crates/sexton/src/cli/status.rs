//! `sexton status`: whether something is at work, and what the runs of each operation came to, from the run log.
//!
//! Dry runs are left out (W-114), and attempts that found somebody else at work. Figures that a kind tells beside its rows are summed under their own names, so that the
//! statistics survive every restart (W-076). A share of nothing is no share: before the first run there is none.

use super::act::Act;
use super::numbers::{count, minute, of};
use super::table::Table;
use super::trouble::Trouble;
use crate::exit::Exit;
use clap::ArgMatches;
use engine::{ErrorRate, OperationReport, Report, SCHEMA_VERSION, Status};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// As many runs as anybody will ever look back at.
const ALL: u64 = 100_000;

/// What the runs of one operation, or of all, came to.
#[derive(Default)]
struct Statistics {
    total: u64,
    successful: u64,
    failed: u64,
    last: Option<(Timestamp, Status)>,
    figures: Map<String, Value>,
}

impl Statistics {
    /// Runs come newest first.
    fn add(&mut self, at: Timestamp, done: &OperationReport) {
        self.total += 1;
        match done.status {
            Status::Completed => self.successful += 1,
            Status::Failed => self.failed += 1,
            _ => {}
        }
        self.last.get_or_insert((at, done.status));
        for (name, value) in done.result.iter().filter_map(Value::as_object).flatten() {
            if let Some(more) = value.as_u64() {
                let known = self.figures.get(name).and_then(Value::as_u64).unwrap_or(0);
                self.figures.insert(name.clone(), (known + more).into());
            }
        }
    }

    /// R5; the share is null until there is a run.
    fn document(&self) -> Value {
        let share = (self.total > 0).then(|| self.successful as f64 / self.total as f64);
        let mut all = json!({
            "total_runs": self.total,
            "successful_runs": self.successful,
            "failed_runs": self.failed,
            "last_run_at": self.last.map(|(at, _)| at),
            "last_status": self.last.map(|(_, status)| status),
            "success_rate": share,
        });
        if let Some(all) = all.as_object_mut() {
            all.extend(self.figures.clone());
        }
        all
    }
}

/// `sexton status [OPERATION]…`.
pub fn status(act: &Act, matches: &ArgMatches) -> Result<Exit, Trouble> {
    let wanted: Vec<&String> = matches.get_many::<String>("operation").into_iter().flatten().collect();
    let mut names: Vec<&str> = act.config.operations.iter().map(|known| known.name.as_str()).collect();
    if let Some(unknown) = wanted.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(Trouble::usage(
            format!("there is no operation `{unknown}`"),
            format!("the operations are {}", names.join(", ")),
        ));
    }
    names.retain(|name| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name));
    let reports = act.engine.reports(ALL, None, None)?;
    let at_work: Vec<&str> =
        reports.iter().filter(|report| report.is_open()).map(|report| report.run_id.as_str()).collect();
    let each: Vec<(&str, Statistics)> =
        names.iter().map(|name| (*name, of_operation(&reports, name))).collect();
    let week = ErrorRate::of_week(&reports, act.engine.clock().now());
    if !act.console.is_text() {
        let operations: Map<String, Value> =
            each.iter().map(|(name, own)| ((*name).to_owned(), own.document())).collect();
        // With one operation its figures are the statistics themselves.
        let statistics = match each.as_slice() {
            [(_, only)] => only.document(),
            _ => Value::Object(operations),
        };
        act.console.document(&json!({
            "schema_version": SCHEMA_VERSION,
            "running": !at_work.is_empty(),
            "runs_at_work": at_work,
            "statistics": statistics,
            "last_seven_days": {
                "runs": week.attempted, "failed": week.failed, "error_rate": week.share(), "is_high": week.is_high(),
            },
        }));
        return Ok(Exit::Done);
    }
    act.console.data(&match at_work.as_slice() {
        [] => "nothing is at work".to_owned(),
        ids => format!("at work: {}", ids.join(", ")),
    });
    let mut table =
        Table::new(["operation", "runs", "done", "failed", "last run (UTC)", "so far"], &[1, 2, 3]);
    for (name, own) in &each {
        let last = own.last.map(|(at, status)| format!("{} {}", minute(at), status.name()));
        let figures: Vec<String> = own
            .figures
            .iter()
            .filter_map(|(name, value)| {
                Some(format!("{} {}", count(value.as_u64()?), name.replace('_', " ")))
            })
            .collect();
        table.row([
            (*name).to_owned(),
            count(own.total),
            count(own.successful),
            count(own.failed),
            last.unwrap_or_else(|| "never".to_owned()),
            figures.join(", "),
        ]);
    }
    act.console.data(&table.text());
    if week.is_high() {
        act.console.note(&format!(
            "warning: {} of {} of the last seven days failed\nhelp: `sexton report --since 7d` shows with what",
            count(week.failed),
            of(week.attempted, "run", "runs")
        ));
    }
    act.console.note(&of(reports.len() as u64, "run is in the log", "runs are in the log"));
    Ok(Exit::Done)
}

fn of_operation(reports: &[Report], name: &str) -> Statistics {
    let mut own = Statistics::default();
    for report in reports.iter().filter(|report| !report.metadata.dry_run && !report.is_open()) {
        // Whoever found another at work failed at nothing.
        let busy = report.errors.iter().any(|error| error.operation == name && error.code == engine::BUSY);
        if busy {
            continue;
        }
        for done in report.operations.iter().filter(|done| done.operation == name) {
            own.add(report.metadata.started_at, done);
        }
    }
    own
}
