//! Checking a backup: its files are read again and compared; in a drill it becomes a scratch database, is counted, asked
//! and measured.

use super::manifest::{Backup, Passed, Proof, list};
use super::scratch::Scratch;
use super::take::dumping;
use super::{BackupPolicy, pipe};
use crate::engine::Engine;
use crate::error::{Error, Failure, Result};
use crate::finding::Finding;
use secrecy::ExposeSecret;
use serde::Serialize;
use targets::db::{Database, Facts, Sql, TableKind, Value};
use targets::files::Files;

/// What a check of a backup came to.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The backup, with the check that it passed.
    pub backup: Backup,
    /// Why it did not pass.
    pub failure: Option<String>,
    /// What to do about that.
    pub help: Option<String>,
}

/// What a drill came to: the evidence.
#[derive(Debug, Clone, Serialize)]
pub struct Drill {
    /// Which backup.
    pub backup: String,
    /// Of which database.
    pub database: String,
    /// The moment whose state it holds.
    pub taken_at: jiff::Timestamp,
    /// When the drill was.
    pub at: jiff::Timestamp,
    /// The name of the scratch database, which is gone again.
    pub scratch: String,
    /// How long fetching, unpacking and restoring took.
    pub restore_seconds: f64,
    /// Tables found.
    pub tables: u64,
    /// Rows counted.
    pub rows: u64,
    /// Assertions that held.
    pub held: u64,
    /// What did not fit.
    pub findings: Vec<Finding>,
}

/// Something that must be true in a restored database.
#[derive(Debug, Clone, PartialEq)]
pub struct Assertion {
    /// Of this database only; of all when none.
    pub database: Option<String>,
    /// A query whose first value must be true, or a number that is not 0.
    pub sql: String,
}

/// Compares all files of a backup with what was written.
pub(super) fn whole(store: &dyn Files, backup: &Backup) -> Result<()> {
    backup.files.iter().try_for_each(|file| pipe::compare(store, file))
}

impl Engine {
    /// How backups are made and kept.
    pub fn backup_policy(&self) -> Result<&BackupPolicy, Failure> {
        self.parts().backups.as_ref().ok_or_else(|| {
            Error::usage("backups are switched off").help("set `enabled = true` in `[backup]`").into()
        })
    }

    /// The backups of a database, or of all, newest first; and what is wrong with manifests that cannot be read.
    pub fn backups(&self, database: Option<&str>) -> Result<(Vec<Backup>, Vec<Error>), Failure> {
        let policy = self.backup_policy()?;
        let store = self.stores().store(&policy.store)?;
        Ok(list(store.as_ref(), policy, database)?)
    }

    /// The one backup that is meant: by its id, by the beginning of it or of its run's id, by its path, or `latest`.
    pub fn find_backup(&self, wanted: &str, database: Option<&str>) -> Result<Backup, Failure> {
        let (all, broken) = self.backups(database)?;
        let by_path =
            |backup: &Backup| backup.path == wanted || backup.files.iter().any(|file| file.name == wanted);
        let mut found: Vec<Backup> = match wanted {
            "latest" => all.into_iter().take(1).collect(),
            _ => all
                .into_iter()
                .filter(|backup| {
                    backup.id.starts_with(wanted) || backup.run.starts_with(wanted) || by_path(backup)
                })
                .collect(),
        };
        let named = found.iter().position(|backup| backup.id == wanted || by_path(backup));
        match (found.len(), named) {
            (_, Some(n)) => Ok(found.swap_remove(n)),
            (1, None) => Ok(found.swap_remove(0)),
            (0, None) => {
                let error = Error::usage(format!("there is no backup `{wanted}`"));
                let error = match broken.into_iter().next() {
                    Some(cause) => error.because(cause),
                    None => error,
                };
                Err(error.help("`sexton backup list` shows those there are").into())
            }
            (several, None) => Err(Error::usage(format!("`{wanted}` fits {several} backups"))
                .help("give more of the id: `sexton backup list`")
                .into()),
        }
    }

