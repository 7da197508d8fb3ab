//! Microseconds since 1970 as the text that PostgreSQL reads without loss.
//!
//! Numbers would do too, but `to_timestamp` and interval arithmetic go through floats.

use targets::db::civil;

/// `2026-08-22 14:00:00.123456+00`; for years before 1 with `BC`.
pub(super) fn instant(microseconds: i64) -> String {
    let (seconds, fraction) = (microseconds.div_euclid(1_000_000), microseconds.rem_euclid(1_000_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil::date(days);
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{fraction:06}+00{era}")
}

#[cfg(test)]
mod tests {
    use super::instant;

    #[test]
    fn moments_before_and_after_1970_are_written_exactly() {
        for (microseconds, text) in [
            (0, "1970-01-01 00:00:00.000000+00"),
            (-1, "1969-12-31 23:59:59.999999+00"),
            (951_782_400_000_001, "2000-02-29 00:00:00.000001+00"),
            (4_107_542_399_999_999, "2100-02-28 23:59:59.999999+00"),
            (4_107_542_400_000_000, "2100-03-01 00:00:00.000000+00"),
            (-62_135_596_800_000_001, "0001-12-31 23:59:59.999999+00 BC"),
        ] {
            assert_eq!(instant(microseconds), text);
        }
    }
}
