//! Schedules in the words of the other service (A3): its fields are a definition of ours, and the other way round.

use super::super::Api;
use super::super::auth::{Admin, actor};
use super::super::begin::begun;
use super::super::error::{JsonBody, Refusal};
use super::super::v1::{changed, expected, only_plain};
use super::actions::{Wait, shown};
use crate::schedules::Schedules;
use crate::trouble::Trouble;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::{Clock as _, Engine, SystemClock, Tick};
use scheduler::{Cron, Definition, Known, Notifications};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// A worker takes what is asked for within this, where there is one.
const TAKEN: Duration = Duration::from_secs(10);

/// A schedule.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = MaintenanceSchedule)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Wanted {
    /// Its id; made of the name where there is none.
    id: Option<String>,
    /// What people call it.
    name: Option<String>,
    /// What people read.
    description: Option<String>,
    /// The operations and groups, in this order.
    operations: Vec<String>,
    /// When.
    schedule: Times,
    /// Whether it runs by itself; it does unless `false` is said.
    enabled: Option<bool>,
    /// How.
    options: Manner,
    /// Who is told; as the configuration says where nothing is said.
    notifications: Option<Told>,
}

/// When it is due, in the fields of cron.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = MaintenanceTimes)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Times {
    minute: Field,
    hour: Field,
    #[serde(alias = "day_of_month")]
    day_of_month: Field,
    month: Field,
    #[serde(alias = "day_of_week")]
    day_of_week: Field,
    /// The zone, such as `Europe/Berlin`.
    timezone: String,
}

impl Default for Times {
    fn default() -> Self {
        let any = || Field::Text("*".to_owned());
        Self {
            minute: any(),
            hour: any(),
            day_of_month: any(),
            month: any(),
            day_of_week: any(),
            timezone: "UTC".to_owned(),
        }
    }
}

impl Times {
    fn fields(&self) -> [(&'static str, String); 5] {
        [
            ("schedule.minute", self.minute.text()),
            ("schedule.hour", self.hour.text()),
            ("schedule.dayOfMonth", self.day_of_month.text()),
            ("schedule.month", self.month.text()),
            ("schedule.dayOfWeek", self.day_of_week.text()),
        ]
    }

    /// The line; what is wrong is told of the field that it is in.
    fn line(&self) -> Result<String, Refusal> {
        let wrong = |field: &str, why: String, help: &str| {
            Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "usage", format!("{why} ({help})")).field(field)
        };
        if engine::age::zone(&self.timezone).is_err() {
            let why = format!("there is no zone `{}`", self.timezone);
            return Err(wrong("schedule.timezone", why, "zones are named like `Europe/Berlin`, or `UTC`"));
        }
        let fields = self.fields();
        for (n, (field, text)) in fields.iter().enumerate() {
            let mut alone = ["*"; 5];
            alone[n] = text;
            if text.split_whitespace().count() != 1 {
                return Err(wrong(
                    field,
                    format!("`{text}` is not one field"),
                    "write it as in cron, such as `*/15`",
                ));
            }
            if let Err(error) = Cron::parse(&alone.join(" "), &self.timezone, false) {
                return Err(wrong(field, error.why, &error.help));
            }
        }
        Ok(fields.map(|(_, text)| text).join(" "))
    }
}

/// A field of cron: a text, or a number.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = MaintenanceField)]
#[serde(untagged)]
enum Field {
    Text(String),
    Number(u32),
}

impl Field {
    fn text(&self) -> String {
        match self {
            Field::Text(text) => text.trim().to_owned(),
            Field::Number(number) => number.to_string(),
        }
    }
}

/// How its operations run.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = MaintenanceManner)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Manner {
    #[serde(alias = "dry_run")]
    dry_run: bool,
    #[serde(alias = "batch_size")]
    batch_size: Option<u64>,
    #[serde(alias = "max_execution_time")]
    max_execution_time: Option<u64>,
}

/// Who is told what came of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = MaintenanceNotifications)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Told {
    /// When all went well.
    #[serde(alias = "on_success")]
    on_success: bool,
    /// When it was not done.
    #[serde(alias = "on_failure")]
    on_failure: bool,
    /// When there is something to look at.
    #[serde(alias = "on_warnings")]
    on_warnings: bool,
    /// Mail addresses, or `CHANNEL:ADDRESS`.
    recipients: Vec<String>,
    /// Channels of the configuration, such as `email`, `slack` or `webhook`; all where none is named.
    channels: Vec<String>,
}

impl From<Told> for Notifications {
    fn from(told: Told) -> Self {
        let Told { on_success, on_failure, on_warnings, recipients, channels } = told;
        Self { on_success, on_failure, on_warnings, recipients, channels }
    }
}

