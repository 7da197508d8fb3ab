//! The file as a whole: journal, free pages, who has it open, rows without parents.

use crate::sqlite::pulse;
use crate::sqlite::session::Link;
use targets::db::{Facts, FileFacts, Result, Schema, Sql, TableKind, Value};

/// So many broken references are counted one by one.
const MOST: u64 = 100_000;

pub(super) fn describe(link: &mut Link, schema: &Schema, small: bool) -> Result<FileFacts> {
    let auto_vacuum = match link.number("main.auto_vacuum")? {
        1 => "full",
        2 => "incremental",
        _ => "none",
    };
    let (users, readers) = pulse::users(link.path());
    Ok(FileFacts {
        journal_mode: link.journal_mode()?.to_lowercase(),
        wal_bytes: pulse::log_bytes(link.path()),
        page_size: link.number("main.page_size")?,
        pages: link.number("main.page_count")?,
        free_pages: link.number("main.freelist_count")?,
        auto_vacuum: auto_vacuum.to_owned(),
        users,
        readers,
        keys: keys(schema),
        violations: if small { violations(link) } else { None },
        analyzed: link.count(&Sql::new("select count(*) from sqlite_schema where name = 'sqlite_stat1'"))?
            > 0,
    })
}

fn keys(schema: &Schema) -> Vec<(String, Vec<String>)> {
    let of_rows = schema.tables.iter().filter_map(|table| {
        let columns = &table.key.as_ref()?.columns;
        let is_rowid = columns.len() == 1 && table.rowid.as_ref() == columns.first();
        (is_rowid || table.kind == TableKind::WithoutRowid)
            .then(|| (table.name.name.clone(), columns.clone()))
    });
    of_rows.collect()
}

/// None when it took too long, or could not be looked up: a parent without a key, say.
fn violations(link: &mut Link) -> Option<Vec<(String, String, u64)>> {
    let sql = format!(
        "select \"table\", parent, count(*) from (select \"table\", parent from pragma_foreign_key_check limit {MOST})
         group by 1, 2 order by 3 desc"
    );
    let rows = link.rows(&Sql::new(&sql)).ok()?;
    let text = |value: &Value| value.as_text().unwrap_or_default().to_owned();
    Some(
        rows.iter()
            .filter(|row| !text(&row[0]).starts_with("sexton_"))
            .map(|row| (text(&row[0]), text(&row[1]), row[2].as_int().unwrap_or(0).max(0) as u64))
            .collect(),
    )
}
