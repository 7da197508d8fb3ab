//! `/api/v1`: our own API.

mod backups;
mod lists;
mod looks;
mod migrations;
mod plans;
mod runs;
mod schedules;
mod undo;

pub use looks::recent;
pub use plans::{Wanted, only_plain, request};
pub use schedules::{changed, expected};

use super::{Api, session};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Signing in, for those who have no session yet.
pub fn sign_in() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(session::begin))
}

/// All other routes.
pub fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(session::show, session::end))
        .routes(routes!(lists::status))
        .routes(routes!(lists::databases))
        .routes(routes!(looks::findings))
        .routes(routes!(looks::sizes))
        .routes(routes!(lists::operations))
        .routes(routes!(lists::channels))
        .routes(routes!(lists::audit))
        .routes(routes!(plans::plan))
        .routes(routes!(runs::list, runs::begin))
        .routes(routes!(runs::show))
        .routes(routes!(runs::events))
        .routes(routes!(runs::cancel))
        .routes(routes!(runs::resume))
        .routes(routes!(undo::preview, undo::begin))
        .routes(routes!(undo::points))
        .routes(routes!(undo::point))
        .routes(routes!(backups::list))
        .routes(routes!(migrations::list))
        .routes(routes!(migrations::impact))
        .routes(routes!(schedules::list))
        .routes(routes!(schedules::due))
        .routes(routes!(schedules::show, schedules::put, schedules::remove))
        .routes(routes!(schedules::run))
        .routes(routes!(schedules::enable))
        .routes(routes!(schedules::disable))
        .routes(routes!(schedules::approve))
        .routes(routes!(schedules::refuse))
        .routes(routes!(schedules::withdraw))
}
