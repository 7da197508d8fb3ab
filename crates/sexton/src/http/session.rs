//! Sessions of the page: a token is typed once and exchanged for a cookie that scripts cannot read and other sites cannot send.
//!
//! The cookie holds a random secret of which the state keeps a checksum. A request by cookie that changes something must repeat
//! the session's proof in a header, which no form and no other site can set. Calls with a token of their own need neither.

use super::Api;
use super::auth::{Reader, known_token};
use super::error::{JsonBody, Refusal};
use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::{PageSession, Token};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// The name of the cookie.
const COOKIE: &str = "sexton_session";
/// The header that repeats the proof.
const PROOF: &str = "x-sexton-proof";

/// Signing in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The secret of a token.
    token: String,
}

/// Who is signed in.
#[derive(Serialize, ToSchema)]
pub struct SignedIn {
    /// The name of the token.
    name: String,
    /// What its holder may do: `read`, `run` or `admin`.
    role: &'static str,
    /// Until when the session holds; null for a call with a token of its own.
    #[schema(value_type = Option<String>)]
    expires: Option<Timestamp>,
    /// What calls by cookie that change something send as `x-sexton-proof`.
    proof: Option<String>,
    /// The version of the program.
    version: &'static str,
}

fn told(token: &Token, session: Option<&PageSession>) -> Json<SignedIn> {
    Json(SignedIn {
        name: token.name.clone(),
        role: token.role.name(),
        expires: session.map(|session| session.expires),
        proof: session.map(|session| session.proof.clone()),
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// The secret that the cookie of a request holds.
pub fn secret(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut all = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|one| one.trim().split_once('='));
    all.find(|(name, _)| *name == COOKIE).map(|(_, secret)| secret.to_owned())
}

/// The session of a secret, if it holds.
pub async fn of(api: &Arc<Api>, secret: String) -> Result<Option<PageSession>, Refusal> {
    api.with(move |engine, _| {
        Ok(engine.sessions()?.check(&secret, engine.clock().now()).map_err(engine::Failure::from)?)
    })
    .await
}

/// Refuses a call by cookie that changes something and does not come from the page.
pub fn must_be_ours(session: &PageSession, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    if method == Method::GET || method == Method::HEAD {
        return Ok(());
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let elsewhere = ["cross-site", "same-site"].contains(&text("sec-fetch-site"));
    match !elsewhere && session.is_proven_by(text(PROOF)) {
        true => Ok(()),
        false => Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "not_proven",
            "a call by cookie that changes something must repeat the session's proof: send it as `x-sexton-proof`",
        )),
    }
}

/// The cookie of a session, or of none. Where the way is over TLS, ours or that of a proxy that says so, it is never sent without.
fn cookie(api: &Api, secret: &str, seconds: i64, headers: &HeaderMap) -> HeaderValue {
    let by_proxy = headers.get("x-forwarded-proto").is_some_and(|value| value == "https");
    let over_tls = by_proxy || api.config.api.certificate.is_some();
    let secure = if over_tls { "; Secure" } else { "" };
    let text = format!("{COOKIE}={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Signs in: a token that holds is exchanged for a session, as a cookie.
#[utoipa::path(post, path = "/session", request_body = SignIn, responses((status = 201, body = SignedIn)))]
pub async fn begin(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    JsonBody(says): JsonBody<SignIn>,
) -> Result<Response, Refusal> {
    let Some(token) = known_token(&api, says.token.trim().to_owned()).await? else {
        return Err(Refusal::new(
            StatusCode::UNAUTHORIZED,
            "unauthorised",
            "this token does not hold: it was mistyped, taken back, or its time is over (`sexton token list` shows all)",
        ));
    };
    let (session, secret, seconds) = api
        .with(move |engine, _| {
            let now = engine.clock().now();
            let actor = super::auth::actor(&token);
            let (session, secret) = engine.sessions()?.begin(token, now).map_err(engine::Failure::from)?;
            engine.audit(&actor, "sign in", &session.token.id, "")?;
            let seconds = session.expires.duration_since(now).as_secs();
            Ok((session, secret, seconds))
        })
        .await?;
    let mut answer = (StatusCode::CREATED, told(&session.token, Some(&session))).into_response();
    answer.headers_mut().insert(header::SET_COOKIE, cookie(&api, &secret, seconds, &headers));
    Ok(answer)
}

/// Who is signed in.
#[utoipa::path(get, path = "/session", responses((status = 200, body = SignedIn)))]
pub async fn show(
    _: Reader,
    Extension(token): Extension<Token>,
    session: Option<Extension<PageSession>>,
) -> Json<SignedIn> {
    told(&token, session.as_deref())
}

/// Signs out: the session holds no longer.
#[utoipa::path(delete, path = "/session", responses((status = 204)))]
pub async fn end(
    State(api): State<Arc<Api>>,
    _: Reader,
    Extension(token): Extension<Token>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    if let Some(secret) = secret(&headers) {
        let actor = super::auth::actor(&token);
        api.with(move |engine, _| {
            engine.sessions()?.end(&secret).map_err(engine::Failure::from)?;
            Ok(engine.audit(&actor, "sign out", &token.id, "")?)
        })
        .await?;
    }
    let mut answer = StatusCode::NO_CONTENT.into_response();
    answer.headers_mut().insert(header::SET_COOKIE, cookie(&api, "", 0, &headers));
    Ok(answer)
}
