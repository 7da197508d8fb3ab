//! The written contract of the JSON documents, as JSON Schemas: what the reference shows and tests check against.

use super::{contract_lists, contract_migrate, contract_notify};
use engine::{ABOUT, Event, FIGURES, OperationReport, Report};
use serde_json::{Map, Value as Json, json};

/// The JSON Schemas of all documents, by name.
pub fn schemas() -> Json {
    let report =
        described(schemars::schema_for!(Report).to_value(), "`--output report`: the canonical report.");
    let event = described(schemars::schema_for!(Event).to_value(), "`--events`: one line each.");
    let mut all = json!({
        "Run by operation": by_operation(),
        "Run report": report,
        "Event": event,
        "Command result": result(),
        "Error": error(),
    });
    let more = contract_migrate::schemas().into_iter().chain(contract_notify::schemas());
    for (name, schema) in contract_lists::schemas().into_iter().chain(more) {
        all[name] = schema;
    }
    all
}

fn described(mut schema: Json, about: &str) -> Json {
    schema["description"] = about.into();
    schema
}

/// One field of a document.
fn field(sort: Json, about: &str) -> Json {
    json!({ "type": sort, "description": about })
}

fn by_operation() -> Json {
    let canonical = schemars::schema_for!(OperationReport).to_value();
    let mut definitions = canonical.get("$defs").and_then(Json::as_object).cloned().unwrap_or_default();
    let mut properties = Map::new();
    for key in ABOUT {
        properties.insert(key.to_owned(), canonical["properties"][key].clone());
    }
    properties.insert(
        "database".to_owned(),
        json!({
            "type": ["string", "object"],
            "additionalProperties": true,
            "description": "The database; of kinds that describe one, the description.",
        }),
    );
    properties.insert("message".to_owned(), field(json!("string"), "The outcome in words."));
    properties
        .insert("rows_processed".to_owned(), field(json!("integer"), "Rows deleted, changed or put back."));
    for key in FIGURES {
        properties.insert(key.to_owned(), canonical["properties"][key].clone());
    }
    properties.insert(
        "details".to_owned(),
        json!({
            "type": "object",
            "description": "By target: `table`, `days` (the age, where there is one) and the counts.",
            "additionalProperties": {
                "type": "object",
                "required": ["table", "days", "deleted", "changed", "archived"],
                "additionalProperties": true,
                "properties": { "days": { "type": ["number", "null"] }, "deleted": { "type": "integer" } },
            },
        }),
    );
    definitions.insert(
        "Operation".to_owned(),
        json!({
            "type": "object",
            "description": "What one operation came to. Kinds that look add the fields of their result.",
            "required": ["status", "operation", "message", "rows_processed", "rows_deleted", "details", "errors"],
            "additionalProperties": true,
            "properties": properties,
        }),
    );
    definitions.insert("About".to_owned(), about());
    json!({
        "type": "object",
        "description": "`--output json`: one entry per operation under its name, and `metadata`. When two operations of a run \
                        share a name, the run report is given instead.",
        "required": ["metadata"],
        "properties": { "metadata": { "$ref": "#/$defs/About", "description": "When, where, how." } },
        "additionalProperties": { "$ref": "#/$defs/Operation" },
        "$defs": definitions,
    })
}

fn about() -> Json {
    json!({
        "type": "object",
        "description": "When, where, and whether it only looked.",
        "required": ["schema_version", "run_id", "status", "timestamp", "duration_seconds", "dry_run", "database"],
        "additionalProperties": false,
        "properties": {
            "schema_version": field(json!("integer"), "Of this document."),
            "run_id": field(json!("string"), "The run."),
            "correlation_id": field(json!("string"), "Runs through logs, reports and notifications."),
            "status": { "$ref": "#/$defs/Status", "description": "The worst of its operations." },
            "timestamp": field(json!("string"), "When it began."),
            "duration_seconds": field(json!("number"), "How long it took."),
            "dry_run": field(json!("boolean"), "Whether it only looked."),
            "database": field(json!("string"), "The database, or several with commas between."),
            "engine": field(json!("string"), "`sqlite` or `postgresql`, or both."),
        },
    })
}

fn result() -> Json {
    json!({
        "type": "object",
        "description": "`--output result`: the outcome of a command.",
        "required": ["schema_version", "success"],
        "additionalProperties": false,
        "properties": {
            "schema_version": field(json!("integer"), "Of this document."),
            "success": field(json!("boolean"), "Whether all went well."),
            "result": { "type": "object", "additionalProperties": true, "description": "The document of `--output json`." },
            "error": field(json!("string"), "What failed."),
        },
    })
}

fn error() -> Json {
    let texts = json!({ "type": "string" });
    json!({
        "type": "object",
        "description": "In every JSON form, when nothing was run: wrong usage or configuration, a refusal, a database that cannot \
                        be reached.",
        "required": ["schema_version", "success", "error", "error_class", "exit_code"],
        "additionalProperties": false,
        "properties": {
            "schema_version": field(json!("integer"), "Of this document."),
            "success": field(json!("boolean"), "Always false."),
            "error": field(json!("string"), "What failed."),
            "causes": { "type": "array", "items": texts, "description": "Why, one cause after the other." },
            "help": field(json!(["string", "null"]), "Something to do."),
            "error_class": field(json!("string"), "`transient`, `data`, `system` or `usage`."),
            "exit_code": field(json!("integer"), "As the process ends."),
            "problems": {
                "type": "array",
                "items": texts,
                "description": "Every mistake of the configuration, with file, line and key.",
            },
        },
    })
}
