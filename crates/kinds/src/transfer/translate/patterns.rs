//! SQLite's patterns in PostgreSQL's: `like`, which tells no case apart among the letters a to z, and `glob`.

use super::expression::{Outcome, Said, Scope, Sort, no, said, string, text};
use super::sides::lowered;
use sqlite3_parser::ast::{Expr, LikeOperator};
use std::fmt::Write;

/// `like` and `glob` with a literal pattern.
pub(super) fn like(
    expr: &Expr,
    (left, not, operator): (&Expr, bool, &LikeOperator),
    pattern: &Expr,
    escape: Option<&Expr>,
    scope: Scope,
) -> Outcome {
    let left = text(left, scope)?;
    let pattern = said(pattern, scope)?.literal.ok_or_else(|| no(expr))?;
    let word = if not { "not " } else { "" };
    match operator {
        LikeOperator::Like => {
            let escape = match escape {
                Some(escape) => said(escape, scope)?.literal.ok_or_else(|| no(expr))?,
                None => String::new(),
            };
            if escape.chars().any(char::is_alphabetic) {
                return Err(no(expr));
            }
            let (left, pattern) = (lowered(left).sql, string(&pattern.to_ascii_lowercase()));
            Ok(Said::new(format!("{left} {word}like {pattern} escape {}", string(&escape)), Sort::Bool))
        }
        LikeOperator::Glob => {
            let regex = globbed(&pattern).ok_or_else(|| no(expr))?;
            let operator = if not { "!~" } else { "~" };
            Ok(Said::new(format!("{} {operator} {}", left.sql, string(&regex)), Sort::Bool))
        }
        _ => Err(no(expr)),
    }
}

/// A GLOB pattern as a regular expression; none where the two may disagree.
fn globbed(pattern: &str) -> Option<String> {
    let mut out = "^".to_owned();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => {
                let rest = letters.as_str();
                let set = rest[..rest.find(']')?].to_owned();
                letters = rest[set.len() + 1..].chars();
                let (not, set) = set.strip_prefix('^').map_or(("", set.as_str()), |set| ("^", set));
                // from a letter back to an earlier one: nothing there, an error here
                let bytes = set.as_bytes();
                let is_back = bytes.windows(3).any(|three| three[1] == b'-' && three[0] >= three[2]);
                if is_back || set.starts_with('-') || set.ends_with('-') {
                    return None;
                }
                let plain = |letter: char| letter.is_ascii_alphanumeric() || " -_@.".contains(letter);
                if set.is_empty() || !set.chars().all(plain) {
                    return None;
                }
                let _ = write!(out, "[{not}{set}]");
            }
            plain if plain.is_alphanumeric() || " _@-/:,".contains(plain) => out.push(plain),
            other => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    out.push('$');
    Some(out)
}
