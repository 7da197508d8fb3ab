//! Indexes that a run dropped: what makes each of them is written down before it goes, and it is built again by an undo.
//!
//! An index goes outside of transactions where the database can do that beside those who write, so it is written down first as
//! `going`; whoever undoes looks whether it went. A name or a column that is something else by now is a conflict: told, and
//! left.

use super::point::{PointState, exists};
use crate::error::{Error, Result};
use crate::event::Counts;
use crate::finding::Finding;
use crate::operation::{Batch, Cursor};
use crate::plan::Step;
use crate::scopes::GivenUp;
use crate::work::Work;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use targets::db::{
    Chore, Column, Command, Dialect, Facts, Limits, Order, Row, Session, Sql, Table, TableName, Tx, Value,
};

const NAME: &str = "dropped_indexes";
/// The action of a step that builds one again.
pub const RESTORE_INDEX: &str = "restore_index";
/// Building beside others waits for those who write, and nobody waits for it meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);

/// An index that a run dropped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DroppedIndex {
    /// Which.
    pub name: TableName,
    /// Of which table.
    pub table: TableName,
    /// What makes it again: the first makes it, the others add what the first does not say.
    pub statements: Vec<String>,
    /// The columns of the table that its statement names, with their types.
    pub columns: Vec<(String, String)>,
    /// `going` (it may be there still), `gone`, `back`, or `conflict` (could not be put back).
    #[serde(default)]
    pub state: String,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Those of the columns that a statement names.
fn columns_in(statement: &str, columns: &[Column]) -> Vec<(String, String)> {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let names = |name: &str| {
        statement.match_indices(name).any(|(at, _)| {
            let (before, after) = (&statement[..at], &statement[at + name.len()..]);
            !before.ends_with(word) && !after.starts_with(word)
        })
    };
    let named = columns.iter().filter(|column| names(&column.name));
    named.map(|column| (column.name.clone(), column.declared.clone())).collect()
}

impl Work<'_> {
    /// Writes down what makes an index of this table, so that an undo can build it again: before it goes.
    pub fn remember_index(&mut self, index: &TableName, table: &Table) -> Result<()> {
        self.may_die("before an index is remembered")?;
        let dialect = self.dialect();
        let rows = self.rows(&dialect.makes_index(index))?;
        let statements: Vec<String> =
            rows.iter().filter_map(|row| row.first()?.as_text().map(str::to_owned)).collect();
        if statements.is_empty() {
            return Err(Error::data(format!("the index `{index}` is gone")).help("plan again"));
        }
        let dropped = DroppedIndex {
            name: index.clone(),
            table: table.name.clone(),
            columns: columns_in(&statements[0], &table.columns),
            statements,
            state: String::new(),
            reason: None,
        };
        let description = serde_json::to_string(&dropped)
            .map_err(|error| Error::system("cannot describe an index").because(error))?;
        let own = dialect.own(NAME);
        if self.count(&dialect.exists(&own))? == 0 {
            let columns = " (point text not null, name text not null, description text not null, state text not null, \
                           reason text, primary key (point, name))";
            self.tx().execute(&Sql::new("create table ").table(&own).text(columns))?;
        }
        let point = self.point().to_owned();
        let insert = Sql::new("insert into ")
            .table(&own)
            .text(" (point, name, description, state) values (")
            .bind(point)
            .text(", ")
            .bind(index.quoted())
            .text(", ")
            .bind(description)
            .text(", 'going') on conflict (point, name) do nothing");
        self.tx().execute(&insert)?;
        self.remembers_things();
        self.may_die("after an index was remembered")
    }

    /// Drops an index inside the transaction. It must have been remembered.
    pub fn drop_index(&mut self, index: &TableName) -> Result<()> {
        self.tx().execute(&Sql::new("drop index ").table(index))?;
        self.may_die("after an index was dropped")?;
        self.index_is_gone(index)
    }

    /// Writes down that an index that was remembered is gone.
    pub fn index_is_gone(&mut self, index: &TableName) -> Result<()> {
        let point = self.point().to_owned();
        self.remembers_things();
        note(self, &point, index, "gone", None)
    }
}

fn note(work: &mut Work, point: &str, index: &TableName, state: &str, reason: Option<String>) -> Result<()> {
    let update = Sql::new("update ")
        .table(&work.dialect().own(NAME))
        .text(" set state = ")
        .bind(state)
        .text(", reason = ")
        .bind(reason)
        .text(" where point = ")
        .bind(point)
        .text(" and name = ")
        .bind(index.quoted());
    work.tx().execute(&update).map(drop)
}

