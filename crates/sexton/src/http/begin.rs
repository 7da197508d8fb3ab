//! Runs that are begun by a call: they go on after the answer, or the answer waits a while for their end.

use super::Api;
use super::error::{self, Refusal};
use crate::config::Config;
use crate::exit::Exit;
use crate::first_run;
use crate::trouble::Trouble;
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::{Engine, Event, Level, Plan, Report, Severity, Status, new_id};
use notify::{Ended, Post};
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// A run that was begun.
#[derive(Serialize, ToSchema)]
pub struct Begun {
    /// Its id.
    pub run_id: String,
    /// Where it can be watched.
    pub status_url: String,
    /// Where its events come.
    pub events_url: String,
}

/// What a person at a terminal would be asked is asked here too.
pub fn confirmed(plan: &Plan, said: Option<&Value>) -> Result<(), Trouble> {
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

/// Refuses what was never looked at, where the configuration asks for that.
pub fn looked_at(engine: &Engine, config: &Config, plan: &Plan) -> Result<(), Trouble> {
    if plan.request.dry_run {
        return Ok(());
    }
    let operations = plan.items.iter().map(|item| &item.operation);
    first_run::check(engine, config, operations).map_err(|trouble| match trouble.exit {
        Exit::Refused => {
            let help = "look at it first: send the same with `\"dry_run\": true`";
            Trouble { help: Some(help.to_owned()), ..trouble }
        }
        _ => trouble,
    })
}

/// No longer than this is waited for the first sign of a run.
const FIRST_SIGN: Duration = Duration::from_secs(5);

/// What a call begins is logged, reported and told under the id of the call (S3-046).
fn of_this_call(mut plan: Plan) -> Plan {
    if let Some(id) = error::of_this_call() {
        plan.request.correlation_id = id;
    }
    plan
}

/// Lets a plan run on a thread of its own, with an engine of its own. Once it is back, whoever asks for the run finds it.
pub async fn start(api: &Arc<Api>, id: &str, plan: Plan) {
    let plan = of_this_call(plan);
    let (own, stop) = (id.to_owned(), api.stop.clone());
    let (tell, told) = tokio::sync::oneshot::channel();
    let mut tell = Some(tell);
    go(api, move |engine, config| {
        let mut watch = |event: &Event| {
            heard(engine, config, event);
            if let Some(tell) = tell.take() {
                let _ = tell.send(());
            }
        };
        let report = engine.run_as(&own, &plan, &stop, &mut watch)?;
        hand_in(engine, config, &report);
        Ok(())
    });
    let _ = tokio::time::timeout(FIRST_SIGN, told).await;
}

/// Lets a plan run and waits for its end, but no longer than `most`: then there is only its id (W-117).
pub async fn finish_within(
    api: &Arc<Api>,
    plan: Plan,
    most: Duration,
) -> Result<Result<Report, String>, Refusal> {
    let (id, plan) = (new_id(), of_this_call(plan));
    let (own, stop) = (id.clone(), api.stop.clone());
    let (tell, told) = tokio::sync::oneshot::channel();
    go(api, move |engine, config| {
        let ended = engine.run_as(&own, &plan, &stop, &mut |event| heard(engine, config, event));
        if let Ok(report) = &ended {
            hand_in(engine, config, report);
        }
        let _ = tell.send(ended);
        Ok(())
    });
    match tokio::time::timeout(most, told).await {
        Err(_) => Ok(Err(id)),
        Ok(Err(_)) => Err(Refusal::broken()),
        Ok(Ok(ended)) => ended.map(Ok).map_err(|failure| Refusal::from(Trouble::from(failure))),
    }
}

/// A run that was refused is no answer: why it was is told.
pub fn not_refused(report: &Report) -> Result<(), Refusal> {
    if report.status != Status::Refused {
        return Ok(());
    }
    let findings = report.operations.iter().flat_map(|one| &one.findings);
    let why: Vec<&str> =
        findings.filter(|one| one.level == Level::Refuse).map(|one| one.what.as_str()).collect();
    let why = if why.is_empty() { "it was refused".to_owned() } else { why.join("; ") };
    Err(Refusal::new(StatusCode::CONFLICT, "refused", why))
}

/// Does something that takes long, on a thread of its own with an engine of its own.
pub fn go(
    api: &Arc<Api>,
    work: impl FnOnce(&Engine, &Config) -> Result<(), engine::Failure> + Send + 'static,
) {
    let config = Arc::clone(&api.config);
    std::thread::spawn(move || {
        let engine = crate::wiring::engine(&config, None);
        if let Err(failure) = work(&engine, &config) {
            tracing::error!("a run failed: {failure}");
        }
    });
}

/// What people are told of a run before its end (S4-047).
pub fn heard(engine: &Engine, config: &Config, event: &Event) {
    if let Err(failure) = (Post { engine, settings: &config.notify }).happened(event) {
        tracing::warn!(%failure, "a message cannot be handed in");
    }
}

/// The messages about a run; `sexton serve` sends them.
pub fn hand_in(engine: &Engine, config: &Config, report: &Report) {
    let names: Vec<&str> = report.operations.iter().map(|done| done.operation.as_str()).collect();
    let handed = Post { engine, settings: &config.notify }.ended(&Ended {
        report: Some(report),
        schedule: None,
        name: &names.join(", "),
        why: None,
        id: &report.run_id,
        event: notify::Event::Failure,
        by_hand: false,
        promised: &|name| config.is_promised(name),
    });
    if let Err(failure) = handed {
        tracing::warn!(%failure, "a message cannot be handed in");
    }
}

/// The answer that it was begun.
pub fn begun(run_id: String) -> Response {
    let status_url = format!("/api/v1/runs/{run_id}");
    let events_url = format!("{status_url}/events");
    let location = status_url.clone();
    (StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(Begun { run_id, status_url, events_url }))
        .into_response()
}

/// The run of an id, or of its first letters.
pub fn known(engine: &Engine, id: &str) -> Result<engine::RunRecord, Trouble> {
    engine.run_record(id).map_err(Trouble::from)
}

/// A run that nobody knows is missing; everything else is what it is.
pub fn or_missing(refusal: Refusal, id: &str) -> Refusal {
    if refusal.is_usage() { Refusal::missing(format!("there is no run `{id}`")) } else { refusal }
}

/// The whole id of a run.
pub async fn find(api: &Arc<Api>, id: &str) -> Result<String, Refusal> {
    let asked = id.to_owned();
    let found = api.with(move |engine, _| Ok(known(engine, &asked)?.id)).await;
    found.map_err(|refusal| or_missing(refusal, id))
}
