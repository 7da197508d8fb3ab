//! What a step needs to run, and where it is.

use crate::upkeep;
use engine::{Cursor, Error, Result, Step};
use serde::{Deserialize, Serialize};
use targets::db::{Chore, TableName, Vacuuming};

/// What gives the space back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cure {
    /// The end of the table is empty: it only has to be cut off.
    CutOff,
    /// Rows at the end go into free space before them, then the end is cut off.
    Move,
}

/// How a table is made smaller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moving {
    /// The cheapest cure.
    pub cure: Cure,
    /// The column that is given its own value.
    pub column: String,
    /// Triggers are kept from firing.
    pub silently: bool,
    /// Pages when it was planned.
    pub pages: u64,
}

/// A step of `compact`: an object of upkeep, and for a table how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// What all chores know.
    #[serde(flatten)]
    pub upkeep: upkeep::Task,
    /// None for an index, or for a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving: Option<Moving>,
}

impl Task {
    /// Reads the task of a step.
    pub fn of(step: &Step) -> Result<Self> {
        serde_json::from_value(step.task.clone())
            .map_err(|error| Error::system("the step of a plan cannot be read").because(error))
    }

    /// How its table is made smaller, where it is about one.
    pub fn table(step: &Step) -> Result<Option<(TableName, Moving)>> {
        let task = Self::of(step)?;
        Ok(match (task.upkeep.object, task.moving) {
            (upkeep::Object::Table { name }, Some(moving)) => Some((name, moving)),
            _ => None,
        })
    }
}

/// The vacuum before, between and after.
pub fn vacuum(table: &TableName, analyze: bool) -> Chore {
    let how = Vacuuming {
        analyze,
        skip_locked: true,
        truncate: true,
        // Else a few dead rows are left to the next one, and their page stays.
        index_cleanup: Some(true),
        ..Vacuuming::default()
    };
    Chore::Vacuum { table: Some(table.clone()), how }
}

/// What the next batch does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum Deed {
    /// Nothing was looked at yet.
    #[default]
    Look,
    /// Clean the table, so that its free space is known from the front on, and cut off what is empty.
    Vacuum,
    /// Look what is left to be gained.
    Weigh,
    /// Go on with the pages before this one.
    Before {
        /// Exclusive.
        page: u64,
    },
    /// Move the rows of these pages.
    Move {
        /// The first.
        from: u64,
        /// The page after the last.
        to: u64,
    },
    /// Nothing more of this step.
    Skip {
        /// Why.
        reason: String,
    },
}

/// The cursor of a step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// What is next.
    pub deed: Deed,
    /// Pages that a fresh copy would have: nothing before is moved.
    pub floor: u64,
    /// Pages before rows were moved since the last vacuum; 0 where none were.
    pub pages: u64,
    /// About how many rows lie on a page at the end.
    pub on_page: f64,
    /// Rows moved since the last vacuum.
    pub moved: u64,
    /// How long the longest of these batches took, in seconds.
    pub longest: f64,
    /// How long all of them took.
    pub spent: f64,
    /// Others held rows that stayed.
    pub held: bool,
    /// Pages of a batch at the most, after one found no room; 0 for no such limit.
    pub most: u64,
    /// The last batch found no room, and fewer rows at once may find some.
    pub narrowed: bool,
    /// How often the end was empty and was not cut off.
    pub tries: u32,
}

impl Place {
    /// Reads a cursor.
    pub fn of(cursor: &Cursor) -> Result<Self> {
        if cursor.0.is_null() {
            return Ok(Self::default());
        }
        serde_json::from_value(cursor.0.clone())
            .map_err(|error| Error::system("the place in a step cannot be read").because(error))
    }

    /// Writes one.
    pub fn cursor(&self) -> Result<Cursor> {
        serde_json::to_value(self)
            .map(Cursor)
            .map_err(|error| Error::system("the place in a step cannot be written").because(error))
    }

    /// The same with another deed.
    pub fn then(self, deed: Deed) -> Self {
        Self { deed, ..self }
    }
}
