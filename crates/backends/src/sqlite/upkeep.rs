//! What a SQLite file needs: free pages, statistics that the planner misses, a log that readers keep from ending.

use super::pulse;
use super::session::Link;
use targets::db::{
    Facts, FileUpkeep, IndexUpkeep, Result, Sql, Table, TableKind, TableName, TableUpkeep, Upkeep,
};

/// Statistics are out of date when a table has ten times as many rows as they say, or a tenth: SQLite's own measure.
const FACTOR: i64 = 10;

pub(super) fn look(link: &mut Link, only: Option<&TableName>) -> Result<Upkeep> {
    let has_statistics = has_statistics(link)?;
    let file = FileUpkeep {
        page_size: link.pragma("page_size")?.max(0) as u64,
        pages: link.pragma("page_count")?.max(0) as u64,
        free_pages: link.pragma("freelist_count")?.max(0) as u64,
        incremental: link.pragma("auto_vacuum")? == 2,
        log_bytes: pulse::has_log(link.path()).then(|| pulse::log_bytes(link.path())),
        log_readers: pulse::log_readers(link.path()),
        has_statistics,
    };
    let mut upkeep = Upkeep { file: Some(file), ..Upkeep::default() };
    for table in link.schema()?.tables {
        if matches!(table.kind, TableKind::View | TableKind::Foreign)
            || only.is_some_and(|only| *only != table.name)
        {
            continue;
        }
        let wants = wants_statistics(link, &table, has_statistics)?;
        upkeep.tables.push(TableUpkeep {
            rows: table.rows_estimate.unwrap_or(0) as f64,
            wants_statistics: Some(wants),
            ..TableUpkeep::unknown(table.name.clone())
        });
        let names = Sql::new("select name from sqlite_schema where type = 'index' and tbl_name = ")
            .bind(table.name.name.as_str())
            .text(" collate nocase order by name");
        for row in link.rows(&names)? {
            upkeep.indexes.push(IndexUpkeep {
                name: TableName::bare(row[0].as_text().unwrap_or_default()),
                table: table.name.clone(),
                valid: true,
                exclusion: false,
                method: "btree".to_owned(),
                bytes: 0,
                bloat_percent: None,
                node: 0,
                left_by: None,
                busy: None,
                may: true,
            });
        }
    }
    Ok(upkeep)
}

/// Whether `analyze` has something to say about a table: it has indexes, rows, and no statistics, or ones of another size.
/// `pragma optimize` would tell too, but takes the write lock for it.
fn wants_statistics(link: &mut Link, table: &Table, any: bool) -> Result<bool> {
    if table.indexes.is_empty() {
        return Ok(false);
    }
    let told = match any {
        false => None,
        true => {
            // the first number of any line about the table is its number of rows
            let sql = Sql::new("select max(cast(stat as integer)) from sqlite_stat1 where tbl = ")
                .bind(table.name.name.as_str())
                .text(" collate nocase");
            link.value(&sql)?.as_int()
        }
    };
    // no more than it takes to know
    let most = told.map_or(1, |rows| rows.max(1).saturating_mul(FACTOR));
    let sql =
        Sql::new("select count(*) from (select 1 from ").table(&table.name).text(&format!(" limit {most})"));
    let there = i64::try_from(link.count(&sql)?).unwrap_or(i64::MAX);
    Ok(match told {
        None => there > 0,
        Some(rows) => there >= most || there.saturating_mul(FACTOR) <= rows,
    })
}

fn has_statistics(link: &mut Link) -> Result<bool> {
    let there = "select count(*) from sqlite_schema where name = 'sqlite_stat1'";
    Ok(link.count(&Sql::new(there))? > 0 && link.count(&Sql::new("select count(*) from sqlite_stat1"))? > 0)
}
