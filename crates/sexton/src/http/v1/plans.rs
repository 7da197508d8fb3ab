//! What operations would do: a plan, which changes nothing.

use super::super::Api;
use super::super::auth::{Runner, actor, may_force};
use super::super::error::{JsonBody, Refusal};
use crate::choice::{self, Names};
use crate::config::{Config, MANNERS, Node, Override, Schema, operation_schema};
use crate::trouble::Trouble;
use axum::Json;
use axum::extract::State;
use engine::{Engine, Failure, Plan, Request, ShownPlan, Token, Trigger, new_id};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use utoipa::ToSchema;

/// No more rows of a step are shown.
const MOST_EXAMPLES: u64 = 20;

/// What is to be planned or run.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Operations or groups, in this order.
    #[serde(default)]
    pub operations: Vec<String>,
    /// Instead: the plan that was shown, by its `plan_id`. It is run as it was shown, or refused where it no longer fits.
    #[serde(default)]
    pub plan: Option<String>,
    /// With a plan, show so many rows of each step, at most 20.
    #[serde(default)]
    pub examples: u64,
    /// Only show what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// Override the guards that may be overridden. For administrators.
    #[serde(default)]
    pub force: bool,
    /// Other values for options and limits of these operations. Statements in SQL cannot be said here.
    #[serde(default)]
    pub options: Map<String, Value>,
    /// At most so many operations at a time, 1 to 64, where they have nothing in common; as configured when nothing is said.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 64)]
    pub max_parallel: Option<u64>,
    /// What a person is asked for: `true` for MEDIUM and HIGH, the operation's name for CRITICAL.
    #[serde(default)]
    pub confirm: Option<Value>,
}

/// What may be said of an option from outside: a number, a switch, an age, one of some words. Everything else may be a name, a
/// condition in SQL, a program or a path, and stands in the configuration.
pub fn only_plain(config: &Config, names: &[String], options: &Map<String, Value>) -> Result<(), Trouble> {
    let chosen = choice::operations(&Names::listed(names), config)?;
    for key in options.keys().filter(|key| !MANNERS.contains(key)) {
        let plain = |operation: &crate::config::OperationSetting| {
            let schema = operation_schema(operation.kind);
            let Some(property) = Schema::of(&schema).property(key) else { return true };
            let of = property.schema;
            let number = of.is("integer") || of.is("number") || of.is("boolean");
            number || of.format() == Some("age") || !of.choices().is_empty()
        };
        if !chosen.iter().all(|one| plain(one.operation)) {
            return Err(Trouble::usage(
                format!("`{key}` can only be said in the configuration"),
                "from here come numbers, switches, ages and choices",
            ));
        }
    }
    Ok(())
}

/// The request that is meant.
pub fn request(config: &Config, wanted: &Wanted, actor: &str) -> Result<Request, Trouble> {
    only_plain(config, &wanted.operations, &wanted.options)?;
    let names = Names::listed(&wanted.operations);
    let chosen = choice::operations(&names, config)?;
    let max_parallel = match wanted.max_parallel {
        Some(most @ 1..=64) => most as usize,
        Some(most) => {
            return Err(Trouble::usage(
                format!("`max_parallel` is {most}; nothing was run"),
                "send a number from 1 to 64, or leave it out",
            ));
        }
        None => choice::side_by_side(&names, config),
    };
    let said: Vec<Override> = wanted
        .options
        .iter()
        .map(|(key, value)| Override {
            key: key.clone(),
            flag: format!("options.{key}"),
            value: Node::of_json(key, value),
        })
        .collect();
    let request = choice::request(config, &chosen, &said, None, actor)?;
    Ok(Request {
        trigger: Trigger::Api,
        dry_run: wanted.dry_run,
        force: wanted.force,
        max_parallel,
        ..request
    })
}

/// The plan that is to be run: the one that was shown, if it still fits, or a new one.
pub fn to_run(engine: &Engine, config: &Config, wanted: &Wanted, token: &Token) -> Result<Plan, Trouble> {
    let Some(id) = &wanted.plan else {
        return Ok(engine.plan(&request(config, wanted, &actor(token))?)?);
    };
    let says_more = !wanted.options.is_empty() || wanted.max_parallel.is_some();
    if !wanted.operations.is_empty() || says_more || wanted.force || wanted.dry_run {
        return Err(Trouble::usage(
            "a plan is run as it was shown",
            "send `plan` and `confirm`, and nothing else, or plan again",
        ));
    }
    let Some(shown) = shown(engine, id, token)? else {
        return Err(Trouble::usage(
            format!("there is no plan `{id}`"),
            "a plan can be run for 15 minutes, by whoever it was shown to: plan again",
        ));
    };
    match shown.run {
        Some(run) => Err(ran_before(&run)),
        None => Ok(engine.recheck(&shown.plan)?),
    }
}

/// A plan that was shown to the holder of this token, while it holds.
pub fn shown(engine: &Engine, id: &str, token: &Token) -> Result<Option<ShownPlan>, Trouble> {
    let found = engine.shown_plans()?.find(id, &token.id, engine.clock().now());
    Ok(found.map_err(Failure::from)?)
}

/// Agrees to a plan that was shown, with the run that begins now: a confirmation that is sent again begins nothing.
pub fn agree(engine: &Engine, id: &str, run: &str) -> Result<(), Trouble> {
    match engine.shown_plans()?.agree(id, run).map_err(Failure::from)? {
        true => Ok(()),
        false => Err(ran_before("another")),
    }
}

fn ran_before(run: &str) -> Trouble {
    Trouble::refused(
        format!("this plan was agreed to already: {run} is the run of it; nothing was run again"),
        "plan again",
    )
}

/// Plans operations; nothing is changed.
#[utoipa::path(post, path = "/plans", request_body = Wanted, responses((status = 200, body = Value)))]
pub async fn plan(
    State(api): State<Arc<Api>>,
    Runner(token): Runner,
    JsonBody(wanted): JsonBody<Wanted>,
) -> Result<Json<Value>, Refusal> {
    may_force(&token, wanted.force)?;
    let document = api.with(move |engine, config| {
        if wanted.plan.is_some() {
            return Err(Trouble::usage("a plan is not planned again", "send `operations`"));
        }
        let request = request(config, &wanted, &actor(&token))?;
        let plan = engine.plan(&request)?;
        let mut document = json!(plan);
        if wanted.examples > 0 {
            document["examples"] = json!(engine.examples(&plan, wanted.examples.min(MOST_EXAMPLES))?);
        }
        let id = new_id();
        document["plan_id"] = id.as_str().into();
        let kept = engine.shown_plans()?.keep(&id, &token.id, &plan, engine.clock().now());
        kept.map_err(Failure::from)?;
        Ok(document)
    });
    Ok(Json(document.await?))
}
