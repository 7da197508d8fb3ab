//! Where a rule stands when it judges: one part of a statement, what it costs, and what came before it.

use super::course::Course;
use super::effect::{Effect, Lock};
use super::stated::{Demand, Does, RowDeed, Stated};
use std::ops::Range;
use targets::db::TableName;

/// One part of a statement in its place.
pub struct Point<'a> {
    /// What is known of the database just before.
    pub course: &'a Course,
    /// What it does.
    pub stated: &'a Stated,
    /// What it costs.
    pub effect: &'a Effect,
    /// The statement that it is a part of.
    pub sql: &'a str,
    /// What the migration has done before this statement.
    pub before: &'a Before,
    /// Whether it runs in a transaction with others.
    pub in_transaction: bool,
    /// Whether others would run in a transaction with it, were it not for what it is.
    pub splits: bool,
    /// Whether it is the first part of its statement.
    pub first: bool,
    /// What the migration will do after this statement.
    pub later: &'a [Does],
}

/// What a rule has found.
#[derive(Debug, Clone, PartialEq)]
pub struct Raised {
    /// Which rule.
    pub code: &'static str,
    /// Where in the statement.
    pub at: Range<usize>,
    /// What is wrong.
    pub text: String,
    /// What to do.
    pub help: Option<String>,
}

impl Point<'_> {
    /// What was found, at this part of the statement.
    pub fn raise(&self, code: &'static str, text: impl Into<String>, help: impl Into<String>) -> Raised {
        let help: String = help.into();
        Raised {
            code,
            at: self.stated.at.clone(),
            text: text.into(),
            help: Some(help).filter(|help| !help.is_empty()),
        }
    }

    /// Whether an index that begins with these columns is made later in the migration.
    pub fn comes_later(&self, table: &TableName, columns: &[String]) -> bool {
        self.later.iter().any(|later| match later {
            Does::CreateIndex { table: on, index } => {
                on.name == table.name
                    && index.condition.is_none()
                    && index.columns.len() >= columns.len()
                    && index.columns[..columns.len()]
                        .iter()
                        .all(|column| column.as_ref().is_some_and(|column| columns.contains(column)))
            }
            _ => false,
        })
    }

    /// The same, at a place of its own.
    pub fn raise_at(&self, at: &Range<usize>, code: &'static str, text: String, help: &str) -> Raised {
        let at = if at.is_empty() { self.stated.at.clone() } else { at.clone() };
        Raised { at, ..self.raise(code, text, help) }
    }
}

/// What a migration has done so far.
#[derive(Debug, Clone, Default)]
pub struct Before {
    /// Strong locks held by the transaction, on tables that others use.
    pub held: Vec<(TableName, Lock)>,
    /// Tables that an `alter table` of this transaction was about.
    pub altered: Vec<TableName>,
    /// Tables whose rows were changed.
    pub filled: Vec<TableName>,
    /// Constraints that were added without a look at the rows that are there.
    pub unvalidated: Vec<(TableName, String)>,
    /// Values that were added to enums.
    pub enum_values: Vec<String>,
    /// A limit to the wait for locks was set.
    pub lock_timeout: bool,
    /// SQLite: foreign keys were switched off.
    pub keys_off: bool,
    /// SQLite: references were checked.
    pub keys_checked: bool,
    /// Tables that were dropped.
    pub dropped: Vec<TableName>,
    /// Tables that were renamed, with their new names.
    pub renamed: Vec<(TableName, TableName)>,
}

impl Before {
    /// A statement by itself, or the first of a transaction, begins.
    pub fn begin_transaction(&mut self) {
        self.held.clear();
        self.altered.clear();
        self.filled.clear();
        self.unvalidated.clear();
        self.enum_values.clear();
    }

    /// A part of a statement has run.
    pub fn apply(&mut self, stated: &Stated, effect: &Effect, course: &Course) {
        for (table, lock) in &effect.locks {
            if *lock >= Lock::Share && !course.is_new(table) {
                self.held.push((table.clone(), *lock));
            }
        }
        match &stated.does {
            Does::Set { name, .. } if name == "lock_timeout" => self.lock_timeout = true,
            Does::Rows { table, deed, .. } if *deed != RowDeed::Insert => self.filled.push(table.clone()),
            Does::AddConstraint { table, constraint } if constraint.not_valid => {
                let name = constraint.name.clone().unwrap_or_default();
                self.unvalidated.push((table.clone(), name));
            }
            Does::AddEnumValue { value, .. } => self.enum_values.push(value.clone()),
            Does::Pragma { name, value } if name == "foreign_keys" => {
                self.keys_off =
                    value.as_deref().is_some_and(|value| ["off", "0", "false", "no"].contains(&value));
            }
            Does::Pragma { name, .. } if name == "foreign_key_check" => self.keys_checked = true,
            Does::DropTable { tables: names, .. } | Does::DropIndex { names, .. } => {
                self.dropped.extend(names.iter().cloned());
            }
            Does::RenameTable { table, to } => {
                self.renamed
                    .push((table.clone(), TableName { schema: table.schema.clone(), name: to.clone() }));
            }
            _ => {}
        }
        if let Some(table) = altered(&stated.does)
            && !course.is_new(table)
        {
            self.altered.push(table.clone());
        }
    }
}

/// The table of a part of an `alter table`.
pub fn altered(does: &Does) -> Option<&TableName> {
    match does {
        Does::AddColumn { table, .. }
        | Does::DropColumn { table, .. }
        | Does::AlterType { table, .. }
        | Does::SetNotNull { table, .. }
        | Does::DropNotNull { table, .. }
        | Does::SetDefault { table, .. }
        | Does::DropDefault { table, .. }
        | Does::AddConstraint { table, .. }
        | Does::DropConstraint { table, .. } => Some(table),
        _ => None,
    }
}

/// A constraint in words.
pub fn demanded(demand: &Demand) -> &'static str {
    match demand {
        Demand::Check(_) => "check",
        Demand::ForeignKey { .. } => "foreign key",
        Demand::Unique { .. } => "unique constraint",
        Demand::Primary { .. } => "primary key",
        Demand::Exclude => "exclusion constraint",
        Demand::NotNull(_) => "NOT NULL",
    }
}
