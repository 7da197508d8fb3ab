//! The SQLite file as it is: tables with everything that hangs on them, and what else there is.
//!
//! The catalogue tells what it can, the text of the statements the rest. Tables of SQLite itself, the tables inside virtual
//! tables and Sexton's own are nobody's data.

use super::translate::grammar::{self, Written, WrittenIndex, WrittenPart, WrittenReference};
use engine::Result;
use std::collections::HashMap;
use targets::db::{Action, Column, Facts, Generated, Row, Sql, Table, TableKind, Value};

/// A whole file.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// Its tables, by name.
    pub tables: Vec<SourceTable>,
    /// What holds no rows of its own, or rows that only its module can read.
    pub others: Vec<Other>,
    /// Tables that are taken for Sexton's own, by their names.
    pub own: Vec<String>,
}

/// A table.
#[derive(Debug, Clone)]
pub struct SourceTable {
    /// What the catalogue says.
    pub table: Table,
    /// What its statement says; none where it cannot be read.
    pub written: Option<Written>,
    /// Its primary key, in order; empty where it has none.
    pub primary: Vec<String>,
    /// Its other keys and its indexes.
    pub indexes: Vec<SourceIndex>,
    /// Its references.
    pub references: Vec<WrittenReference>,
    /// The largest id that was ever given, where ids are not given again.
    pub sequence: Option<i64>,
}

/// An index, or a unique key.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceIndex {
    /// Its name.
    pub name: String,
    /// It is a key of the table's statement, not an index of its own.
    pub is_key: bool,
    /// How it is written; none where that cannot be read.
    pub written: Option<WrittenIndex>,
}

/// What SQLite makes of values by the declared type of their column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Affinity {
    /// Whole numbers, of what can be one.
    Integer,
    /// Texts, of numbers.
    Text,
    /// Nothing else.
    None,
    /// Floats, of every number.
    Real,
    /// Numbers, of what can be one.
    Numeric,
}

/// A view, a trigger or a virtual table.
#[derive(Debug, Clone, PartialEq)]
pub struct Other {
    /// `view`, `trigger` or `virtual table`.
    pub what: &'static str,
    /// Its name.
    pub name: String,
    /// Its statement.
    pub sql: String,
    /// The columns of a view; none where SQLite cannot read it.
    pub columns: Vec<String>,
    /// Why it cannot.
    pub broken: Option<String>,
}

impl Other {
    fn new(what: &'static str, name: String, sql: String) -> Self {
        Self { what, name, sql, columns: Vec::new(), broken: None }
    }
}

impl SourceTable {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.table.name.name
    }

    /// The column that is the rowid.
    pub fn rowid_column(&self) -> Option<&Column> {
        let name = self.table.rowid.as_deref().filter(|_| self.table.kind == TableKind::Ordinary)?;
        self.table.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// The collation of a column, where it is not that of bytes.
    pub fn collation(&self, column: &str) -> Option<&str> {
        let written = self.written.as_ref()?;
        let column = written.columns.iter().find(|known| known.name.eq_ignore_ascii_case(column))?;
        column.collation.as_deref().filter(|collation| *collation != "binary")
    }

    /// The type that a column is declared with; JSON where a check lets nothing else in.
    pub fn declared<'c>(&self, column: &'c Column) -> &'c str {
        let mut checks = self.written.iter().flat_map(|written| &written.checks);
        match checks.any(|(_, check)| grammar::wants_document(check, &column.name)) {
            true => "JSON",
            false => &column.declared,
        }
    }

    /// The collation of a column, where only the application has it.
    pub fn own_collation(&self, column: &str) -> Option<&str> {
        self.collation(column).filter(|collation| !matches!(*collation, "nocase" | "rtrim"))
    }

    /// What SQLite makes of the values of a column.
    pub fn affinity(&self, column: &str) -> Affinity {
        let declared = self.table.column(column).map(|column| column.declared.to_ascii_lowercase());
        let declared = declared.unwrap_or_default();
        let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
        // the order in which SQLite looks for these
        match () {
            () if has(&["int"]) => Affinity::Integer,
            () if has(&["char", "clob", "text"]) => Affinity::Text,
            () if declared.trim().is_empty() || has(&["blob"]) => Affinity::None,
            () if has(&["real", "floa", "doub"]) => Affinity::Real,
            () => Affinity::Numeric,
        }
    }

    /// The expression that computes a column.
    pub fn generated(&self, column: &Column) -> Option<Option<&str>> {
        if column.generated == Generated::No {
            return None;
        }
        let written = self.written.as_ref().and_then(|written| {
            written.columns.iter().find(|known| known.name.eq_ignore_ascii_case(&column.name))
        });
        Some(written.and_then(|written| written.generated.as_deref()))
    }

    /// Whether rows are found by their rowid, else by the primary key.
    pub fn by_rowid(&self) -> Option<&str> {
        self.table.rowid.as_deref()
    }
}

