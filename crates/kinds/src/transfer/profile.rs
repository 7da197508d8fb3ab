//! What is really in a column: one look at every value, cheap enough for all of them.
//!
//! A reading of texts (as a number, a time, a uuid, JSON, a truth value) stays possible until the first text that does not allow
//! it, and is not tried again after that. Empty texts count apart: whether they are values is for a policy to say. Nothing is
//! decided here.

use super::convert::clock;
use super::documents::{is_json, odd};
use super::times;
use super::translate::members::Members;
use targets::db::Seen;
use targets::db::civil::Told;

/// So many texts are looked at where only a hint may come of it.
const GUESSED: u64 = 10_000;

/// Readings that every text of a column still allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readings(u16);

impl Readings {
    /// A whole number of 64 bits.
    pub const INTEGER: Self = Self(1);
    /// A decimal number.
    pub const DECIMAL: Self = Self(2);
    /// A time, or a day.
    pub const MOMENT: Self = Self(4);
    /// A day.
    pub const DAY: Self = Self(8);
    /// A uuid, in its usual form or as its digits alone.
    pub const UUID: Self = Self(16);
    /// A JSON document.
    pub const JSON: Self = Self(32);
    /// A truth value.
    pub const BOOL: Self = Self(64);
    /// A JSON object or array.
    pub const DOCUMENT: Self = Self(128);
    /// A time of the day, in whole microseconds.
    pub const CLOCK: Self = Self(256);
    const ALL: Self = Self(511);

    /// Whether this reading is among them.
    pub fn has(self, one: Self) -> bool {
        self.0 & one.0 != 0
    }

    fn drop_unless(&mut self, one: Self, holds: impl FnOnce() -> bool) {
        if self.has(one) && !holds() {
            self.0 &= !one.0;
        }
    }
}

/// What was seen in one column.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// All values, NULLs among them.
    pub rows: u64,
    /// NULLs.
    pub nulls: u64,
    /// Integers.
    pub integers: u64,
    /// The least and the greatest of them.
    pub range: Option<(i64, i64)>,
    /// Floats.
    pub reals: u64,
    /// Floats that are infinite.
    pub infinite: u64,
    /// The most decimals that a float needs, written as short as it can be.
    pub decimals: u32,
    /// The most digits before the point of any number.
    pub whole_digits: u32,
    /// Texts.
    pub texts: u64,
    /// Texts without a character.
    pub empty: u64,
    /// The longest one, in characters.
    pub longest: u64,
    /// Texts with a zero character, which PostgreSQL cannot take.
    pub zeros: u64,
    /// Texts that are not UTF-8.
    pub broken: u64,
    /// What all texts that are not empty may be read as.
    pub readings: Readings,
    /// Times with a zone, and without.
    pub zoned: u64,
    /// Times without a zone, days among them.
    pub naive: u64,
    /// In which forms there are times, one bit for each: days alone, with `T` or a blank, with and without a zone and a fraction.
    pub forms: u16,
    /// Times with digits beyond the microsecond.
    pub finer: u64,
    /// A text that might be a time, but does not say what is the day and what the month.
    pub ambiguous: bool,
    /// Whether there are uuids in their usual form, and such in any other; and whether one has other letters than the server writes.
    pub uuids: [bool; 3],
    /// JSON with something that `jsonb` cannot take.
    pub odd: u64,
    /// Blobs.
    pub blobs: u64,
    /// So many texts are read, the rest is only counted.
    pub most: u64,
    /// What its documents hold, where the source's own expressions read them.
    pub members: Members,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            rows: 0,
            nulls: 0,
            integers: 0,
            range: None,
            reals: 0,
            infinite: 0,
            decimals: 0,
            whole_digits: 0,
            texts: 0,
            empty: 0,
            longest: 0,
            zeros: 0,
            broken: 0,
            readings: Readings::ALL,
            zoned: 0,
            naive: 0,
            forms: 0,
            finer: 0,
            ambiguous: false,
            uuids: [false; 3],
            odd: 0,
            blobs: 0,
            most: u64::MAX,
            members: Members::default(),
        }
    }
}