fn waiting(dialect: &dyn Dialect, what: &str, point: &str) -> Sql {
    Sql::new("select ")
        .text(what)
        .text(" from ")
        .table(&dialect.own(NAME))
        .text(" where state <> 'back' and point = ")
        .bind(point)
}

/// The indexes that an undo point remembers, by name.
pub fn dropped_indexes(facts: &mut dyn Facts, point: &str) -> Result<Vec<DroppedIndex>> {
    let own = facts.dialect().own(NAME);
    if !exists(facts, &own)? {
        return Ok(Vec::new());
    }
    let select = Sql::new("select description, state, reason from ")
        .table(&own)
        .text(" where point = ")
        .bind(point)
        .text(" order by name");
    facts.rows(&select)?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<DroppedIndex> {
    let text = |n: usize| row.get(n).and_then(Value::as_text);
    let dropped: DroppedIndex = serde_json::from_str(text(0).unwrap_or_default())
        .map_err(|error| Error::system("a dropped index is described in an unknown form").because(error))?;
    Ok(DroppedIndex {
        state: text(1).unwrap_or_default().to_owned(),
        reason: text(2).map(str::to_owned),
        ..dropped
    })
}

/// What a step of an undo needs that builds an index again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct IndexTask {
    /// The index; no other task of an undo has this key.
    index: DroppedIndex,
    /// Only what was in conflict last time is left.
    retry: Option<bool>,
    #[serde(default)]
    pub last: bool,
}

impl IndexTask {
    /// The task, when the step is about an index.
    pub fn of(step: &Step) -> Option<IndexTask> {
        serde_json::from_value(step.task.clone()).ok()
    }
}

/// One step for each index.
pub(super) fn steps(facts: &mut dyn Facts, point: &str, state: PointState) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    // Until it was tried once, all of them, so that an interrupted undo finds its place among the same steps.
    let all = dropped_indexes(facts, point)?.into_iter();
    for index in all.filter(|index| state != PointState::Partly || index.state != "back") {
        let said = index.name.to_string();
        let statements = match chore(&index).and_then(|chore| facts.dialect().spell(&chore).statement) {
            Some(first) => std::iter::once(first).chain(index.statements.iter().skip(1).cloned()).collect(),
            None => index.statements.clone(),
        };
        let table = index.table.to_string();
        let retry = (state == PointState::Partly).then_some(true);
        steps.push(Step {
            id: format!("index {said}"),
            label: said.clone(),
            action: RESTORE_INDEX.to_owned(),
            object: said,
            matched: 1,
            exact: true,
            batches: 1,
            way: "built again by the statement that made it".to_owned(),
            statements,
            facts: vec![("table".to_owned(), table)],
            task: serde_json::to_value(IndexTask { index, retry, last: false }).unwrap_or_default(),
            ..Step::default()
        });
    }
    Ok(steps)
}

fn chore(index: &DroppedIndex) -> Option<Chore> {
    let statement = index.statements.first()?.clone();
    Some(Chore::MakeIndex { index: index.name.clone(), statement, concurrently: true })
}

/// What is done next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
enum Deed {
    /// It is built, outside of transactions where the database can.
    Build,
    /// What a build that died or failed has left is removed.
    Tidy {
        /// Why it is not built again then.
        given_up: Option<String>,
    },
    /// It is there.
    Found,
    /// The database refused to build it: what that left is looked for.
    GiveUp {
        /// Why.
        reason: String,
    },
    /// It cannot be put back.
    Conflict {
        /// Why.
        reason: String,
        /// Whether it was counted as failed already.
        counted: bool,
    },
}

impl Deed {
    fn of(cursor: &Cursor) -> Result<Deed> {
        serde_json::from_value(cursor.0.clone())
            .map_err(|error| Error::system("the place in a step cannot be read").because(error))
    }

    fn cursor(&self) -> Result<Cursor> {
        serde_json::to_value(self)
            .map(Cursor)
            .map_err(|error| Error::system("the place in a step cannot be written").because(error))
    }
}

