//! What is done: clean-ups, migrations, backups, undo (A2).

use super::super::Api;
use super::super::auth::{Admin, actor};
use super::super::begin::{begun, confirmed, finish_within, looked_at, not_refused};
use super::super::error::{JsonBody, Refusal, within};
use super::super::v1::{Wanted, request as request_of};
use crate::choice::{self, Chosen};
use crate::config::{Config, OperationSetting};
use crate::trouble::Trouble;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use engine::backup::Proof;
use engine::{Engine, Kind, Plan, Report, Request, Trigger};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{IntoParams, ToSchema};

/// An answer waits no longer than this for the end of a run.
const LONGEST: u64 = 300;
/// And so long where nothing else is said.
const USUAL: u64 = 30;

/// What is to be done.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = MaintenanceAction)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// `run_cleanup`, `run_batch`, `apply_migration`, `apply_pending`, `test_migration`, `rollback_migration`, `backup`, `restore`,
    /// `verify_backup` or `undo`.
    action: String,
    /// The operation, the migration, the backup, the run; a list of operations for `run_batch`.
    #[serde(default)]
    target: Targets,
    /// How.
    #[serde(default)]
    options: Options,
}

/// One name, or several.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = MaintenanceTargets)]
#[serde(untagged)]
enum Targets {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

impl Targets {
    fn all(&self) -> Vec<String> {
        match self {
            Targets::None => Vec::new(),
            Targets::One(one) => vec![one.clone()],
            Targets::Many(many) => many.clone(),
        }
    }
}

/// How it is done.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = MaintenanceOptions)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Options {
    /// Only show what would be done: the default. `false` confirms, but for what is CRITICAL.
    #[serde(alias = "dry_run")]
    dry_run: Option<bool>,
    /// Rows in a transaction.
    #[serde(alias = "batch_size")]
    batch_size: Option<u64>,
    /// Seconds after which it stops in an orderly way.
    #[serde(alias = "max_execution_time")]
    max_execution_time: Option<u64>,
    /// Override the guards that may be overridden, and the question before what is CRITICAL.
    force: bool,
    /// For what is CRITICAL: the name of the operation, or the id of the backup.
    confirm: Option<Value>,
}

impl Options {
    fn is_dry(&self) -> bool {
        self.dry_run.unwrap_or(true)
    }

    /// To say `dryRun: false` is to have confirmed; what is CRITICAL is asked for by its name.
    fn confirmed(&self) -> Confirmed {
        Confirmed { confirm: self.confirm.clone().unwrap_or(Value::Bool(true)), force: self.force }
    }

    fn overrides(&self) -> Map<String, Value> {
        let mut options = Map::new();
        if let Some(rows) = self.batch_size {
            options.insert("batch_size".to_owned(), rows.into());
        }
        if let Some(seconds) = self.max_execution_time {
            options.insert("max_seconds".to_owned(), seconds.into());
        }
        options
    }
}

/// What was said to the question that a person would be asked.
struct Confirmed {
    confirm: Value,
    force: bool,
}

/// How long the answer may take.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// Seconds, or whether to wait at all.
    #[param(schema_with = seconds_or_whether)]
    wait: Option<String>,
}

fn seconds_or_whether() -> RefOr<Schema> {
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(LONGEST));
    // A parameter with a schema of its own has no other words.
    let about = "Seconds that the answer waits for the end of a run, at most 300, or `true` for as long as that, or `false`; 30 where \
                 nothing is said, but for schedules, where it then waits for the beginning. After them it is 202, and the run goes on.";
    let either = OneOfBuilder::new().description(Some(about)).item(seconds);
    either.item(ObjectBuilder::new().schema_type(Type::Boolean)).into()
}

impl Wait {
    /// What was said.
    pub fn given(&self) -> Result<Option<Duration>, Refusal> {
        let seconds = match self.wait.as_deref() {
            None => None,
            Some("true") => Some(LONGEST),
            Some("false") => Some(0),
            // Whatever is no number is one too many.
            Some(text) => within("wait", Some(text.parse().unwrap_or(u64::MAX)), 0..=LONGEST)?,
        };
        Ok(seconds.map(Duration::from_secs))
    }

    /// How long the answer waits.
    fn longest(&self) -> Result<Duration, Refusal> {
        Ok(self.given()?.unwrap_or(Duration::from_secs(USUAL)))
    }
}

