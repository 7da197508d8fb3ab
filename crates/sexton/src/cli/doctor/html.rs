//! The page for a browser: one file that needs nothing else, in light and dark, without a script.
//!
//! Everything that comes from a database is escaped; there is no link, no image and no style from outside.

use super::super::numbers::{count, minute};
use super::{Page, about, chart, figures, grouped, sort_of, words};
use jiff::Timestamp;
use serde_json::Value as Json;
use std::fmt::Write;

const STYLE: &str = include_str!("page.css");

/// All pages as one.
pub fn page(pages: &[Page], now: Timestamp) -> String {
    let names: Vec<&str> = pages.iter().map(|page| page.name.as_str()).collect();
    let title = format!("Doctor: {}", names.join(", "));
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        escaped(&title)
    );
    for page in pages {
        one(page, now, &mut html);
    }
    let _ = write!(
        html,
        "<footer>Looked at {} UTC by sexton {}, read-only.</footer>\n</main>\n</body>\n</html>\n",
        minute(now),
        env!("CARGO_PKG_VERSION")
    );
    html
}

fn one(page: &Page, now: Timestamp, html: &mut String) {
    let found = &page.found;
    let all = found["findings"].as_array().map_or(0, Vec::len) as u64;
    let warnings = found["warnings"].as_u64().unwrap_or(0);
    let _ = write!(
        html,
        "<section class=\"database\">\n<header>\n<h1>{}</h1>\n<p>{}</p>\n<p class=\"verdict {}\">{}</p>\n</header>\n",
        escaped(&page.name),
        escaped(&about(found)),
        if warnings > 0 { "warn" } else { "good" },
        match (warnings, all) {
            (0, 0) => "Nothing was found.".to_owned(),
            (0, notes) => format!("Nothing needs you. {} good to know.", things(notes)),
            (warnings, all) if all > warnings => {
                format!("{}, {} good to know.", needing(warnings), things(all - warnings))
            }
            (warnings, _) => format!("{}.", needing(warnings)),
        }
    );
    html.push_str("<dl class=\"figures\">");
    for (name, value) in figures(found) {
        let _ = write!(html, "<div><dt>{name}</dt><dd>{}</dd></div>", escaped(&value));
    }
    html.push_str("</dl>\n");
    for (level, heading) in [("warning", "Look at these"), ("note", "Good to know")] {
        findings(found, level, heading, html);
    }
    growth(found, now, html);
    largest(found, html);
    compared(found, html);
    html.push_str("</section>\n");
}

fn needing(number: u64) -> String {
    engine::words::of(number, "finding needs you", "findings need you")
}

fn things(number: u64) -> String {
    engine::words::of(number, "finding", "findings")
}

fn findings(found: &Json, level: &str, heading: &str, html: &mut String) {
    let groups = grouped(&found["findings"], usize::MAX);
    let own: Vec<_> = groups.into_iter().filter(|(group, _)| group[0]["level"] == level).collect();
    if own.is_empty() {
        return;
    }
    let _ = write!(html, "<h2>{heading}</h2>\n<div class=\"findings {level}\">\n");
    for (group, _) in own {
        let _ = write!(html, "<article>\n<h3>{}</h3>\n", escaped(&sort_of(words(group[0], "code"))));
        let (shown, hidden) = group.split_at(group.len().min(5));
        shown.iter().for_each(|finding| item(finding, html));
        if !hidden.is_empty() {
            let _ = writeln!(html, "<details><summary>{} more</summary>", count(hidden.len() as u64));
            hidden.iter().for_each(|finding| item(finding, html));
            html.push_str("</details>\n");
        }
        html.push_str("</article>\n");
    }
    html.push_str("</div>\n");
}

fn item(finding: &Json, html: &mut String) {
    let _ = writeln!(
        html,
        "<div class=\"finding\"><p><strong>{}</strong> {}</p><p class=\"remedy\"><code>{}</code></p></div>",
        escaped(words(finding, "object")),
        with_code(words(finding, "what")),
        escaped(words(finding, "remedy")),
    );
}

