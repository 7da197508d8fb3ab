//! The check of SQLite: every page, every index against its table, NOT NULL, CHECK and UNIQUE. Not the references.

use super::session::Link;
use targets::db::{Facts, Result, Soundness, Sql, Value};

/// After so many faults SQLite stops; a file with more is lost anyway.
const MOST: usize = 10_000;

pub(super) fn check(link: &mut Link, most: usize) -> Result<Soundness> {
    let mut found = Soundness { method: "pragma integrity_check".to_owned(), ..Soundness::default() };
    let outcome = link.query(&Sql::new(&format!("pragma main.integrity_check({MOST})")), &mut |row| {
        // A fault of a page may hold several lines.
        let text = row.first().and_then(Value::as_text).unwrap_or_default();
        for line in text.lines().filter(|line| *line != "ok" && !line.starts_with("*** in database")) {
            found.add(line.to_owned(), most);
        }
        Ok(())
    });
    match outcome {
        // So damaged that the check itself cannot go on.
        Err(error) if error.code.as_deref() == Some("11") => found.add(error.to_string(), most),
        other => drop(other?),
    }
    Ok(found)
}
