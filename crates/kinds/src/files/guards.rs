//! When what was found is more often a mistake than the truth: a wrong or empty database, a disk that is not mounted, paths
//! of another place, a column that nobody named.
//!
//! Guards only look. A place that could not be looked at, and values that could not be read, forbid any removal.

use super::judge::Judged;
use super::listing::Listing;
use super::marks::Marks;
use super::options::{Options, TEMPORARY};
use super::result::bytes;
use engine::words::{name, of};
use engine::{Finding, Manners};

/// Fewer orphans than this say nothing about shares.
const FEW: u64 = 10;

/// What stands against acting on this judgement, and what else is worth telling.
pub fn guards(
    options: &Options,
    listing: &Listing,
    marks: &Marks,
    judged: &Judged,
    manners: &Manners,
) -> Vec<Finding> {
    let mut all = Vec::new();
    trouble(listing, marks, &mut all);
    references(options, marks, judged, &mut all);
    shares(options, judged, manners, &mut all);
    notes(options, listing, marks, judged, &mut all);
    all
}

fn trouble(listing: &Listing, marks: &Marks, all: &mut Vec<Finding>) {
    if let Some((place, error)) = listing.problems.first() {
        let others = match listing.problems.len() {
            1 => String::new(),
            several => format!(" and {} others", several - 1),
        };
        // W-021: half a listing must not go on to removal.
        all.push(Finding::forbid(
            "unreadable",
            place,
            format!(
                "{}{others} cannot be looked at: {error}; nothing is removed, and sizes are incomplete",
                name(place)
            ),
            "give this user the right to read it, or name it in `ignore`",
        ));
    }
    for (column, count) in &marks.broken {
        all.push(Finding::forbid(
            "broken_references",
            column,
            format!(
                "{} cannot be read as JSON, so nobody knows which files are meant there",
                of(*count, "value", "values")
            ),
            "mend these values, or leave their rows out with `where`",
        ));
    }
}

fn references(options: &Options, marks: &Marks, judged: &Judged, all: &mut Vec<Finding>) {
    let orphans = orphans(judged);
    if let Some(ids) = &options.ids {
        let (folders, live) = judged.folders;
        if marks.ids == 0 && folders > 0 {
            all.push(Finding::refuse(
                "empty_references",
                ids,
                format!("it has no ids at all, so each of {folders} folders would be an orphan"),
                "look whether this is the right database; if it is, `--force`",
            ));
        } else if live == 0 && folders > 0 {
            all.push(Finding::refuse(
                "nothing_matches",
                ids,
                format!("none of {folders} folders is named after one of its {} ids", marks.ids),
                "look whether store and database belong together; if they do, `--force`",
            ));
        }
    }
    if orphans == 0 || options.references.is_empty() {
        return;
    }
    if marks.values == 0 {
        all.push(Finding::refuse(
            "empty_references",
            &options.store,
            "the columns of `references` hold no value at all, so every file would be an orphan",
            "look whether this is the right database and whether a column is missing; if all is right, `--force`",
        ));
    } else if marks.met == 0 {
        let sample = marks.elsewhere.first().map(|(_, _, sample)| sample.as_str());
        let sample = sample.or_else(|| marks.missing_names.first().map(String::as_str));
        let such_as =
            sample.map(|sample| format!("; they say such things as {}", name(sample))).unwrap_or_default();
        all.push(Finding::refuse(
            "nothing_matches",
            &options.store,
            format!("none of {} values refers to a file that is there{such_as}", marks.values),
            "say what stands before the names: `prefixes = [\"…\"]`, or another `base`; if all is right, `--force`",
        ));
    }
}

fn orphans(judged: &Judged) -> u64 {
    let files = judged.classes.iter().filter(|found| found.class != TEMPORARY);
    files.map(|found| found.doomed.len() as u64 + found.left).sum()
}

