//! A directory of migrations, by the rules of the tool that its files were written for.
//!
//! Reading changes nothing and needs no database. It promises that everything wrong with the files is told at once, and
//! that migrations come sorted by place and id; what depends on what is the [`graph`](super::graph)'s business.

mod checksum;
mod convention;
mod detect;
mod files;
mod name;
mod native;
mod pairs;
mod sections;
mod structure;
mod versioned;

pub use checksum::ours as checksum;
pub use convention::Convention;
pub(crate) use structure::{ID as DUMP, versions as dumped_versions};

use super::history::Shape;
use super::model::{Migration, Script};
use super::problem::{Fault, Problem, Problems};
use super::script::Language;
use files::File;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What marks the definition of a table that is made anew.
pub const REBUILD: &str = "-- sexton:rebuild ";

/// How to read a directory.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The SQL its files are written in.
    pub language: Language,
    /// By whose rules; none: found out.
    pub convention: Option<Convention>,
    /// Histories that the database has (see [`found`](super::history::found)): they decide where names alone do not.
    pub histories: Vec<Shape>,
}

impl Reading {
    /// By rules that are found out from the files alone.
    pub fn new(language: Language) -> Self {
        Self { language, convention: None, histories: Vec::new() }
    }

    /// By the rules of this tool.
    pub fn by(self, convention: Convention) -> Self {
        Self { convention: Some(convention), ..self }
    }
}

/// What a directory holds.
#[derive(Debug, Clone, Serialize)]
pub struct Directory {
    /// Where it is.
    pub path: PathBuf,
    /// By whose rules it was read.
    pub convention: Convention,
    /// Why by these: `it was asked for`, `` `0001_x.sql` has a line `-- migrate:up` ``.
    pub why: String,
    /// Sorted by place and id.
    pub migrations: Vec<Migration>,
    /// What it holds besides, relative to it.
    pub ignored: Vec<PathBuf>,
}

impl Directory {
    /// Reads the files below a path, or the one file that it is.
    pub fn read(path: &Path, reading: &Reading) -> Result<Directory, Problems> {
        let files = files::list(path)?;
        let (convention, why) = match reading.convention {
            Some(convention) => (convention, "it was asked for".to_owned()),
            None => detect::detect(path, &files, &reading.histories)?,
        };
        let mut found = Found::default();
        match convention {
            Convention::Native => native::gather(&files, reading.language, &mut found),
            Convention::Dbmate => sections::dbmate(&files, reading.language, &mut found),
            Convention::GolangMigrate => pairs::golang_migrate(&files, reading.language, &mut found),
            Convention::Goose => sections::goose(&files, reading.language, &mut found),
            Convention::Flyway => versioned::flyway(&files, reading.language, &mut found),
            Convention::Sqlx => pairs::sqlx(&files, reading.language, &mut found),
            Convention::Diesel => pairs::diesel(&files, reading.language, &mut found),
            Convention::Refinery => versioned::refinery(&files, reading.language, &mut found),
            Convention::Structure => structure::gather(&files, reading.language, &mut found),
        }
        for migration in &mut found.migrations {
            migration.checksum = checksum::ours(&migration.up.statements);
        }
        found.migrations.sort_by_cached_key(super::graph::place_key);
        if found.migrations.is_empty() && found.problems.0.is_empty() {
            nothing(path, &files, convention)?;
        }
        found.used.sort();
        let ignored = files.iter().filter(|file| found.used.binary_search(&file.path).is_err());
        let ignored = ignored.map(|file| file.path.clone()).collect();
        let directory =
            Directory { path: path.to_owned(), convention, why, migrations: found.migrations, ignored };
        found.problems.none_or(directory)
    }
}

/// An empty directory is fine; one whose files all belong to somebody else is a mistake.
fn nothing(path: &Path, files: &[File], convention: Convention) -> Result<(), Problem> {
    if !files.iter().any(|file| file.name.ends_with(".sql")) {
        return Ok(());
    }
    let help = match detect::detect(path, files, &[]) {
        Ok((other, _)) => format!("say `convention = \"{other}\"`"),
        Err(problem) => problem.help,
    };
    let what = format!("no file in `{}` is named as {convention} names its files", path.display());
    Err(Problem::new(Fault::Convention, what, help))
}

/// What a convention makes of the files.
#[derive(Default)]
struct Found {
    migrations: Vec<Migration>,
    problems: Problems,
    used: Vec<PathBuf>,
}

impl Found {
    /// Marks the file as used; its text, unless that is a problem.
    fn open<'a>(&mut self, file: &'a File) -> Option<&'a str> {
        self.used.push(file.path.clone());
        match file.text() {
            Ok(text) => Some(text),
            Err(problem) => {
                self.problems.0.push(problem);
                None
            }
        }
    }
}

/// The script of a file that only its own tool can run.
fn unfit(file: &File, what: &str) -> Script {
    let problem =
        Problem::new(Fault::Client, what, "let its tool run it, then go on here").within(&file.path);
    Script { file: file.path.clone(), problems: vec![problem], ..Script::default() }
}
