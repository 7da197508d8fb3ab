//! Backups: which there are, how far each was proven, and what drills came to.

use super::super::Api;
use super::super::auth::Reader;
use super::super::error::Refusal;
use crate::told;
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use std::sync::Arc;

/// So many lines of the audit trail are searched for drills.
const LINES: u64 = 1000;

/// All backups, newest first, and the drills that were made of them. A manifest that cannot be read is told, and does not hide the
/// others.
#[utoipa::path(get, path = "/backups", responses((status = 200, body = Value)))]
pub async fn list(State(api): State<Arc<Api>>, _: Reader) -> Result<Json<Value>, Refusal> {
    let document = api.with(|engine, config| {
        let Some(policy) = &config.backups else {
            return Ok(json!({ "enabled": false, "backups": [], "broken": [], "drills": [] }));
        };
        let (backups, broken) = engine.backups(None)?;
        let drills: Vec<Value> = engine
            .audit_trail(LINES)?
            .into_iter()
            .filter(|line| line.action == "restore drill")
            .filter_map(|line| {
                let mut drill: Value = serde_json::from_str(&line.detail).ok()?;
                drill["actor"] = line.actor.into();
                Some(drill)
            })
            .collect();
        Ok(json!({
            "enabled": true,
            "store": policy.store,
            "keep": policy.keep,
            "fresh": policy.fresh,
            "backups": backups.iter().map(told::backup).collect::<Vec<_>>(),
            "broken": broken.iter().map(|error| error.to_string()).collect::<Vec<_>>(),
            "drills": drills,
        }))
    });
    Ok(Json(document.await?))
}
