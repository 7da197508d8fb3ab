//! Tables, indexes and references of a file.

use crate::sqlite::session::Link;
use std::collections::HashMap;
use targets::db::{
    Error, Facts, Family, IndexFacts, ReferenceFacts, Result, Schema, Sql, Table, TableFacts, TableKind,
    TableName, Value,
};

/// Bytes and unused bytes of each table and index, by name in lower case.
pub(super) type Pages = HashMap<String, (u64, u64)>;

pub(super) fn pages(link: &mut Link, small: bool) -> Result<Pages> {
    if !small {
        return Err(Error::usage("the file is large, and its pages are not counted"));
    }
    // By page, not summed up by SQLite: between two of them the time limit is looked at.
    let mut pages = Pages::new();
    link.query(&Sql::new("select name, pgsize, unused from dbstat"), &mut |row| {
        let size = |n: usize| row.get(n).and_then(Value::as_int).unwrap_or(0).max(0) as u64;
        let name = row.first().and_then(Value::as_text).unwrap_or_default().to_lowercase();
        let own = pages.entry(name).or_insert((0, 0));
        own.0 += size(1);
        own.1 += size(2);
        Ok(())
    })?;
    Ok(pages)
}

pub(super) fn tables(link: &mut Link, schema: &Schema, pages: Option<&Pages>) -> Result<Vec<TableFacts>> {
    let mut all = Vec::new();
    for table in own(schema) {
        let known = |name: &str| pages.and_then(|pages| pages.get(&name.to_lowercase()).copied());
        let bytes = known(&table.name.name);
        let indexes: u64 =
            table.indexes.iter().filter_map(|index| known(&index.name)).map(|(size, _)| size).sum();
        let rows = match table.rows_estimate {
            Some(rows) => Some(rows),
            None => by_rowid(link, table)?,
        };
        all.push(TableFacts {
            rows,
            bytes: bytes.map(|(size, _)| size),
            index_bytes: bytes.map(|_| indexes),
            unused_bytes: bytes.map(|(_, unused)| unused),
            analyzed: table.rows_estimate.is_some(),
            // The row number tells rows apart where there is no key.
            has_key: table.key.is_some() || table.rowid.is_some(),
            oddities: oddities(table),
            ..TableFacts::of(table.name.clone())
        });
    }
    Ok(all)
}

fn own(schema: &Schema) -> impl Iterator<Item = &Table> {
    schema.tables.iter().filter(|table| !matches!(table.kind, TableKind::View | TableKind::Foreign))
}

/// The span of the row numbers: two looks into the tree, and no fewer rows than there are.
fn by_rowid(link: &mut Link, table: &Table) -> Result<Option<u64>> {
    let Some(rowid) = &table.rowid else { return Ok(None) };
    let from = Sql::new(" from ").table(&table.name);
    let end = |what: &str| Sql::new("select ").text(what).text("(").name(rowid).text(")").add(&from);
    let (Some(first), Some(last)) = (link.value(&end("min"))?.as_int(), link.value(&end("max"))?.as_int())
    else {
        return Ok(Some(0));
    };
    Ok(u64::try_from(i128::from(last) - i128::from(first) + 1).ok())
}

