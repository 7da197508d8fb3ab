//! The ledger of requirements against the tests: what is said to be finished has a test that names it.
//!
//! A test names a row by its id in a comment, as CONTRIBUTING.md says; whether it proves the row is for its reader to judge.

use crate::tidy::{all, root};
use std::collections::{BTreeMap, BTreeSet};

/// The groups of the ledger that are done. A row of one of them must not lose its test.
const FINISHED: &[&str] = &[
    "RET", "EXP", "ORP", "DUP", "FS", "TQ", "BAK", "LOG", "REP", "CLI", "SAF", "PRF", "CFG", "DOC", "MIG",
    "DAT", "OPT", "XFR", "NOT", "SCH", "API",
];

/// Contradictions of the described systems that are decided and done (X-…).
const DECIDED: &[u32] = &[
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28,
    29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52,
];

/// Their weaknesses that are done better (W-…).
const BETTER: &[u32] = &[
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28,
    29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54,
    55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80,
    81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102, 103, 104, 105,
    106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126,
    127, 128,
];

/// The rows of the ledger, each with its group.
fn ledger() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root().join("docs/requirements.md")).unwrap();
    let mut rows = BTreeMap::new();
    for line in text.lines() {
        let mut cells = line.strip_prefix("| ").unwrap_or_default().split(" | ");
        if let (Some(id), Some(group)) = (cells.next(), cells.next())
            && is_id(id)
        {
            rows.insert(id.to_owned(), group.to_owned());
        }
    }
    assert!(rows.len() > 500, "the ledger was not read: {} rows", rows.len());
    rows
}

fn is_id(word: &str) -> bool {
    word.split_once('-').is_some_and(|(series, number)| {
        ["S0", "S1", "S2", "S3", "S4", "W", "X"].contains(&series)
            && (2..=3).contains(&number.len())
            && number.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// The ids that tests name.
fn named() -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for (name, text) in all().iter().filter(|(name, _)| !name.ends_with("/coverage.rs")) {
        let tests = if name.contains("/tests/") || name.ends_with("/tests.rs") {
            text.as_str()
        } else {
            text.split_once("#[cfg(test)]").map_or("", |(_, tests)| tests)
        };
        let words = tests.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        ids.extend(words.filter(|word| is_id(word)).map(str::to_owned));
    }
    ids
}

#[test]
fn what_is_finished_has_a_test_that_names_it() {
    let (ledger, named) = (ledger(), named());
    let of_groups = ledger.iter().filter(|(_, group)| FINISHED.contains(&group.as_str()));
    let entries =
        DECIDED.iter().map(|n| format!("X-{n:02}")).chain(BETTER.iter().map(|n| format!("W-{n:03}")));
    let finished: BTreeSet<String> = of_groups.map(|(id, _)| id.clone()).chain(entries).collect();
    assert!(finished.len() > 250, "only {} rows are said to be finished", finished.len());
    assert_eq!(finished.difference(&named).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn what_is_said_of_the_ledger_is_in_the_ledger() {
    let ledger = ledger();
    let groups: BTreeSet<&str> = ledger.values().map(String::as_str).collect();
    for group in FINISHED {
        assert!(groups.contains(group), "there is no group `{group}`");
    }
}
