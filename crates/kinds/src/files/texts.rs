//! The texts in a JSON document, at any depth, told while it is read: nothing of it is kept.
//!
//! A name that is given twice counts twice, and JSON inside a text of JSON is read too. A document that turns out to be none in
//! its middle has told what was before: more may seem to be referred to, never less.

use super::options::Form;
use super::references::{Tell, words};
use engine::{Error, Result};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Tells every text of a document; false when it is not JSON.
pub fn texts_of(document: &str, tell: &mut Tell) -> Result<bool> {
    let mut failed = None;
    let mut reader = serde_json::Deserializer::from_str(document);
    let read = reader.deserialize_any(Texts { tell, failed: &mut failed, key: false });
    let whole = read.is_ok() && reader.end().is_ok();
    match failed {
        Some(error) => Err(error),
        None => Ok(whole),
    }
}

/// Whether a text begins like a document, a list or a text of JSON.
pub fn looks_like_json(value: &str) -> bool {
    value.trim_start().starts_with(['{', '[', '"'])
}

struct Texts<'a, 'b> {
    tell: &'a mut Tell<'b>,
    /// What telling failed with, which is no fault of the document.
    failed: &'a mut Option<Error>,
    /// It is the name of an entry.
    key: bool,
}

impl Texts<'_, '_> {
    fn below(&mut self, key: bool) -> Texts<'_, '_> {
        Texts { tell: &mut *self.tell, failed: &mut *self.failed, key }
    }

    fn text(&mut self, text: &str) -> Result<()> {
        if self.key {
            return (self.tell)(text, Form::Path, false);
        }
        if looks_like_json(text) && !texts_of(text, self.tell)? {
            words(text, self.tell)?;
        }
        // A word in JSON may be anything; what has an ending or a folder is meant as a file.
        (self.tell)(text, Form::Path, text.contains(['/', '.']))
    }
}

impl<'de> DeserializeSeed<'de> for Texts<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> std::result::Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Texts<'_, '_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_str<E: serde::de::Error>(mut self, text: &str) -> std::result::Result<(), E> {
        self.text(text).map_err(|error| {
            *self.failed = Some(error);
            E::custom("stopped")
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> std::result::Result<(), A::Error> {
        while list.next_element_seed(self.below(false))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> std::result::Result<(), A::Error> {
        while map.next_key_seed(self.below(true))?.is_some() {
            map.next_value_seed(self.below(false))?;
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> std::result::Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> std::result::Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(document: &str) -> (bool, Vec<(String, bool)>) {
        let mut all = Vec::new();
        let whole = texts_of(document, &mut |text, _, sure| {
            all.push((text.to_owned(), sure));
            Ok(())
        });
        (whole.unwrap(), all)
    }

    #[test]
    fn json_gives_its_texts_at_any_depth_also_as_text_within_json() {
        let (whole, all) =
            told(r#"{"a": ["x.png", {"b": "[\"y/z\"]"}, 7, null, -1, 0.5, true], "a": "again/1"}"#);
        assert!(whole);
        for wanted in [("a", false), ("x.png", true), ("y/z", true), ("again/1", true)] {
            assert!(all.iter().any(|(text, sure)| (text.as_str(), *sure) == wanted), "{wanted:?} in {all:?}");
        }
    }

    #[test]
    fn what_is_not_json_is_said_to_be_none() {
        for text in ["{\"a\": \"x", "['a.png']", "[1] 2", "a/b.png", "{\"a\" 1}"] {
            assert!(!told(text).0, "{text}");
        }
        assert!(told(" 7 ").0 && told("\"a/b.png\"").0);
    }

    #[test]
    fn an_error_of_the_listener_is_not_one_of_the_document() {
        let stopped = texts_of(r#"["a"]"#, &mut |_, _, _| Err(Error::data("no more")));
        assert_eq!(stopped.unwrap_err().what, "no more");
    }
}
