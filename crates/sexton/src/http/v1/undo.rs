//! What can be put back: undo points, what an undo would do and which rows it could not put back, and the undo itself.

use super::super::Api;
use super::super::auth::{Reader, Runner, actor};
use super::super::begin::{Begun, begun, find, start};
use super::super::error::Refusal;
use crate::trouble::Trouble;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use engine::undo::{Conflict, Point};
use engine::{Engine, Trigger, new_id};
use serde_json::{Value, json};
use std::sync::Arc;

/// So many rows in conflict are told.
const CONFLICTS: usize = 50;
/// So many files are told.
const FILES: u64 = 200;

/// All undo points of all databases, newest first. A database that cannot be reached is named, and does not hide the others.
#[utoipa::path(get, path = "/undo-points", responses((status = 200, body = Value)))]
pub async fn points(State(api): State<Arc<Api>>, _: Reader) -> Result<Json<Value>, Refusal> {
    let document = api.with(|engine, _| {
        let (mut all, mut unreachable) = (Vec::new(), Vec::new());
        for name in engine.database_names() {
            match engine.undo_points(&name) {
                Ok(points) => all.extend(points.into_iter().map(|point| (name.clone(), point))),
                Err(failure) => unreachable.push(json!({ "database": name, "error": failure.to_string() })),
            }
        }
        all.sort_by_key(|(_, point)| std::cmp::Reverse(point.created_at));
        let points: Vec<Value> =
            all.iter().map(|(database, point)| json!({ "database": database, "point": point })).collect();
        Ok(json!({ "undo_points": points, "unreachable": unreachable }))
    });
    Ok(Json(document.await?))
}

/// One undo point: what it remembers, and which rows could not be put back, as things are now.
#[utoipa::path(get, path = "/undo-points/{id}", params(("id" = String, Path, description = "The undo point")),
    responses((status = 200, body = Value)))]
pub async fn point(
    State(api): State<Arc<Api>>,
    _: Reader,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let wanted = id.clone();
    let found = api.with(move |engine, _| {
        for database in engine.database_names() {
            // One that cannot be reached has no points to show.
            let points = engine.undo_points(&database).unwrap_or_default();
            let found = points.into_iter().flat_map(Point::with_parts).find(|point| point.id == wanted);
            if let Some(point) = found {
                return Ok(Some(document(engine, &database, &point)?));
            }
        }
        Ok(None)
    });
    let found = found.await?.ok_or_else(|| Refusal::missing(format!("there is no undo point `{id}`")))?;
    Ok(Json(found))
}

fn document(engine: &Engine, database: &str, point: &Point) -> Result<Value, Trouble> {
    let mut conflicts = engine.foreseen_conflicts(database, point, CONFLICTS + 1)?;
    let more = conflicts.len() > CONFLICTS;
    conflicts.truncate(CONFLICTS);
    Ok(json!({
        "database": database,
        "point": point,
        "conflicts": conflicts.iter().map(told).collect::<Vec<_>>(),
        "more_conflicts": more,
        "files": engine.undo_files(database, &point.id, FILES)?,
        "indexes": engine.undo_indexes(database, &point.id)?,
    }))
}

fn told(conflict: &Conflict) -> Value {
    let key: Vec<String> = conflict.key.iter().map(|(column, value)| format!("{column} = {value}")).collect();
    json!({ "table": conflict.table.to_string(), "key": key.join(", "), "reason": conflict.reason })
}

/// What putting a run back would do, and which rows could not be put back. Changes nothing.
#[utoipa::path(get, path = "/runs/{id}/undo", params(("id" = String, Path, description = "The run")),
    responses((status = 200, body = Value)))]
pub async fn preview(
    State(api): State<Arc<Api>>,
    _: Reader,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let id = find(&api, &id).await?;
    let document = api.with(move |engine, _| {
        let plan = engine.plan(&engine.undo_request(&id, None, "")?)?;
        let mut points = Vec::new();
        for item in &plan.items {
            let Some(wanted) = item.operation.options["point"].as_str() else { continue };
            let database = &item.operation.database;
            let known = engine.undo_points(database)?;
            if let Some(point) = known.iter().find(|point| point.id == wanted) {
                points.push(document(engine, database, point)?);
            }
        }
        Ok(json!({ "plan": plan, "points": points }))
    });
    Ok(Json(document.await?))
}

/// Puts back what a run changed: a run of its own.
#[utoipa::path(post, path = "/runs/{id}/undo", params(("id" = String, Path, description = "The run")),
    responses((status = 202, body = Begun)))]
pub async fn begin(
    State(api): State<Arc<Api>>,
    Runner(token): Runner,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let id = find(&api, &id).await?;
    let plan = api
        .with(move |engine, _| {
            let request = engine.undo_request(&id, None, &actor(&token))?;
            Ok(engine.plan(&engine::Request { trigger: Trigger::Api, ..request })?)
        })
        .await?;
    let id = new_id();
    start(&api, &id, plan).await;
    Ok(begun(id))
}