    /// Checks backups: by reading them again, or by restoring them into scratch databases too. What passes is noted in
    /// the manifest.
    pub fn check_backup(&self, mut backup: Backup, how: Proof) -> Result<Checked, Failure> {
        let policy = self.backup_policy()?;
        let store = self.stores().store(&backup.store)?;
        let began = self.clock().tick();
        let outcome = whole(store.as_ref(), &backup).and_then(|()| match how {
            Proof::Quick => self.look_inside(&backup, policy),
            Proof::Restore => self.rehearse(&backup, policy, &[]).and_then(without_findings),
        });
        match outcome {
            Ok(()) => {
                let best = backup.checked.as_ref().map_or(how, |known| known.how.max(how));
                if best == how {
                    let seconds = self.clock().tick().duration_since(began).as_secs_f64();
                    backup.checked = Some(Passed { how, at: self.clock().now(), seconds });
                    backup.write(store.as_ref())?;
                }
                Ok(Checked { backup, failure: None, help: None })
            }
            Err(error) => {
                Ok(Checked { failure: Some(crate::error::chain(&error)), help: error.help, backup })
            }
        }
    }

    /// Restores a backup into a scratch database, asks it, measures it, and removes it again.
    pub fn drill(&self, backup: &Backup, actor: &str) -> Result<Drill, Failure> {
        let policy = self.backup_policy()?;
        let store = self.stores().store(&backup.store)?;
        whole(store.as_ref(), backup)?;
        let drill = self.rehearse(backup, policy, &policy.assertions)?;
        self.audit(actor, "restore drill", &backup.id, &serde_json::to_string(&drill).unwrap_or_default())?;
        if drill.findings.is_empty() {
            let mut proved = backup.clone();
            proved.checked =
                Some(Passed { how: Proof::Restore, at: drill.at, seconds: drill.restore_seconds });
            proved.write(store.as_ref())?;
        }
        Ok(drill)
    }

    fn look_inside(&self, backup: &Backup, policy: &BackupPolicy) -> Result<()> {
        let store = self.stores().store(&backup.store)?;
        // Without the key the checksum must do.
        if backup.encryption.is_some() && policy.identity.is_none() {
            return Ok(());
        }
        let database = self.parts().databases.database(&backup.database)?;
        let scratch = Scratch::new(&policy.scratch, &backup.run)?;
        let how = dumping(policy, database.as_ref(), scratch.path());
        pipe::fetch(store.as_ref(), backup, identity(policy), scratch.path())?;
        let contents = database.copies().look(&how, scratch.path())?;
        let known = |name: &str| contents.tables.iter().any(|table| table.name == name);
        match backup.contents.tables.iter().find(|table| !known(&table.name)) {
            Some(table) => Err(Error::data(format!("table `{}` is missing in the backup", table.name))
                .help("use another backup: `sexton backup list`")),
            None => Ok(()),
        }
    }

    pub(super) fn rehearse(
        &self,
        backup: &Backup,
        policy: &BackupPolicy,
        assertions: &[Assertion],
    ) -> Result<Drill> {
        let began = self.clock().tick();
        let store = self.stores().store(&backup.store)?;
        let database = self.parts().databases.database(&backup.database)?;
        let scratch = Scratch::new(&policy.scratch, &backup.run)?;
        let how = dumping(policy, database.as_ref(), scratch.path());
        pipe::fetch(store.as_ref(), backup, identity(policy), scratch.path())?;
        database.copies().look(&how, scratch.path())?;
        let name = database.copies().scratch_name(&how, &crate::engine::new_id());
        let revived = database.copies().revive(&how, scratch.path(), &name)?;
        let restore_seconds = self.clock().tick().duration_since(began).as_secs_f64();
        let mut drill = Drill {
            backup: backup.id.clone(),
            database: backup.database.clone(),
            taken_at: backup.taken_at,
            at: self.clock().now(),
            scratch: name.clone(),
            restore_seconds,
            tables: 0,
            rows: 0,
            held: 0,
            findings: Vec::new(),
        };
        let outcome = self.examine(revived.as_ref(), backup, policy, assertions, &mut drill);
        drop(revived);
        let gone = database.copies().discard(&name);
        outcome?;
        gone?;
        Ok(drill)
    }

