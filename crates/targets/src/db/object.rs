//! One thing that a schema is made of, as the database itself defines it: for comparing two of them, not for working on rows.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A table, a column, an index, a function … with its definition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// What it is, in the words of SQL: `table`, `column`, `foreign key`.
    pub kind: String,
    /// Which, as statements spell it; a column or a constraint without its table.
    pub name: String,
    /// The table (or whatever it is) that it goes with, spelled in the same way.
    pub of: Option<String>,
    /// Everything that defines it: `type`, `default`, `definition`. What it does not have is left out.
    pub facts: BTreeMap<String, String>,
    /// The statement that makes it, where one does.
    pub create: Option<String>,
    /// The statement that removes it, where no row is lost by that.
    pub drop: Option<String>,
    /// For some facts the statement that makes it as they say, where no row is lost and nobody waits for long.
    pub set: BTreeMap<String, String>,
}

impl Object {
    /// The name of the fact that lists the columns of a table in their order, one a line.
    pub const COLUMNS: &'static str = "columns";
}
