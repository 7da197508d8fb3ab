//! A program of one's own: it gets the message as JSON on stdin and a few words in its environment, and no shell.

use super::{Carrier, Letter, Refused, beginning};
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Between two looks whether it has ended.
const PAUSE: Duration = Duration::from_millis(20);
/// So much of what it says of its failure is told.
const TOLD: usize = 300;

/// A program and its arguments.
pub struct Exec {
    /// The program, then its arguments.
    pub command: Vec<String>,
}

impl Carrier for Exec {
    fn carry(&self, letter: &Letter, patience: Duration) -> Result<(), Refused> {
        let Some((program, arguments)) = self.command.split_first() else {
            return Err(Refused::because("there is no program"));
        };
        let message = letter.message;
        let or_none = |text: &Option<String>| text.clone().unwrap_or_default();
        let mut child = Command::new(program)
            .args(arguments)
            .env("SEXTON_EVENT", message.event.name())
            .env("SEXTON_LEVEL", message.level.name())
            .env("SEXTON_TITLE", letter.title.replace('\0', ""))
            .env("SEXTON_TEXT", letter.text.replace('\0', ""))
            .env("SEXTON_RUN", or_none(&message.run_id))
            .env("SEXTON_SCHEDULE", or_none(&message.schedule))
            .env("SEXTON_CORRELATION", &message.correlation_id)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Refused::because(format!("`{program}` cannot be started: {error}")))?;
        let (body, mut stdin, stderr) = (message.body(), child.stdin.take(), child.stderr.take());
        // One that does not read may have done its work all the same.
        std::thread::spawn(move || stdin.as_mut().map(|stdin| stdin.write_all(body.as_bytes())));
        let told = std::thread::spawn(move || {
            let mut text = Vec::new();
            if let Some(mut stderr) = stderr {
                let _ = stderr.by_ref().take(4_096).read_to_end(&mut text);
                let _ = std::io::copy(&mut stderr, &mut std::io::sink());
            }
            String::from_utf8_lossy(&text).split_whitespace().collect::<Vec<_>>().join(" ")
        });
        let mut waited = Duration::ZERO;
        loop {
            match child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => {
                    let told = told.join().unwrap_or_default();
                    let told = if told.is_empty() { told } else { format!(": {}", beginning(&told, TOLD)) };
                    return Err(Refused::because(format!("`{program}` ended with {status}{told}")));
                }
                Ok(None) if waited < patience => {
                    std::thread::sleep(PAUSE);
                    waited += PAUSE;
                }
                Ok(None) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(Refused::because(format!("`{program}` took too long")));
                }
                Err(error) => return Err(Refused::because(format!("`{program}` was lost: {error}"))),
            }
        }
    }
}
