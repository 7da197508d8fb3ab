//! A checksum of every row of every table: two digests are equal when the tables hold the same rows, in any order.
//!
//! It proves an undo to a person who does not want to take our word for it. Values count with their types; generated
//! columns and hidden rowids are left out.

use crate::error::Result;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use targets::db::{Facts, Row, Sql, TableKind, Value};

/// The digest of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableDigest {
    /// Which.
    pub table: String,
    /// How many rows.
    pub rows: u64,
    /// Of all rows together, whatever their order.
    pub digest: String,
}

/// Digests of all tables of a database, in the order of their names.
pub fn of(facts: &mut dyn Facts) -> Result<Vec<TableDigest>> {
    let schema = facts.schema()?;
    let mut all = Vec::new();
    for table in &schema.tables {
        // A partitioned table is digested through its partitions, a view through its tables.
        if !matches!(table.kind, TableKind::Ordinary | TableKind::WithoutRowid) {
            continue;
        }
        let columns: Vec<String> = table.stored().map(|column| facts.dialect().outward(column)).collect();
        let only = if table.children.is_empty() { "" } else { "only " };
        let select =
            Sql::new(&format!("select {} from {only}", columns.join(", "))).table(&table.name).text(" as t");
        let mut sum = RowSum::default();
        let rows = facts.query(&select, &mut |row| {
            sum.add(&row);
            Ok(())
        })?;
        all.push(TableDigest { table: table.name.to_string(), rows, digest: sum.digest() });
    }
    Ok(all)
}

/// The digest of some rows, as they come.
#[derive(Debug, Clone, Default)]
pub struct RowSum {
    sum: [u64; 4],
}

impl RowSum {
    /// Adds the hash of a row: a sum does not depend on the order, and counts a row that occurs twice twice.
    pub fn add(&mut self, row: &Row) {
        for (part, word) in self.sum.iter_mut().zip(hash_of(row)) {
            *part = part.wrapping_add(word);
        }
    }

    /// Of all rows together, whatever their order.
    pub fn digest(&self) -> String {
        self.sum.iter().map(|part| format!("{part:016x}")).collect()
    }
}

/// A number that two rows share only when they are the same, as far as 64 bits can tell.
pub(crate) fn row_hash(row: &Row) -> u64 {
    hash_of(row)[0]
}

fn hash_of(row: &Row) -> [u64; 4] {
    let mut hash = Sha256::new();
    for value in row {
        let (kind, bytes): (u8, &[u8]) = match value {
            Value::Null => (0, &[]),
            Value::Bool(flag) => (1, &[*flag as u8]),
            Value::Int(number) => (2, &number.to_le_bytes()),
            Value::Real(number) => (3, &number.to_bits().to_le_bytes()),
            Value::Text(text) => (4, text.as_bytes()),
            Value::Blob(bytes) => (5, bytes),
            Value::BrokenText(bytes) => (6, bytes),
            Value::Raw { bytes, .. } => (7, bytes),
        };
        hash.update([kind]);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    let hash = hash.finalize();
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(hash.chunks_exact(8)) {
        let mut eight = [0; 8];
        eight.copy_from_slice(bytes);
        *word = u64::from_le_bytes(eight);
    }
    words
}
