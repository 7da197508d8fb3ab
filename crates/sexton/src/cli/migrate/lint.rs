//! `sexton migrate lint`: says before a migration runs what it would do to those who use the database.
//!
//! Without `--database` it connects to nothing, as pipelines need it; with it, sizes, traffic and rows are looked at
//! through a session that cannot write. The exit code is that of the worst finding.

use super::{lint_forms, lint_text};
use crate::choice;
use crate::cli::act::Act;
use crate::config::OperationSetting;
use crate::exit::Exit;
use crate::told;
use crate::trouble::Trouble;
use crate::wiring::lint::{self, Engine, Level, Linted, Source, Terms, codes};
use crate::wiring::{Convention, is_place};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use engine::{Kind, SCHEMA_VERSION};
use serde_json::json;
use std::path::PathBuf;
use targets::db::Url;

/// The command.
pub fn command() -> Command {
    Command::new("lint")
        .about("Say what pending migrations would lock, rewrite and break, and how to write them safely")
        .long_about(
            "Say what migrations would do to those who use the database: which locks they take and for how long, what is \
             written anew, what fails, what the running application loses; and the form in which nobody waits.\n\nWithout \
             `--database` nothing is connected to, and every migration of the directory is judged; with it only those that are \
             not in yet, with the sizes, the traffic and the rows of now. A comment in the lines before a statement allows a \
             finding: `-- sexton:ignore CODE reason`.\n\nExit codes: 0 nothing, or only notes; 5 warnings; 3 errors.",
        )
        .after_help(
            "Examples:\n  sexton migrate lint --output github\n  sexton migrate lint db/migrations/0042_add_index.sql\n  \
             sexton migrate lint --database postgres://app@localhost/app\n  sexton migrate lint --rules",
        )
        .args(files())
        .arg(
            Arg::new("output")
                .long("output")
                .value_name("FORM")
                .default_value("text")
                .value_parser(PossibleValuesParser::new(["text", "json", "github"]))
                .help("text; one JSON document; or annotations for a pull request")
                .help_heading("Everywhere"),
        )
        .arg(
            Arg::new("fail-on")
                .long("fail-on")
                .value_name("LEVEL")
                .default_value("warning")
                .value_parser(PossibleValuesParser::new(["note", "warning", "error", "never"]))
                .help("The mildest level that does not end with 0"),
        )
        .arg(
            Arg::new("allow")
                .long("allow")
                .value_name("CODE")
                .action(ArgAction::Append)
                .value_delimiter(',')
                .help("A rule that does not hold here; may be given several times, or with commas"),
        )
        .arg(Arg::new("rules").long("rules").action(ArgAction::SetTrue).help("List all rules, and look at nothing"))
}

/// What to look at, and as what.
pub fn files() -> Vec<Arg> {
    vec![
        Arg::new("files")
            .value_name("FILE")
            .num_args(0..)
            .value_parser(clap::value_parser!(PathBuf))
            .help("Files of SQL, or folders of migrations [default: the directory of the migrations]"),
        Arg::new("directory")
            .long("directory")
            .value_name("FOLDER")
            .value_parser(clap::value_parser!(PathBuf))
            .help("The folder with the migration files [default: as configured, else `migrations`]"),
        Arg::new("convention")
            .long("convention")
            .value_name("NAME")
            .value_parser(PossibleValuesParser::new(Convention::ALL.map(Convention::name)))
            .help("By whose rules the files are written [default: found out]"),
        Arg::new("dialect")
            .long("dialect")
            .value_name("NAME")
            .value_parser(PossibleValuesParser::new(["sqlite", "postgresql"]))
            .help("Whose SQL it is [default: that of the database of the configuration, else postgresql]"),
        Arg::new("server-version")
            .long("server-version")
            .value_name("VERSION")
            .help("For which version to judge: 15, 3.45 [default: that of the database, else 14 or 3.40]"),
        Arg::new("operation")
            .long("operation")
            .value_name("NAME")
            .help("The operation of the configuration, where several are migrations"),
    ]
}

/// What the command line and the configuration say.
pub struct Asked {
    /// How to judge.
    pub terms: Terms,
    /// The options of the operation.
    pub options: serde_json::Value,
    /// The database to look at.
    pub database: Option<String>,
    files: Vec<PathBuf>,
    convention: Option<Convention>,
}

impl Asked {
    /// Reads both.
    pub fn of(act: &Act, kind: &'static dyn Kind, matches: &ArgMatches) -> Result<Self, Trouble> {
        let configured = configured(act, kind, matches)?;
        let mut options = configured.as_ref().map_or_else(|| json!({}), |one| json!(one.options));
        let string = |name: &str| matches.get_one::<String>(name).map(String::as_str);
        if let Some(directory) = matches.get_one::<PathBuf>("directory") {
            options["directory"] = json!(directory);
        }
        if let Some(convention) = string("convention") {
            options["convention"] = convention.into();
        }
        let named = string("database");
        let database = choice::database(named, act.config)?;
        let usual = configured.as_ref().map(|one| one.database.as_str());
        let url = database.as_ref().map(|database| &database.url).or_else(|| {
            let known =
                act.config.databases.iter().find(|known| usual.is_none_or(|usual| known.name == usual));
            known.map(|known| &known.url)
        });
        let engine = match (string("dialect"), url) {
            (Some(dialect), _) => Engine::named(dialect),
            (None, Some(Url::Sqlite { .. })) => Engine::Sqlite,
            (None, _) => Engine::Postgres,
        };
        let mut terms = Terms::new(engine);
        terms.version = string("server-version").map(|version| number(engine, version)).transpose()?;
        Ok(Self {
            terms,
            convention: options["convention"].as_str().and_then(|name| Convention::named(name).ok()),
            files: matches.get_many::<PathBuf>("files").into_iter().flatten().cloned().collect(),
            database: database.map(|database| database.name),
            options,
        })
    }

