//! What a sweep needs to run one step: everything is decided in the plan and stored with it, so that a resumed run
//! does exactly what was approved.

use super::along::Hands;
use super::aside::Aside;
use super::newest::Newest;
use super::policy::{ArchiveFormat, Policy};
use super::relations::Child;
use engine::undo::Tally;
use engine::{Cursor, Error, Result, Step};
use serde::{Deserialize, Serialize};
use targets::db::{Dialect, List, Row, Sql, Table, Take};

/// One sweep, ready to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The table the configuration names.
    pub table: Table,
    /// Where its rows lie.
    pub leaves: Vec<Table>,
    /// Which rows, over `t`.
    pub condition: Sql,
    /// The same without looking at who refers to them.
    pub rule: Sql,
    /// The rule looks every row up in another table.
    #[serde(default)]
    pub joins: bool,
    /// The same rule for counting, where it can be written so.
    #[serde(default)]
    pub joined: Option<Joined>,
    /// How to go through the table.
    pub walk: Walk,
    /// No batch may have more rows than asked for.
    pub exact_batches: bool,
    /// Rows the plan counted.
    pub planned: u64,
    /// Who refers to them.
    pub children: Vec<Child>,
    /// Who handles them, where it can be simple.
    #[serde(default)]
    pub hands: Option<Hands>,
    /// How many rows of each group stay, where the rule says so.
    #[serde(default)]
    pub newest: Option<Newest>,
    /// Put aside what stays and empty the table, all at once.
    #[serde(default)]
    pub refill: bool,
    /// What happens to them.
    pub act: Act,
    /// Where they are archived, if at all.
    pub archive: Option<Archive>,
    /// The table to which they move, if any.
    #[serde(default)]
    pub aside: Option<Aside>,
    /// How often a row may be changed like this before it gets other values.
    #[serde(default)]
    pub counted: Option<Counted>,
    /// Places in `leaves` of partitions to drop instead of deleting their rows.
    pub drop: Vec<usize>,
}

/// What happens to the rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// They are deleted.
    Delete,
    /// They get these values, expressions over `t`, and count as archived.
    Mark(Vec<(String, Sql)>),
    /// They get these values, expressions over `t`.
    Change(Vec<(String, Sql)>),
    /// They are deleted, and rows of other tables take their place.
    Move(Vec<Onward>),
}

/// What takes the place of a row that moves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Onward {
    /// Where it lies.
    pub table: Table,
    /// Which columns it has.
    pub columns: Vec<String>,
    /// A select of their values, up to a condition over `t` that says of which rows.
    pub select: Sql,
    /// It is for rows whose count is spent.
    pub spent: bool,
}

impl Act {
    /// Whether rows stay, with new values.
    pub fn updates(&self) -> bool {
        !matches!(self, Act::Delete | Act::Move(_))
    }
}

/// A rule that looks every row up in other tables, written as a join: it tells at once how many rows there are and how
/// many satisfy it. Measured on 2 000 000 rows with 200 000 parents: between 0.4 and 1 of the time of the anti-join that only
/// counts the latter on SQLite, 1.25 of it on PostgreSQL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Joined {
    /// What follows `from table as t`; gives each row once.
    pub from: Sql,
    /// Which rows, over `t` and what is joined.
    pub condition: Sql,
}

/// Changes that are counted, row by row, and told, row by row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    /// Where the count is kept, where that is not in a column of the row.
    pub tally: Option<Tally>,
    /// Rows, over `t`, that are spent whatever the tally says.
    pub also: Option<Sql>,
    /// The values for rows whose count is spent, column by column as in [`Act::Change`].
    pub spent: Vec<Sql>,
    /// The word for what is done, and the columns that say to which row.
    pub said: (String, Vec<String>),
}

/// Where rows are archived.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Archive {
    /// The file store.
    pub store: String,
    /// In which form.
    pub format: ArchiveFormat,
    /// The operation's name, for the file names.
    pub operation: String,
    /// The database's name, for the header.
    pub database: String,
}

/// How to go through a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Walk {
    /// In the order in which rows lie, each place once.
    Physical,
    /// Found by an index, a batch at a time until none is left.
    Few,
}

