//! What is in a store: walked once, before any reference is read, and kept small.
//!
//! Names lie one after the other in one text and are found by a table of numbers, so that a million files take about a hundred
//! bytes each. The quarantine and what is ignored are not part of it.

use super::options::Options;
use engine::{Doomed, Error, QUARANTINE, Result};
use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash as _, Hasher as _};
use std::sync::atomic::{AtomicBool, Ordering};
use targets::files::{About, Files, Sort};

/// One file.
#[derive(Debug, Clone, Copy)]
pub struct Item {
    at: usize,
    len: u16,
    /// In bytes.
    pub bytes: u64,
    /// Last change, microseconds since 1970.
    pub modified_us: i64,
}

/// One folder directly below the base, with everything in it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Top {
    /// Whether its id is among the rows.
    pub live: bool,
    /// Whether a row refers to something in it.
    pub referenced: bool,
    /// All files in it.
    pub files: u64,
    /// Their sizes.
    pub bytes: u64,
    /// The newest change in it.
    pub newest_us: i64,
}

/// What is in a store.
#[derive(Default)]
pub struct Listing {
    /// Whether the base is there.
    pub exists: bool,
    /// Every file.
    pub files: Vec<Item>,
    /// The folders directly below the base, by name.
    pub tops: HashMap<String, Top>,
    /// All folders.
    pub folders: HashSet<String>,
    /// Symbolic links, which are never followed.
    pub links: HashSet<String>,
    /// Neither files, folders nor links.
    pub others: Vec<String>,
    /// Places that could not be looked at, and why.
    pub problems: Vec<(String, Error)>,
    /// Files with several names, by place in `files`.
    pub shared: HashMap<usize, (u64, u64)>,
    /// Bytes of all files, each counted once.
    pub total_bytes: u64,
    /// The undo points that have files waiting in the quarantine.
    pub waiting: Vec<String>,
    names: String,
    slots: Vec<u32>,
    /// Whether a row refers to the n-th file. Several threads mark at once.
    referenced: Vec<AtomicBool>,
}

impl Listing {
    /// Walks the store.
    pub fn of(store: &dyn Files, options: &Options) -> Result<Listing> {
        let mut listing = Listing::default();
        let ignored = options.ignored();
        let skip = if options.base.is_empty() { 0 } else { options.base.len() + 1 };
        let mut counted: HashSet<(u64, u64)> = HashSet::new();
        listing.exists = store.walk(&options.base, &mut |name, about| {
            let path = name.get(skip..).unwrap_or_default();
            let about = match about {
                Ok(about) => about,
                Err(error) => {
                    listing.problems.push((name.to_owned(), error));
                    return Ok(false);
                }
            };
            if name == QUARANTINE {
                return Ok(false);
            }
            let left_out = match options.ids {
                Some(_) => path.match_indices('/').any(|(at, _)| ignored(&path[..at])) || ignored(path),
                None => ignored(path),
            };
            if !left_out {
                listing.add(name, path, &about, &mut counted);
                return Ok(true);
            }
            // A folder of an id goes as a whole, with what is left out of the judging.
            let (first, _) = path.split_once('/').filter(|_| options.ids.is_some()).unwrap_or_default();
            if let Some(top) = listing.tops.get_mut(first) {
                top.add(&about);
                return Ok(true);
            }
            Ok(false)
        })?;
        listing.index();
        listing.waiting = engine::quarantined_points(store)?;
        listing.problems.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(listing)
    }

    /// Only these files and folders, as they are now.
    pub fn few(store: &dyn Files, options: &Options, doomed: &[Doomed], links: &[String]) -> Result<Listing> {
        let mut listing = Listing { exists: true, ..Listing::default() };
        let skip = if options.base.is_empty() { 0 } else { options.base.len() + 1 };
        let mut counted = HashSet::new();
        for one in doomed {
            if !one.folder {
                let about =
                    About { sort: Sort::File, bytes: one.bytes, modified_us: one.modified_us, shared: None };
                listing.add(&one.name, one.name.get(skip..).unwrap_or_default(), &about, &mut counted);
                listing.folders.extend(one.name.match_indices('/').map(|(at, _)| one.name[..at].to_owned()));
                continue;
            }
            listing.tops.insert(one.name.get(skip..).unwrap_or_default().to_owned(), Top::default());
            listing.folders.insert(one.name.clone());
            store.walk(&one.name, &mut |name, about| {
                if let Ok(about) = about {
                    listing.add(name, name.get(skip..).unwrap_or_default(), &about, &mut counted);
                }
                Ok(true)
            })?;
        }
        listing.links.extend(links.iter().cloned());
        listing.index();
        Ok(listing)
    }

