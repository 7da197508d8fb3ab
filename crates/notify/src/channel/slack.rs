//! Slack, and whatever takes the same: short, the title first.

use super::{Carrier, Letter, Refused, beginning, call};
use secrecy::SecretString;
use serde_json::json;
use std::time::Duration;

/// More lines nobody reads in a chat.
const LINES: usize = 15;
/// Slack cuts what is longer.
const LONGEST: usize = 3_500;

/// An incoming webhook.
pub struct Slack {
    /// Its address, which is a secret.
    pub url: SecretString,
}

impl Carrier for Slack {
    fn carry(&self, letter: &Letter, patience: Duration) -> Result<(), Refused> {
        let body = json!({ "text": text(&letter.title, &letter.text) }).to_string();
        call("POST", &self.url, patience, |request| {
            request.header("content-type", "application/json").body(body)
        })
    }
}

fn text(title: &str, text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.len() > LINES {
        // The last lines say which run it was.
        let last = lines.split_off(lines.len() - 2);
        lines.truncate(LINES - 3);
        lines.push("…");
        lines.extend(last);
    }
    // What Slack would read as a link or a mention.
    let plain = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    beginning(&format!("*{}*\n{}", plain(title), plain(&lines.join("\n"))), LONGEST)
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn a_long_text_is_cut_in_the_middle_and_mentions_are_spelled_out() {
        let long: String = (0..40).map(|n| format!("line {n}\n")).collect();
        let cut = text("<!channel> & all", &long);
        assert!(cut.starts_with("*&lt;!channel&gt; &amp; all*\nline 0\n"), "{cut}");
        assert!(cut.contains("\n…\nline 38\nline 39"), "{cut}");
        assert_eq!(cut.lines().count(), 16);
    }
}
