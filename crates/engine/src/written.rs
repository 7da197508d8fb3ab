//! Files that a run writes into a store: each appears whole or not at all, is written down in the database, and taken away
//! again by an undo.
//!
//! A file system takes part in no transaction: what is about to be written is listed in the store first, so that a batch
//! which is repeated after a death knows its own files from those of others. A file that was there stays, or is set aside
//! where that was asked for. It never follows a link; stores refuse to.

use crate::error::{Class, Result};
use crate::quarantine::{Doomed, Gone, QUARANTINE, place_of, said};
use crate::undo::{WrittenFile, record_written, written_names};
use crate::work::Work;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::io::{Read, Write as _};
use targets::files::{About, Files, Sort, failed};

/// When as many files of a batch cannot be written and none can, the run ends.
const HOPELESS: usize = 20;

/// One file that is to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Its name in the store.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrote {
    /// It is there, and what was there before, if anything, is set aside.
    Written {
        /// Whether something was.
        replaced: bool,
    },
    /// Something was there, and stays.
    Kept,
    /// It could not be written, and why.
    Failed(String),
}

/// A line of the list of what is about to be written.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Intent {
    batch: i64,
    name: String,
    sha256: String,
    /// The topmost folder that is made for it.
    made: Option<String>,
    /// Whether something is there already.
    old: bool,
}

fn list_of(point: &str) -> String {
    format!("{QUARANTINE}/{point}/writing.jsonl")
}

impl Work<'_> {
    /// Writes files, at most once in a batch; what became of each, in their order. One that cannot be written does not
    /// keep the others.
    pub fn write_files(&mut self, store: &str, wishes: &[Wish], replace: bool) -> Result<Vec<Wrote>> {
        let files = self.store(store)?;
        let files = files.as_ref();
        let (point, batch) = (self.point().to_owned(), self.batch());
        let earlier = read_list(files, &point)?;
        let names: Vec<&str> = wishes.iter().map(|wish| wish.name.as_str()).collect();
        let dialect = self.dialect();
        let ours = written_names(self.tx(), dialect, &point, store, &names)?;
        let mut seen = HashSet::new();
        let mut outcomes = Vec::new();
        let mut intents = Vec::new();
        for wish in wishes {
            let taken = ours.contains(&wish.name) || !seen.insert(wish.name.as_str());
            let outcome = match taken {
                true => Err(Wrote::Failed(format!("another row has the same file `{}`", wish.name))),
                false => intend(files, wish, earlier.get(&wish.name), batch, replace)?,
            };
            intents.push(outcome.as_ref().ok().cloned());
            outcomes.push(outcome.err());
        }
        // What an attempt that died has left and this one does not come to is the next batch's.
        let left =
            earlier.into_values().filter(|one| one.batch >= batch && !names.contains(&one.name.as_str()));
        let left = left.map(|one| Intent { batch: batch + 1, ..one });
        write_list(files, &point, intents.iter().flatten().cloned().chain(left))?;
        self.may_die("before files are written")?;
        self.set_old_ones_aside(files, store, &point, &intents, &mut outcomes)?;
        let mut rows = Vec::new();
        let mut refused = Vec::new();
        for (n, (wish, intent)) in wishes.iter().zip(&intents).enumerate() {
            let (Some(intent), None) = (intent, &outcomes[n]) else { continue };
            outcomes[n] = Some(match write(files, wish) {
                Ok(()) => Wrote::Written { replaced: intent.old },
                Err(error) if error.class == Class::Transient => return Err(error),
                Err(error) => {
                    if intent.old {
                        files.move_to(&place_of(&point, &wish.name), &wish.name)?;
                    }
                    let why = said(&error);
                    refused.push(error);
                    Wrote::Failed(why)
                }
            });
            self.may_die("after a file was written")?;
            if matches!(outcomes[n], Some(Wrote::Written { .. })) {
                rows.push(WrittenFile {
                    position: batch * 1_000_000 + n as i64,
                    store: store.to_owned(),
                    name: wish.name.clone(),
                    bytes: wish.bytes.len() as u64,
                    sha256: intent.sha256.clone(),
                    made: intent.made.clone(),
                });
            }
        }
        // Where nothing at all can be written, the store is to blame, not the rows.
        if rows.is_empty() && refused.len() >= HOPELESS {
            return Err(refused.swap_remove(0));
        }
        if self.remembers() && !rows.is_empty() {
            record_written(self.tx(), dialect, &point, &rows)?;
            self.remembers_things();
        }
        self.may_die("after files were written")?;
        Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or(Wrote::Kept)).collect())
    }

    /// Forgets what was about to be written: all of it is, and committed.
    pub fn nothing_more_to_write(&mut self, store: &str) -> Result<()> {
        let list = list_of(self.point());
        self.store(store)?.remove_tree(&list).map(drop)
    }

    fn set_old_ones_aside(
        &mut self,
        files: &dyn Files,
        store: &str,
        point: &str,
        intents: &[Option<Intent>],
        outcomes: &mut [Option<Wrote>],
    ) -> Result<()> {
        let mut doomed = Vec::new();
        let mut places = Vec::new();
        for (n, intent) in intents.iter().enumerate() {
            let Some(intent) = intent.as_ref().filter(|intent| intent.old) else { continue };
            // An attempt that died may have done it already: then what lies under the name is our own.
            let aside = files.look(&place_of(point, &intent.name))?;
            let Some(about) = aside.or(files.look(&intent.name)?) else { continue };
            places.push(n);
            doomed.push(Doomed {
                name: intent.name.clone(),
                folder: false,
                bytes: about.bytes,
                files: 1,
                modified_us: about.modified_us,
                why: "another file takes its place".to_owned(),
            });
        }
        if doomed.is_empty() {
            return Ok(());
        }
        let gone = self.quarantine(store, &doomed)?;
        for (n, gone) in places.into_iter().zip(gone) {
            outcomes[n] = match gone {
                Gone::Moved => None,
                Gone::Changed | Gone::Vanished => {
                    Some(Wrote::Failed("the file that was there changed meanwhile".to_owned()))
                }
                Gone::Failed(reason) => Some(Wrote::Failed(reason)),
            };
        }
        Ok(())
    }
}

