//! Whether a statement is SQL, by the grammar of its database, with the line of the fault.
//!
//! A second opinion: both grammars are ports and may lag behind the newest release, so that a surface should warn of
//! what they refuse, and let the database decide on a copy.

use super::Language;
use crate::migrate::model::Script;
use crate::migrate::problem::{Fault, Problem};

/// The statements of a script that are no SQL, each with its line.
pub fn faults(script: &Script, language: Language) -> Vec<Problem> {
    let of = script.statements.len();
    let judged = script.statements.iter().enumerate().filter_map(|(n, statement)| {
        let (line, why) = fault(&statement.sql, language)?;
        let what = format!("statement {} of {of} is no SQL: {why}", n + 1);
        let problem = Problem::new(Fault::Syntax, what, "mend the statement");
        Some(problem.within(script.file.clone()).at(statement.line + line - 1))
    });
    judged.collect()
}

/// The line of the first fault in a statement, from 1, and what it is.
pub fn fault(sql: &str, language: Language) -> Option<(u32, String)> {
    match language {
        Language::Sqlite => sqlite(sql),
        Language::Postgres { .. } => postgres(sql),
    }
}

fn postgres(sql: &str) -> Option<(u32, String)> {
    let parse = squawk_syntax::SourceFile::parse(sql);
    let error = parse.errors().into_iter().next()?;
    let at = usize::from(error.range().start()).min(sql.len());
    Some((line_of(sql, at), error.message().to_lowercase()))
}

fn sqlite(sql: &str) -> Option<(u32, String)> {
    use sqlite3_parser::lexer::sql::{Error, Parser};
    use sqlite3_parser::{Bump, FallibleIterator};
    // the parser does not promise never to panic
    let judged = std::panic::catch_unwind(|| {
        let bump = Bump::new();
        let mut parser = Parser::new(&bump, sql.as_bytes());
        loop {
            match parser.next() {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(error) => {
                    let line = match &error {
                        Error::ParserError(_, Some(place)) => place.line,
                        _ => parser.position().line,
                    };
                    let why = match error {
                        Error::ParserError(why, _) => why.to_string(),
                        other => other.to_string(),
                    };
                    return Some((u32::try_from(line).unwrap_or(1).max(1), why));
                }
            }
        }
    });
    judged.unwrap_or_else(|_| Some((1, "it cannot be read".to_owned())))
}

fn line_of(sql: &str, at: usize) -> u32 {
    1 + sql.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() as u32
}
