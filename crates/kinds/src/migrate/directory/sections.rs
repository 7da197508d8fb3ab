//! dbmate and goose: one file for both ways, in sections that begin with a mark.

use super::files::File;
use super::{Convention, Found, name, unfit};
use crate::migrate::model::{Migration, Script};
use crate::migrate::problem::{Fault, Problem};
use crate::migrate::script::{Event, Language, Transactions, compose, events};

/// What begins dbmate's marks.
pub(super) const DBMATE: &str = "migrate:";
/// What begins goose's marks.
pub(super) const GOOSE: &str = "+goose";

type Statements<'a> = Vec<(&'a str, u32)>;

/// Both ways of a file, as they are read.
#[derive(Default)]
struct Sections<'a> {
    up: Option<Statements<'a>>,
    down: Option<Statements<'a>>,
    /// Whether each is without a transaction.
    off: [bool; 2],
    /// Whether the file wants variables of the environment put in.
    variables: Option<u32>,
    /// The line of a statement block that is open.
    block: Option<u32>,
}

/// dbmate: `-- migrate:up transaction:false`, then `-- migrate:down`.
pub(super) fn dbmate(files: &[File], language: Language, found: &mut Found) {
    gather(files, language, found, Convention::Dbmate, &|comment| comment.starts_with(DBMATE));
}

/// goose: `-- +goose Up`, `-- +goose Down`, and `-- +goose StatementBegin` for what its own splitter does not understand.
/// Its functions in Go are known by their files, so that the order and the history are right.
pub(super) fn goose(files: &[File], language: Language, found: &mut Found) {
    let mark =
        |comment: &str| comment.get(..GOOSE.len()).is_some_and(|start| start.eq_ignore_ascii_case(GOOSE));
    gather(files, language, found, Convention::Goose, &mark);
    for file in files.iter().filter(|file| file.on_top() && !file.name.ends_with("_test.go")) {
        let Some((digits, rest)) = file.name.strip_suffix(".go").map(name::numbered) else { continue };
        if digits.is_empty() || rest.is_empty() {
            continue;
        }
        match draft(file, file.name.trim_end_matches(".go"), Convention::Goose) {
            Ok(mut migration) => {
                migration.up = unfit(file, "it is a function in Go, which only goose can run");
                found.used.push(file.path.clone());
                found.migrations.push(migration);
            }
            Err(problem) => found.problems.0.push(problem),
        }
    }
}

fn gather(
    files: &[File],
    language: Language,
    found: &mut Found,
    convention: Convention,
    is_mark: &dyn Fn(&str) -> bool,
) {
    for file in files.iter().filter(|file| file.on_top()) {
        let Some(stem) = file.name.strip_suffix(".sql") else { continue };
        if name::numbered(stem).0.is_empty() {
            continue;
        }
        let Some(text) = found.open(file) else { continue };
        match read(file, stem, text, language, convention, is_mark) {
            Ok(migration) => found.migrations.push(migration),
            Err(problem) => found.problems.0.push(problem.within(&file.path)),
        }
    }
}

/// What the name tells.
fn draft(file: &File, stem: &str, convention: Convention) -> Result<Migration, Problem> {
    let (digits, rest) = name::numbered(stem);
    let number = name::number(digits).map_err(|problem| problem.within(&file.path))?;
    let version = if convention == Convention::Dbmate { digits.to_owned() } else { number.to_string() };
    let description = name::described(rest, stem);
    // dbmate sorts the names of its files, so that what follows the digits counts too
    let sorted_as = (convention == Convention::Dbmate)
        .then(|| file.name.chars().take(digits.chars().count() + 1).collect::<String>());
    Ok(Migration {
        id: stem.to_owned(),
        number: Some(number),
        version,
        sorted_as,
        description,
        ..Migration::default()
    })
}

