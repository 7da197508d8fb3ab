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
use std::sync::{Arc, Mutex, OnceLock};
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
    /// The OpenAPI document, once somebody has asked for it.
    pub document: OnceLock<axum::body::Bytes>,
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
    let (mut routes, _) = match face {
        Face::Health => health::routes().merge(figures(api)),
        Face::Whole => documented(api),
    }
    .split_for_parts();
    if face == Face::Whole {
        routes = routes.merge(page::routes());
        if let Some(alias) = &api.config.api.maintenance_alias {
            // The same again: the document tells of it once.
            routes = routes.merge(guarded(api, alias, maintenance::routes()).split_for_parts().0);
        }
    }
    dressed(routes.with_state(Arc::clone(api)))
}

/// Everything but the page, with what the document says of it.
fn documented(api: &Arc<Api>) -> OpenApiRouter<Arc<Api>> {
    let all = OpenApiRouter::with_openapi(document::Document::openapi())
        .merge(health::routes())
        .merge(figures(api))
        .merge(guarded(api, "", document::routes()))
        // Who signs in has no session yet.
        .nest("/api/v1", guarded(api, "", v1::routes()).merge(v1::sign_in()))
        .merge(guarded(api, maintenance::PATH, maintenance::routes()));
    match api.config.api.cleanup {
        Some(_) => all.merge(guarded(api, "/api/cleanup", cleanup::routes())),
        None => all,
    }
}

/// For those who have a token.
fn guarded(api: &Arc<Api>, path: &str, routes: OpenApiRouter<Arc<Api>>) -> OpenApiRouter<Arc<Api>> {
    let routes = routes.route_layer(middleware::from_fn_with_state(Arc::clone(api), auth::check));
    if path.is_empty() { routes } else { OpenApiRouter::new().nest(path, routes) }
}

/// `/metrics`, for those who have a token, unless it is for all.
fn figures(api: &Arc<Api>) -> OpenApiRouter<Arc<Api>> {
    match api.config.api.open_metrics {
        true => metrics::routes(),
        false => guarded(api, "", metrics::routes()),
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
        document: OnceLock::new(),
    });
    let served = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(at).await.map_err(failed)?;
        let bound = listener.local_addr().unwrap_or(at);
        let stopped = stop.clone();
        let asked = tokio::task::spawn_blocking(move || while !stopped.wait(Duration::from_secs(3_600)) {});
        let ended = async move { drop(asked.await) };
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
    });
    // The thread that waits for it has to end.
    stop.ask();
    // Streams of events are cut: whoever listens asks again.
    runtime.shutdown_timeout(Duration::from_secs(2));
    served
}
