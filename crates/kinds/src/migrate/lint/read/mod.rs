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
use super::stated::{Does, Mistake, Stated, name_of};
use crate::migrate::directory::REBUILD;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What one statement does.
pub fn read(engine: Engine, sql: &str) -> Result<Vec<Stated>, Vec<Mistake>> {
    if let Some((table, create)) = sql.strip_prefix(REBUILD).and_then(|rest| rest.split_once('\n')) {
        let start = sql.len() - create.len();
        let moved = |at: Range<usize>| start + at.start..start + at.end;
        let table = name_of(table, engine == Engine::Postgres);
        return match read_plain(engine, create) {
            Ok(read) => Ok(read
                .into_iter()
                .map(|stated| match stated.does {
                    Does::CreateTable { new, .. } => {
                        Stated { does: Does::Rebuild { table: table.clone(), new }, at: moved(stated.at) }
                    }
                    does => Stated { does, at: moved(stated.at) },
                })
                .collect()),
            Err(mistakes) => Err(mistakes
                .into_iter()
                .map(|mistake| Mistake { at: moved(mistake.at), ..mistake })
                .collect()),
        };
    }
    read_plain(engine, sql)
}

fn read_plain(engine: Engine, sql: &str) -> Result<Vec<Stated>, Vec<Mistake>> {
    // Neither library promises not to panic on what it has never seen.
    let read = catch_unwind(AssertUnwindSafe(|| match engine {
        Engine::Postgres => postgres::read(sql),
        Engine::Sqlite => sqlite::read(sql),
    }));
    read.unwrap_or_else(|_| {
        Err(vec![Mistake { what: "this statement cannot be read".to_owned(), at: 0..sql.len() }])
    })
}
