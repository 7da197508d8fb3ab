//! `sexton status`: whether something is at work, how the schedules stand, and what the runs of each operation came to.

use super::act::Act;
use super::numbers::{count, minute, of};
use super::schedule::schedules;
use super::table::Table;
use crate::exit::Exit;
use crate::statistics::{self, Statistics};
use crate::trouble::Trouble;
use clap::ArgMatches;
use engine::{ErrorRate, SCHEMA_VERSION};
use serde_json::{Map, Value, json};

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
    let reports = act.engine.reports(statistics::ALL, None, None)?;
    let at_work: Vec<&str> =
        reports.iter().filter(|report| report.is_open()).map(|report| report.run_id.as_str()).collect();
    let each: Vec<(&str, Statistics)> =
        names.iter().map(|name| (*name, Statistics::of(&reports, name))).collect();
    let week = ErrorRate::of_week(&reports, act.engine.clock().now());
    let (serving, schedules) = (schedules(act).serving()?, schedules(act).standings()?);
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
            "scheduler": { "running": !serving.is_empty(), "workers": serving },
            "schedules": schedules,
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
    if !schedules.is_empty() {
        act.console.data(&match serving.len() as u64 {
            0 => format!("nobody serves {}", of(schedules.len() as u64, "schedule", "schedules")),
            many => of(many, "process serves the schedules", "processes serve the schedules"),
        });
    }
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
