//! Schedules: listed, added, changed, removed, switched, approved, run now. A version is an ETag.

use super::super::Api;
use super::super::auth::{Admin, Reader, Runner, actor};
use super::super::error::{JsonBody, LARGEST_NUMBER, Refusal, within};
use super::plans::only_plain;
use crate::schedules::Schedules;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use scheduler::{ClockChange, Cron, Definition};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// How far an approval goes.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// No run may take more rows than this.
    pub max_rows: Option<u64>,
}

/// All schedules.
#[utoipa::path(get, path = "/schedules", responses((status = 200, body = Vec<Value>)))]
pub async fn list(State(api): State<Arc<Api>>, _: Reader) -> Result<Json<Vec<Value>>, Refusal> {
    let all = api.with(|engine, config| {
        let schedules = Schedules { engine, config };
        let all = schedules.with_last()?;
        Ok(all.iter().map(|(known, last)| schedules.document(known, last.as_ref())).collect())
    });
    Ok(Json(all.await?))
}

/// A cron line that is being written.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Five fields as in cron.
    cron: String,
    /// The zone of its times; UTC where nothing is said.
    zone: Option<String>,
    /// What becomes of times that the clock leaps over in spring.
    #[param(value_type = Option<String>)]
    clock_change: Option<ClockChange>,
}

/// When it would be due.
#[derive(Debug, Serialize, ToSchema)]
pub struct Due {
    /// In words.
    words: String,
    /// Days of the month and days of the week are both said, and it is due on either.
    either_day: bool,
    /// The next five times.
    next: Vec<Time>,
}

/// A time, by three clocks.
#[derive(Debug, Serialize, ToSchema)]
pub struct Time {
    /// The moment.
    #[schema(value_type = String)]
    at: Timestamp,
    /// In the zone, for people.
    local: String,
    /// In UTC, for people.
    utc: String,
}

/// When a cron line would be due: for whoever is writing one.
#[utoipa::path(get, path = "/due", params(Line), responses((status = 200, body = Due)))]
pub async fn due(
    State(api): State<Arc<Api>>,
    _: Reader,
    Query(line): Query<Line>,
) -> Result<Json<Due>, Refusal> {
    let zone = line.zone.as_deref().unwrap_or("UTC");
    let skips = line.clock_change == Some(ClockChange::Skip);
    let unfit = |field: &str, why: &str, help: &str| {
        Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "usage", format!("{why} ({help})")).field(field)
    };
    // First: what a line means depends on it.
    engine::age::zone(zone).map_err(|wrong| {
        unfit("zone", &wrong.what, wrong.help.as_deref().unwrap_or("zones are named like `Europe/Berlin`"))
    })?;
    let cron =
        Cron::parse(&line.cron, zone, skips).map_err(|wrong| unfit("cron", &wrong.why, &wrong.help))?;
    let now = api.with(|engine, _| Ok(engine.clock().now())).await?;
    let said =
        |at: Timestamp, zone: &TimeZone, form: &str| at.to_zoned(zone.clone()).strftime(form).to_string();
    let time = |at| Time {
        at,
        local: said(at, cron.zone(), "%a %d %b %H:%M %Z"),
        utc: said(at, &TimeZone::UTC, "%a %d %b %H:%M"),
    };
    Ok(Json(Due {
        words: cron.words(),
        either_day: cron.is_either_day(),
        next: cron.upcoming(now, 5).into_iter().map(time).collect(),
    }))
}

/// One of them, with what came of its last ten times.
#[utoipa::path(get, path = "/schedules/{name}", params(("name" = String, Path, description = "The schedule")),
    responses((status = 200, body = Value)))]
pub async fn show(
    State(api): State<Arc<Api>>,
    _: Reader,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    answer(&api, &name, StatusCode::OK).await
}

async fn answer(api: &Arc<Api>, name: &str, status: StatusCode) -> Result<Response, Refusal> {
    let asked = name.to_owned();
    let found = api.with(move |engine, config| {
        let schedules = Schedules { engine, config };
        let known = schedules.named(&asked)?;
        let ticks = engine.timetable()?.ticks(Some(&asked), 10).map_err(engine::Failure::from)?;
        let mut document = schedules.document(&known, ticks.first());
        document["ticks"] = json!(ticks);
        Ok(document)
    });
    let document = found.await.map_err(|refusal| or_missing(refusal, name))?;
    let tag = format!("\"{}\"", document["version"]);
    Ok((status, [(header::ETAG, tag)], Json(document)).into_response())
}

fn or_missing(refusal: Refusal, name: &str) -> Refusal {
    if refusal.is_usage() { Refusal::missing(format!("there is no schedule `{name}`")) } else { refusal }
}

/// The version that `If-Match` names; 0 for `If-None-Match: *`.
pub fn expected(headers: &HeaderMap) -> Result<Option<i64>, Refusal> {
    let text =
        |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    if text(header::IF_NONE_MATCH).as_deref() == Some("*") {
        return Ok(Some(0));
    }
    match text(header::IF_MATCH).as_deref().map(str::trim) {
        None | Some("*") => Ok(None),
        Some(tag) => tag.trim_matches('"').parse().map(Some).map_err(|_| {
            Refusal::new(
                StatusCode::PRECONDITION_FAILED,
                "changed",
                "the schedule has another version: look at it again",
            )
        }),
    }
}

