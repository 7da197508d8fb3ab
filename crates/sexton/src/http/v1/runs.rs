//! Runs: begun, watched, stopped, gone on with, undone.

use super::super::Api;
use super::super::auth::{Reader, Runner, actor};
use super::super::error::{JsonBody, Refusal, Wrong};
use super::plans::{Wanted, to_run};
use crate::trouble::Trouble;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use engine::{Changes, Engine, Plan, SCHEMA_VERSION, Severity, What, new_id};
use futures_util::stream::{self, Stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// Between two looks for new events.
const PAUSE: Duration = Duration::from_millis(300);
/// After so many looks in vain it is looked whether the run is over.
const LOOKS: u32 = 10;

/// A run that was begun.
#[derive(Serialize, ToSchema)]
pub struct Begun {
    /// Its id.
    run_id: String,
    /// Where it can be watched.
    status_url: String,
    /// Where its events come.
    events_url: String,
}

/// Which runs.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// How many, at most 1000; 100 when nothing is said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
    /// Only those before this run: the id of the last one of the page before.
    cursor: Option<String>,
    /// Only those with this operation.
    operation: Option<String>,
    /// Not older than this age, such as `7d`.
    since: Option<String>,
    /// Without results, findings and targets, for lists and charts.
    #[serde(default)]
    brief: bool,
}

/// From which event on.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct From {
    /// The first one, counted from 0.
    from: Option<u64>,
}

/// The last runs, newest first.
#[utoipa::path(get, path = "/runs", params(Which), responses((status = 200, body = Vec<Value>), (status = 400, body = Wrong),
    (status = 401, body = Wrong), (status = 422, body = Wrong), (status = 503, body = Wrong)), security(("token" = [])))]
pub async fn list(
    State(api): State<Arc<Api>>,
    _: Reader,
    Query(which): Query<Which>,
) -> Result<Json<Vec<Value>>, Refusal> {
    let (age, limit, operation, cursor) = (which.since, which.limit, which.operation, which.cursor);
    let reports = api.with(move |engine, _| {
        let now = engine.clock().now();
        let since = age.map(|age| engine::age::Age(age).before(now)).transpose()?;
        let limit = limit.unwrap_or(100).clamp(1, 1000);
        // One that is not there has nothing before it: that is told.
        let cursor = cursor.map(|id| known(engine, &id)).transpose()?.map(|record| record.id);
        Ok(engine.reports_before(cursor.as_deref(), limit, since, operation.as_deref())?)
    });
    let brief = |mut report: engine::Report| {
        for operation in report.operations.iter_mut().filter(|_| which.brief) {
            operation.result = None;
            operation.usage = None;
            operation.findings.clear();
            operation.targets.clear();
        }
        json!(report)
    };
    Ok(Json(reports.await?.into_iter().map(brief).collect()))
}

/// Begins a run; it goes on after the answer.
#[utoipa::path(post, path = "/runs", request_body = Wanted, responses((status = 202, body = Begun), (status = 400, body = Wrong),
    (status = 401, body = Wrong), (status = 403, body = Wrong), (status = 409, body = Wrong), (status = 415, body = Wrong),
    (status = 422, body = Wrong), (status = 503, body = Wrong)), security(("token" = [])))]
pub async fn begin(
    State(api): State<Arc<Api>>,
    Runner(token): Runner,
    JsonBody(wanted): JsonBody<Wanted>,
) -> Result<Response, Refusal> {
    let shelves = Arc::clone(&api);
    let plan = api
        .with(move |engine, _| {
            let plan = to_run(&shelves, engine, &wanted, &token)?;
            confirmed(&plan, wanted.confirm.as_ref())?;
            Ok(plan)
        })
        .await?;
    let id = new_id();
    let (own, stop) = (id.clone(), api.stop.clone());
    go(&api, move |engine| engine.run_as(&own, &plan, &stop, &mut |_| {}).map(drop));
    Ok(begun(&api, id).await)
}