/// Does something: answers with its report (R0), or where it can be watched.
#[utoipa::path(post, path = "", request_body = Action, params(Wait),
    responses((status = 200, body = Value), (status = 202, body = super::super::begin::Begun)))]
pub async fn act(
    State(api): State<Arc<Api>>,
    Admin(token): Admin,
    Query(wait): Query<Wait>,
    JsonBody(asked): JsonBody<Action>,
) -> Result<Response, Refusal> {
    let targets = asked.target.all();
    let longest = wait.longest()?;
    let options = asked.options.clone();
    let said = options.confirmed();
    let actor = actor(&token);
    let lacking = || {
        let what = format!("`{}` needs a `target`", asked.action);
        Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "usage", what).field("target")
    };
    let one = || match targets.as_slice() {
        [one] => Ok(one.clone()),
        _ => Err(lacking()),
    };
    match asked.action.as_str() {
        "run_cleanup" => run(&api, vec![one()?], options, actor, longest).await,
        "run_batch" if targets.is_empty() => Err(lacking()),
        "run_batch" => run(&api, targets, options, actor, longest).await,
        "apply_pending" => migrate(&api, "up", &[], options, actor, longest).await,
        "apply_migration" => migrate(&api, "apply", &[one()?], options, actor, longest).await,
        "rollback_migration" => migrate(&api, "down", &[one()?], options, actor, longest).await,
        "test_migration" => {
            let ids = [one()?];
            let told = api.with(move |engine, config| {
                let request = migration_request(engine, config, "apply", &ids, &options, &actor)?;
                let Some(operation) = request.operations.first() else { return Ok(Value::Null) };
                engine.audit(&actor, "test migration", &ids.join(", "), &operation.database)?;
                Ok(json!({ "rehearsal": engine.try_out(operation, true, &actor)? }))
            });
            Ok(Json(told.await?).into_response())
        }
        "backup" => {
            let plan = api.with(move |engine, config| {
                let database = choice::the_database(targets.first().map(String::as_str), config)?;
                let operation = choice::one_off(kind(engine, "backup")?, &database);
                let request = choice::request(config, &[Chosen::named(&operation)], &[], None, &actor)?;
                Ok(engine.plan(&Request {
                    dry_run: options.dry_run == Some(true),
                    trigger: Trigger::Api,
                    ..request
                })?)
            });
            ended(&api, plan.await?, &said, longest).await
        }
        "verify_backup" => {
            let id = one()?;
            let told = api.with(move |engine, _| {
                let backup = engine.find_backup(&id, None)?;
                let checked = engine.check_backup(backup, Proof::Restore)?;
                let outcome = checked.failure.as_deref().unwrap_or("passed");
                engine.audit(&actor, "verify backup", &checked.backup.id, outcome)?;
                Ok(json!({ "backup": checked.backup.id, "verified": checked.failure.is_none(), "error": checked.failure }))
            });
            Ok(Json(told.await.map_err(|refusal| missing(refusal, "target"))?).into_response())
        }
        "restore" => restore(&api, one()?, options, actor).await,
        "undo" => {
            let id = one()?;
            let plan = api.with(move |engine, _| {
                let request = engine.undo_request(&id, None, &actor)?;
                Ok(engine.plan(&Request { trigger: Trigger::Api, dry_run: options.is_dry(), ..request })?)
            });
            let plan = plan.await.map_err(|refusal| missing(refusal, "target"))?;
            ended(&api, plan, &said, longest).await
        }
        other => {
            let what = format!("there is no action `{other}`; /api/openapi.json lists those there are");
            Err(Refusal::new(StatusCode::BAD_REQUEST, "unknown_action", what).field("action"))
        }
    }
}

/// What was named is not there.
fn missing(refusal: Refusal, field: &str) -> Refusal {
    if refusal.is_usage() {
        refusal.with_status(StatusCode::NOT_FOUND, "not_found").field(field)
    } else {
        refusal
    }
}

fn kind(engine: &Engine, name: &str) -> Result<&'static dyn Kind, Trouble> {
    let found = engine.catalogue().iter().find(|kind| kind.name() == name);
    found.copied().ok_or_else(|| Trouble::system(format!("`{name}`"), "is not in the catalogue"))
}

