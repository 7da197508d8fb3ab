//! What operations would do: a plan, which changes nothing.

use super::super::Api;
use super::super::auth::{Runner, actor};
use super::super::error::{Body1, Refusal, Wrong};
use crate::choice::{self, Names};
use crate::config::{Config, Node, Override};
use crate::trouble::Trouble;
use axum::Json;
use axum::extract::State;
use engine::{Request, Trigger};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use utoipa::ToSchema;

/// What is to be planned or run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Operations or groups, in this order.
    pub operations: Vec<String>,
    /// Only show what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// Override the guards that may be overridden.
    #[serde(default)]
    pub force: bool,
    /// Other values for options and limits of these operations. Statements in SQL cannot be said here.
    #[serde(default)]
    pub options: Map<String, Value>,
    /// What a person is asked for: `true` for MEDIUM and HIGH, the operation's name for CRITICAL.
    #[serde(default)]
    pub confirm: Option<Value>,
}

/// Options that hold SQL or programs, which only the configuration may say.
const WRITTEN_ONLY: [&str; 16] = [
    "where",
    "parent_where",
    "expression",
    "expressions",
    "sql",
    "set",
    "query",
    "jq",
    "jq_file",
    "command",
    "by",
    "rules",
    "references",
    "on_recover",
    "when",
    "targets",
];

/// The request that is meant.
pub fn request(config: &Config, wanted: &Wanted, actor: &str) -> Result<Request, Trouble> {
    if let Some(key) =
        wanted.options.keys().find(|key| WRITTEN_ONLY.contains(&key.split('.').next().unwrap_or(key)))
    {
        return Err(Trouble::usage(format!("`{key}` can only be said in the configuration"), "leave it out"));
    }
    let chosen = choice::operations(&Names::listed(&wanted.operations), config)?;
    let said: Vec<Override> = wanted
        .options
        .iter()
        .map(|(key, value)| Override {
            key: key.clone(),
            flag: format!("options.{key}"),
            value: Node::of_json(key, value),
        })
        .collect();
    let request = choice::request(config, &chosen, &said, None, actor)?;
    Ok(Request { trigger: Trigger::Api, dry_run: wanted.dry_run, force: wanted.force, ..request })
}

/// Plans operations; nothing is changed.
#[utoipa::path(post, path = "/plans", request_body = Wanted, responses((status = 200, body = Value), (status = 400, body = Wrong),
    (status = 401, body = Wrong), (status = 403, body = Wrong), (status = 409, body = Wrong), (status = 415, body = Wrong),
    (status = 422, body = Wrong), (status = 503, body = Wrong)), security(("token" = [])))]
pub async fn plan(
    State(api): State<Arc<Api>>,
    Runner(token): Runner,
    Body1(wanted): Body1<Wanted>,
) -> Result<Json<Value>, Refusal> {
    let plan = api.with(move |engine, config| {
        let request = request(config, &wanted, &actor(&token))?;
        Ok(engine.plan(&request)?)
    });
    Ok(Json(json!(plan.await?)))
}
