//! How many of what, for people: the one place that counts words.

/// `912004` as `912 004`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// `1 batch`, `2 batches`.
pub fn of(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), either(number, one, many))
}

/// `1 row`, `2 rows`.
pub fn rows(number: u64) -> String {
    of(number, "row", "rows")
}

/// `3.4 MB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1_000.0 && unit + 1 < UNITS.len() {
        size /= 1_000.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{size:.1} {}", UNITS[unit]) }
}

/// The word for one, or that for any other number.
pub fn either<'a>(number: u64, one: &'a str, many: &'a str) -> &'a str {
    if number == 1 { one } else { many }
}

#[cfg(test)]
mod tests {
    use super::{of, rows};

    #[test]
    fn one_is_one_and_thousands_are_set_apart() {
        assert_eq!([rows(0), rows(1), rows(1_234_567)], ["0 rows", "1 row", "1 234 567 rows"]);
        assert_eq!(of(1, "batch", "batches"), "1 batch");
    }
}
