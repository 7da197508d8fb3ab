//! The tables of a SQLite file, from its own pragmas.
//!
//! Left out: SQLite's tables, Sexton's tables, and the tables inside virtual tables. References to what is not there are kept
//! apart from the others. The name of the rowid of a table with an INTEGER PRIMARY KEY is that column's.
//!
//! SQLite lets a primary key be NULL, in any number of rows, unless it is declared NOT NULL (W-014). Such a key of one
//! column counts as a key as long as no row has NULL there, which its index tells at once; a NULL that comes later
//! equals nothing and is never met by mistake. With a NULL, or with several columns, the table is known by its rowid, and the
//! primary key is listed among the unique keys only.

use super::errors::{During, explain};
use super::{predicate, triggers};
use rusqlite::{Connection, Row};
use std::collections::HashMap;
use targets::db::{
    Action, Column, Family, ForeignKey, Generated, Index, Key, Result, Rights, Schema, Table, TableKind,
    TableName, Trigger, quote,
};

/// Reads all of it, as of one moment.
pub(super) fn read(conn: &Connection, label: &str) -> Result<Schema> {
    let whole = || {
        let moment = conn.unchecked_transaction();
        let schema = tables(conn)?;
        drop(moment);
        Ok(schema)
    };
    whole().map_err(|error| explain(label, During::Run, error))
}

/// What `pragma table_list` says of a table.
struct Listed {
    name: String,
    kind: String,
    without_rowid: bool,
    strict: bool,
}

/// A column with what only this file needs.
struct Described {
    column: Column,
    /// Place in the primary key, from 1; 0 for none.
    key_part: i64,
    collation: String,
}

/// An index with what only this file needs.
struct Indexed {
    index: Index,
    is_primary: bool,
    collations: Vec<String>,
}

fn tables(conn: &Connection) -> rusqlite::Result<Schema> {
    let listed =
        all(conn, "select name, type, wr, strict from pragma_table_list where schema = 'main'", [], |row| {
            Ok(Listed {
                name: row.get(0)?,
                kind: row.get(1)?,
                without_rowid: row.get(2)?,
                strict: row.get(3)?,
            })
        })?;
    let estimates = estimates(conn)?;
    let mut primary_keys = HashMap::new();
    let mut tables = Vec::new();
    for listed in listed.iter().filter(|listed| is_of_the_user(listed)) {
        let mut table = table(conn, listed, &mut primary_keys)?;
        table.rows_estimate = estimates.get(&listed.name.to_lowercase()).copied();
        tables.push(table);
    }
    for child in 0..tables.len() {
        let all = references(conn, &tables, child, &primary_keys)?;
        let is_lost = |key: &ForeignKey| {
            key.columns.len() != key.parent_columns.len()
                || tables.iter().all(|table| table.name != key.parent)
        };
        (tables[child].lost_references, tables[child].references) = all.into_iter().partition(is_lost);
    }
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Schema { tables, search_path: Vec::new() })
}

fn is_of_the_user(listed: &Listed) -> bool {
    let name = listed.name.to_ascii_lowercase();
    listed.kind != "shadow" && !name.starts_with("sqlite_") && !name.starts_with("sexton_")
}

