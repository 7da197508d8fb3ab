//! How much of each table and index is space that a fresh copy would not need.
//!
//! SQLite counts the unused bytes of every page (`dbstat`), and has to read the page for that: one b-tree after the other is read
//! until the allowance is spent, and for those after it nothing is claimed. Pages that belong to nothing are known without.

use super::session::Link;
use targets::db::{Bloat, Error, Facts, Measuring, Part, Result, Row, Sql, TableKind, TableName};

/// Ends a walk that has read as much as it may.
const ENOUGH: &str = "enough";

/// Measures what was asked for.
pub(super) fn measure(link: &mut Link, wanted: &Measuring) -> Result<Vec<Bloat>> {
    let page = link.count(&Sql::new("select page_size from pragma_page_size"))?.max(512);
    let free = link.count(&Sql::new("select freelist_count from pragma_freelist_count"))? * page;
    let mut all = Vec::new();
    if free >= wanted.least_bytes.max(1) && wanted.tables.is_empty() {
        all.push(Bloat {
            wasted_bytes: Some(free),
            method: "freelist".to_owned(),
            error_points: Some(0.0),
            ..nothing(TableName::bare("free pages"), &TableName::bare("free pages"), Part::Free, free)
        });
    }
    let mut left = wanted.read_bytes;
    for table in link.schema()?.tables {
        let asked = wanted.tables.is_empty() || wanted.tables.contains(&table.name);
        if !asked || matches!(table.kind, TableKind::View | TableKind::Foreign) {
            continue;
        }
        let indexes = table.indexes.iter().filter(|_| wanted.indexes);
        let names = std::iter::once((table.name.name.clone(), Part::Rows))
            .chain(indexes.map(|index| (index.name.clone(), Part::Index)));
        for (name, part) in names {
            let found = Tree::read(link, &name, &mut left)?;
            let name = TableName::bare(&name);
            match found {
                Some(tree) if tree.bytes < wanted.least_bytes => {}
                Some(tree) => all.push(Bloat {
                    wasted_bytes: Some(tree.wasted(page)),
                    method: "dbstat".to_owned(),
                    error_points: Some(2.0),
                    live_rows: Some(tree.cells).filter(|_| part == Part::Rows),
                    ..nothing(name, &table.name, part, tree.bytes)
                }),
                None => all.push(Bloat {
                    lacks: Some((
                        "reading all of its pages would take more than was allowed".to_owned(),
                        "allow more: `read_mb`".to_owned(),
                    )),
                    ..nothing(name, &table.name, part, 0)
                }),
            }
        }
    }
    all.sort_by_key(|one| std::cmp::Reverse((one.wasted_bytes, one.bytes)));
    Ok(all)
}

fn nothing(name: TableName, table: &TableName, part: Part, bytes: u64) -> Bloat {
    Bloat {
        name,
        table: table.clone(),
        part,
        bytes,
        wasted_bytes: None,
        method: "none".to_owned(),
        error_points: None,
        live_rows: None,
        dead_rows: None,
        last_vacuum: None,
        lacks: None,
    }
}

/// What the pages of one b-tree hold.
#[derive(Debug, Default)]
struct Tree {
    bytes: u64,
    /// Pages for the rest of values that do not fit: each value has its own, and a fresh copy too.
    overflow: u64,
    unused: u64,
    cells: u64,
    leaf_payload: u64,
    inner: u64,
}

impl Tree {
    /// All pages of this name; none when they are more than `left` bytes, which becomes less by what was read.
    fn read(link: &mut Link, name: &str, left: &mut u64) -> Result<Option<Self>> {
        let mut tree = Self::default();
        let select =
            Sql::new("select pagetype, ncell, payload, unused, pgsize from dbstat where name = ").bind(name);
        let outcome = link.query(&select, &mut |row: Row| {
            let number = |n: usize| row[n].as_int().unwrap_or(0).max(0) as u64;
            tree.bytes += number(4);
            if tree.bytes > *left {
                return Err(Error { code: Some(ENOUGH.to_owned()), ..Error::system("read enough") });
            }
            match row[0].as_text() {
                Some("overflow") => tree.overflow += number(4),
                Some("leaf") => {
                    tree.cells += number(1);
                    tree.leaf_payload += number(2);
                    tree.unused += number(3);
                }
                _ => {
                    tree.inner += number(4);
                    tree.unused += number(3);
                }
            }
            Ok(())
        });
        match outcome {
            Err(error) if error.code.as_deref() == Some(ENOUGH) => {
                *left = 0;
                Ok(None)
            }
            outcome => {
                outcome?;
                *left -= tree.bytes;
                Ok(Some(tree))
            }
        }
    }

    /// A fresh copy fills page after page; what is left of each is half a row, on average.
    fn wasted(&self, page: u64) -> u64 {
        let tree = self.bytes - self.overflow;
        let used = tree.saturating_sub(self.unused) as f64;
        let row = if self.cells == 0 { 0.0 } else { self.leaf_payload as f64 / self.cells as f64 };
        let fits = page as f64 - (row / 2.0).min(page as f64 / 2.0);
        let fresh = (used / fits).ceil() * page as f64;
        tree.saturating_sub(fresh as u64)
    }
}
