//! What a throttle wants to know of a SQLite file: free disk, size of the log, whether others use it.
//!
//! Nothing here opens the database's files: a closed descriptor would take SQLite's locks of this process with it.

use super::lock::beside;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use targets::db::Disk;

/// Free bytes for this user where `path` lies.
pub(super) fn free_disk(path: &Path) -> Option<u64> {
    disk(path).map(|disk| disk.free_bytes)
}

/// The disk on which `path` lies.
pub(super) fn disk(path: &Path) -> Option<Disk> {
    let folder = CString::new(path.parent().unwrap_or(path).as_os_str().as_bytes()).ok()?;
    let mut about = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the name ends with NUL and the structure is ours; it is read only when the call succeeded.
    let about = unsafe {
        if libc::statvfs(folder.as_ptr(), about.as_mut_ptr()) != 0 {
            return None;
        }
        about.assume_init()
    };
    #[allow(clippy::unnecessary_cast)] // the fields are narrower on other systems
    let bytes = |blocks: u64| blocks.saturating_mul(about.f_frsize as u64);
    Some(Disk {
        total_bytes: bytes(about.f_blocks),
        free_bytes: bytes(about.f_bavail),
        used_bytes: bytes(about.f_blocks.saturating_sub(about.f_bfree)),
    })
}

/// Whether this user may do `mode` with `path`.
pub(super) fn may(path: &Path, mode: i32) -> bool {
    let Ok(name) = CString::new(path.as_os_str().as_bytes()) else {
        return false;
    };
    // SAFETY: the name ends with NUL; nothing is kept.
    unsafe { libc::access(name.as_ptr(), mode) == 0 }
}

/// Size of the write-ahead log; 0 when there is none.
pub(super) fn log_bytes(database: &Path) -> u64 {
    std::fs::metadata(beside(database, "-wal")).map_or(0, |about| about.len())
}

/// When the file was written last, or its log where that holds something, as the file system tells.
pub(super) fn written_us(database: &Path) -> Option<i64> {
    let at = |path: &Path| {
        let about = std::fs::metadata(path).ok().filter(|about| about.len() > 0)?;
        Some(about.mtime() * 1_000_000 + about.mtime_nsec() / 1_000)
    };
    at(database).max(at(&beside(database, "-wal")))
}

/// Whether the database has a write-ahead log, as seen by a process that has it open.
pub(super) fn has_log(database: &Path) -> bool {
    beside(database, "-shm").exists()
}

/// Whether another process holds one of SQLite's locks on the database; none where the system does not tell. An
/// application that has a WAL database open always holds one; with a rollback journal only while it reads or writes.
pub(super) fn held_by_others(database: &Path) -> Option<bool> {
    let table = std::fs::read_to_string("/proc/locks").ok()?;
    let inodes: Vec<u64> = [database.to_owned(), beside(database, "-shm")]
        .iter()
        .filter_map(|path| Some(std::fs::metadata(path).ok()?.ino()))
        .collect();
    Some(table.lines().any(|line| is_foreign_lock(line, &inodes, std::process::id())))
}

/// Processes of others that read from the write-ahead log, with the names of their programs; while they do, it cannot be
/// begun anew. Empty where the system does not tell.
pub(super) fn log_readers(database: &Path) -> Vec<(i64, String)> {
    let Ok(table) = std::fs::read_to_string("/proc/locks") else { return Vec::new() };
    let Some(inode) = std::fs::metadata(beside(database, "-shm")).ok().map(|about| about.ino()) else {
        return Vec::new();
    };
    let mut pids: Vec<i64> = table.lines().filter_map(|line| reader(line, inode)).collect();
    pids.sort_unstable();
    pids.dedup();
    pids.retain(|pid| *pid != i64::from(std::process::id()));
    let program = |pid: &i64| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    pids.iter().map(|pid| (*pid, program(pid).trim().to_owned())).collect()
}

