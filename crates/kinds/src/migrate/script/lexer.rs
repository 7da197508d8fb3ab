//! Words, quotes and comments of SQL, with their places: as much as it takes to know where a statement ends.
//!
//! It promises that the tokens and the blanks between them are the whole text. It does not judge whether the text is
//! SQL: what it does not know is a [`Kind::Mark`] of one character.

use super::Language;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A keyword, a name without quotes, a number, a parameter.
    Word,
    /// A string, a quoted name, a dollar-quoted body.
    Quoted,
    /// `-- …`, without the line's end.
    Comment,
    /// `/* … */`.
    Block,
    /// `;`.
    End,
    /// `(`.
    Open,
    /// `)`.
    Close,
    /// Any other character.
    Mark,
    /// A line for the client: `\connect`, `.read`.
    Client,
}

/// One token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it begins, in bytes.
    pub start: usize,
    /// Where the next one may begin.
    pub end: usize,
}

/// A quote, comment or body without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unclosed {
    /// `a quote`, `a comment`, `the body that begins with $x$`.
    pub what: String,
    /// Where it begins, in bytes.
    pub start: usize,
}

/// Tokens of a text, one after the other.
pub struct Lexer<'a> {
    text: &'a str,
    language: Language,
    at: usize,
    /// Whether only blanks were met since the line began.
    fresh: bool,
    /// Whether words were met since the last `;`.
    begun: bool,
}

impl<'a> Lexer<'a> {
    /// Over a text.
    pub fn new(text: &'a str, language: Language) -> Self {
        Self { text, language, at: 0, fresh: true, begun: false }
    }

    /// Goes on behind this place.
    pub fn skip_to(&mut self, at: usize) {
        self.at = at.min(self.text.len());
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    fn blanks(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c) {
                return;
            }
            self.fresh |= byte == b'\n';
            self.at += 1;
        }
    }

    /// Up to the end of the line, without it.
    fn line(&self) -> usize {
        let rest = &self.text.as_bytes()[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let end = self.at + length;
        if length > 0 && self.text.as_bytes()[end - 1] == b'\r' { end - 1 } else { end }
    }

    /// Behind the closing quote; it is doubled to stand for itself.
    fn quoted(&self, open: usize, close: u8, escapes: bool) -> Result<usize, Unclosed> {
        let bytes = self.text.as_bytes();
        let mut at = open + 1;
        while let Some(&byte) = bytes.get(at) {
            if escapes && byte == b'\\' {
                at += 2;
            } else if byte != close {
                at += 1;
            } else if close != b']' && bytes.get(at + 1) == Some(&close) {
                at += 2;
            } else {
                return Ok(at + 1);
            }
        }
        Err(Unclosed { what: format!("the quote {}", bytes[open] as char), start: open })
    }

    /// PostgreSQL's comments nest; SQLite's do not, and may end with the text.
    fn block(&self) -> Result<usize, Unclosed> {
        let bytes = self.text.as_bytes();
        let (mut at, mut depth) = (self.at + 2, 1);
        while at < bytes.len() {
            match (bytes[at], bytes.get(at + 1)) {
                (b'*', Some(b'/')) => {
                    at += 2;
                    depth -= 1;
                    if depth == 0 {
                        return Ok(at);
                    }
                }
                (b'/', Some(b'*')) if !self.language.is_sqlite() => {
                    at += 2;
                    depth += 1;
                }
                _ => at += 1,
            }
        }
        if self.language.is_sqlite() {
            return Ok(bytes.len());
        }
        Err(Unclosed { what: "the comment /*".to_owned(), start: self.at })
    }

    /// The whole of `$tag$ … $tag$`; none when this `$` begins none.
    fn dollar(&self) -> Option<Result<usize, Unclosed>> {
        let rest = &self.text[self.at..];
        let tag = rest[1..].bytes().take_while(|byte| is_name(*byte) || byte.is_ascii_digit()).count();
        let length = tag + 2;
        if rest.as_bytes().get(tag + 1) != Some(&b'$') || rest.as_bytes()[1].is_ascii_digit() {
            return None;
        }
        Some(match rest[length..].find(&rest[..length]) {
            Some(end) => Ok(self.at + length + end + length),
            None => Err(Unclosed {
                what: format!("the body that begins with {}", &rest[..length]),
                start: self.at,
            }),
        })
    }

    fn word(&self) -> usize {
        let bytes = self.text.as_bytes();
        let mut at = self.at + 1;
        while bytes.get(at).is_some_and(|byte| is_name(*byte) || byte.is_ascii_digit() || *byte == b'$') {
            at += 1;
        }
        at
    }

    fn measure(&mut self) -> Result<(Kind, usize), Unclosed> {
        let sqlite = self.language.is_sqlite();
        let fresh = std::mem::replace(&mut self.fresh, false);
        let (first, second) = (self.peek(0), self.peek(1));
        Ok(match first {
            b'-' if second == b'-' => (Kind::Comment, self.line()),
            b'/' if second == b'*' => (Kind::Block, self.block()?),
            b'\'' => (Kind::Quoted, self.quoted(self.at, b'\'', false)?),
            b'"' => (Kind::Quoted, self.quoted(self.at, b'"', false)?),
            b'`' if sqlite => (Kind::Quoted, self.quoted(self.at, b'`', false)?),
            b'[' if sqlite => (Kind::Quoted, self.quoted(self.at, b']', false)?),
            b'e' | b'E' if !sqlite && second == b'\'' => {
                (Kind::Quoted, self.quoted(self.at + 1, b'\'', true)?)
            }
            b'$' if !sqlite => match self.dollar() {
                Some(end) => (Kind::Quoted, end?),
                None => (Kind::Word, self.word()),
            },
            b';' => (Kind::End, self.at + 1),
            b'(' => (Kind::Open, self.at + 1),
            b')' => (Kind::Close, self.at + 1),
            b'\\' if !sqlite => (Kind::Client, self.line()),
            b'.' if sqlite && fresh && !self.begun && second.is_ascii_alphabetic() => {
                (Kind::Client, self.line())
            }
            _ if is_name(first) || first.is_ascii_digit() => (Kind::Word, self.word()),
            _ => (Kind::Mark, self.at + 1),
        })
    }
}

