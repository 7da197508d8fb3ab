//! How databases are: what the doctor finds, and how they have grown.

use super::super::Api;
use super::super::auth::Reader;
use super::super::error::Refusal;
use crate::config::Config;
use crate::told;
use crate::trouble::Trouble;
use axum::Json;
use axum::extract::{Path, Query, State};
use engine::Engine;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::IntoParams;

/// Looks that are not further apart leave one sample for trends.
const APART: SignedDuration = SignedDuration::from_hours(1);

/// How fresh it has to be.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Fresh {
    /// Look again, also where somebody has looked in the last minute.
    #[serde(default)]
    fresh: bool,
}

/// Only databases of the configuration are looked at from here.
fn named(config: &Config, name: &str) -> Result<(), Refusal> {
    match config.databases.iter().any(|known| known.name == name) {
        true => Ok(()),
        false => Err(Refusal::missing(format!("there is no database `{name}`"))),
    }
}

/// What is wrong with a database, the most harmful first: what `sexton doctor` finds. It reads the catalogue and the counters
/// only, within ten seconds, and waits for no lock.
#[utoipa::path(get, path = "/databases/{name}/findings", params(("name" = String, Path, description = "The database"), Fresh),
    responses((status = 200, body = Value)))]
pub async fn findings(
    State(api): State<Arc<Api>>,
    _: Reader,
    Path(name): Path<String>,
    Query(how): Query<Fresh>,
) -> Result<Json<Value>, Refusal> {
    named(&api.config, &name)?;
    let shelves = Arc::clone(&api);
    let document = api.with(move |engine, _| recent(&shelves, engine, &name, how.fresh));
    Ok(Json(document.await?))
}

/// What was found in the last minute, or is found now.
pub fn recent(api: &Api, engine: &Engine, name: &str, fresh: bool) -> Result<Value, Trouble> {
    let now = engine.clock().now();
    if let Some(known) = api.looks.get(name, now).filter(|_| !fresh) {
        return Ok(known);
    }
    let document = look(engine, &api.config, name, now)?;
    api.looks.put(name, document.clone(), now);
    Ok(document)
}

fn look(engine: &Engine, config: &Config, name: &str, now: Timestamp) -> Result<Value, Trouble> {
    let plan = crate::looks::plan(engine, config, name)?;
    let last = engine.samples(name).first().map(|sample| sample.at);
    if last.is_none_or(|last| now.duration_since(last).abs() >= APART)
        && let Err(failure) = engine.keep_samples(&plan)
    {
        tracing::warn!("nothing was kept of a look at `{name}`: {failure}");
    }
    let found = plan.items.into_iter().next().and_then(|item| item.result).unwrap_or(Value::Null);
    let mut document = told::looked(name, &found);
    document["at"] = json!(now);
    Ok(document)
}

/// How large a database was, and its tables, from the samples of all looks so far, the oldest first.
#[utoipa::path(get, path = "/databases/{name}/sizes", params(("name" = String, Path, description = "The database")),
    responses((status = 200, body = Value)))]
pub async fn sizes(
    State(api): State<Arc<Api>>,
    _: Reader,
    Path(name): Path<String>,
) -> Result<Json<Value>, Refusal> {
    named(&api.config, &name)?;
    let document = api.with(move |engine, _| {
        let mut samples = engine.samples(&name);
        samples.reverse();
        let sizes: Vec<Value> = samples
            .iter()
            .filter_map(|sample| {
                let (bytes, tables) = (sample.result.get("bytes")?, &sample.result["tables"]);
                Some(json!({ "at": sample.at, "bytes": bytes, "tables": tables }))
            })
            .collect();
        Ok(json!({ "database": name, "samples": sizes }))
    });
    Ok(Json(document.await?))
}
