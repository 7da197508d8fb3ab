//! What a SQLite file needs: free pages, statistics that the planner misses, a log that readers keep from ending.

use super::pulse;
use super::session::Link;
use targets::db::{
    Facts, FileUpkeep, IndexUpkeep, Result, Sql, TableKind, TableName, TableUpkeep, Upkeep, Value,
};

/// What `optimize` would do if it did it: 1 says that it only tells, 2 that it analyses, 0x10000 that all tables count.
const WOULD: &str = "pragma optimize = 0x10003";

pub(super) fn look(link: &mut Link, only: Option<&TableName>) -> Result<Upkeep> {
    let file = FileUpkeep {
        page_size: link.pragma("page_size")?.max(0) as u64,
        pages: link.pragma("page_count")?.max(0) as u64,
        free_pages: link.pragma("freelist_count")?.max(0) as u64,
        incremental: link.pragma("auto_vacuum")? == 2,
        log_bytes: pulse::has_log(link.path()).then(|| pulse::log_bytes(link.path())),
        log_readers: pulse::log_readers(link.path()),
        has_statistics: has_statistics(link)?,
    };
    // SQLite takes it for a statement that writes, although with this mask it only tells.
    let wanted: Vec<String> = link
        .command(WOULD)?
        .iter()
        .filter_map(|row| row.first().and_then(Value::as_text).map(str::to_lowercase))
        .collect();
    let mut upkeep = Upkeep { file: Some(file), ..Upkeep::default() };
    for table in link.schema()?.tables {
        if matches!(table.kind, TableKind::View | TableKind::Foreign)
            || only.is_some_and(|only| *only != table.name)
        {
            continue;
        }
        let ending = format!(".{}", table.name.quoted().to_lowercase());
        upkeep.tables.push(TableUpkeep {
            rows: table.rows_estimate.unwrap_or(0) as f64,
            wants_statistics: Some(wanted.iter().any(|line| line.ends_with(&ending))),
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

fn has_statistics(link: &mut Link) -> Result<bool> {
    let there = "select count(*) from sqlite_schema where name = 'sqlite_stat1'";
    Ok(link.count(&Sql::new(there))? > 0 && link.count(&Sql::new("select count(*) from sqlite_stat1"))? > 0)
}