impl From<Notifications> for Told {
    fn from(ours: Notifications) -> Self {
        let Notifications { on_success, on_failure, on_warnings, recipients, channels } = ours;
        Self { on_success, on_failure, on_warnings, recipients, channels }
    }
}

impl Wanted {
    /// The id that is meant: letters of the name in lower case, `_` for everything else.
    fn id(&self) -> Result<String, Refusal> {
        let name = self.name.as_deref().unwrap_or_default();
        let letters = name.trim().to_lowercase();
        let letter = |c: char| if c.is_alphanumeric() { c } else { '_' };
        match self
            .id
            .clone()
            .filter(|id| !id.is_empty())
            .or_else(|| (!letters.is_empty()).then(|| letters.chars().map(letter).collect()))
        {
            Some(id) => Ok(id),
            None => Err(Refusal::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "usage",
                "it has neither an id nor a name",
            )
            .field("name")),
        }
    }

    fn definition(&self) -> Result<Definition, Refusal> {
        let mut options = Map::new();
        if let Some(rows) = self.options.batch_size {
            options.insert("batch_size".to_owned(), rows.into());
        }
        if let Some(seconds) = self.options.max_execution_time {
            options.insert("max_seconds".to_owned(), seconds.into());
        }
        Ok(Definition {
            title: self.name.clone(),
            description: self.description.clone(),
            run: self.operations.clone(),
            cron: Some(self.schedule.line()?),
            zone: self.schedule.timezone.clone(),
            enabled: self.enabled.unwrap_or(true),
            dry_run: self.options.dry_run,
            options,
            notifications: self.notifications.clone().map(Notifications::from),
            ..Definition::default()
        })
    }
}

/// A schedule of ours in these words.
fn document(schedules: &Schedules<'_>, known: &Known, last: Option<&Tick>) -> Value {
    let says = &known.schedule.says;
    let ours = schedules.document(known, last);
    let line: Vec<&str> = says.cron.as_deref().unwrap_or_default().split_whitespace().collect();
    let field = |n: usize| line.get(n).copied();
    json!({
        "id": known.schedule.name,
        "name": says.title.as_deref().unwrap_or(&known.schedule.name),
        "description": says.description,
        "operations": says.run,
        "schedule": {
            "minute": field(0), "hour": field(1), "dayOfMonth": field(2), "month": field(3), "dayOfWeek": field(4),
            "timezone": says.zone,
        },
        "enabled": says.enabled,
        "options": {
            "dryRun": says.dry_run,
            "batchSize": says.options.get("batch_size"),
            "maxExecutionTime": says.options.get("max_seconds"),
        },
        "notifications": says.notifications.clone().map(Told::from),
        "next_run": ours["next"][0],
        "last_run": last.map(|tick| json!({ "at": tick.due, "status": tick.state, "run_id": tick.run })),
        "origin": ours["origin"],
        "version": ours["version"],
        "approval": ours["approval"],
        "approval_needed": ours["approval_needed"],
    })
}

fn or_missing(refusal: Refusal, id: &str) -> Refusal {
    match refusal.is_usage() {
        true => Refusal::missing(format!("there is no schedule `{id}`")),
        false => refusal,
    }
}

async fn answer(api: &Arc<Api>, id: &str, status: StatusCode) -> Result<Response, Refusal> {
    let asked = id.to_owned();
    let found = api.with(move |engine, config| {
        let schedules = Schedules { engine, config };
        let known = schedules.named(&asked)?;
        let last = engine.timetable()?.ticks(Some(&asked), 1).map_err(engine::Failure::from)?;
        Ok(document(&schedules, &known, last.first()))
    });
    let document = found.await.map_err(|refusal| or_missing(refusal, id))?;
    let tag = format!("\"{}\"", document["version"]);
    Ok((status, [(header::ETAG, tag)], Json(document)).into_response())
}

/// All schedules.
#[utoipa::path(get, path = "/schedules", responses((status = 200, body = Vec<Value>)))]
pub async fn list(State(api): State<Arc<Api>>, _: Admin) -> Result<Json<Vec<Value>>, Refusal> {
    let all = api.with(|engine, config| {
        let schedules = Schedules { engine, config };
        let all = schedules.with_last()?;
        Ok(all.iter().map(|(known, last)| document(&schedules, known, last.as_ref())).collect())
    });
    Ok(Json(all.await?))
}

/// Adds a schedule.
#[utoipa::path(post, path = "/schedules", request_body = Wanted, responses((status = 201, body = Value)))]
pub async fn create(
    State(api): State<Arc<Api>>,
    Admin(token): Admin,
    JsonBody(wanted): JsonBody<Wanted>,
) -> Result<Response, Refusal> {
    let id = wanted.id()?;
    put(&api, &id, wanted.definition()?, Some(0), actor(&token)).await.map_err(|refusal| {
        match refusal.is_changed() {
            true => {
                Refusal::new(StatusCode::CONFLICT, "exists", format!("there is a schedule `{id}` already"))
                    .field("id")
            }
            false => refusal,
        }
    })?;
    answer(&api, &id, StatusCode::CREATED).await
}

