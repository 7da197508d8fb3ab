//! Comments that allow what a rule would find: `-- sexton:ignore drop-column it is not read since May`.
//!
//! A comment stands in the lines right before the statement, in it, or behind it on its last line; `ignore-file` holds for
//! the whole file. What other linters' comments mean is understood.

use super::codes::meant;
use super::model::Statement;

/// What one comment allows.
#[derive(Debug, Clone, PartialEq)]
pub struct Allowed {
    /// The codes, as they are written.
    pub codes: Vec<String>,
    /// Where it stands, from 1.
    pub line: u32,
    /// Whether it holds for the whole file.
    pub whole_file: bool,
    /// Whether it is one of ours, which must mean something.
    pub ours: bool,
}

impl Allowed {
    /// Whether it allows this finding.
    pub fn allows(&self, code: &str) -> bool {
        self.codes.is_empty() || self.codes.iter().any(|written| meant(written).contains(&code))
    }
}

const MARKS: [(&str, bool, bool); 6] = [
    ("sexton:ignore-file", true, true),
    ("sexton:ignore", false, true),
    ("squawk-ignore-file", true, false),
    ("squawk-ignore", false, false),
    ("eugene: ignore", false, false),
    ("atlas:nolint", false, false),
];

/// The comments of a text.
pub fn of(text: &str) -> Vec<Allowed> {
    text.lines().enumerate().filter_map(|(n, line)| allowed(line, n as u32 + 1)).collect()
}

fn allowed(line: &str, number: u32) -> Option<Allowed> {
    let comment =
        line.find("--").map(|at| &line[at + 2..]).or_else(|| line.find("/*").map(|at| &line[at + 2..]))?;
    let comment = comment.trim();
    let (rest, whole_file, ours) = MARKS
        .iter()
        .find_map(|(mark, whole_file, ours)| Some((comment.strip_prefix(mark)?, *whole_file, *ours)))?;
    let mut codes = Vec::new();
    for word in rest.trim_end_matches("*/").replace(',', " , ").split_whitespace() {
        match word {
            "," => {}
            // The first word that is no code begins the reason.
            code if codes.is_empty() || !meant(code).is_empty() => codes.push(code.to_owned()),
            _ => break,
        }
    }
    Some(Allowed { codes, line: number, whole_file, ours })
}

/// Whether a comment belongs to a statement.
pub fn belongs(allowed: &Allowed, statement: &Statement, text: &str) -> bool {
    if allowed.whole_file {
        return true;
    }
    let last = statement.line + statement.sql.matches('\n').count() as u32;
    if (statement.line..=last).contains(&allowed.line) {
        return true;
    }
    // Upwards, as long as there is nothing but comments.
    let lines: Vec<&str> = text.lines().collect();
    let between = lines.get(allowed.line as usize..statement.line.saturating_sub(1) as usize);
    allowed.line < statement.line
        && between.is_some_and(|between| between.iter().all(|line| line.trim_start().starts_with("--")))
        && lines.get(allowed.line as usize - 1).is_some_and(|line| line.trim_start().starts_with(['-', '/']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_belongs_to_the_statement_below_it_or_around_it() {
        let text = "-- sexton:ignore drop-column nobody reads it\n-- more words\nalter table t\n  drop column a; -- sexton:ignore drop-cascade, rename-table\n\n-- squawk-ignore ban-drop-table\n\ndrop table u;";
        let all = of(text);
        assert_eq!(all[0].codes, ["drop-column"]);
        assert_eq!(all[1].codes, ["drop-cascade", "rename-table"]);
        let statement = |line, sql: &str| Statement { sql: sql.to_owned(), line, ..Statement::default() };
        let first = statement(3, "alter table t\n  drop column a");
        let second = statement(8, "drop table u");
        let belonging: Vec<bool> = all.iter().map(|allowed| belongs(allowed, &first, text)).collect();
        assert_eq!(belonging, [true, true, false]);
        assert!(!belongs(&all[2], &second, text), "an empty line is between them");
        assert!(all[2].allows("drop-table") && !all[2].allows("drop-column"));
    }
}
