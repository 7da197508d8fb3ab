//! By whose rules a directory is written, and why that is so.
//!
//! Marks inside files say more than names. Where two tools name their files alike, the history in the database decides;
//! without one nobody guesses.

use super::files::File;
use super::versioned::{self, Versioned};
use super::{Convention, name, pairs, sections, structure};
use crate::migrate::history::Shape;
use crate::migrate::problem::{Fault, Problem};
use std::path::Path;

/// What one file speaks for.
struct Sign {
    conventions: Vec<Convention>,
    why: String,
}

/// The convention, and why it is this one.
pub(super) fn detect(
    path: &Path,
    files: &[File],
    histories: &[Shape],
) -> Result<(Convention, String), Problem> {
    let marks: Vec<Sign> = files.iter().filter_map(mark).collect();
    let mut signs = if marks.is_empty() { files.iter().filter_map(shape).collect() } else { marks };
    for file in files {
        narrow(file, files, &mut signs);
    }
    let Some(first) = signs.first() else {
        if !files.iter().any(|file| file.name.ends_with(".sql")) {
            return Ok((Convention::Native, "it holds no SQL yet".to_owned()));
        }
        let what = format!("no file in `{}` is named like a migration", path.display());
        return Err(Problem::new(Fault::Convention, what, "name them like `0001_add_users.sql`"));
    };
    let mut candidates = first.conventions.clone();
    for sign in &signs {
        let both: Vec<Convention> =
            candidates.iter().copied().filter(|one| sign.conventions.contains(one)).collect();
        if both.is_empty() {
            let help = "keep the files of each in a folder of its own, or say `convention = \"…\"`";
            let what =
                format!("two tools seem to share `{}`: {}, but {}", path.display(), first.why, sign.why);
            return Err(Problem::new(Fault::Convention, what, help));
        }
        candidates = both;
    }
    if let [one] = candidates.as_slice() {
        let sign = signs.iter().min_by_key(|sign| sign.conventions.len()).unwrap_or(first);
        return Ok((*one, sign.why.clone()));
    }
    let known: Vec<Convention> =
        candidates.iter().copied().filter(|one| histories.contains(&Shape::of(*one))).collect();
    if let [one] = known.as_slice() {
        return Ok((*one, format!("{}, and the database has the history of {one}", first.why)));
    }
    let names: Vec<&str> = candidates.iter().map(|one| one.name()).collect();
    let says: Vec<String> = names.iter().map(|name| format!("`convention = \"{name}\"`")).collect();
    let what = format!("{}: that may be {}", first.why, names.join(" or "));
    let mut help = format!("say {}", says.join(" or "));
    if candidates.contains(&Convention::Native) {
        help.push_str("; ours begin with a line `-- sexton:up`");
    }
    Err(Problem::new(Fault::Convention, what, help))
}

/// A line in the file that only one tool reads.
fn mark(file: &File) -> Option<Sign> {
    if !file.name.ends_with(".sql") {
        return None;
    }
    for line in file.glance().lines() {
        let Some(comment) = line.trim_start().strip_prefix("--").map(str::trim) else { continue };
        let convention = if comment.starts_with(super::native::MARK) {
            Convention::Native
        } else if comment.starts_with(sections::DBMATE) {
            Convention::Dbmate
        } else if comment.to_ascii_lowercase().starts_with(sections::GOOSE) {
            Convention::Goose
        } else {
            continue;
        };
        let why = format!("`{}` has a line `-- {comment}`", file.path.display());
        return Some(Sign { conventions: vec![convention], why });
    }
    None
}

/// What its name speaks for.
fn shape(file: &File) -> Option<Sign> {
    use Convention::*;
    let why = format!("`{}` is there", file.path.display());
    let sign =
        |conventions: &[Convention]| Some(Sign { conventions: conventions.to_vec(), why: why.clone() });
    if file.name == structure::FILE && file.on_top() {
        return sign(&[Structure]);
    }
    let in_folder =
        file.folder().to_str().is_some_and(|folder| folder.starts_with(|c: char| c.is_ascii_digit()));
    if in_folder && ["up.sql", "down.sql"].contains(&file.name.as_str()) {
        return sign(&[Diesel]);
    }
    let stem = file.name.strip_suffix(".sql")?;
    if let Some(Versioned { letter, version, name }) = versioned::parse(stem) {
        let plain = version.bytes().all(|byte| byte.is_ascii_digit());
        let word = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        return if "RB".contains(letter) || !plain || !word {
            sign(&[Flyway])
        } else {
            sign(&[Flyway, Refinery])
        };
    }
    let both = stem.strip_suffix(".up").or_else(|| stem.strip_suffix(".down"));
    if name::numbered(both.unwrap_or(stem)).0.is_empty() || !file.on_top() {
        return None;
    }
    if file.glance().starts_with(pairs::NO_TRANSACTION) {
        return sign(&[Sqlx]);
    }
    if both.is_some() { sign(&[GolangMigrate, Sqlx]) } else { sign(&[Native, Sqlx]) }
}

/// What lies beside the files and decides between two tools that name them alike.
fn narrow(file: &File, files: &[File], signs: &mut Vec<Sign>) {
    let versioned =
        |sign: &Sign| sign.conventions.len() == 2 && sign.conventions.contains(&Convention::Refinery);
    if !signs.iter().any(versioned) {
        return;
    }
    let (convention, why) = if file.name.ends_with(".sql.conf") {
        (Convention::Flyway, format!("`{}` is there", file.path.display()))
    } else if file.name.strip_suffix(".rs").and_then(versioned::parse).is_some() {
        (Convention::Refinery, format!("`{}` is there", file.path.display()))
    } else if let Some(parts) =
        file.name.strip_suffix(".sql").and_then(versioned::parse).filter(|p| p.letter == 'U')
    {
        let up = files.iter().any(|other| {
            let other = other.name.strip_suffix(".sql").and_then(versioned::parse);
            other.is_some_and(|other| other.letter == 'V' && other.version == parts.version)
        });
        if up {
            (Convention::Flyway, format!("`{}` takes back the V of its version", file.path.display()))
        } else {
            (Convention::Refinery, format!("`{}` has no V of its version", file.path.display()))
        }
    } else {
        return;
    };
    signs.push(Sign { conventions: vec![convention], why });
}
