//! Names of backups: the database, the time to the second in UTC, the run. Sorted by name they are sorted by time.

use super::manifest::Backup;
use crate::archive::escape;
use jiff::Timestamp;

/// `main-20261120T170502Z-7f3k2m9x`.
pub fn id(database: &str, at: Timestamp, run: &str) -> String {
    format!("{}-{}-{}", short(database), at.strftime("%Y%m%dT%H%M%SZ"), escape(run))
}

/// The folder of a database's backups, with a slash.
pub fn folder(database: &str) -> String {
    format!("{}/", short(database))
}

/// Where the manifest of a backup is.
pub fn manifest(database: &str, id: &str) -> String {
    format!("{}{id}.json", folder(database))
}

/// Where a part of a backup is.
pub fn part(backup: &Backup, part: &str, alone: bool) -> String {
    let between = if alone { "." } else { "/" };
    let compressed = if backup.compression.is_some() { ".zst" } else { "" };
    let encrypted = if backup.encryption.is_some() { ".age" } else { "" };
    format!("{}{}{between}{part}{compressed}{encrypted}", folder(&backup.database), backup.id)
}

/// A database named by a path or a URL is known by its last part here; which one it is the manifest says.
fn short(database: &str) -> String {
    let plain = database.split('?').next().unwrap_or(database).trim_end_matches('/');
    let last = plain.rsplit('/').next().unwrap_or(plain);
    let last = last.strip_suffix(".db").or_else(|| last.strip_suffix(".sqlite")).unwrap_or(last);
    let mut escaped = escape(last);
    escaped.truncate(100);
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_database_time_and_run_and_sorts_by_time() {
        // S1-033
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let first = id("main", at("2026-11-20T17:05:02Z"), "7f3");
        assert_eq!(first, "main-20261120T170502Z-7f3");
        assert!(first < id("main", at("2026-11-20T17:05:03Z"), "000"));
        assert_eq!(folder("/var/lib/app.db"), "app/");
        assert_eq!(folder("postgres://joe@host/shop?x=1"), "shop/");
        for odd in ["..", "a/../..", "", "ü b"] {
            targets::files::check_name(&manifest(odd, &id(odd, at("2026-11-20T17:05:02Z"), "x"))).unwrap();
        }
    }
}
