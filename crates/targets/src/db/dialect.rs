//! How one database spells what both can do. Text only: no connection, no state.
//!
//! Conditions are written over the alias `t` for the table and `u` for its undo table.

use super::{
    Chore, Column, ForeignKey, JsonPath, Link, Range, Result, Shift, Spelled, Sql, Table, TableName, Take,
    UndoTable,
};

/// Spelling of one database.
pub trait Dialect: Send + Sync {
    /// `sqlite` or `postgresql`.
    fn name(&self) -> &'static str;
    /// The n-th parameter, from 1.
    fn placeholder(&self, n: usize) -> String;
    /// Where Sexton's own table of this name lies: `sexton.x`, or `sexton_x`.
    fn own(&self, name: &str) -> TableName;
    /// What must run before the first own table is made (a schema), if anything.
    fn prepare_own(&self) -> Option<Sql>;
    /// What removes what `prepare_own` made, if it is empty.
    fn remove_own(&self) -> Option<Sql>;
    /// A query for one integer: 1 when the table exists, else 0; asks the catalogue.
    fn exists(&self, table: &TableName) -> Sql;
    /// A query for the statements, one a row, that make this index again just as it is: the first makes it, the others add what
    /// its definition does not say. No row when there is no such index, or when it has no statement of its own.
    fn makes_index(&self, index: &TableName) -> Sql;
    /// A query for the columns of one table, without the rest of the schema: the schema (NULL where there are none), the
    /// table as the catalogue spells it, the column; no row where the table is missing.
    fn columns(&self, table: &TableName) -> Sql;
    /// How long one batch should take, so that others hardly notice; `alone`: there are no others, as far as can be
    /// seen, but one may come while the batch runs.
    fn batch_time(&self, alone: bool) -> std::time::Duration;
    /// Whether a transaction keeps all other writers out anyway, so that several small ones cost others no more together
    /// than one by one.
    fn has_one_writer(&self) -> bool {
        false
    }
    /// How to find out whether a statement that runs outside of transactions has been done, when whoever sent it died.
    fn trace(&self, statement: &str) -> Trace {
        let _ = statement;
        Trace::Again
    }
    /// The statement of a chore, as the server at hand takes it.
    fn spell(&self, chore: &Chore) -> Spelled;
    /// Writes the rows of some pages again, each with the values that it has: a query for three integers, how many rows that
    /// were, how many of them are still on these pages, and how many went behind them. None where rows have no such places.
    fn shift(&self, table: &TableName, shift: &Shift) -> Option<Sql> {
        let _ = (table, shift);
        None
    }
    /// Keeps triggers and rules from firing until the end of the transaction; none where the database has no such thing.
    fn silence(&self) -> Option<Sql> {
        None
    }
    /// A query for the locks that the present transaction holds and that others would wait for: table and mode.
    fn strong_locks(&self) -> Option<Sql> {
        None
    }
    /// A query for every reference of the database that is broken: table, row, parent. Where references are not enforced
    /// while tables change.
    fn broken_references(&self) -> Option<Sql> {
        None
    }
    /// About how much of the time of a batch its rows have no part in, where its transaction took so long to begin.
    fn batch_overhead(&self, begin: std::time::Duration) -> std::time::Duration {
        let _ = begin;
        std::time::Duration::ZERO
    }
    /// How long to leave the database alone after a batch that took so long, while others use it. Where even one that took
    /// no time asks for a rest, others are looked for before every batch.
    fn breather(&self, took: std::time::Duration) -> std::time::Duration;
    /// `a` equals `b`, NULL being equal to NULL.
    fn same(&self, a: &Sql, b: &Sql) -> Sql;
    /// The same for two values of this column's type, which may know no equality of its own.
    fn same_of(&self, column: &Column, a: &Sql, b: &Sql) -> Sql {
        let _ = column;
        self.same(a, b)
    }

    /// `value` is one of those that `select` gives, each of which is looked up in a sorted index on `value`.
    fn probed(&self, value: &Sql, select: &Sql) -> Sql;

    /// Whether the table can be walked in physical order (see `Facts::edge`).
    fn walks(&self, table: &Table) -> bool;
    /// The rows of one window of the physical walk, over `t`: from inclusive, to exclusive, none for an open end.
    fn window(&self, table: &Table, from: Option<&super::Row>, to: Option<&super::Row>) -> Sql;

    /// Counts the rows that satisfy a condition, over `t`, right after most of those that did were deleted.
    fn count_left(&self, table: &TableName, condition: &Sql) -> Sql;

