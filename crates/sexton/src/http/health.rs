//! Whether the process lives, whether it can do its work, and whether the databases answer. For those who have no token: no names.

use super::Api;
use super::error::{Refusal, What};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use engine::words::of;
use engine::{Clock as _, SystemClock};
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A database that has not answered by then is down.
const LONGEST: Duration = Duration::from_secs(5);
/// Databases are not asked more often.
const FRESH: Duration = Duration::from_secs(5);

/// How the databases were when they were last asked: when, how many answered, how many did not.
pub type Seen = Mutex<Option<(Instant, usize, usize)>>;

/// That all is well.
#[derive(Serialize, ToSchema)]
pub struct Well {
    /// `ok` or `ready`.
    status: &'static str,
}

/// How the databases are.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// `ok`, or `down` where one of them does not answer.
    status: &'static str,
    databases: Databases,
    /// What goes wrong, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<What>,
}

/// How many of the databases answer.
#[derive(Serialize, ToSchema)]
struct Databases {
    /// So many do.
    up: usize,
    /// So many do not.
    down: usize,
}

/// `/live`, `/ready` and `/health`.
pub fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready)).routes(routes!(health))
}

/// The process answers: to be started anew would not help.
#[utoipa::path(get, path = "/live", responses((status = 200, body = Well)))]
async fn live() -> Json<Well> {
    Json(Well { status: "ok" })
}

/// The state answers, so runs can be begun.
#[utoipa::path(get, path = "/ready", responses((status = 200, body = Well)))]
async fn ready(State(api): State<Arc<Api>>) -> Result<Json<Well>, Refusal> {
    api.with(|engine, _| Ok(engine.timetable()?.workers().map_err(engine::Failure::from)?)).await?;
    Ok(Json(Well { status: "ready" }))
}

/// The databases of the configuration answer.
#[utoipa::path(get, path = "/health", responses((status = 200, body = Health),
    (status = 503, body = Health, description = "A database does not answer")))]
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
    let databases = Databases { up, down };
    let (code, answer) = match down {
        0 => (StatusCode::OK, Health { status: "ok", databases, error: None }),
        _ => {
            let lost = of(down as u64, "database does", "databases do");
            let error = What::new("down", format!("{lost} not answer; `sexton doctor` tells why"));
            (StatusCode::SERVICE_UNAVAILABLE, Health { status: "down", databases, error: Some(error) })
        }
    };
    (code, Json(answer)).into_response()
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
