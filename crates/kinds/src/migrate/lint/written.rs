//! A safe form as files: the one that is there, and further ones beside it, in the manner of the tool they are for.

use super::judge::Source;
use super::rewrite::Step;
use crate::migrate::directory::Convention;
use engine::{Error, Result};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A file of a safe form.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Written {
    /// Where it goes.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
    /// Whether it takes the place of the file that was rewritten.
    pub replaces: bool,
}

/// The files for these migrations. Nothing is written.
pub fn written(source: &Source, steps: &[Step]) -> Result<Vec<Written>> {
    let convention = source.convention.unwrap_or(Convention::Native);
    let path = PathBuf::from(&source.file);
    let mut files = Vec::new();
    for (n, step) in steps.iter().enumerate() {
        if n == 0 {
            let text = first(source, step, convention);
            files.push(Written { path: path.clone(), text, replaces: true });
        } else {
            let path = beside(&path, n as u64, convention)?;
            files.push(Written { path, text: further(step, convention), replaces: false });
        }
    }
    Ok(files)
}

/// Writes them, all or none; never over a file that is not replaced.
pub fn write(files: &[Written]) -> Result<()> {
    if let Some(file) = files.iter().find(|file| !file.replaces && taken(&file.path)) {
        let shown = file.path.display();
        return Err(Error::usage(format!("there is another migration where `{shown}` would go"))
            .help("give the later migrations higher numbers first"));
    }
    // The one that is replaced comes last: before it nothing is lost.
    for file in files.iter().rev() {
        std::fs::write(&file.path, &file.text).map_err(|error| {
            Error::system(format!("`{}` cannot be written", file.path.display()))
                .help("print it without `--write`")
                .because(error)
        })?;
    }
    Ok(())
}

/// The file as it is, with other statements: what stands before the first and behind the last one stays.
fn first(source: &Source, step: &Step, convention: Convention) -> String {
    let text = &source.text;
    let mut at = 0;
    let mut span: Option<(usize, usize)> = None;
    for statement in &source.script.statements {
        let Some(found) = text[at..].find(&statement.sql) else { continue };
        at += found + statement.sql.len();
        span = Some((span.map_or(at - statement.sql.len(), |(start, _)| start), at));
    }
    let (start, end) = span.unwrap_or((text.len(), text.len()));
    let rest = text[end..].trim_start_matches([' ', '\t']);
    let rest = rest.strip_prefix(';').unwrap_or(rest);
    let body = body(step, convention);
    let all = format!("{}{}{rest}", &text[..start], body.trim_end());
    let all = if all.ends_with('\n') { all } else { format!("{all}\n") };
    if step.transaction || !source.script.transaction {
        return all;
    }
    match convention {
        Convention::Dbmate => all.replacen("-- migrate:up", "-- migrate:up transaction:false", 1),
        _ => off(convention).map_or_else(|| all.clone(), |off| format!("{off}\n{all}")),
    }
}

fn further(step: &Step, convention: Convention) -> String {
    let off = if step.transaction { None } else { off(convention) };
    let body = body(step, convention);
    match convention {
        Convention::Goose => {
            let off = off.map_or_else(String::new, |off| format!("{off}\n"));
            format!("{off}-- +goose Up\n{body}\n-- +goose Down\n")
        }
        Convention::Dbmate => {
            let off = if step.transaction { "" } else { " transaction:false" };
            format!("-- migrate:up{off}\n{body}\n-- migrate:down\n")
        }
        _ => format!("{}{body}", off.map_or_else(String::new, |off| format!("{off}\n"))),
    }
}

/// The line that says that there is no transaction, where it is a line of the file.
fn off(convention: Convention) -> Option<&'static str> {
    match convention {
        Convention::Native => Some("-- sexton:transaction off"),
        Convention::Goose => Some("-- +goose NO TRANSACTION"),
        Convention::Sqlx => Some("-- no-transaction"),
        _ => None,
    }
}

fn body(step: &Step, convention: Convention) -> String {
    let one = |statement: &String| {
        // Goose cuts at semicolons unless it is told where a statement ends.
        if convention == Convention::Goose && statement.contains(';') {
            format!("-- +goose StatementBegin\n{statement};\n-- +goose StatementEnd\n")
        } else {
            format!("{statement};\n")
        }
    };
    step.statements.iter().map(one).collect()
}

/// The name of the n-th file behind this one.
fn beside(path: &Path, n: u64, convention: Convention) -> Result<PathBuf> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("migration.sql");
    let (stem, ending) = name.split_once('.').filter(|_| !name.starts_with('V')).unwrap_or_else(|| {
        let at = name.rfind('.').unwrap_or(name.len());
        (&name[..at], name.get(at + 1..).unwrap_or("sql"))
    });
    let more = n + 1;
    let new = match convention {
        Convention::Diesel | Convention::Structure => {
            return Err(Error::usage(format!(
                "`{}` is no file that another one can stand beside",
                path.display()
            ))
            .help("print the safe form with `--output json`, and make the migrations by hand"));
        }
        Convention::Flyway => match stem.split_once("__") {
            Some((version, rest)) => format!("{version}.{n}__{rest}_{more}.{ending}"),
            None => format!("{stem}_{more}.{ending}"),
        },
        _ => {
            let (mark, numbered) = match stem.strip_prefix('V') {
                Some(rest) if convention == Convention::Refinery => ("V", rest),
                _ => ("", stem),
            };
            let digits = numbered.len() - numbered.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, rest) = numbered.split_at(digits);
            match number.parse::<u64>() {
                Ok(value) => format!("{mark}{:0width$}{rest}_{more}.{ending}", value + n, width = digits),
                Err(_) => format!("{stem}_{more}.{ending}"),
            }
        }
    };
    Ok(path.with_file_name(new))
}

/// Whether the place is taken, by a file of this name or of this number.
fn taken(path: &Path) -> bool {
    let number = |name: &str| name.chars().take_while(char::is_ascii_digit).collect::<String>();
    let own = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let own_number = number(&own);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = folder.read_dir().into_iter().flatten().flatten();
    path.exists()
        || entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .any(|other| !own_number.is_empty() && number(&other) == own_number)
}
