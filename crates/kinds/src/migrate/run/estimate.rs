//! What bringing in a pending migration is expected to cost: how long, and how dangerous.
//!
//! How long: what it took here when it was in before, else what its author says, else what the linter works out from the
//! sizes of now. How dangerous is the linter's word. It asks no rows and runs nothing.

use super::look::Scene;
use crate::migrate::lint::{Engine, Risk, Source, Surroundings, Terms, lint_around};
use crate::migrate::model::{Migration, State};
use engine::Result;
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use targets::db::Facts;

/// By id: seconds, risk, and where the seconds are from. Nothing is asked where nothing is pending.
pub fn estimates(scene: &Scene, facts: &mut dyn Facts) -> Result<HashMap<String, Json>> {
    let migrations = &scene.directory.migrations;
    let pending: Vec<&Migration> = migrations.iter().filter(|one| !scene.state(&one.id).is_in()).collect();
    if pending.is_empty() {
        return Ok(HashMap::new());
    }
    let around = Surroundings::of(facts)?;
    // Two ways of one migration may lie in one file, two migrations never do: but a dump is taken apart.
    let sources: Vec<Source> = pending
        .iter()
        .map(|one| Source {
            file: one.id.clone(),
            // Comments allow findings, which are not told here.
            text: String::new(),
            script: one.up.clone(),
            convention: Some(scene.directory.convention),
        })
        .collect();
    let terms = Terms { history: learned(scene), ..Terms::new(Engine::named(facts.dialect().name())) };
    let linted = lint_around(&sources, &terms, Some(&around));
    let mut all: HashMap<String, (Risk, Option<f64>)> = HashMap::new();
    for judged in &linted.statements {
        let (risk, seconds) = all.entry(judged.file.clone()).or_insert((Risk::Low, Some(0.0)));
        *risk = (*risk).max(judged.risk);
        *seconds = seconds.zip(judged.seconds).map(|(sum, more)| sum + more.expected);
    }
    let estimate = |one: &Migration| {
        let (risk, worked_out) = all.get(&one.id).copied().unwrap_or((Risk::Low, Some(0.0)));
        let (seconds, from) = match (took(scene, one), one.expected_seconds) {
            (Some(seconds), _) => (Some(seconds), "history"),
            (None, Some(seconds)) => (Some(seconds), "author"),
            (None, None) => (worked_out.map(rounded), "sizes"),
        };
        json!({ "seconds": seconds, "risk": risk.word(), "from": seconds.map(|_| from) })
    };
    Ok(pending.iter().map(|one| (one.id.clone(), estimate(one))).collect())
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// How long it took the last time it went in here.
fn took(scene: &Scene, one: &Migration) -> Option<f64> {
    let known = scene.known(&one.id).filter(|known| known.applied.state == State::RolledBack)?;
    known.went_in_ms.map(|ms| ms as f64 / 1000.0)
}

/// What those that are in were expected to take by their authors, and took: so fast is this machine.
fn learned(scene: &Scene) -> Vec<(f64, f64)> {
    let expected = scene.directory.migrations.iter().filter_map(|one| {
        let known = scene.known(&one.id).filter(|known| known.applied.state == State::Applied)?;
        Some((one.expected_seconds?, known.applied.duration_ms? as f64 / 1000.0))
    });
    expected.filter(|(expected, took)| *expected > 0.0 && *took > 0.0).collect()
}
