//! What a kind must say; the engine does the rest: locks, guards, batches, undo, checkpoints, reports.
//!
//! A [`Kind`] is one entry of the catalogue. With options it becomes an [`Operation`], which turns facts into
//! steps (read-only) and, batch by batch, acts through [`Work`], the only handle that changes data.

use crate::backup::{BackupPolicy, BackupWish};
use crate::differences::Shape;
use crate::error::{Error, Result};
use crate::event::Counts;
use crate::examples::Examples;
use crate::finding::Finding;
use crate::plan::{Step, Undo};
use crate::request::{Manners, OperationRequest, Severity};
use crate::scopes::GivenUp;
use crate::work::Work;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use targets::db::{Command, Database, Dialect, Facts, Limits};
use targets::files::Files;
use targets::programs::Programs;

/// One entry of the catalogue: what Sexton knows how to do.
pub trait Kind: Send + Sync {
    /// As the user types it: file, module, subcommand, config value and URL part at once.
    fn name(&self) -> &'static str;
    /// One line for lists.
    fn title(&self) -> &'static str;
    /// A paragraph or two for `--help` and the reference.
    fn about(&self) -> &'static str;
    /// The JSON Schema of its options; descriptions are the help texts.
    fn schema(&self) -> schemars::Schema;
    /// How much can go wrong when the configuration does not say.
    fn severity(&self) -> Severity;
    /// Reads options that passed the schema. Errors name the option.
    fn operation(&self, options: &serde_json::Value) -> Result<Box<dyn Operation>>;
    /// The place of its operations in `--all`.
    fn phase(&self) -> Phase;
    /// Whether a figure of its results counts what was done, so that those of several runs add up; any other tells how things stood.
    fn adds_up(&self, _figure: &str) -> bool {
        false
    }
}

/// The order of `--all`: what could be needed comes first, what profits comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Brings the schema to where everything else expects it.
    Migrate,
    /// Looks for damage.
    Check,
    /// Copies before anything goes.
    Backup,
    /// Deletes and changes.
    Clean,
    /// Gives space back.
    Vacuum,
    /// Rebuilds indexes.
    Reindex,
    /// Looks anew at what is where.
    Analyze,
    /// Refreshes views.
    Views,
    /// Measures.
    Measure,
}

/// What planning may use.
pub struct Planning<'a> {
    /// The one moment all ages are measured from.
    pub now: Timestamp,
    /// Since when nothing tells that time has passed, neither the log of runs nor what they left, where that is long.
    pub quiet_since: Option<Timestamp>,
    /// What was asked.
    pub request: &'a OperationRequest,
    /// How long undo rows are kept.
    pub keep_undo: &'a crate::age::Age,
    /// The named file stores.
    pub stores: &'a dyn Stores,
    /// How backups are made and kept; none when they are switched off.
    pub backups: Option<&'a BackupPolicy>,
    /// Whether what is looked at is a copy of the database, as [`Operation::wants_a_copy`] asked for.
    pub on_a_copy: bool,
    /// What earlier runs of this operation found, newest first, where it only looks and the log can be read.
    pub earlier: &'a [Earlier],
    /// Samples of this database, newest first, where the kind wants them.
    pub samples: &'a [Earlier],
    /// How long runs of each kind usually took on this database, in seconds, where the kind wants samples.
    pub usual: &'a std::collections::BTreeMap<String, f64>,
    /// Measures how long a look takes.
    pub clock: &'a dyn crate::clock::Clock,
    /// The other databases of the configuration.
    pub databases: &'a dyn crate::engine::Databases,
    /// Tells how far a long look is: what is looked at, how many rows so far (none: it is over), and about how many there are.
    pub looks: &'a Tell<'a>,
}

/// Tells how far a look is.
pub type Tell<'a> = dyn Fn(&str, Option<u64>, Option<u64>) + Sync + 'a;

