//! The schema as SQLite keeps it: the statements themselves. Their parts are for whoever knows the grammar.
//!
//! Left out: SQLite's own tables and indexes without a statement, what lies inside virtual tables, and Sexton's own.

use super::errors::{During, explain};
use rusqlite::Connection;
use std::collections::BTreeMap;
use targets::db::{Object, Result, quote};

/// Everything, tables first.
pub(super) fn read(conn: &Connection, label: &str) -> Result<Vec<Object>> {
    let all = || -> rusqlite::Result<Vec<Object>> {
        let mut statement = conn.prepare(
            "select type, name, tbl_name, sql from sqlite_schema as s
             where sql is not null
               and lower(name) not like 'sqlite\\_%' escape '\\'
               and lower(tbl_name) not like 'sexton\\_%' escape '\\'
               and not exists (select 1 from pragma_table_list as l
                               where l.schema = 'main' and l.name = s.tbl_name and l.type = 'shadow')
             order by type = 'table' desc, type, name",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(object(&row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
        rows.collect()
    };
    all().map_err(|error| explain(label, During::Run, error))
}

fn object(kind: &str, name: String, table: String, sql: String) -> Object {
    let belongs = kind == "index" || kind == "trigger";
    Object {
        of: belongs.then_some(table),
        drop: (kind != "table").then(|| format!("drop {kind} {}", quote(&name))),
        facts: BTreeMap::from([("definition".to_owned(), sql.clone())]),
        create: Some(sql),
        set: BTreeMap::new(),
        kind: kind.to_owned(),
        name,
    }
}
