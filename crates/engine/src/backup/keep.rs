//! Which backups stay: the newest few always, those younger than the limit, and those of runs that were never verified.

use super::BackupPolicy;
use super::manifest::{Backup, list};
use super::names;
use crate::engine::Engine;
use crate::error::{Failure, Result};
use crate::status::Status;
use jiff::{SignedDuration, Timestamp};
use targets::files::Files;

/// Files without a manifest are left alone for so long: another process may be about to write it.
const LEFTOVER: SignedDuration = SignedDuration::from_hours(24);

/// What was removed.
#[derive(Debug, Clone, Default)]
pub struct Pruned {
    /// The backups, oldest first.
    pub removed: Vec<Backup>,
    /// Too old, but the run they were made for was never verified.
    pub kept_for_runs: Vec<Backup>,
    /// Files that a process left when it died.
    pub leftovers: Vec<String>,
}

impl Engine {
    /// Removes backups whose time is over, of one database or of all. With `dry_run` it only says which.
    pub fn prune_backups(
        &self,
        database: Option<&str>,
        dry_run: bool,
        actor: &str,
    ) -> Result<Pruned, Failure> {
        let policy = self.backup_policy()?;
        let pruned = match dry_run {
            true => self.prunable(policy, database)?,
            false => {
                self.only_with_a_clock()?;
                self.prune(policy, database)?
            }
        };
        if !dry_run {
            for backup in &pruned.removed {
                self.audit(actor, "remove backup", &backup.id, &backup.database)?;
            }
        }
        Ok(pruned)
    }

    pub(super) fn prune(&self, policy: &BackupPolicy, database: Option<&str>) -> Result<Pruned> {
        let pruned = self.prunable(policy, database)?;
        let store = self.stores().store(&policy.store)?;
        for backup in &pruned.removed {
            // The manifest first: without it the backup is gone as a whole.
            store.remove(&names::manifest(&backup.database, &backup.id))?;
            for file in &backup.files {
                store.remove(&file.name)?;
            }
        }
        for name in &pruned.leftovers {
            store.remove(name)?;
        }
        Ok(pruned)
    }

    fn prunable(&self, policy: &BackupPolicy, database: Option<&str>) -> Result<Pruned> {
        let store = self.stores().store(&policy.store)?;
        let (backups, broken) = list(store.as_ref(), policy, database)?;
        let now = self.clock().now();
        let oldest = policy.keep.before(now)?;
        let mut pruned = Pruned::default();
        let mut seen: Vec<(&str, usize)> = Vec::new();
        for backup in &backups {
            let place = seen.iter().position(|(name, _)| *name == backup.database).unwrap_or_else(|| {
                seen.push((&backup.database, 0));
                seen.len() - 1
            });
            seen[place].1 += 1;
            // The newest stays whatever is configured.
            let one_of_the_newest = seen[place].1 <= policy.keep_at_least.max(1);
            if one_of_the_newest || backup.taken_at >= oldest {
                continue;
            }
            match self.was_verified(&backup.run) {
                true => pruned.removed.push(backup.clone()),
                false => pruned.kept_for_runs.push(backup.clone()),
            }
        }
        pruned.removed.reverse();
        // With a manifest that cannot be read nobody knows which files belong to it.
        if broken.is_empty() {
            pruned.leftovers = leftovers(store.as_ref(), &backups, database, now)?;
        }
        Ok(pruned)
    }

    /// Whether the run that took a backup came to a good end; also when nobody remembers it any more.
    fn was_verified(&self, run: &str) -> bool {
        let Ok(record) = self.run_record(run) else { return true };
        matches!(record.report().status, Status::Completed | Status::Skipped | Status::Refused)
    }
}

fn leftovers(
    store: &dyn Files,
    backups: &[Backup],
    database: Option<&str>,
    now: Timestamp,
) -> Result<Vec<String>> {
    let known = |name: &str| backups.iter().flat_map(|backup| &backup.files).any(|file| file.name == name);
    let prefix = database.map(names::folder).unwrap_or_default();
    let limit = (now - LEFTOVER).as_microsecond();
    let ours = |name: &str| [".zst", ".age", ".db", ".dump", ".dat"].iter().any(|end| name.ends_with(end));
    Ok(store
        .list(&prefix)?
        .into_iter()
        .filter(|file| ours(&file.name) && file.name.contains('/') && is_stamped(&file.name))
        .filter(|file| file.modified_us < limit && !known(&file.name))
        .map(|file| file.name)
        .collect())
}

/// Whether the name is one that only a backup has: `…/main-20261120T170502Z-7f3….zst`.
fn is_stamped(name: &str) -> bool {
    name.split(['-', '/', '.']).any(|word| {
        word.len() == 16
            && word.ends_with('Z')
            && word.as_bytes()[8] == b'T'
            && word[..8].bytes().all(|b| b.is_ascii_digit())
    })
}
