//! Which histories there are, and how each is told from the others.

use crate::migrate::directory::Convention;
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
    let mut there = Vec::new();
    for shape in Shape::ALL {
        let question = facts.dialect().exists(&TableName::bare(shape.table()));
        if facts.count(&question)? > 0 {
            there.push(shape);
        }
    }
    if there.is_empty() {
        return Ok(Vec::new());
    }
    let schema = facts.schema()?;
    let mut found: Vec<History> = Vec::new();
    for shape in there {
        let Ok(table) = schema.find(shape.table()) else { continue };
        let has = |name: &&str| table.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
        // a plain list of versions is what is left when nothing else is in the table
        let clean = shape != Shape::Versions || table.column("dirty").is_none();
        if clean && shape.columns().iter().all(has) {
            found.push(History { shape, table: table.name.clone() });
        }
    }
    Ok(found)
}