impl Profile {
    /// A column whose texts are looked at only for what its declaration may mean: the others need not be tried.
    pub fn trying(readings: &[Readings]) -> Self {
        let all = readings.iter().fold(0, |all, one| all | one.0);
        Self { readings: Readings(all), ..Self::default() }
    }

    /// A column whose declaration says nothing of what is in its texts: the first of them are looked at, so that it costs nothing to
    /// know what most columns hold.
    pub fn guessing() -> Self {
        let readings = [Readings::UUID, Readings::MOMENT, Readings::DAY, Readings::DOCUMENT];
        Self { most: GUESSED, ..Self::trying(&readings) }
    }

    /// How many texts were read, where each of them allows this reading and nothing else is in the column.
    pub fn guess(&self, reading: Readings) -> Option<u64> {
        let is_one = self.values() == self.texts && self.empty == 0 && self.finer == 0;
        (is_one && self.texts > 0 && self.readings.has(reading)).then(|| self.texts.min(self.most))
    }

    /// Takes one value in.
    pub fn see(&mut self, value: &Seen<'_>) {
        self.rows += 1;
        match value {
            Seen::Null => self.nulls += 1,
            Seen::Bool(flag) => self.integer(i64::from(*flag)),
            Seen::Int(number) => self.integer(*number),
            Seen::Real(number) => self.real(*number),
            Seen::Text(text) => self.text(text),
            Seen::BrokenText(_) => self.broken += 1,
            Seen::Blob(_) | Seen::Raw { .. } => self.blobs += 1,
        }
    }

    /// Values that are there.
    pub fn values(&self) -> u64 {
        self.rows - self.nulls
    }

    /// Whether every text that is not empty allows this reading, and there is one.
    pub fn reads_as(&self, reading: Readings) -> bool {
        self.texts > self.empty && self.texts <= self.most && self.readings.has(reading)
    }

    fn integer(&mut self, number: i64) {
        self.integers += 1;
        let (least, most) = self.range.unwrap_or((number, number));
        self.range = Some((least.min(number), most.max(number)));
    }

    fn real(&mut self, number: f64) {
        self.reals += 1;
        if !number.is_finite() {
            self.infinite += 1;
            return;
        }
        let (whole, decimals) = digits(number);
        self.whole_digits = self.whole_digits.max(whole);
        self.decimals = self.decimals.max(decimals);
    }

    fn text(&mut self, text: &str) {
        self.texts += 1;
        if text.is_empty() {
            self.empty += 1;
            return;
        }
        if text.len() as u64 > self.longest {
            self.longest = self.longest.max(text.chars().count() as u64);
        }
        self.zeros += u64::from(text.as_bytes().contains(&0));
        if self.readings.0 == 0 || self.texts > self.most {
            return;
        }
        self.readings.drop_unless(Readings::INTEGER, || text.parse::<i64>().is_ok());
        self.readings.drop_unless(Readings::DECIMAL, || is_decimal(text));
        self.readings.drop_unless(Readings::UUID, || {
            uuid(text).is_some_and(|uuid| text.len() == 36 || is_made(&uuid))
        });
        if self.readings.has(Readings::UUID) {
            self.uuids[usize::from(text.len() != 36)] = true;
            // all of them at once is faster than up to the first
            self.uuids[2] |= text.bytes().fold(false, |found, byte| found | byte.is_ascii_uppercase());
        }
        self.readings.drop_unless(Readings::BOOL, || truth(text).is_some());
        if self.readings.has(Readings::MOMENT) {
            match times::read(text) {
                Some(told) => {
                    self.zoned += u64::from(told.zoned);
                    self.naive += u64::from(!told.zoned);
                    self.finer += u64::from(told.cut);
                    self.forms |= form(text, &told);
                    self.readings.drop_unless(Readings::DAY, || told.day);
                }
                None => {
                    self.ambiguous = times::is_ambiguous(text);
                    self.readings.0 &= !(Readings::MOMENT.0 | Readings::DAY.0);
                }
            }
        }
        if self.readings.has(Readings::JSON) {
            self.odd += u64::from(odd(text).is_some());
            self.readings.drop_unless(Readings::JSON, || is_json(text));
        }
        self.readings.drop_unless(Readings::CLOCK, || clock(text).is_some_and(|(_, cut)| !cut));
        self.readings.drop_unless(Readings::DOCUMENT, || text.starts_with(['{', '[']) && is_json(text));
    }
}

