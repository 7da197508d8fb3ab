//! Which files and folders are orphans, by class; which are unknown; which are too young or exempt.
//!
//! Doubt speaks for the file: what no class knows is told as unknown and stays, and a folder whose id is gone stays when
//! a row refers to anything in it.

use super::glob::Glob;
use super::listing::Listing;
use super::marks::Marks;
use super::options::{FOLDERS, Options, TEMPORARY};
use engine::{Doomed, Planning, Result};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// How many unknown things are listed.
const UNKNOWN_LISTED: usize = 10_000;

/// One class and what it found.
#[derive(Debug, Default)]
pub struct Found {
    /// Its name.
    pub class: String,
    /// What is to go, in the order of names.
    pub doomed: Vec<Doomed>,
    /// How many files or folders were judged.
    pub judged: u64,
    /// Orphans that are too young.
    pub young: u64,
    /// Orphans that an undo brought back.
    pub exempt: u64,
    /// Orphans beyond the limit of a run.
    pub left: u64,
}

/// The whole judgement.
#[derive(Debug, Default)]
pub struct Judged {
    /// By class, in order.
    pub classes: Vec<Found>,
    /// What no class knows.
    pub unknown: BTreeSet<String>,
    /// How many that are, also beyond the list.
    pub unknown_count: u64,
    /// Folders whose id is gone, but rows refer to what is in them.
    pub kept: Vec<String>,
    /// How many folders of ids there are, and how many of them live.
    pub folders: (u64, u64),
    /// By folder, with all below it: files judged, orphans. All of them are under the empty name.
    pub folders_of_files: BTreeMap<String, (u64, u64)>,
    /// Bytes that would become free: a file with several names is counted once.
    pub freed: u64,
}

struct Rules<'a> {
    options: &'a Options,
    marks: &'a Marks,
    restored: &'a HashSet<String>,
    skip: usize,
    too_young_us: i64,
    id: Glob,
    keep: Vec<Glob>,
    classes: Vec<Glob>,
    temporary: Vec<(Glob, i64)>,
}

/// Judges everything in a listing whose references are marked.
pub fn judge(
    options: &Options,
    listing: &Listing,
    marks: &Marks,
    restored: &HashSet<String>,
    planning: &Planning,
) -> Result<Judged> {
    let before = |age: &engine::age::Age| age.before(planning.now).map(|at| at.as_microsecond());
    let mut temporary = Vec::new();
    for rule in &options.temporary {
        temporary.push((Glob::new(&rule.glob), before(&rule.older_than)?));
    }
    let classes = options.file_classes();
    let rules = Rules {
        options,
        marks,
        restored,
        skip: if options.base.is_empty() { 0 } else { options.base.len() + 1 },
        too_young_us: before(&options.min_age)?,
        id: Glob::new(&options.id_pattern),
        keep: options.keep.iter().map(|text| Glob::new(text)).collect(),
        classes: classes.iter().map(|class| Glob::new(&class.glob)).collect(),
        temporary,
    };
    let mut judged = Judged::default();
    let named = |class: &str| Found { class: class.to_owned(), ..Found::default() };
    if options.ids.is_some() {
        judged.classes.push(named(FOLDERS));
    }
    judged.classes.extend(classes.iter().map(|class| named(&class.class)));
    if !options.temporary.is_empty() {
        judged.classes.push(named(TEMPORARY));
    }
    if options.ids.is_some() {
        rules.folders(listing, &mut judged);
    }
    for n in 0..listing.files.len() {
        rules.file(n, listing, &mut judged);
    }
    judged.sum_up_folders();
    for other in listing.links.iter().chain(&listing.others) {
        judged.unknown(other);
    }
    for found in &mut judged.classes {
        found.doomed.sort_by(|a, b| a.name.cmp(&b.name));
    }
    judged.limit(options.max_files);
    judged.freed = freed(listing, &judged);
    Ok(judged)
}