/// W-017, W-124.
fn shares(options: &Options, judged: &Judged, manners: &Manners, all: &mut Vec<Finding>) {
    for found in judged.classes.iter().filter(|found| found.class != TEMPORARY) {
        let orphans = found.doomed.len() as u64 + found.left;
        let percent = 100.0 * orphans as f64 / found.judged.max(1) as f64;
        if orphans >= FEW && percent > manners.max_percent {
            all.push(Finding::refuse(
                "share_of_files",
                &found.class,
                format!(
                    "{orphans} of {} would go ({percent:.0} %, the limit is {} %)",
                    found.judged, manners.max_percent
                ),
                "look at the plan; if it is right, allow it with `--max-percent 100`, or with `--force`",
            ));
        }
    }
    if manners.max_percent >= 100.0 {
        return;
    }
    let whole = |(files, orphans): &(u64, u64)| files == orphans && *files >= FEW;
    let (total, _) = judged.folders_of_files.get("").copied().unwrap_or_default();
    let mut told: Option<&str> = None;
    for (folder, (files, _)) in judged.folders_of_files.iter().filter(|(_, both)| whole(both)) {
        let known =
            told.is_some_and(|told| folder.strip_prefix(told).is_some_and(|more| more.starts_with('/')));
        if *files == total || known || is_one_of_many(folder) {
            continue;
        }
        told = Some(folder);
        all.push(Finding::refuse(
            "whole_folder",
            format!("{}/{folder}", options.store),
            format!("all {files} files in it would go: a column that refers to them may be missing"),
            "name it in `references`, or the folder in `ignore`; if all is right, `--force`",
        ));
    }
}

/// A folder below another that is named after an id, a day or a part of a checksum: that all of it goes is what a clean-up is for.
fn is_one_of_many(folder: &str) -> bool {
    let Some((_, last)) = folder.rsplit_once('/') else { return false };
    last.contains(|c: char| c.is_ascii_digit()) || last.len() <= 2
}

fn notes(options: &Options, listing: &Listing, marks: &Marks, judged: &Judged, all: &mut Vec<Finding>) {
    for (column, count, some) in &marks.missing {
        let some = some.iter().map(|one| name(one)).collect::<Vec<_>>().join(", ");
        all.push(Finding::warning(
            "missing_files",
            column,
            match count {
                1 => format!("a row refers to a file that is not there, see {some}"),
                _ => format!("{count} references point at files that are not there, such as {some}"),
            },
            "bring them back from a backup, or mend the rows",
        ));
    }
    for (column, count, sample) in &marks.elsewhere {
        all.push(Finding::note(
            "elsewhere",
            column,
            match count {
                1 => format!("a reference leads out of the store: {}", name(sample)),
                _ => format!("{count} references lead out of the store, such as {}", name(sample)),
            },
            "if these files are in the store, say what stands before their names: `prefixes = [\"…\"]`",
        ));
    }
    if judged.unknown_count > 0 {
        let some: Vec<String> = judged.unknown.iter().take(3).map(|one| name(one)).collect();
        all.push(Finding::note(
            "unknown",
            &options.store,
            match judged.unknown_count {
                1 => format!("one thing is unknown and stays: {}", some.join(", ")),
                several => format!("{several} things are unknown and stay, such as {}", some.join(", ")),
            },
            "name them in `ignore`, `keep` or `classes`",
        ));
    }
    for folder in &judged.kept {
        all.push(Finding::note(
            "referenced_inside",
            folder,
            "its id is gone, but rows refer to files in it, so it stays",
            "remove these rows first",
        ));
    }
    let left: u64 = judged.classes.iter().map(|found| found.left).sum();
    if left > 0 {
        all.push(Finding::note(
            "max_files",
            &options.store,
            format!("{left} more would go and wait for the next run (`max_files` is {})", options.max_files),
            "run it again, or raise `max_files`",
        ));
    }
    if listing.exists && listing.files.is_empty() && marks.values > 0 {
        all.push(Finding::warning(
            "empty_store",
            &options.store,
            format!("it is empty, but rows hold {}", of(marks.values, "reference", "references")),
            "look whether the disk is mounted; `marker` makes sure of it",
        ));
    }
    let shared = listing.shared.len();
    if shared > 0 && judged.freed > 0 {
        all.push(Finding::note(
            "hard_links",
            &options.store,
            format!("{shared} files have several names; {} are counted once each", bytes(judged.freed)),
            "",
        ));
    }
}
