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
        // Only columns for new values have types on every database; without them a key would not be found by its index.
        let typed: Vec<String> = columns.iter().chain(after).cloned().collect();
        let scratch = self.scratch(table, &[], &typed)?;
        let dialect = self.dialect();
        // Empty, and there: a pooler may have given the session to somebody else meanwhile.
        let nothing = Take {
            table,
            condition: Sql::new("1 = 0"),
            window: None,
            limit: None,
            skip_locked: false,
            into: Some(&scratch),
            values: typed.iter().map(|_| Sql::new("null")).collect(),
            batch: 0,
            below: Vec::new(),
        };
        for statement in dialect.choose(&nothing) {
            self.tx().execute(&statement)?;
        }
        let given: Vec<_> = typed.iter().map(|name| table.expect_column(name)).collect::<Result<_>>()?;
        let places: Vec<String> = (0..typed.len()).map(targets::db::after).collect();
        let into =
            Sql::new("insert into ").table(&scratch.name).text(&format!(" ({}) values ", places.join(", ")));
        for some in rows.chunks((MOST_PARAMETERS / given.len().max(1)).clamp(1, 500)) {
            let tuples = some.iter().map(|row| {
                let values =
                    given.iter().zip(row).map(|(column, value)| dialect.inward(column, value.clone()));
                Sql::new("(").add(&Sql::join(&values.collect::<Vec<_>>(), ", ")).text(")")
            });
            let insert = into.clone().add(&Sql::join(&tuples.collect::<Vec<_>>(), ", "));
            self.tx().execute(&insert)?;
        }
        let names = columns.iter().map(|name| Sql::default().name(name));
        let names = names.chain((0..after.len()).map(|n| Sql::new(&targets::db::after(n))));
        let list = places.iter().zip(names).map(|(place, name)| Sql::new(place).text(" as ").add(&name));
        let select = Sql::new("select ")
            .add(&Sql::join(&list.collect::<Vec<_>>(), ", "))
            .text(" from ")
            .table(&scratch.name);
        for statement in dialect.tabulate(name, &select, &[key.to_vec()]) {
            self.tx().execute(&statement)?;
        }
        Ok(())
    }
}
