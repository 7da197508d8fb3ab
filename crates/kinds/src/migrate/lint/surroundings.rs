//! What a database is like now, as far as a migration must know: read once, through a session that cannot write.

use super::Engine;
use serde::{Deserialize, Serialize};
use targets::db::{Facts, OldTransaction, Result, Schema, Sql, TableName, Traffic};

/// A check on rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Of which table.
    pub table: TableName,
    /// Its name.
    pub name: String,
    /// What it demands.
    pub expression: String,
    /// Whether all rows are known to satisfy it.
    pub valid: bool,
}

/// What a database is like now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Surroundings {
    /// Whose database.
    pub engine: Engine,
    /// Comparable: 150018 for PostgreSQL 15.18, 3054001 for SQLite 3.54.1.
    pub version: u32,
    /// Its tables.
    pub schema: Schema,
    /// How big and how busy they are.
    pub traffic: Vec<Traffic>,
    /// Its checks.
    pub checks: Vec<Check>,
    /// The oldest open transaction, which a strong lock would wait for.
    pub oldest: Option<OldTransaction>,
    /// The size of all.
    pub bytes: u64,
}

impl Surroundings {
    /// Reads them.
    pub fn of(facts: &mut dyn Facts) -> Result<Self> {
        let engine = Engine::named(facts.dialect().name());
        let server = facts.server()?;
        Ok(Self {
            engine,
            version: server.version_number,
            schema: facts.schema()?,
            traffic: facts.traffic()?,
            checks: match engine {
                Engine::Postgres => checks(facts)?,
                // SQLite keeps checks in the text of the table and has no notion of one that was not validated.
                Engine::Sqlite => Vec::new(),
            },
            oldest: facts.pulse()?.oldest,
            bytes: server.bytes,
        })
    }

    /// How big and how busy a table is.
    pub fn traffic(&self, name: &TableName) -> Option<&Traffic> {
        let found = self.schema.find(&name.to_string()).ok()?;
        self.traffic.iter().find(|traffic| traffic.table == found.name)
    }
}

fn checks(facts: &mut dyn Facts) -> Result<Vec<Check>> {
    let rows = facts.rows(&Sql::new(
        "select n.nspname::text, c.relname::text, k.conname::text, pg_get_expr(k.conbin, k.conrelid), k.convalidated
         from pg_constraint k
           join pg_class c on c.oid = k.conrelid
           join pg_namespace n on n.oid = c.relnamespace
         where k.contype = 'c'",
    ))?;
    let text = |value: &targets::db::Value| value.as_text().unwrap_or_default().to_owned();
    Ok(rows
        .iter()
        .map(|row| Check {
            table: TableName::within(&text(&row[0]), &text(&row[1])),
            name: text(&row[2]),
            expression: text(&row[3]),
            valid: row[4].as_bool().unwrap_or(false),
        })
        .collect())
}
