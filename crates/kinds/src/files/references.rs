//! What rows say about files: columns read as a stream, each text in them a mention.
//!
//! JSON and arrays are searched at any depth. A value that should be JSON and is not counts as broken: what it refers to
//! cannot be known, so nothing may be removed.

use super::options::{Form, Options, Reference};
use super::texts::{looks_like_json, texts_of};
use engine::{Error, Result};
use targets::db::{Column, Facts, Family, Schema, Sql, Table, Value};

/// One column that refers.
pub struct Source {
    /// `table.column`.
    pub label: String,
    table: Table,
    column: Column,
    form: Form,
    within: Option<Column>,
    condition: Option<String>,
    is_array: bool,
    is_json: bool,
}

/// One text that may name a file.
pub struct Mention<'a> {
    /// The text.
    pub text: &'a str,
    /// The folder below the base that a relative path may begin in.
    pub within: Option<&'a str>,
    /// `Path`, `Name` or `Hash`.
    pub form: Form,
    /// It is meant as a file: its absence is worth telling.
    pub sure: bool,
}

/// Told each text, in which form it refers, and whether it is meant as a file.
pub type Tell<'a> = dyn FnMut(&str, Form, bool) -> Result<()> + 'a;

/// A value, and the folder that goes with it.
pub struct Given {
    value: Value,
    within: Option<String>,
}

impl Given {
    /// About how large it is.
    pub fn bytes(&self) -> usize {
        match &self.value {
            Value::Text(text) => text.len(),
            Value::Blob(bytes) | Value::BrokenText(bytes) | Value::Raw { bytes, .. } => bytes.len(),
            _ => 8,
        }
    }
}

/// What was read of one column.
#[derive(Debug, Default, Clone, Copy)]
pub struct Read {
    /// Values other than NULL.
    pub values: u64,
    /// Values that could not be read.
    pub broken: u64,
}

/// The columns that refer to files.
pub fn sources(options: &Options, schema: &Schema) -> Result<Vec<Source>> {
    options.references.iter().map(|reference| source(reference, schema)).collect()
}

fn source(reference: &Reference, schema: &Schema) -> Result<Source> {
    let table = schema.find(&reference.table)?.clone();
    let column = table.expect_column(&reference.column)?.clone();
    let within = reference.within.as_deref().map(|name| table.expect_column(name)).transpose()?.cloned();
    let declared = column.declared.to_lowercase();
    Ok(Source {
        is_array: declared.ends_with("[]"),
        is_json: declared.starts_with("json"),
        label: format!("{}.{}", table.name, column.name),
        table,
        column,
        form: reference.form,
        within,
        condition: reference.condition.clone(),
    })
}

/// The column with the ids that folders are named after.
pub fn ids(options: &Options, schema: &Schema) -> Result<Option<Source>> {
    let Some((table, column)) = options.ids.as_deref().and_then(|ids| ids.rsplit_once('.')) else {
        return Ok(None);
    };
    let reference = Reference {
        table: table.to_owned(),
        column: column.to_owned(),
        form: Form::Name,
        ..Reference::default()
    };
    source(&reference, schema).map(Some)
}

impl Source {
    /// In which form it refers.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The statement that reads it.
    pub fn select(&self, facts: &dyn Facts) -> Sql {
        let dialect = facts.dialect();
        let mut select = Sql::new("select ").text(&dialect.outward(&self.column));
        if let Some(within) = &self.within {
            select = select.text(", ").text(&dialect.outward(within));
        }
        select = select.text(" from ").table(&self.table.name).text(" as t where t.").name(&self.column.name);
        select = select.text(" is not null");
        match &self.condition {
            // A line end, so that a comment in the condition cannot swallow the bracket.
            Some(condition) => select.text(" and (").add(&Sql::raw(condition)).text("\n)"),
            None => select,
        }
    }

