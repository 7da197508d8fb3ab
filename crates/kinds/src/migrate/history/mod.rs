//! The histories that other tools keep in the database, read so that `status` is right on the first day.
//!
//! Nothing is written. Whether a history exists is asked of the catalogue; one that exists and cannot be read is an
//! error, never an empty one (S0-006, S0-007, W-002).

mod known;
mod moment;
mod ranked;
mod shape;
mod simple;

pub use shape::{History, Shape, found};

use super::model::{Applied, Migration};
use engine::Result;
use known::Known;
use targets::db::{Facts, Sql, Value};

/// What a history says, each entry with the id of its migration in the directory, one entry for each.
pub fn read(facts: &mut dyn Facts, history: &History, migrations: &[Migration]) -> Result<Vec<Applied>> {
    let known = Known::new(migrations);
    let rows = Rows { facts, history };
    match history.shape {
        Shape::Versions => simple::versions(rows, &known),
        Shape::Dirty => simple::dirty(rows, &known),
        Shape::Diesel => simple::diesel(rows, &known),
        Shape::Plain => simple::plain(rows, &known),
        Shape::Goose => ranked::goose(rows, &known),
        Shape::Flyway => ranked::flyway(rows, &known),
        Shape::Sqlx => simple::sqlx(rows, &known),
        Shape::Refinery => simple::refinery(rows, &known),
    }
}

/// The rows of one history.
struct Rows<'a> {
    facts: &'a mut dyn Facts,
    history: &'a History,
}

impl Rows<'_> {
    /// These columns as text (NULL being none), in the order of another one.
    fn texts(self, columns: &[&str], order: &str) -> Result<Vec<Vec<Option<String>>>> {
        let list: Vec<Sql> = columns
            .iter()
            .map(|column| match *column {
                // bytes would lose their meaning as text
                "checksum" if self.history.shape == Shape::Sqlx => Sql::default().name(column),
                column => Sql::new("cast(").name(column).text(" as text)"),
            })
            .collect();
        let select =
            Sql::new("select ").add(&Sql::join(&list, ", ")).text(" from ").table(&self.history.table);
        let rows = self.facts.rows(&select.text(" order by ").name(order)).map_err(|error| {
            error.while_doing(&format!("the history `{}` cannot be read", self.history.table))
        })?;
        Ok(rows.into_iter().map(|row| row.into_iter().map(text).collect()).collect())
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Text(text) => Some(text),
        Value::Blob(bytes) => Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        other => Some(other.to_string()),
    }
}

/// A truth value as text: both databases, and those who keep numbers.
fn is_true(text: Option<&String>) -> bool {
    text.is_some_and(|text| matches!(text.as_str(), "1" | "true" | "t"))
}
