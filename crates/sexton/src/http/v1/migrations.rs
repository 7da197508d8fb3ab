//! Migrations: which are in, which are pending, and what those would do to whoever uses the database.

use super::super::Api;
use super::super::auth::Reader;
use super::super::error::Refusal;
use crate::config::{Config, OperationSetting};
use crate::told;
use crate::trouble::Trouble;
use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};
use std::sync::Arc;

/// Operations that migrate; those that only look say the same about the same files.
fn known(config: &Config) -> Vec<&OperationSetting> {
    let all: Vec<&OperationSetting> =
        config.operations.iter().filter(|one| one.kind.name() == "migrate").collect();
    let acts = |one: &&OperationSetting| one.options.get("action").is_none_or(|action| action != "status");
    let acting: Vec<&OperationSetting> = all.iter().copied().filter(acts).collect();
    if acting.is_empty() { all } else { acting }
}

/// The migrations of each operation that migrates. One whose database cannot be reached says so, and does not hide the others.
#[utoipa::path(get, path = "/migrations", responses((status = 200, body = Vec<Value>)))]
pub async fn list(State(api): State<Arc<Api>>, _: Reader) -> Result<Json<Vec<Value>>, Refusal> {
    let all = api.with(|engine, config| {
        let one = |operation: &OperationSetting| {
            let looked = told::migrations(engine, config, operation);
            let failed = looked.as_ref().err().map(|trouble: &Trouble| trouble.causes.join(": "));
            json!({
                "operation": operation.name,
                "title": operation.title,
                "database": operation.database,
                "status": looked.ok(),
                "failed": failed,
            })
        };
        Ok(known(config).into_iter().map(one).collect())
    });
    Ok(Json(all.await?))
}

/// What the pending migrations of an operation would lock, rewrite and break, with the sizes and the traffic of now: what
/// `sexton migrate lint --database …` tells.
#[utoipa::path(get, path = "/migrations/{operation}/impact", params(("operation" = String, Path, description = "The operation")),
    responses((status = 200, body = Value)))]
pub async fn impact(
    State(api): State<Arc<Api>>,
    _: Reader,
    Path(name): Path<String>,
) -> Result<Json<Value>, Refusal> {
    if !known(&api.config).iter().any(|one| one.name == name) {
        return Err(Refusal::missing(format!("there is no operation `{name}` that migrates")));
    }
    let document = api.with(move |engine, config| {
        let operation = known(config).into_iter().find(|one| one.name == name);
        Ok(operation
            .map(|operation| told::impact(engine, config, operation))
            .transpose()?
            .unwrap_or_default())
    });
    Ok(Json(document.await?))
}
