//! Files that a run set aside: written down, put back by rename, exempt afterwards, and really removed with their undo
//! point.
//!
//! One row for each file or whole folder, committed with the batch that moved it. A name that is taken again is a conflict:
//! told, kept, never overwritten. Sexton's tables for it are made at the first need.

use super::point::PointState;
use crate::error::{Error, Result};
use crate::event::Counts;
use crate::finding::Finding;
use crate::operation::{Batch, Cursor, Stores};
use crate::plan::Step;
use crate::quarantine::{QUARANTINE, place_of};
use crate::work::Work;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use targets::db::{Dialect, Facts, Limits, Row, Session, Sql, Tx, Value};
use targets::files::{Files, Moved};

/// A file, or a whole folder, that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedFile {
    /// Its place among those of its undo point.
    pub position: i64,
    /// The file store.
    pub store: String,
    /// Its name there.
    pub name: String,
    /// Whether it is a folder.
    pub folder: bool,
    /// Its size in bytes, with everything in it.
    pub bytes: u64,
    /// How many files it is.
    pub files: u64,
    /// Its last change, microseconds since 1970.
    pub modified_us: i64,
    /// `moved`, `back`, `conflict` (could not be put back) or `failed` (was never moved).
    pub state: String,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

const MOVED: &str = "moved_files";
const RESTORED: &str = "restored_files";
const COLUMNS: &str = "position, store, name, folder, bytes, files, modified_us, state, reason";

fn create(tx: &mut dyn Tx, dialect: &dyn Dialect) -> Result<()> {
    let tables = [
        (
            MOVED,
            "point text not null, position bigint not null, store text not null, name text not null, \
             folder bigint not null, bytes bigint not null, files bigint not null, modified_us bigint not null, \
             state text not null, reason text, primary key (point, position)",
        ),
        (RESTORED, "store text not null, name text not null, primary key (store, name)"),
    ];
    for (name, columns) in tables {
        // Asked first: a notice for each batch would fill the server's log.
        if tx.count(&dialect.exists(&dialect.own(name)))? == 0 {
            let create = Sql::new("create table ").table(&dialect.own(name)).text(&format!(" ({columns})"));
            tx.execute(&create)?;
        }
    }
    Ok(())
}

fn installed(facts: &mut (impl Facts + ?Sized)) -> Result<bool> {
    let exists = facts.dialect().exists(&facts.dialect().own(MOVED));
    Ok(facts.count(&exists)? == 1)
}

/// Writes down what was set aside. Belongs into the transaction of the batch.
pub(crate) fn record(tx: &mut dyn Tx, dialect: &dyn Dialect, point: &str, files: &[MovedFile]) -> Result<()> {
    create(tx, dialect)?;
    for some in files.chunks(100) {
        let rows: Vec<Sql> = some
            .iter()
            .map(|file| {
                Sql::new("(")
                    .bind(point)
                    .text(", ")
                    .bind(file.position)
                    .text(", ")
                    .bind(file.store.clone())
                    .text(", ")
                    .bind(file.name.clone())
                    .text(&format!(
                        ", {}, {}, {}, {}, ",
                        i64::from(file.folder),
                        file.bytes,
                        file.files,
                        file.modified_us
                    ))
                    .bind(file.state.clone())
                    .text(", ")
                    .bind(file.reason.clone())
                    .text(")")
            })
            .collect();
        tx.execute(
            &Sql::new("insert into ")
                .table(&dialect.own(MOVED))
                .text(&format!(" (point, {COLUMNS}) values "))
                .add(&Sql::join(&rows, ", ")),
        )?;
    }
    Ok(())
}

/// What an undo point set aside, in its order, at most `limit`.
pub fn moved_files(facts: &mut dyn Facts, point: &str, limit: u64) -> Result<Vec<MovedFile>> {
    if !installed(facts)? {
        return Ok(Vec::new());
    }
    let select = Sql::new(&format!("select {COLUMNS} from "))
        .table(&facts.dialect().own(MOVED))
        .text(" where point = ")
        .bind(point)
        .text(" order by position limit ")
        .bind(limit.min(i64::MAX as u64) as i64);
    Ok(facts.rows(&select)?.iter().map(read).collect())
}

fn read(row: &Row) -> MovedFile {
    let text = |n: usize| row.get(n).and_then(Value::as_text).map(str::to_owned);
    let number = |n: usize| row.get(n).and_then(Value::as_int).unwrap_or(0);
    MovedFile {
        position: number(0),
        store: text(1).unwrap_or_default(),
        name: text(2).unwrap_or_default(),
        folder: number(3) != 0,
        bytes: number(4).max(0) as u64,
        files: number(5).max(0) as u64,
        modified_us: number(6),
        state: text(7).unwrap_or_default(),
        reason: text(8),
    }
}

