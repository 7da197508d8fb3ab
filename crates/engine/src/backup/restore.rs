//! From a backup to a database again: a new one, or in the place of the live one, as a whole.
//!
//! The live database is replaced only after the backup was checked, revived and counted beside it, and after the present
//! state was backed up. What others wrote since the backup is counted first, so that whoever decides knows it (W-119).

use super::check::identity;
use super::manifest::Backup;
use super::newer::{self, Lost};
use super::scratch::Scratch;
use super::take::dumping;
use super::{check, pipe};
use crate::engine::Engine;
use crate::error::{Error, Failure, Result};
use serde::Serialize;
use std::sync::Arc;
use targets::db::Database;

/// What came of restoring.
#[derive(Debug, Clone, Serialize)]
pub struct Restored {
    /// The backup.
    pub backup: String,
    /// The database that it is now.
    pub database: String,
    /// How long it took.
    pub seconds: f64,
    /// The backup of what was there before.
    pub before: Option<String>,
    /// Where what was there before is kept by the database itself.
    pub aside: Option<String>,
}

/// A backup that is a database again, beside the live one. It is discarded when dropped, unless it was put in its place.
pub struct Revived<'a> {
    engine: &'a Engine,
    backup: Backup,
    live: Arc<dyn Database>,
    name: String,
    seconds: f64,
    database: Option<Arc<dyn Database>>,
    _scratch: Scratch,
}

impl Engine {
    /// Makes a new database out of a backup: a file, or a database on the same server.
    pub fn restore_into(&self, backup: &Backup, place: &str, actor: &str) -> Result<Restored, Failure> {
        let policy = self.backup_policy()?;
        let began = self.clock().tick();
        let store = self.stores().store(&backup.store)?;
        let live = self.database(&backup.database)?;
        let scratch = Scratch::new(&policy.scratch, &backup.run)?;
        let how = dumping(policy, live.as_ref(), scratch.path());
        pipe::fetch(store.as_ref(), backup, identity(policy), scratch.path())?;
        live.copies().look(&how, scratch.path())?;
        live.copies().revive(&how, scratch.path(), place)?;
        self.audit(actor, "restore backup", &backup.id, place)?;
        let seconds = self.clock().tick().duration_since(began).as_secs_f64();
        Ok(Restored {
            backup: backup.id.clone(),
            database: place.to_owned(),
            seconds,
            before: None,
            aside: None,
        })
    }

    /// Makes a backup a database beside the live one, to be compared and then put in its place, or to take rows from.
    pub fn revive_backup(&self, backup: &Backup) -> Result<Revived<'_>, Failure> {
        let policy = self.backup_policy()?;
        let began = self.clock().tick();
        let store = self.stores().store(&backup.store)?;
        check::whole(store.as_ref(), backup)?;
        let live = self.database(&backup.database)?;
        let scratch = Scratch::new(&policy.scratch, &backup.run)?;
        let how = dumping(policy, live.as_ref(), scratch.path());
        pipe::fetch(store.as_ref(), backup, identity(policy), scratch.path())?;
        live.copies().look(&how, scratch.path())?;
        let name = live.copies().scratch_name(&how, &crate::engine::new_id());
        let database = live.copies().revive(&how, scratch.path(), &name)?;
        Ok(Revived {
            engine: self,
            backup: backup.clone(),
            live,
            name,
            seconds: self.clock().tick().duration_since(began).as_secs_f64(),
            database: Some(database),
            _scratch: scratch,
        })
    }
}

impl Revived<'_> {
    /// The backup as a database. Never the live one in its stead: what is read here is told as what was backed up.
    pub(super) fn database(&self) -> Result<&dyn Database> {
        self.database.as_deref().ok_or_else(|| {
            Error::system(format!(
                "the backup `{}` is no longer a database beside the live one",
                self.backup.id
            ))
            .help(format!("restore it again: `sexton backup restore {}`", self.backup.id))
        })
    }

    /// The live database.
    pub(super) fn live(&self) -> &dyn Database {
        self.live.as_ref()
    }

    /// The name that the database has beside the live one.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which backup it is.
    pub fn backup(&self) -> &Backup {
        &self.backup
    }

    /// What would be lost if the backup took the place of the live database, and what would come back.
    pub fn lost(&self) -> Result<Lost, Failure> {
        Ok(newer::compare(self.live.read()?.as_mut(), self.database()?.read()?.as_mut())?)
    }

    /// Puts it in the place of the live database, after a backup of the present state.
    pub fn replace(mut self, actor: &str) -> Result<Restored, Failure> {
        let engine = self.engine;
        let policy = engine.backup_policy()?;
        let name = self.backup.database.clone();
        let run = crate::engine::new_id();
        {
            let mut session = self.live.open()?;
            if !session.try_lock(&format!("restore {run} (process {})", std::process::id()))? {
                let holder = session.lock_holder()?.unwrap_or_else(|| "someone else".to_owned());
                return Err(Failure::Busy { database: name, holder });
            }
        }
        let began = engine.clock().tick();
        let before = engine.take_backup(&name, &run, policy).map_err(|failure| match failure {
            Failure::Error(error) => {
                Error { what: format!("nothing was restored: {}", error.what), ..error }.into()
            }
            other => other,
        })?;
        self.database = None;
        let stamp = engine.clock().now().strftime("%Y%m%dT%H%M%SZ").to_string().to_lowercase();
        let aside = self.live.copies().replace(&self.name, &format!("sexton_before_{stamp}_{run}"))?;
        engine.audit(actor, "restore backup", &self.backup.id, &format!("{name}, before: {}", before.id))?;
        let seconds = self.seconds + engine.clock().tick().duration_since(began).as_secs_f64();
        Ok(Restored {
            backup: self.backup.id.clone(),
            database: name,
            seconds,
            before: Some(before.id),
            aside,
        })
    }
}

impl Drop for Revived<'_> {
    fn drop(&mut self) {
        self.database = None;
        // After it took the place of the live one there is no database of this name any more.
        if let Err(error) = self.live.copies().discard(&self.name) {
            tracing::warn!(%error, name = %self.name, "a scratch database stays");
        }
    }
}