impl Planning<'_> {
    /// Until when undo rows of now are kept.
    pub fn kept_until(&self) -> Result<Timestamp> {
        let until = self.now.to_zoned(jiff::tz::TimeZone::UTC).checked_add(self.keep_undo.span()?);
        Ok(until.map_err(|_| Error::usage("undo rows cannot be kept for so long"))?.timestamp())
    }
}

/// What one earlier run found.
#[derive(Debug, Clone)]
pub struct Earlier {
    /// When.
    pub at: Timestamp,
    /// The result.
    pub result: serde_json::Value,
}

/// Finds what an operation needs beside its database: other databases and file stores of the configuration by their names, and
/// who runs programs.
pub trait Stores: Send + Sync {
    /// The store of this name, or a usage error with the names there are.
    fn store(&self, name: &str) -> Result<std::sync::Arc<dyn Files>>;
    /// The database of this name, for operations that read from one and write into another.
    fn database(&self, name: &str) -> Result<std::sync::Arc<dyn Database>> {
        Err(Error::usage(format!("there is no database `{name}`")))
    }
    /// Where that database is, for those who write it down for an application. It may hold a password.
    fn place(&self, name: &str) -> Result<targets::db::Url> {
        targets::db::Url::parse(name)
    }
    /// Who runs programs in jq.
    fn programs(&self) -> Result<std::sync::Arc<dyn Programs>> {
        Err(Error::system("nobody here runs programs in jq").help("convert with `set`, in SQL"))
    }
}

/// What an operation would do.
#[derive(Debug, Clone, Default)]
pub struct Planned {
    /// In order.
    pub steps: Vec<Step>,
    /// What it found while looking.
    pub findings: Vec<Finding>,
    /// What can be put back afterwards.
    pub undo: Option<Undo>,
    /// Why it does nothing here.
    pub skipped: Option<String>,
    /// The result, for kinds that only look.
    pub result: Option<serde_json::Value>,
    /// Whether it needs a fresh backup, also where the request says nothing of one.
    pub needs_backup: bool,
    /// Whether it works outside of transactions, so that each part is done or not and nothing can be rolled back.
    pub outside: bool,
    /// How long it will take, from what is to be done and how fast that went before.
    pub expected_seconds: Option<f64>,
    /// The same where nothing like it was done before: from sizes alone.
    pub guessed_seconds: Option<f64>,
    /// How much can go wrong, where that is more than the kind usually does.
    pub severity: Option<Severity>,
}

/// Where a step goes on. Written by the kind, kept by the engine in the checkpoint of the target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Cursor(pub serde_json::Value);

/// What came of one batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// What it did.
    pub counts: Counts,
    /// Where to go on; none when the step is done.
    pub next: Option<Cursor>,
}

/// What an operation has come to after its last batch.
#[derive(Debug, Clone, Copy)]
pub struct Done<'a> {
    /// What was to be done.
    pub steps: &'a [Step],
    /// The result of the plan.
    pub planned: Option<&'a serde_json::Value>,
    /// What was told about the batches.
    pub details: &'a [serde_json::Value],
    /// How many seconds each step took, over all attempts.
    pub took: &'a [f64],
    /// The undo point.
    pub point: &'a str,
    /// The backup that was taken for it.
    pub backup: Option<&'a str>,
}

/// A statement that puts rows into a copy.
#[derive(Debug, Clone, PartialEq)]
pub struct Seed {
    /// As a person wrote it.
    pub sql: String,
    /// The table that it inserts into, where it does nothing else: these rows are watched.
    pub table: Option<String>,
    /// Where it is written, for messages.
    pub place: String,
}

