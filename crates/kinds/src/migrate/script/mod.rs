//! A script: SQL text cut into statements, with what a transaction can hold of them.
//!
//! It promises to cut where the database's own client would: quotes, comments and bodies keep their semicolons. It never
//! fails: what cannot be run as it is written is told in `Script::problems`, for it may be in already. It does not
//! judge whether a statement is SQL; that is [`syntax`].

mod compose;
mod language;
mod lexer;
mod outside;
mod split;
pub mod syntax;

pub use compose::{Transactions, compose};
pub use language::Language;
pub use lexer::{Kind, Lexer, Token, Unclosed};
pub(crate) use split::{Event, events};

use super::model::Statement;
use super::problem::Problem;
use std::path::Path;

/// The statements of a text without sections; or what is wrong with it.
pub fn split(text: &str, language: Language) -> Result<Vec<Statement>, Problem> {
    let script = read(Path::new(""), text, language, Transactions::Off);
    match script.problems.into_iter().next() {
        Some(problem) => Err(problem),
        None => Ok(script.statements),
    }
}

/// The script that a whole file is.
pub fn read(file: &Path, text: &str, language: Language, transactions: Transactions) -> super::model::Script {
    let found = events(text, language, &|_| false);
    let statements = found.events.into_iter().filter_map(|event| match event {
        Event::Statement { text, line } => Some((text, line)),
        Event::Mark { .. } => None,
    });
    compose(file, statements.collect(), found.problems, language, transactions)
}

/// Whether a statement begins with one of these words.
fn begins_with(sql: &str, words: &[&str]) -> bool {
    let end = sql.bytes().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(sql.len());
    words.iter().any(|word| sql[..end].eq_ignore_ascii_case(word))
}

/// The words of a statement in capitals, names and keywords alike, without quotes and signs: enough to tell what it does.
pub(crate) fn words(sql: &str, language: Language, most: usize) -> Vec<String> {
    Lexer::new(sql, language)
        .map_while(Result::ok)
        .filter(|token| token.kind == Kind::Word)
        .take(most)
        .map(|token| sql[token.start..token.end].to_ascii_uppercase())
        .collect()
}

#[cfg(test)]
mod tests;
