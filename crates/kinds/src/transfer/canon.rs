//! One form for a value wherever it lies, so that both sides can be compared: what was sent, and what the server gives back.
//!
//! The form is only ever hashed. Documents are the same whatever the order of their keys, decimals whatever their last zeros,
//! floats only to the bit.

use super::convert::Rule;
use super::documents::is_json;
use super::profile::uuid;
use super::spans::{self, Span};
use targets::db::{Cell, Seen};

/// A hash of 128 bits that is fed piece by piece. It finds accidents, not attacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix(u64, u64);

const A: u64 = 0x9e37_79b9_7f4a_7c15;
const B: u64 = 0xd6e8_feb8_6659_fd93;

fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

impl Default for Mix {
    fn default() -> Self {
        Self(0x2436_9f5a_0311_1c35, 0x8ebc_6af0_9c88_c6e3)
    }
}

impl Mix {
    /// Takes a word in.
    pub fn word(&mut self, word: u64) {
        self.0 = folded(self.0 ^ word, A).wrapping_add(B);
        self.1 = folded(self.1 ^ word.rotate_left(29), B).wrapping_add(A);
    }

    /// Takes bytes in, and how many they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.word(u64::from_le_bytes(chunk.try_into().unwrap_or_default()));
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(word));
        }
    }

    /// All of it.
    pub fn sum(self) -> u128 {
        u128::from(self.0) << 64 | u128::from(self.1)
    }
}

const NULL: u64 = 0x6e75_6c6c;

/// Takes in what was sent.
pub fn sent(rule: &Rule, cell: &Cell, mix: &mut Mix) {
    match (rule, cell) {
        (_, Cell::Null) => mix.word(NULL),
        (Rule::Number(_), Cell::Int(number)) => decimal(&number.to_string(), mix),
        (Rule::Number(_), Cell::Text(text)) => decimal(text, mix),
        (Rule::Json(false), Cell::Text(text)) => document(text, mix),
        (Rule::Clock(_), Cell::Text(text)) => {
            mix.word(super::convert::clock(text).map_or(-1, |(micros, _)| micros) as u64);
        }
        (Rule::Padded(_), Cell::Text(text)) => unpadded(text, mix),
        (Rule::Span(..), Cell::Text(text)) => span(spans::read(text).map(|(span, _)| span), mix),
        (Rule::Double | Rule::Single, Cell::Int(number)) => real(*number as f64, mix),
        (_, Cell::Bool(flag)) => mix.word(u64::from(*flag)),
        (_, Cell::Int(number)) => mix.word(*number as u64),
        (_, Cell::Real(number)) => real(*number, mix),
        (_, Cell::Text(text)) => mix.bytes(text.as_bytes()),
        (_, Cell::Bytes(bytes)) => mix.bytes(bytes),
        (_, Cell::Uuid(bytes)) => mix.bytes(bytes),
        (_, Cell::Moment(micros)) => mix.word(*micros as u64),
        (_, Cell::Day(days)) => mix.word(i64::from(*days) as u64),
    }
}

/// Between 1970 and 2000, where the server begins to count.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const EPOCH_DAYS: i64 = 10_957;

