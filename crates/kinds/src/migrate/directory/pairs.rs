//! golang-migrate, sqlx and Diesel: one file for each way.

use super::files::File;
use super::{Convention, Found, checksum, name};
use crate::migrate::model::Migration;
use crate::migrate::problem::{Fault, Problem};
use crate::migrate::script::{self, Language, Transactions};
use std::collections::BTreeMap;

/// What sqlx wants at the very beginning of a file that runs without a transaction.
pub(super) const NO_TRANSACTION: &str = "-- no-transaction";

/// The files of one migration.
#[derive(Default)]
struct Pair<'a> {
    up: Option<&'a File>,
    down: Option<&'a File>,
    settings: Option<&'a File>,
}

/// `000001_name.up.sql` and `000001_name.down.sql`. Both tools leave a file without a way up out, or trip over it; here it
/// is a problem.
pub(super) fn golang_migrate(files: &[File], language: Language, found: &mut Found) {
    for (stem, pair) in pairs(files, false) {
        finish(stem, &pair, language, found, Convention::GolangMigrate);
    }
}

/// The same, or `20240131120000_name.sql` for those that only go up.
pub(super) fn sqlx(files: &[File], language: Language, found: &mut Found) {
    for (stem, pair) in pairs(files, true) {
        finish(stem, &pair, language, found, Convention::Sqlx);
    }
}

/// `2024-01-31-120000_name/up.sql`, `down.sql` and `metadata.toml`.
pub(super) fn diesel(files: &[File], language: Language, found: &mut Found) {
    let mut folders: BTreeMap<&str, Pair> = BTreeMap::new();
    for file in files {
        let folder = file.folder();
        let Some(stem) = folder.to_str().filter(|_| folder.components().count() == 1) else { continue };
        let pair = folders.entry(stem).or_default();
        match file.name.as_str() {
            "up.sql" => pair.up = Some(file),
            "down.sql" => pair.down = Some(file),
            "metadata.toml" => pair.settings = Some(file),
            _ => {}
        }
    }
    folders.retain(|_, pair| pair.up.is_some() || pair.down.is_some());
    for (stem, pair) in folders {
        finish(stem, &pair, language, found, Convention::Diesel);
    }
}

/// The files by the stem that both ways share.
fn pairs(files: &[File], simple: bool) -> BTreeMap<&str, Pair<'_>> {
    let mut pairs: BTreeMap<&str, Pair> = BTreeMap::new();
    for file in files.iter().filter(|file| file.on_top()) {
        let (stem, is_down) = if let Some(stem) = file.name.strip_suffix(".up.sql") {
            (stem, false)
        } else if let Some(stem) = file.name.strip_suffix(".down.sql") {
            (stem, true)
        } else if let Some(stem) = file.name.strip_suffix(".sql").filter(|_| simple) {
            (stem, false)
        } else {
            continue;
        };
        if name::numbered(stem).0.is_empty() {
            continue;
        }
        let pair = pairs.entry(stem).or_default();
        *(if is_down { &mut pair.down } else { &mut pair.up }) = Some(file);
    }
    pairs
}

fn finish(stem: &str, pair: &Pair, language: Language, found: &mut Found, convention: Convention) {
    match read(stem, pair, language, found, convention) {
        Ok(Some(migration)) => found.migrations.push(migration),
        Ok(None) => {}
        Err(problem) => {
            let file = pair.up.or(pair.down).map(|file| file.path.clone());
            found.problems.0.push(Problem { file: problem.file.clone().or(file), ..problem });
        }
    }
}

fn read(
    stem: &str,
    pair: &Pair,
    language: Language,
    found: &mut Found,
    convention: Convention,
) -> Result<Option<Migration>, Problem> {
    let version = match convention {
        // Diesel takes what is before the first `_`, without dashes
        Convention::Diesel => stem.split('_').next().unwrap_or(stem).replace('-', ""),
        _ => name::numbered(stem).0.to_owned(),
    };
    let number =
        version.bytes().all(|byte| byte.is_ascii_digit()).then(|| name::number(&version)).transpose()?;
    let rest = stem.split_once('_').map_or("", |(_, rest)| rest);
    let mut migration = Migration {
        id: stem.to_owned(),
        number,
        version: match number {
            // their histories keep numbers, Diesel's keeps text
            Some(number) if convention != Convention::Diesel => number.to_string(),
            _ => version,
        },
        description: name::described(rest, stem),
        ..Migration::default()
    };
    if convention == Convention::Diesel {
        migration.sorted_as = Some(migration.version.clone());
    }
    let Some(up) = pair.up else {
        found.used.extend(pair.down.map(|file| file.path.clone()));
        let what = format!("`{stem}` has a way down and no way up");
        return Err(Problem::new(Fault::Name, what, "bring the other file back, or remove this one"));
    };
    let off = match pair.settings {
        Some(settings) => found.open(settings).is_some_and(is_off),
        None => false,
    };
    let mode = |text: &str| match convention {
        Convention::GolangMigrate => Transactions::AsWritten,
        Convention::Sqlx if text.starts_with(NO_TRANSACTION) => Transactions::Off,
        Convention::Diesel if off => Transactions::Off,
        _ => Transactions::On(convention.off()),
    };
    let Some(text) = found.open(up) else { return Ok(None) };
    migration.up = script::read(&up.path, text, language, mode(text));
    if convention == Convention::Sqlx {
        migration.foreign_checksum = up.raw().ok().map(checksum::sqlx);
    }
    if let Some(down) = pair.down {
        let Some(text) = found.open(down) else { return Ok(None) };
        let script = script::read(&down.path, text, language, mode(text));
        migration.down = (!script.statements.is_empty() || !script.problems.is_empty()).then_some(script);
    }
    Ok(Some(migration))
}

/// Whether a `metadata.toml` says `run_in_transaction = false`, the only thing that it can say.
fn is_off(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.split('#').next().unwrap_or_default();
        line.split_once('=')
            .is_some_and(|(key, value)| key.trim() == "run_in_transaction" && value.trim() == "false")
    })
}
