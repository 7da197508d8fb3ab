//! What tells one moment of a file from another, read from beside SQLite: whatever is committed changes it.
//!
//! It may change although nothing was committed: when the log is moved into the file, say. Whoever asks then does too much, not
//! too little. Only the log is opened: a closed descriptor of the database or of its shared memory would take SQLite's locks of this
//! process with it, and others would write over what is being read.

use super::lock::beside;
use std::fs::{File, metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// The system writes times down no finer than this. What is written so much later has another time.
pub(super) const TICK: Duration = Duration::from_millis(20);

/// Of the file at this path; none where it cannot be looked at.
pub(super) fn read(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let mut told = file(&path)?;
    let log = beside(&path, "-wal");
    if metadata(&log).is_ok_and(|about| about.len() > 0) {
        // its first bytes are others each time it begins anew
        let mut head = Vec::new();
        File::open(&log).ok()?.take(32).read_to_end(&mut head).ok()?;
        let head: String = head.iter().map(|byte| format!("{byte:02x}")).collect();
        told.push_str(&format!(" log {} {head}", file(&log)?));
    }
    Some(told)
}

fn file(path: &Path) -> Option<String> {
    let about = metadata(path).ok()?;
    Some(format!("{:x} {} {}.{:09}", about.ino(), about.len(), about.mtime(), about.mtime_nsec()))
}
