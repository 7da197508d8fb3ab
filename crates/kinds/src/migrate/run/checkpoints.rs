//! What a checkpoint means to a database: one file that stands for all those that were squashed into it.
//!
//! A database that has all of them is at the checkpoint; one that has none of them begins with it; one in the middle goes on
//! with the old files, as long as they are there. It is decided from what is in, every time, and recorded nowhere.

use super::own::Known;
use crate::migrate::model::{Applied, Migration, State};
use crate::migrate::problem::{Fault, MIGRATE, Problem, Problems};

/// The folder beside the files into which those go that a checkpoint stands for.
pub(super) const SQUASHED: &str = "squashed";

/// Leaves in both lists what concerns this database. What is wrong is told.
pub(super) fn settle(migrations: &mut Vec<Migration>, known: &mut Vec<Known>) -> Problems {
    let mut problems = Problems::default();
    let checkpoints: Vec<Migration> =
        migrations.iter().filter(|one| !one.replaces.is_empty()).cloned().collect();
    for checkpoint in checkpoints {
        let is_at = is_in(known, migrations, &checkpoint.id);
        let replaced: Vec<Vec<&str>> =
            checkpoint.replaces.iter().map(|entry| entry.split('|').collect()).collect();
        let there = |entry: &[&str]| entry.iter().any(|id| is_in(known, migrations, id));
        let lacking: Vec<&[&str]> =
            replaced.iter().map(Vec::as_slice).filter(|entry| !there(entry)).collect();
        let begun = replaced.iter().any(|entry| there(entry))
            || replaced.concat().iter().any(|id| is_half_in(known, id));
        if !is_at && begun && !lacking.is_empty() {
            let gone: Vec<&str> = lacking
                .iter()
                .filter(|entry| !entry.iter().any(|id| migrations.iter().any(|one| one.id == *id)))
                .map(|entry| entry[0])
                .collect();
            if !gone.is_empty() {
                problems.0.push(in_the_middle(&checkpoint, &gone));
            }
            migrations.retain(|one| one.id != checkpoint.id);
            continue;
        }
        // A history that keeps numbers only says so with the number of the last file.
        let is_told = known.iter().any(|one| one.applied.id == checkpoint.id && one.applied.state.is_in());
        if (is_at || begun) && !is_told {
            known.push(at(&checkpoint));
        }
        let ids = replaced.concat();
        known.retain(|one| {
            let of_checkpoint = one.applied.id == checkpoint.id;
            of_checkpoint || !ids.iter().any(|id| is_meant(one, id, migrations))
        });
        migrations.retain(|one| one.id == checkpoint.id || !ids.contains(&one.id.as_str()));
        for one in migrations.iter_mut() {
            for needed in &mut one.depends_on {
                if ids.contains(&needed.as_str()) {
                    needed.clone_from(&checkpoint.id);
                }
            }
        }
    }
    problems
}

/// Whether an entry of a history is of this migration. A history that knows numbers only has those for files that are gone.
fn is_meant(known: &Known, id: &str, migrations: &[Migration]) -> bool {
    if known.applied.id == id {
        return true;
    }
    let has_file = migrations.iter().any(|one| one.id == known.applied.id);
    let digits = &id[..id.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(id.len())];
    !has_file && digits.parse::<u64>().is_ok_and(|number| known.applied.id.parse() == Ok(number))
}

fn is_in(known: &[Known], migrations: &[Migration], id: &str) -> bool {
    known.iter().any(|one| one.applied.state.is_in() && is_meant(one, id, migrations))
}

fn is_half_in(known: &[Known], id: &str) -> bool {
    known.iter().any(|one| one.applied.id == id && one.applied.state == State::Interrupted)
}

/// That the database is at it.
fn at(checkpoint: &Migration) -> Known {
    Known {
        applied: Applied {
            id: checkpoint.id.clone(),
            version: checkpoint.version.clone(),
            description: Some(checkpoint.description.clone()),
            state: State::Baseline,
            at: None,
            duration_ms: None,
            checksum: Some(checkpoint.checksum.clone()),
        },
        statements: 0,
        done: 0,
        begun: false,
        action: "baseline".to_owned(),
        error: None,
        went_in_ms: None,
    }
}

