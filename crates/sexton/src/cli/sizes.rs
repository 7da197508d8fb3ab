//! The largest tables as a table: what `stats` and `inspect` show a person.

use super::numbers::{bytes, count};
use super::table::Table;
use serde_json::Value as Json;

/// So many are shown; documents have all.
const MOST: usize = 20;

/// The lines for a result that lists tables, and what is left of it; none for other results.
pub fn of(result: &Json) -> Option<(Vec<String>, Json)> {
    let tables = result.get("tables")?.as_array()?;
    tables.first()?.get("total_bytes")?;
    let mut table = Table::new(["table", "rows", "table size", "indexes", "together"], &[1, 2, 3, 4]);
    for one in tables.iter().take(MOST) {
        let size = |key: &str| one[key].as_u64().map_or_else(String::new, bytes);
        let about = if one["rows_exact"] == true { "" } else { "≈ " };
        table.row([
            one["name"].as_str().unwrap_or_default().to_owned(),
            one["rows"].as_u64().map_or_else(|| "?".to_owned(), |rows| format!("{about}{}", count(rows))),
            size("table_bytes"),
            size("index_bytes"),
            size("total_bytes"),
        ]);
    }
    let mut rest = result.clone();
    if let Some(rest) = rest.as_object_mut() {
        for shown in ["tables", "sample", "indexes"] {
            rest.shift_remove(shown);
        }
    }
    let mut lines = table.lines(0);
    if tables.len() > MOST {
        lines.push(format!("and {} more; `--output json` has all", count((tables.len() - MOST) as u64)));
    }
    Some((lines, rest))
}
