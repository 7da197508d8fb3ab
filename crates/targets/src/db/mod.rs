//! The contract with a database, on one screen.
//!
//! A difference between two databases is a method here or in [`Dialect`], never an `if` in a kind.
//! `read` promises a session on which the *server* refuses writes; `open` is the only way to change
//! anything, and then only inside a [`Tx`], which rolls back when dropped.

mod bloat;
pub mod civil;
mod command;
mod compaction;
mod copies;
mod dialect;
mod error;
mod inspection;
mod json_path;
mod object;
mod schema;
mod server;
mod soundness;
mod sql;
mod stream;
mod undo_table;
mod upkeep;
mod url;
mod value;

pub use bloat::{Bloat, Measuring, Part};
pub use command::{Command, Performed};
pub use compaction::{Compaction, Shift};
pub use copies::{Contents, Copies, Dumping, EachPart, Held};
pub use dialect::{Age, Cutoff, Dialect, EpochUnit, Trace};
pub use error::{Class, Error, GAVE_WAY, Result};
pub use inspection::{
    Archive, Bounds, Connections, ConstraintFacts, Counters, Disk, FileFacts, Horizon, IndexFacts,
    Inspection, Lock, Pinned, PinnedBy, ReferenceFacts, Replica, Replication, Section, SequenceFacts,
    Setting, SlotFacts, Slow, TableFacts, Talker, without_literals,
};
pub use json_path::JsonPath;
pub use object::Object;
pub use schema::{
    Action, Column, Family, ForeignKey, Generated, Index, Key, Link, Rights, Schema, Table, TableKind,
    TableName, Trigger,
};
pub use server::{Access, Edge, Limits, List, OldTransaction, Pulse, Server, Traffic};
pub use soundness::Soundness;
pub use sql::{Sql, quote};
pub use stream::{Cell, Load, Loader, Seen};
pub use undo_table::{AT, BATCH, Below, Range, Take, Taken, UndoTable, after, gone};
pub use upkeep::{
    Busy, Chore, FileUpkeep, IndexUpkeep, Order, Pin, PinKind, Spelled, TableUpkeep, Upkeep, Vacuuming,
    ViewUpkeep,
};
pub use url::Url;
pub use value::Value;

use std::time::Duration;

/// One row of a result, in the order of the select list.
pub type Row = Vec<Value>;

/// A database that can be looked at and worked on. Cheap to make, connects only when asked.
pub trait Database: Send + Sync {
    /// The name used in messages, from the configuration or the URL, never with a password.
    fn label(&self) -> &str;
    /// How this database spells things. Needs no connection.
    fn dialect(&self) -> &dyn Dialect;
    /// A session that the database itself keeps read-only. Never creates a missing database.
    fn read(&self) -> Result<Box<dyn Facts>>;
    /// The same, and until it is dropped nothing that is deleted from now on is cleaned away: whoever looks afterwards need
    /// not clean it first. None where that saves nothing. Not for long: nobody else can clean up either.
    fn hold(&self) -> Result<Option<Box<dyn Facts>>> {
        Ok(None)
    }
    /// A session that may change data. Never creates a missing database.
    fn open(&self) -> Result<Box<dyn Session>>;
    /// Whether opening a session takes so long that the one of the plan is worth keeping for the run, see [`Facts::promote`].
    fn opens_slowly(&self) -> bool {
        false
    }
    /// Whole copies of it.
    fn copies(&self) -> &dyn Copies;
    /// Sessions that all see the database as it is at one moment, for as long as they live: at most so many, at least one.
    /// When its moment is lost, a session fails rather than look at another one.
    fn together(&self, most: usize) -> Result<Vec<Box<dyn Facts>>>;
    /// Hears what others announce under this name from now on, see [`Dialect::announce`]; none where nobody can be heard.
    fn listen(&self, name: &str) -> Result<Option<Box<dyn Listener>>> {
        let _ = name;
        Ok(None)
    }
}

/// Hears announcements of other sessions. What is announced while its connection is lost is not heard.
pub trait Listener: Send {
    /// Waits for the next announcement, but no longer than this; whether there was one.
    fn wait(&mut self, most: Duration) -> Result<bool>;
}

