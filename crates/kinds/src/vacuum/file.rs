//! The plan for a file: give free pages back, refresh statistics, look after the write-ahead log.

use super::options::Options;
use crate::upkeep::{self, Figures, Object, Task, bytes_said};
use engine::{Finding, Planned, Planning, Result};
use targets::db::{Chore, Facts, FileUpkeep, Upkeep, Vacuuming};

/// Free pages are worth it from this share on.
const FREE_PERCENT: f64 = 10.0;
/// Bytes a second of a file that is written anew.
const USUAL: f64 = 80e6;
/// A log longer than this that somebody pins is told.
const LONG_LOG: u64 = 64 << 20;

/// A file's figures.
pub fn figures(file: &FileUpkeep) -> Figures {
    Figures { dead: Some(file.free_pages), bytes: Some(file.pages * file.page_size) }
}

pub fn plan(
    options: &Options,
    file: &FileUpkeep,
    upkeep: &Upkeep,
    facts: &mut dyn Facts,
    planning: &Planning,
) -> Result<Planned> {
    let failed = !engine::failed_scopes(facts, &planning.request.name)?.is_empty();
    let mut findings = Vec::new();
    let mut steps = Vec::new();
    let share = 100.0 * file.free_pages as f64 / file.pages.max(1) as f64;
    let limit = options.if_bloat_over.unwrap_or(FREE_PERCENT);
    let asked = options.all || options.full || !options.tables.is_empty();
    let bytes = file.pages * file.page_size;
    let has_log = file.log_bytes.is_some();
    let mut expected = 0.0;
    let task = |chores: Vec<Chore>, why: String, before: Figures| Task {
        object: Object::File,
        chores,
        before,
        why,
        failed,
    };
    let statements = |chores: &[Chore], facts: &dyn Facts| -> Vec<String> {
        chores.iter().filter_map(|chore| facts.dialect().spell(chore).statement).collect()
    };
    if asked || (file.free_pages > 0 && share > limit) {
        let why = format!("{} of {} pages are free ({share:.0} %)", file.free_pages, file.pages);
        let about = vec![("size".to_owned(), bytes_said(bytes))];
        if file.incremental && !options.full {
            let chores = vec![Chore::GiveBack { pages: 1_000 }];
            let shown = statements(&chores, facts);
            steps.push(task(chores, why, figures(file)).step("give_back", about, shown)?);
        } else {
            let mut chores = vec![Chore::Vacuum { table: None, how: Vacuuming::default() }];
            // All of it went through the log, which would keep that length.
            if has_log {
                chores.push(Chore::ShortenLog);
            }
            let shown = statements(&chores, facts);
            expected += upkeep::expected(bytes, USUAL, planning.earlier);
            steps.push(task(chores, why, figures(file)).step("vacuum", about, shown)?);
            findings.extend(room(bytes, facts)?);
        }
    }
    let wanted = upkeep.tables.iter().filter(|table| table.wants_statistics == Some(true)).count();
    if options.analyze && (asked || wanted > 0) {
        let chores = match options.all {
            true => vec![Chore::Analyze { table: None }, Chore::Optimize],
            false => vec![Chore::Optimize],
        };
        let shown = statements(&chores, facts);
        let why = if wanted > 0 {
            format!("the planner misses statistics of {wanted} tables")
        } else {
            "asked for".to_owned()
        };
        steps.push(task(chores, why, Figures::default()).step("analyze", Vec::new(), shown)?);
    }
    if let Some(log) = file.log_bytes.filter(|log| *log > LONG_LOG) {
        findings.extend(pinned(file, log));
        if log > options.shorten_log_over_mb << 20 {
            let chores = vec![Chore::ShortenLog];
            let shown = statements(&chores, facts);
            let why = format!("the write-ahead log has {}", bytes_said(log));
            steps.push(task(chores, why, Figures::default()).step("shorten_log", Vec::new(), shown)?);
        }
    }
    Ok(Planned {
        expected_seconds: (expected > 0.0).then_some(expected),
        steps,
        findings,
        outside: true,
        ..Planned::default()
    })
}

/// The copy lies beside the file first, then in the log or the journal.
fn room(bytes: u64, facts: &mut dyn Facts) -> Result<Option<Finding>> {
    let free = facts.pulse()?.free_disk_bytes;
    Ok(free.filter(|free| *free < 2 * bytes).map(|free| {
        Finding::refuse(
            "disk",
            "vacuum",
            format!("{} are needed for a while, and {} are free", bytes_said(2 * bytes), bytes_said(free)),
            "free space on the disk of the database",
        )
    }))
}

fn pinned(file: &FileUpkeep, log: u64) -> Option<Finding> {
    let readers: Vec<String> =
        file.log_readers.iter().map(|(pid, program)| format!("{program} ({pid})")).collect();
    (!readers.is_empty()).then(|| {
        Finding::warning(
            "pinned",
            "write-ahead log",
            format!(
                "it has {} and cannot be begun anew while these read from it: {}",
                bytes_said(log),
                readers.join(", ")
            ),
            "end their long reads: a statement that was not read to its end counts, too",
        )
    })
}
