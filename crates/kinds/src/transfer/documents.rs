//! JSON documents as PostgreSQL takes them: by the grammar, nested no deeper than the server's stack, and for `jsonb` with no
//! escape that is no character there and no number that is too large.

use super::convert::Misfit;
use super::numerals;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;

/// How deep a document may be nested: half of what a server with its usual `max_stack_depth` reads.
const NESTED: usize = 5_000;

/// A whole JSON document by the grammar.
pub fn is_json(text: &str) -> bool {
    // every level takes two bytes
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
        && (text.len() <= 2 * NESTED || depth(text) <= NESTED)
}

/// How deep a document is nested.
fn depth(text: &str) -> usize {
    let (mut depth, mut most, mut quoted) = (0_usize, 0, false);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if quoted => _ = bytes.next(),
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                most = most.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// A whole JSON document in which no key is there twice, of which one side takes the first and the other the last.
pub fn is_plain(text: &str) -> bool {
    serde_json::from_str::<Plain>(text).is_ok()
}

struct Plain;

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Plain {
    type Value = Self;

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("a document without twins")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = members.next_key::<String>()? {
            members.next_value::<Self>()?;
            if !keys.insert(key) {
                return Err(A::Error::custom("a key is there twice"));
            }
        }
        Ok(self)
    }
}

/// What `jsonb` cannot hold of a document, and `json` can.
pub fn odd(text: &str) -> Option<Misfit> {
    odd_escape(text).or_else(|| (!numerals::are_numeric(text)).then_some(Misfit::OutOfRange))
}

/// What is wrong with an escape of a document, which `json` keeps as it is written and `jsonb` refuses: a zero character, or half of a
/// surrogate pair.
fn odd_escape(text: &str) -> Option<Misfit> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('\\') {
        rest = after.get(1..).unwrap_or_default();
        match unit(after) {
            Some(0) => return Some(Misfit::ZeroCharacter),
            Some(0xd800..=0xdbff) => {
                let low = after.get(5..).and_then(|rest| rest.strip_prefix('\\')).and_then(unit);
                if !matches!(low, Some(0xdc00..=0xdfff)) {
                    return Some(Misfit::BrokenText);
                }
                rest = after.get(11..).unwrap_or_default();
            }
            Some(0xdc00..=0xdfff) => return Some(Misfit::BrokenText),
            _ => {}
        }
    }
    None
}

/// The code of `u0041`, with which the text begins.
fn unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix('u')?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::{Misfit, NESTED, is_json, is_plain, odd_escape};

    #[test]
    fn documents_are_nested_as_deep_as_the_server_reads() {
        let nested =
            |open: &str, close: &str, levels: usize| open.repeat(levels) + "1" + &close.repeat(levels);
        for levels in [129, NESTED] {
            assert!(is_json(&nested("[", "]", levels)) && is_json(&nested("{\"[\":", "}", levels)));
        }
        assert!(!is_json(&nested("[", "]", NESTED + 1)));
        assert!(is_json(&format!("[\"\\\"{}\"]", "[".repeat(4 * NESTED))), "brackets of a text open nothing");
    }

    #[test]
    fn a_key_that_is_there_twice_is_seen_at_any_depth() {
        assert!(is_plain(
            r#"{"a": [{"b": 1}, {"b": 2.5e3}], "c": {"a": null, "b": "x", "d": true, "e": -1}}"#
        ));
        for text in [r#"{"a": 1, "a": 1}"#, r#"[{"x": {"b": 1, "\u0062": 2}}]"#, "{a: 1}", "1 2"] {
            assert!(!is_plain(text), "{text}");
        }
    }

    #[test]
    fn escapes_that_are_no_character_are_told() {
        for (text, odd) in [
            (r#""\u0000""#, Some(Misfit::ZeroCharacter)),
            (r#""\\u0000""#, None),
            (r#""\\\u0000""#, Some(Misfit::ZeroCharacter)),
            (r#""\ud83d""#, Some(Misfit::BrokenText)),
            (r#""\ud83dx""#, Some(Misfit::BrokenText)),
            (r#""\ude00""#, Some(Misfit::BrokenText)),
            (r#""\ud83d\ud83d\ude00""#, Some(Misfit::BrokenText)),
            (r#""\uD83D\uDE00 ä\n""#, None),
            (r#""\ud83d\ude00\ude00""#, Some(Misfit::BrokenText)),
            (r#""\\ud83d ä\\""#, None),
        ] {
            assert_eq!(odd_escape(text), odd, "{text}");
        }
    }
}
