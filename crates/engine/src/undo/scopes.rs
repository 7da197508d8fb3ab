//! Parts of an undo point: a run that works scope by scope can be put back scope by scope.
//!
//! The undo rows of all scopes of a run share its undo tables; each batch is one scope, and undo rows carry the number of
//! their batch. The id of a part is that of the point, a dash, and that number.

use super::point::{Point, PointState, Remembered};
use crate::error::{Error, Result};
use crate::scopes::UNDO_SCOPES;
use crate::work::Work;
use serde::{Deserialize, Serialize};
use targets::db::{BATCH, Dialect, Facts, Limits, Session, Sql, Tx, UndoTable, Value};

/// A part of an undo point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scope {
    /// The batch that did it.
    pub batch: i64,
    /// What it is about.
    pub key: String,
    /// Where it stands.
    pub state: PointState,
    /// What the kind told about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<serde_json::Value>,
}

/// The id of a part.
pub fn id(point: &str, batch: i64) -> String {
    format!("{point}-{batch}")
}

/// The point and the batch, from the id of a part.
pub fn parse(id: &str) -> Option<(&str, i64)> {
    let (point, batch) = id.rsplit_once('-')?;
    Some((point, batch.parse().ok()?))
}

impl Point {
    /// The point and its parts, each as a point of its own.
    pub fn with_parts(self) -> Vec<Point> {
        let mut all: Vec<Point> = self
            .scopes
            .iter()
            .map(|scope| Point {
                id: id(&self.id, scope.batch),
                state: scope.state,
                scopes: Vec::new(),
                scope: Some(scope.key.clone()),
                batch: Some(scope.batch),
                ..self.clone()
            })
            .collect();
        all.insert(0, self);
        all
    }
}

/// Adds the parts to the points.
pub(super) fn read(facts: &mut dyn Facts, points: &mut [Point]) -> Result<()> {
    let table = facts.dialect().own(UNDO_SCOPES);
    if points.is_empty() || facts.count(&facts.dialect().exists(&table))? == 0 {
        return Ok(());
    }
    let select = Sql::new("select point, batch, scope, state, detail from ")
        .table(&table)
        .text(" order by point, batch");
    for row in facts.rows(&select)? {
        let text = |n: usize| row.get(n).and_then(Value::as_text).unwrap_or_default();
        if let Some(point) = points.iter_mut().find(|point| point.id == text(0)) {
            point.scopes.push(Scope {
                batch: row.get(1).and_then(Value::as_int).unwrap_or(0),
                key: text(2).to_owned(),
                state: match text(3) {
                    "used" => PointState::Used,
                    "partly" => PointState::Partly,
                    _ => PointState::Open,
                },
                detail: serde_json::from_str(text(4)).ok(),
            });
        }
    }
    Ok(())
}

/// Opens a part, with the change.
pub(crate) fn open(
    tx: &mut dyn Tx,
    dialect: &dyn Dialect,
    point: &str,
    batch: i64,
    key: &str,
    detail: Option<&serde_json::Value>,
) -> Result<()> {
    tx.execute(
        &Sql::new("insert into ")
            .table(&dialect.own(UNDO_SCOPES))
            .text(" (point, batch, scope, state, detail) values (")
            .bind(point)
            .text(", ")
            .bind(batch)
            .text(", ")
            .bind(key)
            .text(", 'open', ")
            .bind(detail.map(ToString::to_string))
            .text(")"),
    )?;
    Ok(())
}

/// Counts the undo rows of a table, or of one batch in it.
pub(super) fn rows_of(undo: &UndoTable, batch: Option<i64>) -> Sql {
    let all = Sql::new("select count(*) from ").table(&undo.name);
    match batch {
        Some(batch) => all.text(&format!(" where {BATCH} = ")).bind(batch),
        None => all,
    }
}

/// Where the undo rows of a table lie, or those of one batch in it.
pub(super) fn span(facts: &mut dyn Facts, undo: &UndoTable, batch: Option<i64>) -> Result<(i64, i64)> {
    let Some(batch) = batch else {
        let end = facts.dialect().undo_end(undo);
        return Ok((0, facts.count(&end)? as i64));
    };
    let span = facts.dialect().undo_span(undo, batch);
    let row = facts.rows(&span)?.into_iter().next().unwrap_or_default();
    let number = |n: usize| row.get(n).and_then(Value::as_int).unwrap_or(0);
    Ok((number(0), number(1)))
}

/// Whether two points can be about the same rows. Parts of different scopes are not.
pub(super) fn may_meet(point: &Point, other: &Point) -> bool {
    match &point.scope {
        Some(scope) if !other.scopes.is_empty() => {
            other.scopes.iter().any(|part| part.key == *scope && part.state == PointState::Open)
        }
        _ => true,
    }
}

