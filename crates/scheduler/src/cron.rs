//! When a cron line is due: five fields in a zone, in the way people mean them when the clock is changed.
//!
//! A line with fixed hours and minutes is due once for each time that it names, on every day: what the clock leaps over
//! comes right after the leap, what comes twice is due the first time. A line whose minute or hour begins with `*` is an
//! interval: it goes on in real time. That is the rule of Vixie's cron.

use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan, Zoned};

/// A cron line in a zone.
#[derive(Debug, Clone)]
pub struct Cron {
    /// What the library makes of it takes ten thousand bytes, so that is made where it is needed: a thousand schedules are kept for long.
    line: String,
    zone: TimeZone,
    /// It goes on in real time, whatever the clock shows.
    interval: bool,
    /// Times that the clock leaps over are left out.
    leaves_out: bool,
}

/// Why a line is none, and what to write instead.
#[derive(Debug, Clone, PartialEq)]
pub struct Wrong {
    /// Why.
    pub why: String,
    /// What to write.
    pub help: String,
}

const HELP: &str = "five fields: minute hour day-of-month month day-of-week, such as `30 2 * * *`, `0 4 * * sun#1` (first \
                    Sunday), `0 3 L * *` (last day)";

fn parsed(line: &str) -> Result<croner::Cron, croner::errors::CronError> {
    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build().parse(line)
}

impl Cron {
    /// Reads a line; a line that is never due is none.
    pub fn parse(line: &str, zone: &str, leaves_out: bool) -> Result<Self, Wrong> {
        let wrong = |why: String, help: &str| Wrong { why, help: help.to_owned() };
        let fields: Vec<&str> = line.split_whitespace().collect();
        let named = matches!(fields.as_slice(), [only] if only.starts_with('@'));
        if !named && fields.len() != 5 {
            return Err(wrong(format!("`{line}` has {} fields", fields.len()), HELP));
        }
        let parsed =
            parsed(line.trim()).map_err(|error| wrong(format!("`{line}` is no cron line: {error}"), HELP))?;
        let zone = engine::age::zone(zone).map_err(|error| {
            wrong(error.what.clone(), error.help.as_deref().unwrap_or("take a name like `Europe/Paris`"))
        })?;
        let interval = match fields.as_slice() {
            [minute, hour, ..] => minute.starts_with('*') || hour.starts_with('*'),
            _ => line.trim().eq_ignore_ascii_case("@hourly"),
        };
        let cron = Self { line: parsed.as_str().to_owned(), zone, interval, leaves_out };
        match cron.next_of(&parsed, Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(cron),
            None => Err(wrong(format!("`{line}` is never due: there is no such day"), HELP)),
        }
    }

    /// The zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The first time after a moment that it is due.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        self.times(after).next()
    }

    /// All times after a moment that it is due.
    pub fn times(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> {
        let line = parsed(&self.line).ok();
        std::iter::successors(Some(after), move |last| self.next_of(line.as_ref()?, *last)).skip(1)
    }

    fn next_of(&self, line: &croner::Cron, after: Timestamp) -> Option<Timestamp> {
        if self.interval {
            return self.next_of_interval(line, after);
        }
        // What the clock leaps over lies before the moment by the clock and after it in truth.
        let mut wall = self.wall(after).checked_sub(3.hours()).ok()?;
        let mut best: Option<Timestamp> = None;
        loop {
            let Ok(found) = line.find_next_occurrence(&wall, false) else { return best };
            wall = found;
            if let Some(at) = self.moment(found).filter(|at| *at > after) {
                best = Some(best.map_or(at, |best| best.min(at)));
            }
            // Later ones by the clock are later in truth, but for those within the same change of the clock.
            if let Some(best) = best
                && self.wall(best).checked_add(3.hours()).is_ok_and(|enough| found >= enough)
            {
                return Some(best);
            }
        }
    }

    /// So many times after a moment that it is due.
    pub fn upcoming(&self, after: Timestamp, many: usize) -> Vec<Timestamp> {
        self.times(after).take(many).collect()
    }

    /// In words.
    pub fn words(&self) -> String {
        parsed(&self.line).map(|line| line.describe()).unwrap_or_default()
    }

    /// The line as it was written.
    pub fn text(&self) -> &str {
        &self.line
    }

    /// Days of the month and days of the week are both said: cron takes either (W-048).
    pub fn is_either_day(&self) -> bool {
        let fields: Vec<&str> = self.line.split_whitespace().collect();
        let said = |field: &str| !field.starts_with('*') && field != "?";
        matches!(fields.as_slice(), [_, _, day, _, weekday] if said(day) && said(weekday))
    }

    fn wall(&self, at: Timestamp) -> DateTime {
        at.to_zoned(self.zone.clone()).datetime()
    }

    /// The moment of a time on the clock: the first of two, and after a leap the moment of the leap.
    fn moment(&self, wall: DateTime) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(wall);
        match ambiguous.offset() {
            AmbiguousOffset::Gap { .. } if self.leaves_out => None,
            AmbiguousOffset::Gap { .. } => {
                // The offset before the leap puts it behind the leap; the last change before that is the leap.
                let behind = ambiguous.compatible().ok()?;
                Some(
                    self.zone
                        .preceding(behind + 1.nanosecond())
                        .next()
                        .map_or(behind, |change| change.timestamp()),
                )
            }
            _ => ambiguous.earlier().ok(),
        }
    }

    fn next_of_interval(&self, line: &croner::Cron, after: Timestamp) -> Option<Timestamp> {
        let mut from = after.to_zoned(self.zone.clone());
        // A day that a zone has left out (Apia 2011) ends the search of the library: go on behind it.
        for _ in 0..3 {
            let found: Result<Zoned, _> = line.find_next_occurrence(&from, false);
            match found {
                Ok(found) => return Some(found.timestamp()),
                Err(_) => from = from.checked_add(1.day()).ok()?,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
