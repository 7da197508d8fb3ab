//! The check of PostgreSQL: `amcheck` where it is installed, invalid indexes, failed checksums.
//!
//! `amcheck` takes the lock of a reader, one relation at a time. What it cannot look at is told, never passed over.

use super::session::Connected;
use targets::db::{Error, Facts, Result, Soundness, Sql, Value};

const BROKEN: &str = "
    select format('index %s is invalid', i.indexrelid::regclass)
    from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
    where not i.indisvalid and c.relkind in ('r', 'm', 't') and n.nspname not like 'pg\\_temp%'
    union all
    select format('%s pages failed their checksum, the last at %s', checksum_failures, checksum_last_failure)
    from pg_stat_database where datname = current_database() and checksum_failures > 0";

/// Indexes before their tables, so that a fault is told where it can be mended.
const RELATIONS: &str = "
    select c.oid::bigint, c.oid::regclass::text, c.relkind::text
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    left join pg_index i on i.indexrelid = c.oid
    left join pg_am a on a.oid = c.relam
    where c.relpersistence <> 't' and n.nspname <> 'information_schema'
      and (c.relkind in ('r', 'm', 't') or (c.relkind = 'i' and i.indisvalid and a.amname = 'btree'))
    order by c.relkind = 'i' desc, c.oid::regclass::text";

pub(super) fn check(server: &mut Connected, most: usize) -> Result<Soundness> {
    let mut found = Soundness { method: "catalogue".to_owned(), ..Soundness::default() };
    server.query(&Sql::new(BROKEN), &mut |row| {
        found.add(text(row.first()).to_owned(), most);
        Ok(())
    })?;
    let own = "select extnamespace::regnamespace::text, extversion >= '1.3' from pg_extension where extname = 'amcheck'";
    let installed = server.rows(&Sql::new(own))?;
    let Some(amcheck) = installed.first() else {
        let missing =
            "tables and indexes were not read: the extension `amcheck` is not installed in this database";
        found.unchecked.push((missing.to_owned(), "create extension amcheck".to_owned()));
        return Ok(found);
    };
    let (schema, tables_too) = (text(amcheck.first()).to_owned(), amcheck[1].as_bool() == Some(true));
    found.method = "amcheck".to_owned();
    if !tables_too {
        let old = "tables were not read: this version of `amcheck` knows indexes only";
        found.unchecked.push((old.to_owned(), "PostgreSQL 14 and newer check tables too".to_owned()));
    }
    for relation in server.rows(&Sql::new(RELATIONS))? {
        let (oid, name) = (relation[0].as_int().unwrap_or(0), text(relation.get(1)).to_owned());
        let index = text(relation.get(2)) == "i";
        let question = match index {
            true => format!("select {schema}.bt_index_check({oid}::oid::regclass, true)::text"),
            false if tables_too => format!(
                "select format('block %s, row %s: %s', blkno, offnum, msg) from {schema}.verify_heapam({oid}::oid::regclass)"
            ),
            false => continue,
        };
        let mut faults = Vec::new();
        let outcome = server.query(&Sql::raw(&question), &mut |row| {
            if !index {
                faults.push(format!("{name}: {}", text(row.first())));
            }
            Ok(())
        });
        for fault in faults {
            found.add(fault, most);
        }
        if let Err(error) = outcome {
            judge(error, &name, most, &mut found)?;
        }
    }
    Ok(found)
}

/// An error of the check is a fault, a relation that could not be looked at, or the end of the connection.
fn judge(error: Error, name: &str, most: usize, found: &mut Soundness) -> Result<()> {
    let because = error.to_string();
    match error.code.as_deref() {
        // Corrupted data, a corrupted index, and what broken pages make of themselves.
        Some("XX001" | "XX002" | "XX000" | "58P01" | "58030") => {
            found.add(format!("{name}: {because}"), most)
        }
        // Dropped meanwhile.
        Some("42P01" | "42704") => {}
        Some("42501" | "55P03" | "57014" | "0A000") => {
            let help = error.help.unwrap_or_else(|| "look again when it is free".to_owned());
            found.unchecked.push((format!("`{name}` was not read: {because}"), help));
        }
        _ => return Err(error),
    }
    Ok(())
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_text).unwrap_or_default()
}