    /// A query for one integer: how many rows of the referring tables the transaction it runs in has deleted (or changed,
    /// where the reference becomes NULL), in whatever way, a silent cascade among them. It counts from a beginning of its
    /// own, so that only differences within a transaction without savepoints mean anything. NULL while nobody counts, and
    /// when a reference is no longer what it was in the plan. Nothing where the database has no such count.
    fn taken_along(&self, links: &[Link]) -> Option<Sql> {
        let _ = links;
        None
    }

    /// The statements that make an undo table shaped like `table`, exact to the bit and without constraints.
    fn create_undo(&self, table: &Table, undo: &UndoTable) -> Vec<Sql>;
    /// Copies the doomed rows into `take.into`, locking them where the database can.
    fn remember(&self, take: &Take) -> Sql;
    /// What `Tx::take` runs, in order, for the plan to print.
    fn take(&self, take: &Take) -> Vec<Sql>;
    /// Empties the temporary table and writes place and `undo.columns` of the doomed rows into it, locking them.
    fn choose(&self, take: &Take) -> Vec<Sql>;
    /// Copies the chosen rows and their new values into the undo table: what they are before `change`.
    fn remember_chosen(&self, table: &Table, scratch: &UndoTable, undo: &UndoTable, batch: i64) -> Sql;
    /// Gives the chosen rows the new values that `choose` wrote into the temporary table. `whole`: when the data refuse that,
    /// the transaction is over, so the database need not be able to take back this one statement.
    fn change(&self, table: &Table, scratch: &UndoTable, whole: bool) -> Sql;
    /// Gives the doomed rows new values in one statement: those of `take.values`, over `t`, for these columns. With an undo table it
    /// is a query for two integers: how many rows were changed, and how many remembered, each with the values that it got.
    /// None where only some of the rows may be taken, or where the database has no such statement.
    fn change_at_once(&self, take: &Take, columns: &[String]) -> Option<Sql> {
        let _ = (take, columns);
        None
    }
    /// Gives the rows that this range of an undo table remembers the new values that are remembered with them. None where rows
    /// are not found that way.
    fn change_remembered(&self, table: &Table, undo: &UndoTable, range: Range) -> Option<Sql> {
        let _ = (table, undo, range);
        None
    }
    /// The rows of `table` that were chosen into this temporary table, over `t`.
    fn chosen(&self, table: &Table, scratch: &UndoTable) -> Sql;
    /// Makes a temporary table of this name from a query, with an index on each list of columns, for the rest of the
    /// transaction; one that is there already is made anew.
    fn tabulate(&self, name: &str, select: &Sql, indexes: &[Vec<String>]) -> Vec<Sql>;
    /// The end of a query that locks the rows it finds and passes over those that others have locked; empty where a
    /// transaction keeps all others out anyway.
    fn passing(&self) -> Sql {
        Sql::default()
    }
    /// An expression for the database's own clock, in microseconds since 1970.
    fn clock_us(&self) -> Sql;
    /// A query that tells this name to all who listen, at the commit of its transaction; none where nobody can be told.
    fn announce(&self, name: &str) -> Option<Sql> {
        let _ = name;
        None
    }
    /// Locks the rows that satisfy the condition, over `t`, until the end of the transaction: a query for how many they are.
    /// None where a transaction keeps all others out anyway.
    fn hold(&self, table: &Table, condition: &Sql) -> Option<Sql>;
    /// Keeps everybody else out of the table until the end of the transaction, where the database needs to be told.
    fn lock_whole(&self, table: &Table) -> Option<Sql>;
    /// Empties the table at once, without looking at its rows.
    fn empty(&self, table: &Table) -> Sql;
    /// How far an undo table reaches: a query for one integer, the exclusive end of its last range. Ranges start at 0.
    fn undo_end(&self, undo: &UndoTable) -> Sql;
    /// Where the rows of one batch lie in an undo table: a query for two integers, the first position and the exclusive
    /// end, or two NULLs when there are none. Rows of other batches may lie between.
    fn undo_span(&self, undo: &UndoTable, batch: i64) -> Sql;
    /// How many positions of an undo table to begin with, about a thousand rows' worth.
    fn undo_stride(&self) -> i64;
    /// The undo rows of this range, over `u`.
    fn undo_range(&self, range: Range) -> Sql;
    /// Inserts the undo rows of this range into their table again, with their identities (and rowids). `columns` are
    /// those that the table still has. A row whose key or unique value is taken makes the statement fail.
    fn put_back(&self, table: &Table, undo: &UndoTable, columns: &[&str], range: Range) -> Sql;
    /// The same for when its failure ends the whole transaction, where that is cheaper.
    fn put_back_or_end(&self, table: &Table, undo: &UndoTable, columns: &[&str], range: Range) -> Sql {
        self.put_back(table, undo, columns, range)
    }

