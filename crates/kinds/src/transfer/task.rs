//! What the steps of a transfer need to run: everything is decided in the plan and stored with it, so that a resumed run does
//! exactly what was approved.

use super::ahead::Ahead;
use super::convert::{Misfit, Rule};
use super::design::{NewIndex, NewReference};
use super::made::Made;
use super::online::Online;
use super::options::{Empty, Policy, Proof, Query};
use super::plan::KINDS;
use super::released::Released;
use engine::{Cursor, Error, Result, Step};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use targets::db::{Row, TableName};

/// Where rows that fit nowhere are kept: a table of ours in the target.
pub const ASIDE: &str = "unloaded";
/// Where it is kept which ids became which uuids.
pub const IDS: &str = "ids";

/// One step, ready to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Tables are made, or made ready; what an earlier attempt brought goes first.
    Begin {
        /// All of them, parents first.
        tables: Vec<TableName>,
        /// They are made by these statements, and were not there before.
        are_new: bool,
        /// Rows that they have make way.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        replace: bool,
        /// In one transaction.
        statements: Vec<String>,
        /// The references among what is taken away, which are put back when it fails.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        released: Vec<Released>,
        /// The moment of the source that was looked at for the plan.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        looked_at: Option<String>,
    },
    /// Statements in one transaction.
    Statements(Vec<String>),
    /// Views and triggers are made on the empty tables, and taken away again: what the target refuses it refuses now.
    Try {
        /// The keys without which it would refuse more.
        keys: Vec<String>,
        /// All of them.
        all: Vec<Made>,
    },
    /// Views or triggers.
    Make(Vec<Made>),
    /// The same of a script, where the tables that it makes are not there.
    Script {
        /// What it makes.
        tables: Vec<TableName>,
        /// In one transaction.
        statements: Vec<String>,
    },
    /// The rows of a table, range by range.
    Load {
        /// The table.
        carry: Carry,
        /// How closely it will be compared.
        proof: Proof,
        /// Two sessions bring them at once.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        on_two: bool,
    },
    /// The keys and indexes of all tables.
    Indexes(Vec<Building>),
    /// The references of all tables are declared, without a look at the rows.
    Declare(Vec<NewReference>),
    /// The references of all tables.
    References(Vec<NewReference>),
    /// The statistics of all tables.
    Analyze(Vec<String>),
    /// The table on both sides, compared.
    Compare {
        /// The table.
        carry: Carry,
        /// How closely.
        proof: Proof,
    },
    /// The source is asked.
    Ask {
        /// The name of the question.
        name: String,
        /// The question.
        query: Query,
    },
    /// From now on the source writes down what changes.
    Capture(Box<Online>),
    /// What was written down is carried, round by round.
    Follow,
    /// Nobody may write: the last round, and the source refuses changes.
    CutOver,
    /// The application is sent to the target.
    Switch,
    /// What was kept on the way goes.
    End,
    /// What a transfer that is not over has made in the target goes.
    ClearTarget(Box<Online>, String),
    /// What a plain transfer that ended early has brought into the target goes, by these statements.
    TakeBack {
        /// Its run.
        run: String,
        /// In one transaction.
        statements: Vec<String>,
    },
    /// Nobody writes into the target any more.
    StopTarget(Box<Online>, String),
    /// What was written there is carried back.
    CarryBack(Box<Online>, String),
    /// The application is sent back.
    SwitchBack(Box<Online>, String),
    /// Nothing is noted in the target any more.
    Settle(Box<Online>, String),
    /// The source is copied.
    CopySource,
    /// Rows of these tables are written to what they are.
    Touch(Vec<Carry>),
    /// The copy is compared with what it was.
    CompareCopy,
    /// Nothing of a rehearsal stays.
    Tidy,
    /// The source takes changes again, and nothing of ours is left there.
    ClearSource(Box<Online>, String),
}

/// A key or an index of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Building {
    /// The table.
    pub table: String,
    /// What is made.
    pub index: NewIndex,
}

/// A table on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Carry {
    /// The database that is read.
    pub database: String,
    /// The table in it.
    pub table: String,
    /// The table in the target.
    pub name: TableName,
    /// What tells its rows apart there, and orders them: the rowid, or the columns of the key.
    pub order: Vec<String>,
    /// They are ordered by their bytes, because only the application has the order of the key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_bytes: bool,
    /// Its columns.
    pub columns: Vec<Carried>,
    /// The columns by which rows are told apart in the target, by their places in `columns`; empty where nothing does.
    pub key: Vec<usize>,
    /// References that some rows break.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<Broken>,
    /// Checks of the target that some rows break.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
    /// Keys of the target in which some rows are equal to others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub twice: Vec<Twice>,
}

