//! What is wrong with a configuration: shown with file, line, caret, what is allowed and the nearest name.
//!
//! All mistakes of a file are shown at once. Lines are shown with their secrets masked.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::ops::Range;

/// One mistake and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// The full key.
    pub key: String,
    /// Where the caret goes.
    pub span: Range<usize>,
    /// What is wrong.
    pub what: String,
    /// What could stand there.
    pub allowed: Option<String>,
    /// What to do.
    pub help: Option<String>,
}

impl Problem {
    /// A mistake at a place.
    pub fn new(key: &str, span: Range<usize>, what: impl Into<String>) -> Self {
        Self { key: key.to_owned(), span, what: what.into(), allowed: None, help: None }
    }

    /// Adds what could stand there.
    pub fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = Some(allowed.into());
        self
    }

    /// Adds what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the names there are, the nearest one first of all.
    pub fn among<'a>(self, found: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        let names: Vec<&str> = names.into_iter().collect();
        let problem = match nearest(found, &names) {
            Some(name) => self.help(format!("did you mean `{name}`?")),
            None => self,
        };
        match names.len() {
            0 => problem,
            1..=FEW => problem.allowed(names.join(", ")),
            many => {
                let mut near = names;
                near.sort_by_key(|name| strsim::damerau_levenshtein(found, name));
                near.truncate(FEW);
                problem.allowed(format!(
                    "{} and {} more, see `sexton config example`",
                    near.join(", "),
                    many - FEW
                ))
            }
        }
    }
}

/// More names than this are no help.
const FEW: usize = 14;

/// All that is wrong with one file.
#[derive(Debug)]
pub struct Problems {
    file: String,
    text: String,
    all: Vec<Problem>,
}

impl Problems {
    /// The mistakes of this file, in the order of their places.
    pub fn new(file: &str, text: &str, mut all: Vec<Problem>) -> Self {
        all.sort_by_key(|problem| problem.span.start);
        all.dedup();
        Self { file: file.to_owned(), text: masked(text), all }
    }

    /// One line for logs and JSON.
    pub fn summary(&self) -> String {
        match self.all.as_slice() {
            [_] => format!("`{}` has 1 mistake", self.file),
            several => format!("`{}` has {} mistakes", self.file, several.len()),
        }
    }

    /// Each mistake in one line, with its place.
    pub fn lines(&self) -> Vec<String> {
        self.all
            .iter()
            .map(|problem| {
                let line = 1 + self.text[..problem.span.start.min(self.text.len())].matches('\n').count();
                let key = if problem.key.is_empty() { String::new() } else { format!("`{}`: ", problem.key) };
                format!("{}:{line}: {key}{}", self.file, problem.what)
            })
            .collect()
    }

    /// For people.
    pub fn shown(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for problem in &self.all {
            let end = self.text.len();
            let span = problem.span.start.min(end)..problem.span.end.min(end);
            let label = if problem.key.is_empty() { String::new() } else { format!("at `{}`", problem.key) };
            let mut group = Level::ERROR.primary_title(problem.what.as_str()).element(
                Snippet::source(self.text.as_str())
                    .path(self.file.as_str())
                    .annotation(AnnotationKind::Primary.span(first_line(&self.text, span)).label(label)),
            );
            if let Some(allowed) = &problem.allowed {
                group = group.element(Level::NOTE.message(format!("allowed: {allowed}")));
            }
            if let Some(help) = &problem.help {
                group = group.element(Level::HELP.message(help.as_str()));
            }
            text.push_str(&renderer.render(&[group]));
            text.push_str("\n\n");
        }
        text
    }
}

/// The nearest of these names, when one is near enough to be a slip of the finger.
pub fn nearest<'a>(found: &str, names: &[&'a str]) -> Option<&'a str> {
    let found = found.to_lowercase();
    let first = found.chars().next().map_or(0, char::len_utf8);
    names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&found, &name.to_lowercase()), *name))
        .filter(|(distance, name)| *distance <= 1 + name.chars().count().max(found.chars().count()) / 4)
        // Of two that are as near, the one that begins alike: the first letter is seldom wrong.
        .min_by_key(|(distance, name)| (*distance, !name.to_lowercase().starts_with(&found[..first])))
        .map(|(_, name)| name)
}

/// A caret under a whole table says nothing: the first line is enough.
fn first_line(text: &str, span: Range<usize>) -> Range<usize> {
    let length = text[span.clone()].find('\n').unwrap_or(span.len());
    span.start..span.start + length
}

/// The text with secrets masked, byte for byte of the same length: passwords in URLs, and the values of keys that sound
/// like secrets.
fn masked(text: &str) -> String {
    const SECRET: [&str; 7] = ["secret", "passw", "pwd", "token", "credential", "access_key", "apikey"];
    let mut all = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let secret_key = line.split_once('=').filter(|(key, _)| {
            let key = key.to_lowercase();
            SECRET.iter().any(|word| key.contains(word))
        });
        match secret_key {
            Some((key, value)) => {
                all.push_str(key);
                all.push('=');
                all.extend(
                    value.bytes().map(|byte| if byte.is_ascii_whitespace() { byte as char } else { '*' }),
                );
            }
            None => all.push_str(&masked_url(line)),
        }
    }
    all
}

fn masked_url(line: &str) -> String {
    let mut all = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + 3);
        all.push_str(before);
        let end = after.find(['"', '\'', ' ', '\n']).unwrap_or(after.len());
        let (url, tail) = after.split_at(end);
        let at = url.rfind('@').unwrap_or(0);
        let colon = url[..at].find(':').map_or(at, |colon| colon + 1);
        all.push_str(&url[..colon]);
        all.extend(std::iter::repeat_n('*', at - colon));
        // The password may also be among the options.
        let mut options = url[at..].to_owned();
        for word in ["password=", "sslpassword="] {
            if let Some(from) = options.find(word).map(|from| from + word.len()) {
                let to = options[from..].find('&').map_or(options.len(), |to| from + to);
                options.replace_range(from..to, &"*".repeat(to - from));
            }
        }
        // The path of an incoming webhook is its secret.
        if let Some(path) =
            options.find('/').filter(|_| options.trim_start_matches('@').starts_with("hooks."))
        {
            let length = options.len() - path;
            options.replace_range(path.., &"*".repeat(length));
        }
        all.push_str(&options);
        rest = tail;
    }
    all.push_str(rest);
    all
}
