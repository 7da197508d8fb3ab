//! How a database is, as `sexton doctor` sees it, for surfaces that show a few of its figures.

use crate::choice;
use crate::config::Config;
use crate::trouble::Trouble;
use engine::Engine;
use serde_json::{Value as Json, json};

/// What the doctor finds in a database. Nothing is changed, nothing is kept.
pub fn doctor(engine: &Engine, config: &Config, database: &str) -> Result<Json, Trouble> {
    let kind = engine.catalogue().iter().find(|kind| kind.name() == "doctor");
    let kind = *kind.ok_or_else(|| Trouble::system("the doctor", "is not in the catalogue"))?;
    let operation = choice::one_off(kind, database);
    let request = choice::request(config, &[choice::Chosen::named(&operation)], &[], None, "api")?;
    let plan = engine.plan(&request)?;
    Ok(plan.items.into_iter().next().and_then(|item| item.result).unwrap_or(Json::Null))
}

/// The share of the disk that is used, of reads that found an index, and the size of the database.
pub fn figures(engine: &Engine, config: &Config, database: &str) -> Result<Json, Trouble> {
    let found = doctor(engine, config, database)?;
    Ok(json!({
        "disk_used_percent": found["figures"]["disk_used_percent"],
        "index_efficiency_percent": found["figures"]["index_efficiency_percent"],
        "database_bytes": found["size_bytes"],
    }))
}