/// A key of the target in which some rows are equal to earlier ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Twice {
    /// Its name.
    pub name: String,
    /// Its columns, by their places.
    pub columns: Vec<usize>,
    /// Hashes of what orders these rows, sorted.
    pub rows: Vec<String>,
    /// The key is more than its columns, some of which may be NULL in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expressed: bool,
}

fn check() -> Misfit {
    Misfit::Check
}

/// A condition of the target that some rows break.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// Its name.
    pub name: String,
    /// What it is for a row to break it.
    #[serde(default = "check")]
    pub misfit: Misfit,
    /// The columns that it is about, by their places.
    pub columns: Vec<usize>,
    /// Hashes of the values that break it, sorted.
    pub bad: Vec<String>,
}

/// A column on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    /// Its name in the source.
    pub source: String,
    /// Its name in the target.
    pub target: String,
    /// Its type there.
    pub spelled: String,
    /// How its values are read.
    pub rule: Rule,
    /// There must be a value.
    pub not_null: bool,
    /// The target computes it: it is compared, not copied.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub computed: bool,
    /// A program in jq that makes the value of the source's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jq: Option<String>,
    /// Other values for these ones; none for NULL.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Option<String>>,
    /// What stands in for a value that is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// What happens to NULL.
    pub null: Empty,
    /// What happens to an empty text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty: Option<Empty>,
    /// What happens to misfits, where it is not `stop`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub policies: BTreeMap<Misfit, Policy>,
}

/// A reference that some rows break.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Broken {
    /// The referring columns, by their places in the columns of the table.
    pub columns: Vec<usize>,
    /// A condition over the source's table `t`: the row breaks it.
    pub condition: String,
}

impl Carry {
    /// Whether rows may be kept aside.
    pub fn may_lose_rows(&self) -> bool {
        let aside = |column: &Carried| column.policies.values().any(|policy| *policy == Policy::Quarantine);
        self.columns.iter().any(aside)
    }

    /// Rows that nothing is said of are kept aside.
    pub fn keep_aside(&mut self) {
        for column in &mut self.columns {
            for kind in KINDS {
                column.policies.entry(kind).or_insert(Policy::Quarantine);
            }
        }
    }

    /// Whether something is said of this kind of misfits.
    pub fn expects(&self, misfit: Misfit) -> bool {
        self.columns.iter().any(|column| column.policies.contains_key(&misfit))
    }
}

impl Task {
    /// That of a step.
    pub fn read(step: &Step) -> Result<Self> {
        serde_json::from_value(step.task.clone())
            .map_err(|error| Error::system("the stored plan of a transfer cannot be read").because(error))
    }
}

/// Where a step goes on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// Behind this row of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Row>,
    /// Two sessions bring the batch: where its shares end, but for the last one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bounds: Vec<Row>,
    /// What has come of it already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ahead: Option<Ahead>,
    /// The statements that failed, by their places.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skip: Vec<usize>,
    /// How many rows were carried so far.
    #[serde(skip_serializing_if = "is_zero")]
    pub rows: u64,
    /// The sum of their hashes, in hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Why everything begins again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again: Option<String>,
    /// How many rounds were done.
    #[serde(skip_serializing_if = "is_zero")]
    pub rounds: u64,
    /// Both sides were counted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub counted: bool,
    /// The statements outside of transactions are to be run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub outside: bool,
}

fn is_zero(rows: &u64) -> bool {
    *rows == 0
}

impl Place {
    /// The sum of the hashes so far.
    pub fn hash(&self) -> u128 {
        self.hash.as_ref().and_then(|hash| u128::from_str_radix(hash, 16).ok()).unwrap_or(0)
    }

    /// From a cursor.
    pub fn read(cursor: &Cursor) -> Result<Self> {
        if cursor.0.is_null() {
            return Ok(Self::default());
        }
        serde_json::from_value(cursor.0.clone())
            .map_err(|error| Error::system("the checkpoint of a transfer cannot be read").because(error))
    }

    /// To a cursor.
    pub fn cursor(&self) -> Result<Cursor> {
        serde_json::to_value(self)
            .map(Cursor)
            .map_err(|error| Error::system("the checkpoint of a transfer cannot be written").because(error))
    }
}
