//! What is to be brought in, and everything that speaks against it.

use super::find::{find, listed};
use super::order::{gap, ordered};
use super::standing::{is_changed, is_late, last_in};
use super::{Judgement, Policy, Sequence, Target, by_id};
use crate::migrate::model::{Applied, Migration, State};
use crate::migrate::problem::{Fault, MIGRATE, Problem, Problems};
use std::collections::HashSet;

/// The migrations that bring a database with this history to the target, in order.
pub fn pending<'a>(
    migrations: &'a [Migration],
    applied: &[Applied],
    target: &Target,
    policy: &Policy,
) -> Result<Sequence<'a>, Problems> {
    let mut judgement = Judgement::default();
    let sequence = ordered(migrations, applied, policy, &mut judgement);
    history(migrations, applied, policy, &mut judgement);
    let state = states(applied);
    let waits = |migration: &&'a Migration| {
        if !state(migration).is_in() {
            return true;
        }
        let entry = applied.iter().find(|entry| entry.id == migration.id);
        migration.repeatable && entry.is_some_and(|entry| is_changed(migration, entry))
    };
    let steps: Vec<&Migration> = match target {
        Target::All => sequence.iter().copied().filter(waits).collect(),
        Target::By(most) => sequence.iter().copied().filter(waits).take(*most).collect(),
        Target::Only(name) => vec![find(migrations, name)?].into_iter().filter(waits).collect(),
        Target::To(name) => {
            let last = find(migrations, name)?;
            let end = sequence.iter().position(|one| one.id == last.id).map_or(0, |at| at + 1);
            newer(&sequence[end..], &state, last, &mut judgement);
            sequence[..end].iter().copied().filter(waits).collect()
        }
    };
    numbers(applied, &steps, migrations, policy, &mut judgement);
    late(migrations, applied, &steps, policy, &mut judgement);
    needs(migrations, &steps, &state, &mut judgement);
    clashes(migrations, &steps, &state, &mut judgement);
    for migration in &steps {
        for problem in &migration.up.problems {
            judgement.refuse(problem.clone().about([&migration.id]));
        }
        if migration.up.statements.is_empty() && migration.up.problems.is_empty() {
            let what = format!("`{}` has no statement", migration.id);
            let help = "write one, or remove the file";
            let problem = Problem::new(Fault::Empty, what, help).about([&migration.id]);
            judgement.judge(policy.empty, problem.within(&migration.up.file));
        }
    }
    judgement.over(steps)
}

/// What the history says of a migration.
pub(super) fn states<'a>(applied: &'a [Applied]) -> impl Fn(&Migration) -> State + use<'a> {
    let history = by_id(applied);
    move |migration| history.get(migration.id.as_str()).map_or(State::Pending, |entry| entry.state)
}

/// What is wrong with what is in already.
fn history(migrations: &[Migration], applied: &[Applied], policy: &Policy, judgement: &mut Judgement) {
    let known: std::collections::HashMap<&str, &Migration> =
        migrations.iter().map(|migration| (migration.id.as_str(), migration)).collect();
    let ids = |entries: Vec<&Applied>| entries.into_iter().map(|entry| entry.id.clone()).collect::<Vec<_>>();
    let gone = ids(applied
        .iter()
        .filter(|entry| entry.state == State::Applied && !known.contains_key(entry.id.as_str()))
        .collect());
    if !gone.is_empty() {
        let what = format!("{} {} in, but {} gone", listed(&gone), is_are(&gone), files_are(&gone));
        let help = "bring the file back from version control, or say `missing = \"allow\"`";
        let problem = match is_newer(&gone, migrations) {
            false => Problem::new(Fault::Missing, what, help),
            true => Problem::new(
                Fault::Newer,
                format!("the database is newer than these files: {what}"),
                format!("use the folder that has them; to go back, say `{MIGRATE} down` with that folder"),
            ),
        };
        judgement.judge(policy.missing, problem.about(gone));
    }
    let changed = ids(applied
        .iter()
        .filter(|entry| entry.state == State::Applied)
        .filter(|entry| {
            known.get(entry.id.as_str()).is_some_and(|one| !one.repeatable && is_changed(one, entry))
        })
        .collect());
    if !changed.is_empty() {
        let what = format!("{} {} in, but the file is another by now", listed(&changed), is_are(&changed));
        let help = format!(
            "take the edit back and write a new migration, or adopt it: `{MIGRATE} up --accept-changed`"
        );
        judgement.judge(policy.changed, Problem::new(Fault::Changed, what, help).about(changed));
    }
    let stopped = ids(applied.iter().filter(|entry| entry.state == State::Interrupted).collect());
    if !stopped.is_empty() {
        let what = format!("{} stopped in the middle", listed(&stopped));
        let help = format!("look at what is there, then `{MIGRATE} resume`");
        judgement.judge(policy.interrupted, Problem::new(Fault::Interrupted, what, help).about(stopped));
    }
}

