//! What tells one moment of a file from another, read from beside SQLite: whatever is committed changes it.
//!
//! It may change although nothing was committed: when the log is moved into the file, say. Whoever asks then does too much, not
//! too little.

use std::fs::{File, metadata};
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Of the file at this path; none where it cannot be read.
pub(super) fn read(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let mut told = file(&path)?;
    // in the rollback modes each commit counts up here
    let mut counter = [0; 4];
    File::open(&path).ok()?.read_exact_at(&mut counter, 24).ok()?;
    told.push_str(&format!(" {:x}", u32::from_be_bytes(counter)));
    let beside = |ending: &str| {
        let mut name = path.clone().into_os_string();
        name.push(ending);
        PathBuf::from(name)
    };
    let log = beside("-wal");
    if metadata(&log).is_ok_and(|about| about.len() > 0) {
        told.push_str(&format!(" log {} {}", file(&log)?, part(&log, 0, 32)));
        // the end of the log, the sum of its last frame, its salts
        told.push_str(&format!(" {}", part(&beside("-shm"), 16, 24)));
    }
    Some(told)
}

fn file(path: &Path) -> Option<String> {
    let about = metadata(path).ok()?;
    Some(format!("{:x} {} {}.{:09}", about.ino(), about.len(), about.mtime(), about.mtime_nsec()))
}

/// So many bytes of a file from a place on, as far as they are there.
fn part(path: &Path, from: u64, bytes: u64) -> String {
    let mut all = Vec::new();
    let read = File::open(path).and_then(|mut file| {
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(from))?;
        file.take(bytes).read_to_end(&mut all)
    });
    match read {
        Ok(_) => all.iter().map(|byte| format!("{byte:02x}")).collect(),
        Err(_) => String::new(),
    }
}
