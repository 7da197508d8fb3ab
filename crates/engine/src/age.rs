//! How old is too old: `90 days`, `6 months`, `2h 30m`; months and years by the calendar.
//!
//! Strictly older than now − age, in UTC, the day of the month clamped (31 August − 6 months = 28 February).

use crate::error::{Error, Result};
use jiff::{Span, SpanRelativeTo, Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use targets::db::Cutoff;

/// An age as a person writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
#[schemars(extend("format" = "age"))]
pub struct Age(pub String);

impl Age {
    /// Reads the text; refuses nothing, negative and unreadable ages.
    pub fn span(&self) -> Result<Span> {
        let refuse = |why: &str| {
            Error::usage(format!("`{}` is not an age: {why}", self.0))
                .help("write it like `90 days`, `6 months`, `1 year` or `12h`")
        };
        let text = self.0.trim();
        // A bare number would be read as anything by anybody.
        if text.chars().all(|c| c.is_ascii_digit()) {
            return Err(refuse("the unit is missing"));
        }
        let span: Span = text.parse().map_err(|_| refuse("it cannot be read"))?;
        if span.is_negative() || span.is_zero() {
            return Err(refuse("it must be more than nothing"));
        }
        Ok(span)
    }

    /// The moment that is this age before `now`.
    pub fn before(&self, now: Timestamp) -> Result<Timestamp> {
        let utc = now.to_zoned(TimeZone::UTC);
        utc.checked_sub(self.span()?)
            .map(|moment| moment.timestamp())
            .map_err(|_| Error::usage(format!("`{}` reaches back too far", self.0)))
    }

    /// The cut-off in both forms that columns need. `zone` is that of values without one.
    pub fn cutoff(&self, now: Timestamp, zone: &TimeZone) -> Result<Cutoff> {
        Ok(cutoff(self.before(now)?, zone))
    }

    /// The age as a length of time, a month as 30 days, for estimates.
    pub fn about_seconds(&self) -> Result<f64> {
        let relative: SpanRelativeTo = jiff::civil::date(2025, 1, 1).into();
        self.span()?.total((jiff::Unit::Second, relative)).map_err(|_| Error::usage("the age is too long"))
    }
}

/// A moment in both forms that columns need.
pub fn cutoff(moment: Timestamp, zone: &TimeZone) -> Cutoff {
    Cutoff {
        instant_us: moment.as_microsecond(),
        civil: moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S.%6f").to_string(),
    }
}

/// A zone by its name.
pub fn zone(name: &str) -> Result<TimeZone> {
    TimeZone::get(name).map_err(|_| {
        Error::usage(format!("there is no time zone `{name}`"))
            .help("use a name of the IANA list, such as `UTC`, `Europe/Paris` or `America/New_York`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before(age: &str, now: &str) -> String {
        Age(age.into()).before(now.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn months_and_years_go_by_the_calendar() {
        //
        assert_eq!(before("6 months", "2026-08-31T12:00:00Z"), "2026-02-28T12:00:00Z");
        assert_eq!(before("1 year", "2024-02-29T00:00:00Z"), "2023-02-28T00:00:00Z");
        assert_eq!(before("90 days", "2026-11-20T10:00:00Z"), "2026-08-22T10:00:00Z");
        assert_eq!(before("90d", "2026-11-20T10:00:00Z"), "2026-08-22T10:00:00Z");
        assert_eq!(before("1h 30m", "2026-11-20T10:00:00Z"), "2026-11-20T08:30:00Z");
    }

    #[test]
    fn an_age_without_a_unit_is_refused() {
        for text in ["90", "", "soon", "-3 days", "0 days"] {
            assert!(Age(text.into()).span().is_err(), "{text}");
        }
    }
}
