//! `undo`: put back what a run changed; list, show and forget undo points.

use super::act::Act;
use super::numbers::{bytes, minute, of};
use super::table::Table;
use super::trouble::Trouble;
use super::{choice, consent, text};
use crate::exit::Exit;
use clap::ArgMatches;
use engine::undo::Point;
use engine::{OperationReport, Report, SCHEMA_VERSION};
use serde_json::json;

/// `sexton undo …`.
pub fn undo(act: &Act, matches: &ArgMatches, actor: &str) -> Result<Exit, Trouble> {
    match matches.subcommand() {
        Some(("list", _)) => list(act, matches),
        Some(("show", own)) => show(act, own),
        Some(("drop", own)) => drop_points(act, own, actor),
        Some(("release", own)) => release(act, own, actor),
        Some((_, own)) => apply(act, own, actor),
        None => apply(act, matches, actor),
    }
}

fn apply(act: &Act, matches: &ArgMatches, actor: &str) -> Result<Exit, Trouble> {
    let named = matches.get_one::<String>("database").map(String::as_str);
    let database = choice::database(named, act.config)?.map(|database| database.name);
    let id = act.latest(super::id_of(matches), changed_something)?;
    if super::id_of(matches) == "latest" {
        can_be_put_back(act, &id)?;
    }
    let mut request = act.engine.undo_request(&id, database.as_deref(), actor)?;
    request.dry_run = matches.get_flag("dry-run");
    request.force = matches.get_flag("force");
    act.request(&request)
}

/// An undo that was run, or a run that only looked, is not what "latest" means here.
fn changed_something(report: &Report) -> bool {
    let changed = |done: &OperationReport| {
        done.undo_id.is_some()
            || (!done.dry_run && (!done.status.is_over() || text::counts_of(done).rows() > 0))
    };
    report.operations.iter().any(|done| changed(done) && done.kind != "undo")
}

/// Refuses to put back an earlier run in the place of the last one: nobody who says `latest` means that.
fn can_be_put_back(act: &Act, id: &str) -> Result<(), Trouble> {
    let Ok(record) = act.engine.run_record(id) else { return Ok(()) };
    let report = record.report();
    let remembers = |done: &OperationReport| done.undo_id.is_some() || !done.status.is_over();
    if !changed_something(&report) || report.operations.iter().any(remembers) {
        return Ok(());
    }
    let names: Vec<String> = report.operations.iter().map(|done| format!("`{}`", done.operation)).collect();
    Err(Trouble::usage(
        format!(
            "the last run that changed something, {id} of {}, keeps nothing to put back",
            names.join(", ")
        ),
        "`sexton undo list` shows earlier runs that can be put back; name one of them",
    ))
}

/// The undo points of a database, or of all. One that cannot be reached does not hide the others.
fn all(act: &Act, matches: &ArgMatches) -> Result<Vec<(String, Point)>, Trouble> {
    let named = matches.get_one::<String>("database").map(String::as_str);
    let names = match choice::database(named, act.config)? {
        Some(database) => vec![database.name],
        None => act.engine.database_names(),
    };
    if names.is_empty() {
        return Err(Trouble::usage("no database was named", "name one with `--database PATH|URL`"));
    }
    let mut points = Vec::new();
    for name in &names {
        match act.engine.undo_points(name) {
            Ok(of_database) => points.extend(
                of_database.into_iter().flat_map(Point::with_parts).map(|point| (name.clone(), point)),
            ),
            Err(failure) if names.len() > 1 => act.console.note(&format!("warning: `{name}`: {failure}")),
            Err(failure) => return Err(failure.into()),
        }
    }
    points.sort_by_key(|(_, point)| std::cmp::Reverse(point.created_at));
    Ok(points)
}

