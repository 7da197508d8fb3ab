//! Which statements the database refuses in a transaction, and why.
//!
//! A wrong "no" costs a failed run that changes nothing; a wrong "yes" costs the one transaction around the script. So
//! only what is certain is in the lists.

use super::{Language, begins_with, words};

/// Why a statement cannot be in a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It runs beside the other statements, on its own.
    Alone(&'static str),
    /// It is no step of a script that is meant to be one transaction: its author must say that he means it.
    Never(&'static str),
}

impl Refusal {
    pub(super) fn why(&self) -> &'static str {
        let (Self::Alone(why) | Self::Never(why)) = self;
        why
    }
}

/// Why this statement cannot be in a transaction with those before and after it; none when it can.
pub(super) fn refusal(
    sql: &str,
    language: Language,
    before: &[(&str, u32)],
    after: &[(&str, u32)],
) -> Option<Refusal> {
    match language {
        Language::Sqlite => sqlite(sql),
        Language::Postgres { major } => postgres(sql, language)
            .map(Refusal::Alone)
            .or_else(|| enum_value(sql, major, before, after).map(Refusal::Alone)),
    }
}

fn sqlite(sql: &str) -> Option<Refusal> {
    if !begins_with(sql, &["vacuum", "attach", "detach", "pragma"]) {
        return None;
    }
    let words = words(sql, Language::Sqlite, 4);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let pragma = match words.as_slice() {
        ["VACUUM", ..] => return Some(Refusal::Never("`vacuum` cannot run in a transaction")),
        ["ATTACH", ..] => {
            return Some(Refusal::Never("`attach` opens a second file, which no history and no undo covers"));
        }
        ["DETACH", ..] => {
            return Some(Refusal::Never("`detach` cannot run in a transaction that used the file"));
        }
        ["PRAGMA", rest @ ..] => rest,
        _ => return None,
    };
    // a pragma that only asks changes nothing, wherever it is
    let sets = sql.contains(['=', '(']);
    let named = |name: &str| pragma.iter().take(2).any(|word| *word == name);
    let why = match () {
        () if named("WAL_CHECKPOINT") => "`pragma wal_checkpoint` finds the log locked in a transaction",
        () if !sets => return None,
        () if named("FOREIGN_KEYS") => "`pragma foreign_keys` does nothing in a transaction",
        () if named("JOURNAL_MODE") => "`pragma journal_mode` cannot be changed in a transaction",
        () if named("SYNCHRONOUS") => "`pragma synchronous` cannot be changed in a transaction",
        () if named("TEMP_STORE") => "`pragma temp_store` cannot be changed in a transaction",
        () => return None,
    };
    Some(Refusal::Alone(why))
}

fn postgres(sql: &str, language: Language) -> Option<&'static str> {
    const FIRST: [&str; 10] = [
        "create", "drop", "reindex", "repack", "vacuum", "alter", "cluster", "commit", "rollback", "discard",
    ];
    if !begins_with(sql, &FIRST) {
        return None;
    }
    // what matters of a `create` comes first, an `alter table` may list much before it
    let most = if begins_with(sql, &["create", "drop"]) { 4 } else { 24 };
    let words = words(sql, language, most);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let has = |wanted: &str| words.contains(&wanted);
    Some(match words.as_slice() {
        ["CREATE", "INDEX", "CONCURRENTLY", ..] | ["CREATE", "UNIQUE", "INDEX", "CONCURRENTLY", ..] => {
            "`create index concurrently` cannot run in a transaction"
        }
        ["DROP", "INDEX", "CONCURRENTLY", ..] => "`drop index concurrently` cannot run in a transaction",
        ["REINDEX", ..] if has("CONCURRENTLY") => "`reindex concurrently` cannot run in a transaction",
        ["REINDEX", rest @ ..] if rest.iter().any(|word| ["DATABASE", "SYSTEM", "SCHEMA"].contains(word)) => {
            "`reindex` of more than one table cannot run in a transaction"
        }
        ["REPACK", ..] if has("CONCURRENTLY") => "`repack concurrently` cannot run in a transaction",
        ["VACUUM", ..] => "`vacuum` cannot run in a transaction",
        ["CREATE" | "DROP", "DATABASE", ..] => "databases cannot be made or dropped in a transaction",
        ["CREATE" | "DROP", "TABLESPACE", ..] => "tablespaces cannot be made or dropped in a transaction",
        ["ALTER", "DATABASE", _, "SET", "TABLESPACE", ..] => "a database cannot be moved in a transaction",
        ["ALTER", "SYSTEM", ..] => "`alter system` cannot run in a transaction",
        ["CREATE" | "DROP", "SUBSCRIPTION", ..] => {
            "a subscription with a slot cannot be made or dropped in a transaction"
        }
        ["ALTER", "SUBSCRIPTION", ..] if has("REFRESH") || has("PUBLICATION") => {
            "a subscription cannot be refreshed in a transaction"
        }
        ["ALTER", "TABLE", ..] if has("DETACH") && has("CONCURRENTLY") => {
            "`detach partition concurrently` cannot run in a transaction"
        }
        ["CLUSTER"] | ["CLUSTER", "VERBOSE"] => "`cluster` of all tables cannot run in a transaction",
        ["COMMIT" | "ROLLBACK", "PREPARED", ..] => "a prepared transaction cannot be ended in a transaction",
        ["DISCARD", "ALL"] => "`discard all` cannot run in a transaction",
        _ => return None,
    })
}

/// `alter type … add value`: refused before release 12, later only where the value is used in the same transaction.
fn enum_value(
    sql: &str,
    major: Option<u32>,
    before: &[(&str, u32)],
    after: &[(&str, u32)],
) -> Option<&'static str> {
    if !begins_with(sql, &["alter"]) {
        return None;
    }
    let language = Language::Postgres { major };
    let words = words(sql, language, 12);
    let add = words.windows(2).any(|pair| pair[0] == "ADD" && pair[1] == "VALUE");
    if !(words.get(1).is_some_and(|word| word == "TYPE") && add) {
        return None;
    }
    if major.is_some_and(|major| major < 12) {
        return Some("`alter type … add value` cannot run in a transaction before PostgreSQL 12");
    }
    let value = sql.split('\'').nth(1).unwrap_or_default();
    let name = words.get(2).filter(|word| *word != "ADD").cloned().unwrap_or_default();
    let made_here = before.iter().any(|(earlier, _)| {
        let earlier = super::words(earlier, language, 3);
        earlier.len() == 3 && earlier[0] == "CREATE" && earlier[1] == "TYPE" && earlier[2] == name
    });
    let used = after.iter().any(|(later, _)| later.contains(&format!("'{value}'")));
    (used && !made_here).then_some("a new value of an enum cannot be used in the transaction that adds it")
}
