//! Files that a run wrote: written down, and taken away again where they are still as they were written.
//!
//! A file that was changed since is a conflict: told, and left. The folders that were made for them go when nothing is in them.

use super::point::{PointState, exists};
use crate::error::{Error, Result};
use crate::event::Counts;
use crate::finding::Finding;
use crate::operation::{Batch, Cursor, Stores};
use crate::plan::Step;
use crate::quarantine::QUARANTINE;
use crate::words;
use crate::work::Work;
use crate::written::digest;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use targets::db::{Dialect, Facts, Limits, Row, Session, Sql, Tx, Value};
use targets::files::{Files, Sort};

const NAME: &str = "written_files";

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenFile {
    /// Its place among those of its undo point.
    pub position: i64,
    /// The file store.
    pub store: String,
    /// Its name there.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Of what is in it.
    pub sha256: String,
    /// The topmost folder that was made for it.
    pub made: Option<String>,
}

/// Writes down what was written. Belongs into the transaction of the batch.
pub(crate) fn record(
    tx: &mut dyn Tx,
    dialect: &dyn Dialect,
    point: &str,
    files: &[WrittenFile],
) -> Result<()> {
    let own = dialect.own(NAME);
    if tx.count(&dialect.exists(&own))? == 0 {
        let columns = " (point text not null, position bigint not null, store text not null, name text not null, \
                       bytes bigint not null, sha256 text not null, made text, state text not null, reason text, \
                       primary key (point, position))";
        tx.execute(&Sql::new("create table ").table(&own).text(columns))?;
    }
    for some in files.chunks(100) {
        let rows = some.iter().map(|file| {
            Sql::new("(")
                .bind(point)
                .text(", ")
                .bind(file.position)
                .text(", ")
                .bind(file.store.clone())
                .text(", ")
                .bind(file.name.clone())
                .text(&format!(", {}, ", file.bytes))
                .bind(file.sha256.clone())
                .text(", ")
                .bind(file.made.clone())
                .text(", 'written')")
        });
        tx.execute(
            &Sql::new("insert into ")
                .table(&own)
                .text(" (point, position, store, name, bytes, sha256, made, state) values ")
                .add(&Sql::join(&rows.collect::<Vec<_>>(), ", ")),
        )?;
    }
    Ok(())
}

/// Those of the names that earlier batches of the point have written.
pub(crate) fn names_of(
    tx: &mut dyn Tx,
    dialect: &dyn Dialect,
    point: &str,
    store: &str,
    names: &[&str],
) -> Result<HashSet<String>> {
    let own = dialect.own(NAME);
    let mut known = HashSet::new();
    if names.is_empty() || tx.count(&dialect.exists(&own))? == 0 {
        return Ok(known);
    }
    for some in names.chunks(500) {
        let some: Vec<Sql> = some.iter().map(|name| Sql::default().bind(*name)).collect();
        let select = Sql::new("select name from ")
            .table(&own)
            .text(" where point = ")
            .bind(point)
            .text(" and store = ")
            .bind(store)
            .text(" and name in (")
            .add(&Sql::join(&some, ", "))
            .text(")");
        let rows = tx.rows(&select)?;
        known.extend(rows.iter().filter_map(|row| row.first()?.as_text().map(str::to_owned)));
    }
    Ok(known)
}

/// Forgets what a point wrote: the files stay.
pub(super) fn forget(
    session: &mut dyn Session,
    stores: &dyn Stores,
    limits: &Limits,
    point: &str,
) -> Result<()> {
    let own = session.dialect().own(NAME);
    if !exists(session, &own)? {
        return Ok(());
    }
    let of_point = |what: &str| Sql::new(what).text(" from ").table(&own).text(" where point = ").bind(point);
    for row in session.rows(&of_point("select distinct store"))? {
        let store = row.first().and_then(Value::as_text).unwrap_or_default();
        stores.store(store)?.remove_tree(&format!("{QUARANTINE}/{point}"))?;
    }
    let mut tx = session.begin(limits)?;
    tx.execute(&of_point("delete"))?;
    tx.commit()
}

/// Removes the tables of what was converted and written when nothing is in them; whether they are gone.
pub(super) fn tidy(session: &mut dyn Session, limits: &Limits) -> Result<bool> {
    let mut there = Vec::new();
    for name in [NAME, super::done::NAME] {
        let own = session.dialect().own(name);
        if exists(session, &own)? {
            there.push(own);
        }
    }
    if there.is_empty() {
        return Ok(true);
    }
    let mut tx = session.begin(limits)?;
    for own in &there {
        if tx.count(&Sql::new("select count(*) from ").table(own))? > 0 {
            return Ok(false);
        }
        tx.execute(&Sql::new("drop table ").table(own))?;
    }
    tx.commit()?;
    Ok(true)
}

/// What a step of an undo needs that takes files away.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct WrittenTask {
    /// The store; no other task of an undo has this key.
    written_to: String,
    /// Only what was in conflict last time is left.
    retry: Option<bool>,
    #[serde(default)]
    pub last: bool,
}

impl WrittenTask {
    /// The task, when the step is about files that were written.
    pub fn of(step: &Step) -> Option<WrittenTask> {
        serde_json::from_value(step.task.clone()).ok()
    }
}

fn there(dialect: &dyn Dialect, what: &str, point: &str) -> Sql {
    Sql::new("select ")
        .text(what)
        .text(" from ")
        .table(&dialect.own(NAME))
        .text(" where state in ('written', 'conflict') and point = ")
        .bind(point)
}

