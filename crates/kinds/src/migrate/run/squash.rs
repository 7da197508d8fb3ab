//! Many migrations become one file that makes the same: a checkpoint.
//!
//! The file is made of what the migrations make on an empty database, schema and rows, and it is proved there before anything
//! is written. The files that it stands for are moved aside, into a folder that nobody reads by itself, or removed where that
//! was asked for.

use super::checkpoints::SQUASHED;
use super::look::Scene;
use super::options::Options;
use crate::migrate::compare::{Comparison, Ignored, Snapshot};
use crate::migrate::directory::Convention;
use crate::migrate::graph::{self, find};
use crate::migrate::history;
use crate::migrate::model::Migration;
use crate::migrate::problem::Problems;
use engine::{Error, Result, TableDigest};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use targets::db::{Database, Dumping, Facts, TableName};
use targets::files::failed;

/// What migrations have made.
pub struct Made {
    snapshot: Snapshot,
    rows: Vec<TableDigest>,
    /// The same as statements.
    pub script: String,
}

impl Made {
    /// Looks at a database that they have made. Histories do not count.
    pub fn of(database: &dyn Database, how: &Dumping) -> Result<Self> {
        let mut facts = database.read()?;
        let histories: Vec<TableName> =
            history::found(facts.as_mut())?.into_iter().map(|history| history.table).collect();
        let snapshot = Snapshot::read(facts.as_mut(), &Ignored::nothing())?;
        let mut rows = engine::digest_of(facts.as_mut())?;
        rows.retain(|one| {
            !histories.iter().any(|table| table.name == one.table || table.to_string() == one.table)
        });
        drop(facts);
        Ok(Self { snapshot, rows, script: database.copies().script(how, &histories)? })
    }

    /// How many rows there are in all.
    pub fn rows(&self) -> u64 {
        self.rows.iter().map(|one| one.rows).sum()
    }

    /// In what the other one differs: the schema, and the tables whose rows are others.
    pub fn compare(&self, other: &Made) -> Result<(Comparison, Vec<String>)> {
        let comparison = self.snapshot.compare(&other.snapshot)?;
        let differs = |one: &&TableDigest| !other.rows.contains(one);
        Ok((comparison, self.rows.iter().filter(differs).map(|one| one.table.clone()).collect()))
    }
}

/// The one file that is to stand for many.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Its id.
    pub id: String,
    /// The folder of the migrations.
    pub folder: PathBuf,
    /// The ids of those that it stands for, in order.
    pub replaces: Vec<String>,
    /// Their files, in the folder.
    pub files: Vec<PathBuf>,
    /// The last of them.
    pub last: String,
    entries: Vec<String>,
}

