//! Which times of a schedule have come, and what becomes of each: a function of two moments and nothing else.

use crate::schedule::{Missed, Schedule};
use engine::NewTick;
use engine::words::count;
use jiff::{SignedDuration, Timestamp};

/// Nobody is late who comes within this.
const PUNCTUAL: SignedDuration = SignedDuration::from_secs(60);
/// The most times that are made up for after a long absence, and the most that are noted as passed over.
const MOST: usize = 100;

/// The times after `since` up to `now`.
pub fn due(schedule: &Schedule, since: Timestamp, now: Timestamp) -> Vec<NewTick> {
    let mut times: Vec<Timestamp> = Vec::new();
    let mut all = 0_u64;
    for next in schedule.times(since).take_while(|next| *next <= now) {
        all += 1;
        times.push(next);
        // Of a minute's schedule and a year's absence nobody wants half a million rows.
        if times.len() > 2 * MOST {
            times.drain(..MOST);
        }
    }
    if times.len() > MOST {
        times.drain(..times.len() - MOST);
    }
    let last = times.last().copied();
    times
        .into_iter()
        .map(|due| {
            let late = now.duration_since(due);
            let skipped = if schedule.is_blacked_out(schedule.start_of(due)) {
                Some("it does not run on this day".to_owned())
            } else if schedule.max_lateness.is_some_and(|most| late > most.max(PUNCTUAL)) {
                Some(format!("nobody was there in time: {} late", said(late)))
            } else if late <= PUNCTUAL {
                None
            } else {
                match schedule.says.missed {
                    Missed::All => None,
                    Missed::Once if Some(due) == last => None,
                    Missed::Once => Some(format!("missed, and the last of {} is made up for", count(all))),
                    Missed::Skip => Some(format!("missed: nobody was there, {} late", said(late))),
                }
            };
            NewTick { due, start: schedule.start_of(due), skipped }
        })
        .collect()
}

fn said(late: SignedDuration) -> String {
    match late.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7_200 => format!("{} min", seconds / 60),
        seconds @ ..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Definition;
    use engine::age::Age;

    fn daily(change: impl FnOnce(&mut Definition)) -> Schedule {
        let mut says = Definition {
            cron: Some("0 2 * * *".to_owned()),
            run: vec!["daily".to_owned()],
            ..Definition::default()
        };
        change(&mut says);
        Schedule::read("nightly", &says, true).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The hours that run and those that do not.
    fn told(schedule: &Schedule, since: &str, now: &str) -> (Vec<String>, Vec<String>) {
        let ticks = due(schedule, at(since), at(now));
        let days = |skipped: bool| {
            let of = ticks.iter().filter(|tick| tick.skipped.is_some() == skipped);
            of.map(|tick| tick.due.strftime("%d").to_string()).collect()
        };
        (days(false), days(true))
    }

    #[test]
    fn what_was_missed_is_made_up_for_once_or_not_or_each() {
        let (since, now) = ("2026-11-01T12:00:00Z", "2026-11-05T02:00:01Z");
        let none: Vec<String> = Vec::new();
        assert_eq!(
            told(&daily(|_| {}), "2026-11-01T12:00:00Z", "2026-11-02T01:59:59Z"),
            (none.clone(), none.clone())
        );
        let once = told(&daily(|_| {}), since, now);
        assert_eq!(once, (vec!["05".to_owned()], vec!["02".to_owned(), "03".to_owned(), "04".to_owned()]));
        let all = told(&daily(|says| says.missed = Missed::All), since, now);
        assert_eq!((all.0.len(), all.1.len()), (4, 0));
        // The last one is not late: it is due now.
        let skip = told(&daily(|says| says.missed = Missed::Skip), since, now);
        assert_eq!((skip.0, skip.1.len()), (vec!["05".to_owned()], 3));
        let late = told(&daily(|says| says.missed = Missed::Skip), since, "2026-11-05T09:00:00Z");
        assert_eq!((late.0.len(), late.1.len()), (0, 4));
        let limited = daily(|says| {
            says.missed = Missed::All;
            says.max_lateness = Some(Age("30 hours".to_owned()));
        });
        assert_eq!(told(&limited, since, now).0, ["04", "05"]);
    }

    #[test]
    fn a_long_absence_does_not_fill_the_timetable() {
        let minutely = daily(|says| {
            says.cron = Some("* * * * *".to_owned());
            says.missed = Missed::All;
        });
        let ticks = due(&minutely, at("2025-11-01T00:00:00Z"), at("2026-11-01T00:00:00Z"));
        assert_eq!((ticks.len(), ticks.last().unwrap().due), (100, at("2026-11-01T00:00:00Z")));
    }

    #[test]
    fn nothing_runs_on_days_that_are_left_out_and_what_is_switched_off_is_never_due() {
        // S2-022, S3-061
        let off = daily(|says| says.blackouts = vec!["12-24..12-26".to_owned()]);
        let (runs, left_out) = told(&off, "2026-12-23T12:00:00Z", "2026-12-24T02:00:30Z");
        assert_eq!((runs.len(), left_out), (0, vec!["24".to_owned()]));
        let disabled = daily(|says| says.enabled = false);
        assert_eq!(due(&disabled, at("2026-11-01T00:00:00Z"), at("2026-12-01T00:00:00Z")), Vec::new());
    }

    #[test]
    fn beginnings_are_spread_the_same_way_everywhere() {
        let spread = daily(|says| says.jitter = Some(Age("10 min".to_owned())));
        let due = at("2026-11-05T02:00:00Z");
        let start = spread.start_of(due);
        assert!(start >= due && start < due + SignedDuration::from_mins(10), "{start}");
        assert_eq!(start, spread.start_of(due));
        let many: std::collections::BTreeSet<Timestamp> =
            (0..50).map(|day| spread.start_of(due + SignedDuration::from_hours(24 * day))).collect();
        assert!(many.len() > 40, "they hardly differ");
    }
}
