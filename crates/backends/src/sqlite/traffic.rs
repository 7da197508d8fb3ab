//! How big each table is now, and how busy.
//!
//! SQLite counts nothing while it works, so nobody knows how busy a table is. Small tables are counted, of large ones the
//! row numbers tell at most how many rows there are; pages are counted where the whole file is small enough to be read.

use super::session::Link;
use std::collections::HashMap;
use targets::db::{Facts, Result, Sql, TableKind, TableName, Traffic, Value};

/// Rows that are counted one by one.
const COUNTED: u64 = 1_000_000;
/// Files up to this size are read whole.
const READ: u64 = 256 << 20;

/// Measures every table that the user owns.
pub(super) fn measure(session: &mut Link) -> Result<Vec<Traffic>> {
    let schema = session.schema()?;
    let pages = if session.server()?.bytes <= READ { pages(session)? } else { HashMap::new() };
    let mut all = Vec::new();
    for table in schema.tables {
        if matches!(table.kind, TableKind::View | TableKind::Foreign) {
            continue;
        }
        let known = |name: &str| pages.get(&name.to_lowercase()).copied();
        let indexes: u64 = table.indexes.iter().filter_map(|index| known(&index.name)).sum();
        all.push(Traffic {
            rows: Some(rows(session, &table.name, table.rowid.as_deref())?),
            bytes: known(&table.name.name),
            index_bytes: known(&table.name.name).map(|_| indexes),
            writes_per_second: None,
            table: table.name,
        });
    }
    Ok(all)
}

fn rows(session: &mut Link, table: &TableName, rowid: Option<&str>) -> Result<u64> {
    let bounded = Sql::new("select count(*) from (select 1 from ").table(table).text(" limit ");
    let counted = session.count(&bounded.bind(COUNTED as i64).text(")"))?;
    match rowid {
        Some(rowid) if counted == COUNTED => {
            let name = |sql: Sql| sql.name(rowid);
            let span = name(name(Sql::new("select max(")).text(") - min(")).text(") + 1 from ").table(table);
            Ok(session.count(&span)?.max(counted))
        }
        _ => Ok(counted),
    }
}

/// Bytes of each table and index, by name in lower case.
fn pages(session: &mut Link) -> Result<HashMap<String, u64>> {
    let rows = session.rows(&Sql::new("select name, pgsize from dbstat where aggregate = true"))?;
    let read = |row: &Vec<Value>| Some((row[0].as_text()?.to_lowercase(), row[1].as_int()?.max(0) as u64));
    Ok(rows.iter().filter_map(read).collect())
}
