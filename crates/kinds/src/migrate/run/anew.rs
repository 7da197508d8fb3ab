//! What makes an empty database as the migrations say: those that are in the one that is configured, or all of a directory.
//!
//! The statements are those of the files as they are now. Assertions are left out, for they speak of rows that are not there.

use super::look::Scene;
use super::options::{Action, Options};
use super::plan::Draft;
use crate::migrate::graph::{self, find};
use crate::migrate::model::Migration;
use crate::migrate::problem::Problems;
use engine::{Result, Step};
use targets::db::Facts;

/// The steps. With the action `status` the migrations that are in, else all until the one that is wanted.
pub fn steps(options: &Options, facts: &mut dyn Facts) -> Result<Vec<Step>> {
    let scene = match options.action {
        Action::Status => Scene::of(options, facts)?,
        _ => Scene::from_nothing(options, facts)?,
    };
    let migrations = &scene.directory.migrations;
    let order = graph::order(migrations, &scene.policy).map_err(engine::Error::from)?.steps;
    let end =
        match options.to.as_ref().or(options.target.as_ref()).filter(|_| options.action != Action::Status) {
            None => order.len(),
            Some(name) => {
                let last = find(migrations, name).map_err(Problems::from)?;
                order.iter().position(|one| one.id == last.id).map_or(0, |at| at + 1)
            }
        };
    let in_now = |one: &&&Migration| options.action != Action::Status || scene.state(&one.id).is_in();
    let wanted: Vec<Migration> =
        order[..end].iter().filter(in_now).map(|one| without_assertions(one)).collect::<Result<_>>()?;
    let nothing_yet =
        Scene { known: Vec::new(), applied: Vec::new(), own_there: false, history_there: false, ..scene };
    let draft = Draft { options, scene: &nothing_yet };
    let applied = wanted.iter().filter(|one| !one.up.statements.is_empty()).map(|one| draft.apply(one));
    Ok(std::iter::once(draft.prepare()).chain(applied).collect())
}

fn without_assertions(one: &Migration) -> Result<Migration> {
    if let Some(problem) = one.up.problems.first() {
        return Err(Problems::from(problem.clone().about([&one.id])).into());
    }
    let mut one = one.clone();
    one.assert_before.clear();
    one.assert_after.clear();
    Ok(one)
}
