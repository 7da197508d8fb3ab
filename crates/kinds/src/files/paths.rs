//! From what a row says to the names that it can mean in the store.
//!
//! Paths may be absolute, relative or URLs, escaped or not, with `.`, `..`, double slashes and either slash; all readings
//! count, so a doubtful file stays. What leads out of the store means nothing here.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use targets::files::Files;

/// Knows where a store lies.
pub struct Paths<'a> {
    store: &'a dyn Files,
    base: &'a str,
    /// Text before names of the store, and before names below the base.
    roots: Vec<String>,
    prefixes: Vec<String>,
    links: &'a HashSet<String>,
    /// Folders that were followed to where they really are.
    followed: RefCell<HashMap<String, Option<String>>>,
}

/// The names that a text can mean.
#[derive(Debug, Default)]
pub struct Meant {
    /// All readings, as names in the store.
    pub names: Vec<String>,
    /// How many of them, from the first, are of the whole text, not cut where a query of a URL may begin.
    pub whole: usize,
    /// It is a path or a URL of another place.
    pub elsewhere: bool,
}

impl<'a> Paths<'a> {
    /// For a store; `links` are the symbolic links in it.
    pub fn new(store: &'a dyn Files, base: &'a str, prefixes: &[String], links: &'a HashSet<String>) -> Self {
        let trimmed = |texts: Vec<String>| -> Vec<String> {
            texts.iter().map(|text| text.trim_end_matches('/').to_owned()).collect()
        };
        Self {
            roots: trimmed(store.roots()),
            prefixes: trimmed(prefixes.to_vec()),
            store,
            base,
            links,
            followed: RefCell::default(),
        }
    }

    /// What a text can mean. `within` is the folder below the base that relative paths may begin in.
    pub fn meant(&self, text: &str, within: Option<&str>) -> Meant {
        let mut meant = Meant::default();
        let given = text;
        let text = given.trim();
        if text.is_empty() {
            return meant;
        }
        self.read_both_ways(text, within, &mut meant);
        meant.whole = meant.names.len();
        if let Some((before, _)) = text.split_once(['?', '#']) {
            self.read_both_ways(before, within, &mut meant);
        }
        meant.elsewhere &= meant.names.is_empty();
        if given.len() > text.len() {
            // A name may begin or end with a space.
            let elsewhere = meant.elsewhere;
            for text in [given, given.trim_start(), given.trim_end()] {
                self.read_both_ways(text, within, &mut meant);
            }
            meant.elsewhere = elsewhere;
        }
        meant
    }

    /// As it stands, with slashes the right way round, and with escapes resolved.
    fn read_both_ways(&self, text: &str, within: Option<&str>, meant: &mut Meant) {
        self.read(text, within, meant);
        if !text.contains(['\\', '%']) {
            return;
        }
        let mut readings = vec![text.to_owned()];
        if text.contains('\\') {
            readings.push(text.replace('\\', "/"));
        }
        if text.contains('%') {
            let decoded: Vec<String> = readings.iter().filter_map(|text| unescaped(text)).collect();
            readings.extend(decoded);
        }
        for reading in &readings[1..] {
            self.read(reading, within, meant);
        }
    }

    fn read(&self, text: &str, within: Option<&str>, meant: &mut Meant) {
        let text = text.strip_prefix("file://localhost").or(text.strip_prefix("file://")).unwrap_or(text);
        let absolute = text.starts_with('/').then(|| normal(text).map(|path| format!("/{path}"))).flatten();
        let path = absolute.as_deref().unwrap_or(text);
        let before = meant.names.len();
        for root in &self.roots {
            self.add(below(path, root), "", meant);
        }
        for prefix in &self.prefixes {
            self.add(below(path, prefix), self.base, meant);
        }
        if meant.names.len() > before {
            let inside = |name: &String| self.base.is_empty() || below(name, self.base).is_some();
            if !meant.names[before..].iter().any(inside) {
                // It may lead there through a link that lies in the store, but not below the base.
                meant.names.extend(absolute.and_then(|path| self.follow(&path)));
            }
            return;
        }
        if text.starts_with('/') || text.contains("://") {
            meant.elsewhere = true;
            if let Some(name) = absolute.and_then(|path| self.follow(&path)) {
                meant.names.push(name);
            }
            return;
        }
        self.add(Some(text), self.base, meant);
        if let Some(folder) = within {
            let folder =
                if self.base.is_empty() { folder.to_owned() } else { format!("{}/{folder}", self.base) };
            self.add(Some(text), &folder, meant);
        }
        if !self.base.is_empty() && below(text, self.base).is_some() {
            self.add(Some(text), "", meant);
        }
    }

