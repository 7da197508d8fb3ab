//! `/api/cleanup`: the routes of a service that merges what is there twice (A4), over the operations that `[api.cleanup]` names.
//!
//! A client that was written for that service works unchanged: paths and parameters are its own. Looking is the default; who says
//! `dry_run = false` has confirmed by that, except for what is CRITICAL.

use super::Api;
use super::auth::{Reader, Runner, actor};
use super::begin::{begun, confirmed, finish_within, looked_at, not_refused};
use super::error::{JsonBody, LARGEST_NUMBER, Refusal, within};
use super::v1::{Wanted, request};
use crate::choice::{self, Names};
use crate::config::CleanupRoutes;
use crate::schedules::Schedules;
use crate::statistics::Statistics;
use crate::trouble::Trouble;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use engine::{Request, Trigger};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A call is answered with the report if it ends within this; otherwise with where it can be watched.
const MOST: Duration = Duration::from_secs(30);

/// All routes.
pub fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(status))
        .routes(routes!(check))
        .routes(routes!(verify))
        .routes(routes!(cleanup))
        .routes(routes!(rollback))
}

/// What may be said, in the query or in the body: the same in both, where it stands in both.
#[derive(Debug, Default, Clone, Serialize, Deserialize, IntoParams, ToSchema)]
#[schema(as = CleanupSaid)]
#[serde(default, deny_unknown_fields)]
pub struct Said {
    /// Only show what would be done: the default.
    dry_run: Option<bool>,
    /// Only this application.
    #[param(value_type = Option<String>)]
    application_id: Option<Text>,
    /// No more applications than this.
    max_applications: Option<u64>,
    /// For a clean-up whose operation is CRITICAL: its name.
    confirm: Option<String>,
}

/// A text, or a number as a text: ids are both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = CleanupId)]
#[serde(untagged)]
enum Text {
    Text(String),
    Number(i64),
}

impl Text {
    fn into_string(self) -> String {
        match self {
            Text::Text(text) => text,
            Text::Number(number) => number.to_string(),
        }
    }
}

impl Said {
    fn with(self, body: Option<Said>) -> Result<Said, Refusal> {
        fn one<T: PartialEq>(name: &str, query: Option<T>, body: Option<T>) -> Result<Option<T>, Refusal> {
            match (query, body) {
                (Some(query), Some(body)) if query != body => Err(Refusal::new(
                    StatusCode::BAD_REQUEST,
                    "malformed",
                    format!("`{name}` says one thing in the query and another in the body"),
                )
                .field(name)),
                (query, body) => Ok(query.or(body)),
            }
        }
        let body = body.unwrap_or_default();
        let text = |id: Option<Text>| id.map(Text::into_string);
        let id = one("application_id", text(self.application_id), text(body.application_id))?;
        let most = one("max_applications", self.max_applications, body.max_applications)?;
        Ok(Said {
            dry_run: one("dry_run", self.dry_run, body.dry_run)?,
            application_id: id.map(Text::Text),
            confirm: one("confirm", self.confirm, body.confirm)?,
            max_applications: within("max_applications", most, 0..=LARGEST_NUMBER)?,
        })
    }
}

/// A body that need not be there.
async fn optional(request: axum::extract::Request) -> Result<Option<Said>, Refusal> {
    use axum::extract::FromRequest;
    let empty = request.headers().get("content-type").is_none();
    if empty {
        return Ok(None);
    }
    JsonBody::<Option<Said>>::from_request(request, &()).await.map(|JsonBody(said)| said)
}

fn configured(api: &Api) -> Result<&CleanupRoutes, Refusal> {
    api.config.api.cleanup.as_ref().ok_or_else(|| {
        Refusal::missing("these routes are not there: name their operations in `[api.cleanup]`")
    })
}

/// How the service stands (R5).
#[utoipa::path(get, path = "/status", responses((status = 200, body = Value)))]
pub async fn status(State(api): State<Arc<Api>>, _: Reader) -> Result<Json<Value>, Refusal> {
    let routes = configured(&api)?.clone();
    let (began, own_api) = (api.began, Arc::clone(&api));
    let document = api.with(move |engine, config| {
        let schedules = Schedules { engine, config };
        let mut listed = Vec::new();
        for (known, last) in schedules.with_last()? {
            let says = &known.schedule.says;
            let own = [&routes.check, &routes.verify, &routes.cleanup];
            let runs = choice::operations(&Names::listed(&says.run), config)?;
            if !runs.iter().any(|one| own.contains(&&one.operation.name)) {
                continue;
            }
            // What it says itself, or what the operation says.
            let limit = |operation: &str, key: &str| {
                let operation = config.operations.iter().find(|known| known.name == operation);
                says.options.get(key).or_else(|| operation?.options.get(key)).cloned()
            };
            let mut one = schedules.standing(&known, last.as_ref());
            one["max_applications"] = json!(limit(&routes.cleanup, "max_scopes"));
            let own = says.alert_threshold.map(Value::from);
            one["alert_threshold"] = json!(own.or_else(|| limit(&routes.check, "threshold")));
            listed.push(one);
        }
        let mut gathered = own_api.gathered.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        gathered.go_on(engine)?;
        let none = Statistics::default();
        Ok(json!({
            "running": !schedules.serving()?.is_empty(),
            "started_at": began,
            "schedules": listed,
            "statistics": gathered.statistics(&routes.cleanup).unwrap_or(&none).document(),
        }))
    });
    Ok(Json(document.await?))
}

/// Which applications have duplicates (R5a).
#[utoipa::path(post, path = "/check", params(Said), request_body(content = Option<Said>),
    responses((status = 200, body = Value), (status = 202, body = super::begin::Begun)))]
