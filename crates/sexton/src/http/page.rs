//! The page: files of `web/`, embedded as they are. Nothing of it is secret; what it shows comes from the API, to whoever has
//! signed in there.
//!
//! No file comes from elsewhere, and the browser is told to refuse any that would: no script, style, frame or connection that
//! is not from here, and no text that is taken for markup.

use super::Api;
use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// What the browser may do with the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

/// A file of the page.
#[derive(Clone, Copy)]
struct File {
    path: &'static str,
    bytes: &'static [u8],
}

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(File { path: $path, bytes: include_bytes!(concat!("../../web/", $path)) }),*]
    };
}

/// All of them.
const FILES: &[File] = files![
    "index.html",
    "app.css",
    "parts.css",
    "icon.svg",
    "js/api.js",
    "js/charts.js",
    "js/dialog.js",
    "js/dom.js",
    "js/main.js",
    "js/parts.js",
    "js/theme.js",
    "js/words.js",
    "js/views/audit.js",
    "js/views/backups.js",
    "js/views/database.js",
    "js/views/findings.js",
    "js/views/migrations.js",
    "js/views/operation.js",
    "js/views/operations.js",
    "js/views/overview.js",
    "js/views/plan.js",
    "js/views/report.js",
    "js/views/run.js",
    "js/views/runs.js",
    "js/views/schedule_form.js",
    "js/views/schedules.js",
    "js/views/sign_in.js",
    "js/views/trends.js",
    "js/views/undo.js",
];

impl File {
    fn kind(&self) -> &'static str {
        match self.path.rsplit('.').next() {
            Some("html") => "text/html; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            _ => "image/svg+xml",
        }
    }

    /// The same for the same bytes: a browser asks again and is told that nothing has changed.
    fn tag(&self) -> String {
        let mut hash = DefaultHasher::new();
        self.bytes.hash(&mut hash);
        format!("\"{:016x}\"", hash.finish())
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let tag = self.tag();
        let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let mut answer = match known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag)) {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => self.bytes.into_response(),
        };
        let own = answer.headers_mut();
        own.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind()));
        own.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        own.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        own.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        own.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
        own.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            own.insert(header::ETAG, tag);
        }
        answer
    }
}

/// `/` and the files beside it.
pub fn routes() -> Router<Arc<Api>> {
    FILES.iter().fold(Router::new(), |router, file| {
        let path = if file.path == "index.html" { "/".to_owned() } else { format!("/{}", file.path) };
        router.route(&path, get(move |headers: HeaderMap| async move { file.answer(&headers) }))
    })
}
