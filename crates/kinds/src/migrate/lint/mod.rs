//! Says beforehand what a migration would do to those who use the database: which locks, for how long, what breaks.
//!
//! Judgement over statements and facts: works without a database, and better with one. It changes nothing and runs nothing
//! but bounded questions on a session that cannot write.
//!
//! `read` turns SQL into what is [`stated`], `effect` says what that costs, `rules` judge it in its place, `impact` adds
//! sizes, `rewrite` the form in which nobody waits.

mod batches;
pub mod codes;
mod comments;
mod course;
pub mod effect;
pub mod files;
mod findings;
mod impact;
mod judge;
mod point;
mod probe;
mod read;
mod rewrite;
mod rules;
mod safe_files;
pub mod stated;
mod surroundings;
mod written;

pub use codes::Level;
pub use findings::{Finding, Judged, Linted, Risk, Seconds};
pub use impact::{Rates, shown, thousands};
pub use judge::{Source, Terms, lint, lint_around};
pub use rewrite::Step;
pub use safe_files::rewrite;
pub use surroundings::Surroundings;
pub use written::{Written, write, written};

use super::model;

/// Whose SQL it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    #[serde(rename = "postgresql")]
    Postgres,
}

impl Engine {
    /// From the name that a dialect gives itself.
    pub fn named(name: &str) -> Self {
        if name == "sqlite" { Engine::Sqlite } else { Engine::Postgres }
    }

    /// The version that is taken for granted where nobody says one: the oldest that is still looked after, or that
    /// distributions of long support still ship.
    pub fn usual_version(self) -> u32 {
        match self {
            Engine::Sqlite => 3_040_000,
            Engine::Postgres => 140_000,
        }
    }
}

/// What each part of a statement costs, with everything else unknown: for tests that compare it with a real database.
pub fn effects(
    engine: Engine,
    version: u32,
    before: &[&str],
    sql: &str,
) -> Result<Vec<effect::Effect>, String> {
    let mut course = course::Course::new(engine, version, None);
    let read = |sql: &str| {
        read::read(engine, sql)
            .map_err(|mistakes| mistakes.iter().map(|m| m.what.clone()).collect::<Vec<_>>().join(", "))
    };
    for sql in before {
        read(sql)?.iter().for_each(|stated| course.apply(&stated.does));
    }
    course.next_migration();
    Ok(read(sql)?.iter().map(|stated| effect::effect(&stated.does, &course)).collect())
}