/// A day alone.
pub const DAY_ALONE: u16 = 1;
/// What SQLite's `datetime` makes.
pub const AS_DATETIME: u16 = 2;

/// The form of a time, as one bit: texts of several forms are not ordered as the times are.
fn form(text: &str, told: &Told) -> u16 {
    if told.day {
        return DAY_ALONE;
    }
    let by_letter = u16::from(text.as_bytes().get(10) == Some(&b'T'));
    let zone = if told.zoned { if text.ends_with('Z') { 1 } else { 2 } } else { 0 };
    let fraction = u16::from(text.contains('.'));
    AS_DATETIME << (by_letter + 2 * zone + 6 * fraction)
}

/// A truth value as people write it.
pub fn truth(text: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    match text.len() {
        1..=5 if is(&["1", "t", "true", "y", "yes", "on"]) => Some(true),
        1..=5 if is(&["0", "f", "false", "n", "no", "off"]) => Some(false),
        _ => None,
    }
}

/// A decimal number: digits with at most one point and an exponent, no spaces.
pub fn is_decimal(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    whole.len() + fraction.len() > 0
        && digits(whole)
        && digits(fraction)
        && (1..=4).contains(&exponent.len())
        && digits(exponent)
}

/// A uuid in its usual form, in letters of either case, or in one of those that the server reads as well: its digits alone, as many
/// frameworks keep it, and with braces around it.
pub fn uuid(text: &str) -> Option<[u8; 16]> {
    if text.len() != 36 {
        return uuid_otherwise(text);
    }
    let text = text.as_bytes();
    let mut bytes = [0; 16];
    let (mut at, mut half) = (0, false);
    for (n, byte) in text.iter().enumerate() {
        if matches!(n, 8 | 13 | 18 | 23) {
            if *byte != b'-' {
                return None;
            }
            continue;
        }
        let digit = (*byte as char).to_digit(16)? as u8;
        bytes[at] = bytes[at] << 4 | digit;
        at += usize::from(half);
        half = !half;
    }
    Some(bytes)
}

#[cold]
#[inline(never)]
fn uuid_otherwise(text: &str) -> Option<[u8; 16]> {
    if let Some(inner) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        return Some(inner).filter(|inner| inner.len() == 36 || inner.len() == 32).and_then(uuid);
    }
    let is_one = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_one.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(u128::to_be_bytes)
}

/// Whether it says how it was made, as the digits of a digest do not.
fn is_made(uuid: &[u8; 16]) -> bool {
    (1..=8).contains(&(uuid[6] >> 4)) && uuid[8] >> 6 == 0b10
}

/// The digits before the point, and the decimals, of a float written as short as it can be.
fn digits(number: f64) -> (u32, u32) {
    let size = number.abs();
    // most floats of a table are amounts: few decimals, found without writing them
    for (decimals, scale) in [(0, 1.0), (1, 10.0), (2, 100.0), (3, 1e3), (4, 1e4)] {
        let scaled = size * scale;
        if scaled < 9e15 && (scaled.round() / scale) == size {
            let whole = if size < 1.0 { 0 } else { (size as u64).ilog10() + 1 };
            return (whole, decimals);
        }
    }
    let written = format!("{size:e}");
    let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let fraction = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len() as i64);
    let small = |number: i64| u32::try_from(number.max(0)).unwrap_or(u32::MAX);
    (small(exponent + 1), small(fraction - exponent))
}

#[cfg(test)]
mod tests {
    use super::{Profile, Readings, digits, is_decimal, truth, uuid};
    use targets::db::Seen;

