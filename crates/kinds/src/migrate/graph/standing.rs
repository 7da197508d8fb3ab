//! What each migration is in a database: the answer to `status`.

use super::by_id;
use super::order::place_key;
use crate::migrate::model::{Applied, Migration, State};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// One migration, as files and history know it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Its id.
    pub id: String,
    /// As the history spells it.
    pub version: String,
    /// What it does, in words.
    pub description: String,
    /// What it is.
    pub state: State,
    /// Since when.
    pub at: Option<jiff::Timestamp>,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// It is in, and its file is another by now.
    pub changed: bool,
    /// It is in, and its file is gone.
    pub missing: bool,
    /// It is not in, though later ones are.
    pub out_of_order: bool,
    /// Whether there is a way back.
    pub reversible: bool,
}

/// All migrations, those of the directory in its order, each one without a file where its place would be.
pub fn standings(migrations: &[Migration], applied: &[Applied]) -> Vec<Standing> {
    let history = by_id(applied);
    let known: HashSet<&str> = migrations.iter().map(|migration| migration.id.as_str()).collect();
    let last = last_in(migrations, applied);
    let by_text = migrations.iter().any(|migration| migration.sorted_as.is_some());
    let gone = applied.iter().filter(|entry| !known.contains(entry.id.as_str())).map(|entry| Migration {
        id: entry.id.clone(),
        number: entry.version.parse().ok(),
        version: entry.version.clone(),
        sorted_as: by_text.then(|| entry.version.clone()),
        description: entry.description.clone().unwrap_or_default(),
        ..Migration::default()
    });
    let mut all: Vec<Migration> = migrations.iter().cloned().chain(gone).collect();
    match super::order(&all, &super::Policy::lenient()).map(|sequence| rank(&sequence)) {
        Ok(rank) => all.sort_by_key(|migration| rank.get(&migration.id).copied()),
        Err(_) => all.sort_by_cached_key(place_key),
    }
    all.into_iter()
        .map(|migration| {
            let entry = history.get(migration.id.as_str());
            let state = entry.map_or(State::Pending, |entry| entry.state);
            let here = known.contains(migration.id.as_str());
            Standing {
                state,
                at: entry.and_then(|entry| entry.at),
                duration_ms: entry.and_then(|entry| entry.duration_ms),
                changed: here && state.is_in() && entry.is_some_and(|entry| is_changed(&migration, entry)),
                missing: !here && state == State::Applied,
                out_of_order: is_late(&migration, state, last.as_deref()),
                reversible: migration.down.is_some(),
                id: migration.id,
                version: migration.version,
                description: migration.description,
            }
        })
        .collect()
}

fn rank(sequence: &super::Sequence<'_>) -> HashMap<String, usize> {
    sequence.ids().into_iter().enumerate().map(|(n, id)| (id.to_owned(), n)).collect()
}

/// Whether the file is another than the one that ran, as far as the history keeps what is needed to tell.
pub fn is_changed(migration: &Migration, entry: &Applied) -> bool {
    entry.checksum.as_ref().is_some_and(|kept| {
        *kept != migration.checksum
            && migration.foreign_checksum.as_ref().is_none_or(|foreign| kept != foreign)
    })
}

/// The furthest place that is in.
pub(super) fn last_in(migrations: &[Migration], applied: &[Applied]) -> Option<Vec<u64>> {
    let history = by_id(applied);
    let is_in =
        |migration: &&Migration| history.get(migration.id.as_str()).is_some_and(|entry| entry.state.is_in());
    migrations.iter().filter(|one| !one.repeatable).filter(is_in).filter_map(Migration::place).max()
}

/// Whether it should have come before one that is in.
pub(super) fn is_late(migration: &Migration, state: State, last: Option<&[u64]>) -> bool {
    let place = migration.place();
    !migration.repeatable
        && !state.is_in()
        && state != State::Interrupted
        && place.is_some_and(|place| last.is_some_and(|last| place.as_slice() < last))
}
