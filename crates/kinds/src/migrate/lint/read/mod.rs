//! Turns a statement into what it does. The only place that knows which library reads which SQL.
//!
//! What cannot be read is a [`Mistake`] with its place; a reader that panics is a mistake of the whole statement, never
//! the end of the program.

mod postgres;
mod postgres_table;
mod sqlite;
mod sqlite_table;
mod tree;

use super::Engine;
use super::stated::{Mistake, Stated};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What one statement does.
pub fn read(engine: Engine, sql: &str) -> Result<Vec<Stated>, Vec<Mistake>> {
    // Neither library promises not to panic on what it has never seen.
    let read = catch_unwind(AssertUnwindSafe(|| match engine {
        Engine::Postgres => postgres::read(sql),
        Engine::Sqlite => sqlite::read(sql),
    }));
    read.unwrap_or_else(|_| {
        Err(vec![Mistake { what: "this statement cannot be read".to_owned(), at: 0..sql.len() }])
    })
}