/// Takes in what the server gave back.
pub fn found(rule: &Rule, seen: &Seen, mix: &mut Mix) {
    let number = |bytes: &[u8]| bytes.try_into().map(i64::from_be_bytes).unwrap_or_default();
    match (rule, seen) {
        (_, Seen::Null) => mix.word(NULL),
        (_, Seen::Bool(flag)) => mix.word(u64::from(*flag)),
        (Rule::Double | Rule::Single, Seen::Int(number)) => real(*number as f64, mix),
        (Rule::Number(_), Seen::Int(number)) => decimal(&number.to_string(), mix),
        (_, Seen::Int(number)) => mix.word(*number as u64),
        (_, Seen::Real(number)) => real(*number, mix),
        (Rule::Json(false), Seen::Text(text)) => document(text, mix),
        (Rule::Padded(_), Seen::Text(text)) => unpadded(text, mix),
        (_, Seen::Text(text)) => mix.bytes(text.as_bytes()),
        (_, Seen::Blob(bytes) | Seen::BrokenText(bytes)) => mix.bytes(bytes),
        (Rule::Number(_), Seen::Raw { bytes, .. }) => numeric(bytes, mix),
        // the first byte is the version of the form
        (Rule::Json(false), Seen::Raw { bytes, .. }) => {
            match bytes.get(1..).and_then(|bytes| std::str::from_utf8(bytes).ok()) {
                Some(text) => document(text, mix),
                None => mix.bytes(bytes),
            }
        }
        (Rule::Moment(..), Seen::Raw { bytes, .. }) => {
            mix.word(number(bytes).saturating_add(EPOCH_MICROS) as u64);
        }
        (Rule::Day, Seen::Raw { bytes, .. }) => {
            let days = (*bytes).try_into().map(i32::from_be_bytes).unwrap_or_default();
            mix.word((i64::from(days) + EPOCH_DAYS) as u64);
        }
        (Rule::Clock(_), Seen::Raw { bytes, .. }) => mix.word(number(bytes) as u64),
        (Rule::Span(..), Seen::Raw { bytes, .. }) => span(Span::of_bytes(bytes), mix),
        (_, Seen::Raw { bytes, .. }) => mix.bytes(bytes),
    }
}

/// Blanks at the end are the server's.
fn unpadded(text: &str, mix: &mut Mix) {
    mix.bytes(text.trim_end_matches(' ').as_bytes());
}

fn span(span: Option<Span>, mix: &mut Mix) {
    let total = span.map_or(i128::MIN, Span::total);
    mix.word((total >> 64) as u64);
    mix.word(total as u64);
}

/// Zero has no sign for either side, and SQLite keeps none.
fn real(number: f64, mix: &mut Mix) {
    let number = number + 0.0;
    mix.word(if number.is_nan() { f64::NAN.to_bits() } else { number.to_bits() });
}

/// Takes in a text of which nobody knows what it is: a number, a document, a uuid, or a text.
pub fn alike(text: &str, mix: &mut Mix) {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let starts = digits.as_bytes().first().is_some_and(u8::is_ascii_digit);
    // leading zeros are those of a code
    let plain =
        !digits.starts_with('0') || digits == "0" || digits.starts_with("0.") || digits.starts_with("0e");
    if starts && plain && text.parse::<f64>().is_ok() {
        mix.word(1);
        return decimal(text, mix);
    }
    if text.starts_with(['{', '[']) && is_json(text) {
        mix.word(2);
        return document(text, mix);
    }
    mix.word(3);
    match uuid(text) {
        Some(bytes) => mix.bytes(&bytes),
        None => mix.bytes(text.as_bytes()),
    }
}

/// A decimal as it is written: sign, the place of its first digit, its digits without zeros around them.
pub fn decimal(text: &str, mix: &mut Mix) {
    let text = text.trim();
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = whole.bytes().chain(fraction.bytes()).map(|byte| byte.wrapping_sub(b'0'));
    digits_of(negative, whole.len() as i64 + exponent, digits, mix);
}

/// `numeric` in the server's form: groups of four digits.
fn numeric(bytes: &[u8], mix: &mut Mix) {
    let part =
        |n: usize| bytes.get(n * 2..n * 2 + 2).map_or(0, |pair| u16::from_be_bytes([pair[0], pair[1]]));
    let (groups, weight, sign) = (usize::from(part(0)), part(1) as i16, part(2));
    if sign > 0x4000 {
        // not a number, or infinite
        return mix.word(u64::from(sign));
    }
    let digits = (0..groups).flat_map(|n| {
        let group = part(4 + n);
        [group / 1_000, group / 100 % 10, group / 10 % 10, group % 10].map(|digit| digit as u8)
    });
    digits_of(sign == 0x4000, (i64::from(weight) + 1) * 4, digits, mix);
}

