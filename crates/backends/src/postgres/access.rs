//! Reads what `explain (format json)` says about how rows would be found.
//!
//! Looks for the first scan below the nodes that only pass rows on. An index counts only when it narrows the search: one
//! that is read from end to end for its order does not.

use super::errors::protocol;
use serde_json::Value;
use targets::db::{Access, Result};

/// Nodes whose row count is not that of the search below them.
const PASSING_ON: &[&str] = &[
    "Aggregate",
    "Limit",
    "LockRows",
    "ModifyTable",
    "Result",
    "Sort",
    "Incremental Sort",
    "Unique",
    "Gather",
    "Gather Merge",
    "Materialize",
];

/// The answer in the plan.
pub(super) fn read(plan: &str) -> Result<Access> {
    let plan: Value =
        serde_json::from_str(plan).map_err(|error| protocol("its plan is not JSON").because(error))?;
    let mut node = &plan[0]["Plan"];
    let mut text = Vec::new();
    while PASSING_ON.contains(&kind(node)) && node["Plans"][0].is_object() {
        node = &node["Plans"][0];
    }
    let rows = node["Plan Rows"].as_f64().map(|rows| rows as u64);
    describe(node, 0, &mut text);
    Ok(Access { index: narrowing(node), rows, text: text.join("\n") })
}

fn kind(node: &Value) -> &str {
    node["Node Type"].as_str().unwrap_or("")
}

/// The index by which the first scan below narrows its search.
fn narrowing(node: &Value) -> Option<String> {
    let name = node["Index Name"].as_str().map(str::to_owned);
    match kind(node) {
        "Index Scan" | "Index Only Scan" => name.filter(|_| node["Index Cond"].is_string()),
        "Bitmap Index Scan" => name,
        _ => narrowing(Some(&node["Plans"][0]).filter(|first| first.is_object())?),
    }
}

fn describe(node: &Value, depth: usize, lines: &mut Vec<String>) {
    let field = |name: &str, before: &str| {
        node[name].as_str().map(|text| format!("{before}{text}")).unwrap_or_default()
    };
    lines.push(format!(
        "{}{}{}{}{}{} (about {} rows)",
        "  ".repeat(depth),
        kind(node),
        field("Index Name", " using "),
        field("Relation Name", " on "),
        field("Index Cond", " where "),
        field("Filter", " filtering "),
        node["Plan Rows"]
    ));
    for child in node["Plans"].as_array().into_iter().flatten() {
        describe(child, depth + 1, lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_of_a_bitmap_scan_is_found_below_a_count() {
        let plan = r#"[{"Plan": {"Node Type": "Aggregate", "Plan Rows": 1, "Plans": [
            {"Node Type": "Bitmap Heap Scan", "Relation Name": "logs", "Plan Rows": 70, "Plans": [
                {"Node Type": "Bitmap Index Scan", "Index Name": "logs_at", "Plan Rows": 70}]}]}}]"#;
        let access = read(plan).unwrap();
        assert_eq!(access.index.as_deref(), Some("logs_at"));
        assert_eq!(access.rows, Some(70));
    }

    #[test]
    fn an_index_read_only_for_its_order_does_not_count() {
        let plan = r#"[{"Plan": {"Node Type": "Index Scan", "Index Name": "logs_at", "Plan Rows": 9}}]"#;
        assert_eq!(read(plan).unwrap().index, None);
    }
}