pub async fn check(
    State(api): State<Arc<Api>>,
    Runner(token): Runner,
    Query(query): Query<Said>,
    request: axum::extract::Request,
) -> Result<Response, Refusal> {
    let said = query.with(optional(request).await?)?;
    let name = configured(&api)?.check.clone();
    look(&api, name, said, actor(&token)).await
}

/// Everything that is wrong with the tree (R5b), of one application or of all.
#[utoipa::path(post, path = "/verify", params(Said), request_body(content = Option<Said>),
    responses((status = 200, body = Value), (status = 202, body = super::begin::Begun)))]
pub async fn verify(
    State(api): State<Arc<Api>>,
    Runner(token): Runner,
    Query(query): Query<Said>,
    request: axum::extract::Request,
) -> Result<Response, Refusal> {
    let said = query.with(optional(request).await?)?;
    let name = configured(&api)?.verify.clone();
    look(&api, name, said, actor(&token)).await
}

/// Runs an operation that looks, and shows what it found.
async fn look(api: &Arc<Api>, name: String, said: Said, actor: String) -> Result<Response, Refusal> {
    let wanted = Said { dry_run: Some(false), max_applications: None, ..said };
    let plan = plan(api, name, wanted, actor).await?;
    Ok(match finish_within(api, plan, MOST).await? {
        Err(id) => begun(id),
        Ok(report) => {
            not_refused(&report)?;
            let found = report.operations.into_iter().find_map(|one| one.result);
            Json(found.ok_or_else(Refusal::broken)?).into_response()
        }
    })
}

/// Merges what is there twice, or shows what would be merged (R4).
#[utoipa::path(post, path = "/cleanup", params(Said), request_body(content = Option<Said>),
    responses((status = 200, body = Value), (status = 202, body = super::begin::Begun)))]
pub async fn cleanup(
    State(api): State<Arc<Api>>,
    Runner(token): Runner,
    Query(query): Query<Said>,
    request: axum::extract::Request,
) -> Result<Response, Refusal> {
    let said = query.with(optional(request).await?)?;
    let name = configured(&api)?.cleanup.clone();
    // To say `dry_run=false` is to have confirmed; what is CRITICAL is asked for by its name.
    let sure = said.confirm.clone().map_or(Value::Bool(true), Value::String);
    let plan = plan(&api, name, said, actor(&token)).await?;
    confirmed(&plan, Some(&sure))?;
    let plan = api.with(move |engine, config| looked_at(engine, config, &plan).map(|()| plan)).await?;
    let report = match finish_within(&api, plan, MOST).await? {
        Err(id) => return Ok(begun(id)),
        Ok(report) => report,
    };
    not_refused(&report)?;
    let Some(done) = report.operations.first() else { return Err(Refusal::broken()) };
    let mut document = done.result.clone().unwrap_or_else(|| json!({}));
    let points = document["results"].as_array().into_iter().flatten();
    let points: Vec<Value> =
        points.map(|one| one["rollback_id"].clone()).filter(|id| !id.is_null()).collect();
    document["run_id"] = report.run_id.clone().into();
    document["status"] = json!(done.status);
    document["dry_run"] = done.dry_run.into();
    document["rollback_ids"] = points.into();
    document["duration_seconds"] = done.duration_seconds.into();
    document["errors"] = json!(done.errors);
    Ok(Json(document).into_response())
}

/// Puts back what was merged, of one application or of a whole run.
#[utoipa::path(post, path = "/rollback/{rollback_id}", params(("rollback_id" = String, Path, description = "As the clean-up told it")),
    responses((status = 200, body = Value), (status = 202, body = super::begin::Begun)))]
pub async fn rollback(
    State(api): State<Arc<Api>>,
    Runner(token): Runner,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    configured(&api)?;
    let asked = id.clone();
    let plan = api
        .with(move |engine, _| {
            let request = engine.undo_request(&asked, None, &actor(&token))?;
            Ok(engine.plan(&Request { trigger: Trigger::Api, ..request })?)
        })
        .await
        .map_err(|refusal| match refusal.is_usage() {
            true => Refusal::missing(format!("there is nothing to roll back under `{id}`")),
            false => refusal,
        })?;
    Ok(match finish_within(&api, plan, MOST).await? {
        Err(run) => begun(run),
        Ok(report) => Json(json!({
            "success": report.status == engine::Status::Completed,
            "rollback_id": id,
            "run_id": report.run_id,
            "restored_rows": report.totals.restored,
            "conflicts": conflicts(&report),
        }))
        .into_response(),
    })
}

/// What could not be put back, because somebody changed it since.
fn conflicts(report: &engine::Report) -> Vec<Value> {
    let findings = report.operations.iter().flat_map(|one| &one.findings);
    findings.filter(|finding| finding.code.contains("conflict")).map(|finding| json!(finding)).collect()
}

/// What one of these operations would do.
async fn plan(api: &Arc<Api>, name: String, said: Said, actor: String) -> Result<engine::Plan, Refusal> {
    api.with(move |engine, config| {
        let mut options = Map::new();
        if let Some(most) = said.max_applications {
            options.insert("max_scopes".to_owned(), most.into());
        }
        let wanted = Wanted {
            operations: vec![name],
            dry_run: said.dry_run.unwrap_or(true),
            options,
            ..Wanted::default()
        };
        let mut request = request(config, &wanted, &actor)?;
        if let Some(id) = said.application_id {
            // A value, not a statement: the operation compares with it.
            for operation in &mut request.operations {
                operation.options["only"] = json!([id.clone().into_string()]);
            }
        }
        Ok::<_, Trouble>(engine.plan(&request)?)
    })
    .await
}
