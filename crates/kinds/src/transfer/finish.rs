//! Keys, indexes, references and statistics after the rows: several at once, outside of transactions, each found again by its name.

use super::design::NewReference;
use super::task::{Building, Place};
use engine::{Batch, Counts, Error, Result, Work};
use serde_json::json;
use std::time::Duration;
use targets::db::{Command, Limits};

/// How many are built at once.
const AT_ONCE: usize = 2;

/// The statements that are left to do outside of transactions.
pub fn command(statements: Vec<String>, place: &Place, limits: Limits) -> Option<Command> {
    let left = statements.into_iter().enumerate().filter(|(n, _)| !place.skip.contains(n));
    let sql: Vec<String> = left.map(|(_, sql)| sql).collect();
    // they take as long as there are rows
    let limits = Limits { statement: Duration::ZERO, ..limits };
    (!sql.is_empty()).then_some(Command::Statements { sql, at_once: AT_ONCE, limits })
}

/// Which of them an error is about: it names it in quotes.
pub fn blamed(names: &[&str], error: &Error, place: &Place) -> Option<usize> {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text.push('\n');
        text.push_str(&next.to_string());
        cause = next.source();
    }
    names.iter().enumerate().find_map(|(n, name)| {
        let named = [format!("\"{name}\""), format!("`{name}`")];
        (!place.skip.contains(&n) && named.iter().any(|name| text.contains(name))).then_some(n)
    })
}

/// Makes keys of the indexes that are there.
pub fn keys(indexes: &[Building], place: &Place, work: &mut Work) -> Result<Batch> {
    let mut done = 0;
    for (n, index) in indexes.iter().enumerate() {
        if place.skip.contains(&n) {
            continue;
        }
        done += 1;
        if let Some(key) = &index.index.key {
            work.statement(key)?;
        }
    }
    work.tell(json!({ "indexes": done }));
    Ok(Batch { counts: Counts::default(), next: None })
}

/// The names of the indexes.
pub fn index_names(indexes: &[Building]) -> Vec<&str> {
    indexes.iter().map(|one| one.index.name.as_str()).collect()
}

/// The names of the references.
pub fn reference_names(references: &[NewReference]) -> Vec<&str> {
    references.iter().map(|reference| reference.name.as_str()).collect()
}
