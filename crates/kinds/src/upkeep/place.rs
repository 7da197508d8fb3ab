//! Where a step is: the cursor, and what is to be done next.

use engine::{Cursor, Error, Result};
use serde::{Deserialize, Serialize};
use targets::db::TableName;

/// What the next batch does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum Deed {
    /// Nothing was looked at yet.
    #[default]
    Look,
    /// The chore.
    Perform {
        /// Pages of a slice, where a chore is done in slices.
        pages: u64,
    },
    /// A death came between the chore and its record: it is in.
    Found,
    /// Nothing, and nothing more of this step.
    Skip {
        /// Why.
        reason: String,
    },
    /// Remove what a rebuild left behind.
    Tidy {
        /// The index.
        index: TableName,
    },
}

/// The cursor of a step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// Which chore.
    pub at: usize,
    /// What is done next.
    pub deed: Deed,
    /// What the object looked like before the chore; it looks different when the chore is in.
    pub mark: Option<String>,
    /// The chore failed for good: only tidying is left.
    pub given_up: bool,
    /// How often a try of it left something behind that was removed.
    pub tries: usize,
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
}
