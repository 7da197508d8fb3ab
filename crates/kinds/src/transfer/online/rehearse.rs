//! There and back on copies: the whole of an online transfer into a schema that nobody uses, from a copy of the file, some rows
//! written as the application would, the way back, and the copy compared with what it was.
//!
//! The file is only read, and of the target only that schema is touched. Nothing of it stays, however it ends.

use super::super::options::{Action, Options, REHEARSAL};
use super::super::task::{Carry, Task};
use super::super::{carried, plan, steps};
use super::entry::{Entry, State};
use super::{CHECK, ROWID, noted};
use engine::{
    Batch, Counts, Error, Finding, Level, Planned, Planning, Result, Stores, TableDigest, Work, digest_of,
};
use serde_json::json;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use targets::db::{Dumping, Facts, Url, quote};

/// How many rows of each table are written.
const ROWS: u64 = 1_000;

/// The folder of the copy, beside the file: there is room for files of that size, if anywhere.
fn folder(source: &str, stores: &dyn Stores) -> Result<PathBuf> {
    let Url::Sqlite { path } = stores.place(source)? else {
        return Err(Error::usage(format!("`{source}` is no SQLite file")));
    };
    let mut path = std::fs::canonicalize(&path).map_err(|error| told(&path, error))?.into_os_string();
    path.push("-sexton-rehearsal");
    Ok(path.into())
}

fn told(path: &std::path::Path, error: std::io::Error) -> Error {
    Error::system(format!("the copy for the rehearsal cannot be made in `{}`", path.display())).because(error)
}

/// The copy.
pub fn copy(source: &str, stores: &dyn Stores) -> Result<String> {
    Ok(folder(source, stores)?.join("copy.db").display().to_string())
}

/// Makes the plan.
pub fn plan(options: &Options, target: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
    if options.existing || options.schema_file.is_some() {
        return Err(Error::usage("into the tables of the application nothing is rehearsed").help(
            "rehearse into a staging database: the same transfer with a profile, `--profile staging`",
        ));
    }
    // behind a pooler a session cannot be told where the tables are
    let pooled = target.server()?.pooled;
    let inner = Options {
        action: Action::Run,
        online: true,
        into_schema: Some(REHEARSAL.to_owned()),
        switch: None,
        one_way: false,
        queries: if pooled { Default::default() } else { options.queries.clone() },
        // they would change what is compared
        stamps: Vec::new(),
        ..options.clone()
    };
    let mut planned = plan::plan(&inner, target, planning)?;
    // they were tried; what they write would be other than what was
    planned.steps.retain(|step| step.id != steps::TRIGGERS);
    // on the copy there is nobody to be kept waiting, nor anybody to be sent
    planned.findings.retain(|finding| !["no_switch", "source_locked"].contains(&finding.code.as_str()));
    for finding in planned.findings.iter_mut().filter(|finding| finding.code == "no_way_back") {
        // here they only go there
        finding.level = Level::Note;
    }
    if pooled && !options.queries.is_empty() {
        planned.findings.push(Finding::note(
            "not_asked",
            REHEARSAL,
            "the configured queries are not asked: behind a pooler they would find the tables of the application, which are elsewhere",
            "rehearse past the pooler, or into a staging database: the same transfer with `--profile staging`",
        ));
    }
    let Some(first) = planned.steps.first_mut() else { return Ok(planned) };
    let Task::Capture(mut online) = Task::read(first)? else { return Ok(planned) };
    online.source = copy(&options.source, planning.stores)?;
    online.notes = Some(REHEARSAL.to_owned());
    first.task = steps::kept(&Task::Capture(online.clone()))?;
    let own = Entry { run: String::new(), state: State::Switched, online: *online, since: None, was: None };
    let mut all = vec![steps::of_copy("copy", "a copy of the source", &options.source, &Task::CopySource)?];
    all.append(&mut planned.steps);
    all.push(steps::of_copy(
        "touch",
        "rows written in the target",
        REHEARSAL,
        &Task::Touch(own.online.carries.clone()),
    )?);
    all.extend(steps::back(&own)?.into_iter().filter(|step| step.id != "clear source"));
    all.push(steps::of_copy("compare copy", "the copy is as it was", &options.source, &Task::CompareCopy)?);
    all.push(steps::of_copy("tidy", "nothing of it stays", REHEARSAL, &Task::Tidy)?);
    planned.steps = all;
    Ok(planned)
}

fn done() -> Batch {
    Batch { counts: Counts::default(), next: None }
}

fn digests(source: &str, stores: &dyn Stores) -> Result<Vec<TableDigest>> {
    digest_of(stores.database(&copy(source, stores)?)?.read()?.as_mut())
}

/// Copies the file; what is in it.
pub fn begin(source: &str, work: &mut Work) -> Result<Vec<TableDigest>> {
    clear(source, work.stores(), Some(work))?;
    let stores = work.stores();
    let folder = folder(source, stores)?;
    let made = std::fs::DirBuilder::new().mode(0o700).create(&folder);
    made.map_err(|error| told(&folder, error))?;
    let how = Dumping { scratch: folder.clone(), ..Dumping::default() };
    stores.database(source)?.copies().pages(&how)?;
    for entry in std::fs::read_dir(&folder).map_err(|error| told(&folder, error))?.flatten() {
        std::fs::rename(entry.path(), folder.join("copy.db")).map_err(|error| told(&folder, error))?;
    }
    digests(source, stores)
}

/// Writes rows of the target to what they are, so that they have to be carried back.
pub fn touch(carries: &[Carry], work: &mut Work) -> Result<Batch> {
    let mut touched = 0;
    for carry in carries {
        let Some(column) = carry.columns.iter().find(|column| !column.computed && column.target != ROWID)
        else {
            continue;
        };
        // what has no key has no way back
        if noted::keys(carry).is_empty() {
            continue;
        }
        let (table, column) = (carry.name.quoted(), quote(&column.target));
        touched += work.statement(&format!(
            "update {table} set {column} = {column} where ctid = any (array(select ctid from {table} limit {ROWS}))"
        ))?;
    }
    work.tell(json!({ "touched": touched }));
    Ok(done())
}

/// Compares the copy with what it was.
pub fn compare(source: &str, before: &[TableDigest], work: &mut Work) -> Result<Batch> {
    let after = digests(source, work.stores())?;
    let other: Vec<&str> =
        before.iter().filter(|table| !after.contains(table)).map(|table| table.table.as_str()).collect();
    if !other.is_empty() || before.len() != after.len() {
        return Err(Error::data(format!(
            "after the way there and back the copy is not as it was: {}",
            other.join(", ")
        ))
        .code(CHECK)
        .help("look for values that are written in several ways, and for triggers of the source"));
    }
    work.tell(json!({ "rehearsed": { "tables": after.len(), "same": true } }));
    Ok(done())
}

/// Takes away whatever was made.
pub fn clear(source: &str, stores: &dyn Stores, work: Option<&mut Work>) -> Result<()> {
    let folder = folder(source, stores)?;
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(told(&folder, error)),
        _ => {}
    }
    let Some(work) = work else { return Ok(()) };
    work.statement(&format!("drop schema if exists {} cascade", quote(REHEARSAL)))?;
    noted::forget(REHEARSAL, work)?;
    let run = work.point().to_owned();
    carried::forget(&run, work)
}

/// The last step.
pub fn end(source: &str, work: &mut Work) -> Result<Batch> {
    clear(source, work.stores(), Some(work))?;
    Ok(done())
}