fn read(
    file: &File,
    stem: &str,
    text: &str,
    language: Language,
    convention: Convention,
    is_mark: &dyn Fn(&str) -> bool,
) -> Result<Migration, Problem> {
    let mut migration = draft(file, stem, convention)?;
    let mut sections = Sections::default();
    let mut down_from = u32::MAX;
    let contents = events(text, language, is_mark);
    for event in contents.events {
        match event {
            Event::Statement { text, line } => sections.statement(text, line, convention)?,
            Event::Mark { text, line } => {
                let outcome = match convention {
                    Convention::Dbmate => sections.dbmate(&text[DBMATE.len()..]),
                    _ => sections.goose(text[GOOSE.len()..].trim(), line),
                };
                outcome.map_err(|problem| problem.at(line))?;
                if sections.down.is_some() {
                    down_from = down_from.min(line);
                }
            }
        }
    }
    if let Some(line) = sections.block {
        let help = "write `-- +goose StatementEnd` behind the statement";
        let what = "`-- +goose StatementBegin` has no `-- +goose StatementEnd`";
        return Err(Problem::new(Fault::Header, what, help).at(line));
    }
    let Some(up) = sections.up.take() else {
        let first = first_mark(convention);
        let what = format!("it has no line `{first}`");
        return Err(Problem::new(Fault::Header, what, format!("write `{first}` before the statements")));
    };
    let (down_problems, up_problems) =
        contents.problems.into_iter().partition(|problem| problem.line.is_some_and(|line| line > down_from));
    let make = |statements, problems, off| {
        let words = convention.off();
        let mode = if off { Transactions::Off } else { Transactions::On(words) };
        let mut script: Script = compose(&file.path, statements, problems, language, mode);
        if let Some(line) = sections.variables {
            let what = "`ENVSUBST ON` puts variables of the environment into it";
            let problem = Problem::new(Fault::Client, what, "write the values themselves").at(line);
            script.problems.push(problem.within(&file.path));
        }
        script
    };
    migration.up = make(up, up_problems, sections.off[0]);
    let down = sections.down.take().filter(|statements| !statements.is_empty());
    migration.down = down.map(|statements| make(statements, down_problems, sections.off[1]));
    Ok(migration)
}

fn first_mark(convention: Convention) -> &'static str {
    if convention == Convention::Dbmate { "-- migrate:up" } else { "-- +goose Up" }
}

impl<'a> Sections<'a> {
    fn statement(&mut self, text: &'a str, line: u32, convention: Convention) -> Result<(), Problem> {
        let Some(section) = self.down.as_mut().or(self.up.as_mut()) else {
            let first = first_mark(convention);
            let what = format!("a statement stands before `{first}`");
            let help = format!("write `{first}` before it");
            return Err(Problem::new(Fault::Header, what, help).at(line));
        };
        section.push((text, line));
        Ok(())
    }

    fn begin(&mut self, down: bool, mark: &str) -> Result<(), Problem> {
        let wrong = |what: String| {
            Problem::new(Fault::Header, what, "write the way up first, then the way down, each once")
        };
        if down && self.up.is_none() {
            return Err(wrong(format!("`{mark}` comes before the way up")));
        }
        let section = if down { &mut self.down } else { &mut self.up };
        if section.is_some() {
            return Err(wrong(format!("`{mark}` stands there twice")));
        }
        *section = Some(Vec::new());
        Ok(())
    }

    fn dbmate(&mut self, mark: &str) -> Result<(), Problem> {
        let mut words = mark.split_whitespace();
        let down = match words.next() {
            Some("up") => false,
            Some("down") => true,
            other => {
                let what = format!("`-- migrate:{}` is no mark", other.unwrap_or_default());
                return Err(Problem::new(
                    Fault::Header,
                    what,
                    "the marks are `-- migrate:up` and `-- migrate:down`",
                ));
            }
        };
        self.begin(down, if down { "-- migrate:down" } else { "-- migrate:up" })?;
        self.off[usize::from(down)] = words.any(|option| option == "transaction:false");
        Ok(())
    }

    fn goose(&mut self, mark: &str, line: u32) -> Result<(), Problem> {
        let wrong = |what: &str, help: &str| Err(Problem::new(Fault::Header, what, help));
        match mark.to_ascii_lowercase().as_str() {
            "up" => self.begin(false, "-- +goose Up")?,
            "down" => self.begin(true, "-- +goose Down")?,
            "no transaction" => self.off = [true, true],
            "envsubst on" => self.variables = Some(line),
            "envsubst off" => {}
            "statementbegin" if self.up.is_none() => {
                return wrong("`StatementBegin` comes before `-- +goose Up`", "write `-- +goose Up` first");
            }
            "statementbegin" if self.block.is_some() => {
                return wrong(
                    "`StatementBegin` stands in a block",
                    "write `-- +goose StatementEnd` before it",
                );
            }
            "statementbegin" => self.block = Some(line),
            "statementend" if self.block.take().is_none() => {
                return wrong(
                    "`StatementEnd` ends no block",
                    "write `-- +goose StatementBegin` before the statement",
                );
            }
            "statementend" => {}
            _ => {
                let what = format!("`-- +goose {mark}` is no mark");
                let help = "the marks are Up, Down, StatementBegin, StatementEnd and NO TRANSACTION";
                return wrong(&what, help);
            }
        }
        Ok(())
    }
}
