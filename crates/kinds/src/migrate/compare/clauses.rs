//! Where the clauses of a column or of a table of SQLite begin.

use super::normal::{Piece, line};

/// A clause with its name, if it has one.
pub(super) struct Clause<'a> {
    pub name: Option<String>,
    pub pieces: &'a [Piece],
}

impl Clause<'_> {
    pub fn begins(&self, word: &str) -> bool {
        self.pieces.first().is_some_and(|piece| piece.is(word))
    }

    /// In one line; in expressions a word in double quotes may be a string.
    pub fn line(&self) -> String {
        let expression = ["check", "default", "generated", "as"].into_iter().any(|word| self.begins(word));
        line(self.pieces, !expression)
    }
}

/// The parts between commas that are in no inner brackets.
pub(super) fn parts(pieces: &[Piece]) -> Vec<&[Piece]> {
    let mut depth = 0_i32;
    pieces
        .split(|piece| {
            depth += i32::from(piece.is_open()) - i32::from(piece.is_close());
            depth == 0 && piece.is_comma()
        })
        .filter(|part| !part.is_empty())
        .collect()
}

/// What is before the first clause, and the clauses.
pub(super) fn clauses<'a>(pieces: &'a [Piece], of_column: bool) -> (&'a [Piece], Vec<Clause<'a>>) {
    let mut starts = Vec::new();
    let mut depth = 0_i32;
    for (n, piece) in pieces.iter().enumerate() {
        if depth == 0 && starts_here(pieces, n, of_column) {
            starts.push(n);
        }
        depth += i32::from(piece.is_open()) - i32::from(piece.is_close());
    }
    let head = &pieces[..starts.first().copied().unwrap_or(pieces.len())];
    let mut all = Vec::new();
    let mut named = None;
    for (n, start) in starts.iter().enumerate() {
        let end = starts.get(n + 1).copied().unwrap_or(pieces.len());
        let clause = &pieces[*start..end];
        if clause[0].is("constraint") {
            named = clause.get(1).map(Piece::name);
        } else {
            all.push(Clause { name: named.take(), pieces: clause });
        }
    }
    (head, all)
}

fn starts_here(pieces: &[Piece], n: usize, of_column: bool) -> bool {
    let piece = &pieces[n];
    let before = |word: &str| n > 0 && pieces[n - 1].is(word);
    let after = |word: &str| pieces.get(n + 1).is_some_and(|next| next.is(word));
    // The word after `constraint` is its name.
    if before("constraint") {
        return false;
    }
    let either = ["constraint", "primary", "unique", "check"].into_iter().any(|word| piece.is(word));
    if !of_column {
        return either || piece.is("foreign");
    }
    either
        || ["collate", "references", "generated"].into_iter().any(|word| piece.is(word))
        || piece.is("default") && !before("set")
        || piece.is("not") && after("null")
        || piece.is("null") && !["not", "set", "default"].into_iter().any(before)
        || piece.is("as") && !before("always")
}
