//! What is to be taken out again, the last one first, and everything that speaks against it.

use super::find::{find, listed};
use super::order::ordered;
use super::pending::{is_are, states};
use super::standing::is_changed;
use super::{Judgement, Policy, Sequence, Target, by_id};
use crate::migrate::model::{Applied, Migration, State};
use crate::migrate::problem::{Fault, MIGRATE, Problem, Problems};
use std::collections::HashSet;

/// The migrations to take out so that the target is the last that is in, the latest first.
pub fn back<'a>(
    migrations: &'a [Migration],
    applied: &[Applied],
    target: &Target,
    policy: &Policy,
) -> Result<Sequence<'a>, Problems> {
    let mut judgement = Judgement::default();
    let sequence = ordered(migrations, applied, policy, &mut judgement);
    let state = states(applied);
    let present: Vec<&Migration> =
        sequence.iter().rev().copied().filter(|one| !one.repeatable && state(one).is_in()).collect();
    let steps: Vec<&Migration> = match target {
        Target::All => present.clone(),
        Target::By(most) => present.iter().copied().take(*most).collect(),
        Target::Only(name) => {
            let one = find(migrations, name)?;
            if !state(one).is_in() {
                let what = format!("`{}` is not in", one.id);
                let problem = Problem::new(Fault::Unknown, what, format!("`{MIGRATE} status` shows what is"));
                return Err(problem.about([&one.id]).into());
            }
            vec![one]
        }
        Target::To(name) => {
            let last = find(migrations, name)?;
            let end = sequence.iter().position(|one| one.id == last.id);
            let after: HashSet<&str> =
                sequence.iter().skip(end.map_or(0, |at| at + 1)).map(|one| one.id.as_str()).collect();
            present.iter().copied().filter(|one| after.contains(one.id.as_str())).collect()
        }
    };
    gone(migrations, applied, &steps, target, &mut judgement);
    needed(migrations, &present, &steps, &mut judgement);
    judge(applied, &steps, &mut judgement);
    judgement.over(steps)
}

/// Those that are in without a file would have to go first, but nobody knows how.
fn gone(
    migrations: &[Migration],
    applied: &[Applied],
    steps: &[&Migration],
    target: &Target,
    judgement: &mut Judgement,
) {
    let Some(first) = steps.iter().filter_map(|one| one.place()).min() else { return };
    if matches!(target, Target::Only(_)) {
        return;
    }
    let known: HashSet<&str> = migrations.iter().map(|one| one.id.as_str()).collect();
    let lost: Vec<&str> = applied
        .iter()
        .filter(|entry| entry.state == State::Applied && !known.contains(entry.id.as_str()))
        .filter(|entry| {
            let sorted_as = steps[0].sorted_as.as_ref().map(|_| entry.version.clone());
            let place =
                Migration { version: entry.version.clone(), sorted_as, ..Migration::default() }.place();
            place.is_some_and(|place| place > first)
        })
        .map(|entry| entry.id.as_str())
        .collect();
    if !lost.is_empty() {
        let what = format!("{} came later, and without a file there is no way back from it", listed(&lost));
        let help = "bring the file back from version control";
        judgement.refuse(Problem::new(Fault::Missing, what, help).about(lost));
    }
}

/// What others that stay depend on must stay.
fn needed(migrations: &[Migration], present: &[&Migration], steps: &[&Migration], judgement: &mut Judgement) {
    let going: HashSet<&str> = steps.iter().map(|one| one.id.as_str()).collect();
    for stays in present.iter().filter(|one| !going.contains(one.id.as_str())) {
        let loses = stays.depends_on.iter().filter_map(|name| find(migrations, name).ok());
        let loses: Vec<&str> = loses.map(|one| one.id.as_str()).filter(|id| going.contains(id)).collect();
        if !loses.is_empty() {
            let what = format!("`{}` is in and depends on {}", stays.id, listed(&loses));
            let help = format!("take it out first: `{MIGRATE} revert {}`", stays.id);
            let ids = std::iter::once(stays.id.as_str()).chain(loses);
            judgement.refuse(Problem::new(Fault::Dependency, what, help).about(ids));
        }
    }
}

fn judge(applied: &[Applied], steps: &[&Migration], judgement: &mut Judgement) {
    let history = by_id(applied);
    let one_way: Vec<&str> =
        steps.iter().filter(|one| one.down.is_none()).map(|one| one.id.as_str()).collect();
    if !one_way.is_empty() {
        let what =
            format!("{} {} no way back", listed(&one_way), if one_way.len() == 1 { "has" } else { "have" });
        let help = format!("write the statements for it, or restore the backup: `{MIGRATE} status` names it");
        judgement.refuse(Problem::new(Fault::OneWay, what, help).about(one_way));
    }
    let changed: Vec<&str> = steps
        .iter()
        .filter(|one| history.get(one.id.as_str()).is_some_and(|entry| is_changed(one, entry)))
        .map(|one| one.id.as_str())
        .collect();
    if !changed.is_empty() {
        let what =
            format!("{} {} another by now: the way back may not fit", listed(&changed), is_are(&changed));
        let help = "look at the edit before";
        judgement.warnings.0.push(Problem::new(Fault::Changed, what, help).about(changed));
    }
    for one in steps {
        for problem in one.down.iter().flat_map(|down| &down.problems) {
            judgement.refuse(problem.clone().about([&one.id]));
        }
    }
}
