//! The bookkeeping of undo points inside the maintained database.

use super::indexes;
use super::scopes::{self, Scope};
use crate::error::{Error, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use targets::db::{Dialect, Facts, Limits, Row, Session, Sql, TableName, Tx, UndoTable, Value};

/// Where an undo point stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PointState {
    /// Can be put back.
    Open,
    /// Everything was put back.
    Used,
    /// Put back, but for rows in conflict.
    Partly,
}

impl PointState {
    /// As it is stored.
    pub(super) fn text(self) -> &'static str {
        match self {
            PointState::Open => "open",
            PointState::Used => "used",
            PointState::Partly => "partly",
        }
    }
}

/// What was done to remembered rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// They were deleted.
    Delete,
    /// Some of their columns were changed.
    Update,
    /// They were added.
    Insert,
}

/// What one operation of one run can put back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The run's id, with the operation's place when it is not the first.
    pub id: String,
    /// The operation's name.
    pub operation: String,
    /// Who ran it.
    pub actor: String,
    /// When it began.
    pub created_at: Timestamp,
    /// Until when it is kept.
    pub expires_at: Option<Timestamp>,
    /// Where it stands.
    pub state: PointState,
    /// What it remembers, in the order in which the tables were first touched.
    pub tables: Vec<Remembered>,
    /// The parts of it that can be put back one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<Scope>,
    /// For such a part: what it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// For such a part: its batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<i64>,
}

/// The remembered rows of one table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// The order in which the tables were first touched.
    pub seq: i64,
    /// What was done.
    pub change: Change,
    /// To which table.
    pub source: TableName,
    /// Where the rows are.
    pub undo: UndoTable,
    /// The key by which rows are found again.
    pub key: Vec<String>,
    /// The run made the table itself, so that it goes when the run is undone and nothing is left in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub made: bool,
}

/// An archive file that belongs to an operation of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArchivedFile {
    /// The file store.
    pub store: String,
    /// Whose rows.
    pub table: TableName,
    /// What was written.
    pub written: crate::archive::Written,
}

/// The statements that make Sexton's own tables. Running them again does no harm.
fn own_tables(dialect: &dyn Dialect) -> Vec<Sql> {
    let table = |name: &str, columns: &str| {
        Sql::new("create table if not exists ").table(&dialect.own(name)).text(&format!(" ({columns})"))
    };
    let mut all: Vec<Sql> = dialect.prepare_own().into_iter().collect();
    all.push(table(
        "undo_points",
        "id text not null primary key, operation text not null, actor text not null, created_at text not null, \
         expires_at text, state text not null",
    ));
    all.push(table(
        "undo_tables",
        "point text not null, seq bigint not null, description text not null, primary key (point, seq)",
    ));
    all.push(table(
        "checkpoints",
        "point text not null primary key, progress text not null, updated_at text not null, \
         term bigint not null default 0",
    ));
    all.push(table(
        "undo_conflicts",
        "point text not null, seq bigint not null, position bigint not null, reason text not null, \
         primary key (point, seq, position)",
    ));
    all.push(table(
        "archived_files",
        "point text not null, batch bigint not null, description text not null",
    ));
    all.push(table("exemptions", "source text not null primary key, description text not null"));
    all
}

const OWN: [&str; 6] =
    ["undo_points", "undo_tables", "checkpoints", "undo_conflicts", "archived_files", "exemptions"];

/// Makes Sexton's own tables when they are not there yet; true when they were made now, and so are empty.
pub(crate) fn install(session: &mut dyn Session, limits: &Limits) -> Result<bool> {
    let checkpoints = session.dialect().own("checkpoints");
    let columns = session.dialect().columns(&checkpoints);
    let columns = session.rows(&columns)?;
    if columns.iter().any(|column| column[2].as_text() == Some("term")) {
        return Ok(false);
    }
    let statements = match columns.is_empty() {
        true => own_tables(session.dialect()),
        // As an earlier version made it.
        false => {
            let term = " add column term bigint not null default 0";
            vec![Sql::new("alter table ").table(&checkpoints).text(term)]
        }
    };
    let made = columns.is_empty();
    let mut tx = session.begin(limits)?;
    for statement in &statements {
        tx.execute(statement)?;
    }
    // The first batch comes right after it, and is on disk only together with it.
    tx.commit_soon()?;
    Ok(made)
}

