//! Where statements end, and where the marks of a tool's sections stand between them.

use super::Language;
use super::lexer::{Kind, Lexer, Token};
use crate::migrate::problem::{Fault, Problem};

/// What stands in a text, in order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Event<'a> {
    /// A statement without its semicolon and the comments around it.
    Statement {
        /// As it is written.
        text: &'a str,
        /// Where it begins, from 1.
        line: u32,
    },
    /// A comment on a line of its own that the tool reads; it ends the statement before it.
    Mark {
        /// Without the dashes and the blanks around it.
        text: &'a str,
        /// Where it stands, from 1.
        line: u32,
    },
}

/// Everything that stands in a text.
pub(crate) struct Found<'a> {
    pub(crate) events: Vec<Event<'a>>,
    pub(crate) problems: Vec<Problem>,
}

/// Reads a text; `is_mark` is asked about each comment that begins a line, without its dashes.
pub(crate) fn events<'a>(text: &'a str, language: Language, is_mark: &dyn Fn(&str) -> bool) -> Found<'a> {
    let mut splitter = Splitter {
        text,
        language,
        found: Found { events: Vec::new(), problems: Vec::new() },
        lines: Lines { text, at: 0, line: 1 },
        now: Statement::default(),
    };
    splitter.run(is_mark);
    splitter.found
}

/// Counts lines from one place to the next.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: u32,
}

impl Lines<'_> {
    /// The line of a place that is not before the last one asked for.
    fn at(&mut self, place: usize) -> u32 {
        if place > self.at {
            let between = &self.text.as_bytes()[self.at..place];
            self.line += between.iter().filter(|byte| **byte == b'\n').count() as u32;
            self.at = place;
        }
        self.line
    }
}

/// What a statement is as far as its end depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Sort {
    /// Not yet known.
    #[default]
    Open,
    /// Ends with the next semicolon.
    Plain,
    /// SQLite: ends with `; end ;`.
    Trigger,
    /// PostgreSQL: may hold `begin atomic … end`.
    Routine,
    /// PostgreSQL: may hold statements in parentheses.
    Rule,
    /// PostgreSQL: may be followed by data.
    Copy,
}

/// The statement being read.
#[derive(Debug, Clone, Copy, Default)]
struct Statement {
    begun: bool,
    start: usize,
    line: u32,
    end: usize,
    sort: Sort,
    words: u32,
    depth: u32,
    stdin: bool,
    /// How much of `; end` stands right before.
    ending: u8,
    after_begin: bool,
}

struct Splitter<'a> {
    text: &'a str,
    language: Language,
    found: Found<'a>,
    lines: Lines<'a>,
    now: Statement,
}

impl<'a> Splitter<'a> {
    fn run(&mut self, is_mark: &dyn Fn(&str) -> bool) {
        let mut lexer = Lexer::new(self.text, self.language);
        while let Some(next) = lexer.next() {
            let token = match next {
                Ok(token) => token,
                Err(unclosed) => {
                    self.begin(unclosed.start);
                    self.now.end = self.text.trim_end().len();
                    self.unclosed(&unclosed.what, unclosed.start);
                    break;
                }
            };
            match token.kind {
                Kind::Comment => {
                    let words = self.text[token.start + 2..token.end].trim();
                    if is_mark(words) && self.begins_line(token.start) {
                        self.finish();
                        let line = self.lines.at(token.start);
                        self.found.events.push(Event::Mark { text: words, line });
                    }
                }
                Kind::Block => {}
                Kind::Client => self.client(token),
                Kind::End => {
                    if let Some(data) = self.end(token) {
                        lexer.skip_to(data);
                    }
                }
                _ => self.take(token),
            }
        }
        if self.now.begun && self.now.sort == Sort::Trigger && self.now.ending < 2 {
            self.unclosed("the trigger", self.now.start);
        } else if self.now.begun && self.now.depth > 0 && self.found.problems.is_empty() {
            self.unclosed("the body of the statement", self.now.start);
        }
        self.finish();
    }

    fn begins_line(&self, place: usize) -> bool {
        self.text[..place]
            .bytes()
            .rev()
            .take_while(|byte| *byte != b'\n')
            .all(|byte| byte.is_ascii_whitespace())
    }

    fn begin(&mut self, start: usize) {
        if !self.now.begun {
            self.now = Statement { begun: true, start, line: self.lines.at(start), ..Statement::default() };
        }
    }

