//! Times in the forms that people and programs write beside ISO 8601, from Go's and JavaScript's own to those of mails and logs.
//!
//! What the engine reads by itself stays as fast as it is: the others are tried only after it has refused. Nothing is guessed: where a
//! text does not say what is the day and what the month, it is no time.

use super::convert::Misfit;
use jiff::Zoned;
use jiff::civil::{Date, DateTime};
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::fmt::strtime::BrokenDownTime;
use targets::db::civil::{self, Told};

/// What is longer is no time.
const LONGEST: usize = 100;
/// Days that begin with a year of four digits.
const NUMBERS: [&str; 3] = ["%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d"];
/// Days with a month that is a word.
const WORDS: [&str; 9] = [
    "%a, %d %b %Y",
    "%a %b %d %Y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%b %d, %Y",
    "%b %d %Y",
    "%d %B %Y",
    "%B %d, %Y",
    "%A, %B %d, %Y",
];
/// Moments with the year at the end, as C and `date` write them, and whether they are of UTC.
const YEAR_LAST: [(&str, bool); 2] = [("%a %b %d %H:%M:%S %Y", false), ("%a %b %d %H:%M:%S UTC %Y", true)];

/// The time that a text tells; none where it is anything else, or a day that does not exist.
pub fn read(text: &str) -> Option<Told> {
    civil::read(text.as_bytes()).or_else(|| otherwise(text))
}

/// Why a text tells none.
pub fn refusal(text: &str) -> Misfit {
    if is_ambiguous(text) { Misfit::Ambiguous } else { Misfit::Unreadable }
}

/// Numbers in an order that nobody knows: `01/02/2024`, `1.2.24`.
pub fn is_ambiguous(text: &str) -> bool {
    let text = text.trim_ascii();
    let date = text.split([' ', 'T', 't', ',']).next().unwrap_or_default();
    ['/', '.', '-'].iter().any(|between| {
        let parts: Vec<&str> = date.split(*between).collect();
        let is = |n: usize, lengths: &[usize]| {
            parts[n].bytes().all(|byte| byte.is_ascii_digit()) && lengths.contains(&parts[n].len())
        };
        parts.len() == 3 && is(0, &[1, 2]) && is(1, &[1, 2]) && is(2, &[2, 4])
    })
}

/// A day with what another one of its column has between the numbers.
pub fn day_like((year, month, day): (i64, i64, i64), like: &str) -> String {
    let between = like.get(4..5).filter(|between| ["/", "."].contains(between)).unwrap_or("-");
    format!("{year:04}{between}{month:02}{between}{day:02}")
}

#[cold]
#[inline(never)]
fn otherwise(text: &str) -> Option<Told> {
    let text = text.trim_ascii();
    if text.len() > LONGEST || !text.is_ascii() {
        return None;
    }
    if let Some((moment, _)) = text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        // the zone must have had that offset
        text.parse::<Zoned>().ok()?;
        return read(moment).filter(|told| told.zoned);
    }
    let text = without_words(text);
    let digits = digits(text);
    if digits < 4 {
        return in_words(text);
    }
    let (date, rest) = match digits {
        4 => NUMBERS.iter().find_map(|format| day(format, text))?,
        8 | 12 | 14 => (day("%Y%m%d", &text[..8])?.0, &text[8..]),
        _ => return None,
    };
    match digits {
        12 | 14 => at(date, rest),
        _ => with_clock(date, rest),
    }
}

/// How many digits it begins with.
fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// Without what says once more what an offset has said, as Go and JavaScript do: `+0100 CET`, `+0100 (CET)`, `m=+0.5`.
fn without_words(text: &str) -> &str {
    let bare = text.split_once(" m=").map_or(text, |(bare, _)| bare);
    let bare = match bare.split_once(" (") {
        Some((moment, rest)) if rest.ends_with(')') => moment,
        _ => bare,
    };
    // nothing is said once more where no offset was said: a remark in brackets is not ours to lose
    let has_offset = |moment: &str| {
        let sign = moment.rfind(['+', '-']);
        sign.is_some_and(|sign| digits(&moment[sign + 1..]) == 4 && moment.len() == sign + 5)
    };
    let Some((moment, word)) = bare.rsplit_once(' ') else { return text };
    let is_word = word.len() <= 5 && word.bytes().all(|byte| byte.is_ascii_uppercase())
        || word.len() <= 5 && word.starts_with(['+', '-']);
    match [moment, bare].into_iter().find(|one| has_offset(one)) {
        Some(one) if one == bare || is_word => one,
        _ => text,
    }
}

