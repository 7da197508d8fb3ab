//! The page for a terminal.

use super::super::console::{Console, Style};
use super::super::numbers::{bytes, minute, of};
use super::{Page, about, figures, grouped, words};
use jiff::Timestamp;
use serde_json::Value as Json;

/// All pages, one after the other.
pub fn pages(pages: &[Page], compare: bool, now: Timestamp, console: &Console) -> String {
    let all: Vec<String> = pages.iter().map(|page| one(page, compare, now, console)).collect();
    all.join("\n\n")
}

fn one(page: &Page, compare: bool, _now: Timestamp, console: &Console) -> String {
    let found = &page.found;
    let mut lines =
        vec![format!("{} {}: {}", console.paint(Style::Strong, "doctor"), page.name, about(found))];
    let told: Vec<String> =
        figures(found).into_iter().map(|(name, value)| format!("{name} {value}")).collect();
    if !told.is_empty() {
        lines.push(format!("       {}", told.join(", ")));
    }
    let most = if console.verbose { usize::MAX } else { 5 };
    for (level, heading, style) in
        [("warning", "look at these", Style::Warn), ("note", "good to know", Style::Faint)]
    {
        let groups = grouped(&found["findings"], most);
        let own: Vec<_> = groups.iter().filter(|(group, _)| group[0]["level"] == level).collect();
        if own.is_empty() {
            continue;
        }
        lines.push(String::new());
        lines.push(console.paint(style, heading));
        for (group, more) in own {
            for finding in group {
                lines.push(format!(
                    "  {} {}",
                    console.paint(Style::Strong, words(finding, "object")),
                    words(finding, "what")
                ));
                lines.push(format!(
                    "    {} {}",
                    console.paint(Style::Good, "mend:"),
                    words(finding, "remedy")
                ));
            }
            if *more > 0 {
                let code = words(group[0], "code").replace('_', " ");
                lines.push(format!(
                    "  and {} of this sort ({code}); `-v` shows all",
                    of(*more as u64, "more", "more")
                ));
            }
        }
    }
    if found["findings"].as_array().is_none_or(Vec::is_empty) {
        lines.push(format!("{} nothing was found", console.paint(Style::Good, "good")));
    }
    if compare {
        lines.push(String::new());
        lines.extend(compared(found, console));
    }
    lines.join("\n")
}

fn compared(found: &Json, console: &Console) -> Vec<String> {
    let compared = &found["compared"];
    let Some(since) = compared["since"].as_str().and_then(|at| at.parse().ok()) else {
        return vec!["there was no look before this one, so there is nothing to compare with".to_owned()];
    };
    let list = |key: &str| compared[key].as_array().cloned().unwrap_or_default();
    let (new, gone) = (list("new"), list("gone"));
    let mut lines = vec![format!(
        "{} with {} (UTC): {} new, {} gone",
        console.paint(Style::Strong, "compared"),
        minute(since),
        new.len(),
        gone.len()
    )];
    for (sign, list) in [("+", new), ("-", gone)] {
        for one in list.iter().take(20) {
            lines.push(format!(
                "  {sign} {}: {}",
                words(one, "code").replace('_', " "),
                words(one, "object")
            ));
        }
    }
    for table in found["growth"]["tables_per_day"].as_array().into_iter().flatten().take(5) {
        let rate = table[1].as_f64().unwrap_or(0.0);
        let way = if rate < 0.0 { "shrinks" } else { "grows" };
        let name = table[0].as_str().unwrap_or_default();
        lines.push(format!("  {name} {way} by {} a day", bytes(rate.abs() as u64)));
    }
    lines
}
