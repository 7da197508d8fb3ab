//! Names of archive files: safe for any operation, table and run, and the same again for a repeated batch.
//!
//! Different inputs give different names: what is not a plain character becomes `=` and two hex digits, and what
//! is too long for a file system is cut and told apart by a checksum. Upper and lower case are kept as they
//! are, so a store that ignores case cannot keep tables apart that differ only in case.

use super::{Format, seal::hex};
use sha2::{Digest, Sha256};
use targets::db::TableName;

/// The name of the file of one batch: `<operation>/<table>/<run>-<batch>.jsonl.zst` or `.parquet`.
pub fn file_name(format: Format, operation: &str, table: &TableName, run: &str, batch: u64) -> String {
    let ending = match format {
        Format::JsonLines => "jsonl.zst",
        Format::Parquet => "parquet",
    };
    format!("{}-{batch:06}.{ending}", stem(operation, table, run))
}

/// The name of the manifest of a run's archives of one table.
pub fn manifest_name(operation: &str, table: &TableName, run: &str) -> String {
    format!("{}.manifest.json", stem(operation, table, run))
}

fn stem(operation: &str, table: &TableName, run: &str) -> String {
    // A dot inside a name is escaped, so the one between schema and table is unambiguous.
    let table = match &table.schema {
        Some(schema) => shorten(format!("{}.{}", escape(schema), escape(&table.name))),
        None => shorten(escape(&table.name)),
    };
    format!("{}/{table}/{}", shorten(escape(operation)), shorten(escape(run)))
}

/// What is no plain character becomes `=` and two hex digits.
pub(crate) fn escape(name: &str) -> String {
    if name.is_empty() {
        return "=".to_owned();
    }
    name.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => char::from(byte).to_string(),
            _ => format!("={byte:02x}"),
        })
        .collect()
}

fn shorten(escaped: String) -> String {
    const LONGEST: usize = 150;
    if escaped.len() <= LONGEST {
        return escaped;
    }
    let sum = hex(&Sha256::digest(&escaped));
    // `==` cannot come out of `escape`, so a cut name never meets a whole one.
    format!("{}=={}", &escaped[..LONGEST - 34], &sum[..32])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_name_of_a_batch_reads_well_and_repeats() {
        let table = TableName::within("public", "TaskExecutionLog");
        let name = file_name(Format::JsonLines, "logs", &table, "7f3", 12);
        assert_eq!(name, "logs/public.TaskExecutionLog/7f3-000012.jsonl.zst");
        let name = file_name(Format::Parquet, "logs", &TableName::bare("t"), "7f3", 1_234_567);
        assert_eq!(name, "logs/t/7f3-1234567.parquet");
    }

    #[test]
    fn every_table_name_gives_a_safe_name_of_its_own() {
        let long = "é".repeat(90);
        let longer = format!("{long}x");
        let tables = [
            TableName::bare(""),
            TableName::bare("="),
            TableName::bare(".."),
            TableName::bare("../../etc/passwd"),
            TableName::bare("a.b"),
            TableName::within("a", "b"),
            TableName::bare("a=2eb"),
            TableName::bare("a/b"),
            TableName::bare("a\0b\n"),
            TableName::bare(&long),
            TableName::bare(&longer),
            TableName::within(&long, &long),
        ];
        let names: BTreeSet<String> =
            tables.iter().map(|table| file_name(Format::Parquet, "o", table, "r", 1)).collect();
        assert_eq!(names.len(), tables.len());
        for name in &names {
            targets::files::check_name(name).unwrap();
            assert!(name.bytes().all(|byte| byte.is_ascii_graphic()), "{name}");
        }
    }
}