/// Notes how far a part was put back. What is back is forgotten, so that putting back the whole run passes over it.
pub(super) fn set_state(work: &mut Work, id: &str, state: PointState) -> Result<()> {
    let Some((point, batch)) = parse(id) else { return Ok(()) };
    let dialect = work.dialect();
    let (scopes, points, tables) =
        (dialect.own(UNDO_SCOPES), dialect.own("undo_points"), dialect.own("undo_tables"));
    let name = if state == PointState::Used { "used" } else { "partly" };
    work.tx().execute(
        &Sql::new("update ")
            .table(&scopes)
            .text(" set state = ")
            .bind(name)
            .text(" where point = ")
            .bind(point)
            .text(" and batch = ")
            .bind(batch),
    )?;
    if state != PointState::Used {
        return Ok(());
    }
    let select = Sql::new("select description from ").table(&tables).text(" where point = ").bind(point);
    for row in work.rows(&select)? {
        let text = row.first().and_then(Value::as_text).unwrap_or_default();
        let table: Remembered = serde_json::from_str(text)
            .map_err(|error| Error::system("an undo table is described in an unknown form").because(error))?;
        work.tx().execute(&forget_rows(&table.undo, batch))?;
    }
    let open = Sql::new("select count(*) from ")
        .table(&scopes)
        .text(" where state <> 'used' and point = ")
        .bind(point);
    if work.count(&open)? == 0 {
        let used = Sql::new("update ").table(&points).text(" set state = 'used' where id = ").bind(point);
        work.tx().execute(&used)?;
    }
    Ok(())
}

fn forget_rows(undo: &UndoTable, batch: i64) -> Sql {
    Sql::new("delete from ").table(&undo.name).text(&format!(" where {BATCH} = ")).bind(batch)
}

/// All parts of a point are back, with the point.
pub(super) fn all_used(work: &mut Work, point: &str) -> Result<()> {
    let table = work.dialect().own(UNDO_SCOPES);
    if work.count(&work.dialect().exists(&table))? == 1 {
        let used = Sql::new("update ").table(&table).text(" set state = 'used' where point = ").bind(point);
        work.tx().execute(&used)?;
    }
    Ok(())
}

/// Forgets a part and its rows; false when the point is none. With the last part goes the point.
pub(super) fn drop_part(session: &mut dyn Session, limits: &Limits, part: &Point) -> Result<bool> {
    let (Some(batch), Some((point, _))) = (part.batch, parse(&part.id)) else { return Ok(false) };
    let dialect = session.dialect();
    let table = dialect.own(UNDO_SCOPES);
    let (conflicts, checkpoints) = (dialect.own("undo_conflicts"), dialect.own("checkpoints"));
    let mut tx = session.begin(limits)?;
    for remembered in &part.tables {
        tx.execute(&forget_rows(&remembered.undo, batch))?;
    }
    tx.execute(
        &Sql::new("delete from ")
            .table(&table)
            .text(" where point = ")
            .bind(point)
            .text(" and batch = ")
            .bind(batch),
    )?;
    tx.execute(&Sql::new("delete from ").table(&conflicts).text(" where point = ").bind(part.id.clone()))?;
    tx.execute(
        &Sql::new("delete from ")
            .table(&checkpoints)
            .text(" where point = ")
            .bind(format!("undo:{}", part.id)),
    )?;
    let left =
        tx.count(&Sql::new("select count(*) from ").table(&table).text(" where point = ").bind(point))?;
    tx.commit()?;
    if left == 0
        && let Some(whole) = super::point::read_point(session, point)?
    {
        super::point::drop_point(session, limits, &whole)?;
    }
    Ok(true)
}

/// The statements that forget the parts of a point.
pub(super) fn forget(facts: &mut dyn Facts, point: &Point) -> Result<Vec<Sql>> {
    let dialect = facts.dialect();
    let table = dialect.own(UNDO_SCOPES);
    let (conflicts, checkpoints) = (dialect.own("undo_conflicts"), dialect.own("checkpoints"));
    if facts.count(&facts.dialect().exists(&table))? == 0 {
        return Ok(Vec::new());
    }
    let mut all = vec![Sql::new("delete from ").table(&table).text(" where point = ").bind(point.id.clone())];
    for scope in point.scopes.iter().filter(|scope| scope.state != PointState::Open) {
        let id = id(&point.id, scope.batch);
        all.push(Sql::new("delete from ").table(&conflicts).text(" where point = ").bind(id.clone()));
        all.push(
            Sql::new("delete from ").table(&checkpoints).text(" where point = ").bind(format!("undo:{id}")),
        );
    }
    Ok(all)
}
