//! Calling an address. Redirections are not followed: the address is that of the configuration and no other.

use super::{Refused, beginning};
use engine::{Clock as _, SystemClock};
use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use std::io::Read;
use std::time::Duration;

/// So much of an answer is told.
const TOLD: usize = 200;
/// And so many bytes of it are read.
const READ: usize = 4_096;

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
    let body = String::from_utf8_lossy(&begun(answer, patience)).replace(url.expose_secret(), "…");
    let body = beginning(body.split_whitespace().collect::<Vec<_>>().join(" ").as_str(), TOLD);
    let told = if body.is_empty() { String::new() } else { format!(": {body}") };
    Err(Refused {
        why: format!("it answered {}{told}", status.as_u16()),
        later: later.map(Duration::from_secs),
    })
}

/// The beginning of an answer, as far as it came in time: whoever sends without end, or byte by byte, is not listened to for longer.
fn begun(mut answer: Response, patience: Duration) -> Vec<u8> {
    let until = SystemClock.tick() + patience;
    let (mut body, mut part) = (Vec::new(), [0; 512]);
    while body.len() < READ && SystemClock.tick() < until {
        match answer.read(&mut part) {
            Ok(read @ 1..) => body.extend_from_slice(&part[..read]),
            _ => break,
        }
    }
    body
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
