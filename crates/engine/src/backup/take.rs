//! Taking a backup: room is looked for, the dump goes into the store and is checked, and then gets its manifest.
//!
//! Checksums are of what went through on the way. Only a store that cannot promise that it has what it was given is read again.

use super::manifest::{Backup, Passed, Proof, list};
use super::scratch::Scratch;
use super::{BackupPolicy, BackupWish, check, names, pipe};
use crate::engine::{Engine, new_id};
use crate::error::{Error, Failure, Result};
use std::sync::Arc;
use targets::db::{Contents, Database, Dumping};
use targets::files::Files;

/// A copy of pages, and the folder that goes with it.
pub(crate) type PageCopy = (Scratch, Arc<dyn Database>);

/// How much larger than the one before a backup may be without being refused for lack of room.
const GROWTH: f64 = 1.2;

impl Engine {
    /// Takes a backup and forgets those whose time is over.
    pub(crate) fn take_backup(
        &self,
        database: &str,
        run: &str,
        policy: &BackupPolicy,
    ) -> Result<Backup, Failure> {
        let taken = self
            .take(database, run, policy)
            .map_err(|error| error.while_doing(&format!("the backup of `{database}` failed")));
        let backup = taken?;
        // The new one is there: a failure to tidy up must not spoil that.
        let pruned = self.only_with_a_clock().and_then(|()| Ok(self.prune(policy, Some(database))?));
        if let Err(error) = pruned {
            tracing::warn!(%error, database, "old backups cannot be removed");
        }
        Ok(backup)
    }

    fn take(&self, name: &str, run: &str, policy: &BackupPolicy) -> Result<Backup> {
        let store = self.stores().store(&policy.store)?;
        let database = self.parts().databases.database(name)?;
        let bytes = database.read()?.server()?.bytes;
        enough_room(store.as_ref(), policy, name, bytes)?;
        let scratch = Scratch::new(&policy.scratch, run)?;
        let began = self.clock().tick();
        let taken_at = self.clock().now();
        let mut backup = Backup {
            version: 0,
            id: names::id(name, taken_at, run),
            database: name.to_owned(),
            engine: database.dialect().name().to_owned(),
            run: run.to_owned(),
            taken_at,
            seconds: 0.0,
            contents: Contents::default(),
            compression: (policy.compression > 0).then(|| "zstd".to_owned()),
            encryption: policy.recipient.as_ref().map(|_| "age".to_owned()),
            files: Vec::new(),
            checked: None,
            seal: String::new(),
            store: policy.store.clone(),
            path: String::new(),
        };
        let how = dumping(policy, database.as_ref(), scratch.path());
        let outcome = fill(&mut backup, policy, store.as_ref(), database.as_ref(), &how).and_then(|()| {
            backup.seconds = self.clock().tick().duration_since(began).as_secs_f64();
            drop(scratch);
            let began = self.clock().tick();
            if store.needs_reading_back() {
                check::whole(store.as_ref(), &backup)?;
            }
            let proved = match policy.check {
                Proof::Quick => Ok(()),
                Proof::Restore => self.rehearse(&backup, policy, &[]).and_then(check::without_findings),
            };
            backup.checked = Some(Passed {
                how: policy.check,
                at: self.clock().now(),
                seconds: self.clock().tick().duration_since(began).as_secs_f64(),
            });
            proved.and_then(|()| backup.write(store.as_ref()))
        });
        if let Err(error) = outcome {
            for file in &backup.files {
                if let Err(error) = store.remove(&file.name) {
                    tracing::warn!(%error, file = %file.name, "a file of a failed backup stays");
                }
            }
            return Err(error);
        }
        backup.path = store.place(&backup.files[0].name);
        Ok(backup)
    }

