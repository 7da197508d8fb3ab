//! Decimals as text, in the binary form of `numeric`: groups of four digits, exactly as written.
//!
//! `1.50` keeps its scale. What is no decimal number is refused, never read in part.

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const MINUS_INFINITY: u16 = 0xf000;

/// Appends the binary form; false when the text is no number that `numeric` can hold.
pub(super) fn write(text: &str, out: &mut Vec<u8>) -> bool {
    let special = match text.trim_matches(' ') {
        word if word.eq_ignore_ascii_case("nan") => Some(NAN),
        word if word.eq_ignore_ascii_case("infinity") => Some(INFINITY),
        word if word.eq_ignore_ascii_case("-infinity") => Some(MINUS_INFINITY),
        _ => None,
    };
    if let Some(sign) = special {
        [0, 0, sign, 0].iter().for_each(|part: &u16| out.extend(part.to_be_bytes()));
        return true;
    }
    let Some(parts) = Parts::read(text.trim_matches(' ')) else { return false };
    parts.write(out);
    true
}

/// A decimal taken apart: `digits` × 10^-`scale`.
struct Parts<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i32,
}

impl<'a> Parts<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) {
            return None;
        }
        // `numeric` holds 131072 digits before the point and 16383 after it
        let (before, after) = (whole.len() as i64 + i64::from(exponent), fraction.len() as i64);
        if before > 131_072 || after - i64::from(exponent) > 16_383 || before < -16_383 {
            return None;
        }
        Some(Self { negative, whole: whole.as_bytes(), fraction: fraction.as_bytes(), exponent })
    }

    /// The digit at the place 10^`place`.
    fn digit(&self, place: i64) -> u16 {
        let place = place - i64::from(self.exponent);
        let byte = match usize::try_from(place) {
            Ok(up) => self.whole.len().checked_sub(up + 1).map(|at| self.whole[at]),
            Err(_) => usize::try_from(-place - 1).ok().and_then(|at| self.fraction.get(at).copied()),
        };
        byte.map_or(0, |byte| u16::from(byte - b'0'))
    }

    fn write(&self, out: &mut Vec<u8>) {
        let exponent = i64::from(self.exponent);
        let scale = (self.fraction.len() as i64 - exponent).max(0);
        let highest = (self.whole.len() as i64 + exponent).max(1);
        let first = (highest + 3).div_euclid(4) - 1;
        let last = -((scale + 3).div_euclid(4));
        let group = |n: i64| (0..4).rev().fold(0, |sum, place| sum * 10 + self.digit(n * 4 + place));
        let mut groups: Vec<u16> = (last..=first).rev().map(group).collect();
        let leading = groups.iter().take_while(|group| **group == 0).count();
        groups.drain(..leading);
        let trailing = groups.iter().rev().take_while(|group| **group == 0).count();
        groups.truncate(groups.len() - trailing);
        let weight = if groups.is_empty() { 0 } else { first - leading as i64 };
        let sign = if self.negative && !groups.is_empty() { NEGATIVE } else { 0 };
        out.extend((groups.len() as u16).to_be_bytes());
        out.extend((weight as i16).to_be_bytes());
        out.extend(sign.to_be_bytes());
        out.extend((scale as u16).to_be_bytes());
        groups.iter().for_each(|group| out.extend(group.to_be_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::write;

    fn parts(text: &str) -> Option<Vec<i16>> {
        let mut out = Vec::new();
        let read = |pair: &[u8]| i16::from_be_bytes([pair[0], pair[1]]);
        write(text, &mut out).then(|| out.chunks(2).map(read).collect())
    }

    #[test]
    fn decimals_become_groups_of_four_digits() {
        // count, weight, sign, scale, groups
        assert_eq!(parts("0"), Some(vec![0, 0, 0, 0]));
        assert_eq!(parts("-0.00"), Some(vec![0, 0, 0, 2]));
        assert_eq!(parts("1"), Some(vec![1, 0, 0, 0, 1]));
        assert_eq!(parts("-12345.678"), Some(vec![3, 1, 0x4000, 3, 1, 2345, 6780]));
        assert_eq!(parts("1.50"), Some(vec![2, 0, 0, 2, 1, 5000]));
        assert_eq!(parts("0.0001"), Some(vec![1, -1, 0, 4, 1]));
        assert_eq!(parts("1e4"), Some(vec![1, 1, 0, 0, 1]));
        assert_eq!(parts("12.5e-3"), Some(vec![1, -1, 0, 4, 125]));
        assert_eq!(parts("00010000"), Some(vec![1, 1, 0, 0, 1]));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", ".", "1.2.3", "1e", "0x1", "1 2", "12a", "١", "1e200000", "1e-20000"] {
            assert_eq!(parts(text), None, "{text}");
        }
    }
}
