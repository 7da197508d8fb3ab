//! A throw-away SQLite file, made by the driver itself, so that what the back end reads was not written by it.

use backends::sqlite::Sqlite;
use rusqlite::Connection;
use std::path::PathBuf;
use targets::db::{Database, Limits, Row, Session, Sql, Table, Take, Taken, Tx, UndoTable};

/// A file in a folder of its own.
pub struct Kit {
    pub folder: tempfile::TempDir,
    pub path: PathBuf,
}

impl Kit {
    /// With these statements run.
    pub fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        let kit = Self { folder, path };
        kit.app().execute_batch(script).unwrap();
        kit
    }

    /// The application's own connection.
    pub fn app(&self) -> Connection {
        let conn = Connection::open(&self.path).unwrap();
        conn.execute_batch("pragma foreign_keys = off; pragma busy_timeout = 0").unwrap();
        conn
    }

    pub fn database(&self) -> Sqlite {
        Sqlite::new("app", &self.path)
    }

    pub fn open(&self) -> Box<dyn Session> {
        self.database().open().unwrap()
    }

    pub fn table(&self, name: &str) -> Table {
        self.database().read().unwrap().schema().unwrap().find(name).unwrap().clone()
    }

    /// Every value of a query with its storage class, so that 1, 1.0 and '1' differ.
    pub fn dump(&self, sql: &str) -> Vec<Vec<(String, Vec<u8>)>> {
        let app = self.app();
        let mut statement = app.prepare(sql).unwrap();
        let width = statement.column_count();
        statement
            .query_map([], |row| {
                (0..width)
                    .map(|n| {
                        let value = row.get_ref(n)?;
                        let bytes = match value {
                            rusqlite::types::ValueRef::Text(bytes)
                            | rusqlite::types::ValueRef::Blob(bytes) => bytes.to_vec(),
                            rusqlite::types::ValueRef::Real(number) => {
                                number.to_bits().to_be_bytes().to_vec()
                            }
                            rusqlite::types::ValueRef::Integer(number) => number.to_be_bytes().to_vec(),
                            rusqlite::types::ValueRef::Null => Vec::new(),
                        };
                        Ok((value.data_type().to_string(), bytes))
                    })
                    .collect()
            })
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap()
    }
}

/// The undo table of a table.
pub fn undo_of(table: &Table) -> UndoTable {
    UndoTable {
        name: targets::db::TableName::bare("sexton_undo_1"),
        temporary: false,
        columns: table.stored().map(|column| column.name.clone()).collect(),
        after: Vec::new(),
    }
}

/// Takes the rows that meet a condition; without a window or limit.
pub fn all_where<'a>(table: &'a Table, condition: &str, into: Option<&'a UndoTable>) -> Take<'a> {
    Take {
        table,
        condition: Sql::raw(condition),
        window: None,
        limit: None,
        skip_locked: false,
        into,
        values: Vec::new(),
        batch: 1,
        below: Vec::new(),
    }
}

/// Makes the undo table and takes, in one transaction.
pub fn take(session: &mut dyn Session, take: &Take) -> Taken {
    let mut tx = session.begin(&Limits::default()).unwrap();
    if let Some(undo) = take.into {
        create(&mut *tx, take.table, undo);
    }
    let taken = tx.take(take).unwrap();
    tx.commit().unwrap();
    taken
}

pub fn create(tx: &mut dyn Tx, table: &Table, undo: &UndoTable) {
    for statement in backends::sqlite::SqliteDialect.create_undo(table, undo) {
        tx.execute(&statement).unwrap();
    }
}

/// Puts everything back.
pub fn put_back(session: &mut dyn Session, table: &Table, undo: &UndoTable) -> targets::db::Result<u64> {
    let dialect = backends::sqlite::SqliteDialect;
    let columns: Vec<&str> = undo.columns.iter().map(String::as_str).collect();
    let mut tx = session.begin(&Limits::default())?;
    let end = tx.rows(&dialect.undo_end(undo))?[0][0].as_int().unwrap();
    let range = targets::db::Range::of(0, end);
    let count = tx.execute(&dialect.put_back(table, undo, &columns, range))?;
    tx.commit()?;
    Ok(count)
}

pub use targets::db::Dialect;

/// One row of integers.
pub fn ints(values: &[i64]) -> Row {
    values.iter().map(|value| targets::db::Value::Int(*value)).collect()
}
