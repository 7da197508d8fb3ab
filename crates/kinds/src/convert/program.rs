//! The whole program: what the configuration says, put together so that each column comes out as a value of its own.
//!
//! Values of columns are given one by one, not as an object, so that their text stays exactly what jq made of it.

use super::made::COUNTS;
use super::rules::{self, Making};
use engine::Result;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The program, and behind it, where there are columns, an expression for each.
pub fn compose(text: Option<&str>, columns: &BTreeMap<String, Json>) -> Result<String> {
    // A line end, so that a comment at its end cannot swallow the bracket.
    let own = text.map(|text| format!("({text}\n)"));
    if columns.is_empty() {
        return Ok(text.unwrap_or(".").to_owned());
    }
    let mut each = Vec::new();
    for (column, said) in columns {
        let expression = match rules::read(column, said)? {
            Making::Expression(text) => format!("({text}\n)"),
            Making::Rule(rule) => rule.expression(column),
        };
        let name = Json::from(column.as_str());
        each.push(format!(
            "([{expression}] | if length == 1 then .[0] else error(\"\\({name}): \\(length) values instead of one\") end)"
        ));
    }
    let values = format!("[{}][]", each.join(", "));
    Ok(match own {
        None => values,
        Some(own) => format!(
            "{own} | if type == \"object\" and keys == [\"{COUNTS}\"] then (., (range({}) | null)) else {values} end",
            columns.len() - 1
        ),
    })
}
