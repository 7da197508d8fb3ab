//! Compares two schemas object by object: what is missing, what is extra, what differs in which of its facts.
//!
//! It promises that two databases of one kind and version that were made by the same statements are equal, whatever their
//! settings, and that how a statement was written (blanks, quotes, capitals) makes no difference. It offers a statement only
//! where no row is lost by it and nobody waits for long; it runs none. Sexton's own objects, those of extensions and the
//! histories of migrations do not take part.

mod clauses;
mod differences;
mod ignored;
mod mend;
mod normal;
mod sqlite;
mod text;

pub use differences::{Changed, Comparison, Difference, What};
pub use ignored::Ignored;

use super::history;
use super::script::Language;
use engine::{Error, Result};
use targets::db::{Facts, Object};

/// The schema of one database at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Its objects, each table before what belongs to it.
    pub objects: Vec<Object>,
    language: Language,
}

impl Snapshot {
    /// Reads it, without what is to be ignored.
    pub fn read(facts: &mut dyn Facts, ignored: &Ignored) -> Result<Self> {
        let histories = history::found(facts)?;
        let mut objects = facts.objects()?;
        let is_history = |name: &str| {
            histories.iter().any(|history| match &history.table.schema {
                Some(schema) => name == format!("{schema}.{}", history.table.name),
                None => name.eq_ignore_ascii_case(&history.table.name),
            })
        };
        objects.retain(|object| {
            let own = object.kind == "table" && is_history(&object.name);
            !own && !object.of.as_deref().is_some_and(is_history)
        });
        Ok(Self::of(objects, Language::of(facts.dialect()), ignored))
    }

    /// Of these objects.
    pub fn of(mut objects: Vec<Object>, language: Language, ignored: &Ignored) -> Self {
        if language.is_sqlite() {
            objects = objects.into_iter().flat_map(sqlite::expanded).collect();
        }
        objects.retain(|object| !ignored.covers(object));
        Self { objects, language }
    }

    /// What would have to change in `found` for it to be as this one.
    pub fn compare(&self, found: &Snapshot) -> Result<Comparison> {
        if self.language.is_sqlite() != found.language.is_sqlite() {
            return Err(Error::usage("a schema of SQLite cannot be compared with one of PostgreSQL")
                .help("compare two databases of one kind"));
        }
        let fold = self.language.is_sqlite();
        Ok(differences::between(&self.objects, &found.objects, fold))
    }
}