impl Rules<'_> {
    fn full(&self, path: &str) -> String {
        if self.options.base.is_empty() { path.to_owned() } else { format!("{}/{path}", self.options.base) }
    }

    fn folders(&self, listing: &Listing, judged: &mut Judged) {
        for (name, top) in &listing.tops {
            let full = self.full(name);
            if !self.id.fits(name) {
                let temporary = self.temporary.iter().any(|(glob, _)| glob.fits(&format!("{name}/x")));
                if !temporary && !top.referenced {
                    judged.unknown(&full);
                }
                continue;
            }
            judged.folders.0 += 1;
            judged.folders.1 += u64::from(top.live);
            let found = &mut judged.classes[0];
            found.judged += 1;
            if top.live {
                continue;
            }
            if top.referenced {
                judged.kept.push(full);
            } else if self.restored.contains(&full) {
                found.exempt += 1;
            } else if top.newest_us >= self.too_young_us {
                found.young += 1;
            } else {
                found.doomed.push(Doomed {
                    name: full,
                    folder: true,
                    bytes: top.bytes,
                    files: top.files,
                    modified_us: top.newest_us,
                    why: FOLDERS.to_owned(),
                });
            }
        }
    }

    fn file(&self, n: usize, listing: &Listing, judged: &mut Judged) {
        let name = listing.name(n);
        let path = name.get(self.skip..).unwrap_or_default();
        if self.options.marker.as_deref() == Some(path) {
            return;
        }
        if let Some((_, older_us)) = self.temporary.iter().find(|(glob, _)| glob.fits(path)) {
            let last = judged.classes.len() - 1;
            let used = listing.is_referenced(n) || self.marks.covers(name, self.options);
            return self.add(n, listing, &mut judged.classes[last], used, (*older_us).min(self.too_young_us));
        }
        let path = match (&self.options.ids, path.split_once('/')) {
            (None, _) => path,
            (Some(_), None) => {
                if !listing.is_referenced(n) {
                    judged.unknown(name);
                }
                return;
            }
            (Some(_), Some((top, below))) => {
                if !self.id.fits(top) || !listing.tops.get(top).is_some_and(|top| top.live) {
                    return;
                }
                below
            }
        };
        if self.keep.iter().any(|glob| glob.fits(path)) {
            return;
        }
        let used = listing.is_referenced(n) || self.marks.covers(name, self.options);
        let Some(class) = self.classes.iter().position(|glob| glob.fits(path)) else {
            if !used {
                judged.unknown(name);
            }
            return;
        };
        if self.options.ids.is_none() {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            if !judged.folders_of_files.contains_key(folder) {
                judged.folders_of_files.insert(folder.to_owned(), (0, 0));
            }
            if let Some(both) = judged.folders_of_files.get_mut(folder) {
                both.0 += 1;
                both.1 += u64::from(!used);
            }
        }
        let at = class + usize::from(self.options.ids.is_some());
        self.add(n, listing, &mut judged.classes[at], used, self.too_young_us);
    }

    fn add(&self, n: usize, listing: &Listing, found: &mut Found, used: bool, older_us: i64) {
        let (name, item) = (listing.name(n), &listing.files[n]);
        found.judged += 1;
        if used {
            return;
        }
        if self.restored.contains(name) {
            found.exempt += 1;
        } else if item.modified_us >= older_us {
            found.young += 1;
        } else {
            found.doomed.push(Doomed {
                name: name.to_owned(),
                folder: false,
                bytes: item.bytes,
                files: 1,
                modified_us: item.modified_us,
                why: found.class.clone(),
            });
        }
    }
}

impl Judged {
    /// Until here each folder has only its own files.
    fn sum_up_folders(&mut self) {
        let own: Vec<(String, (u64, u64))> = std::mem::take(&mut self.folders_of_files).into_iter().collect();
        for (folder, (files, orphans)) in own {
            let ends = folder.match_indices('/').map(|(at, _)| at).chain([folder.len()]);
            let above = std::iter::once(0).chain(ends.filter(|end| *end > 0));
            for end in above {
                let both = self.folders_of_files.entry(folder[..end].to_owned()).or_default();
                both.0 += files;
                both.1 += orphans;
            }
        }
    }

    fn unknown(&mut self, name: &str) {
        self.unknown_count += 1;
        if self.unknown.len() < UNKNOWN_LISTED {
            self.unknown.insert(name.to_owned());
        }
    }

    fn limit(&mut self, most: u64) {
        let mut room = usize::try_from(most).unwrap_or(usize::MAX);
        for found in &mut self.classes {
            let keep = found.doomed.len().min(room);
            found.left = (found.doomed.len() - keep) as u64;
            found.doomed.truncate(keep);
            room -= keep;
        }
    }
}

/// What the doomed files take, a file with several names once (W-026).
fn freed(listing: &Listing, judged: &Judged) -> u64 {
    let doomed = judged.classes.iter().flat_map(|found| &found.doomed);
    let all: u64 = doomed.clone().map(|one| one.bytes).sum();
    if listing.shared.is_empty() {
        return all;
    }
    let names: HashSet<&str> = doomed.map(|one| one.name.as_str()).collect();
    let goes = |name: &str| {
        let ends = name.match_indices('/').map(|(at, _)| at).chain([name.len()]);
        ends.into_iter().any(|end| names.contains(&name[..end]))
    };
    let mut seen = HashSet::new();
    let twice: u64 = listing
        .shared
        .iter()
        .filter(|(n, _)| goes(listing.name(**n)))
        .filter(|(_, shared)| !seen.insert(**shared))
        .map(|(n, _)| listing.files[*n].bytes)
        .sum();
    all - twice
}
