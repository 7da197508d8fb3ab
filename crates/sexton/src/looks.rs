//! How a database is, as `sexton doctor` sees it, for surfaces that look without being asked on a terminal.

use crate::choice;
use crate::config::Config;
use crate::trouble::Trouble;
use engine::{Engine, Plan};
use serde_json::Value as Json;

/// A look at a database, with what can be kept of it. Nothing is changed.
pub fn plan(engine: &Engine, config: &Config, database: &str) -> Result<Plan, Trouble> {
    let kind = engine.catalogue().iter().find(|kind| kind.name() == "doctor");
    let kind = *kind.ok_or_else(|| Trouble::system("the doctor", "is not in the catalogue"))?;
    let operation = choice::one_off(kind, database);
    let request = choice::request(config, &[choice::Chosen::named(&operation)], &[], None, "api")?;
    Ok(engine.plan(&request)?)
}

/// What the doctor finds in a database.
pub fn doctor(engine: &Engine, config: &Config, database: &str) -> Result<Json, Trouble> {
    let plan = plan(engine, config, database)?;
    Ok(plan.items.into_iter().next().and_then(|item| item.result).unwrap_or(Json::Null))
}
