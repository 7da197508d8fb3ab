//! Why a queue is slow: dead rows, an old snapshot that keeps them, indexes that are missing.

use super::jobs::{Jobs, State};
use super::{recover, stats};
use crate::sweep::create_index;
use engine::{Finding, Result};
use targets::db::{Facts, Sql};

/// Fewer rows than this are read whole faster than an index is looked up.
const LARGE: u64 = 10_000;
/// Fewer dead rows than this hurt nobody.
const DEAD: u64 = 1_000;

/// What makes a queue with so many jobs slow.
pub fn findings(jobs: &Jobs, total: u64, facts: &mut dyn Facts) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    dead_rows(jobs, total, facts, &mut findings)?;
    old_snapshot(jobs, facts, &mut findings)?;
    if total >= LARGE {
        missing_indexes(jobs, facts, &mut findings)?;
    }
    Ok(findings)
}

fn dead_rows(jobs: &Jobs, total: u64, facts: &mut dyn Facts, findings: &mut Vec<Finding>) -> Result<()> {
    let mut dead = 0;
    for leaf in jobs.schema.leaves(jobs.table) {
        let Some(select) = facts.dialect().dead_rows(&leaf.name) else { return Ok(()) };
        dead += facts.count(&select)?;
    }
    if dead >= DEAD && dead * 5 >= total {
        findings.push(Finding::warning(
            "dead_rows",
            &jobs.table.name,
            format!("it drags along {dead} dead rows beside {total} live ones: workers read them to find a job"),
            format!(
                "vacuum (analyze) {}; let it come sooner: alter table {} set (autovacuum_vacuum_scale_factor = 0.01)",
                jobs.table.name.quoted(),
                jobs.table.name.quoted()
            ),
        ));
    }
    Ok(())
}

fn old_snapshot(jobs: &Jobs, facts: &mut dyn Facts, findings: &mut Vec<Finding>) -> Result<()> {
    let Some(oldest) = facts.pulse()?.oldest else { return Ok(()) };
    if oldest.seconds < jobs.options.old_snapshot.about_seconds()? {
        return Ok(());
    }
    findings.push(Finding::warning(
        "old_snapshot",
        &jobs.table.name,
        format!(
            "a transaction has been open for {:.0} s (pid {}, {}): dead rows cannot be removed as long as it may look at them",
            oldest.seconds, oldest.pid, oldest.state
        ),
        format!("end it, such as with `select pg_terminate_backend({})`: {}", oldest.pid, oldest.query),
    ));
    Ok(())
}

/// The queries of the clean-up, each with the columns of the index it wants.
pub fn queries(jobs: &Jobs, facts: &mut dyn Facts) -> Result<Vec<(&'static str, Sql, Vec<String>)>> {
    let columns = &jobs.options.columns;
    let select = || Sql::new("select 1 from ").table(&jobs.table.name).text(" as t where ");
    let wanted = |age: &Option<String>| columns.state.iter().chain(age).cloned().collect::<Vec<_>>();
    let touched = if columns.updated.is_some() { &columns.updated } else { &columns.started };
    let ended = if columns.finished.is_some() { &columns.finished } else { &columns.updated };
    let mut all = Vec::new();
    if jobs.options.claims.is_none()
        && jobs.is(State::Running, facts.dialect())?.is_some()
        && let Ok(stale) = recover::stale(jobs, facts)
    {
        all.push(("stale jobs", select().add(&stale.condition), wanted(touched)));
    }
    if let Some((completed, _)) = stats::completed_today(jobs, facts)? {
        all.push(("completed jobs", select().add(&completed), wanted(ended)));
    }
    if let Some(failed) = jobs.is(State::Failed, facts.dialect())? {
        all.push(("failed jobs", select().add(&failed), wanted(ended)));
    }
    if let Some(first) = stats::first_pending(jobs, facts)? {
        all.push(("the oldest pending job", first, wanted(&columns.created)));
    }
    Ok(all)
}

fn missing_indexes(jobs: &Jobs, facts: &mut dyn Facts, findings: &mut Vec<Finding>) -> Result<()> {
    let mut told: Vec<Vec<String>> = Vec::new();
    for (what, query, columns) in queries(jobs, facts)? {
        let served = columns.is_empty()
            || jobs.table.indexes.iter().any(|index| {
                index.valid
                    && index
                        .columns
                        .iter()
                        .zip(&columns)
                        .take(1)
                        .all(|(own, wanted)| own.as_ref() == Some(wanted))
            });
        if served || told.contains(&columns) || facts.access(&query)?.index.is_some() {
            continue;
        }
        findings.push(Finding::warning(
            "missing_index",
            &jobs.table.name,
            format!("the whole table is read to find {what}"),
            create_index(jobs.table, &columns.iter().map(String::as_str).collect::<Vec<_>>()),
        ));
        told.push(columns);
    }
    Ok(())
}