fn text(row: &Row, n: usize) -> String {
    row.get(n).and_then(Value::as_text).unwrap_or_default().to_owned()
}

/// Reads it.
pub fn read(facts: &mut dyn Facts) -> Result<Source> {
    let schema = facts.schema()?;
    let mut statements = HashMap::new();
    let (mut others, mut own) = (Vec::new(), Vec::new());
    for row in facts.rows(&Sql::new("select type, name, sql from sqlite_schema where sql is not null"))? {
        let (what, name, sql) = (text(&row, 0), text(&row, 1), text(&row, 2));
        if name.to_ascii_lowercase().starts_with("sexton_") {
            own.extend((what == "table").then_some(name));
            continue;
        }
        match what.as_str() {
            "view" => others.push(Other::new("view", name, sql)),
            "trigger" => others.push(Other::new("trigger", name, sql)),
            _ => {
                statements.insert(name.to_lowercase(), sql);
            }
        }
    }
    for view in others.iter_mut().filter(|other| other.what == "view") {
        let columns =
            Sql::new("select name from pragma_table_xinfo(").bind(view.name.as_str()).text(") order by cid");
        // what reads tables that are gone is an error there, and what calls a function of the application
        match facts.rows(&columns) {
            Ok(rows) => view.columns = rows.iter().map(|row| text(row, 0)).collect(),
            Err(error) => view.broken = std::error::Error::source(&error).map(ToString::to_string),
        }
    }
    let kept = facts.count(&Sql::new("select count(*) from sqlite_schema where name = 'sqlite_sequence'"))?;
    let mut sequences = HashMap::new();
    if kept > 0 {
        for row in facts.rows(&Sql::new("select name, seq from sqlite_sequence"))? {
            if let Some(last) = row.get(1).and_then(Value::as_int) {
                sequences.insert(text(&row, 0).to_lowercase(), last);
            }
        }
    }
    let mut tables = Vec::new();
    for table in schema.tables {
        let name = table.name.name.clone();
        let sql = statements.get(&name.to_lowercase());
        match table.kind {
            TableKind::Ordinary | TableKind::WithoutRowid => {}
            TableKind::Foreign => {
                let sql = sql.cloned().unwrap_or_default();
                others.push(Other::new("virtual table", name, sql));
                continue;
            }
            _ => continue,
        }
        let written = sql.and_then(|sql| grammar::table(sql));
        let primary = facts
            .rows(
                &Sql::new("select name from pragma_table_xinfo(")
                    .bind(name.as_str())
                    .text(") where pk > 0 order by pk"),
            )?
            .iter()
            .map(|row| text(row, 0))
            .collect();
        let references = match &written {
            Some(written) => written.references.clone(),
            None => table.references.iter().map(of_catalogue).collect(),
        };
        let autoincrement = written.as_ref().is_some_and(|written| written.autoincrement);
        tables.push(SourceTable {
            indexes: indexes(facts, &name, &statements)?,
            sequence: sequences.get(&name.to_lowercase()).copied().filter(|_| autoincrement),
            table,
            written,
            primary,
            references,
        });
    }
    Ok(Source { tables, others, own })
}

fn of_catalogue(key: &targets::db::ForeignKey) -> WrittenReference {
    WrittenReference {
        columns: key.columns.clone(),
        parent: key.parent.name.clone(),
        parent_columns: key.parent_columns.clone(),
        on_delete: key.on_delete,
        on_update: Action::NoAction,
        deferred: false,
    }
}

fn indexes(
    facts: &mut dyn Facts,
    table: &str,
    statements: &HashMap<String, String>,
) -> Result<Vec<SourceIndex>> {
    let listed = facts.rows(
        &Sql::new("select name, \"unique\", origin from pragma_index_list(")
            .bind(table)
            .text(") order by seq desc"),
    )?;
    let mut all = Vec::new();
    for row in listed {
        let (name, origin) = (text(&row, 0), text(&row, 2));
        match origin.as_str() {
            "pk" => {}
            "u" => {
                let parts = facts.rows(
                    &Sql::new("select name, coll, \"desc\" from pragma_index_xinfo(")
                        .bind(name.as_str())
                        .text(") where key = 1 order by seqno"),
                )?;
                let parts = parts.iter().map(|row| WrittenPart {
                    expression: targets::db::quote(&text(row, 0)),
                    collation: Some(text(row, 1).to_ascii_lowercase()),
                    descending: false,
                });
                let written = WrittenIndex { parts: parts.collect(), unique: true, only: None };
                all.push(SourceIndex { name, is_key: true, written: Some(written) });
            }
            _ => {
                let written = statements.get(&name.to_lowercase()).and_then(|sql| grammar::index(sql));
                all.push(SourceIndex { name, is_key: false, written });
            }
        }
    }
    Ok(all)
}
