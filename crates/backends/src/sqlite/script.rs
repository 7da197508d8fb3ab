//! A whole database as statements: the schema as it was written, the rows as literals.
//!
//! Tables come first, then rows, then indexes, views and triggers, so that no trigger sees the rows. Left out: what is
//! Sexton's own, what lies inside virtual tables, and indexes that their tables make.

use super::errors::{During, explain};
use super::{Sqlite, prepare};
use rusqlite::{Connection, OpenFlags};
use std::fmt::Write;
use targets::db::{Result, TableName, quote};

pub(super) fn of(database: &Sqlite, without: &[TableName]) -> Result<String> {
    let path = database.existing_file()?;
    let read = || -> rusqlite::Result<String> {
        let conn = Connection::open_with_flags(
            &path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        prepare(&conn, false)?;
        conn.execute_batch("begin")?;
        let (tables, others) = statements(&conn, without)?;
        let mut text = String::new();
        for (_, sql) in &tables {
            let _ = write!(text, "{sql};\n\n");
        }
        for (name, sql) in &tables {
            let is_virtual = sql.to_ascii_lowercase().starts_with("create virtual");
            rows(&conn, name, is_virtual, &mut text)?;
        }
        counters(&conn, &tables, &mut text)?;
        for sql in others {
            let _ = write!(text, "{sql};\n\n");
        }
        Ok(text)
    };
    read().map_err(|error| explain(&database.label, During::Run, error))
}

type Named = (String, String);

/// Tables with their names in the order in which they were made, and everything else: indexes, views, triggers.
fn statements(conn: &Connection, without: &[TableName]) -> rusqlite::Result<(Vec<Named>, Vec<String>)> {
    let mut statement = conn.prepare(
        "select type, name, tbl_name, sql from sqlite_schema as s
         where sql is not null
           and lower(name) not like 'sqlite\\_%' escape '\\'
           and lower(tbl_name) not like 'sexton\\_%' escape '\\'
           and not exists (select 1 from pragma_table_list as l
                           where l.schema = 'main' and l.name = s.tbl_name and l.type = 'shadow')
         order by type = 'trigger', type = 'view', rowid",
    )?;
    let (mut tables, mut others) = (Vec::new(), Vec::new());
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let (kind, name, table): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if without.iter().any(|one| one.name.eq_ignore_ascii_case(&table)) {
            continue;
        }
        match kind.as_str() {
            "table" => tables.push((name, row.get(3)?)),
            _ => others.push(row.get(3)?),
        }
    }
    Ok((tables, others))
}

fn rows(conn: &Connection, table: &str, is_virtual: bool, text: &mut String) -> rusqlite::Result<()> {
    // Generated columns (hidden 2 and 3) are not written; those of a virtual table that are hidden (1) are not its own.
    let mut columns =
        conn.prepare("select name from pragma_table_xinfo(?1) where hidden = 0 order by cid")?;
    let names = columns.query_map([table], |row| row.get::<_, String>(0))?;
    let names: Vec<String> =
        names.map(|name| name.map(|name| quote(&name))).collect::<rusqlite::Result<_>>()?;
    if names.is_empty() {
        return Ok(());
    }
    let values: Vec<String> = names.iter().map(|name| format!("quote({name})")).collect();
    let order = if is_virtual { "rowid".to_owned() } else { order(conn, table)? };
    let sql = format!("select {} from {} order by {order}", values.join(" || ', ' || "), quote(table));
    let mut select = conn.prepare(&sql)?;
    let mut found = select.query([])?;
    let mut any = false;
    while let Some(row) = found.next()? {
        let values: String = row.get(0)?;
        let _ = writeln!(text, "insert into {} ({}) values ({values});", quote(table), names.join(", "));
        any = true;
    }
    if any {
        text.push('\n');
    }
    Ok(())
}

/// By its key, so that the same rows give the same text.
fn order(conn: &Connection, table: &str) -> rusqlite::Result<String> {
    let mut key = conn.prepare("select name from pragma_table_info(?1) where pk > 0 order by pk")?;
    let names = key.query_map([table], |row| row.get::<_, String>(0))?;
    let names: Vec<String> =
        names.map(|name| name.map(|name| quote(&name))).collect::<rusqlite::Result<_>>()?;
    Ok(if names.is_empty() { "rowid".to_owned() } else { names.join(", ") })
}

/// What `autoincrement` has given away already.
fn counters(conn: &Connection, tables: &[Named], text: &mut String) -> rusqlite::Result<()> {
    let kept = "select 1 from sqlite_schema where name = 'sqlite_sequence'";
    if !conn.prepare(kept)?.exists([])? {
        return Ok(());
    }
    let mut select = conn.prepare("select name, seq from sqlite_sequence order by name")?;
    let mut found = select.query([])?;
    while let Some(row) = found.next()? {
        let (name, last): (String, i64) = (row.get(0)?, row.get(1)?);
        if tables.iter().any(|(table, _)| *table == name) {
            let literal = name.replace('\'', "''");
            let _ = write!(
                text,
                "delete from sqlite_sequence where name = '{literal}';\n\ninsert into sqlite_sequence (name, seq) values ('{literal}', {last});\n\n"
            );
        }
    }
    Ok(())
}
