//! The REST API, for people's own programs and for the page, and the page itself. The only async part: the engine works on threads of its own.
//!
//! Nothing here decides anything: a request becomes the same `Request` as at the command line, and what comes of it is shown.
//! Whatever is typed here is a name, a number or an option; statements in SQL come only from the configuration.

mod auth;
mod begin;
mod cleanup;
mod document;
mod error;
mod health;
mod limits;
mod maintenance;
mod metrics;
mod page;
mod pool;
mod session;
mod shelf;
mod tls;
mod v1;

use crate::config::Config;
use crate::metrics::Gathered;
use crate::trouble::Trouble;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue};
use axum::{Router, middleware};
use engine::Stop;
use jiff::{SignedDuration, Timestamp};
use limits::Limits;
use pool::Pool;
use shelf::Shelf;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

/// The largest body that is read.
const LARGEST: usize = 256 * 1024;

/// What every handler has.
pub struct Api {
    /// What was configured.
    pub config: Arc<Config>,
    /// Engines that are free.
    pub pool: Pool,
    /// Asked when the process ends: runs that were begun here end their batch.
    pub stop: Stop,
    /// When it began to serve.
    pub began: Timestamp,
    /// Who called how often.
    pub limits: Limits,
    /// How the databases were when they were last asked.
    pub health: health::Seen,
    /// What was gathered for the metrics so far.
    pub gathered: Mutex<Gathered>,
    /// What was found in each database lately.
    pub looks: Shelf<serde_json::Value>,
}

/// How much is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// The page, the API, and what follows.
    Whole,
    /// Whether the process lives and can do its work, and its figures.
    Health,
}

fn router(api: &Arc<Api>, face: Face) -> Router {
    if face == Face::Health {
        let answers = health::routes().merge(figures(api)).with_state(Arc::clone(api));
        return dressed(answers);
    }
    let guard = middleware::from_fn_with_state(Arc::clone(api), auth::check);
    // Who signs in has no session yet.
    let own = v1::routes().route_layer(guard.clone()).merge(v1::sign_in());
    let others = |path: &str, routes: OpenApiRouter<Arc<Api>>| {
        OpenApiRouter::new().nest(path, routes.route_layer(guard.clone()))
    };
    let mut all = OpenApiRouter::with_openapi(document::Document::openapi())
        .nest("/api/v1", own)
        .merge(others(maintenance::PATH, maintenance::routes()));
    if api.config.api.cleanup.is_some() {
        all = all.merge(others("/api/cleanup", cleanup::routes()));
    }
    let (mut routes, document) = all.split_for_parts();
    if let Some(alias) = &api.config.api.maintenance_alias {
        // The same again: the document tells of it once.
        routes = routes.merge(others(alias, maintenance::routes()).split_for_parts().0);
    }
    let document = Arc::new(document::whole(&document));
    let openapi = Router::new()
        .route(
            "/api/openapi.json",
            axum::routing::get(move || async move { axum::Json((*document).clone()) }),
        )
        .route_layer(guard);
    let answers = health::routes().merge(page::routes()).merge(figures(api)).merge(openapi).merge(routes);
    dressed(answers.with_state(Arc::clone(api)))
}

/// `/metrics`, for those who have a token, unless it is for all.
fn figures(api: &Arc<Api>) -> Router<Arc<Api>> {
    match api.config.api.open_metrics {
        true => metrics::routes(),
        false => metrics::routes().route_layer(middleware::from_fn_with_state(Arc::clone(api), auth::check)),
    }
}

/// What every answer has.
fn dressed(answers: Router) -> Router {
    let header = |name: &'static str, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    answers
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(DefaultBodyLimit::max(LARGEST))
        .layer(middleware::from_fn(error::not_too_large))
        .layer(middleware::from_fn(error::with_correlation))
        .layer(header("cache-control", "no-store"))
        .layer(header("x-content-type-options", "nosniff"))
        .layer(header("content-security-policy", "default-src 'none'; frame-ancestors 'none'"))
}

/// Serves until the process is asked to stop. `told` hears where, once it answers.
pub fn serve(
    config: Arc<Config>,
    at: SocketAddr,
    face: Face,
    stop: &Stop,
    told: impl FnOnce(&str),
) -> Result<(), Trouble> {
    let failed = |error: std::io::Error| Trouble {
        help: Some("name another address with `--listen`, such as 127.0.0.1:7980".to_owned()),
        ..Trouble::system(format!("nothing can be served at {at}"), error)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("sexton-http")
        .enable_all()
        .build()
        .map_err(failed)?;
    let pool = Pool::new(Arc::clone(&config));
    let engine = pool.take();
    let began = engine.clock().now();
    pool.give(engine);
    let limits = Limits::new(config.api.calls_per_minute);
    let (health, gathered) = (health::Seen::default(), Mutex::default());
    let api = Arc::new(Api {
        pool,
        config,
        stop: stop.clone(),
        began,
        limits,
        health,
        gathered,
        looks: Shelf::new(SignedDuration::from_secs(60)),
    });
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(at).await.map_err(failed)?;
        let bound = listener.local_addr().unwrap_or(at);
        let stopped = stop.clone();
        let ended = async move {
            while !stopped.asked() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let files = &api.config.api;
        if let (Some(certificate), Some(key)) = (files.certificate.clone(), files.key.clone()) {
            let listener = tls::listen(listener, tls::Files { certificate, key })?;
            told(&format!("https://{bound}"));
            return axum::serve(listener, router(&api, face))
                .with_graceful_shutdown(ended)
                .await
                .map_err(failed);
        }
        told(&format!("http://{bound}"));
        axum::serve(listener, router(&api, face)).with_graceful_shutdown(ended).await.map_err(failed)
    })?;
    // Streams of events are cut: whoever listens asks again.
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(())
}
