//! Tables that a run made for rows that move: when it is undone and nothing is left in them, they go too.
//!
//! A table stays when somebody put rows into it, when another undo point needs it, or when something hangs on it. It
//! never keeps an undo from ending.

use super::point::{PointState, Remembered};
use crate::error::{Error, Result};
use crate::work::Work;
use targets::db::{Sql, Value};

/// Removes the tables that this point made and that are empty.
pub(super) fn remove(work: &mut Work, point: &str) -> Result<()> {
    let dialect = work.dialect();
    let all = Sql::new("select u.point, u.description, p.state from ")
        .table(&dialect.own("undo_tables"))
        .text(" as u join ")
        .table(&dialect.own("undo_points"))
        .text(" as p on p.id = u.point");
    let mut made: Vec<Remembered> = Vec::new();
    let mut needed: Vec<Remembered> = Vec::new();
    for row in work.rows(&all)? {
        let text = |n: usize| row.get(n).and_then(Value::as_text).unwrap_or_default();
        let remembered: Remembered = serde_json::from_str(text(1))
            .map_err(|error| Error::system("an undo table is described in an unknown form").because(error))?;
        if text(0) == point {
            made.extend(remembered.made.then_some(remembered));
        } else if text(2) != PointState::Used.text() {
            needed.push(remembered);
        }
    }
    for one in made.iter().filter(|one| !needed.iter().any(|other| other.source == one.source)) {
        let there = work.count(&dialect.exists(&one.source))? > 0;
        if there && work.count(&Sql::new("select count(*) from ").table(&one.source))? == 0 {
            drop_table(work, one)?;
        }
    }
    Ok(())
}

fn drop_table(work: &mut Work, one: &Remembered) -> Result<()> {
    work.may_die("before a table goes")?;
    work.tx().execute(&Sql::new("savepoint sexton_made"))?;
    if work.tx().execute(&Sql::new("drop table ").table(&one.source)).is_err() {
        // A view on it, or somebody who reads it: it stays.
        work.tx().execute(&Sql::new("rollback to savepoint sexton_made"))?;
    }
    work.tx().execute(&Sql::new("release savepoint sexton_made")).map(|_| ())
}
