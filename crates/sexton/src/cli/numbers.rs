//! Figures for people: thousands set apart, durations, dates, sizes.

pub use engine::words::{bytes, count, of, rows};

use jiff::{Timestamp, tz::TimeZone};

/// `0.6 s`, `12 s`, `4 min 10 s`, `2 h 5 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    if seconds < 0.1 {
        return format!("{seconds:.2} s");
    }
    match whole {
        0..=9 => format!("{seconds:.1} s"),
        10..=119 => format!("{whole} s"),
        120..=7_199 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
    }
}

/// `20 Dec`, with the year when it is another one than that of `now`.
pub fn day(at: Timestamp, now: Timestamp) -> String {
    let (at, now) = (at.to_zoned(TimeZone::UTC), now.to_zoned(TimeZone::UTC));
    let form = if at.year() == now.year() { "%-d %b" } else { "%-d %b %Y" };
    at.strftime(form).to_string()
}

/// `2026-11-20 14:05`, in UTC.
pub fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}