/// How many files and folders a point has set aside.
pub(crate) fn count_moved(facts: &mut dyn Facts, point: &str) -> Result<u64> {
    if !installed(facts)? {
        return Ok(0);
    }
    let select = Sql::new("select count(*) from ")
        .table(&facts.dialect().own(MOVED))
        .text(" where state <> 'failed' and point = ")
        .bind(point);
    facts.count(&select)
}

/// The names that an undo brought back to a store: they are not swept again.
pub fn restored_files(facts: &mut dyn Facts, store: &str) -> Result<HashSet<String>> {
    if !installed(facts)? {
        return Ok(HashSet::new());
    }
    let select = Sql::new("select name from ")
        .table(&facts.dialect().own(RESTORED))
        .text(" where store = ")
        .bind(store);
    let rows = facts.rows(&select)?;
    Ok(rows.iter().filter_map(|row| row.first()?.as_text().map(str::to_owned)).collect())
}

/// Ends the exemption of restored files; the stores that had some.
pub(crate) fn release_files(session: &mut dyn Session, limits: &Limits) -> Result<Vec<String>> {
    if !installed(session)? {
        return Ok(Vec::new());
    }
    let own = session.dialect().own(RESTORED);
    let stores = Sql::new("select distinct store from ").table(&own).text(" order by store");
    let rows = session.rows(&stores)?;
    let mut tx = session.begin(limits)?;
    tx.execute(&Sql::new("delete from ").table(&own))?;
    tx.commit()?;
    Ok(rows.iter().filter_map(|row| row.first()?.as_text().map(str::to_owned)).collect())
}

/// Really removes what a point has set aside, and forgets it.
pub(crate) fn discard_files(
    session: &mut dyn Session,
    stores: &dyn Stores,
    limits: &Limits,
    point: &str,
) -> Result<()> {
    super::written::forget(session, stores, limits, point)?;
    if !installed(session)? {
        return Ok(());
    }
    let own = session.dialect().own(MOVED);
    let of_point = |what: &str| Sql::new(what).text(" from ").table(&own).text(" where point = ").bind(point);
    for row in session.rows(&of_point("select distinct store"))? {
        let store = row.first().and_then(Value::as_text).unwrap_or_default();
        stores.store(store)?.remove_tree(&format!("{QUARANTINE}/{point}"))?;
    }
    let mut tx = session.begin(limits)?;
    tx.execute(&of_point("delete"))?;
    tx.commit()
}

/// Removes the tables when nothing is in them; whether they are gone.
pub(crate) fn tidy_files(session: &mut dyn Session, limits: &Limits) -> Result<bool> {
    if !installed(session)? {
        return Ok(true);
    }
    let own = [MOVED, RESTORED].map(|name| session.dialect().own(name));
    let mut tx = session.begin(limits)?;
    for table in &own {
        if tx.count(&Sql::new("select count(*) from ").table(table))? > 0 {
            return Ok(false);
        }
    }
    for table in &own {
        tx.execute(&Sql::new("drop table ").table(table))?;
    }
    tx.commit()?;
    Ok(true)
}

/// What a step of an undo needs that puts files back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct FileTask {
    /// The store; no other task of an undo has this key.
    files_of: String,
    /// Only what was in conflict last time is left.
    retry: Option<bool>,
    #[serde(default)]
    pub last: bool,
}

impl FileTask {
    /// The task, when the step is about files.
    pub fn of(step: &Step) -> Option<FileTask> {
        serde_json::from_value(step.task.clone()).ok()
    }
}

fn waiting(dialect: &dyn Dialect, what: &str, point: &str) -> Sql {
    Sql::new("select ")
        .text(what)
        .text(" from ")
        .table(&dialect.own(MOVED))
        .text(" where state in ('moved', 'conflict') and point = ")
        .bind(point)
}

/// One step for each store of which the point has files.
pub(super) fn steps(facts: &mut dyn Facts, point: &str, state: PointState) -> Result<Vec<Step>> {
    if !installed(facts)? {
        return Ok(Vec::new());
    }
    let select = waiting(facts.dialect(), "store, count(*)", point).text(" group by store order by store");
    let mut steps = Vec::new();
    for row in facts.rows(&select)? {
        let store = row.first().and_then(Value::as_text).unwrap_or_default().to_owned();
        let matched = row.get(1).and_then(Value::as_int).unwrap_or(0).max(0) as u64;
        let retry = (state == PointState::Partly).then_some(true);
        steps.push(Step {
            id: format!("files of {store}"),
            label: format!("files of {store}"),
            action: "restore".to_owned(),
            object: store.clone(),
            matched,
            exact: true,
            total: None,
            total_exact: false,
            dependants: Vec::new(),
            unreadable: 0,
            exempt: 0,
            batches: matched.div_ceil(1_000).max(1),
            way: format!("moved back from {QUARANTINE}/{point}"),
            statements: Vec::new(),
            facts: Vec::new(),
            task: serde_json::to_value(FileTask { files_of: store, retry, last: false }).unwrap_or_default(),
        });
    }
    Ok(steps)
}