    fn add(&self, path: Option<&str>, folder: &str, meant: &mut Meant) {
        let Some(path) = path else { return };
        let is_normal = !path.split('/').any(|part| matches!(part, "" | "." | ".."));
        let name = match (is_normal, folder) {
            (true, "") => Some(path.to_owned()),
            (true, folder) => Some(format!("{folder}/{path}")),
            (false, folder) => normal(&format!("{folder}/{path}")),
        };
        if name.is_none() {
            meant.elsewhere = true;
        }
        let Some(name) = name.filter(|name| !name.is_empty()) else { return };
        let through_link = |name: &str| {
            let ends = name.match_indices('/').map(|(at, _)| at).chain([name.len()]);
            ends.into_iter().any(|end| self.links.contains(&name[..end]))
        };
        if !self.links.is_empty() && through_link(&name) {
            meant.names.extend(self.store.locate(&name));
        }
        // Out of the base, though not out of the store: nothing there is judged.
        let leads_out =
            !is_normal && !self.base.is_empty() && name != self.base && below(&name, self.base).is_none();
        if leads_out {
            meant.elsewhere = true;
            return;
        }
        meant.names.push(name);
    }

    /// An absolute path that leads into the store through links outside of it. Folders are followed once each.
    fn follow(&self, path: &str) -> Option<String> {
        let (folder, last) = path.rsplit_once('/')?;
        let mut followed = self.followed.borrow_mut();
        if !followed.contains_key(folder) {
            // The store's own folder is a name without parts, which `locate` does not give: go by the whole path then.
            followed.insert(folder.to_owned(), self.store.locate(folder));
        }
        match followed.get(folder) {
            Some(Some(name)) => Some(format!("{name}/{last}"))
                .filter(|name| !self.links.contains(name))
                .or_else(|| self.store.locate(path)),
            _ => self.store.locate(path),
        }
    }
}

/// What stands behind a prefix that ends where a part ends.
fn below<'t>(path: &'t str, prefix: &str) -> Option<&'t str> {
    path.strip_prefix(prefix)?.strip_prefix('/')
}

/// Without `.`, `..` and empty parts; none when it leads out.
fn normal(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// With `%41` read as `A`; none when it would not be text.
pub fn unescaped(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(code) => {
                out.push(code);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).ok()
}

/// What a file can be called when rows name it by checksum: its name without ending, and its path without slashes.
pub fn checksums(path: &str) -> [String; 3] {
    let last = path.rsplit('/').next().unwrap_or(path);
    let bare = |name: &str| name.split('.').next().unwrap_or(name).to_lowercase();
    let joined = match path.rsplit_once('/') {
        Some((folders, last)) => format!("{}{}", folders.replace('/', "").to_lowercase(), bare(last)),
        None => bare(last),
    };
    [bare(last), joined, last.to_lowercase()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_made_normal_or_leads_out() {
        assert_eq!(normal("/a//b/./c/../d/"), Some("a/b/d".into()));
        assert_eq!(normal("a/../../b"), None);
        assert_eq!(unescaped("a%20b%c3%bc%"), Some("a bü%".into()));
        assert_eq!(below("/srv/files/x", "/srv/files"), Some("x"));
        assert_eq!(below("/srv/files2/x", "/srv/files"), None);
    }

    #[test]
    fn checksums_are_found_whatever_the_folders_and_the_ending() {
        assert!(checksums("de/adBEEF.tar.gz").contains(&"adbeef".into()));
        assert!(checksums("de/ad/beef.bin").contains(&"deadbeef".into()));
    }
}
