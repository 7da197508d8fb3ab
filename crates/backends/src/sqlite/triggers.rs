//! Which events fire a trigger: SQLite keeps only the statement that made it.
//!
//! Reads just as much of the statement as lies before the event, with SQLite's rules for names, quotes and comments.

/// The events of a trigger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Events {
    pub(super) insert: bool,
    pub(super) update: bool,
    pub(super) delete: bool,
}

/// Reads `create trigger …`. A statement that cannot be read counts as firing on everything.
pub(super) fn events(statement: &str) -> Events {
    event(statement).unwrap_or(Events { insert: true, update: true, delete: true })
}

fn event(statement: &str) -> Option<Events> {
    let mut words = Words { rest: statement };
    let mut word = words.next()?;
    while !word.is("trigger") {
        word = words.next()?;
    }
    word = words.next()?;
    // `if` cannot be a bare name
    if word.is("if") {
        (words.next()?.is("not") && words.next()?.is("exists")).then_some(())?;
        words.next()?;
    }
    // the name stands in `word` or was just skipped; a dot makes it the name of the schema
    word = words.next()?;
    if word.is(".") {
        words.next()?;
        word = words.next()?;
    }
    if word.is("before") || word.is("after") {
        word = words.next()?;
    } else if word.is("instead") {
        words.next()?;
        word = words.next()?;
    }
    let events = Events { insert: word.is("insert"), update: word.is("update"), delete: word.is("delete") };
    (events != Events::default()).then_some(events)
}

/// The words of a statement.
pub(super) struct Words<'a> {
    pub(super) rest: &'a str,
}

/// A bare word or sign; what was quoted is a name and equals no keyword.
pub(super) struct Word<'a> {
    text: &'a str,
    quoted: bool,
}

impl Word<'_> {
    pub(super) fn is(&self, keyword: &str) -> bool {
        !self.quoted && self.text.eq_ignore_ascii_case(keyword)
    }
}

impl<'a> Words<'a> {
    pub(super) fn next(&mut self) -> Option<Word<'a>> {
        self.skip_blanks();
        let first = self.rest.chars().next()?;
        let (length, quoted) = match first {
            '"' | '\'' | '`' => (self.closing(first)?, true),
            '[' => (self.rest.find(']')? + 1, true),
            letter if is_part_of_a_word(letter) => {
                (self.rest.find(|c| !is_part_of_a_word(c)).unwrap_or(self.rest.len()), false)
            }
            sign => (sign.len_utf8(), false),
        };
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(Word { text, quoted })
    }

    /// The length of a quoted name; a doubled quote belongs to it.
    fn closing(&self, quote: char) -> Option<usize> {
        let mut at = 1;
        loop {
            at += self.rest[at..].find(quote)? + 1;
            if !self.rest[at..].starts_with(quote) {
                return Some(at);
            }
            at += 1;
        }
    }

    fn skip_blanks(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            if let Some(comment) = self.rest.strip_prefix("--") {
                self.rest = comment.find('\n').map_or("", |end| &comment[end..]);
            } else if let Some(comment) = self.rest.strip_prefix("/*") {
                self.rest = comment.find("*/").map_or("", |end| &comment[end + 2..]);
            } else {
                return;
            }
        }
    }
}

fn is_part_of_a_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_is_found_behind_every_sort_of_name() {
        let insert = Events { insert: true, ..Events::default() };
        let update = Events { update: true, ..Events::default() };
        let delete = Events { delete: true, ..Events::default() };
        for (statement, expected) in [
            ("CREATE TRIGGER t AFTER INSERT ON x BEGIN SELECT 1; END", insert),
            ("create trigger t delete on x begin select 1; end", delete),
            (
                "create trigger if not exists t before update of a, \"delete\" on x begin select 1; end",
                update,
            ),
            ("create temp trigger main.t instead of delete on v begin select 1; end", delete),
            ("create trigger \"after insert\" after delete on x begin select 1; end", delete),
            ("create trigger [after insert] after delete on x begin select 1; end", delete),
            ("create trigger `a``b` update on x begin select 1; end", update),
            ("create trigger 'it''s' /* insert */ -- delete\n after update on x begin select 1; end", update),
            ("create trigger after after insert on x begin select 1; end", insert),
            ("create trigger before insert on x begin select 1; end", insert),
            ("create trigger größe insert on x begin select 1; end", insert),
        ] {
            assert_eq!(events(statement), expected, "{statement}");
        }
    }

    #[test]
    fn a_statement_that_cannot_be_read_counts_as_firing_on_everything() {
        assert_eq!(events("create trigger"), Events { insert: true, update: true, delete: true });
    }
}
