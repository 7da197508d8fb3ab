//! The condition of a partial index: SQLite keeps only the statement that made it.
//!
//! Finds where the condition begins, with SQLite's rules for names, quotes and comments. It does not read the condition.

use super::triggers::Words;

/// What stands behind `where` in `create index …`; none where nothing does, or the statement cannot be read.
pub(super) fn of(statement: &str) -> Option<String> {
    let mut words = Words { rest: statement };
    let mut depth = 0_u32;
    let mut listed = false;
    loop {
        let word = words.next()?;
        if word.is("(") {
            depth += 1;
            listed = true;
        } else if word.is(")") {
            depth = depth.checked_sub(1)?;
        } else if word.is("where") && depth == 0 && listed {
            let condition = words.rest.trim();
            return (!condition.is_empty()).then(|| condition.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn the_condition_is_what_stands_behind_the_columns() {
        for (statement, expected) in [
            ("create unique index i on t (a) where b = 1", Some("b = 1")),
            (
                "CREATE INDEX \"where (\" ON [t(] (a, lower(b)) /* where */ WHERE a IN (1, 2) and c",
                Some("a IN (1, 2) and c"),
            ),
            ("create index i on t (case when a then 1 end) -- where\n where a > ')'", Some("a > ')'")),
            ("create index i on t (a)", None),
            ("create index i on t (a) where", None),
            ("create index i on t a) where b", None),
        ] {
            assert_eq!(of(statement).as_deref(), expected, "{statement}");
        }
    }
}
