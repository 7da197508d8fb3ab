//! `config check`, `config example` and `config schema`.

use super::console::Console;
use super::numbers::of;
use crate::config::{self, Environment, Wanted};
use crate::exit::Exit;
use crate::trouble::Trouble;
use clap::ArgMatches;
use engine::{Kind, SCHEMA_VERSION};
use serde_json::json;

/// `sexton config …`.
pub fn config(
    matches: &ArgMatches,
    wanted: &Wanted,
    environment: &Environment,
    catalogue: &[&'static dyn Kind],
    console: &Console,
) -> Result<Exit, Trouble> {
    match matches.subcommand() {
        Some(("example", _)) => console.data(config::EXAMPLE),
        Some(("check", own)) => {
            let file = own.get_one::<String>("file").map(std::path::PathBuf::from);
            let wanted = Wanted { file: file.or_else(|| wanted.file.clone()), ..wanted.clone() };
            return check(&wanted, environment, catalogue, console);
        }
        _ => console.document(&config::schema_of_file(catalogue)),
    }
    Ok(Exit::Done)
}

fn check(
    wanted: &Wanted,
    environment: &Environment,
    catalogue: &[&'static dyn Kind],
    console: &Console,
) -> Result<Exit, Trouble> {
    let config = config::load(wanted, environment, catalogue)?;
    let Some(file) = &config.file else {
        return Err(Trouble::usage(
            format!("there is no `{}` here", config::FILE),
            "`sexton init DATABASE > sexton.toml` drafts one; `--config FILE` names another",
        ));
    };
    if !console.is_text() {
        console.document(&json!({
            "schema_version": SCHEMA_VERSION,
            "success": true,
            "file": file,
            "databases": config.databases.iter().map(|database| &database.name).collect::<Vec<_>>(),
            "stores": config.stores.iter().map(|store| &store.name).collect::<Vec<_>>(),
            "operations": config.operation_names(),
            "groups": config.groups.iter().map(|group| &group.name).collect::<Vec<_>>(),
        }));
        return Ok(Exit::Done);
    }
    // Also one that a variable names.
    let shown = file.strip_prefix(&environment.folder).unwrap_or(file);
    console.data(&format!(
        "{} is good: {}, {}, {}",
        shown.display(),
        of(config.databases.len() as u64, "database", "databases"),
        of(config.operations.len() as u64, "operation", "operations"),
        of(config.groups.len() as u64, "group", "groups"),
    ));
    if console.verbose {
        for operation in &config.operations {
            console.data(&format!(
                "  {}: {} on {}",
                operation.name,
                operation.kind.name(),
                operation.database
            ));
        }
        for group in &config.groups {
            let about = group.description.as_deref().map(|text| format!(" ({text})")).unwrap_or_default();
            console.data(&format!("  group {}: {}{about}", group.name, group.operations.join(", ")));
        }
    }
    Ok(Exit::Done)
}