/// A day at the begin of a text, and what follows.
fn day<'t>(format: &str, text: &'t str) -> Option<(Date, &'t str)> {
    let (parsed, end) = BrokenDownTime::parse_prefix(format, text).ok()?;
    let date = parsed.to_date().ok().filter(|date| date.year() >= 1_000 || format.starts_with("%Y"))?;
    Some((date, &text[end..]))
}

fn in_words(text: &str) -> Option<Told> {
    let told = |moment: DateTime, zoned| {
        // of a leap second the parsers make another one
        civil::read(moment.to_string().as_bytes())
            .filter(|_| !text.contains(":60"))
            .map(|told| Told { zoned, ..told })
    };
    for (format, zoned) in YEAR_LAST {
        let parsed = BrokenDownTime::parse(format, text).and_then(|parsed| parsed.to_datetime());
        if let Ok(moment) = parsed
            && moment.year() >= 1_000
        {
            return told(moment, zoned);
        }
    }
    if let Some((date, rest)) = WORDS.iter().find_map(|format| day(format, text))
        && let Some(told) = with_clock(date, rest)
    {
        return Some(told);
    }
    let moment =
        DateTimeParser::new().parse_timestamp(text).ok()?.to_zoned(jiff::tz::TimeZone::UTC).datetime();
    // two digits are no year
    let has_year = text.split([' ', '-']).any(|part| digits(part) == 4 && part.len() == 4);
    told(moment, true).filter(|_| has_year)
}

/// What follows a day: nothing, or a time of the day.
fn with_clock(date: Date, rest: &str) -> Option<Told> {
    if rest.is_empty() {
        return civil::read(date.to_string().as_bytes());
    }
    let rest = rest.strip_prefix(',').unwrap_or(rest);
    at(date, rest.strip_prefix([' ', 'T', 't'])?.trim_ascii_start())
}

/// `3:04`, `03:04:05.678`, `030405`, `3:04 PM`, each with its zone.
fn at(date: Date, clock: &str) -> Option<Told> {
    let (hour, rest) = clock.split_at(match digits(clock) {
        few @ (1 | 2) => few,
        4 | 6 => 2,
        _ => return None,
    });
    let parted = if digits(rest) == 0 { ":" } else { "" };
    let (minute, rest) = pair(rest, parted)?;
    let (second, rest) = pair(rest, parted).unwrap_or(("00", rest));
    let (_, _, behind) = civil::fraction(rest.as_bytes())?;
    let (fraction, zone) = rest.split_at(rest.len() - behind.len());
    let (hour, zone) = by_halves(hour.parse().ok()?, zone.trim_ascii_start())?;
    let zone = zone.to_ascii_uppercase();
    let offset =
        ["UTC", "GMT"].iter().find_map(|name| zone.strip_prefix(name).filter(|rest| !rest.is_empty()));
    let zone = offset.unwrap_or(&zone);
    civil::read(format!("{date}T{hour:02}:{minute}:{second}{fraction}{zone}").as_bytes())
}

/// Two digits behind what parts them from the others, and what follows.
fn pair<'t>(text: &'t str, parted: &str) -> Option<(&'t str, &'t str)> {
    let text = text.strip_prefix(parted)?;
    (digits(text) >= 2).then(|| text.split_at(2))
}

/// The hour of the day, where a half of it is named.
fn by_halves(hour: u8, rest: &str) -> Option<(u8, &str)> {
    let half = rest.get(..2).map(str::to_ascii_lowercase);
    let later = match half.as_deref() {
        Some("am") => 0,
        Some("pm") => 12,
        _ => return Some((hour, rest)),
    };
    (1..=12).contains(&hour).then(|| (hour % 12 + later, rest[2..].trim_ascii_start()))
}

#[cfg(test)]
mod tests {
    use super::{day_like, is_ambiguous, read};
    use targets::db::civil::moment;

    fn told(text: &str) -> Option<(String, bool, bool, bool)> {
        read(text).map(|told| (moment(told.micros), told.zoned, told.day, told.cut))
    }