fn table(
    conn: &Connection,
    listed: &Listed,
    primary_keys: &mut HashMap<String, Vec<String>>,
) -> rusqlite::Result<Table> {
    let kind = match listed.kind.as_str() {
        "view" => TableKind::View,
        "virtual" => TableKind::Foreign,
        _ if listed.without_rowid => TableKind::WithoutRowid,
        _ => TableKind::Ordinary,
    };
    // a view on a lost table, a virtual table of an unknown module: there, but without columns
    let mut described = match described(conn, listed) {
        Ok(described) => described,
        Err(_) if matches!(kind, TableKind::View | TableKind::Foreign) => Vec::new(),
        Err(error) => return Err(error),
    };
    let indexed = indexed(conn, &listed.name)?;
    let mut primary: Vec<(i64, String)> = described
        .iter()
        .filter(|described| described.key_part > 0)
        .map(|described| (described.key_part, described.column.name.clone()))
        .collect();
    primary.sort();
    let primary: Vec<String> = primary.into_iter().map(|(_, name)| name).collect();
    // with an index of its own, `integer primary key desc` is an ordinary column that may be NULL
    let alias = (kind == TableKind::Ordinary
        && primary.len() == 1
        && !indexed.iter().any(|indexed| indexed.is_primary))
    .then(|| primary[0].clone());
    if let Some(described) =
        described.iter_mut().find(|described| Some(&described.column.name) == alias.as_ref())
    {
        described.column.not_null = true;
    }
    let uniques = uniques(&primary, &indexed);
    let never_null = |key: &Key| {
        let certain = key.columns.iter().all(|name| {
            described.iter().any(|described| described.column.name == *name && described.column.not_null)
        });
        Ok(certain
            || (key.columns == primary
                && primary.len() == 1
                && !holds_null(conn, &listed.name, &primary[0])?))
    };
    let key = key(&primary, &uniques, &indexed, &described, never_null)?;
    let rowid = match (kind, alias) {
        (TableKind::Ordinary, Some(alias)) => Some(alias),
        (TableKind::Ordinary, None) => free_rowid_name(&described),
        _ => None,
    };
    primary_keys.insert(listed.name.to_lowercase(), primary);
    Ok(Table {
        name: TableName::bare(&listed.name),
        kind,
        columns: described.into_iter().map(|described| described.column).collect(),
        key,
        uniques,
        indexes: indexed.into_iter().map(|indexed| indexed.index).collect(),
        references: Vec::new(),
        lost_references: Vec::new(),
        triggers: triggers_of(conn, &listed.name)?,
        rules: Vec::new(),
        rights: Rights::default(),
        parents: Vec::new(),
        children: Vec::new(),
        rowid,
        rows_estimate: None,
        bytes: None,
    })
}

fn described(conn: &Connection, listed: &Listed) -> rusqlite::Result<Vec<Described>> {
    let mut described = all(
        conn,
        "select name, type, \"notnull\", dflt_value, pk, hidden from pragma_table_xinfo(?1, 'main') where hidden <> 1",
        [&listed.name],
        |row| {
            let declared: String = row.get::<_, Option<String>>(1)?.unwrap_or_default();
            let generated = match row.get(5)? {
                2 => Generated::Virtual,
                3 => Generated::Stored,
                _ => Generated::No,
            };
            let declared = match generated {
                Generated::No => declared.as_str(),
                _ => without_generated(&declared),
            };
            Ok(Described {
                column: Column {
                    name: row.get(0)?,
                    declared: declared.to_owned(),
                    family: family(declared, listed.strict),
                    not_null: row.get(2)?,
                    default: row.get(3)?,
                    generated,
                    identity: false,
                },
                key_part: row.get(4)?,
                collation: "BINARY".to_owned(),
            })
        },
    )?;
    if listed.kind == "table" {
        for described in &mut described {
            let (_, collation, _, _, counts_up) =
                conn.column_metadata(Some("main"), listed.name.as_str(), described.column.name.as_str())?;
            described.column.identity = counts_up;
            if let Some(collation) = collation {
                described.collation = collation.to_string_lossy().into_owned();
            }
        }
    }
    Ok(described)
}

/// The pragma appends these words to the type of a generated column.
fn without_generated(declared: &str) -> &str {
    const WORDS: &str = "GENERATED ALWAYS";
    match declared.len().checked_sub(WORDS.len()) {
        Some(start) if declared.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(WORDS)) => {
            declared[..start].trim_end()
        }
        _ => declared,
    }
}

