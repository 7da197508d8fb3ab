//! `backup`: take backups, list, check, restore and remove them.

mod arguments;
mod restore;

pub use arguments::command;

use super::act::Act;
use super::numbers::{bytes, count, duration, minute, of};
use super::run;
use super::table::Table;
use crate::choice;
use crate::config::Config;
use crate::exit::Exit;
use crate::told;
use crate::trouble::Trouble;
use clap::ArgMatches;
use engine::backup::{Backup, Proof};
use engine::{Kind, SCHEMA_VERSION};
use serde_json::{Value as Json, json};

/// `--store` of commands that look: there the backups are looked for.
pub fn choose_store(matches: &ArgMatches, config: &mut Config) {
    let Some((_, own)) = matches.subcommand().filter(|(name, _)| *name != "create") else { return };
    if let (Some(store), Some(policy)) = (own.get_one::<String>("store"), &mut config.backups) {
        policy.store.clone_from(store);
    }
}

/// `sexton backup …`.
pub fn backup(
    act: &Act,
    kind: &'static dyn Kind,
    matches: &ArgMatches,
    actor: &str,
) -> Result<Exit, Trouble> {
    match matches.subcommand() {
        Some(("create", own)) => run::one_off(act, kind, own, actor),
        Some(("check", own)) => check(act, own, Proof::Quick),
        Some(("verify", own)) => check(act, own, Proof::Restore),
        Some(("restore", own)) => restore::restore(act, own, actor),
        Some(("drill", own)) => drill(act, own, actor),
        Some(("prune", own)) => prune(act, own, actor),
        Some((_, own)) => list(act, own),
        None => Ok(Exit::Usage),
    }
}

/// The database that `--database` names.
fn database(act: &Act, matches: &ArgMatches) -> Result<Option<String>, Trouble> {
    let named = matches.get_one::<String>("database").map(String::as_str);
    Ok(choice::database(named, act.config)?.map(|database| database.name))
}

/// The one backup that is meant.
fn wanted(act: &Act, matches: &ArgMatches, id: &str) -> Result<Backup, Trouble> {
    Ok(act.engine.find_backup(id, database(act, matches)?.as_deref())?)
}

/// All backups; manifests that cannot be read are told and do not hide the others.
fn all(act: &Act, matches: &ArgMatches) -> Result<(Vec<Backup>, usize), Trouble> {
    let (backups, broken) = act.engine.backups(database(act, matches)?.as_deref())?;
    for error in &broken {
        act.console.note_error(&error.to_string());
    }
    Ok((backups, broken.len()))
}

fn document(act: &Act, key: &str, value: Json) {
    let mut document = json!({ "schema_version": SCHEMA_VERSION });
    document[key] = value;
    act.console.document(&document);
}

fn list(act: &Act, matches: &ArgMatches) -> Result<Exit, Trouble> {
    let (backups, broken) = all(act, matches)?;
    let exit = if broken == 0 { Exit::Done } else { Exit::Findings };
    if !act.console.is_text() {
        document(act, "backups", backups.iter().map(told::backup).collect());
        return Ok(exit);
    }
    if backups.is_empty() {
        act.console.note("there is no backup yet; `sexton backup create` takes one");
        return Ok(exit);
    }
    let mut table = Table::new(["id", "database", "taken (UTC)", "size", "of", "rows", "proof"], &[3, 4, 5]);
    for backup in &backups {
        let rows: Option<u64> = backup.contents.tables.iter().map(|table| table.rows).sum();
        table.row([
            backup.id.clone(),
            backup.database.clone(),
            minute(backup.taken_at),
            bytes(backup.bytes()),
            bytes(backup.plain_bytes()),
            rows.map_or_else(String::new, count),
            proof(backup),
        ]);
    }
    act.console.data(&table.text());
    Ok(exit)
}

/// Only what was restored is verified.
fn proof(backup: &Backup) -> String {
    match &backup.checked {
        None => "none".to_owned(),
        Some(passed) => {
            let how = if passed.how == Proof::Restore { "verified" } else { "checked" };
            format!("{how} {}", minute(passed.at))
        }
    }
}