fn list(act: &Act, matches: &ArgMatches) -> Result<Exit, Trouble> {
    let points = all(act, matches)?;
    if !act.console.is_text() {
        let list: Vec<_> =
            points.iter().map(|(database, point)| json!({ "database": database, "point": point })).collect();
        act.console.document(&json!({ "schema_version": SCHEMA_VERSION, "undo_points": list }));
        return Ok(Exit::Done);
    }
    if points.is_empty() {
        act.console.note("there is nothing to undo");
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["id", "database", "operation", "made", "kept until", "state", "tables"], &[]);
    for (database, point) in &points {
        let mut tables: Vec<String> = Vec::new();
        for table in &point.tables {
            let name = table.source.to_string();
            if !tables.contains(&name) {
                tables.push(name);
            }
        }
        for index in act.engine.undo_indexes(database, &point.id)? {
            let name = index.table.to_string();
            if !tables.contains(&name) {
                tables.push(name);
            }
        }
        if tables.is_empty() {
            // The names of stores, for points that have set files aside.
            for file in act.engine.undo_files(database, &point.id, FILES_SHOWN)? {
                if !tables.contains(&file.store) {
                    tables.push(file.store);
                }
            }
        }
        table.row([
            point.id.clone(),
            database.clone(),
            match &point.scope {
                Some(scope) => format!("{}: {scope}", point.operation),
                None => point.operation.clone(),
            },
            minute(point.created_at),
            point.expires_at.map_or_else(|| "for ever".to_owned(), minute),
            state(point),
            tables.join(", "),
        ]);
    }
    act.console.data(&table.text());
    Ok(Exit::Done)
}

/// How many rows in conflict are listed.
const CONFLICTS_SHOWN: usize = 100;
/// How many files that were set aside are listed.
const FILES_SHOWN: u64 = 1_000;

fn show(act: &Act, matches: &ArgMatches) -> Result<Exit, Trouble> {
    let (database, point) = find(act, matches)?;
    let conflicts = act.engine.undo_conflicts(&database, &point, CONFLICTS_SHOWN)?;
    let files = act.engine.undo_files(&database, &point.id, FILES_SHOWN)?;
    let indexes = act.engine.undo_indexes(&database, &point.id)?;
    if !act.console.is_text() {
        act.console.document(
            &json!({ "schema_version": SCHEMA_VERSION, "database": database, "point": point, "conflicts": conflicts, "files": files,
            "indexes": indexes }),
        );
        return Ok(Exit::Done);
    }
    let mut lines = vec![
        format!("undo point  {}", point.id),
        format!("database    {database}"),
        format!("operation   {}", point.operation),
        format!("made        {} UTC by {}", minute(point.created_at), point.actor),
        format!("kept until  {}", point.expires_at.map_or_else(|| "for ever".to_owned(), minute)),
        format!("state       {}", state(&point)),
    ];
    lines.extend(point.scope.iter().map(|scope| format!("scope       {scope}")));
    for table in &point.tables {
        let change = match table.change {
            engine::undo::Change::Delete => "deleted rows of",
            engine::undo::Change::Update => "changed rows of",
            engine::undo::Change::Insert => "rows added to",
        };
        lines.push(format!("remembers   {change} {}", table.source));
    }
    for file in &files {
        let what = if file.folder {
            of(file.files, "file in the folder", "files in the folder")
        } else {
            "the file".to_owned()
        };
        let reason =
            file.reason.as_ref().map(|reason| format!(" ({}: {reason})", file.state)).unwrap_or_default();
        lines.push(format!(
            "remembers   {what} {} in {}, {}{reason}",
            file.name,
            file.store,
            bytes(file.bytes)
        ));
    }
    for index in &indexes {
        let reason =
            index.reason.as_ref().map(|reason| format!(" ({}: {reason})", index.state)).unwrap_or_default();
        lines.push(format!("remembers   the index {} of {}{reason}", index.name, index.table));
        lines.extend(index.statements.iter().map(|statement| format!("            {statement}")));
    }
    for conflict in &conflicts {
        let key: Vec<String> =
            conflict.key.iter().map(|(column, value)| format!("{column} = {value}")).collect();
        lines.push(format!("conflict    {} with {}: {}", conflict.table, key.join(", "), conflict.reason));
    }
    act.console.data(&lines.join("\n"));
    Ok(Exit::Done)
}