/// A kind with its options.
pub trait Operation: Send {
    /// Turns facts into steps. `facts` is a session on which the database itself refuses writes.
    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned>;
    /// Looks, outside any transaction, what the next batch of about `rows` rows should be; what it returns is given to
    /// `act`. None when nothing is left of the step.
    fn aim(
        &self,
        step: &Step,
        cursor: &Cursor,
        rows: u64,
        facts: &mut dyn Facts,
        stores: &dyn Stores,
    ) -> Result<Option<Cursor>> {
        let _ = (step, rows, facts, stores);
        Ok(Some(cursor.clone()))
    }
    /// Does one batch inside the open transaction. May be called again for the same aim after a rollback.
    fn act(&self, step: &Step, aim: &Cursor, rows: u64, work: &mut Work) -> Result<Batch>;
    /// What is performed outside of transactions before `act`, which then writes down that it is in. The aim is kept in the
    /// checkpoint first: if the process dies, or the command fails, `aim` is asked with it as its cursor, and finds out
    /// whether the command was done, half done, or not at all.
    fn outside(&self, step: &Step, aim: &Cursor, limits: Limits) -> Result<Option<Command>> {
        let _ = (step, aim, limits);
        Ok(None)
    }
    /// Whether such a command that failed, in the last try or for good, is passed over; else the operation fails with it. Where
    /// to go on, with the scope under which the failure is remembered.
    fn passes_over(&self, step: &Step, aim: &Cursor, error: &Error) -> Result<Option<GivenUp>> {
        let _ = (step, aim, error);
        Ok(None)
    }
    /// What is written down in the transaction that keeps the aim of such a command.
    fn begin(&self, step: &Step, aim: &Cursor, work: &mut Work) -> Result<()> {
        let _ = (step, aim, work);
        Ok(())
    }
    /// Whether this step may be done from its beginning, without being aimed, right after the one before it: in the same
    /// transaction, or in one whose commit need not be waited for.
    fn follows(&self, step: &Step) -> bool {
        let _ = step;
        false
    }
    /// Whether a batch of this step may be long where nobody else is there, and nobody has to wait for its commit unless it is the
    /// last one: what a crash of the server takes back, with everything after it, is done again when the run goes on.
    fn is_in_no_hurry(&self, step: &Step) -> bool {
        let _ = step;
        false
    }
    /// What is rehearsed on a copy where both ways are asked for: the steps, the way back of each, and the steps again.
    fn both_ways(&self, steps: &[Step], facts: &mut dyn Facts) -> Result<Vec<Step>> {
        let _ = facts;
        Ok(steps.to_vec())
    }
    /// Rows that are put into the copy before such a step, and must be there afterwards.
    fn seeds(&self, step: &Step, facts: &mut dyn Facts) -> Result<Vec<Seed>> {
        let _ = (step, facts);
        Ok(Vec::new())
    }
    /// What tells two schemas apart, one line for each difference; none when they are the same.
    fn differences(&self, before: &Shape, after: &Shape, dialect: &dyn Dialect) -> Vec<String> {
        let _ = dialect;
        crate::differences::between(&before.schema, &after.schema)
    }
    /// The steps without what would reach beyond a copy, such as the roles of a server, and what was left out of them.
    fn alone(&self, steps: Vec<Step>, dialect: &dyn Dialect) -> Result<(Vec<Step>, Vec<Finding>)> {
        let _ = dialect;
        Ok((steps, Vec::new()))
    }
    /// What makes a database out of an empty one of the same kind, see [`crate::Engine::made_anew`]. `facts` are of the one
    /// that is configured.
    fn anew(&self, facts: &mut dyn Facts) -> Result<Vec<Step>> {
        let _ = facts;
        Err(Error::usage("this kind of operation makes no database"))
    }
    /// Whether `failed` is asked.
    fn notes_failures(&self) -> bool {
        false
    }
    /// Writes down that a step failed for good, after its batch was rolled back, in a transaction of its own.
    fn failed(&self, step: &Step, cursor: &Cursor, error: &str, work: &mut Work) -> Result<()> {
        let _ = (step, cursor, error, work);
        Ok(())
    }
    /// Whether `go_back` is asked.
    fn goes_back(&self) -> bool {
        false
    }
    /// Takes away what it has begun, where it does so by itself: after it failed for good (with the error), or was stopped (without).
    /// `work` is none where its database cannot be reached any more. What was taken away, for the log.
    fn go_back(
        &self,
        error: Option<&Error>,
        stores: &dyn Stores,
        work: Option<&mut Work>,
    ) -> Result<Option<String>> {
        let _ = (error, stores, work);
        Ok(None)
    }
    /// How long to wait for the right to maintain. A lock of a session that died lingers for a moment.
    fn lock_patience(&self) -> Duration {
        Duration::from_millis(1_500)
    }
    /// How often a batch is tried again when others are in its way.
    fn retries(&self) -> usize {
        crate::retry::USUAL
    }
    /// Whether a batch that failed for its data is a scope that can be passed over; else the operation fails with it.
    fn give_up(&self, step: &Step, aim: &Cursor, error: &str) -> Result<Option<GivenUp>> {
        let _ = (step, aim, error);
        Ok(None)
    }
    /// The result for the report, where it is more than the plan could tell; none leaves that of the plan.
    fn result(&self, done: &Done, facts: &mut dyn Facts) -> Result<Option<serde_json::Value>> {
        let _ = (done, facts);
        Ok(None)
    }
    /// Checks the result after the last batch. Findings of level warning make the run partial.
    fn verify(&self, steps: &[Step], counts: &[Counts], facts: &mut dyn Facts) -> Result<Vec<Finding>>;
    /// Under which name progress is kept in the target; `point` is the id of the undo point of this operation.
    fn checkpoint(&self, point: &str, steps: &[Step]) -> String {
        let _ = steps;
        point.to_owned()
    }
    /// Whether it had better look at a copy of the database, so that the database itself is not held.
    fn wants_a_copy(&self) -> bool {
        false
    }
    /// Whether it looks and never changes anything: then what it finds decides how it ends.
    fn only_looks(&self) -> bool {
        false
    }
    /// Whether it only reads its database and writes elsewhere: nothing is locked or kept in the database, no session may write,
    /// and `read_out` is asked for each step instead of `act`.
    fn only_reads(&self) -> bool {
        false
    }
    /// Does one step of such an operation, on a session that sees the database at one moment for all steps. `each` is told of every
    /// part that is done; where it answers false, the step ends at once and its work counts for nothing.
    fn read_out(
        &self,
        step: &Step,
        facts: &mut dyn Facts,
        stores: &dyn Stores,
        each: &mut dyn FnMut(Counts) -> Result<bool>,
    ) -> Result<()> {
        let _ = (step, facts, stores, each);
        Ok(())
    }
    /// The file stores in which it sets files aside.
    fn stores(&self) -> Vec<String> {
        Vec::new()
    }
    /// Whether planning wants to know what earlier runs found.
    fn looks_back(&self) -> bool {
        false
    }

    /// Whether planning wants the samples of the database.
    fn wants_samples(&self) -> bool {
        false
    }
    /// What is kept of a result as a sample of the database, for trends.
    fn sample(&self, result: &serde_json::Value) -> Option<serde_json::Value> {
        let _ = result;
        None
    }

    /// Some of the rows that a step is about, at most `most`, for a person who decides; none where it is about no rows of a table,
    /// or where they are known only while it runs.
    fn examples(&self, step: &Step, most: u64, facts: &mut dyn Facts) -> Result<Option<Examples>> {
        let _ = (step, most, facts);
        Ok(None)
    }

    /// What is to be backed up how, when the operation is a backup and nothing else: `act` is then never asked.
    fn backup(&self) -> Option<BackupWish> {
        None
    }
    /// Limits that this operation has unless the request says otherwise.
    fn manners(&self, asked: &Manners) -> Manners {
        asked.clone()
    }
}