/// SQLite's rules of affinity, in their order. What is left is numeric affinity, which says nothing certain: dates
/// and booleans have it.
fn family(declared: &str, strict: bool) -> Family {
    let declared = declared.to_ascii_uppercase();
    let has = |part: &str| declared.contains(part);
    match declared.as_str() {
        "ANY" if strict => Family::Any,
        _ if has("INT") => Family::Integer,
        _ if has("CHAR") || has("CLOB") || has("TEXT") => Family::Text,
        _ if has("BLOB") => Family::Blob,
        _ if has("REAL") || has("FLOA") || has("DOUB") => Family::Real,
        "JSON" => Family::Json,
        _ => Family::Any,
    }
}

fn free_rowid_name(described: &[Described]) -> Option<String> {
    let taken =
        |name: &&str| !described.iter().any(|described| described.column.name.eq_ignore_ascii_case(name));
    ["rowid", "_rowid_", "oid"].iter().copied().find(taken).map(str::to_owned)
}

fn indexed(conn: &Connection, table: &str) -> rusqlite::Result<Vec<Indexed>> {
    let mut indexed = all(
        conn,
        "select l.name, l.\"unique\", l.partial, l.origin, s.sql
         from pragma_index_list(?1, 'main') as l
         left join sqlite_schema as s on s.type = 'index' and s.name = l.name
         order by l.seq desc",
        [table],
        |row| {
            let index = Index {
                name: row.get(0)?,
                columns: Vec::new(),
                unique: row.get(1)?,
                partial: row.get(2)?,
                only: row.get::<_, Option<String>>(4)?.as_deref().and_then(predicate::of),
                valid: true,
                sorted: true,
            };
            Ok(Indexed { index, is_primary: row.get::<_, String>(3)? == "pk", collations: Vec::new() })
        },
    )?;
    for indexed in &mut indexed {
        let parts = all(
            conn,
            "select name, coll from pragma_index_xinfo(?1, 'main') where key = 1 order by seqno",
            [&indexed.index.name],
            |row| Ok((row.get(0)?, row.get::<_, Option<String>>(1)?.unwrap_or_default())),
        )?;
        (indexed.index.columns, indexed.collations) = parts.into_iter().unzip();
    }
    Ok(indexed)
}

fn uniques(primary: &[String], indexed: &[Indexed]) -> Vec<Key> {
    let mut uniques = Vec::new();
    if !primary.is_empty() {
        uniques.push(Key { name: "primary key".to_owned(), columns: primary.to_vec() });
    }
    for Indexed { index, .. } in
        indexed.iter().filter(|indexed| indexed.index.unique && !indexed.index.partial)
    {
        let columns: Option<Vec<String>> = index.columns.iter().cloned().collect();
        if let Some(columns) = columns.filter(|columns| columns != primary) {
            uniques.push(Key { name: index.name.clone(), columns });
        }
    }
    uniques
}

/// The first unique key that is never NULL. A key whose index compares otherwise than its columns do is left out: a
/// condition on the columns could meet several of its rows.
fn key(
    primary: &[String],
    uniques: &[Key],
    indexed: &[Indexed],
    described: &[Described],
    never_null: impl Fn(&Key) -> rusqlite::Result<bool>,
) -> rusqlite::Result<Option<Key>> {
    let collation = |name: &String| {
        described.iter().find(|described| described.column.name == *name).map(|it| &it.collation)
    };
    let compares_alike = |key: &Key| {
        let index = indexed
            .iter()
            .find(|indexed| indexed.index.name == key.name || (indexed.is_primary && key.columns == primary));
        index.is_none_or(|index| {
            key.columns
                .iter()
                .zip(&index.collations)
                .all(|(name, other)| collation(name).is_some_and(|own| own.eq_ignore_ascii_case(other)))
        })
    };
    for key in uniques.iter().filter(|key| compares_alike(key)) {
        if never_null(key)? {
            return Ok(Some(key.clone()));
        }
    }
    Ok(None)
}

/// A look into the index of the key.
fn holds_null(conn: &Connection, table: &str, column: &str) -> rusqlite::Result<bool> {
    let sql = format!("select exists (select 1 from {} where {} is null)", quote(table), quote(column));
    conn.query_row(&sql, [], |row| row.get(0))
}

