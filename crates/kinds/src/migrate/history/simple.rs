//! Histories with one row for each migration that is in: dbmate and Rails, Diesel, sqlx, refinery, an application's own;
//! and golang-migrate's, which has one row for all.

use super::known::Known;
use super::{Rows, is_true, moment};
use crate::migrate::directory::dumped_versions;
use crate::migrate::model::{Applied, Migration, State};
use engine::Result;
use std::collections::HashSet;

type Texts = Vec<Option<String>>;

fn version_of(row: &Texts) -> &str {
    row.first().and_then(Option::as_deref).unwrap_or_default()
}

fn column(row: &Texts, n: usize) -> Option<&String> {
    row.get(n).and_then(Option::as_ref)
}

/// `schema_migrations (version)`: what is listed is in. A dump stands for the versions that it lists itself.
pub(super) fn versions(rows: Rows, known: &Known) -> Result<Vec<Applied>> {
    let rows = rows.texts(&["version"], "version")?;
    let listed: Vec<&str> = rows.iter().map(version_of).collect();
    let dump = known.migrations.iter().find(|migration| !dumped_versions(&migration.up).is_empty());
    let Some(dump) = dump else {
        return Ok(listed.into_iter().map(|version| known.entry(version, State::Applied)).collect());
    };
    Ok(dumped(dump, &listed))
}

/// What a dump is in a database with these versions, and the versions that came after it.
fn dumped(dump: &Migration, listed: &[&str]) -> Vec<Applied> {
    let stands_for = dumped_versions(&dump.up);
    let there: HashSet<&str> = listed.iter().copied().collect();
    let inside: HashSet<&str> = stands_for.iter().map(String::as_str).collect();
    let mut all = Vec::new();
    let present = inside.intersection(&there).count();
    if present > 0 {
        let state = if present == inside.len() { State::Baseline } else { State::Interrupted };
        let (id, version) = (dump.id.clone(), dump.version.clone());
        all.push(Applied { id, version, state, ..Applied::default() });
    }
    let later = listed.iter().filter(|version| !inside.contains(*version));
    all.extend(later.map(|version| Applied {
        id: (*version).to_owned(),
        version: (*version).to_owned(),
        state: State::Applied,
        ..Applied::default()
    }));
    all
}

/// `schema_migrations (version, dirty)`: the one row is how far it got; everything up to there is in.
pub(super) fn dirty(rows: Rows, known: &Known) -> Result<Vec<Applied>> {
    let rows = rows.texts(&["version", "dirty"], "version")?;
    let Some(row) = rows.last() else { return Ok(Vec::new()) };
    // -1 says that there is no version: all was taken out, or the taking out of the first one failed
    let Ok(reached) = version_of(row).parse::<u64>() else { return Ok(Vec::new()) };
    let mut all: Vec<Applied> = known
        .migrations
        .iter()
        .filter(|migration| migration.number.is_some_and(|number| number < reached))
        .map(|migration| known.entry(&migration.version, State::Applied))
        .collect();
    let stuck = is_true(column(row, 1));
    all.push(known.entry(version_of(row), if stuck { State::Interrupted } else { State::Applied }));
    Ok(all)
}

/// `__diesel_schema_migrations`.
pub(super) fn diesel(rows: Rows, known: &Known) -> Result<Vec<Applied>> {
    let rows = rows.texts(&["version", "run_on"], "version")?;
    let entry = |row: &Texts| Applied {
        at: moment::read(column(row, 1)),
        ..known.entry(version_of(row), State::Applied)
    };
    Ok(rows.iter().map(entry).collect())
}

/// `migrations (version, description, executed_at)`.
pub(super) fn plain(rows: Rows, known: &Known) -> Result<Vec<Applied>> {
    let rows = rows.texts(&["version", "description", "executed_at"], "version")?;
    let entry = |row: &Texts| Applied {
        description: column(row, 1).cloned(),
        at: moment::read(column(row, 2)),
        ..known.entry(version_of(row), State::Applied)
    };
    Ok(rows.iter().map(entry).collect())
}

/// `_sqlx_migrations`: a row without success is one that ran without a transaction and stopped.
pub(super) fn sqlx(rows: Rows, known: &Known) -> Result<Vec<Applied>> {
    const COLUMNS: [&str; 6] =
        ["version", "description", "installed_on", "success", "checksum", "execution_time"];
    let rows = rows.texts(&COLUMNS, "version")?;
    let entry = |row: &Texts| {
        let state = if is_true(column(row, 3)) { State::Applied } else { State::Interrupted };
        Applied {
            description: column(row, 1).cloned(),
            at: moment::read(column(row, 2)),
            checksum: column(row, 4).cloned(),
            // nanoseconds; -1 while it runs
            duration_ms: column(row, 5)
                .and_then(|time| time.parse::<u64>().ok())
                .map(|time| time / 1_000_000),
            ..known.entry(version_of(row), state)
        }
    };
    Ok(rows.iter().map(entry).collect())
}

/// `refinery_schema_history`.
pub(super) fn refinery(rows: Rows, known: &Known) -> Result<Vec<Applied>> {
    let rows = rows.texts(&["version", "name", "applied_on", "checksum"], "version")?;
    let entry = |row: &Texts| Applied {
        description: column(row, 1).map(|name| name.replace('_', " ")),
        at: moment::read(column(row, 2)),
        checksum: column(row, 3).cloned(),
        ..known.entry(version_of(row), State::Applied)
    };
    Ok(rows.iter().map(entry).collect())
}