    /// What makes a partition vanish with its rows: the first statement keeps writers out, so that its rows can be looked
    /// at once more before the others run. Nothing where there are no partitions.
    fn drop_partition(&self, partition: &Table) -> Vec<Sql> {
        let _ = partition;
        Vec::new()
    }

    /// Seconds since 1970, with fractions, of an [`Age::instant`].
    fn epoch(&self, instant: &Sql) -> Sql;
    /// What the database itself calls the row over `t`, where it has a name that a person could look it up by.
    fn row_id(&self, table: &Table) -> Option<Sql> {
        let _ = table;
        None
    }
    /// A query for one integer: how many dead rows the table drags along, where the database counts them.
    fn dead_rows(&self, table: &TableName) -> Option<Sql> {
        let _ = table;
        None
    }
    /// Tests the age of rows by a column.
    fn age(&self, column: &Column, unit: EpochUnit, cutoff: &Cutoff) -> Result<Age>;
    /// `text`, an expression, read as a value of the type of `column`: NULL where it cannot be. None where there is no
    /// reading that everybody would agree on.
    fn read_as(&self, text: &Sql, column: &Column) -> Option<Sql>;
    /// From-items that end with `j`, of which `value` is what lies at the end of `path` in a JSON column over `t`: one
    /// scalar, the scalars of a list, or those of each item of the lists on the way. No rows where the column is no JSON.
    fn json_items(&self, column: &Column, path: &JsonPath) -> Result<Sql>;
    /// The value that a JSON column over `t` has without the items that satisfy `gone`, over `j.value`: they leave the
    /// list; one that stands alone becomes null.
    fn json_without(&self, column: &Column, path: &JsonPath, gone: &Sql) -> Result<Sql>;
    /// What makes the database refuse orphans of a reference from now on: statements, or a comment that says what to do.
    /// `declared`: it is there, but was never checked.
    fn keep_reference(&self, table: &Table, key: &ForeignKey, declared: bool) -> Vec<String>;
    /// An expression for a key that no row of `table` has, another one for each row of a select without grouping; none
    /// where the column has no way to make one.
    fn new_key(&self, table: &Table, column: &Column) -> Option<Sql>;
    /// Queries that make the numbers which the database gives to new rows of a table go on after the highest there is; never back.
    fn catch_up(&self, table: &Table) -> Vec<Sql> {
        let _ = table;
        Vec::new()
    }
    /// An expression over `t`: about how many bytes a row takes in its table, without indexes.
    fn row_bytes(&self, table: &Table) -> String;
    /// An expression over `t` that gives the column's value in a form that leaves the database without loss: as it is,
    /// or as text.
    fn outward(&self, column: &Column) -> String;
    /// The way back of `outward`: turns a parameter into a value of the column.
    fn inward(&self, column: &Column, value: super::Value) -> Sql;
}

/// Whether a statement outside of transactions has been done.
#[derive(Debug, Clone, PartialEq)]
pub enum Trace {
    /// It can be done again without harm.
    Again,
    /// A query for two texts: `in`, `out` or `half`, and the statement that tidies up after a half.
    Ask(Sql),
    /// Only a person can tell.
    Unknown,
}

/// What a number in an age column counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EpochUnit {
    /// Seconds, or milliseconds from 100 000 000 000 on, or microseconds from 100 000 000 000 000 on.
    #[default]
    Auto,
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
    /// Microseconds since 1970.
    Microseconds,
}

/// The moment before which a row is too old (strictly), in the two forms that columns need.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Cutoff {
    /// Microseconds since 1970.
    pub instant_us: i64,
    /// What clocks showed in the zone of naive values: `2026-08-22 14:00:00.123456`.
    pub civil: String,
}

/// Conditions over `t` that sort rows by age.
#[derive(Debug, Clone, PartialEq)]
pub struct Age {
    /// Strictly older than the cut-off. Written so that an index on the column helps where it can. NULL is not older.
    pub older: Sql,
    /// The value is there but cannot be read as a time; none when the type excludes that. Such rows are left alone.
    pub unreadable: Option<Sql>,
    /// The column as a sortable time, for "newest first" and for showing the range.
    pub instant: Sql,
}