/// Whether Sexton's own tables are there.
pub(crate) fn installed(facts: &mut (impl Facts + ?Sized)) -> Result<bool> {
    exists(facts, &facts.dialect().own("exemptions"))
}

/// Whether one of Sexton's own tables is there.
pub(super) fn exists(facts: &mut (impl Facts + ?Sized), own: &TableName) -> Result<bool> {
    let exists = facts.dialect().exists(own);
    Ok(facts.count(&exists)? == 1)
}

/// Opens the undo point of an operation, once.
pub(crate) fn open_point(tx: &mut dyn Tx, dialect: &dyn Dialect, point: &Point) -> Result<()> {
    tx.execute(
        &Sql::new("insert into ")
            .table(&dialect.own("undo_points"))
            .text(" (id, operation, actor, created_at, expires_at, state) values (")
            .bind(point.id.clone())
            .text(", ")
            .bind(point.operation.clone())
            .text(", ")
            .bind(point.actor.clone())
            .text(", ")
            .bind(point.created_at.to_string())
            .text(", ")
            .bind(point.expires_at.map(|at| at.to_string()))
            .text(", 'open') on conflict (id) do nothing"),
    )?;
    Ok(())
}

/// Notes that a table's rows are remembered from now on.
pub(crate) fn record_table(
    tx: &mut dyn Tx,
    dialect: &dyn Dialect,
    point: &str,
    table: &Remembered,
) -> Result<()> {
    let description = serde_json::to_string(table)
        .map_err(|error| Error::system("cannot describe an undo table").because(error))?;
    tx.execute(
        &Sql::new("insert into ")
            .table(&dialect.own("undo_tables"))
            .text(" (point, seq, description) values (")
            .bind(point)
            .text(", ")
            .bind(table.seq)
            .text(", ")
            .bind(description)
            .text(")"),
    )?;
    Ok(())
}

/// Notes that rows of this batch are in an archive file.
pub(crate) fn record_archive(
    tx: &mut dyn Tx,
    dialect: &dyn Dialect,
    point: &str,
    batch: i64,
    file: &ArchivedFile,
) -> Result<()> {
    let description = serde_json::to_string(file)
        .map_err(|error| Error::system("cannot describe an archive file").because(error))?;
    tx.execute(
        &Sql::new("insert into ")
            .table(&dialect.own("archived_files"))
            .text(" (point, batch, description) values (")
            .bind(point)
            .text(", ")
            .bind(batch)
            .text(", ")
            .bind(description)
            .text(")"),
    )?;
    Ok(())
}

/// The archive files of an operation of a run, in the order of their batches.
pub fn archived_files(facts: &mut dyn Facts, point: &str) -> Result<Vec<ArchivedFile>> {
    if !installed(facts)? {
        return Ok(Vec::new());
    }
    let select = Sql::new("select description from ")
        .table(&facts.dialect().own("archived_files"))
        .text(" where point = ")
        .bind(point)
        .text(" order by batch");
    let mut files = Vec::new();
    for row in facts.rows(&select)? {
        let text = row.first().and_then(Value::as_text).unwrap_or_default();
        files.push(serde_json::from_str(text).map_err(|error| {
            Error::system("an archive file is described in an unknown form").because(error)
        })?);
    }
    Ok(files)
}

/// Notes how far a point was put back.
pub(crate) fn set_state(
    tx: &mut dyn Tx,
    dialect: &dyn Dialect,
    point: &str,
    state: PointState,
) -> Result<()> {
    tx.execute(
        &Sql::new("update ")
            .table(&dialect.own("undo_points"))
            .text(" set state = ")
            .bind(state.text())
            .text(" where id = ")
            .bind(point),
    )?;
    Ok(())
}

