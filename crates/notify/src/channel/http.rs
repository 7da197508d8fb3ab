//! Calling an address. Redirections are not followed: the address is that of the configuration and no other.

use super::{Refused, beginning};
use reqwest::blocking::{Client, RequestBuilder};
use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;

/// So much of an answer is told.
const TOLD: usize = 200;

/// Sends what `make` makes of a request.
pub fn call(
    method: &str,
    url: &SecretString,
    patience: Duration,
    make: impl FnOnce(RequestBuilder) -> RequestBuilder,
) -> Result<(), Refused> {
    let client = Client::builder()
        .redirect(Policy::none())
        .timeout(patience)
        .user_agent(concat!("sexton/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Refused::because(said(error)))?;
    let request = match method {
        "GET" => client.get(url.expose_secret()),
        _ => client.post(url.expose_secret()),
    };
    let answer = make(request).send().map_err(|error| Refused::because(said(error)))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let later = answer.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
    let body = answer.text().unwrap_or_default();
    let body = body.replace(url.expose_secret(), "…");
    let body = beginning(body.split_whitespace().collect::<Vec<_>>().join(" ").as_str(), TOLD);
    let told = if body.is_empty() { String::new() } else { format!(": {body}") };
    Err(Refused {
        why: format!("it answered {}{told}", status.as_u16()),
        later: later.map(Duration::from_secs),
    })
}

/// What went wrong, without the address.
fn said(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = if error.is_timeout() { "it took too long".to_owned() } else { error.to_string() };
    let mut next = std::error::Error::source(&error);
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
