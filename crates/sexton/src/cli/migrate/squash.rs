//! `migrate squash`: many migrations become one file that makes the same, proved before it is written.

use super::{document, looked_at, request, word};
use crate::cli::act::Act;
use crate::cli::arguments::dry_run;
use crate::cli::trouble::Trouble;
use crate::exit::Exit;
use crate::wiring::{Checkpoint, Made};
use clap::{Arg, ArgAction, ArgMatches, Command};
use engine::{Kind, OperationRequest};
use serde_json::json;
use std::path::Path;

/// The command.
pub fn command() -> Command {
    Command::new("squash")
        .about("Replace many migrations by one file that makes the same")
        .long_about(
            "Makes what the migrations make on an empty database and writes it as one file, a checkpoint: schema and rows. The \
             file is run on another empty database, and nothing is written unless both are equal. A database that has the \
             old migrations counts as being at the checkpoint, a new one begins with it. The old files are moved into the \
             folder `squashed` beside them, where nobody looks by himself; a database in the middle goes on with those: \
             `sexton migrate up --directory migrations/squashed`.",
        )
        .after_help("Examples:\n  sexton migrate squash --dry-run\n  sexton migrate squash --to 0042")
        .arg(
            Arg::new("to")
                .long("to")
                .value_name("ID")
                .help("The last one that goes into it [default: the last there is]")
                .help_heading("What to run"),
        )
        .arg(dry_run())
        .arg(
            Arg::new("remove")
                .long("remove")
                .action(ArgAction::SetTrue)
                .help("Remove the old files instead of moving them into `squashed`")
                .help_heading("What to run"),
        )
}

/// `sexton migrate squash`.
pub fn squash(
    act: &Act,
    kind: &'static dyn Kind,
    matches: &ArgMatches,
    actor: &str,
) -> Result<Exit, Trouble> {
    let convention = word(&looked_at(act, kind, matches, actor)?["convention"]);
    let mut request = request(act, kind, matches, "up", actor)?;
    let Some(operation) = request.operations.first_mut() else {
        return Err(Trouble::usage("which migrations?", "name them with `--operation`"));
    };
    operation.options["convention"] = convention.into();
    let to = matches.get_one::<String>("to").map(String::as_str);
    let options = operation.options.clone();
    let checkpoint = act.engine.look(&operation.database, |facts| Checkpoint::draft(&options, to, facts))?;
    operation.options["to"] = checkpoint.last.clone().into();
    let (made, text) = made_and_proved(act, operation, actor, &checkpoint)?;
    let only_look = matches.get_flag("dry-run");
    let remove = matches.get_flag("remove");
    let (mut file, mut aside) = (checkpoint.folder.join(format!("{}.sql", checkpoint.id)), None);
    if !only_look {
        file = checkpoint.write(&checkpoint.folder, &text)?;
        aside = checkpoint.put_aside(remove)?;
    }
    if !act.console.is_text() {
        document(
            act,
            &json!({
                "checkpoint": checkpoint.id,
                "file": file,
                "replaces": checkpoint.replaces,
                "moved_to": aside,
                "removed": remove && !only_look,
                "rows": made.rows(),
                "dry_run": only_look,
                "text": if only_look { Some(&text) } else { None },
            }),
        );
        return Ok(Exit::Done);
    }
    if only_look {
        act.console.data(&text);
    }
    let rows = if made.rows() == 0 { String::new() } else { format!(" and {} rows", made.rows()) };
    act.console.data(&format!(
        "proved   {} makes the same schema{rows} as the {} migrations it stands for",
        checkpoint.id,
        checkpoint.replaces.len()
    ));
    if !only_look {
        act.console.data(&format!("written  {}", file.display()));
    }
    match (only_look, &aside) {
        (true, _) => act.console.note("nothing was written"),
        (false, Some(aside)) => act.console.data(&format!("moved    the old files into {}", aside.display())),
        (false, None) => act.console.data("removed  the old files"),
    }
    Ok(Exit::Done)
}

/// What the migrations make, and the text of a file that alone makes the same.
fn made_and_proved(
    act: &Act,
    operation: &OperationRequest,
    actor: &str,
    checkpoint: &Checkpoint,
) -> Result<(Made, String), Trouble> {
    let mut outcome = None;
    act.engine.made_anew(operation, actor, &mut |database, how| {
        let wanted = Made::of(database, how)?;
        let text = checkpoint.text(&wanted);
        let folder = how.scratch.join("checkpoint");
        checkpoint.write(&folder, &text)?;
        outcome = Some(prove(act, &at(operation, &folder), actor, &wanted).map(|()| (wanted, text)));
        Ok(())
    })?;
    outcome
        .unwrap_or_else(|| Err(Trouble::system("nothing was made", "the empty database was not looked at")))
}

/// The file alone makes the same as all that it stands for; else nothing is written.
fn prove(act: &Act, alone: &OperationRequest, actor: &str, wanted: &Made) -> Result<(), Trouble> {
    let alone = act.engine.made_anew(alone, actor, &mut Made::of)?;
    let (comparison, tables) = wanted.compare(&alone)?;
    if comparison.is_equal() && tables.is_empty() {
        return Ok(());
    }
    act.console.note(&comparison.to_string());
    for table in &tables {
        act.console.note(&format!("different rows in {table}"));
    }
    Err(Trouble {
        exit: Exit::Failed,
        ..Trouble::usage(
            "the checkpoint does not make what the migrations make; nothing was written",
            "squash fewer of them with `--to ID`",
        )
    })
}

fn at(operation: &OperationRequest, folder: &Path) -> OperationRequest {
    let mut operation = operation.clone();
    operation.options["directory"] = folder.display().to_string().into();
    if let Some(options) = operation.options.as_object_mut() {
        options.remove("to");
        options.remove("target");
    }
    operation
}
