//! Moments as histories write them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A moment; what has no zone is taken as UTC, which is what these tools and databases mean by default.
pub(super) fn read(text: Option<&String>) -> Option<Timestamp> {
    let text = text?.trim();
    text.parse::<Timestamp>().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_a_moment_is_read() {
        let wanted = "2026-11-20T20:34:33Z".parse::<Timestamp>().ok();
        for text in [
            "2026-11-20 20:34:33",
            "2026-11-20 20:34:33.000",
            "2026-11-20 20:34:33+00",
            "2026-11-20 21:34:33+01",
            "2026-11-20T20:34:33Z",
            "2026-11-20T21:34:33.000000000+01:00",
        ] {
            assert_eq!(read(Some(&text.to_owned())), wanted, "{text}");
        }
        assert_eq!(read(Some(&"yesterday".to_owned())), None);
        assert_eq!(read(None), None);
    }
}
