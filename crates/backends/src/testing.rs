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
        Url::Postgres { .. } => {
            let mut guest = crate::postgres::Guest::connect(&url.expose()).map_err(told)?;
            guest.script(sql, &mut |_| {}).map_err(told)?;
            // Its figures come to everybody when its session ends, which may be long after this returns. From version 15 on
            // they come at once where that is asked for; before, nobody knows the question.
            let _ = guest.script("select pg_catalog.pg_stat_force_next_flush()", &mut |_| {});
            Ok(())
        }
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
            .map_err(told)?;
            Ok(all)
        }
    }
}

fn told(error: targets::db::Error) -> String {
    match error.code {
        Some(code) => format!("{} ({code})", error.what),
        None => error.what,
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

/// An application that stays connected, with settings of its own.
pub struct Application(Held);

enum Held {
    Sqlite(rusqlite::Connection),
    Postgres(Box<crate::postgres::Guest>),
}

impl Application {
    /// Connects; on SQLite with its own default settings and a busy time-out of five seconds.
    pub fn connect(url: &Url) -> Result<Self, String> {
        let held = match url {
            Url::Sqlite { path } => Held::Sqlite(sqlite(path).map_err(|error| error.to_string())?),
            Url::Postgres { .. } => Held::Postgres(Box::new(
                crate::postgres::Guest::connect(&url.expose()).map_err(|error| error.what)?,
            )),
        };
        Ok(Self(held))
    }

    /// Runs a script.
    pub fn script(&mut self, sql: &str) -> Result<(), String> {
        match &mut self.0 {
            Held::Sqlite(connection) => connection.execute_batch(sql).map_err(|error| error.to_string()),
            Held::Postgres(guest) => guest.script(sql, &mut |_| {}).map_err(|error| error.what),
        }
    }

    /// Runs one statement; the number of rows that it changed.
    pub fn change(&mut self, sql: &str) -> Result<u64, String> {
        match &mut self.0 {
            Held::Sqlite(connection) => {
                connection.execute(sql, []).map(|count| count as u64).map_err(|error| error.to_string())
            }
            Held::Postgres(guest) => guest.change(sql).map_err(|error| error.what),
        }
    }

    /// The first column of the rows of a query, as integers.
    pub fn integers(&mut self, sql: &str) -> Result<Vec<i64>, String> {
        let mut all = Vec::new();
        match &mut self.0 {
            Held::Sqlite(connection) => {
                let mut read = || -> rusqlite::Result<()> {
                    let mut statement = connection.prepare_cached(sql)?;
                    let mut rows = statement.raw_query();
                    while let Some(row) = rows.next()? {
                        all.push(row.get(0)?);
                    }
                    Ok(())
                };
                read().map_err(|error| error.to_string())?;
            }
            Held::Postgres(guest) => {
                let mut each = |row: Vec<Option<String>>| {
                    all.extend(row.into_iter().next().flatten().and_then(|text| text.parse::<i64>().ok()));
                };
                guest.script(sql, &mut each).map_err(|error| error.what)?;
            }
        }
        Ok(all)
    }
}