fn drop_points(act: &Act, matches: &ArgMatches, actor: &str) -> Result<Exit, Trouble> {
    let dropped = if matches.get_flag("expired") {
        let mut dropped = 0;
        let named = matches.get_one::<String>("database").map(String::as_str);
        let names = match choice::database(named, act.config)? {
            Some(database) => vec![database.name],
            None => act.engine.database_names(),
        };
        for name in names {
            dropped += act.engine.drop_expired_undo(&name, actor).map_err(Trouble::of_doubt)?;
        }
        dropped
    } else if matches.get_flag("all") {
        let points = all(act, matches)?;
        consent::confirm("Forget all undo points? Nothing can then be put back.", act.console)?;
        // With a point go its parts.
        for (database, point) in points.iter().filter(|(_, point)| point.batch.is_none()) {
            act.engine.drop_undo(database, &point.id, actor)?;
        }
        points.len()
    } else {
        let (database, point) = find(act, matches)?;
        let question = format!(
            "Forget undo point `{}` of `{}`? It can then no longer be put back.",
            point.id, point.operation
        );
        consent::confirm(&question, act.console)?;
        act.engine.drop_undo(&database, &point.id, actor)?;
        1
    };
    match act.console.is_text() {
        true => act.console.data(&super::numbers::of(
            dropped as u64,
            "undo point forgotten",
            "undo points forgotten",
        )),
        false => act
            .console
            .document(&json!({ "schema_version": SCHEMA_VERSION, "success": true, "dropped": dropped })),
    }
    Ok(Exit::Done)
}

/// Restored rows may be swept again.
fn release(act: &Act, matches: &ArgMatches, actor: &str) -> Result<Exit, Trouble> {
    let named = matches.get_one::<String>("database").map(String::as_str);
    let names = match choice::database(named, act.config)? {
        Some(database) => vec![database.name],
        None => act.engine.database_names(),
    };
    let mut released = Vec::new();
    for name in names {
        match matches.get_one::<String>("table") {
            None => released.extend(act.engine.end_all_exemptions(&name, actor)?),
            Some(table) if act.engine.end_exemption(&name, table, actor)? => released.push(table.clone()),
            Some(_) => {}
        }
    }
    match act.console.is_text() {
        true if released.is_empty() => act.console.note("no restored rows are exempt"),
        true => act.console.data(&format!("restored rows of {} are no longer exempt", released.join(", "))),
        false => act
            .console
            .document(&json!({ "schema_version": SCHEMA_VERSION, "success": true, "released": released })),
    }
    Ok(Exit::Done)
}

/// The one undo point whose id begins with what was given.
fn find(act: &Act, matches: &ArgMatches) -> Result<(String, Point), Trouble> {
    let wanted = super::id_of(matches);
    let points = all(act, matches)?;
    let latest = wanted == "latest";
    let mut found: Vec<(String, Point)> =
        points.into_iter().filter(|(_, point)| latest || point.id.starts_with(wanted)).collect();
    // The whole id of a run's first operation is the beginning of those of the others.
    if let Some(n) = found.iter().position(|(_, point)| point.id == wanted) {
        return Ok(found.swap_remove(n));
    }
    match found.len() {
        0 => Err(Trouble::usage(
            format!("there is no undo point `{wanted}`"),
            "`sexton undo list` shows those there are",
        )),
        1 => Ok(found.remove(0)),
        _ if latest => Ok(found.remove(0)),
        _ => {
            let ids: Vec<&str> = found.iter().map(|(_, point)| point.id.as_str()).collect();
            Err(Trouble::usage(format!("`{wanted}` could be {}", ids.join(" or ")), "give more letters"))
        }
    }
}

fn state(point: &Point) -> String {
    serde_json::to_value(point.state)
        .ok()
        .and_then(|state| state.as_str().map(str::to_owned))
        .unwrap_or_default()
}