impl Iterator for Lexer<'_> {
    type Item = Result<Token, Unclosed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.blanks();
        if self.at >= self.text.len() {
            return None;
        }
        let start = self.at;
        Some(match self.measure() {
            Ok((kind, end)) => {
                self.begun = match kind {
                    Kind::Comment | Kind::Block | Kind::Client => self.begun,
                    kind => kind != Kind::End,
                };
                self.at = end.min(self.text.len());
                Ok(Token { kind, start, end: self.at })
            }
            Err(unclosed) => {
                self.at = self.text.len();
                Err(unclosed)
            }
        })
    }
}

/// Whether a name may begin with it; every byte beyond ASCII may be part of one.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSTGRES: Language = Language::Postgres { major: None };

    fn kinds(text: &str, language: Language) -> Vec<(Kind, &str)> {
        Lexer::new(text, language)
            .map(|token| token.map(|token| (token.kind, &text[token.start..token.end])).unwrap())
            .collect()
    }

    #[test]
    fn quotes_of_postgresql_end_where_the_server_ends_them() {
        use Kind::*;
        assert_eq!(kinds(r"E'a\';b'", POSTGRES), [(Quoted, r"E'a\';b'")]);
        assert_eq!(kinds(r"'a\'", POSTGRES), [(Quoted, r"'a\'")]);
        assert_eq!(kinds("$a$ ; $b$ $a$", POSTGRES), [(Quoted, "$a$ ; $b$ $a$")]);
        assert_eq!(kinds("$$;$$", POSTGRES), [(Quoted, "$$;$$")]);
        assert_eq!(kinds("a$b$c", POSTGRES), [(Word, "a$b$c")]);
        assert_eq!(kinds("$1;$2", POSTGRES), [(Word, "$1"), (End, ";"), (Word, "$2")]);
        assert_eq!(kinds("$é$;$é$", POSTGRES), [(Quoted, "$é$;$é$")]);
        assert_eq!(kinds("/* a /* ; */ b */;", POSTGRES), [(Block, "/* a /* ; */ b */"), (End, ";")]);
        assert_eq!(kinds("a[1]", POSTGRES).len(), 4);
    }

    #[test]
    fn quotes_of_sqlite_end_where_sqlite_ends_them() {
        use Kind::*;
        assert_eq!(kinds("[a;b] `c``;d`", Language::Sqlite), [(Quoted, "[a;b]"), (Quoted, "`c``;d`")]);
        assert_eq!(kinds("/* a /* */ b", Language::Sqlite), [(Block, "/* a /* */"), (Word, "b")]);
        assert_eq!(kinds("$$", Language::Sqlite), [(Mark, "$"), (Mark, "$")]);
        assert_eq!(kinds("/* to the end", Language::Sqlite), [(Block, "/* to the end")]);
    }

    #[test]
    fn lines_for_the_client_are_told_apart() {
        use Kind::*;
        assert_eq!(kinds("\\connect x\r\nselect", POSTGRES), [(Client, "\\connect x"), (Word, "select")]);
        assert_eq!(kinds(".read x\na .b", Language::Sqlite)[0], (Client, ".read x"));
        assert_eq!(kinds("a; -- b\n.read c", Language::Sqlite)[3], (Client, ".read c"));
        assert_eq!(kinds("a\n.b", Language::Sqlite)[1], (Mark, "."));
    }

    #[test]
    fn what_is_not_closed_is_told_with_its_place() {
        for (text, start) in [("a 'b", 2), ("/* /* */", 0), (" $x$ $y$", 1), ("\"", 0), (r"E'\'", 1)] {
            let error = Lexer::new(text, POSTGRES).find_map(Result::err);
            assert_eq!(error.map(|unclosed| unclosed.start), Some(start), "{text}");
        }
    }
}
