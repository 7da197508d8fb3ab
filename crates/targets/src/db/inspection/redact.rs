//! Statements of others without what was in them: literals may be names, mails, passwords.

/// The statement on one line, without literals and comments, at most `most` letters of it.
pub fn without_literals(statement: &str, most: usize) -> String {
    let letters: Vec<char> = statement.chars().collect();
    let mut out = String::new();
    let mut at = 0;
    while at < letters.len() && out.len() < most * 4 {
        let here = letters[at];
        let next = letters.get(at + 1).copied().unwrap_or(' ');
        match here {
            '\'' => {
                let escapes = out.ends_with(['e', 'E']) && !in_word(&out[..out.len() - 1]);
                if out.ends_with(['e', 'E', 'x', 'X', 'b', 'B', 'n', 'N']) && !in_word(&out[..out.len() - 1])
                {
                    out.pop();
                }
                at = after_text(&letters, at, escapes);
                out.push('?');
                continue;
            }
            '"' => {
                let end = (at + 1..letters.len()).find(|n| letters[*n] == '"').unwrap_or(letters.len() - 1);
                out.extend(&letters[at..=end]);
                at = end + 1;
                continue;
            }
            '-' if next == '-' => {
                at = (at..letters.len()).find(|n| letters[*n] == '\n').unwrap_or(letters.len());
                continue;
            }
            '/' if next == '*' => {
                at = (at + 2..letters.len())
                    .find(|n| letters[*n] == '/' && letters[*n - 1] == '*' && *n > at + 2)
                    .map_or(letters.len(), |n| n + 1);
                continue;
            }
            '$' if !in_word(&out) => match after_dollars(&letters, at) {
                Some(end) => {
                    out.push('?');
                    at = end;
                    continue;
                }
                None => out.push(here),
            },
            '0'..='9' if !in_word(&out) && !out.ends_with('$') => {
                while at < letters.len() && (letters[at].is_ascii_alphanumeric() || letters[at] == '.') {
                    at += 1;
                }
                out.push('?');
                continue;
            }
            here if here.is_whitespace() || here.is_control() => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            here => out.push(here),
        }
        at += 1;
    }
    let out = out.trim();
    match out.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", out[..end].trim_end()),
        None => out.to_owned(),
    }
}

/// Whether what comes next goes on with a name.
fn in_word(before: &str) -> bool {
    before.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_')
}

/// The place behind a text that begins at `at`; a text that is cut off goes to the end.
fn after_text(letters: &[char], at: usize, escapes: bool) -> usize {
    let mut n = at + 1;
    while n < letters.len() {
        match letters[n] {
            '\\' if escapes => n += 1,
            '\'' if letters.get(n + 1) == Some(&'\'') => n += 1,
            '\'' => return n + 1,
            _ => {}
        }
        n += 1;
    }
    letters.len()
}

/// The place behind `$tag$ … $tag$` that begins at `at`; none where that is a parameter.
fn after_dollars(letters: &[char], at: usize) -> Option<usize> {
    let close = (at + 1..letters.len()).find(|n| letters[*n] == '$')?;
    let tag = &letters[at..=close];
    let inner = &tag[1..tag.len() - 1];
    let is_tag = inner.iter().all(|letter| letter.is_alphanumeric() || *letter == '_')
        && !inner.first().is_some_and(char::is_ascii_digit);
    if !is_tag {
        return None;
    }
    let end = letters[close + 1..].windows(tag.len()).position(|window| window == tag);
    Some(end.map_or(letters.len(), |n| close + 1 + n + tag.len()))
}

#[cfg(test)]
mod tests {
    use super::without_literals;

    #[test]
    fn a_statement_is_shown_without_what_was_in_it() {
        // S1-058: who looks at the locks should not read other people's data
        for (statement, shown) in [
            (
                "select * from t where mail = 'a''b@x' and id = 42",
                "select * from t where mail = ? and id = ?",
            ),
            ("select E'it\\'s secret', x'ff', $1, 1e5 from t2", "select ?, ?, $1, ? from t2"),
            ("select $$se'cret$$, $a$x$b$y$a$ from t", "select ?, ? from t"),
            ("select 1 -- secret 7\n from \"Ta'ble 1\" /* secret */ x", "select ? from \"Ta'ble 1\" x"),
            ("update t set a='cut of", "update t set a=?"),
            ("select '", "select ?"),
            ("select \"", "select \""),
            ("/*/ secret */ select x", "select x"),
            ("", ""),
        ] {
            assert_eq!(without_literals(statement, 200), shown);
        }
        assert_eq!(without_literals("select abcdef from ghi", 10), "select abc…");
        assert_eq!(without_literals("select ünï from é", 12), "select ünï f…");
    }
}
