//! A schedule for somebody else's scheduler: a line for cron, a calendar for systemd.
//!
//! What they cannot say is said to be so, never approximated.

/// A line for a crontab that runs a command when this cron line is due. Cron knows no `#` and no `L`: those become a test
/// before the command. `%` would be a new line there, so it is escaped (W-047).
pub fn crontab(line: &str, zone: &str, command: &str) -> Result<Vec<String>, String> {
    let [minute, hour, day, month, weekday] = fields(line)?;
    let escaped = |text: &str| text.replace('%', "\\%");
    let (day, weekday, test) = match (day, weekday) {
        ("*", weekday) if weekday.contains('#') => {
            let (name, nth) = weekday.split_once('#').ok_or_else(|| beyond(line))?;
            let nth =
                nth.parse().ok().filter(|nth: &u8| (1..=5).contains(nth)).ok_or_else(|| beyond(line))?;
            let number = number_of_day(name).ok_or_else(|| beyond(line))?;
            let (from, to) = (7 * (nth - 1) + 1, (7 * nth).min(31));
            // Day and weekday together mean either of them to cron (W-048): one is left to the test.
            (format!("{from}-{to}"), "*".to_owned(), format!("test \"$(date +%w)\" = {number} && "))
        }
        ("L" | "l", "*") => {
            ("28-31".to_owned(), "*".to_owned(), "test \"$(date -d tomorrow +%d)\" = 01 && ".to_owned())
        }
        (day, weekday) if plain(day) && plain(weekday) => (day.to_owned(), weekday.to_owned(), String::new()),
        _ => return Err(beyond(line)),
    };
    Ok(vec![
        format!("CRON_TZ={zone}"),
        format!("{minute} {hour} {day} {month} {weekday} {}{}", escaped(&test), escaped(command)),
    ])
}

/// An `OnCalendar=` for systemd, with its zone.
pub fn calendar(line: &str, zone: &str) -> Result<String, String> {
    let [minute, hour, day, month, weekday] = fields(line)?;
    let (weekday, day) = match (weekday, day) {
        ("*" | "?", "L" | "l") => (String::new(), "~01".to_owned()),
        ("*" | "?", day) => (String::new(), format!("-{}", part(day, 1).ok_or_else(|| beyond(line))?)),
        (weekday, "*" | "?") if weekday.contains('#') => {
            let (name, nth) = weekday.split_once('#').ok_or_else(|| beyond(line))?;
            let nth =
                nth.parse().ok().filter(|nth: &u8| (1..=5).contains(nth)).ok_or_else(|| beyond(line))?;
            let name = name_of_day(name).ok_or_else(|| beyond(line))?;
            (format!("{name} "), format!("-{:02}..{:02}", 7 * (nth - 1) + 1, (7 * nth).min(31)))
        }
        (weekday, "*" | "?") => {
            let names: Option<Vec<String>> = weekday.split(',').map(days).collect();
            (format!("{} ", names.ok_or_else(|| beyond(line))?.join(",")), "-*".to_owned())
        }
        // systemd means both, cron either of them.
        _ => return Err(beyond(line)),
    };
    let other = |text: &str, first: u8| part(text, first).ok_or_else(|| beyond(line));
    Ok(format!("{weekday}*-{}{day} {}:{}:00 {zone}", other(month, 1)?, other(hour, 0)?, other(minute, 0)?))
}

fn fields(line: &str) -> Result<[&str; 5], String> {
    let spelled = match line.trim() {
        "@hourly" => "0 * * * *",
        "@daily" | "@midnight" => "0 0 * * *",
        "@weekly" => "0 0 * * 0",
        "@monthly" => "0 0 1 * *",
        "@yearly" | "@annually" => "0 0 1 1 *",
        other => other,
    };
    let all: Vec<&str> = spelled.split_whitespace().collect();
    all.try_into().map_err(|_| beyond(line))
}

fn beyond(line: &str) -> String {
    format!("`{line}` cannot be said there: leave it to `sexton serve`")
}

/// Whether every cron understands it.
fn plain(field: &str) -> bool {
    let known = |names: &[&str], word: &str| names.iter().any(|name| name.eq_ignore_ascii_case(word));
    field.split([',', '-', '/']).all(|word| {
        let number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        word == "*" || number || known(&DAYS, word) || known(&MONTHS, word)
    })
}

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

fn number_of_day(name: &str) -> Option<usize> {
    match name.parse::<usize>() {
        Ok(number) => (number <= 7).then_some(number % 7),
        Err(_) => DAYS.iter().position(|known| known.eq_ignore_ascii_case(name)),
    }
}

fn name_of_day(name: &str) -> Option<&'static str> {
    number_of_day(name).map(|number| DAYS[number])
}

fn days(part: &str) -> Option<String> {
    match part.split_once('-') {
        Some((from, to)) => Some(format!("{}..{}", name_of_day(from)?, name_of_day(to)?)),
        None => name_of_day(part).map(str::to_owned),
    }
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// A list of numbers, ranges and steps in systemd's words.
fn part(text: &str, first: u8) -> Option<String> {
    let number = |text: &str| -> Option<u8> {
        text.parse().ok().or_else(|| {
            let at = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(text))?;
            u8::try_from(at + 1).ok()
        })
    };
    let one = |text: &str| -> Option<String> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<u8>().ok()?)),
            None => (text, None),
        };
        Some(match (range, step) {
            ("*" | "?", None) => "*".to_owned(),
            ("*", Some(step)) => format!("{first:02}/{step}"),
            (range, step) => {
                let base = match range.split_once('-') {
                    Some((from, to)) => format!("{:02}..{:02}", number(from)?, number(to)?),
                    None => format!("{:02}", number(range)?),
                };
                step.map_or(base.clone(), |step| format!("{base}/{step}"))
            }
        })
    };
    let all: Option<Vec<String>> = text.split(',').map(one).collect();
    Some(all?.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cron_gets_lines_that_it_understands() {
        // W-047, W-048
        let line = |text: &str| {
            crontab(text, "Europe/Paris", "sexton run reindex --yes").map(|lines| lines[1].clone())
        };
        assert_eq!(line("0 2 * * *").unwrap(), "0 2 * * * sexton run reindex --yes");
        assert_eq!(
            line("0 4 * * sun#1").unwrap(),
            "0 4 1-7 * * test \"$(date +\\%w)\" = 0 && sexton run reindex --yes"
        );
        assert_eq!(
            line("0 3 L * *").unwrap(),
            "0 3 28-31 * * test \"$(date -d tomorrow +\\%d)\" = 01 && sexton run reindex --yes"
        );
        assert!(line("0 4 * * 5L").unwrap_err().contains("sexton serve"));
        assert_eq!(crontab("@daily", "UTC", "x").unwrap(), ["CRON_TZ=UTC", "0 0 * * * x"]);
    }

    #[test]
    fn systemd_gets_calendars_that_it_understands() {
        let said = |text: &str| calendar(text, "UTC");
        assert_eq!(said("0 2 * * *").unwrap(), "*-*-* 02:00:00 UTC");
        assert_eq!(said("*/15 8-18 * * mon-fri").unwrap(), "Mon..Fri *-*-* 08..18:00/15:00 UTC");
        assert_eq!(said("0 4 * * sun#1").unwrap(), "Sun *-*-01..07 04:00:00 UTC");
        assert_eq!(said("30 3 L jan,jul *").unwrap(), "*-01,07~01 03:30:00 UTC");
        assert!(said("0 0 1 * mon").is_err());
    }
}