/// The process of a lock on one of the bytes 123 to 127 of the shared-memory file: one for each place of the log from
/// which somebody may read.
fn reader(line: &str, inode: u64) -> Option<i64> {
    let words: Vec<&str> = line.split_whitespace().filter(|word| *word != "->").collect();
    let [_, _, _, "READ", pid, file, from, ..] = words[..] else { return None };
    let on_it = file.rsplit(':').next().and_then(|inode| inode.parse().ok()) == Some(inode);
    let place = from.parse::<u64>().is_ok_and(|from| (123..=127).contains(&from));
    pid.parse().ok().filter(|pid| on_it && place && *pid > 0)
}
/// Processes that have the database open, and those among them that read from its log; each with its name. Only as far as
/// the system tells.
pub(super) fn users(database: &Path) -> (Named, Named) {
    let Ok(table) = std::fs::read_to_string("/proc/locks") else { return (Vec::new(), Vec::new()) };
    let inode = |path: &Path| std::fs::metadata(path).ok().map(|about| about.ino());
    let log = inode(&beside(database, "-shm"));
    let inodes: Vec<u64> = [inode(database), log].into_iter().flatten().collect();
    let (mut users, mut readers) = (Vec::new(), Vec::new());
    for line in table.lines().filter(|line| is_foreign_lock(line, &inodes, std::process::id())) {
        let words: Vec<&str> = line.split_whitespace().filter(|word| *word != "->").collect();
        let number = |n: usize| words.get(n).and_then(|word| word.parse::<i64>().ok());
        let Some(pid) = number(4).filter(|pid| *pid > 0) else { continue };
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned();
        let of_log =
            words.get(5).and_then(|file| file.rsplit(':').next()?.parse().ok()) == log && log.is_some();
        // bytes 123 to 127 are the read marks
        if of_log && number(6).is_some_and(|from| (123..=127).contains(&from)) {
            readers.push((pid, name.clone()));
        }
        users.push((pid, name));
    }
    for list in [&mut users, &mut readers] {
        list.sort();
        list.dedup();
    }
    (users, readers)
}

/// Processes by number and name.
type Named = Vec<(i64, String)>;

/// `1: POSIX  ADVISORY  READ 4711 fe:01:1234567 1073741826 1073742335`. The device is not compared: what a layered
/// file system shows there is not what `stat` says.
fn is_foreign_lock(line: &str, inodes: &[u64], own: u32) -> bool {
    let words: Vec<&str> = line.split_whitespace().filter(|word| *word != "->").collect();
    let [_, kind, _, _, pid, file, from, ..] = words[..] else {
        return false;
    };
    let inode = file.rsplit(':').next().and_then(|inode| inode.parse().ok());
    let ours = pid.parse() == Ok(own);
    // SQLite locks bytes 120 to 128 of the shared-memory file, and bytes from 1 GiB on of the database
    let sqlites = from.parse::<u64>().is_ok_and(|from| (120..=128).contains(&from) || from >= 0x4000_0000);
    matches!(kind, "POSIX" | "OFDLCK")
        && !ours
        && sqlites
        && inode.is_some_and(|inode| inodes.contains(&inode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_the_log_is_known_by_his_lock() {
        //
        assert_eq!(reader("1: POSIX  ADVISORY  READ 4711 fe:01:77 124 124", 77), Some(4711));
        assert_eq!(reader("1: POSIX  ADVISORY  READ 4711 fe:01:77 128 128", 77), None, "only has it open");
        assert_eq!(reader("1: POSIX  ADVISORY  WRITE 4711 fe:01:77 120 120", 77), None, "writes");
        assert_eq!(reader("1: POSIX  ADVISORY  READ 4711 fe:01:78 124 124", 77), None, "another file");
    }

    #[test]
    fn only_locks_of_others_on_this_file_count() {
        let line = "1: POSIX  ADVISORY  READ 4711 fe:01:77 1073741826 1073742335";
        assert!(is_foreign_lock(line, &[77], 1));
        assert!(!is_foreign_lock(line, &[77], 4711), "our own");
        assert!(!is_foreign_lock(line, &[78], 1), "another file");
        assert!(!is_foreign_lock("1: FLOCK  ADVISORY  WRITE 4711 fe:01:77 0 EOF", &[77], 1), "not SQLite's");
        assert!(is_foreign_lock("2: -> POSIX  ADVISORY  WRITE 5 00:2f:77 120 120", &[77], 1));
    }
}