    /// A copy of the pages of a database and the folder that it is in, where the database can be copied like that.
    pub(crate) fn copy_to_look_at(&self, database: &dyn Database) -> Result<Option<PageCopy>> {
        let Some(policy) = &self.parts().backups else {
            return Err(Error::usage("there is no folder for a copy: backups are switched off").help(
                "set `enabled = true` in `[backup]`, or look at the database itself (`on_copy = false`)",
            ));
        };
        let scratch = Scratch::new(&policy.scratch, &new_id())?;
        let copy = database.copies().pages(&dumping(policy, database, scratch.path()))?;
        Ok(copy.map(|copy| (scratch, copy)))
    }

    /// Whether a backup is still what was written: every file is read again.
    pub(crate) fn backup_is_whole(&self, backup: &Backup) -> Result<()> {
        let store = self.stores().store(&backup.store)?;
        check::whole(store.as_ref(), backup)
    }
}

/// Refuses a form that the database does not have. In `[backup]` it may be that of the other kind of database.
pub(crate) fn check_format(wish: &BackupWish, database: &dyn Database) -> Result<()> {
    let formats = database.copies().formats();
    match &wish.format {
        Some(format) if !formats.contains(&format.as_str()) => Err(Error::usage(format!(
            "there is no form `{format}` of a backup of {}",
            database.dialect().name()
        ))
        .help(format!("the forms are {}", formats.join(", ")))),
        _ => Ok(()),
    }
}

/// How the back end is asked.
pub(super) fn dumping(policy: &BackupPolicy, database: &dyn Database, scratch: &std::path::Path) -> Dumping {
    // The configuration may name the form of one kind of database where there are both kinds.
    let known = |format: &String| database.copies().formats().contains(&format.as_str());
    Dumping {
        scratch: scratch.to_owned(),
        format: policy.format.clone().filter(known),
        jobs: policy.jobs,
        programs: policy.programs.clone(),
    }
}

fn fill(
    backup: &mut Backup,
    policy: &BackupPolicy,
    store: &dyn Files,
    database: &dyn Database,
    how: &Dumping,
) -> Result<()> {
    let format = how.format.clone().unwrap_or_else(|| database.copies().formats()[0].to_owned());
    let alone = format != "directory";
    let about = backup.clone();
    // The last part becomes visible only when the dump as a whole has succeeded.
    let mut last: Option<pipe::Pending> = None;
    let mut files = Vec::new();
    let contents = database.copies().dump(how, &mut |part, from| {
        if let Some(before) = last.take() {
            files.push(before.finish()?);
        }
        files.retain(|file: &super::StoredPart| file.part != part);
        last = Some(pipe::send(store, &about, part, alone, policy, from)?);
        Ok(())
    });
    // What is visible already must be known, so that it can be removed.
    backup.files = files;
    backup.contents = contents?;
    let Some(last) = last else {
        return Err(Error::system("the dump has no content"));
    };
    backup.files.push(last.finish()?);
    if backup.plain_bytes() == 0 {
        return Err(
            Error::system("the dump is empty").help("look at the database, and at the log of its server")
        );
    }
    Ok(())
}

/// Refuses what would not fit. The last backup tells best how large the next one will be.
pub(super) fn enough_room(
    store: &dyn Files,
    policy: &BackupPolicy,
    database: &str,
    database_bytes: u64,
) -> Result<()> {
    let Some(free) = store.free_bytes()? else { return Ok(()) };
    let needed = expected_bytes(store, policy, database, database_bytes)?;
    if free >= needed {
        return Ok(());
    }
    Err(Error::system(format!(
        "not enough room in `{}`: {needed} bytes are needed, {free} bytes are free",
        store.label()
    ))
    .help(format!(
        "make room there (df -h), remove old backups (`sexton backup prune`), or name another store in `[backup]`: it is `{}` now",
        store.place("")
    )))
}

/// How large a backup will be, as far as anybody knows.
pub(super) fn expected_bytes(
    store: &dyn Files,
    policy: &BackupPolicy,
    database: &str,
    database_bytes: u64,
) -> Result<u64> {
    let (known, _) = list(store, policy, Some(database))?;
    Ok(known.first().map_or(database_bytes, |last| (last.bytes() as f64 * GROWTH) as u64))
}
