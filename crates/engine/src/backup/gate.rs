//! The backup gate of a run: an operation that needs a backup does not begin without a fresh one, and the operation
//! that is a backup.
//!
//! One backup serves a whole run. When it fails, everything else that needs it is skipped with the reason.

use super::external::{External, Outside, newest};
use super::manifest::{Backup, list};
use super::take::{enough_room, expected_bytes};
use super::{BackupPolicy, BackupWish};
use crate::engine::Engine;
use crate::error::{Error, Failure, Result};
use crate::event::What;
use crate::finding::Finding;
use crate::plan::Item;
use crate::request::{OperationRequest, forbidding};
use crate::run::Run;
use jiff::Timestamp;

/// What the gate of one run remembers.
#[derive(Default)]
pub(crate) struct Gate {
    taken: Vec<Backup>,
    failed: Vec<String>,
}

impl Gate {
    /// Why an operation cannot be run: the backup that it needs failed in this run.
    pub fn reason_to_skip(&self, operation: &OperationRequest) -> Option<String> {
        let failed = operation.backup && self.failed.contains(&operation.database);
        failed.then(|| format!("it needs a backup of `{}`, which failed in this run", operation.database))
    }
}

impl Engine {
    /// What the plan says of the backup that an operation needs: a note, or why there will be none.
    pub(crate) fn foresee_backup(&self, request: &OperationRequest, bytes: u64, now: Timestamp) -> Finding {
        let remedy = "look at `[backup]`, or set `backup = false` for this operation";
        let Some(policy) = &self.parts().backups else {
            let what = "it needs a backup, and backups are switched off";
            return Finding::forbid("no_backup", &request.name, what, remedy);
        };
        let foreseen = (|| -> Result<String> {
            if let Some((external, newest)) = outside(policy, &request.database, now)? {
                return Ok(format!(
                    "{} has the backup `{}` of {}",
                    external.tool.name(),
                    newest.label,
                    newest.at
                ));
            }
            if let Some(backup) = self.newest_fresh(&request.database, policy, now)? {
                let minutes = now.duration_since(backup.taken_at).as_mins().max(0);
                return Ok(format!("the backup `{}` will do, it is {minutes} min old", backup.id));
            }
            let store = self.stores().store(&policy.store)?;
            enough_room(store.as_ref(), policy, &request.database, bytes)?;
            let expected = expected_bytes(store.as_ref(), policy, &request.database, bytes)?;
            Ok(format!(
                "a backup will be taken first, at most {} MB, into `{}`",
                expected.div_ceil(1_000_000),
                policy.store
            ))
        })();
        match foreseen {
            Ok(what) => Finding::note("backup", &request.database, what, ""),
            Err(error) => {
                let help = error.help.clone().unwrap_or_else(|| remedy.to_owned());
                let what = format!("there can be no backup: {}", crate::error::chain(&error));
                Finding::forbid("no_backup", &request.name, what, help)
            }
        }
    }

    /// Why there is no room for a backup, if there is none.
    pub(crate) fn room_for_backup(
        &self,
        request: &OperationRequest,
        wish: &BackupWish,
        bytes: u64,
    ) -> Option<Finding> {
        let policy = self.parts().backups.as_ref()?.with(wish);
        let enough = self
            .stores()
            .store(&policy.store)
            .and_then(|store| enough_room(store.as_ref(), &policy, &request.database, bytes));
        let error = enough.err()?;
        let help = error.help.clone().unwrap_or_else(|| "look at `[backup]`".to_owned());
        Some(Finding::forbid("no_room", &request.database, crate::error::chain(&error), help))
    }

    /// The newest backup that is young enough and was checked.
    fn newest_fresh(&self, database: &str, policy: &BackupPolicy, now: Timestamp) -> Result<Option<Backup>> {
        let store = self.stores().store(&policy.store)?;
        let oldest = policy.fresh.before(now)?;
        let (backups, _) = list(store.as_ref(), policy, Some(database))?;
        // One from the future is a wrong clock's and proves nothing.
        Ok(backups
            .into_iter()
            .find(|backup| backup.checked.is_some() && backup.taken_at >= oldest && backup.taken_at <= now))
    }
}

impl Run<'_, '_> {
    /// Lets an operation pass that needs no backup, has one from an earlier attempt, or gets one now.
    pub(crate) fn back_up(&mut self, n: usize, item: &Item) -> Result<(), Failure> {
        if !item.operation.backup || self.has_backup(n) {
            return Ok(());
        }
        let engine = self.engine;
        self.pass(n, item, engine.backup_policy()?, true)
    }

    fn has_backup(&self, n: usize) -> bool {
        let own = |event: &&crate::event::Event| event.item == Some(n);
        self.journal.events().iter().filter(own).any(|event| matches!(event.what, What::BackedUp { .. }))
    }

    /// Where the backup is that was taken for the n-th operation.
    pub(crate) fn backup_of(&self, n: usize) -> Option<String> {
        self.journal.events().iter().rev().find_map(|event| match &event.what {
            What::BackedUp { path, .. } if event.item == Some(n) => Some(path.clone()),
            _ => None,
        })
    }