    /// Reads all of it.
    pub fn stream(&self, facts: &mut dyn Facts, each: &mut dyn FnMut(Given) -> Result<()>) -> Result<()> {
        let outcome = facts.query(&self.select(facts), &mut |row| {
            let mut values = row.into_iter();
            let value = values.next().unwrap_or(Value::Null);
            let within = values.next().map(plain).filter(|within| !within.is_empty());
            each(Given { value, within })
        });
        outcome.map(drop).map_err(|error| Error::while_doing(error, &format!("reading `{}`", self.label)))
    }

    /// Tells what a value mentions; false when it cannot be read.
    pub fn tell(&self, given: Given, each: &mut dyn FnMut(&Mention) -> Result<()>) -> Result<bool> {
        let Given { value, within } = given;
        self.mentions(value, &mut |text: &str, form: Form, sure: bool| {
            each(&Mention { text, within: within.as_deref(), form, sure })
        })
    }

    /// Reads all of it and tells what it mentions.
    pub fn read(&self, facts: &mut dyn Facts, each: &mut dyn FnMut(&Mention) -> Result<()>) -> Result<Read> {
        let mut read = Read::default();
        self.stream(facts, &mut |given| {
            read.values += 1;
            read.broken += u64::from(!self.tell(given, each)?);
            Ok(())
        })?;
        Ok(read)
    }

    /// False when the value cannot be read.
    fn mentions(&self, value: Value, tell: &mut Tell) -> Result<bool> {
        // SQLite takes bytes into any column, and they may be a text.
        if let Value::Blob(bytes) = &value {
            let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains(char::is_control));
            if let Some(text) = text.filter(|_| self.form != Form::Hash) {
                tell(&plain(value.clone()), self.form_of_one(), false)?;
                return self.texts(text, tell);
            }
            if self.column.family != Family::Blob && matches!(self.form, Form::Auto | Form::Json) {
                return Ok(false);
            }
        }
        self.texts(&plain(value), tell)
    }

    fn form_of_one(&self) -> Form {
        if matches!(self.form, Form::Name | Form::Hash) { self.form } else { Form::Path }
    }

    fn texts(&self, value: &str, tell: &mut Tell) -> Result<bool> {
        match self.form {
            Form::Path => tell(value, Form::Path, true)?,
            Form::Name | Form::Hash => {
                tell(value, self.form, true)?;
                if let Some((_, bare)) = value.rsplit_once(':') {
                    tell(bare, self.form, false)?;
                }
            }
            Form::Text => {
                tell(value, Form::Path, false)?;
                words(value, tell)?;
            }
            Form::Auto | Form::Json if self.is_array => {
                let mut whole = true;
                for text in array(value) {
                    whole &= self.one(&text, self.is_json, tell)?;
                }
                return Ok(whole);
            }
            Form::Auto | Form::Json => return self.one(value, self.is_json || self.form == Form::Json, tell),
        }
        Ok(true)
    }

    /// One path, or a document; false when it should be one and is not.
    fn one(&self, value: &str, declared: bool, tell: &mut Tell) -> Result<bool> {
        let looks = looks_like_json(value);
        if (declared || looks) && (value.trim().is_empty() || texts_of(value, tell)?) {
            return Ok(true);
        }
        tell(value, Form::Path, true)?;
        // Another language's list, half a document, or one too deep: what is in it may be meant all the same.
        if looks || value.starts_with('(') {
            words(value, tell)?;
        }
        // SQLite's JSON columns hold plain words as they come; a form that somebody chose is meant.
        Ok(!(declared && (looks || (self.form == Form::Json && !self.is_array))))
    }
}

/// Where a path in a text may begin or end. All of these may be part of a name too.
const BOUNDS: &str = "\"'`()<>[]{}|,;=";
/// A path holds at most so many of them.
const MOST_BOUNDS: usize = 64;
/// What opens and closes around a path with spaces in it.
const AROUND: [(char, char); 7] =
    [('"', '"'), ('\'', '\''), ('`', '`'), ('(', ')'), ('<', '>'), ('[', ']'), ('{', '}')];
/// How long such a path may be, in bytes.
const LONGEST: usize = 1_024;

