//! Marks in a listing what rows refer to. The same for the whole store when planning and for the few files of a batch
//! right before they move.
//!
//! Rows are read on one thread; where they are many, another helps to look for what they mention. What comes out does not
//! depend on who met what.

use super::listing::Listing;
use super::options::{Form, Options};
use super::paths::{Paths, checksums};
use super::references::{Given, Mention, Read, Source};
use engine::{Error, Result};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::mpsc::{Receiver, TrySendError, sync_channel};
use std::thread;
use targets::db::Facts;
use targets::files::Files;

/// How many missing files are listed by name.
const MISSING_LISTED: usize = 10_000;
/// Values that are handed over together, by number and by bytes.
const PORTION: (usize, usize) = (1_024, 256 << 10);

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
    /// By column: how many files are not there, and the first of them.
    pub missing: Vec<(String, u64, Vec<String>)>,
    /// The first of these names, of all columns.
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
    let names = Names::of(options, listing, sources);
    let look = Look { options, names: &names, store, listing };
    for source in sources {
        let part = look.through(source, facts)?;
        marks.add(&source.label, part);
    }
    listing.settle(&options.base, &marks.folders);
    Ok(marks)
}

impl Marks {
    fn add(&mut self, column: &str, part: Part) {
        self.values += part.read.values;
        self.met += part.met;
        self.folders.extend(part.folders);
        if part.read.broken > 0 {
            self.broken.push((column.to_owned(), part.read.broken));
        }
        if let Some(sample) = part.elsewhere_such_as {
            self.elsewhere.push((column.to_owned(), part.elsewhere, sample));
        }
        if part.missing > 0 {
            let some = part.missing_names.iter().take(3).cloned().collect();
            self.missing.push((column.to_owned(), part.missing, some));
        }
        for name in part.missing_names {
            note(&mut self.missing_names, name);
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

/// Keeps the first names in their order, whoever comes first.
fn note(names: &mut BTreeSet<String>, name: String) {
    if names.len() < MISSING_LISTED || names.last().is_some_and(|last| name < *last) {
        names.insert(name);
        if names.len() > MISSING_LISTED {
            names.pop_last();
        }
    }
}

/// What the values of one column came to, or some of them.
#[derive(Default)]
struct Part {
    read: Read,
    met: u64,
    elsewhere: u64,
    elsewhere_such_as: Option<String>,
    missing: u64,
    missing_names: BTreeSet<String>,
    folders: HashSet<String>,
}

impl Part {
    fn and(mut self, other: Part) -> Part {
        self.read.values += other.read.values;
        self.read.broken += other.read.broken;
        self.met += other.met;
        self.elsewhere += other.elsewhere;
        self.elsewhere_such_as = self.elsewhere_such_as.into_iter().chain(other.elsewhere_such_as).min();
        self.missing += other.missing;
        other.missing_names.into_iter().for_each(|name| note(&mut self.missing_names, name));
        self.folders.extend(other.folders);
        self
    }

    fn misses(&mut self, name: &str) {
        self.missing += 1;
        note(&mut self.missing_names, name.to_owned());
    }
}

/// What is needed to find what a text means. Shared by threads.
struct Look<'a> {
    options: &'a Options,
    names: &'a Names,
    store: &'a dyn Files,
    listing: &'a Listing,
}

impl Look<'_> {
    /// Looks for everything that a column mentions.
    fn through(&self, source: &Source, facts: &mut dyn Facts) -> Result<Part> {
        let mut own = Seeker::new(self);
        let mut portion: Vec<Given> = Vec::new();
        let mut bytes = 0;
        thread::scope(|scope| {
            let mut helper = None;
            source.stream(facts, &mut |given| {
                bytes += given.bytes();
                portion.push(given);
                if portion.len() < PORTION.0 && bytes < PORTION.1 {
                    return Ok(());
                }
                bytes = 0;
                let (give, _) = helper.get_or_insert_with(|| {
                    let (give, given) = sync_channel(2);
                    (give, scope.spawn(move || help(self, source, given)))
                });
                match give.try_send(std::mem::take(&mut portion)) {
                    Ok(()) => Ok(()),
                    // It has enough to do, or has failed, which is told in the end.
                    Err(TrySendError::Full(portion) | TrySendError::Disconnected(portion)) => {
                        own.seek(source, portion)
                    }
                }
            })?;
            own.seek(source, portion)?;
            match helper {
                None => Ok(own.part),
                Some((give, helper)) => {
                    drop(give);
                    let other =
                        helper.join().map_err(|_| Error::system("a thread that looks for files died"))??;
                    Ok(own.part.and(other))
                }
            }
        })
    }
}

fn help(look: &Look, source: &Source, given: Receiver<Vec<Given>>) -> Result<Part> {
    let mut own = Seeker::new(look);
    given.into_iter().try_for_each(|portion| own.seek(source, portion))?;
    Ok(own.part)
}

/// One thread's work.
struct Seeker<'a> {
    look: &'a Look<'a>,
    paths: Paths<'a>,
    part: Part,
}