/// What can be found out without changing anything.
pub trait Facts: Send {
    /// How this database spells things.
    fn dialect(&self) -> &dyn Dialect;
    /// Version, role, clock, size.
    fn server(&mut self) -> Result<Server>;
    /// Every table the user owns, with keys, indexes, triggers and references. Sexton's own are left out.
    fn schema(&mut self) -> Result<Schema>;
    /// Everything that a user made in the schema, with its definition; what extensions made and what is Sexton's own is left
    /// out. Two databases of one kind and version with equal schemas give equal lists, whatever their settings.
    fn objects(&mut self) -> Result<Vec<Object>>;
    /// Streams the rows of one statement; an error from `each` ends it and is returned.
    fn query(&mut self, sql: &Sql, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<u64>;
    /// Like `query`, in bulk: each row where the database has it, without a copy.
    fn scan(&mut self, sql: &Sql, each: &mut dyn FnMut(&[Seen<'_>]) -> Result<()>) -> Result<u64>;
    /// How long the rows of one statement take, from asking to the last one, which is all that is done with them.
    fn takes(&mut self, sql: &Sql) -> Result<std::time::Duration>;
    /// How the database would find the rows of `sql`, without running it.
    fn access(&mut self, sql: &Sql) -> Result<Access>;
    /// The end of a window of the physical walk that starts at `from` (none: the beginning) and holds about `rows` rows;
    /// none when nothing is left. Needs [`Dialect::walks`].
    fn edge(&mut self, table: &Table, from: Option<&Row>, rows: u64) -> Result<Option<Edge>>;
    /// Like `edge`, but the window holds exactly `rows` rows that satisfy `condition` (over `t`): its end (exclusive), and
    /// where the next window begins, which may be before the end where places hold several rows. None when fewer are left.
    fn edge_of(
        &mut self,
        table: &Table,
        from: Option<&Row>,
        rows: u64,
        condition: &Sql,
    ) -> Result<Option<(Row, Row)>>;
    /// Keeps the rows of `select` for as long as the session lasts, sorted by the columns `order`, unless its list has this
    /// name already; there is one list at a time. None where sessions do not last or may not keep anything.
    fn list(&mut self, name: &str, select: &Sql, order: &[&str]) -> Result<Option<List>>;
    /// Has the database check its own pages, rows and indexes, which reads all of them; the first `most` faults are kept.
    fn soundness(&mut self, most: usize) -> Result<Soundness>;
    /// The signals a throttle looks at, now. What the database cannot tell is none.
    fn pulse(&mut self) -> Result<Pulse>;
    /// How big each table is now, and how busy, as far as it can be told without walking through large ones.
    fn traffic(&mut self) -> Result<Vec<Traffic>>;
    /// What the catalogue and the counters tell of its health: bounded in time part by part, waiting for no lock, reading no
    /// row of a large table. A part that cannot be told is missing; only a database that cannot be read at all is an error.
    fn inspect(&mut self, bounds: &Bounds) -> Result<Inspection>;
    /// How much of each table and index a fresh copy would not need, largest first. Reads samples of what it measures, never
    /// more than was allowed, and waits for nobody.
    fn bloat(&mut self, wanted: &Measuring) -> Result<Vec<Bloat>>;
    /// What the database needs for its own upkeep, or only this table with its indexes. Asks catalogues and counters, waits
    /// for nobody's lock.
    fn upkeep(&mut self, only: Option<&TableName>) -> Result<Upkeep>;
    /// What stands in the way of moving the last rows of a table into free space before them; none where rows have no place
    /// that could be given back, or the table is gone. Reads pages at its end that hold no row, waits for nobody.
    fn compaction(&mut self, table: &TableName) -> Result<Option<Compaction>> {
        let _ = table;
        Ok(None)
    }

    /// What tells the moment that a session of [`Database::together`] looks at from all others, in this process and in any other:
    /// where the text is the same, nothing was committed in between; where it is not, nobody knows. None where that cannot be told.
    fn moment(&mut self) -> Result<Option<String>> {
        Ok(None)
    }

    /// The same session, from now on one that may change data; none where another one has to be opened.
    fn promote(self: Box<Self>) -> Option<Box<dyn Session>> {
        None
    }

    /// All rows at once, for results known to be small.
    fn rows(&mut self, sql: &Sql) -> Result<Vec<Row>> {
        let mut all = Vec::new();
        self.query(sql, &mut |row| {
            all.push(row);
            Ok(())
        })?;
        Ok(all)
    }

    /// The first value of the first row; `Null` when there is no row.
    fn value(&mut self, sql: &Sql) -> Result<Value> {
        Ok(self.rows(sql)?.into_iter().next().and_then(|row| row.into_iter().next()).unwrap_or(Value::Null))
    }

    /// The first value of the first row as a count; 0 when there is no row.
    fn count(&mut self, sql: &Sql) -> Result<u64> {
        Ok(self.value(sql)?.as_int().unwrap_or(0).max(0) as u64)
    }
}

/// A session that may change data.
pub trait Session: Facts {
    /// Tries to take the right to maintain this database; true when this session has it (also when it had it
    /// already). Never blocks; released by [`Session::unlock`], by dropping the session, and by the death of the process.
    fn try_lock(&mut self, holder: &str) -> Result<bool>;
    /// Who holds the right to maintain, for messages; none when unknown.
    fn lock_holder(&mut self) -> Result<Option<String>>;
    /// Gives the right to maintain back.
    fn unlock(&mut self) -> Result<()>;
    /// Takes the right to maintain from whoever holds it under a name that begins with this; whether there was somebody. For
    /// an earlier attempt of the same run that is asleep or cut off: whatever it does later must be refused by something else.
    /// What it had begun is rolled back where the database can end its session.
    fn end_right(&mut self, holder: &str) -> Result<bool>;
    /// Runs what cannot run inside a transaction.
    fn perform(&mut self, command: &Command) -> Result<Performed>;
    /// From now on the database refuses every change, as on a session of [`Database::read`]; or takes them again.
    fn only_look(&mut self, only: bool) -> Result<()>;
    /// Starts a transaction that may write (SQLite: holds the write lock from the start).
    fn begin(&mut self, limits: &Limits) -> Result<Box<dyn Tx + '_>>;
}

/// One transaction. Rolled back when dropped without [`Tx::commit`]. Savepoints are plain statements.
pub trait Tx {
    /// Streams the rows of one statement, inside the transaction.
    fn query(&mut self, sql: &Sql, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<u64>;
    /// Runs one statement; the number of rows it changed.
    fn execute(&mut self, sql: &Sql) -> Result<u64>;
    /// Runs one statement with the next one, or with the commit, where that saves a round trip: what is wrong with it is told
    /// there. For those of which nobody needs the count.
    fn later(&mut self, sql: Sql) -> Result<()> {
        self.execute(&sql).map(drop)
    }
    /// Moves the doomed rows into their undo table and deletes them, set-based, inside the database
    /// (without an undo table it only deletes). The caller compares the two counts.
    fn take(&mut self, take: &Take) -> Result<Taken>;
    /// Adds rows in bulk. Until it is finished the transaction takes no other statement.
    fn load<'a>(&'a mut self, load: &Load) -> Result<Box<dyn Loader + 'a>>;
    /// Makes a table anew with another definition, `create`, and moves what is in it: rows in the columns that both have,
    /// indexes, triggers and the views over it; the statements that ran. A usage error where the database alters tables
    /// by itself.
    fn rebuild(&mut self, table: &TableName, create: &str) -> Result<Vec<String>> {
        let _ = create;
        Err(Error::usage(format!("this database has no need to make `{table}` anew"))
            .help("write `alter table` statements"))
    }
    /// Keeps triggers from firing until the end of this transaction. A usage error where [`Dialect::silence`] has a statement for it.
    fn silence(&mut self) -> Result<()> {
        Err(Error::usage("this database silences triggers by a statement"))
    }
    /// Makes everything permanent.
    fn commit(self: Box<Self>) -> Result<()>;
    /// Makes everything permanent with the next plain commit at the latest: until then a crash of the server may lose it,
    /// as a whole, with everything after it. Where many small transactions follow each other.
    fn commit_soon(self: Box<Self>) -> Result<()> {
        self.commit()
    }

    /// All rows at once, for results known to be small.
    fn rows(&mut self, sql: &Sql) -> Result<Vec<Row>> {
        let mut all = Vec::new();
        self.query(sql, &mut |row| {
            all.push(row);
            Ok(())
        })?;
        Ok(all)
    }

    /// The first value of the first row as a count; 0 when there is no row.
    fn count(&mut self, sql: &Sql) -> Result<u64> {
        let rows = self.rows(sql)?;
        Ok(rows.first().and_then(|row| row.first()).and_then(Value::as_int).unwrap_or(0).max(0) as u64)
    }
}