impl Checkpoint {
    /// Of all migrations until `to`, or all there are. The database of the configuration must have them: whoever is in the
    /// middle would need the old files.
    pub fn draft(options: &serde_json::Value, to: Option<&str>, facts: &mut dyn Facts) -> Result<Self> {
        let options = Options::read(options)?;
        // As a fresh database would see it: what an earlier checkpoint stands for is in it.
        let directory = Scene::from_nothing(&options, facts)?.directory;
        if directory.convention != Convention::Native {
            return Err(Error::usage(format!(
                "the files in `{}` are written for {}, which knows no checkpoint",
                directory.path.display(),
                directory.convention
            ))
            .help("squash with that tool; Sexton squashes files of its own convention (`convention = \"native\"`)"));
        }
        let order = graph::order(&directory.migrations, &options.policy(directory.convention))
            .map_err(Error::from)?;
        let mut steps: Vec<&Migration> = order.steps.clone();
        if let Some(to) = to {
            let last = find(&directory.migrations, to).map_err(Problems::from)?;
            let end = steps.iter().position(|one| one.id == last.id).map_or(0, |at| at + 1);
            steps.truncate(end);
        }
        let Some(last) = steps.last().filter(|_| steps.len() > 1) else {
            return Err(Error::usage(format!(
                "there are no two migrations to squash in `{}`",
                directory.path.display()
            ))
            .help("`sexton migrate status` shows what there is"));
        };
        let scene = Scene::of(&options, facts)?;
        let is_at = |one: &&&Migration| scene.directory.migrations.iter().any(|left| left.id == one.id);
        let lacking: Vec<String> = steps
            .iter()
            .filter(is_at)
            .filter(|one| !scene.state(&one.id).is_in())
            .map(|one| format!("`{}`", one.id))
            .collect();
        if !lacking.is_empty() {
            return Err(Error::usage(format!(
                "{} are not in this database: it would be left in the middle",
                lacking.join(", ")
            ))
            .help("bring them in first with `sexton migrate up`, or squash fewer of them with `--to ID`"));
        }
        let digits = last.version.clone();
        let id = if last.number.is_some() {
            format!("{digits}_checkpoint")
        } else {
            format!("{}_checkpoint", last.id)
        };
        Ok(Self {
            entries: entries(&steps),
            replaces: steps.iter().map(|one| one.id.clone()).collect(),
            files: steps.iter().map(|one| one.up.file.clone()).collect(),
            last: last.id.clone(),
            folder: directory.path.clone(),
            id: if steps.iter().any(|one| one.id == id) { format!("{id}_again") } else { id },
        })
    }

    /// The text of the file.
    pub fn text(&self, made: &Made) -> String {
        let mut text = format!("-- sexton:description everything up to {}\n", self.last);
        for chunk in self.entries.chunks(4) {
            let _ = writeln!(text, "-- sexton:replaces {}", chunk.join(", "));
        }
        let _ = write!(text, "-- sexton:up\n\n{}\n", made.script.trim_end());
        text
    }

    /// Writes it into a folder, which is made; where it is.
    pub fn write(&self, folder: &Path, text: &str) -> Result<PathBuf> {
        let path = folder.join(format!("{}.sql", self.id));
        let told = |error| failed(&format!("cannot write `{}`", path.display()), error);
        std::fs::create_dir_all(folder).map_err(told)?;
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path).map_err(told)?;
        std::io::Write::write_all(&mut file, text.as_bytes()).and_then(|()| file.sync_all()).map_err(told)?;
        Ok(path)
    }

    /// Moves the files that it stands for aside, or removes them; where they are now.
    pub fn put_aside(&self, remove: bool) -> Result<Option<PathBuf>> {
        let aside = self.folder.join(SQUASHED);
        for file in &self.files {
            let (from, to) = (self.folder.join(file), aside.join(file));
            let told = |error| failed(&format!("cannot put `{}` aside", from.display()), error);
            if remove {
                std::fs::remove_file(&from).map_err(told)?;
                continue;
            }
            std::fs::create_dir_all(&aside).map_err(told)?;
            // A link never replaces a file of that name.
            std::fs::hard_link(&from, &to).and_then(|()| std::fs::remove_file(&from)).map_err(told)?;
        }
        Ok((!remove).then_some(aside))
    }
}

/// What the line `-- sexton:replaces` says: of what an earlier checkpoint stands for, either that or it is in.
fn entries(steps: &[&Migration]) -> Vec<String> {
    let mut all = Vec::new();
    for one in steps {
        match one.replaces.as_slice() {
            [] => all.push(one.id.clone()),
            earlier => all.extend(earlier.iter().map(|entry| format!("{entry}|{}", one.id))),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_of_a_checkpoint_keeps_what_the_first_stood_for() {
        let file = |id: &str, replaces: &[&str]| Migration {
            id: id.to_owned(),
            replaces: replaces.iter().map(|id| (*id).to_owned()).collect(),
            ..Migration::default()
        };
        let (first, next) = (file("0002_checkpoint", &["0001_a", "0002_b"]), file("0003_c", &[]));
        assert_eq!(entries(&[&first, &next]), ["0001_a|0002_checkpoint", "0002_b|0002_checkpoint", "0003_c"]);
    }
}