fn growth(found: &Json, now: Timestamp, html: &mut String) {
    let points: Vec<(i64, u64)> = found["growth"]["sizes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|point| {
            let at: Timestamp = point[0].as_str()?.parse().ok()?;
            Some((at.as_second(), point[1].as_u64()?))
        })
        .collect();
    // Looks of the same minute are no growth.
    let span = points.first().zip(points.last()).map_or(0, |(first, last)| last.0 - first.0);
    let Some(first) = points.first().filter(|_| span >= 60) else { return };
    let from = Timestamp::from_second(first.0).unwrap_or(now);
    let _ = write!(html, "<h2>Growth</h2>\n{}\n", chart::line(&points, &minute(from), &minute(now)));
}

fn largest(found: &Json, html: &mut String) {
    let rows: Vec<(String, u64, u64)> = found["largest_tables"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|table| {
            let bytes = |key: &str| table[key].as_u64();
            Some((words(table, "name").to_owned(), bytes("table_bytes")?, bytes("index_bytes").unwrap_or(0)))
        })
        .filter(|(_, own, indexes)| own + indexes > 0)
        .take(12)
        .collect();
    if !rows.is_empty() {
        let _ = write!(
            html,
            "<h2>Largest tables</h2>\n<p class=\"legend\"><span class=\"rows\"></span> rows <span class=\"indexes\"></span> \
             indexes</p>\n{}\n",
            chart::bars(&rows)
        );
    }
}

fn compared(found: &Json, html: &mut String) {
    let compared = &found["compared"];
    let Some(since) = compared["since"].as_str().and_then(|at| at.parse::<Timestamp>().ok()) else { return };
    let _ = write!(html, "<h2>Since {} UTC</h2>\n<ul class=\"compared\">", minute(since));
    let mut any = false;
    for (key, sign) in [("new", "new"), ("gone", "gone")] {
        for one in compared[key].as_array().into_iter().flatten().take(40) {
            any = true;
            let _ = write!(
                html,
                "<li><span class=\"{sign}\">{sign}</span> {}: {}</li>",
                escaped(&sort_of(words(one, "code"))),
                escaped(words(one, "object"))
            );
        }
    }
    html.push_str(if any { "</ul>\n" } else { "<li>nothing is new, nothing is gone</li></ul>\n" });
}

/// Text in which names between backticks are set as code.
fn with_code(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // An odd one out is a backtick of a name.
    if parts.len().is_multiple_of(2) {
        return escaped(text);
    }
    let set = |(n, part): (usize, &&str)| match n % 2 {
        0 => escaped(part),
        _ => format!("<code>{}</code>", escaped(part)),
    };
    parts.iter().enumerate().map(set).collect()
}

/// Text as it may stand in an element or an attribute.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // What turns text round, or ends it, would show something else than is there.
            letter if letter.is_control() || ('\u{202a}'..='\u{202e}').contains(&letter) => {
                safe.push('\u{fffd}')
            }
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_of_a_database_becomes_markup() {
        let evil = "<script>alert(1)</script>\"'&\u{202e}";
        let found = json!({
            "passed": false, "warnings": 1, "size_bytes": 1000,
            "database": { "is_sqlite": true, "version": evil, "host": evil },
            "figures": { "tables": 1 },
            "findings": [{ "code": evil, "level": "warning", "object": evil, "what": evil, "remedy": evil }],
            "largest_tables": [{ "name": evil, "table_bytes": 5, "index_bytes": 1 }],
            "growth": { "sizes": [["2026-01-01T00:00:00Z", 5], ["2026-01-02T00:00:00Z", 6]] },
            "compared": { "since": "2026-01-01T00:00:00Z", "new": [{ "code": evil, "object": evil }], "gone": [] },
        });
        let html = page(&[Page { name: evil.to_owned(), found }], "2026-01-02T00:00:00Z".parse().unwrap());
        assert!(!html.contains("<script") && !html.contains('\u{202e}'), "{html}");
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"));
        assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("url("));
    }
}
