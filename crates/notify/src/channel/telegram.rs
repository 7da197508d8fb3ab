//! Telegram: a bot writes to a chat. Its token is part of the address and stands nowhere else.

use super::{Carrier, Letter, Refused, beginning, call};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use std::time::Duration;

/// Telegram's own server.
pub const SERVER: &str = "https://api.telegram.org";
/// Telegram refuses what is longer.
const LONGEST: usize = 4_000;

/// A bot and a chat.
pub struct Telegram {
    /// The server; Telegram's own by default.
    pub api: Option<String>,
    /// The token of the bot.
    pub token: SecretString,
    /// The chat.
    pub chat: String,
}

impl Carrier for Telegram {
    fn carry(&self, letter: &Letter, patience: Duration) -> Result<(), Refused> {
        let server = self.api.as_deref().unwrap_or(SERVER).trim_end_matches('/');
        let token = self.token.expose_secret();
        let url = SecretString::from(format!("{server}/bot{token}/sendMessage"));
        let text = beginning(&format!("{}\n\n{}", letter.title, letter.text), LONGEST);
        // Several are several letters.
        let chat = letter.recipients.first().unwrap_or(&self.chat);
        let body = json!({ "chat_id": chat, "text": text, "disable_web_page_preview": true }).to_string();
        let called = call("POST", &url, patience, |request| {
            request.header("content-type", "application/json").body(body)
        });
        called.map_err(|refused| Refused { why: refused.why.replace(token, "…"), ..refused })
    }
}
