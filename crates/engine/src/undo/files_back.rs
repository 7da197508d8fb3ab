//! Putting back, by rename, the files that a run set aside; they are exempt afterwards.
//!
//! A name that is taken again is a conflict: told, kept, never overwritten.

use super::moved_files::{COLUMNS, MOVED, MovedFile, RESTORED, installed, read};
use super::point::PointState;
use crate::error::{Error, Result};
use crate::event::Counts;
use crate::finding::Finding;
use crate::operation::{Batch, Cursor};
use crate::plan::Step;
use crate::quarantine::{QUARANTINE, RESTORE_FILES, place_of};
use crate::words;
use crate::work::Work;
use serde::{Deserialize, Serialize};
use targets::db::{Dialect, Facts, Sql, Value};
use targets::files::{Files, Moved};

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
            action: RESTORE_FILES.to_owned(),
            object: store.clone(),
            matched,
            exact: true,
            batches: matched.div_ceil(1_000).max(1),
            way: format!("moved back from {QUARANTINE}/{point}"),
            task: serde_json::to_value(FileTask { files_of: store, retry, last: false }).unwrap_or_default(),
            ..Step::default()
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
                format!(
                    "{} could not be put back, such as {}: {}",
                    words::of(count.max(0) as u64, "file", "files"),
                    words::name(text(2)),
                    text(0)
                ),
                format!("move what is in the way, then `sexton undo apply {point}` again"),
            )
        })
        .collect())
}
