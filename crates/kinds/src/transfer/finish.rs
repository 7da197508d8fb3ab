//! Keys, indexes, references and statistics after the rows: several at once, outside of transactions, each found again by its name.

use super::design::NewReference;
use super::sum::chain;
use super::task::{Building, Place, Task};
use engine::{Batch, Class, Counts, Error, GivenUp, Result, Step, Work};
use serde_json::json;
use std::time::Duration;
use targets::db::{Command, Limits};

/// The code of a reference to what is no key.
const NO_KEY: &str = "42830";
/// How many are built at once.
const AT_ONCE: usize = 2;

/// The statements that are left to do outside of transactions.
pub fn command(statements: Vec<String>, place: &Place, limits: Limits) -> Option<Command> {
    let left = statements.into_iter().enumerate().filter(|(n, _)| !place.skip.contains(n));
    let sql: Vec<String> = left.map(|(_, sql)| sql).collect();
    // they take as long as there are rows
    let limits = Limits { statement: Duration::ZERO, ..limits };
    (!sql.is_empty()).then_some(Command::Statements { sql, at_once: AT_ONCE, limits })
}

/// Which of them an error is about: it names it in quotes.
fn blamed(names: &[&str], error: &Error, place: &Place) -> Option<usize> {
    let text = chain(error);
    names.iter().enumerate().find_map(|(n, name)| {
        let named = [format!("\"{name}\""), format!("`{name}`")];
        (!place.skip.contains(&n) && named.iter().any(|name| text.contains(name))).then_some(n)
    })
}

/// Whether an error says something of the server at this moment, and nothing of the rows: its disk is full, say.
fn is_of_the_moment(error: &Error) -> bool {
    let code = error.code.as_deref().unwrap_or_default();
    error.class == Class::Transient || ["53", "57", "58"].iter().any(|class| code.starts_with(class))
}

/// A key, an index or a reference that the rows do not keep is passed over.
pub fn given_up(step: &Step, place: Place, error: &Error) -> Result<Option<GivenUp>> {
    if is_of_the_moment(error) {
        // whoever resumes it has them all
        return Ok(None);
    }
    let task = Task::read(step)?;
    let (what, names) = match &task {
        Task::Indexes(indexes) => ("index", index_names(indexes)),
        Task::References(references) => ("reference", reference_names(references)),
        _ => return Ok(None),
    };
    let Some(n) = blamed(&names, error, &place) else { return Ok(None) };
    let table = match &task {
        Task::Indexes(indexes) => indexes[n].table.clone(),
        _ => step.object.clone(),
    };
    let mut skip = place.skip.clone();
    skip.push(n);
    Ok(Some(GivenUp {
        scope: format!("{what} {}", names[n]),
        next: Some(Place { skip, ..place }.cursor()?),
        detail: json!({ "failed": what, "name": names[n], "table": table, "why": chain(error) }),
    }))
}

/// Makes keys of the indexes that are there.
pub fn keys(indexes: &[Building], place: &Place, work: &mut Work) -> Result<Batch> {
    let mut done = 0;
    for (n, index) in indexes.iter().enumerate() {
        if place.skip.contains(&n) {
            continue;
        }
        done += 1;
        if let Some(key) = &index.index.key {
            work.statement(key)?;
        }
    }
    work.tell(json!({ "indexes": done }));
    Ok(Batch { counts: Counts::default(), next: None })
}

/// Declares the references. One whose key could not be made is passed over, but for an online transfer: nobody is sent to a
/// target that lacks something.
pub fn declare(references: &[NewReference], or_fail: bool, work: &mut Work) -> Result<Batch> {
    let mut failed = Vec::new();
    for reference in references {
        work.statement("savepoint sexton_declare")?;
        match work.statement(&reference.add) {
            Ok(_) => work.statement("release savepoint sexton_declare").map(drop)?,
            Err(error) if error.code.as_deref() == Some(NO_KEY) && !or_fail => {
                work.statement("rollback to savepoint sexton_declare")?;
                let name = &reference.name;
                let alter = reference.add.split_once(" add constraint ").map_or("", |(alter, _)| alter);
                let table = alter.trim_start_matches("alter table ");
                failed.push(
                    json!({ "failed": "reference", "name": name, "table": table, "why": chain(&error) }),
                );
            }
            Err(error) => return Err(error),
        }
    }
    if !failed.is_empty() {
        work.tell(json!(failed));
    }
    Ok(Batch { counts: Counts::default(), next: None })
}

/// The names of the indexes.
fn index_names(indexes: &[Building]) -> Vec<&str> {
    indexes.iter().map(|one| one.index.name.as_str()).collect()
}

/// The names of the references.
fn reference_names(references: &[NewReference]) -> Vec<&str> {
    references.iter().map(|reference| reference.name.as_str()).collect()
}
