//! Files that go are set aside: renamed into a folder of the same store, written down in the database, and really gone
//! only when their undo point is forgotten.
//!
//! The rename comes before the commit. A batch that is repeated after a death finds the file in the quarantine of its own
//! undo point and adopts it, so nothing is lost or counted twice. Each file is looked at once more right before: what
//! has changed since the plan stays. It never follows a link; stores refuse to.

use crate::error::{Class, Result};
use crate::undo::{MovedFile, record_files};
use crate::work::Work;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write as _;
use targets::db::Error;
use targets::files::{About, Files, Moved, Sort};

/// The folder of a store in which files wait. No walk goes into it.
pub const QUARANTINE: &str = ".sexton-quarantine";

/// The code of the finding that files wait there of which the database knows nothing.
pub const LEFT_BEHIND: &str = "quarantine";

/// The action of a step that puts files back.
pub(crate) const RESTORE_FILES: &str = "restore_files";

/// One file, or one folder with everything in it, that is to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doomed {
    /// Its name in the store.
    pub name: String,
    /// Whether it is a folder.
    pub folder: bool,
    /// Its size; of a folder, that of all files in it.
    pub bytes: u64,
    /// How many files it is.
    pub files: u64,
    /// Its last change; of a folder, the newest change in it. Microseconds since 1970.
    pub modified_us: i64,
    /// Why it goes, for the manifest.
    pub why: String,
}

/// What became of one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gone {
    /// It is in the quarantine.
    Moved,
    /// It was changed since the plan, so it stays.
    Changed,
    /// It was gone already.
    Vanished,
    /// It could not be moved, and why.
    Failed(String),
}

/// Where a file of this name waits.
pub fn place_of(point: &str, name: &str) -> String {
    format!("{QUARANTINE}/{point}/files/{name}")
}

impl Work<'_> {
    /// Sets files aside, after another look at each; what became of them, in their order. One that cannot be moved does
    /// not keep the others.
    pub fn quarantine(&mut self, store: &str, doomed: &[Doomed]) -> Result<Vec<Gone>> {
        let files = self.store(store)?;
        let point = self.point().to_owned();
        self.may_die("before files are moved")?;
        write_manifest(files.as_ref(), &point, self.batch(), doomed, self.now())?;
        let mut outcomes = Vec::new();
        let mut rows = Vec::new();
        let mut names = Vec::new();
        for (n, one) in doomed.iter().enumerate() {
            let to = place_of(&point, &one.name);
            let outcome = match set_aside(files.as_ref(), one, &to) {
                Ok(outcome) => outcome,
                Err(error) if error.class == Class::Transient => return Err(error),
                Err(error) => Gone::Failed(said(&error)),
            };
            self.may_die("after a file was moved")?;
            let (state, reason) = match &outcome {
                Gone::Moved => ("moved", None),
                Gone::Failed(reason) => ("failed", Some(reason.clone())),
                Gone::Changed | Gone::Vanished => {
                    outcomes.push(outcome);
                    continue;
                }
            };
            rows.push(MovedFile {
                position: self.batch() * 1_000_000 + n as i64,
                store: store.to_owned(),
                name: one.name.clone(),
                folder: one.folder,
                bytes: one.bytes,
                files: one.files,
                modified_us: one.modified_us,
                state: state.to_owned(),
                reason,
            });
            if outcome == Gone::Moved {
                names.extend([to, one.name.clone()]);
            }
            outcomes.push(outcome);
        }
        files.settle(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
        let dialect = self.dialect();
        record_files(self.tx(), dialect, &point, &rows)?;
        self.remembers_things();
        self.may_die("after files were moved")?;
        Ok(outcomes)
    }

    /// Puts back what an attempt at this batch that died has moved, and rows refer to by now.
    pub fn give_back(&mut self, store: &str, needed: &[Doomed]) -> Result<()> {
        if needed.is_empty() {
            return Ok(());
        }
        let files = self.store(store)?;
        let point = self.point().to_owned();
        for one in needed {
            if files.look(&one.name)?.is_none() {
                files.move_to(&place_of(&point, &one.name), &one.name)?;
            }
        }
        Ok(())
    }
}

/// An error with its causes.
pub(crate) fn said(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    text
}

