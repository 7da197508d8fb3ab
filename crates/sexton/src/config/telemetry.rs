//! Traces of runs for OpenTelemetry: where they go.

use super::channels::check_web_address;
use super::document::Node;
use super::problem::Problem;
use super::resolve::Outside;
use notify::Traces;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Traces of runs for OpenTelemetry.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetrySection {
    /// The address of an OTLP receiver over HTTP, such as `http://localhost:4318`: `/v1/traces` below it gets a trace of each run. `${NAME}`
    /// or `file:/path` where it is a secret.
    pub otlp: Option<String>,
    /// Headers of these calls, such as `{ authorization = "Bearer ${TOKEN}" }`.
    pub headers: BTreeMap<String, String>,
}

/// Checks what no schema can.
pub fn check(telemetry: &Node, problems: &mut Vec<Problem>) {
    check_web_address(telemetry.entry("otlp"), problems);
    for (name, node) in telemetry.entry("headers").map(Node::entries).unwrap_or_default() {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        {
            let what = format!("`{name}` is no name of a header");
            let problem = Problem::new(&node.path, node.name_span.clone(), what);
            problems.push(problem.help("write it like `authorization`"));
        }
    }
}

/// Where traces go, from a tree that passed its check.
pub(super) fn traces(tree: &Node, outside: &mut Outside) -> Option<Arc<Traces>> {
    let telemetry = tree.entry("telemetry")?;
    let url = outside.secret(telemetry.entry("otlp")?)?;
    let headers = telemetry.entry("headers").map(Node::entries).unwrap_or_default();
    let headers = headers.iter().filter_map(|(name, node)| Some((name.clone(), outside.secret(node)?)));
    Some(Arc::new(Traces::to(&url, headers.collect())))
}
