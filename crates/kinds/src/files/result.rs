//! What it came to in the shapes that others read: findings by class (R3a), the clean-up report (R3b), the figures of
//! the store (R3e).
//!
//! A dry run and a run give the same, unless files have changed or could not be moved in between.

use super::judge::Judged;
use super::listing::Listing;
use super::marks::Marks;
use engine::Doomed;
use serde_json::{Map, Value as Json, json};

/// How many of the largest are named.
const LARGEST: usize = 5;

/// The whole result of planning.
pub fn planned(listing: &Listing, judged: &Judged, marks: &Marks) -> Json {
    let mut classes = Map::new();
    for found in &judged.classes {
        let names: Vec<&str> = found.doomed.iter().map(|one| one.name.as_str()).collect();
        classes.insert(found.class.clone(), json!(names));
    }
    let doomed: Vec<&Doomed> = judged.classes.iter().flat_map(|found| &found.doomed).collect();
    let missing: u64 = marks.missing.iter().map(|(_, count, _)| count).sum();
    json!({
        "orphans": classes,
        "cleanup": cleanup(&doomed, Vec::new(), judged.freed),
        "statistics": {
            "total_size": listing.total_bytes,
            "file_count": listing.files.len(),
            "directory_count": listing.folders.len(),
        },
        "missing_files": marks.missing_names,
        "missing_count": missing,
        "unknown": judged.unknown,
        "unknown_count": judged.unknown_count,
        "young_count": judged.classes.iter().map(|found| found.young).sum::<u64>(),
        "size_complete": listing.problems.is_empty(),
    })
}

/// R3b.
pub fn cleanup(doomed: &[&Doomed], errors: Vec<String>, freed: u64) -> Json {
    let list = |folder: bool| -> Vec<Json> {
        let wanted = doomed.iter().filter(|one| one.folder == folder);
        wanted.map(|one| json!({ "path": one.name, "size_bytes": one.bytes })).collect()
    };
    json!({
        "removed_directories": list(true),
        "removed_files": list(false),
        "errors": errors,
        "total_space_freed": freed,
    })
}

/// What a person checks about one class.
pub fn facts(doomed: &[Doomed]) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    if doomed.is_empty() {
        return facts;
    }
    let total: u64 = doomed.iter().map(|one| one.bytes).sum();
    facts.push(("size".to_owned(), bytes(total)));
    let mut largest: Vec<&Doomed> = doomed.iter().collect();
    largest.sort_by(|a, b| b.bytes.cmp(&a.bytes).then(a.name.cmp(&b.name)));
    let shown: Vec<String> =
        largest.iter().take(LARGEST).map(|one| format!("{} ({})", one.name, bytes(one.bytes))).collect();
    let more = if doomed.len() > LARGEST { ", …" } else { "" };
    facts.push(("largest".to_owned(), format!("{}{more}", shown.join(", "))));
    facts
}

/// A size for people.
pub fn bytes(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if size < 1_000.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") };
        }
        size /= 1_000.0;
    }
    format!("{size:.1} TB")
}
