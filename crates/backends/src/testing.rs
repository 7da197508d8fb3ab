//! For `testkit` only: plays the application, on connections of its own.
//!
//! Drivers appear nowhere but in this crate, so the kit reaches them through these two functions. It goes past the
//! back ends on purpose: a test must not look at a database through the code that it tests.

use targets::db::{Row, Url, Value};

/// Runs a script as an application would.
pub fn script(url: &Url, sql: &str) -> Result<(), String> {
    match url {
        Url::Sqlite { path } => sqlite(path)
            .and_then(|connection| connection.execute_batch(sql))
            .map_err(|error| error.to_string()),
        Url::Postgres { .. } => rows(url, sql).map(drop),
    }
}

/// The rows of one query: raw values from SQLite, text from PostgreSQL (where a script may stand before the query).
pub fn rows(url: &Url, sql: &str) -> Result<Vec<Row>, String> {
    match url {
        Url::Sqlite { path } => sqlite_rows(path, sql).map_err(|error| error.to_string()),
        Url::Postgres { .. } => {
            let mut all = Vec::new();
            crate::postgres::script(&url.expose(), sql, &mut |row| {
                all.push(row.into_iter().map(Value::from).collect());
            })
            .map_err(|error| match error.code {
                Some(code) => format!("{} ({code})", error.what),
                None => error.what,
            })?;
            Ok(all)
        }
    }
}

fn sqlite(path: &std::path::Path) -> rusqlite::Result<rusqlite::Connection> {
    let connection = rusqlite::Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    // SQLite's own default, which the bundled build turns round.
    connection.pragma_update(None, "foreign_keys", false)?;
    Ok(connection)
}

fn sqlite_rows(path: &std::path::Path, sql: &str) -> rusqlite::Result<Vec<Row>> {
    use rusqlite::types::ValueRef;
    let connection = sqlite(path)?;
    let mut statement = connection.prepare(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.raw_query();
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let mut values = Row::with_capacity(columns);
        for n in 0..columns {
            values.push(match row.get_ref(n)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => Value::Int(number),
                ValueRef::Real(number) => Value::Real(number),
                ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
                ValueRef::Text(bytes) => match String::from_utf8(bytes.to_vec()) {
                    Ok(text) => Value::Text(text),
                    Err(broken) => Value::BrokenText(broken.into_bytes()),
                },
            });
        }
        all.push(values);
    }
    Ok(all)
}
