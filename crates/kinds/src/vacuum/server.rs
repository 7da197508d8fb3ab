//! The plan on a server: one step for each table.

use super::need;
use super::options::Options;
use crate::upkeep::{self, Figures, Object, Task, bytes_said};
use engine::{Finding, Planned, Planning, Result, Severity, Step};
use targets::db::{Chore, Facts, TableUpkeep, Upkeep, Vacuuming};

/// Bytes a second that a vacuum reads on a usual machine; the first run of an operation knows better.
const USUAL: f64 = 60e6;

/// A table's figures.
pub fn figures(table: &TableUpkeep) -> Figures {
    Figures { dead: Some(table.dead as u64), bytes: Some(table.bytes + table.index_bytes) }
}

pub fn plan(
    options: &Options,
    upkeep: &Upkeep,
    facts: &mut dyn Facts,
    planning: &Planning,
) -> Result<Planned> {
    let failed = engine::failed_scopes(facts, &planning.request.name)?;
    let mut findings = Vec::new();
    let mut steps: Vec<(f64, u64, Step)> = Vec::new();
    for (table, score, why, vacuums) in chosen(options, upkeep, facts)? {
        if !table.may {
            findings.push(forbidden(table, facts)?);
            continue;
        }
        let chore = match vacuums {
            true => Chore::Vacuum { table: Some(table.name.clone()), how: how(options) },
            false => Chore::Analyze { table: Some(table.name.clone()) },
        };
        let spelled = facts.dialect().spell(&chore);
        for option in spelled.left_out {
            let known: &Vec<Finding> = &findings;
            if !known.iter().any(|finding| finding.code == "version" && finding.object == option) {
                findings.push(Finding::note(
                    "version",
                    &option,
                    "this server does not know it: it is left out",
                    "nothing is to be done; a newer server takes it",
                ));
            }
        }
        let mut about = vec![("size".to_owned(), bytes_said(table.bytes + table.index_bytes))];
        if let Some(busy) = &table.busy {
            about.push(("at work".to_owned(), format!("process {} ({})", busy.pid, busy.work)));
        }
        if table.neglected {
            about.push(("autovacuum".to_owned(), "is switched off for this table".to_owned()));
        }
        let task = Task {
            object: Object::Table { name: table.name.clone() },
            chores: vec![chore],
            before: figures(table),
            why,
            failed: failed.iter().any(|failed| failed.scope == table.name.to_string()),
        };
        let action = match (vacuums, options.full) {
            (false, _) => "analyze",
            (true, false) => "vacuum",
            (true, true) => "vacuum_full",
        };
        steps.push((
            score,
            table.bytes + table.index_bytes,
            task.step(action, about, spelled.statement.into_iter().collect())?,
        ));
    }
    // The worst first; the larger first among equals.
    steps.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
    let bytes: u64 = steps.iter().map(|(_, bytes, _)| bytes).sum();
    if !steps.is_empty() {
        findings.extend(upkeep::pinned(&upkeep.pins));
    }
    if options.full {
        findings.extend(room(&steps, facts)?);
    }
    Ok(Planned {
        expected_seconds: (!steps.is_empty()).then(|| upkeep::expected(bytes, USUAL, planning.earlier)),
        steps: steps.into_iter().map(|(_, _, step)| step).collect(),
        findings,
        outside: true,
        severity: options.full.then_some(Severity::High),
        ..Planned::default()
    })
}

/// The tables, each with how badly it needs it, why, and whether it is vacuumed or only analysed.
fn chosen<'a>(
    options: &Options,
    upkeep: &'a Upkeep,
    facts: &mut dyn Facts,
) -> Result<Vec<(&'a TableUpkeep, f64, String, bool)>> {
    let mut all = Vec::new();
    let of = |table: &'a TableUpkeep| {
        let needed = need::of(table, options);
        let statistics = need::of_statistics(table).filter(|_| options.analyze);
        match (needed, statistics) {
            _ if table.partitioned => None,
            (Some((score, why)), _) => Some((table, score, why, true)),
            (None, Some((score, why))) => Some((table, score / 1e6, why, false)),
            (None, None) => None,
        }
    };
    if !options.tables.is_empty() {
        let schema = facts.schema()?;
        for name in &options.tables {
            for leaf in schema.leaves(schema.find(name)?) {
                let Some(table) = upkeep.tables.iter().find(|table| table.name == leaf.name) else {
                    continue;
                };
                let (score, why) = need::of(table, options).unwrap_or((0.0, "asked for".to_owned()));
                all.push((table, score, why, true));
            }
        }
    } else if options.all {
        for table in upkeep.tables.iter().filter(|table| !table.partitioned) {
            let (score, why) = need::of(table, options).unwrap_or((0.0, "asked for".to_owned()));
            all.push((table, score, why, true));
        }
    } else {
        all.extend(upkeep.tables.iter().filter_map(of));
    }
    // A table that stands for its partitions has statistics of its own, which nobody else refreshes.
    let parents: Vec<&TableUpkeep> = upkeep
        .tables
        .iter()
        .filter(|table| table.partitioned && options.analyze)
        .filter(|table| all.iter().any(|(child, ..)| child.parent.as_ref() == Some(&table.name)))
        .collect();
    all.extend(
        parents.into_iter().map(|table| (table, 0.0, "its partitions are looked after".to_owned(), false)),
    );
    Ok(all)
}

fn how(options: &Options) -> Vacuuming {
    Vacuuming {
        full: options.full,
        freeze: options.freeze,
        analyze: options.analyze,
        // Whoever names tables for a full vacuum waits for them, as long as the limit allows.
        skip_locked: !options.full,
        truncate: options.truncate,
        parallel: options.parallel,
        buffer_limit: options.buffer_limit.clone(),
        index_cleanup: options.index_cleanup,
        without_toast: !options.toast,
    }
}

fn forbidden(table: &TableUpkeep, facts: &mut dyn Facts) -> Result<Finding> {
    let server = facts.server()?;
    let quoted = table.name.quoted();
    let remedy = match server.version_number >= 170_000 {
        true => format!("let its owner run `grant maintain on {quoted} to \"{}\"`", server.user),
        false => format!("run it as the owner of {quoted}, or of the database"),
    };
    Ok(Finding::warning("permission", &table.name, "this user may not vacuum it: it is left out", remedy))
}

/// A table that is written anew is there twice for a while.
fn room(steps: &[(f64, u64, Step)], facts: &mut dyn Facts) -> Result<Option<Finding>> {
    let largest = steps.iter().map(|(_, bytes, _)| *bytes).max().unwrap_or(0);
    let free = facts.pulse()?.free_disk_bytes;
    Ok(free.filter(|free| *free < largest).map(|free| {
        Finding::refuse(
            "disk",
            "full vacuum",
            format!(
                "the largest table takes {} again, and {} are free",
                bytes_said(largest),
                bytes_said(free)
            ),
            "free space on the database's disk, or leave out the largest table",
        )
    }))
}
