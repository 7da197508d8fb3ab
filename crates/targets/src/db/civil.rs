//! Times and identifiers as text: the one form that Sexton writes where a database has no type for them.
//!
//! `2025-01-02T03:04:05.000006Z`, without the fraction where it is zero: ISO 8601 in UTC. It reads nothing and knows no
//! zones.

/// The calendar date of a day since 1970 in the proleptic Gregorian calendar: year (0 is 1 BC), month, day.
pub fn date(days: i32) -> (i64, i64, i64) {
    let days = i64::from(days) + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// The day since 1970 of a calendar date, which need not exist: the 31st of February is the 2nd or 3rd of March.
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

/// A day since 1970.
pub fn day(days: i32) -> String {
    let (year, month, day) = date(days);
    format!("{}-{month:02}-{day:02}", year_text(year))
}

/// Microseconds since 1970.
pub fn moment(micros: i64) -> String {
    match micros {
        i64::MAX => return "infinity".to_owned(),
        i64::MIN => return "-infinity".to_owned(),
        _ => {}
    }
    let (days, rest) = (micros.div_euclid(86_400_000_000), micros.rem_euclid(86_400_000_000));
    let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
    let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
    let date = day(i32::try_from(days).unwrap_or_default());
    format!("{date}T{:02}:{:02}:{:02}{fraction}Z", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// A uuid in its usual form.
pub fn uuid(bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (n, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&n) {
            text.push('-');
        }
        text.extend([byte >> 4, byte & 15].map(|half| char::from_digit(half.into(), 16).unwrap_or('0')));
    }
    text
}

fn year_text(year: i64) -> String {
    match year {
        0..=9_999 => format!("{year:04}"),
        _ => format!("{year:+07}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{date, day, days, moment, uuid};

    #[test]
    fn days_and_dates_are_each_others_inverse() {
        for day in (-3_000_000..3_000_000).step_by(97) {
            let (year, month, of_month) = date(day);
            assert_eq!(days(year, month, of_month), i64::from(day), "{year}-{month}-{of_month}");
        }
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(11_016), (2000, 2, 29));
    }

    #[test]
    fn times_are_written_in_one_form() {
        assert_eq!(moment(0), "1970-01-01T00:00:00Z");
        assert_eq!(moment(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(moment(1_735_787_045_000_006), "2025-01-02T03:04:05.000006Z");
        assert_eq!(moment(i64::MAX), "infinity");
        assert_eq!(day(-719_529), "-000001-12-31");
        assert_eq!(uuid(&[0xab; 16]), "abababab-abab-abab-abab-abababababab");
    }
}