/// What a person at a terminal would be asked is asked here too.
fn confirmed(plan: &Plan, said: Option<&Value>) -> Result<(), Trouble> {
    if plan.request.dry_run {
        return Ok(());
    }
    for item in &plan.items {
        let name = &item.operation.name;
        let enough = match item.operation.severity {
            Severity::Low => true,
            Severity::Medium | Severity::High => {
                said.is_some_and(|said| *said == json!(true) || said.as_str() == Some(name))
            }
            Severity::Critical => said.and_then(Value::as_str) == Some(name),
        };
        if !enough {
            let wanted = match item.operation.severity {
                Severity::Critical => format!("send `\"confirm\": \"{name}\"`"),
                _ => "send `\"confirm\": true`".to_owned(),
            };
            return Err(Trouble::refused(
                format!(
                    "`{name}` would take {} rows and has to be confirmed; nothing was run",
                    item.matched()
                ),
                wanted,
            ));
        }
    }
    Ok(())
}

/// Does something that takes long, on a thread of its own with an engine of its own.
pub fn go(api: &Arc<Api>, work: impl FnOnce(&Engine) -> Result<(), engine::Failure> + Send + 'static) {
    let config = Arc::clone(&api.config);
    std::thread::spawn(move || {
        let engine = crate::wiring::engine(&config, None);
        if let Err(failure) = work(&engine) {
            tracing::error!("a run failed: {failure}");
        }
    });
}

/// The answer to whoever began it, who may look at it at once: it is in the log a moment later, and that moment is waited for.
pub async fn begun(api: &Arc<Api>, run_id: String) -> Response {
    for _ in 0..100 {
        let own = run_id.clone();
        if matches!(api.with(move |engine, _| Ok(known(engine, &own).is_ok())).await, Ok(true)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let status_url = format!("/api/v1/runs/{run_id}");
    let events_url = format!("{status_url}/events");
    let location = status_url.clone();
    (StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(Begun { run_id, status_url, events_url }))
        .into_response()
}

/// The run of an id, or of its first letters.
fn known(engine: &Engine, id: &str) -> Result<engine::RunRecord, Trouble> {
    engine.run_record(id).map_err(Trouble::from)
}

/// A run that nobody knows is missing; everything else is what it is.
fn or_missing(refusal: Refusal, id: &str) -> Refusal {
    if refusal.is_usage() { Refusal::missing(format!("there is no run `{id}`")) } else { refusal }
}

/// A run: its report so far, and how much of it is done.
#[utoipa::path(get, path = "/runs/{id}", params(("id" = String, Path, description = "The run")),
    responses((status = 200, body = Value), (status = 401, body = Wrong), (status = 404, body = Wrong), (status = 503, body = Wrong)),
    security(("token" = [])))]
pub async fn show(
    State(api): State<Arc<Api>>,
    _: Reader,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let asked = id.clone();
    let document = api.with(move |engine, _| {
        let record = known(engine, &asked)?;
        let report = record.report();
        let mut document = json!(report);
        document["schema_version"] = SCHEMA_VERSION.into();
        document["progress"] = json!({ "done": report.totals.rows(), "total": record.plan.matched() });
        Ok(document)
    });
    Ok(Json(document.await.map_err(|refusal| or_missing(refusal, &id))?))
}

/// A run whose events are told.
struct Watched {
    api: Arc<Api>,
    run: String,
    /// The number of the next event that is read.
    next: u64,
    /// Read, and not told yet.
    waiting: VecDeque<Sent>,
    /// How often in a row there was nothing new.
    idle: u32,
    over: bool,
}

