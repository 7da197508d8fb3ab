//! The only place that writes to the terminal: data to stdout, everything else to stderr.
//!
//! A reader that goes away (`sexton runs list | head -1`) is no error. What is known to be secret never passes.

use crate::trouble::Trouble;
use secrecy::{ExposeSecret, SecretString};
use std::io::{IsTerminal, Write};

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Text,
    /// One document: the map form when operation names are unique (R1).
    Json,
    /// One document: the canonical report (R0).
    Report,
    /// One document: `{success, result}` or `{success, error}`.
    Result,
}

impl Output {
    /// From the flag's value.
    pub fn parse(text: &str) -> Self {
        match text {
            "json" => Output::Json,
            "report" => Output::Report,
            "result" => Output::Result,
            _ => Output::Text,
        }
    }
}

/// Where output goes and how it looks.
pub struct Console {
    /// How results are written.
    pub output: Output,
    /// One JSON event a line on stdout, instead of the result.
    pub events: bool,
    /// Nothing on stderr but errors.
    pub quiet: bool,
    /// More details.
    pub verbose: bool,
    /// Every question is answered with yes.
    pub yes: bool,
    color: bool,
    secrets: std::sync::Mutex<Vec<SecretString>>,
}

/// How a word looks.
#[derive(Debug, Clone, Copy)]
pub enum Style {
    /// Good.
    Good,
    /// Bad.
    Bad,
    /// Look at it.
    Warn,
    /// Stands out.
    Strong,
    /// Stands back.
    Faint,
}

impl Console {
    /// A console for this output. `color` is whether colour is wanted at all.
    pub fn new(output: Output, color: bool) -> Self {
        Self {
            output,
            events: false,
            quiet: false,
            verbose: false,
            yes: false,
            color,
            secrets: std::sync::Mutex::default(),
        }
    }

    /// Hides these from now on.
    pub fn hide(&self, secrets: &[SecretString]) {
        // Shorter ones would black out half of every text, and are in no place where an error could quote them.
        let long = secrets.iter().filter(|secret| secret.expose_secret().len() >= 4);
        if let Ok(mut known) = self.secrets.lock() {
            known.extend(long.cloned());
        }
    }

    /// Whether results are for people.
    pub fn is_text(&self) -> bool {
        self.output == Output::Text && !self.events
    }

    /// Whether somebody is there to be asked.
    pub fn can_ask(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Whether progress can be drawn.
    pub fn can_draw(&self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }

    /// Whether errors are coloured.
    pub fn colors_errors(&self) -> bool {
        self.color && std::io::stderr().is_terminal()
    }

    /// A word in a style, for stdout.
    pub fn paint(&self, style: Style, text: &str) -> String {
        paint(self.color && std::io::stdout().is_terminal(), style, text)
    }

    /// Writes data to stdout, with a line end.
    pub fn data(&self, text: &str) {
        let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end_matches('\n'));
    }

    /// Writes one JSON document to stdout.
    pub fn document(&self, document: &serde_json::Value) {
        self.data(&serde_json::to_string_pretty(document).unwrap_or_default());
    }

    /// Tells something on stderr, unless quiet.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.to_stderr(text);
        }
    }

    /// Tells what became of something that failed, also when quiet.
    pub fn note_end(&self, text: &str) {
        self.to_stderr(text);
    }

    /// The form of a text that the terminal behind stdout (or stderr) can show.
    pub fn ansi_or_plain(&self, ansi: &str, plain: &str, stdout: bool) -> String {
        let terminal = if stdout { std::io::stdout().is_terminal() } else { std::io::stderr().is_terminal() };
        if self.color && terminal { ansi.to_owned() } else { plain.to_owned() }
    }

    /// Tells an error of one operation; the others go on.
    pub fn note_error(&self, what: &str) {
        self.to_stderr(&format!("{} {what}", paint(self.colors_errors(), Style::Bad, "error:")));
    }

    /// Tells what to do about it.
    pub fn note_help(&self, what: &str) {
        self.to_stderr(&format!("{} {what}", paint(self.colors_errors(), Style::Good, "help:")));
    }

    /// Asks for a line. None when the input ended.
    pub fn ask(&self, question: &str) -> Option<String> {
        let mut err = std::io::stderr().lock();
        let _ = write!(err, "{question} ");
        let _ = err.flush();
        let mut answer = String::new();
        match std::io::stdin().read_line(&mut answer) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(answer.trim().to_owned()),
        }
    }

    /// Tells what went wrong: in full on stderr, and as the one document on stdout where one was asked for.
    pub fn trouble(&self, trouble: &Trouble) {
        if !self.is_text() && !self.events {
            self.document(&trouble.json(|text| self.hidden(text)));
        }
        let color = self.colors_errors();
        if let Some(problems) = &trouble.problems {
            self.to_stderr(&problems.shown(color));
            self.to_stderr("");
        }
        for (n, cause) in trouble.causes.iter().enumerate() {
            let line = match n {
                0 => format!("{} {cause}", paint(color, Style::Bad, "error:")),
                _ => format!("  because: {cause}"),
            };
            self.to_stderr(&line);
        }
        if let Some(help) = &trouble.help {
            self.to_stderr(&format!("{} {help}", paint(color, Style::Good, "help:")));
        }
    }

    fn to_stderr(&self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{}", self.hidden(text.trim_end_matches('\n')));
    }

    /// The text without what must not be printed.
    pub fn hidden(&self, text: &str) -> String {
        let Ok(secrets) = self.secrets.lock() else { return "***".to_owned() };
        secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose_secret(), "***"))
    }
}

fn paint(color: bool, style: Style, text: &str) -> String {
    let code = match style {
        Style::Good => "32",
        Style::Bad => "1;31",
        Style::Warn => "33",
        Style::Strong => "1",
        Style::Faint => "2",
    };
    if color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}
