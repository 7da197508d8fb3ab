//! Several messages as one.

use crate::message::{Event, Level, Message};
use engine::words::of;
use jiff::Timestamp;
use serde_json::json;

/// Of one message so many lines are taken along.
const LINES: usize = 6;

/// One message that says what these say; the worst of them decides what it is about. None of none.
pub fn joined(messages: &[Message], now: Timestamp) -> Option<Message> {
    let worst = messages.iter().max_by_key(|message| (message.level, message.event))?;
    let count = |event: Event| messages.iter().filter(|message| message.event == event).count() as u64;
    let mut parts = Vec::new();
    for (event, one, many) in [
        (Event::Failure, "failure", "failures"),
        (Event::Alert, "alert", "alerts"),
        (Event::Warning, "warning", "warnings"),
        (Event::Success, "success", "successes"),
    ] {
        if count(event) > 0 {
            parts.push(of(count(event), one, many));
        }
    }
    let title = format!("{}: {}", of(messages.len() as u64, "message", "messages"), parts.join(", "));
    let mut text = Vec::new();
    for message in messages {
        text.push(format!("{} {}", message.time.strftime("%d %b %H:%M"), message.title));
        let lines: Vec<&str> = message.text.lines().filter(|line| !line.is_empty()).collect();
        text.extend(lines.iter().take(LINES).map(|line| format!("  {line}")));
        if lines.len() > LINES {
            text.push(format!("  … {} more", of((lines.len() - LINES) as u64, "line", "lines")));
        }
        text.push(format!("  correlation {}", message.correlation_id));
    }
    let mut all = Message::new(worst.event, worst.level, title, text.join("\n"), now);
    all.correlation_id.clone_from(&worst.correlation_id);
    all.run_id.clone_from(&worst.run_id);
    all.metrics.insert("messages".to_owned(), json!(messages.len()));
    for event in [Event::Failure, Event::Alert, Event::Warning, Event::Success] {
        all.metrics.insert(event.name().to_owned(), json!(count(event)));
    }
    all.level = messages.iter().map(|message| message.level).max().unwrap_or(Level::Info);
    Some(all)
}