/// Adds a schedule, or changes one that was added. It is only shown until somebody approves it.
#[utoipa::path(put, path = "/schedules/{name}", params(("name" = String, Path, description = "The schedule"),
    ("If-Match" = Option<String>, Header, description = "Only if it has this version still: its `etag`"),
    ("If-None-Match" = Option<String>, Header, description = "`*`: only if it is not there yet")), request_body(content = ref("#/components/schemas/Schedule")),
    responses((status = 200, body = Value), (status = 201, body = Value)))]
pub async fn put(
    State(api): State<Arc<Api>>,
    Admin(token): Admin,
    Path(name): Path<String>,
    headers: HeaderMap,
    JsonBody(says): JsonBody<Definition>,
) -> Result<Response, Refusal> {
    let expected = expected(&headers)?;
    let asked = name.clone();
    let version = api
        .with(move |engine, config| {
            only_plain(config, &says.run, &says.options)?;
            Schedules { engine, config }.add(&asked, &says, expected, &actor(&token))
        })
        .await
        .map_err(|refusal| changed(refusal, expected))?;
    answer(&api, &name, if version == 1 { StatusCode::CREATED } else { StatusCode::OK }).await
}

/// What was changed meanwhile is a precondition that failed, where one was made.
pub fn changed(refusal: Refusal, expected: Option<i64>) -> Refusal {
    match expected {
        Some(_) if refusal.is_changed() => Refusal::new(
            StatusCode::PRECONDITION_FAILED,
            "changed",
            "the schedule was changed meanwhile: look at it again",
        ),
        _ => refusal,
    }
}

/// Forgets a schedule that was added.
#[utoipa::path(delete, path = "/schedules/{name}", params(("name" = String, Path, description = "The schedule"),
    ("If-Match" = Option<String>, Header, description = "Only if it has this version still: its `etag`")),
    responses((status = 204)))]
pub async fn remove(
    State(api): State<Arc<Api>>,
    Admin(token): Admin,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let expected = expected(&headers)?;
    let asked = name.clone();
    api.with(move |engine, config| Schedules { engine, config }.remove(&asked, expected, &actor(&token)))
        .await
        .map_err(|refusal| or_missing(changed(refusal, expected), &name))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Runs it now, in a process that serves.
#[utoipa::path(post, path = "/schedules/{name}/run", params(("name" = String, Path, description = "The schedule")),
    responses((status = 202, body = Value)))]
pub async fn run(
    State(api): State<Arc<Api>>,
    Runner(token): Runner,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let asked = name.clone();
    let tick = api
        .with(move |engine, config| Schedules { engine, config }.ask(&asked, &actor(&token)))
        .await
        .map_err(|refusal| or_missing(refusal, &name))?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "tick": tick }))))
}

/// Lets it run by itself again.
#[utoipa::path(post, path = "/schedules/{name}/enable", params(("name" = String, Path, description = "The schedule")),
    responses((status = 200, body = Value)))]
pub async fn enable(
    State(api): State<Arc<Api>>,
    Admin(token): Admin,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    change(&api, &name, move |schedules, name| schedules.switch(name, true, &actor(&token))).await
}

/// Lets it no longer run by itself.
#[utoipa::path(post, path = "/schedules/{name}/disable", params(("name" = String, Path, description = "The schedule")),
    responses((status = 200, body = Value)))]
pub async fn disable(
    State(api): State<Arc<Api>>,
    Admin(token): Admin,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    change(&api, &name, move |schedules, name| schedules.switch(name, false, &actor(&token))).await
}

/// Allows it to do what it is: its operations with all of their options as they are now.
#[utoipa::path(post, path = "/schedules/{name}/approve", params(("name" = String, Path, description = "The schedule")), request_body = Limits,
    responses((status = 200, body = Value)))]
pub async fn approve(
    State(api): State<Arc<Api>>,
    Admin(token): Admin,
    Path(name): Path<String>,
    JsonBody(limits): JsonBody<Limits>,
) -> Result<Response, Refusal> {
    let max_rows = within("max_rows", limits.max_rows, 0..=LARGEST_NUMBER)?;
    change(&api, &name, move |schedules, name| schedules.approve(name, max_rows, &actor(&token))).await
}

/// Says no to what it is now: it is switched off, and runs neither by itself nor as a plan.
#[utoipa::path(post, path = "/schedules/{name}/refuse", params(("name" = String, Path, description = "The schedule")),
    responses((status = 200, body = Value)))]
pub async fn refuse(
    State(api): State<Arc<Api>>,
    Admin(token): Admin,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    change(&api, &name, move |schedules, name| schedules.refuse(name, &actor(&token))).await
}

/// Takes the approval back.
#[utoipa::path(post, path = "/schedules/{name}/withdraw", params(("name" = String, Path, description = "The schedule")),
    responses((status = 200, body = Value)))]
pub async fn withdraw(
    State(api): State<Arc<Api>>,
    Admin(token): Admin,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    change(&api, &name, move |schedules, name| schedules.withdraw(name, &actor(&token))).await
}

async fn change(
    api: &Arc<Api>,
    name: &str,
    what: impl FnOnce(&Schedules<'_>, &str) -> Result<(), crate::trouble::Trouble> + Send + 'static,
) -> Result<Response, Refusal> {
    let asked = name.to_owned();
    api.with(move |engine, config| what(&Schedules { engine, config }, &asked))
        .await
        .map_err(|refusal| or_missing(refusal, name))?;
    answer(api, name, StatusCode::OK).await
}