fn digits_of(negative: bool, point: i64, digits: impl Iterator<Item = u8>, mix: &mut Mix) {
    let (mut first, mut zeros, mut word, mut filled) = (None, 0_u32, 0_u64, 0_u32);
    for (n, digit) in digits.enumerate() {
        if first.is_none() {
            if digit == 0 {
                continue;
            }
            first = Some(point - n as i64);
        }
        if digit == 0 {
            zeros += 1;
            continue;
        }
        for digit in std::iter::repeat_n(0, zeros as usize).chain([digit]) {
            word = word * 16 + u64::from(digit) + 1;
            filled += 1;
            if filled == 15 {
                mix.word(word);
                (word, filled) = (0, 0);
            }
        }
        zeros = 0;
    }
    mix.word(word);
    match first {
        None => mix.word(0),
        Some(first) => mix.word((first as u64) << 1 | u64::from(negative)),
    }
}

/// A document: valid JSON, or what is left of it is hashed as it is written.
fn document(text: &str, mix: &mut Mix) {
    let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
    match reader.value() {
        Some(sum) => mix.word(sum),
        None => mix.bytes(text.as_bytes()),
    }
}

/// What is open in a document that is read.
enum Open {
    /// Its members, and the key of the next one.
    Object(Vec<(u64, u64)>, u64),
    /// What its items came to so far.
    Array(Mix),
}