/// Looks what is to be done about an index: also after a death, which leaves it there, half there, or not.
pub(super) fn aim(task: &IndexTask, cursor: &Cursor, facts: &mut dyn Facts) -> Result<Option<Cursor>> {
    let given_up = match cursor.0.is_null() {
        true => None,
        false => match Deed::of(cursor)? {
            Deed::GiveUp { reason } | Deed::Tidy { given_up: Some(reason) } => Some(reason),
            Deed::Conflict { reason, counted: true } => Some(reason),
            _ => None,
        },
    };
    let deed = match (look(&task.index, facts)?, given_up) {
        (Deed::Tidy { .. }, given_up) => Deed::Tidy { given_up },
        (_, Some(reason)) => Deed::Conflict { reason, counted: true },
        (deed, None) => deed,
    };
    deed.cursor().map(Some)
}

fn look(index: &DroppedIndex, facts: &mut dyn Facts) -> Result<Deed> {
    let conflict = |reason: String| Ok(Deed::Conflict { reason, counted: false });
    let schema = facts.schema()?;
    let Some(table) = schema.table(&index.table) else {
        return conflict(format!("the table `{}` no longer exists", index.table));
    };
    for (name, declared) in &index.columns {
        match table.column(name) {
            None => return conflict(format!("`{}` has no column `{name}` any more", index.table)),
            Some(now) if now.declared != *declared => {
                return conflict(format!(
                    "`{}.{name}` was {declared} and is {} now",
                    index.table, now.declared
                ));
            }
            Some(_) => {}
        }
    }
    let makes = facts.dialect().makes_index(&index.name);
    let there = facts.value(&makes)?.as_text().map(str::to_owned);
    let Some(there) = there else { return Ok(Deed::Build) };
    if Some(&there) != index.statements.first() {
        return conflict("another index has its name now".to_owned());
    }
    let upkeep = facts.upkeep(Some(&index.table))?;
    let known = upkeep.indexes.into_iter().find(|known| known.name == index.name);
    let Some(known) = known else { return conflict("another index has its name now".to_owned()) };
    match known.busy.filter(|busy| busy.builds) {
        _ if known.valid => Ok(Deed::Found),
        // A process of the server goes on for a while after its client died.
        Some(busy) => Err(Error::transient(format!(
            "process {} still works on `{}` ({})",
            busy.pid, index.name, busy.work
        ))),
        None => Ok(Deed::Tidy { given_up: None }),
    }
}

/// The command of an aim.
pub(super) fn outside(task: &IndexTask, aim: &Cursor, limits: Limits) -> Result<Option<Command>> {
    let chore = match Deed::of(aim)? {
        Deed::Build => chore(&task.index),
        Deed::Tidy { .. } => Some(Chore::DropIndex { index: task.index.name.clone() }),
        _ => None,
    };
    let limits = Limits { lock: limits.lock.max(PATIENCE), statement: Duration::ZERO, ..limits };
    Ok(chore.map(|chore| Command::Upkeep(Order { chore, limits })))
}

/// Writes down what came of it; builds it here where the database builds indexes in transactions.
pub(super) fn put_back(task: &IndexTask, aim: &Cursor, work: &mut Work, point: &str) -> Result<Batch> {
    let index = &task.index;
    let mut counts = Counts::default();
    work.may_die("before an index is noted as back")?;
    let refused = match Deed::of(aim)? {
        Deed::Tidy { given_up: None } => return Ok(Batch { counts, next: Some(Cursor::default()) }),
        Deed::Tidy { given_up: Some(reason) } | Deed::GiveUp { reason } => {
            return Ok(Batch { counts, next: Some(Deed::GiveUp { reason }.cursor()?) });
        }
        Deed::Conflict { reason, counted } => {
            counts.failed = u64::from(!counted);
            if counted {
                // It stands among the conflicts of the point now, not among what failed and is tried again.
                work.scope(&index.name.to_string());
            }
            note(work, point, &index.name, "conflict", Some(reason))?;
            return Ok(Batch { counts, next: None });
        }
        deed => {
            let here = deed == Deed::Build && !beside(work.dialect(), index);
            let from = usize::from(!here);
            add(work, index.statements.get(from..).unwrap_or_default())?
        }
    };
    match refused {
        None => {
            counts.restored = 1;
            note(work, point, &index.name, "back", None)?;
        }
        Some(reason) => {
            counts.failed = 1;
            note(work, point, &index.name, "conflict", Some(reason))?;
        }
    }
    Ok(Batch { counts, next: None })
}

fn beside(dialect: &dyn Dialect, index: &DroppedIndex) -> bool {
    chore(index).is_some_and(|chore| dialect.spell(&chore).statement.is_some())
}

