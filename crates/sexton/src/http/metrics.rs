//! `/metrics`, for Prometheus.

use super::Api;
use super::error::Refusal;
use crate::metrics;
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;

/// `/metrics`.
pub fn routes() -> Router<Arc<Api>> {
    Router::new().route("/metrics", get(show))
}

async fn show(State(api): State<Arc<Api>>) -> Result<Response, Refusal> {
    let own = Arc::clone(&api);
    let text = api.with(move |engine, config| {
        let mut gathered = own.gathered.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        gathered.go_on(engine)?;
        metrics::text(engine, config, &gathered)
    });
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text.await?).into_response())
}
