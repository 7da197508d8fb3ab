//! The only handle that changes data. It remembers first.
//!
//! Every verb is set-based: rows stay inside the database. The engine opens the transaction, hands a `Work` to the
//! operation, adds the checkpoint and commits; an operation can neither commit nor reach the transaction itself.

mod beside;
mod bulk;
mod last;
mod shift;
mod whole;

pub(crate) use beside::Beside;
pub use shift::Shifted;

use crate::archive::Written;
use crate::clock::Clock;
use crate::error::{Error, Failure, Result};
use crate::fault::Faults;
use crate::operation::Stores;
use crate::scopes::Told;
use crate::undo::{ArchivedFile, Change, Remembered, Tally, count_rows, record_archive};
use last::Last;
use targets::db::{
    BATCH, Below, Dialect, Link, Performed, Range, Row, Sql, Table, TableName, Take, Tx, UndoTable, Value,
};
use targets::files::Files;

/// The code of an error after which the batch is done again at once, with care.
pub(crate) const AGAIN_WITH_CARE: &str = "again_with_care";

/// Which rows a verb is about. The condition is over the alias `t`.
#[derive(Debug, Clone)]
pub struct Rows<'a> {
    /// The table in which the rows lie: a leaf, never a partitioned parent.
    pub table: &'a Table,
    /// Which rows.
    pub condition: Sql,
    /// The window of the physical walk.
    pub window: Option<(Option<Row>, Option<Row>)>,
    /// At most this many.
    pub limit: Option<u64>,
    /// Leave rows alone that others hold locked.
    pub skip_locked: bool,
}

impl<'a> Rows<'a> {
    /// All rows of the table that satisfy the condition.
    pub fn all(table: &'a Table, condition: Sql) -> Self {
        Self { table, condition, window: None, limit: None, skip_locked: false }
    }
}

/// What a run knows about the undo tables it has made. Kept by the engine from batch to batch; a batch that is
/// rolled back leaves it as it was.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// The undo point.
    pub point: String,
    /// The configuration says `undo = "none"`.
    pub forget: bool,
    /// What is there.
    pub tables: Vec<Remembered>,
    /// The data refused something: from now on each statement that may be refused gets a savepoint of its own.
    pub(crate) careful: bool,
    /// Something is remembered that is no row: files that were set aside, indexes that were dropped.
    pub things: bool,
    /// Which undo tables were used last.
    last: Last,
    /// Tables that were made.
    made: Vec<TableName>,
    scratches: Vec<(TableName, UndoTable)>,
}

impl Memory {
    /// An empty memory for this undo point.
    pub fn new(point: &str, forget: bool, tables: Vec<Remembered>) -> Self {
        Self {
            point: point.to_owned(),
            forget,
            tables,
            careful: false,
            things: false,
            last: Last::default(),
            made: Vec::new(),
            scratches: Vec::new(),
        }
    }
}

/// What came of a command outside of transactions.
#[derive(Debug, Clone)]
pub struct Did {
    /// What the database said.
    pub performed: Performed,
    /// How long it took.
    pub seconds: f64,
}

/// What does not change from batch to batch.
pub struct Setting<'a> {
    /// How this database spells things.
    pub dialect: &'a dyn Dialect,
    /// The named file stores.
    pub stores: &'a dyn Stores,
    /// The fault points.
    pub faults: &'a Faults,
    /// The one moment all ages are measured from.
    pub now: jiff::Timestamp,
    /// Who asked.
    pub actor: &'a str,
    /// Tells how long something took.
    pub clock: &'a dyn Clock,
    /// What came of the command outside of transactions that this batch writes down.
    pub did: Option<&'a Did>,
    /// Where a second transaction is made.
    pub(crate) beside: &'a Beside<'a>,
}

/// One open transaction, seen by an operation.
pub struct Work<'a> {
    tx: &'a mut dyn Tx,
    setting: &'a Setting<'a>,
    memory: &'a mut Memory,
    batch: i64,
    retry: bool,
    /// A savepoint of the engine is open around it, so that the transaction must outlive a refusal.
    part: bool,
    files: u64,
    notes: Vec<String>,
    fired: Option<&'static str>,
    told: Told,
}

