//! One order for all migrations of a directory: what they depend on, then their place, then their id.

use super::find::{find, listed};
use super::{Judgement, Policy, Sequence};
use crate::migrate::model::{Applied, Migration};
use crate::migrate::problem::{Fault, Problem, Problems};
use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap, HashSet};

/// Numbers from here on are days or moments, not a count: nothing is left out between them.
const COUNTED: u64 = 100_000;

/// The order of a directory; or what is wrong with it.
pub fn order<'a>(migrations: &'a [Migration], policy: &Policy) -> Result<Sequence<'a>, Problems> {
    let mut judgement = Judgement::default();
    let steps = ordered(migrations, &[], policy, &mut judgement);
    judgement.over(steps)
}

/// The same, problems being kept; what the history knows fills no gap, but is told as missing.
pub(super) fn ordered<'a>(
    migrations: &'a [Migration],
    applied: &[Applied],
    policy: &Policy,
    judgement: &mut Judgement,
) -> Vec<&'a Migration> {
    let steps = arrange(migrations, judgement);
    duplicates(migrations, policy, judgement);
    gaps(migrations, applied, policy, judgement);
    heads(migrations, policy, judgement);
    steps
}

/// What migrations are sorted by: those with a place by it, then the others by their id; repeatable ones last.
pub type PlaceKey = (bool, bool, Option<Vec<u64>>, String);

/// Sorts migrations of which none depends on another.
pub fn place_key(migration: &Migration) -> PlaceKey {
    let place = migration.place();
    (migration.repeatable, place.is_none(), place, migration.id.clone())
}

/// Which migrations each one waits for, as indexes.
fn parents(migrations: &[Migration], judgement: &mut Judgement) -> Vec<Vec<usize>> {
    let mut index: HashMap<&str, usize> = HashMap::new();
    for (n, migration) in migrations.iter().enumerate() {
        index.entry(&migration.id).or_insert(n);
    }
    let mut all = Vec::with_capacity(migrations.len());
    for migration in migrations {
        let mut parents = Vec::new();
        for name in &migration.depends_on {
            let parent = index
                .get(name.as_str())
                .copied()
                .map_or_else(|| find(migrations, name).map(|found| index[found.id.as_str()]), Ok);
            match parent {
                Ok(parent) => parents.push(parent),
                Err(_) => {
                    let what = format!("`{}` depends on `{name}`, which is not there", migration.id);
                    let help = "bring the file back, or leave it out of `depends`";
                    let problem = Problem::new(Fault::Dependency, what, help);
                    judgement.refuse(problem.about([&migration.id, name]).within(&migration.up.file));
                }
            }
        }
        all.push(parents);
    }
    all
}

/// An index among others of its directory, smallest place first.
struct Ready(u32, usize);

impl PartialEq for Ready {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl Eq for Ready {}
impl PartialOrd for Ready {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Ready {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

fn arrange<'a>(migrations: &'a [Migration], judgement: &mut Judgement) -> Vec<&'a Migration> {
    let parents = parents(migrations, judgement);
    let mut sorted: Vec<usize> = (0..migrations.len()).collect();
    sorted.sort_by_cached_key(|index| place_key(&migrations[*index]));
    let mut rank = vec![0_u32; migrations.len()];
    for (n, index) in sorted.iter().enumerate() {
        rank[*index] = n as u32;
    }
    let mut waiting: Vec<usize> = parents.iter().map(Vec::len).collect();
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); migrations.len()];
    for (child, parents) in parents.iter().enumerate() {
        for parent in parents {
            children[*parent].push(child);
        }
    }
    let free = (0..migrations.len()).filter(|index| waiting[*index] == 0);
    let mut ready: BinaryHeap<Reverse<Ready>> =
        free.map(|index| Reverse(Ready(rank[index], index))).collect();
    let mut steps = Vec::with_capacity(migrations.len());
    while let Some(Reverse(Ready(_, index))) = ready.pop() {
        steps.push(&migrations[index]);
        for child in &children[index] {
            waiting[*child] -= 1;
            if waiting[*child] == 0 {
                ready.push(Reverse(Ready(rank[*child], *child)));
            }
        }
    }
    if steps.len() < migrations.len() {
        judgement.refuse(ring(migrations, &parents, &waiting));
    }
    steps
}

