//! A look at the first rows: is the program one, what does it give, which of them would fail. Read-only.

use super::made::{Made, made, shortened};
use super::source;
use super::task::{Target, Task, Way};
use super::told::key_of;
use engine::{Finding, Planning, Result, Step};
use std::collections::BTreeMap;
use targets::db::{Facts, Row};
use targets::programs::Outcome;

/// As many rows are looked at.
const ROWS: u64 = 20;

/// Runs the program on the first rows, writes an example into the step, and tells of those that would fail.
pub fn look(
    task: &Task,
    step: &mut Step,
    facts: &mut dyn Facts,
    planning: &Planning,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let Way::Program { program, inputs, target, per_value } = &task.way else { return Ok(()) };
    if let Target::File { store, .. } = target {
        planning.stores.store(store)?;
    }
    let mut running = planning.stores.programs()?.start(program)?;
    if task.key.is_empty() {
        return Ok(());
    }
    let named = match target {
        Target::File { path, .. } => path.columns(),
        _ => Vec::new(),
    };
    let sources = source::read(task, inputs, &named, None, ROWS, facts)?;
    let documents: Vec<String> = sources.iter().filter_map(|source| source.json.clone().ok()).collect();
    let mut outcomes = running.transform(&documents)?.into_iter();
    let mut failures = Vec::new();
    let mut example = None;
    for source in &sources {
        let outcome = match &source.json {
            Ok(_) => outcomes.next().unwrap_or(Outcome::Given(Vec::new())),
            Err(_) => Outcome::Given(Vec::new()),
        };
        let key = || key_of(task, &source.key);
        match made(source, outcome, target, &task.table, *per_value, &mut BTreeMap::new()) {
            Made::Failed(why) => failures.push(format!("{}: {why}", key())),
            Made::Skipped(_) => {}
            Made::Values(rows) if example.is_none() => {
                example = rows.first().map(|row| format!("{}: {}", key(), shown(target, row)));
            }
            Made::Files(files) if example.is_none() => {
                example = files.first().map(|file| {
                    format!(
                        "{}: `{}`: {}",
                        key(),
                        file.name,
                        shortened(&String::from_utf8_lossy(&file.bytes))
                    )
                });
            }
            Made::Values(_) | Made::Files(_) => {}
        }
    }
    step.facts.extend(example.map(|example| ("for example".to_owned(), example)));
    if let Some(first) = failures.first() {
        findings.push(Finding::warning(
            "would_fail",
            &task.table.name,
            format!("of the first {} rows {} would fail, such as {first}", sources.len(), failures.len()),
            "correct them, or the program; rows that fail stay as they are",
        ));
    }
    Ok(())
}

fn shown(target: &Target, row: &Row) -> String {
    let (Target::Columns(columns) | Target::Table { columns, .. }) = target else { return String::new() };
    let each: Vec<String> =
        columns.iter().zip(row).map(|(name, value)| format!("{name} = {value}")).collect();
    shortened(&each.join(", "))
}
