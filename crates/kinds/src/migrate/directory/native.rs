//! Our own files: `0001_name.sql`, with lines for what only its author knows, and sections for both ways.
//!
//! ```sql
//! -- sexton:description adds orders
//! -- sexton:depends 0003_users, 0004_items
//! -- sexton:up
//! create table orders (id integer primary key);
//! -- sexton:down
//! drop table orders;
//! ```
//!
//! A line that begins with `-- sexton:` and is not understood is an error: as a mere comment a typing error would stay
//! unnoticed. Without sections the whole file is the way up.

use super::files::File;
use super::{Convention, Found, REBUILD, name};
use crate::migrate::model::Migration;
use crate::migrate::problem::{Fault, Problem};
use crate::migrate::script::{Event, Language, Transactions, compose, events};
use std::path::Path;

/// What begins our lines.
pub(super) const MARK: &str = "sexton:";

/// What begins lines that speak to the linter only.
const ALLOWS: &str = "sexton:ignore";

const KEYS: [&str; 13] = [
    "up",
    "down",
    "id",
    "description",
    "depends",
    "conflicts",
    "transaction",
    "backup",
    "expected",
    "rebuild",
    "replaces",
    "assert-before",
    "assert-after",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Head,
    Up,
    Down,
    Before,
    After,
}

/// All `.sql` files right in the directory.
pub(super) fn gather(files: &[File], language: Language, found: &mut Found) {
    for file in files.iter().filter(|file| file.on_top() && file.name.ends_with(".sql")) {
        let Some(text) = found.open(file) else { continue };
        match read(&file.path, file.name.trim_end_matches(".sql"), text, language) {
            Ok(migration) => found.migrations.push(migration),
            Err(problem) => found.problems.0.push(problem.within(&file.path)),
        }
    }
}

