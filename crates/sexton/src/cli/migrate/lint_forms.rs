//! Findings as annotations of a pull request.

use crate::wiring::lint::{Level, Linted};

/// One line for each finding, as workflow commands.
pub fn github(linted: &Linted) -> String {
    let line = |(judged, finding): (&crate::wiring::lint::Judged, &crate::wiring::lint::Finding)| {
        let command = match finding.level {
            Level::Note => "notice",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        let help = finding.help.as_ref().map_or_else(String::new, |help| format!("\nhelp: {help}"));
        format!(
            "::{command} file={},line={},endLine={},col={},endColumn={},title={}::{}",
            property(&judged.file),
            finding.line,
            finding.end_line,
            finding.column,
            finding.end_column,
            property(finding.code),
            message(&format!("{}{help}", finding.text)),
        )
    };
    linted.findings().map(line).collect::<Vec<_>>().join("\n")
}

fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}
