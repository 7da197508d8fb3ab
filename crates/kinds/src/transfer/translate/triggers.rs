//! The triggers of the source as functions and triggers of the target.
//!
//! SQLite does not fire a trigger again by what it does itself, the server does: where that could happen, the function leaves at
//! once while it is at work already.

use super::expression::{Scope, judged, string};
use super::grammar::{self, WrittenReference, unquoted};
use super::levels::{Catalogue, Level, Placed};
use super::programs::{Line, Program, column};
use crate::transfer::design::{Design, Left, NewTrigger};
use crate::transfer::naming::{Taken, spelled};
use crate::transfer::options::Options;
use crate::transfer::script::body;
use crate::transfer::source::{Other, Source};
use sqlite3_parser::ast::{Stmt, TriggerCmd, TriggerEvent, TriggerTime};
use std::collections::BTreeSet;
use targets::db::{Action, TableName, quote};

/// Translates all triggers of tables and views that arrive.
pub fn translate(source: &Source, design: &mut Design, catalogue: &Catalogue, options: &Options) {
    let triggers = source.others.iter().filter(|other| other.what == "trigger");
    let mut made = Vec::new();
    for trigger in triggers.filter(|trigger| !options.leaves(&trigger.name)) {
        catalogue.renew();
        let read = grammar::statement(&trigger.sql, |statement| Some(read(statement, catalogue)));
        let why = match read.unwrap_or_else(|| Err("its statement cannot be read".to_owned())) {
            Ok(read) => {
                made.push((trigger, read));
                continue;
            }
            Err(why) => why,
        };
        let why = match kept(trigger, source) {
            // who leaves that leaves what fills it
            Some(name) if options.leaves(&name) => continue,
            Some(name) => {
                format!(
                    "it only keeps `{name}` filled, which is not carried: `leave = [\"{name}\"]` says it of both"
                )
            }
            None => why,
        };
        design.left.push(Left::new("trigger", &trigger.name, why, &trigger.sql));
    }
    // what is written in consequence of what: by triggers, and by references that change children
    let mut leads: Vec<(String, String)> = made
        .iter()
        .flat_map(|(_, read)| read.writes.iter().map(|table| (read.table.clone(), table.clone())))
        .collect();
    for table in &source.tables {
        let quiet = [Action::NoAction, Action::Restrict];
        let acting = table
            .references
            .iter()
            .filter(|one| !quiet.contains(&one.on_delete) || !quiet.contains(&one.on_update));
        leads.extend(acting.map(|one| (one.parent.to_lowercase(), table.name().to_lowercase())));
    }
    let mut taken = Taken::default();
    for table in &design.tables {
        // the functions of columns that tell when a row changed
        options.stamps.iter().for_each(|stamp| drop(taken.name(&format!("set_{}_{stamp}", table.name.name))));
    }
    for (trigger, read) in made {
        let again = reaches(&read.writes, &read.table, &leads);
        if let Some(why) = too_soon(&read, again).or_else(|| too_late(&read, source)) {
            design.left.push(Left::new("trigger", &trigger.name, why, &trigger.sql));
            continue;
        }
        design.triggers.push(built(trigger, &read, again, options, &mut taken));
    }
}

/// The virtual table that a trigger writes, where it does nothing else.
fn kept(trigger: &Other, source: &Source) -> Option<String> {
    let writes = grammar::statement(&trigger.sql, |statement| match statement {
        Stmt::CreateTrigger { commands, .. } => commands.iter().map(written).collect::<Option<Vec<String>>>(),
        _ => None,
    })?;
    let first = writes.first()?;
    let is_virtual = |other: &&Other| other.what == "virtual table" && other.name.to_lowercase() == *first;
    let other = source.others.iter().find(is_virtual)?;
    writes.iter().all(|name| name == first).then(|| other.name.clone())
}

/// The server does not write a row that was written while its trigger was at work.
fn too_soon(read: &Read, again: bool) -> Option<String> {
    let is_before = read.event.starts_with("before ") && !read.event.starts_with("before insert");
    let why = "it writes its own table, perhaps by way of others, before the row that fires it is written";
    (is_before && again).then(|| why.to_owned())
}

/// The server looks at references before it fires triggers, SQLite afterwards.
fn too_late(read: &Read, source: &Source) -> Option<String> {
    if !read.event.starts_with("after delete") {
        return None;
    }
    let refers = |reference: &WrittenReference| {
        reference.parent.to_lowercase() == read.table
            && !reference.deferred
            && matches!(reference.on_delete, Action::NoAction | Action::Restrict)
    };
    let child = source.tables.iter().find(|table| {
        read.changes.contains(&table.name().to_lowercase()) && table.references.iter().any(refers)
    });
    child.map(|table| {
        let name = table.name();
        format!("the reference of `{name}` is looked at before it acts: say there what happens `on delete`")
    })
}

/// Whether writing into some tables may lead to a write into another.
fn reaches(from: &[String], to: &str, leads: &[(String, String)]) -> bool {
    let mut seen: BTreeSet<&str> = from.iter().map(String::as_str).collect();
    loop {
        let before = seen.len();
        for (one, other) in leads {
            if seen.contains(one.as_str()) {
                seen.insert(other);
            }
        }
        if seen.len() == before {
            return seen.contains(to);
        }
    }
}

/// What was read of a trigger.
struct Read {
    /// Its table, and those that it writes, by their names in the source in lower case.
    table: String,
    writes: Vec<String>,
    /// Those of which it changes or deletes rows.
    changes: Vec<String>,
    /// `before update of "a" on "t"`.
    event: String,
    /// What the function gives back.
    back: &'static str,
    /// The condition on which it acts.
    when: Option<String>,
    /// What it does.
    lines: Vec<Line>,
    /// The same as statements that can be planned before there is a row.
    probes: Vec<String>,
}