    /// The operation that is a backup. It only reads: no right to maintain is taken and no session that may write opened.
    pub(crate) fn only_back_up(
        &mut self,
        n: usize,
        item: &Item,
        wish: &BackupWish,
        resumed: bool,
    ) -> Result<(), Failure> {
        if !resumed {
            let fingerprint = self.plan.fingerprint.clone();
            self.log(n, What::Planned { matched: 0, fingerprint })?;
            let refused = forbidding(&item.findings, self.plan.request.force);
            if !refused.is_empty() {
                self.gate.failed.push(item.operation.database.clone());
                return self.log(n, What::Refused { findings: refused });
            }
            self.log(n, What::Guarded { findings: item.findings.clone() })?;
            self.engine.faults().point("guarded")?;
        }
        if !self.has_backup(n) {
            let policy = match self.engine.backup_policy() {
                Ok(policy) => policy.with(wish),
                Err(failure) => {
                    self.gate.failed.push(item.operation.database.clone());
                    return Err(failure);
                }
            };
            self.pass(n, item, &policy, false)?;
        }
        self.log(n, What::Started { resumed })?;
        self.log(n, What::Verified { findings: Vec::new() })?;
        self.log(n, What::Finished)
    }

    fn pass(
        &mut self,
        n: usize,
        item: &Item,
        policy: &BackupPolicy,
        may_be_earlier: bool,
    ) -> Result<(), Failure> {
        let database = &item.operation.database;
        if may_be_earlier {
            match outside(policy, database, self.engine.clock().now()) {
                Ok(None) => {}
                Ok(Some((external, newest))) => {
                    self.log(n, looked_after(external, newest))?;
                    return self.engine.faults().point("backed up");
                }
                Err(error) => {
                    self.gate.failed.push(database.clone());
                    return Err(self.with_log_place(error.into()));
                }
            }
        }
        match self.fresh(database, policy, may_be_earlier) {
            Ok((backup, reused)) => {
                self.log(n, backed_up(&backup, reused))?;
                self.gate.taken.push(backup);
                self.engine.faults().point("backed up")
            }
            Err(failure) => {
                self.gate.failed.push(database.clone());
                Err(self.with_log_place(failure))
            }
        }
    }

    /// One of this run, else (where one of before will do) the newest fresh one, else a new one.
    fn fresh(
        &mut self,
        database: &str,
        policy: &BackupPolicy,
        may_be_earlier: bool,
    ) -> Result<(Backup, bool), Failure> {
        let now = self.engine.clock().now();
        let oldest = policy.fresh.before(now)?;
        let of_this_run =
            self.gate.taken.iter().find(|backup| backup.database == database && backup.taken_at >= oldest);
        if let Some(backup) = of_this_run {
            return Ok((backup.clone(), true));
        }
        if may_be_earlier && let Some(backup) = self.engine.newest_fresh(database, policy, now)? {
            match self.engine.backup_is_whole(&backup) {
                Ok(()) => return Ok((backup, true)),
                Err(error) => {
                    tracing::warn!(%error, backup = %backup.id, "a fresh backup is damaged; taking a new one")
                }
            }
        }
        Ok((self.engine.take_backup(database, self.id, policy)?, false))
    }

    fn with_log_place(&self, failure: Failure) -> Failure {
        let Failure::Error(error) = failure else { return failure };
        let Some(folder) = &self.engine.parts().log_folder else { return error.into() };
        let log = format!("the log is `{}`", folder.join("runs.jsonl").display());
        let help = match &error.help {
            Some(help) => format!("{help}; {log}"),
            None => log,
        };
        Error { help: Some(help), ..error }.into()
    }
}

/// The newest backup by another tool, where one looks after the database.
fn outside<'a>(
    policy: &'a BackupPolicy,
    database: &str,
    now: Timestamp,
) -> Result<Option<(&'a External, Outside)>> {
    let Some(external) = policy.external.iter().find(|external| external.database == database) else {
        return Ok(None);
    };
    Ok(Some((external, newest(external, now)?)))
}

fn looked_after(external: &External, newest: Outside) -> What {
    What::BackedUp {
        path: format!("{}:{}", external.tool.name(), newest.label),
        bytes: newest.bytes,
        sha256: String::new(),
        checked: false,
        format: "external".to_owned(),
        seconds: 0.0,
        tool_version: external.tool.name().to_owned(),
        restored: false,
        reused: true,
    }
}

fn backed_up(backup: &Backup, reused: bool) -> What {
    What::BackedUp {
        path: backup.path.clone(),
        bytes: backup.bytes(),
        sha256: backup.sha256(),
        checked: backup.checked.is_some(),
        format: backup.contents.format.clone(),
        seconds: if reused { 0.0 } else { backup.seconds },
        tool_version: backup.contents.tool_version.clone(),
        restored: backup.is_verified(),
        reused,
    }
}
