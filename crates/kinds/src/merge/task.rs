//! What a merge needs to run: everything is decided in the plan and stored with it, so that a resumed run does exactly
//! what was approved.

use super::options::{FieldRule, Policy};
use engine::{Cursor, Error, Result, Step};
use serde::{Deserialize, Serialize};
use targets::db::{Family, List, Sql, Table, Value};

/// A merge, ready to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The merged table and all that hangs on it.
    pub node: Node,
    /// What makes rows duplicates, over `t`.
    pub by: Vec<Sql>,
    /// Which rows take part, over `t`.
    pub wanted: Sql,
    /// Which rows take part whatever they are: those that no undo has put back, over `t`.
    pub free: Option<Sql>,
    /// The column that parts the table.
    pub scope: Option<String>,
    /// How it is a tree.
    pub tree: Option<Tree>,
    /// Which row stays: the one that comes first.
    pub order: Vec<Order>,
    /// What the order needs beside `t`: joins.
    pub joins: Sql,
    /// What the surviving row takes over.
    pub fields: Vec<Field>,
    /// How old a row is, over `t`.
    pub age: Option<Sql>,
    /// A text column of a unique key through which rows on their way would meet others that are about to go.
    pub park: Option<String>,
    /// The scopes to do, in order.
    pub scopes: Vec<Value>,
    /// Rows the plan counted.
    pub planned: u64,
    /// The least size of a batch where the session can keep no list, so that each batch compares the whole table.
    #[serde(default)]
    pub at_least: u64,
    /// No more rows than this in one run.
    #[serde(default)]
    pub max_rows: Option<u64>,
}

/// One rule for which row comes first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// As a person says it.
    pub said: String,
    /// Over `t`.
    pub value: Sql,
    /// The greatest comes first.
    pub descending: bool,
    /// It counts rows of other tables.
    pub counts: bool,
}

/// A tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    /// The column that refers to the row above.
    pub parent: String,
    /// What makes children the same, over `t`.
    pub siblings: Vec<Sql>,
}

/// A table whose rows become one, with what refers to them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// The table.
    pub table: Table,
    /// Where its rows lie.
    pub leaves: Vec<Table>,
    /// How many of `values` are the key: they come first.
    pub key: usize,
    /// The columns by which its rows are referred to.
    pub values: Vec<String>,
    /// Who refers to them.
    pub references: Vec<Reference>,
}

/// One reference to the rows of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// The table that refers.
    pub node: Node,
    /// Its referring columns.
    pub columns: Vec<String>,
    /// The places among the values of the node that each refers to.
    pub to: Vec<usize>,
    /// It refers to its own table.
    pub own: bool,
    /// An index leads from the row referred to.
    pub indexed: bool,
    /// Which rows get in each other's way, and what happens then.
    pub clashes: Vec<Clash>,
}

/// Rows that get in each other's way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Clash {
    /// The referring columns that count.
    pub through: Vec<usize>,
    /// The other columns that must be the same.
    pub beside: Vec<String>,
    /// The rows that the unique key is about, as a query for their keys, where it is not about all.
    #[serde(default)]
    pub only: Option<Sql>,
    /// Columns that make rows the same thing.
    pub same: Vec<String>,
    /// What happens to rows that are not the same thing; to all where `same` is empty.
    pub policy: Policy,
    /// What happens to rows that are.
    pub if_same: Policy,
    /// The column that gets another name.
    pub rename: Option<String>,
    /// How long a name may be.
    pub longest: Option<u64>,
    /// What the row that stays takes over.
    pub fields: Vec<Field>,
}

/// A column and how it takes over values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// The column.
    pub column: String,
    /// How.
    pub rule: FieldRule,
}

/// Where a merge goes on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The place of the scope at work.
    pub scope: usize,
    /// Rows done before, without scopes.
    pub done: u64,
    /// The pairs that the session keeps, without scopes.
    #[serde(default)]
    pub list: Option<List>,
    /// The first group of the list that is not done.
    #[serde(default)]
    pub from: i64,
    /// The end of this batch in the list, exclusive; none for the end of the list.
    #[serde(default)]
    pub to: Option<i64>,
    /// How often the list was made anew, because others have changed too much.
    #[serde(default)]
    pub again: u32,
}

impl Task {
    /// From the plan.
    pub fn read(step: &Step) -> Result<Task> {
        serde_json::from_value(step.task.clone())
            .map_err(|error| Error::system("a stored plan cannot be read").because(error))
    }
}

impl Node {
    /// The columns of the key.
    pub fn key(&self) -> &[String] {
        &self.values[..self.key]
    }

    /// `t.k0 = m.o0 and …`: the row under one alias is the one that `kind` (`o` old, `n` new) names under another.
    pub fn is(&self, row: &str, map: &str, kind: &str) -> Sql {
        let same: Vec<Sql> = self
            .key()
            .iter()
            .enumerate()
            .map(|(n, column)| Sql::new(&format!("{row}.")).name(column).text(&format!(" = {map}.{kind}{n}")))
            .collect();
        Sql::join(&same, " and ")
    }

    /// The n-th value of the row that `{alias}.n0, …` name. With its type, where something refers to it by values of
    /// another one: SQLite finds `'2'` by a 2 of an integer column, not by a 2 that a query has made.
    pub fn named(&self, n: usize, alias: &str) -> Sql {
        if self.references.iter().all(|reference| self.compares_alike(reference)) {
            return Sql::new(&format!("{alias}.n{n}"));
        }
        Sql::new("(select t.")
            .name(&self.values[n])
            .text(" from ")
            .table(&self.table.name)
            .text(" as t where ")
            .add(&self.is("t", alias, "n"))
            .text(&format!(") as n{n}"))
    }

    /// Whether values that are the same as one of this node are the same among themselves: the columns are of one type.
    pub fn compares_alike(&self, reference: &Reference) -> bool {
        reference.columns.iter().zip(&reference.to).all(|(column, to)| {
            let (own, above) = (reference.node.table.column(column), self.table.column(&self.values[*to]));
            own.zip(above).is_some_and(|(own, above)| match own.family {
                Family::Any | Family::Other => own.declared.eq_ignore_ascii_case(&above.declared),
                family => family == above.family,
            })
        })
    }

    /// The key, over `t`, is one of those that `select` gives.
    pub fn among(&self, select: &Sql) -> Sql {
        let key = Sql::default().names("t.", self.key().iter().map(String::as_str));
        let key = if self.key > 1 { Sql::new("(").add(&key).text(")") } else { key };
        key.text(" in (").add(select).text(")")
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

    /// As a cursor.
    pub fn cursor(&self) -> Result<Cursor> {
        serde_json::to_value(self)
            .map(Cursor)
            .map_err(|error| Error::system("a checkpoint cannot be written").because(error))
    }
}

/// `o0, o1`: the columns of a mapping for so many values.
pub fn numbered(kind: &str, many: usize) -> Vec<String> {
    (0..many).map(|n| format!("{kind}{n}")).collect()
}
