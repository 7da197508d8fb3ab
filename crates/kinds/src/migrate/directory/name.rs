//! Names of migration files, taken apart.

use crate::migrate::problem::{Fault, Problem};

/// `0001_add_users` as its digits and what follows the first `_`; the digits are empty where it begins with none.
pub(super) fn numbered(stem: &str) -> (&str, &str) {
    let digits = stem.len() - stem.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let rest = &stem[digits..];
    if rest.is_empty() {
        return (stem, "");
    }
    match rest.strip_prefix(['_', '-']) {
        Some(name) if digits > 0 => (&stem[..digits], name),
        _ => ("", stem),
    }
}

/// Digits as a number.
pub(super) fn number(digits: &str) -> Result<u64, Problem> {
    digits.parse().map_err(|_| {
        Problem::new(Fault::Name, format!("the number `{digits}` is too large"), "number it like the others")
    })
}

/// `add_users` as words.
pub(super) fn words(name: &str) -> String {
    name.replace(['_', '-'], " ").trim().to_owned()
}

/// The same; the whole stem where there are no words, for tools that do not ask for any.
pub(super) fn described(name: &str, stem: &str) -> String {
    let words = words(name);
    if words.is_empty() { stem.to_owned() } else { words }
}
