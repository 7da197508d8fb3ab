//! What rows say about files: columns read as a stream, each text in them a mention.
//!
//! JSON and arrays are searched at any depth. A value that should be JSON and is not counts as broken: what it refers to
//! cannot be known, so nothing may be removed.

use super::options::{Form, Options, Reference};
use engine::{Error, Result};
use serde_json::Value as Json;
use targets::db::{Column, Facts, Schema, Sql, Table, Value};

/// One column that refers.
pub struct Source {
    /// `table.column`.
    pub label: String,
    table: Table,
    column: Column,
    form: Form,
    within: Option<Column>,
    condition: Option<String>,
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
    Ok(Source {
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
    pub fn read(&self, facts: &mut dyn Facts, each: &mut dyn FnMut(&Mention) -> Result<()>) -> Result<Read> {
        let mut read = Read::default();
        let select = self.select(facts);
        let outcome = facts.query(&select, &mut |row| {
            let mut values = row.into_iter();
            let value = values.next().map(plain).unwrap_or_default();
            let within = values.next().map(plain).filter(|within| !within.is_empty());
            read.values += 1;
            let mut tell = |text: &str, form: Form, sure: bool| {
                each(&Mention { text, within: within.as_deref(), form, sure })
            };
            if !self.mentions(&value, &mut tell)? {
                read.broken += 1;
            }
            Ok(())
        });
        outcome.map_err(|error| Error::while_doing(error, &format!("reading `{}`", self.label)))?;
        Ok(read)
    }

    /// False when the value cannot be read.
    fn mentions(&self, value: &str, tell: &mut dyn FnMut(&str, Form, bool) -> Result<()>) -> Result<bool> {
        let declared = self.column.declared.to_lowercase();
        let is_json = declared.starts_with("json");
        match self.form {
            Form::Path => tell(value, Form::Path, true)?,
            Form::Name | Form::Hash => {
                tell(value, self.form, true)?;
                if let Some((_, bare)) = value.rsplit_once(':') {
                    tell(bare, self.form, false)?;
                }
            }
            Form::Text => {
                let ends = |c: char| c.is_whitespace() || "\"'`()<>[]{}|,;=".contains(c);
                tell(value, Form::Path, false)?;
                for word in value.split(ends).filter(|word| !word.is_empty()) {
                    tell(word, Form::Path, false)?;
                    tell(word.trim_end_matches(['.', ':', '!', '?']), Form::Path, false)?;
                }
            }
            Form::Auto | Form::Json => {
                if declared.ends_with("[]") {
                    for text in array(value) {
                        self.one(&text, is_json, tell)?;
                    }
                    return Ok(true);
                }
                return self.one(value, is_json, tell);
            }
        }
        Ok(true)
    }

    fn one(
        &self,
        value: &str,
        declared: bool,
        tell: &mut dyn FnMut(&str, Form, bool) -> Result<()>,
    ) -> Result<bool> {
        let must = self.form == Form::Json || declared;
        if must || looks_like_json(value) {
            match serde_json::from_str::<Json>(value) {
                Ok(json) => return within_json(&json, tell).map(|()| true),
                // SQLite's JSON columns hold numbers and plain words as they come.
                Err(_) if must && !value.trim().is_empty() && looks_like_json(value) => return Ok(false),
                Err(_) => {}
            }
        }
        tell(value, Form::Path, true)?;
        Ok(true)
    }
}

fn looks_like_json(value: &str) -> bool {
    value.trim_start().starts_with(['{', '[', '"'])
}

fn within_json(json: &Json, tell: &mut dyn FnMut(&str, Form, bool) -> Result<()>) -> Result<()> {
    match json {
        Json::String(text) => {
            if looks_like_json(text)
                && let Ok(inner) = serde_json::from_str::<Json>(text)
            {
                within_json(&inner, tell)?;
            }
            // A word in JSON may be anything; what has an ending or a folder is meant as a file.
            tell(text, Form::Path, text.contains(['/', '.']))
        }
        Json::Array(items) => items.iter().try_for_each(|item| within_json(item, tell)),
        Json::Object(entries) => entries.iter().try_for_each(|(key, value)| {
            tell(key, Form::Path, false)?;
            within_json(value, tell)
        }),
        Json::Null | Json::Bool(_) | Json::Number(_) => Ok(()),
    }
}

/// The texts of an array as PostgreSQL writes it, at any depth: `{a,"b c",{d}}`.
fn array(text: &str) -> Vec<String> {
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
    fn an_array_gives_its_texts_at_any_depth() {
        assert_eq!(array(r#"{a,"b c",NULL,{"d\"e",""}}"#), ["a", "b c", "d\"e", ""]);
        assert!(array("{}").is_empty());
    }

    #[test]
    fn json_gives_its_texts_at_any_depth_also_as_text_within_json() {
        let json: Json = serde_json::from_str(r#"{"a": ["x.png", {"b": "[\"y/z\"]"}, 7, null]}"#).unwrap();
        let mut all = Vec::new();
        within_json(&json, &mut |text, _, sure| {
            all.push((text.to_owned(), sure));
            Ok(())
        })
        .unwrap();
        for wanted in [("a", false), ("x.png", true), ("y/z", true)] {
            assert!(all.iter().any(|(text, sure)| (text.as_str(), *sure) == wanted), "{wanted:?} in {all:?}");
        }
    }
}