/// Where a sweep goes on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The leaf at work.
    pub leaf: usize,
    /// Where in it; none for the beginning.
    pub from: Option<Row>,
    /// The end of the window, filled in by `aim`; none for the end of the leaf.
    pub to: Option<Row>,
    /// Where the next window begins when this one turns out full.
    pub next: Option<Row>,
    /// Rows done before.
    pub done: u64,
    /// Rows done in this pass.
    pub in_pass: u64,
    /// How many of the partitions to drop were tried.
    #[serde(default)]
    pub tried: usize,
    /// The leaves that are no longer there.
    #[serde(default)]
    pub gone: Vec<usize>,
    /// The list at work.
    #[serde(default)]
    pub list: Option<List>,
    /// How many passes ended.
    #[serde(default)]
    pub passes: u64,
    /// The last pass: whatever is left, wherever it moved.
    pub last_pass: bool,
}

impl Task {
    /// From the plan.
    pub fn read(step: &Step) -> Result<Task> {
        serde_json::from_value(step.task.clone())
            .map_err(|error| Error::system("a stored plan cannot be read").because(error))
    }

    /// Into the plan, with the statements that will run.
    pub fn write(&self, mut step: Step, dialect: &dyn Dialect) -> Result<Step> {
        step.statements = self.statements(dialect);
        step.task = serde_json::to_value(self)
            .map_err(|error| Error::system("the plan cannot be written").because(error))?;
        Ok(step)
    }

    /// The statements of a batch in the middle, for people to read.
    fn statements(&self, dialect: &dyn Dialect) -> Vec<String> {
        let dropped = self.drop.iter().flat_map(|n| dialect.drop_partition(&self.leaves[*n]));
        let mut all: Vec<String> = dropped.map(|statement| statement.shown()).collect();
        let rest = self.leaves.iter().enumerate().find(|(n, _)| !self.drop.contains(n));
        let Some((_, leaf)) = rest else { return all };
        let take = Take {
            table: leaf,
            condition: self.condition.clone(),
            window: None,
            limit: (self.walk == Walk::Few).then_some(1000),
            skip_locked: false,
            into: None,
            values: Vec::new(),
            batch: 1,
            below: Vec::new(),
        };
        if let Some(aside) = &self.aside {
            if aside.is_new {
                all.push(aside.create().shown());
            }
            all.push(format!(
                "insert into {} select t.*, … from {} as t where …",
                aside.table.name.quoted(),
                leaf.name.quoted()
            ));
        }
        match &self.act {
            Act::Delete => all.extend(dialect.take(&take).iter().map(Sql::shown)),
            Act::Move(onward) => {
                for way in onward {
                    let into =
                        format!("insert into {} ({})", way.table.name.quoted(), way.columns.join(", "));
                    all.push(format!("{into} {}…", way.select.shown()));
                }
                all.extend(dialect.take(&take).iter().map(Sql::shown));
            }
            Act::Mark(changes) | Act::Change(changes) => {
                let set: Vec<String> =
                    changes.iter().map(|(column, value)| format!("{column} = {}", value.shown())).collect();
                all.push(format!(
                    "update {} as t set {} where {}",
                    leaf.name.quoted(),
                    set.join(", "),
                    self.condition.shown()
                ));
            }
        }
        all
    }

    /// Whether rows stay because others refer to them.
    pub fn restricts(&self) -> bool {
        self.children.iter().any(|child| child.policy == Policy::Restrict)
    }

    /// Whether rows of the table refer to others of it.
    pub fn refers_to_itself(&self) -> Option<&Child> {
        self.children.iter().find(|child| child.is_self(&self.table))
    }
}

impl Place {
    /// From a cursor.
    pub fn read(cursor: &Cursor) -> Result<Place> {
        if cursor.0.is_null() {
            return Ok(Place::default());
        }
        serde_json::from_value(cursor.0.clone())
            .map_err(|error| Error::system("a checkpoint cannot be read").because(error))
    }

    /// The leaf at work, past those that were dropped.
    pub fn leaf<'a>(&mut self, task: &'a Task) -> Option<&'a Table> {
        while self.gone.contains(&self.leaf) {
            self.leaf += 1;
        }
        task.leaves.get(self.leaf)
    }

    /// As a cursor.
    pub fn cursor(&self) -> Result<Cursor> {
        serde_json::to_value(self)
            .map(Cursor)
            .map_err(|error| Error::system("a checkpoint cannot be written").because(error))
    }
}