/// What SQLite understands otherwise than it reads.
fn oddities(table: &Table) -> Vec<(String, String, String, String)> {
    let mut all = Vec::new();
    let mut add = |code: &str, column: &str, what: String, remedy: String| {
        all.push((code.to_owned(), column.to_owned(), what, remedy));
    };
    for column in &table.columns {
        let declared = column.declared.to_ascii_uppercase();
        if declared == "STRING" {
            let what = "is declared `STRING`, which SQLite takes for numbers: '007' is kept as 7".to_owned();
            add(
                "affinity",
                &column.name,
                what,
                "declare it `TEXT`: make the table anew by a migration".to_owned(),
            );
        }
        if ["FLOATING POINT", "POINT"].contains(&declared.as_str()) && column.family == Family::Integer {
            let what =
                format!("is declared `{declared}`, in which SQLite finds `INT`: it is an integer column");
            add(
                "affinity",
                &column.name,
                what,
                "declare it `REAL`: make the table anew by a migration".to_owned(),
            );
        }
    }
    let primary = table.uniques.first().filter(|key| key.name == "primary key");
    if let Some(key) = primary
        && table.kind == TableKind::Ordinary
    {
        let of_key = |name: &String| table.column(name);
        if let [only] = key.columns.as_slice()
            && table.rowid.as_ref() != Some(only)
            && of_key(only).is_some_and(|column| {
                column.family == Family::Integer && !column.declared.eq_ignore_ascii_case("integer")
            })
        {
            let declared = of_key(only).map_or("", |column| column.declared.as_str());
            let what = format!(
                "is declared `{declared} primary key`, not `integer primary key`: it is not the row number, has an index beside \
                 the table, and is filled by nobody"
            );
            add(
                "not_rowid",
                only,
                what,
                "declare it `integer primary key`: make the table anew by a migration".to_owned(),
            );
        }
        // Everything is in the index of the key already: the table beside it is a second copy of every row.
        if key.columns.len() > 1
            && table.columns.len() == key.columns.len()
            && table.columns.iter().all(|column| column.not_null)
        {
            let what = "has no column beside its key, so that every row is stored twice: in the table and in its key".to_owned();
            add(
                "twice",
                "",
                what,
                "declare it `without rowid`: make the table anew by a migration".to_owned(),
            );
        }
    }
    all
}

pub(super) fn indexes(link: &mut Link, schema: &Schema, pages: Option<&Pages>) -> Result<Vec<IndexFacts>> {
    let mut definitions = HashMap::new();
    link.query(&Sql::new("select name, sql from sqlite_schema where type = 'index'"), &mut |row| {
        let text = |n: usize| row.get(n).and_then(Value::as_text).map(str::to_owned);
        definitions.insert(text(0).unwrap_or_default(), text(1));
        Ok(())
    })?;
    let parts = parts(link)?;
    let mut all = Vec::new();
    for table in own(schema) {
        for index in &table.indexes {
            let definition = definitions.get(&index.name).cloned().flatten();
            // An index without a statement of its own was made for a constraint.
            let constraint = definition.is_none().then(|| index.name.clone());
            let primary = constraint.is_some()
                && table.uniques.first().is_some_and(|key| {
                    key.name == "primary key"
                        && key.columns.iter().map(Some).eq(index.columns.iter().map(Option::as_ref))
                });
            all.push(IndexFacts {
                name: TableName::bare(&index.name),
                table: table.name.clone(),
                method: "btree".to_owned(),
                parts: parts.get(&index.name).cloned().unwrap_or_default(),
                columns: index.columns.clone(),
                carried: Vec::new(),
                only: if index.partial {
                    Some(index.only.clone().unwrap_or_else(|| index.name.clone()))
                } else {
                    None
                },
                bytes: pages.and_then(|pages| Some(pages.get(&index.name.to_lowercase())?.0)),
                scans: None,
                last_scan: None,
                unique: index.unique,
                primary,
                constraint,
                identity: false,
                valid: true,
                building: false,
                attached: false,
                definition,
            });
        }
    }
    Ok(all)
}

/// The parts of each index with how they compare. Expressions differ from everything.
fn parts(link: &mut Link) -> Result<HashMap<String, Vec<String>>> {
    let mut all: HashMap<String, Vec<String>> = HashMap::new();
    let sql = "select i.name, x.name, x.coll, x.desc
               from sqlite_schema as i join pragma_index_xinfo(i.name, 'main') as x
               where i.type = 'index' and x.key = 1 order by i.name, x.seqno";
    link.query(&Sql::new(sql), &mut |row| {
        let text = |n: usize| row.get(n).and_then(Value::as_text).unwrap_or_default().to_owned();
        let own = all.entry(text(0)).or_default();
        let name = row
            .get(1)
            .and_then(Value::as_text)
            .map_or_else(|| format!("expression of {} {}", text(0), own.len()), str::to_owned);
        own.push(format!("{name} {} {}", text(2), row.get(3).and_then(Value::as_int).unwrap_or(0)));
        Ok(())
    })?;
    Ok(all)
}

pub(super) fn references(schema: &Schema) -> Vec<ReferenceFacts> {
    own(schema)
        .flat_map(|table| {
            table.references.iter().map(|reference| ReferenceFacts {
                name: reference.name.clone(),
                table: table.name.clone(),
                columns: reference.columns.clone(),
                parent: reference.parent.clone(),
                parent_columns: reference.parent_columns.clone(),
            })
        })
        .collect()
}
