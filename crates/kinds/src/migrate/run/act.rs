//! One batch of a migration: its statements, what must be true before and after, and its record, in one transaction.
//!
//! The record is written in one place only, with the change (W-001, W-005). Both histories are: our own, and that of the
//! tool whose files these are.

use super::aim::part_at;
use super::book::{self, Fact};
use super::own::{self, Entry};
use super::task::{Deed, Phase, Place, Task};
use crate::migrate::directory::DUMP;
use crate::migrate::directory::REBUILD;
use crate::migrate::model::{Part, State, Statement};
use engine::{Batch, Class, Counts, Cursor, Error, Result, Work};
use serde_json::json;
use std::time::Instant;
use targets::db::{Row, TableName, Value};

/// One batch.
pub fn act(
    task: &Task,
    aim: &Cursor,
    last: Option<String>,
    began: Option<Instant>,
    work: &mut Work,
) -> Result<Batch> {
    let done = |next: Option<Cursor>| Batch { counts: Counts::default(), next };
    match task.deed {
        Deed::Prepare => {
            prepare(task, work)?;
            return Ok(done(None));
        }
        Deed::Baseline | Deed::Adopt | Deed::Accept => {
            mark(task, last, work)?;
            return Ok(done(None));
        }
        Deed::Apply | Deed::Revert => {}
    }
    let began = began.unwrap_or_else(|| work.clock().tick());
    let place = Place::of(aim)?.unwrap_or_default();
    if let Phase::Tidy(what) = &place.phase {
        work.note(format!("tidied up after an attempt that died: {what}"));
        return Ok(done(Some(Place { at: place.at, phase: Phase::Inside }.cursor()?)));
    }
    let parts = task.script.parts();
    let part = part_at(&parts, place.at);
    let mut rows = 0;
    if place.at == 0 && place.phase == Phase::Inside {
        assert_all(task, &task.assert_before, "before", work)?;
    }
    if let (Some(part), Phase::Inside) = (part, &place.phase) {
        rows = run(task, part, place.at, work)?;
    }
    let at = part.map_or(place.at, |part| part.first + part.statements.len());
    let count = task.script.statements.len();
    let over = at >= count;
    if over {
        assert_all(task, &task.assert_after, "after", work)?;
    }
    let took = work.clock().tick().duration_since(began);
    let state = match (over, task.deed) {
        (true, Deed::Apply) => State::Applied,
        (true, _) => State::RolledBack,
        (false, _) => State::Interrupted,
    };
    let entry =
        Entry { done: at as u64, duration_ms: Some(took.as_millis() as u64), ..entry(task, state, work) };
    // A migration in one transaction has no row of its own attempt yet.
    let known = if task.is_plain() { 0 } else { work.record(&own::update(&table(task, work), &entry))? };
    if known == 0 {
        work.record_later(own::insert(&table(task, work), &entry))?;
    }
    if over {
        record(task, last, &entry, work)?;
        work.tell(json!({
            "migration": task.brief.id,
            "action": task.deed.name(),
            "state": state,
            "statements": count,
            "rows": rows,
            "seconds": (took.as_secs_f64() * 1000.0).round() / 1000.0,
        }));
        return Ok(done(None));
    }
    Ok(done(Some(Place { at, phase: Phase::Inside }.cursor()?)))
}

/// Before a statement outside of transactions: what must be true before, and that it is begun.
pub fn begin(task: &Task, aim: &Cursor, work: &mut Work) -> Result<()> {
    let place = Place::of(aim)?.unwrap_or_default();
    if place.phase != Phase::Outside {
        return Ok(());
    }
    if place.at == 0 {
        assert_all(task, &task.assert_before, "before", work)?;
    }
    let entry = Entry { done: place.at as u64, begun: true, ..entry(task, State::Interrupted, work) };
    if work.record(&own::update(&table(task, work), &entry))? == 0 {
        work.record(&own::insert(&table(task, work), &entry))?;
    }
    Ok(())
}