/// What goes in this batch and why, for people who find the folder. A repeated batch writes it again.
fn write_manifest(
    files: &dyn Files,
    point: &str,
    batch: i64,
    doomed: &[Doomed],
    now: jiff::Timestamp,
) -> Result<()> {
    let name = format!("{QUARANTINE}/{point}/manifest-{batch:06}.jsonl");
    let mut file = files.create(&name)?;
    for one in doomed {
        let modified = jiff::Timestamp::from_microsecond(one.modified_us).map(|at| at.to_string());
        let line = serde_json::json!({
            "path": one.name,
            "folder": one.folder,
            "bytes": one.bytes,
            "files": one.files,
            "modified": modified.unwrap_or_default(),
            "moved_at": now.to_string(),
            "why": one.why,
        });
        writeln!(file, "{line}").map_err(|error| {
            targets::files::failed(&format!("cannot write `{name}` in `{}`", files.label()), error)
        })?;
    }
    file.finish()
}

fn set_aside(files: &dyn Files, one: &Doomed, to: &str) -> Result<Gone> {
    let ours = |otherwise| files.look(to).map(|there| if there.is_some() { Gone::Moved } else { otherwise });
    let Some(about) = files.look(&one.name)? else { return ours(Gone::Vanished) };
    if !is_same(files, one, &about)? {
        return match one.folder && about.sort == Sort::Folder {
            true => half_moved(files, one, to),
            false => ours(Gone::Changed),
        };
    }
    match files.move_to(&one.name, to)? {
        // Only an earlier attempt at this batch can have put something there.
        Moved::Done | Moved::Taken => Ok(Gone::Moved),
        Moved::Missing => ours(Gone::Vanished),
    }
}

/// A folder that is not as the plan saw it: where an earlier attempt at this batch had moved a part of it, which happens in
/// buckets, the rest follows. If something came that the plan did not see, the part goes back and the folder stays whole.
fn half_moved(files: &dyn Files, one: &Doomed, to: &str) -> Result<Gone> {
    let (here, there) = (held(files, &one.name)?, held(files, to)?);
    let planned = (one.files, one.bytes);
    let sum = |held: &BTreeMap<String, u64>| (held.len() as u64, held.values().sum::<u64>());
    if there.is_empty() {
        return Ok(Gone::Changed);
    }
    if sum(&there) == planned && here.keys().all(|name| !there.contains_key(name)) {
        // All of it waits there; what is here now is another folder of that name.
        return Ok(Gone::Moved);
    }
    let mut all = here.clone();
    all.extend(there.clone());
    let (from, onto, names) = match sum(&all) == planned {
        true => (one.name.as_str(), to, here),
        false => (to, one.name.as_str(), there),
    };
    for name in names.keys() {
        if files.move_to(&format!("{from}{name}"), &format!("{onto}{name}"))? == Moved::Taken {
            return Ok(Gone::Failed(format!(
                "an earlier attempt had moved a part of it, and `{name}` is in both places"
            )));
        }
    }
    Ok(if sum(&all) == planned { Gone::Moved } else { Gone::Changed })
}

/// The files below a folder, by what follows its name, with their sizes.
fn held(files: &dyn Files, folder: &str) -> Result<BTreeMap<String, u64>> {
    let mut all = BTreeMap::new();
    files.walk(folder, &mut |name, about| {
        if let (Ok(about), Some(rest)) = (about, name.strip_prefix(folder))
            && about.sort == Sort::File
        {
            all.insert(rest.to_owned(), about.bytes);
        }
        Ok(true)
    })?;
    Ok(all)
}

/// Whether it is still what the plan saw.
fn is_same(files: &dyn Files, one: &Doomed, about: &About) -> Result<bool> {
    let sort = if one.folder { Sort::Folder } else { Sort::File };
    if about.sort != sort {
        return Ok(false);
    }
    if !one.folder {
        return Ok(about.bytes == one.bytes && about.modified_us == one.modified_us);
    }
    let (mut count, mut bytes, mut newest, mut readable) = (0, 0, about.modified_us, true);
    files.walk(&one.name, &mut |_, about| {
        match about {
            Ok(about) => {
                newest = newest.max(about.modified_us);
                bytes += about.bytes;
                count += u64::from(about.sort == Sort::File);
            }
            Err(_) => readable = false,
        }
        Ok(true)
    })?;
    Ok(readable && (count, bytes, newest) == (one.files, one.bytes, one.modified_us))
}
