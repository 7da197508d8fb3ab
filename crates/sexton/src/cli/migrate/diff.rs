//! `migrate diff`: the schema as it is against what the migrations make, or against another database.
//!
//! What the migrations make is made on an empty database beside the real one, which is only read. Statements that would mend
//! a difference are shown and never run.

use super::{document, looked_at, request, word};
use crate::cli::act::Act;
use crate::cli::choice;
use crate::cli::trouble::Trouble;
use crate::exit::Exit;
use crate::wiring::compare::{Comparison, Ignored, Snapshot};
use clap::{Arg, ArgAction, ArgMatches, Command};
use engine::Kind;
use serde_json::json;

/// The command.
pub fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help).help_heading("What to compare")
    };
    Command::new("diff")
        .about("Compare the schema with what the migrations make; ends with 5 when they differ")
        .long_about(
            "Compares the schema of the database with what the migrations that are in it make. These run on an empty database \
             that is made beside the real one and is gone afterwards (PostgreSQL: `createdb` is needed); the real one is only \
             read. Every difference is shown with the statements that would mend it, where some do so without losing a row. \
             Nothing runs them. Ends with 5 when something differs, with 0 when nothing does.",
        )
        .after_help(
            "Examples:\n  sexton migrate diff\n  sexton migrate diff --pending --sql\n  sexton migrate diff --database live --against \
             staging\n  sexton migrate diff --ignore 'index public.tmp_*'",
        )
        .arg(
            Arg::new("against")
                .long("against")
                .value_name("DATABASE")
                .help("Expect what this database has (a name, a path or a URL) instead of what the migrations make")
                .help_heading("What to compare"),
        )
        .arg(flag("pending", "Expect also what is pending: what `up` would make of it").conflicts_with("against"))
        .arg(flag("reverse", "Show how what is expected would have to change instead"))
        .arg(
            Arg::new("ignore")
                .long("ignore")
                .value_name("PATTERN")
                .action(ArgAction::Append)
                .help("Leave out objects of this name, `*` for anything; with the kind before it: 'index public.tmp_*'")
                .help_heading("What to compare"),
        )
        .arg(flag("grants", "Compare what is granted to roles too"))
        .arg(flag("comments", "Compare comments too"))
        .arg(flag("sql", "Print nothing but the statements that would mend it, in an order in which they can run"))
}

/// What was compared, in words.
struct Sides {
    database: String,
    expected: String,
    left_out: Vec<String>,
    problems: serde_json::Value,
}

/// `sexton migrate diff`.
pub fn diff(act: &Act, kind: &'static dyn Kind, matches: &ArgMatches, actor: &str) -> Result<Exit, Trouble> {
    let patterns: Vec<String> = matches.get_many::<String>("ignore").into_iter().flatten().cloned().collect();
    let mut ignored = Ignored::new(&patterns)?;
    ignored.grants = matches.get_flag("grants");
    ignored.comments = matches.get_flag("comments");
    let (sides, expected, found) = match matches.get_one::<String>("against") {
        Some(other) => with_database(act, matches, other, &ignored)?,
        None => with_migrations(act, kind, matches, actor, &ignored)?,
    };
    let comparison =
        if matches.get_flag("reverse") { found.compare(&expected)? } else { expected.compare(&found)? };
    tell(act, &sides, &comparison, matches.get_flag("sql"));
    Ok(if comparison.is_equal() { Exit::Done } else { Exit::Findings })
}

fn with_database(
    act: &Act,
    matches: &ArgMatches,
    other: &str,
    ignored: &Ignored,
) -> Result<(Sides, Snapshot, Snapshot), Trouble> {
    let named = matches.get_one::<String>("database").map(String::as_str);
    let database = choice::the_database(named, act.config)?;
    let shown =
        choice::database(Some(other), act.config)?.map_or_else(|| other.to_owned(), |known| known.name);
    let expected = act.engine.look(other, |facts| Snapshot::read(facts, ignored))?;
    let found = act.engine.look(&database, |facts| Snapshot::read(facts, ignored))?;
    let sides = Sides { database, expected: format!("`{shown}`"), left_out: Vec::new(), problems: json!([]) };
    Ok((sides, expected, found))
}

fn with_migrations(
    act: &Act,
    kind: &'static dyn Kind,
    matches: &ArgMatches,
    actor: &str,
    ignored: &Ignored,
) -> Result<(Sides, Snapshot, Snapshot), Trouble> {
    let status = looked_at(act, kind, matches, actor)?;
    let all = matches.get_flag("pending");
    let mut request = request(act, kind, matches, if all { "up" } else { "status" }, actor)?;
    let Some(operation) = request.operations.first_mut() else {
        return Err(Trouble::usage("which migrations?", "name them with `--operation`"));
    };
    // What names alone do not tell is decided by the history of the real one.
    operation.options["convention"] = status["convention"].clone();
    let mut snapshot = None;
    act.engine.made_anew(operation, actor, &mut |made, _| {
        snapshot = Some(Snapshot::read(made.read()?.as_mut(), ignored)?);
        Ok(())
    })?;
    let found = act.engine.look(&operation.database, |facts| Snapshot::read(facts, ignored))?;
    let pending: Vec<String> =
        status["pending"].as_array().into_iter().flatten().map(word).filter(|_| !all).collect();
    let sides = Sides {
        database: operation.database.clone(),
        expected: format!("the migrations in `{}`", word(&status["directory"])),
        left_out: pending,
        problems: status["problems"].clone(),
    };
    let expected = snapshot
        .ok_or_else(|| Trouble::system("nothing was made", "the empty database was not looked at"))?;
    Ok((sides, expected, found))
}

fn tell(act: &Act, sides: &Sides, comparison: &Comparison, sql: bool) {
    let statements: Vec<&str> = comparison.statements().collect();
    if !act.console.is_text() {
        document(
            act,
            &json!({
                "database": sides.database,
                "against": sides.expected,
                "pending_left_out": sides.left_out,
                "equal": comparison.is_equal(),
                "expected": comparison.expected,
                "found": comparison.found,
                "differences": comparison.differences,
                "statements": statements,
            }),
        );
        return;
    }
    if sql {
        if !statements.is_empty() {
            let lines: Vec<String> = statements.iter().map(|sql| format!("{};", sql.trim_end())).collect();
            act.console.data(&lines.join("\n"));
        }
    } else if !comparison.is_equal() {
        act.console.data(&format!("{comparison}\n"));
    }
    let by_hand = comparison.differences.iter().filter(|one| one.by_hand.is_some()).count();
    let (count, against) = (comparison.differences.len(), &sides.expected);
    let told = match count {
        0 => format!("equal  {} objects, none differs from {against}", comparison.found),
        1 => format!("drift  1 difference from {against}"),
        _ => format!("drift  {count} differences from {against}"),
    };
    match sql {
        true => act.console.note(&told),
        false => act.console.data(&told),
    }
    if by_hand > 0 {
        act.console.note(&format!("{by_hand} of them no statement mends without losing rows, see above"));
    }
    if !sides.left_out.is_empty() {
        act.console.note(&format!(
            "what is pending was left out ({}); `--pending` expects it too",
            sides.left_out.join(", ")
        ));
    }
    for problem in sides.problems.as_array().into_iter().flatten() {
        act.console.note(&word(&problem["what"]));
    }
}
