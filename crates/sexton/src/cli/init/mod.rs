//! `init`: look at a database and draft a configuration from what is there.
//!
//! Reads only the catalogue and statistics, never rows. Everything it writes is a proposal, and says so.

mod draft;
mod guess;

use super::console::Console;
use crate::choice;
use crate::config::{self, Config, Environment};
use crate::exit::Exit;
use crate::trouble::Trouble;
use crate::wiring;
use clap::ArgMatches;
use engine::SCHEMA_VERSION;
use serde_json::json;
use std::io::Write;

/// `sexton init`.
pub fn init(matches: &ArgMatches, environment: &Environment, console: &mut Console) -> Result<Exit, Trouble> {
    let place = matches.get_one::<String>("place").map_or("", String::as_str);
    console.hide(&config::secrets_of_url(place));
    // A configuration that is being drafted is not read.
    let config = Config::empty(environment)?;
    let typed = if wiring::is_place(place) { place.to_owned() } else { format!("./{place}") };
    let Some(database) = choice::database(Some(&typed), &config)? else { return Ok(Exit::Usage) };
    let engine = wiring::engine(&config, Some(&database));
    let (server, schema) = engine.describe(&database.name)?;
    let guesses = guess::guesses(&schema);
    let text = draft::draft(place, &server, &schema, &guesses);
    if matches.get_flag("write") {
        let file = matches.get_one::<String>("config").map_or(config::FILE, String::as_str);
        write_new(file, &text)?;
        console.note(&format!(
            "wrote `{file}`; look through it, then `sexton plan --all` shows what it would do"
        ));
        if console.is_text() {
            return Ok(Exit::Done);
        }
    }
    match console.is_text() {
        true => console.data(&text),
        false => console
            .document(&json!({ "schema_version": SCHEMA_VERSION, "success": true, "configuration": text })),
    }
    Ok(Exit::Done)
}

fn write_new(file: &str, text: &str) -> Result<(), Trouble> {
    let mut new = match std::fs::File::create_new(file) {
        Ok(new) => new,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(Trouble::usage(
                format!("`{file}` exists; nothing was written"),
                "leave out `--write` to see the draft, or name another file with `--config FILE`",
            ));
        }
        Err(error) => return Err(Trouble::system(format!("`{file}` cannot be written"), error)),
    };
    new.write_all(text.as_bytes())
        .map_err(|error| Trouble::system(format!("`{file}` cannot be written"), error))
}