impl<'a> Seeker<'a> {
    fn new(look: &'a Look<'a>) -> Self {
        let paths = Paths::new(look.store, &look.options.base, &look.options.prefixes, &look.listing.links);
        Self { look, paths, part: Part::default() }
    }

    fn seek(&mut self, source: &Source, portion: Vec<Given>) -> Result<()> {
        let (look, paths, part) = (self.look, &self.paths, &mut self.part);
        for given in portion {
            part.read.values += 1;
            let whole = source.tell(given, &mut |mention| {
                met(look, paths, part, mention);
                Ok(())
            })?;
            part.read.broken += u64::from(!whole);
        }
        Ok(())
    }
}

fn met(look: &Look, paths: &Paths, part: &mut Part, mention: &Mention) {
    let meant = match mention.form {
        Form::Name | Form::Hash => {
            let met = look.names.meet(mention.form, mention.text, look.listing);
            part.met += u64::from(met);
            if !met && mention.sure {
                part.misses(mention.text);
            }
            return;
        }
        _ => paths.meant(mention.text, mention.within),
    };
    let listing = look.listing;
    let mut met = false;
    for (n, name) in meant.names.iter().enumerate() {
        if let Some(n) = listing.find(name) {
            listing.refer(n);
            met = true;
        // A word that happens to be the name of a folder does not mean all that is in it.
        } else if mention.sure && n < meant.whole && listing.folders.contains(name) {
            if !part.folders.contains(name) {
                part.folders.insert(name.clone());
            }
            met = true;
        } else {
            met |= listing.links.contains(name);
        }
    }
    part.met += u64::from(met);
    if !mention.sure {
        return;
    }
    if meant.elsewhere {
        part.elsewhere += 1;
        if part.elsewhere_such_as.as_deref().is_none_or(|known| mention.text < known) {
            part.elsewhere_such_as = Some(mention.text.to_owned());
        }
    }
    if met {
        return;
    }
    // The reading whose folder is there is the one that people know.
    let whole = &meant.names[..meant.whole];
    let folder_is_there =
        |name: &&String| name.rsplit_once('/').is_none_or(|(folder, _)| listing.folders.contains(folder));
    if let Some(name) = whole.iter().find(folder_is_there).or(whole.first()) {
        part.misses(name);
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
        let (by_name, by_hash) = (wants(Form::Name), wants(Form::Hash));
        let skip = if options.base.is_empty() { 0 } else { options.base.len() + 1 };
        let mut names = Self { by_name: HashMap::new(), by_hash: HashMap::new() };
        let all = if by_name || by_hash { listing.files.len() } else { 0 };
        for n in 0..all {
            let path = listing.name(n).get(skip..).unwrap_or_default();
            if by_name {
                let last = path.rsplit('/').next().unwrap_or(path);
                names.by_name.entry(last.to_owned()).or_default().push(n);
            }
            if by_hash {
                for key in checksums(path) {
                    names.by_hash.entry(key).or_default().push(n);
                }
            }
        }
        names
    }

    fn meet(&self, form: Form, text: &str, listing: &Listing) -> bool {
        let bare = text.trim();
        let met = match form {
            // A name may begin or end with a space.
            Form::Hash => {
                self.by_hash.get(&text.to_lowercase()).or_else(|| self.by_hash.get(&bare.to_lowercase()))
            }
            _ => self.by_name.get(text).or_else(|| self.by_name.get(bare)),
        };
        for n in met.into_iter().flatten() {
            listing.refer(*n);
        }
        met.is_some_and(|met| !met.is_empty())
    }
}
