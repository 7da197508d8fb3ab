//! `sexton token`: who may use the API.

use super::act::Act;
use super::numbers::minute;
use super::table::Table;
use crate::exit::Exit;
use crate::trouble::Trouble;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command};
use engine::age::Age;
use engine::{Failure, Role, SCHEMA_VERSION};
use serde_json::json;

/// The command.
pub fn command() -> Command {
    Command::new("token")
        .about("Who may use the API: make, list and revoke tokens")
        .after_help("Examples:\n  sexton token create deploy --role run --expires 90d\n  sexton token list\n  sexton token revoke 7f3k9q2m")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("create")
                .about("Make a token; its secret is printed once and kept nowhere")
                .arg(Arg::new("name").value_name("NAME").required(true).help("What it is for; it stands in the audit trail"))
                .arg(
                    Arg::new("role")
                        .long("role")
                        .value_name("ROLE")
                        .default_value("read")
                        .value_parser(PossibleValuesParser::new(["read", "run", "admin"]))
                        .help("read: look; run: also plan, run, stop, undo; admin: also change and approve schedules"),
                )
                .arg(
                    Arg::new("expires")
                        .long("expires")
                        .value_name("AGE")
                        .default_value("365d")
                        .help("For how long it holds; `never` for always"),
                ),
        )
        .subcommand(Command::new("list").about("All tokens, without their secrets"))
        .subcommand(
            Command::new("revoke").about("Take a token back at once").arg(Arg::new("id").value_name("ID").required(true)),
        )
}

/// `sexton token …`.
pub fn token(act: &Act, matches: &ArgMatches, actor: &str) -> Result<Exit, Trouble> {
    match matches.subcommand() {
        Some(("create", own)) => create(act, own, actor),
        Some(("revoke", own)) => revoke(act, own, actor),
        _ => list(act),
    }
}

fn create(act: &Act, matches: &ArgMatches, actor: &str) -> Result<Exit, Trouble> {
    let text = |id: &str| matches.get_one::<String>(id).map_or("", String::as_str);
    let role = Role::parse(text("role")).unwrap_or(Role::Read);
    let now = act.engine.clock().now();
    let expires = match text("expires") {
        "never" => None,
        age => {
            let until = jiff::SignedDuration::try_from_secs_f64(Age(age.to_owned()).about_seconds()?);
            let until = until
                .ok()
                .filter(|length| length.is_positive())
                .and_then(|length| now.checked_add(length).ok());
            Some(until.ok_or_else(|| {
                Trouble::usage(
                    format!("a token cannot expire after `{age}`"),
                    "write it like `90d`, or `never`",
                )
            })?)
        }
    };
    let (token, secret) =
        act.engine.tokens()?.make(text("name"), role, expires, now).map_err(Failure::from)?;
    act.engine.audit(actor, "create token", &token.id, &format!("{} ({})", token.name, role.name()))?;
    match act.console.is_text() {
        true => {
            act.console.data(&secret);
            act.console.note("keep it now: it is not shown again");
        }
        false => act
            .console
            .document(&json!({ "schema_version": SCHEMA_VERSION, "token": token, "secret": secret })),
    }
    Ok(Exit::Done)
}

fn list(act: &Act) -> Result<Exit, Trouble> {
    let all = act.engine.tokens()?.all().map_err(Failure::from)?;
    if !act.console.is_text() {
        act.console.document(&json!({ "schema_version": SCHEMA_VERSION, "tokens": all }));
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["id", "name", "role", "made", "expires", "used"], &[]);
    for token in all {
        let or = |at: Option<jiff::Timestamp>, other: &str| at.map_or_else(|| other.to_owned(), minute);
        table.row([
            token.id,
            token.name,
            token.role.name().to_owned(),
            minute(token.made),
            or(token.expires, "never"),
            or(token.used, "never"),
        ]);
    }
    act.console.data(if table.is_empty() { "there are no tokens".to_owned() } else { table.text() }.as_str());
    Ok(Exit::Done)
}

fn revoke(act: &Act, matches: &ArgMatches, actor: &str) -> Result<Exit, Trouble> {
    let id = super::id_of(matches);
    if !act.engine.tokens()?.revoke(id).map_err(Failure::from)? {
        return Err(Trouble::usage(
            format!("there is no token `{id}`"),
            "`sexton token list` shows those there are",
        ));
    }
    act.engine.audit(actor, "revoke token", id, "")?;
    match act.console.is_text() {
        true => act.console.data(&format!("revoked {id}")),
        false => {
            act.console.document(&json!({ "schema_version": SCHEMA_VERSION, "success": true, "id": id }))
        }
    }
    Ok(Exit::Done)
}
