//! What a conversion needs to run: everything is decided in the plan and stored with it, so that a resumed run does exactly
//! what was approved.

use super::path::Path;
use super::source::Input;
use engine::{Cursor, Error, Result, Step};
use serde::{Deserialize, Serialize};
use targets::db::{Dialect, Row, Sql, Table};
use targets::programs::Program;

/// One conversion, ready to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The operation's name: under it converted rows are remembered.
    pub operation: String,
    /// The table the configuration names.
    pub table: Table,
    /// Where its rows lie.
    pub leaves: Vec<Table>,
    /// The columns that tell its rows apart.
    pub key: Vec<String>,
    /// Which rows, over `t`.
    pub condition: Sql,
    /// The same without looking at what was converted before.
    pub rule: Sql,
    /// No batch may have more rows than asked for.
    pub exact_batches: bool,
    /// Converted rows are remembered.
    pub remember: bool,
    /// How they are converted.
    pub way: Way,
}

/// How rows are converted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// By the database itself, set by set.
    Set {
        /// Columns and expressions over `t`.
        changes: Vec<(String, Sql)>,
        /// In the order in which rows lie; else by the key.
        physical: bool,
    },
    /// By a program, row by row.
    Program {
        /// The program.
        program: Program,
        /// What it gets.
        inputs: Vec<Input>,
        /// Where what it gives goes.
        target: Target,
        /// Every value it gives counts; else it may give one at most.
        per_value: bool,
    },
}

/// Where the result goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Into these columns of the row.
    Columns(Vec<String>),
    /// Into rows of another table.
    Table {
        /// The table.
        table: Box<Table>,
        /// The columns that the program fills, in its order.
        columns: Vec<String>,
        /// Columns of the key that get their default.
        defaults: Vec<(String, String)>,
        /// Lists of columns by which a row is known to be there already.
        unique: Vec<Vec<String>>,
    },
    /// Into files.
    File {
        /// The store.
        store: String,
        /// Their names.
        path: Path,
        /// The program gives texts.
        text: bool,
        /// What is there is replaced.
        replace: bool,
    },
}

impl Target {
    /// How many values the program gives for each result.
    pub fn width(&self) -> usize {
        match self {
            Target::Columns(columns) | Target::Table { columns, .. } => columns.len(),
            Target::File { .. } => 1,
        }
    }
}

/// Where a conversion goes on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The leaf at work.
    pub leaf: usize,
    /// Where in it: the beginning of a physical window, or the key after which to go on; none for the beginning.
    pub from: Option<Row>,
    /// The end of the window, filled in by `aim`; none for the end.
    pub to: Option<Row>,
    /// Where the next window begins.
    pub next: Option<Row>,
}

impl Task {
    /// From the plan.
    pub fn read(step: &Step) -> Result<Task> {
        serde_json::from_value(step.task.clone())
            .map_err(|error| Error::system("a stored plan cannot be read").because(error))
    }

    /// The condition, over `t`, that a row comes after one place of the key's order and, if given, not after another.
    pub fn between(&self, from: Option<&Row>, to: Option<&Row>, dialect: &dyn Dialect) -> Result<Sql> {
        let mut parts = vec![Sql::new("(").add(&self.condition).text(")")];
        for (sign, row) in [(">", from), ("<=", to)] {
            let Some(row) = row else { continue };
            let mut values = Vec::new();
            for (name, value) in self.key.iter().zip(row) {
                // A rowid is no column: it is known as a number.
                values.push(match self.table.column(name) {
                    Some(column) => dialect.inward(column, value.clone()),
                    None => Sql::default().bind(value.clone()),
                });
            }
            let keys = Sql::default().names("t.", self.key.iter().map(String::as_str));
            parts.push(
                Sql::new("(")
                    .add(&keys)
                    .text(&format!(") {sign} ("))
                    .add(&Sql::join(&values, ", "))
                    .text(")"),
            );
        }
        Ok(Sql::join(&parts, " and "))
    }

    /// The key columns of `t`, in the form in which they leave the database.
    pub fn key_list(&self, dialect: &dyn Dialect) -> String {
        let each = self.key.iter().map(|name| match self.table.column(name) {
            Some(column) => dialect.outward(column),
            None => Sql::new("t.").name(name).shown(),
        });
        each.collect::<Vec<_>>().join(", ")
    }

    /// The order of the key.
    pub fn key_order(&self) -> Sql {
        Sql::new(" order by ").names("t.", self.key.iter().map(String::as_str))
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