/// One step for each store into which the point has written.
pub(super) fn steps(facts: &mut dyn Facts, point: &str, state: PointState) -> Result<Vec<Step>> {
    let own = facts.dialect().own(NAME);
    if !exists(facts, &own)? {
        return Ok(Vec::new());
    }
    // A step that is done already keeps its place: an undo that died goes on where it stopped.
    let select = Sql::new("select store, count(case when state in ('written', 'conflict') then 1 end) from ")
        .table(&own)
        .text(" where point = ")
        .bind(point)
        .text(" group by store order by store");
    let mut steps = Vec::new();
    for row in facts.rows(&select)? {
        let store = row.first().and_then(Value::as_text).unwrap_or_default().to_owned();
        let matched = row.get(1).and_then(Value::as_int).unwrap_or(0).max(0) as u64;
        let retry = (state == PointState::Partly).then_some(true);
        steps.push(Step {
            id: format!("written to {store}"),
            label: format!("written to {store}"),
            action: "restore".to_owned(),
            object: store.clone(),
            matched,
            exact: true,
            batches: matched.div_ceil(1_000).max(1),
            way: "removed where they are as they were written".to_owned(),
            task: serde_json::to_value(WrittenTask { written_to: store, retry, last: false })
                .unwrap_or_default(),
            ..Step::default()
        });
    }
    Ok(steps)
}

/// Takes the next files away, the last written first: the folder of the first goes last.
pub(super) fn take_away(
    task: &WrittenTask,
    aim: &Cursor,
    rows: u64,
    work: &mut Work,
    point: &str,
) -> Result<Batch> {
    let most = rows.clamp(1, 5_000) as usize;
    let select = there(work.dialect(), "position, name, sha256, made", point)
        .text(" and store = ")
        .bind(task.written_to.clone())
        .text(" and position < ")
        .bind(aim.0.as_i64().unwrap_or(i64::MAX))
        .text(" order by position desc limit ")
        .bind(most as i64 + 1);
    let mut files = work.rows(&select)?;
    // The last batch knows that it is the last: what is to be done at the end commits with it.
    let more = files.len() > most;
    files.truncate(most);
    let Some(last) = files.last().and_then(|row| row.first()).and_then(Value::as_int) else {
        return Ok(Batch { counts: Counts::default(), next: None });
    };
    let store = work.store(&task.written_to)?;
    let mut counts = Counts::default();
    let mut names = Vec::new();
    work.may_die("before written files are removed")?;
    for row in &files {
        let text = |n: usize| row.get(n).and_then(Value::as_text);
        let (name, sha256) = (text(1).unwrap_or_default(), text(2).unwrap_or_default());
        let reason = match remove(store.as_ref(), name, sha256, text(3)) {
            Ok(()) => None,
            Err(error) if error.class == crate::Class::Transient => return Err(error),
            Err(error) => Some(error.what),
        };
        work.may_die("after a written file was removed")?;
        match reason {
            None => counts.restored += 1,
            Some(_) => counts.failed += 1,
        }
        names.push(name);
        note(work, point, position(row), reason)?;
    }
    store.settle(&names)?;
    Ok(Batch { counts, next: more.then(|| Cursor(last.into())) })
}

fn position(row: &Row) -> i64 {
    row.first().and_then(Value::as_int).unwrap_or(0)
}

fn remove(store: &dyn Files, name: &str, sha256: &str, made: Option<&str>) -> Result<()> {
    match store.look(name)? {
        // Somebody removed it, or an earlier attempt at this batch had come as far as this.
        None => {}
        Some(there) if there.sort == Sort::File && digest(store, name)? == sha256 => {
            store.remove(name)?;
        }
        Some(_) => return Err(Error::data("it was changed since it was written")),
    }
    let Some(made) = made else { return Ok(()) };
    let mut folder = name;
    while let Some((above, _)) = folder.rsplit_once('/').filter(|(above, _)| above.len() >= made.len()) {
        if !store.remove_empty(above)? {
            break;
        }
        folder = above;
    }
    Ok(())
}

fn note(work: &mut Work, point: &str, position: i64, reason: Option<String>) -> Result<()> {
    let state = if reason.is_none() { "gone" } else { "conflict" };
    let update = Sql::new("update ")
        .table(&work.dialect().own(NAME))
        .text(" set state = ")
        .bind(state)
        .text(", reason = ")
        .bind(reason)
        .text(" where point = ")
        .bind(point)
        .text(" and position = ")
        .bind(position);
    work.tx().execute(&update).map(drop)
}

/// How many written files of a point are still there.
pub(super) fn open(work: &mut Work, point: &str) -> Result<u64> {
    let dialect = work.dialect();
    if work.count(&dialect.exists(&dialect.own(NAME)))? == 0 {
        return Ok(0);
    }
    work.count(&there(dialect, "count(*)", point))
}

/// The files that could not be taken away, by reason.
pub(super) fn conflicts(facts: &mut dyn Facts, point: &str) -> Result<Vec<Finding>> {
    let own = facts.dialect().own(NAME);
    if !exists(facts, &own)? {
        return Ok(Vec::new());
    }
    let select = Sql::new("select reason, count(*), min(name) from ")
        .table(&own)
        .text(" where state = 'conflict' and point = ")
        .bind(point)
        .text(" group by reason order by count(*) desc, reason");
    let rows = facts.rows(&select)?;
    let told = rows.iter().map(|row| {
        let text = |n: usize| row.get(n).and_then(Value::as_text).unwrap_or_default();
        let count = row.get(1).and_then(Value::as_int).unwrap_or(0);
        Finding::warning(
            "undo_conflict",
            point,
            format!(
                "{} written by it could not be removed, such as {}: {}",
                words::of(count.max(0) as u64, "file", "files"),
                words::name(text(2)),
                text(0)
            ),
            format!("move what is there away, then `sexton undo apply {point}` again"),
        )
    });
    Ok(told.collect())
}
