//! Changes of many rows, written so that each transaction is short: PostgreSQL walks the pages and commits between.
//!
//! Only for changes that a second pass over a row does not spoil.

use super::rewrite::{shown, word};
use targets::db::TableName;

/// Pages to a transaction: some ten thousand rows.
const PAGES: u32 = 500;

/// Fills a column where it is still empty.
pub fn fill_in_batches(table: &TableName, column: &str, value: &str) -> String {
    let column = word(column);
    walk(table, &format!("update {} set {column} = {value}\n    where {column} is null and", shown(table)))
}

/// The same for a `delete` that names no other table.
pub fn delete_in_batches(sql: &str, table: &TableName, condition: Option<&str>) -> Option<String> {
    if names_others(sql, &["using", "returning", "with", "current"]) {
        return None;
    }
    let condition = condition.map_or_else(String::new, |condition| format!("({condition}) and"));
    Some(walk(table, &format!("delete from {}\n    where {condition}", shown(table))))
}

/// The same for an `update` whose condition no longer holds for a row that it has changed.
pub fn update_in_batches(sql: &str, table: &TableName, condition: Option<&str>) -> Option<String> {
    let condition = condition?;
    let lower = sql.to_lowercase();
    let set = lower.find(" set ")? + 5;
    let end = lower.rfind(" where ")?;
    let assigned = sql.get(set..end)?.trim();
    let column = assigned.split('=').next()?.trim().to_lowercase();
    let value = assigned.split_once('=')?.1.trim().to_lowercase();
    let ends = condition.to_lowercase().split(" and ").any(|part| {
        part.trim_matches(['(', ')', ' ']).split_whitespace().eq([column.as_str(), "is", "null"])
    });
    let alone = !names_others(sql, &["from", "returning", "with", "current"]) && !value.starts_with("null");
    (ends && alone)
        .then(|| walk(table, &format!("update {} set {assigned}\n    where ({condition}) and", shown(table))))
}

/// Whether one of these words stands in the statement as a word of its own, apart from its beginning.
fn names_others(sql: &str, words: &[&str]) -> bool {
    let lower = sql.to_lowercase();
    let mut found = lower
        .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .filter(|word| !word.is_empty());
    let first = found.next() == Some("delete");
    found.skip(usize::from(first)).any(|word| words.contains(&word))
}

fn walk(table: &TableName, statement: &str) -> String {
    let regclass = shown(table).replace('\'', "''");
    // The name of the quote must not stand in the statement.
    let mark = (0..).map(|n| if n == 0 { "$$".to_owned() } else { format!("$do{n}$") });
    let mark = mark.into_iter().find(|mark| !statement.contains(mark.as_str())).unwrap_or_default();
    format!(
        "do {mark}
declare
  page bigint := 0;
  pages bigint := pg_relation_size('{regclass}') / current_setting('block_size')::bigint;
begin
  while page <= pages loop
    {statement} ctid >= format('(%s,0)', page)::tid and ctid < format('(%s,0)', page + {PAGES})::tid;
    commit;
    page := page + {PAGES};
  end loop;
end
{mark}"
    )
}
