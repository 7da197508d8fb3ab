//! Which histories there are, and how each is told from the others.

use crate::migrate::directory::Convention;
use engine::Result;
use serde::{Deserialize, Serialize};
use targets::db::{Facts, Row, TableName};

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
    /// `migrations (version, description, executed_at)`, as an application keeps it for itself.
    Plain,
}

impl Shape {
    /// All of them.
    pub const ALL: [Shape; 8] = [
        Self::Versions,
        Self::Dirty,
        Self::Goose,
        Self::Flyway,
        Self::Sqlx,
        Self::Diesel,
        Self::Refinery,
        Self::Plain,
    ];

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

    /// The name that its table has unless somebody chose another.
    pub fn table(self) -> &'static str {
        match self {
            Self::Versions | Self::Dirty => "schema_migrations",
            Self::Goose => "goose_db_version",
            Self::Flyway => "flyway_schema_history",
            Self::Sqlx => "_sqlx_migrations",
            Self::Diesel => "__diesel_schema_migrations",
            Self::Refinery => "refinery_schema_history",
            Self::Plain => "migrations",
        }
    }

    /// The columns by which it is known, among those of that name.
    fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Versions => &["version"],
            Self::Dirty => &["version", "dirty"],
            Self::Goose => &["id", "version_id", "is_applied", "tstamp"],
            Self::Flyway => {
                &["installed_rank", "version", "description", "type", "script", "checksum", "success"]
            }
            Self::Sqlx => {
                &["version", "description", "installed_on", "success", "checksum", "execution_time"]
            }
            Self::Diesel => &["version", "run_on"],
            Self::Refinery => &["version", "name", "applied_on", "checksum"],
            Self::Plain => &["version", "description", "executed_at"],
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

/// Every history of another tool that the database has, by the catalogue. A table of such a name with other columns is
/// somebody else's.
pub fn found(facts: &mut dyn Facts) -> Result<Vec<History>> {
    let mut found: Vec<History> = Vec::new();
    for shape in Shape::ALL {
        // Asked by their names: to read a whole schema takes longer than a small migration.
        let question = facts.dialect().columns(&TableName::bare(shape.table()));
        let columns = facts.rows(&question)?;
        let Some(table) = columns.first().map(named) else { continue };
        let has = |name: &str| {
            columns.iter().any(|row| row[2].as_text().is_some_and(|column| column.eq_ignore_ascii_case(name)))
        };
        // a plain list of versions is what is left when nothing else is in the table
        let clean = shape != Shape::Versions || !has("dirty");
        if clean && shape.columns().iter().all(|name| has(name)) {
            found.push(History { shape, table });
        }
    }
    Ok(found)
}

/// The table that a row of its columns tells of.
fn named(row: &Row) -> TableName {
    let text = |n: usize| row[n].as_text().map(str::to_owned);
    TableName { schema: text(0), name: text(1).unwrap_or_default() }
}
