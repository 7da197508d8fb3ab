//! A few of the rows that a plan is about, so that a person sees what a number means before agreeing to it.
//!
//! They are read when they are asked for and are no part of the plan: nobody's data is kept in the log of runs.

use crate::engine::Engine;
use crate::error::{Failure, Result};
use crate::plan::{Plan, Step};
use serde::Serialize;
use targets::db::{Facts, Sql, Table, Value};

/// Longer values are cut.
const LONGEST: usize = 120;

/// Some rows of one step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Examples {
    /// The place of the operation in the plan.
    pub item: usize,
    /// The place of the step in the operation.
    pub step: usize,
    /// The columns, in the order of the table.
    pub columns: Vec<String>,
    /// The rows, as text; null is null.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Examples {
    /// The first rows of some tables of one shape that satisfy a condition over `t`.
    pub fn of_tables(facts: &mut dyn Facts, leaves: &[Table], condition: &Sql, most: u64) -> Result<Self> {
        let mut examples = Self::default();
        let Some(first) = leaves.first() else { return Ok(examples) };
        examples.columns = first.columns.iter().map(|column| column.name.clone()).collect();
        for leaf in leaves {
            let left = most.saturating_sub(examples.rows.len() as u64);
            if left == 0 {
                break;
            }
            let columns: Vec<String> = examples
                .columns
                .iter()
                .map(|name| {
                    leaf.column(name)
                        .map_or_else(|| "null".to_owned(), |column| facts.dialect().outward(column))
                })
                .collect();
            let select = Sql::new(&format!("select {} from ", columns.join(", ")))
                .table(&leaf.name)
                .text(" as t where ")
                .add(condition)
                .text(&format!(" limit {left}"));
            examples.rows.extend(facts.rows(&select)?.iter().map(|row| row.iter().map(shown).collect()));
        }
        Ok(examples)
    }
}

/// As people read it.
fn shown(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::Text(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => Some(format!("{}…", &text[..end])),
        None => Some(text),
    }
}

impl Engine {
    /// Some rows of each step that is about rows, at most `most` of each; read where the database refuses writes.
    pub fn examples(&self, plan: &Plan, most: u64) -> Result<Vec<Examples>, Failure> {
        let mut all = Vec::new();
        for (n, item) in plan.items.iter().enumerate().filter(|(_, item)| item.failed.is_none()) {
            let steps: Vec<(usize, &Step)> =
                item.steps.iter().enumerate().filter(|(_, step)| step.matched > 0).collect();
            if steps.is_empty() {
                continue;
            }
            let operation = self.operation(&item.operation)?;
            let mut facts = self.database(&item.operation.database)?.read()?;
            for (place, step) in steps {
                if let Some(examples) = operation.examples(step, most, facts.as_mut())? {
                    all.push(Examples { item: n, step: place, ..examples });
                }
            }
        }
        Ok(all)
    }
}
