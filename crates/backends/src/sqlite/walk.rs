//! The physical walk: in the order of the rowid, or of the key of a WITHOUT ROWID table.
//!
//! A position is the rowid or key tuple of a row, and as an end it is exclusive. A position with one more value,
//! `Bool(true)`, which SQLite never returns, lies just behind its row: the last row of a table has no next one to
//! name, and the greatest rowid has no successor. An empty position is the beginning.

use super::place::{self, Place};
use super::session::Link;
use targets::db::{Edge, Error, Result, Row, Sql, Table, Value};

/// The rows between two positions, over `t`.
pub(super) fn window(table: &Table, from: Option<&Row>, to: Option<&Row>) -> Sql {
    let Some(place) = place::of(table) else {
        return Sql::new("true");
    };
    let bounds: Vec<Sql> = [bound(&place, from, (" >= ", " > ")), bound(&place, to, (" < ", " <= "))]
        .into_iter()
        .flatten()
        .collect();
    if bounds.is_empty() { Sql::new("true") } else { Sql::join(&bounds, " and ") }
}

/// See [`targets::db::Facts::edge`].
pub(super) fn edge(link: &mut Link, table: &Table, from: Option<&Row>, rows: u64) -> Result<Option<Edge>> {
    let Some(place) = place::of(table) else {
        return Err(Error::usage(format!("`{}` has no rows of its own to walk through", table.name))
            .help("name an ordinary table"));
    };
    let rows = i64::try_from(rows.max(1)).unwrap_or(i64::MAX);
    let select = |order: &str| {
        Sql::new("select ")
            .add(&place.columns())
            .text(" from ")
            .table(&table.name)
            .text(" as t not indexed where ")
            .add(&window(table, from, None))
            .text(" order by ")
            .add(&ordered(&place, order))
            .text(" limit 1")
    };
    if let Some(next) = first(link, &select("").text(" offset ").bind(rows))? {
        return Ok(Some(Edge { end: next, last: false }));
    }
    let Some(mut last) = first(link, &select(" desc"))? else {
        return Ok(None);
    };
    match (&place, last.as_slice()) {
        (Place::Rowid(_), [Value::Int(rowid)]) if *rowid < i64::MAX => last = vec![Value::Int(rowid + 1)],
        _ => last.push(Value::Bool(true)),
    }
    Ok(Some(Edge { end: last, last: true }))
}

/// See [`targets::db::Facts::edge_of`]. A place holds one row, so the next window begins where this one ends.
pub(super) fn edge_of(
    link: &mut Link,
    table: &Table,
    from: Option<&Row>,
    rows: u64,
    condition: &Sql,
) -> Result<Option<(Row, Row)>> {
    let Some(place) = place::of(table) else {
        return Ok(None);
    };
    let select = Sql::new("select ")
        .add(&place.columns())
        .text(" from ")
        .table(&table.name)
        .text(" as t not indexed where ")
        .add(&window(table, from, None))
        .text(" and (")
        .add(condition)
        .text(") order by ")
        .add(&ordered(&place, ""))
        .text(" limit 1 offset ")
        .bind(i64::try_from(rows.max(1)).unwrap_or(i64::MAX));
    Ok(first(link, &select)?.map(|end| (end.clone(), end)))
}

fn bound(place: &Place<'_>, at: Option<&Row>, (here, behind): (&str, &str)) -> Option<Sql> {
    let (values, is_behind) = match at?.as_slice() {
        [] => return None,
        [values @ .., Value::Bool(true)] => (values, true),
        values => (values, false),
    };
    let values: Vec<Sql> = values.iter().map(|value| Sql::default().bind(value.clone())).collect();
    let tuple = Sql::join(&values, ", ");
    let tuple = if values.len() > 1 { Sql::new("(").add(&tuple).text(")") } else { tuple };
    Some(place.tuple().text(if is_behind { behind } else { here }).add(&tuple))
}

fn ordered(place: &Place<'_>, order: &str) -> Sql {
    let columns: Vec<Sql> = match place {
        Place::Rowid(_) => vec![place.columns().text(order)],
        Place::Key(columns) => columns.iter().map(|column| Sql::new("t.").name(column).text(order)).collect(),
    };
    Sql::join(&columns, ", ")
}

fn first(link: &mut Link, sql: &Sql) -> Result<Option<Row>> {
    let mut found = None;
    link.run(sql, &mut |row| {
        found = Some(row);
        Ok(())
    })?;
    Ok(found)
}
