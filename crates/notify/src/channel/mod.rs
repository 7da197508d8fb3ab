//! What carries a message to people: one file each, all behind one contract.
//!
//! A carrier tries once and says why it could not; trying again is for the outbox. Addresses and secrets come from the
//! configuration only, and stand in no error.

mod email;
mod exec;
mod http;
mod slack;
mod telegram;
mod webhook;

pub use email::{Email, is_address};
pub use exec::Exec;
pub use slack::Slack;
pub use telegram::Telegram;
pub use webhook::{SIGNATURE, Webhook, signature};

pub(crate) use http::call;

use crate::message::Message;
use std::time::Duration;

/// Carries messages.
pub trait Carrier: Send + Sync {
    /// Tries once, for no longer than `patience`.
    fn carry(&self, letter: &Letter, patience: Duration) -> Result<(), Refused>;
}

/// A message, ready to be sent.
pub struct Letter<'a> {
    /// The same at every try, so that the other side can tell a repetition.
    pub id: &'a str,
    /// What is said.
    pub message: &'a Message,
    /// The title, as this channel has it.
    pub title: String,
    /// The text, as this channel has it.
    pub text: String,
    /// Who gets it instead of those that the channel names.
    pub recipients: &'a [String],
}

/// Why a message could not be carried.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// For people.
    pub why: String,
    /// The other side asks not to be tried again before this time.
    pub later: Option<Duration>,
}

impl Refused {
    /// For this reason.
    pub fn because(why: impl Into<String>) -> Self {
        Self { why: why.into(), later: None }
    }
}

/// The beginning of a text, cut between two characters.
fn beginning(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(2)).chain(" …".chars()).collect()
}