/// All undo points of a database, newest first.
pub fn points(facts: &mut dyn Facts) -> Result<Vec<Point>> {
    if !installed(facts)? {
        return Ok(Vec::new());
    }
    let dialect = facts.dialect();
    let select = Sql::new("select id, operation, actor, created_at, expires_at, state from ")
        .table(&dialect.own("undo_points"))
        .text(" order by created_at desc, id desc");
    let tables = Sql::new("select point, description from ")
        .table(&dialect.own("undo_tables"))
        .text(" order by point, seq");
    let tables = facts.rows(&tables)?;
    let mut all = Vec::new();
    for row in facts.rows(&select)? {
        let mut point = point_from(&row)?;
        for table in tables.iter().filter(|table| table.first().and_then(Value::as_text) == Some(&point.id)) {
            let text = table.get(1).and_then(Value::as_text).unwrap_or_default();
            point.tables.push(serde_json::from_str(text).map_err(|error| {
                Error::system(format!(
                    "the undo point `{}` is described in a form this version cannot read",
                    point.id
                ))
                .help("use the version of sexton that made it")
                .because(error)
            })?);
        }
        all.push(point);
    }
    scopes::read(facts, &mut all)?;
    Ok(all)
}

/// The undo point whose id is `id`, which may be a part of one.
pub fn read_point(facts: &mut dyn Facts, id: &str) -> Result<Option<Point>> {
    let mut all = points(facts)?.into_iter().flat_map(Point::with_parts);
    Ok(all.find(|point| point.id == id))
}

fn point_from(row: &Row) -> Result<Point> {
    let text = |n: usize| row.get(n).and_then(Value::as_text).unwrap_or_default().to_owned();
    let time = |n: usize| text(n).parse::<Timestamp>();
    Ok(Point {
        id: text(0),
        operation: text(1),
        actor: text(2),
        created_at: time(3)
            .map_err(|error| Error::system("an undo point has no readable time").because(error))?,
        expires_at: time(4).ok(),
        state: match text(5).as_str() {
            "used" => PointState::Used,
            "partly" => PointState::Partly,
            _ => PointState::Open,
        },
        tables: Vec::new(),
        scopes: Vec::new(),
        scope: None,
        batch: None,
    })
}

/// Forgets an undo point and its rows.
pub fn drop_point(session: &mut dyn Session, limits: &Limits, point: &Point) -> Result<()> {
    if scopes::drop_part(session, limits, point)? {
        return Ok(());
    }
    let mut more = scopes::forget(session, point)?;
    more.extend(indexes::forget(session, &point.id)?);
    let own: Vec<TableName> = OWN.iter().map(|name| session.dialect().own(name)).collect();
    let mut tx = session.begin(limits)?;
    for table in &point.tables {
        tx.execute(&Sql::new("drop table if exists ").table(&table.undo.name))?;
    }
    for (table, column) in [(0, "id"), (1, "point"), (2, "point"), (3, "point"), (4, "point")] {
        tx.execute(
            &Sql::new("delete from ")
                .table(&own[table])
                .text(&format!(" where {column} = "))
                .bind(point.id.clone()),
        )?;
    }
    let of_its_undo =
        Sql::new("delete from ").table(&own[2]).text(" where point = ").bind(format!("undo:{}", point.id));
    tx.execute(&of_its_undo)?;
    for statement in &more {
        tx.execute(statement)?;
    }
    tx.commit()
}

/// Removes Sexton's own tables when no undo point, archive or exemption needs them. Checkpoints of runs that changed
/// nothing more are forgotten with them. True when they went.
pub fn tidy(session: &mut dyn Session, limits: &Limits) -> Result<bool> {
    if !installed(session)?
        || !super::moved_files::tidy_files(session, limits)?
        || !super::written::tidy(session, limits)?
        || !indexes::tidy(session, limits)?
    {
        return Ok(false);
    }
    let own: Vec<TableName> = OWN.iter().map(|name| session.dialect().own(name)).collect();
    let remove = session.dialect().remove_own();
    let Some(more) = crate::scopes::unneeded(session)? else { return Ok(false) };
    let tallies = session.dialect().own(super::tally::NAME);
    let counted = session.dialect().exists(&tallies);
    let mut tx = session.begin(limits)?;
    for needed in [0, 1, 3, 4, 5] {
        if tx.count(&Sql::new("select count(*) from ").table(&own[needed]))? > 0 {
            return Ok(false);
        }
    }
    if !super::tally::drop_if_empty(tx.as_mut(), &tallies, &counted)? {
        return Ok(false);
    }
    for table in own.iter().chain(&more) {
        tx.execute(&Sql::new("drop table ").table(table))?;
    }
    if let Some(remove) = remove {
        tx.execute(&remove)?;
    }
    tx.commit()?;
    Ok(true)
}