impl Watched {
    /// The next event; none once the run is over and all is told.
    async fn next(&mut self) -> Option<Sent> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if self.over || self.api.stop.asked() {
                return None;
            }
            self.read().await?;
            if self.waiting.is_empty() && !self.over {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Reads what is new, and only that. Whether the process died is looked for when nothing comes for a while.
    async fn read(&mut self) -> Option<()> {
        let (run, first) = (self.run.clone(), self.next);
        let look = self.idle.is_multiple_of(LOOKS);
        let read = self.api.with(move |engine, _| {
            let new = engine.events(&run, first)?;
            let over = match new.last() {
                Some(last) => last.item.is_none() && last.what == What::Finished,
                None if look => {
                    let record = known(engine, &run)?;
                    record.is_finished() || record.interrupted
                }
                None => false,
            };
            let texts: Vec<String> =
                new.iter().map(|event| serde_json::to_string(event).unwrap_or_default()).collect();
            Ok((texts, over))
        });
        let (texts, over) = read.await.ok()?;
        self.idle = if texts.is_empty() { self.idle + 1 } else { 0 };
        self.over = over;
        for text in texts {
            self.waiting.push_back(Sent::default().id(self.next.to_string()).data(text));
            self.next += 1;
        }
        Some(())
    }
}

/// The events of a run as they happen, as server-sent events; `id` counts them, so that a client can go on where it was.
#[utoipa::path(get, path = "/runs/{id}/events", params(("id" = String, Path, description = "The run"), From),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = 400, body = Wrong), (status = 401, body = Wrong),
    (status = 404, body = Wrong), (status = 503, body = Wrong)), security(("token" = [])))]
pub async fn events(
    State(api): State<Arc<Api>>,
    _: Reader,
    Path(id): Path<String>,
    Query(from): Query<From>,
    headers: axum::http::HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Sent, Infallible>>>, Refusal> {
    let asked = id.clone();
    let run = api
        .with(move |engine, _| Ok(known(engine, &asked)?.id))
        .await
        .map_err(|refusal| or_missing(refusal, &id))?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse::<u64>().ok());
    let first = from.from.or(last.map(|last| last + 1)).unwrap_or(0);
    let watched = Watched { api, run, next: first, waiting: VecDeque::new(), idle: 0, over: false };
    let events = stream::unfold(watched, |mut watched| async move {
        let event = watched.next().await?;
        Some((Ok(event), watched))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// Asks a run to stop at its next batch.
#[utoipa::path(post, path = "/runs/{id}/cancel", params(("id" = String, Path, description = "The run")),
    responses((status = 202, body = Value), (status = 401, body = Wrong), (status = 403, body = Wrong), (status = 404, body = Wrong),
    (status = 422, body = Wrong), (status = 503, body = Wrong)), security(("token" = [])))]
pub async fn cancel(
    State(api): State<Arc<Api>>,
    Runner(token): Runner,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    find(&api, &id).await?;
    let id = api.with(move |engine, _| Ok(engine.ask_stop(&id, &actor(&token))?)).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "run_id": id }))))
}

/// Goes on with a run that was stopped, failed or died.
#[utoipa::path(post, path = "/runs/{id}/resume", params(("id" = String, Path, description = "The run")),
    responses((status = 202, body = Begun), (status = 401, body = Wrong), (status = 403, body = Wrong), (status = 404, body = Wrong),
    (status = 409, body = Wrong), (status = 422, body = Wrong), (status = 503, body = Wrong)), security(("token" = [])))]
pub async fn resume(
    State(api): State<Arc<Api>>,
    Runner(token): Runner,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let id = find(&api, &id).await?;
    let asked = id.clone();
    let run = api
        .with(move |engine, _| {
            engine.audit(&actor(&token), "resume", &asked, "")?;
            Ok(engine.resumable(&asked, &Changes::default())?)
        })
        .await?;
    let stop = api.stop.clone();
    go(&api, move |engine| engine.resume_as(&run, &stop, &mut |_| {}).map(drop));
    Ok(begun(&api, id).await)
}

/// The whole id of a run.
pub async fn find(api: &Arc<Api>, id: &str) -> Result<String, Refusal> {
    let asked = id.to_owned();
    let found = api.with(move |engine, _| Ok(known(engine, &asked)?.id)).await;
    found.map_err(|refusal| or_missing(refusal, id))
}
