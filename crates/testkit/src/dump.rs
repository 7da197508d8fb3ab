//! A canonical picture of a database as text, made past the back ends, for comparing before and after.
//!
//! Rows are sorted, so the picture does not depend on where they lie, except for SQLite's hidden rowid, which is part
//! of it. Generated columns and the state of sequences are in it. It promises nothing about being readable back.

use crate::place::Place;
use std::fmt::Write;
use targets::db::{Value, quote};

/// All user tables and the schema of a SQLite file.
pub(crate) fn sqlite(place: &Place) -> String {
    let mut out = String::new();
    let objects = place.rows(
        "select type, name, coalesce(sql, '') from sqlite_schema
         where name not like 'sexton\\_%' escape '\\' and name not like 'sqlite\\_%' escape '\\'
           and tbl_name not like 'sexton\\_%' escape '\\'
         order by type, name",
    );
    for object in &objects {
        let _ = writeln!(out, "{} {}: {}", text(&object[0]), text(&object[1]), one_line(&text(&object[2])));
    }
    let tables = place.rows(
        "select name, wr from pragma_table_list
         where type in ('table', 'virtual') and schema = 'main' and name not like 'sexton\\_%' escape '\\'
           and (name not like 'sqlite\\_%' escape '\\' or name = 'sqlite_sequence')
         order by name",
    );
    for table in tables {
        let (name, without_rowid) = (text(&table[0]), table[1] == Value::Int(1));
        let columns =
            place.rows(&format!("select name from pragma_table_xinfo({}) order by cid", literal(&name)));
        let columns: Vec<String> = columns.iter().map(|column| text(&column[0])).collect();
        let rowid = ["rowid", "_rowid_", "oid"]
            .into_iter()
            .find(|hidden| !columns.iter().any(|column| column.eq_ignore_ascii_case(hidden)))
            .filter(|_| !without_rowid && name != "sqlite_sequence");
        let mut list: Vec<String> = rowid.into_iter().map(str::to_owned).collect();
        list.extend(columns.iter().map(|column| quote(column)));
        let own =
            if name == "sqlite_sequence" { " where name not like 'sexton\\_%' escape '\\'" } else { "" };
        let rows = place.rows(&format!("select {} from {}{own}", list.join(", "), quote(&name)));
        lines(&mut out, &name, rows.iter().map(|row| row.iter().map(exact).collect::<Vec<_>>().join(" | ")));
    }
    out
}

/// Sexton's own tables in a SQLite file.
pub(crate) fn left_in_sqlite(place: &Place) -> Vec<String> {
    let left =
        place.rows("select type || ' ' || name from sqlite_schema where name like 'sexton\\_%' escape '\\'");
    left.iter().map(|row| text(&row[0])).collect()
}

const USERS_OWN: &str = "n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'sexton')
    and n.nspname !~ '^pg_(toast_)?temp_'";
const EXACT: &str = "set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres';
    set extra_float_digits = 3; set bytea_output = 'hex';";

/// All user tables and the schema of a PostgreSQL database.
pub(crate) fn postgres(place: &Place) -> String {
    let mut out = String::new();
    let objects = place.rows(&format!(
        "select 'table ' || c.oid::regclass || ' kind ' || c.relkind::text || ' rules ' || c.relhasrules::text
                || coalesce(' partition ' || pg_get_expr(c.relpartbound, c.oid), '')
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where c.relkind in ('r', 'p', 'f', 'v', 'm', 'S') and {USERS_OWN}
         union all
         select 'column ' || a.attrelid::regclass || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
                || ' not null ' || a.attnotnull::text || ' identity ' || a.attidentity::text || ' generated ' || a.attgenerated::text
                || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
           from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
           left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
          where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'f', 'v', 'm') and {USERS_OWN}
         union all
         select 'index ' || pg_get_indexdef(i.indexrelid) || ' valid ' || i.indisvalid::text
           from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
          where {USERS_OWN}
         union all
         select 'constraint ' || k.conrelid::regclass || ' ' || k.conname || ' ' || pg_get_constraintdef(k.oid)
                || ' valid ' || k.convalidated::text
           from pg_constraint k join pg_namespace n on n.oid = k.connamespace
          where k.conrelid <> 0 and {USERS_OWN}
         union all
         select 'trigger ' || pg_get_triggerdef(g.oid) || ' enabled ' || g.tgenabled::text
           from pg_trigger g join pg_class c on c.oid = g.tgrelid join pg_namespace n on n.oid = c.relnamespace
          where not g.tgisinternal and {USERS_OWN}
         order by 1"
    ));
    for object in &objects {
        let _ = writeln!(out, "{}", one_line(&text(&object[0])));
    }
    let tables = place.rows(&format!(
        "select c.oid::regclass, format('%I.%I', n.nspname, c.relname), c.relkind
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where c.relkind in ('r', 'S') and {USERS_OWN}
          order by 1"
    ));
    for table in tables {
        let (shown, name) = (text(&table[0]), text(&table[1]));
        let rows = if text(&table[2]) == "S" {
            place.rows(&format!("select last_value || ' called ' || is_called::text from {name}"))
        } else {
            place.rows(&format!("{EXACT} select (t.*)::text from only {name} t"))
        };
        lines(&mut out, &shown, rows.iter().map(|row| one_line(&text(&row[0]))));
    }
    out
}

/// Sexton's own objects in a PostgreSQL database.
pub(crate) fn left_in_postgres(place: &Place) -> Vec<String> {
    let left = place.rows(
        "select 'schema sexton' from pg_namespace where nspname = 'sexton'
         union all
         select 'relation ' || n.nspname || '.' || c.relname
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = 'sexton' or (c.relname like 'sexton\\_%' and n.nspname !~ '^pg_temp_')
         order by 1",
    );
    left.iter().map(|row| text(&row[0])).collect()
}

/// The sorted rows of one table under its name.
fn lines(out: &mut String, table: &str, rows: impl Iterator<Item = String>) {
    let mut rows: Vec<String> = rows.collect();
    rows.sort();
    let _ = writeln!(out, "rows of {table}: {}", rows.len());
    for row in rows {
        let _ = writeln!(out, "  {row}");
    }
}

/// A value with its storage class.
fn exact(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Int(number) => format!("int {number}"),
        Value::Real(number) => format!("real {number:?} {:016x}", number.to_bits()),
        Value::Text(text) => format!("text {text:?}"),
        Value::Blob(bytes) => format!("blob {bytes:02x?}"),
        Value::BrokenText(bytes) => format!("broken {bytes:02x?}"),
        other => format!("{other:?}"),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Null => "null".to_owned(),
        other => other.to_string(),
    }
}

fn one_line(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r")
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
