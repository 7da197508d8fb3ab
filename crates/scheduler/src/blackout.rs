//! Days on which nothing runs by itself.

use jiff::civil::Date;

/// From one day to another, both included; in every year where no year is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blackout {
    from: Day,
    to: Day,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Day {
    Once(Date),
    Yearly(i8, i8),
}

impl Blackout {
    /// Reads `2026-12-24..2026-12-27`, `2026-12-24`, `12-24..01-02`; the text of an error says what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no day and no span of days: write `2026-12-24`, `2026-12-24..2026-12-27` or, for every year, `12-24..01-02`"
            )
        };
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let (from, to) =
            (Day::parse(from.trim()).ok_or_else(wrong)?, Day::parse(to.trim()).ok_or_else(wrong)?);
        match (from, to) {
            (Day::Once(from), Day::Once(to)) if to < from => Err(wrong()),
            (Day::Once(_), Day::Once(_)) | (Day::Yearly(..), Day::Yearly(..)) => Ok(Self { from, to }),
            _ => Err(wrong()),
        }
    }

    /// Whether a day lies in it.
    pub fn covers(&self, day: Date) -> bool {
        match (self.from, self.to) {
            (Day::Once(from), Day::Once(to)) => from <= day && day <= to,
            (Day::Yearly(month, first), Day::Yearly(to_month, last)) => {
                let (from, to, this) = ((month, first), (to_month, last), (day.month(), day.day()));
                if from <= to { from <= this && this <= to } else { this >= from || this <= to }
            }
            _ => false,
        }
    }
}

impl Day {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(date) = text.parse::<Date>() {
            return Some(Day::Once(date));
        }
        let (month, day) = text.split_once('-')?;
        // A leap year, so that the last of February is a day.
        let date = Date::new(2024, month.parse().ok()?, day.parse().ok()?).ok()?;
        Some(Day::Yearly(date.month(), date.day()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_cover_their_days_also_over_the_new_year() {
        let day = |text: &str| text.parse::<Date>().unwrap();
        let span = Blackout::parse("2026-12-24..2026-12-26").unwrap();
        assert!(span.covers(day("2026-12-24")) && span.covers(day("2026-12-26")));
        assert!(
            !span.covers(day("2026-12-23"))
                && !span.covers(day("2026-12-27"))
                && !span.covers(day("2027-12-25"))
        );
        let yearly = Blackout::parse("12-24..01-02").unwrap();
        assert!(
            yearly.covers(day("2030-12-31"))
                && yearly.covers(day("2031-01-02"))
                && !yearly.covers(day("2031-01-03"))
        );
        assert!(Blackout::parse("02-29").unwrap().covers(day("2028-02-29")));
        for wrong in ["", "2026-13-01", "12-32", "2026-12-27..2026-12-24", "2026-12-24..12-27", "christmas"] {
            assert!(Blackout::parse(wrong).is_err(), "{wrong}");
        }
    }
}
