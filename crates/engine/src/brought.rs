//! Rows that were made outside the database and are brought into it: a temporary table for the rest of the batch.
//!
//! Verbs stay set-based: they read from that table. It judges no values; the database does when it reads them.

use crate::error::Result;
use crate::work::Work;
use targets::db::{Row, Sql, Table, Take};

/// A statement takes no more parameters.
const MOST_PARAMETERS: usize = 30_000;

impl Work<'_> {
    /// Makes the temporary table `name` with these rows: for each its values of `columns`, which have their own names in it, then
    /// those for `after`, which are called as in an undo table. Both have the types of the columns of `table`. `key` finds a row.
    pub fn bring(
        &mut self,
        name: &str,
        table: &Table,
        columns: &[String],
        after: &[String],
        rows: &[Row],
        key: &[String],
    ) -> Result<()> {
        let scratch = self.scratch(table, columns, after)?;
        let dialect = self.dialect();
        // Empty, and there: a pooler may have given the session to somebody else meanwhile.
        let nothing = Take {
            table,
            condition: Sql::new("1 = 0"),
            window: None,
            limit: None,
            skip_locked: false,
            into: Some(&scratch),
            values: after.iter().map(|_| Sql::new("null")).collect(),
            batch: 0,
            below: Vec::new(),
        };
        for statement in dialect.choose(&nothing) {
            self.tx().execute(&statement)?;
        }
        let given: Vec<_> =
            columns.iter().chain(after).map(|name| table.expect_column(name)).collect::<Result<_>>()?;
        let mut into = Sql::new("insert into ")
            .table(&scratch.name)
            .text(" (")
            .names("", columns.iter().map(String::as_str));
        for n in 0..after.len() {
            into = into.text(if n + columns.len() > 0 { ", " } else { "" }).text(&targets::db::after(n));
        }
        let into = into.text(") values ");
        for some in rows.chunks((MOST_PARAMETERS / given.len().max(1)).clamp(1, 500)) {
            let tuples = some.iter().map(|row| {
                let values =
                    given.iter().zip(row).map(|(column, value)| dialect.inward(column, value.clone()));
                Sql::new("(").add(&Sql::join(&values.collect::<Vec<_>>(), ", ")).text(")")
            });
            let insert = into.clone().add(&Sql::join(&tuples.collect::<Vec<_>>(), ", "));
            self.tx().execute(&insert)?;
        }
        let select = Sql::new("select * from ").table(&scratch.name);
        for statement in dialect.tabulate(name, &select, &[key.to_vec()]) {
            self.tx().execute(&statement)?;
        }
        Ok(())
    }
}
