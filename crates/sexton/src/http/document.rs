//! The OpenAPI document. Handlers say what they take and what they give; what all of them have in common stands here once: who
//! may call, and how whatever goes wrong is answered (A5).

use super::Api;
use super::error::Wrong;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use scheduler::Definition;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::{OpenApi, PartialSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The document, without the paths, which come from the handlers.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sexton",
        description = "Plans, runs, watches and undoes the maintenance of databases. Every call but `/live`, `/ready`, `/health` and the sign-in \
                       needs a token (`sexton token create`) as `Authorization: Bearer …`, or the cookie of a session and, to change \
                       something, its proof in `x-sexton-proof`.",
        license(name = "MIT OR Apache-2.0")
    ),
    components(schemas(Wrong))
)]
pub struct Document;

/// What a call needs so that an answer can be of this status.
#[derive(Clone, Copy, PartialEq)]
enum Needs {
    Nothing,
    /// A part of the path, or a body: something that can be named and not be there.
    Name,
    Body,
    /// A part of the path, a query, a header or a body: something that can be misspelt.
    Parts,
    /// `If-Match`.
    Version,
}

/// Every answer to what goes wrong, in the one shape.
const ANSWERS: [(u16, Needs, &str); 12] = [
    (400, Needs::Parts, "It cannot be read, or there is no such action"),
    (401, Needs::Nothing, "There is no token, or one that does not hold"),
    (403, Needs::Nothing, "The role of the token is not enough, or a call by cookie lacks its proof"),
    (404, Needs::Name, "What was named is not there"),
    (
        409,
        Needs::Nothing,
        "It is refused as things are: not confirmed, in the way of another, or against a guard",
    ),
    (412, Needs::Version, "Somebody changed it meanwhile"),
    (413, Needs::Body, "The body is too large"),
    (415, Needs::Body, "The body is not JSON"),
    (422, Needs::Nothing, "It can be read, and asks for what cannot be"),
    (429, Needs::Nothing, "Too many calls; `retry-after` says how many seconds to wait"),
    (500, Needs::Nothing, "Something broke here; it is in the log"),
    (503, Needs::Nothing, "The state or a database does not answer; try again"),
];

/// `/api/openapi.json`.
pub fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(show))
}

/// This document. It is made when it is first asked for: most processes never are.
#[utoipa::path(get, path = "/api/openapi.json", responses((status = 200, body = Value)))]
async fn show(State(api): State<Arc<Api>>) -> Response {
    let text = api.document.get_or_init(|| {
        let document = super::documented(&api).into_openapi();
        whole(&document, api.config.api.open_metrics).to_string().into()
    });
    ([(header::CONTENT_TYPE, "application/json")], text.clone()).into_response()
}

/// Whether a call can be answered with this, where that is not as for all calls of the API.
fn fits(path: &str, status: u16, open_metrics: bool) -> bool {
    match path {
        "/live" | "/health" => status == 500,
        "/ready" => [500, 503].contains(&status),
        "/metrics" if open_metrics => [500, 503].contains(&status),
        "/metrics" | "/api/openapi.json" => [401, 429, 500, 503].contains(&status),
        _ => true,
    }
}

/// The document with what all operations have in common.
fn whole(document: &utoipa::openapi::OpenApi, open_metrics: bool) -> Value {
    let mut document = json!(document);
    let inline = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let components = &mut document["components"];
    components["schemas"]["Schedule"] =
        inline.into_generator().into_root_schema_for::<Definition>().to_value();
    components["schemas"]["Wrong"] = json!(Wrong::schema());
    components["securitySchemes"] = json!({ "token": { "type": "http", "scheme": "bearer" } });
    for (status, _, what) in ANSWERS {
        components["responses"][status.to_string()] = json!({
            "description": what,
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Wrong" } } },
        });
    }
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (path, methods) in paths {
        // Who signs in has no token yet, and who asks whether it lives needs none.
        let needs_none = |method: &str| match path.as_str() {
            "/api/v1/session" => method == "post",
            path => !fits(path, 401, open_metrics),
        };
        for (method, operation) in methods.as_object_mut().into_iter().flatten() {
            if !needs_none(method) {
                operation["security"] = json!([{ "token": [] }]);
            }
            let parts: Vec<&str> =
                path.split(['/', '{', '}', '-', '.']).filter(|part| !part.is_empty()).collect();
            operation["operationId"] = format!("{method}_{}", parts.join("_")).into();
            for answer in
                operation["responses"].as_object_mut().into_iter().flat_map(serde_json::Map::values_mut)
            {
                if answer["description"] == "" {
                    answer["description"] = "It is done, or found".into();
                }
            }
            let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
            for parameter in parameters.into_iter().flatten() {
                leave_out_null(&mut parameter["schema"]);
            }
            for (status, needs, _) in ANSWERS {
                if can_be(operation, needs) && fits(path, status, open_metrics) {
                    operation["responses"][status.to_string()] =
                        json!({ "$ref": format!("#/components/responses/{status}") });
                }
            }
        }
    }
    without_widths(&mut document);
    document
}

/// How wide a number is in this program is nobody's business, and would say that larger ones are refused for it.
fn without_widths(schema: &mut Value) {
    match schema {
        Value::Object(own) => {
            if own.get("format").and_then(Value::as_str).is_some_and(|format| format.contains("int")) {
                own.shift_remove("format");
            }
            own.values_mut().for_each(without_widths);
        }
        Value::Array(all) => all.iter_mut().for_each(without_widths),
        _ => {}
    }
}

/// What need not be said in a path, a query or a header is left out there: there is no null in them.
fn leave_out_null(schema: &mut Value) {
    let kinds = schema.get("type").and_then(Value::as_array).into_iter().flatten();
    let mut kinds: Vec<Value> = kinds.filter(|kind| *kind != "null").cloned().collect();
    if let (Some(kind), true) = (kinds.pop(), kinds.is_empty()) {
        schema["type"] = kind;
    }
}

fn can_be(operation: &Value, needs: Needs) -> bool {
    let body = operation.get("requestBody").is_some();
    let parameters = || operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
    match needs {
        Needs::Nothing => true,
        Needs::Body => body,
        Needs::Parts => body || parameters().next().is_some(),
        Needs::Name => body || parameters().any(|one| one["in"] == "path"),
        Needs::Version => parameters().any(|one| one["name"] == "If-Match"),
    }
}
