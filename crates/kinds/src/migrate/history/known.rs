//! Which file an entry of a history belongs to.

use crate::migrate::model::{Applied, Migration, State};
use std::collections::HashMap;

/// The migrations of a directory, by what histories call them.
pub(super) struct Known<'a> {
    pub(super) migrations: &'a [Migration],
    by_version: HashMap<&'a str, &'a Migration>,
    by_place: HashMap<Vec<u64>, &'a Migration>,
}

impl<'a> Known<'a> {
    pub(super) fn new(migrations: &'a [Migration]) -> Self {
        let mut known = Self { migrations, by_version: HashMap::new(), by_place: HashMap::new() };
        for migration in migrations.iter().filter(|migration| !migration.repeatable) {
            known.by_version.entry(&migration.version).or_insert(migration);
            if let Some(place) = migration.place() {
                known.by_place.entry(place).or_insert(migration);
            }
        }
        known
    }

    /// The migration of this version, however many zeros it begins with here and there.
    pub(super) fn version(&self, version: &str) -> Option<&'a Migration> {
        self.by_version.get(version).copied().or_else(|| self.by_place.get(&place(version)?).copied())
    }

    /// An entry for this version.
    pub(super) fn entry(&self, version: &str, state: State) -> Applied {
        let id = self.version(version).map_or_else(|| version.to_owned(), |migration| migration.id.clone());
        Applied { id, version: version.to_owned(), state, ..Applied::default() }
    }
}

/// The numbers in a version.
pub(super) fn place(version: &str) -> Option<Vec<u64>> {
    Migration { version: version.to_owned(), ..Migration::default() }.place()
}