    fn examine(
        &self,
        revived: &dyn Database,
        backup: &Backup,
        policy: &BackupPolicy,
        assertions: &[Assertion],
        drill: &mut Drill,
    ) -> Result<()> {
        let mut facts = revived.read()?;
        let counted = count(facts.as_mut())?;
        drill.tables = counted.len() as u64;
        drill.rows = counted.iter().map(|(_, rows)| rows).sum();
        for table in &backup.contents.tables {
            let Some(expected) = table.rows else { continue };
            // Sexton's own tables are in the copy but not in the schema it shows.
            let Some((_, rows)) = counted.iter().find(|(name, _)| *name == table.name) else { continue };
            if *rows != expected {
                drill.findings.push(Finding::warning(
                    "rows",
                    &table.name,
                    format!("{rows} rows were restored, {expected} were dumped"),
                    "do not rely on this backup: take a new one with `sexton backup create`",
                ));
            }
        }
        let had_rows = backup.contents.tables.iter().any(|table| table.rows.is_none_or(|rows| rows > 0));
        if had_rows && !backup.contents.tables.is_empty() && counted.is_empty() {
            drill.findings.push(Finding::warning(
                "tables",
                &backup.id,
                "no table was restored",
                "do not rely on this backup: take a new one with `sexton backup create`",
            ));
        }
        for assertion in assertions {
            if assertion.database.as_ref().is_some_and(|only| *only != backup.database) {
                continue;
            }
            let answer = facts.value(&Sql::new(&assertion.sql))?;
            if holds(&answer) {
                drill.held += 1;
            } else {
                drill.findings.push(Finding::warning(
                    "assertion",
                    &backup.id,
                    format!("`{}` does not hold in the restored database: {answer}", assertion.sql),
                    "find out since when: `sexton backup drill ID` with an older backup",
                ));
            }
        }
        if let Some(goal) = &policy.restore_within {
            let most = goal.about_seconds()?;
            if drill.restore_seconds > most {
                drill.findings.push(Finding::warning(
                    "restore_time",
                    &backup.id,
                    format!("restoring took {:.0} s, the goal is {most:.0} s", drill.restore_seconds),
                    "restore with more jobs (`jobs` of `[backup]`), use faster disks, or set another goal",
                ));
            }
        }
        Ok(())
    }
}

/// A drill that found nothing, or what it found first.
pub(super) fn without_findings(drill: Drill) -> Result<()> {
    match drill.findings.into_iter().next() {
        Some(found) => Err(Error::data(format!("{}: {}", found.object, found.what)).help(found.remedy)),
        None => Ok(()),
    }
}

fn holds(answer: &Value) -> bool {
    match answer {
        Value::Bool(flag) => *flag,
        Value::Int(number) => *number != 0,
        Value::Real(number) => *number != 0.0,
        Value::Text(text) => !["", "0", "f", "false"].contains(&text.as_str()),
        _ => false,
    }
}

pub(super) fn identity(policy: &BackupPolicy) -> Option<&str> {
    policy.identity.as_ref().map(ExposeSecret::expose_secret)
}

/// The rows of every table that has rows of its own.
pub(super) fn count(facts: &mut dyn Facts) -> Result<Vec<(String, u64)>> {
    let schema = facts.schema()?;
    let mut all = Vec::new();
    for table in &schema.tables {
        if !matches!(table.kind, TableKind::Ordinary | TableKind::WithoutRowid) {
            continue;
        }
        let only = if table.children.is_empty() { "" } else { "only " };
        let rows = facts.count(&Sql::new(&format!("select count(*) from {only}")).table(&table.name))?;
        all.push((table.name.to_string(), rows));
    }
    Ok(all)
}