    #[test]
    fn times_are_read_in_every_usual_form() {
        // S4-011, W-095
        for text in [
            "2024-01-02T03:04:05Z",
            "2024-01-02t03:04:05z",
            "2024-01-02 03:04:05 UTC",
            "2024-01-02 03:04:05 utc",
            "2024/01/02 03:04:05Z",
            "2024/1/2 3:04:05 GMT",
            "2024.01.02 05:04:05 +02:00",
            "2024/01/02 05:04:05+0200",
            "2024/01/02 05:04:05+02",
            "20240102T030405Z",
            "20240102T050405+0200",
            "20240102 030405Z",
            "20240102T03:04:05Z",
            "2024-1-2 3:04:05 am UTC",
            "2024-01-01 22:04:05 -0500",
            "Tue, 02 Jan 2024 03:04:05 +0000",
            "Tue, 2 Jan 2024 04:04:05 +0100 (CET)",
            "02 Jan 2024 03:04:05 GMT",
            "1 Jan 2024 22:04:05 EST",
            "Tue Jan 02 2024 05:04:05 GMT+0200 (Eastern European Standard Time)",
            "Tue Jan  2 03:04:05 UTC 2024",
            "2024-01-02 04:04:05 +0100 CET",
            "2024-01-02 03:04:05 +0000 UTC m=+0.000012",
            "2024-01-02 00:04:05 -0300 -03",
            "2024-01-02T04:04:05+01:00[Europe/Berlin]",
        ] {
            assert_eq!(told(text), Some(("2024-01-02T03:04:05Z".to_owned(), true, false, false)), "{text}");
        }
        for text in [
            "2024/01/02 15:04",
            "2024-1-2 15:04:00",
            "20240102T1504",
            "202401021504",
            "20240102150400",
            "2024/01/02 3:04 PM",
            "Jan 2, 2024, 3:04 PM",
            "January 2, 2024 15:04",
            "02-Jan-2024 15:04:00",
            "Tue Jan  2 15:04:00 2024",
            " 2024-01-02 15:04 ",
        ] {
            assert_eq!(told(text), Some(("2024-01-02T15:04:00Z".to_owned(), false, false, false)), "{text}");
        }
        for text in
            ["2024/01/02", "2024/1/2", "2024-1-2", "2024.01.02", "20240102", "2 Jan 2024", "Jan 2, 2024"]
        {
            assert_eq!(told(text), Some(("2024-01-02T00:00:00Z".to_owned(), false, true, false)), "{text}");
        }
        for (text, moment, cut) in [
            ("2024/01/02 03:04:05.5", "2024-01-02T03:04:05.500000Z", false),
            ("20240102T030405.123456Z", "2024-01-02T03:04:05.123456Z", false),
            ("2024-01-02 03:04:05.123456789 +0000 UTC", "2024-01-02T03:04:05.123456Z", true),
            ("2024/12/31 23:59:60Z", "2025-01-01T00:00:00Z", false),
            ("Tue, 31 Dec 2024 23:59:60 +0000", "2025-01-01T00:00:00Z", false),
        ] {
            assert_eq!(told(text).map(|told| (told.0, told.3)), Some((moment.to_owned(), cut)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_or_might_be_several_stays_none() {
        for text in [
            "01/02/2024",
            "1.2.2024",
            "13/02/2024 03:04",
            "24/01/02",
            "02-01-2024",
            "2024/01-02",
            "2024/02/30",
            "2024/1/2 25:00",
            "2024/1/2 13:04 PM",
            "2024/1/2 0:04 PM",
            "2024/1/2 3",
            "2024/1/2 3:4",
            "2024/1/2x",
            "2024-01-02 03:04:05 CET",
            "Wed, 02 Jan 2024 03:04:05 +0000",
            "02 Jan 24 03:04:05 +0000",
            "2 Jan 24",
            "2024-01-02T04:04:05+07:00[Europe/Berlin]",
            "2024-01-02T04:04:05[Europe/Berlin]",
            "1700000000",
            "2024010203",
            "202401",
            "0000/00/00",
            "Tue Dec 31 23:59:60 2024",
            "now",
            "",
            "12:30",
        ] {
            assert_eq!(told(text), None, "{text}");
        }
        assert!(
            ["01/02/2024", "1.2.24", "13/02/2024 03:04", "02-01-2024T00:00"]
                .iter()
                .all(|text| is_ambiguous(text))
        );
        assert!(["2024/01/32", "1/2", "a/b/2024", "1.2.3.4", ""].iter().all(|text| !is_ambiguous(text)));
    }

    #[test]
    fn days_are_written_as_their_neighbours() {
        assert_eq!(day_like((2024, 1, 2), "2023/12/31 00:00"), "2024/01/02");
        assert_eq!(day_like((2024, 1, 2), "2023.12.31"), "2024.01.02");
        assert_eq!(day_like((2024, 1, 2), "Tue, 02 Jan 2024"), "2024-01-02");
    }
}
