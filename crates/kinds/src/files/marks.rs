//! Marks in a listing what rows refer to. The same for the whole store when planning and for the few files of a batch
//! right before they move.

use super::listing::Listing;
use super::options::{Form, Options};
use super::paths::{Paths, checksums};
use super::references::{Read, Source};
use engine::Result;
use std::collections::{BTreeSet, HashMap, HashSet};
use targets::db::Facts;
use targets::files::Files;

/// How many missing files are listed by name.
const MISSING_LISTED: usize = 10_000;

/// What the references came to.
#[derive(Default)]
pub struct Marks {
    /// Ids read.
    pub ids: u64,
    /// Values read, of all columns that refer.
    pub values: u64,
    /// Mentions that name a file that is there.
    pub met: u64,
    /// By column: values that could not be read.
    pub broken: Vec<(String, u64)>,
    /// By column: paths of other places, with one of them.
    pub elsewhere: Vec<(String, u64, String)>,
    /// By column: names of files that are not there.
    pub missing: Vec<(String, u64)>,
    /// The first of these names.
    pub missing_names: BTreeSet<String>,
    /// Folders that rows refer to as such: what is in them is referred to.
    pub folders: HashSet<String>,
}

/// Reads ids and references, and marks.
pub fn mark(
    options: &Options,
    ids: Option<&Source>,
    sources: &[Source],
    store: &dyn Files,
    listing: &mut Listing,
    facts: &mut dyn Facts,
) -> Result<Marks> {
    let mut marks = Marks::default();
    if let Some(ids) = ids {
        let read = ids.read(facts, &mut |mention| {
            if let Some(top) = listing.tops.get_mut(mention.text) {
                top.live = true;
            }
            Ok(())
        })?;
        marks.ids = read.values;
    }
    let mut names = Names::of(options, listing, sources);
    let links = std::mem::take(&mut listing.links);
    let paths = Paths::new(store, &options.base, &options.prefixes, &links);
    for source in sources {
        let (mut elsewhere, mut sample, mut missing) = (0, String::new(), 0);
        let Read { values, broken } = source.read(facts, &mut |mention| {
            let meant = match mention.form {
                Form::Name | Form::Hash => {
                    let met = names.meet(mention.form, mention.text, listing);
                    marks.met += u64::from(met);
                    if !met && mention.sure {
                        missing += 1;
                        marks.note_missing(mention.text);
                    }
                    return Ok(());
                }
                _ => paths.meant(mention.text, mention.within),
            };
            let mut met = false;
            for (n, name) in meant.names.iter().enumerate() {
                // A word that happens to be the name of a folder does not mean all that is in it.
                let may_be_folder = mention.sure && n < meant.whole;
                met |= marks.meet(name, may_be_folder, &options.base, listing);
            }
            marks.met += u64::from(met);
            if meant.elsewhere && mention.sure {
                elsewhere += 1;
                if sample.is_empty() {
                    mention.text.clone_into(&mut sample);
                }
            }
            // The reading whose folder is there is the one that people know.
            let whole = &meant.names[..meant.whole];
            let folder_is_there = |name: &&String| {
                name.rsplit_once('/').is_none_or(|(folder, _)| listing.folders.contains(folder))
            };
            let likely = whole.iter().find(folder_is_there).or(whole.first());
            if let Some(name) = likely.filter(|_| !met && mention.sure) {
                missing += 1;
                marks.note_missing(name);
            }
            Ok(())
        })?;
        marks.values += values;
        if broken > 0 {
            marks.broken.push((source.label.clone(), broken));
        }
        if elsewhere > 0 {
            marks.elsewhere.push((source.label.clone(), elsewhere, sample));
        }
        if missing > 0 {
            marks.missing.push((source.label.clone(), missing));
        }
    }
    listing.links = links;
    Ok(marks)
}

impl Marks {
    fn meet(&mut self, name: &str, may_be_folder: bool, base: &str, listing: &mut Listing) -> bool {
        if let Some(n) = listing.find(name) {
            listing.files[n].referenced = true;
        } else if may_be_folder && listing.folders.contains(name) {
            self.folders.insert(name.to_owned());
        } else {
            return listing.links.contains(name);
        }
        let path = if base.is_empty() { name } else { name.get(base.len() + 1..).unwrap_or_default() };
        let first = path.split('/').next().unwrap_or_default();
        if let Some(top) = listing.tops.get_mut(first) {
            top.referenced = true;
        }
        true
    }

    fn note_missing(&mut self, name: &str) {
        if self.missing_names.len() < MISSING_LISTED {
            self.missing_names.insert(name.to_owned());
        }
    }

    /// Whether a folder above it is referred to as a whole. The folder of an id is not meant: rows hold that too.
    pub fn covers(&self, name: &str, options: &Options) -> bool {
        if self.folders.is_empty() {
            return false;
        }
        let least = match (&options.ids, options.base.is_empty()) {
            (None, true) => 0,
            (None, false) => options.base.len() + 1,
            (Some(_), _) => {
                let skip = if options.base.is_empty() { 0 } else { options.base.len() + 1 };
                name.get(skip..).and_then(|path| path.find('/')).map_or(usize::MAX, |at| skip + at + 1)
            }
        };
        name.match_indices('/').any(|(at, _)| at >= least && self.folders.contains(&name[..at]))
    }
}

/// Files by their last part and by checksum, made only where a column names them so.
struct Names {
    by_name: HashMap<String, Vec<usize>>,
    by_hash: HashMap<String, Vec<usize>>,
}

impl Names {
    fn of(options: &Options, listing: &Listing, sources: &[Source]) -> Self {
        let wants = |form: Form| sources.iter().any(|source| source.form() == form);
        let skip = if options.base.is_empty() { 0 } else { options.base.len() + 1 };
        let mut names = Self { by_name: HashMap::new(), by_hash: HashMap::new() };
        for n in 0..listing.files.len() {
            let path = listing.name(n).get(skip..).unwrap_or_default();
            if wants(Form::Name) {
                let last = path.rsplit('/').next().unwrap_or(path);
                names.by_name.entry(last.to_owned()).or_default().push(n);
            }
            if wants(Form::Hash) {
                for key in checksums(path) {
                    names.by_hash.entry(key).or_default().push(n);
                }
            }
        }
        names
    }

    fn meet(&mut self, form: Form, text: &str, listing: &mut Listing) -> bool {
        let text = text.trim();
        let met = match form {
            Form::Hash => self.by_hash.get(&text.to_lowercase()),
            _ => self.by_name.get(text),
        };
        for n in met.into_iter().flatten() {
            listing.files[*n].referenced = true;
            let name = listing.name(*n).to_owned();
            // Whichever part is the first below the base.
            for part in name.split('/') {
                if let Some(top) = listing.tops.get_mut(part) {
                    top.referenced = true;
                }
            }
        }
        met.is_some_and(|met| !met.is_empty())
    }
}
