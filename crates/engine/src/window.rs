//! Maintenance windows: hours of the day in a zone, also over midnight.

use crate::error::{Error, Result};
use jiff::{Timestamp, civil::Time};

/// Hours of the day.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    from: Time,
    to: Time,
    zone: jiff::tz::TimeZone,
}

impl Window {
    /// Reads `22:00-06:00`.
    pub fn parse(text: &str, zone: &str) -> Result<Self> {
        let refuse = || Error::usage(format!("`{text}` is not a window")).help("write it like `22:00-06:00`");
        let (from, to) = text.split_once('-').ok_or_else(refuse)?;
        let time = |text: &str| Time::strptime("%H:%M", text.trim()).map_err(|_| refuse());
        let (from, to) = (time(from)?, time(to)?);
        if from == to {
            return Err(refuse());
        }
        Ok(Self { from, to, zone: crate::age::zone(zone)? })
    }

    /// Whether it is open at this moment.
    pub fn is_open(&self, now: Timestamp) -> bool {
        let time = now.to_zoned(self.zone.clone()).time();
        if self.from < self.to {
            self.from <= time && time < self.to
        } else {
            time >= self.from || time < self.to
        }
    }

    /// The next moment after this one at which it closes.
    pub fn closes_after(&self, now: Timestamp) -> Timestamp {
        let there = now.to_zoned(self.zone.clone());
        let closing = |day: jiff::civil::Date| {
            day.to_datetime(self.to).to_zoned(self.zone.clone()).map_or(now, |at| at.timestamp())
        };
        let today = closing(there.date());
        if today > now { today } else { there.date().tomorrow().map_or(now, closing) }
    }
}

/// Whether a text can be read as a window, for the configuration.
pub fn check(text: &str) -> Result<()> {
    Window::parse(text, "UTC").map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_over_midnight_is_open_on_both_sides_of_it() {
        // S2-081
        let window = Window::parse("22:00-06:00", "Europe/Paris").unwrap();
        // Paris is one hour ahead of UTC in November
        assert!(window.is_open("2026-11-20T21:00:00Z".parse().unwrap()));
        assert!(window.is_open("2026-11-20T04:59:00Z".parse().unwrap()));
        assert!(!window.is_open("2026-11-20T05:00:00Z".parse().unwrap()));
        let closes = |now: &str| window.closes_after(now.parse().unwrap()).strftime("%d %H:%M").to_string();
        assert_eq!(closes("2026-11-20T22:30:00Z"), "21 05:00");
        assert_eq!(closes("2026-11-21T03:00:00Z"), "21 05:00");
        assert!(Window::parse("22-06", "UTC").is_err());
        assert!(Window::parse("10:00-10:00", "UTC").is_err());
    }
}
