//! `/metrics`, for Prometheus.

use super::Api;
use super::error::Refusal;
use crate::metrics;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// `/metrics`.
pub fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(show))
}

/// Figures for Prometheus, in the form of OpenMetrics.
#[utoipa::path(get, path = "/metrics",
    responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
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