    fn seen(values: &[Seen<'_>]) -> Profile {
        let mut profile = Profile::default();
        values.iter().for_each(|value| profile.see(value));
        profile
    }

    #[test]
    fn a_reading_holds_until_the_first_text_that_is_something_else() {
        let days = seen(&[Seen::Text("2024-02-29"), Seen::Text(""), Seen::Null, Seen::Text("2023-01-01")]);
        assert!(days.reads_as(Readings::DAY) && days.reads_as(Readings::MOMENT));
        assert!(!days.reads_as(Readings::JSON) && !days.reads_as(Readings::INTEGER));
        assert_eq!((days.rows, days.nulls, days.texts, days.empty, days.naive), (4, 1, 3, 1, 2));
        let times = seen(&[Seen::Text("2024-02-29"), Seen::Text("2024-02-29T01:02:03.1234567Z")]);
        assert!(!times.reads_as(Readings::DAY) && times.reads_as(Readings::MOMENT));
        assert_eq!((times.zoned, times.naive, times.finer), (1, 1, 1));
        assert!(!seen(&[Seen::Text("0000-00-00")]).reads_as(Readings::MOMENT));
        assert!(!seen(&[Seen::Text("")]).reads_as(Readings::INTEGER), "nothing was read");
        let json = seen(&[Seen::Text("{\"a\": \"\\u0000\"}"), Seen::Text("1")]);
        assert!(json.reads_as(Readings::JSON));
        assert_eq!(json.odd, 1);
    }

    #[test]
    fn numbers_tell_their_range_and_their_digits() {
        let numbers = seen(&[Seen::Int(-5), Seen::Int(7), Seen::Real(12.25), Seen::Real(f64::INFINITY)]);
        assert_eq!((numbers.range, numbers.reals, numbers.infinite), (Some((-5, 7)), 2, 1));
        assert_eq!((numbers.whole_digits, numbers.decimals), (2, 2));
        for (number, whole, decimals) in [
            (0.0, 0, 0),
            (19.99, 2, 2),
            (1.005, 1, 3),
            (123_456_789.123_456_79, 9, 8),
            (1e20, 21, 0),
            (1e-7, 0, 7),
            (0.1 + 0.2, 0, 17),
            (16_777_217.0, 8, 0),
        ] {
            assert_eq!(digits(number), (whole, decimals), "{number}");
        }
    }

    #[test]
    fn texts_are_read_as_a_whole_or_not_at_all() {
        assert!(["1", "-1.5", ".5", "5.", "+1e10", "1E-3"].iter().all(|text| is_decimal(text)));
        assert!(
            !["", "-", ".", "1,5", " 1", "1e", "0x1", "NaN", "1e99999"].iter().any(|text| is_decimal(text))
        );
        assert_eq!(
            [truth("TRUE"), truth("no"), truth("2"), truth("")],
            [Some(true), Some(false), None, None]
        );
        assert_eq!(
            uuid("6F1e1c1c-0000-4000-8000-00000000000f").map(|bytes| (bytes[0], bytes[15])),
            Some((0x6f, 15))
        );
        let bare = uuid("6F1e1c1c00004000800000000000000f");
        assert!(bare.is_some() && bare == uuid("6f1e1c1c-0000-4000-8000-00000000000f"));
        assert_eq!(uuid("{6f1e1c1c-0000-4000-8000-00000000000f}"), bare);
        assert_eq!(uuid("6f1e1c1c000040008000000000000000000f"), None);
        assert_eq!(uuid("+f1e1c1c00004000800000000000000f"), None);
        // the digest of nothing
        let hints = |text| seen(&[Seen::Text(text)]).reads_as(Readings::UUID);
        assert!(hints("6f1e1c1c00004000800000000000000f") && !hints("d41d8cd98f00b204e9800998ecf8427e"));
        assert_eq!(uuid("6f1e1c1c-0000-4000-8000-00000000000g"), None);
    }

    #[test]
    fn what_no_reading_is_about_is_counted() {
        let odd = seen(&[
            Seen::Text("a\0b"),
            Seen::BrokenText(&[0xff]),
            Seen::Blob(&[1]),
            Seen::Text("größe"),
            Seen::Text("x"),
        ]);
        assert_eq!((odd.zeros, odd.broken, odd.blobs, odd.longest), (1, 1, 1, 5));
    }
}
