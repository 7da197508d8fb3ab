//! Cron lines at changes of the clock, and against every minute looked at by itself.

use super::*;

fn due(line: &str, zone: &str, after: &str, many: usize) -> Vec<String> {
    let cron = Cron::parse(line, zone, false).unwrap();
    let shown = |at: Timestamp| at.to_zoned(cron.zone().clone()).strftime("%m-%d %H:%M %:z").to_string();
    cron.upcoming(after.parse().unwrap(), many).into_iter().map(shown).collect()
}

#[test]
fn a_time_that_the_clock_leaps_over_comes_right_after_the_leap() {
    // Paris, 29 March 2026: 02:00 becomes 03:00
    let before = "2026-03-28T03:00:00Z";
    assert_eq!(due("30 2 * * *", "Europe/Paris", before, 2), ["03-29 03:00 +02:00", "03-30 02:30 +02:00"]);
    let twice = due("15,45 2 * * *", "Europe/Paris", before, 3);
    assert_eq!(twice, ["03-29 03:00 +02:00", "03-30 02:15 +02:00", "03-30 02:45 +02:00"]);
    // Lord Howe, 4 October 2026: 02:00 becomes 02:30
    let half = due("15 2 * * *", "Australia/Lord_Howe", "2026-10-02T16:00:00Z", 2);
    assert_eq!(half, ["10-04 02:30 +11:00", "10-05 02:15 +11:00"]);
    // Chatham, 27 September 2026: 02:45 becomes 03:45
    let odd = due("50 2 * * *", "Pacific/Chatham", "2026-09-26T00:00:00Z", 2);
    assert_eq!(odd, ["09-27 03:45 +13:45", "09-28 02:50 +13:45"]);
    let left_out = Cron::parse("30 2 * * *", "Europe/Paris", true).unwrap();
    assert_eq!(
        left_out.next("2026-03-28T03:00:00Z".parse().unwrap()).unwrap().to_string(),
        "2026-03-30T00:30:00Z"
    );
}

#[test]
fn a_time_that_comes_twice_is_due_the_first_time_only() {
    // Paris, 25 October 2026: 03:00 becomes 02:00
    let before = "2026-10-24T03:00:00Z";
    assert_eq!(due("30 2 * * *", "Europe/Paris", before, 2), ["10-25 02:30 +02:00", "10-26 02:30 +01:00"]);
    let several = due("15,45 2 * * *", "Europe/Paris", before, 3);
    assert_eq!(several, ["10-25 02:15 +02:00", "10-25 02:45 +02:00", "10-26 02:15 +01:00"]);
    let hours = due("0 1-4 * * *", "Europe/Paris", "2026-10-24T22:30:00Z", 5);
    assert_eq!(
        hours,
        [
            "10-25 01:00 +02:00",
            "10-25 02:00 +02:00",
            "10-25 03:00 +01:00",
            "10-25 04:00 +01:00",
            "10-26 01:00 +01:00"
        ]
    );
    // Asked from the second pass, the first is over.
    assert_eq!(due("30 2 * * *", "Europe/Paris", "2026-10-25T01:10:00Z", 1), ["10-26 02:30 +01:00"]);
}

#[test]
fn intervals_go_on_in_real_time() {
    let spring = due("*/30 * * * *", "Europe/Paris", "2026-03-29T00:10:00Z", 3);
    assert_eq!(spring, ["03-29 01:30 +01:00", "03-29 03:00 +02:00", "03-29 03:30 +02:00"]);
    let autumn = due("0 * * * *", "Europe/Paris", "2026-10-24T23:30:00Z", 4);
    assert_eq!(
        autumn,
        ["10-25 02:00 +02:00", "10-25 02:00 +01:00", "10-25 03:00 +01:00", "10-25 04:00 +01:00"]
    );
}

#[test]
fn a_day_that_a_zone_left_out_is_no_end() {
    // Apia went from 29 to 31 December 2011.
    let days = due("0 12 * * *", "Pacific/Apia", "2011-12-29T10:00:00Z", 3);
    assert_eq!(days, ["12-29 12:00 -10:00", "12-31 00:00 +14:00", "12-31 12:00 +14:00"]);
    let hours = due("0 * * * *", "Pacific/Apia", "2011-12-30T09:30:00Z", 2);
    assert_eq!(hours, ["12-31 00:00 +14:00", "12-31 01:00 +14:00"]);
}

