//! Two ways lead back to the rows of a run: its undo rows and its archive files. Whoever goes one of them leaves a mark, so that
//! the other does not put the same rows there twice.
//!
//! Rows with a key are told apart by it: what is there already is passed over. Without a key only the mark can tell.

use super::moved_files::count_moved;
use super::point::{Change, PointState, installed, read_point, set_state};
use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::work::Work;
use jiff::Timestamp;
use targets::db::{Facts, Sql, TableName, Value};

/// How much of a table is back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Back {
    /// Nothing.
    #[default]
    Nothing,
    /// Some rows, or it is not known which.
    Some,
    /// All rows.
    All,
}

const ALL: &str = "\"all\"";
const SOME: &str = "\"some\"";

fn mark_of(run: &str, table: &TableName) -> String {
    format!("restored:{run}:{table}")
}

/// How much of a table an archive gave back.
pub(crate) fn by_archive(facts: &mut dyn Facts, run: &str, table: &TableName) -> Result<Back> {
    if !installed(facts)? {
        return Ok(Back::Nothing);
    }
    let select = Sql::new("select progress from ")
        .table(&facts.dialect().own("checkpoints"))
        .text(" where point = ")
        .bind(mark_of(run, table));
    Ok(match facts.value(&select)? {
        Value::Text(text) if text == ALL => Back::All,
        Value::Text(_) => Back::Some,
        _ => Back::Nothing,
    })
}

/// How much of a run an undo gave back.
pub(crate) fn by_undo(facts: &mut dyn Facts, run: &str) -> Result<Back> {
    let Some(point) = read_point(facts, run)? else { return Ok(Back::Nothing) };
    // A point without tables has nothing that an undo could have given back by itself.
    if point.tables.is_empty() {
        return Ok(Back::Nothing);
    }
    Ok(match point.state {
        PointState::Used => Back::All,
        PointState::Partly => Back::Some,
        PointState::Open if point.scopes.iter().any(|scope| scope.state != PointState::Open) => Back::Some,
        PointState::Open => match Checkpoint::read(facts, &format!("undo:{run}"))? {
            Some(_) => Back::Some,
            None => Back::Nothing,
        },
    })
}

/// The tables that must be back before the undo point of a run counts as put back; none when archives cannot give all of it.
pub(crate) fn closes(
    facts: &mut dyn Facts,
    run: &str,
    archived: &[TableName],
) -> Result<Option<Vec<String>>> {
    let Some(point) = read_point(facts, run)? else { return Ok(None) };
    let only_deleted = point.tables.iter().all(|table| table.change == Change::Delete);
    if point.state != PointState::Open || !only_deleted || count_moved(facts, run)? > 0 {
        return Ok(None);
    }
    let mut marks: Vec<String> = point.tables.iter().map(|table| mark_of(run, &table.source)).collect();
    marks.extend(archived.iter().map(|table| mark_of(run, table)));
    marks.sort();
    marks.dedup();
    Ok(Some(marks))
}

/// Marks that an archive gives this table back, inside the transaction that does it.
pub(crate) fn mark(work: &mut Work, run: &str, table: &TableName, back: Back, at: Timestamp) -> Result<()> {
    let progress = if back == Back::All { ALL } else { SOME };
    let statement = Sql::new("insert into ")
        .table(&work.dialect().own("checkpoints"))
        .text(" (point, progress, updated_at) values (")
        .bind(mark_of(run, table))
        .text(", ")
        .bind(progress)
        .text(", ")
        .bind(at.to_string())
        .text(
            ") on conflict (point) do update set progress = excluded.progress, updated_at = excluded.updated_at",
        );
    work.tx().execute(&statement).map(drop)
}

/// Closes the undo point of a run when all these marks say that everything is back.
pub(crate) fn close(work: &mut Work, run: &str, marks: &[String]) -> Result<()> {
    let wanted: Vec<Sql> = marks.iter().map(|mark| Sql::default().bind(mark.clone())).collect();
    let there = Sql::new("select count(*) from ")
        .table(&work.dialect().own("checkpoints"))
        .text(" where progress = ")
        .bind(ALL)
        .text(" and point in (")
        .add(&Sql::join(&wanted, ", "))
        .text(")");
    if work.count(&there)? == marks.len() as u64 {
        let dialect = work.dialect();
        set_state(work.tx(), dialect, run, PointState::Used)?;
    }
    Ok(())
}