impl<'a> Work<'a> {
    pub(crate) fn new(
        tx: &'a mut dyn Tx,
        setting: &'a Setting<'a>,
        memory: &'a mut Memory,
        batch: i64,
        retry: bool,
    ) -> Self {
        Self {
            tx,
            setting,
            memory,
            batch,
            retry,
            part: false,
            files: 0,
            notes: Vec::new(),
            fired: None,
            told: Told::default(),
        }
    }

    /// The same for a part of the transaction that may be taken back by itself.
    pub(crate) fn in_part(self) -> Self {
        Self { part: true, ..self }
    }

    /// How this database spells things.
    pub fn dialect(&self) -> &'a dyn Dialect {
        self.setting.dialect
    }

    /// The undo point of this operation: the run's id, with the operation's place when it is not the first.
    pub fn point(&self) -> &str {
        &self.memory.point
    }

    /// The one moment all ages are measured from.
    pub fn now(&self) -> jiff::Timestamp {
        self.setting.now
    }

    /// Who asked.
    pub fn actor(&self) -> &'a str {
        self.setting.actor
    }

    /// The clock.
    pub fn clock(&self) -> &'a dyn Clock {
        self.setting.clock
    }

    /// Whether this batch was tried before, so that waiting for locks again is not wise.
    pub fn is_retry(&self) -> bool {
        self.retry
    }

    /// Whether refusals are expected. Elsewhere the whole batch is given up at the first and done again with care: a
    /// savepoint makes SQLite copy each page before it is changed.
    pub(crate) fn is_careful(&self) -> bool {
        self.memory.careful
    }

    /// What came of the command outside of transactions that this batch writes down; none after a death in between.
    pub fn did(&self) -> Option<&'a Did> {
        self.setting.did
    }

    /// A file store of the configuration.
    pub fn store(&self, name: &str) -> Result<std::sync::Arc<dyn Files>> {
        self.setting.stores.store(name)
    }

    /// Finds what the operation needs beside its database.
    pub fn stores(&self) -> &'a dyn Stores {
        self.setting.stores
    }

    /// The number of the next archive file of this batch: the same again when the batch is repeated.
    pub fn next_file(&mut self) -> u64 {
        self.files += 1;
        self.batch as u64 * 100 + self.files
    }

    /// Notes, with the change, that rows were written to an archive file.
    pub fn archived(&mut self, store: &str, table: &TableName, written: Written) -> Result<()> {
        self.may_die("before an archive is noted")?;
        let file = ArchivedFile { store: store.to_owned(), table: table.clone(), written };
        record_archive(self.tx, self.setting.dialect, &self.memory.point, self.batch, &file)
    }

    /// Says, in the run log, what happened to one row: told when the batch is committed.
    pub fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// What was said.
    pub(crate) fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Counts, with the change, that the same is done to these rows once more; the condition, over `t`, that a row is
    /// spent by it. An undo of the run takes the count back. The rows must be locked.
    pub fn tally(&mut self, rows: &Rows, tally: &Tally) -> Result<Sql> {
        self.may_die("before a tally")?;
        let from = Sql::new("from ").table(&rows.table.name).text(" as t where ").add(&rows.condition);
        let (dialect, now) = (self.setting.dialect, self.setting.now);
        count_rows(self.tx, dialect, tally, &from, &self.memory.point, now)
    }

    /// The number of the batch.
    pub fn batch(&self) -> i64 {
        self.batch
    }

    /// What the operation told about this batch.
    pub(crate) fn told_mut(&mut self) -> &mut Told {
        &mut self.told
    }

    /// Whether what changes can be put back.
    pub(crate) fn remembers(&self) -> bool {
        !self.memory.forget
    }

    /// The fault that fired inside a verb, if any: the engine then dies without tidying up.
    pub(crate) fn fired(&self) -> Option<&'static str> {
        self.fired
    }

    /// Remembers the rows and deletes them; how many.
    pub fn delete(&mut self, rows: &Rows) -> Result<u64> {
        self.delete_with(rows, &[]).map(|(deleted, _)| deleted)
    }

    /// Remembers the rows and deletes them, in one statement with rows of other tables, whose conditions name the rows above
    /// them by `targets::db::gone`; how many of the former and of the latter. Others only where the database tells what it
    /// takes along by itself, and something is remembered.
    pub fn delete_with(&mut self, rows: &Rows, below: &[(&Table, Sql)]) -> Result<(u64, u64)> {
        self.may_die("before a delete")?;
        // Those below count as done first: on the way back they come after what they refer to.
        let mut tables = Vec::new();
        for (table, _) in below.iter().rev() {
            tables.extend(self.undo_table(table, Change::Delete, &stored(table), &[])?);
        }
        tables.reverse();
        let undo = self.undo_table(rows.table, Change::Delete, &stored(rows.table), &[])?;
        let mut take = self.take(rows, undo.as_ref());
        let parts = below.iter().zip(&tables);
        take.below = parts
            .map(|((table, condition), into)| Below { table, condition: condition.clone(), into })
            .collect();
        let taken = self.tx.take(&take)?;
        if taken.remembered != taken.deleted + taken.below {
            return Err(Error::data(format!(
                "{} rows of `{}` were remembered but {} were deleted",
                taken.remembered,
                rows.table.name,
                taken.deleted + taken.below
            ))
            .help("the condition gives different answers when asked twice, or a trigger interferes: nothing was changed"));
        }
        self.may_die("after a delete")?;
        Ok((taken.deleted, taken.below))
    }

    /// Remembers the rows and sets columns to fixed values; how many.
    pub fn set(&mut self, rows: &Rows, values: &[(String, Value)]) -> Result<u64> {
        let mut changes = Vec::new();
        for (name, value) in values {
            let column = rows.table.expect_column(name)?;
            changes.push((name.clone(), self.setting.dialect.inward(column, value.clone())));
        }
        self.change(rows, &changes)
    }

    /// Remembers the rows with their new values, then gives them these; how many. The expressions are over `t` and are
    /// evaluated once, before anything changes.
    pub fn change(&mut self, rows: &Rows, changes: &[(String, Sql)]) -> Result<u64> {
        self.change_keeping(rows, changes, &stored(rows.table))
    }

    /// The same, remembering only these columns.
    pub(crate) fn change_keeping(
        &mut self,
        rows: &Rows,
        changes: &[(String, Sql)],
        kept: &[String],
    ) -> Result<u64> {
        self.may_die("before an update")?;
        let table = rows.table;
        if !self.memory.forget && table.key.is_none() {
            return Err(Error::usage(format!(
                "rows of `{}` cannot be told apart, so a change of them could not be undone",
                table.name
            ))
            .help("give the table a primary key, or say `undo = \"none\"`"));
        }
        let dialect = self.setting.dialect;
        let changed: Vec<String> = changes.iter().map(|(column, _)| column.clone()).collect();
        let scratch = self.scratch(table, &[], &changed)?;
        let values = changes.iter().map(|(_, value)| value.clone()).collect();
        let mut chosen = 0;
        for statement in dialect.choose(&Take { values, ..self.take(rows, Some(&scratch)) }) {
            chosen = self.tx.execute(&statement)?;
        }
        // A run that finds nothing leaves nothing behind.
        if chosen == 0 {
            return Ok(0);
        }
        if let Some(undo) = &self.undo_table(table, Change::Update, kept, &changed)? {
            let remembered = self.tx.execute(&dialect.remember_chosen(table, &scratch, undo, self.batch))?;
            if remembered != chosen {
                return Err(Error::data(format!(
                    "{remembered} of {chosen} rows of `{}` could be remembered",
                    table.name
                )));
            }
        }
        let changed = self.tx.execute(&dialect.change(table, &scratch, !self.part && !self.is_careful()))?;
        if changed != chosen {
            return Err(Error::data(format!(
                "{chosen} rows of `{}` were remembered but {changed} were changed",
                table.name
            ))
            .help("a trigger interferes: nothing was changed"));
        }
        self.may_die("after an update")?;
        Ok(changed)
    }

    /// Adds rows to a table and remembers them, so that an undo takes those away again that are as they were added; how
    /// many. `select` gives the values of `columns`, in their order; the table's key must be among them.
    pub fn insert(&mut self, table: &Table, columns: &[String], select: &Sql) -> Result<u64> {
        self.insert_all(table, columns, &mut std::iter::once(select.clone()))
    }

    /// The same for the rows of several selects, or lists of values, which go in together: they may refer to each other.
    pub fn insert_all(
        &mut self,
        table: &Table,
        columns: &[String],
        selects: &mut dyn Iterator<Item = Sql>,
    ) -> Result<u64> {
        self.may_die("before an insert")?;
        let key = table.key.as_ref().map(|key| key.columns.as_slice()).unwrap_or_default();
        if let Some(missing) = key.iter().find(|column| !columns.contains(column)) {
            return Err(Error::usage(format!(
                "rows added to `{}` could not be found again without their `{missing}`",
                table.name
            ))
            .help("give every column of the key a value"));
        }
        let dialect = self.setting.dialect;
        let names: Vec<&str> = columns.iter().map(String::as_str).collect();
        let listed = || Sql::default().names("", names.iter().copied());
        let undo = self.undo_table(table, Change::Insert, columns, &[])?;
        let aside = self.scratch(table, columns, &[])?;
        self.empty(&aside)?;
        let into = |target: &TableName| Sql::new("insert into ").table(target).text(" (").add(&listed());
        let mut asked = 0;
        for select in selects {
            asked += self.tx.execute(&into(&aside.name).text(") ").add(&select))?;
        }
        if let Some(undo) = &undo {
            let remember = into(&undo.name)
                .text(&format!(", {BATCH}) select "))
                .add(&listed())
                .text(&format!(", {} from ", self.batch))
                .table(&aside.name);
            let remembered = self.tx.execute(&remember)?;
            if remembered != asked {
                return Err(Error::data(format!(
                    "{remembered} of {asked} rows for `{}` could be remembered",
                    table.name
                )));
            }
        }
        let end = self.tx.count(&dialect.undo_end(&aside))? as i64;
        let added = self.tx.execute(&dialect.put_back(table, &aside, &names, Range::of(0, end)))?;
        if added != asked {
            return Err(Error::data(format!("{added} of {asked} rows could be added to `{}`", table.name))
                .help("a trigger or rule interferes: nothing was changed"));
        }
        self.empty(&aside)?;
        self.may_die("after an insert")?;
        Ok(added)
    }

    /// Makes a table that is not there yet, for rows that move. When the run is undone its rows are taken away, and it goes
    /// where nothing else is in it.
    pub fn add_table(&mut self, table: &TableName, create: &Sql) -> Result<()> {
        self.may_die("before a table is made")?;
        self.tx.execute(create)?;
        self.memory.made.push(table.clone());
        self.may_die("after a table was made")
    }

    /// Chooses rows and locks them: their places, and `columns` by which others refer to them, are kept in a temporary
    /// table until the end of the batch.
    pub fn choose(&mut self, rows: &Rows, columns: &[String]) -> Result<Chosen> {
        let scratch = self.scratch(rows.table, columns, &[])?;
        let mut count = 0;
        for statement in self.setting.dialect.choose(&Take { into: Some(&scratch), ..self.take(rows, None) })
        {
            count = self.tx.execute(&statement)?;
        }
        Ok(Chosen { table: scratch, rows: count })
    }

    /// Whether nothing is remembered: the configuration says `undo = "none"`, or an archive takes its place.
    pub fn forgets(&self) -> bool {
        self.memory.forget
    }

    /// How many rows this transaction has taken through these references, in whatever way (see `Dialect::taken_along`);
    /// none where the database does not tell.
    pub fn taken_along(&mut self, links: &[Link]) -> Result<Option<u64>> {
        let Some(count) = self.setting.dialect.taken_along(links) else { return Ok(None) };
        let rows = self.tx.rows(&count)?;
        let value = rows.first().and_then(|row| row.first()).and_then(Value::as_int);
        Ok(value.and_then(|rows| u64::try_from(rows).ok()))
    }

    /// Streams rows, for those that must leave the database.
    pub fn query(&mut self, sql: &Sql, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<u64> {
        self.tx.query(sql, each)
    }

    /// All rows at once, for results known to be small.
    pub fn rows(&mut self, sql: &Sql) -> Result<Vec<Row>> {
        self.tx.rows(sql)
    }

    /// One count.
    pub fn count(&mut self, sql: &Sql) -> Result<u64> {
        self.tx.count(sql)
    }

    /// Deletes nothing and remembers nothing, but makes the undo table now, so that the order in which tables are put
    /// back does not depend on the data: children first here, parents first on the way back.
    pub fn expect_deletes(&mut self, table: &Table) -> Result<()> {
        let last = self.memory.last;
        self.undo_table(table, Change::Delete, &stored(table), &[])?;
        self.memory.last = last;
        Ok(())
    }

    /// A temporary table shaped like these columns of `table`.
    pub(crate) fn scratch_for(&mut self, table: &Table, columns: &[String]) -> Result<UndoTable> {
        self.scratch(table, columns, &[])
    }

    /// Empties a temporary table.
    pub(crate) fn empty(&mut self, scratch: &UndoTable) -> Result<()> {
        self.tx.execute(&Sql::new("delete from ").table(&scratch.name)).map(|_| ())
    }

    /// Adds rows to a temporary table.
    pub(crate) fn fill_scratch(&mut self, insert: &Sql) -> Result<()> {
        self.tx.execute(insert).map(|_| ())
    }

    pub(crate) fn memory_mut(&mut self) -> &mut Memory {
        self.memory
    }

    pub(crate) fn tx(&mut self) -> &mut dyn Tx {
        self.tx
    }

    pub(crate) fn take<'b>(&self, rows: &Rows<'b>, into: Option<&'b UndoTable>) -> Take<'b> {
        Take {
            table: rows.table,
            condition: rows.condition.clone(),
            window: rows.window.clone(),
            limit: rows.limit,
            skip_locked: rows.skip_locked,
            into,
            values: Vec::new(),
            batch: self.batch,
            below: Vec::new(),
        }
    }

    /// The temporary table for chosen rows of this table with these columns, made once per session.
    pub(crate) fn scratch(
        &mut self,
        table: &Table,
        columns: &[String],
        after: &[String],
    ) -> Result<UndoTable> {
        let known = self.memory.scratches.iter().find(|(source, known)| {
            *source == table.name && known.columns == columns && known.after == after
        });
        if let Some((_, known)) = known {
            return Ok(known.clone());
        }
        let scratch = UndoTable {
            name: TableName::bare(&format!("sexton_chosen_{}", self.memory.scratches.len() + 1)),
            temporary: true,
            columns: columns.to_vec(),
            after: after.to_vec(),
        };
        for statement in self.setting.dialect.create_undo(table, &scratch) {
            self.tx.execute(&statement)?;
        }
        self.memory.scratches.push((table.name.clone(), scratch.clone()));
        Ok(scratch)
    }

    /// Notes that the undo point is about more than rows.
    pub(crate) fn remembers_things(&mut self) {
        self.memory.things = true;
    }

    /// A fault point inside a verb.
    pub(crate) fn may_die(&mut self, name: &'static str) -> Result<()> {
        match self.setting.faults.point(name) {
            Ok(()) => Ok(()),
            Err(Failure::Error(error)) => Err(error),
            Err(_) => {
                self.fired = Some(name);
                Err(Error::system("a fault point fired"))
            }
        }
    }
}

fn stored(table: &Table) -> Vec<String> {
    table.stored().map(|column| column.name.clone()).collect()
}

/// Rows that were chosen and locked.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// Where their places are, until the end of the batch.
    pub table: UndoTable,
    /// How many.
    pub rows: u64,
}
