//! Collations that only the application has.
//!
//! SQLite does not open an index that is ordered by a collation it does not know, nor a table that is one. Rows can be read
//! all the same, so such names get a stand-in; whatever really compares by one is ended and says so, for the order is not
//! known. Only where nothing is written: an index must never be changed by another order than its own.

use super::watch::Watch;
use rusqlite::Connection;
use std::cmp::Ordering;
use std::sync::Arc;

/// Those that SQLite itself has.
const KNOWN: [&str; 3] = ["binary", "nocase", "rtrim"];

/// Stand-ins for all that the schema names beside them.
pub(super) fn lend(conn: &Connection, watch: &Arc<Watch>) -> rusqlite::Result<()> {
    let statements: Vec<String> = conn
        .prepare("select sql from sqlite_schema where sql like '%collate%'")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for sql in statements {
        for name in
            named(&sql).into_iter().filter(|name| !KNOWN.contains(&name.to_ascii_lowercase().as_str()))
        {
            let (stop, watch, own) = (conn.get_interrupt_handle(), Arc::clone(watch), name.clone());
            conn.create_collation(name.as_str(), move |_: &str, _: &str| {
                watch.compares_by(&own);
                stop.interrupt();
                Ordering::Equal
            })?;
        }
    }
    Ok(())
}

/// What stands behind each `collate`; what a comment or a text says so does no harm.
fn named(sql: &str) -> Vec<String> {
    const WORD: &str = "collate";
    let lower = sql.to_ascii_lowercase();
    let behind = lower.match_indices(WORD).map(|(at, _)| sql[at + WORD.len()..].trim_start());
    let name = |rest: &str| -> Option<String> {
        let end = match rest.chars().next()? {
            '[' => ']',
            quote @ ('"' | '`' | '\'') => quote,
            _ => {
                let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '$';
                return Some(rest.chars().take_while(|letter| is_part(*letter)).collect());
            }
        };
        rest[1..].split_once(end).map(|(name, _)| name.to_owned())
    };
    behind.filter_map(name).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn names_are_found_however_they_are_written() {
        let sql = "create table t (a text COLLATE unicase, b collate \"an other\" unique, c collate[x], d Collate\n`y`)";
        assert_eq!(named(sql), ["unicase", "an other", "x", "y"]);
        assert!(named("create table t (a text, b text collate").is_empty());
    }
}