/// Whether all of them come after the last file.
fn is_newer(gone: &[String], migrations: &[Migration]) -> bool {
    let number = |id: &str| {
        let digits = id.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(id.len());
        id[..digits].parse::<u64>().ok()
    };
    let Some(last) = migrations.iter().filter_map(|one| one.number).max() else { return false };
    gone.iter().all(|id| number(id).is_some_and(|number| number > last))
}

fn newer(
    after: &[&Migration],
    state: &dyn Fn(&Migration) -> State,
    last: &Migration,
    judgement: &mut Judgement,
) {
    let further: Vec<&str> = after
        .iter()
        .filter(|migration| !migration.repeatable && state(migration).is_in())
        .map(|migration| migration.id.as_str())
        .collect();
    if !further.is_empty() {
        let what = format!("the database is newer than `{}`: it has {}", last.id, listed(&further));
        let help = format!("to go back: `{MIGRATE} down --to {}`", last.id);
        judgement.refuse(Problem::new(Fault::Newer, what, help).about(further));
    }
}

/// Numbers between what is in and the first that is to come in (those within the directory are judged by `order`).
fn numbers(
    applied: &[Applied],
    steps: &[&Migration],
    migrations: &[Migration],
    policy: &Policy,
    judgement: &mut Judgement,
) {
    let Some(first) = steps.iter().filter_map(|migration| migration.number).min() else { return };
    let checkpoint = |one: &&Migration| one.number == Some(first) && !one.replaces.is_empty();
    if migrations.iter().find(checkpoint).is_some() {
        return;
    }
    let is_first = migrations.iter().filter_map(|migration| migration.number).min() == Some(first);
    if !is_first {
        return;
    }
    let known = applied.iter().filter(|entry| entry.state.is_in());
    let before =
        known.filter_map(|entry| entry.version.parse::<u64>().ok()).filter(|number| *number < first).max();
    gap(before.unwrap_or(0), first, policy, judgement);
}

fn late(
    migrations: &[Migration],
    applied: &[Applied],
    steps: &[&Migration],
    policy: &Policy,
    judgement: &mut Judgement,
) {
    let last = last_in(migrations, applied);
    let state = states(applied);
    let late: Vec<&str> = steps
        .iter()
        .filter(|migration| is_late(migration, state(migration), last.as_deref()))
        .map(|migration| migration.id.as_str())
        .collect();
    if !late.is_empty() {
        let what = format!("{} should have come before some that are in", listed(&late));
        let help = "give the file a later number, or say `out_of_order = \"allow\"`";
        judgement.judge(policy.out_of_order, Problem::new(Fault::OutOfOrder, what, help).about(late));
    }
}

/// What the steps depend on must be in, or come in before.
fn needs(
    migrations: &[Migration],
    steps: &[&Migration],
    state: &dyn Fn(&Migration) -> State,
    judgement: &mut Judgement,
) {
    let coming: HashSet<&str> = steps.iter().map(|migration| migration.id.as_str()).collect();
    for migration in steps {
        let lacks = migration.depends_on.iter().filter_map(|name| find(migrations, name).ok());
        let lacks: Vec<&str> = lacks
            .filter(|needed| !state(needed).is_in() && !coming.contains(needed.id.as_str()))
            .map(|needed| needed.id.as_str())
            .collect();
        if !lacks.is_empty() {
            let what =
                format!("`{}` depends on {}, which {} not in", migration.id, listed(&lacks), is_are(&lacks));
            let help = format!("`{MIGRATE} up --to {}` brings in all that it needs", migration.id);
            let ids = std::iter::once(migration.id.as_str()).chain(lacks);
            judgement.refuse(Problem::new(Fault::Dependency, what, help).about(ids));
        }
    }
}

fn clashes(
    migrations: &[Migration],
    steps: &[&Migration],
    state: &dyn Fn(&Migration) -> State,
    judgement: &mut Judgement,
) {
    let coming: HashSet<&str> = steps.iter().map(|migration| migration.id.as_str()).collect();
    let present = |migration: &Migration| state(migration).is_in() || coming.contains(migration.id.as_str());
    for migration in migrations.iter().filter(|migration| present(migration)) {
        for other in migration.conflicts.iter().filter_map(|name| find(migrations, name).ok()) {
            let new = coming.contains(migration.id.as_str()) || coming.contains(other.id.as_str());
            if new && present(other) {
                let what = format!("`{}` and `{}` must not both be in", migration.id, other.id);
                let help = format!("`{MIGRATE} up --to` one that comes before the later of them");
                judgement.refuse(Problem::new(Fault::Conflict, what, help).about([&migration.id, &other.id]));
            }
        }
    }
}

pub(super) fn is_are<T>(names: &[T]) -> &'static str {
    if names.len() == 1 { "is" } else { "are" }
}

fn files_are<T>(names: &[T]) -> &'static str {
    if names.len() == 1 { "its file is" } else { "their files are" }
}
