//! Findings for people: the line with a caret, what to do, and what each statement costs.

use crate::cli::console::{Console, Style};
use crate::cli::numbers::{bytes, count, of};
use crate::cli::table::Table;
use crate::wiring::lint::codes::RULES;
use crate::wiring::lint::{Engine, Finding, Judged, Level, Linted, Risk, Source, shown as seconds};
use annotate_snippets::{AnnotationKind, Level as Title, Renderer, Snippet};

/// All that was found, then what the statements cost, then the sum.
pub fn shown(linted: &Linted, sources: &[Source], console: &Console) -> String {
    let mut parts = Vec::new();
    for (judged, finding) in linted.findings() {
        let text = sources
            .iter()
            .find(|source| source.file == judged.file)
            .map_or("", |source| source.text.as_str());
        // A note is one line, unless somebody wants to see all.
        if finding.level == Level::Note && !console.verbose {
            continue;
        }
        parts.push(snippet(judged, finding, text, console));
    }
    let notes: Vec<String> = linted
        .findings()
        .filter(|(_, finding)| finding.level == Level::Note && !console.verbose)
        .map(|(judged, finding)| {
            let place = console.paint(Style::Faint, &format!("{}:{}", judged.file, finding.line));
            format!(
                "{}: {}  {place}",
                console.paint(Style::Strong, &format!("note[{}]", finding.code)),
                finding.text
            )
        })
        .collect();
    if !notes.is_empty() {
        parts.push(notes.join("\n"));
    }
    if linted.database.is_some() {
        parts.extend(costs(linted, console));
    }
    parts.push(sum(linted, sources, console));
    parts.join("\n\n")
}

fn snippet(judged: &Judged, finding: &Finding, text: &str, console: &Console) -> String {
    let plain = console.ansi_or_plain("ansi", "plain", true) == "plain";
    let renderer = if plain { Renderer::plain() } else { Renderer::styled() };
    let title = match finding.level {
        Level::Error => Title::ERROR,
        Level::Warning => Title::WARNING,
        Level::Note => Title::NOTE,
    };
    let end = finding.span.end.min(text.len());
    let span = finding.span.start.min(end)..end;
    // A caret under a whole statement says no more than one under its first line.
    let first = text[span.clone()].find('\n').unwrap_or(span.len());
    let mut group = title.primary_title(finding.text.as_str()).id(finding.code).element(
        Snippet::source(text)
            .path(judged.file.as_str())
            .annotation(AnnotationKind::Primary.span(span.start..span.start + first)),
    );
    if let Some(help) = &finding.help {
        group = group.element(Title::HELP.message(help.as_str()));
    }
    if !finding.rewrite.is_empty() {
        let written = format!("`sexton migrate rewrite {}` writes it so", judged.file);
        group = group.element(Title::NOTE.message(written));
        return renderer.render(&[group]).to_string();
    }
    renderer.render(&[group]).to_string()
}

/// One line for each statement that somebody may wait for.
fn costs(linted: &Linted, console: &Console) -> Option<String> {
    let mut table =
        Table::new(["statement", "locks", "table", "rows", "size", "writes/s", "takes", "risk"], &[3, 4, 5]);
    let mut colors = Vec::new();
    for judged in &linted.statements {
        if judged.lock.is_none() && !judged.scans && !judged.rewrites {
            continue;
        }
        let mut takes = judged.seconds.map_or_else(|| "?".to_owned(), seconds);
        if judged.rewrites {
            takes.push_str(", written anew");
        } else if judged.scans {
            takes.push_str(", read");
        }
        table.row([
            beginning(judged),
            judged.lock.map_or_else(String::new, |lock| lock.word().to_lowercase()),
            judged.table.clone().unwrap_or_default(),
            judged.rows.map_or_else(String::new, count),
            judged.bytes.map_or_else(String::new, bytes),
            judged.writes_per_second.map_or_else(String::new, |writes| format!("{writes:.1}")),
            takes,
            judged.risk.word().to_owned(),
        ]);
        colors.push(judged.risk);
    }
    if table.is_empty() {
        return None;
    }
    let mut lines = table.lines(0).into_iter();
    let mut all: Vec<String> = lines.next().into_iter().collect();
    for (line, risk) in lines.zip(colors) {
        all.push(match risk {
            Risk::High => console.paint(Style::Bad, &line),
            Risk::Medium => console.paint(Style::Warn, &line),
            Risk::Low => line,
        });
    }
    Some(all.join("\n"))
}

/// The first words of a statement, with its line.
fn beginning(judged: &Judged) -> String {
    const LONGEST: usize = 44;
    let words = judged.statement.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = words.chars().take(LONGEST).collect();
    let dots = if words.chars().count() > LONGEST { "…" } else { "" };
    format!("{:>4}  {short}{dots}", judged.line)
}

fn sum(linted: &Linted, sources: &[Source], console: &Console) -> String {
    let dialect = match linted.engine {
        Engine::Sqlite => "SQLite",
        Engine::Postgres => "PostgreSQL",
    };
    let mut found: Vec<String> = [
        (linted.errors, "error", "errors", Style::Bad),
        (linted.warnings, "warning", "warnings", Style::Warn),
        (linted.notes, "note", "notes", Style::Strong),
    ]
    .into_iter()
    .filter(|(number, ..)| *number > 0)
    .map(|(number, one, several, style)| console.paint(style, &of(number as u64, one, several)))
    .collect();
    if found.is_empty() {
        found.push(console.paint(Style::Good, "nothing found"));
    }
    if linted.ignored > 0 {
        found.push(format!("{} allowed by comments", linted.ignored));
    }
    let where_ = match &linted.database {
        Some(database) => format!("on {database}, {dialect} {}", linted.version),
        None => format!("for {dialect} {}, without a database", linted.version),
    };
    let takes = linted.seconds.map_or_else(String::new, |all| format!(", all in all {}", seconds(all)));
    format!(
        "{} in {} of {}, {where_}; risk {}{takes}",
        found.join(", "),
        of(linted.statements.len() as u64, "statement", "statements"),
        of(sources.len() as u64, "file", "files"),
        linted.risk.word(),
    )
}

/// Every rule in a line.
pub fn rules() -> String {
    let mut table = Table::new(["code", "level", "where", "about"], &[]);
    for rule in RULES {
        let level = format!("{}{}", rule.level.word(), if rule.waits { " by size" } else { "" });
        let place = match rule.engine {
            Some(Engine::Sqlite) => "SQLite",
            Some(Engine::Postgres) => "PostgreSQL",
            None => "both",
        };
        table.row([rule.code.to_owned(), level, place.to_owned(), rule.about.to_owned()]);
    }
    table.text()
}
