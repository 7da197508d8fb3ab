//! What the connected user may not do with the tables of a sweep, told at planning and not by the first batch.
//! Read-only.
//!
//! Rights are those of the tables in which rows really lie. Whoever owns a table, or may do anything, lacks none.

use super::checks::touched;
use super::plan::Sweep;
use super::policy::Undo;
use super::relations::Child;
use engine::Finding;
use targets::db::Table;

/// Finds rights that are missing for the change itself, and for its undo.
pub fn check_rights(sweep: &Sweep, leaves: &[Table], children: &[Child], findings: &mut Vec<Finding>) {
    let mut told: Vec<&Table> = Vec::new();
    for (table, updates) in touched(leaves, children, sweep.act.updates()) {
        if told.iter().any(|known| known.name == table.name) {
            continue;
        }
        told.push(table);
        let mut missing = Vec::new();
        let needs = [
            (table.rights.select, "select", true),
            // Rows that are to go are locked first, which is a right of those who may change them.
            (table.rights.update, "update", true),
            (table.rights.delete, "delete", !updates),
        ];
        missing.extend(needs.iter().filter(|(may, _, needed)| *needed && !may).map(|(_, right, _)| *right));
        let grant = |rights: &str| format!("grant {rights} on {} to ROLE, as its owner", table.name.quoted());
        if !missing.is_empty() {
            findings.push(Finding::forbid(
                "permission",
                &table.name,
                format!("this user lacks the right to {} its rows", missing.join(", ")),
                grant(&missing.join(", ")),
            ));
        } else if sweep.undo == Undo::Rows && !updates && !table.rights.insert {
            findings.push(Finding::warning(
                "permission",
                &table.name,
                "this user may not insert rows, so an undo by it could not put them back",
                grant("insert"),
            ));
        }
    }
}

/// Finds that the table is not the user's own, where only its owner may do what is planned.
pub fn check_owner(table: &Table, findings: &mut Vec<Finding>) {
    if !table.rights.owner {
        findings.push(Finding::forbid(
            "permission",
            &table.name,
            "only its owner may empty it or drop its partitions",
            "run as its owner, or leave `bulk` at `batches`",
        ));
    }
}
