//! Files to look at: those that are named, or those of a directory; with a database, those that are not in yet.

use super::{Engine, Source};
use crate::migrate::directory::{Convention, Directory, Reading};
use crate::migrate::model::Migration;
use crate::migrate::problem::{Fault, Problems};
use crate::migrate::run::pending;
use crate::migrate::script::{Language, Transactions, read};
use engine::{Error, Result};
use std::path::{Path, PathBuf};
use targets::db::Facts;

/// The files that are named, each by itself; folders are read as directories of migrations.
pub fn named(paths: &[PathBuf], engine: Engine, convention: Option<Convention>) -> Result<Vec<Source>> {
    let mut all = Vec::new();
    for path in paths {
        if path.is_dir() {
            all.extend(directory(path, engine, convention)?);
        } else {
            all.push(file(path, engine, convention)?);
        }
    }
    Ok(all)
}

/// Every migration of a directory, the way up.
pub fn directory(path: &Path, engine: Engine, convention: Option<Convention>) -> Result<Vec<Source>> {
    let found = folder(path, engine, convention)?;
    let convention = Some(found.convention);
    found.migrations.iter().map(|migration| source(&found.path, migration, convention)).collect()
}

/// The migrations of a directory that are not in the database; `options` are those of the operation.
pub fn waiting(options: &serde_json::Value, facts: &mut dyn Facts) -> Result<Vec<Source>> {
    let (directory, migrations) = pending(options, facts)?;
    migrations.iter().map(|migration| source(&directory, migration, None)).collect()
}

/// A directory; where two tools would read the same in it, one of them is as good as the other for a look.
fn folder(path: &Path, engine: Engine, convention: Option<Convention>) -> Result<Directory, Problems> {
    let reading = Reading { convention, ..Reading::new(language(engine)) };
    match Directory::read(path, &reading) {
        Err(problems)
            if convention.is_none() && problems.0.iter().all(|one| one.fault == Fault::Convention) =>
        {
            Directory::read(path, &reading.by(Convention::Native)).map_err(|_| problems)
        }
        read => read,
    }
}

fn language(engine: Engine) -> Language {
    match engine {
        Engine::Sqlite => Language::Sqlite,
        Engine::Postgres => Language::Postgres { major: None },
    }
}

fn source(directory: &Path, migration: &Migration, convention: Option<Convention>) -> Result<Source> {
    let path = directory.join(&migration.up.file);
    let script = migration.up.clone();
    Ok(Source { file: path.display().to_string(), text: text(&path)?, script, convention })
}

/// One file, by the rules of its directory where it has some, else as it is written.
fn file(path: &Path, engine: Engine, convention: Option<Convention>) -> Result<Source> {
    let text = text(path)?;
    let shown = path.display().to_string();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let known = self::folder(folder, engine, convention).ok();
    let own = known.and_then(|found| {
        let is_own = |migration: &Migration| same_file(&found.path.join(&migration.up.file), path);
        let migration = found.migrations.iter().find(|migration| is_own(migration))?;
        Some((migration.up.clone(), found.convention))
    });
    let (script, convention) = match own {
        Some((script, convention)) => (script, Some(convention)),
        None => (read(path, &text, language(engine), Transactions::AsWritten), convention),
    };
    Ok(Source { file: shown, text, script, convention })
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        Error::usage(format!("`{}` cannot be read", path.display()))
            .help("name a file of SQL in UTF-8, or a folder of migrations")
            .because(error)
    })
}