/// Runs the statements; why the database refuses one.
fn add(work: &mut Work, statements: &[String]) -> Result<Option<String>> {
    if statements.is_empty() {
        return Ok(None);
    }
    work.tx().execute(&Sql::new("savepoint sexton_index"))?;
    for statement in statements {
        let Err(error) = work.tx().execute(&Sql::new(statement)) else { continue };
        if error.class == crate::Class::Transient || error.class == crate::Class::System {
            return Err(error);
        }
        work.tx().execute(&Sql::new("rollback to savepoint sexton_index"))?;
        return Ok(Some(error.what));
    }
    work.tx().execute(&Sql::new("release savepoint sexton_index"))?;
    Ok(None)
}

/// What the database refuses to build is a conflict; what it left half built is removed first.
pub(super) fn passes_over(task: &IndexTask, error: &Error) -> Result<Option<GivenUp>> {
    if !matches!(error.class, crate::Class::Data | crate::Class::Usage) {
        return Ok(None);
    }
    let scope = task.index.name.to_string();
    let detail = serde_json::json!({ "name": scope, "status": "conflict", "reason": error.what });
    let next = Deed::GiveUp { reason: error.what.clone() }.cursor()?;
    Ok(Some(GivenUp { scope, next: Some(next), detail }))
}

/// How many indexes a point has dropped.
pub(crate) fn count_dropped(facts: &mut dyn Facts, point: &str) -> Result<u64> {
    Ok(dropped_indexes(facts, point)?.iter().filter(|index| index.state != "going").count() as u64)
}

/// How many indexes of a point are not back.
pub(super) fn open(work: &mut Work, point: &str) -> Result<u64> {
    let dialect = work.dialect();
    if work.count(&dialect.exists(&dialect.own(NAME)))? == 0 {
        return Ok(0);
    }
    work.count(&waiting(dialect, "count(*)", point))
}

/// The indexes that could not be built again, each with its reason; and those that a build has left half there.
pub(super) fn conflicts(facts: &mut dyn Facts, point: &str) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for index in dropped_indexes(facts, point)?.into_iter().filter(|index| index.state == "conflict") {
        let statement = index.statements.first().cloned().unwrap_or_default();
        findings.push(Finding::warning(
            "undo_conflict",
            &index.name,
            format!("the index could not be put back: {}", index.reason.unwrap_or_default()),
            format!("mend that, then `sexton undo apply {point}` again; what makes it: {statement}"),
        ));
        let half = facts
            .upkeep(Some(&index.table))?
            .indexes
            .into_iter()
            .any(|known| known.name == index.name && !known.valid);
        if half {
            findings.push(Finding::warning(
                "invalid",
                &index.name,
                "it is there half built: every write keeps it up to date, no query uses it",
                format!(
                    "the next `sexton undo apply {point}` removes it first; or `drop index concurrently {}`",
                    index.name.quoted()
                ),
            ));
        }
    }
    Ok(findings)
}

/// The statement that forgets what a point remembers of indexes.
pub(super) fn forget(facts: &mut (impl Facts + ?Sized), point: &str) -> Result<Option<Sql>> {
    let own = facts.dialect().own(NAME);
    let there = exists(facts, &own)?;
    Ok(there.then(|| Sql::new("delete from ").table(&own).text(" where point = ").bind(point)))
}

/// Removes the table when nothing is in it; whether it is gone.
pub(super) fn tidy(session: &mut dyn Session, limits: &Limits) -> Result<bool> {
    let own = session.dialect().own(NAME);
    if !exists(session, &own)? {
        return Ok(true);
    }
    let mut tx: Box<dyn Tx> = session.begin(limits)?;
    if tx.count(&Sql::new("select count(*) from ").table(&own))? > 0 {
        return Ok(false);
    }
    tx.execute(&Sql::new("drop table ").table(&own))?;
    tx.commit()?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use targets::db::{Family, Generated};

    #[test]
    fn the_columns_of_an_index_are_found_in_its_statement() {
        let column = |name: &str| Column {
            name: name.to_owned(),
            declared: "text".to_owned(),
            family: Family::Text,
            not_null: false,
            default: None,
            generated: Generated::No,
            identity: false,
        };
        let all = ["a", "ab", "b c", "lower", "d"].map(column);
        let found = columns_in("CREATE INDEX i ON t (lower(a), \"b c\") WHERE (d > 1)", &all);
        let found: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(found, ["a", "b c", "lower", "d"]);
    }
}
