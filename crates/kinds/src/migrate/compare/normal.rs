//! Text of SQLite without what means nothing: blanks, comments, capitals, quotes that are not needed.

use crate::migrate::script::{Kind, Language, Lexer};

/// A word, a quote or a sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// In small letters, except in quotes.
    pub text: String,
    kind: Kind,
}

impl Piece {
    /// Whether it is this keyword, which a quoted name is not.
    pub fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text == word
    }

    pub fn is_open(&self) -> bool {
        self.kind == Kind::Open
    }

    pub fn is_close(&self) -> bool {
        self.kind == Kind::Close
    }

    pub fn is_comma(&self) -> bool {
        self.kind == Kind::Mark && self.text == ","
    }

    /// The name that it is, without quotes.
    pub fn name(&self) -> String {
        match self.text.chars().next() {
            Some(open @ ('"' | '`' | '[')) if self.text.len() > 1 => {
                let inner = &self.text[1..self.text.len() - 1];
                if open == '[' {
                    inner.to_owned()
                } else {
                    inner.replace(&format!("{open}{open}"), &open.to_string())
                }
            }
            _ => self.text.clone(),
        }
    }
}

/// The pieces of a statement; none when it is not one.
pub(super) fn pieces(sql: &str) -> Option<Vec<Piece>> {
    let mut all = Vec::new();
    for token in Lexer::new(sql, Language::Sqlite) {
        let token = token.ok()?;
        if matches!(token.kind, Kind::Comment | Kind::Block) {
            continue;
        }
        let text = &sql[token.start..token.end];
        let text = if token.kind == Kind::Word { text.to_ascii_lowercase() } else { text.to_owned() };
        all.push(Piece { text, kind: token.kind });
    }
    Some(all)
}

/// One line of text, the same for all ways of writing the same pieces. With `names`, what is in double quotes is a name and not
/// perhaps a string, as SQLite allows it in expressions, so that capitals in it mean nothing.
pub(super) fn line(pieces: &[Piece], names: bool) -> String {
    let mut out = String::new();
    let mut before: Option<&Piece> = None;
    for piece in pieces {
        let text = match piece.kind {
            Kind::Quoted if !piece.text.starts_with('\'') => quoted(piece, names),
            _ => piece.text.clone(),
        };
        if before.is_some_and(|before| apart(before, piece)) {
            out.push(' ');
        }
        out.push_str(&text);
        before = Some(piece);
    }
    out
}

fn quoted(piece: &Piece, names: bool) -> String {
    let name = piece.name();
    let plain = name.bytes().enumerate().all(|(n, byte)| {
        byte.is_ascii_alphabetic()
            || byte == b'_'
            || byte >= 0x80
            || n > 0 && (byte.is_ascii_digit() || byte == b'$')
    });
    let may_be_text = piece.text.starts_with('"') && !names;
    let name = if may_be_text { name } else { name.to_ascii_lowercase() };
    if plain && !name.is_empty() && !RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
        name
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// Whether a blank is between these two.
fn apart(before: &Piece, piece: &Piece) -> bool {
    let sign = |piece: &Piece, signs: &str| piece.kind == Kind::Mark && signs.contains(piece.text.as_str());
    if piece.is_close() || piece.is_comma() || piece.kind == Kind::End || before.is_open() {
        return false;
    }
    if sign(before, ".") || sign(piece, ".") {
        return false;
    }
    if piece.is_open() {
        let is_name = before.kind == Kind::Quoted && !before.text.starts_with('\'');
        let is_word = before.kind == Kind::Word;
        return !is_name && !is_word
            || is_word && (RESERVED.contains(&before.text.as_str()) || before.is("key"));
    }
    // the halves of an operator are never apart, two signs of minus never together
    if before.kind == Kind::Mark && piece.kind == Kind::Mark && !before.is_comma() {
        return sign(before, "-") && sign(piece, "-");
    }
    true
}

/// Words that no name can be without quotes.
const RESERVED: [&str; 65] = [
    "add",
    "all",
    "alter",
    "and",
    "as",
    "autoincrement",
    "between",
    "case",
    "check",
    "collate",
    "commit",
    "constraint",
    "create",
    "default",
    "deferrable",
    "delete",
    "distinct",
    "drop",
    "else",
    "escape",
    "except",
    "exists",
    "foreign",
    "from",
    "group",
    "having",
    "in",
    "index",
    "insert",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "limit",
    "materialized",
    "not",
    "nothing",
    "notnull",
    "null",
    "on",
    "or",
    "order",
    "over",
    "primary",
    "references",
    "returning",
    "select",
    "set",
    "table",
    "then",
    "to",
    "transaction",
    "union",
    "unique",
    "update",
    "using",
    "values",
    "when",
    "where",
    "window",
    "with",
    "begin",
    "end",
    "always",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(sql: &str) -> String {
        line(&pieces(sql).unwrap(), true)
    }

    #[test]
    fn the_way_of_writing_makes_no_difference() {
        for (a, b) in [
            ("CREATE INDEX i ON t(a,B)", "create  index `i` on \"T\" ( a , [b] ) -- x"),
            ("select a||b, -1 , a.b", "SELECT a || b,- 1,\"a\" . b"),
            ("check (length(a)<=3)", "CHECK(LENGTH ( a ) <= 3)"),
        ] {
            assert_eq!(normal(a), normal(b));
        }
    }

    #[test]
    fn what_means_something_stays() {
        for (a, b) in [("'A'", "'a'"), ("a - -1", "a + -1"), ("\"order\"", "order"), ("x'01'", "x '02'")] {
            assert_ne!(normal(a), normal(b));
        }
        let expression = |sql: &str| line(&pieces(sql).unwrap(), false);
        assert_ne!(expression("a in (\"X\")"), expression("a in (\"x\")"), "may be strings");
        assert!(!normal("1 - -1").contains("--"));
    }
}