fn object(mut members: Vec<(u64, u64)>) -> u64 {
    // of equal keys the last one counts
    members.reverse();
    members.sort_by_key(|(key, _)| *key);
    members.dedup_by_key(|(key, _)| *key);
    let mut mix = Mix::default();
    mix.word(1);
    for (key, value) in members {
        mix.word(key);
        mix.word(value);
    }
    mix.0
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn blank(&mut self) {
        while self.bytes.get(self.at).is_some_and(|byte| b" \t\r\n".contains(byte)) {
            self.at += 1;
        }
    }

    fn next(&mut self) -> Option<u8> {
        self.blank();
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then(|| self.at += 1)
    }

    /// A document, however deep it is nested: what is open is kept here and not on the stack.
    fn value(&mut self) -> Option<u64> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            let mut done = match self.next()? {
                b'{' => {
                    self.at += 1;
                    if self.next()? != b'}' {
                        let key = self.key()?;
                        open.push(Open::Object(Vec::new(), key));
                        continue;
                    }
                    self.at += 1;
                    object(Vec::new())
                }
                b'[' => {
                    self.at += 1;
                    let mut mix = Mix::default();
                    mix.word(2);
                    if self.next()? != b']' {
                        open.push(Open::Array(mix));
                        continue;
                    }
                    self.at += 1;
                    mix.word(3);
                    mix.0
                }
                _ => self.scalar()?,
            };
            // what is open goes on behind it, or ends with it
            loop {
                let ends = match open.last_mut() {
                    None => return Some(done),
                    Some(Open::Object(members, key)) => {
                        members.push((*key, done));
                        b'}'
                    }
                    Some(Open::Array(mix)) => {
                        mix.word(done);
                        b']'
                    }
                };
                let next = self.next()?;
                self.at += 1;
                if next == b',' {
                    if let Some(Open::Object(_, key)) = open.last_mut() {
                        *key = self.key()?;
                    }
                    break;
                }
                if next != ends {
                    return None;
                }
                done = match open.pop()? {
                    Open::Object(members, _) => object(members),
                    Open::Array(mut mix) => {
                        mix.word(3);
                        mix.0
                    }
                };
            }
        }
    }

    fn key(&mut self) -> Option<u64> {
        self.blank();
        let key = self.string()?;
        self.eat(b':')?;
        Some(key)
    }

    fn scalar(&mut self) -> Option<u64> {
        let mut mix = Mix::default();
        match self.next()? {
            b'"' => return self.string(),
            b't' | b'f' | b'n' => {
                let from = self.at;
                while self.bytes.get(self.at).is_some_and(u8::is_ascii_lowercase) {
                    self.at += 1;
                }
                mix.bytes(&self.bytes[from..self.at]);
            }
            _ => {
                let from = self.at;
                while self.bytes.get(self.at).is_some_and(|byte| b"+-.eE0123456789".contains(byte)) {
                    self.at += 1;
                }
                if from == self.at {
                    return None;
                }
                mix.word(4);
                decimal(std::str::from_utf8(&self.bytes[from..self.at]).ok()?, &mut mix);
            }
        }
        Some(mix.0)
    }

    fn string(&mut self) -> Option<u64> {
        self.eat(b'"')?;
        let from = self.at;
        while !matches!(self.bytes.get(self.at)?, b'"' | b'\\') {
            self.at += 1;
        }
        let mut mix = Mix::default();
        mix.word(5);
        if self.bytes[self.at] == b'"' {
            mix.bytes(&self.bytes[from..self.at]);
            self.at += 1;
            return Some(mix.0);
        }
        while self.bytes.get(self.at)? != &b'"' {
            self.at += if self.bytes[self.at] == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
        let whole = std::str::from_utf8(self.bytes.get(from - 1..self.at)?).ok()?;
        let text: String = serde_json::from_str(whole).ok()?;
        mix.bytes(text.as_bytes());
        Some(mix.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Mix, found, sent};
    use crate::transfer::convert::{Rule, Zone};
    use targets::db::{Cell, Seen};

    fn of_cell(rule: &Rule, cell: Cell) -> u128 {
        let mut mix = Mix::default();
        sent(rule, &cell, &mut mix);
        mix.sum()
    }

    fn of_seen(rule: &Rule, seen: Seen) -> u128 {
        let mut mix = Mix::default();
        found(rule, &seen, &mut mix);
        mix.sum()
    }

    #[test]
    fn documents_are_the_same_whatever_the_order_of_their_keys() {
        // W-100
        let rule = Rule::Json(false);
        let hash = |text| of_cell(&rule, Cell::Text(text));
        assert_eq!(hash(r#"{"a": 1, "b": [1.50, "x"]}"#), hash(r#"{"b":[1.5,"\u0078"],"a":1.0}"#));
        assert_eq!(hash(r#"{"a": 1, "a": 2}"#), hash(r#"{"a": 2}"#));
        for (one, other) in [
            (r#"{"a":1}"#, r#"{"a":2}"#),
            ("[1,2]", "[2,1]"),
            ("[[1],2]", "[[1,2]]"),
            ("\"1\"", "1"),
            ("{}", "[]"),
            ("null", "\"null\""),
            ("[[],[]]", "[[[]]]"),
            (r#"{"a":{"b":1}}"#, r#"{"a":1,"b":1}"#),
        ] {
            assert_ne!(hash(one), hash(other), "{one} {other}");
        }
        let nested = |levels| of_cell(&rule, Cell::Text(&("[".repeat(levels) + "{}" + &"]".repeat(levels))));
        assert_ne!(nested(5_000), nested(4_999), "whatever the stack");
        let raw = |text: &str| [&[1_u8][..], text.as_bytes()].concat();
        let stored = raw(r#"{"a": 1, "b": 2}"#);
        assert_eq!(of_seen(&rule, Seen::Raw { type_id: 3802, bytes: &stored }), hash(r#"{"b":2,"a":1}"#));
    }

    #[test]
    fn decimals_are_the_same_however_they_are_written() {
        let rule = Rule::Number(None);
        let hash = |text| of_cell(&rule, Cell::Text(text));
        for (one, other) in
            [("1.50", "1.5"), ("-0.00", "0"), ("1e3", "1000"), ("0.001", "1E-3"), ("+7", "007")]
        {
            assert_eq!(hash(one), hash(other), "{one} {other}");
        }
        for (one, other) in [("1.5", "15"), ("1", "-1"), ("10", "1"), ("0.1", "0.01"), ("101", "11")] {
            assert_ne!(hash(one), hash(other), "{one} {other}");
        }
        // -12345.678: three groups, the first one of ten thousands
        let parts: [i16; 7] = [3, 1, 0x4000, 3, 1, 2345, 6780];
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.to_be_bytes()).collect();
        assert_eq!(of_seen(&rule, Seen::Raw { type_id: 1700, bytes: &bytes }), hash("-12345.678"));
    }

    #[test]
    fn times_are_counted_from_one_moment() {
        let rule = Rule::Moment(None, Zone::Utc, 6);
        let bytes = 0_i64.to_be_bytes();
        assert_eq!(
            of_seen(&rule, Seen::Raw { type_id: 1184, bytes: &bytes }),
            of_cell(&rule, Cell::Moment(946_684_800_000_000))
        );
        assert_ne!(of_cell(&rule, Cell::Null), of_cell(&rule, Cell::Moment(0)));
    }
}