struct Draft<'a> {
    migration: Migration,
    section: Section,
    statements: [Vec<(&'a str, u32)>; 2],
    transaction: [bool; 2],
    sections: [bool; 2],
    /// The table that the next statement defines anew, which on SQLite takes more than that statement.
    rebuild: Option<String>,
    /// Such statements: of which way, in which line, of which table.
    rebuilds: Vec<(usize, u32, String)>,
}

fn read(path: &Path, stem: &str, text: &str, language: Language) -> Result<Migration, Problem> {
    let (digits, rest) = name::numbered(stem);
    let number = if digits.is_empty() { None } else { Some(name::number(digits)?) };
    let mut draft = Draft {
        migration: Migration {
            id: stem.to_owned(),
            number,
            version: if digits.is_empty() { stem.to_owned() } else { digits.to_owned() },
            description: name::words(rest),
            ..Migration::default()
        },
        section: Section::Head,
        statements: [Vec::new(), Vec::new()],
        transaction: [true, true],
        sections: [false, false],
        rebuild: None,
        rebuilds: Vec::new(),
    };
    let found = events(text, language, &|comment| comment.starts_with(MARK) && !comment.starts_with(ALLOWS));
    for event in found.events {
        match event {
            Event::Mark { text, line } => {
                draft.mark(&text[MARK.len()..]).map_err(|problem| problem.at(line))?
            }
            Event::Statement { text, line } => {
                draft.statement(text, line).map_err(|problem| problem.at(line))?
            }
        }
    }
    if draft.migration.description.is_empty() {
        let what = "it has no description";
        let help = "name it like `0001_add_users.sql`, or write `-- sexton:description …`";
        return Err(Problem::new(Fault::Header, what, help));
    }
    let [up, down] = draft.statements;
    let off = Convention::Native.off();
    let mode = |on: bool| if on { Transactions::On(off) } else { Transactions::Off };
    let mut migration = draft.migration;
    migration.up = compose(path, up, found.problems, language, mode(draft.transaction[0]));
    if !down.is_empty() {
        migration.down = Some(compose(path, down, Vec::new(), language, mode(draft.transaction[1])));
    }
    for (way, line, table) in draft.rebuilds {
        let script = if way == 0 { Some(&mut migration.up) } else { migration.down.as_mut() };
        let statements = script.into_iter().flat_map(|script| &mut script.statements);
        for statement in statements.filter(|statement| statement.line == line) {
            statement.sql = format!("{REBUILD}{table}\n{}", statement.sql);
        }
    }
    Ok(migration)
}

impl<'a> Draft<'a> {
    fn statement(&mut self, text: &'a str, line: u32) -> Result<(), Problem> {
        if let Some(table) = self.rebuild.take() {
            self.rebuilds.push((usize::from(self.section == Section::Down), line, table));
        }
        match self.section {
            Section::Head => self.statements[0].push((text, line)),
            Section::Up => self.statements[0].push((text, line)),
            Section::Down => self.statements[1].push((text, line)),
            Section::Before => self.migration.assert_before.push(text.to_owned()),
            Section::After => self.migration.assert_after.push(text.to_owned()),
        }
        Ok(())
    }

    fn mark(&mut self, text: &str) -> Result<(), Problem> {
        let end = text.find(|c: char| c.is_whitespace() || c == ':').unwrap_or(text.len());
        let key = text[..end].replace('_', "-");
        let value = text[end..].trim_start_matches(':').trim().trim_end_matches(';').trim_end();
        let list = || value.split([',', ' ']).map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned);
        match key.as_str() {
            "up" | "down" => return self.section(usize::from(key == "down"), value),
            "transaction" => {
                let on = switch(&key, value)?;
                match self.section {
                    Section::Down => self.transaction[1] = on,
                    Section::Up => self.transaction[0] = on,
                    _ => self.transaction = [on, on],
                }
                return Ok(());
            }
            "assert-before" | "assert-after" => {
                let (section, list) = if key == "assert-before" {
                    (Section::Before, &mut self.migration.assert_before)
                } else {
                    (Section::After, &mut self.migration.assert_after)
                };
                if value.is_empty() {
                    self.section = section;
                } else {
                    list.push(value.to_owned());
                }
                return Ok(());
            }
            "backup" => self.migration.backup = switch(&key, value)?,
            _ if value.is_empty() && KEYS.contains(&key.as_str()) => {
                let what = format!("`-- sexton:{key}` says nothing");
                return Err(Problem::new(
                    Fault::Header,
                    what,
                    "write it after the word, or leave the line out",
                ));
            }
            "id" => self.migration.id = value.to_owned(),
            "description" => self.migration.description = value.to_owned(),
            "depends" => self.migration.depends_on.extend(list()),
            "replaces" => self.migration.replaces.extend(list()),
            "rebuild" => self.rebuild = Some(value.to_owned()),
            "conflicts" => self.migration.conflicts.extend(list()),
            "expected" => self.migration.expected_seconds = Some(seconds(value)?),
            _ => {
                let what = format!("`-- sexton:{key}` is no line of a migration");
                return Err(Problem::new(Fault::Header, what, format!("the lines are {}", KEYS.join(", "))));
            }
        }
        Ok(())
    }

    fn section(&mut self, which: usize, value: &str) -> Result<(), Problem> {
        let name = ["up", "down"][which];
        if which == 0 && self.section == Section::Head && !self.statements[0].is_empty() {
            let what = "statements stand before `-- sexton:up`";
            return Err(Problem::new(Fault::Header, what, "write `-- sexton:up` before them"));
        }
        if std::mem::replace(&mut self.sections[which], true) {
            let what = format!("`-- sexton:{name}` stands there twice");
            return Err(Problem::new(Fault::Header, what, "write each section once"));
        }
        self.section = if which == 0 { Section::Up } else { Section::Down };
        if let Some(rest) = value.strip_prefix("transaction") {
            self.transaction[which] = switch("transaction", rest.trim_start_matches(':').trim())?;
        } else if !value.is_empty() {
            let what = format!("`-- sexton:{name}` is followed by `{value}`");
            return Err(Problem::new(Fault::Header, what, "write `transaction off` there, or nothing"));
        }
        Ok(())
    }
}

fn switch(key: &str, value: &str) -> Result<bool, Problem> {
    match value.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "required" => Ok(true),
        "off" | "false" | "no" => Ok(false),
        _ => {
            let what = format!("`-- sexton:{key}` is `{value}`");
            Err(Problem::new(Fault::Header, what, format!("write `-- sexton:{key} on` or `off`")))
        }
    }
}

/// `90`, `90 s`, `5 min`, `2 h`.
fn seconds(value: &str) -> Result<f64, Problem> {
    let digits = value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len());
    let factor = match value[digits..].trim() {
        "" | "s" | "second" | "seconds" => 1.0,
        "ms" => 0.001,
        "min" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3600.0,
        _ => f64::NAN,
    };
    let number: f64 = value[..digits].parse().unwrap_or(f64::NAN);
    let seconds = number * factor;
    if seconds.is_finite() {
        return Ok(seconds);
    }
    let what = format!("`-- sexton:expected` is `{value}`");
    Err(Problem::new(Fault::Header, what, "write it like `30 s`, `5 min` or `2 h`"))
}
