//! What there is: databases, operations, how everything stands, who did what.

use super::super::Api;
use super::super::auth::Reader;
use super::super::error::{Refusal, within};
use crate::schedules::Schedules;
use axum::Json;
use axum::extract::{Query, State};
use engine::{SCHEMA_VERSION, Severity};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// A database of the configuration.
#[derive(Serialize, ToSchema)]
pub struct DatabaseInfo {
    /// Its name.
    name: String,
    /// `sqlite` or `postgresql`.
    engine: &'static str,
}

/// An operation of the configuration.
#[derive(Serialize, ToSchema)]
pub struct OperationInfo {
    /// Its name.
    id: String,
    /// What it does.
    kind: String,
    /// What people read.
    description: String,
    /// The name of its database.
    database: String,
    /// How much can go wrong.
    #[schema(value_type = String)]
    severity: Severity,
    /// Whether it needs a fresh backup.
    backup_required: bool,
    /// The groups that have it.
    groups: Vec<String>,
}

/// A channel of the configuration; where it leads is nobody's business here.
#[derive(Serialize, ToSchema)]
pub struct ChannelInfo {
    /// Its name.
    name: String,
    /// How it sends: `email`, `slack`, `telegram`, `webhook` or `exec`.
    sort: &'static str,
}

/// How many, and before which.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// How many, at most 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
}

/// The databases.
#[utoipa::path(get, path = "/databases", responses((status = 200, body = Vec<DatabaseInfo>)))]
pub async fn databases(State(api): State<Arc<Api>>, _: Reader) -> Json<Vec<DatabaseInfo>> {
    let all = api.config.databases.iter().map(|database| DatabaseInfo {
        name: database.name.clone(),
        engine: match database.url {
            targets::db::Url::Sqlite { .. } => "sqlite",
            targets::db::Url::Postgres { .. } => "postgresql",
        },
    });
    Json(all.collect())
}

/// The operations.
#[utoipa::path(get, path = "/operations", responses((status = 200, body = Vec<OperationInfo>)))]
pub async fn operations(State(api): State<Arc<Api>>, _: Reader) -> Json<Vec<OperationInfo>> {
    let groups_of = |name: &str| {
        let has = |group: &&crate::config::GroupSetting| group.operations.iter().any(|known| known == name);
        api.config.groups.iter().filter(has).map(|group| group.name.clone()).collect()
    };
    let all = api.config.operations.iter().map(|operation| OperationInfo {
        id: operation.name.clone(),
        kind: operation.kind.name().to_owned(),
        description: operation.title.clone(),
        database: operation.database.clone(),
        severity: operation.severity,
        backup_required: operation.backup,
        groups: groups_of(&operation.name),
    });
    Json(all.collect())
}

/// The channels that schedules can name.
#[utoipa::path(get, path = "/channels", responses((status = 200, body = Vec<ChannelInfo>)))]
pub async fn channels(State(api): State<Arc<Api>>, _: Reader) -> Json<Vec<ChannelInfo>> {
    let all = api.config.notify.channels.iter();
    Json(all.map(|one| ChannelInfo { name: one.name.clone(), sort: one.sort.name() }).collect())
}

/// Whether something is at work, who serves, how the schedules stand.
#[utoipa::path(get, path = "/status", responses((status = 200, body = Value)))]
pub async fn status(State(api): State<Arc<Api>>, _: Reader) -> Result<Json<Value>, Refusal> {
    let document = api.with(|engine, config| {
        let schedules = Schedules { engine, config };
        let last = engine.reports(20, None, None)?;
        let at_work: Vec<&str> =
            last.iter().filter(|report| report.is_open()).map(|report| report.run_id.as_str()).collect();
        let serving = schedules.serving()?;
        Ok(json!({
            "schema_version": SCHEMA_VERSION,
            "running": !at_work.is_empty(),
            "runs_at_work": at_work,
            "scheduler": { "running": !serving.is_empty(), "workers": serving },
            "schedules": schedules.standings()?,
            "alerts": engine.outbox()?.alarms().map_err(engine::Failure::from)?.iter().map(notify::shown).collect::<Value>(),
        }))
    });
    Ok(Json(document.await?))
}

/// Who did what, newest first.
#[utoipa::path(get, path = "/audit", params(Page), responses((status = 200, body = Vec<Value>)))]
pub async fn audit(
    State(api): State<Arc<Api>>,
    _: Reader,
    Query(page): Query<Page>,
) -> Result<Json<Vec<Value>>, Refusal> {
    let limit = within("limit", page.limit, 1..=1000)?.unwrap_or(100);
    let lines = api.with(move |engine, _| Ok(engine.audit_trail(limit)?)).await?;
    Ok(Json(lines.into_iter().map(|line| json!(line)).collect()))
}
