//! Times that the source holds as texts of several forms, or of another one than it makes itself: it orders them as texts, the target as
//! what they are.

use super::convert::Rule;
use super::design::{Design, Profiles};
use super::profile::{AS_DATETIME, DAY_ALONE};
use super::source::Source;
use engine::Finding;

/// What views and triggers may see of them that was otherwise.
pub fn findings(source: &Source, design: &Design, profiles: &Profiles) -> Vec<Finding> {
    let is_carried = |name: &str| {
        let views = design.views.iter().map(|view| &view.source);
        views.chain(design.triggers.iter().map(|trigger| &trigger.source)).any(|carried| carried == name)
    };
    let readers: Vec<(&str, String)> = source
        .others
        .iter()
        .filter(|other| is_carried(&other.name))
        .map(|other| (other.name.as_str(), other.sql.to_lowercase()))
        .collect();
    let mut findings = Vec::new();
    for table in &design.tables {
        let Some(from) = source.tables.iter().find(|from| from.name() == table.source) else { continue };
        let seen = profiles.get(from.name()).into_iter().flatten();
        let columns = from.table.columns.iter().zip(seen);
        for (column, seen) in columns {
            let are_several = seen.forms.count_ones() > 1;
            if !are_several && [0, DAY_ALONE, AS_DATETIME].contains(&seen.forms) {
                continue;
            }
            let is_moment = |rule: &Rule| matches!(rule, Rule::Moment(..));
            if !table.columns.iter().any(|made| made.source == column.name && is_moment(&made.rule)) {
                continue;
            }
            let name = column.name.to_lowercase();
            let names_it = |sql: &str| sql.match_indices(&name).any(|(at, _)| is_word(sql, at, name.len()));
            let makes_times =
                |sql: &str| ["datetime(", "current_timestamp"].iter().any(|word| sql.contains(word));
            let reads = |sql: &str| names_it(sql) && (are_several || makes_times(sql));
            let form = if are_several { "several forms" } else { "another form than that of `datetime()`" };
            let names: Vec<String> = readers
                .iter()
                .filter(|(_, sql)| reads(sql))
                .map(|(reader, _)| format!("`{reader}`"))
                .collect();
            if !names.is_empty() {
                findings.push(Finding::note(
                    "forms_of_times",
                    format!("{}.{}", table.source, column.name),
                    format!(
                        "its times are written in {form}, which SQLite compares as texts and PostgreSQL as times; {} may answer otherwise",
                        names.join(", ")
                    ),
                    "ask both sides what matters to you: `queries`",
                ));
            }
        }
    }
    findings
}

/// Whether nothing before or behind belongs to the same word.
fn is_word(text: &str, at: usize, length: usize) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    !text[..at].ends_with(is_part) && !text[at + length..].starts_with(is_part)
}
