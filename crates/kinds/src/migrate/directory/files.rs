//! The files of a directory, read once: names, texts, and why a text is not to be had.

use crate::migrate::problem::{Fault, Problem};
use std::path::{Path, PathBuf};

/// How deep folders are followed; some tools sort their files into them.
const DEPTH: usize = 8;

/// One file.
#[derive(Debug)]
pub(super) struct File {
    /// Relative to the directory.
    pub(super) path: PathBuf,
    /// The last part of the path.
    pub(super) name: String,
    /// As it is, with the byte order mark where it has one.
    raw: Result<String, Problem>,
}

impl File {
    /// Without the byte order mark.
    pub(super) fn text(&self) -> Result<&str, Problem> {
        self.raw().map(|raw| raw.strip_prefix('\u{feff}').unwrap_or(raw))
    }

    /// As it is, for checksums.
    pub(super) fn raw(&self) -> Result<&str, Problem> {
        self.raw.as_deref().map_err(Problem::clone)
    }

    /// The text where there is one, for looking at marks.
    pub(super) fn glance(&self) -> &str {
        self.text().unwrap_or_default()
    }

    /// The folder it is in, relative to the directory; empty at its top.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Whether it is right in the directory.
    pub(super) fn on_top(&self) -> bool {
        self.folder().as_os_str().is_empty()
    }
}

/// Everything under this path, sorted. A path to a file is that file alone.
pub(super) fn list(path: &Path) -> Result<Vec<File>, Problem> {
    let unreadable = |at: &Path, error: std::io::Error| {
        let help = "look at the path and at the rights on it";
        Problem::new(Fault::Unreadable, format!("`{}` cannot be read: {error}", at.display()), help)
    };
    let facts = std::fs::metadata(path).map_err(|error| unreadable(path, error))?;
    let mut paths = Vec::new();
    if facts.is_file() {
        paths.push(path.to_owned());
    } else {
        walk(path, DEPTH, &mut paths).map_err(|(at, error)| unreadable(&at, error))?;
    }
    let base = if facts.is_file() { path.parent().unwrap_or(Path::new("")) } else { path };
    let mut files: Vec<File> = paths.iter().map(|at| read(base, at)).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn walk(folder: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> Result<(), (PathBuf, std::io::Error)> {
    let fail = |error| (folder.to_owned(), error);
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let mut kind = entry.file_type().map_err(fail)?;
        if kind.is_symlink() {
            kind = std::fs::metadata(entry.path()).map_err(|error| (entry.path(), error))?.file_type();
        }
        if kind.is_file() {
            paths.push(entry.path());
        } else if kind.is_dir() && depth > 0 {
            walk(&entry.path(), depth - 1, paths)?;
        }
    }
    Ok(())
}

/// A file that no convention reads is only named.
fn read(base: &Path, path: &Path) -> File {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let relative = path.strip_prefix(base).unwrap_or(path).to_owned();
    let of_use = [".sql", ".conf", ".toml"].iter().any(|ending| name.ends_with(ending));
    let raw = if of_use { content(&relative, path) } else { Ok(String::new()) };
    File { path: relative, name, raw }
}

fn content(relative: &Path, path: &Path) -> Result<String, Problem> {
    let bytes = std::fs::read(path).map_err(|error| {
        Problem::new(Fault::Unreadable, format!("it cannot be read: {error}"), "look at the rights on it")
            .within(relative)
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count();
        Problem::new(Fault::Encoding, "it is not UTF-8", "save it as UTF-8")
            .within(relative)
            .at(u32::try_from(line).unwrap_or(u32::MAX))
    })
}