fn built(trigger: &Other, read: &Read, again: bool, options: &Options, taken: &mut Taken) -> NewTrigger {
    let (name, reason) = taken.name(&spelled(&trigger.name, options.names));
    let function = TableName::within(options.into(), &name).quoted();
    let mut lines = Vec::new();
    let back = format!("return {};", read.back);
    if again {
        let flag = string(&format!(
            "sexton.trigger_{}",
            name.bytes().map(|byte| format!("{byte:02x}")).collect::<String>()
        ));
        lines.push(format!("if current_setting({flag}, true) = 'on' then {back} end if;"));
        lines.push(format!("perform set_config({flag}, 'on', true);"));
        let off = format!("perform set_config({flag}, 'off', true);");
        lines.extend(acts(read, &off));
        lines.push(off);
    } else {
        lines.extend(acts(read, ""));
    }
    lines.push(back);
    let text: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    NewTrigger {
        source: trigger.name.clone(),
        statements: vec![
            format!(
                "create function {function}() returns trigger language plpgsql as {}",
                body(&format!("\nbegin\n{text}end\n"))
            ),
            format!(
                "create trigger {} {} for each row execute function {function}()",
                quote(&name),
                read.event
            ),
        ],
        function,
        probes: read.probes.clone(),
        reason,
    }
}

/// What the function does; `off` is done before it leaves early.
fn acts(read: &Read, off: &str) -> Vec<String> {
    let lines = read.lines.iter().map(|line| match line {
        Line::Do(sql) => sql.clone(),
        Line::Leave(condition) if off.is_empty() => format!("if {condition} then return null; end if;"),
        Line::Leave(condition) => format!("if {condition} then {off} return null; end if;"),
    });
    match &read.when {
        None => lines.collect(),
        Some(condition) => {
            let mut lines: Vec<String> = lines.map(|line| format!("    {line}")).collect();
            lines.insert(0, format!("if {condition} then"));
            lines.push("end if;".to_owned());
            lines
        }
    }
}

fn read(statement: &Stmt, catalogue: &Catalogue) -> Result<Read, String> {
    let Stmt::CreateTrigger { time, event, tbl_name, when_clause, commands, .. } = statement else {
        return Err("its statement cannot be read".to_owned());
    };
    let relation = catalogue.relation(tbl_name)?;
    let table = unquoted(tbl_name.name.0).to_lowercase();
    let (word, has_new, has_old) = match event {
        TriggerEvent::Insert => ("insert".to_owned(), true, false),
        TriggerEvent::Delete => ("delete".to_owned(), false, true),
        TriggerEvent::Update => ("update".to_owned(), true, true),
        TriggerEvent::UpdateOf(names) => {
            let list = names.iter().map(|name| column(relation, name.0).map(|known| quote(&known.target)));
            (format!("update of {}", list.collect::<Result<Vec<_>, _>>()?.join(", ")), true, true)
        }
    };
    let (time, back) = match time {
        Some(TriggerTime::After) => ("after", "null"),
        Some(TriggerTime::InsteadOf) => ("instead of", if has_new { "new" } else { "old" }),
        None | Some(TriggerTime::Before) => ("before", if has_new { "new" } else { "old" }),
    };
    if time == "instead of" && matches!(event, TriggerEvent::UpdateOf(_)) {
        return Err("instead of an update of some columns nothing can be done in PostgreSQL".to_owned());
    }
    let rows = |new: &str, old: &str| -> Vec<Placed> {
        let mut given = relation.clone();
        if time == "before" {
            // the server computes them afterwards
            given.columns.iter_mut().filter(|known| known.computed).for_each(|known| known.gone = true);
        }
        let mut kept = relation.clone();
        // by which key the row is found just then, where it is changed
        match time {
            "before" => given.key.clear(),
            _ if has_new => kept.key.clear(),
            _ => {}
        }
        let new = has_new.then(|| Placed::aside("new", new.to_owned(), given));
        let old = has_old.then(|| Placed::aside("old", old.to_owned(), kept));
        new.into_iter().chain(old).collect()
    };
    let (real, none) = (rows("new", "old"), format!("(null::{})", relation.sql));
    let probed = rows(&none, &none);
    let real = Program { catalogue, row: Level::of(catalogue, &real, None), time };
    let probe = Program { catalogue, row: Level::of(catalogue, &probed, None), time };
    let when =
        when_clause.as_ref().map(|condition| judged(condition, Scope::within(&real.row))).transpose()?;
    let mut out = Read {
        event: format!("{time} {word} on {}", relation.sql),
        table: table.clone(),
        back,
        when,
        writes: Vec::new(),
        changes: Vec::new(),
        lines: Vec::new(),
        probes: Vec::new(),
    };
    if let Some(condition) = when_clause {
        out.probes.push(format!("select 1 where {}", judged(condition, Scope::within(&probe.row))?));
    }
    for command in *commands {
        out.lines.extend(real.line(command)?);
        out.probes.extend(probe.probe(command)?);
        out.writes.extend(written(command));
        out.changes.extend(written(command).filter(|_| !matches!(command, TriggerCmd::Insert { .. })));
    }
    Ok(out)
}

/// The table that a command writes.
fn written(command: &TriggerCmd) -> Option<String> {
    match command {
        TriggerCmd::Update { tbl_name, .. }
        | TriggerCmd::Insert { tbl_name, .. }
        | TriggerCmd::Delete { tbl_name, .. } => Some(unquoted(tbl_name.name.0).to_lowercase()),
        TriggerCmd::Select(_) => None,
    }
}