fn in_the_middle(checkpoint: &Migration, gone: &[&str]) -> Problem {
    let shown: Vec<String> = gone.iter().map(|id| format!("`{id}`")).collect();
    let what = format!(
        "the database is in the middle of what `{}` stands for: it lacks {}, and these files are gone",
        checkpoint.id,
        shown.join(", ")
    );
    let help =
        format!("bring it to the checkpoint with the old files: `{MIGRATE} up --directory …/{SQUASHED}`");
    Problem::new(Fault::Missing, what, help).about(gone.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(id: &str) -> Migration {
        Migration {
            id: id.to_owned(),
            version: id.get(..4).unwrap_or(id).to_owned(),
            checksum: id.to_owned(),
            ..Migration::default()
        }
    }

    fn entry(id: &str, state: State) -> Known {
        let mut known = at(&file(id));
        known.applied.state = state;
        known
    }

    fn settled(files: &[Migration], entries: &[(&str, State)]) -> (Vec<String>, Vec<String>, usize) {
        let mut migrations = files.to_vec();
        let mut known: Vec<Known> = entries.iter().map(|(id, state)| entry(id, *state)).collect();
        let problems = settle(&mut migrations, &mut known);
        let ids = migrations.into_iter().map(|one| one.id).collect();
        (ids, known.into_iter().map(|one| one.applied.id).collect(), problems.0.len())
    }

    fn checkpoint(id: &str, replaces: &[&str]) -> Migration {
        Migration { replaces: replaces.iter().map(|id| (*id).to_owned()).collect(), ..file(id) }
    }

    const IN: State = State::Applied;

    #[test]
    fn a_checkpoint_is_for_those_that_have_nothing_or_everything() {
        let squashed = [checkpoint("0002_checkpoint", &["0001_a", "0002_b"]), file("0003_c")];
        let texts = |all: &[&str]| all.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let both = texts(&["0002_checkpoint", "0003_c"]);
        assert_eq!(settled(&squashed, &[]), (both.clone(), Vec::new(), 0));
        let all = [("0001_a", IN), ("0002_b", IN), ("0003_c", IN)];
        assert_eq!(settled(&squashed, &all), (both.clone(), texts(&["0003_c", "0002_checkpoint"]), 0));
        assert_eq!(settled(&squashed, &[("0002_checkpoint", IN)]).1, ["0002_checkpoint"]);
        // What was taken out or failed is not in.
        assert_eq!(settled(&squashed, &[("0001_a", State::RolledBack)]), (both.clone(), Vec::new(), 0));
        let (left, _, problems) = settled(&squashed, &[("0001_a", IN)]);
        assert_eq!((left, problems), (texts(&["0003_c"]), 1), "in the middle, without the old files");
        assert_eq!(settled(&squashed, &[("0001_a", State::Interrupted)]).2, 1);
        let with_files = [&squashed[..], &[file("0001_a"), file("0002_b")]].concat();
        let (left, _, problems) = settled(&with_files, &[("0001_a", IN)]);
        assert_eq!((left, problems), (texts(&["0003_c", "0001_a", "0002_b"]), 0), "the old files go on");
        assert_eq!(settled(&with_files, &[]).0, both);
        // A table that keeps numbers only.
        assert_eq!(settled(&squashed, &[("1", IN), ("2", IN)]).1, ["0002_checkpoint"]);
    }

    #[test]
    fn a_checkpoint_of_a_checkpoint_knows_both_ways_to_it() {
        let names = ["0001_a|0002_checkpoint", "0002_b|0002_checkpoint", "0003_c"];
        let squashed = [checkpoint("0003_checkpoint", &names)];
        for entries in [
            vec![("0001_a", IN), ("0002_b", IN), ("0003_c", IN)],
            vec![("0002_checkpoint", IN), ("0003_c", IN)],
        ] {
            assert_eq!(
                settled(&squashed, &entries),
                (vec!["0003_checkpoint".to_owned()], vec!["0003_checkpoint".to_owned()], 0)
            );
        }
        assert_eq!(settled(&squashed, &[("0002_checkpoint", IN)]).2, 1);
    }

    #[test]
    fn who_needs_what_was_squashed_needs_the_checkpoint() {
        let mut files = vec![
            checkpoint("0002_checkpoint", &["0001_a", "0002_b"]),
            Migration { depends_on: vec!["0001_a".to_owned()], ..file("0003_c") },
        ];
        settle(&mut files, &mut Vec::new());
        assert_eq!(files[1].depends_on, ["0002_checkpoint"]);
    }
}