/// What is about to be done for a wish, or that nothing will be.
fn intend(
    files: &dyn Files,
    wish: &Wish,
    earlier: Option<&Intent>,
    batch: i64,
    replace: bool,
) -> Result<std::result::Result<Intent, Wrote>> {
    let sha256 = hex(&Sha256::digest(&wish.bytes));
    let name = wish.name.clone();
    let fresh = |made, old| Ok(Ok(Intent { batch, name: name.clone(), sha256: sha256.clone(), made, old }));
    let failed = |reason: String| Ok(Err(Wrote::Failed(reason)));
    if let Err(error) = targets::files::check_name(&wish.name) {
        return failed(said(&error));
    }
    let there = match files.look(&wish.name) {
        Ok(there) => there,
        Err(error) if error.class == Class::Transient => return Err(error),
        Err(error) => return failed(said(&error)),
    };
    match (there, earlier) {
        (None, Some(earlier)) => fresh(earlier.made.clone(), earlier.old),
        (None, None) => fresh(missing_folder(files, &wish.name)?, false),
        (Some(About { sort: Sort::File, .. }), Some(earlier))
            if digest(files, &wish.name)? == earlier.sha256 =>
        {
            fresh(earlier.made.clone(), earlier.old)
        }
        (Some(About { sort: Sort::File, .. }), _) if replace => fresh(None, true),
        (Some(About { sort: Sort::File, .. }), _) => Ok(Err(Wrote::Kept)),
        (Some(_), _) => failed(format!("`{}` is there and is no file", wish.name)),
    }
}

/// The topmost folder above a name that is not there yet.
fn missing_folder(files: &dyn Files, name: &str) -> Result<Option<String>> {
    for (at, _) in name.match_indices('/') {
        // What cannot be looked at is told when the file is written.
        if let Ok(None) = files.look(&name[..at]) {
            return Ok(Some(name[..at].to_owned()));
        }
    }
    Ok(None)
}

fn write(files: &dyn Files, wish: &Wish) -> Result<()> {
    let mut file = files.create(&wish.name)?;
    file.write_all(&wish.bytes)
        .map_err(|error| failed(&format!("cannot write `{}` in `{}`", wish.name, files.label()), error))?;
    file.finish()
}

/// The SHA-256 of a file.
pub(crate) fn digest(files: &dyn Files, name: &str) -> Result<String> {
    let doing = |error| failed(&format!("cannot read `{name}` in `{}`", files.label()), error);
    let mut file = files.open(name)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer).map_err(doing)? {
            0 => return Ok(hex(&hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_list(files: &dyn Files, point: &str) -> Result<HashMap<String, Intent>> {
    let name = list_of(point);
    if files.look(&name)?.is_none() {
        return Ok(HashMap::new());
    }
    let mut text = String::new();
    files
        .open(&name)?
        .read_to_string(&mut text)
        .map_err(|error| failed(&format!("cannot read `{name}` in `{}`", files.label()), error))?;
    let intents = text.lines().filter_map(|line| serde_json::from_str::<Intent>(line).ok());
    Ok(intents.map(|intent| (intent.name.clone(), intent)).collect())
}

fn write_list(files: &dyn Files, point: &str, intents: impl Iterator<Item = Intent>) -> Result<()> {
    let name = list_of(point);
    let mut file = files.create(&name)?;
    for intent in intents {
        let line = serde_json::json!(intent);
        writeln!(file, "{line}")
            .map_err(|error| failed(&format!("cannot write `{name}` in `{}`", files.label()), error))?;
    }
    file.finish()
}