fn references(
    conn: &Connection,
    tables: &[Table],
    child: usize,
    primary_keys: &HashMap<String, Vec<String>>,
) -> rusqlite::Result<Vec<ForeignKey>> {
    let parts = all(
        conn,
        "select id, \"table\", \"from\", \"to\", on_delete from pragma_foreign_key_list(?1, 'main') order by id desc, seq",
        [&tables[child].name.name],
        |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, Option<String>>(3)?,
                row.get::<_, String>(4)?,
            ))
        },
    )?;
    let mut references: Vec<ForeignKey> = Vec::new();
    let mut last = None;
    for (id, parent, from, to, on_delete) in parts {
        let above = tables.iter().find(|table| table.name.name.eq_ignore_ascii_case(&parent));
        let parent = above.map_or_else(|| TableName::bare(&parent), |table| table.name.clone());
        if last.replace(id) != Some(id) {
            references.push(ForeignKey {
                name: String::new(),
                number: id,
                columns: Vec::new(),
                parent: parent.clone(),
                parent_columns: Vec::new(),
                on_delete: action(&on_delete),
                validated: false,
                acts_on_all: false,
                checks_writes: false,
            });
        }
        let Some(reference) = references.last_mut() else { continue };
        let part = reference.columns.len();
        // without named columns the parent's primary key is meant
        let to = to.or_else(|| primary_keys.get(&parent.name.to_lowercase())?.get(part).cloned());
        let spelled = |table: &Table, name: &str| {
            let known = table.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
            known.map_or_else(|| name.to_owned(), |column| column.name.clone())
        };
        reference.columns.push(spelled(&tables[child], &from));
        reference
            .parent_columns
            .extend(to.map(|to| above.map_or_else(|| to.clone(), |above| spelled(above, &to))));
    }
    for reference in &mut references {
        reference.name = format!("{}_{}_fkey", tables[child].name.name, reference.columns.join("_"));
    }
    Ok(references)
}

fn action(word: &str) -> Action {
    match word {
        "CASCADE" => Action::Cascade,
        "SET NULL" => Action::SetNull,
        "SET DEFAULT" => Action::SetDefault,
        "RESTRICT" => Action::Restrict,
        _ => Action::NoAction,
    }
}

fn triggers_of(conn: &Connection, table: &str) -> rusqlite::Result<Vec<Trigger>> {
    all(
        conn,
        "select name, sql from sqlite_schema where type = 'trigger' and tbl_name = ?1 collate nocase order by name",
        [table],
        |row| {
            let events = triggers::events(&row.get::<_, Option<String>>(1)?.unwrap_or_default());
            Ok(Trigger {
                name: row.get(0)?,
                on_insert: events.insert,
                on_update: events.update,
                on_delete: events.delete,
                enabled: true,
            })
        },
    )
}

/// Rows per table as of the last ANALYZE, by name in lower case. A partial index counts fewer.
fn estimates(conn: &Connection) -> rusqlite::Result<HashMap<String, u64>> {
    if !conn.table_exists(Some("main"), "sqlite_stat1")? {
        return Ok(HashMap::new());
    }
    let counts = all(conn, "select tbl, stat from sqlite_stat1", [], |row| {
        Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<String>>(1)?))
    })?;
    let mut estimates = HashMap::new();
    for (table, stat) in counts {
        let count = stat.as_deref().and_then(|stat| stat.split(' ').next()?.parse::<u64>().ok());
        if let (Some(table), Some(count)) = (table, count) {
            let most = estimates.entry(table.to_lowercase()).or_insert(0);
            *most = count.max(*most);
        }
    }
    Ok(estimates)
}

fn all<T, P: rusqlite::Params>(
    conn: &Connection,
    sql: &str,
    params: P,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    conn.prepare_cached(sql)?.query_map(params, read)?.collect()
}
