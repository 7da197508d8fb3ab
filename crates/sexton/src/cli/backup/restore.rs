//! `backup restore`: as a new database, in the place of the live one, or single rows.

use super::{document, wanted};
use crate::cli::act::Act;
use crate::cli::consent;
use crate::cli::numbers::{duration, minute, of, rows};
use crate::exit::Exit;
use crate::trouble::Trouble;
use clap::ArgMatches;
use engine::backup::{Backup, Lost, Restored};
use serde_json::json;

/// `sexton backup restore`.
pub fn restore(act: &Act, matches: &ArgMatches, actor: &str) -> Result<Exit, Trouble> {
    let text = |id: &str| matches.get_one::<String>(id).map(String::as_str);
    let backup = wanted(act, matches, text("id").unwrap_or_default())?;
    let dry_run = matches.get_flag("dry-run");
    if let Some(table) = text("table") {
        return single_rows(act, &backup, table, text("where"), dry_run, actor);
    }
    if matches.get_flag("replace") {
        return replace(act, &backup, dry_run, actor);
    }
    let Some(place) = text("into") else {
        return Err(Trouble::usage(
            "where should it be restored?",
            "as a new database with `--into PLACE`, only rows that are missing now with `--table TABLE`, or in the place of \
             the live database with `--replace`",
        ));
    };
    if dry_run {
        act.console.data(&format!(
            "plan   {} of {} UTC would become the new database `{place}`",
            backup.id,
            minute(backup.taken_at)
        ));
        return Ok(Exit::Done);
    }
    tell(act, &act.engine.restore_into(&backup, place, actor)?);
    Ok(Exit::Done)
}

fn tell(act: &Act, restored: &Restored) {
    if !act.console.is_text() {
        return document(act, "restored", json!(restored));
    }
    let mut lines = vec![format!(
        "done   {} is now `{}`, {}",
        restored.backup,
        restored.database,
        duration(restored.seconds)
    )];
    if let Some(aside) = &restored.aside {
        lines.push(format!(
            "aside  what was there before is kept as `{aside}`; drop it when it is no longer needed"
        ));
    }
    if let Some(before) = &restored.before {
        lines.push(format!("back   sexton backup restore {before} --replace"));
    }
    act.console.data(&lines.join("\n"));
}

fn replace(act: &Act, backup: &Backup, dry_run: bool, actor: &str) -> Result<Exit, Trouble> {
    let revived = act.engine.revive_backup(backup)?;
    let lost = revived.lost()?;
    if act.console.is_text() {
        act.console.data(&what_goes(backup, &lost));
    }
    if dry_run {
        if !act.console.is_text() {
            document(act, "would_lose", json!(lost));
        }
        return Ok(Exit::Done);
    }
    let question = format!(
        "Put the backup of {} UTC in the place of `{}`? {} would go.",
        minute(backup.taken_at),
        backup.database,
        of(lost.newer(), "newer or changed row", "newer or changed rows"),
    );
    consent::confirm(&question, act.console)?;
    tell(act, &revived.replace(actor)?);
    Ok(Exit::Done)
}

fn what_goes(backup: &Backup, lost: &Lost) -> String {
    let mut lines = vec![format!(
        "plan   {} of {} UTC in the place of `{}`",
        backup.id,
        minute(backup.taken_at),
        backup.database
    )];
    for table in &lost.tables {
        lines.push(format!(
            "       {}: {} would go, {} would come back",
            table.table,
            of(table.newer, "newer or changed row", "newer or changed rows"),
            rows(table.back)
        ));
    }
    lines.push(match lost.newer() {
        0 => "       nothing was written since that would be lost".to_owned(),
        newer => format!(
            "       warning: {} would go, written since by whoever uses the database",
            of(newer, "newer or changed row", "newer or changed rows")
        ),
    });
    lines.push("       a backup of the present state is taken first".to_owned());
    lines.join("\n")
}

fn single_rows(
    act: &Act,
    backup: &Backup,
    table: &str,
    condition: Option<&str>,
    dry_run: bool,
    actor: &str,
) -> Result<Exit, Trouble> {
    let revived = act.engine.revive_backup(backup)?;
    let missing = act.engine.missing_rows(&revived, table, condition, actor)?;
    drop(revived);
    act.console.note(&format!(
        "{} of the backup looked at, {} missing in `{table}` now",
        rows(missing.looked_at),
        rows(missing.missing)
    ));
    let Some(mut request) = missing.request else {
        if !act.console.is_text() {
            document(act, "missing_rows", 0.into());
        }
        return Ok(Exit::Done);
    };
    request.dry_run = dry_run;
    act.request(&request)
}