/// One ring among those that still wait.
fn ring(migrations: &[Migration], parents: &[Vec<usize>], waiting: &[usize]) -> Problem {
    let stuck = |index: &usize| waiting[*index] > 0;
    let mut path: Vec<usize> = (0..migrations.len()).find(|index| stuck(index)).into_iter().collect();
    while let Some(last) = path.last() {
        // whoever waits has a parent that waits
        let Some(next) = parents[*last].iter().copied().find(|index| stuck(index)) else { break };
        if let Some(start) = path.iter().position(|index| *index == next) {
            path.drain(..start);
            break;
        }
        path.push(next);
    }
    let ids: Vec<&str> = path.iter().map(|index| migrations[*index].id.as_str()).collect();
    let shown: Vec<String> = ids.iter().chain(ids.first()).map(|id| format!("`{id}`")).collect();
    let what = format!("they depend on each other in a ring: {}", shown.join(" needs "));
    Problem::new(Fault::Cycle, what, "leave one of them out of `depends`").about(ids)
}

fn duplicates(migrations: &[Migration], policy: &Policy, judgement: &mut Judgement) {
    let mut ids: HashMap<&str, Vec<&Migration>> = HashMap::new();
    let mut places: HashMap<Vec<u64>, Vec<&Migration>> = HashMap::new();
    for migration in migrations {
        ids.entry(&migration.id).or_default().push(migration);
        if let Some(place) = migration.place().filter(|_| !migration.repeatable) {
            places.entry(place).or_default().push(migration);
        }
    }
    let mut twice: Vec<&Vec<&Migration>> = ids.values().filter(|same| same.len() > 1).collect();
    twice.sort_by_key(|same| &same[0].id);
    for same in twice {
        let files: Vec<String> =
            same.iter().map(|migration| migration.up.file.display().to_string()).collect();
        let what = format!("{} have the same id `{}`", listed(&files), same[0].id);
        judgement
            .refuse(Problem::new(Fault::Duplicate, what, "give one of them another id").about([&same[0].id]));
    }
    let mut twice: Vec<&Vec<&Migration>> = places
        .values()
        .filter(|same| same.len() > 1 && same.iter().any(|other| other.id != same[0].id))
        .collect();
    twice.sort_by_key(|same| &same[0].id);
    for same in twice {
        let ids: Vec<&str> = same.iter().map(|migration| migration.id.as_str()).collect();
        let what = format!("{} have the same number", listed(&ids));
        let help = format!("give `{}` a number that is free", ids[ids.len() - 1]);
        judgement.judge(policy.duplicates, Problem::new(Fault::Duplicate, what, help).about(ids));
    }
}

fn gaps(migrations: &[Migration], applied: &[Applied], policy: &Policy, judgement: &mut Judgement) {
    let mut numbers: Vec<u64> = migrations.iter().filter_map(|migration| migration.number).collect();
    let (Some(first), Some(last)) = (numbers.iter().min().copied(), numbers.iter().max().copied()) else {
        return;
    };
    let known = applied.iter().filter(|entry| entry.state.is_in());
    let known = known.filter_map(|entry| entry.version.parse().ok());
    numbers.extend(known.filter(|number| (first..last).contains(number)));
    numbers.sort_unstable();
    for pair in numbers.windows(2) {
        gap(pair[0], pair[1], policy, judgement);
    }
}

/// Judges what lies between two numbers.
pub(super) fn gap(before: u64, next: u64, policy: &Policy, judgement: &mut Judgement) {
    if next >= COUNTED || next <= before + 1 {
        return;
    }
    let (first, last) = (before + 1, next - 1);
    let what = match last - first {
        0 => format!("there is no migration {first}"),
        1 => format!("there are no migrations {first} and {last}"),
        _ => format!("there are no migrations {first} to {last}"),
    };
    let help = "bring the file back, or say `gaps = \"allow\"` where numbers are left out on purpose";
    let ids: Vec<String> = (first..=last).take(10).map(|number| number.to_string()).collect();
    judgement.judge(policy.gaps, Problem::new(Fault::Gap, what, help).about(ids));
}

/// Without numbers only what depends on what gives an order, and it must come together in one end.
fn heads(migrations: &[Migration], policy: &Policy, judgement: &mut Judgement) {
    let loose: Vec<&Migration> =
        migrations.iter().filter(|one| !one.repeatable && one.place().is_none()).collect();
    if loose.iter().all(|migration| migration.depends_on.is_empty()) {
        return;
    }
    let parents = parents(migrations, &mut Judgement::default()).concat();
    let found: HashSet<&str> = parents.into_iter().map(|index| migrations[index].id.as_str()).collect();
    let needed = |id: &str| found.contains(id);
    let heads: Vec<&str> =
        loose.iter().map(|migration| migration.id.as_str()).filter(|id| !needed(id)).collect();
    if heads.len() > 1 {
        let what = format!("nothing comes after {}: which is the last is open", listed(&heads));
        let help = format!("let one that joins them depend on {}", listed(&heads));
        judgement.judge(policy.heads, Problem::new(Fault::Heads, what, help).about(heads));
    }
}
