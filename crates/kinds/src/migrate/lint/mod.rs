//! Says beforehand what a migration would do to those who use the database: which locks, for how long, what breaks.
//!
//! Pure judgement over statements and facts: works without a database, and better with one. It changes nothing and runs
//! nothing.

mod course;
mod effect;
mod read;
mod stated;
mod surroundings;

pub use surroundings::Surroundings;

/// Whose SQL it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Engine {
    /// From the name that a dialect gives itself.
    pub fn named(name: &str) -> Self {
        if name == "sqlite" { Engine::Sqlite } else { Engine::Postgres }
    }
}
