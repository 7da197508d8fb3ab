//! The report as a map by operation (R1): what `--output json` prints and an application's own log is given.
//!
//! The shape is a written contract (`docs/reference/json.md`): keys are added, never renamed or removed.

use crate::age::Age;
use crate::plan::{Plan, SCHEMA_VERSION};
use crate::report::Report;
use crate::status::Status;
use crate::words::either;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;

/// What an entry begins with, as the canonical report has it.
pub const ABOUT: [&str; 7] = ["status", "operation", "kind", "title", "database", "severity", "dry_run"];

/// What follows, as the canonical report has it.
pub const FIGURES: [&str; 18] = [
    "rows_matched",
    "rows_deleted",
    "rows_changed",
    "rows_archived",
    "rows_restored",
    "rows_dependent",
    "rows_skipped",
    "rows_failed",
    "batches",
    "transactional",
    "bytes_freed",
    "duration_seconds",
    "expected_seconds",
    "undo_id",
    "backup_path",
    "errors",
    "warnings",
    "reason",
];

/// R1: one entry per operation, and `metadata`. None when two operations share a name.
pub fn by_operation(report: &Report, plan: &Plan) -> Option<Json> {
    let names: BTreeSet<&str> =
        report.operations.iter().map(|operation| operation.operation.as_str()).collect();
    if names.len() < report.operations.len() || names.contains("metadata") {
        return None;
    }
    let mut map = Map::new();
    for (n, operation) in report.operations.iter().enumerate() {
        let full = serde_json::to_value(operation).unwrap_or_default();
        let mut entry = Map::new();
        for key in ABOUT {
            entry.insert(key.to_owned(), full[key].clone());
        }
        let processed = operation.rows_deleted + operation.rows_changed + operation.rows_restored;
        // A kind that is not about rows has words of its own.
        let own = operation.result.as_ref().and_then(|result| result.get("message")).cloned();
        let usual = || message(operation.status, processed, operation.dry_run).into();
        entry.insert("message".to_owned(), own.unwrap_or_else(usual));
        entry.insert("rows_processed".to_owned(), processed.into());
        for key in FIGURES {
            entry.insert(key.to_owned(), full[key].clone());
        }
        let mut details = Map::new();
        for target in &operation.targets {
            let mut figures = serde_json::to_value(target.counts).unwrap_or_default();
            figures["table"] = target.object.clone().into();
            figures["days"] = days(plan, n, &target.id).map_or(Json::Null, Json::from);
            details.insert(target.label.clone(), figures);
        }
        entry.insert("details".to_owned(), Json::Object(details));
        // What a kind that looks has found stands beside the rest, as S1 had it.
        if let Some(Json::Object(result)) = &operation.result {
            for (key, value) in result {
                entry.entry(key.clone()).or_insert_with(|| value.clone());
            }
            // What describes a database stands in the place of its name, which `metadata` has too.
            if let Some(description) = result.get("database").filter(|value| value.is_object()) {
                entry.insert("database".to_owned(), description.clone());
            }
        }
        map.insert(operation.operation.clone(), Json::Object(entry));
    }
    let about = &report.metadata;
    map.insert(
        "metadata".to_owned(),
        json!({
            "schema_version": SCHEMA_VERSION,
            "run_id": report.run_id,
            "correlation_id": report.correlation_id,
            "status": report.status,
            "timestamp": about.timestamp,
            "duration_seconds": about.duration_seconds,
            "dry_run": about.dry_run,
            "database": about.database,
            "engine": about.engine,
        }),
    );
    Some(Json::Object(map))
}

fn message(status: Status, rows: u64, dry_run: bool) -> String {
    let status = status.name();
    let would = if dry_run { " would be" } else { "" };
    format!("{status}: {rows} {}{would} processed", either(rows, "row", "rows"))
}

/// The age of a target in days, where its options have one.
fn days(plan: &Plan, item: usize, target: &str) -> Option<f64> {
    let options = &plan.items.get(item)?.operation.options;
    let listed = options.get("targets").and_then(Json::as_array).into_iter().flatten();
    let named =
        |one: &&Json| one.get("id").or_else(|| one.get("table")).and_then(Json::as_str) == Some(target);
    let own = listed.into_iter().find(named).unwrap_or(options);
    let age = own.get("older_than")?.as_str()?;
    Age(age.to_owned()).about_seconds().ok().map(|seconds| (seconds / 86_400.0 * 1_000.0).round() / 1_000.0)
}
