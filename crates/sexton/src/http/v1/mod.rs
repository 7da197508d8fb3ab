//! `/api/v1`: our own API.

mod lists;
mod plans;
mod runs;
mod schedules;

use super::Api;
pub use plans::{Wanted, only_plain, request};
pub use schedules::{changed, expected};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// All routes.
pub fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(lists::status))
        .routes(routes!(lists::databases))
        .routes(routes!(lists::operations))
        .routes(routes!(lists::audit))
        .routes(routes!(plans::plan))
        .routes(routes!(runs::list, runs::begin))
        .routes(routes!(runs::show))
        .routes(routes!(runs::events))
        .routes(routes!(runs::cancel))
        .routes(routes!(runs::resume))
        .routes(routes!(runs::undo))
        .routes(routes!(schedules::list))
        .routes(routes!(schedules::show, schedules::put, schedules::remove))
        .routes(routes!(schedules::run))
        .routes(routes!(schedules::enable))
        .routes(routes!(schedules::disable))
        .routes(routes!(schedules::approve))
        .routes(routes!(schedules::withdraw))
}
