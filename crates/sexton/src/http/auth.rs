//! Who asks, and whether they may.

use super::Api;
use super::error::Refusal;
use super::{limits, session};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use engine::{Role, Token};
use std::sync::Arc;

/// Lets a request through that has a token, or the cookie of a session, and remembers whose it is.
pub async fn check(
    State(api): State<Arc<Api>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let unknown = || {
        Refusal::new(
            StatusCode::UNAUTHORIZED,
            "unauthorised",
            "send a token that holds: `Authorization: Bearer …`; `sexton token create` makes one",
        )
    };
    let headers = request.headers();
    let token = match headers.get(header::AUTHORIZATION) {
        Some(given) => {
            let secret = given.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
            known_token(&api, secret.map(str::trim).ok_or_else(unknown)?.to_owned()).await?
        }
        None => match session::secret(headers) {
            Some(secret) => {
                let session = session::of(&api, secret).await?.ok_or_else(unknown)?;
                session::must_be_ours(&session, request.method(), headers)?;
                let token = session.token.clone();
                request.extensions_mut().insert(session);
                Some(token)
            }
            None => None,
        },
    };
    let token = token.ok_or_else(unknown)?;
    api.limits.allow(&token.id)?;
    request.extensions_mut().insert(token);
    Ok(next.run(request).await)
}

/// The token of a secret, if it holds. Secrets are not tried out for long.
pub async fn known_token(api: &Arc<Api>, secret: String) -> Result<Option<Token>, Refusal> {
    let known = api
        .with(move |engine, _| {
            Ok(engine.tokens()?.check(&secret, engine.clock().now()).map_err(engine::Failure::from)?)
        })
        .await?;
    if known.is_none() {
        api.limits.allow(limits::UNKNOWN)?;
    }
    Ok(known)
}

/// Somebody with a token that may look: who it is does not matter.
pub struct Reader;

/// The holder of a token that may run what is configured.
pub struct Runner(pub Token);

/// The holder of a token that may change schedules.
pub struct Admin(pub Token);

fn holder(parts: &Parts, least: Role) -> Result<Token, Refusal> {
    let token = parts.extensions.get::<Token>().cloned().ok_or_else(Refusal::broken)?;
    at_least(&token, least, "this call")?;
    Ok(token)
}

fn at_least(token: &Token, least: Role, what: &str) -> Result<(), Refusal> {
    if token.role >= least {
        return Ok(());
    }
    let what = format!("this token has the role `{}`; {what} needs `{}`", token.role.name(), least.name());
    Err(Refusal::new(StatusCode::FORBIDDEN, "forbidden", what))
}

/// Guards are overridden by administrators only (W-066).
pub fn may_force(token: &Token, force: bool) -> Result<(), Refusal> {
    match force {
        true => at_least(token, Role::Admin, "`force`").map_err(|refusal| refusal.field("force")),
        false => Ok(()),
    }
}

macro_rules! needs {
    ($holder:ident, $role:expr) => {
        impl<S: Send + Sync> FromRequestParts<S> for $holder {
            type Rejection = Refusal;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
                holder(parts, $role).map($holder)
            }
        }
    };
}

impl<S: Send + Sync> FromRequestParts<S> for Reader {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        holder(parts, Role::Read).map(|_| Reader)
    }
}

needs!(Runner, Role::Run);
needs!(Admin, Role::Admin);

/// Who is at work, for the audit trail.
pub fn actor(token: &Token) -> String {
    format!("token {}", token.name)
}