/// The paths that may be in a text. Brackets, quotes and commas are part of a name or stand around it: every reading counts.
pub fn words(text: &str, tell: &mut Tell) -> Result<()> {
    for word in text.split(char::is_whitespace) {
        let bounds: Vec<(usize, usize)> = word
            .char_indices()
            .filter(|(_, c)| BOUNDS.contains(*c))
            .map(|(at, c)| (at, at + c.len_utf8()))
            .collect();
        let starts = std::iter::once(0).chain(bounds.iter().map(|(_, after)| *after));
        for (n, start) in starts.enumerate() {
            let ends = bounds.iter().skip(n).take(MOST_BOUNDS).map(|(at, _)| *at);
            let last = if bounds.len() - n < MOST_BOUNDS { Some(word.len()) } else { None };
            for end in ends.chain(last).filter(|end| *end > start) {
                one_word(&word[start..end], tell)?;
            }
        }
    }
    spaced(text, tell)
}

fn one_word(word: &str, tell: &mut Tell) -> Result<()> {
    tell(word, Form::Path, false)?;
    let bare = word.trim_end_matches(['.', ':', '!', '?']);
    if bare.len() < word.len() {
        tell(bare, Form::Path, false)?;
    }
    Ok(())
}

/// What stands between an opening and a closing sign, where there are spaces in it.
fn spaced(text: &str, tell: &mut Tell) -> Result<()> {
    for line in text.lines().filter(|line| line.trim().contains(char::is_whitespace)) {
        for (open, close) in AROUND {
            let closes: Vec<usize> = line.match_indices(close).map(|(at, _)| at).collect();
            for (start, sign) in line.match_indices(open) {
                let start = start + sign.len();
                let first = closes.partition_point(|end| *end <= start);
                let ends = closes[first..].iter().take_while(|end| **end - start <= LONGEST);
                for end in ends.take(MOST_BOUNDS) {
                    let between = &line[start..*end];
                    if between.contains(char::is_whitespace) {
                        one_word(between, tell)?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// The texts of an array as PostgreSQL writes it, at any depth: `{a,"b c",{d}}`.
fn array(text: &str) -> Vec<String> {
    // Where its numbers do not begin at 1: `[2:3]={a,b}`.
    let text = match text.split_once("={") {
        Some((bounds, _)) if bounds.starts_with('[') => &text[bounds.len() + 1..],
        _ => text,
    };
    let mut all = Vec::new();
    let mut one = String::new();
    let (mut quoted, mut was_quoted) = (false, false);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => one.extend(letters.next()),
            '"' => {
                quoted = !quoted;
                was_quoted = true;
            }
            '{' | '}' | ',' if !quoted => {
                if was_quoted || !(one.is_empty() || one.eq_ignore_ascii_case("null")) {
                    all.push(one.clone());
                }
                one.clear();
                was_quoted = false;
            }
            letter => one.push(letter),
        }
    }
    all
}

/// A value as text; bytes as the hexadecimal digits that name files.
fn plain(value: Value) -> String {
    match value {
        Value::Text(text) => text,
        Value::Int(number) => number.to_string(),
        Value::Blob(bytes) | Value::Raw { bytes, .. } => {
            bytes.iter().map(|byte| format!("{byte:02x}")).collect()
        }
        Value::BrokenText(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Value::Real(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_with_and_without_what_stands_around_them() {
        let mut told = Vec::new();
        let text = "see [doc](c;d%20(2).pdf), \"a, b.png\" or it's.png!";
        let done = words(text, &mut |word, _, _| {
            told.push(word.to_owned());
            Ok(())
        });
        done.unwrap();
        for wanted in ["c;d%20(2).pdf", "a, b.png", "it's.png", "doc", "see"] {
            assert!(told.iter().any(|word| word == wanted), "{wanted} in {told:?}");
        }
    }

    #[test]
    fn an_array_gives_its_texts_at_any_depth() {
        assert_eq!(array(r#"{a,"b c",NULL,{"d\"e",""}}"#), ["a", "b c", "d\"e", ""]);
        assert_eq!(array("[0:1][2:2]={{a},{b}}"), ["a", "b"]);
        assert!(array("{}").is_empty());
    }
}
