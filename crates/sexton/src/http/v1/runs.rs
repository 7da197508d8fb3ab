//! Runs: begun, watched, stopped, gone on with, undone.

use super::super::Api;
use super::super::auth::{Reader, Runner, actor, may_force};
use super::super::begin::{
    Begun, begun, confirmed, find, go, hand_in, heard, known, looked_at, or_missing, start,
};
use super::super::error::{JsonBody, Refusal, within};
use super::plans::{Wanted, agree, request, shown, to_run};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use engine::{Changes, Request, SCHEMA_VERSION, Token, What, new_id};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// Between two looks for new events.
const PAUSE: Duration = Duration::from_millis(300);
/// After so many looks in vain it is looked whether the run is over.
const LOOKS: u32 = 10;

/// Which runs.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// How many, at most 1000; 100 when nothing is said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
    /// Only those with this operation.
    operation: Option<String>,
    /// Not older than this age, such as `7d`.
    since: Option<String>,
    /// Go on after this run, as the header `link` of the page before says.
    cursor: Option<String>,
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

/// The last runs, newest first. A header `link` with `rel="next"` leads to the next page.
#[utoipa::path(get, path = "/runs", params(Which), responses((status = 200, body = Vec<Value>)))]
pub async fn list(
    State(api): State<Arc<Api>>,
    _: Reader,
    Query(which): Query<Which>,
) -> Result<Response, Refusal> {
    let limit = within("limit", which.limit, 1..=1000)?.unwrap_or(100);
    let (operation, since) = (which.operation.clone(), which.since.clone());
    let reports = api.with(move |engine, _| {
        let now = engine.clock().now();
        let since = which.since.map(|age| engine::age::Age(age).before(now)).transpose()?;
        // One that is not there has nothing before it: that is told.
        let cursor = which.cursor.map(|id| known(engine, &id)).transpose()?.map(|record| record.id);
        Ok(engine.reports_before(cursor.as_deref(), limit, since, which.operation.as_deref())?)
    });
    let reports = reports.await?;
    let next = reports.last().filter(|_| reports.len() as u64 == limit).map(|last| {
        let mut query = format!("limit={limit}&cursor={}", last.run_id);
        for (name, value) in [("operation", operation), ("since", since)] {
            if let Some(value) = value {
                query.push_str(&format!("&{name}={}", encoded(&value)));
            }
        }
        if which.brief {
            query.push_str("&brief=true");
        }
        format!("</api/v1/runs?{query}>; rel=\"next\"")
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
    let listed: Vec<Value> = reports.into_iter().map(brief).collect();
    let mut answer = Json(listed).into_response();
    if let Some(next) = next.and_then(|next| HeaderValue::from_str(&next).ok()) {
        answer.headers_mut().insert(header::LINK, next);
    }
    Ok(answer)
}

/// A value as it stands in a query.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The header by which a call that was sent twice is known.
const KEY: &str = "idempotency-key";

/// The id of the run that a call with this key begins, whoever sends it how often.
fn id_of_key(token: &Token, key: &str) -> String {
    const LETTERS: &[u8] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let digest = Sha256::digest(format!("{} {key}", token.id));
    digest.iter().take(8).map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect()
}

/// Begins a run; it goes on after the answer. With a header `Idempotency-Key`, a call that is sent again begins nothing: its answer
/// is that of the first one.
#[utoipa::path(post, path = "/runs", request_body = Wanted, params(("Idempotency-Key" = Option<String>, Header, description = "Any text of up to 200 letters")),
    responses((status = 202, body = Begun)))]
pub async fn begin(
    State(api): State<Arc<Api>>,
    Runner(token): Runner,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<Wanted>,
) -> Result<Response, Refusal> {
    may_force(&token, wanted.force)?;
    let key = headers.get(KEY).map(|key| key.to_str().unwrap_or_default());
    if key.is_some_and(|key| key.is_empty() || key.len() > 200) {
        let what = "`Idempotency-Key` is a text of 1 to 200 letters";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "malformed", what).field("Idempotency-Key"));
    }
    let id = key.map_or_else(new_id, |key| id_of_key(&token, key));
    let (own, keyed) = (id.clone(), key.is_some());
    let plan = api
        .with(move |engine, config| {
            if let Some(before) = keyed.then(|| engine.run_record(&own).ok()).flatten() {
                // A plan that was shown no longer fits once it has run: what it asked for is compared.
                let asked = match &wanted.plan {
                    Some(id) => shown(engine, id, &token)?.map(|shown| shown.plan.request),
                    None => Some(request(config, &wanted, &actor(&token))?),
                };
                return Ok(Err(asked.is_none_or(|asked| is_same(&before.plan.request, &asked))));
            }
            let plan = to_run(engine, config, &wanted, &token)?;
            looked_at(engine, config, &plan)?;
            confirmed(&plan, wanted.confirm.as_ref())?;
            if let Some(id) = &wanted.plan {
                agree(engine, id, &own)?;
            }
            Ok(Ok(plan))
        })
        .await?;
    match plan {
        Ok(plan) => start(&api, &id, plan).await,
        Err(true) => {}
        Err(false) => {
            let what = "another call was sent with this `Idempotency-Key`; take a new one for a new call";
            return Err(
                Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "key_reused", what).field("Idempotency-Key")
            );
        }
    }
    Ok(begun(id))
}

/// Whether two calls asked for the same.
fn is_same(one: &Request, other: &Request) -> bool {
    let asked = |of: &Request| (of.dry_run, of.force, of.max_parallel);
    one.operations == other.operations && asked(one) == asked(other)
}

/// A run: its report so far, and how much of it is done.
#[utoipa::path(get, path = "/runs/{id}", params(("id" = String, Path, description = "The run")),
    responses((status = 200, body = Value)))]
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

/// An event, as it is sent.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct SentEvent {
    /// Its number, from 0.
    id: String,
    /// The event, as JSON.
    data: String,
}

/// The events of a run as they happen, as server-sent events; `id` counts them, so that a client can go on where it was.
#[utoipa::path(get, path = "/runs/{id}/events", params(("id" = String, Path, description = "The run"), From),
    responses((status = 200, content_type = "text/event-stream", body = SentEvent)))]
pub async fn events(
    State(api): State<Arc<Api>>,
    _: Reader,
    Path(id): Path<String>,
    Query(from): Query<From>,
    headers: HeaderMap,
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
    responses((status = 202, body = Value)))]
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
    responses((status = 202, body = Begun)))]
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
    go(&api, move |engine, config| {
        let report = engine.resume_as(&run, &stop, &mut |event| heard(engine, config, event))?;
        hand_in(engine, config, &report);
        Ok(())
    });
    Ok(begun(id))
}