    /// The files, without a database.
    pub fn sources(&self) -> Result<Vec<Source>, Trouble> {
        if !self.files.is_empty() {
            return Ok(lint::files::named(&self.files, self.terms.engine, self.convention)?);
        }
        let directory = self.options["directory"].as_str().unwrap_or("migrations");
        Ok(lint::files::directory(directory.as_ref(), self.terms.engine, self.convention)?)
    }
}

fn configured<'a>(
    act: &'a Act,
    kind: &'static dyn Kind,
    matches: &ArgMatches,
) -> Result<Option<&'a OperationSetting>, Trouble> {
    let mut known = act.config.operations.iter().filter(|one| one.kind.name() == kind.name());
    match matches.get_one::<String>("operation") {
        None => Ok(known.next()),
        Some(named) => known.find(|one| one.name == *named).map(Some).ok_or_else(|| {
            Trouble::usage(
                format!("there is no migration `{named}` in the configuration"),
                "`sexton config check` lists the operations",
            )
        }),
    }
}

/// `15` as 150000, `3.45` as 3045000.
fn number(engine: Engine, version: &str) -> Result<u32, Trouble> {
    let parts: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
    let number = match (engine, parts.as_deref()) {
        (Engine::Postgres, Some([major @ 9..=99, rest @ ..])) => {
            Some(major * 10_000 + rest.first().copied().unwrap_or(0))
        }
        (Engine::Sqlite, Some([3, minor @ 0..=999, rest @ ..])) => {
            Some(3_000_000 + minor * 1_000 + rest.first().copied().unwrap_or(0))
        }
        _ => None,
    };
    number.ok_or_else(|| Trouble::usage(format!("`{version}` is no version"), "write it like `15` or `3.45`"))
}

/// `sexton migrate lint`.
pub fn lint(act: &Act, kind: &'static dyn Kind, matches: &ArgMatches) -> Result<Exit, Trouble> {
    let form = matches.get_one::<String>("output").map_or("text", String::as_str);
    if matches.get_flag("rules") {
        return Ok(rules(act, form));
    }
    let mut asked = Asked::of(act, kind, matches)?;
    asked.terms.allowed = matches.get_many::<String>("allow").into_iter().flatten().cloned().collect();
    if let Some(unknown) = asked.terms.allowed.iter().find(|code| codes::meant(code).is_empty()) {
        return Err(Trouble::usage(
            format!("there is no rule `{unknown}`"),
            "`sexton migrate lint --rules` lists all",
        ));
    }
    let (linted, sources) = judged(act, &asked)?;
    match form {
        "json" => {
            act.console.document(&told::linted(&linted));
        }
        "github" => act.console.data(&lint_forms::github(&linted)),
        _ => act.console.data(&lint_text::shown(&linted, &sources, act.console)),
    }
    Ok(exit(&linted, matches.get_one::<String>("fail-on").map_or("warning", String::as_str)))
}

fn judged(act: &Act, asked: &Asked) -> Result<(Linted, Vec<Source>), Trouble> {
    let Some(database) = &asked.database else {
        let sources = asked.sources()?;
        return Ok((lint::lint(&sources, &asked.terms, None)?, sources));
    };
    let named = if asked.files.is_empty() { None } else { Some(asked.sources()?) };
    let label = if is_place(database) { "the database" } else { database.as_str() };
    Ok(act.engine.look(database, |facts| {
        let sources = match named {
            Some(named) => named,
            None => lint::files::waiting(&asked.options, facts)?,
        };
        Ok((lint::lint(&sources, &asked.terms, Some((label, facts)))?, sources))
    })?)
}

fn exit(linted: &Linted, fail_on: &str) -> Exit {
    let mildest = match fail_on {
        "note" => Level::Note,
        "warning" => Level::Warning,
        "error" => Level::Error,
        _ => return Exit::Done,
    };
    match linted.worst().filter(|worst| *worst >= mildest) {
        None => Exit::Done,
        Some(Level::Error) => Exit::Refused,
        Some(_) => Exit::Findings,
    }
}

fn rules(act: &Act, form: &str) -> Exit {
    if form == "json" {
        let rules: Vec<_> = codes::RULES
            .iter()
            .map(|rule| {
                json!({
                    "code": rule.code, "level": rule.level, "depends_on_size": rule.waits, "engine": rule.engine,
                    "also": rule.also, "about": rule.about,
                })
            })
            .collect();
        act.console.document(&json!({ "schema_version": SCHEMA_VERSION, "rules": rules }));
    } else {
        act.console.data(&lint_text::rules());
    }
    Exit::Done
}
