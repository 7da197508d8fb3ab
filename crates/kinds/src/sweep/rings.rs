//! Rows of one table that refer to each other in a ring: under `restrict` none of them can go first, so they stay.
//!
//! The plan takes them out of its count. Only the keys of doomed rows that refer to doomed rows are read, and only so
//! many; beyond that the count is an estimate, and says so.

use super::policy::Policy;
use super::relations::{Child, key_of};
use engine::words::rows;
use engine::{Finding, Result};
use std::collections::HashMap;
use targets::db::{Facts, Row, Sql, Table};

/// So many references are looked at.
const MOST: usize = 100_000;

/// What rings keep of the doomed rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// So many.
    Rows(u64),
    /// There may be some.
    Unknown,
}

/// How many of the rows that satisfy `condition`, over `t`, stay because they refer to each other in a ring, or are
/// referred to by such rows.
pub fn kept(table: &Table, children: &[Child], condition: &Sql, facts: &mut dyn Facts) -> Result<Kept> {
    let own = children.iter().filter(|child| child.is_self(table) && child.policy == Policy::Restrict);
    // Without a key any row that refers to a doomed one stands in the way, so there is no ring to look for.
    let Some(key) = &table.key else { return Ok(Kept::Rows(0)) };
    let listed = |prefix: &str| Sql::default().names(prefix, key.columns.iter().map(String::as_str));
    let doomed = Sql::new("(select ")
        .add(&listed("t."))
        .text(" from ")
        .table(&table.name)
        .text(" as t where ")
        .add(condition)
        .text(")");
    let mut references: Vec<Row> = Vec::new();
    for child in own {
        let select = Sql::new("select ")
            .add(&listed("c."))
            .text(", ")
            .add(&listed("p."))
            .text(" from ")
            .table(&table.name)
            .text(" as c join ")
            .table(&table.name)
            .text(" as p on ")
            .add(&child.joined("c", "p"))
            .text(" where ")
            .add(&key_of(key, "c."))
            .text(" <> ")
            .add(&key_of(key, "p."))
            .text(" and ")
            .add(&key_of(key, "c."))
            .text(" in ")
            .add(&doomed)
            .text(" and ")
            .add(&key_of(key, "p."))
            .text(" in ")
            .add(&doomed)
            .text(" limit ")
            .bind((MOST + 1) as i64);
        references.extend(facts.rows(&select)?);
        if references.len() > MOST {
            return Ok(Kept::Unknown);
        }
    }
    let width = key.columns.len();
    let ends = references.iter().map(|row| (format!("{:?}", &row[..width]), format!("{:?}", &row[width..])));
    Ok(Kept::Rows(in_rings(&ends.collect::<Vec<_>>())))
}

/// What the plan says about them.
pub fn tell(table: &Table, kept: Kept, findings: &mut Vec<Finding>) {
    let remedy =
        "empty the reference of one of them first, or say `dependants = \"set_null\"` or `\"cascade\"`";
    match kept {
        Kept::Rows(0) => {}
        Kept::Rows(kept) => findings.push(Finding::warning(
            "ring",
            &table.name,
            format!("{} that refer to each other in a ring stay: none of them can go first", rows(kept)),
            remedy,
        )),
        Kept::Unknown => findings.push(Finding::note(
            "ring",
            &table.name,
            "the count is an estimate: rows that refer to each other in a ring would stay, and were not looked for",
            remedy,
        )),
    }
}

/// How many rows are left when rows to which nobody refers go, again and again. `references` are from whom to whom.
fn in_rings(references: &[(String, String)]) -> u64 {
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut to: Vec<Vec<usize>> = Vec::new();
    let mut referring: Vec<u32> = Vec::new();
    let mut number = |key, to: &mut Vec<Vec<usize>>, referring: &mut Vec<u32>| {
        *numbers.entry(key).or_insert_with(|| {
            to.push(Vec::new());
            referring.push(0);
            to.len() - 1
        })
    };
    for (from, parent) in references {
        let from = number(from.as_str(), &mut to, &mut referring);
        let parent = number(parent.as_str(), &mut to, &mut referring);
        to[from].push(parent);
        referring[parent] += 1;
    }
    let mut left = to.len() as u64;
    let mut free: Vec<usize> = (0..to.len()).filter(|n| referring[*n] == 0).collect();
    while let Some(n) = free.pop() {
        left -= 1;
        for parent in &to[n] {
            referring[*parent] -= 1;
            if referring[*parent] == 0 {
                free.push(*parent);
            }
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::in_rings;

    #[test]
    fn a_ring_stays_with_what_it_refers_to_and_without_what_refers_to_it() {
        let pairs = |text: &str| -> Vec<(String, String)> {
            text.split(' ').map(|pair| (pair[..1].to_owned(), pair[1..].to_owned())).collect()
        };
        assert_eq!(in_rings(&pairs("ab bc cd")), 0);
        assert_eq!(in_rings(&pairs("ab ba")), 2);
        assert_eq!(in_rings(&pairs("ab bc ca da bd ef")), 4, "d is in a longer ring");
        assert_eq!(in_rings(&pairs("ab ba xa bz")), 3, "x goes, z stays");
    }
}