#[test]
fn the_schedules_of_the_examples_are_due_when_they_should_be() {
    // S1-062, S1-063, S1-064, S2-019, X-04
    let cron = |line: &str, zone: &str| Cron::parse(line, zone, false).unwrap();
    let now: Timestamp = "2026-11-28T12:00:00Z".parse().unwrap();
    for first in cron("0 4 * * sun#1", "UTC").upcoming(now, 12) {
        let day = first.to_zoned(TimeZone::UTC);
        assert!(day.weekday() == jiff::civil::Weekday::Sunday && day.day() <= 7, "{day}");
    }
    for line in ["0 3 * * 0", "0 3 * * 7", "0 3 * * sun"] {
        let next = cron(line, "UTC").next(now).unwrap().to_zoned(TimeZone::UTC);
        assert_eq!((next.weekday(), next.hour()), (jiff::civil::Weekday::Sunday, 3), "{line}");
    }
    let berlin = cron("30 3 * * *", "Europe/Berlin");
    let at = |moment: &str| berlin.next(moment.parse().unwrap()).unwrap().to_string();
    assert_eq!(at("2026-01-10T00:00:00Z"), "2026-01-10T02:30:00Z");
    assert_eq!(at("2026-07-10T00:00:00Z"), "2026-07-10T01:30:00Z");
    let last = cron("0 3 L * *", "UTC").next(now).unwrap().to_string();
    assert_eq!(last, "2026-11-30T03:00:00Z");
}

#[test]
fn what_is_no_line_is_refused_with_what_to_write() {
    let refused = |line: &str, zone: &str| Cron::parse(line, zone, false).unwrap_err();
    for line in
        ["", "* * * *", "0 0 2 * * *", "61 * * * *", "a b c d e", "0/15 * * * *", "0 25 * * *", "@sometimes"]
    {
        let wrong = refused(line, "UTC");
        assert!(wrong.help.contains("five fields"), "{line}: {wrong:?}");
    }
    assert!(refused("0 0 30 2 *", "UTC").why.contains("never due"));
    assert!(refused("0 2 * * *", "Europe/Pariss").why.contains("Europe/Pariss"));
    assert!(Cron::parse("0 0 1 * mon", "UTC", false).unwrap().is_either_day());
    assert!(!Cron::parse("0 0 * * mon", "UTC", false).unwrap().is_either_day());
}

mod against_brute_force {
    use super::*;
    use proptest::prelude::*;

    /// All moments of a span at which a line with fixed times is due: every minute of every day, looked at by itself.
    fn slowly(
        minutes: &[i8],
        hours: &[i8],
        zone: &TimeZone,
        from: Timestamp,
        to: Timestamp,
    ) -> Vec<Timestamp> {
        let mut all = Vec::new();
        let mut day = from.to_zoned(zone.clone()).date().yesterday().unwrap().yesterday().unwrap();
        while day.to_datetime(jiff::civil::Time::midnight()) <= to.to_zoned(zone.clone()).datetime() {
            for hour in hours {
                for minute in minutes {
                    let wall = day.at(*hour, *minute, 0, 0);
                    let ambiguous = zone.to_ambiguous_timestamp(wall);
                    let at = match ambiguous.offset() {
                        AmbiguousOffset::Gap { before, .. } => {
                            // minute by minute from where it would have been to the first one that is on the clock
                            let mut later = wall;
                            while matches!(
                                zone.to_ambiguous_timestamp(later).offset(),
                                AmbiguousOffset::Gap { .. }
                            ) {
                                later = later.checked_add(1.minute()).unwrap();
                            }
                            let _ = before;
                            zone.to_ambiguous_timestamp(later).earlier().unwrap()
                        }
                        _ => ambiguous.earlier().unwrap(),
                    };
                    if at > from && at <= to {
                        all.push(at);
                    }
                }
            }
            day = day.tomorrow().unwrap();
        }
        all.sort();
        all.dedup();
        all
    }

    proptest! {
        #[test]
        fn fixed_times_are_due_exactly_when_they_should_be(
            minutes in prop::collection::btree_set(0..60_i8, 1..3),
            hours in prop::collection::btree_set(0..24_i8, 1..4),
            zone in prop::sample::select(vec!["Europe/Paris", "Australia/Lord_Howe", "Pacific/Chatham", "America/New_York",
                "Africa/Cairo", "Antarctica/Troll", "Pacific/Apia", "UTC", "America/Santiago"]),
            start in prop::sample::select(vec!["2026-03-25T00:00:00Z", "2026-10-22T00:00:00Z", "2026-09-24T00:00:00Z",
                "2026-04-02T00:00:00Z", "2011-12-28T00:00:00Z", "2026-04-22T00:00:00Z", "2026-07-01T00:00:00Z"]),
            shift in 0..86_400_i64,
        ) {
            let from: Timestamp = start.parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_secs(shift);
            let to = from + jiff::SignedDuration::from_hours(24 * 9);
            let joined = |set: &std::collections::BTreeSet<i8>| set.iter().map(i8::to_string).collect::<Vec<_>>().join(",");
            let cron = Cron::parse(&format!("{} {} * * *", joined(&minutes), joined(&hours)), zone, false).unwrap();
            let found: Vec<Timestamp> =
                std::iter::successors(cron.next(from), |last| cron.next(*last)).take_while(|at| *at <= to).collect();
            let minutes: Vec<i8> = minutes.into_iter().collect();
            let hours: Vec<i8> = hours.into_iter().collect();
            prop_assert_eq!(found, slowly(&minutes, &hours, cron.zone(), from, to));
        }
    }
}
