//! Numbers as they are written, against what holds them: the `numeric` of the server, and a float.

use super::canon::{Mix, decimal};

/// The most digits of `numeric` before the point, and after it.
const DIGITS: (i64, i64) = (131_072, 16_383);
/// A decimal of so few characters and an exponent of four digits has no more.
const SHORT: usize = 6_000;
/// A float has all digits of a number of so many.
const FLOAT: usize = 15;
/// No float has more of them behind the point.
const DECIMALS: i64 = 1_100;

/// Whether `numeric` holds a decimal with an exponent of at most four digits.
pub fn is_numeric(text: &str) -> bool {
    text.len() < SHORT || fits(text)
}

/// Whether `numeric` holds every number of a document.
pub fn are_numeric(document: &str) -> bool {
    let bytes = document.as_bytes();
    if bytes.len() < SHORT && !has_long_exponent(bytes) {
        return true;
    }
    let (mut at, mut quoted) = (0, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b'0'..=b'9' if !quoted => {
                let digits = bytes[at..].iter().take_while(|byte| b"+-.eE0123456789".contains(byte)).count();
                if !fits(&document[at..at + digits]) {
                    return false;
                }
                at += digits - 1;
            }
            _ => {}
        }
        at += 1;
    }
    true
}

/// Something like `1e-12345`, be it in a text: with less than five digits the exponent of a short number is small enough. It is asked
/// of every document, so without a branch for each byte where there is nothing like `1e`, and piece by piece where there is.
fn has_long_exponent(bytes: &[u8]) -> bool {
    const PIECE: usize = 32;
    let piece = |from: usize| &bytes[from..bytes.len().min(from + PIECE + 1)];
    let is_there = |from: usize| {
        let piece = piece(from);
        begins(piece)
            && (1..piece.len()).any(|n| begins(&piece[n - 1..=n]) && is_long(&bytes[from + n + 1..]))
    };
    begins(bytes) && (0..bytes.len()).step_by(PIECE).any(is_there)
}

/// Whether an exponent might begin somewhere.
fn begins(bytes: &[u8]) -> bool {
    let pairs = bytes.iter().zip(bytes.get(1..).unwrap_or_default());
    pairs.fold(false, |found, (a, b)| found | (a.is_ascii_digit() & (b | 32 == b'e')))
}

/// Whether it begins with an exponent of five digits.
fn is_long(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    digits.get(..5).is_some_and(|five| five.iter().all(u8::is_ascii_digit))
}

/// The digits before its exponent, and that.
fn parts(text: &str) -> Option<(&str, &str, i64)> {
    let text = text.trim_start_matches(['-', '+']);
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i64 = exponent.parse().ok().filter(|exponent: &i64| exponent.unsigned_abs() < 1 << 30)?;
    Some((whole, fraction, exponent))
}

fn fits(number: &str) -> bool {
    let Some((whole, fraction, exponent)) = parts(number) else { return false };
    let first = whole.bytes().chain(fraction.bytes()).position(|digit| digit != b'0');
    let before = first.map_or(0, |first| whole.len() as i64 + exponent - first as i64);
    before <= DIGITS.0 && fraction.len() as i64 - exponent <= DIGITS.1
}

/// Whether a float that was read from a decimal has all of its digits: whoever writes it down with as many gets the same.
pub fn is_held(text: &str, float: f64) -> bool {
    if text.len() <= FLOAT && !text.contains(['e', 'E']) {
        return true;
    }
    let Some((_, fraction, exponent)) = parts(text) else { return false };
    let decimals = (fraction.len() as i64 - exponent).clamp(0, DECIMALS) as usize;
    let sum = |text: &str| {
        let mut mix = Mix::default();
        decimal(text, &mut mix);
        mix.sum()
    };
    let wanted = sum(text);
    sum(&format!("{float:e}")) == wanted || sum(&format!("{float:.decimals$}")) == wanted
}

#[cfg(test)]
mod tests {
    use super::{are_numeric, is_held, is_numeric};

    #[test]
    fn a_float_holds_as_many_digits_as_it_gives_back() {
        for text in [
            "0.1",
            "-19.99",
            "0.30000000000000004",
            "0.10000000000000001",
            "1152921504606846976",
            "1e23",
            "1.7976931348623157e308",
            "5e-324",
            "0.000000000000000000000",
            "100000000000000000000000",
        ] {
            assert!(is_held(text, text.parse().unwrap()), "{text}");
        }
        for text in [
            "3.14159265358979323846",
            "12345678901234567890",
            "9007199254740993",
            "0.1000000000000000055",
            "1e-400",
            "4e-324",
        ] {
            assert!(!is_held(text, text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn numbers_are_as_large_and_as_fine_as_the_server_takes_them() {
        // what 131 072 digits before the point and 16 383 after it are, tried on PostgreSQL 15
        let zeros = |count: usize| "0".repeat(count);
        for (number, fits) in [
            ("1e131071".to_owned(), true),
            ("1e131072".to_owned(), false),
            ("0.1E+131072".to_owned(), true),
            ("1e-16383".to_owned(), true),
            ("1.5e-16383".to_owned(), false),
            ("0e99999".to_owned(), true),
            ("0e-20000".to_owned(), false),
            ("1e99999999999999999999".to_owned(), false),
            (format!("0.{}", zeros(16_383)), true),
            (format!("0.{}", zeros(16_384)), false),
            (format!("1{}", zeros(131_071)), true),
            (format!("1{}", zeros(131_072)), false),
        ] {
            let short: String = number.chars().take(20).collect();
            assert_eq!(are_numeric(&format!("{{\"1e9\": [-{number}, 1]}}")), fits, "{short}");
            if !number.contains(['e', 'E']) {
                assert_eq!(is_numeric(&number), fits, "{short}");
            }
        }
        for before in 0..100 {
            let document = format!("[\"{}\", 1e-20000]", "1e".repeat(before));
            assert!(!are_numeric(&document), "wherever it is: {document}");
        }
        assert!(are_numeric(r#"{"2e99999999": "\"3e99999999", "a": 1e2}"#), "texts are no numbers");
    }
}
