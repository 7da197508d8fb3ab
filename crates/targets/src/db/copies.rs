//! The contract of whole copies: how a database is dumped, how a dump is looked at, and how it becomes a database again.
//!
//! A dump is one part or several, each a stream with a name; where parts go, how they are compressed and for how long
//! they are kept is not known here. A revived dump is always a new database: what is live is only ever replaced by
//! [`Copies::replace`], as a whole.

use super::{Database, Result, TableName};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How to dump and to revive.
#[derive(Debug, Clone, Default)]
pub struct Dumping {
    /// A private folder for files in the making; the caller removes it.
    pub scratch: PathBuf,
    /// One of [`Copies::formats`]; the first when none.
    pub format: Option<String>,
    /// How many tables at a time, where the format allows it.
    pub jobs: usize,
    /// The folder of the database's own programs; looked for when none.
    pub programs: Option<PathBuf>,
}

/// What a dump holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Contents {
    /// One of [`Copies::formats`].
    pub format: String,
    /// The version of the server, or of the library.
    pub server_version: String,
    /// The program that dumped it, with its version.
    pub tool_version: String,
    /// Stands for all tables with their columns, indexes and triggers; empty where the dump does not tell.
    pub schema: String,
    /// The tables with rows.
    pub tables: Vec<Held>,
}

/// A table in a dump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// As messages spell it.
    pub name: String,
    /// How many rows went into the dump, where that could be told.
    pub rows: Option<u64>,
}

/// Receives a part: its name and its bytes. The same name again means that the part begins anew.
pub type EachPart<'a> = dyn FnMut(&str, &mut dyn Read) -> Result<()> + 'a;

/// Whole copies of one database.
pub trait Copies {
    /// The forms that a dump can have, the usual one first.
    fn formats(&self) -> &'static [&'static str];
    /// Writes one consistent state while others go on working. What it gave to `each` counts only when it returns `Ok`.
    fn dump(&self, how: &Dumping, each: &mut EachPart) -> Result<Contents>;
    /// Copies all pages as they are into the scratch folder, where looking at the copy tells what looking at the database
    /// would; none where a copy is written anew and so hides what is wrong.
    fn pages(&self, how: &Dumping) -> Result<Option<Arc<dyn Database>>> {
        let _ = how;
        Ok(None)
    }
    /// Checks the parts of a dump, which lie in `folder` under their names, and says what they hold.
    fn look(&self, how: &Dumping, folder: &Path) -> Result<Contents>;
    /// Makes a new database out of a dump: a file at this path, or a database of this name on the same server. One that is
    /// there already is refused.
    fn revive(&self, how: &Dumping, folder: &Path, name: &str) -> Result<Arc<dyn Database>>;
    /// Makes a new database with nothing in it, in the same way as this one is: a file at this path, or a database of this
    /// name on the same server. One that is there already is refused.
    fn blank(&self, how: &Dumping, name: &str) -> Result<Arc<dyn Database>>;
    /// Everything that is in it, rows too, as statements that make it again in an empty one; without Sexton's own and without
    /// these tables. For small databases.
    fn script(&self, how: &Dumping, without: &[TableName]) -> Result<String>;
    /// A name for a database that is made to be discarded.
    fn scratch_name(&self, how: &Dumping, id: &str) -> String;
    /// Removes a database that [`Copies::revive`] or [`Copies::blank`] made under a [`Copies::scratch_name`]; any other name is refused.
    fn discard(&self, name: &str) -> Result<()>;
    /// Puts a revived database in the place of this one, all or nothing; what was there is kept under `aside` where the
    /// database can do that. Says where it is kept.
    fn replace(&self, revived: &str, aside: &str) -> Result<Option<String>>;
}
