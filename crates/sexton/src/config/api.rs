//! The REST API in the configuration: who may ask how often, over what, and which routes of other services it has.

use super::document::Node;
use super::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The REST API of `sexton serve --listen`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApiSection {
    /// How many calls a minute each token may make; more are answered with 429.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub calls_per_minute: u32,
    /// The certificate for TLS, and those above it: a PEM file, relative to this file. Without it the API speaks plain HTTP.
    pub certificate: Option<PathBuf>,
    /// The private key of the certificate: a PEM file, relative to this file.
    pub key: Option<PathBuf>,
    /// Whether `/metrics` answers without a token.
    pub open_metrics: bool,
    /// A second path for the routes under `/api/v1/admin/maintenance`, such as `/v1/admin/maintenance`.
    pub maintenance_alias: Option<String>,
    /// The operations behind the routes under `/api/cleanup`. Without them these routes are not there.
    pub cleanup: Option<CleanupRoutes>,
}

impl Default for ApiSection {
    fn default() -> Self {
        Self {
            calls_per_minute: 600,
            certificate: None,
            key: None,
            open_metrics: false,
            maintenance_alias: None,
            cleanup: None,
        }
    }
}

impl ApiSection {
    /// With whole paths: those of the file begin in its folder.
    pub fn within(self, folder: &Path) -> Self {
        let whole = |own: PathBuf| folder.join(own);
        Self { certificate: self.certificate.map(whole), key: self.key.map(whole), ..self }
    }
}

/// The operations behind the routes under `/api/cleanup`: kinds `merge`, of which the first two only look.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CleanupRoutes {
    /// What `check` runs: a merge with `mode = "check"`.
    pub check: String,
    /// What `verify` runs: a merge with `mode = "verify"`.
    pub verify: String,
    /// What `cleanup` runs.
    pub cleanup: String,
}

/// Checks what no schema can: operations that must exist, two files that belong together, a path that is free.
pub fn check(api: &Node, tree: &Node, problems: &mut Vec<Problem>) {
    let operations = tree.entry("operation").map(Node::entries).unwrap_or_default();
    let names: Vec<&str> = operations.iter().map(|(name, _)| name.as_str()).collect();
    for (route, named) in api.entry("cleanup").map(Node::entries).unwrap_or_default() {
        let Some(name) = named.text() else { continue };
        let problem = |what: String| Problem::new(&named.path, named.span.clone(), what);
        let Some((_, operation)) = operations.iter().find(|(known, _)| known == name) else {
            let what = format!("there is no operation `{name}`");
            problems.push(problem(what).among(name, names.iter().copied()));
            continue;
        };
        let text = |key: &str| operation.entry(key).and_then(Node::text);
        let is_merge = text("kind") == Some("merge");
        // Whoever calls these two has agreed to nothing.
        if ["check", "verify"].contains(&route.as_str()) && !(is_merge && text("mode") == Some(route)) {
            let what = format!("`{name}` does not only look");
            problems.push(problem(what).help(format!("name a merge with `mode = \"{route}\"`")));
        } else if !is_merge {
            problems.push(problem(format!("`{name}` is no merge")).help("name an operation of kind `merge`"));
        }
    }
    if let (Some(alone), None) | (None, Some(alone)) = (api.entry("certificate"), api.entry("key")) {
        let what = "a certificate and its key belong together";
        problems.push(
            Problem::new(&alone.path, alone.name_span.clone(), what)
                .help("say both `certificate = \"…\"` and `key = \"…\"`, or none"),
        );
    }
    if let Some(alias) = api.entry("maintenance_alias")
        && let Some(path) = alias.text()
        && !is_free(path)
    {
        let what = format!("`{path}` cannot be a second path");
        problems.push(
            Problem::new(&alias.path, alias.span.clone(), what)
                .help("write it like `/v1/admin/maintenance`; paths under `/api` are taken"),
        );
    }
}

fn is_free(path: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    let taken = ["api", "live", "health", "ready", "metrics", "js", "app.css", "parts.css", "icon.svg"];
    let mut parts = path.strip_prefix('/').unwrap_or_default().split('/');
    parts.clone().all(plain) && parts.next().is_some_and(|first| !taken.contains(&first))
}
