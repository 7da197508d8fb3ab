//! Reports as JSON: the canonical report (R0), the map by operation (R1), the command result.
//!
//! The shapes are a written contract (`docs/reference/json.md`): keys are added, never renamed or removed.

use super::console::Output;
use engine::{Plan, Report, SCHEMA_VERSION, Status, by_operation};
use serde_json::{Value as Json, json};

/// The document of a run in the form that was asked for.
pub fn of_run(report: &Report, plan: &Plan, output: Output) -> Json {
    match output {
        Output::Report | Output::Text => canonical(report),
        Output::Json => by_operation(report, plan).unwrap_or_else(|| canonical(report)),
        Output::Result => result(report, plan),
    }
}

/// R0.
pub fn canonical(report: &Report) -> Json {
    serde_json::to_value(report).unwrap_or_default()
}

/// S0's command result.
fn result(report: &Report, plan: &Plan) -> Json {
    let failed: Vec<&str> = report.errors.iter().map(|error| error.message.as_str()).collect();
    let success = failed.is_empty() && !matches!(report.status, Status::Failed | Status::Refused);
    let result = by_operation(report, plan).unwrap_or_else(|| canonical(report));
    match success {
        true => json!({ "schema_version": SCHEMA_VERSION, "success": true, "result": result }),
        false => {
            json!({ "schema_version": SCHEMA_VERSION, "success": false, "error": failed.join("; "), "result": result })
        }
    }
}