    fn add(&mut self, name: &str, path: &str, about: &About, counted: &mut HashSet<(u64, u64)>) {
        let (first, below) = path.split_once('/').map_or((path, None), |(first, below)| (first, Some(below)));
        if below.is_some() || about.sort == Sort::Folder {
            match self.tops.get_mut(first) {
                Some(top) => top.add(about),
                None => self.tops.entry(first.to_owned()).or_default().add(about),
            }
        }
        match about.sort {
            Sort::File => {
                let new = about.shared.is_none_or(|shared| counted.insert(shared));
                self.total_bytes += if new { about.bytes } else { 0 };
                if let Some(shared) = about.shared {
                    self.shared.insert(self.files.len(), shared);
                }
                self.files.push(Item {
                    at: self.names.len(),
                    len: name.len() as u16,
                    bytes: about.bytes,
                    modified_us: about.modified_us,
                });
                self.names.push_str(name);
            }
            Sort::Folder => {
                self.folders.insert(name.to_owned());
            }
            Sort::Link => {
                self.links.insert(name.to_owned());
            }
            Sort::Other => self.others.push(name.to_owned()),
        }
    }

    /// Marks the n-th file as one that a row refers to.
    pub fn refer(&self, n: usize) {
        self.referenced[n].store(true, Ordering::Relaxed);
    }

    /// Whether a row refers to the n-th file.
    pub fn is_referenced(&self, n: usize) -> bool {
        self.referenced[n].load(Ordering::Relaxed)
    }

    /// Marks the first folders below the base in which something is referred to, or which lead to such a folder.
    pub fn settle(&mut self, base: &str, folders: &HashSet<String>) {
        let skip = if base.is_empty() { 0 } else { base.len() + 1 };
        let first = |name: &str| {
            let path = name.get(skip..).unwrap_or_default();
            skip + path.find('/').unwrap_or(path.len())
        };
        let mut last = String::new();
        for n in 0..self.files.len() {
            if !self.is_referenced(n) {
                continue;
            }
            let name = self.name(n);
            let end = first(name);
            if name[..end] == last {
                continue;
            }
            last.clear();
            last.push_str(&name[..end]);
            if let Some(top) = self.tops.get_mut(&last[skip..]) {
                top.referenced = true;
            }
        }
        for name in folders {
            if let Some(top) = name.get(skip..first(name)).and_then(|first| self.tops.get_mut(first)) {
                top.referenced = true;
            }
        }
    }

    fn index(&mut self) {
        self.referenced.resize_with(self.files.len(), AtomicBool::default);
        let mut slots = vec![u32::MAX; (self.files.len() * 2).next_power_of_two().max(2)];
        let mask = slots.len() - 1;
        for n in 0..self.files.len() {
            let mut slot = hash(self.name(n)) & mask;
            while slots[slot] != u32::MAX {
                slot = (slot + 1) & mask;
            }
            slots[slot] = n as u32;
        }
        self.slots = slots;
    }

    /// The name of the n-th file.
    pub fn name(&self, n: usize) -> &str {
        let item = &self.files[n];
        &self.names[item.at..item.at + usize::from(item.len)]
    }

    /// The place of the file of this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        let mask = self.slots.len() - 1;
        let mut slot = hash(name) & mask;
        loop {
            match self.slots[slot] {
                u32::MAX => return None,
                n if self.name(n as usize) == name => return Some(n as usize),
                _ => slot = (slot + 1) & mask,
            }
        }
    }
}

impl Top {
    fn add(&mut self, about: &About) {
        self.newest_us = self.newest_us.max(about.modified_us);
        self.bytes += about.bytes;
        self.files += u64::from(about.sort == Sort::File);
    }
}

fn hash(name: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish() as usize
}
