//! Rows that move to a table of their own instead of only going: written there, with when and by which run, in the
//! transaction that deletes them. The undo takes them away from there and puts them back.

use engine::{Error, Result, Rows, Work};
use serde::{Deserialize, Serialize};
use targets::db::{Column, Family, Generated, Key, Sql, Table, TableKind, TableName, Value, quote};

/// When the row was moved.
const AT: &str = "quarantined_at";
/// The run that moved it.
const BY: &str = "quarantined_by";

/// Where rows are put aside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aside {
    /// The table, as it is or as it will be made.
    pub table: Table,
    /// It is not there yet.
    pub is_new: bool,
}

impl Aside {
    /// For rows of `source`, into the table `name`; `known` when that is there already.
    pub fn of(source: &Table, name: TableName, known: Option<&Table>) -> Result<Aside> {
        if let Some(taken) = [AT, BY].into_iter().find(|taken| source.column(taken).is_some()) {
            return Err(Error::usage(format!("`{}` has a column `{taken}` itself", source.name))
                .help("use `policy = \"delete\"`: the rows are remembered too"));
        }
        if source.kind == TableKind::Ordinary && !source.children.is_empty() {
            return Err(Error::usage(format!("other tables inherit from `{}`", source.name))
                .help("name each of them as a target of its own"));
        }
        let table = shaped_like(source, name);
        let Some(known) = known else { return Ok(Aside { table, is_new: true }) };
        for column in &table.columns {
            match known.column(&column.name) {
                Some(there) if there.declared.eq_ignore_ascii_case(&column.declared) => {}
                Some(there) => {
                    return Err(Error::usage(format!(
                        "`{}.{}` is {}, but in `{}` it is {}",
                        known.name, column.name, there.declared, source.name, column.declared
                    ))
                    .help("name another `quarantine_table`: a new one is made like its source"));
                }
                None => {
                    return Err(Error::usage(format!("`{}` has no column `{}`", known.name, column.name))
                        .help("name another `quarantine_table`: a new one is made like its source"));
                }
            }
        }
        Ok(Aside { table: known.clone(), is_new: false })
    }

    /// Whether rows of the table are such that were put aside.
    pub fn is_one(table: &Table) -> bool {
        table.column(AT).is_some() && table.column(BY).is_some()
    }

    /// The statement that makes the table.
    pub fn create(&self) -> Sql {
        let mut parts: Vec<String> = self
            .table
            .columns
            .iter()
            .map(|column| format!("{} {}", quote(&column.name), column.declared).trim_end().to_owned())
            .collect();
        if let Some(key) = &self.table.key {
            let columns: Vec<String> = key.columns.iter().map(|column| quote(column)).collect();
            parts.push(format!("primary key ({})", columns.join(", ")));
        }
        Sql::new("create table ").table(&self.table.name).text(&format!(" ({})", parts.join(", ")))
    }

    /// Copies the rows, all of one leaf, there.
    pub fn put(&self, rows: &Rows, work: &mut Work) -> Result<u64> {
        let dialect = work.dialect();
        if self.is_new && work.count(&dialect.exists(&self.table.name))? == 0 {
            work.add_table(&self.table.name, &self.create())?;
        }
        let own: Vec<String> = rows.table.stored().map(|column| column.name.clone()).collect();
        let now = work.now().strftime("%Y-%m-%d %H:%M:%S.%6f+00:00").to_string();
        let select = Sql::new("select ")
            .names("t.", own.iter().map(String::as_str))
            .text(", ")
            .add(&dialect.inward(self.table.expect_column(AT)?, Value::Text(now)))
            .text(", ")
            .add(&dialect.inward(self.table.expect_column(BY)?, Value::Text(work.point().to_owned())))
            .text(" from ")
            .table(&rows.table.name)
            .text(" as t where ")
            .add(&rows.condition);
        let columns: Vec<String> = own.into_iter().chain([AT.to_owned(), BY.to_owned()]).collect();
        work.insert(&self.table, &columns, &select)
    }
}

/// The stored columns of the source, and ours. A row may come back and be moved again by another run.
fn shaped_like(source: &Table, name: TableName) -> Table {
    let ours = |name: &str, declared: &str, family| Column {
        name: name.to_owned(),
        declared: declared.to_owned(),
        family,
        not_null: false,
        default: None,
        generated: Generated::No,
        identity: false,
    };
    let mut columns: Vec<Column> =
        source.stored().map(|column| Column { default: None, identity: false, ..column.clone() }).collect();
    columns.push(ours(AT, "timestamp with time zone", Family::TimestampTz));
    columns.push(ours(BY, "text", Family::Text));
    let key = source.key.as_ref().map(|key| Key {
        name: String::new(),
        columns: key.columns.iter().cloned().chain([BY.to_owned()]).collect(),
    });
    Table {
        name,
        kind: TableKind::Ordinary,
        columns,
        key,
        uniques: Vec::new(),
        indexes: Vec::new(),
        references: Vec::new(),
        lost_references: Vec::new(),
        triggers: Vec::new(),
        rules: Vec::new(),
        rights: Default::default(),
        parents: Vec::new(),
        children: Vec::new(),
        rowid: None,
        rows_estimate: None,
        bytes: None,
    }
}
