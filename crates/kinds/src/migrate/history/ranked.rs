//! Histories that only grow: the last row of a migration says what it is. goose and Flyway.

use super::known::{Known, place};
use super::{Rows, is_true, moment};
use crate::migrate::model::{Applied, Migration, State};
use engine::Result;
use std::path::Path;

/// `goose_db_version`: version 0 is goose's own beginning.
pub(super) fn goose(rows: Rows, known: &Known) -> Result<Vec<Applied>> {
    let rows = rows.texts(&["version_id", "is_applied", "tstamp"], "id")?;
    let mut all = Last::default();
    for row in &rows {
        let version = row[0].as_deref().unwrap_or_default();
        if version == "0" {
            continue;
        }
        let state = if is_true(row[1].as_ref()) { State::Applied } else { State::RolledBack };
        all.put(Applied { at: moment::read(row[2].as_ref()), ..known.entry(version, state) });
    }
    Ok(all.0)
}

/// `flyway_schema_history`.
pub(super) fn flyway(rows: Rows, known: &Known) -> Result<Vec<Applied>> {
    const COLUMNS: [&str; 8] =
        ["version", "description", "type", "script", "checksum", "installed_on", "execution_time", "success"];
    let rows = rows.texts(&COLUMNS, "installed_rank")?;
    let mut all = Last::default();
    for row in &rows {
        let [version, description, sort, script, checksum, at, duration, success] = row.as_slice() else {
            continue;
        };
        let sort = sort.as_deref().unwrap_or_default();
        let ran = Applied {
            description: description.clone(),
            at: moment::read(at.as_ref()),
            duration_ms: duration.as_ref().and_then(|time| time.parse().ok()),
            checksum: checksum.clone(),
            ..Applied::default()
        };
        // a failed row stays only where there was no transaction to take it back
        let state = if is_true(success.as_ref()) { State::Applied } else { State::Interrupted };
        match (sort, version) {
            ("SCHEMA", _) => {}
            ("DELETE", _) => {
                all.forget(&entry_id(known, version.as_deref(), script.as_deref(), description.as_deref()))
            }
            ("BASELINE", Some(version)) => all.baseline(known, version, ran, false),
            (sort, Some(version)) if sort.ends_with("BASELINE") => all.baseline(known, version, ran, true),
            (sort, Some(version)) if sort.starts_with("UNDO") => {
                let entry = known.entry(version, state);
                let state = if state == State::Applied { State::RolledBack } else { state };
                all.put(Applied { id: entry.id, version: entry.version, state, checksum: None, ..ran });
            }
            (_, Some(version)) => {
                let entry = known.entry(version, state);
                all.put(Applied { id: entry.id, version: entry.version, state, ..ran });
            }
            (_, None) => {
                let id = entry_id(known, None, script.as_deref(), description.as_deref());
                all.put(Applied { id, state, ..ran });
            }
        }
    }
    Ok(all.0)
}

/// The id of a versioned or of a repeatable migration.
fn entry_id(known: &Known, version: Option<&str>, script: Option<&str>, description: Option<&str>) -> String {
    if let Some(version) = version {
        return known.entry(version, State::Applied).id;
    }
    let stem =
        Path::new(script.unwrap_or_default()).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let same = |migration: &&Migration| {
        migration.repeatable && (migration.id == stem || Some(migration.description.as_str()) == description)
    };
    known.migrations.iter().find(same).map_or(stem, |migration| migration.id.clone())
}

/// One entry for each id, in the order in which they last came.
#[derive(Default)]
struct Last(Vec<Applied>);

impl Last {
    fn put(&mut self, entry: Applied) {
        self.forget(&entry.id);
        self.0.push(entry);
    }

    fn forget(&mut self, id: &str) {
        self.0.retain(|kept| kept.id != id);
    }

    /// Everything up to this version counts as in; `ran`: the file of the baseline itself was run.
    fn baseline(&mut self, known: &Known, version: &str, entry: Applied, ran: bool) {
        let here = place(version);
        let below = known.migrations.iter().filter(|one| !one.repeatable && one.place() <= here);
        let ids: Vec<(String, String)> = below.map(|one| (one.id.clone(), one.version.clone())).collect();
        for (id, below) in ids {
            if known.version(version).is_none_or(|one| one.id != id) {
                self.put(Applied {
                    id,
                    version: below,
                    state: State::Baseline,
                    at: entry.at,
                    ..Applied::default()
                });
            }
        }
        let state = if ran { State::Applied } else { State::Baseline };
        let (id, checksum) = (known.entry(version, state).id, entry.checksum.clone().filter(|_| ran));
        self.put(Applied { id, version: version.to_owned(), state, checksum, ..entry });
    }
}