/// Puts the next files back.
pub(super) fn put_back(
    task: &FileTask,
    aim: &Cursor,
    rows: u64,
    work: &mut Work,
    point: &str,
) -> Result<Batch> {
    let dialect = work.dialect();
    let most = rows.clamp(1, 5_000) as usize;
    let select = waiting(dialect, COLUMNS, point)
        .text(" and store = ")
        .bind(task.files_of.clone())
        .text(" and position > ")
        .bind(aim.0.as_i64().unwrap_or(-1))
        .text(" order by position limit ")
        .bind(most as i64 + 1);
    let mut files: Vec<MovedFile> = work.rows(&select)?.iter().map(read).collect();
    // The last batch knows that it is the last: what is to be done at the end commits with it.
    let more = files.len() > most;
    files.truncate(most);
    let Some(last) = files.last().map(|file| file.position) else {
        return Ok(Batch { counts: Counts::default(), next: None });
    };
    let store = work.store(&task.files_of)?;
    let mut counts = Counts::default();
    let mut names = Vec::new();
    work.may_die("before files are put back")?;
    for file in &files {
        let reason = match back(store.as_ref(), point, file) {
            Ok(()) => None,
            Err(error) if error.class == crate::Class::Transient => return Err(error),
            Err(error) => Some(error.what),
        };
        work.may_die("after a file was put back")?;
        match &reason {
            None => {
                counts.restored += 1;
                names.push(place_of(point, &file.name));
                names.push(file.name.clone());
                exempt(work, &file.store, &file.name)?;
            }
            Some(_) => counts.failed += 1,
        }
        note(work, point, file.position, reason)?;
    }
    store.settle(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
    Ok(Batch { counts, next: more.then(|| Cursor(last.into())) })
}

fn back(store: &dyn Files, point: &str, file: &MovedFile) -> Result<()> {
    let waits = place_of(point, &file.name);
    match store.move_to(&waits, &file.name)? {
        Moved::Done => Ok(()),
        Moved::Taken => Err(Error::data("its name is taken again")),
        Moved::Missing => match store.look(&file.name)? {
            // An earlier attempt at this batch had come as far as this.
            Some(there) if file.folder || there.bytes == file.bytes => Ok(()),
            _ => Err(Error::data("it is no longer in the quarantine")),
        },
    }
}

fn exempt(work: &mut Work, store: &str, name: &str) -> Result<()> {
    let insert = Sql::new("insert into ")
        .table(&work.dialect().own(RESTORED))
        .text(" (store, name) values (")
        .bind(store)
        .text(", ")
        .bind(name)
        .text(") on conflict (store, name) do nothing");
    work.tx().execute(&insert).map(drop)
}

fn note(work: &mut Work, point: &str, position: i64, reason: Option<String>) -> Result<()> {
    let state = if reason.is_none() { "back" } else { "conflict" };
    let update = Sql::new("update ")
        .table(&work.dialect().own(MOVED))
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

/// How many files of a point are not back.
pub(super) fn open_files(work: &mut Work, point: &str) -> Result<u64> {
    let dialect = work.dialect();
    if work.count(&dialect.exists(&dialect.own(MOVED)))? == 0 {
        return Ok(0);
    }
    work.count(&waiting(dialect, "count(*)", point))
}

/// The files that could not be put back, by reason.
pub(super) fn file_conflicts(facts: &mut dyn Facts, point: &str) -> Result<Vec<Finding>> {
    if !installed(facts)? {
        return Ok(Vec::new());
    }
    let select = Sql::new("select reason, count(*), min(name) from ")
        .table(&facts.dialect().own(MOVED))
        .text(" where state = 'conflict' and point = ")
        .bind(point)
        .text(" group by reason order by count(*) desc, reason");
    let rows = facts.rows(&select)?;
    Ok(rows
        .iter()
        .map(|row| {
            let text = |n: usize| row.get(n).and_then(Value::as_text).unwrap_or_default();
            let count = row.get(1).and_then(Value::as_int).unwrap_or(0);
            Finding::warning(
                "undo_conflict",
                point,
                format!("{count} files could not be put back, such as `{}`: {}", text(2), text(0)),
                format!("move what is in the way, then `sexton undo apply {point}` again"),
            )
        })
        .collect())
}
