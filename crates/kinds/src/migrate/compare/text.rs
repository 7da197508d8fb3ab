//! A comparison as people read it: one object a paragraph, and under it what differs.

use super::differences::{Changed, Comparison, Difference, What};
use std::fmt::Write;

/// Empty when both are equal.
impl std::fmt::Display for Comparison {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let paragraphs: Vec<String> = self.differences.iter().map(paragraph).collect();
        f.write_str(&paragraphs.join("\n"))
    }
}

impl Comparison {
    /// Each difference in one line, as a change that was not expected.
    pub fn lines(&self) -> Vec<String> {
        self.differences.iter().map(line).collect()
    }
}

fn line(difference: &Difference) -> String {
    let bare = |name: &str| name.strip_prefix("public.").unwrap_or(name).to_owned();
    let mut whole = format!("{} `{}`", difference.kind, bare(&difference.name));
    if let Some(of) = &difference.of {
        let _ = write!(whole, " of `{}`", bare(of));
    }
    match difference.what {
        What::Missing => format!("{whole} is gone"),
        What::Extra => format!("{whole} is new"),
        What::Different => {
            let side = |value: &Option<String>| {
                let words = value.as_deref().unwrap_or("none").split_whitespace();
                words.collect::<Vec<_>>().join(" ")
            };
            let facts = difference.facts.iter();
            let told: Vec<String> = facts
                .map(|fact| {
                    format!("{} {} instead of {}", fact.fact, side(&fact.found), side(&fact.expected))
                })
                .collect();
            format!("{whole} is another: {}", told.join(", "))
        }
    }
}

fn paragraph(difference: &Difference) -> String {
    let what = match difference.what {
        What::Missing => "missing",
        What::Extra => "extra",
        What::Different => "different",
    };
    let mut text = format!("{what:<10}{} {}", difference.kind, difference.name);
    if let Some(of) = &difference.of {
        let _ = write!(text, " of {of}");
    }
    if !difference.with.is_empty() {
        let with: Vec<String> = difference.with.iter().map(|(kind, count)| counted(*count, kind)).collect();
        let _ = write!(text, ", with {}", with.join(", "));
    }
    for one in &difference.facts {
        text.push_str(&fact(one));
    }
    for statement in &difference.statements {
        let _ = write!(text, "\n  mend    {};", indented(statement));
    }
    if let Some(why) = &difference.by_hand {
        let _ = write!(text, "\n  by hand {why}");
    }
    text
}

fn fact(one: &Changed) -> String {
    let side = |value: &Option<String>| value.as_deref().map_or_else(|| "none".to_owned(), indented);
    let (expected, found) = (side(&one.expected), side(&one.found));
    format!("\n  {}\n    - {found}\n    + {expected}", one.fact)
}

/// Further lines under the first.
fn indented(text: &str) -> String {
    text.trim().replace('\n', "\n          ")
}

fn counted(count: u64, kind: &str) -> String {
    let plural = match kind {
        _ if count == 1 => kind.to_owned(),
        "index" => "indexes".to_owned(),
        "primary key" | "foreign key" | "column" | "trigger" | "sequence" | "check" | "rule" | "grant" => {
            format!("{kind}s")
        }
        other => other.to_owned(),
    };
    format!("{count} {plural}")
}
