//! The one shape of everything that goes wrong (A5), and the id under which it is in the log.

use crate::trouble::Trouble;
use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use engine::{Class, new_id};
use serde::Serialize;
use serde_json::Value;
use std::any::Any;
use std::ops::RangeInclusive;
use utoipa::ToSchema;

/// The header of the id.
const CORRELATION: &str = "x-correlation-id";

tokio::task_local! {
    /// The id of the call that is being answered.
    static CALL: String;
}

/// The id of the call that is being answered; none in threads that outlive it.
pub fn of_this_call() -> Option<String> {
    CALL.try_with(String::clone).ok()
}

/// Something that goes wrong.
#[derive(Debug, Serialize, ToSchema)]
pub struct Wrong {
    /// It.
    pub error: What,
}

/// What goes wrong.
#[derive(Debug, Serialize, ToSchema)]
pub struct What {
    /// For programs: `not_found`, `unauthorised`, `usage`, `refused`, `busy`, …
    pub code: String,
    /// For people, with what to do.
    pub message: String,
    /// The part of the request that is wrong.
    pub field: Option<String>,
    /// Under which it is in the log.
    pub correlation_id: String,
}

impl What {
    /// Of a code. The id is filled in where the answer leaves.
    pub fn new(code: &str, message: String) -> Self {
        Self { code: code.to_owned(), message, field: None, correlation_id: String::new() }
    }
}

/// Why a request is not answered with what was asked.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    field: Option<String>,
    retry_after: Option<u64>,
}

impl Refusal {
    /// Of a status and a code.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), field: None, retry_after: None }
    }

    /// After so many seconds it may be asked again.
    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// The same with another status and code.
    pub fn with_status(self, status: StatusCode, code: &'static str) -> Self {
        Self { status, code, ..self }
    }

    /// The part of the request that is wrong.
    pub fn field(self, name: &str) -> Self {
        Self { field: Some(name.to_owned()), ..self }
    }

    /// There is no such thing.
    pub fn missing(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", what)
    }

    /// What was asked for cannot be.
    pub fn is_usage(&self) -> bool {
        self.code == "usage"
    }

    /// Somebody else was quicker.
    pub fn is_changed(&self) -> bool {
        self.message.contains("changed meanwhile")
    }

    /// A mistake of ours.
    pub fn broken() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something broke here; the log says what")
    }
}

impl From<Trouble> for Refusal {
    fn from(trouble: Trouble) -> Self {
        use crate::exit::Exit;
        let (status, code) = match (trouble.exit, trouble.class) {
            (Exit::Refused, _) => (StatusCode::CONFLICT, "refused"),
            (Exit::Busy, _) => (StatusCode::CONFLICT, "busy"),
            (_, Class::Usage) => (StatusCode::UNPROCESSABLE_ENTITY, "usage"),
            (_, Class::Data) => (StatusCode::CONFLICT, "data"),
            (_, Class::Transient) => (StatusCode::SERVICE_UNAVAILABLE, "transient"),
            (_, _) => (StatusCode::SERVICE_UNAVAILABLE, "system"),
        };
        let mut message = trouble.causes.join(": ");
        if let Some(help) = trouble.help {
            message = format!("{message} ({help})");
        }
        Self::new(status, code, message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let what = What { field: self.field, ..What::new(self.code, self.message) };
        let mut answer = (self.status, Json(&Wrong { error: what })).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }
}

/// A number that was given, if it is one of these.
pub fn within(name: &str, given: Option<u64>, fine: RangeInclusive<u64>) -> Result<Option<u64>, Refusal> {
    match given {
        Some(number) if !fine.contains(&number) => {
            let what = format!("`{name}` is a number from {} to {}", fine.start(), fine.end());
            Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "usage", what).field(name))
        }
        given => Ok(given),
    }
}

/// No number of rows is larger.
pub const LARGEST_NUMBER: u64 = i64::MAX as u64;

/// A body of JSON; what is wrong with it is told in our shape.
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        use axum::extract::rejection::JsonRejection;
        let body = match Json::<Value>::from_request(request, state).await {
            Ok(Json(body)) => body,
            Err(JsonRejection::MissingJsonContentType(_)) => {
                return Err(Refusal::new(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "media_type",
                    "the body must be JSON: send `content-type: application/json`",
                ));
            }
            Err(wrong) if wrong.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                return Err(Refusal::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "too_large",
                    "the body is too large",
                ));
            }
            Err(wrong) => {
                return Err(Refusal::new(StatusCode::BAD_REQUEST, "malformed", wrong.body_text()));
            }
        };
        let unfit = |why: &str| {
            Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "usage", format!("the body does not fit: {why}"))
        };
        // A list would be taken for the values of an object, in an order that nobody has written down.
        if body.is_array() {
            return Err(unfit("it is a list, and has to be an object"));
        }
        serde_json::from_value(body).map(JsonBody).map_err(|error| unfit(&error.to_string()))
    }
}

/// There is no such path.
pub async fn no_such_path() -> Refusal {
    Refusal::missing("there is no such path; /api/openapi.json lists those there are")
}

/// The path has no such method.
pub async fn no_such_method() -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method", "this path does not take this method")
}

/// A handler panicked.
pub fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    Refusal::broken().into_response()
}

/// Refuses a body that says itself that it is too large. What is already under way is read, so that the answer is seen.
pub async fn not_too_large(request: Request, next: Next) -> Response {
    let length = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_none_or(|length| length <= super::LARGEST) {
        return next.run(request).await;
    }
    let _ = axum::body::to_bytes(request.into_body(), 4 * super::LARGEST).await;
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body is too large").into_response()
}

/// Gives every answer its id, and writes down what goes wrong under it.
pub async fn with_correlation(request: Request, next: Next) -> Response {
    let given = request.headers().get(CORRELATION).and_then(|id| id.to_str().ok());
    let fine = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let id = given.filter(fine).map_or_else(new_id, str::to_owned);
    let asked = format!("{} {}", request.method(), request.uri().path());
    let mut answer = CALL.scope(id.clone(), next.run(request)).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert(CORRELATION, value);
    }
    let status = answer.status();
    if !status.is_client_error() && !status.is_server_error() {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    let bytes = axum::body::to_bytes(body, super::LARGEST).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut document: Value = match serde_json::from_slice(&bytes) {
        Ok(document) => document,
        // An answer of a layer below, mostly about a path or a query: in our shape all the same.
        Err(_) => {
            let code = if status == StatusCode::BAD_REQUEST { "malformed" } else { "refused" };
            serde_json::json!({ "error": { "code": code, "message": text, "field": null } })
        }
    };
    document["error"]["correlation_id"] = id.clone().into();
    let message = document["error"]["message"].as_str().unwrap_or_default();
    if status.is_server_error() {
        tracing::error!(correlation = %id, status = status.as_u16(), "{asked}: {message}");
    } else {
        tracing::info!(correlation = %id, status = status.as_u16(), "{asked}: {message}");
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Response::from_parts(parts, Body::from(document.to_string()))
}
