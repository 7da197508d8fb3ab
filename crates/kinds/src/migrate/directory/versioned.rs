//! Flyway and refinery: `V1__name.sql`. The letters mean different things to the two.

use super::files::File;
use super::{Convention, Found, checksum, name, unfit};
use crate::migrate::model::{Migration, Script};
use crate::migrate::problem::{Fault, Problem};
use crate::migrate::script::{self, Language, Transactions};

/// A name, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Versioned<'a> {
    /// `V`, `U`, `R` or `B`.
    pub(super) letter: char,
    /// Empty for `R`.
    pub(super) version: &'a str,
    /// What follows `__`.
    pub(super) name: &'a str,
}

/// `V1.2__add_users` taken apart; none where it is no such name.
pub(super) fn parse(stem: &str) -> Option<Versioned<'_>> {
    let letter = stem.chars().next().filter(|letter| "VURB".contains(*letter))?;
    let (version, name) = stem[1..].split_once("__")?;
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let fits = if letter == 'R' { version.is_empty() } else { version.split(['.', '_']).all(digits) };
    (fits && !name.is_empty()).then_some(Versioned { letter, version, name })
}

/// Flyway: V goes up, U goes down, R is repeated, B stands for all V up to it where they are gone. Folders are only for
/// order in the house.
pub(super) fn flyway(files: &[File], language: Language, found: &mut Found) {
    let mut undo: Vec<(&File, Versioned)> = Vec::new();
    let mut bases: Vec<Migration> = Vec::new();
    for file in files {
        let Some((stem, parts)) = file.name.strip_suffix(".sql").and_then(|stem| Some((stem, parse(stem)?)))
        else {
            continue;
        };
        if parts.letter == 'U' {
            undo.push((file, parts));
            continue;
        }
        let Some(mut migration) = draft(file, stem, parts, found) else { continue };
        let Some(text) = found.open(file) else { continue };
        migration.up = flyway_script(file, files, text, language, found);
        migration.foreign_checksum = Some(checksum::flyway(text));
        migration.repeatable = parts.letter == 'R';
        if parts.letter == 'B' {
            bases.push(migration);
        } else {
            found.migrations.push(migration);
        }
    }
    for (file, parts) in undo {
        let Some(text) = found.open(file) else { continue };
        let script = flyway_script(file, files, text, language, found);
        let version = parts.version.replace('_', ".");
        let place = Migration { version: version.clone(), ..Migration::default() }.place();
        let up = found.migrations.iter_mut().find(|up| !up.repeatable && up.place() == place);
        match up {
            Some(up) => up.down = Some(script),
            None => {
                let what = format!("it takes back version {version}, which is not there");
                let problem = Problem::new(Fault::Name, what, "bring the V file back, or remove this one");
                found.problems.0.push(problem.within(&file.path));
            }
        }
    }
    let Some(base) = bases.into_iter().max_by_key(Migration::place) else { return };
    if !found.migrations.iter().any(|one| !one.repeatable && one.place() <= base.place()) {
        found.migrations.push(base);
    } else {
        found.used.retain(|used| *used != base.up.file);
    }
}

fn flyway_script(file: &File, files: &[File], text: &str, language: Language, found: &mut Found) -> Script {
    let conf = files.iter().find(|other| {
        other.folder() == file.folder()
            && other.name.strip_suffix(".conf").is_some_and(|name| name == file.name)
    });
    let conf = conf.and_then(|conf| found.open(conf)).unwrap_or_default();
    let says_no = |wanted: &str| {
        conf.lines().any(|line| {
            let (key, value) = line.split_once('=').unwrap_or_default();
            key.trim() == wanted && value.trim().eq_ignore_ascii_case("false")
        })
    };
    let off = says_no("executeInTransaction");
    let words = Convention::Flyway.off();
    let mode = if off { Transactions::Off } else { Transactions::On(words) };
    let mut script = script::read(&file.path, text, language, mode);
    let holder = text.lines().enumerate().find(|(_, line)| line.contains("${"));
    if let Some((n, line)) = holder.filter(|_| !says_no("placeholderReplacement")) {
        let start = line.find("${").unwrap_or_default();
        let end = line[start..].find('}').map_or(line.len(), |end| start + end + 1);
        let what = format!("`{}` is a placeholder of Flyway", &line[start..end]);
        let problem = Problem::new(Fault::Client, what, "write the value itself");
        script.problems.push(problem.within(&file.path).at(n as u32 + 1));
    }
    script
}

/// refinery: V in order, U whenever they come. Its migrations in Rust are known by their files.
pub(super) fn refinery(files: &[File], language: Language, found: &mut Found) {
    for file in files {
        let (stem, rust) = match (file.name.strip_suffix(".sql"), file.name.strip_suffix(".rs")) {
            (Some(stem), _) => (stem, false),
            (_, Some(stem)) => (stem, true),
            _ => continue,
        };
        let Some(parts) = parse(stem).filter(|parts| "VU".contains(parts.letter)) else { continue };
        let Some(mut migration) = draft(file, stem, parts, found) else { continue };
        if rust {
            found.used.push(file.path.clone());
            migration.up = unfit(file, "it is a function in Rust, which only refinery can run");
        } else {
            let Some(text) = found.open(file) else { continue };
            migration.up =
                script::read(&file.path, text, language, Transactions::On(Convention::Refinery.off()));
            let raw = file.raw().unwrap_or(text);
            migration.foreign_checksum =
                migration.number.map(|number| checksum::refinery(parts.name, number, raw));
        }
        found.migrations.push(migration);
    }
}

/// What the name tells.
fn draft(file: &File, stem: &str, parts: Versioned, found: &mut Found) -> Option<Migration> {
    let version = parts.version.replace('_', ".");
    let whole = !version.is_empty() && !version.contains('.');
    let number = match whole.then(|| name::number(&version)).transpose() {
        Ok(number) => number,
        Err(problem) => {
            found.problems.0.push(problem.within(&file.path));
            return None;
        }
    };
    let description = name::described(parts.name, stem);
    Some(Migration { id: stem.to_owned(), number, version, description, ..Migration::default() })
}