fn check(act: &Act, matches: &ArgMatches, how: Proof) -> Result<Exit, Trouble> {
    let (chosen, mut bad) = match matches.get_one::<String>("id") {
        Some(id) => (vec![wanted(act, matches, id)?], 0),
        None if matches.get_flag("all") => all(act, matches)?,
        None => (vec![wanted(act, matches, "latest")?], 0),
    };
    let mut documents = Vec::new();
    for backup in chosen {
        let began = act.engine.clock().tick();
        let checked = act.engine.check_backup(backup, how)?;
        let seconds = act.engine.clock().tick().duration_since(began).as_secs_f64();
        let id = &checked.backup.id;
        match &checked.failure {
            None if act.console.is_text() => {
                let (word, proof) = match how {
                    Proof::Restore => ("verified", "restored and counted"),
                    Proof::Quick => ("checked ", "as it was written"),
                };
                act.console.data(&format!(
                    "{word} {id}: {} {proof}, {}",
                    bytes(checked.backup.bytes()),
                    duration(seconds)
                ));
            }
            None => {}
            Some(why) => {
                bad += 1;
                act.console.note_error(&format!("{id}: {why}"));
                if let Some(help) = &checked.help {
                    act.console.note_help(help);
                }
            }
        }
        documents.push(json!({ "backup": told::backup(&checked.backup), "good": checked.failure.is_none(), "error": checked.failure }));
    }
    if !act.console.is_text() {
        document(act, if how == Proof::Restore { "verified" } else { "checked" }, documents.into());
    }
    Ok(if bad == 0 { Exit::Done } else { Exit::Findings })
}

fn drill(act: &Act, matches: &ArgMatches, actor: &str) -> Result<Exit, Trouble> {
    let chosen = match matches.get_one::<String>("id") {
        Some(id) => vec![wanted(act, matches, id)?],
        None => {
            let (backups, _) = all(act, matches)?;
            let mut newest: Vec<Backup> = Vec::new();
            for backup in backups {
                if !newest.iter().any(|known| known.database == backup.database) {
                    newest.push(backup);
                }
            }
            newest
        }
    };
    if chosen.is_empty() {
        return Err(Trouble::refused("there is no backup to restore", "take one: `sexton backup create`"));
    }
    let mut found = 0;
    let mut drills = Vec::new();
    for backup in &chosen {
        let drill = act.engine.drill(backup, actor)?;
        if act.console.is_text() {
            act.console.data(&format!(
                "drill  {}: {} and {} restored in {}, {}",
                drill.backup,
                of(drill.tables, "table", "tables"),
                super::numbers::rows(drill.rows),
                duration(drill.restore_seconds),
                match drill.held {
                    0 => "no assertions".to_owned(),
                    held => of(held, "assertion holds", "assertions hold"),
                }
            ));
        }
        for finding in &drill.findings {
            found += 1;
            act.console.note_error(&format!("{}: {}", finding.object, finding.what));
            act.console.note_help(&finding.remedy);
        }
        drills.push(json!(drill));
    }
    if !act.console.is_text() {
        document(act, "drills", drills.into());
    }
    Ok(if found == 0 { Exit::Done } else { Exit::Findings })
}

fn prune(act: &Act, matches: &ArgMatches, actor: &str) -> Result<Exit, Trouble> {
    let dry_run = matches.get_flag("dry-run");
    let named = database(act, matches)?;
    let pruned = act.engine.prune_backups(named.as_deref(), dry_run, actor).map_err(Trouble::of_doubt)?;
    if !act.console.is_text() {
        document(
            act,
            "pruned",
            json!({
                "dry_run": dry_run,
                "removed": pruned.removed.iter().map(|backup| &backup.id).collect::<Vec<_>>(),
                "kept_for_runs": pruned.kept_for_runs.iter().map(|backup| &backup.id).collect::<Vec<_>>(),
                "leftovers": pruned.leftovers,
            }),
        );
        return Ok(Exit::Done);
    }
    for backup in &pruned.removed {
        act.console.data(&format!(
            "{}  {}, taken {}",
            if dry_run { "goes" } else { "gone" },
            backup.id,
            minute(backup.taken_at)
        ));
    }
    for backup in &pruned.kept_for_runs {
        act.console.data(&format!("kept  {}: run {} came to no good end", backup.id, backup.run));
    }
    if !pruned.leftovers.is_empty() {
        act.console.data(&of(
            pruned.leftovers.len() as u64,
            "file without a backup",
            "files without a backup",
        ));
    }
    if pruned.removed.is_empty() && pruned.leftovers.is_empty() {
        act.console.note("there is nothing to remove");
    }
    Ok(Exit::Done)
}