async fn put(
    api: &Arc<Api>,
    id: &str,
    says: Definition,
    expected: Option<i64>,
    actor: String,
) -> Result<(), Refusal> {
    let name = id.to_owned();
    api.with(move |engine, config| {
        only_plain(config, &says.run, &says.options)?;
        Schedules { engine, config }.add(&name, &says, expected, &actor)?;
        Ok(())
    })
    .await
}

/// One schedule.
#[utoipa::path(get, path = "/schedules/{id}", params(("id" = String, Path, description = "The schedule")),
    responses((status = 200, body = Value)))]
pub async fn show(
    State(api): State<Arc<Api>>,
    _: Admin,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    answer(&api, &id, StatusCode::OK).await
}

/// Changes a schedule that was added.
#[utoipa::path(put, path = "/schedules/{id}", params(("id" = String, Path, description = "The schedule"),
    ("If-Match" = Option<String>, Header, description = "Only if it has this version still: its `etag`")), request_body = Wanted,
    responses((status = 200, body = Value)))]
pub async fn change(
    State(api): State<Arc<Api>>,
    Admin(token): Admin,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<Wanted>,
) -> Result<Response, Refusal> {
    let says = wanted.definition()?;
    let expected = expected(&headers)?;
    let name = id.clone();
    api.with(move |engine, config| Schedules { engine, config }.named(&name).map(drop))
        .await
        .map_err(|refusal| or_missing(refusal, &id))?;
    put(&api, &id, says, expected, actor(&token)).await.map_err(|refusal| changed(refusal, expected))?;
    answer(&api, &id, StatusCode::OK).await
}

/// Forgets a schedule that was added.
#[utoipa::path(delete, path = "/schedules/{id}", params(("id" = String, Path, description = "The schedule"),
    ("If-Match" = Option<String>, Header, description = "Only if it has this version still: its `etag`")),
    responses((status = 204)))]
pub async fn remove(
    State(api): State<Arc<Api>>,
    Admin(token): Admin,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let expected = expected(&headers)?;
    let name = id.clone();
    api.with(move |engine, config| Schedules { engine, config }.remove(&name, expected, &actor(&token)))
        .await
        .map_err(|refusal| or_missing(changed(refusal, expected), &id))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Runs it now: answers with where it can be watched, or with `wait` with its report.
#[utoipa::path(post, path = "/schedules/{id}/run", params(("id" = String, Path, description = "The schedule"), Wait),
    responses((status = 200, body = Value), (status = 202, body = Value)))]
pub async fn run(
    State(api): State<Arc<Api>>,
    Admin(token): Admin,
    Path(id): Path<String>,
    Query(wait): Query<Wait>,
) -> Result<Response, Refusal> {
    // Who does not wait for the end is told all the same which run it is.
    let asked = wait.given()?.filter(|longest| !longest.is_zero());
    let name = id.clone();
    let tick = api
        .with(move |engine, config| Schedules { engine, config }.ask(&name, &actor(&token)))
        .await
        .map_err(|refusal| or_missing(refusal, &id))?;
    let until = SystemClock.tick() + asked.unwrap_or(TAKEN);
    loop {
        let own = tick.id.clone();
        let now = api.with(move |engine, _| taken(engine, &own)).await?;
        let late = SystemClock.tick() >= until;
        match (now, asked) {
            (Taken { report: Some(report), .. }, Some(_)) => return shown(report),
            (Taken { run: Some(run), .. }, None) => return Ok(begun(run)),
            (Taken { run: Some(run), .. }, _) if late => return Ok(begun(run)),
            // It came to nothing that would be a run, and says why. Or nobody serves, or all are busy: it runs when somebody can.
            (Taken { run: None, tick: now, .. }, _)
                if late || now.as_ref().is_some_and(|tick| tick.ended.is_some()) =>
            {
                let noted = json!({ "run_id": null, "tick": now.unwrap_or(tick) });
                return Ok((StatusCode::ACCEPTED, Json(noted)).into_response());
            }
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// What became of a tick so far.
#[derive(Default)]
struct Taken {
    tick: Option<Tick>,
    run: Option<String>,
    report: Option<engine::Report>,
}

fn taken(engine: &Engine, tick: &str) -> Result<Taken, Trouble> {
    let Some(tick) = engine.timetable()?.tick(tick).map_err(engine::Failure::from)? else {
        return Ok(Taken::default());
    };
    let report = match (&tick.run, tick.ended) {
        (Some(run), Some(_)) => Some(engine.run_record(run)?.report()),
        _ => None,
    };
    Ok(Taken { run: tick.run.clone(), tick: Some(tick), report })
}
