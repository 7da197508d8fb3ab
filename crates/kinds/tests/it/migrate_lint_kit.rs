//! What tests of the linter share.

use kinds::migrate::lint::{Engine, Linted, Source, Terms, lint};
use kinds::migrate::script::{Language, Transactions, read};
use std::path::Path;
use testkit::Place;

/// A migration with this text, in one transaction.
pub fn source(engine: Engine, text: &str) -> Source {
    source_with(engine, text, Transactions::On("-- sexton:transaction off"))
}

/// A migration with this text, without a transaction.
pub fn bare(engine: Engine, text: &str) -> Source {
    source_with(engine, text, Transactions::Off)
}

fn source_with(engine: Engine, text: &str, transactions: Transactions) -> Source {
    let language = match engine {
        Engine::Sqlite => Language::Sqlite,
        Engine::Postgres => Language::Postgres { major: None },
    };
    let script = read(Path::new("0001_x.sql"), text, language, transactions);
    Source { file: "0001_x.sql".to_owned(), text: text.to_owned(), script, convention: None }
}

/// Judged without a database.
pub fn linted(engine: Engine, text: &str) -> Linted {
    lint(&[source(engine, text)], &Terms::new(engine), None).unwrap()
}

/// Judged with this database at hand.
pub fn linted_at(place: &Place, text: &str) -> Linted {
    let engine = if place.is_sqlite() { Engine::Sqlite } else { Engine::Postgres };
    let mut facts = place.database().read().unwrap();
    lint(&[source(engine, text)], &Terms::new(engine), Some(("test", facts.as_mut()))).unwrap()
}

/// The codes that were found, in order, each once.
pub fn codes(linted: &Linted) -> Vec<&'static str> {
    let mut codes: Vec<&str> = linted.findings().map(|(_, finding)| finding.code).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}