    /// A token of a statement.
    fn take(&mut self, token: Token) {
        self.begin(token.start);
        self.now.end = token.end;
        let word = if token.kind == Kind::Word { &self.text[token.start..token.end] } else { "" };
        let is = |wanted: &str| word.eq_ignore_ascii_case(wanted);
        let now = &mut self.now;
        match now.sort {
            Sort::Open => {
                now.words += 1;
                now.sort = sort(now.words, word, self.language).unwrap_or(now.sort);
            }
            Sort::Plain => {}
            Sort::Trigger => now.ending = if now.ending == 1 && is("end") { 2 } else { 0 },
            Sort::Routine if now.depth > 0 => {
                if is("case") {
                    now.depth += 1;
                } else if is("end") {
                    now.depth -= 1;
                }
            }
            Sort::Routine => {
                now.depth = u32::from(now.after_begin && is("atomic"));
                now.after_begin = is("begin");
            }
            Sort::Rule => match token.kind {
                Kind::Open => now.depth += 1,
                Kind::Close => now.depth = now.depth.saturating_sub(1),
                _ => {}
            },
            Sort::Copy => now.stdin |= is("stdin"),
        }
    }

    /// A semicolon; where to go on, when data follow that are no SQL.
    fn end(&mut self, token: Token) -> Option<usize> {
        if !self.now.begun {
            return None;
        }
        let inside = match self.now.sort {
            Sort::Trigger => self.now.ending < 2,
            Sort::Routine | Sort::Rule => self.now.depth > 0,
            _ => false,
        };
        if inside {
            self.now.end = token.end;
            self.now.ending = 1;
            return None;
        }
        if self.now.stdin {
            return Some(self.copy_data(token.end));
        }
        self.finish();
        None
    }

    /// Refuses `copy … from stdin` with its data; where the data end.
    fn copy_data(&mut self, start: usize) -> usize {
        let problem = Problem::new(
            Fault::Client,
            "`copy … from stdin` takes data that only psql can send",
            "write the rows as `insert` (`pg_dump --inserts` does)",
        );
        self.found.problems.push(problem.at(self.now.line));
        self.finish();
        let mut at = start;
        for line in self.text[start..].split_inclusive('\n') {
            at += line.len();
            if line.trim_end() == "\\." {
                return at;
            }
        }
        start
    }

    /// A line for psql or the sqlite3 shell. Those with which newer dumps guard themselves mean nothing here.
    fn client(&mut self, token: Token) {
        let line = self.text[token.start..token.end].trim_end();
        let word = line.split_whitespace().next().unwrap_or_default();
        if matches!(word, "\\restrict" | "\\unrestrict") {
            return;
        }
        let (client, help) = if self.language.is_sqlite() {
            ("the sqlite3 shell", "write the SQL that it stands for, or leave the line out")
        } else {
            ("psql", "write the SQL that it stands for, or leave the line out")
        };
        let place = self.lines.at(token.start);
        let what = format!("`{word}` is a line that only {client} understands");
        self.found.problems.push(Problem::new(Fault::Client, what, help).at(place));
    }

    fn unclosed(&mut self, what: &str, start: usize) {
        let line = if start == self.now.start { self.now.line } else { self.lines.at(start) };
        let problem = Problem::new(Fault::Syntax, format!("{what} is never closed"), "close it");
        self.found.problems.push(problem.at(line));
    }

    fn finish(&mut self) {
        if self.now.begun {
            let text = &self.text[self.now.start..self.now.end];
            self.found.events.push(Event::Statement { text, line: self.now.line });
        }
        self.now = Statement::default();
    }
}

/// What the n-th word of a statement tells of its sort; none while more words are needed.
fn sort(n: u32, word: &str, language: Language) -> Option<Sort> {
    let is = |wanted: &[&str]| wanted.iter().any(|wanted| word.eq_ignore_ascii_case(wanted));
    if n == 1 {
        return match () {
            () if is(&["create", "explain"]) => None,
            () if is(&["copy"]) && !language.is_sqlite() => Some(Sort::Copy),
            () => Some(Sort::Plain),
        };
    }
    if language.is_sqlite() {
        return match () {
            () if is(&["trigger"]) => Some(Sort::Trigger),
            () if is(&["create", "temp", "temporary", "query", "plan"]) => None,
            () => Some(Sort::Plain),
        };
    }
    match () {
        () if is(&["function", "procedure"]) => Some(Sort::Routine),
        () if is(&["rule"]) => Some(Sort::Rule),
        () if is(&["or", "replace"]) => None,
        () => Some(Sort::Plain),
    }
}