/// Writes down that it failed for good: nothing of it is in, or what was in before still is.
pub fn failed(task: &Task, cursor: &Cursor, error: &str, work: &mut Work) -> Result<()> {
    if !matches!(task.deed, Deed::Apply | Deed::Revert) {
        return Ok(());
    }
    let place = Place::of(cursor)?;
    let at = place.as_ref().map_or(task.done, |place| place.at);
    let begun = place.is_some_and(|place| place.phase == Phase::Outside) || (at == task.done && task.begun);
    let state = match (at > 0 || begun, task.deed) {
        (true, _) => State::Interrupted,
        (false, Deed::Apply) => State::Failed,
        (false, _) => State::Applied,
    };
    let entry = Entry { done: at as u64, begun, error: Some(error.to_owned()), ..entry(task, state, work) };
    if work.record(&own::update(&table(task, work), &entry))? == 0 {
        work.record(&own::insert(&table(task, work), &entry))?;
    }
    Ok(())
}

fn table(task: &Task, work: &Work) -> TableName {
    work.dialect().own(&task.table)
}

fn prepare(task: &Task, work: &mut Work) -> Result<()> {
    for statement in own::create(work.dialect(), &table(task, work)) {
        work.record(&statement)?;
    }
    make_history(task, work)
}

fn make_history(task: &Task, work: &mut Work) -> Result<()> {
    let Some(history) = &task.history else { return Ok(()) };
    if work.count(&work.dialect().exists(&history.table))? == 0 {
        for statement in book::create(work.dialect(), history) {
            work.record(&statement)?;
        }
    }
    Ok(())
}

/// Without running anything.
fn mark(task: &Task, last: Option<String>, work: &mut Work) -> Result<()> {
    let state = if task.deed == Deed::Baseline { State::Baseline } else { State::Applied };
    let mut entry = entry(task, state, work);
    if task.deed == Deed::Adopt {
        entry.at = task.at.or(entry.at);
    }
    work.record(&own::insert(&table(task, work), &entry))?;
    if task.deed == Deed::Baseline {
        record(task, last, &entry, work)?;
    }
    work.tell(json!({ "migration": task.brief.id, "action": task.deed.name(), "state": state }));
    Ok(())
}

fn entry(task: &Task, state: State, work: &Work) -> Entry {
    Entry {
        id: task.brief.id.clone(),
        version: task.brief.version.clone(),
        description: task.brief.description.clone(),
        action: task.deed.name().to_owned(),
        state,
        statements: task.script.statements.len() as u64,
        done: task.script.statements.len() as u64,
        begun: false,
        at: Some(work.clock().now()),
        duration_ms: None,
        checksum: task.brief.checksum.clone(),
        actor: work.actor().to_owned(),
        run: work.point().to_owned(),
        error: None,
    }
}

/// The history of the tool, in the same transaction.
fn record(task: &Task, last: Option<String>, entry: &Entry, work: &mut Work) -> Result<()> {
    let Some(history) = &task.history else { return Ok(()) };
    if task.brief.id == DUMP {
        make_history(task, work)?;
    }
    let migration = task.brief.migration(&task.script);
    let fact = Fact {
        migration: &migration,
        script: &task.script,
        at: entry.at.unwrap_or_else(|| work.clock().now()),
        took_ms: entry.duration_ms.unwrap_or(0),
        actor: work.actor(),
        last,
    };
    let statements = match task.deed {
        Deed::Revert => book::revert(history, &fact),
        _ => book::apply(history, &fact),
    };
    for statement in statements {
        work.record_later(statement)?;
    }
    Ok(())
}

/// The statements of a part, from `at` on; how many rows they changed.
fn run(task: &Task, part: Part, at: usize, work: &mut Work) -> Result<u64> {
    let watched = part.statements.iter().any(|statement| may_break_references(&statement.sql));
    let before = if watched { broken(work)? } else { Vec::new() };
    let mut rows = 0;
    for (n, statement) in part.statements.iter().enumerate().filter(|(n, _)| part.first + n >= at) {
        rows += one(&statement.sql, work).map_err(|error| located(task, part.first + n, statement, error))?;
    }
    if watched {
        let new: Vec<Row> = broken(work)?.into_iter().filter(|row| !before.contains(row)).collect();
        if !new.is_empty() {
            return Err(breaks_references(task, &new));
        }
    }
    Ok(rows)
}

