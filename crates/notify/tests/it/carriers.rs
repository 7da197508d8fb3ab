//! Chats, programs and watchers: what they really get, and what is told when they do not.

use crate::kit::{NOON, at};
use notify::channel::{Carrier, Exec, Letter, Refused, Slack, Telegram};
use notify::{Event, Level, Message};
use secrecy::SecretString;
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use testkit::HttpSink;

const PATIENCE: Duration = Duration::from_secs(10);

pub fn said() -> Message {
    let mut message = Message::new(
        Event::Failure,
        Level::Warning,
        "nightly failed: logs",
        "logs on main failed\nrun 7f3",
        at(NOON),
    );
    message.run_id = Some("7f3".to_owned());
    message.schedule = Some("nightly".to_owned());
    message
}

pub fn carry(carrier: &dyn Carrier, message: &Message, recipients: &[String]) -> Result<(), Refused> {
    let letter =
        Letter { id: "n0te", message, title: message.title.clone(), text: message.text.clone(), recipients };
    carrier.carry(&letter, PATIENCE)
}

#[test]
fn slack_gets_a_short_text() {
    // S1-077, S2-076
    let sink = HttpSink::start();
    let slack = Slack { url: SecretString::from(sink.url("/services/T0/B0/s3cr3t")) };
    carry(&slack, &said(), &[]).unwrap();
    let call = sink.take().remove(0);
    assert_eq!(call.what, "POST /services/T0/B0/s3cr3t");
    assert_eq!(call.json(), json!({"text": "*nightly failed: logs*\nlogs on main failed\nrun 7f3"}));
    // What is told of a failure has no address in it.
    sink.answers_once(404, "", "no_service");
    assert_eq!(carry(&slack, &said(), &[]).unwrap_err().why, "it answered 404: no_service");
    let away = Slack { url: SecretString::from("http://127.0.0.1:9/services/T0/B0/s3cr3t") };
    let why = carry(&away, &said(), &[]).unwrap_err().why;
    assert!(!why.contains("s3cr3t") && why.to_lowercase().contains("connect"), "{why}");
}

#[test]
fn telegram_gets_a_text_for_a_chat_and_its_token_stands_nowhere() {
    // S1-077
    let sink = HttpSink::start();
    let telegram = |api: String| Telegram {
        api: Some(api),
        token: SecretString::from("123:s3cr3t"),
        chat: "-100".to_owned(),
    };
    let bot = telegram(sink.url(""));
    carry(&bot, &said(), &[]).unwrap();
    let call = sink.take().remove(0);
    assert_eq!(call.what, "POST /bot123:s3cr3t/sendMessage");
    assert_eq!(call.json()["chat_id"], "-100");
    assert_eq!(call.json()["text"], "nightly failed: logs\n\nlogs on main failed\nrun 7f3");
    carry(&bot, &said(), &["7".to_owned()]).unwrap();
    assert_eq!(sink.take().remove(0).json()["chat_id"], "7");
    sink.answers_once(401, "", r#"{"ok":false,"description":"Unauthorized 123:s3cr3t"}"#);
    let refused = carry(&bot, &said(), &[]).unwrap_err().why;
    let away = carry(&telegram("http://127.0.0.1:9".to_owned()), &said(), &[]).unwrap_err().why;
    for why in [refused, away] {
        assert!(!why.contains("s3cr3t"), "{why}");
    }
}

#[test]
fn redirections_are_not_followed() {
    // W-071: the address is that of the configuration and no other
    let (sink, inside) = (HttpSink::start(), HttpSink::start());
    sink.answers_once(302, &format!("location: {}\r\n", inside.url("/inside")), "");
    let slack = Slack { url: SecretString::from(sink.url("/")) };
    assert_eq!(carry(&slack, &said(), &[]).unwrap_err().why, "it answered 302");
    assert!(inside.take().is_empty());
}

#[test]
fn an_answer_that_never_ends_is_not_listened_to_for_ever() {
    // W-071: a hostile receiver that sends without end, and one that sends byte by byte
    for (part, pause) in [(vec![b'x'; 65_536], Duration::ZERO), (vec![b'x'], Duration::from_millis(50))] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let hostile = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(b"HTTP/1.1 500 x\r\ncontent-type: text/plain\r\n\r\n");
            let mut sent = 0;
            while stream.write_all(&part).is_ok() {
                sent += part.len();
                std::thread::sleep(pause);
            }
            sent
        });
        let slack = Slack { url: SecretString::from(format!("http://{at}/")) };
        let message = said();
        let letter =
            Letter { id: "n", message: &message, title: String::new(), text: String::new(), recipients: &[] };
        let began = Instant::now();
        let why = slack.carry(&letter, Duration::from_secs(5)).unwrap_err().why;
        assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
        assert!(why.starts_with("it answered 500: xx") && why.len() < 400, "{why}");
        // Nobody listens any more.
        assert!(hostile.join().unwrap() < 50_000_000);
    }
}

#[test]
fn a_program_gets_the_message_on_stdin_and_is_not_waited_for_forever() {
    let folder = tempfile::tempdir().unwrap();
    let script = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    };
    let out = folder.path().join("out").display().to_string();
    let good = script(
        "good",
        "cat > \"$1\"; echo \"$SEXTON_EVENT $SEXTON_LEVEL $SEXTON_RUN $SEXTON_SCHEDULE $SEXTON_TITLE\" > \"$1.env\"",
    );
    // No shell: what looks like one stays a word.
    let exec = Exec { command: vec![good, out.clone(), "$(touch nowhere)".to_owned()] };
    carry(&exec, &said(), &[]).unwrap();
    let body: Message = serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
    assert_eq!(body, said_with(&body));
    let words = std::fs::read_to_string(format!("{out}.env")).unwrap();
    assert_eq!(words.trim(), "failure warning 7f3 nightly nightly failed: logs");
    let bad = Exec { command: vec![script("bad", "echo 'no pager' >&2; exit 3")] };
    let why = carry(&bad, &said(), &[]).unwrap_err().why;
    assert!(why.ends_with("ended with exit status: 3: no pager"), "{why}");
    let slow = Exec { command: vec![script("slow", "exec sleep 60")] };
    let letter =
        Letter { id: "n", message: &said(), title: String::new(), text: String::new(), recipients: &[] };
    let why = slow.carry(&letter, Duration::from_millis(100)).unwrap_err().why;
    assert!(why.ends_with("took too long"), "{why}");
    // One that reads nothing has done its work all the same.
    let deaf = Exec { command: vec![script("deaf", "exit 0")] };
    let long = Message { text: "x".repeat(1_000_000), ..said() };
    let letter =
        Letter { id: "n", message: &long, title: String::new(), text: String::new(), recipients: &[] };
    deaf.carry(&letter, PATIENCE).unwrap();
}

/// The same message with the correlation of another: each is made anew.
fn said_with(other: &Message) -> Message {
    Message { correlation_id: other.correlation_id.clone(), ..said() }
}

#[test]
fn the_heartbeat_calls_its_watcher_and_tells_no_address() {
    let sink = HttpSink::start();
    notify::beat(&SecretString::from(sink.url("/ping/s3cr3t"))).unwrap();
    assert_eq!(sink.take().remove(0).what, "GET /ping/s3cr3t");
    sink.answers(500);
    let why = notify::beat(&SecretString::from(sink.url("/ping/s3cr3t"))).unwrap_err().why;
    assert_eq!(why, "it answered 500");
}
