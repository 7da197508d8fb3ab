//! Whether the process lives, whether it can do its work, and whether the databases answer. For those who have no token: no names.

use super::Api;
use super::error::Refusal;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use engine::{Clock as _, SystemClock};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// A database that has not answered by then is down.
const LONGEST: Duration = Duration::from_secs(5);
/// Databases are not asked more often.
const FRESH: Duration = Duration::from_secs(5);

/// How the databases were when they were last asked: when, how many answered, how many did not.
pub type Seen = Mutex<Option<(Instant, usize, usize)>>;

/// `/live`, `/ready` and `/health`.
pub fn routes() -> Router<Arc<Api>> {
    Router::new().route("/live", get(live)).route("/ready", get(ready)).route("/health", get(health))
}

/// The process answers: to be started anew would not help.
async fn live() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// The state answers, so runs can be begun.
async fn ready(State(api): State<Arc<Api>>) -> Result<Json<Value>, Refusal> {
    api.with(|engine, _| Ok(engine.timetable()?.workers().map_err(engine::Failure::from)?)).await?;
    Ok(Json(json!({ "status": "ready" })))
}

/// The databases of the configuration answer.
async fn health(State(api): State<Arc<Api>>) -> Response {
    let mut seen = api.health.lock().await;
    let now = SystemClock.tick();
    let known = seen.filter(|(at, _, _)| now.duration_since(*at) < FRESH);
    let (at, up, down) = match known {
        Some(known) => known,
        None => {
            let (up, down) = ask(&api).await;
            (SystemClock.tick(), up, down)
        }
    };
    *seen = Some((at, up, down));
    let (status, word) = match down {
        0 => (StatusCode::OK, "ok"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "down"),
    };
    (status, Json(json!({ "status": word, "databases": { "up": up, "down": down } }))).into_response()
}

async fn ask(api: &Arc<Api>) -> (usize, usize) {
    let names: Vec<String> = api.config.databases.iter().map(|known| known.name.clone()).collect();
    let asked: Vec<_> = names
        .into_iter()
        .map(|name| {
            let api = Arc::clone(api);
            tokio::spawn(async move {
                let answer = api.with(move |engine, _| Ok(engine.look(&name, |facts| facts.server())?));
                matches!(tokio::time::timeout(LONGEST, answer).await, Ok(Ok(_)))
            })
        })
        .collect();
    let (mut up, mut down) = (0, 0);
    for one in asked {
        match one.await {
            Ok(true) => up += 1,
            _ => down += 1,
        }
    }
    (up, down)
}
