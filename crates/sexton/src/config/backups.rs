//! `[backup]`: from the section to the policy, with the folders that are used when none is named.

use super::sections::BackupSection;
use super::{StorePlace, StoreSetting};
use engine::BackupPolicy;
use engine::backup::{Assertion, External};
use secrecy::SecretString;
use std::path::Path;

/// The name of the store that is there without being configured.
pub const STORE: &str = "backups";

/// A folder inside the state folder.
pub fn usual_store(state: &Path) -> StoreSetting {
    StoreSetting { name: STORE.to_owned(), place: StorePlace::Folder(state.join("backups")), usual: true }
}

/// How backups are made and kept. Paths begin at `folder`.
pub fn policy(
    section: BackupSection,
    folder: &Path,
    state: &Path,
    identity: Option<SecretString>,
) -> BackupPolicy {
    BackupPolicy {
        store: section.store.unwrap_or_else(|| STORE.to_owned()),
        keep: section.keep,
        keep_at_least: section.keep_at_least,
        compression: section.compression,
        check: section.check,
        fresh: section.fresh,
        format: section.format,
        jobs: section.jobs,
        programs: section.programs.map(|programs| folder.join(programs)),
        scratch: section.scratch.map_or_else(|| state.join("scratch"), |scratch| folder.join(scratch)),
        recipient: section.recipient,
        identity,
        assertions: section
            .assertions
            .into_iter()
            .map(|assertion| Assertion { database: assertion.database, sql: assertion.sql })
            .collect(),
        restore_within: section.restore_within,
        external: section
            .external
            .into_iter()
            .map(|one| External {
                database: one.database,
                tool: one.tool,
                command: one.command,
                max_age: one.max_age,
            })
            .collect(),
    }
}
