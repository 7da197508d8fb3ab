//! The answer to `status` (M1) and `check` (R3h), from files and histories.

use super::look::Scene;
use super::options::Options;
use super::plan::so_far;
use crate::migrate::graph::{self, Standing, Target};
use crate::migrate::model::{Applied, Migration};
use engine::Step;
use serde_json::{Value as Json, json};
use std::collections::HashMap;

/// M1. `problems` says what stands in the way of going up, each with one thing to do. `estimates` are of those that are
/// pending, by their ids.
pub fn document(options: &Options, scene: &Scene, estimates: &HashMap<String, Json>) -> Json {
    let migrations = &scene.directory.migrations;
    let files: HashMap<&str, &Migration> = migrations.iter().map(|one| (one.id.as_str(), one)).collect();
    let standings = graph::standings(migrations, &scene.applied);
    let target = match &options.target {
        Some(target) => Target::To(target.clone()),
        None => Target::All,
    };
    let way = scene
        .problems
        .clone()
        .none_or(())
        .and_then(|()| graph::pending(migrations, &scene.applied, &target, &scene.policy));
    let (pending, problems): (Vec<String>, Json) = match &way {
        Ok(sequence) => (sequence.ids().into_iter().map(str::to_owned).collect(), json!(sequence.warnings)),
        Err(problems) => {
            let waiting =
                standings.iter().filter(|one| !one.state.is_in() && files.contains_key(one.id.as_str()));
            (waiting.map(|one| one.id.clone()).collect(), json!(problems))
        }
    };
    let current = current(&standings, &files);
    let wanted =
        options.target.clone().and_then(|target| graph::find(migrations, &target).ok()).or_else(|| {
            graph::order(migrations, &scene.policy)
                .ok()
                .and_then(|sequence| sequence.steps.iter().copied().rfind(|one| !one.repeatable))
        });
    let all: Vec<Json> = standings
        .iter()
        .map(|standing| {
            let mut one = one(standing, files.get(standing.id.as_str()).copied(), scene);
            if let Some(estimate) = estimates.get(&standing.id) {
                one["estimate"] = estimate.clone();
            }
            one
        })
        .collect();
    json!({
        "migrations": all,
        "current": current.map(version),
        "target": wanted.map(version),
        "pending": pending,
        "migration_needed": !pending.is_empty(),
        "problems": problems,
        "ok": way.is_ok(),
        "directory": scene.directory.path,
        "convention": scene.directory.convention,
        "history": match &scene.history {
            Some(history) => history.table.to_string(),
            None => scene.own.to_string(),
        },
        "other_histories": scene.others.iter().map(|history| history.table.to_string()).collect::<Vec<_>>(),
    })
}

fn one(standing: &Standing, file: Option<&Migration>, scene: &Scene) -> Json {
    let known = scene
        .known(&standing.id)
        .filter(|_| !matches!(standing.state, crate::migrate::model::State::Applied));
    let changed =
        if standing.state.is_in() && file.is_some() { json!(!standing.changed) } else { Json::Null };
    let mut json = json!({
        "id": standing.id,
        "number": file.and_then(|file| file.number).or_else(|| standing.version.parse().ok()),
        "description": standing.description,
        "state": standing.state,
        "depends_on": file.map(|file| file.depends_on.clone()).unwrap_or_default(),
        "applied_at": standing.at.filter(|_| standing.state.is_in()).map(|at| at.to_string()),
        "duration_ms": standing.duration_ms,
        "checksum_ok": changed,
        "reversible": standing.reversible,
        "missing": standing.missing,
        "out_of_order": standing.out_of_order,
        "estimate": { "seconds": file.and_then(|file| file.expected_seconds), "risk": Json::Null, "from": Json::Null },
    });
    if let Some(known) = known {
        if known.applied.state == crate::migrate::model::State::Interrupted {
            json["so_far"] = so_far(known).into();
        }
        if let Some(error) = &known.error {
            json["error"] = error.clone().into();
        }
    }
    json
}

/// The last one that is in.
fn current<'a>(standings: &[Standing], files: &HashMap<&str, &'a Migration>) -> Option<&'a Migration> {
    let is_in = standings.iter().rev().filter(|one| one.state.is_in());
    is_in.filter_map(|one| files.get(one.id.as_str()).copied()).find(|one| !one.repeatable)
}

/// A number where it has one, else its id.
fn version(one: &Migration) -> Json {
    match one.number {
        Some(number) => number.into(),
        None => one.id.clone().into(),
    }
}

/// The version before and after these steps, for the log (S0-010).
pub fn versions(scene: &Scene, steps: &[Step]) -> (String, String) {
    let migrations = &scene.directory.migrations;
    let files: HashMap<&str, &Migration> = migrations.iter().map(|one| (one.id.as_str(), one)).collect();
    let told = |applied: &[Applied]| {
        let standings = graph::standings(migrations, applied);
        current(&standings, &files).map_or_else(
            || "0".to_owned(),
            |one| version(one).as_str().map_or_else(|| version(one).to_string(), str::to_owned),
        )
    };
    let mut after = scene.applied.clone();
    for step in steps {
        let state = match step.action.as_str() {
            "revert" => crate::migrate::model::State::RolledBack,
            _ => crate::migrate::model::State::Applied,
        };
        after.retain(|known| known.id != step.id);
        after.push(Applied { id: step.id.clone(), state, ..Applied::default() });
    }
    (told(&scene.applied), told(&after))
}
