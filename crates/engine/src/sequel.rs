//! What an earlier operation of a run does to the figures of a later one.
//!
//! Each operation is planned by itself, on the tables as they are now. Where one before it will have deleted or changed rows of
//! the same table, what was counted is an estimate, and the plan says so (W-112). It stays the limit of what may be done.

use crate::finding::Finding;
use crate::plan::{Item, Undo};
use std::collections::BTreeMap;

/// Marks steps whose tables an earlier operation on the same database touches, and tells which one.
pub(crate) fn mark_estimates(items: &mut [Item]) {
    let mut touched: BTreeMap<(String, String), String> = BTreeMap::new();
    for item in items {
        // What changes no rows neither spoils figures nor has any that could be spoilt.
        if item.undo == Undo::NotNeeded || item.skipped.is_some() || item.failed.is_some() {
            continue;
        }
        let database = item.operation.database.clone();
        let mut own = Vec::new();
        let mut found: Vec<(String, String)> = Vec::new();
        for (n, step) in item.steps.iter_mut().enumerate() {
            if step.only_reports() || step.matched == 0 {
                continue;
            }
            let mut tables = vec![step.object.clone()];
            tables.extend(step.dependants.iter().filter(|of| of.rows > 0).map(|of| of.table.clone()));
            let before = tables.iter().find_map(|table| touched.get(&(database.clone(), table.clone())));
            if let Some(before) = before {
                if step.exact {
                    step.exact = false;
                    item.estimates.push(n);
                }
                if !found.iter().any(|(table, _)| *table == step.object) {
                    found.push((step.object.clone(), before.clone()));
                }
            }
            own.extend(tables);
        }
        for (table, before) in found {
            item.findings.push(Finding::note(
                "estimate",
                &table,
                format!("counted as its rows are now; `{before}`, which runs before, changes some of them"),
                format!("for exact figures run `{before}` first, then plan again"),
            ));
        }
        for table in own {
            touched.entry((database.clone(), table)).or_insert_with(|| item.operation.name.clone());
        }
    }
}