async fn run(
    api: &Arc<Api>,
    targets: Vec<String>,
    options: Options,
    actor: String,
    longest: Duration,
) -> Result<Response, Refusal> {
    let known = |name: &String| {
        api.config.operations.iter().any(|one| one.name == *name)
            || api.config.groups.iter().any(|one| one.name == *name)
    };
    if let Some(unknown) = targets.iter().find(|name| !known(name)) {
        return Err(Refusal::missing(format!("there is no operation `{unknown}`")).field("target"));
    }
    let said = options.confirmed();
    let plan = api.with(move |engine, config| {
        let wanted = Wanted {
            operations: targets,
            dry_run: options.is_dry(),
            force: options.force,
            options: options.overrides(),
            ..Wanted::default()
        };
        Ok(engine.plan(&request_of(config, &wanted, &actor)?)?)
    });
    ended(api, plan.await?, &said, longest).await
}

/// Runs what was planned, once it was agreed to: the report at its end, where that comes soon enough.
async fn ended(api: &Arc<Api>, plan: Plan, said: &Confirmed, longest: Duration) -> Result<Response, Refusal> {
    if !said.force {
        confirmed(&plan, Some(&said.confirm))?;
    }
    let plan = api.with(move |engine, config| looked_at(engine, config, &plan).map(|()| plan)).await?;
    match finish_within(api, plan, longest).await? {
        Err(id) => Ok(begun(id)),
        Ok(report) => shown(report),
    }
}

/// A report as an answer; a refusal says why.
pub fn shown(report: Report) -> Result<Response, Refusal> {
    not_refused(&report)?;
    Ok(Json(report).into_response())
}

/// The operation with migrations: that of the configuration, or the usual folder.
pub fn migrations(engine: &Engine, config: &Config) -> Result<OperationSetting, Trouble> {
    let kind = kind(engine, "migrate")?;
    let acts = |one: &&OperationSetting| one.options.get("action").is_none_or(|action| action != "status");
    let known = choice::of_kind(config, kind, None, "migration")?;
    let chosen = known.iter().find(|one| acts(one)).or(known.first()).map(|one| (*one).clone());
    match chosen {
        Some(one) => Ok(one),
        None => Ok(choice::one_off(kind, &choice::the_database(None, config)?)),
    }
}

/// The request for what is done with migrations.
pub fn migration_request(
    engine: &Engine,
    config: &Config,
    action: &str,
    ids: &[String],
    options: &Options,
    actor: &str,
) -> Result<Request, Trouble> {
    let operation = migrations(engine, config)?;
    let mut request = choice::request(config, &[Chosen::named(&operation)], &[], None, actor)?;
    for operation in &mut request.operations {
        operation.options["action"] = action.into();
        if !ids.is_empty() {
            operation.options["ids"] = json!(ids);
        }
    }
    Ok(Request { dry_run: options.is_dry(), force: options.force, trigger: Trigger::Api, ..request })
}

async fn migrate(
    api: &Arc<Api>,
    action: &'static str,
    ids: &[String],
    options: Options,
    actor: String,
    longest: Duration,
) -> Result<Response, Refusal> {
    let (ids, said) = (ids.to_vec(), options.confirmed());
    let plan = api
        .with(move |engine, config| {
            let request = migration_request(engine, config, action, &ids, &options, &actor)?;
            Ok(engine.plan(&request)?)
        })
        .await
        .map_err(|refusal| missing(refusal, "target"))?;
    ended(api, plan, &said, longest).await
}

/// Puts a backup in the place of the live database, or tells what would go by that.
async fn restore(api: &Arc<Api>, id: String, options: Options, actor: String) -> Result<Response, Refusal> {
    let said = options.confirm.as_ref().and_then(Value::as_str) == Some(id.as_str());
    let told = api.with(move |engine, _| {
        let backup = engine.find_backup(&id, None)?;
        let revived = engine.revive_backup(&backup)?;
        let lost = revived.lost()?;
        if options.is_dry() {
            return Ok(json!({ "dry_run": true, "backup": backup.id, "would_lose": lost }));
        }
        if !said && !options.force {
            return Err(Trouble::refused(
                format!(
                    "{} newer or changed rows would go, and the database would be replaced",
                    lost.newer()
                ),
                format!("send `\"confirm\": \"{id}\"`"),
            ));
        }
        Ok(json!({ "dry_run": false, "lost": lost, "restored": revived.replace(&actor)? }))
    });
    Ok(Json(told.await.map_err(|refusal| missing(refusal, "target"))?).into_response())
}
