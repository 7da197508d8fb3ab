//! What there is before anything is done: the files, the histories, and what each migration is because of both.
//!
//! Only looks. A history that cannot be read is an error, never an empty one (W-002).

use super::options::{Options, Which};
use super::own::{self, Entry, Known};
use super::{book, checkpoints};
use crate::migrate::directory::{Convention, Directory, Reading};
use crate::migrate::graph::Policy;
use crate::migrate::history::{self, History, Shape};
use crate::migrate::model::{Applied, Migration, State};
use crate::migrate::problem::Problems;
use crate::migrate::script::Language;
use engine::Result;
use targets::db::{Facts, TableName};

/// Files and histories.
pub struct Scene {
    /// The files.
    pub directory: Directory,
    /// What is refused, warned of and allowed.
    pub policy: Policy,
    /// What each migration is.
    pub known: Vec<Known>,
    /// The same in the words that all histories share.
    pub applied: Vec<Applied>,
    /// Our own table.
    pub own: TableName,
    /// Whether it is there.
    pub own_there: bool,
    /// The history of another tool, where that is the one that counts.
    pub history: Option<History>,
    /// Whether that is there.
    pub history_there: bool,
    /// Histories of other tools that are there and do not count.
    pub others: Vec<History>,
    /// What stands in the way of checkpoints.
    pub problems: Problems,
}

impl Scene {
    /// Looks.
    pub fn of(options: &Options, facts: &mut dyn Facts) -> Result<Scene> {
        Self::look(options, facts, false)
    }

    /// As it would be if nothing were in.
    pub fn from_nothing(options: &Options, facts: &mut dyn Facts) -> Result<Scene> {
        Self::look(options, facts, true)
    }

    fn look(options: &Options, facts: &mut dyn Facts, from_nothing: bool) -> Result<Scene> {
        let found = history::found(facts)?;
        let own = facts.dialect().own(&options.table);
        let own_there = own::is_there(facts, &own)?;
        let entries = own::read(facts, &own)?;
        let language = Language::of_server(&facts.server()?);
        let reading = Reading {
            language,
            convention: options.convention()?,
            histories: found.iter().map(|history| history.shape).collect(),
        };
        let mut directory = Directory::read(&options.directory, &reading)?;
        let (history, history_there) = counting(options, directory.convention, &found, &entries);
        let mut known = known(
            facts,
            history.as_ref().filter(|_| history_there),
            &entries,
            &directory.migrations,
            history.is_some(),
        )?;
        if from_nothing {
            known.clear();
        }
        let problems = checkpoints::settle(&mut directory.migrations, &mut known);
        let applied = known.iter().map(|known| known.applied.clone()).collect();
        let others = found.into_iter().filter(|other| Some(other) != history.as_ref()).collect();
        let policy = options.policy(directory.convention);
        Ok(Scene {
            policy,
            directory,
            known,
            applied,
            own,
            own_there,
            history,
            history_there,
            others,
            problems,
        })
    }

    /// What is known of one migration.
    pub fn known(&self, id: &str) -> Option<&Known> {
        self.known.iter().find(|known| known.applied.id == id)
    }

    /// What is known, as the way of the migrations that are there already would have it: one that stopped in the middle
    /// is neither in nor out.
    pub fn state(&self, id: &str) -> State {
        self.known(id).map_or(State::Pending, |known| known.applied.state)
    }
}

/// The history of another tool that counts, and whether it is there.
fn counting(
    options: &Options,
    convention: Convention,
    found: &[History],
    own: &[Entry],
) -> (Option<History>, bool) {
    let adopted = own.iter().any(|entry| entry.action == "adopt");
    let shape = match options.shape(convention) {
        _ if adopted && options.history == Which::Auto => None,
        // Whoever has kept this table so far goes on keeping it.
        None if options.history == Which::Auto && own.is_empty() => {
            found.iter().map(|history| history.shape).find(|shape| *shape == Shape::Plain)
        }
        shape => shape,
    };
    let Some(shape) = shape else { return (None, false) };
    match found.iter().find(|history| history.shape == shape) {
        Some(there) => (Some(there.clone()), true),
        None => (Some(History { shape, table: TableName::bare(book::usual_name(shape)) }), false),
    }
}

/// What each migration is: as the history says that counts, with what only our own notes.
fn known(
    facts: &mut dyn Facts,
    history: Option<&History>,
    entries: &[Entry],
    migrations: &[Migration],
    foreign: bool,
) -> Result<Vec<Known>> {
    let ours = own::fold(entries);
    if !foreign {
        return Ok(ours);
    }
    let theirs = match history {
        Some(history) => history::read(facts, history, migrations)?,
        None => Vec::new(),
    };
    let mut all: Vec<Known> = Vec::new();
    for entry in theirs {
        let own = ours.iter().find(|own| own.applied.id == entry.id && own.applied.state.is_in());
        all.push(match own.filter(|_| entry.state.is_in()) {
            Some(own) => own.clone(),
            None => Known {
                applied: entry,
                statements: 0,
                done: 0,
                begun: false,
                action: "apply".to_owned(),
                error: None,
                went_in_ms: None,
            },
        });
    }
    for own in ours {
        if all.iter().any(|known| known.applied.id == own.applied.id) {
            continue;
        }
        // Whoever took the row out of the tool's table has taken the migration out.
        let state = if own.applied.state.is_in() { State::RolledBack } else { own.applied.state };
        all.push(Known { applied: Applied { state, ..own.applied }, ..own });
    }
    Ok(all)
}
