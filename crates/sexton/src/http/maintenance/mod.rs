//! `/api/v1/admin/maintenance`: the routes of another service (A1 to A3) over the same engine, for clients that were written for it.
//!
//! They speak camelCase, take snake_case as well, and are for administrators alone. A second path comes from the
//! configuration. Looking is the default; who says `dryRun: false` has confirmed by that, except for what is CRITICAL.

mod actions;
mod schedules;
mod status;

use super::Api;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Where they are.
pub const PATH: &str = "/api/v1/admin/maintenance";

/// All routes.
pub fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(status::look, actions::act))
        .routes(routes!(schedules::list, schedules::create))
        .routes(routes!(schedules::show, schedules::change, schedules::remove))
        .routes(routes!(schedules::run))
}