fn one(sql: &str, work: &mut Work) -> Result<u64> {
    if let Some((table, create)) = sql.strip_prefix(REBUILD).and_then(|rest| rest.split_once('\n')) {
        let table = TableName::bare(table.trim().trim_matches('"'));
        work.rebuild(&table, create)?;
        return Ok(0);
    }
    work.statement(sql)
}

/// References are not enforced where a table must go and come back; whatever could break some is looked at afterwards.
fn may_break_references(sql: &str) -> bool {
    let head: String = sql.chars().take(200).collect::<String>().to_ascii_lowercase();
    let words: Vec<&str> = head.split_whitespace().collect();
    sql.starts_with(REBUILD)
        || words.starts_with(&["drop", "table"])
        || (words.starts_with(&["alter", "table"]) && words.contains(&"rename"))
}

fn broken(work: &mut Work) -> Result<Vec<Row>> {
    match work.dialect().broken_references() {
        Some(query) => work.rows(&query),
        None => Ok(Vec::new()),
    }
}

fn breaks_references(task: &Task, new: &[Row]) -> Error {
    let shown: Vec<String> = new
        .iter()
        .take(5)
        .map(|row| match row.as_slice() {
            [table, place, parent, ..] => format!("row {place} of {table} to {parent}"),
            _ => String::new(),
        })
        .collect();
    let more = if new.len() > shown.len() { ", …" } else { "" };
    Error::data(format!(
        "`{}` would break {} references: {}{more}",
        task.brief.id,
        new.len(),
        shown.join(", ")
    ))
    .help("move these rows too, or delete them in a statement before: `sexton orphans scan` shows them")
}

/// Queries whose first value must be true; what stands beside it is shown when it is not.
fn assert_all(task: &Task, queries: &[String], when: &str, work: &mut Work) -> Result<()> {
    for query in queries {
        let rows = work.rows(&targets::db::Sql::raw(query)).map_err(|error| {
            error.while_doing(&format!("`{}`: asking what must be true {when} it", task.brief.id))
        })?;
        let row = rows.first().cloned().unwrap_or_default();
        let holds = match row.first() {
            Some(Value::Bool(truth)) => *truth,
            Some(Value::Int(number)) => *number != 0,
            Some(Value::Text(text)) => {
                ["t", "true", "yes", "on", "1"].contains(&text.to_ascii_lowercase().as_str())
            }
            _ => false,
        };
        if !holds {
            let said: Vec<String> = row.iter().skip(1).map(told).collect();
            let said = if said.is_empty() { String::new() } else { format!(": {}", said.join(", ")) };
            return Err(Error::data(format!(
                "`{}` needs {when} it what is not true{said} ({query})",
                task.brief.id
            ))
            .help("put that right, then `sexton migrate up`"));
        }
    }
    Ok(())
}

fn told(value: &Value) -> String {
    value.as_text().map_or_else(|| value.to_string(), str::to_owned)
}

/// Says which statement it was.
pub fn located(task: &Task, n: usize, statement: &Statement, error: Error) -> Error {
    let file = task.script.file.display();
    let count = task.script.statements.len();
    let error =
        error.while_doing(&format!("`{file}`, line {}, statement {} of {count}", statement.line, n + 1));
    let verb = if task.deed == Deed::Revert { "down" } else { "up" };
    // SQLite says 1 of whatever it has no word for; what it helps with then is about conditions.
    let ours = match (error.class, &error.help) {
        (Class::Usage, _) | (Class::Data, None) => true,
        (Class::Data, _) => error.code.as_deref() == Some("1"),
        _ => false,
    };
    match ours {
        true => {
            error.help(format!("correct line {} of `{file}`, then `sexton migrate {verb}`", statement.line))
        }
        false => error,
    }
}
