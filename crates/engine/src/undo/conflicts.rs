//! Rows that could not be put back: written down with the database's reason, shown, and tried again later.

use super::point::Point;
use crate::error::Result;
use crate::finding::Finding;
use crate::words::rows;
use crate::work::Work;
use serde::Serialize;
use targets::db::{Dialect, Facts, Range, Row, Sql, TableName, Value};

/// The conflicts of a point, by reason.
pub(crate) fn reported_conflicts(facts: &mut dyn Facts, point: &str) -> Result<Vec<Finding>> {
    let select = Sql::new("select reason, count(*) from ")
        .table(&facts.dialect().own("undo_conflicts"))
        .text(" where point = ")
        .bind(point)
        .text(" group by reason order by count(*) desc, reason");
    let mut findings = Vec::new();
    for row in facts.rows(&select)? {
        let reason = row.first().and_then(Value::as_text).unwrap_or("unknown").to_owned();
        let count = row.get(1).and_then(Value::as_int).unwrap_or(0).max(0) as u64;
        findings.push(Finding::warning(
            "undo_conflict",
            point,
            format!("{} could not be put back: {reason}", rows(count)),
            format!("look at them with `sexton undo show {point}`, make room, then `sexton undo apply {point}` again"),
        ));
    }
    Ok(findings)
}

/// One remembered row that could not be put back.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Conflict {
    /// Its table.
    pub table: TableName,
    /// Its key, or all its columns when the table has none.
    pub key: Vec<(String, Value)>,
    /// What the database says.
    pub reason: String,
}

/// The rows of a point that could not be put back, at most `limit`.
pub fn conflicts_of(facts: &mut dyn Facts, point: &Point, limit: usize) -> Result<Vec<Conflict>> {
    let mut all = Vec::new();
    for table in &point.tables {
        let select = Sql::new("select position, reason from ")
            .table(&facts.dialect().own("undo_conflicts"))
            .text(" where point = ")
            .bind(point.id.clone())
            .text(" and seq = ")
            .bind(table.seq)
            .text(" order by position");
        let columns = if table.key.is_empty() { &table.undo.columns } else { &table.key };
        for row in facts.rows(&select)? {
            if all.len() >= limit {
                return Ok(all);
            }
            let position = row.first().and_then(Value::as_int).unwrap_or(0);
            let range = facts.dialect().undo_range(Range::of(position, position + 1));
            let select = Sql::new("select ")
                .names("u.", columns.iter().map(String::as_str))
                .text(" from ")
                .table(&table.undo.name)
                .text(" as u where ")
                .add(&range);
            let values = facts.rows(&select)?.into_iter().next().unwrap_or_default();
            all.push(Conflict {
                table: table.source.clone(),
                key: columns.iter().cloned().zip(values).collect(),
                reason: row.get(1).and_then(Value::as_text).unwrap_or_default().to_owned(),
            });
        }
    }
    Ok(all)
}

/// Writes a conflict down.
pub(super) fn note_conflict(
    work: &mut Work,
    point: &str,
    seq: i64,
    position: i64,
    reason: &str,
) -> Result<()> {
    let own = work.dialect().own("undo_conflicts");
    work.tx().execute(
        &Sql::new("insert into ")
            .table(&own)
            .text(" (point, seq, position, reason) values (")
            .bind(point)
            .text(", ")
            .bind(seq)
            .text(", ")
            .bind(position)
            .text(", ")
            .bind(reason)
            .text(") on conflict (point, seq, position) do update set reason = excluded.reason"),
    )?;
    Ok(())
}

/// Forgets a conflict that is over.
pub(super) fn forget_conflict(work: &mut Work, point: &str, seq: i64, position: i64) -> Result<()> {
    let own = work.dialect().own("undo_conflicts");
    work.tx().execute(
        &Sql::new("delete from ")
            .table(&own)
            .text(" where point = ")
            .bind(point)
            .text(" and seq = ")
            .bind(seq)
            .text(" and position = ")
            .bind(position),
    )?;
    Ok(())
}

/// The query for the positions of a table's conflicts.
pub(super) fn conflicts(point: &str, seq: i64, dialect: &dyn Dialect) -> Sql {
    Sql::new("select position from ")
        .table(&dialect.own("undo_conflicts"))
        .text(" where point = ")
        .bind(point)
        .text(" and seq = ")
        .bind(seq)
        .text(" order by position")
}

/// Positions from the rows of that query.
pub(super) fn positions(rows: Vec<Row>) -> Vec<i64> {
    rows.iter().filter_map(|row| row.first().and_then(Value::as_int)).collect()
}
