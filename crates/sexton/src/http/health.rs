//! Whether the process lives, and whether it can do its work. For those who have no token.

use super::Api;
use super::error::Refusal;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::Arc;

/// `/health` and `/ready`.
pub fn routes(api: &Arc<Api>) -> Router {
    Router::new().route("/health", get(health)).route("/ready", get(ready)).with_state(Arc::clone(api))
}

async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// The state answers, so runs can be begun.
async fn ready(State(api): State<Arc<Api>>) -> Result<Json<Value>, Refusal> {
    api.with(|engine, _| Ok(engine.timetable()?.workers().map_err(engine::Failure::from)?)).await?;
    Ok(Json(json!({ "status": "ready" })))
}
