//! What stands: the scheduler, operations, figures, history, migrations (A1).

use super::super::Api;
use super::super::auth::Admin;
use super::super::error::{Refusal, within};
use super::super::v1::recent;
use crate::config::Config;
use crate::schedules::Schedules;
use crate::told;
use crate::trouble::Trouble;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use engine::Engine;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::IntoParams;

/// So many runs are listed.
const LAST: u64 = 10;

/// What is asked for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// `status` (the default), `operations`, `metrics`, `history` or `migrations`.
    action: Option<String>,
    /// How many runs `history` lists, at most 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
    /// `history` goes on after this run.
    cursor: Option<String>,
}

/// How the maintenance stands.
#[utoipa::path(get, path = "", params(Asked), responses((status = 200, body = Value)))]
pub async fn look(
    State(api): State<Arc<Api>>,
    _: Admin,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, Refusal> {
    let action = asked.action.as_deref().unwrap_or("status").to_owned();
    let limit = within("limit", asked.limit, 1..=1000)?.unwrap_or(100);
    let document = match action.as_str() {
        "status" => {
            let own = Arc::clone(&api);
            api.with(move |engine, config| status(&own, engine, config)).await?
        }
        "operations" => {
            api.with(|engine, config| Ok(json!({ "operations": operations(engine, config)? }))).await?
        }
        "metrics" => {
            let own = Arc::clone(&api);
            api.with(move |engine, _| Ok(json!({ "metrics": metrics(&own, engine) }))).await?
        }
        "history" => {
            api.with(move |engine, _| {
                let runs = engine.reports_before(asked.cursor.as_deref(), limit, None, None)?;
                let next = runs.last().filter(|_| runs.len() as u64 == limit).map(|last| last.run_id.clone());
                Ok(json!({ "runs": runs, "next_cursor": next }))
            })
            .await?
        }
        "migrations" => api.with(migrations).await?,
        other => {
            let what = format!(
                "there is no action `{other}` to look at; there are status, operations, metrics, history and migrations"
            );
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "unknown_action", what).field("action"));
        }
    };
    Ok(Json(document))
}

fn status(api: &Api, engine: &Engine, config: &Config) -> Result<Value, Trouble> {
    let schedules = Schedules { engine, config };
    let serving = schedules.serving()?;
    let standings = schedules.standings()?;
    let due = |one: &Value| !one["next_run"].is_null();
    let next: Vec<Value> = standings
        .iter()
        .filter(|one| due(one))
        .map(|one| json!({ "schedule": one["name"], "next_run": one["next_run"], "zone": one["zone"] }))
        .collect();
    let last = engine.reports(LAST, None, None)?;
    let last_runs: Vec<Value> = last
        .iter()
        .map(|report| {
            let names: Vec<&str> = report.operations.iter().map(|one| one.operation.as_str()).collect();
            json!({
                "run_id": report.run_id, "status": report.status, "operations": names, "dry_run": report.metadata.dry_run,
                "started_at": report.metadata.started_at, "duration_seconds": report.metadata.duration_seconds,
                "rows": report.totals.rows(),
            })
        })
        .collect();
    let alarms = engine.outbox()?.alarms().map_err(engine::Failure::from)?;
    Ok(json!({
        "scheduler": { "running": !serving.is_empty(), "next_runs": next },
        "operations": operations(engine, config)?,
        "schedules": standings.len(),
        "last_runs": last_runs,
        "metrics": metrics(api, engine),
        "alerts": alarms.iter().map(notify::shown).collect::<Value>(),
    }))
}

/// The operations, with how long each took when it last ran.
fn operations(engine: &Engine, config: &Config) -> Result<Vec<Value>, Trouble> {
    let mut listed = Vec::new();
    for operation in &config.operations {
        let last = engine.reports(1, None, Some(&operation.name))?.into_iter().next();
        let done = last.as_ref().and_then(|report| {
            report.operations.iter().find(|one| one.operation == operation.name).map(|one| (report, one))
        });
        listed.push(json!({
            "id": operation.name,
            "description": operation.title,
            "severity": operation.severity,
            "backup_required": operation.backup,
            "estimated_seconds": operation.expected_seconds.or(done.and_then(|(_, one)| one.expected_seconds)),
            "last_run": done.map(|(report, one)| json!({
                "run_id": report.run_id, "at": report.metadata.started_at, "status": one.status, "dry_run": one.dry_run,
                "duration_seconds": one.duration_seconds,
            })),
        }));
    }
    Ok(listed)
}

/// The figures of the first database, and of each by its name, as they were seen in the last minute; or why there are none.
fn metrics(api: &Api, engine: &Engine) -> Value {
    let mut each = serde_json::Map::new();
    for database in &api.config.databases {
        let figures = match recent(api, engine, &database.name, false) {
            Ok(found) => json!({
                "disk_used_percent": found["figures"]["disk_used_percent"],
                "index_efficiency_percent": found["figures"]["index_efficiency_percent"],
                "database_bytes": found["size_bytes"],
            }),
            // One that does not answer must not hide the others.
            Err(trouble) => json!({
                "disk_used_percent": null, "index_efficiency_percent": null, "database_bytes": null,
                "error": trouble.causes.join(": "),
            }),
        };
        each.insert(database.name.clone(), figures);
    }
    let mut all = each.values().next().cloned().unwrap_or_else(|| json!({}));
    all["databases"] = each.into();
    all
}

/// M1, of the migrations of the configuration, or of the usual folder.
fn migrations(engine: &Engine, config: &Config) -> Result<Value, Trouble> {
    told::migrations(engine, config, &super::actions::migrations(engine, config)?)
}
