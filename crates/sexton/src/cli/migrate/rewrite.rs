//! `sexton migrate rewrite`: the form of a migration in which nobody waits, as one or several migrations.

use super::lint::{Asked, files};
use crate::cli::act::Act;
use crate::exit::Exit;
use crate::trouble::Trouble;
use crate::wiring::lint::{self, Source, Surroundings};
use clap::{Arg, ArgAction, ArgMatches, Command};
use engine::{Kind, SCHEMA_VERSION};
use serde_json::json;

/// The command.
pub fn command() -> Command {
    Command::new("rewrite")
        .about("Write a migration so that nobody waits for it: as several, where it must be")
        .long_about(
            "Write a migration so that nobody waits for it: indexes are built concurrently, constraints are added without a look \
             at the rows and validated afterwards, NOT NULL comes through a check, defaults that differ by row are filled in \
             batches. Where a transaction has to end in between, the migration becomes several. What is safe already, and what has \
             no safe form, stays as it is.\n\nPrints; with `--write` it changes the file, and puts the further ones beside it.",
        )
        .after_help(
            "Examples:\n  sexton migrate rewrite db/migrations/0042_add_index.sql\n  sexton migrate rewrite 0042_add_index.sql --write",
        )
        .args(files().into_iter().map(|arg| match arg.get_id().as_str() {
            "files" => arg.required(true).num_args(1).help("The migration"),
            _ => arg,
        }))
        .arg(
            Arg::new("write")
                .long("write")
                .action(ArgAction::SetTrue)
                .help("Change the file, and make the further ones beside it"),
        )
}

/// `sexton migrate rewrite FILE`.
pub fn rewrite(act: &Act, kind: &'static dyn Kind, matches: &ArgMatches) -> Result<Exit, Trouble> {
    let asked = Asked::of(act, kind, matches)?;
    let sources = asked.sources()?;
    let [source] = sources.as_slice() else {
        return Err(Trouble::usage("a folder cannot be rewritten", "name one file"));
    };
    let around = match &asked.database {
        Some(database) => Some(act.engine.look(database, Surroundings::of)?),
        None => None,
    };
    let steps = lint::rewrite(source, &asked.terms, around.as_ref());
    if is_same(source, &steps) {
        act.console.note(
            "nothing to rewrite: it is safe already, or has no safe form (`sexton migrate lint` tells)",
        );
        if act.console.is_text() {
            return Ok(Exit::Done);
        }
    }
    let files = lint::written(source, &steps)?;
    if matches.get_flag("write") {
        lint::write(&files)?;
        for file in &files {
            act.console.note(&format!("wrote  {}", file.path.display()));
        }
    }
    if !act.console.is_text() {
        act.console
            .document(&json!({ "schema_version": SCHEMA_VERSION, "migrations": steps, "files": files }));
    } else if !matches.get_flag("write") {
        let many = files.len();
        let text = files.iter().enumerate().map(|(n, file)| match many {
            1 => file.text.clone(),
            _ => format!("-- {} of {many}: {}\n{}", n + 1, file.path.display(), file.text),
        });
        act.console.data(&text.collect::<Vec<_>>().join("\n"));
    }
    Ok(Exit::Done)
}

fn is_same(source: &Source, steps: &[lint::Step]) -> bool {
    let before: Vec<&str> = source.script.statements.iter().map(|statement| statement.sql.as_str()).collect();
    let after: Vec<&str> = steps.iter().flat_map(|step| &step.statements).map(String::as_str).collect();
    // Comments above a statement come along.
    steps.len() <= 1 && before.len() == after.len() && before.iter().zip(after).all(|(a, b)| b.ends_with(a))
}
